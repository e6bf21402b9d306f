/*
 * The raw runs of `godwit compare` and `godwit sweep`: what each run measured, when, and on what
 * host, a line for each run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_RAW_RUNS_H
#define GODWIT_HARNESS_REPORT_RAW_RUNS_H

#include "base/json.h"
#include <stdio.h>

/* Returns the run of RESULT, which has just ended, as an object that the caller releases. ROUND is
 * the number of its round, from 1. */
json_t *godwit_raw_run(const json_t *result, unsigned round);

/* Write the heads of the columns that all runs have, and those cells of one RUN. Each begins with a
 * comma, because columns of the command come before. ABOUT has the facts about the host. */
void godwit_raw_runs_heads(FILE *out);
void godwit_raw_runs_cells(FILE *out, const json_t *run, const json_t *about);

#endif
