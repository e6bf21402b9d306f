/*
 * Shared by the scenarios of devices: finding out how to plug one, and explaining its failure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_DEVICE_PARTS_H
#define GODWIT_HARNESS_SCENARIO_DEVICE_PARTS_H

#include "course/loaded.h"
#include "inventory/recipe.h"
#include "scenario/scenario.h"

struct godwit_scenario_state {
    const char *const *arguments; /* of the destination; borrowed */
    GPtrArray *lost;              /* of struct godwit_lost; NULL: not yet known */
    bool poked;                   /* its registers were written to at random */
};

void godwit_device_clear(struct godwit_scenario_state *state);
char **godwit_device_names(struct godwit_vm *vm, GError **error);
char **godwit_device_recipe(struct godwit_testbed *testbed, const struct godwit_qemu *qemu,
                            const char *name, GError **error);
bool godwit_device_try(struct godwit_testbed *testbed, enum godwit_vm_role role, char **arguments,
                       const char *name, GError **error);
void godwit_device_explain(const struct godwit_testbed *testbed, const char *name,
                           GError **failure);

#endif
