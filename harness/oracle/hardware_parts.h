/*
 * What the files of the register compare share, and nobody else: where a machine has registers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_HARDWARE_PARTS_H
#define GODWIT_HARNESS_ORACLE_HARDWARE_PARTS_H

#include "oracle/hardware.h"
#include "qemu/pci.h"

/* Where a machine's registers are, and the way to its configuration space. */
struct godwit_hardware_layout {
    struct godwit_mtree *mtree;
    struct godwit_qtree *qtree;
    struct godwit_pci *pci; /* NULL: no access from outside reaches configuration space */
    GArray *places;         /* of struct godwit_hardware_place, those that are too large included */
};

/* Finds out where the registers of VM are and, if NAMED, which device has them. LAYOUT must be
 * zeroed, and cleared in any case. */
bool godwit_hardware_find(struct godwit_vm *vm, bool named, struct godwit_hardware_layout *layout,
                          GError **error);

/* Frees what a layout has. */
void godwit_hardware_layout_clear(struct godwit_hardware_layout *layout);

/* Returns whether a place is too large to be one of registers. */
bool godwit_hardware_is_too_large(const struct godwit_hardware_place *place);

/* Returns the type of the device that has the object at PATH of the QOM tree, which may be NULL. */
const char *godwit_hardware_device_at(const struct godwit_qtree *qtree, const char *path);

#endif
