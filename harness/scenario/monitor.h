/*
 * What `info migrate` of the human monitor shows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_MONITOR_H
#define GODWIT_HARNESS_SCENARIO_MONITOR_H

#include "scenario/scenario.h"

/* Runs the common course, with all commands of the migration given by the human monitor. */
bool godwit_monitor_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error);

/* Returns all that the VM's `info migrate` shows, or NULL on error. The caller frees it. Since QEMU
 * 10.1 it shows all only if it is asked to. */
char *godwit_monitor_show(struct godwit_vm *vm, GError **error);

/* Fails with QMP unless the VM's `info migrate` has text that matches PATTERN. */
bool godwit_monitor_expect(struct godwit_vm *vm, const char *pattern, GError **error);

/*
 * Fails with QMP unless the VM's `info migrate` shows each figure of its query-migrate, as
 * precisely as it is printed. No figure may change meanwhile, as when the migration is over.
 * Records how many it has compared, as "figures" of the VM.
 */
bool godwit_monitor_judge_figures(struct godwit_vm *vm, GError **error);

#endif
