/*
 * Pokes: seeded writes to the registers of a machine that does not run, as a driver with bugs, or a
 * fuzzer, would make them. They bring a device into states in which no firmware leaves it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_POKES_H
#define GODWIT_HARNESS_COURSE_POKES_H

#include "oracle/hardware.h"
#include "qemu/pci.h"

struct godwit_poke {
    enum godwit_space space;
    uint64_t address;   /* in configuration space, bus << 16 | place << 8; the offset is apart */
    uint64_t offset;    /* of the register in the region */
    const char *region; /* lives for ever */
    unsigned size;      /* 1, 2 or 4 bytes */
    uint32_t value;
    bool after; /* made after the migration, on both sides, not before it */
};

/*
 * Returns COUNT pokes to the registers of PLACES, an array of struct godwit_hardware_place; the
 * same ones for the same SEED. The caller unreferences the array of struct godwit_poke. What keeps
 * other pokes from reaching their device is left alone: the addresses of BARs, the numbers and
 * windows of bridges, and the bits that enable decoding. So is the address of a legacy virtio
 * queue.
 */
GArray *godwit_pokes_make(const GArray *places, uint64_t seed, guint count);

/*
 * Returns a poke to each register in the first 256 bytes of each place, in any order, but not more
 * than COUNT. WIDTH, 1, 2 or 4, is the size of each in bytes; ISA ports, and places that it does
 * not fit, get bytes. No value is zero. Otherwise as godwit_pokes_make().
 */
GArray *godwit_pokes_sweep(const GArray *places, uint64_t seed, unsigned width, guint count);

/* Returns pokes to COUNT registers, VALUES of them to each, one register after the other. Otherwise
 * as godwit_pokes_make(). */
GArray *godwit_pokes_select(const GArray *places, uint64_t seed, guint count, guint values);

/* What became of a poke. */
enum godwit_poked {
    GODWIT_POKED,        /* done */
    GODWIT_POKED_TO_END, /* it has ended the machine, reset it or made it run */
    GODWIT_POKED_FAILED, /* see ERROR */
};

/* Makes a poke. PCI is the VM's, or NULL if it has none. STATUS is the VM's run state. The machine
 * can be used no more if the poke has ended or reset it. */
enum godwit_poked godwit_poke_make(struct godwit_vm *vm, struct godwit_pci *pci, const char *status,
                                   const struct godwit_poke *poke, GError **error);

/* Returns the poke as a request to QEMU's qtest socket ("writel 0xfebc0100 0x1"), and the register
 * behind it, or, in configuration space, "config 00:01.0 0x44 = 0x1 (2 bytes)". The caller frees
 * it. */
char *godwit_poke_text(const struct godwit_poke *poke);

#endif
