/*
 * How to plug many devices: a run that tries each of them several times asks each binary once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_DEVICE_RECIPES_H
#define GODWIT_HARNESS_SCENARIO_DEVICE_RECIPES_H

#include "testbed/vm.h"

struct godwit_device_recipes {
    char *const *names; /* of devices, NULL-terminated */
    json_t *recipes;    /* name -> a recipe as JSON, or null: QEMU did not live to answer */
    json_t *numbered;   /* likewise, for godwit_recipe_join(): each with its own number; NULL: not
                         * wanted */
};

/* Asks VM, a QEMU without a machine, for the recipes of DATA, a struct godwit_device_recipes, that
 * are missing. If QEMU dies of a question, fails with what it died of. Another VM can be asked for
 * the rest then. */
bool godwit_device_recipes(struct godwit_vm *vm, gpointer data, GError **error);

#endif
