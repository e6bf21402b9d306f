/*
 * godwit run: runs scenarios on all selected targets, one or more times.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/files.h"
#include "bugs/bugs.h"
#include "godwit/guest_abi.h"
#include "oracle/ledger.h"
#include "qemu/host.h"
#include "report/kept.h"
#include "report/report.h"
#include <string.h>

struct run_options {
    struct godwit_options target;
    int jobs;
    int repeat;
    gboolean until_fail;
    gboolean slow;
    gboolean quick;
    char *shard;
    char *shard_times;
    char **formats;
    char *oracles;
    unsigned oracles_off;
    gboolean allow_all_skipped;
    gboolean bisect;
    gboolean keep;
    char *output;
    char **globs;
    char *preset;
    struct godwit_shard part;
};

static void clear(struct run_options *options)
{
    godwit_options_clear(&options->target);
    g_free(options->shard);
    g_free(options->shard_times);
    g_strfreev(options->formats);
    g_free(options->oracles);
    g_free(options->output);
    g_strfreev(options->globs);
    g_free(options->preset);
}

/* A question that many users have, as a choice of scenarios and targets. */
struct preset {
    const char *name, *direction;
    const char *globs[32];
};

static const struct preset presets[] = {
    /* Does a new QEMU take the guests of an old one? Each way in which two versions exchange pages
     * and state, once. What only one side does (refusals, cancelling, accidents) is left out. */
    {.name = "upgrade",
     .direction = "upgrade",
     .globs = {"precopy/unix/plain",
               "precopy/unix/xbzrle",
               "precopy/unix/suspend/*",
               "precopy/tcp/plain",
               "precopy/tcp/tls/x509/default-host",
               "precopy/auto-converge",
               "precopy/pause-before-switchover",
               "precopy/tcp/switchover-ack",
               "multifd/tcp/channels/plain",
               "multifd/tcp/zlib",
               "multifd/tcp/zstd",
               "multifd/tcp/postcopy",
               "multifd/tcp/zero-page/legacy",
               "multifd/tcp/zero-page/none",
               "postcopy/plain",
               "postcopy/preempt/plain",
               "postcopy/recovery/plain",
               "postcopy/suspend",
               "file/plain",
               "file/mapped-ram",
               "file/multifd/mapped-ram",
               "smp/4",
               "stream/analyze",
               NULL}},
};

/* Replaces --preset by the globs and the direction that it stands for. */
static bool apply_preset(struct run_options *options, GError **error)
{
    if (!options->preset)
        return true;
    if (options->globs)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--preset chooses the scenarios and excludes a GLOB");
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++) {
        if (strcmp(options->preset, presets[i].name) != 0)
            continue;
        options->globs = g_strdupv((char **)(uintptr_t)presets[i].globs);
        if (!options->target.direction)
            options->target.direction = g_strdup(presets[i].direction);
        return true;
    }
    return godwit_fail(error, GODWIT_ERROR_USAGE, "unknown preset \"%s\" (expected upgrade)",
                       options->preset);
}

/* Applies --quick, which answers whether migration works here at all: one workload, the one that
 * checks most, and no failure for a known bug of QEMU. make_jobs() picks the scenarios. */
static bool apply_quick(struct run_options *options, GError **error)
{
    if (!options->quick)
        return true;
    if (options->globs || options->preset || options->target.strict)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--quick chooses the scenarios, accepts known bugs, and excludes a "
                           "GLOB, --preset and --strict");
    options->target.usual_workloads = "stamp";
    options->target.accepted = godwit_bug_set_all();
    return true;
}

static bool check(struct run_options *options, GError **error)
{
    if (options->jobs < 1 || options->jobs > 256)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "-j needs a number from 1 to 256");
    if (options->repeat != GODWIT_NOT_GIVEN && options->repeat < 1)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--repeat needs a number of 1 or more");
    if (options->bisect && options->allow_all_skipped)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--bisect and --allow-all-skipped exclude each other: a QEMU that ran "
                           "nothing is not good");
    if (options->shard_times && !options->shard)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--shard-times says how to divide a run: it needs --shard");
    if (!godwit_shard_parse(options->shard, &options->part, error))
        return false;
    if (!apply_quick(options, error) || !apply_preset(options, error))
        return false;
    return !options->oracles ||
           godwit_oracles_choose(options->oracles, &options->oracles_off, error);
}

static bool parse(struct run_options *options, int *argc, char ***argv, bool *helped,
                  GError **error)
{
    godwit_options_init(&options->target);
    options->target.usual_workloads = "order,stamp";
    options->repeat = GODWIT_NOT_GIVEN;
    options->jobs = (int)MAX(1, godwit_host_processors() / 2);
    g_autofree char *oracles_help = godwit_oracles_help();
    const GOptionEntry entries[] = {
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &options->jobs,
         "Scenarios to run in parallel, 1 to 256 (default: one per two processors)", "N"},
        {"repeat", 0, 0, G_OPTION_ARG_INT, &options->repeat,
         "Run each scenario N times (default: 1)", "N"},
        {"until-fail", 0, 0, G_OPTION_ARG_NONE, &options->until_fail,
         "Stop at the first failure; without --repeat, repeat until there is one", NULL},
        {"slow", 0, 0, G_OPTION_ARG_NONE, &options->slow,
         "Also run the slow scenarios; otherwise they run only if named in full", NULL},
        {"quick", 0, 0, G_OPTION_ARG_NONE, &options->quick,
         "In place of a GLOB, the scenarios that `godwit list` marks as quick, with the workload "
         "stamp; no known bug of QEMU is a failure",
         NULL},
        {"preset", 0, 0, G_OPTION_ARG_STRING, &options->preset,
         "In place of a GLOB, the scenarios for a question; upgrade: does a new QEMU take the "
         "guests of an old one? (implies --direction upgrade)",
         "NAME"},
        {"shard", 0, 0, G_OPTION_ARG_STRING, &options->shard,
         "Run only part I of N equal parts, to spread a run over several machines; auto takes I "
         "and N "
         "from the environment, auto/N takes I",
         "I/N"},
        {"shard-times", 0, 0, G_OPTION_ARG_FILENAME, &options->shard_times,
         "Divide by the times in FILE, which an earlier run has written with --format json; all "
         "shards need the same file",
         "FILE"},
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options->formats,
         "Report as text (default), " GODWIT_REPORT_FORMATS
         ", to standard output or to FILE; repeatable",
         "NAME[:FILE]"},
        {"oracle", 0, 0, G_OPTION_ARG_STRING, &options->oracles, oracles_help, "NAME[,NAME...]"},
        GODWIT_ALLOW_ALL_SKIPPED(&options->allow_all_skipped),
        {"bisect", 0, 0, G_OPTION_ARG_NONE, &options->bisect,
         "Exit for `git bisect run`: 125 instead of 2 if this QEMU cannot be judged, 255 after a "
         "usage error",
         NULL},
        {"keep", 0, 0, G_OPTION_ARG_NONE, &options->keep,
         "Also keep the folders of scenarios that passed", NULL},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output,
         "Where to keep the folders of scenarios that failed, or of all with --keep (default: "
         "godwit-output)",
         "DIR"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->globs, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...] [-- QEMU-ARGS]");
    g_option_context_set_summary(
        context,
        "Runs the scenarios whose names match a GLOB, or all scenarios without a GLOB. Slow\n"
        "scenarios run only with --slow, or if their full name is given. device/NAME,\n"
        "hotplug/NAME, unplug/NAME, prelaunch/NAME, roundtrip/NAME, poke/NAME, machine/NAME,\n"
        "cpu/NAME and prelaunch-cpu/NAME, scenarios for each device, machine type and CPU model "
        "that a QEMU\n"
        "has, run only with a GLOB, such as 'device/*'.\n"
        "Exit status: 0 if nothing failed, 1 if a scenario failed, 2 after a usage or environment\n"
        "error or if nothing ran. Skips are not failures. A known bug of QEMU is a failure only "
        "if it\nloses the guest; see --accept-known and --strict.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    return godwit_options_parse(context, &options->target, argc, argv, helped, error) &&
           (*helped || check(options, error));
}

static bool endless(const struct run_options *options)
{
    return options->until_fail && options->repeat == GODWIT_NOT_GIVEN;
}

/* Returns true if a glob is the full name of the scenario. */
static bool named(const struct run_options *options, const struct godwit_scenario *scenario)
{
    return options->globs && g_strv_contains((const char *const *)options->globs, scenario->name);
}

/* Returns whether this run is to run the scenario on that target. */
static bool wanted(const struct run_options *options, const struct godwit_target *target,
                   const struct godwit_scenario *scenario)
{
    if (scenario->slow && !options->slow && !named(options, scenario))
        return false;
    if (options->quick && !scenario->quick)
        return false;
    /* A scenario that does not support `stamp` runs on the target with `order` only. */
    return !target->second || godwit_scenario_stamps(scenario) ||
           !(target->setup.workload.flags & GODWIT_FLAG_STAMP);
}

/* Returns a job for each scenario on each target, over all shards, in the order in which they run.
 * Returns NULL with ERROR set if a QEMU does not list what it has of a prototype. */
static GPtrArray *all_jobs(struct godwit_process *process, const struct run_options *options,
                           const GPtrArray *targets, const GPtrArray *all, GError **error)
{
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free);
    for (guint t = 0; t < targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(targets, t);
        g_autoptr(GPtrArray) scenarios =
            godwit_target_scenarios(process, target, all, options->globs, error);
        if (!scenarios)
            return NULL;
        for (guint s = 0; s < scenarios->len; s++) {
            const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, s);
            if (!wanted(options, target, scenario))
                continue;
            struct godwit_job *job = godwit_target_job(target, scenario);
            job->keep = options->keep;
            job->setup.oracles_off = options->oracles_off;
            job->repetitions = endless(options) ? 0 : (unsigned)MAX(options->repeat, 1);
            g_ptr_array_add(jobs, job);
        }
    }
    return g_steal_pointer(&jobs);
}

/* Takes from JOBS those that are not of this shard. Adds all to SELECTION. */
static bool keep_shard(const struct run_options *options, GPtrArray *jobs,
                       godwit_selection *selection, GError **error)
{
    g_autoptr(godwit_times) times = NULL;
    if (options->shard_times && !(times = godwit_times_read(options->shard_times, error)))
        return false;
    g_autoptr(GArray) owners =
        godwit_shard_deal(&options->part, times, jobs, (unsigned)options->jobs);
    for (guint i = 0; i < jobs->len; i++)
        godwit_selection_add(selection, g_ptr_array_index(jobs, i));
    if (times)
        godwit_selection_add_deal(selection, owners);
    for (guint i = jobs->len; i-- > 0;)
        if (g_array_index(owners, unsigned, i) != options->part.index)
            g_ptr_array_remove_index(jobs, i);
    return true;
}

/* Takes from JOBS those that their target cannot run, and adds a result for each to SKIPPED. */
static void skip_jobs(GPtrArray *jobs, GPtrArray *skipped)
{
    for (guint i = 0; i < jobs->len;) {
        const struct godwit_job *job = g_ptr_array_index(jobs, i);
        const struct godwit_setup *setup = &job->setup;
        g_autofree char *skip = godwit_scenario_skip_reason(job->scenario, setup);
        if (!skip) {
            i++;
            continue;
        }
        g_ptr_array_add(skipped,
                        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f}", "scenario",
                                  job->scenario->name, "target", godwit_job_target(job), "arch",
                                  setup->machine->arch, "source_version", setup->source->version,
                                  "destination_version", setup->destination->version, "status",
                                  "skip", "message", skip, "ms", 0.0));
        g_ptr_array_remove_index(jobs, i);
    }
}

/* Adds the further repetitions of JOBS, in whole rounds, so that a run that ends early has run all
 * scenarios equally often. */
static void repeat_jobs(GPtrArray *jobs, int repeat)
{
    const guint round = jobs->len;
    for (int r = 2; r <= repeat; r++) {
        for (guint i = 0; i < round; i++) {
            struct godwit_job *copy = godwit_job_copy(g_ptr_array_index(jobs, i));
            copy->repetition = (unsigned)r;
            godwit_job_reseed(copy, (unsigned)r - 1);
            g_ptr_array_add(jobs, copy);
        }
    }
}

/* Returns the jobs of this shard, in the order in which they run. Adds to SKIPPED a result for each
 * scenario that a target cannot run, and to SELECTION the jobs of every shard. */
static GPtrArray *make_jobs(struct godwit_process *process, const struct run_options *options,
                            const GPtrArray *targets, const GPtrArray *all, GPtrArray *skipped,
                            godwit_selection *selection, GError **error)
{
    g_autoptr(GPtrArray) jobs = all_jobs(process, options, targets, all, error);
    if (!jobs || !keep_shard(options, jobs, selection, error))
        return NULL;
    skip_jobs(jobs, skipped);
    repeat_jobs(jobs, options->repeat);
    return g_steal_pointer(&jobs);
}

static bool run(struct godwit_process *process, const struct run_options *options, int *status,
                GError **error)
{
    g_autofree char *output =
        g_canonicalize_filename(options->output ? options->output : "godwit-output", NULL);
    g_autoptr(GPtrArray) scenarios = godwit_match_scenarios(options->globs, error);
    if (!scenarios || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets =
        godwit_targets(process, &options->target, (unsigned)options->jobs, error);
    if (!targets)
        return false;

    g_autoptr(GPtrArray) skipped = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_autoptr(godwit_selection) selection = godwit_selection_new();
    g_autoptr(GPtrArray) jobs =
        make_jobs(process, options, targets, scenarios, skipped, selection, error);
    if (!jobs)
        return false;

    /* This comes last, so that a run that does not begin leaves nothing behind. */
    g_autoptr(GPtrArray) reporters = godwit_reporters_open_or_text(options->formats, error);
    if (!reporters)
        return false;
    if (options->keep && !godwit_files_folder(output, error)) {
        godwit_reporters_discard(reporters);
        return false;
    }
    g_autoptr(GPtrArray) observers = g_ptr_array_new();
    g_ptr_array_add(observers, &godwit_kept_writer);
    godwit_reporters_begin(reporters, observers, targets, jobs, selection, &options->part,
                           endless(options) ? 0 : (unsigned)MAX(options->repeat, 1));
    for (guint i = 0; i < reporters->len; i++)
        ((struct godwit_reporter *)g_ptr_array_index(reporters, i))->width =
            godwit_targets_width(targets);
    struct godwit_run todo = {
        .jobs = jobs,
        .skipped = skipped,
        .parallel = (unsigned)options->jobs,
        .until_fail = options->until_fail,
        .endless = endless(options),
        .keep = options->keep,
        .folder = process->folder,
        .output = output,
        .janitor = process->janitor,
        .observers = observers,
        .interrupted = &process->interrupted,
    };
    const struct godwit_summary summary = godwit_run_jobs(&todo);
    *status = godwit_summary_status(&summary);
    return godwit_reporters_close(reporters, error) &&
           godwit_summary_check(&summary, options->allow_all_skipped, error);
}

bool godwit_command_run(struct godwit_process *process, int argc, char **argv, int *status,
                        GError **error)
{
    struct run_options options = {0};
    bool helped = false;
    const bool good = parse(&options, &argc, &argv, &helped, error) &&
                      (helped || run(process, &options, status, error));
    clear(&options);
    return good;
}
