/*
 * The statistics of a comparison: how far two samples of paired runs are apart, how sure that is,
 * and what may be said of it. Pure functions on numbers; GSL does what it has.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEASURE_STATISTICS_H
#define GODWIT_HARNESS_MEASURE_STATISTICS_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How two values are compared. */
enum godwit_scale {
    GODWIT_SCALE_RATIO,      /* B / A */
    GODWIT_SCALE_DIFFERENCE, /* B - A, for values that may be zero */
};

/* What may be said of B in comparison with A, if less is better. */
enum godwit_verdict {
    GODWIT_VERDICT_CANNOT_TELL,
    GODWIT_VERDICT_SAME,
    GODWIT_VERDICT_LESS, /* faster */
    GODWIT_VERDICT_MORE, /* slower */
};

/* An estimate of the ratio or difference, with its confidence interval. */
struct godwit_estimate {
    double value, low, high; /* for a ratio 1 means equal, for a difference 0 */
    double error;            /* standard error; for a ratio that of its logarithm */
    size_t pairs;            /* it is made from; below GODWIT_PAIRS_LEAST, only VALUE is set */
};

/* Fewer pairs give no interval that could be trusted. */
#define GODWIT_PAIRS_LEAST 6
/* Returns the median of COUNT values; NaN of none. */
double godwit_median(const double *values, size_t count);

/* Returns the quantile FRACTION, 0.25 for example, of COUNT values; NaN of none. */
double godwit_quantile(const double *values, size_t count, double fraction);

/* Sets ORDER to the numbers below COUNT in an order that depends on SEED and ROUND. */
void godwit_shuffle(unsigned *order, size_t count, uint64_t seed, unsigned round);

/* The values of PAIRS rounds. */
struct godwit_pairs {
    const double *a, *b;
    const double *again; /* A once more, in the same rounds; NULL: it did not run twice */
    size_t pairs;
};

/*
 * Estimates B in comparison with A, with an interval of LEVEL, 0.95 for example. The estimate is
 * the trimmed mean of the paired differences, or for a ratio of those of the logarithms; if A ran
 * twice in each round, the mean of the two trimmed means. Its expectation is 0, or the ratio 1, if
 * all are equal, however skewed their noise is. The interval is a bootstrap interval over the
 * rounds. Returns false if a ratio has a value that is not positive, or if there is no pair.
 */
bool godwit_estimate(enum godwit_scale scale, const struct godwit_pairs *pairs, double level,
                     gsl_rng *random, struct godwit_estimate *estimate);

/* Estimates the geometric mean of COUNT ratios, likewise. Its `pairs` is the least number of them.
 */
bool godwit_estimate_mean(const struct godwit_pairs *ratios, size_t count, double level,
                          gsl_rng *random, struct godwit_estimate *estimate);

/*
 * Returns the two-sided p that the arm WHICH of COUNT ARMS is no other than the rest of them, in so
 * many ROUNDS; 1 if all values are equal. ARMS has an array for each arm, with a value for each
 * round. This is the test of Hodges and Lehmann by aligned ranks, in the normal approximation: the
 * test of Mann and Whitney for runs in rounds, each of which has its own load of the host. The
 * values of a ratio are positive.
 */
double godwit_aligned_ranks(enum godwit_scale scale, double *const *arms, size_t count,
                            size_t rounds, size_t which);

/* Replaces each of COUNT p by the one that Holm's correction for all of them gives. NaNs stay, and
 * do not count. */
void godwit_holm(double *p, size_t count);

/* Returns the one-sided p that FAILED of RUNS are no more than OTHERS of OTHER_RUNS: Fisher's exact
 * test. */
double godwit_fails_more_p(unsigned failed, unsigned runs, unsigned others, unsigned other_runs);

/*
 * Judges an estimate. It is SAME if the whole interval is within TOLERANCE. It is MORE or LESS if P
 * is below SIGNIFICANCE, the interval excludes that they are equal, and the value is beyond
 * TOLERANCE: so they differ, and by more than matters rather than by less. A difference that may
 * well be within TOLERANCE is none of these. If P is NaN, MORE and LESS need an interval that is
 * wholly beyond TOLERANCE. TOLERANCE is a part for a ratio, 0.05 for example: 1.05 and 1 / 1.05 are
 * within it.
 */
enum godwit_verdict godwit_judge(enum godwit_scale scale, const struct godwit_estimate *estimate,
                                 double tolerance, double p, double significance);

/* The most arms of a test. */
#define GODWIT_TEST_ARMS 3

/* A test by aligned ranks, with the values as godwit_aligned_ranks() takes them. */
struct godwit_test {
    enum godwit_scale scale;
    double *const *arms;
    size_t count, rounds, which;
    double significance; /* that p must be below, with what a correction makes of it */
};

/* Returns the smallest increase that as many rounds with the same scatter would have called MORE in
 * about three of four comparisons: a part for a ratio. TEST is that of the estimate; NULL: it has
 * no p. Returns NaN if so few rounds call nothing MORE. */
double godwit_smallest_change(enum godwit_scale scale, const struct godwit_estimate *estimate,
                              double tolerance, const struct godwit_test *test);

#endif
