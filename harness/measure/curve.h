/*
 * A curve: how a count grew, from samples that something took whenever it could.
 *
 * A sampler on a busy host is late at times. Between two samples that are far apart the count is
 * unknown: a bucket there has no speed, which is not the same as a speed of 0.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEASURE_CURVE_H
#define GODWIT_HARNESS_MEASURE_CURVE_H

#include <glib.h>
#include <stdbool.h>

struct godwit_sample {
    double at;    /* in milliseconds */
    double count; /* since any beginning */
};

/* Returns a curve without samples: an array of struct godwit_sample, which the caller
 * unreferences. */
GArray *godwit_curve_new(void);

/* Adds a sample. Drops it if it is not later than the latest one. A count below the latest one was
 * read while it changed, and counts as the latest one again. */
void godwit_curve_add(GArray *curve, double at, double count);

/* Drops all samples later than AT. */
void godwit_curve_cut(GArray *curve, double at);

/* Returns the count at AT, on the line between the samples before and after it. Returns NaN outside
 * of the samples, and if these two are more than MOST milliseconds apart. */
double godwit_curve_at(const GArray *curve, double at, double most);

/* Returns how much the count grew per second between FROM and TO; NaN if it is unknown at one of
 * them, by godwit_curve_at(), or if TO is not later. */
double godwit_curve_speed(const GArray *curve, double from, double to, double most);

/* Returns the speeds per second in COUNT buckets of WIDTH milliseconds, the first of which begins
 * at FIRST. NaN: unknown, because samples at an edge of the bucket are further apart than WIDTH.
 * The caller frees it. */
double *godwit_curve_buckets(const GArray *curve, double first, unsigned count, double width);

/* Returns the longest time between two samples, in milliseconds; 0 of fewer than two. */
double godwit_curve_gap(const GArray *curve);

#endif
