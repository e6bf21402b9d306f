/*
 * What a CPU model is for a guest: its features, as QEMU expands the model to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_FEATURES_H
#define GODWIT_HARNESS_INVENTORY_FEATURES_H

#include "testbed/vm.h"

/* Returns the properties of the CPU model NAME on VM's machine, an object that the caller releases:
 * name -> value, without those that the accelerator does not have. Returns JSON's null if QEMU does
 * not expand models of this target. Fails if QEMU does. */
json_t *godwit_features_read(struct godwit_vm *vm, const char *name, GError **error);

/*
 * Compares the features that a guest has on both sides, as godwit_features_read() returns them.
 * Returns an array of char *, sorted, which the caller unreferences: "avx: on -> off". A feature
 * that one side does not know is off there. Numbers are compared if both sides have them.
 */
GPtrArray *godwit_features_compare(const json_t *source, const json_t *destination);

#endif
