/*
 * Facts about this host that times depend on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_HOST_FACTS_H
#define GODWIT_HARNESS_REPORT_HOST_FACTS_H

#include "base/json.h"

/* Returns the facts, which the caller releases: "kernel", "cpu", "cpus", "memory_mib", "governor",
 * "hugepages" and "load", of which those that the host does not report are left out. ROOT is "/",
 * or the folder that has proc and sys. */
json_t *godwit_host_facts(const char *root);

/* Returns the load average of the last minute; NaN if it is unknown. */
double godwit_host_load(const char *root);

#endif
