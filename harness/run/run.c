/* SPDX-License-Identifier: MIT */
#include "run/run.h"

#include "base/contain.h"
#include "base/file.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"
#include "run/confirm.h"
#include "run/result.h"
#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker reports its own timeout; this much later it is taken for lost. In seconds. */
#define GRACE_SECONDS 20

/* A job that is running. */
struct worker {
    struct godwit_run *run;
    struct godwit_job *job;
    char *folder;
    GSubprocess *process;
    pid_t pid; /* and process group */
    int fd;    /* reading end of its reports */
    int turn;  /* writing end of what tells it that it is its turn; -1 once it is */
    guint source;
    guint timer; /* from its turn on */
    GString *input;
    char *phase;    /* the latest it reported */
    json_t *result; /* once it reported one */
    gint64 began;
    bool late;
    bool over;    /* it has no guest any more that runs */
    bool dropped; /* its turn is not to come any more */
    bool exited;
    bool kept; /* its folder has been put where it stays */
};

/* Calls FUNCTION, a member of struct godwit_observer, of every observer that has one. */
#define OBSERVE(run, function, ...)                                                                \
    do {                                                                                           \
        for (guint o = 0; o < (run)->observers->len; o++) {                                        \
            const struct godwit_observer *observer = g_ptr_array_index((run)->observers, o);       \
            if (observer->function)                                                                \
                observer->function(observer->data, __VA_ARGS__);                                   \
        }                                                                                          \
    } while (0)

static void take_line(struct worker *worker, const char *line)
{
    g_autoptr(json_t) object = json_loads(line, 0, NULL);
    const char *phase = godwit_json_string(object, "progress", NULL);
    if (phase) {
        g_free(worker->phase);
        worker->phase = g_strdup(phase);
        OBSERVE(worker->run, progress, worker->job, object);
    } else if (godwit_json_true(object, "over")) {
        worker->over = true;
    } else if (godwit_json_string(object, "status", NULL) && !worker->result) {
        worker->result = json_incref(object);
    }
}

/* What a read from a worker's pipe came to. */
enum input { INPUT_TAKEN, INPUT_NONE_YET, INPUT_END };

static enum input take_input(struct worker *worker)
{
    char buffer[65536];
    const ssize_t length = read(worker->fd, buffer, sizeof(buffer));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return INPUT_NONE_YET;
    if (length <= 0)
        return INPUT_END;
    g_string_append_len(worker->input, buffer, length);
    char *end;
    while ((end = memchr(worker->input->str, '\n', worker->input->len))) {
        g_autofree char *line = g_strndup(worker->input->str, (gsize)(end - worker->input->str));
        g_string_erase(worker->input, 0, end - worker->input->str + 1);
        take_line(worker, line);
    }
    return INPUT_TAKEN;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct worker *worker = data;
    (void)fd;
    (void)condition;
    if (take_input(worker) != INPUT_END)
        return G_SOURCE_CONTINUE;
    worker->source = 0;
    return G_SOURCE_REMOVE;
}

static void exited(GObject *object, GAsyncResult *result, gpointer data)
{
    struct worker *worker = data;
    g_subprocess_wait_finish(G_SUBPROCESS(object), result, NULL);
    worker->exited = true;
}

/* Nearly everything that the worker started is in its process group; sweep() finds the rest. */
static void kill_group(const struct worker *worker)
{
    kill(-worker->pid, SIGKILL);
}

/* Kills what dead workers left, which became children of this process, and waits until it is gone:
 * a QEMU that was killed takes a moment to give its memory back. The janitor and the WORKERS that
 * live are the only children that this process has besides. */
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

static gboolean too_late(gpointer data)
{
    struct worker *worker = data;
    worker->late = true;
    kill_group(worker);
    return G_SOURCE_CONTINUE;
}

/* In the child between fork and exec: a process group of its own, so that all of it can be killed
 * at once and the terminal's Ctrl-C reaches only the harness; and no life without the parent. */
static void in_child(gpointer data)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    godwit_contain_enter();
    if (getppid() != GPOINTER_TO_INT(data))
        _exit(127);
}

static void worker_free(struct worker *worker)
{
    if (worker->source)
        g_source_remove(worker->source);
    if (worker->timer)
        g_source_remove(worker->timer);
    if (worker->fd >= 0)
        close(worker->fd);
    if (worker->turn >= 0)
        close(worker->turn);
    g_clear_object(&worker->process);
    g_string_free(worker->input, TRUE);
    json_decref(worker->result);
    g_free(worker->phase);
    g_free(worker->folder);
    godwit_job_free(worker->job);
    g_free(worker);
}

/* Puts the job where the worker finds it on its standard input: a file in its folder. */
static bool write_job(const struct worker *worker, const char *path, GError **error)
{
    g_autoptr(json_t) json = godwit_job_to_json(worker->job);
    g_autofree char *text = json_dumps(json, JSON_INDENT(2));
    return godwit_file_write(path, text, strlen(text), error);
}

static struct worker *worker_start(struct godwit_run *run, struct godwit_job *job, unsigned serial,
                                   GError **error)
{
    struct worker *worker = g_new0(struct worker, 1);
    worker->run = run;
    worker->job = job;
    worker->fd = worker->turn = -1;
    worker->input = g_string_new(NULL);
    worker->began = g_get_monotonic_time();
    g_autofree char *name =
        g_strdup_printf("%04u-%s-%s", serial, job->setup.machine->arch, godwit_job_name(job));
    g_strdelimit(name, "/", '-');
    worker->folder = godwit_files_make(run->keep ? run->output : run->folder, name, error);
    if (!worker->folder) {
        worker_free(worker);
        return NULL;
    }
    g_autofree char *input = g_build_filename(worker->folder, "job.json", NULL);
    g_autofree char *log = g_build_filename(worker->folder, "worker.log", NULL);
    int ends[2], turn[2];
    if (!write_job(worker, input, error) || !g_unix_open_pipe(turn, FD_CLOEXEC, error)) {
        worker_free(worker);
        return NULL;
    }
    worker->turn = turn[1];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error)) {
        close(turn[0]);
        worker_free(worker);
        return NULL;
    }
    worker->fd = ends[0];
    g_unix_set_fd_nonblocking(worker->fd, TRUE, NULL);

    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_MERGE);
    g_subprocess_launcher_set_stdin_file_path(launcher, input);
    g_subprocess_launcher_set_stdout_file_path(launcher, log);
    g_subprocess_launcher_take_fd(launcher, ends[1], GODWIT_WORKER_FD);
    g_subprocess_launcher_take_fd(launcher, turn[0], GODWIT_TURN_FD);
    g_subprocess_launcher_set_child_setup(launcher, in_child, GINT_TO_POINTER(getpid()), NULL);
    /* This very program, even if another has taken its place in the file system since: the link's
     * text ends in " (deleted)" then. Where there is no reason for it, the link itself is not used,
     * which valgrind cannot follow. */
    static const char *const itself = "/proc/self/exe";
    g_autofree char *path = g_file_read_link(itself, NULL);
    const char *const arguments[] = {path && g_file_test(path, G_FILE_TEST_EXISTS) ? path : itself,
                                     "worker", worker->folder, NULL};
    worker->process = g_subprocess_launcher_spawnv(launcher, arguments, error);
    if (!worker->process) {
        worker_free(worker);
        return NULL;
    }
    worker->pid = (pid_t)g_ascii_strtoll(g_subprocess_get_identifier(worker->process), NULL, 10);
    worker->source = g_unix_fd_add(worker->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, worker);
    g_subprocess_wait_async(worker->process, NULL, exited, worker);
    return worker;
}

/* Lets the worker run its guests. One that is gone is noticed otherwise. */
static void give_turn(struct worker *worker)
{
    const struct godwit_job *job = worker->job;
    const double seconds =
        godwit_scenario_seconds(job->scenario, &job->setup) * job->setup.timeout_scale;
    worker->timer = g_timeout_add((guint)((seconds + GRACE_SECONDS) * 1000), too_late, worker);
    close(worker->turn);
    worker->turn = -1;
}

/* What a VM left behind in the folder of a worker that cannot tell any more. */
static json_t *remains(const struct worker *worker, const char *vm)
{
    json_t *object = json_pack("{s:s, s:s}", "name", vm, "state", "was left by its worker");
    static const char *const kinds[][2] = {
        {"stderr", ".stderr"}, {"console", ".serial"}, {"qmp", ".qmp"}};
    bool any = false;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *file = g_strconcat(vm, kinds[i][1], NULL);
        g_autofree char *path = g_build_filename(worker->folder, file, NULL);
        g_autofree char *tail = godwit_file_tail(path, 600);
        if (!tail)
            continue;
        any = true;
        json_object_set_new(object, kinds[i][0], json_string(tail));
    }
    if (!any)
        g_clear_pointer(&object, json_decref);
    return object;
}

/* The result of a worker that ended without one, or badly: an error, not a failure, because what
 * went wrong is the host or Godwit, whatever QEMU does. */
static json_t *lost_result(const struct worker *worker)
{
    g_autofree char *path = g_build_filename(worker->folder, "worker.log", NULL);
    g_autofree char *said = godwit_file_tail(path, 2000);
    const bool by_hand = g_subprocess_get_if_signaled(worker->process) &&
                         g_subprocess_get_term_sig(worker->process) == SIGKILL;
    g_autofree char *how =
        worker->late
            ? g_strdup("was killed, because it did not end long after its deadline (is the "
                       "host overloaded? otherwise a defect of Godwit)")
        : by_hand ? g_strdup("was killed by signal 9 (Killed), by somebody or by the host (out of "
                             "memory?)")
        : g_subprocess_get_if_signaled(worker->process)
            ? g_strdup_printf("was killed by signal %d (%s)",
                              g_subprocess_get_term_sig(worker->process),
                              g_strsignal(g_subprocess_get_term_sig(worker->process)))
            : g_strdup_printf("exited with status %d",
                              g_subprocess_get_exit_status(worker->process));
    json_t *vms = json_array();
    static const char *const names[] = {"source", "destination"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        json_t *vm = remains(worker, names[i]);
        if (vm)
            json_array_append_new(vms, vm);
    }
    g_autofree char *message = g_strdup_printf("the worker process %s (phase: %s)%s%s", how,
                                               worker->phase ? worker->phase : "none",
                                               said ? "; it said: " : "", said ? said : "");
    return json_pack("{s:s, s:s, s:s, s:s*, s:[], s:[], s:{}, s:o}", "status", "error", "message",
                     message, "kind", "lost", "phase", worker->phase, "phases", "oracles", "facts",
                     "vms", vms);
}

/* Writes the result into the worker's folder, which is kept. */
static void write_result(const struct worker *worker, const json_t *result)
{
    g_autofree char *path = g_build_filename(worker->folder, "result.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *dumped = godwit_json_dump(result, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!godwit_file_write(path, dumped, strlen(dumped), &error))
        godwit_text_complain("%s", error->message);
}

/* Whether a result is one that leaves its folder behind though nobody asked for it. What is known
 * needs no proof each time anew. */
static bool is_evidence(const json_t *result)
{
    return !godwit_result_passed(result) &&
           strcmp(godwit_json_string(result, "status", "fail"), "skip") != 0;
}

/* Puts the folder of a worker that is to be kept where it stays. */
static bool keep_folder(struct worker *worker, const json_t *result)
{
    const struct godwit_run *run = worker->run;
    if (run->keep)
        return true;
    if (!run->output || !is_evidence(result))
        return false;
    g_autoptr(GError) error = NULL;
    char *path = godwit_files_move(worker->folder, run->output, &error);
    if (!path) {
        godwit_text_complain("nothing is left of %s: %s", godwit_job_name(worker->job),
                             error->message);
        return false;
    }
    g_free(worker->folder);
    worker->folder = path;
    worker->kept = true;
    return true;
}

/* Adds to the result of a job what it was: all that a worker does not know of itself. */
static void describe_job(json_t *result, const struct godwit_job *job, double ms,
                         const char *folder)
{
    g_autofree char *again = godwit_job_again(job);
    g_autoptr(json_t) more = json_pack(
        "{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:s, s:s*, s:s*}",
        "scenario", godwit_job_name(job), "summary", job->scenario ? job->scenario->summary : NULL,
        "kit", GODWIT_VERSION, "target", godwit_job_target(job), "arch", job->setup.machine->arch,
        "image", job->setup.image->name, "machine", job->setup.type, "accel", job->setup.accel,
        "source_version", job->setup.source->version, "destination_version",
        job->setup.destination->version, "repetition", (int)job->repetition, "repetitions",
        (int)job->repetitions, "ms", ms, "again", again, "fault", job->fault, "folder", folder);
    json_object_update(result, more);
}

/* Whether the worker has reported and ended well. One that reported and then did not (a sanitizer's
 * or valgrind's complaint) has a report that is not to be trusted. */
static bool is_sound(const struct worker *worker)
{
    return worker->result && g_subprocess_get_if_exited(worker->process) &&
           g_subprocess_get_exit_status(worker->process) == 0;
}

/* Completes a result with what the worker does not know of itself. */
static json_t *finish_result(struct worker *worker)
{
    json_t *result = is_sound(worker) ? json_incref(worker->result) : lost_result(worker);
    const bool keep = keep_folder(worker, result);
    describe_job(result, worker->job,
                 (double)(g_get_monotonic_time() - worker->began) / 1000.0 -
                     json_number_value(json_object_get(result, "waited")),
                 keep ? worker->folder : NULL);
    if (keep) {
        write_result(worker, result);
        OBSERVE(worker->run, kept, result);
    }
    return result;
}

static void count(struct godwit_summary *summary, const json_t *result)
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

/* Gives a job that was not run, or not to its end, the result that says so and why. */
static void give_not_run(struct godwit_run *run, const struct godwit_job *job, const char *reason,
                         struct godwit_summary *summary)
{
    g_autoptr(json_t) result =
        json_pack("{s:s, s:s, s:s, s:[], s:[], s:{}, s:[]}", "status", "error", "message", reason,
                  "kind", "not-run", "phases", "oracles", "facts", "vms");
    describe_job(result, job, 0, NULL);
    count(summary, result);
    OBSERVE(run, result, result);
}

#define ENDED_EARLY "not run: the run ended at its first failure"
#define INTERRUPTED "not run: interrupted"
#define NO_WORKER   "not run: no worker process can be started"

/* Takes the worker's result when it is gone, and clears away what it left. */
static void worker_end(struct worker *worker, const GPtrArray *workers,
                       struct godwit_confirm *confirm, struct godwit_summary *summary)
{
    struct godwit_run *run = worker->run;
    /* What is still in the pipe. */
    while (!worker->result && take_input(worker) == INPUT_TAKEN)
        ;
    kill_group(worker);
    sweep(run, workers);
    const bool unsound = *run->interrupted && !is_sound(worker);
    if (worker->job->confirms && (unsound || worker->dropped)) {
        /* The result that it was to confirm is still held back, and is given up. */
    } else if (unsound) {
        give_not_run(run, worker->job,
                     worker->turn < 0 ? "not run to its end: interrupted" : INTERRUPTED, summary);
    } else if (worker->dropped) {
        /* Jobs that an endless run had started ahead are of no interest. */
        if (!run->endless || worker->job->repetition == 1)
            give_not_run(run, worker->job, ENDED_EARLY, summary);
    } else {
        g_autoptr(json_t) result = godwit_confirm_take(confirm, worker->job, finish_result(worker));
        if (result) {
            count(summary, result);
            OBSERVE(run, result, result);
        }
    }
    if (!run->keep && !worker->kept)
        godwit_files_remove(worker->folder);
    worker_free(worker);
}

/* The next job, a copy of its own for the worker, or NULL if there is none left. */
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

/* Whether the worker takes one of the places of those whose guests run. */
static bool has_place(const struct worker *worker)
{
    return worker->turn < 0 && !worker->over;
}

/* Gives the turns that are free to those who have been there longest. */
static void give_turns(GPtrArray *workers, unsigned parallel)
{
    unsigned taken = 0;
    for (guint i = 0; i < workers->len; i++)
        taken += has_place(g_ptr_array_index(workers, i));
    for (guint i = 0; i < workers->len && taken < parallel; i++) {
        struct worker *worker = g_ptr_array_index(workers, i);
        if (worker->turn >= 0) {
            give_turn(worker);
            taken++;
        }
    }
}

/* Ends those who have not had their turn. */
static void drop_waiting(GPtrArray *workers)
{
    for (guint i = 0; i < workers->len; i++) {
        struct worker *worker = g_ptr_array_index(workers, i);
        if (worker->turn >= 0 && !worker->dropped) {
            worker->dropped = true;
            kill_group(worker);
        }
    }
}

/* How many workers are on their way to a place, or have one. */
static unsigned count_ahead(const GPtrArray *workers)
{
    unsigned ahead = 0;
    for (guint i = 0; i < workers->len; i++)
        ahead += !((const struct worker *)g_ptr_array_index(workers, i))->over;
    return ahead;
}

/* Gives those jobs a result that were never begun: from NEXT on, which is beyond all of them where
 * all were. */
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
    unsigned serial = 0, next = 0; /* workers that were started, and jobs that they were for */
    struct godwit_confirm *confirm = godwit_confirm_new();
    bool broken = false; /* not even a worker can be started */
    OBSERVE(run, begin, summary.planned);
    for (guint i = 0; i < run->skipped->len; i++) {
        count(&summary, g_ptr_array_index(run->skipped, i));
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
            struct worker *worker = worker_start(run, job, ++serial, &error);
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
                kill_group(g_ptr_array_index(workers, i));
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
    json_t *held;
    while ((held = godwit_confirm_give_up(confirm))) {
        count(&summary, held);
        OBSERVE(run, result, held);
        json_decref(held);
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
