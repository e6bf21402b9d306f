/*
 * What a device needs beside itself to be plugged: a bus, a backend, properties, perhaps another
 * machine.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_RECIPE_H
#define GODWIT_HARNESS_INVENTORY_RECIPE_H

#include "base/json.h"
#include "inventory/devices.h"

/* The id of the device that a recipe plugs. */
#define GODWIT_RECIPE_ID "subject"

/* How to plug a device. It needs no network and no hardware of the host, and only files that QEMU
 * makes in its working directory. Nobody knows before QEMU is started whether it suffices. */
struct godwit_recipe {
    char **machine; /* arguments that come before the device: options of the machine, buses,
                       backends; NULL-terminated */
    char *device;   /* the value of -device, as `device_add` of the monitor takes it, too */
    char *board;    /* the machine that has the device's bus, if it is not the setup's: the first
                       arguments are -M and its name; NULL: the device fits the setup's */
    bool pci;       /* the device plugs into any PCI bus: `device` names none */
};

/* What one binary lists. */
struct godwit_offer {
    const GPtrArray *types; /* godwit_device_types_list() */
    const json_t *machines; /* the answer to query-machines; NULL: unknown */
};

/* Returns the recipe for DEVICE of the binary that offers OFFER. PROPERTIES is the answer to
 * device-list-properties; NULL: unknown. The ids of the device and of its backends end in NUMBER
 * unless that is 0, so that a machine can have several. The caller frees the recipe. */
struct godwit_recipe *godwit_recipe_new(const struct godwit_device_type *device,
                                        const json_t *properties, const struct godwit_offer *offer,
                                        unsigned number);

/* Appends copies of an option and its value to ARGUMENTS, pairs of these, unless they are there. */
void godwit_recipe_add_option(GPtrArray *arguments, const char *option, const char *value);

/* Returns one recipe that plugs the devices of all of RECIPES, an array of struct godwit_recipe
 * with numbers that differ, or NULL if one of them needs another machine, or other options of it.
 * What several need is there once. The caller frees it. */
struct godwit_recipe *godwit_recipe_join(const GPtrArray *recipes);

/* Adds ARGUMENTS, NULL-terminated, to those of the machine. NULL: none. */
void godwit_recipe_add_arguments(struct godwit_recipe *recipe, const char *const *arguments);

/* Adds a PCI Express port to the machine and plugs the device into it, as a machine needs that
 * cannot plug anything into its root bus while it runs. Returns false if the device is not for PCI,
 * or needs another place. */
bool godwit_recipe_use_port(struct godwit_recipe *recipe);

/* Returns the recipe as JSON, which the caller releases. */
json_t *godwit_recipe_to_json(const struct godwit_recipe *recipe);

/* Returns the recipe in JSON, which the caller frees, or NULL if there is none. */
struct godwit_recipe *godwit_recipe_from_json(const json_t *json);

void godwit_recipe_free(struct godwit_recipe *recipe);

#endif
