/*
 * The options of `godwit sweep`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/sweep_parts.h"

#include "migrate/settings.h"
#include "report/figures.h"
#include <string.h>

/* How often each cell is run, unless the user chooses. */
#define RUNS 5
/* The budget in seconds, unless the user chooses it or the runs. */
#define BUDGET 300
/* After so many seconds a migration has not converged, unless the user chooses. */
#define GIVE_UP 10

void godwit_sweep_options_clear(struct godwit_sweep_options *options)
{
    godwit_options_clear(&options->target);
    g_clear_pointer(&options->axes, g_ptr_array_unref);
    g_strfreev(options->globs);
    g_free(options->preset_name);
    g_strfreev(options->formats);
}

/* Returns the place of the axis NAME among AXES; their number if there is none. */
static guint find_axis(const GPtrArray *axes, const char *name)
{
    guint i = 0;
    while (i < axes->len &&
           strcmp(((struct godwit_axis *)g_ptr_array_index(axes, i))->name, name) != 0)
        i++;
    return i;
}

static gboolean take_axis(const char *option, const char *value, gpointer data, GError **error)
{
    struct godwit_sweep_options *options = data;
    const char *equals = strchr(value, '=');
    (void)option;
    if (!equals || equals == value || !equals[1])
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--over needs NAME=VALUE,VALUE..., for example "
                           "multifd-channels=2,4,8, not \"%s\"",
                           value);
    g_autofree char *name = g_strndup(value, (gsize)(equals - value));
    if (find_axis(options->axes, name) < options->axes->len)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--over %s is given twice", name);
    struct godwit_axis *axis = godwit_axis_new(name, equals + 1);
    g_ptr_array_add(options->axes, axis);
    for (guint i = 0; axis->values[i]; i++) {
        bool before = false;
        for (guint j = 0; j < i; j++)
            before = before || !strcmp(axis->values[i], axis->values[j]);
        if (before || !*axis->values[i])
            return godwit_fail(error, GODWIT_ERROR_USAGE, "--over %s: the value \"%s\" is %s", name,
                               axis->values[i], before ? "given twice" : "empty");
    }
    return true;
}

static gboolean take_budget(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_sweep_options *options = data;
    return godwit_speed_time(name, value, &options->budget, error);
}

/* Takes what the preset has, except for what the user has chosen. */
static bool take_preset(struct godwit_sweep_options *options, GError **error)
{
    if (!options->preset_name)
        return true;
    options->preset = godwit_preset_find(options->preset_name, error);
    if (!options->preset)
        return false;
    const struct godwit_preset *preset = options->preset;
    for (guint i = 0; preset->over[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(preset->over[i], "=", 2);
        if (find_axis(options->axes, parts[0]) == options->axes->len)
            g_ptr_array_insert(options->axes, (gint)i, godwit_axis_new(parts[0], parts[1]));
    }
    g_autoptr(json_t) settings = json_object();
    for (guint i = 0; preset->set[i]; i++)
        if (!godwit_settings_add(settings, preset->set[i], error))
            return false;
    if (options->target.settings)
        json_object_update(settings, options->target.settings);
    json_decref(options->target.settings);
    options->target.settings = g_steal_pointer(&settings);
    if (!options->globs)
        options->globs = g_strdupv((char **)(uintptr_t)preset->scenarios);
    if (!(options->target.give_up > 0))
        options->target.give_up = preset->give_up;
    return true;
}

/* Fails if an axis varies what another option has already chosen. */
static bool check_conflicts(const struct godwit_sweep_options *options, GError **error)
{
    const struct godwit_options *target = &options->target;
    const struct {
        const char *axis, *option;
        bool given;
    } conflicts[] = {
        {"dirty-rate", "--dirty-rate", target->dirty_rate != GODWIT_NOT_GIVEN},
        {"dirty-rate", "--page-ticks", target->page_ticks != GODWIT_NOT_GIVEN},
        {"window", "--window", target->window},
        {"cpus", "--cpus", target->cpus != GODWIT_NOT_GIVEN},
        {"workload", "--workload", target->workload},
        {"pause-iteration", "--pause-iteration", target->pause_iteration != GODWIT_NOT_GIVEN},
        {"postcopy-iteration", "--postcopy-iteration",
         target->postcopy_iteration != GODWIT_NOT_GIVEN},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(conflicts); i++)
        if (conflicts[i].given && find_axis(options->axes, conflicts[i].axis) < options->axes->len)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "--over %s and %s exclude each other",
                               conflicts[i].axis, conflicts[i].option);
    for (guint i = 0; i < options->axes->len; i++) {
        const struct godwit_axis *axis = g_ptr_array_index(options->axes, i);
        if (json_object_get(target->settings, axis->name))
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s is given by --over and by --set",
                               axis->name);
    }
    return true;
}

static bool check(const struct godwit_sweep_options *options, GError **error)
{
    const struct godwit_options *target = &options->target;
    uint64_t cells = 1;
    if (!options->axes->len)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "sweep needs --over NAME=VALUE,VALUE..., or --preset NAME");
    if (options->runs != GODWIT_NOT_GIVEN && options->runs < 1)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--runs needs a number of 1 or more");
    if (target->theirs || target->command_words)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "sweep measures Godwit's guest: leave out the command line");
    for (guint i = 0; i < options->axes->len; i++) {
        const struct godwit_axis *axis = g_ptr_array_index(options->axes, i);
        if (!godwit_axis_check(axis, error))
            return false;
        cells = MIN(cells * g_strv_length(axis->values), GODWIT_SWEEP_CELLS + 1);
    }
    if (cells > GODWIT_SWEEP_CELLS)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "the grid has more than %d cells",
                           GODWIT_SWEEP_CELLS);
    return check_conflicts(options, error) && godwit_figures_check(options->formats, error);
}

/* Completes what was given. */
static void complete(struct godwit_sweep_options *options)
{
    struct godwit_options *target = &options->target;
    if (options->runs == GODWIT_NOT_GIVEN) {
        options->runs = RUNS;
        options->budget = options->budget > 0 ? options->budget : BUDGET;
    }
    if (!options->globs) {
        const char *const usual[] = {"precopy/tcp/plain", NULL};
        options->globs = g_strdupv((char **)(uintptr_t)usual);
    }
    if (!(target->give_up > 0))
        target->give_up = GIVE_UP;
    godwit_speed_complete(target);
}

/* Returns two arrays of globs as one, which the caller frees; NULL if there are none. */
static char **join(char *const *one, char *const *other)
{
    GPtrArray *all = g_ptr_array_new();
    for (; one && *one; one++)
        g_ptr_array_add(all, g_strdup(*one));
    for (; other && *other; other++)
        g_ptr_array_add(all, g_strdup(*other));
    if (!all->len) {
        g_ptr_array_unref(all);
        return NULL;
    }
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

bool godwit_sweep_options_parse(struct godwit_sweep_options *options, int *argc, char ***argv,
                                bool *helped, GError **error)
{
    godwit_options_init(&options->target);
    options->target.usual_workloads = "order";
    options->axes = g_ptr_array_new_with_free_func(godwit_axis_free);
    options->runs = GODWIT_NOT_GIVEN;
    g_auto(GStrv) scenarios = NULL, further = NULL;
    const GOptionEntry entries[] = {
        {"over", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_axis,
         "Vary this: a migration parameter or capability as with --set, or dirty-rate, window (a "
         "size, such as 16M), cpus, workload, pause-iteration or postcopy-iteration; repeatable, "
         "for a grid",
         "NAME=VALUE,..."},
        {"scenarios", 0, 0, G_OPTION_ARG_STRING_ARRAY, &scenarios,
         "Scenarios to measure, as a glob (default: precopy/tcp/plain); repeatable, and more globs "
         "may follow",
         "GLOB"},
        {"preset", 0, 0, G_OPTION_ARG_STRING, &options->preset_name,
         "Do what a comparison of QEMU's guestperf does; \"list\" lists them. What else is given "
         "replaces a part of it or adds to it",
         "NAME"},
        {"budget", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_budget,
         "Begin no round that would take longer, for example 90s, 5m or 1h (default: 5m, or no "
         "limit with --runs); the first round is always completed",
         "TIME"},
        {"runs", 'n', 0, G_OPTION_ARG_INT, &options->runs, "Run each cell N times (default: 5)",
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
        "Measures migrations at full speed in each cell of a grid of settings. The cells run one "
        "at\n"
        "a time, round by round, each round in another order. Each line of the report is a cell: "
        "its\n"
        "runs, median and quartiles of what was measured, and how many runs failed. With just\n"
        "max-bandwidth and dirty-rate there is also a map of what converges.\n"
        "Exit status: 0 if nothing failed but migrations that did not converge, 1 if another run\n"
        "failed, 2 after a usage or environment error, or if no run of any cell succeeded.");
    GOptionGroup *main_group = g_option_group_new("sweep", "Sweep:", "", options, NULL);
    g_option_group_add_entries(main_group, entries);
    g_option_context_set_main_group(context, main_group);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    if (!godwit_options_parse(context, &options->target, argc, argv, helped, error))
        return false;
    if (*helped)
        return true;
    if (!g_strcmp0(options->preset_name, "list")) {
        godwit_preset_list();
        *helped = true;
        return true;
    }
    options->globs = join(scenarios, further);
    if (!take_preset(options, error) || !check(options, error))
        return false;
    complete(options);
    return true;
}
