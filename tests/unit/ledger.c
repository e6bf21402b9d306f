/*
 * The ledger of oracles: names, choice, sums. And the two oracles that are small enough to need no
 * QEMU: continuity against mailboxes, blackout against a guest that is moved by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/ledger.h"

#include "testbed/measured.h"

#include "fake_pair.h"
#include "oracle/blackout.h"
#include "oracle/continuity.h"

#define ALL ((1u << GODWIT_ORACLES) - 1)

static void test_choose(void **state)
{
    (void)state;
    unsigned off = 77;
    for (unsigned oracle = 0; oracle < GODWIT_ORACLES; oracle++) {
        assert_true(godwit_oracles_choose(godwit_oracle_name(oracle), &off, NULL));
        assert_int_equal(off, ALL & ~(1u << oracle));
        g_autofree char *chosen = godwit_oracles_chosen(off);
        assert_string_equal(chosen, godwit_oracle_name(oracle));
    }
    g_autofree char *all = godwit_oracles_chosen(0);
    assert_true(godwit_oracles_choose(all, &off, NULL));
    assert_int_equal(off, 0);
    assert_true(godwit_oracles_choose("blackout,twin,twin", &off, NULL));
    g_autofree char *two = godwit_oracles_chosen(off);
    assert_string_equal(two, "twin,blackout");
    static const char *const wrong[] = {"",      ",",      "smoke", "twin,",
                                        ",twin", "twin,,", "Twin",  "twin blackout"};
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_oracles_choose(wrong[i], &off, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
    }
}

static void test_sums(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_testbed *testbed = pair->testbed;
    g_autoptr(json_t) none = godwit_oracles_judged(testbed);
    assert_int_equal(json_array_size(none), 0);
    godwit_oracle_count(testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_BYTES, 5);
    godwit_oracle_count(testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_BYTES, 7);
    godwit_oracle_count(testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_DIFFERENT, 0);
    godwit_oracle_count_all(testbed, GODWIT_ORACLE_GUEST, GODWIT_UNIT_BYTES, 9);
    godwit_oracle_count_all(testbed, GODWIT_ORACLE_GUEST, GODWIT_UNIT_BYTES, 8);
    godwit_oracle_count(testbed, GODWIT_ORACLE_PAGE_ORDER, GODWIT_UNIT_PAGES, 1);
    g_autoptr(json_t) judged = godwit_oracles_judged(testbed);
    g_autofree char *text = json_dumps(judged, JSON_COMPACT);
    assert_string_equal(text, "[{\"name\":\"page-order\",\"pages\":1},"
                              "{\"name\":\"twin\",\"bytes\":12,\"different\":0},"
                              "{\"name\":\"guest\",\"bytes\":9}]");
    fake_pair_free(pair);
}

static void test_judges(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    for (unsigned oracle = 0; oracle < GODWIT_ORACLES; oracle++) {
        pair->setup.oracles_off = 1u << oracle;
        for (unsigned other = 0; other < GODWIT_ORACLES; other++)
            assert_int_equal(godwit_oracle_judges(pair->testbed, other), other != oracle);
    }
    fake_pair_free(pair);
}

/* Neither passes nor timer go back, on any CPU; by nothing is not back. */
static void test_continuity(void **state)
{
    static const struct {
        uint64_t passes, timer;
        bool with_timer, good;
        const char *text;
    } rows[] = {
        {100, 5000, true, true, NULL},
        {101, 5001, true, true, NULL},
        {UINT64_MAX, UINT64_MAX, true, true, NULL},
        {99, 6000, true, false,
         "destination: the count of passes of the guest's CPU 1 went back from 100 on the stopped "
         "source to 99"},
        {100, 4999, true, false,
         "destination: the timer of the guest's CPU 1 went back from 5000 on the stopped source to "
         "4999"},
        {100, 0, false, true, NULL},
        {99, 6000, false, false,
         "destination: the count of passes of the guest's CPU 1 went back from 100 on the stopped "
         "source to 99"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        pair->setup.workload.cpus = 2;
        const struct godwit_mailbox before[2] = {{.passes = 7, .timer = 7},
                                                 {.passes = 100, .timer = 5000}};
        const struct godwit_mailbox after[2] = {{.passes = 8, .timer = 8},
                                                {.passes = rows[i].passes, .timer = rows[i].timer}};
        g_autoptr(GError) error = NULL;
        assert_int_equal(godwit_oracle_continuity(pair->destination->vm, before, after,
                                                  rows[i].with_timer, &error),
                         rows[i].good);
        if (!rows[i].good) {
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
            assert_string_equal(error->message, rows[i].text);
        }
        g_autoptr(json_t) judged = godwit_oracles_judged(pair->testbed);
        const json_int_t bytes = godwit_json_integer(json_array_get(judged, 0), "bytes", 0);
        assert_int_equal(bytes, (rows[i].with_timer ? 16 : 8) * (rows[i].good ? 2 : 1));
        /* Not asked, it has nothing against it. */
        pair->setup.oracles_off = 1u << GODWIT_ORACLE_CONTINUITY;
        assert_true(godwit_oracle_continuity(pair->destination->vm, before, after, true, NULL));
        fake_pair_free(pair);
    }
}

/* Lets the main loop go round once, which takes a sample. */
static void go_round(void)
{
    g_main_context_iteration(NULL, FALSE);
}

/* The guest makes progress, and a sample is taken of it. */
static void tick(struct fake_pair *pair, struct fake_vm *fake, uint64_t timer)
{
    fake_vm_mailbox(fake, pair->machine.big_endian, GODWIT_MAILBOX_OFF_TIMER, 8, timer);
    go_round();
}

static double fact(const struct fake_pair *pair, const char *key)
{
    const json_t *value = json_object_get(godwit_testbed_measured(pair->testbed), key);
    return value ? json_real_value(value) : -1;
}

static json_int_t samples(const struct fake_pair *pair)
{
    g_autoptr(json_t) all = godwit_oracles_judged(pair->testbed);
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one)
    {
        if (!strcmp(godwit_json_string(one, "name", ""), "blackout"))
            return godwit_json_integer(one, "samples", -1);
    }
    return -1;
}

/* From the source's last progress to the destination's first, without the time that the guest was
 * held. The destination's mailbox is an old one when it is let go, which is no progress. */
static void test_blackout(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, true, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    godwit_blackout_near(pair->testbed);
    tick(pair, pair->source, 1);
    tick(pair, pair->source, 2);
    const gint64 began = g_get_monotonic_time();
    tick(pair, pair->source, 3);
    tick(pair, pair->destination, 1);
    godwit_blackout_hold(pair->testbed);
    const gint64 held = g_get_monotonic_time();
    g_usleep(30000);
    const gint64 let_go = g_get_monotonic_time();
    godwit_blackout_resume(pair->testbed);
    go_round();
    tick(pair, pair->destination, 4);
    godwit_blackout_end(pair->testbed);
    const double all = (double)(g_get_monotonic_time() - began) / 1000;
    assert_true(fact(pair, "blackout_ms") >= 0);
    assert_true(fact(pair, "blackout_ms") <= all - (double)(let_go - held) / 1000);
    assert_true(fact(pair, "blackout_resolution_ms") >= 0);
    assert_true(fact(pair, "blackout_resolution_ms") <= all);
    assert_true(samples(pair) >= 6);
    fake_pair_free(pair);
}

/* A destination that joins later, when its source has left: what the source's memory becomes then
 * is not its guest's any more, and no time of the harness's. */
static void test_blackout_joined(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, true, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, NULL, false, NULL));
    tick(pair, pair->source, 1);
    const gint64 began = g_get_monotonic_time();
    tick(pair, pair->source, 2);
    godwit_blackout_hold(pair->testbed);
    godwit_blackout_leave(pair->testbed);
    g_usleep(20000);
    tick(pair, pair->source, 7);
    assert_true(godwit_blackout_join(pair->destination->vm, NULL));
    tick(pair, pair->source, 8);
    godwit_blackout_resume(pair->testbed);
    tick(pair, pair->destination, 4);
    const double all = (double)(g_get_monotonic_time() - began) / 1000;
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") >= 20);
    assert_true(fact(pair, "blackout_ms") <= all);
    fake_pair_free(pair);
}

/* A destination that makes no progress has none to be told of. */
static void test_blackout_without_end(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    tick(pair, pair->source, 1);
    tick(pair, pair->destination, 5);
    godwit_blackout_hold(pair->testbed);
    godwit_blackout_resume(pair->testbed);
    go_round();
    tick(pair, pair->source, 9); /* which is not looked at any more */
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") < 0);
    assert_int_equal(samples(pair), -1);
    fake_pair_free(pair);
}

/* A guest that was stopped too soon for two samples to differ. */
static void test_blackout_without_beginning(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    go_round();
    godwit_blackout_hold(pair->testbed);
    godwit_blackout_resume(pair->testbed);
    tick(pair, pair->destination, 5);
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") < 0);
    assert_contains(
        godwit_json_string(godwit_testbed_measured(pair->testbed), "blackout_unknown", ""),
        "two samples");
    fake_pair_free(pair);
}

/* In a postcopy what the destination has counts from its RESUME on, and is progress if it is not
 * what the source has. */
static void test_blackout_postcopy(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, true, NULL));
    tick(pair, pair->source, 1);
    tick(pair, pair->destination, 2);
    tick(pair, pair->destination, 3);
    tick(pair, pair->source, 3);
    const gint64 began = g_get_real_time();
    g_ptr_array_add(pair->destination->vm->qmp->events,
                    json_pack("{s:s, s:{s:I, s:I}}", "event", "RESUME", "timestamp", "seconds",
                              (json_int_t)(began / G_USEC_PER_SEC), "microseconds",
                              (json_int_t)(began % G_USEC_PER_SEC)));
    go_round();
    go_round();
    tick(pair, pair->destination, 4);
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") >= 0);
    assert_true(samples(pair) >= 7);
    fake_pair_free(pair);
}

/* An older mailbox that a known bug leaves on the destination differs, and is no progress. */
static void test_blackout_postcopy_stale(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, true, NULL));
    tick(pair, pair->destination, 5);
    tick(pair, pair->source, 8);
    tick(pair, pair->source, 9);
    const gint64 stopped = g_get_monotonic_time(), began = g_get_real_time();
    g_ptr_array_add(pair->destination->vm->qmp->events,
                    json_pack("{s:s, s:{s:I, s:I}}", "event", "RESUME", "timestamp", "seconds",
                              (json_int_t)(began / G_USEC_PER_SEC), "microseconds",
                              (json_int_t)(began % G_USEC_PER_SEC)));
    go_round();
    g_usleep(20000);
    tick(pair, pair->destination, 10);
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") >= 20);
    assert_true(fact(pair, "blackout_ms") <=
                (double)(g_get_monotonic_time() - stopped) / 1000 + 20);
    fake_pair_free(pair);
}

/* Where memory is read by QMP alone, nothing can be sampled. */
static void test_blackout_out_of_reach(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, true);
    fake_pair_blocks(pair, true);
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    tick(pair, pair->source, 1);
    godwit_blackout_hold(pair->testbed);
    godwit_blackout_resume(pair->testbed);
    tick(pair, pair->destination, 2);
    godwit_blackout_end(pair->testbed);
    assert_true(fact(pair, "blackout_ms") < 0);
    assert_string_equal(
        godwit_json_string(godwit_testbed_measured(pair->testbed), "blackout_unknown", ""),
        "needs process_vm_readv, which this system refuses");
    fake_pair_free(pair);
}

/* Nobody asks, nobody watches. */
static void test_blackout_off(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    pair->setup.oracles_off = 1u << GODWIT_ORACLE_BLACKOUT;
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    assert_true(godwit_blackout_join(pair->destination->vm, NULL));
    godwit_blackout_near(pair->testbed);
    godwit_blackout_hold(pair->testbed);
    godwit_blackout_let_go(pair->testbed);
    godwit_blackout_leave(pair->testbed);
    godwit_blackout_resume(pair->testbed);
    godwit_blackout_end(pair->testbed);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "blackout_ms"));
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "blackout_unknown"));
    fake_pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_judges),
        cmocka_unit_test(test_continuity),
        cmocka_unit_test(test_blackout),
        cmocka_unit_test(test_blackout_joined),
        cmocka_unit_test(test_blackout_without_end),
        cmocka_unit_test(test_blackout_without_beginning),
        cmocka_unit_test(test_blackout_postcopy),
        cmocka_unit_test(test_blackout_postcopy_stale),
        cmocka_unit_test(test_blackout_out_of_reach),
        cmocka_unit_test(test_blackout_off),
    };
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
