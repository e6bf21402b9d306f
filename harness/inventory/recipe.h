/*
 * What a device needs beside itself to be plugged: a bus, a backend, properties.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_RECIPE_H
#define GODWIT_HARNESS_INVENTORY_RECIPE_H

#include "base/json.h"
#include "inventory/devices.h"

/* The id of the device that a recipe plugs. */
#define GODWIT_RECIPE_ID "subject"

/*
 * Returns the command-line arguments that plug DEVICE, a NULL-terminated array that the caller
 * frees with g_strfreev(). PROPERTIES is the answer to device-list-properties; NULL: unknown. The
 * arguments need no file, no network and no hardware of the host. Nobody knows before QEMU is
 * started whether they suffice.
 */
char **godwit_recipe(const struct godwit_device_type *device, const json_t *properties);

#endif
