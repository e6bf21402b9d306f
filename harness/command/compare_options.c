/*
 * The options of `godwit compare`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compare_parts.h"

#include "migrate/settings.h"
#include "report/figures.h"
#include <string.h>

void godwit_compare_options_clear(struct godwit_compare_options *options)
{
    godwit_options_clear(&options->target);
    g_free(options->a);
    g_free(options->b);
    g_strfreev(options->globs);
    json_decref(options->settings_a);
    json_decref(options->settings_b);
    g_strfreev(options->formats);
}

static gboolean take_budget(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_compare_options *options = data;
    return godwit_speed_time(name, value, &options->budget, error);
}

static gboolean take_tolerance(const char *name, const char *value, gpointer data, GError **error)
{
    static const struct godwit_suffix units[] = {{"%", 0.01}, {NULL, 0}};
    struct godwit_compare_options *options = data;
    return godwit_speed_quantity(name, value, units, "a percentage, for example 5%",
                                 &options->tolerance, error);
}

static gboolean take_tolerance_downtime(const char *name, const char *value, gpointer data,
                                        GError **error)
{
    static const struct godwit_suffix units[] = {{"ms", 1}, {"s", 1000}, {NULL, 0}};
    struct godwit_compare_options *options = data;
    return godwit_speed_quantity(name, value, units, "a time, for example 2ms",
                                 &options->tolerance_downtime, error);
}

static gboolean take_setting(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_compare_options *options = data;
    json_t **settings = !strcmp(name, "--set-a") ? &options->settings_a : &options->settings_b;
    if (!*settings)
        *settings = json_object();
    return godwit_settings_add(*settings, value, error);
}

static bool check(struct godwit_compare_options *options, GError **error)
{
    const struct godwit_options *target = &options->target;
    if (!options->a)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compare needs --a QEMU, and --b QEMU or --set-b NAME=VALUE");
    if (options->runs != GODWIT_NOT_GIVEN && options->runs < 1)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--runs needs a number of 1 or more");
    if (target->qemu || target->qemu_src || target->qemu_dst || target->cross || target->direction)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compare takes its QEMUs from --a and --b: leave out --qemu, "
                           "--qemu-src, --qemu-dst, --cross and --direction");
    if (target->theirs || target->command_words)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compare measures Godwit's guest: leave out the command line");
    return godwit_figures_check(options->formats, error);
}

/* Completes what was given. */
static void complete(struct godwit_compare_options *options)
{
    struct godwit_options *target = &options->target;
    if (!options->b)
        options->b = g_strdup(options->a);
    /* One target of both, so that they have the same machine, accelerator and guest. */
    target->qemu_src = g_new0(char *, 2);
    target->qemu_dst = g_new0(char *, 2);
    target->qemu_src[0] = g_strdup(options->a);
    target->qemu_dst[0] = g_strdup(options->b);
    options->waterfall = !target->no_waterfall;
    godwit_speed_complete(target);
    if (options->runs == GODWIT_NOT_GIVEN) {
        options->runs = 0;
        options->budget = options->budget > 0 ? options->budget : 300;
    }
}

bool godwit_compare_options_parse(struct godwit_compare_options *options, int *argc, char ***argv,
                                  bool *helped, GError **error)
{
    godwit_options_init(&options->target);
    options->target.usual_workloads = "order";
    options->tolerance = 0.05;
    options->tolerance_downtime = 2;
    options->runs = GODWIT_NOT_GIVEN;
    g_auto(GStrv) scenarios = NULL, further = NULL;
    const GOptionEntry entries[] = {
        {"a", 0, 0, G_OPTION_ARG_FILENAME, &options->a,
         "The QEMU to compare with: binary, or folder of QEMU binaries", "QEMU"},
        {"b", 0, 0, G_OPTION_ARG_FILENAME, &options->b,
         "The QEMU that may be slower (default: that of --a)", "QEMU"},
        {"scenarios", 0, 0, G_OPTION_ARG_STRING_ARRAY, &scenarios,
         "Scenarios to measure, as a glob (default: precopy/tcp/plain and postcopy/plain); "
         "repeatable, and more globs may follow",
         "GLOB"},
        {"set-a", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_setting,
         "Like --set, but only for A; repeatable", "NAME=VALUE"},
        {"set-b", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_setting,
         "Like --set, but only for B; repeatable", "NAME=VALUE"},
        {"waterfall-b", 0, 0, G_OPTION_ARG_NONE, &options->waterfall_b,
         "Trace where the downtime goes in each run of B: with A as B, shows what that costs",
         NULL},
        {"budget", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_budget,
         "Time to spend at most, for example 90s, 5m or 1h (default: 5m, or no limit with --runs)",
         "TIME"},
        {"tolerance", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_tolerance,
         "Change of total time, bytes or CPU time that does not matter (default: 5%)", "PERCENT"},
        {"tolerance-downtime", 0, 0, G_OPTION_ARG_CALLBACK,
         (gpointer)(uintptr_t)take_tolerance_downtime,
         "Change of blackout, downtime or setup time that does not matter (default: 2ms)", "TIME"},
        {"runs", 'n', 0, G_OPTION_ARG_INT, &options->runs,
         "Run each scenario exactly N times in each arm (default: until total time and blackout "
         "are decided)",
         "N"},
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options->formats,
         "Report as text (default), json, csv, html, bmf (for Bencher), openmetrics or runs-csv (a "
         "line for each run), to standard output or to FILE; repeatable",
         "NAME[:FILE]"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &further, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...]");
    g_option_context_set_summary(
        context,
        "Compares the speed of migrations with QEMU B, or with other settings, to that with QEMU "
        "A.\n"
        "Runs A, B and A once more, the control, in turn, until it is sure or the time is spent.\n"
        "Each row has medians, the change with its interval, that of the control, a p, the "
        "smallest\n"
        "change that would have shown, and a verdict: faster, same, slower or cannot tell. The\n"
        "confidence is 99 %, because the comparison may end at each of several looks, or 95 % "
        "with\n"
        "--runs.\n"
        "Exit status: 0 if nothing is slower, 1 if something is, or if B fails and A does not, 2\n"
        "after a usage or environment error, or if no run of a scenario succeeded.");
    /* The callbacks need the options; a group of its own gives them those. */
    GOptionGroup *main_group = g_option_group_new("compare", "Comparison:", "", options, NULL);
    g_option_group_add_entries(main_group, entries);
    g_option_context_set_main_group(context, main_group);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    if (!godwit_options_parse(context, &options->target, argc, argv, helped, error))
        return false;
    g_autoptr(GPtrArray) globs = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; scenarios && scenarios[i]; i++)
        g_ptr_array_add(globs, g_strdup(scenarios[i]));
    for (guint i = 0; further && further[i]; i++)
        g_ptr_array_add(globs, g_strdup(further[i]));
    if (globs->len) {
        g_ptr_array_add(globs, NULL);
        options->globs = (char **)g_ptr_array_free(g_steal_pointer(&globs), FALSE);
    }
    if (*helped)
        return true;
    if (!check(options, error))
        return false;
    complete(options);
    return true;
}
