/*
 * CPU time by thread, and peak memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/threads.h"

#include "base/error.h"
#include "base/text.h"
#include <string.h>
#include <sys/syscall.h>

struct thread {
    char *name;
    gint64 first, latest; /* nanoseconds at the beginning and at the latest look */
};

struct godwit_threads {
    char *tasks;       /* the folder of the threads */
    GHashTable *known; /* by number: of struct thread */
    bool begun;        /* later threads count from their start */
};

static void thread_free(gpointer data)
{
    struct thread *thread = data;
    g_free(thread->name);
    g_free(thread);
}

gint64 godwit_threads_time(const char *schedstat)
{
    char *end = NULL;
    const gint64 time = g_ascii_strtoll(schedstat, &end, 10);
    return end != schedstat && *end == ' ' && time >= 0 ? time : -1;
}

gint64 godwit_threads_peak(const char *status)
{
    static const char name[] = "VmHWM:";
    char *end = NULL;
    const char *line = g_str_has_prefix(status, name) ? status : strstr(status, "\nVmHWM:");
    if (!line)
        return -1;
    const char *number = strchr(line, ':') + 1;
    const gint64 kib = g_ascii_strtoll(number, &end, 10);
    return end != number && g_str_has_prefix(end, " kB") && kib > 0 ? kib * 1024 : -1;
}

/* Reads FILE of a thread. Returns NULL if that is not possible: it has ended, for example. */
static char *slurp(const struct godwit_threads *threads, const char *thread, const char *file)
{
    g_autofree char *path = g_build_filename(threads->tasks, thread, file, NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static void look_at(struct godwit_threads *threads, const char *number)
{
    const guint64 id = g_ascii_strtoull(number, NULL, 10);
    g_autofree char *schedstat = slurp(threads, number, "schedstat");
    const gint64 time = schedstat ? godwit_threads_time(schedstat) : -1;
    struct thread *thread = g_hash_table_lookup(threads->known, &id);
    if (time < 0)
        return;
    if (!thread) {
        thread = g_new0(struct thread, 1);
        thread->first = threads->begun ? 0 : time;
        g_hash_table_insert(threads->known, g_memdup2(&id, sizeof(id)), thread);
    }
    /* A thread takes its name a moment after its start. */
    g_autofree char *name = slurp(threads, number, "comm");
    if (name) {
        g_free(thread->name);
        thread->name = g_strdup(g_strchomp(name));
    }
    thread->latest = time;
}

void godwit_threads_look(struct godwit_threads *threads)
{
    g_autoptr(GDir) folder = g_dir_open(threads->tasks, 0, NULL);
    const char *number;
    while (folder && (number = g_dir_read_name(folder)))
        look_at(threads, number);
}

struct godwit_threads *godwit_threads_new(const char *folder)
{
    struct godwit_threads *threads = g_new0(struct godwit_threads, 1);
    threads->tasks = g_build_filename(folder, "task", NULL);
    threads->known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, thread_free);
    godwit_threads_look(threads);
    threads->begun = true;
    return threads;
}

void godwit_threads_free(struct godwit_threads *threads)
{
    if (!threads)
        return;
    g_hash_table_unref(threads->known);
    g_free(threads->tasks);
    g_free(threads);
}

bool godwit_threads_has(const struct godwit_threads *threads, guint64 thread)
{
    return g_hash_table_contains(threads->known, &thread);
}

bool godwit_threads_sleeper(const struct godwit_threads *threads, bool *sleeps, GError **error)
{
    g_autoptr(GDir) folder = g_dir_open(threads->tasks, 0, NULL);
    const char *number;
    *sleeps = false;
    while (folder && !*sleeps && (number = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(threads->tasks, number, "syscall", NULL);
        g_autofree char *text = NULL;
        g_autoptr(GError) cause = NULL;
        if (godwit_threads_has(threads, g_ascii_strtoull(number, NULL, 10)))
            continue;
        if (g_file_get_contents(path, &text, NULL, &cause)) {
            const gint64 call = g_ascii_isdigit(*text) ? g_ascii_strtoll(text, NULL, 10) : -1;
            *sleeps = call == SYS_nanosleep || call == SYS_clock_nanosleep;
        } else if (g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_ACCES) ||
                   g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_PERM))
            return godwit_fail(error, GODWIT_ERROR_SKIP,
                               "needs a kernel that tells what QEMU's threads wait for: %s",
                               cause->message);
    }
    return true;
}

json_t *godwit_threads_used(const struct godwit_threads *threads, double *sum)
{
    json_t *used = json_object();
    GHashTableIter iter;
    gpointer data;
    g_hash_table_iter_init(&iter, threads->known);
    while (g_hash_table_iter_next(&iter, NULL, &data)) {
        const struct thread *thread = data;
        const double ms = (double)(thread->latest - thread->first) / 1e6;
        g_autofree char *name =
            godwit_text_line(thread->name && *thread->name ? thread->name : "?");
        const json_t *earlier = json_object_get(used, name);
        json_object_set_new(used, name, json_real(json_number_value(earlier) + ms));
        *sum += ms;
    }
    return used;
}
