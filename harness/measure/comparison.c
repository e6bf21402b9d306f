/*
 * Makes rows of rounds: estimates, tests, corrects, judges.
 *
 * SPDX-License-Identifier: MIT
 */
#include "measure/comparison.h"

#include <math.h>

static const struct godwit_metric_kind kinds[GODWIT_METRICS] = {
    [GODWIT_METRIC_TOTAL] = {"total", "ms", GODWIT_SCALE_RATIO, true, true},
    [GODWIT_METRIC_BLACKOUT] = {"blackout", "ms", GODWIT_SCALE_DIFFERENCE, true, true},
    [GODWIT_METRIC_DOWNTIME] = {"downtime", "ms", GODWIT_SCALE_DIFFERENCE, true, false},
    [GODWIT_METRIC_SETUP] = {"setup", "ms", GODWIT_SCALE_DIFFERENCE, true, false},
    [GODWIT_METRIC_BYTES] = {"bytes", "bytes", GODWIT_SCALE_RATIO, false, false},
    [GODWIT_METRIC_SOURCE_CPU] = {"source CPU", "ms", GODWIT_SCALE_RATIO, false, false},
    [GODWIT_METRIC_DESTINATION_CPU] = {"destination CPU", "ms", GODWIT_SCALE_RATIO, false, false},
};

const struct godwit_metric_kind *godwit_metric_kind(enum godwit_metric metric)
{
    return &kinds[metric];
}

const char *godwit_arm_name(enum godwit_arm arm)
{
    static const char *const names[GODWIT_ARMS] = {"A", "B", "A'"};
    return names[arm];
}

enum godwit_arm godwit_arm_at(unsigned number, unsigned place)
{
    const unsigned forwards = number % 2 ? GODWIT_ARMS - 1 - place : place;
    return (enum godwit_arm)((forwards + number / 2) % GODWIT_ARMS);
}

struct godwit_round godwit_round_empty(void)
{
    struct godwit_round round;
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        for (int metric = 0; metric < GODWIT_METRICS; metric++)
            round.value[arm][metric] = NAN;
    return round;
}

/* The values of one metric, of the rounds in which all arms have it. */
struct values {
    double *arm[GODWIT_ARMS];
    size_t count;
};

static void values_clear(struct values *values)
{
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        g_free(values->arm[arm]);
}

static struct values values_of(const GArray *rounds, enum godwit_metric metric)
{
    struct values values = {0};
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        values.arm[arm] = g_new(double, rounds->len + 1);
    for (guint i = 0; i < rounds->len; i++) {
        const struct godwit_round *round = &g_array_index(rounds, struct godwit_round, i);
        bool whole = true;
        for (int arm = 0; arm < GODWIT_ARMS; arm++) {
            values.arm[arm][values.count] = round->value[arm][metric];
            whole = whole && !isnan(round->value[arm][metric]);
        }
        values.count += whole;
    }
    return values;
}

static double tolerance_of(const struct godwit_row *row, const struct godwit_rules *rules)
{
    return kinds[row->metric].scale == GODWIT_SCALE_RATIO ? rules->part : rules->ms;
}

/* Returns the pairs of ARM with its equals: of B with A and A', of A' with A. */
static struct godwit_pairs pairs_of(const struct values *values, enum godwit_arm arm)
{
    return (struct godwit_pairs){
        .a = values->arm[GODWIT_ARM_A],
        .b = values->arm[arm],
        .again = arm == GODWIT_ARM_B ? values->arm[GODWIT_ARM_CONTROL] : NULL,
        .pairs = values->count,
    };
}

/* Returns the row of one metric of one scenario, without its verdict. */
static struct godwit_row row_of(const GArray *rounds, unsigned scenario, enum godwit_metric metric,
                                double level, gsl_rng *random)
{
    struct godwit_row row = {
        .scenario = scenario, .metric = metric, .p = NAN, .adjusted = NAN, .smallest = NAN};
    struct values values = values_of(rounds, metric);
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        row.median[arm] = godwit_median(values.arm[arm], values.count);
    const enum godwit_scale scale = kinds[metric].scale;
    const struct godwit_pairs b = pairs_of(&values, GODWIT_ARM_B);
    const struct godwit_pairs control = pairs_of(&values, GODWIT_ARM_CONTROL);
    row.known = godwit_estimate(scale, &b, level, random, &row.effect) &&
                godwit_estimate(scale, &control, level, random, &row.control);
    row.effect.pairs = row.control.pairs = values.count;
    if (row.known)
        row.p = row.adjusted =
            godwit_aligned_ranks(scale, values.arm, GODWIT_ARMS, values.count, GODWIT_ARM_B);
    values_clear(&values);
    return row;
}

/* Estimates the geometric mean of the ratios of ARM to A of all scenarios. */
static bool estimate_mean(GArray *const *rounds, unsigned count, enum godwit_arm arm, double level,
                          gsl_rng *random, struct godwit_estimate *estimate)
{
    g_autofree struct values *values = g_new(struct values, count);
    g_autofree struct godwit_pairs *pairs = g_new(struct godwit_pairs, count);
    for (unsigned s = 0; s < count; s++) {
        values[s] = values_of(rounds[s], GODWIT_METRIC_TOTAL);
        pairs[s] = pairs_of(&values[s], arm);
    }
    const bool known = godwit_estimate_mean(pairs, count, level, random, estimate);
    for (unsigned s = 0; s < count; s++)
        values_clear(&values[s]);
    return known;
}

static struct godwit_row mean_of(GArray *const *rounds, unsigned count, double level,
                                 gsl_rng *random)
{
    struct godwit_row row = {.mean = true,
                             .metric = GODWIT_METRIC_TOTAL,
                             .median = {NAN, NAN, NAN},
                             .p = NAN,
                             .adjusted = NAN,
                             .smallest = NAN};
    row.known = estimate_mean(rounds, count, GODWIT_ARM_B, level, random, &row.effect) &&
                estimate_mean(rounds, count, GODWIT_ARM_CONTROL, level, random, &row.control);
    return row;
}

enum { FAMILIES = 2 };

/* The rows whose p are corrected together. The first family has those that decide, which are the
 * question; the second one has the others, whose number must not make the answer harder to find.
 */
struct family {
    bool decides;
    unsigned tests; /* how many p it has */
};

static bool is_in(const struct godwit_row *row, const struct family *family)
{
    return !isnan(row->p) && kinds[row->metric].decides == family->decides;
}

/* Replaces the p of a family's rows by Holm's. */
static void adjust(GArray *rows, struct family *family)
{
    g_autofree double *p = g_new(double, rows->len);
    family->tests = 0;
    for (guint i = 0; i < rows->len; i++) {
        const struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
        p[i] = is_in(row, family) ? row->p : NAN;
        family->tests += is_in(row, family);
    }
    godwit_holm(p, rows->len);
    for (guint i = 0; i < rows->len; i++) {
        struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
        if (is_in(row, family))
            row->adjusted = p[i];
    }
}

/* Returns the smallest change that would have been found even if Holm's correction were at its
 * strictest: that of the least p of the family. */
static double smallest_of(const struct godwit_row *row, const GArray *rounds, double tolerance,
                          const struct family *family, double significance)
{
    const enum godwit_scale scale = kinds[row->metric].scale;
    if (row->mean)
        return godwit_smallest_change(scale, &row->effect, tolerance, NULL);
    struct values values = values_of(rounds, row->metric);
    const struct godwit_test test = {
        .scale = scale,
        .arms = values.arm,
        .count = GODWIT_ARMS,
        .rounds = values.count,
        .which = GODWIT_ARM_B,
        .significance = significance / family->tests,
    };
    const double smallest = godwit_smallest_change(scale, &row->effect, tolerance, &test);
    values_clear(&values);
    return smallest;
}

static void judge(struct godwit_row *row, const struct godwit_rules *rules, double significance)
{
    const enum godwit_scale scale = kinds[row->metric].scale;
    const double tolerance = tolerance_of(row, rules);
    if (!row->known)
        return;
    const enum godwit_verdict control =
        godwit_judge(scale, &row->control, tolerance, NAN, significance);
    row->control_differs = control == GODWIT_VERDICT_LESS || control == GODWIT_VERDICT_MORE;
    if (!row->control_differs)
        row->verdict = godwit_judge(scale, &row->effect, tolerance, row->adjusted, significance);
}

/* Returns the rows without their smallest changes, and sets the families of their p. */
static GArray *judged(GArray *const *rounds, unsigned count, const struct godwit_rules *rules,
                      double level, struct family *families)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct godwit_row));
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, (unsigned long)rules->seed);
    for (unsigned s = 0; s < count; s++)
        for (int metric = 0; metric < GODWIT_METRICS; metric++) {
            const struct godwit_row row =
                row_of(rounds[s], s, (enum godwit_metric)metric, level, random);
            /* The metrics that decide have a row in any case: what is missing must be seen. */
            if (row.effect.pairs || kinds[metric].decides)
                g_array_append_val(rows, row);
        }
    const struct godwit_row mean = mean_of(rounds, count, level, random);
    g_array_append_val(rows, mean);
    gsl_rng_free(random);
    for (size_t f = 0; f < FAMILIES; f++)
        adjust(rows, &families[f]);
    for (guint i = 0; i < rows->len; i++)
        judge(&g_array_index(rows, struct godwit_row, i), rules, 1 - level);
    return rows;
}

GArray *godwit_compare(GArray *const *rounds, unsigned count, const struct godwit_rules *rules,
                       double level)
{
    struct family families[FAMILIES] = {{.decides = true}, {.decides = false}};
    GArray *rows = judged(rounds, count, rules, level, families);
    for (guint i = 0; i < rows->len; i++) {
        struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
        const struct family *family = &families[!kinds[row->metric].decides];
        if (row->known)
            row->smallest = smallest_of(row, rounds[row->scenario], tolerance_of(row, rules),
                                        family, 1 - level);
    }
    return rows;
}

bool godwit_compare_looks(unsigned rounds)
{
    /* 8, 12, 16, 24, 32, 48, 64 and so on. */
    while (rounds > 12 && rounds % 2 == 0)
        rounds /= 2;
    return rounds == 8 || rounds == 12;
}

bool godwit_compare_settled(GArray *const *rounds, unsigned count, const struct godwit_rules *rules)
{
    struct family families[FAMILIES] = {{.decides = true}, {.decides = false}};
    g_autoptr(GArray) rows = judged(rounds, count, rules, GODWIT_CONFIDENCE_LOOKS, families);
    for (guint i = 0; i < rows->len; i++) {
        const struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
        /* What no round could measure remains unknown in further ones, too. The total time is
         * measured in every run that passes. */
        const bool hopeless = godwit_row_is_unmeasured(row) && row->metric != GODWIT_METRIC_TOTAL;
        if (kinds[row->metric].decides && !row->mean && !hopeless &&
            row->verdict == GODWIT_VERDICT_CANNOT_TELL)
            return false;
    }
    return true;
}

bool godwit_row_is_unmeasured(const struct godwit_row *row)
{
    return !row->mean && !row->effect.pairs;
}

const char *godwit_row_verdict(const struct godwit_row *row)
{
    const bool time = kinds[row->metric].time;
    switch (row->verdict) {
    case GODWIT_VERDICT_SAME:
        return "same";
    case GODWIT_VERDICT_LESS:
        return time ? "faster" : "less";
    case GODWIT_VERDICT_MORE:
        return time ? "slower" : "more";
    case GODWIT_VERDICT_CANNOT_TELL:
        break;
    }
    return godwit_row_is_unmeasured(row) ? "not measured" : "cannot tell";
}

bool godwit_row_is_slower(const struct godwit_row *row)
{
    return row->verdict == GODWIT_VERDICT_MORE && kinds[row->metric].time;
}
