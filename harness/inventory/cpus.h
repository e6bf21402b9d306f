/*
 * The CPU models that a QEMU has.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_CPUS_H
#define GODWIT_HARNESS_INVENTORY_CPUS_H

#include "testbed/vm.h"

/* Returns the CPU models of the binary, as -cpu takes them, sorted, each once: aliases are left
 * out. VM needs no machine. The caller frees the array with g_strfreev(). */
char **godwit_cpus_list(struct godwit_vm *vm, GError **error);

/* Returns the models in DEFINITIONS, the answer to query-cpu-definitions, likewise. */
char **godwit_cpus_parse(const json_t *definitions);

/* Returns the models in TYPES, the answer to qom-list-types about "cpu", likewise. */
char **godwit_cpus_parse_types(const json_t *types);

#endif
