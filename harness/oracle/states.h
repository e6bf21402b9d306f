/*
 * The state machine of QEMU's migration engine, as its events tell of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STATES_H
#define GODWIT_HARNESS_ORACLE_STATES_H

#include "testbed/vm.h"

/*
 * Judges everything that the testbed's VMs told by events: each change of the migration's state is
 * one that the engine may make; a source passed all states that it has to, and had stopped its
 * guest when it sent its devices' state and when its migration was completed; a destination did not
 * run its guest before it had it, and reported the postcopy that its source was in. What was judged
 * is counted in the facts ("transitions"). MIGRATION error with the whole sequence otherwise.
 */
bool godwit_states_judge(struct godwit_testbed *testbed, GError **error);

/* Whether the engine may change from one state to the other, both as QMP names them. */
bool godwit_states_legal(const char *from, const char *to);

#endif
