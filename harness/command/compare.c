/*
 * godwit compare: is QEMU B slower than QEMU A, or one setting slower than another?
 *
 * The arms A, B and A' (A once more) take turns, one run at a time. A round is one run of each arm
 * in each scenario. All arms have the same machine, guest, window and seed. measure/ has the
 * statistics; this file runs and stops.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compare_parts.h"

#include "base/text.h"
#include "migrate/settings.h"
#include <math.h>
#include <string.h>
#include <unistd.h>

/* A comparison that is running. */
struct comparison {
    struct godwit_process *process;
    const struct godwit_compare_options *options;
    const struct godwit_target *target;
    GPtrArray *rows;     /* of struct godwit_scenario, as in the report */
    json_t *settings[2]; /* of A and B; owned */
    struct godwit_compare_report report;
    gint64 began;
};

/* Returns the QEMU and the settings of an arm: 0 for A and for the control, 1 for B. */
static unsigned side_of(enum godwit_arm arm)
{
    return arm == GODWIT_ARM_B;
}

static const struct godwit_qemu *binary_of(const struct comparison *comparison, unsigned side)
{
    return side ? comparison->target->destination : comparison->target->source;
}

/* Returns the settings of both with those of one side. The caller releases it. */
static json_t *merge(const json_t *both, const json_t *own)
{
    json_t *all = json_object();
    json_object_update(all, (json_t *)(uintptr_t)both);
    json_object_update(all, (json_t *)(uintptr_t)own);
    return all;
}

static bool take_settings(struct comparison *comparison, GError **error)
{
    const struct godwit_compare_options *options = comparison->options;
    const json_t *const own[] = {options->settings_a, options->settings_b};
    for (unsigned side = 0; side < 2; side++) {
        comparison->settings[side] = merge(options->target.settings, own[side]);
        const struct godwit_qemu *qemu = binary_of(comparison, side);
        if (!godwit_settings_check(comparison->settings[side], qemu, error))
            return false;
        comparison->report.sides[side] =
            (struct godwit_compare_side){qemu->path, qemu->version, qemu->package,
                                         comparison->settings[side], side && options->waterfall_b};
    }
    comparison->report.alike =
        !options->waterfall_b &&
        !strcmp(comparison->target->source->path, comparison->target->destination->path) &&
        json_equal(comparison->settings[0], comparison->settings[1]);
    return true;
}

/* Returns the setup of one side. */
static struct godwit_setup setup_of(const struct comparison *comparison, unsigned side)
{
    struct godwit_setup setup = comparison->target->setup;
    setup.source = setup.destination = binary_of(comparison, side);
    setup.settings = comparison->settings[side];
    setup.untraced = !comparison->report.sides[side].traced;
    return setup;
}

/* Chooses one window and RAM size for all arms. */
static void choose_window(const struct comparison *comparison,
                          const struct godwit_scenario *scenario,
                          struct godwit_compare_scenario *of)
{
    for (unsigned side = 0; side < 2; side++) {
        struct godwit_setup setup = setup_of(comparison, side);
        const struct godwit_workload *workload = &setup.workload;
        godwit_speed_prepare(scenario, &setup);
        of->window_start = workload->window_start;
        of->window_end = MAX(of->window_end, workload->window_end);
        of->memory_mib = MAX(of->memory_mib, setup.memory_mib);
    }
}

static void add_scenario(struct comparison *comparison, const struct godwit_scenario *scenario)
{
    struct godwit_compare_scenario *new = godwit_compare_scenario_new(scenario->name);
    for (unsigned side = 0; side < 2 && !new->skipped; side++) {
        const struct godwit_setup setup = setup_of(comparison, side);
        new->skipped = godwit_scenario_skip_reason(scenario, &setup);
    }
    choose_window(comparison, scenario, new);
    g_ptr_array_add(comparison->report.scenarios, new);
    g_ptr_array_add(comparison->rows, (gpointer)(uintptr_t)scenario);
}

static struct godwit_job *make_job(const struct comparison *comparison, guint number,
                                   enum godwit_arm arm, unsigned round, bool traced)
{
    const struct godwit_compare_scenario *of =
        g_ptr_array_index(comparison->report.scenarios, number);
    struct godwit_job *job =
        godwit_target_job(comparison->target, g_ptr_array_index(comparison->rows, number));
    const struct godwit_setup setup = setup_of(comparison, side_of(arm));
    job->setup.source = setup.source;
    job->setup.destination = setup.destination;
    job->setup.untraced = setup.untraced && !traced;
    job->setup.workload.window_start = of->window_start;
    job->setup.workload.window_end = of->window_end;
    job->setup.memory_mib = of->memory_mib;
    job->setup.window_given = job->setup.memory_given = true;
    json_decref(job->settings);
    godwit_job_set_settings(job, comparison->settings[side_of(arm)]);
    g_free(job->target);
    job->target =
        g_strdup_printf("%s %s", comparison->target->setup.machine->arch, godwit_arm_name(arm));
    /* The arms of a round make the same random choices. */
    godwit_job_reseed(job, round);
    return job;
}

/* Runs one arm of a scenario. VALUES is NULL for a run that is traced, and no part of a round. */
static void run_arm(struct comparison *comparison, guint number, enum godwit_arm arm,
                    unsigned round, struct godwit_round *values)
{
    struct godwit_compare_scenario *scenario =
        g_ptr_array_index(comparison->report.scenarios, number);
    struct godwit_summary summary;
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free);
    g_ptr_array_add(jobs, make_job(comparison, number, arm, round, !values));
    g_autoptr(json_t) results = godwit_collect_jobs(comparison->process, jobs, 1, &summary);
    if (comparison->process->interrupted || !json_array_size(results))
        return;
    if (values)
        godwit_compare_take(scenario, values, arm, json_array_get(results, 0));
    else
        godwit_compare_take_traced(scenario, side_of(arm), json_array_get(results, 0));
}

static bool is_running(const struct godwit_compare_scenario *scenario)
{
    return !scenario->skipped && !godwit_compare_is_hopeless(scenario);
}

/* Runs a round of all scenarios that are not given up. Returns whether there is one. */
static bool run_round(struct comparison *comparison, unsigned round)
{
    const GPtrArray *scenarios = comparison->report.scenarios;
    bool any = false;
    for (guint s = 0; s < scenarios->len; s++) {
        struct godwit_compare_scenario *scenario = g_ptr_array_index(scenarios, s);
        if (!is_running(scenario))
            continue;
        any = true;
        struct godwit_round values = godwit_round_empty();
        for (unsigned place = 0; place < GODWIT_ARMS; place++) {
            if (comparison->process->interrupted)
                return true;
            run_arm(comparison, s, godwit_arm_at(round, place), round, &values);
        }
        g_array_append_val(scenario->rounds, values);
    }
    return any;
}

/* Runs A and B of each scenario once more, for their waterfalls. */
static void run_traced(struct comparison *comparison)
{
    const GPtrArray *scenarios = comparison->report.scenarios;
    for (guint s = 0; s < scenarios->len; s++)
        for (int arm = GODWIT_ARM_A; arm <= GODWIT_ARM_B; arm++)
            if (is_running(g_ptr_array_index(scenarios, s)) && !comparison->process->interrupted)
                run_arm(comparison, s, (enum godwit_arm)arm, 0, NULL);
}

static bool was_run(const struct godwit_compare_scenario *scenario)
{
    return !scenario->skipped;
}

/* Returns the rounds of the scenarios of which WANTED is true, and sets *NUMBERS to the place of
 * each in the report. The caller frees both. */
static GArray **rounds_of(const struct comparison *comparison,
                          bool (*wanted)(const struct godwit_compare_scenario *scenario),
                          unsigned **numbers, unsigned *count)
{
    const GPtrArray *scenarios = comparison->report.scenarios;
    GArray **rounds = g_new0(GArray *, scenarios->len + 1);
    *numbers = g_new0(unsigned, scenarios->len + 1);
    *count = 0;
    for (guint s = 0; s < scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = g_ptr_array_index(scenarios, s);
        if (!wanted(scenario))
            continue;
        (*numbers)[*count] = s;
        rounds[(*count)++] = scenario->rounds;
    }
    return rounds;
}

/* Returns whether nothing remains to be decided of the scenarios that are not given up. */
static bool is_settled(const struct comparison *comparison)
{
    g_autofree unsigned *numbers = NULL;
    unsigned count;
    g_autofree GArray **rounds = rounds_of(comparison, is_running, &numbers, &count);
    return count && godwit_compare_settled(rounds, count, &comparison->report.rules);
}

static double elapsed(const struct comparison *comparison)
{
    return (double)(g_get_monotonic_time() - comparison->began) / G_USEC_PER_SEC;
}

/* Shows progress on a terminal. */
static void show(const struct comparison *comparison, unsigned rounds)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%u rounds, %.0f s ", rounds, elapsed(comparison));
}

/* Runs rounds until there is a reason to end. */
static enum godwit_compare_end run_rounds(struct comparison *comparison)
{
    const struct godwit_compare_options *options = comparison->options;
    /* The budget includes the two traced runs of each scenario. */
    const double parts = options->waterfall ? 1 + 2.0 / GODWIT_ARMS : 1;
    double longest = 0;
    for (unsigned round = 0;; round++) {
        const double before = elapsed(comparison);
        if (options->runs && round == (unsigned)options->runs)
            return GODWIT_COMPARE_RUNS;
        if (round && options->budget > 0 && before + longest * parts > options->budget)
            return GODWIT_COMPARE_BUDGET;
        if (!options->runs && godwit_compare_looks(round) && is_settled(comparison))
            return GODWIT_COMPARE_SETTLED;
        if (!run_round(comparison, round))
            return GODWIT_COMPARE_FAILED;
        if (comparison->process->interrupted)
            return GODWIT_COMPARE_INTERRUPTED;
        longest = MAX(longest, elapsed(comparison) - before);
        show(comparison, round + 1);
    }
}

static void make_rows(struct comparison *comparison)
{
    g_autofree unsigned *numbers = NULL;
    unsigned count;
    g_autofree GArray **rounds = rounds_of(comparison, was_run, &numbers, &count);
    comparison->report.rows =
        godwit_compare(rounds, count, &comparison->report.rules, comparison->report.confidence);
    for (guint i = 0; i < comparison->report.rows->len; i++) {
        struct godwit_row *row = &g_array_index(comparison->report.rows, struct godwit_row, i);
        row->scenario = numbers[row->scenario];
    }
}

/* Fails if an arm of a scenario that was run has no success. */
static bool all_measured(const struct godwit_compare_report *report, GError **error)
{
    unsigned run = 0;
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = g_ptr_array_index(report->scenarios, s);
        if (scenario->skipped)
            continue;
        run++;
        for (int arm = 0; arm < GODWIT_ARMS; arm++)
            if (!scenario->passed[arm])
                return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                                   "no run of %s succeeded with %s, so it cannot be compared",
                                   scenario->name, godwit_arm_name((enum godwit_arm)arm));
    }
    if (!run)
        return godwit_fail(
            error, GODWIT_ERROR_ENVIRONMENT, "none of these scenarios can be compared: %s",
            ((struct godwit_compare_scenario *)g_ptr_array_index(report->scenarios, 0))->skipped);
    return true;
}

static bool conclude(struct comparison *comparison, int *status, GError **error)
{
    static char *const text[] = {(char *)(uintptr_t) "text", NULL};
    struct godwit_compare_report *report = &comparison->report;
    char *const *formats = comparison->options->formats ? comparison->options->formats : text;
    bool worse = false;
    make_rows(comparison);
    for (guint i = 0; formats[i]; i++)
        if (!godwit_compare_write(formats[i], report, error))
            return false;
    for (guint i = 0; i < report->rows->len; i++)
        worse = worse || godwit_row_is_slower(&g_array_index(report->rows, struct godwit_row, i));
    for (guint s = 0; s < report->scenarios->len; s++)
        worse = worse || godwit_compare_fails(g_ptr_array_index(report->scenarios, s));
    *status = worse;
    return worse || comparison->process->interrupted || all_measured(report, error);
}

static bool compare(struct godwit_process *process, const struct godwit_compare_options *options,
                    int *status, GError **error)
{
    static char *const usual[] = {(char *)(uintptr_t) "precopy/tcp/plain",
                                  (char *)(uintptr_t) "postcopy/plain", NULL};
    g_autoptr(GPtrArray) scenarios =
        godwit_match_scenarios(options->globs ? options->globs : (char **)(uintptr_t)usual, error);
    if (!scenarios || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets = godwit_targets(process, &options->target, 1, error);
    if (!targets || !godwit_speed_only_one("compare", targets, error))
        return false;
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    const struct godwit_target *target = g_ptr_array_index(targets, 0);
    struct comparison comparison = {
        .process = process, .options = options, .target = target, .rows = rows};
    struct godwit_compare_report *report = &comparison.report;
    report->scenarios = g_ptr_array_new();
    report->arch = target->setup.machine->arch;
    report->machine = target->setup.type;
    report->accel = target->setup.accel;
    report->workload = godwit_workload_name(&target->setup.workload);
    report->rules =
        (struct godwit_rules){options->tolerance, options->tolerance_downtime, target->setup.seed};
    /* What is looked at again and again is held to the same confidence each time, the last one
     * included. */
    report->confidence = options->runs ? GODWIT_CONFIDENCE : GODWIT_CONFIDENCE_LOOKS;
    report->budget = options->budget;
    bool good = take_settings(&comparison, error);
    if (good) {
        for (guint s = 0; s < scenarios->len; s++)
            add_scenario(&comparison, g_ptr_array_index(scenarios, s));
        if (report->alike)
            godwit_text_complain("A and B are the same QEMU with the same settings: this is an "
                                 "A/A test, in which nothing should be slower");
        /* Before the runs, so that the load of the host is not theirs. */
        report->about = godwit_about(targets);
        comparison.began = g_get_monotonic_time();
        report->end = run_rounds(&comparison);
        if (options->waterfall)
            run_traced(&comparison);
        report->elapsed = elapsed(&comparison);
        if (isatty(STDERR_FILENO))
            fputc('\n', stderr);
        good = conclude(&comparison, status, error);
    }
    json_decref(comparison.settings[0]);
    json_decref(comparison.settings[1]);
    godwit_compare_report_clear(report);
    return good;
}

bool godwit_command_compare(struct godwit_process *process, int argc, char **argv, int *status,
                            GError **error)
{
    struct godwit_compare_options options = {0};
    bool helped = false;
    const bool good = godwit_compare_options_parse(&options, &argc, &argv, &helped, error) &&
                      (helped || compare(process, &options, status, error));
    godwit_compare_options_clear(&options);
    return good;
}
