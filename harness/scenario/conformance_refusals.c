/*
 * Requests that must be refused, sorted by the state that a migration is in when they are made. The
 * guest runs on, nothing is changed, and the migration that is under way, or a plain one after it,
 * goes well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "scenario/conformance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* An address that is well-formed, and where nobody is. */
#define NOBODY   "\"uri\":\"unix:nobody.sock\""
#define ADDRESS  "\"addr\":{\"transport\":\"socket\",\"type\":\"unix\",\"path\":\"nobody.sock\"}"
#define MAIN     "{\"channel-type\":\"main\"," ADDRESS "}"
#define CHANNELS "argument:channels"

/* Longer than a unix socket's address can be. */
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

#define XBZRLE "{\"capabilities\":[{\"capability\":\"xbzrle\",\"state\":true}]}"

#define MIGRATE(arguments)     "migrate", "{" arguments "}", GODWIT_REFUSED, NULL
#define ADDRESSED(uri)         "migrate", "{\"uri\":\"" uri "\"}", GODWIT_FAILS
#define CHANNELED(list)        "migrate", "{\"channels\":" list "}", GODWIT_REFUSED, CHANNELS
#define REFUSED(command, text) command, text, GODWIT_REFUSED, NULL
#define CONTINUE(state)        REFUSED("migrate-continue", "{\"state\":\"" state "\"}")

#define REQUESTS(vm, list, error) godwit_conformance_requests(vm, list, G_N_ELEMENTS(list), error)

/* Nothing is under way, and nothing was before. */
static const struct godwit_request before_any[] = {
    {"migrate-start-postcopy before any migration, without postcopy-ram: refused",
     REFUSED("migrate-start-postcopy", NULL)},
    {"migrate-continue before any migration: refused", CONTINUE("pre-switchover")},
    {"migrate-continue before any migration, from device: refused", CONTINUE("device")},
    {"migrate-continue before any migration, from active: refused", CONTINUE("active")},
    {"migrate-continue from a state that there is not: refused", CONTINUE("no-such-state")},
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
    {"migrate with channels that are no list: refused", CHANNELED(MAIN)},
    {"migrate with a channel of a type that there is not: refused",
     CHANNELED("[{\"channel-type\":\"none\"," ADDRESS "}]")},
    {"migrate with a channel without an address: refused",
     CHANNELED("[{\"channel-type\":\"main\"}]")},
    {"migrate with a channel without a type: refused", CHANNELED("[{" ADDRESS "}]")},
    {"migrate with a channel of a transport that there is not: refused",
     CHANNELED("[{\"channel-type\":\"main\",\"addr\":{\"transport\":\"none\"}}]")},
};

/* Addresses that cannot be meant. Some are looked at only by the thread that connects. */
static const struct godwit_request addresses[] = {
    {"address with an unknown protocol: refused", ADDRESSED("none:x"), NULL},
    {"address that is empty: refused", ADDRESSED(""), NULL},
    {"address \"tcp\": refused", ADDRESSED("tcp"), NULL},
    {"address \"tcp:\": refused", ADDRESSED("tcp:"), NULL},
    {"address tcp without a port: refused", ADDRESSED("tcp:127.0.0.1"), NULL},
    {"address tcp with an empty port: refused", ADDRESSED("tcp:127.0.0.1:"), NULL},
    {"address tcp with port -1: refused", ADDRESSED("tcp:127.0.0.1:-1"), NULL},
    {"address tcp with port 0: refused", ADDRESSED("tcp:127.0.0.1:0"), NULL},
    {"address tcp with a word for a port: refused", ADDRESSED("tcp:127.0.0.1:no-such-service"),
     NULL},
    {"address tcp with half an IPv6 address: refused", ADDRESSED("tcp:[::1:1"), NULL},
    {"address \"unix:\": refused", ADDRESSED("unix:"), NULL},
    {"address unix with too long a path: refused", ADDRESSED("unix:/" LONG), NULL},
    {"address unix in a folder that there is not: refused", ADDRESSED("unix:no-such-folder/x.sock"),
     NULL},
    {"address \"fd:\": refused", ADDRESSED("fd:"), NULL},
    {"address fd with a name that was never passed: refused", ADDRESSED("fd:no-such-name"), NULL},
    {"address \"exec:\": refused", ADDRESSED("exec:"), NULL},
    {"address exec with a command that fails: refused", ADDRESSED("exec:exit 1"), NULL},
    {"address \"vsock:\": refused", ADDRESSED("vsock:"), NULL},
    {"address \"file:\": refused", ADDRESSED("file:"), "transport:file"},
    {"address file in a folder that there is not: refused", ADDRESSED("file:no-such-folder/x"),
     "transport:file"},
    {"address file with an offset that is no number: refused", ADDRESSED("file:x,offset=y"),
     "transport:file"},
};

/* The source's, while a migration is connecting, or sending. */
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

/* The source's before its switchover; its guest stands still. */
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

/* The source's, with the guest on the destination already, and with the connection broken. */
static const struct godwit_request source_postcopy[] = {
    {"migrate: refused", MIGRATE(NOBODY)},
    {"migrate-set-capabilities: refused", REFUSED("migrate-set-capabilities", XBZRLE)},
    {"migrate-recover: refused", REFUSED("migrate-recover", "{" NOBODY "}")},
    {"migrate-incoming: refused", REFUSED("migrate-incoming", "{" NOBODY "}")},
    {"migrate-continue from pre-switchover: refused", CONTINUE("pre-switchover")},
};

/* Those that only one of the two states forbids. */
static const struct godwit_request source_active_only[] = {
    {"source in postcopy-active: migrate with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
};
static const struct godwit_request source_paused_only[] = {
    {"source in postcopy-paused: migrate-pause: refused", REFUSED("migrate-pause", NULL)},
};

/* A destination's that waits to be told an address, or to be sent something. */
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

/* Addresses that are well-formed, and where a destination cannot listen. */
static const struct godwit_request unusable[] = {
    {"destination: migrate-incoming from tcp with a word for a port: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"tcp:127.0.0.1:no-such-service\"}")},
    {"destination: migrate-incoming from unix with too long a path: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"unix:/" LONG "\"}")},
    {"destination: migrate-incoming from fd with a name that was never passed: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"fd:no-such-name\"}")},
    {"destination: migrate-incoming from a file that there is not: refused", "migrate-incoming",
     "{\"uri\":\"file:no-such-folder/x\"}", GODWIT_REFUSED, "transport:file"},
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

#define REQUESTS_ONE(vm, request, error)    godwit_conformance_requests(vm, &(request), 1, error)
#define REQUESTS_IN(vm, where, list, error) requests_in(vm, where, list, G_N_ELEMENTS(list), error)

/* A TCP socket that listens on a port of 127.0.0.1; -1 with ERROR set if there can be none. */
static int listen_tcp(unsigned *port, GError **error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, length) && !listen(fd, 1) &&
        !getsockname(fd, (struct sockaddr *)&address, &length)) {
        *port = ntohs(address.sin_port);
        return fd;
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "no TCP socket on 127.0.0.1: %s",
                g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A port that there is not, but which is one that somebody listens on if it is taken modulo 2^16.
 */
static bool check_port(struct godwit_conformance *vm, GError **error)
{
    static const char name[] = "address tcp with a port above 65535: refused";
    struct godwit_vm *source = vm->vm;
    unsigned port = 0;
    const int listener = listen_tcp(&port, error);
    if (listener < 0)
        return false;
    port += 65536;
    g_autofree char *arguments = g_strdup_printf("{\"uri\":\"tcp:127.0.0.1:%u\"}", port);
    source->migration_first = source->migration_leg = source->qmp->events->len;
    g_autoptr(json_t) reply = godwit_vm_ask(source, "migrate", arguments, error);
    if (!reply) {
        close(listener);
        return false;
    }
    g_autoptr(GError) cause = NULL;
    const bool obeyed = !json_object_get(reply, "error");
    const bool connected = obeyed && godwit_migrate_wait(source, "active", &cause);
    /* Who has connected is sent away. */
    close(listener);
    if (obeyed && !connected && cause->code != GODWIT_ERROR_MIGRATION) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (obeyed && (!godwit_migrate_wait(source, "failed", error) ||
                   !godwit_conformance_settle(source, error)))
        return false;
    g_autofree char *problem = NULL;
    if (!godwit_conformance_compare(vm, NULL, &problem, error))
        return false;
    const bool wrapped = connected && !problem;
    if (wrapped)
        problem = g_strdup_printf("it connected to port %u", port - 65536);
    else if (cause)
        json_object_set_new(reply, "error",
                            json_pack("{s:s, s:s}", "class", "failed", "desc", cause->message));
    godwit_conformance_note(source->rig, name, reply, problem);
    const struct godwit_bug *bug =
        wrapped ? godwit_bug_explain(&(const struct godwit_symptom){
                      .kind = GODWIT_SYMPTOM_PORT, .vm = source, .port = port})
                : NULL;
    if (bug)
        godwit_rig_excuse_check(source->rig, bug->id);
    return true;
}

/* With postcopy allowed, but nothing to switch. */
static bool check_postcopy_start(struct godwit_conformance *vm, GError **error)
{
    static const char name[] = "migrate-start-postcopy before any migration, with postcopy-ram: "
                               "refused";
    static const struct godwit_capability on[] = {{"postcopy-ram", true}, {NULL, false}};
    static const struct godwit_capability off[] = {{"postcopy-ram", false}, {NULL, false}};
    g_autoptr(GError) cause = NULL;
    if (!godwit_migrate_set_capabilities(vm->vm, on, &cause)) {
        if (cause->code == GODWIT_ERROR_QMP || cause->code == GODWIT_ERROR_SKIP) {
            godwit_conformance_skip(vm->vm->rig, name, cause->message);
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

/* A source that holds back what is sent, so that nothing is over before it is refused. Its threads
 * have names, for godwit_conformance_settle(). */
static struct godwit_vm *start_source(struct godwit_rig *rig, GError **error)
{
    static const char *const arguments[] = {"-name", "debug-threads=on", NULL};
    struct godwit_vm *source = godwit_plan_source_with(rig, arguments, error);
    if (!source)
        return NULL;
    godwit_rig_phase(rig, "check");
    return godwit_migrate_throttle(source, error) ? source : NULL;
}

static struct godwit_vm *start_held(struct godwit_rig *rig, struct godwit_conformance *vm,
                                    GError **error)
{
    struct godwit_vm *source = start_source(rig, error);
    return source && godwit_conformance_begin(vm, source, error) ? source : NULL;
}

/* The same with the guest stopped: what is refused before any migration is refused all the same,
 * and sooner, for a guest that runs takes a processor. */
static struct godwit_vm *start_stopped(struct godwit_rig *rig, struct godwit_conformance *vm,
                                       GError **error)
{
    struct godwit_vm *source = start_source(rig, error);
    return source && godwit_plan_stop(source, error) && godwit_conformance_begin(vm, source, error)
               ? source
               : NULL;
}

static bool run_idle(struct godwit_rig *rig, const struct godwit_scenario *scenario, GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = start_stopped(rig, &vm, error);
    return source && check_postcopy_start(&vm, error) && REQUESTS(&vm, before_any, error) &&
           godwit_conformance_move_on(rig, &scenario->plan, source, error);
}

static bool run_addresses(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                          GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = start_stopped(rig, &vm, error);
    return source && REQUESTS(&vm, addresses, error) && check_port(&vm, error) &&
           godwit_conformance_move_on(rig, &scenario->plan, source, error);
}

static bool answered_or_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->reply || vm->exited;
}

/* Channels of which none is the main one. By itself, for it is too much for some. */
static bool run_no_main_channel(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                                GError **error)
{
    static const char name[] = "migrate with channels but no main one: refused";
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = start_held(rig, &vm, error);
    if (!source)
        return false;
    source->may_exit = true;
    if (!godwit_qmp_send_text(source->qmp, "migrate",
                              "{\"channels\":[{\"channel-type\":\"cpr\"," ADDRESS "}]}", -1,
                              error) ||
        !godwit_rig_wait(rig, answered_or_gone, source, "the source's answer to migrate", error))
        return false;
    source->may_exit = false;
    g_autofree char *problem = NULL;
    if (source->qmp->reply) {
        g_autoptr(json_t) reply = g_steal_pointer(&source->qmp->reply);
        if (!godwit_conformance_compare(&vm, NULL, &problem, error))
            return false;
        if (!problem && !json_object_get(reply, "error"))
            problem = g_strdup("the source obeyed");
        godwit_conformance_note(rig, name, reply, problem);
        return godwit_conformance_move_on(rig, &scenario->plan, source, error);
    }
    source->may_exit = true;
    g_autofree char *end = godwit_vm_end(source);
    problem = g_strdup_printf("the source's QEMU %s", end);
    godwit_conformance_note(rig, name, NULL, problem);
    const struct godwit_bug *bug = godwit_bug_explain(
        &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CHANNELS, .source = source});
    if (bug)
        godwit_rig_excuse_check(rig, bug->id);
    godwit_rig_phase(rig, NULL);
    return true;
}

/* A unix socket whose queue is full: who connects to it has to wait. */
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

/* Puts it into the rig's folder as NAME. */
static bool full_queue_make(struct full_queue *queue, struct godwit_rig *rig, const char *name,
                            GError **error)
{
    /* By way of /proc, since the folder's path may be too long for an address. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int folder = open(rig->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
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
                    "no socket with a full queue: %s", g_strerror(reason));
    return full;
}

static bool check_setup(struct godwit_conformance *vm, GError **error)
{
    __attribute__((cleanup(full_queue_clear))) struct full_queue queue = {.listener = -1};
    struct godwit_vm *source = vm->vm;
    if (!full_queue_make(&queue, source->rig, "full.sock", error) ||
        !godwit_migrate_start(source, "unix:full.sock", false, error) ||
        !godwit_migrate_wait(source, "setup", error) ||
        !REQUESTS_IN(vm, "source in setup", under_way, error))
        return false;
    full_queue_clear(&queue); /* the connection is refused now */
    return godwit_migrate_wait(source, "failed", error);
}

static bool run_setup(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                      GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = start_held(rig, &vm, error);
    return source && check_setup(&vm, error) &&
           godwit_conformance_move_on(rig, &scenario->plan, source, error);
}

/* While a precopy migration is under way. */
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
           godwit_vm_command(source, "migrate-continue",
                             json_pack("{s:s}", "state", "pre-switchover"), error);
}

/* With the guest switched over, and most of its memory to come: it is stopped there meanwhile, so
 * that it asks for none of it. */
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
    /* Since 7.1 a second address takes the place of the first. */
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

/* A destination that waits; another that has been told an address. */
static bool run_waiting(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                        GError **error)
{
    GODWIT_CONFORMANCE vm = {0}, told = {0};
    godwit_rig_phase(rig, "check");
    struct godwit_vm *other = godwit_plan_destination(rig, "other", true, error);
    struct godwit_vm *destination =
        other ? godwit_plan_destination(rig, "destination", true, error) : NULL;
    if (!destination || !godwit_conformance_begin(&vm, destination, error) ||
        !REQUESTS_IN(&vm, "destination", waiting, error) || !REQUESTS(&vm, bad_listening, error) ||
        !godwit_conformance_begin(&told, other, error) ||
        !godwit_migrate_incoming(other, "unix:other.sock", false, error) ||
        !REQUESTS_IN(&told, "destination that listens", second_listening, error) ||
        !REQUESTS_IN(&told, "destination that listens", waiting, error) ||
        !godwit_vm_quit(other, error))
        return false;
    struct godwit_vm *source = godwit_plan_source(rig, error);
    return source && godwit_plan_move(rig, &scenario->plan, source, destination, error);
}

/* After an address where it could not listen, a destination takes another one. A new VM for each:
 * what the first address leaves behind must not hide what the next one does. */
static bool run_listening(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                          GError **error)
{
    struct godwit_vm *vms[G_N_ELEMENTS(unusable)];
    godwit_rig_phase(rig, "check");
    for (size_t i = 0; i < G_N_ELEMENTS(unusable); i++) {
        g_autofree char *name = g_strdup_printf("destination-%zu", i + 1);
        vms[i] = godwit_vm_start(rig, name, GODWIT_VM_DESTINATION_HELD, NULL, error);
        if (!vms[i])
            return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(unusable); i++) {
        GODWIT_CONFORMANCE vm = {0};
        g_autofree char *name =
            g_strdup_printf("%s, and a good address is taken after it", unusable[i].name);
        if (!godwit_vm_handshake(vms[i], error) || !godwit_conformance_begin(&vm, vms[i], error) ||
            !REQUESTS_ONE(&vm, unusable[i], error))
            return false;
        g_autofree char *lacks = godwit_qemu_lacks(vms[i]->qemu, unusable[i].needs);
        if (lacks) {
            godwit_conformance_skip(rig, name, lacks);
        } else {
            g_autofree char *arguments =
                g_strdup_printf("{\"uri\":\"unix:%s.sock\"}", vms[i]->name);
            g_autoptr(json_t) reply = godwit_vm_ask(vms[i], "migrate-incoming", arguments, error);
            if (!reply)
                return false;
            const json_t *refusal = json_object_get(reply, "error");
            godwit_conformance_note(rig, name, reply,
                                    refusal ? godwit_json_string(refusal, "desc", "") : NULL);
            const struct godwit_bug *bug =
                refusal ? godwit_bug_explain(&(const struct godwit_symptom){
                              .kind = GODWIT_SYMPTOM_INCOMING,
                              .vm = vms[i],
                              .text = godwit_json_string(refusal, "desc", "")})
                        : NULL;
            if (bug)
                godwit_rig_excuse_check(rig, bug->id);
        }
        if (!godwit_vm_quit(vms[i], error))
            return false;
    }
    return godwit_plan_run(rig, &scenario->plan, error);
}

static bool greeted_or_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->greeting || vm->exited;
}

/* A block device that cannot be migrated: a folder, as a FAT disk that can be written. */
#define VVFAT "\"driver\":\"vvfat\",\"node-name\":\"folder\",\"dir\":\"folder\",\"rw\":true"

/* With --only-migratable, a QEMU does not even start with it. */
static bool check_only_migratable(struct godwit_rig *rig, GError **error)
{
    static const char name[] = "--only-migratable: a block device that blocks migration is refused";
    static const char *const arguments[] = {"-only-migratable", "-blockdev",
                                            "driver=vvfat,node-name=folder,dir=folder,rw=on", NULL};
    struct godwit_vm *vm = godwit_vm_start(rig, "refused", GODWIT_VM_SOURCE, arguments, error);
    if (!vm)
        return false;
    vm->may_exit = true;
    /* It ends, or it greets as one that runs. */
    if (!godwit_rig_wait(rig, greeted_or_gone, vm, "a QEMU with --only-migratable to end", error))
        return false;
    g_autofree char *problem = NULL, *said = NULL;
    if (!vm->exited) {
        problem = g_strdup("QEMU started");
        if (!godwit_vm_handshake(vm, error) || !godwit_vm_quit(vm, error))
            return false;
    } else {
        g_autofree char *end = godwit_vm_end(vm);
        said = godwit_vm_stderr(vm, 1);
        if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) == 0)
            problem = g_strdup_printf("QEMU %s", end);
        else if (!strstr(said, "only-migratable"))
            problem = g_strdup_printf("QEMU %s, but did not say why: \"%s\"", end, said);
    }
    godwit_rig_note_check(
        rig, json_pack("{s:s, s:s*, s:s*}", "name", name, "answer", said, "problem", problem));
    return true;
}

/* The refusal of a migration tells one of the reasons that query-migrate lists. */
static bool check_reason(struct godwit_conformance *vm, GError **error)
{
    static const char name[] = "migrate with a blocker: refused with the blocker's reason";
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate", "{" NOBODY "}", error);
    g_autoptr(json_t) info = reply ? godwit_vm_execute(vm->vm, "query-migrate", NULL, error) : NULL;
    g_autofree char *problem = NULL;
    if (!info || !godwit_conformance_compare(vm, NULL, &problem, error))
        return false;
    const char *desc = godwit_json_string(json_object_get(reply, "error"), "desc", NULL);
    bool told = false;
    size_t i;
    json_t *reason;
    json_array_foreach(json_object_get(info, "blocked-reasons"), i, reason)
    {
        told |= desc && json_is_string(reason) && strstr(desc, json_string_value(reason));
    }
    if (!problem && !desc)
        problem = g_strdup("the source obeyed");
    else if (!problem && !told)
        problem = g_strdup_printf("the error \"%s\" has none of the reasons that query-migrate "
                                  "lists",
                                  desc);
    godwit_conformance_note(vm->vm->rig, name, reply, problem);
    return true;
}

static bool run_blocked(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                        GError **error)
{
    static const struct godwit_request blocked[] = {
        {"migrate with a blocker, with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
    };
    GODWIT_CONFORMANCE vm = {0};
    g_autofree char *folder = g_build_filename(rig->directory, "folder", NULL);
    if (g_mkdir(folder, 0700)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s: %s", folder,
                    g_strerror(errno));
        return false;
    }
    struct godwit_vm *source = start_held(rig, &vm, error);
    g_autoptr(json_t) added =
        source ? godwit_vm_ask(source, "blockdev-add", "{" VVFAT "}", error) : NULL;
    if (!added)
        return false;
    if (json_object_get(added, "error")) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP, "needs block driver vvfat: %s",
                    godwit_json_string(json_object_get(added, "error"), "desc", ""));
        return false;
    }
    return check_reason(&vm, error) && REQUESTS(&vm, blocked, error) &&
           check_only_migratable(rig, error) &&
           godwit_vm_command(source, "blockdev-del", json_pack("{s:s}", "node-name", "folder"),
                             error) &&
           godwit_conformance_move_on(rig, &scenario->plan, source, error);
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
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/addresses",
        .summary = "invalid and implausible addresses",
        .run = run_addresses,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/no-main-channel",
        .summary = "a list of channels without a main channel",
        .run = run_no_main_channel,
        .needs = "channel:cpr",
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/blocked",
        .summary = "a migration blocker, and --only-migratable",
        .run = run_blocked,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/waiting",
        .summary = "requests that a destination must refuse before a migration arrives",
        .run = run_waiting,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/listening",
        .summary = "addresses where a destination cannot listen, then a valid one",
        .run = run_listening,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/setup",
        .summary = "requests that a source must refuse while it connects",
        .run = run_setup,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .plan = GODWIT_CONFORMANCE_PLAN,
    },
    {
        .name = "conformance/refusals/active",
        .order = true,
        .summary = "requests that both sides must refuse while a migration is active",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX, .live = check_active},
    },
    {
        .name = "conformance/refusals/pre-switchover",
        .order = true,
        .summary = "requests that a source must refuse in pre-switchover",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = pausing,
                 .released = check_pre_switchover},
    },
    {
        .name = "conformance/refusals/postcopy",
        .order = true,
        .summary = "requests that both sides must refuse in postcopy and while it is paused",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX,
                 .postcopy = true,
                 .parameters = slow_postcopy,
                 .released = check_postcopy},
    },
};
GODWIT_SCENARIOS_END(conformance_refusals);
