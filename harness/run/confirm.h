/*
 * Confirmation by frequency. A result that met a known bug which strikes now and then is held back,
 * and its job is run again, up to as often as the bug's rate asks for. If the bug strikes more
 * often than chance allows, the result is a failure: something strikes that is not this bug.
 * Repetitions are no results of their own.
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
 * Takes the RESULT (taken) of JOB, which ended. Returns the result that can be reported now, which
 * is the caller's: RESULT itself if nothing is to be confirmed of it; NULL as long as repetitions
 * are to come; the one that was held back, with "confirmation" in its facts, after the last.
 */
json_t *godwit_confirm_take(struct godwit_confirm *confirm, const struct godwit_job *job,
                            json_t *result);

/* Returns the next repetition to run, which the caller frees, or NULL if none is due. Repetitions
 * of one result never overlap. */
struct godwit_job *godwit_confirm_next(struct godwit_confirm *confirm);

/* Returns a result that is still held back, as an error, because the run ends before it is
 * confirmed. The caller frees it. NULL if there is none. */
json_t *godwit_confirm_give_up(struct godwit_confirm *confirm);

#endif
