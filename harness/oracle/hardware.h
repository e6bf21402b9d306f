/*
 * The register compare: what a machine's registers read, from outside, on a stopped source and on a
 * destination that has loaded its state and has not run since. They must be equal, whatever the
 * stream says: a register that is not in the stream at all is missed by everything else.
 *
 * Read are the configuration space of every PCI function, every range of memory that leads to a
 * device, and every port; the beginning of a range by 8, 16 and 32 bits. Reading has side effects
 * (a FIFO gets shorter, a status is cleared), so each machine is read once, in the same order, and
 * is good for nothing afterwards, but to be compared again after more that was done to all of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_HARDWARE_H
#define GODWIT_HARNESS_ORACLE_HARDWARE_H

#include "testbed/vm.h"

/* What the registers of a machine read. */
struct godwit_hardware;

/* The regions of which a QEMU has died when they were read, as a whole or at one width: names that
 * live for ever. */
typedef GPtrArray godwit_deadly_regions;

/*
 * Reads all registers of VM, which is stopped and has a hand (testbed->hand), but not the regions
 * in DEADLY. The caller frees the result. If QEMU dies of an access, the region is added to DEADLY
 * and the function fails with ACCESS: read another VM with the same state then. Fails with QMP or
 * CRASH otherwise.
 */
struct godwit_hardware *godwit_hardware_read(struct godwit_vm *vm, godwit_deadly_regions *deadly,
                                             GError **error);

/*
 * Reads the beginnings of PLACES, an array of struct godwit_hardware_place of memory and ports,
 * once more, and adds what they read now to HARDWARE: 256 bytes of each, by 16, 32, and 8 bits in
 * turn, from one call to the next. Fails as godwit_hardware_read() does.
 */
bool godwit_hardware_read_again(struct godwit_hardware *hardware, struct godwit_vm *vm,
                                const GArray *places, godwit_deadly_regions *deadly,
                                GError **error);

/* Finds out which device has each register in HARDWARE, by the objects of VM, which has the same
 * devices. That takes long, and only differences need it. Fails with QMP or CRASH. */
bool godwit_hardware_name(struct godwit_hardware *hardware, struct godwit_vm *vm, GError **error);

/* Frees it. Does nothing for NULL. */
void godwit_hardware_free(struct godwit_hardware *hardware);

/* Returns how many registers were read. One that was read at two widths counts twice. */
size_t godwit_hardware_count(const struct godwit_hardware *hardware);

/* Returns how many bytes were not read because their range is larger than 256 KiB. */
uint64_t godwit_hardware_left_out(const struct godwit_hardware *hardware);

/* A register, or a range of them, that differs. */
struct godwit_hardware_difference {
    const char *device; /* type of the device, NULL if it is none, or has not been named; lives for
                         * ever */
    const char *region; /* the region's name, or "00:01.0 config"; lives for ever */
    uint64_t offset;    /* in the region */
    char *text;         /* "e1000, e1000-mmio 0x100 (memory 0xfebc0100): 0x00 -> 0x01" */
};

/*
 * Compares SOURCE with COPY, which has loaded SOURCE's state: an array of struct
 * godwit_hardware_difference, which the caller unreferences.
 *
 * OTHER has loaded the same state at another time, or is NULL. A register that differs between COPY
 * and OTHER goes by a clock of the host and proves nothing: it is left out, and added to *MOVING.
 */
GPtrArray *godwit_hardware_compare(const struct godwit_hardware *source,
                                   const struct godwit_hardware *copy,
                                   const struct godwit_hardware *other, unsigned *moving);

/* Ports below this one belong to ISA devices, whose registers have a byte each. */
#define GODWIT_ISA_PORTS 0x1000

enum godwit_space { GODWIT_SPACE_CONFIG, GODWIT_SPACE_MEMORY, GODWIT_SPACE_PORTS };

/* A range of registers. */
struct godwit_hardware_place {
    enum godwit_space space;
    uint64_t start;     /* an address; in configuration space, bus << 16 | place << 8 */
    uint64_t length;    /* in bytes */
    uint64_t offset;    /* of the start in the region */
    const char *region; /* as in struct godwit_hardware_difference ... */
    const char *device; /* ... likewise */
    const char *path;   /* of the object that has it, in the QOM tree, or NULL; lives for ever */
    bool bridge;        /* the configuration space of a bridge */
};

/* Returns whether a place is that of an ISA device, in ports. */
static inline bool godwit_hardware_is_isa(const struct godwit_hardware_place *place)
{
    return place->space == GODWIT_SPACE_PORTS && place->start < GODWIT_ISA_PORTS;
}

/* Returns where the registers of VM are at the moment, without reading them: an array of struct
 * godwit_hardware_place, which the caller unreferences. */
GArray *godwit_hardware_places(struct godwit_vm *vm, GError **error);

/* Gives every BAR of VM an address, if the machine has BARs and no firmware has given any of them
 * one. Does nothing if no access from outside reaches configuration space (s390x). */
bool godwit_hardware_assign(struct godwit_vm *vm, GError **error);

#endif
