/*
 * godwit sweep: how fast migrations are, and which converge, over a grid of settings.
 *
 * A round is one run of each cell, one at a time, in an order of its own, so that neither a drift
 * of the host nor a neighbour in time strikes the same cells in each round. sweep_grid.c makes the
 * cells; this file runs them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/sweep_parts.h"

#include "base/text.h"
#include "measure/statistics.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

/* A sweep that is running. */
struct sweep {
    struct godwit_process *process;
    const struct godwit_sweep_options *options;
    const struct godwit_target *target;
    GPtrArray *plans; /* of struct godwit_plan, as the cells of the report */
    struct godwit_sweep_report report;
    gint64 began;
    unsigned ran; /* runs so far */
};

static struct godwit_job *make_job(const struct sweep *sweep, unsigned number, unsigned round)
{
    const struct godwit_plan *plan = g_ptr_array_index(sweep->plans, number);
    const struct godwit_cell *cell = g_ptr_array_index(sweep->report.cells, number);
    struct godwit_job *job = godwit_target_job(sweep->target, plan->scenario);
    job->setup.workload = plan->setup.workload;
    job->setup.memory_mib = plan->setup.memory_mib;
    job->setup.pause_iteration = plan->setup.pause_iteration;
    job->setup.postcopy_iteration = plan->setup.postcopy_iteration;
    job->setup.window_given = job->setup.memory_given = true;
    json_decref(job->settings);
    godwit_job_set_settings(job, plan->settings);
    g_autofree char *text = godwit_cell_text(sweep->options->axes, cell);
    g_free(job->target);
    job->target = g_strdup_printf("%s %s", sweep->report.arch, text);
    /* The cells of a round make the same random choices. */
    godwit_job_reseed(job, round);
    return job;
}

/* Runs a cell. Returns whether the sweep goes on. */
static bool run_cell(struct sweep *sweep, unsigned number, unsigned round)
{
    struct godwit_summary summary;
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free);
    g_ptr_array_add(jobs, make_job(sweep, number, round));
    g_autoptr(json_t) results = godwit_collect_jobs(sweep->process, jobs, 1, &summary);
    if (sweep->process->interrupted)
        return false;
    if (json_array_size(results))
        godwit_cell_take(g_ptr_array_index(sweep->report.cells, number), sweep->ran++,
                         json_array_get(results, 0));
    return true;
}

static double elapsed(const struct sweep *sweep)
{
    return (double)(g_get_monotonic_time() - sweep->began) / G_USEC_PER_SEC;
}

/* Runs a round. Returns false if it was interrupted. */
static bool run_round(struct sweep *sweep, unsigned round)
{
    struct godwit_sweep_report *report = &sweep->report;
    const double budget = sweep->options->budget;
    const guint count = report->cells->len;
    g_autofree unsigned *order = g_new(unsigned, count);
    json_t *ran = json_array();
    bool told = round > 0;
    godwit_shuffle(order, count, report->seed, round);
    json_array_append_new(report->order, ran);
    for (guint i = 0; i < count; i++) {
        if (((const struct godwit_cell *)g_ptr_array_index(report->cells, order[i]))->skipped)
            continue;
        if (!told && budget > 0 && elapsed(sweep) > budget) {
            godwit_text_complain("the budget is spent before the first round is over, with %u of "
                                 "%u cells to go: going on until it is over",
                                 count - i, count);
            told = true;
        }
        if (!run_cell(sweep, order[i], round))
            return false;
        json_array_append_new(ran, json_integer(order[i]));
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\rround %u of %u, cell %u of %u, %.0f s ", round + 1, report->runs,
                    i + 1, count, elapsed(sweep));
    }
    return true;
}

/* Says how many rounds fit into the budget if not all do, by the time that the first one took. */
static void foresee(const struct sweep *sweep, double first)
{
    const double budget = sweep->options->budget;
    const double all = sweep->report.runs;
    if (!(budget > 0) || all < 2 || budget >= all * first)
        return;
    if (budget < 2 * first)
        godwit_text_complain("a round takes about %.1f s: only the first of %u fits into the "
                             "budget of %g s, or not even that",
                             first, sweep->report.runs, budget);
    else
        godwit_text_complain("a round takes about %.1f s: %.0f of %u rounds fit into the budget "
                             "of %g s",
                             first, floor(budget / first), sweep->report.runs, budget);
}

static enum godwit_sweep_end run_rounds(struct sweep *sweep)
{
    struct godwit_sweep_report *report = &sweep->report;
    double longest = 0;
    bool any = false;
    for (guint i = 0; i < report->cells->len; i++)
        any = any || !((const struct godwit_cell *)g_ptr_array_index(report->cells, i))->skipped;
    if (!any)
        return GODWIT_SWEEP_SKIPPED;
    for (unsigned round = 0; round < report->runs; round++) {
        const double before = elapsed(sweep);
        if (round && report->budget > 0 && before + longest > report->budget)
            return GODWIT_SWEEP_BUDGET;
        if (!run_round(sweep, round))
            return GODWIT_SWEEP_INTERRUPTED;
        report->rounds++;
        longest = MAX(longest, elapsed(sweep) - before);
        if (!round)
            foresee(sweep, longest);
    }
    return GODWIT_SWEEP_RUNS;
}

/* Sets *STATUS to the exit status. Fails if no run of any cell succeeded. */
static bool judge(const struct sweep *sweep, int *status, GError **error)
{
    const GPtrArray *cells = sweep->report.cells;
    unsigned passed = 0, unconverged = 0, failed = 0;
    const char *skipped = NULL;
    for (guint i = 0; i < cells->len; i++) {
        const struct godwit_cell *cell = g_ptr_array_index(cells, i);
        passed += cell->passed;
        unconverged += cell->unconverged;
        failed += cell->failed;
        skipped = skipped ? skipped : cell->skipped;
    }
    *status = failed > 0;
    if (passed || sweep->process->interrupted)
        return true;
    if (!unconverged && !failed)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no cell can run: %s", skipped);
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "no run of any cell succeeded: %u did not converge, %u failed", unconverged,
                       failed);
}

static bool conclude(struct sweep *sweep, int *status, GError **error)
{
    static char *const text[] = {(char *)(uintptr_t) "text", NULL};
    char *const *formats = sweep->options->formats ? sweep->options->formats : text;
    for (guint i = 0; formats[i]; i++)
        if (!godwit_sweep_write(formats[i], &sweep->report, error))
            return false;
    return judge(sweep, status, error);
}

/* Adds to ERROR why the target's QEMU may lack what the preset sets. */
static bool explain(const struct godwit_sweep_options *options, GError **error)
{
    const struct godwit_preset *preset = options->preset;
    if (preset && preset->gone && error && *error && (*error)->code == GODWIT_ERROR_USAGE) {
        g_autofree char *message = g_strdup_printf("%s (%s)", (*error)->message, preset->gone);
        g_free((*error)->message);
        (*error)->message = g_steal_pointer(&message);
    }
    return false;
}

static bool sweep_all(struct godwit_process *process, const struct godwit_sweep_options *options,
                      int *status, GError **error)
{
    g_autoptr(GPtrArray) scenarios = godwit_match_scenarios(options->globs, error);
    if (!scenarios || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets = godwit_targets(process, &options->target, 1, error);
    if (!targets)
        return explain(options, error);
    if (!godwit_speed_only_one("sweep", targets, error))
        return false;
    const struct godwit_target *target = g_ptr_array_index(targets, 0);
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(godwit_plan_free);
    struct sweep sweep = {
        .process = process,
        .options = options,
        .target = target,
        .plans = plans,
        .report =
            {
                .path = target->source->path,
                .version = target->source->version,
                .package = target->source->package,
                .destination_path = target->destination->path,
                .destination_version = target->destination->version,
                .arch = target->setup.machine->arch,
                .machine = target->setup.type,
                .accel = target->setup.accel,
                .preset = options->preset_name,
                .settings = options->target.settings,
                .seed = target->setup.seed,
                .axes = options->axes,
                .cells = g_ptr_array_new_with_free_func(godwit_cell_free),
                .order = json_array(),
                .runs = (unsigned)options->runs,
                .budget = options->budget,
                .give_up = options->target.give_up,
            },
    };
    bool good =
        godwit_sweep_grid(process, options, target, scenarios, sweep.report.cells, plans, error);
    if (good) {
        /* Before the runs, so that the load of the host is not theirs. */
        sweep.report.about = godwit_about(targets);
        sweep.began = g_get_monotonic_time();
        sweep.report.end = run_rounds(&sweep);
        sweep.report.elapsed = elapsed(&sweep);
        if (isatty(STDERR_FILENO))
            fputc('\n', stderr);
        good = conclude(&sweep, status, error);
    } else {
        explain(options, error);
    }
    godwit_sweep_report_clear(&sweep.report);
    return good;
}

bool godwit_command_sweep(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error)
{
    struct godwit_sweep_options options = {0};
    bool helped = false;
    const bool good = godwit_sweep_options_parse(&options, &argc, &argv, &helped, error) &&
                      (helped || sweep_all(process, &options, status, error));
    godwit_sweep_options_clear(&options);
    return good;
}
