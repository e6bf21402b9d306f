/*
 * The QMP commands of a migration and the waits for its events, with the address of each transport.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/migrate.h"

#include "migrate/limiter.h"
#include "qemu/host.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char *godwit_migrate_state(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-migrate", NULL, error);
    return info ? g_strdup(godwit_json_string(info, "status", "none")) : NULL;
}

const char *godwit_migrate_reported_state(const struct godwit_vm *vm)
{
    for (guint i = vm->qmp->events->len; i-- > 0;) {
        const json_t *event = g_ptr_array_index(vm->qmp->events, i);
        if (godwit_qmp_event_is(event, "MIGRATION", NULL))
            return godwit_json_string(json_object_get(event, "data"), "status", "none");
    }
    return "none";
}

bool godwit_migrate_is_over(gpointer vm)
{
    const char *state = godwit_migrate_reported_state(vm);
    return !strcmp(state, "completed") || !strcmp(state, "failed") || !strcmp(state, "cancelled");
}

bool godwit_migrate_is_loaded(gpointer destination)
{
    const struct godwit_vm *vm = destination;
    return vm->exited || !strcmp(godwit_migrate_reported_state(vm), "completed");
}

bool godwit_migrate_set_capabilities(struct godwit_vm *vm,
                                     const struct godwit_capability *capabilities, GError **error)
{
    json_t *list = json_array();
    json_array_append_new(list, json_pack("{s:s, s:b}", "capability", "events", "state", 1));
    for (const struct godwit_capability *c = capabilities; c && c->name; c++) {
        if (!godwit_qemu_has(vm->qemu, "capability", c->name)) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                        "needs capability %s: not in QEMU %s", c->name, vm->qemu->version);
            json_decref(list);
            return false;
        }
        json_array_append_new(list, json_pack("{s:s, s:b}", "capability", c->name, "state", c->on));
    }
    if (!godwit_vm_command(vm, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", list),
                           error))
        return false;
    if (!vm->capabilities)
        vm->capabilities = json_object();
    for (const struct godwit_capability *c = capabilities; c && c->name; c++)
        json_object_set_new(vm->capabilities, c->name, json_boolean(c->on));
    return true;
}

bool godwit_migrate_set_parameters(struct godwit_vm *vm, const struct godwit_parameter *parameters,
                                   GError **error)
{
    json_t *arguments = json_object();
    for (const struct godwit_parameter *p = parameters; p && p->name; p++) {
        if (!godwit_qemu_has(vm->qemu, "parameter", p->name)) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                        "needs parameter %s: not in QEMU %s", p->name, vm->qemu->version);
            json_decref(arguments);
            return false;
        }
        json_object_set_new(arguments, p->name,
                            p->text ? json_string(p->text) : json_integer(p->value));
    }
    return godwit_vm_command(vm, "migrate-set-parameters", arguments, error);
}

bool godwit_transport_is_file(enum godwit_transport transport)
{
    return transport == GODWIT_TRANSPORT_FD_FILE || transport == GODWIT_TRANSPORT_EXEC ||
           transport == GODWIT_TRANSPORT_FILE;
}

bool godwit_migrate_getfd(struct godwit_vm *vm, const char *name, int fd, GError **error)
{
    g_autoptr(json_t) value =
        godwit_vm_execute_fd(vm, "getfd", json_pack("{s:s}", "fdname", name), fd, error);
    return value != NULL;
}

/* Opens GODWIT_MIGRATE_FILE with FLAGS and passes it to VM. */
static bool pass_file(struct godwit_vm *vm, int flags, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path,
                    g_strerror(errno));
        return false;
    }
    const bool passed = godwit_migrate_getfd(vm, "migrate", fd, error);
    close(fd);
    return passed;
}

/* Makes a socket pair and passes one end to each side. */
static bool pass_sockets(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot make a socket pair: %s",
                    g_strerror(errno));
        return false;
    }
    const bool passed = godwit_migrate_getfd(destination, "migrate", ends[1], error) &&
                        godwit_migrate_getfd(source, "migrate", ends[0], error);
    close(ends[0]);
    close(ends[1]);
    return passed;
}

char *godwit_migrate_file_address(struct godwit_vm *source, enum godwit_transport transport,
                                  GError **error)
{
    switch (transport) {
    case GODWIT_TRANSPORT_FD_FILE:
        return pass_file(source, O_WRONLY | O_CREAT | O_TRUNC, error) ? g_strdup("fd:migrate")
                                                                      : NULL;
    case GODWIT_TRANSPORT_EXEC:
        return g_strdup("exec:cat > " GODWIT_MIGRATE_FILE ".part && mv " GODWIT_MIGRATE_FILE
                        ".part " GODWIT_MIGRATE_FILE);
    default:
        return g_strdup("file:" GODWIT_MIGRATE_FILE);
    }
}

json_t *godwit_migrate_channels(const char *uri)
{
    json_t *address = NULL;
    const char *rest = strchr(uri, ':') + 1;
    if (g_str_has_prefix(uri, "unix:")) {
        address = json_pack("{s:s, s:s, s:s}", "transport", "socket", "type", "unix", "path", rest);
    } else if (g_str_has_prefix(uri, "tcp:")) {
        const char *port = strrchr(uri, ':');
        g_autofree char *host = g_strndup(rest, (gsize)(port - rest));
        address = json_pack("{s:s, s:s, s:s, s:s}", "transport", "socket", "type", "inet", "host",
                            host, "port", port + 1);
    } else if (g_str_has_prefix(uri, "exec:")) {
        address =
            json_pack("{s:s, s:[s, s, s]}", "transport", "exec", "args", "/bin/sh", "-c", rest);
    } else if (g_str_has_prefix(uri, "fd:")) {
        address = json_pack("{s:s, s:s, s:s}", "transport", "socket", "type", "fd", "str", rest);
    } else {
        address = json_pack("{s:s, s:s, s:i}", "transport", "file", "filename", rest, "offset", 0);
    }
    return json_pack("[{s:s, s:o}]", "channel-type", "main", "addr", address);
}

/* Returns the arguments of `migrate` or `migrate-incoming` for URI, which the caller owns. */
static json_t *address_arguments(const char *uri, bool channels)
{
    return channels ? json_pack("{s:o}", "channels", godwit_migrate_channels(uri))
                    : json_pack("{s:s}", "uri", uri);
}

/* Sends migrate-incoming with ARGUMENTS (taken), unless the destination listens already. */
static bool listen_for(struct godwit_vm *destination, json_t *arguments, GError **error)
{
    if (destination->listens) {
        json_decref(arguments);
        return true;
    }
    destination->migration_first = destination->migration_leg = destination->qmp->events->len;
    return godwit_vm_command(destination, "migrate-incoming", arguments, error);
}

bool godwit_migrate_incoming(struct godwit_vm *destination, const char *uri, bool channels,
                             GError **error)
{
    return listen_for(destination, address_arguments(uri, channels), error);
}

bool godwit_migrate_incoming_on_error(struct godwit_vm *destination, const char *uri, bool exits,
                                      GError **error)
{
    return listen_for(destination, json_pack("{s:s, s:b}", "uri", uri, "exit-on-error", exits),
                      error);
}

/* Returns the port that a destination listens on, which the caller frees. */
static char *ask_port(struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return NULL;
    /* The address of a recovery comes behind that of the migration. */
    const json_t *addresses = json_object_get(info, "socket-address");
    const json_t *address = json_array_get(addresses, json_array_size(addresses) - 1);
    const char *port = godwit_json_string(address, "port", NULL);
    if (!port)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "the %s listens on TCP, but its query-migrate names no port",
                    destination->name);
    return g_strdup(port);
}

/* Waits for the command of a migration with EXEC: QEMU reports completion before it has ended. No
 * event reports its end, so this looks for the file. */
static bool await_file(struct godwit_vm *source, GError **error)
{
    g_autofree char *path = g_build_filename(source->testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    while (!g_file_test(path, G_FILE_TEST_EXISTS))
        if (!godwit_testbed_rest(source->testbed, LOOK_MS,
                                 "the command of the migration to write its file", error))
            return false;
    return true;
}

char *godwit_migrate_listen(struct godwit_vm *source, struct godwit_vm *destination,
                            enum godwit_transport transport, bool channels, GError **error)
{
    /* A unix socket's name is relative to the testbed's directory, every QEMU's working directory.
     * So it fits into a socket address, however long the directory's path is. */
    const char *host = destination->host ? destination->host : "127.0.0.1";
    g_autofree char *uri = NULL;
    /* Another host has no socket of this one. */
    if (destination->remote && transport == GODWIT_TRANSPORT_UNIX)
        transport = GODWIT_TRANSPORT_TCP;
    switch (transport) {
    case GODWIT_TRANSPORT_UNIX:
        uri = g_strdup_printf("unix:%s.migrate.sock", destination->name);
        break;
    case GODWIT_TRANSPORT_TCP:
        uri = g_strdup_printf("tcp:%s:0", host);
        break;
    case GODWIT_TRANSPORT_FD:
        if (!pass_sockets(source, destination, error))
            return NULL;
        uri = g_strdup("fd:migrate");
        break;
    case GODWIT_TRANSPORT_FD_FILE:
        if (!pass_file(destination, O_RDONLY, error))
            return NULL;
        uri = g_strdup("fd:migrate");
        break;
    case GODWIT_TRANSPORT_EXEC:
        if (!await_file(source, error))
            return NULL;
        uri = g_strdup("exec:cat " GODWIT_MIGRATE_FILE);
        break;
    case GODWIT_TRANSPORT_FILE:
        uri = g_strdup("file:" GODWIT_MIGRATE_FILE);
        break;
    }
    if (!godwit_migrate_incoming(destination, uri, channels, error))
        return NULL;
    if (transport != GODWIT_TRANSPORT_TCP)
        return g_steal_pointer(&uri);
    g_autofree char *port = ask_port(destination, error);
    return port ? g_strdup_printf("tcp:%s:%s", host, port) : NULL;
}

static void clear_migration(struct godwit_migration *migration)
{
    g_free(migration->failure);
    *migration = (struct godwit_migration){0};
}

static void free_migration(gpointer migration)
{
    clear_migration(migration);
    g_free(migration);
}

struct godwit_migration *godwit_migration_of(struct godwit_testbed *testbed)
{
    if (!testbed->migration) {
        testbed->migration = g_new0(struct godwit_migration, 1);
        godwit_testbed_at_end(testbed, free_migration, testbed->migration);
    }
    return testbed->migration;
}

static bool start(struct godwit_vm *source, json_t *arguments, GError **error)
{
    clear_migration(godwit_migration_of(source->testbed));
    source->migration_first = source->migration_leg = source->qmp->events->len;
    source->migration_began = g_get_monotonic_time();
    return godwit_vm_command(source, "migrate", arguments, error);
}

bool godwit_migrate_start(struct godwit_vm *source, const char *uri, bool channels, GError **error)
{
    return start(source, address_arguments(uri, channels), error);
}

bool godwit_migrate_continue(struct godwit_vm *source, GError **error)
{
    return godwit_vm_command(source, "migrate-continue",
                             json_pack("{s:s}", "state", "pre-switchover"), error);
}

bool godwit_migrate_start_channels(struct godwit_vm *source, json_t *channels, GError **error)
{
    return start(source, json_pack("{s:o}", "channels", channels), error);
}

bool godwit_migrate_recover(struct godwit_vm *destination, const char *uri, GError **error)
{
    destination->migration_leg = destination->qmp->events->len;
    return godwit_vm_command_oob(destination, "migrate-recover", address_arguments(uri, false),
                                 error);
}

char *godwit_migrate_recover_at(struct godwit_vm *destination, const char *local, GError **error)
{
    g_autofree char *uri =
        destination->remote ? g_strdup_printf("tcp:%s:0", destination->host) : g_strdup(local);
    if (!godwit_migrate_recover(destination, uri, error))
        return NULL;
    if (!destination->remote)
        return g_steal_pointer(&uri);
    g_autofree char *port = ask_port(destination, error);
    return port ? g_strdup_printf("tcp:%s:%s", destination->host, port) : NULL;
}

bool godwit_migrate_resume(struct godwit_vm *source, const char *uri, GError **error)
{
    source->migration_leg = source->qmp->events->len;
    return godwit_vm_command(source, "migrate", json_pack("{s:s, s:b}", "uri", uri, "resume", 1),
                             error);
}

void godwit_migrate_report_progress(struct godwit_vm *vm)
{
    struct godwit_testbed *testbed = vm->testbed;
    if (!testbed->progress)
        return;
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-migrate", NULL, NULL);
    const json_t *ram = json_object_get(info, "ram");
    if (!ram)
        return;
    g_autoptr(json_t) migration =
        json_pack("{s:I, s:I, s:f}", "pass", godwit_json_integer(ram, "dirty-sync-count", 0),
                  "remaining", godwit_json_integer(ram, "remaining", 0), "mbps",
                  json_number_value(json_object_get(ram, "mbps")));
    testbed->progress(testbed->phase, migration, testbed->progress_data);
}

struct end_goal {
    const struct godwit_vm *vm;
    guint next;
    const char *wanted; /* the state to wait for */
    const char *state;  /* the state that it reached or ended in; NULL: neither yet. Borrowed */
    bool began;         /* an iteration has begun since this was last cleared */
};

static bool ended(gpointer data)
{
    struct end_goal *goal = data;
    const GPtrArray *events = goal->vm->qmp->events;
    for (; !goal->state && goal->next < events->len; goal->next++) {
        const json_t *event = g_ptr_array_index(events, goal->next);
        goal->began = goal->began || godwit_qmp_event_is(event, "MIGRATION_PASS", NULL);
        if (!godwit_qmp_event_is(event, "MIGRATION", NULL))
            continue;
        const char *status = godwit_json_string(json_object_get(event, "data"), "status", "");
        if (!strcmp(status, "completed") || !strcmp(status, "failed") ||
            !strcmp(status, "cancelled") || !strcmp(status, "postcopy-paused") ||
            !g_strcmp0(status, goal->wanted))
            goal->state = status;
    }
    return goal->state || (goal->began && goal->vm->testbed->poll);
}

/* Returns why the VM's migration failed: GIVEN, the reason from QMP, or, if that is NULL, the VM's
 * standard error. Appends the other VMs' standard errors, because a source often knows only that
 * its peer hung up. The caller frees it. */
static char *failure_reason(const struct godwit_vm *vm, const char *given)
{
    GString *text = g_string_new(given);
    g_autofree char *own = given ? NULL : godwit_vm_reason(vm);
    if (own && *own)
        g_string_append_printf(text, "its standard error is \"%s\"", own);
    for (guint i = 0; i < vm->testbed->vms->len; i++) {
        const struct godwit_vm *other = g_ptr_array_index(vm->testbed->vms, i);
        g_autofree char *reason = other == vm ? NULL : godwit_vm_reason(other);
        if (reason && *reason)
            g_string_append_printf(text, "%sthe %s's standard error is \"%s\"",
                                   text->len ? "; " : "", other->name, reason);
    }
    if (!text->len)
        g_string_append(text, "QEMU gives no reason");
    return g_string_free(text, FALSE);
}

/* How many lines of a standard error are searched for a shortage. */
#define STDERR_LINES 8

/* Returns what the host has run out of, which the caller frees, or NULL. This is the last line
 * about a shortage on the standard error of one of the testbed's QEMUs, to which the commands that
 * it starts write as well. Some QEMUs print nothing when the disk is full, so the host is asked
 * about that. */
static char *shortage(const struct godwit_testbed *testbed)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        g_autofree char *said = godwit_vm_stderr(g_ptr_array_index(testbed->vms, i), STDERR_LINES);
        g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
        for (guint line = g_strv_length(lines); line-- > 0;)
            if (godwit_host_ran_out(lines[line]))
                return g_strdup(lines[line]);
    }
    return godwit_host_disk_full(testbed->directory)
               ? g_strdup_printf("%s: %s (TMPDIR chooses another folder)", testbed->directory,
                                 g_strerror(ENOSPC))
               : NULL;
}

bool godwit_migrate_fail(struct godwit_vm *vm, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-migrate", NULL, NULL);
    g_autofree char *reason = failure_reason(vm, godwit_json_string(info, "error-desc", NULL));
    g_autofree char *lacks = shortage(vm->testbed);
    const bool said = godwit_host_ran_out(reason);
    /* A shortage after an injected fault is the fault's doing, not the host's. */
    const bool hosts = !vm->testbed->fault_injected && (lacks || said);
    const bool both = hosts && !said;
    return godwit_fail(error, hosts ? GODWIT_ERROR_ENVIRONMENT : GODWIT_ERROR_MIGRATION,
                       "%s: %s%s%s", text, reason, both ? "; " : "", both ? lacks : "");
}

bool godwit_migrate_wait(struct godwit_vm *vm, const char *wanted, GError **error)
{
    struct end_goal goal = {.vm = vm, .next = vm->migration_leg, .wanted = wanted};
    g_autofree char *what = g_strdup_printf("the %s's migration to be %s", vm->name, wanted);
    const gint64 began = g_get_monotonic_time();
    gint64 due = began + GODWIT_PROGRESS_MS * 1000; /* the next report */
    while (!goal.state) {
        /* If somebody watches, wait in pieces and report progress between them. */
        struct godwit_testbed *testbed = vm->testbed;
        g_autoptr(GError) cause = NULL;
        const guint ms = testbed->poll       ? GODWIT_POLL_MS
                         : testbed->progress ? GODWIT_PROGRESS_MS
                                             : 0;
        const gint64 until = ms ? g_get_monotonic_time() + ms * 1000 : testbed->deadline;
        goal.began = false;
        if (!godwit_testbed_wait_until(testbed, until, ended, &goal, what, &cause)) {
            const gint64 now = g_get_monotonic_time();
            if (cause->code != GODWIT_ERROR_TIMEOUT) {
                g_propagate_error(error, g_steal_pointer(&cause));
                return false;
            }
            if (now >= testbed->deadline) {
                godwit_testbed_timed_out(testbed, now - began, what, error);
                return false;
            }
        }
        if (goal.state)
            break;
        if (testbed->poll)
            testbed->poll(vm, testbed->poll_data);
        if (g_get_monotonic_time() >= due) {
            godwit_migrate_report_progress(vm);
            due = g_get_monotonic_time() + GODWIT_PROGRESS_MS * 1000;
        }
    }
    if (!strcmp(goal.state, wanted))
        return true;
    /* A QEMU that dies also ends its peer's migration. Report the death. */
    if (!godwit_testbed_survives(vm->testbed, error))
        return false;
    return godwit_migrate_fail(vm, error, "the %s's migration ended as %s instead of %s", vm->name,
                               goal.state, wanted);
}

bool godwit_migrate_note_failure(struct godwit_vm *source, GError **error)
{
    struct godwit_migration *migration = godwit_migration_of(source->testbed);
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    g_free(migration->failure);
    migration->failure = g_strdup(godwit_json_string(info, "error-desc", ""));
    godwit_testbed_measure(source->testbed, "failure", json_string(migration->failure));
    return true;
}
