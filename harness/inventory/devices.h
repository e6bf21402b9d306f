/*
 * The devices that a QEMU has, as the binary itself lists them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_DEVICES_H
#define GODWIT_HARNESS_INVENTORY_DEVICES_H

#include "testbed/vm.h"

struct godwit_device_type {
    char *name;     /* as -device takes it */
    char *bus;      /* the kind of bus it plugs into ("PCI", "usb-bus"), "" if it needs none */
    char *category; /* "Network", "CPU", "Misc" */
    char *alias;    /* another name that -device takes; NULL: none */
};

/* Returns the devices that a user can create: an array of struct godwit_device_type, in QEMU's
 * order. VM needs no machine. The caller frees the array with g_ptr_array_unref(). */
GPtrArray *godwit_device_types_list(struct godwit_vm *vm, GError **error);

/* Returns the device NAME of that list, or NULL. Borrowed. */
const struct godwit_device_type *godwit_device_types_find(const GPtrArray *devices,
                                                          const char *name);

/* Returns the devices that TEXT lists, the output of the monitor command "info qdm". */
GPtrArray *godwit_device_types_parse(const char *text);

#endif
