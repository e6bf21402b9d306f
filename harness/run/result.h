/*
 * Results of jobs: JSON objects that describe how a scenario ended. job.h describes the members
 * that a worker sets. The run adds "scenario", "summary", "kit" (Godwit's version), "target",
 * "arch", "image", "machine", "accel", "source_version", "destination_version", "repetition",
 * "repetitions", "ms", "again", "fault" if the job injects one, "settings" if the user chose any,
 * and "folder" if the job's folder was kept.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RESULT_H
#define GODWIT_HARNESS_RUN_RESULT_H

#include "base/json.h"

/* Returns whether RESULT is a pass, with or without an excused known bug of QEMU. */
bool godwit_result_passed(const json_t *result);

/* Returns whether RESULT is that of a migration that failed only because it did not converge in the
 * time that it had. */
bool godwit_result_unconverged(const json_t *result);

/* Returns whether RESULT is that of a job that did not run, or not to its end. */
bool godwit_result_is_not_run(const json_t *result);

#endif
