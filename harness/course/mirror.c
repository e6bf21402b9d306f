/*
 * Mirrors a disk to another QEMU. A job's end is known by its events only: a job that has ended is
 * no longer listed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/mirror.h"

#include "course/storage.h"
#include "migrate/tls.h"
#include <string.h>

/* The names of the job and the export, and the source's node for the exporter's disk. */
#define JOB    "mirror"
#define EXPORT "mirror"
#define TARGET "target"

/* In bytes a second. The job pauses for many seconds after its first request already. */
#define THROTTLED 1024

/* The most that the job has under way. The least that it copies at a time. */
#define BUFFER 65536

#define DAEMON "qemu-storage-daemon"

/* Fails with SKIP unless DAEMON, which has greeted, is of the destination's version. */
static bool is_of_version(const struct godwit_vm *daemon, GError **error)
{
    const char *wanted = daemon->testbed->setup->destination->version;
    const json_t *version = json_object_get(
        json_object_get(json_object_get(daemon->qmp->greeting, "QMP"), "version"), "qemu");
    g_autofree char *own = g_strdup_printf(
        "%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT,
        godwit_json_integer(version, "major", 0), godwit_json_integer(version, "minor", 0),
        godwit_json_integer(version, "micro", 0));
    return !strcmp(own, wanted) ||
           godwit_fail(error, GODWIT_ERROR_SKIP, "needs " DAEMON " %s: %s is %s", wanted,
                       daemon->qemu->path, own);
}

struct godwit_vm *godwit_mirror_daemon(struct godwit_testbed *testbed, const char *driver,
                                       const char *file, bool any, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(testbed->setup->destination->path);
    g_autofree char *beside = g_build_filename(folder, DAEMON, NULL);
    g_autofree char *path = g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE)
                                ? g_strdup(beside)
                                : g_find_program_in_path(DAEMON);
    if (!path) {
        godwit_fail(error, GODWIT_ERROR_SKIP,
                    "needs " DAEMON ": neither beside the destination's QEMU nor in $PATH");
        return NULL;
    }
    struct godwit_vm *daemon = godwit_vm_start_storage(testbed, path, error);
    json_t *options = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:b}}}", "driver", driver, "node-name",
                                GODWIT_STORAGE_NODE, "file", "driver", "file", "filename", file,
                                "cache", "no-flush", 1);
    if (daemon && godwit_vm_handshake(daemon, error) && (any || is_of_version(daemon, error)) &&
        godwit_vm_command(daemon, "blockdev-add", json_incref(options), error)) {
        json_decref(options);
        return daemon;
    }
    json_decref(options);
    return NULL;
}

/* Returns the options of the server's address, which the caller owns. */
static json_t *address_of(const struct godwit_mirror *mirror, bool wrapped)
{
    g_autofree char *path = g_strconcat(mirror->exporter->name, ".nbd", NULL);
    return wrapped ? json_pack("{s:s, s:{s:s}}", "type", "unix", "data", "path", path)
                   : json_pack("{s:s, s:s}", "type", "unix", "path", path);
}

static bool export(const struct godwit_mirror *mirror, GError **error)
{
    json_t *server = json_pack("{s:o}", "addr", address_of(mirror, true));
    if (mirror->tls)
        json_object_set_new(server, "tls-creds", json_string(GODWIT_TLS_CREDENTIALS));
    return godwit_vm_command(mirror->exporter, "nbd-server-start", server, error) &&
           godwit_vm_command(mirror->exporter, "block-export-add",
                             json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", EXPORT,
                                       "name", EXPORT, "node-name", GODWIT_STORAGE_NODE, "writable",
                                       1),
                             error);
}

static bool attach(const struct godwit_mirror *mirror, bool tls, GError **error)
{
    json_t *options = json_pack("{s:s, s:s, s:s, s:o}", "driver", "nbd", "node-name", TARGET,
                                "export", EXPORT, "server", address_of(mirror, false));
    if (tls) {
        json_object_set_new(options, "tls-creds", json_string(GODWIT_TLS_CREDENTIALS));
        json_object_set_new(options, "tls-hostname", json_string(GODWIT_TLS_HOST));
    }
    return godwit_vm_command(mirror->source, "blockdev-add", options, error);
}

static bool detach(const struct godwit_mirror *mirror, GError **error)
{
    return godwit_vm_command(mirror->source, "blockdev-del",
                             json_pack("{s:s}", "node-name", TARGET), error);
}

/* The server must not take a client that asks for no encryption. So one that it takes is
 * encrypted. */
static bool refuse_plain(const struct godwit_mirror *mirror, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (attach(mirror, false, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s's NBD server, which has TLS credentials, accepted a client "
                           "without TLS",
                           mirror->exporter->name);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    godwit_testbed_measure_item(mirror->source->testbed, "refusals", json_string(refusal->message));
    return true;
}

bool godwit_mirror_connect(const struct godwit_mirror *mirror, GError **error)
{
    return export(mirror, error) && (!mirror->tls || refuse_plain(mirror, error)) &&
           attach(mirror, mirror->tls, error);
}

bool godwit_mirror_begin(const struct godwit_mirror *mirror, GError **error)
{
    return godwit_vm_command(mirror->source, "blockdev-mirror",
                             json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "job-id", JOB,
                                       "device", GODWIT_STORAGE_NODE, "target", TARGET, "sync",
                                       "full", "speed", (json_int_t)THROTTLED, "granularity",
                                       (json_int_t)BUFFER, "buf-size", (json_int_t)BUFFER,
                                       "copy-mode", mirror->copy_mode),
                             error);
}

/* Returns what QEMU reports of the job: an empty object if there is none, or NULL with ERROR set.
 * The caller frees it. */
static json_t *query(const struct godwit_mirror *mirror, GError **error)
{
    g_autoptr(json_t) jobs = godwit_vm_execute(mirror->source, "query-block-jobs", NULL, error);
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        if (!strcmp(godwit_json_string(job, "device", ""), JOB))
            return json_incref(job);
    }
    return jobs ? json_object() : NULL;
}

/* Fails with MIGRATION and the job as QEMU reports it. */
static bool fail_job(const struct godwit_mirror *mirror, const json_t *job, const char *instead,
                     GError **error)
{
    g_autofree char *text = json_dumps(job, JSON_SORT_KEYS);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s's mirror is %s, where %s",
                       mirror->source->name, text, instead);
}

bool godwit_mirror_expect_bulk(const struct godwit_mirror *mirror, GError **error)
{
    g_autoptr(json_t) job = query(mirror, error);
    const json_int_t length = godwit_json_integer(job, "len", 0);
    return job && ((!godwit_json_true(job, "ready") && length > 0 &&
                    godwit_json_integer(job, "offset", 0) < length) ||
                   fail_job(mirror, job, "it should still copy the bulk of the disk", error));
}

/* Returns whether the job does not contradict its mode. QEMU reports that from 8.2 on. */
static bool is_synced(const struct godwit_mirror *mirror, const json_t *job)
{
    const json_t *synced = json_object_get(job, "actively-synced");
    return !synced || json_is_true(synced) == (strcmp(mirror->copy_mode, "write-blocking") == 0);
}

bool godwit_mirror_expect_ready(const struct godwit_mirror *mirror, GError **error)
{
    g_autoptr(json_t) job = query(mirror, error);
    g_autofree char *instead =
        g_strdup_printf("it should be ready in copy mode %s", mirror->copy_mode);
    return job && ((godwit_json_true(job, "ready") && is_synced(mirror, job)) ||
                   fail_job(mirror, job, instead, error));
}

struct job_wait {
    const GPtrArray *events;
    guint next;
    bool ready;        /* the job's being ready ends the wait as well */
    const json_t *end; /* the event that has ended it */
};

static bool has_event(gpointer data)
{
    struct job_wait *wait = data;
    for (; !wait->end && wait->next < wait->events->len; wait->next++) {
        const json_t *event = g_ptr_array_index(wait->events, wait->next);
        const json_t *about = json_object_get(event, "data");
        if (!strcmp(godwit_json_string(about, "device", ""), JOB) &&
            (godwit_qmp_event_is(event, "BLOCK_JOB_COMPLETED", NULL) ||
             godwit_qmp_event_is(event, "BLOCK_JOB_CANCELLED", NULL) ||
             (wait->ready && godwit_qmp_event_is(event, "BLOCK_JOB_READY", NULL))))
            wait->end = event;
    }
    return wait->end != NULL;
}

/* Waits for the event of the job that ends it or, if READY, reports that it is ready, among those
 * from index FIRST on. Returns it, borrowed. */
static const json_t *await(const struct godwit_mirror *mirror, guint first, bool ready,
                           GError **error)
{
    struct godwit_vm *source = mirror->source;
    struct job_wait wait = {source->qmp->events, first, ready, NULL};
    g_autofree char *what =
        g_strdup_printf("the %s's mirror to %s", source->name, ready ? "be ready" : "end");
    return godwit_testbed_wait(source->testbed, has_event, &wait, what, error) ? wait.end : NULL;
}

/* Fails with MIGRATION: EVENT is not the one that was due. */
static bool fail_event(const struct godwit_mirror *mirror, const json_t *event, const char *due,
                       GError **error)
{
    g_autofree char *text = json_dumps(json_object_get(event, "data"), JSON_SORT_KEYS);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s's mirror reported %s instead of %s: %s", mirror->source->name,
                       godwit_json_string(event, "event", ""), due, text);
}

bool godwit_mirror_await_ready(const struct godwit_mirror *mirror, GError **error)
{
    struct godwit_vm *source = mirror->source;
    const guint first = source->qmp->events->len;
    if (!godwit_vm_command(source, "block-job-set-speed",
                           json_pack("{s:s, s:i}", "device", JOB, "speed", 0), error))
        return false;
    const json_t *event = await(mirror, first, true, error);
    return event && (godwit_qmp_event_is(event, "BLOCK_JOB_READY", NULL) ||
                     fail_event(mirror, event, "BLOCK_JOB_READY", error));
}

/* Ends the job by command, by FORCE or when it has copied everything. Returns the event. */
static const json_t *end_job(const struct godwit_mirror *mirror, bool force, GError **error)
{
    const guint first = mirror->source->qmp->events->len;
    return godwit_vm_command(mirror->source, "block-job-cancel",
                             json_pack("{s:s, s:b}", "device", JOB, "force", force), error)
               ? await(mirror, first, false, error)
               : NULL;
}

bool godwit_mirror_complete(const struct godwit_mirror *mirror, GError **error)
{
    const json_t *event = end_job(mirror, false, error);
    const json_t *about = json_object_get(event, "data");
    if (!event)
        return false;
    if (!godwit_qmp_event_is(event, "BLOCK_JOB_COMPLETED", NULL) ||
        json_object_get(about, "error") ||
        godwit_json_integer(about, "offset", -1) != godwit_json_integer(about, "len", -2))
        return fail_event(mirror, event, "BLOCK_JOB_COMPLETED with all of the disk", error);
    return detach(mirror, error) &&
           godwit_vm_command(mirror->exporter, "nbd-server-stop", NULL, error);
}

bool godwit_mirror_abandon(const struct godwit_mirror *mirror, GError **error)
{
    const json_t *event = end_job(mirror, true, error);
    return event &&
           (godwit_qmp_event_is(event, "BLOCK_JOB_CANCELLED", NULL) ||
            fail_event(mirror, event, "BLOCK_JOB_CANCELLED", error)) &&
           detach(mirror, error);
}

bool godwit_mirror_await_failure(const struct godwit_mirror *mirror, GError **error)
{
    const json_t *event = await(mirror, 0, false, error);
    const char *reason = godwit_json_string(json_object_get(event, "data"), "error", NULL);
    if (!event)
        return false;
    if (!godwit_qmp_event_is(event, "BLOCK_JOB_COMPLETED", NULL) || !reason)
        return fail_event(mirror, event, "BLOCK_JOB_COMPLETED with an error", error);
    godwit_testbed_measure(mirror->source->testbed, "mirror_failure", json_string(reason));
    return detach(mirror, error);
}
