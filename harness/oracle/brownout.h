/*
 * Brownout: how fast the guest writes pages before, during and after its migration, from outside.
 * The blackout is the time without any progress; the brownout is the slowness around it.
 *
 * blackout.c takes the samples, because it knows which side runs the guest. Times are those of the
 * guest: the time in which Godwit itself keeps it stopped is left out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_BROWNOUT_H
#define GODWIT_HARNESS_ORACLE_BROWNOUT_H

#include "testbed/vm.h"

/* The width of a bucket, in milliseconds. */
#define GODWIT_BROWNOUT_BUCKET_MS 10
/* How long the guest is watched before the migration, in milliseconds. */
#define GODWIT_BROWNOUT_BEFORE_MS 100

struct godwit_brownout;

/* Begins the curve of a guest that runs WORKLOAD, which must live as long. The caller frees it. */
struct godwit_brownout *godwit_brownout_new(const struct godwit_workload *workload,
                                            bool big_endian);
void godwit_brownout_free(struct godwit_brownout *brownout);

/* Takes BYTES, the mailboxes of all CPUs as they were at AT (microseconds of the guest) on the
 * source or, if ARRIVED, on the destination. */
void godwit_brownout_take(struct godwit_brownout *brownout, gint64 at, bool arrived,
                          const void *bytes);

/* The guest was seen at AT to be where it was: no page has been written since the last sample. */
void godwit_brownout_still(struct godwit_brownout *brownout, gint64 at);

/* When a migration began and ended, in microseconds of the guest. */
struct godwit_brownout_marks {
    gint64 setup;    /* the source reported that it is set up; 0: unknown */
    gint64 over;     /* it was completed, and the guest ran on the destination; 0: unknown */
    gint64 stopped;  /* Godwit stopped the guest for good; 0: it runs */
    double blackout; /* in milliseconds; NaN: unknown */
};

/* Returns the measurement "brownout", or NULL with *WHY, which is static, if nothing is known. The
 * caller unreferences it. */
json_t *godwit_brownout_result(struct godwit_brownout *brownout,
                               const struct godwit_brownout_marks *marks, const char **why);

#endif
