/*
 * --shard: each scenario in exactly one part, and the part that an engine's variables mean.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

/* Without times, each scenario is in one part, and the parts are of one size. */
static void each_once(void **state)
{
    (void)state;
    struct godwit_job job = {0};
    for (unsigned count = 1; count <= 120; count++) {
        unsigned sizes[121] = {0};
        const unsigned scenarios = 100 + count % 7;
        g_autoptr(GPtrArray) jobs = g_ptr_array_new();
        for (unsigned number = 0; number < scenarios; number++)
            g_ptr_array_add(jobs, &job);
        const struct godwit_shard shard = {count, count};
        g_autoptr(GArray) owners = godwit_shard_deal(&shard, NULL, jobs, 1);
        assert_int_equal(owners->len, scenarios);
        for (unsigned number = 0; number < scenarios; number++) {
            const unsigned owner = g_array_index(owners, unsigned, number);
            assert_in_range(owner, 1, count);
            sizes[owner]++;
        }
        for (unsigned index = 1; index <= count; index++)
            assert_in_range(sizes[index], scenarios / count, scenarios / count + 1);
    }
}

/* Every variable that is read, so that the environment of the test does not count. */
static const char *const variables[] = {
    "GTEST_SHARD_INDEX",     "GTEST_TOTAL_SHARDS",     "GTEST_SHARD_STATUS_FILE",
    "TEST_SHARD_INDEX",      "TEST_TOTAL_SHARDS",      "TEST_SHARD_STATUS_FILE",
    "CI_NODE_INDEX",         "CI_NODE_TOTAL",          "CIRCLE_NODE_INDEX",
    "CIRCLE_NODE_TOTAL",     "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT",
    "SLURM_ARRAY_TASK_ID",   "SLURM_ARRAY_TASK_MIN",   "SLURM_ARRAY_TASK_MAX",
    "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT", "SGE_TASK_ID",
    "SGE_TASK_FIRST",        "SGE_TASK_LAST",          "SGE_TASK_STEPSIZE",
    "LSB_JOBINDEX",          "LSB_JOBINDEX_END",       "LSB_JOBINDEX_STEP",
    "JOB_COMPLETION_INDEX",  "PBS_ARRAY_INDEX",        "PBS_ARRAYID"};

#define SLURM(id, min, max, step, count)                                                           \
    "SLURM_ARRAY_TASK_ID=" id " SLURM_ARRAY_TASK_MIN=" min " SLURM_ARRAY_TASK_MAX=" max            \
    " SLURM_ARRAY_TASK_STEP=" step " SLURM_ARRAY_TASK_COUNT=" count
#define SGE(id, first, last, step)                                                                 \
    "SGE_TASK_ID=" id " SGE_TASK_FIRST=" first " SGE_TASK_LAST=" last " SGE_TASK_STEPSIZE=" step

/* An environment, the argument of --shard, and the part that they mean, or what is refused. */
static const struct {
    const char *environment, *text;
    unsigned index, count;
    const char *refused;
} cases[] = {
    {"", "2/3", 2, 3, NULL},
    {"", NULL, 1, 1, NULL},
    {"CI_NODE_INDEX=2 CI_NODE_TOTAL=3", NULL, 1, 1, NULL},
    {"", "auto", 1, 1, NULL},
    {"", "auto/3", 0, 0, "has no number"},
    {"", "0/3", 0, 0, "needs I/N"},
    {"", "4/3", 0, 0, "needs I/N"},
    {"", "1/0", 0, 0, "needs I/N"},
    {"", "1/3x", 0, 0, "needs I/N"},
    {"", "-1/3", 0, 0, "needs I/N"},
    {"", "1", 0, 0, "needs I/N"},
    {"", "", 0, 0, "needs I/N"},
    {"", "auto/", 0, 0, "needs I/N"},
    {"", "auto/0", 0, 0, "needs I/N"},
    {"", "1/99999999999999999999", 0, 0, "needs I/N"},
    {"GTEST_SHARD_INDEX=0 GTEST_TOTAL_SHARDS=3", "auto", 1, 3, NULL},
    {"TEST_SHARD_INDEX=2 TEST_TOTAL_SHARDS=3", "auto", 3, 3, NULL},
    {"CI_NODE_INDEX=1 CI_NODE_TOTAL=3", "auto", 1, 3, NULL},
    {"CI_NODE_INDEX=3 CI_NODE_TOTAL=3", "auto", 3, 3, NULL},
    {"CI_NODE_TOTAL=1", "auto", 1, 1, NULL},
    {"CIRCLE_NODE_INDEX=1 CIRCLE_NODE_TOTAL=2", "auto", 2, 2, NULL},
    {"BUILDKITE_PARALLEL_JOB=0 BUILDKITE_PARALLEL_JOB_COUNT=2", "auto", 1, 2, NULL},
    {SLURM("7", "1", "10", "3", "4"), "auto", 3, 4, NULL},
    {SLURM("0", "0", "0", "1", "1"), "auto", 1, 1, NULL},
    {SGE("5", "1", "10", "4"), "auto", 2, 3, NULL},
    {SGE("undefined", "undefined", "undefined", "undefined"), "auto", 1, 1, NULL},
    {"LSB_JOBINDEX=4 LSB_JOBINDEX_END=10 LSB_JOBINDEX_STEP=3", "auto", 2, 4, NULL},
    {"LSB_JOBINDEX=0", "auto", 1, 1, NULL},
    {"JOB_COMPLETION_INDEX=0", "auto/5", 1, 5, NULL},
    {"JOB_COMPLETION_INDEX=4", "auto/5", 5, 5, NULL},
    {"PBS_ARRAY_INDEX=5", "auto/5", 5, 5, NULL},
    {"PBS_ARRAYID=1", "auto/5", 1, 5, NULL},
    {"CI_NODE_INDEX=2 CI_NODE_TOTAL=3", "auto/3", 2, 3, NULL},
    /* Two that agree, as googletest's below Bazel. */
    {"TEST_SHARD_INDEX=1 TEST_TOTAL_SHARDS=3 GTEST_SHARD_INDEX=1 GTEST_TOTAL_SHARDS=3", "auto", 2,
     3, NULL},
    /* Half of it, nothing, what cannot be, and two that disagree. */
    {"GTEST_SHARD_INDEX=1", "auto", 0, 0, "GTEST_TOTAL_SHARDS is not"},
    {"GTEST_TOTAL_SHARDS=2", "auto", 0, 0, "GTEST_SHARD_INDEX is not"},
    {"TEST_SHARD_INDEX=1 TEST_TOTAL_SHARDS=", "auto", 0, 0, "TEST_TOTAL_SHARDS is not"},
    {"CI_NODE_TOTAL=2", "auto", 0, 0, "CI_NODE_INDEX is not"},
    {"CI_NODE_INDEX=1", "auto", 0, 0, "CI_NODE_TOTAL is not"},
    {"CI_NODE_INDEX=0 CI_NODE_TOTAL=2", "auto", 0, 0, "no such part of 2"},
    {"CI_NODE_INDEX=3 CI_NODE_TOTAL=2", "auto", 0, 0, "no such part of 2"},
    {"TEST_SHARD_INDEX=0 TEST_TOTAL_SHARDS=0", "auto", 0, 0, "no such part of 0"},
    {"TEST_SHARD_INDEX=2 TEST_TOTAL_SHARDS=2", "auto", 0, 0, "no such part of 2"},
    {"TEST_SHARD_INDEX=one TEST_TOTAL_SHARDS=2", "auto", 0, 0, "TEST_SHARD_INDEX=one"},
    {"TEST_SHARD_INDEX=-1 TEST_TOTAL_SHARDS=2", "auto", 0, 0, "TEST_SHARD_INDEX=-1"},
    {"TEST_SHARD_INDEX=0 TEST_TOTAL_SHARDS=4294967297", "auto", 0, 0, "4294967297"},
    {SLURM("3", "1", "5", "1", "3"), "auto", 0, 0, "without gaps"},
    {SLURM("3", "1", "5", "0", "5"), "auto", 0, 0, "without gaps"},
    {SLURM("2", "1", "5", "2", "3"), "auto", 0, 0, "without gaps"},
    {SLURM("0", "1", "5", "1", "5"), "auto", 0, 0, "without gaps"},
    {SLURM("9", "1", "5", "1", "5"), "auto", 0, 0, "no such part of 5"},
    {"SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MAX=5", "auto", 0, 0, "is not"},
    {"LSB_JOBINDEX=2", "auto", 0, 0, "LSB_JOBINDEX_END is not"},
    {"JOB_COMPLETION_INDEX=2", "auto", 0, 0, "--shard auto/N"},
    {"JOB_COMPLETION_INDEX=5", "auto/5", 0, 0, "no such part of 5"},
    {"PBS_ARRAY_INDEX=0", "auto/5", 0, 0, "no such part of 5"},
    {"CI_NODE_INDEX=2 CI_NODE_TOTAL=3", "auto/4", 0, 0, "means one of 3 parts"},
    {"CI_NODE_INDEX=2 CI_NODE_TOTAL=3 CIRCLE_NODE_INDEX=2 CIRCLE_NODE_TOTAL=3", "auto", 0, 0,
     "means 2/3, but CIRCLE_NODE_INDEX=2, CIRCLE_NODE_TOTAL=3 means 3/3"},
};

static void read_from_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (size_t v = 0; v < G_N_ELEMENTS(variables); v++)
            g_unsetenv(variables[v]);
        g_auto(GStrv) words = g_strsplit(cases[i].environment, " ", -1);
        for (guint w = 0; words[w]; w++) {
            g_auto(GStrv) pair = g_strsplit(words[w], "=", 2);
            g_setenv(pair[0], pair[1], TRUE);
        }
        struct godwit_shard shard;
        g_autoptr(GError) error = NULL;
        const bool good = godwit_shard_parse(cases[i].text, &shard, &error);
        if (good != !cases[i].refused)
            fail_msg("%s, --shard %s: %s", cases[i].environment, cases[i].text,
                     error ? error->message : "not refused");
        if (!good) {
            assert_int_equal(error->code, GODWIT_ERROR_USAGE);
            assert_contains(error->message, cases[i].refused);
            continue;
        }
        assert_int_equal(shard.index, cases[i].index);
        assert_int_equal(shard.count, cases[i].count);
    }
    for (size_t v = 0; v < G_N_ELEMENTS(variables); v++)
        g_unsetenv(variables[v]);
}

/* Over the members of an array, whatever its first number and step, each part is taken once. */
static void arrays(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 3; first++)
        for (unsigned step = 1; step < 4; step++)
            for (unsigned last = first; last < first + 12; last++) {
                const unsigned count = (last - first) / step + 1;
                unsigned taken[12] = {0};
                for (unsigned id = first; id <= last; id += step) {
                    const struct {
                        const char *name;
                        unsigned value;
                    } numbers[] = {{"SGE_TASK_ID", id},
                                   {"SGE_TASK_FIRST", first},
                                   {"SGE_TASK_LAST", last},
                                   {"SGE_TASK_STEPSIZE", step}};
                    for (size_t n = 0; n < G_N_ELEMENTS(numbers); n++) {
                        g_autofree char *value = g_strdup_printf("%u", numbers[n].value);
                        g_setenv(numbers[n].name, value, TRUE);
                    }
                    struct godwit_shard shard;
                    assert_true(godwit_shard_parse("auto", &shard, NULL));
                    assert_int_equal(shard.count, count);
                    taken[shard.index - 1]++;
                }
                for (unsigned i = 0; i < count; i++)
                    assert_int_equal(taken[i], 1);
            }
    g_unsetenv("SGE_TASK_ID");
}

/* The engine learns that shards are supported, and only if it has asked for one. */
static void status_file(void **state)
{
    struct godwit_shard shard;
    g_autofree char *path = g_build_filename(*state, "status", NULL);
    g_setenv("TEST_SHARD_STATUS_FILE", path, TRUE);
    assert_true(godwit_shard_parse("auto", &shard, NULL));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_setenv("TEST_SHARD_INDEX", "0", TRUE);
    g_setenv("TEST_TOTAL_SHARDS", "2", TRUE);
    assert_true(godwit_shard_parse("auto", &shard, NULL));
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_int_equal(g_unlink(path), 0);
    g_setenv("TEST_SHARD_STATUS_FILE", "/no/such/folder/status", TRUE);
    g_autoptr(GError) error = NULL;
    assert_false(godwit_shard_parse("auto", &shard, &error));
    assert_int_equal(error->code, GODWIT_ERROR_ENVIRONMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_once),
        cmocka_unit_test(read_from_environment),
        cmocka_unit_test(arrays),
        cmocka_unit_test_setup_teardown(status_file, unit_folder, unit_folder_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
