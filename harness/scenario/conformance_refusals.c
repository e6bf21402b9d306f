/*
 * Requests that must be refused, sorted by the state that a migration is in when they are made. The
 * guest runs on, nothing changes, and the migration that is under way, or a plain one after it,
 * succeeds. Addresses and channels have a file of their own, conformance_addresses.c, and so have
 * migration blockers, conformance_blockers.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define XBZRLE "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}"

#define CHANNELED(list) "migrate", "{\"channels\":" list "}", GODWIT_REFUSED, CHANNELS
#define CONTINUE(state) REFUSED("migrate-continue", "{\"state\":\"" state "\"}")

/* To a source, before any migration. */
static const struct godwit_request before_any[] = {
    {"migrate-start-postcopy before any migration, without postcopy-ram: refused",
     REFUSED("migrate-start-postcopy", NULL)},
    {"migrate-continue before any migration: refused", CONTINUE("pre-switchover")},
    {"migrate-continue before any migration, from device: refused", CONTINUE("device")},
    {"migrate-continue before any migration, from active: refused", CONTINUE("active")},
    {"migrate-continue from an unknown state: refused", CONTINUE("no-such-state")},
    {"migrate-continue without a state: refused", REFUSED("migrate-continue", NULL)},
    {"migrate-continue from state 1: refused", REFUSED("migrate-continue", "{\"state\":1}")},
    {"migrate-pause before any migration: refused", REFUSED("migrate-pause", NULL)},
    {"migrate-recover where nothing is paused: refused",
     REFUSED("migrate-recover", "{" NOBODY "}")},
    {"migrate-recover without an address: refused", REFUSED("migrate-recover", NULL)},
    {"migrate-incoming without -incoming: refused", REFUSED("migrate-incoming", "{" NOBODY "}")},
    {"migrate with resume and nothing paused: refused", MIGRATE(NOBODY ",\"resume\":true")},
    {"migrate with resume that is a number: refused", MIGRATE(NOBODY ",\"resume\":1")},
    {"migrate with an unknown key: refused", MIGRATE(NOBODY ",\"more\":1")},
    {"migrate without an address: refused", MIGRATE("")},
    {"migrate without arguments: refused", REFUSED("migrate", NULL)},
    {"migrate to a number: refused", MIGRATE("\"uri\":1")},
    {"migrate to null: refused", MIGRATE("\"uri\":null")},
    {"migrate to a list: refused", MIGRATE("\"uri\":[]")},
    {"migrate with uri and channels: refused", "migrate", "{" NOBODY ",\"channels\":[" MAIN "]}",
     GODWIT_REFUSED, CHANNELS},
    {"migrate with no channels: refused", CHANNELED("[]")},
    {"migrate with two main channels: refused", CHANNELED("[" MAIN "," MAIN "]")},
    {"migrate with channels that are not a list: refused", CHANNELED(MAIN)},
    {"migrate with a channel of an unknown type: refused",
     CHANNELED("[{\"channel-type\":\"none\"," ADDRESS "}]")},
    {"migrate with a channel without an address: refused",
     CHANNELED("[{\"channel-type\":\"main\"}]")},
    {"migrate with a channel without a type: refused", CHANNELED("[{" ADDRESS "}]")},
    {"migrate with a channel of an unknown transport: refused",
     CHANNELED("[{\"channel-type\":\"main\",\"addr\":{\"transport\":\"none\"}}]")},
};

/* To a source, while a migration connects or sends. */
static const struct godwit_request under_way[] = {
    {"migrate: refused", MIGRATE(NOBODY)},
    {"migrate with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
    {"migrate-set-capabilities: refused", REFUSED("migrate-set-capabilities", XBZRLE)},
    {"migrate-start-postcopy without postcopy-ram: refused",
     REFUSED("migrate-start-postcopy", NULL)},
    {"migrate-pause: refused", REFUSED("migrate-pause", NULL)},
    {"migrate-recover: refused", REFUSED("migrate-recover", "{" NOBODY "}")},
    {"migrate-incoming: refused", REFUSED("migrate-incoming", "{" NOBODY "}")},
    {"migrate-continue from pre-switchover: refused", CONTINUE("pre-switchover")},
    {"migrate-continue from device: refused", CONTINUE("device")},
};

/* To a source, before its switchover, when its guest is stopped. */
static const struct godwit_request pre_switchover[] = {
    {"source in pre-switchover: migrate: refused", MIGRATE(NOBODY)},
    {"source in pre-switchover: migrate with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
    {"source in pre-switchover: migrate-set-capabilities: refused",
     REFUSED("migrate-set-capabilities", XBZRLE)},
    {"source in pre-switchover: migrate-pause: refused", REFUSED("migrate-pause", NULL)},
    {"source in pre-switchover: migrate-continue from device: refused", CONTINUE("device")},
    {"source in pre-switchover: migrate-continue from active: refused", CONTINUE("active")},
    {"source in pre-switchover: migrate-continue from completed: refused", CONTINUE("completed")},
};

/* To a source, when the guest runs on the destination, both while sending and while paused. */
static const struct godwit_request source_postcopy[] = {
    {"migrate: refused", MIGRATE(NOBODY)},
    {"migrate-set-capabilities: refused", REFUSED("migrate-set-capabilities", XBZRLE)},
    {"migrate-recover: refused", REFUSED("migrate-recover", "{" NOBODY "}")},
    {"migrate-incoming: refused", REFUSED("migrate-incoming", "{" NOBODY "}")},
    {"migrate-continue from pre-switchover: refused", CONTINUE("pre-switchover")},
};

/* To a source, in only one of these two states. */
static const struct godwit_request source_active_only[] = {
    {"source in postcopy-active: migrate with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
};
static const struct godwit_request source_paused_only[] = {
    {"source in postcopy-paused: migrate-pause: refused", REFUSED("migrate-pause", NULL)},
};

/* To a destination that waits for an address, or for a migration. */
static const struct godwit_request waiting[] = {
    {"migrate: refused", MIGRATE(NOBODY)},
    {"migrate with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
    {"migrate-recover: refused", REFUSED("migrate-recover", "{" NOBODY "}")},
    {"migrate-pause: refused", REFUSED("migrate-pause", NULL)},
    {"migrate-start-postcopy: refused", REFUSED("migrate-start-postcopy", NULL)},
    {"migrate-continue: refused", CONTINUE("pre-switchover")},
};

static const struct godwit_request bad_listening[] = {
    {"destination: migrate-incoming from an unknown protocol: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"none:x\"}")},
    {"destination: migrate-incoming from an empty address: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"\"}")},
    {"destination: migrate-incoming from tcp without a port: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"tcp:127.0.0.1\"}")},
    {"destination: migrate-incoming from a number: refused",
     REFUSED("migrate-incoming", "{\"uri\":1}")},
    {"destination: migrate-incoming without an address: refused",
     REFUSED("migrate-incoming", NULL)},
    {"destination: migrate-incoming with uri and channels: refused", "migrate-incoming",
     "{" NOBODY ",\"channels\":[" MAIN "]}", GODWIT_REFUSED, CHANNELS},
    {"destination: migrate-incoming with two main channels: refused", "migrate-incoming",
     "{\"channels\":[" MAIN "," MAIN "]}", GODWIT_REFUSED, CHANNELS},
};

static const struct godwit_request second_listening[] = {
    {"migrate-incoming once more: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"unix:second.sock\"}")},
};

/* Makes the requests of a list with WHERE and a colon before each name. */
static bool requests_in(struct godwit_conformance *vm, const char *where,
                        const struct godwit_request *list, size_t count, GError **error)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("%s: %s", where, list[i].name);
        struct godwit_request request = list[i];
        request.name = name;
        if (!godwit_conformance_requests(vm, &request, 1, error))
            return false;
    }
    return true;
}

#define REQUESTS_IN(vm, where, list, error) requests_in(vm, where, list, G_N_ELEMENTS(list), error)

/* Requests the switch to postcopy where the capability is on, but no migration is under way. */
static bool check_postcopy_start(struct godwit_conformance *vm, GError **error)
{
    static const char name[] = "migrate-start-postcopy before any migration, with postcopy-ram: "
                               "refused";
    static const struct godwit_capability on[] = {{"postcopy-ram", true}, {NULL, false}};
    static const struct godwit_capability off[] = {{"postcopy-ram", false}, {NULL, false}};
    g_autoptr(GError) cause = NULL;
    if (!godwit_migrate_set_capabilities(vm->vm, on, &cause)) {
        if (cause->code == GODWIT_ERROR_QMP || cause->code == GODWIT_ERROR_SKIP) {
            godwit_conformance_skip(vm->vm->testbed, name, cause->message);
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    return godwit_conformance_renew(vm, error) &&
           godwit_conformance_request(vm, GODWIT_REFUSED, name, "migrate-start-postcopy", NULL,
                                      NULL, error) &&
           godwit_migrate_set_capabilities(vm->vm, off, error) &&
           godwit_conformance_renew(vm, error);
}

/* Starts a source whose migrations are throttled, so that none ends before a request is refused. */
static struct godwit_vm *start_source(struct godwit_testbed *testbed, GError **error)
{
    struct godwit_vm *source = godwit_conformance_source(testbed, error);
    return source && godwit_migrate_throttle(source, error) ? source : NULL;
}

struct godwit_vm *godwit_conformance_start_throttled(struct godwit_testbed *testbed,
                                                     struct godwit_conformance *vm, GError **error)
{
    struct godwit_vm *source = start_source(testbed, error);
    return source && godwit_conformance_begin(vm, source, error) ? source : NULL;
}

struct godwit_vm *godwit_conformance_start_stopped(struct godwit_testbed *testbed,
                                                   struct godwit_conformance *vm, GError **error)
{
    struct godwit_vm *source = start_source(testbed, error);
    return source && godwit_course_stop(source, error) &&
                   godwit_conformance_begin(vm, source, error)
               ? source
               : NULL;
}

static bool run_idle(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = godwit_conformance_start_stopped(testbed, &vm, error);
    return source && check_postcopy_start(&vm, error) && REQUESTS(&vm, before_any, error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

/* A unix socket whose queue is full, so that whatever connects to it must wait. */
struct full_queue {
    int listener;
    int clients[8];
    size_t count;
};

static void full_queue_clear(struct full_queue *queue)
{
    while (queue->count > 0)
        close(queue->clients[--queue->count]);
    if (queue->listener >= 0)
        close(queue->listener);
    queue->listener = -1;
}

/* Makes the socket NAME in the testbed's folder. The caller clears QUEUE, even after a failure. */
static bool full_queue_make(struct full_queue *queue, struct godwit_testbed *testbed,
                            const char *name, GError **error)
{
    /* Through /proc, because the folder's path may be too long for an address. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int folder = open(testbed->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, name);
    queue->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool full = false;
    int reason = 0;
    if (folder >= 0 && queue->listener >= 0 &&
        !bind(queue->listener, (struct sockaddr *)&address, sizeof(address)) &&
        !listen(queue->listener, 0)) {
        while (!full && queue->count < G_N_ELEMENTS(queue->clients)) {
            const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            if (client < 0)
                break;
            queue->clients[queue->count++] = client;
            full = connect(client, (struct sockaddr *)&address, sizeof(address)) != 0 &&
                   errno == EAGAIN;
        }
    }
    reason = errno;
    if (folder >= 0)
        close(folder);
    if (!full)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "cannot make a socket with a full queue: %s", g_strerror(reason));
    return full;
}

static bool check_setup(struct godwit_conformance *vm, GError **error)
{
    __attribute__((cleanup(full_queue_clear))) struct full_queue queue = {.listener = -1};
    struct godwit_vm *source = vm->vm;
    if (!full_queue_make(&queue, source->testbed, "full.sock", error) ||
        !godwit_migrate_start(source, "unix:full.sock", false, error) ||
        !godwit_migrate_wait(source, "setup", error) ||
        !REQUESTS_IN(vm, "source in setup", under_way, error))
        return false;
    full_queue_clear(&queue); /* the connection is refused now */
    return godwit_migrate_wait(source, "failed", error);
}

static bool run_setup(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = godwit_conformance_start_throttled(testbed, &vm, error);
    return source && check_setup(&vm, error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

/* Makes requests to both sides while a precopy migration is under way. */
static bool check_active(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    GODWIT_CONFORMANCE here = {0}, there = {0};
    here.vm = source;
    there.vm = destination;
    return godwit_conformance_renew(&here, error) && godwit_conformance_renew(&there, error) &&
           REQUESTS_IN(&here, "source in active", under_way, error) &&
           REQUESTS_IN(&there, "destination in active", waiting, error) &&
           REQUESTS_IN(&there, "destination in active", second_listening, error);
}

static bool check_pre_switchover(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **error)
{
    GODWIT_CONFORMANCE here = {0};
    (void)destination;
    here.vm = source;
    return godwit_migrate_wait(source, "pre-switchover", error) &&
           godwit_conformance_renew(&here, error) && REQUESTS(&here, pre_switchover, error) &&
           godwit_migrate_continue(source, error);
}

/* Makes requests to both sides in postcopy, when most of the memory is still missing. The guest is
 * stopped meanwhile, so that it asks for none of it. */
static bool check_postcopy(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    static const struct godwit_parameter unlimited[] = {{"max-postcopy-bandwidth", 0, NULL},
                                                        {NULL, 0, NULL}};
    GODWIT_CONFORMANCE here = {0}, there = {0};
    here.vm = source;
    there.vm = destination;
    if (!godwit_migrate_wait(source, "postcopy-active", error) ||
        !godwit_migrate_wait(destination, "postcopy-active", error) ||
        !godwit_vm_wait_event(destination, destination->migration_first, "RESUME", NULL, error) ||
        !godwit_vm_command(destination, "stop", NULL, error) ||
        !godwit_conformance_renew(&here, error) || !godwit_conformance_renew(&there, error) ||
        !REQUESTS_IN(&here, "source in postcopy-active", source_postcopy, error) ||
        !REQUESTS(&here, source_active_only, error) ||
        !REQUESTS_IN(&there, "destination in postcopy-active", second_listening, error) ||
        !godwit_conformance_request(&there, GODWIT_REFUSED,
                                    "destination in postcopy-active: migrate-recover: refused",
                                    "migrate-recover", "{" NOBODY "}", NULL, error))
        return false;
    if (!godwit_vm_command(source, "migrate-pause", NULL, error) ||
        !godwit_migrate_wait(source, "postcopy-paused", error) ||
        !godwit_migrate_wait(destination, "postcopy-paused", error) ||
        !godwit_conformance_renew(&here, error) || !godwit_conformance_renew(&there, error) ||
        !REQUESTS_IN(&here, "source in postcopy-paused", source_postcopy, error) ||
        !REQUESTS(&here, source_paused_only, error) ||
        !REQUESTS_IN(&there, "destination in postcopy-paused", second_listening, error) ||
        !godwit_conformance_request(&there, GODWIT_REFUSED,
                                    "destination in postcopy-paused: migrate-recover from an "
                                    "unknown protocol: refused",
                                    "migrate-recover", "{\"uri\":\"none:x\"}", NULL, error))
        return false;
    /* Since 7.1 a second address replaces the first. */
    bool replaced = false;
    return godwit_migrate_recover(destination, "unix:first.sock", error) &&
           godwit_conformance_request(&there, GODWIT_EITHER,
                                      "destination in postcopy-paused: migrate-recover while one "
                                      "is pending: refused, or takes its place",
                                      "migrate-recover", "{\"uri\":\"unix:second.sock\"}",
                                      &replaced, error) &&
           godwit_vm_run(destination, error) &&
           godwit_migrate_set_parameters(source, unlimited, error) &&
           godwit_migrate_resume(source, replaced ? "unix:second.sock" : "unix:first.sock", error);
}

/* Makes requests to a destination that waits, and to another that listens at an address. */
static bool run_waiting(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    GODWIT_CONFORMANCE vm = {0}, listening = {0};
    godwit_testbed_phase(testbed, GODWIT_PHASE_CHECK);
    struct godwit_vm *other = godwit_course_destination(testbed, "other", true, error);
    struct godwit_vm *destination =
        other ? godwit_course_destination(testbed, "destination", true, error) : NULL;
    if (!destination || !godwit_conformance_begin(&vm, destination, error) ||
        !REQUESTS_IN(&vm, "destination", waiting, error) || !REQUESTS(&vm, bad_listening, error) ||
        !godwit_conformance_begin(&listening, other, error) ||
        !godwit_migrate_incoming(other, "unix:other.sock", false, error) ||
        !REQUESTS_IN(&listening, "destination that listens", second_listening, error) ||
        !REQUESTS_IN(&listening, "destination that listens", waiting, error) ||
        !godwit_vm_quit(other, error))
        return false;
    struct godwit_vm *source = godwit_course_source(testbed, error);
    return source && godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

static const struct godwit_capability pausing[] = {{"pause-before-switchover", true},
                                                   {NULL, false}};
static const struct godwit_parameter slow_postcopy[] = {{"max-postcopy-bandwidth", 4096, NULL},
                                                        {NULL, 0, NULL}};

GODWIT_SCENARIOS(conformance_refusals) = {
    {
        .name = "conformance/refusals/idle",
        .summary = "requests that a source must refuse while it does not migrate",
        .run = run_idle,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/waiting",
        .summary = "requests that a destination must refuse before a migration arrives",
        .slow = true,
        .run = run_waiting,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/setup",
        .summary = "requests that a source must refuse while it connects",
        .run = run_setup,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/active",
        .order = true,
        .summary = "requests that both sides must refuse while a migration is active",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .live = check_active},
    },
    {
        .name = "conformance/refusals/pre-switchover",
        .order = true,
        .summary = "requests that a source must refuse in pre-switchover",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = pausing,
                 .released = check_pre_switchover},
    },
    {
        .name = "conformance/refusals/postcopy",
        .order = true,
        .summary = "requests that both sides must refuse in postcopy and while it is paused",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = slow_postcopy,
                 .released = check_postcopy},
    },
};
GODWIT_SCENARIOS_END(conformance_refusals);
