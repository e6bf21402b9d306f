/*
 * How the statistics work
 *
 * A run of A and a run of B that follow each other are a pair. Load that comes and goes on the host
 * strikes both of a pair, so that the scatter of the paired differences is less than that of the
 * values. Ratios are handled as differences of logarithms: swapping A and B then mirrors the
 * result.
 *
 * Times of a busy host have outliers, nearly always upwards. The mean follows them, and the median
 * wastes a third of the information when there are none. The mean that is trimmed by a fifth at
 * both ends is a compromise.
 *
 * Trimming is fair only to values that scatter symmetrically. The difference of two runs of equals
 * does, whatever the noise of the host, because either may be the slower one. The difference of B
 * and the mean of two runs of A does not: an outlier of B is twice one of the mean, and trimming
 * cuts off more of it. So B is compared with each run of A in its round, and the estimate is the
 * mean of the two trimmed means. Of equals each is as likely above 0 as below.
 *
 * The interval comes from the bootstrap: resample the rounds, compute the estimate of each one,
 * and take quantiles. Plain quantiles are too narrow for few pairs. They are therefore taken
 * further out, by as much as Student's quantile with a correction for the variance exceeds the
 * normal one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "measure/statistics.h"

#include <glib.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <string.h>

/* The part of the pairs that is cut off at each end. */
#define TRIMMED 0.2
/* How many times the pairs are resampled. */
#define RESAMPLES 2000
/* How often the smallest change would be found if its scatter were known. It is estimated, so it is
 * found a little less often: tests/unit/compare.c measures that. */
#define POWER 0.8

double godwit_median(const double *values, size_t count)
{
    if (count == 0)
        return NAN;
    g_autofree double *copy = g_memdup2(values, count * sizeof(*values));
    return gsl_stats_median(copy, 1, count);
}

double godwit_quantile(const double *values, size_t count, double fraction)
{
    if (count == 0)
        return NAN;
    g_autofree double *copy = g_memdup2(values, count * sizeof(*values));
    gsl_sort(copy, 1, count);
    return gsl_stats_quantile_from_sorted_data(copy, 1, count, fraction);
}

void godwit_shuffle(unsigned *order, size_t count, uint64_t seed, unsigned round)
{
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, (unsigned long)(seed + round));
    for (size_t i = 0; i < count; i++)
        order[i] = (unsigned)i;
    gsl_ran_shuffle(random, order, count, sizeof(*order));
    gsl_rng_free(random);
}

/* Sorts VALUES. Returns their trimmed mean. */
static double centre(double *values, size_t count)
{
    gsl_sort(values, 1, count);
    return gsl_stats_trmean_from_sorted_data(TRIMMED, values, 1, count);
}

/* The paired differences of some rounds: those of B from A, and from A once more. */
struct sample {
    double *from[2]; /* owned */
    size_t columns;  /* how many of them there are */
    size_t rounds;
};

static void sample_free(gpointer data)
{
    struct sample *sample = data;
    for (size_t c = 0; c < G_N_ELEMENTS(sample->from); c++)
        g_free(sample->from[c]);
    g_free(sample);
}

/* Returns the differences of B and A, which the caller frees; NULL if a ratio has none. */
static double *differences(enum godwit_scale scale, const double *a, const double *b, size_t count)
{
    g_autofree double *found = g_new(double, count);
    for (size_t i = 0; i < count; i++) {
        if (scale == GODWIT_SCALE_RATIO && !(a[i] > 0 && b[i] > 0))
            return NULL;
        found[i] = scale == GODWIT_SCALE_RATIO ? log(b[i]) - log(a[i]) : b[i] - a[i];
    }
    return g_steal_pointer(&found);
}

/* Returns the sample of some pairs; NULL if there is no pair, or a ratio has no logarithm. */
static struct sample *sample_new(enum godwit_scale scale, const struct godwit_pairs *of)
{
    const double *const equals[] = {of->a, of->again};
    struct sample *sample = g_new0(struct sample, 1);
    sample->rounds = of->pairs;
    sample->columns = of->again ? 2 : 1;
    for (size_t c = 0; c < sample->columns; c++) {
        sample->from[c] = of->pairs ? differences(scale, equals[c], of->b, of->pairs) : NULL;
        if (!sample->from[c]) {
            sample_free(sample);
            return NULL;
        }
    }
    return sample;
}

/* Returns the estimate from the rounds CHOSEN, as many as SAMPLE has; NULL: from all. ROOM has room
 * for that many values. */
static double estimate_of(const struct sample *sample, const size_t *chosen, double *room)
{
    double sum = 0;
    for (size_t c = 0; c < sample->columns; c++) {
        for (size_t i = 0; i < sample->rounds; i++)
            room[i] = sample->from[c][chosen ? chosen[i] : i];
        sum += centre(room, sample->rounds);
    }
    return sum / (double)sample->columns;
}

/* Returns the part of the resamples to leave out at each end for an interval of LEVEL. */
static double tail_of(size_t pairs, double level)
{
    const double n = (double)pairs, t = gsl_cdf_tdist_Qinv((1 - level) / 2, n - 1);
    return gsl_cdf_ugaussian_Q(sqrt(n / (n - 1)) * t);
}

/* Sets the interval from RESAMPLED, the estimates of all resamples. */
static void set_interval(struct godwit_estimate *estimate, double *resampled, double level)
{
    const double n = (double)estimate->pairs, tail = tail_of(estimate->pairs, level);
    gsl_sort(resampled, 1, RESAMPLES);
    estimate->low = gsl_stats_quantile_from_sorted_data(resampled, 1, RESAMPLES, tail);
    estimate->high = gsl_stats_quantile_from_sorted_data(resampled, 1, RESAMPLES, 1 - tail);
    estimate->error = gsl_stats_sd(resampled, 1, RESAMPLES) * sqrt(n / (n - 1));
}

/* Estimates the mean of what several samples estimate. */
static void estimate_samples(const GPtrArray *samples, double level, gsl_rng *random,
                             struct godwit_estimate *estimate)
{
    const double count = samples->len;
    size_t most = 0;
    *estimate = (struct godwit_estimate){.low = NAN, .high = NAN, .error = NAN, .pairs = G_MAXSIZE};
    for (guint s = 0; s < samples->len; s++) {
        const size_t rounds = ((const struct sample *)g_ptr_array_index(samples, s))->rounds;
        most = MAX(most, rounds);
        estimate->pairs = MIN(estimate->pairs, rounds);
    }
    g_autofree double *room = g_new(double, most), *resampled = g_new0(double, RESAMPLES);
    g_autofree size_t *chosen = g_new(size_t, most);
    for (guint s = 0; s < samples->len; s++)
        estimate->value += estimate_of(g_ptr_array_index(samples, s), NULL, room) / count;
    if (estimate->pairs < GODWIT_PAIRS_LEAST)
        return;
    for (size_t r = 0; r < RESAMPLES; r++)
        for (guint s = 0; s < samples->len; s++) {
            const struct sample *sample = g_ptr_array_index(samples, s);
            for (size_t i = 0; i < sample->rounds; i++)
                chosen[i] = gsl_rng_uniform_int(random, sample->rounds);
            resampled[r] += estimate_of(sample, chosen, room) / count;
        }
    set_interval(estimate, resampled, level);
}

static bool estimate_all(enum godwit_scale scale, const struct godwit_pairs *of, size_t count,
                         double level, gsl_rng *random, struct godwit_estimate *estimate)
{
    g_autoptr(GPtrArray) samples = g_ptr_array_new_with_free_func(sample_free);
    for (size_t s = 0; s < count; s++) {
        struct sample *sample = sample_new(scale, &of[s]);
        if (!sample)
            return false;
        g_ptr_array_add(samples, sample);
    }
    if (!count)
        return false;
    estimate_samples(samples, level, random, estimate);
    if (scale == GODWIT_SCALE_RATIO) {
        estimate->value = exp(estimate->value);
        estimate->low = exp(estimate->low);
        estimate->high = exp(estimate->high);
    }
    return true;
}

bool godwit_estimate(enum godwit_scale scale, const struct godwit_pairs *pairs, double level,
                     gsl_rng *random, struct godwit_estimate *estimate)
{
    return estimate_all(scale, pairs, 1, level, random, estimate);
}

bool godwit_estimate_mean(const struct godwit_pairs *ratios, size_t count, double level,
                          gsl_rng *random, struct godwit_estimate *estimate)
{
    return estimate_all(GODWIT_SCALE_RATIO, ratios, count, level, random, estimate);
}

/* Sets RANKS to the ranks of VALUES, from 1 on; equal values share the mean of theirs. */
static void rank(const double *values, size_t count, double *ranks)
{
    g_autofree size_t *order = g_new(size_t, count);
    gsl_sort_index(order, values, 1, count);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && values[order[next]] <= values[order[first]]; next++)
            ;
        for (size_t i = first; i < next; i++)
            ranks[order[i]] = (double)(first + 1 + next) / 2;
    }
}

double godwit_aligned_ranks(enum godwit_scale scale, double *const *arms, size_t count,
                            size_t rounds, size_t which)
{
    g_autofree double *aligned = g_new(double, count *rounds + 1);
    g_autofree double *ranks = g_new(double, count *rounds + 1);
    double distance = 0, variance = 0;
    for (size_t r = 0; r < rounds; r++) {
        double *const row = aligned + r * count;
        for (size_t i = 0; i < count; i++)
            row[i] = scale == GODWIT_SCALE_RATIO ? log(arms[i][r]) : arms[i][r];
        const double level = gsl_stats_mean(row, 1, count);
        for (size_t i = 0; i < count; i++)
            row[i] -= level;
    }
    rank(aligned, count * rounds, ranks);
    /* If the arms are equal, each order of a round's ranks is as likely as any other. */
    for (size_t r = 0; r < rounds; r++) {
        const double *const row = ranks + r * count;
        const double mean = gsl_stats_mean(row, 1, count);
        distance += row[which] - mean;
        variance += gsl_stats_variance_with_fixed_mean(row, 1, count, mean);
    }
    return variance > 0 ? 2 * gsl_cdf_ugaussian_Q(fabs(distance) / sqrt(variance)) : 1;
}

void godwit_holm(double *p, size_t count)
{
    g_autofree double *known = g_new(double, count);
    g_autofree size_t *where = g_new(size_t, count), *order = g_new(size_t, count);
    size_t tests = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(p[i]))
            continue;
        where[tests] = i;
        known[tests++] = p[i];
    }
    if (!tests)
        return;
    gsl_sort_index(order, known, 1, tests);
    double least = 0;
    for (size_t i = 0; i < tests; i++) {
        least = MAX(least, MIN(1, known[order[i]] * (double)(tests - i)));
        p[where[order[i]]] = least;
    }
}

double godwit_fails_more_p(unsigned failed, unsigned runs, unsigned others, unsigned other_runs)
{
    const unsigned failures = failed + others, all = runs + other_runs;
    return failed ? gsl_cdf_hypergeometric_Q(failed - 1, failures, all - failures, runs) : 1;
}

enum godwit_verdict godwit_judge(enum godwit_scale scale, const struct godwit_estimate *estimate,
                                 double tolerance, double p, double significance)
{
    const bool ratio = scale == GODWIT_SCALE_RATIO;
    const double most = ratio ? 1 + tolerance : tolerance;
    const double least = ratio ? 1 / (1 + tolerance) : -tolerance;
    if (estimate->pairs < GODWIT_PAIRS_LEAST)
        return GODWIT_VERDICT_CANNOT_TELL;
    if (estimate->low >= least && estimate->high <= most)
        return GODWIT_VERDICT_SAME;
    if (isnan(p))
        return estimate->low > most     ? GODWIT_VERDICT_MORE
               : estimate->high < least ? GODWIT_VERDICT_LESS
                                        : GODWIT_VERDICT_CANNOT_TELL;
    const double equal = ratio ? 1 : 0;
    if (p >= significance)
        return GODWIT_VERDICT_CANNOT_TELL;
    return estimate->low > equal && estimate->value > most     ? GODWIT_VERDICT_MORE
           : estimate->high < equal && estimate->value < least ? GODWIT_VERDICT_LESS
                                                               : GODWIT_VERDICT_CANNOT_TELL;
}

/* Returns the p that the arm would have if its values were shifted by SHIFT; those of a ratio by
 * their logarithms. */
static double shifted_p(const struct godwit_test *test, double shift)
{
    double *arms[GODWIT_TEST_ARMS];
    g_autofree double *moved = g_new(double, test->rounds);
    for (size_t r = 0; r < test->rounds; r++) {
        const double value = test->arms[test->which][r];
        moved[r] = test->scale == GODWIT_SCALE_RATIO ? value * exp(shift) : value + shift;
    }
    for (size_t i = 0; i < test->count; i++)
        arms[i] = i == test->which ? moved : test->arms[i];
    return godwit_aligned_ranks(test->scale, arms, test->count, test->rounds, test->which);
}

/* Returns the smallest increase that TEST would find, if the scatter were what it is: inverts the
 * test about VALUE, the shift that is there. Returns infinity if it finds none, however large. */
static double least_found(const struct godwit_test *test, double value, double error)
{
    enum { STEPS = 30 };
    double low = 0, high = MAX(error, 1e-6);
    for (int i = 0; shifted_p(test, high - value) >= test->significance; i++) {
        if (i == STEPS / 3)
            return (double)INFINITY;
        low = high;
        high *= 2;
    }
    for (int i = 0; i < STEPS; i++) {
        const double middle = (low + high) / 2;
        *(shifted_p(test, middle - value) >= test->significance ? &low : &high) = middle;
    }
    return high;
}

double godwit_smallest_change(enum godwit_scale scale, const struct godwit_estimate *estimate,
                              double tolerance, const struct godwit_test *test)
{
    const bool ratio = scale == GODWIT_SCALE_RATIO;
    if (estimate->pairs < GODWIT_PAIRS_LEAST)
        return NAN;
    const double value = ratio ? log(estimate->value) : estimate->value;
    const double half = value - (ratio ? log(estimate->low) : estimate->low);
    const double bound = ratio ? log1p(tolerance) : tolerance;
    /* An estimate that is just large enough is exceeded by half of all comparisons. */
    const double enough =
        test ? MAX(MAX(bound, half), least_found(test, value, estimate->error)) : bound + half;
    const double change =
        enough + gsl_cdf_tdist_Pinv(POWER, (double)estimate->pairs - 1) * estimate->error;
    return !isfinite(change) ? NAN : ratio ? expm1(change) : change;
}
