/*
 * Results of jobs: JSON objects that say how a scenario ended. job.h describes what a worker puts
 * into one; the run adds "scenario", "summary", "kit" (Godwit's version), "arch", "image",
 * "machine", "accel", "repetition", "ms", "again", "fault" if one had to be injected, and "folder"
 * if the job's folder was kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RESULT_H
#define GODWIT_HARNESS_RUN_RESULT_H

#include "base/json.h"

/* Returns whether RESULT is a pass, which one with an excused known bug of QEMU is. */
bool godwit_result_passed(const json_t *result);

/* Returns whether RESULT is that of a job that was not run, or not to its end. */
bool godwit_result_is_not_run(const json_t *result);

#endif
