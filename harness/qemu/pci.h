/*
 * PCI configuration space through the hand (qtest.h): reading and writing it, and doing what
 * firmware does, so that every BAR has an address although no firmware has run.
 *
 * How configuration space is reached, and the addresses that BARs may have, follow from the
 * machine's flat views:
 *
 *   pc            ports 0xCF8 and 0xCFC
 *   q35           the same, until godwit_pci_assign() or firmware has enabled ECAM
 *   virt          ECAM, the region "pcie-mmcfg-mmio", on each architecture
 *   pseries       firmware services, which QEMU's qtest socket can call
 *   s390-ccw      not at all: only CPU instructions reach configuration space and BARs, which are
 *                 in no address space of the machine, and qtest has no CPU
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_PCI_H
#define GODWIT_HARNESS_QEMU_PCI_H

#include "qemu/mtree.h"
#include "qemu/qtest.h"

struct godwit_pci;

/* An access to configuration space. */
struct godwit_pci_access {
    uint8_t bus;
    uint8_t place;   /* 8 * slot + function */
    uint16_t offset; /* a multiple of size */
    uint8_t size;    /* 1, 2 or 4 bytes */
    bool write;      /* ... from value; otherwise into it */
    uint32_t value;  /* what was read is all ones if there is no such function or register */
};

/* The registers of a q35's host bridge, 00:00.0, that have the place of ECAM, 4 bytes each. Bit 0
 * of the first one enables it. */
#define GODWIT_Q35_ECAM_LOW  0x60
#define GODWIT_Q35_ECAM_HIGH 0x64

/*
 * Finds out how to reach the configuration space of the machine whose views are MTREE, which is not
 * kept. QTEST is borrowed. Changes nothing. The caller frees the result. Fails with SKIP if there
 * is no way.
 */
struct godwit_pci *godwit_pci_new(struct godwit_qtest *qtest, const struct godwit_mtree *mtree,
                                  GError **error);

/* Frees it. Does nothing for NULL. */
void godwit_pci_free(struct godwit_pci *pci);

/* Returns how many bytes of each function's configuration space can be reached: 256 or 4096. */
size_t godwit_pci_config_size(const struct godwit_pci *pci);

/*
 * Makes COUNT accesses in order, as one batch. Leaves the address port of a PC, and the RAM of a
 * pseries machine through which arguments pass, as they were. Fails as godwit_qtest_run() does, and
 * with USAGE if an access is out of reach.
 */
bool godwit_pci_run(struct godwit_pci *pci, struct godwit_pci_access *accesses, size_t count,
                    GError **error);

/* Reads the configuration space of a function from offset 0 on into BYTES, in accesses of SIZE
 * bytes (1, 2 or 4). LENGTH is in bytes, a multiple of SIZE. Otherwise like godwit_pci_run(). */
bool godwit_pci_config(struct godwit_pci *pci, unsigned bus, unsigned place, unsigned size,
                       unsigned char *bytes, size_t length, GError **error);

/* Returns where a capability ID is in CONFIG, LENGTH bytes of configuration space from offset 0 on.
 * Of several, NUMBER, counted from 0, says which. Returns 0 if there is none. */
size_t godwit_pci_capability(const unsigned char *config, size_t length, uint8_t id,
                             unsigned number);

/*
 * Does what firmware does: enables ECAM on q35; numbers the buses behind all bridges of the root
 * buses ROOTS (COUNT of them, ascending, godwit_qtree.roots) and opens the bridges' windows; gives
 * each BAR, expansion ROMs included, an address; and enables memory and I/O decoding. It does not
 * enable DMA. A BAR that fits into no window stays unmapped, which godwit_qtree_read() shows.
 */
bool godwit_pci_assign(struct godwit_pci *pci, const uint8_t *roots, size_t count, GError **error);

#endif
