/*
 * The states oracle: the state machine of QEMU's migration engine, as its events report it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STATES_H
#define GODWIT_HARNESS_ORACLE_STATES_H

#include "testbed/vm.h"

/*
 * Judges the events of the testbed's VMs. Requires that
 * - the engine may make each change of state,
 * - a source passes all mandatory states, and has stopped its guest when it sends its devices'
 *   state and when its migration completes, except that a background snapshot completes while the
 *   guest runs, and that a snapshot (vm->snapshots) is set up and completed, no state between,
 * - a destination does not run a guest before it has one,
 * - source and destination both report a postcopy, or neither does.
 * Counts the changes of state in the measurements ("transitions"). Fails with MIGRATION; the
 * message has the whole sequence of a VM that broke a rule.
 */
bool godwit_states_judge(struct godwit_testbed *testbed, GError **error);

/* Returns true if the engine may change from one state to the other, both as QMP names them. */
bool godwit_states_legal(const char *from, const char *to);

#endif
