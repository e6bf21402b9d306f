/*
 * Whole comparisons of simulated runs: what they find of equals and of differences, under which
 * noise, and how sure they are. All random numbers have fixed seeds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "measure/comparison.h"

#include <gsl/gsl_randist.h>
#include <math.h>

static gsl_rng *random_new(unsigned long seed)
{
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, seed);
    return random;
}

static void looks_are_few(void **state)
{
    static const unsigned looks[] = {8, 12, 16, 24, 32, 48, 64, 96};
    size_t next = 0;
    (void)state;
    for (unsigned round = 0; round <= 96; round++) {
        assert_int_equal(godwit_compare_looks(round), round == looks[next]);
        next += round == looks[next];
    }
}

static const struct godwit_rules rules = {.part = 0.05, .ms = 2, .seed = 7};

/* Adds a round in which B and the control are so many times A. */
static void add_round(gsl_rng *random, GArray *rounds, double scatter, double b, double control)
{
    struct godwit_round round = godwit_round_empty();
    const double factor[] = {1, b, control}, load = gsl_ran_gaussian(random, 0.2);
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        round.value[arm][GODWIT_METRIC_TOTAL] =
            100 * factor[arm] * exp(load + gsl_ran_gaussian(random, scatter));
        round.value[arm][GODWIT_METRIC_BLACKOUT] =
            10 * factor[arm] + gsl_ran_gaussian(random, scatter * 10);
        round.value[arm][GODWIT_METRIC_BYTES] = 1000 * factor[arm];
    }
    g_array_append_val(rounds, round);
}

static GArray *rounds_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(struct godwit_round));
}

static const struct godwit_row *find(const GArray *rows, bool mean, enum godwit_metric metric)
{
    for (guint i = 0; i < rows->len; i++) {
        const struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
        if (row->mean == mean && row->metric == metric)
            return row;
    }
    return NULL;
}

/* Adds ROUNDS rounds of SCENARIOS scenarios. B of the first one is so many times A. */
static void compare_anew(gsl_rng *random, GArray **rounds, unsigned scenarios, unsigned count,
                         double b)
{
    for (unsigned s = 0; s < scenarios; s++) {
        g_array_set_size(rounds[s], 0);
        for (unsigned r = 0; r < count; r++)
            add_round(random, rounds[s], 0.05, s ? 1 : b, 1);
    }
}

/* A change of the size that one comparison names is found in about three of four others, by the
 * verdicts of the whole comparison: after Holm, with either confidence. */
static void smallest_change_is_found(void **state)
{
    enum { TRIALS = 100, ROUNDS = 12, SCENARIOS = 3 };
    static const double levels[] = {GODWIT_CONFIDENCE, GODWIT_CONFIDENCE_LOOKS};
    gsl_rng *random = random_new(5);
    GArray *rounds[SCENARIOS] = {rounds_new(), rounds_new(), rounds_new()};
    (void)state;
    for (size_t l = 0; l < G_N_ELEMENTS(levels); l++) {
        unsigned found = 0, half = 0;
        for (int t = 0; t < TRIALS; t++) {
            compare_anew(random, rounds, SCENARIOS, ROUNDS, 1);
            g_autoptr(GArray) rows = godwit_compare(rounds, SCENARIOS, &rules, levels[l]);
            const double change = find(rows, false, GODWIT_METRIC_TOTAL)->smallest;
            assert_true(change > rules.part);
            for (int i = 1; i <= 2; i++) {
                compare_anew(random, rounds, SCENARIOS, ROUNDS, 1 + change / i);
                g_autoptr(GArray) others = godwit_compare(rounds, SCENARIOS, &rules, levels[l]);
                *(i == 1 ? &found : &half) +=
                    find(others, false, GODWIT_METRIC_TOTAL)->verdict == GODWIT_VERDICT_MORE;
            }
        }
        print_message("%g %%: the smallest change was found %u times of %d; half of it %u times\n",
                      levels[l] * 100, found, TRIALS, half);
        assert_in_range(found, TRIALS * 60 / 100, TRIALS * 92 / 100);
        assert_in_range(half, 0, TRIALS / 2);
    }
    for (int s = 0; s < SCENARIOS; s++)
        g_array_unref(rounds[s]);
    gsl_rng_free(random);
}

/* If even the largest change would not be found, none is named: six rounds cannot have a p as small
 * as ten scenarios need. */
static void too_few_rounds_show_nothing(void **state)
{
    enum { SCENARIOS = 10 };
    gsl_rng *random = random_new(14);
    GArray *rounds[SCENARIOS];
    (void)state;
    for (int s = 0; s < SCENARIOS; s++)
        rounds[s] = rounds_new();
    compare_anew(random, rounds, SCENARIOS, 6, 9);
    g_autoptr(GArray) many = godwit_compare(rounds, SCENARIOS, &rules, GODWIT_CONFIDENCE_LOOKS);
    g_autoptr(GArray) one = godwit_compare(rounds, 1, &rules, GODWIT_CONFIDENCE);
    assert_true(isnan(find(many, false, GODWIT_METRIC_TOTAL)->smallest));
    assert_string_equal(godwit_row_verdict(find(many, false, GODWIT_METRIC_TOTAL)), "cannot tell");
    assert_true(find(one, false, GODWIT_METRIC_TOTAL)->smallest > rules.part);
    assert_string_equal(godwit_row_verdict(find(one, false, GODWIT_METRIC_TOTAL)), "slower");
    for (int s = 0; s < SCENARIOS; s++)
        g_array_unref(rounds[s]);
    gsl_rng_free(random);
}

/* The rows that decide are corrected among themselves, and so are the others. */
static void families_are_apart(void **state)
{
    gsl_rng *random = random_new(15);
    g_autoptr(GArray) rounds = rounds_new();
    (void)state;
    for (int r = 0; r < 8; r++) {
        add_round(random, rounds, 0.05, 1, 1);
        g_array_index(rounds, struct godwit_round, r).value[GODWIT_ARM_B][GODWIT_METRIC_BLACKOUT] +=
            50;
    }
    g_autoptr(GArray) rows = godwit_compare(&rounds, 1, &rules, GODWIT_CONFIDENCE);
    const struct godwit_row *blackout = find(rows, false, GODWIT_METRIC_BLACKOUT);
    const struct godwit_row *bytes = find(rows, false, GODWIT_METRIC_BYTES);
    assert_true(fabs(blackout->adjusted - 2 * blackout->p) < 1e-12);
    assert_true(fabs(bytes->adjusted - bytes->p) < 1e-12);
    gsl_rng_free(random);
}

/* Total times that are settled do not wait for a blackout that nothing can measure; the row has no
 * verdict all the same. Without a total time nothing is settled. */
static void what_is_not_measured(void **state)
{
    gsl_rng *random = random_new(16);
    g_autoptr(GArray) rounds = rounds_new();
    (void)state;
    for (guint r = 0; r < 8; r++) {
        add_round(random, rounds, 0.01, 1.4, 1);
        struct godwit_round *round = &g_array_index(rounds, struct godwit_round, r);
        for (int arm = 0; arm < GODWIT_ARMS; arm++)
            round->value[arm][GODWIT_METRIC_BLACKOUT] = NAN;
    }
    assert_true(godwit_compare_settled(&rounds, 1, &rules));
    g_autoptr(GArray) rows = godwit_compare(&rounds, 1, &rules, GODWIT_CONFIDENCE_LOOKS);
    assert_string_equal(godwit_row_verdict(find(rows, false, GODWIT_METRIC_BLACKOUT)),
                        "not measured");
    for (guint r = 0; r < 8; r++)
        g_array_index(rounds, struct godwit_round, r).value[GODWIT_ARM_B][GODWIT_METRIC_TOTAL] =
            NAN;
    assert_false(godwit_compare_settled(&rounds, 1, &rules));
    gsl_rng_free(random);
}

/* A skewed time, as a host makes them that is slower now and then: never far below the usual, and a
 * few times far above. */
static double skewed(gsl_rng *random)
{
    return 10 + gsl_ran_lognormal(random, 0, 1.2);
}

/* How far estimates that should be TRUTH were from it. */
struct bias {
    double sum, squares, error;
    unsigned count, covered;
};

static void bias_add(struct bias *bias, double off, double error, bool covered)
{
    bias->sum += off;
    bias->squares += off * off;
    bias->error += error;
    bias->covered += covered;
    bias->count++;
}

/* The bias must be small in comparison with the standard error of one comparison, and the 95 %
 * intervals must contain the truth. */
static void bias_check(const struct bias *bias, const char *what, unsigned rounds)
{
    assert_int_equal(bias->count, 200);
    const double count = bias->count, mean = bias->sum / count, error = bias->error / count;
    const double noise = sqrt(bias->squares / count / count);
    print_message("%s, %u rounds: bias %+.4f (+-%.4f), standard error %.4f, coverage %.3f\n", what,
                  rounds, mean, noise, error, bias->covered / count);
    assert_true(fabs(mean) < 4 * noise);
    assert_true(fabs(mean) < 0.15 * error);
    /* 190 of 200 are expected; four standard deviations are 12. */
    assert_in_range(bias->covered, 178, 200);
}

/* B equals A under noise that is skewed: estimates are as often too large as too small. The
 * trimmed mean of B less the mean of A and A' would be half a standard error below 0 in 24 rounds.
 */
static void equals_have_no_bias(void **state)
{
    static const unsigned sizes[] = {8, 24};
    enum { TRIALS = 200 };
    gsl_rng *random = random_new(13);
    (void)state;
    for (size_t s = 0; s < G_N_ELEMENTS(sizes); s++) {
        struct bias ratios = {0}, differences = {0};
        for (int t = 0; t < TRIALS; t++) {
            g_autoptr(GArray) rounds = rounds_new();
            for (unsigned r = 0; r < sizes[s]; r++) {
                struct godwit_round round = godwit_round_empty();
                for (int arm = 0; arm < GODWIT_ARMS; arm++) {
                    round.value[arm][GODWIT_METRIC_TOTAL] = skewed(random);
                    round.value[arm][GODWIT_METRIC_BLACKOUT] = skewed(random);
                }
                g_array_append_val(rounds, round);
            }
            g_autoptr(GArray) rows = godwit_compare(&rounds, 1, &rules, GODWIT_CONFIDENCE);
            const struct godwit_estimate total = find(rows, false, GODWIT_METRIC_TOTAL)->effect;
            const struct godwit_estimate gap = find(rows, false, GODWIT_METRIC_BLACKOUT)->effect;
            bias_add(&ratios, log(total.value), total.error, total.low <= 1 && 1 <= total.high);
            bias_add(&differences, gap.value, gap.error, gap.low <= 0 && 0 <= gap.high);
        }
        bias_check(&ratios, "ratios", sizes[s]);
        bias_check(&differences, "differences", sizes[s]);
    }
    gsl_rng_free(random);
}

/* Runs a whole comparison, with its looks. Returns its rows. */
static GArray *simulate(gsl_rng *random, double scatter, double b, double control, unsigned most)
{
    g_autoptr(GArray) rounds = rounds_new();
    for (unsigned round = 0; round < most; round++) {
        if (godwit_compare_looks(round) && godwit_compare_settled(&rounds, 1, &rules))
            break;
        add_round(random, rounds, scatter, b, control);
    }
    return godwit_compare(&rounds, 1, &rules, GODWIT_CONFIDENCE_LOOKS);
}

/* A against A, looked at again and again: nearly never slower or faster, although the scatter is
 * twice the tolerance. */
static void equals_are_not_slower(void **state)
{
    enum { TRIALS = 40 };
    gsl_rng *random = random_new(8);
    int wrong = 0;
    (void)state;
    for (int t = 0; t < TRIALS; t++) {
        g_autoptr(GArray) rows = simulate(random, 0.1, 1, 1, 24);
        for (guint i = 0; i < rows->len; i++) {
            const struct godwit_row *row = &g_array_index(rows, struct godwit_row, i);
            wrong += row->verdict == GODWIT_VERDICT_MORE || row->verdict == GODWIT_VERDICT_LESS;
        }
    }
    print_message("%d wrong rows in %d comparisons of equals\n", wrong, TRIALS);
    assert_in_range(wrong, 0, 2);
    gsl_rng_free(random);
}

static void differences_are_found(void **state)
{
    gsl_rng *random = random_new(9);
    (void)state;
    for (int t = 0; t < 10; t++) {
        g_autoptr(GArray) slower = simulate(random, 0.02, 1.4, 1, 64);
        assert_string_equal(godwit_row_verdict(find(slower, false, GODWIT_METRIC_TOTAL)), "slower");
        assert_string_equal(godwit_row_verdict(find(slower, true, GODWIT_METRIC_TOTAL)), "slower");
        assert_string_equal(godwit_row_verdict(find(slower, false, GODWIT_METRIC_BYTES)), "more");
        assert_true(godwit_row_is_slower(find(slower, false, GODWIT_METRIC_TOTAL)));
        assert_false(godwit_row_is_slower(find(slower, false, GODWIT_METRIC_BYTES)));
        /* It was settled at once. */
        assert_int_equal(find(slower, false, GODWIT_METRIC_TOTAL)->effect.pairs, 8);
        assert_null(find(slower, false, GODWIT_METRIC_SETUP));
        g_autoptr(GArray) faster = simulate(random, 0.02, 0.7, 1, 64);
        assert_string_equal(godwit_row_verdict(find(faster, false, GODWIT_METRIC_TOTAL)), "faster");
        assert_string_equal(godwit_row_verdict(find(faster, false, GODWIT_METRIC_BYTES)), "less");
        g_autoptr(GArray) same = simulate(random, 0.01, 1, 1, 64);
        assert_string_equal(godwit_row_verdict(find(same, false, GODWIT_METRIC_TOTAL)), "same");
        assert_string_equal(godwit_row_verdict(find(same, false, GODWIT_METRIC_BLACKOUT)), "same");
    }
    gsl_rng_free(random);
}

/* If A differs from itself, nothing can be told of B. */
static void a_control_that_differs(void **state)
{
    gsl_rng *random = random_new(10);
    g_autoptr(GArray) rows = simulate(random, 0.02, 1.4, 1.4, 16);
    const struct godwit_row *row = find(rows, false, GODWIT_METRIC_TOTAL);
    (void)state;
    assert_true(row->control_differs);
    assert_string_equal(godwit_row_verdict(row), "cannot tell");
    assert_int_equal(row->effect.pairs, 16);
    gsl_rng_free(random);
}

/* A round in which an arm has failed does not count, and two rounds decide nothing. */
static void rounds_with_gaps(void **state)
{
    gsl_rng *random = random_new(11);
    g_autoptr(GArray) rounds = rounds_new();
    (void)state;
    for (int i = 0; i < 3; i++)
        add_round(random, rounds, 0.001, 2, 1);
    g_array_index(rounds, struct godwit_round, 1).value[GODWIT_ARM_B][GODWIT_METRIC_TOTAL] = NAN;
    g_autoptr(GArray) rows = godwit_compare(&rounds, 1, &rules, GODWIT_CONFIDENCE);
    const struct godwit_row *row = find(rows, false, GODWIT_METRIC_TOTAL);
    assert_int_equal(row->effect.pairs, 2);
    assert_true(fabs(row->effect.value - 2) < 0.1);
    assert_string_equal(godwit_row_verdict(row), "cannot tell");
    assert_int_equal(find(rows, false, GODWIT_METRIC_BLACKOUT)->effect.pairs, 3);
    g_autoptr(GArray) empty = rounds_new();
    g_autoptr(GArray) nothing = godwit_compare(&empty, 1, &rules, GODWIT_CONFIDENCE);
    assert_string_equal(godwit_row_verdict(find(nothing, false, GODWIT_METRIC_TOTAL)),
                        "not measured");
    assert_string_equal(godwit_row_verdict(find(nothing, true, GODWIT_METRIC_TOTAL)),
                        "cannot tell");
    gsl_rng_free(random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smallest_change_is_found), cmocka_unit_test(too_few_rounds_show_nothing),
        cmocka_unit_test(families_are_apart),       cmocka_unit_test(what_is_not_measured),
        cmocka_unit_test(equals_have_no_bias),      cmocka_unit_test(equals_are_not_slower),
        cmocka_unit_test(differences_are_found),    cmocka_unit_test(a_control_that_differs),
        cmocka_unit_test(rounds_with_gaps),         cmocka_unit_test(looks_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
