/*
 * A guest that is not Godwit's: what the user's command line boots, migrated once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_THEIRS_H
#define GODWIT_HARNESS_SCENARIO_THEIRS_H

#include "course/course.h"

/*
 * Makes the testbed's wire, starts both VMs, lets the guest run until its console shows the setup's
 * `after`, migrates it with SPEC's transport, capabilities and parameters, and judges what the
 * destination has loaded: its RAM against that of the stopped source, and the state that it saves
 * against the state that the source sent. The destination's guest never runs.
 */
bool godwit_theirs_run(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       GError **error);

#endif
