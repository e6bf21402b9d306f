/*
 * The run's side of a worker process: starts it, reads its reports, gives it its turn, and makes up
 * a result for a worker that ends without one.
 *
 * Each worker is a process group of its own and dies with the harness. It reads its job from a file
 * in its folder and reports over a pipe. Before it runs a guest it waits for its turn: the run
 * closes the writing end of a second pipe. The worker's deadline starts at that moment. Its report
 * counts only if the process also exits with status 0.
 *
 * run.c calls this file from its main loop. Nothing here waits for a worker.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/run_parts.h"

#include "base/contain.h"
#include "base/file.h"
#include "base/files.h"
#include "run/evidence.h"
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

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

enum input godwit_worker_take_input(struct worker *worker)
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
    if (godwit_worker_take_input(worker) != INPUT_END)
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

void godwit_worker_kill(const struct worker *worker)
{
    kill(-worker->pid, SIGKILL);
}

static gboolean too_late(gpointer data)
{
    struct worker *worker = data;
    worker->late = true;
    godwit_worker_kill(worker);
    return G_SOURCE_CONTINUE;
}

/* The child gets a process group of its own, so that a single kill() reaches all of it and the
 * terminal's Ctrl-C reaches only the harness. */
static void in_child(gpointer data)
{
    (void)data;
    setpgid(0, 0);
}

void godwit_worker_free(struct worker *worker)
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

/* Writes the job into the worker's folder. The worker gets the file as its standard input. */
static bool write_job(const struct worker *worker, const char *path, GError **error)
{
    g_autoptr(json_t) json = godwit_job_to_json(worker->job);
    g_autofree char *text = json_dumps(json, JSON_INDENT(2));
    return godwit_file_write(path, text, strlen(text), error);
}

/* A QEMU starts in two thirds of the time if glibc asks for huge pages for the heap, and for more
 * of it at once: there are half as many page faults. QEMU does the same, but its speed and its peak
 * memory are not what they would be without, so what is measured runs without. The worker passes it
 * on to its QEMUs. */
#define TUNABLES     "GLIBC_TUNABLES"
#define FEWER_FAULTS "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=4194304"

static void tune(GSubprocessLauncher *launcher, const struct godwit_job *job)
{
    if (!job->setup.unthrottled && !g_getenv(TUNABLES))
        g_subprocess_launcher_setenv(launcher, TUNABLES, FEWER_FAULTS, TRUE);
}

struct worker *godwit_worker_start(struct godwit_run *run, struct godwit_job *job, unsigned serial,
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
        godwit_worker_free(worker);
        return NULL;
    }
    g_autofree char *input = g_build_filename(worker->folder, "job.json", NULL);
    g_autofree char *log = g_build_filename(worker->folder, "worker.log", NULL);
    int ends[2], turn[2];
    if (!write_job(worker, input, error) || !g_unix_open_pipe(turn, FD_CLOEXEC, error)) {
        godwit_worker_free(worker);
        return NULL;
    }
    worker->turn = turn[1];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error)) {
        close(turn[0]);
        godwit_worker_free(worker);
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
    tune(launcher, job);
    /* Execute the program that is running now, even if its file has been replaced. In that case the
     * link's text ends in " (deleted)", and only the link itself still works. Prefer the path
     * otherwise: valgrind cannot follow the link. */
    static const char *const itself = "/proc/self/exe";
    g_autofree char *path = g_file_read_link(itself, NULL);
    const char *const arguments[] = {path && g_file_test(path, G_FILE_TEST_EXISTS) ? path : itself,
                                     "worker", worker->folder, NULL};
    worker->process =
        godwit_contain_spawn(launcher, arguments, in_child, NULL, &worker->pid, error);
    if (!worker->process) {
        godwit_worker_free(worker);
        return NULL;
    }
    worker->source = g_unix_fd_add(worker->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, worker);
    g_subprocess_wait_async(worker->process, NULL, exited, worker);
    return worker;
}

/* Gives the turn even to a worker that has ended: its end is noticed elsewhere. */
void godwit_worker_give_turn(struct worker *worker)
{
    const struct godwit_job *job = worker->job;
    const double seconds =
        godwit_scenario_seconds(job->scenario, &job->setup) * job->setup.timeout_scale;
    const double grace = godwit_evidence_grace(job->setup.timeout_scale);
    worker->timer = g_timeout_add_seconds((guint)MIN(seconds + grace, G_MAXINT), too_late, worker);
    close(worker->turn);
    worker->turn = -1;
}

/* Returns the last output of a VM, read from the folder of a worker that can no longer report, or
 * NULL if there is none. The caller frees it. */
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

json_t *godwit_worker_lost(const struct worker *worker)
{
    g_autofree char *path = g_build_filename(worker->folder, "worker.log", NULL);
    g_autofree char *said = godwit_file_tail(path, 2000);
    const bool by_hand = g_subprocess_get_if_signaled(worker->process) &&
                         g_subprocess_get_term_sig(worker->process) == SIGKILL;
    g_autofree char *how =
        worker->late
            ? g_strdup("was killed, because it was still running long after its deadline (is "
                       "the host overloaded? otherwise a defect of Godwit)")
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
    g_autofree char *message = g_strdup_printf(
        "the worker process %s (phase: %s)%s%s", how, worker->phase ? worker->phase : "none",
        said ? "; its log ends with: " : "", said ? said : "");
    return json_pack("{s:s, s:s, s:s, s:s*, s:[], s:[], s:{}, s:o}", "status", "error", "message",
                     message, "kind", "lost", "phase", worker->phase, "phases", "oracles",
                     "measurements", "vms", vms);
}

bool godwit_worker_is_sound(const struct worker *worker)
{
    return worker->result && g_subprocess_get_if_exited(worker->process) &&
           g_subprocess_get_exit_status(worker->process) == 0;
}
