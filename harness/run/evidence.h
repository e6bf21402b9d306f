/*
 * Evidence: the part of a result that explains it, besides the verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_EVIDENCE_H
#define GODWIT_HARNESS_RUN_EVIDENCE_H

#include "base/json.h"
#include "testbed/testbed.h"

/*
 * Adds "vms", "timeline" and "guest" to a result, as job.h describes them. It takes at most a few
 * seconds in any state of the VMs, except for the backtrace of a QEMU that has crashed.
 */
void godwit_evidence_add(struct godwit_testbed *testbed, json_t *result);

#endif
