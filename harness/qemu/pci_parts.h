/*
 * Shared by pci.c and pci_assign.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_PCI_PARTS_H
#define GODWIT_HARNESS_QEMU_PCI_PARTS_H

#include "qemu/pci.h"

enum godwit_pci_way {
    GODWIT_PCI_PORTS, /* 0xCF8 and 0xCFC */
    GODWIT_PCI_ECAM,
    GODWIT_PCI_CALLS, /* firmware services of pseries */
};

/* Addresses on the PCI bus that are still free. */
struct godwit_pci_window {
    uint64_t next;
    uint64_t last; /* inclusive; below next: the window is empty or used up */
};

struct godwit_pci {
    struct godwit_qtest *qtest; /* borrowed */
    enum godwit_pci_way way;
    uint64_t ecam;     /* where ECAM begins ... */
    unsigned buses;    /* ... and for how many buses */
    uint64_t bridge;   /* the host bridge's number for firmware services ... */
    uint64_t scratch;  /* ... and RAM for their arguments and results */
    bool can_ecam;     /* nothing else is where godwit_pci_assign() puts ECAM on q35 */
    unsigned root;     /* the root bus that is being assigned ... */
    unsigned last_bus; /* ... and the largest number of a bus so far */
    struct godwit_pci_window io, low, high; /* ports; memory below 4 GiB; above it */
};

/* Finds the windows in the views of memory and of the ports (may be NULL). */
void godwit_pci_find_windows(struct godwit_pci *pci, const struct godwit_view *memory,
                             const struct godwit_view *ports);

/* Where godwit_pci_assign() puts ECAM on q35, as SeaBIOS does, and the bytes that it occupies. */
#define GODWIT_Q35_ECAM      UINT64_C(0xb0000000)
#define GODWIT_Q35_ECAM_SIZE (UINT64_C(256) << 20)

#endif
