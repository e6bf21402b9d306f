/*
 * Evidence: the part of a result that explains it, besides the verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_EVIDENCE_H
#define GODWIT_HARNESS_RUN_EVIDENCE_H

#include "base/json.h"
#include "testbed/testbed.h"

/* Returns how long after the deadline of a job with that TIMEOUT_SCALE the run gives its worker up,
 * in seconds. The worker itself reports the timeout, after it has waited for dying QEMUs and
 * collected the evidence. */
double godwit_evidence_grace(double timeout_scale);

/*
 * Adds "vms", "timeline" and "guest" to a result, as job.h describes them. It takes at most a few
 * seconds in any state of the VMs, except for the backtrace of a QEMU that has crashed, which may
 * take all but the end of the time until the run gives the worker up.
 */
void godwit_evidence_add(struct godwit_testbed *testbed, json_t *result);

#endif
