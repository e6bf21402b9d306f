/*
 * --shard: which part of a run is ours. "auto" reads the variables with which an engine numbers the
 * jobs that it runs in parallel. An engine that sets none is not there; one that sets only some, or
 * numbers that cannot be, is an error, because a guess would leave scenarios out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* More jobs than any engine runs for one test. It keeps sums far from an overflow. */
#define MOST 1000000

/* The variables of an engine. It has either a TOTAL, or the LAST number of an array, or neither:
 * then the user must give the total. */
struct engine {
    const char *index;       /* the number of this job ... */
    const char *first;       /* ... the variable with the first number; NULL: it is BASE */
    unsigned base;           /* the first number */
    const char *total;       /* how many jobs there are */
    const char *last, *step; /* of an array: its last number, and the step from one to the next */
    const char *none;        /* value of INDEX outside of an array */
    const char *status;      /* file to create if shards are supported */
    bool alone;              /* a total of 1 without an index is a job that is not parallel */
};

static const struct engine engines[] = {
    /* googletest, and Bazel, which numbers in the same way */
    {.index = "GTEST_SHARD_INDEX",
     .total = "GTEST_TOTAL_SHARDS",
     .status = "GTEST_SHARD_STATUS_FILE"},
    {.index = "TEST_SHARD_INDEX", .total = "TEST_TOTAL_SHARDS", .status = "TEST_SHARD_STATUS_FILE"},
    /* GitLab, CircleCI, Buildkite */
    {.index = "CI_NODE_INDEX", .base = 1, .total = "CI_NODE_TOTAL", .alone = true},
    {.index = "CIRCLE_NODE_INDEX", .total = "CIRCLE_NODE_TOTAL"},
    {.index = "BUILDKITE_PARALLEL_JOB", .total = "BUILDKITE_PARALLEL_JOB_COUNT"},
    /* Slurm, Grid Engine, LSF */
    {.index = "SLURM_ARRAY_TASK_ID",
     .first = "SLURM_ARRAY_TASK_MIN",
     .total = "SLURM_ARRAY_TASK_COUNT",
     .last = "SLURM_ARRAY_TASK_MAX",
     .step = "SLURM_ARRAY_TASK_STEP"},
    {.index = "SGE_TASK_ID",
     .first = "SGE_TASK_FIRST",
     .last = "SGE_TASK_LAST",
     .step = "SGE_TASK_STEPSIZE",
     .none = "undefined"},
    {.index = "LSB_JOBINDEX",
     .base = 1,
     .last = "LSB_JOBINDEX_END",
     .step = "LSB_JOBINDEX_STEP",
     .none = "0"},
    /* Kubernetes, PBS, Torque */
    {.index = "JOB_COMPLETION_INDEX"},
    {.index = "PBS_ARRAY_INDEX", .base = 1},
    {.index = "PBS_ARRAYID", .base = 1},
};

/* Returns the value of a variable; NULL if it has none, or has the value that means none. */
static const char *value_of(const struct engine *engine, const char *name)
{
    const char *value = name ? g_getenv(name) : NULL;
    return value && *value && g_strcmp0(value, engine->none) != 0 ? value : NULL;
}

/* Reads the variable NAME, and adds it to WHAT, the list of what was read. OTHERWISE is its value
 * if the engine has no such variable. Fails with USAGE if it is not set, or not a number. */
static bool number(const struct engine *engine, const char *name, unsigned otherwise,
                   unsigned *value, GString *what, GError **error)
{
    guint64 parsed;
    *value = otherwise;
    if (!name)
        return true;
    const char *text = value_of(engine, name);
    if (!text)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard auto: %s is set and %s is not: use --shard I/N",
                           value_of(engine, engine->index) ? engine->index : engine->total, name);
    if (!g_ascii_string_to_unsigned(text, 10, 0, MOST, &parsed, NULL))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard auto: %s=%.20s: expected a number from 0 to %d", name, text,
                           MOST);
    *value = (unsigned)parsed;
    g_string_append_printf(what, "%s%s=%u", what->len ? ", " : "", name, *value);
    return true;
}

/* Reads the shard of an engine. TOTAL is the one that the user gave, or 0. Returns a count of 0 if
 * the engine is not there. */
static bool read_engine(const struct engine *engine, unsigned given, struct godwit_shard *shard,
                        GString *what, GError **error)
{
    unsigned index, first, total, last, step;
    *shard = (struct godwit_shard){0};
    const char *only = value_of(engine, engine->total);
    if (!value_of(engine, engine->index)) {
        if (!only || (engine->alone && !strcmp(only, "1")))
            return true;
        return number(engine, engine->index, 0, &index, what, error);
    }
    if (!number(engine, engine->index, 0, &index, what, error) ||
        !number(engine, engine->first, engine->base, &first, what, error) ||
        !number(engine, engine->last, 0, &last, what, error) ||
        !number(engine, engine->step, 1, &step, what, error) ||
        !number(engine, engine->total, given, &total, what, error))
        return false;
    if (!engine->total && !engine->last && !given)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard auto: %s does not come with a total: use --shard auto/N",
                           what->str);
    if (engine->last && (!step || last < first || index < first || (index - first) % step ||
                         (engine->total && total != (last - first) / step + 1)))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard auto: %s: an array without gaps is needed", what->str);
    if (engine->last)
        total = (last - first) / step + 1;
    if (index < first || (index - first) / step >= total)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--shard auto: %s: no such part of %u",
                           what->str, total);
    if (given && total != given)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--shard auto/%u: %s means one of %u parts",
                           given, what->str, total);
    shard->index = (index - first) / step + 1;
    shard->count = total;
    return true;
}

/* Creates the file by which a test reports to its engine that it supports shards. */
static bool touch(const struct engine *engine, GError **error)
{
    const char *path = engine->status ? g_getenv(engine->status) : NULL;
    if (!path || !*path)
        return true;
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (fd < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot create %s (%s): %s", path,
                           engine->status, g_strerror(errno));
    close(fd);
    return true;
}

/* Takes the shard from the environment. GIVEN is the total that the user gave, or 0. */
static bool read_environment(unsigned given, struct godwit_shard *shard, GError **error)
{
    g_autoptr(GString) found = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(engines); i++) {
        struct godwit_shard one;
        g_autoptr(GString) what = g_string_new(NULL);
        if (!read_engine(&engines[i], given, &one, what, error))
            return false;
        if (!one.count)
            continue;
        if (found->len && (one.index != shard->index || one.count != shard->count))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "--shard auto: %s means %u/%u, but %s means %u/%u: use --shard I/N",
                               found->str, shard->index, shard->count, what->str, one.index,
                               one.count);
        *shard = one;
        g_string_append_printf(found, "%s%s", found->len ? ", " : "", what->str);
        if (!touch(&engines[i], error))
            return false;
    }
    if (!found->len && given)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard auto/%u: the environment has no number of a part", given);
    godwit_text_complain("shard %u of %u: %s", shard->index, shard->count,
                         found->len ? found->str : "the environment names no other");
    return true;
}

bool godwit_shard_parse(const char *text, struct godwit_shard *shard, GError **error)
{
    *shard = (struct godwit_shard){1, 1};
    if (!text)
        return true;
    if (!strcmp(text, "auto"))
        return read_environment(0, shard, error);
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    guint64 index = 1, count = 0;
    const bool automatic = !g_strcmp0(parts[0], "auto");
    if (!parts[0] || !parts[1] ||
        !g_ascii_string_to_unsigned(parts[1], 10, 1, MOST, &count, NULL) ||
        (!automatic && !g_ascii_string_to_unsigned(parts[0], 10, 1, count, &index, NULL)))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard needs I/N with I from 1 to N, for example 1/3, or auto, or "
                           "auto/N");
    if (automatic)
        return read_environment((unsigned)count, shard, error);
    *shard = (struct godwit_shard){(unsigned)index, (unsigned)count};
    return true;
}
