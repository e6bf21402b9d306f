/*
 * godwit bench: measures how long each phase of each scenario takes. Runs one scenario at a time,
 * several times, and prints median and spread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "report/report.h"
#include <stdlib.h>
#include <string.h>

struct bench_options {
    struct godwit_options target;
    int runs;
    gboolean allow_all_skipped;
    char **globs;
};

/* The index of a column below. */
#define COLUMN_VERIFY 3

/* The columns of the table. Each adds up the named phases of the course. */
static const struct {
    const char *heading;
    const char *phases[3];
} columns[] = {
    {"to A", {"start", "to A", NULL}},
    {"to B", {"to B", NULL}},
    {"migrate", {"migrate", NULL}},
    [COLUMN_VERIFY] = {"verify", {"verify", NULL}},
    {"resume", {"resume", NULL}},
    {"verify again", {"verify again", NULL}},
    {"end", {"end", NULL}},
};

static int by_value(const void *a, const void *b)
{
    const double *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* Returns the median and half the distance between the quartiles, as "median ±spread". The caller
 * frees it. */
static char *median_and_spread(GArray *values)
{
    if (values->len == 0)
        return g_strdup("-");
    qsort(values->data, values->len, sizeof(double), by_value);
    const double *sorted = (const double *)(void *)values->data;
    const guint n = values->len;
    const double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    const double spread = (sorted[(n - 1) - (n - 1) / 4] - sorted[(n - 1) / 4]) / 2;
    return g_strdup_printf("%.1f ±%.1f", median, spread);
}

/* Returns the time that the phases of one column took, in ms; negative if the result has none of
 * them. */
static double column_time(const json_t *result, size_t column)
{
    double sum = 0;
    bool any = false;
    size_t i;
    json_t *phase;
    json_array_foreach(json_object_get(result, "phases"), i, phase)
    {
        if (!g_strv_contains(columns[column].phases, godwit_json_string(phase, "name", "")))
            continue;
        sum += json_number_value(json_object_get(phase, "ms"));
        any = true;
    }
    return any ? sum : -1;
}

static bool is_of(const json_t *result, const char *target, const char *scenario)
{
    return !strcmp(godwit_report_target(result), target) &&
           !strcmp(godwit_json_string(result, "scenario", ""), scenario);
}

/* Returns true if there is a result of the scenario on the target. */
static bool was_run(const json_t *results, const char *target, const char *scenario)
{
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        if (is_of(result, target, scenario))
            return true;
    }
    return false;
}

/* Prints one row: the results of one scenario on one target that passed, including those with an
 * excused known bug of QEMU. WIDTH is that of the column with the target. */
static void print_row(const json_t *results, int width, const char *target, const char *scenario)
{
    g_autofree char *name = godwit_text_line(target);
    printf("%-*s %-30s", width, name, scenario);
    for (size_t column = 0; column <= G_N_ELEMENTS(columns); column++) {
        g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(double));
        size_t i;
        json_t *result;
        json_array_foreach(results, i, result)
        {
            if (!is_of(result, target, scenario) || !godwit_result_passed(result))
                continue;
            const double ms = column < G_N_ELEMENTS(columns)
                                  ? column_time(result, column)
                                  : json_number_value(json_object_get(result, "ms"));
            if (ms >= 0)
                g_array_append_val(values, ms);
        }
        g_autofree char *text = median_and_spread(values);
        /* The width counts characters: "±" has two bytes. */
        printf(" %*s%s", (int)MAX(0, 14 - g_utf8_strlen(text, -1)), "", text);
    }
    putchar('\n');
}

/* The comparison of less memory than this says nothing about its speed: it begins with questions to
 * both QEMUs. */
#define LEAST_COMPARED (256e6)

/* The size of the buffers with which memcpy() is measured, beyond any cache, and how often. */
#define COPIED ((size_t)128 << 20)
#define COPIES 5

/* Returns the speed of memcpy() in one thread of this host, in bytes per second: the best of some
 * copies. */
static double copy_speed(void)
{
    g_autofree char *from = g_malloc(COPIED), *to = g_malloc(COPIED);
    memset(from, 1, COPIED);
    memset(to, 2, COPIED);
    gint64 best = G_MAXINT64;
    for (int i = 0; i < COPIES; i++) {
        const gint64 start = g_get_monotonic_time();
        from[i] = (char)(to[COPIED - 1] + i);
        memcpy(to, from, COPIED);
        best = MIN(best, g_get_monotonic_time() - start);
    }
    return (double)COPIED * G_USEC_PER_SEC / (double)MAX(best, 1);
}

/* Returns how many bytes the RAM compare of a result has compared. */
static double compared(const json_t *result)
{
    size_t i;
    json_t *oracle;
    json_array_foreach(json_object_get(result, "oracles"), i, oracle)
    {
        if (!strcmp(godwit_json_string(oracle, "name", ""), "twin"))
            return json_number_value(json_object_get(oracle, "bytes"));
    }
    return 0;
}

/* Prints how fast the memory of large guests was verified, beside the speed of memcpy(). */
static void print_speeds(const json_t *results)
{
    double copy = 0;
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        const double bytes = compared(result), ms = column_time(result, COLUMN_VERIFY);
        if (bytes < LEAST_COMPARED || ms <= 0 || !godwit_result_passed(result))
            continue;
        if (copy == 0)
            copy = copy_speed();
        const double speed = bytes / ms * 1000;
        g_autofree char *name = godwit_text_line(godwit_report_target(result));
        printf("%s %s: verified %.0f MiB of each side at %.1f GB/s, %.0f %% of memcpy() (%.1f GB/s)"
               "\n",
               name, godwit_json_string(result, "scenario", ""), bytes / 1048576, speed / 1e9,
               100 * speed / copy, copy / 1e9);
    }
}

static bool bench(struct godwit_process *process, const struct bench_options *options, int *status,
                  GError **error)
{
    g_autoptr(GPtrArray) scenarios = godwit_match_scenarios(options->globs, error);
    if (!scenarios || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets = godwit_targets(process, &options->target, 1, error);
    if (!targets)
        return false;
    struct godwit_summary summary;
    g_autoptr(json_t) results =
        godwit_collect(process, targets, scenarios, (unsigned)options->runs, 1, &summary);
    *status = godwit_summary_status(&summary);
    if (summary.interrupted)
        return true;
    printf("%d runs each; milliseconds, median and half the distance between the quartiles\n",
           options->runs);
    const int width = godwit_targets_width(targets);
    printf("%-*s %-30s", width, "target", "scenario");
    for (size_t column = 0; column < G_N_ELEMENTS(columns); column++)
        printf(" %14s", columns[column].heading);
    printf(" %14s\n", "whole");
    for (guint t = 0; t < targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(targets, t);
        for (guint s = 0; s < scenarios->len; s++) {
            const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, s);
            if (was_run(results, target->name, scenario->name))
                print_row(results, width, target->name, scenario->name);
        }
    }
    print_speeds(results);
    printf("%u passed, %u failed, %u skipped\n", summary.passed + summary.known,
           summary.failed + summary.errors, summary.skipped);
    return godwit_summary_check(&summary, options->allow_all_skipped, error);
}

bool godwit_command_bench(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error)
{
    struct bench_options options = {.runs = 5};
    bool helped = false;
    godwit_options_init(&options.target);
    const GOptionEntry entries[] = {
        {"runs", 'n', 0, G_OPTION_ARG_INT, &options.runs, "Runs of each scenario (default: 5)",
         "N"},
        GODWIT_ALLOW_ALL_SKIPPED(&options.allow_all_skipped),
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.globs, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...] [-- QEMU-ARGS]");
    g_option_context_set_summary(
        context,
        "Runs the scenarios whose names match a GLOB, or all scenarios without a GLOB, several\n"
        "times, one at a time. Prints how long each phase takes: median and spread. No "
        "run passes or\nfails by its time; a noisy host only shows a larger spread.\n"
        "Exit status: 0 if nothing failed, 1 if a scenario failed, 2 after a usage or "
        "environment\nerror or if nothing ran.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options.target));
    bool good = godwit_options_parse(context, &options.target, &argc, &argv, &helped, error);
    if (good && !helped && options.runs < 1) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE, "--runs needs a number of 1 or more");
        good = false;
    }
    good = good && (helped || bench(process, &options, status, error));
    godwit_options_clear(&options.target);
    g_strfreev(options.globs);
    return good;
}
