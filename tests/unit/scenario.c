/*
 * The rows of scenarios: all of them are right, and each mistake that one can have is noticed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/check.h"

#include "godwit/guest_abi.h"
#include <string.h>

#include "unit.h"

static void test_all(void **state)
{
    g_autoptr(GError) error = NULL;
    (void)state;
    if (!godwit_scenario_check_all(&error))
        fail_msg("%s", error->message);
}

static const struct godwit_capability good[] = {{"xbzrle", true}, {NULL, false}};
static const struct godwit_capability misspelt[] = {
    {"xbzrle", true}, {"xbzrel", true}, {NULL, false}};
static const struct godwit_parameter unknown[] = {{"max-bandwith", 1, NULL}, {NULL, 0, NULL}};

/* Each row is good but for one thing, which PROBLEM names. */
static void test_problems(void **state)
{
    static const struct {
        struct godwit_scenario row;
        const char *problem;
    } rows[] = {
        {{.name = "a/b", .summary = "s", .spec = {.capabilities = good}}, NULL},
        {{.name = "a/b", .summary = "s", .needs = "command:x mode:cpr-exec object:y"}, NULL},
        {{.name = NULL, .summary = "s"}, ".name"},
        {{.name = "a/B", .summary = "s"}, ".name"},
        {{.name = "a/b"}, ".summary"},
        {{.name = "a/b", .summary = ""}, ".summary"},
        {{.name = "a/b", .summary = "s", .spec = {.move = GODWIT_MOVES}}, ".move"},
        {{.name = "a/b", .summary = "s", .spec = {.move = GODWIT_MOVE_ITERATE, .no_ram = true}},
         "ITERATE"},
        {{.name = "a/b",
          .summary = "s",
          .flags = GODWIT_FLAG_SUSPEND,
          .spec = {.move = GODWIT_MOVE_ITERATE, .suspend = true}},
         "ITERATE"},
        {{.name = "a/b",
          .summary = "s",
          .spec = {.move = GODWIT_MOVE_POSTCOPY, .transport = GODWIT_TRANSPORT_FILE}},
         "postcopy"},
        {{.name = "a/b",
          .summary = "s",
          .spec = {.outcome = GODWIT_OUTCOME_FAILS, .transport = GODWIT_TRANSPORT_FILE}},
         "FAILS"},
        {{.name = "a/b", .summary = "s", .spec = {.suspend = true}}, ".suspend"},
        {{.name = "a/b", .summary = "s", .spec = {.uri = "x"}}, ".uri"},
        {{.name = "a/b", .summary = "s", .quick = true, .slow = true}, ".quick"},
        {{.name = "a/b", .summary = "s", .quick = true, .order = true}, ".quick"},
        {{.name = "a/b", .summary = "s", .whole = true, .wide = true}, ".whole"},
        {{.name = "a/b", .summary = "s", .order = true, .content = GODWIT_FLAG_ZERO}, ".order"},
        {{.name = "a/b", .summary = "s", .content = GODWIT_FLAG_VERIFY}, ".content"},
        {{.name = "a/b", .summary = "s", .cpus = GODWIT_MAX_CPUS + 1}, ".cpus"},
        {{.name = "a/b", .summary = "s", .cpus = 2, .flags = GODWIT_FLAG_SUSPEND}, ".cpus"},
        {{.name = "a/b", .summary = "s", .spec = {.capabilities = misspelt}}, "\"xbzrel\""},
        {{.name = "a/b", .summary = "s", .spec = {.parameters = unknown}}, "\"max-bandwith\""},
        {{.name = "a/b", .summary = "s", .needs = "capability:multifdd"}, "\"multifdd\""},
        {{.name = "a/b", .summary = "s", .needs = "multifd"}, "KIND:NAME"},
        {{.name = "a/b", .summary = "s", .needs = "capabilty:multifd"}, "\"capabilty\""},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *problem = godwit_scenario_problem(&rows[i].row);
        if (rows[i].problem)
            assert_contains(problem ? problem : "", rows[i].problem);
        else if (problem)
            fail_msg("row %zu: %s", i, problem);
    }
}

/* A scenario that moves the window gets RAM that contains it, in steps that the machine takes. */
static void test_memory(void **state)
{
    static const struct {
        uint64_t base, tail;
        unsigned mib, least, wanted;
    } rows[] = {
        {0, 0, 150, 8, 4104},
        {0x40000000, 0, 150, 8, 3080},
        {0, 0, 256, 256, 4352},
        {0, 3 << 20, 128, 8, 4112},
    };
    const struct godwit_scenario *scenario = godwit_scenario_find("memory/above-4g");
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_machine machine = {.arch = "any",
                                               .ram_base = rows[i].base,
                                               .tail = rows[i].tail,
                                               .memory_mib = rows[i].mib,
                                               .memory_least_mib = rows[i].least};
        const struct godwit_image image = {.name = "the guest", .max_cpus = 1};
        const struct godwit_qemu qemu = {.version = (char *)(uintptr_t) "10.0.13"};
        struct godwit_setup setup = {.machine = &machine,
                                     .image = &image,
                                     .accel = "tcg",
                                     .source = &qemu,
                                     .destination = &qemu,
                                     .workload = {.window_start = rows[i].base + (1 << 20),
                                                  .window_end = rows[i].base + (100 << 20),
                                                  .page_size = 4096,
                                                  .cpus = 1}};
        struct godwit_setup small = setup;
        godwit_scenario_prepare(scenario, &setup);
        const struct godwit_workload *workload = &setup.workload;
        assert_int_equal(workload->window_end - workload->window_start, 4 << 20);
        assert_int_equal((workload->window_start + workload->window_end) / 2, UINT64_C(1) << 32);
        assert_int_equal(setup.memory_mib, rows[i].wanted);
        assert_true(workload->window_end + rows[i].tail <
                    rows[i].base + ((uint64_t)setup.memory_mib << 20));
        /* RAM that the user has chosen is not enough. */
        small.memory_given = true;
        small.memory_mib = 1024;
        g_autofree char *reason = godwit_scenario_skip_reason(scenario, &small);
        assert_string_equal(reason, "needs RAM for a window beyond 4 GiB: with --memory 1024 it "
                                    "ends before");
    }
}

/* Where RAM has a gap that ends there, all of the window is behind it, and little RAM in front. */
static void test_memory_behind_gap(void **state)
{
    static const struct {
        bool reaches;
        unsigned given; /* MiB of RAM; 0: none */
        const char *reason;
    } rows[] = {
        {true, 0, NULL},
        {true, 21, NULL},
        {true, 20, "needs RAM for a window beyond 4 GiB: with --memory 20 it ends before"},
        {false, 0,
         "needs a guest that reaches memory beyond 4 GiB: that of any reaches 0x80000000"},
    };
    const struct godwit_scenario *scenario = godwit_scenario_find("memory/above-4g");
    const struct godwit_machine machine = {
        .arch = "any",
        .memory_mib = 150,
        .memory_least_mib = 8,
        .reach = 0x80000000,
        .gap = {.end = UINT64_C(1) << 32, .low_mib = 16, .option = "split", .room = 0xfe000000}};
    const struct godwit_qemu qemu = {.version = (char *)(uintptr_t) "10.0.13"};
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_image image = {
            .name = "the guest", .max_cpus = 1, .beyond_gap = rows[i].reaches};
        struct godwit_setup setup = {
            .machine = &machine,
            .image = &image,
            .accel = "tcg",
            .source = &qemu,
            .destination = &qemu,
            .memory_given = rows[i].given > 0,
            .memory_mib = rows[i].given,
            .workload = {
                .window_start = 1 << 20, .window_end = 5 << 20, .page_size = 4096, .cpus = 1}};
        g_autofree char *reason = godwit_scenario_skip_reason(scenario, &setup);
        if (rows[i].reason)
            assert_string_equal(reason ? reason : "runs", rows[i].reason);
        else
            assert_null(reason);
        if (rows[i].reason || rows[i].given)
            continue;
        godwit_scenario_prepare(scenario, &setup);
        assert_int_equal(setup.workload.window_start, (UINT64_C(1) << 32) + (1 << 20));
        assert_int_equal(setup.workload.window_end, (UINT64_C(1) << 32) + (5 << 20));
        assert_int_equal(setup.memory_mib, 28);
    }
}

/* Returns the deadline in whole seconds. */
static int seconds(const struct godwit_scenario *scenario, const struct godwit_setup *setup)
{
    return (int)godwit_scenario_seconds(scenario, setup);
}

/* A larger guest has more time, and so has a scenario with more than one deadline. */
static void test_seconds(void **state)
{
    (void)state;
    const struct godwit_scenario twice = {.deadlines = 2};
    const struct godwit_scenario hops = {.hops = true};
    struct godwit_setup setup = {.memory_mib = 50, .hops = 10};
    const int once = GODWIT_DEADLINE_SECONDS + 1;
    assert_int_equal(seconds(NULL, &setup), once);
    assert_int_equal(seconds(&twice, &setup), 2 * once);
    assert_int_equal(seconds(&hops, &setup), 10 * once);
    setup.memory_mib = 5000;
    assert_int_equal(seconds(NULL, &setup), GODWIT_DEADLINE_SECONDS + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),     cmocka_unit_test(test_problems),
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_memory_behind_gap),
        cmocka_unit_test(test_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
