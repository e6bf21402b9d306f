/*
 * What a source sends over time: how far the migration has come, asked every few milliseconds, and
 * from that the bytes, the dirty rate and the rate of each iteration.
 *
 * Times are those of the day, in microseconds, until they are recorded: then they are milliseconds
 * since the source reported that the migration is set up.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_ITERATIONS_H
#define GODWIT_HARNESS_COURSE_ITERATIONS_H

#include "base/json.h"
#include <glib.h>

/* A time between two samples that is longer than this hides what happened between them, in
 * milliseconds. */
#define GODWIT_ITERATIONS_GAP_MS 20.0

struct godwit_iterations;

struct godwit_iterations *godwit_iterations_new(void);
void godwit_iterations_free(struct godwit_iterations *iterations);

/* Takes INFO, the answer of query-migrate at AT. Does nothing if it has no "ram". */
void godwit_iterations_take(struct godwit_iterations *iterations, gint64 at, const json_t *info);

/* An iteration has begun at AT. */
void godwit_iterations_begin(struct godwit_iterations *iterations, gint64 at);

/* QEMU has looked for dirty pages at AT and has found PAGES in the present period, which lasts a
 * second or more. */
void godwit_iterations_found(struct godwit_iterations *iterations, gint64 at, gint64 pages);

/* Returns the measurement "transfer" of a migration that was set up at SETUP and completed on the
 * source at COMPLETED, which the caller unreferences. */
json_t *godwit_iterations_result(struct godwit_iterations *iterations, gint64 setup,
                                 gint64 completed);

#endif
