/*
 * Evidence: what a result record has for whoever looks into it, beside the verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_EVIDENCE_H
#define GODWIT_HARNESS_RUN_EVIDENCE_H

#include "base/json.h"
#include "testbed/testbed.h"

/*
 * Adds "vms", "timeline" and "guest" to a result, as job.h has them. Whatever state the testbed's
 * VMs are in, it takes no longer than a few seconds, but for the backtrace of one that has crashed.
 */
void godwit_evidence_add(struct godwit_testbed *testbed, json_t *result);

#endif
