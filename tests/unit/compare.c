/*
 * The statistics of comparisons: intervals that contain the truth as often as they should, tests
 * against values computed by hand, and verdicts at their bounds. tests/unit/comparison.c has whole
 * comparisons. All random numbers have fixed seeds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "measure/comparison.h"
#include "migrate/settings.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#define MOST 64

static gsl_rng *random_new(unsigned long seed)
{
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, seed);
    return random;
}

/* Noise as a busy host makes it: one run in ten is much slower. */
static double noise(gsl_rng *random, bool busy)
{
    return busy && gsl_rng_uniform(random) < 0.1 ? gsl_ran_exponential(random, 0.4)
                                                 : gsl_ran_gaussian(random, 0.05);
}

/* Makes PAIRS pairs of which B is RATIO times A, but for the noise. The load is common to a pair.
 * */
static void make_pairs(gsl_rng *random, bool busy, double ratio, size_t pairs, double *a, double *b)
{
    for (size_t i = 0; i < pairs; i++) {
        const double load = gsl_ran_gaussian(random, 0.2);
        a[i] = 100 * exp(load + noise(random, busy));
        b[i] = 100 * ratio * exp(load + noise(random, busy));
    }
}

/* Estimates B in comparison with A, which ran once in each round. */
static bool estimate_pairs(enum godwit_scale scale, const double *a, const double *b, size_t pairs,
                           gsl_rng *random, struct godwit_estimate *estimate)
{
    const struct godwit_pairs of = {.a = a, .b = b, .pairs = pairs};
    return godwit_estimate(scale, &of, 0.95, random, estimate);
}

static void intervals_contain_the_truth(void **state)
{
    static const size_t sizes[] = {6, 8, 12, 24};
    enum { TRIALS = 200 };
    gsl_rng *random = random_new(1);
    double a[MOST], b[MOST];
    (void)state;
    for (size_t s = 0; s < 2 * G_N_ELEMENTS(sizes); s++) {
        const size_t pairs = sizes[s / 2];
        int ratios = 0, differences = 0;
        for (int t = 0; t < TRIALS; t++) {
            struct godwit_estimate estimate;
            make_pairs(random, s % 2, 1.1, pairs, a, b);
            assert_true(estimate_pairs(GODWIT_SCALE_RATIO, a, b, pairs, random, &estimate));
            assert_int_equal(estimate.pairs, pairs);
            ratios += estimate.low <= 1.1 && 1.1 <= estimate.high;
            for (size_t i = 0; i < pairs; i++) {
                a[i] = 10 + noise(random, s % 2);
                b[i] = 13 + noise(random, s % 2);
            }
            assert_true(estimate_pairs(GODWIT_SCALE_DIFFERENCE, a, b, pairs, random, &estimate));
            differences += estimate.low <= 3 && 3 <= estimate.high;
        }
        print_message("%zu pairs, %s host: %d and %d of %d intervals contain the truth\n", pairs,
                      s % 2 ? "busy" : "quiet", ratios, differences, TRIALS);
        /* 190 are expected; four standard deviations are 12. */
        assert_in_range(ratios, 178, TRIALS);
        assert_in_range(differences, 178, TRIALS);
        /* They must not be too wide, either. */
        assert_in_range(pairs >= 24 ? ratios + differences : 0, 0, 2 * TRIALS - 3);
    }
    gsl_rng_free(random);
}

static void estimates_mirror(void **state)
{
    double a[12], b[12];
    struct godwit_estimate there, back;
    gsl_rng *random = random_new(2);
    (void)state;
    make_pairs(random, true, 1.3, G_N_ELEMENTS(a), a, b);
    gsl_rng_set(random, 3);
    assert_true(estimate_pairs(GODWIT_SCALE_RATIO, a, b, 12, random, &there));
    gsl_rng_set(random, 3);
    assert_true(estimate_pairs(GODWIT_SCALE_RATIO, b, a, 12, random, &back));
    assert_true(fabs(there.value * back.value - 1) < 1e-9);
    assert_true(fabs(there.low * back.high - 1) < 0.05);
    gsl_rng_free(random);
}

static void few_pairs_give_no_interval(void **state)
{
    const double a[] = {1, 2, 3, 4, 5}, b[] = {2, 4, 6, 8, 10}, zero[] = {0, 1, 2, 3, 4};
    struct godwit_estimate estimate;
    gsl_rng *random = random_new(4);
    (void)state;
    assert_true(estimate_pairs(GODWIT_SCALE_RATIO, a, b, 5, random, &estimate));
    assert_true(fabs(estimate.value - 2) < 1e-9);
    assert_true(isnan(estimate.low) && isnan(estimate.high));
    assert_int_equal(godwit_judge(GODWIT_SCALE_RATIO, &estimate, 0.05, 0, 0.05),
                     GODWIT_VERDICT_CANNOT_TELL);
    assert_true(isnan(godwit_smallest_change(GODWIT_SCALE_RATIO, &estimate, 0.05, NULL)));
    assert_false(estimate_pairs(GODWIT_SCALE_RATIO, a, zero, 5, random, &estimate));
    assert_true(estimate_pairs(GODWIT_SCALE_DIFFERENCE, a, zero, 5, random, &estimate));
    assert_false(estimate_pairs(GODWIT_SCALE_RATIO, a, b, 0, random, &estimate));
    gsl_rng_free(random);
}

static void aligned_ranks_by_hand(void **state)
{
    /* Less the means of the rounds, 3 and 2: -2 3 -1, 0 1 -1, with the ranks 1 6 2.5, 4 5 2.5. B
     * has 11, and 7 if nothing differs; the variances of the rounds are 4.3889 and 1.0556. */
    double a[] = {1, 2}, b[] = {6, 3}, control[] = {2, 1}, same[] = {7, 7};
    double *arms[] = {a, b, control}, *equal[] = {same, same, same};
    (void)state;
    assert_true(fabs(godwit_aligned_ranks(GODWIT_SCALE_DIFFERENCE, arms, 3, 2, 1) - 0.086476) <
                1e-4);
    assert_true(godwit_aligned_ranks(GODWIT_SCALE_DIFFERENCE, equal, 3, 2, 1) >= 1);
    assert_true(godwit_aligned_ranks(GODWIT_SCALE_RATIO, equal, 3, 2, 1) >= 1);
    assert_true(godwit_aligned_ranks(GODWIT_SCALE_RATIO, arms, 3, 0, 1) >= 1);
    /* A round that is ten times as slow tells the same of ratios. */
    const double before = godwit_aligned_ranks(GODWIT_SCALE_RATIO, arms, 3, 2, 1);
    a[0] *= 10;
    b[0] *= 10;
    control[0] *= 10;
    assert_true(fabs(godwit_aligned_ranks(GODWIT_SCALE_RATIO, arms, 3, 2, 1) - before) < 1e-9);
}

/* Equals have a p below 0.05 about once in twenty, and one that is a little slower nearly always,
 * whatever the load of the round. */
static void aligned_ranks_are_fair(void **state)
{
    enum { TRIALS = 400, ROUNDS = 12 };
    gsl_rng *random = random_new(12);
    double values[3][ROUNDS], *arms[] = {values[0], values[1], values[2]};
    int wrong = 0, found = 0;
    (void)state;
    for (int t = 0; t < TRIALS; t++) {
        for (int r = 0; r < ROUNDS; r++) {
            const double load = gsl_ran_gaussian(random, 0.2);
            for (int arm = 0; arm < 3; arm++)
                values[arm][r] = 100 * exp(load + noise(random, t % 2));
        }
        wrong += godwit_aligned_ranks(GODWIT_SCALE_RATIO, arms, 3, ROUNDS, 1) < 0.05;
        for (int r = 0; r < ROUNDS; r++)
            values[1][r] *= 1.1;
        found += godwit_aligned_ranks(GODWIT_SCALE_RATIO, arms, 3, ROUNDS, 1) < 0.05;
    }
    print_message("%d of %d equals were called different, and %d of what is slower\n", wrong,
                  TRIALS, found);
    /* 20 are expected; four standard deviations are 17. */
    assert_in_range(wrong, 3, 37);
    assert_in_range(found, TRIALS * 9 / 10, TRIALS);
    gsl_rng_free(random);
}

static void holm_by_hand(void **state)
{
    double p[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.9};
    const double expected[] = {0.04, 0.09, NAN, 0.09, 0.025, 0.9};
    (void)state;
    godwit_holm(p, G_N_ELEMENTS(p));
    for (size_t i = 0; i < G_N_ELEMENTS(p); i++)
        assert_true(isnan(expected[i]) ? isnan(p[i]) : fabs(p[i] - expected[i]) < 1e-9);
    double none[] = {NAN};
    godwit_holm(none, 1);
    assert_true(isnan(none[0]));
    double large[] = {0.6, 0.7};
    godwit_holm(large, 2);
    assert_true(large[0] <= 1 && large[0] >= 1 && large[1] >= 1);
}

/* 4 of 4 runs failed, and none of 8 others: one of 495 ways to place 4 failures. */
static void failures_by_hand(void **state)
{
    (void)state;
    assert_true(fabs(godwit_fails_more_p(4, 4, 0, 8) - 1.0 / 495) < 1e-9);
    assert_true(godwit_fails_more_p(0, 4, 3, 8) >= 1);
    assert_true(godwit_fails_more_p(1, 4, 2, 8) > 0.5);
}

static void verdicts_at_their_bounds(void **state)
{
    static const struct {
        enum godwit_scale scale;
        double low, value, high, p;
        enum godwit_verdict verdict;
    } cases[] = {
        {GODWIT_SCALE_RATIO, 0.96, 1, 1.04, 1, GODWIT_VERDICT_SAME},
        {GODWIT_SCALE_RATIO, 1.01, 1.02, 1.04, 0.0001, GODWIT_VERDICT_SAME},
        {GODWIT_SCALE_RATIO, 1 / 1.05, 1, 1.05, 1, GODWIT_VERDICT_SAME},
        {GODWIT_SCALE_RATIO, 0.95, 1, 1.04, 1, GODWIT_VERDICT_CANNOT_TELL}, /* 1 / 1.05 > 0.95 */
        {GODWIT_SCALE_RATIO, 0.96, 1, 1.06, 1, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 1, 1.1, 1.2, 0.0001, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 1.001, 1.1, 1.2, 0.0001, GODWIT_VERDICT_MORE},
        {GODWIT_SCALE_RATIO, 1.001, 1.051, 1.2, 0.0001, GODWIT_VERDICT_MORE},
        {GODWIT_SCALE_RATIO, 1.001, 1.05, 1.2, 0.0001,
         GODWIT_VERDICT_CANNOT_TELL}, /* perhaps within */
        {GODWIT_SCALE_RATIO, 1.001, 1.1, 1.2, 0.01, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 1.051, 1.1, 1.2, 0.0099, GODWIT_VERDICT_MORE},
        {GODWIT_SCALE_RATIO, 1.05, 1.1, 1.2, NAN, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 1.051, 1.1, 1.2, NAN, GODWIT_VERDICT_MORE},
        {GODWIT_SCALE_RATIO, 0.5, 0.9, 0.95, 0.009, GODWIT_VERDICT_LESS},
        {GODWIT_SCALE_RATIO, 0.5, 0.9, 0.999, 0.009, GODWIT_VERDICT_LESS},
        {GODWIT_SCALE_RATIO, 0.5, 0.953, 0.999, 0.009, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 0.5, 0.9, 1, 0.009, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 0.5, 0.9, 0.953, NAN, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_RATIO, 0.5, 0.9, 0.95, NAN, GODWIT_VERDICT_LESS},
        {GODWIT_SCALE_RATIO, 0.5, 1, 2, 0.009, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_DIFFERENCE, -0.05, 0, 0.05, 1, GODWIT_VERDICT_SAME},
        {GODWIT_SCALE_DIFFERENCE, 0.051, 0.055, 0.06, 0.001, GODWIT_VERDICT_MORE},
        {GODWIT_SCALE_DIFFERENCE, -1, -0.1, -0.051, 0.001, GODWIT_VERDICT_LESS},
        {GODWIT_SCALE_DIFFERENCE, -1, -0.1, -0.01, 0.001, GODWIT_VERDICT_LESS},
        {GODWIT_SCALE_DIFFERENCE, -0.1, -0.04, -0.01, 0.001, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_DIFFERENCE, -1, -0.1, 0, 0.001, GODWIT_VERDICT_CANNOT_TELL},
        {GODWIT_SCALE_DIFFERENCE, 0, 0, 0, 1, GODWIT_VERDICT_SAME},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct godwit_estimate estimate = {
            .low = cases[i].low, .value = cases[i].value, .high = cases[i].high, .pairs = 6};
        assert_int_equal(godwit_judge(cases[i].scale, &estimate, 0.05, cases[i].p, 0.01),
                         cases[i].verdict);
        estimate.pairs = GODWIT_PAIRS_LEAST - 1;
        assert_int_equal(godwit_judge(cases[i].scale, &estimate, 0.05, cases[i].p, 0.01),
                         GODWIT_VERDICT_CANNOT_TELL);
    }
}

static void arms_take_turns(void **state)
{
    unsigned at[GODWIT_ARMS][GODWIT_ARMS] = {0};
    (void)state;
    for (unsigned round = 0; round < 2 * GODWIT_ARMS; round++) {
        unsigned seen = 0;
        for (unsigned place = 0; place < GODWIT_ARMS; place++) {
            const enum godwit_arm arm = godwit_arm_at(round, place);
            seen |= 1u << arm;
            at[arm][place]++;
            assert_int_equal(arm, godwit_arm_at(round ^ 1, GODWIT_ARMS - 1 - place));
        }
        assert_int_equal(seen, (1u << GODWIT_ARMS) - 1);
    }
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        for (int place = 0; place < GODWIT_ARMS; place++)
            assert_int_equal(at[arm][place], 2);
}

/* Quartiles as interpolation between the sorted values gives them; none of nothing. */
static void quantiles_by_hand(void **state)
{
    static const double values[] = {40, 10, 30, 20};
    (void)state;
    assert_true(godwit_quantile(values, 4, 0.25) == 17.5);
    assert_true(godwit_quantile(values, 4, 0.5) == godwit_median(values, 4));
    assert_true(godwit_quantile(values, 4, 1) == 40);
    assert_true(godwit_quantile(values, 1, 0.75) == 40);
    assert_true(isnan(godwit_quantile(values, 0, 0.5)));
}

/* Each order has each cell once, and depends on the seed and the round alone. */
static void orders_change(void **state)
{
    enum { CELLS = 12 };
    unsigned first[CELLS], again[CELLS], round[CELLS], seed[CELLS], seen = 0;
    (void)state;
    godwit_shuffle(first, CELLS, 7, 0);
    godwit_shuffle(again, CELLS, 7, 0);
    godwit_shuffle(round, CELLS, 7, 1);
    godwit_shuffle(seed, CELLS, 70, 0);
    assert_memory_equal(first, again, sizeof(first));
    assert_memory_not_equal(first, round, sizeof(first));
    assert_memory_not_equal(first, seed, sizeof(first));
    for (int i = 0; i < CELLS; i++)
        seen |= 1u << first[i];
    assert_int_equal(seen, (1u << CELLS) - 1);
}

static void settings_are_parsed(void **state)
{
    static const char *const wrong[] = {"", "multifd", "=1", "multifd="};
    g_autoptr(json_t) settings = json_object();
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_settings_add(settings, wrong[i], &error));
        assert_int_equal(error->code, GODWIT_ERROR_USAGE);
    }
    assert_true(godwit_settings_add(settings, "multifd=on", NULL));
    assert_true(godwit_settings_add(settings, "multifd-channels=2", NULL));
    assert_true(godwit_settings_add(settings, "multifd-channels=4", NULL));
    assert_true(godwit_settings_add(settings, "multifd-compression=zstd", NULL));
    g_autofree char *text = godwit_settings_text(settings);
    assert_string_equal(text, "multifd=on multifd-channels=4 multifd-compression=zstd");
    assert_true(json_is_true(json_object_get(settings, "multifd")));
    assert_int_equal(json_integer_value(json_object_get(settings, "multifd-channels")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_contain_the_truth),
        cmocka_unit_test(estimates_mirror),
        cmocka_unit_test(few_pairs_give_no_interval),
        cmocka_unit_test(aligned_ranks_by_hand),
        cmocka_unit_test(aligned_ranks_are_fair),
        cmocka_unit_test(holm_by_hand),
        cmocka_unit_test(failures_by_hand),
        cmocka_unit_test(verdicts_at_their_bounds),
        cmocka_unit_test(arms_take_turns),
        cmocka_unit_test(quantiles_by_hand),
        cmocka_unit_test(orders_change),
        cmocka_unit_test(settings_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
