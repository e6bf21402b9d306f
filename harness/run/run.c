/*
 * The scheduler of a run: decides which job starts when and which worker has its turn, and collects
 * results and folders. child.c handles a single worker.
 *
 * At most run->parallel workers run guests at a time. As many again may be started ahead: while the
 * guests of some run, the QEMUs of the next start. A worker runs its guests when it is given its
 * turn. It ends its turn early by reporting that its guests are over, and keeps the processor only
 * for writing its result.
 *
 * Invariants: every job has exactly one result, even if it never ran (give_not_run()). After the
 * end of each worker, all processes that it left are killed and reaped (sweep()).
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/run_parts.h"

#include "base/contain.h"
#include "base/file.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "run/confirm.h"
#include "run/result.h"
#include <math.h>
#include <string.h>

/* Kills the processes that dead workers left, which have become children of this process, and waits
 * until they are gone: a killed QEMU takes a moment to give its memory back. The janitor and the
 * live WORKERS are the only other children of this process. */
static void sweep(const struct godwit_run *run, const GPtrArray *workers)
{
    g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(pid_t));
    if (run->janitor) {
        const pid_t janitor = godwit_janitor_pid(run->janitor);
        g_array_append_val(known, janitor);
    }
    for (guint i = 0; i < workers->len; i++)
        g_array_append_val(known, ((struct worker *)g_ptr_array_index(workers, i))->pid);
    godwit_contain_sweep((const pid_t *)(void *)known->data, known->len);
}

static void write_result(const struct worker *worker, const json_t *result)
{
    g_autofree char *path = g_build_filename(worker->folder, "result.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *dumped = godwit_json_dump(result, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!godwit_file_write(path, dumped, strlen(dumped), &error))
        godwit_text_complain("%s", error->message);
}

/* Returns whether the folder of this result is kept by default. An excused known bug needs no new
 * evidence each time. */
static bool is_evidence(const json_t *result)
{
    return !godwit_result_passed(result) &&
           strcmp(godwit_json_string(result, "status", "fail"), "skip") != 0;
}

/* Moves the worker's folder to the output folder if it must be kept. Returns whether it is kept.
 * Sockets are nothing to keep: nobody listens, and many tools stumble over them. */
static bool keep_folder(struct worker *worker, const json_t *result)
{
    const struct godwit_run *run = worker->run;
    if (!run->keep && (!run->output || !is_evidence(result)))
        return false;
    godwit_files_remove_sockets(worker->folder);
    if (run->keep)
        return true;
    g_autoptr(GError) error = NULL;
    char *path = godwit_files_move(worker->folder, run->output, &error);
    if (!path) {
        godwit_text_complain("cannot keep the folder of %s: %s", godwit_job_name(worker->job),
                             error->message);
        return false;
    }
    g_free(worker->folder);
    worker->folder = path;
    worker->kept = true;
    return true;
}

/* Adds the description of the job to its result: everything that a worker does not report
 * itself. */
static void describe_job(json_t *result, const struct godwit_job *job, double ms,
                         const char *folder)
{
    g_autofree char *again = godwit_job_again(job);
    g_autoptr(json_t) more = json_pack(
        "{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:s, s:s*, s:s*, s:O*}",
        "scenario", godwit_job_name(job), "summary", job->scenario ? job->scenario->summary : NULL,
        "kit", GODWIT_VERSION, "target", godwit_job_target(job), "arch", job->setup.machine->arch,
        "image", job->setup.image->name, "machine", job->setup.type, "accel", job->setup.accel,
        "source_version", job->setup.source->version, "destination_version",
        job->setup.destination->version, "repetition", (int)job->repetition, "repetitions",
        (int)job->repetitions, "ms", ms, "again", again, "fault", job->fault, "folder", folder,
        "settings", job->settings);
    json_object_update(result, more);
}

/* Returns the complete result of a worker that has ended. The caller frees it. */
static json_t *finish_result(struct worker *worker)
{
    json_t *result =
        godwit_worker_is_sound(worker) ? json_incref(worker->result) : godwit_worker_lost(worker);
    const bool keep = keep_folder(worker, result);
    /* Whole microseconds: what is printed from the result is then the same as from its JSON. */
    const long long waited = llround(json_number_value(json_object_get(result, "waited")) * 1000.0);
    const gint64 took = g_get_monotonic_time() - worker->began - waited;
    describe_job(result, worker->job, (double)took / 1000.0, keep ? worker->folder : NULL);
    if (keep) {
        write_result(worker, result);
        OBSERVE(worker->run, kept, result);
    }
    return result;
}

void godwit_summary_add(struct godwit_summary *summary, const json_t *result)
{
    const char *status = godwit_json_string(result, "status", "fail");
    summary->red_known += godwit_json_string(result, "known", NULL) != NULL;
    if (!strcmp(status, "pass"))
        summary->passed++;
    else if (!strcmp(status, "known"))
        summary->known++;
    else if (!strcmp(status, "skip"))
        summary->skipped++;
    else if (!strcmp(status, "error"))
        summary->errors++;
    else
        summary->failed++;
    summary->not_run += !strcmp(godwit_json_string(result, "kind", ""), "not-run");
}

/* Reports a result of the kind "not-run" for a job that did not run, or not to its end. An endless
 * run does so in its first round only. */
static void give_not_run(struct godwit_run *run, const struct godwit_job *job, const char *reason,
                         struct godwit_summary *summary)
{
    if (run->endless && job->repetition > 1)
        return;
    g_autoptr(json_t) result =
        json_pack("{s:s, s:s, s:s, s:[], s:[], s:{}, s:[]}", "status", "error", "message", reason,
                  "kind", "not-run", "phases", "oracles", "measurements", "vms");
    describe_job(result, job, 0, NULL);
    godwit_summary_add(summary, result);
    OBSERVE(run, result, result);
}

#define ENDED_EARLY "not run: the run ended at its first failure"
#define INTERRUPTED "not run: interrupted"
#define NO_WORKER   "not run: no worker process can be started"

/* Takes the result of a worker that has exited, removes what it left, and frees it. */
static void worker_end(struct worker *worker, const GPtrArray *workers,
                       struct godwit_confirm *confirm, struct godwit_summary *summary)
{
    struct godwit_run *run = worker->run;
    /* Empty the pipe: the result may still be in it. */
    while (!worker->result && godwit_worker_take_input(worker) == INPUT_TAKEN)
        ;
    godwit_worker_kill(worker);
    sweep(run, workers);
    const bool unsound = *run->interrupted && !godwit_worker_is_sound(worker);
    if (worker->job->confirms && (unsound || worker->dropped)) {
        /* Reports nothing: the result that it would have confirmed is given up at the end of the
         * run. */
    } else if (unsound) {
        give_not_run(run, worker->job,
                     worker->turn < 0 ? "not run to its end: interrupted" : INTERRUPTED, summary);
    } else if (worker->dropped) {
        give_not_run(run, worker->job, ENDED_EARLY, summary);
    } else {
        g_autoptr(json_t) result = godwit_confirm_take(confirm, worker->job, finish_result(worker));
        if (result) {
            godwit_summary_add(summary, result);
            OBSERVE(run, result, result);
        }
    }
    if (!run->keep && !worker->kept)
        godwit_files_remove(worker->folder);
    godwit_worker_free(worker);
}

/* Returns a copy of the next job, which the caller frees, or NULL if none is left. */
static struct godwit_job *next_job(const struct godwit_run *run, unsigned serial)
{
    if (serial >= run->jobs->len && (!run->endless || run->jobs->len == 0))
        return NULL;
    struct godwit_job *job = godwit_job_copy(g_ptr_array_index(run->jobs, serial % run->jobs->len));
    if (run->endless) {
        job->repetition = serial / run->jobs->len + 1;
        godwit_job_reseed(job, job->repetition - 1);
    }
    return job;
}

unsigned godwit_run_ahead(unsigned parallel)
{
    return parallel > 1 ? parallel : 0;
}

/* Returns whether the worker occupies one of the places for running guests. */
static bool has_place(const struct worker *worker)
{
    return worker->turn < 0 && !worker->over;
}

/* Gives the free places to the workers that have waited longest. */
static void give_turns(GPtrArray *workers, unsigned parallel)
{
    unsigned taken = 0;
    for (guint i = 0; i < workers->len; i++)
        taken += has_place(g_ptr_array_index(workers, i));
    for (guint i = 0; i < workers->len && taken < parallel; i++) {
        struct worker *worker = g_ptr_array_index(workers, i);
        if (worker->turn >= 0) {
            godwit_worker_give_turn(worker);
            taken++;
        }
    }
}

/* Kills the workers that are still waiting for their turn. */
static void drop_waiting(GPtrArray *workers)
{
    for (guint i = 0; i < workers->len; i++) {
        struct worker *worker = g_ptr_array_index(workers, i);
        if (worker->turn >= 0 && !worker->dropped) {
            worker->dropped = true;
            godwit_worker_kill(worker);
        }
    }
}

/* Returns how many workers wait for a place or occupy one. */
static unsigned count_ahead(const GPtrArray *workers)
{
    unsigned ahead = 0;
    for (guint i = 0; i < workers->len; i++)
        ahead += !((const struct worker *)g_ptr_array_index(workers, i))->over;
    return ahead;
}

/* Reports a result for each job that was never started. NEXT is the first of them, or beyond the
 * last job if all were started. */
static void give_rest(struct godwit_run *run, unsigned next, bool broken,
                      struct godwit_summary *summary)
{
    const char *reason = *run->interrupted ? INTERRUPTED : broken ? NO_WORKER : ENDED_EARLY;
    for (guint i = next; i < run->jobs->len; i++)
        give_not_run(run, g_ptr_array_index(run->jobs, i), reason, summary);
}

struct godwit_summary godwit_run_jobs(struct godwit_run *run)
{
    struct godwit_summary summary = {.planned =
                                         run->endless ? 0 : run->jobs->len + run->skipped->len};
    g_autoptr(GPtrArray) workers = g_ptr_array_new();
    const gint64 began = g_get_monotonic_time();
    unsigned serial = 0, next = 0; /* workers started, and jobs started */
    struct godwit_confirm *confirm = godwit_confirm_new();
    bool broken = false; /* no worker can be started */
    OBSERVE(run, begin, summary.planned);
    for (guint i = 0; i < run->skipped->len; i++) {
        godwit_summary_add(&summary, g_ptr_array_index(run->skipped, i));
        OBSERVE(run, result, g_ptr_array_index(run->skipped, i));
    }
    for (;;) {
        while (count_ahead(workers) < run->parallel + godwit_run_ahead(run->parallel) &&
               !*run->interrupted && !broken &&
               !(run->until_fail && summary.failed + summary.errors)) {
            struct godwit_job *job = godwit_confirm_next(confirm);
            if (!job)
                job = next_job(run, next);
            if (!job)
                break;
            const bool confirms = job->confirms;
            next += !confirms;
            g_autoptr(GError) error = NULL;
            struct worker *worker = godwit_worker_start(run, job, ++serial, &error);
            if (worker) {
                g_ptr_array_add(workers, worker);
            } else {
                g_autofree char *reason = g_strdup_printf(NO_WORKER ": %s", error->message);
                if (!confirms)
                    give_not_run(run, g_ptr_array_index(run->jobs, (next - 1) % run->jobs->len),
                                 reason, &summary);
                broken = true;
            }
        }
        if (workers->len == 0)
            break;
        if (run->until_fail && summary.failed + summary.errors)
            drop_waiting(workers);
        else
            give_turns(workers, run->parallel);
        if (*run->interrupted)
            for (guint i = 0; i < workers->len; i++)
                godwit_worker_kill(g_ptr_array_index(workers, i));
        g_main_context_iteration(NULL, TRUE);
        for (guint i = 0; i < workers->len;) {
            struct worker *worker = g_ptr_array_index(workers, i);
            if (worker->exited) {
                g_ptr_array_remove_index(workers, i);
                worker_end(worker, workers, confirm, &summary);
            } else {
                i++;
            }
        }
    }
    json_t *unconfirmed;
    while ((unconfirmed = godwit_confirm_give_up(confirm))) {
        godwit_summary_add(&summary, unconfirmed);
        OBSERVE(run, result, unconfirmed);
        json_decref(unconfirmed);
    }
    godwit_confirm_free(confirm);
    give_rest(run, next, broken, &summary);
    summary.interrupted = *run->interrupted;
    summary.seconds = (double)(g_get_monotonic_time() - began) / 1e6;
    OBSERVE(run, end, &summary);
    return summary;
}

int godwit_summary_status(const struct godwit_summary *summary)
{
    if (summary->failed)
        return 1;
    return summary->errors ? 2 : 0;
}

bool godwit_summary_check(const struct godwit_summary *summary, bool allowed, GError **error)
{
    if (allowed || summary->interrupted || summary->passed || summary->known || summary->failed ||
        summary->errors)
        return true;
    if (summary->skipped == 1)
        return godwit_fail(
            error, GODWIT_ERROR_ENVIRONMENT,
            "nothing ran: the only scenario was skipped (--allow-all-skipped accepts "
            "that)");
    if (summary->skipped)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "nothing ran: all %u scenarios were skipped (--allow-all-skipped "
                           "accepts that)",
                           summary->skipped);
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "nothing ran: no scenario is left to run (slow ones run only if named in "
                       "full or with --slow; --allow-all-skipped accepts that)");
}
