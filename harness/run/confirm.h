/*
 * Confirmation by frequency. A result that met a known bug which strikes only sometimes is not
 * reported at once. Its job is run again, up to as often as the bug's rate requires. If the bug
 * strikes more often than chance allows, the result is a failure: the cause is not this bug.
 * Repetitions have no results of their own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_CONFIRM_H
#define GODWIT_HARNESS_RUN_CONFIRM_H

#include "run/job.h"

struct godwit_confirm;

struct godwit_confirm *godwit_confirm_new(void);
void godwit_confirm_free(struct godwit_confirm *confirm);

/*
 * Takes RESULT (taken) of JOB, which ended. Returns the result that can be reported now, which the
 * caller frees: RESULT itself if it needs no confirmation; NULL while repetitions remain; after the
 * last repetition the first result, with "confirmation" in its measurements.
 */
json_t *godwit_confirm_take(struct godwit_confirm *confirm, const struct godwit_job *job,
                            json_t *result);

/* Returns the next repetition to run, which the caller frees, or NULL if none is due. Repetitions
 * of one result never overlap. */
struct godwit_job *godwit_confirm_next(struct godwit_confirm *confirm);

/* Returns a result that is not yet confirmed, as an error, because the run ends. The caller frees
 * it. Returns NULL if none is left. */
json_t *godwit_confirm_give_up(struct godwit_confirm *confirm);

#endif
