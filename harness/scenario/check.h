/*
 * Checks the entries of all scenarios.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CHECK_H
#define GODWIT_HARNESS_SCENARIO_CHECK_H

#include "scenario/scenario.h"

/* Returns what is wrong with an entry: a missing field, fields that contradict each other, a
 * feature that no QEMU has. Returns NULL if nothing is wrong. The caller frees it. */
char *godwit_scenario_problem(const struct godwit_scenario *scenario);

/* Fails with USAGE if something is wrong with an entry, or if two have the same name. */
bool godwit_scenario_check_all(GError **error);

#endif
