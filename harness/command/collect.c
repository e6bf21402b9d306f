/*
 * Runs scenarios many times and collects the results, for the tables of bench, selftest,
 * compare and sweep.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "report/report.h"
#include <string.h>

static void keep_result(gpointer data, const json_t *result)
{
    json_array_append(data, (json_t *)(uintptr_t)result);
    if (godwit_result_passed(result) || godwit_result_is_not_run(result) ||
        godwit_result_unconverged(result) ||
        !strcmp(godwit_json_string(result, "status", ""), "skip"))
        return;
    g_autofree char *details = godwit_report_details(result, "      ");
    g_autofree char *target = godwit_text_line(godwit_report_target(result));
    fprintf(stderr, "%s %s %s\n%s",
            strcmp(godwit_json_string(result, "status", ""), "error") ? "FAIL " : "ERROR", target,
            godwit_json_string(result, "scenario", ""), details);
}

/* Returns the jobs of all runs. Sets *SKIPPED to the number of runs that a target cannot do. */
static GPtrArray *make_jobs(const GPtrArray *targets, const GPtrArray *scenarios, unsigned runs,
                            unsigned *skipped)
{
    *skipped = 0;
    GPtrArray *jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free);
    for (unsigned r = 0; r < runs; r++) {
        for (guint t = 0; t < targets->len; t++) {
            const struct godwit_target *target = g_ptr_array_index(targets, t);
            for (guint s = 0; s < scenarios->len; s++) {
                const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, s);
                g_autofree char *skip = godwit_scenario_skip_reason(scenario, &target->setup);
                if (skip) {
                    ++*skipped;
                    continue;
                }
                struct godwit_job *job = godwit_target_job(target, scenario);
                /* The random choices of a run differ on each target. */
                godwit_job_reseed(job, r * targets->len + t);
                g_ptr_array_add(jobs, job);
            }
        }
    }
    return jobs;
}

json_t *godwit_collect_jobs(struct godwit_process *process, GPtrArray *jobs, unsigned parallel,
                            struct godwit_summary *summary)
{
    json_t *results = json_array();
    struct godwit_observer collector = {.data = results, .result = keep_result};
    g_autoptr(GPtrArray) observers = g_ptr_array_new();
    g_ptr_array_add(observers, &collector);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    struct godwit_run todo = {
        .jobs = jobs,
        .skipped = none,
        .parallel = parallel,
        .folder = process->folder,
        .janitor = process->janitor,
        .observers = observers,
        .interrupted = &process->interrupted,
    };
    *summary = godwit_run_jobs(&todo);
    return results;
}

json_t *godwit_collect(struct godwit_process *process, const GPtrArray *targets,
                       const GPtrArray *scenarios, unsigned runs, unsigned parallel,
                       struct godwit_summary *summary)
{
    unsigned skipped;
    g_autoptr(GPtrArray) jobs = make_jobs(targets, scenarios, runs, &skipped);
    json_t *results = godwit_collect_jobs(process, jobs, parallel, summary);
    summary->skipped += skipped;
    return results;
}
