/*
 * Evidence: the part of a result that explains it, besides the verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_EVIDENCE_H
#define GODWIT_HARNESS_RUN_EVIDENCE_H

#include "base/json.h"
#include "testbed/testbed.h"

/* A worker reports its own timeout, and may first wait for GODWIT_END_SECONDS until dying QEMUs are
 * gone. This much later the run gives it up as lost. In seconds. */
#define GODWIT_GRACE_SECONDS 20

/*
 * Adds "vms", "timeline" and "guest" to a result, as job.h describes them. It takes at most a few
 * seconds in any state of the VMs, except for the backtrace of a QEMU that has crashed, which may
 * take all but the end of the time until the run gives the worker up.
 */
void godwit_evidence_add(struct godwit_testbed *testbed, json_t *result);

#endif
