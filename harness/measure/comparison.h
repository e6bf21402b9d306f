/*
 * A comparison of A and B: the metrics, the rounds of runs that measure them, and the rows that
 * come of them, each with a verdict. Nothing here knows a VM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEASURE_COMPARISON_H
#define GODWIT_HARNESS_MEASURE_COMPARISON_H

#include "measure/statistics.h"

#include <glib.h>
#include <stdint.h>

enum godwit_metric {
    GODWIT_METRIC_TOTAL, /* times are in milliseconds */
    GODWIT_METRIC_BLACKOUT,
    GODWIT_METRIC_DOWNTIME,
    GODWIT_METRIC_SETUP,
    GODWIT_METRIC_BYTES,
    GODWIT_METRIC_SOURCE_CPU,
    GODWIT_METRIC_DESTINATION_CPU,
    GODWIT_METRICS, /* how many there are */
};

/* What is known of a metric. */
struct godwit_metric_kind {
    const char *name, *unit;
    enum godwit_scale scale;
    bool time;    /* less is faster; otherwise it is a cost, and less is less */
    bool decides; /* the comparison goes on until its rows are settled */
};

/* Returns the kind of METRIC. Static. */
const struct godwit_metric_kind *godwit_metric_kind(enum godwit_metric metric);

/* The arms of a comparison. The control is A once more: it shows what differs for no reason. */
enum godwit_arm {
    GODWIT_ARM_A,
    GODWIT_ARM_B,
    GODWIT_ARM_CONTROL,
    GODWIT_ARMS, /* how many there are */
};

/* Returns the name of an arm: "A", "B", "A'". Static. */
const char *godwit_arm_name(enum godwit_arm arm);

/* Returns the arm that runs as number PLACE (from 0) of round NUMBER (from 0). Two rounds mirror
 * each other, so that a steady drift strikes all arms alike: ABC CBA. The next two begin with
 * another arm. */
enum godwit_arm godwit_arm_at(unsigned number, unsigned place);

/* One run of each arm: what each metric was. NaN: not measured, or the run failed. */
struct godwit_round {
    double value[GODWIT_ARMS][GODWIT_METRICS];
};

/* Returns a round without a value. */
struct godwit_round godwit_round_empty(void);

/* The confidence of a comparison whose number of rounds was chosen beforehand, and that of one that
 * may end at each of several looks. P must be below 1 less that. Each look is a chance to be wrong:
 * with 99 % each, eight looks at equals find a difference in 5 % of all comparisons, as Pocock's
 * boundary does. Later looks add little, because the estimate must be beyond the tolerance, too. */
#define GODWIT_CONFIDENCE       0.95
#define GODWIT_CONFIDENCE_LOOKS 0.99

/* The rules of a comparison. */
struct godwit_rules {
    double part; /* tolerance of ratios, 0.05 for 5 % */
    double ms;   /* tolerance of differences of times, in milliseconds */
    uint64_t seed;
};

/* A row: one metric of one scenario, or the geometric mean of all. */
struct godwit_row {
    unsigned scenario; /* its number */
    bool mean;         /* the geometric mean over all scenarios instead */
    enum godwit_metric metric;
    double median[GODWIT_ARMS];
    bool known;                     /* there is an estimate of both: */
    struct godwit_estimate effect;  /* B in comparison with A and with A' */
    struct godwit_estimate control; /* A' in comparison with A */
    enum godwit_verdict verdict;    /* of B */
    bool control_differs;           /* A' is not A: the verdict is then that nothing can be told */
    double p, adjusted;             /* godwit_aligned_ranks() of B, and after Holm among the rows
                                       that decide, or among the others; NaN for the mean */
    double smallest;                /* godwit_smallest_change() */
};

/* Returns the rows (an array of struct godwit_row) of COUNT scenarios, which the caller
 * unreferences: each metric that was measured, then the geometric mean of the total times. ROUNDS
 * are arrays of struct godwit_round. A metric counts only the rounds in which all arms have it.
 * Intervals have the confidence LEVEL, and a verdict needs a p below 1 - LEVEL. */
GArray *godwit_compare(GArray *const *rounds, unsigned count, const struct godwit_rules *rules,
                       double level);

/* Returns whether the comparison is looked at after so many ROUNDS. Each look is a chance to be
 * wrong, so there are few. */
bool godwit_compare_looks(unsigned rounds);

/* Returns whether nothing remains to be decided: every row of a metric that decides has a verdict
 * with the confidence GODWIT_CONFIDENCE_LOOKS, as godwit_compare() gives it, or was not measured
 * although the total time was. The geometric mean does not count. */
bool godwit_compare_settled(GArray *const *rounds, unsigned count,
                            const struct godwit_rules *rules);

/* Returns whether nothing is known of a row because no round has it. */
bool godwit_row_is_unmeasured(const struct godwit_row *row);

/* Returns the word for a row's verdict: "faster", "same", "slower", "cannot tell" or "not
 * measured"; "less" and "more" for a cost. Static. */
const char *godwit_row_verdict(const struct godwit_row *row);

/* Returns whether a row says that B is slower. */
bool godwit_row_is_slower(const struct godwit_row *row);

#endif
