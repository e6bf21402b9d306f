/*
 * Addresses and channels that must be refused: by a source to which a migration cannot go, and by a
 * destination that cannot listen there. Each QEMU goes on as before, and a plain migration after
 * the requests succeeds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance_parts.h"

#include "bugs/bugs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer than a unix socket's address can be. */
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

#define ADDRESSED(uri) "migrate", "{\"uri\":\"" uri "\"}", GODWIT_FAILS

/* Addresses that make no sense. Some are checked only by the thread that connects. */
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
    {"address unix in a folder that does not exist: refused",
     ADDRESSED("unix:no-such-folder/x.sock"), NULL},
    {"address \"fd:\": refused", ADDRESSED("fd:"), NULL},
    {"address fd with a name that was never passed: refused", ADDRESSED("fd:no-such-name"), NULL},
    {"address \"exec:\": refused", ADDRESSED("exec:"), NULL},
    {"address exec with a command that fails: refused", ADDRESSED("exec:exit 1"), NULL},
    {"address \"vsock:\": refused", ADDRESSED("vsock:"), NULL},
    {"address \"file:\": refused", ADDRESSED("file:"), "transport:file"},
    {"address file in a folder that does not exist: refused", ADDRESSED("file:no-such-folder/x"),
     "transport:file"},
    {"address file with an offset that is not a number: refused", ADDRESSED("file:x,offset=y"),
     "transport:file"},
};

/* Addresses that are well-formed, but where a destination cannot listen. */
static const struct godwit_request unusable[] = {
    {"destination: migrate-incoming from tcp with a word for a port: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"tcp:127.0.0.1:no-such-service\"}")},
    {"destination: migrate-incoming from unix with too long a path: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"unix:/" LONG "\"}")},
    {"destination: migrate-incoming from fd with a name that was never passed: refused",
     REFUSED("migrate-incoming", "{\"uri\":\"fd:no-such-name\"}")},
    {"destination: migrate-incoming from a file that does not exist: refused", "migrate-incoming",
     "{\"uri\":\"file:no-such-folder/x\"}", GODWIT_REFUSED, "transport:file"},
};

/* Returns a TCP socket that listens at 127.0.0.1, and its port in *PORT. The caller closes it.
 * Returns -1 with ERROR set if that fails. */
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
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "cannot listen on a TCP port of 127.0.0.1: %s", g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Requests a migration to a port above 65535. Something listens on that port modulo 2^16, to find
 * out whether QEMU connects there. */
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
    /* This hangs up on a source that has connected. */
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
        problem = g_strdup_printf("the source connected to port %u", port - 65536);
    else if (cause)
        json_object_set_new(reply, "error",
                            json_pack("{s:s, s:s}", "class", "failed", "desc", cause->message));
    godwit_conformance_note(source->testbed, name, reply, problem);
    const struct godwit_bug *bug =
        wrapped ? godwit_bug_explain(&(const struct godwit_symptom){
                      .kind = GODWIT_SYMPTOM_PORT, .vm = source, .port = port})
                : NULL;
    if (bug)
        godwit_testbed_excuse_check(source->testbed, bug->id);
    return true;
}

static bool run_addresses(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = godwit_conformance_start_stopped(testbed, &vm, error);
    return source && REQUESTS(&vm, addresses, error) && check_port(&vm, error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

static bool answered_or_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->reply || vm->exited;
}

/* Requests a migration with channels of which none is the main one. This is a scenario of its own,
 * because it crashes some QEMUs. */
static bool run_no_main_channel(struct godwit_testbed *testbed,
                                const struct godwit_scenario *scenario, GError **error)
{
    static const char name[] = "migrate with channels but no main one: refused";
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = godwit_conformance_start_throttled(testbed, &vm, error);
    if (!source)
        return false;
    source->may_exit = true;
    if (!godwit_qmp_send_text(source->qmp, "migrate",
                              "{\"channels\":[{\"channel-type\":\"cpr\"," ADDRESS "}]}", -1,
                              error) ||
        !godwit_testbed_wait(testbed, answered_or_gone, source, "the source's answer to migrate",
                             error))
        return false;
    source->may_exit = false;
    g_autofree char *problem = NULL;
    if (source->qmp->reply) {
        g_autoptr(json_t) reply = g_steal_pointer(&source->qmp->reply);
        if (!godwit_conformance_compare(&vm, NULL, &problem, error))
            return false;
        if (!problem && !json_object_get(reply, "error"))
            problem = g_strdup("the source accepted the request");
        godwit_conformance_note(testbed, name, reply, problem);
        return godwit_conformance_move_on(testbed, &scenario->spec, source, error);
    }
    source->may_exit = true;
    g_autofree char *end = godwit_vm_end(source);
    problem = g_strdup_printf("the source's QEMU %s", end);
    godwit_conformance_note(testbed, name, NULL, problem);
    const struct godwit_bug *bug = godwit_bug_explain(
        &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CHANNELS, .source = source});
    if (bug)
        godwit_testbed_excuse_check(testbed, bug->id);
    godwit_testbed_phase(testbed, GODWIT_PHASE_NONE);
    return true;
}

/* Checks that a destination accepts a valid address after one where it could not listen. Each
 * address gets a new VM, so that one cannot hide the effect of another. */
static bool run_listening(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    struct godwit_vm *vms[G_N_ELEMENTS(unusable)];
    godwit_testbed_phase(testbed, GODWIT_PHASE_CHECK);
    for (size_t i = 0; i < G_N_ELEMENTS(unusable); i++) {
        g_autofree char *name = g_strdup_printf("destination-%zu", i + 1);
        vms[i] = godwit_vm_start(testbed, name, GODWIT_VM_DESTINATION_PAUSED, NULL, error);
        if (!vms[i])
            return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(unusable); i++) {
        GODWIT_CONFORMANCE vm = {0};
        g_autofree char *name =
            g_strdup_printf("%s, and a good address is taken after it", unusable[i].name);
        if (!godwit_vm_handshake(vms[i], error) || !godwit_conformance_begin(&vm, vms[i], error) ||
            !godwit_conformance_requests(&vm, &unusable[i], 1, error))
            return false;
        g_autofree char *lacks =
            godwit_lack_reason(godwit_qemu_lacks(vms[i]->qemu, unusable[i].needs));
        if (lacks) {
            godwit_conformance_skip(testbed, name, lacks);
        } else {
            g_autofree char *arguments =
                g_strdup_printf("{\"uri\":\"unix:%s.sock\"}", vms[i]->name);
            g_autoptr(json_t) reply = godwit_vm_ask(vms[i], "migrate-incoming", arguments, error);
            if (!reply)
                return false;
            const json_t *refusal = json_object_get(reply, "error");
            godwit_conformance_note(testbed, name, reply,
                                    refusal ? godwit_json_string(refusal, "desc", "") : NULL);
            const struct godwit_bug *bug =
                refusal ? godwit_bug_explain(&(const struct godwit_symptom){
                              .kind = GODWIT_SYMPTOM_INCOMING,
                              .vm = vms[i],
                              .text = godwit_json_string(refusal, "desc", "")})
                        : NULL;
            if (bug)
                godwit_testbed_excuse_check(testbed, bug->id);
        }
        if (!godwit_vm_quit(vms[i], error))
            return false;
    }
    return godwit_course_run(testbed, &scenario->spec, error);
}

GODWIT_SCENARIOS(conformance_addresses) = {
    {
        .name = "conformance/refusals/addresses",
        .summary = "invalid and implausible addresses",
        .slow = true,
        .run = run_addresses,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/no-main-channel",
        .summary = "a list of channels without a main channel",
        .slow = true,
        .run = run_no_main_channel,
        .needs = "channel:cpr",
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/listening",
        .summary = "addresses where a destination cannot listen, then a valid one",
        .slow = true,
        .run = run_listening,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
};
GODWIT_SCENARIOS_END(conformance_addresses);
