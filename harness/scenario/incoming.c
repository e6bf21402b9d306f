/*
 * Destinations that listen since their start: -incoming gives them the address, as a URI or as a
 * channel in JSON. They listen before they have any capability or parameter.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FIFO "incoming.fifo"

/* The destination's address, and how it is given. */
struct listener {
    const char *address;
    bool json;
};

/* Returns the value of -incoming, which the caller frees. */
static char *incoming_of(const struct listener *listener)
{
    if (!listener->json)
        return g_strdup(listener->address);
    g_autoptr(json_t) channels = godwit_migrate_channels(listener->address);
    return json_dumps(json_array_get(channels, 0), JSON_COMPACT);
}

/* Starts a destination that listens. ROLE is that of a precopy or of a postcopy. */
static struct godwit_vm *start_listener(struct godwit_testbed *testbed, enum godwit_vm_role role,
                                        const struct listener *listener, GError **error)
{
    g_autofree char *incoming = incoming_of(listener);
    const char *const arguments[] = {"-incoming", incoming, NULL};
    struct godwit_vm *vm = godwit_vm_start(testbed, "destination", role, arguments, error);
    if (vm)
        vm->listens = true;
    return vm;
}

/* Makes the FIFO that two commands migrate through. */
static bool make_fifo(const struct godwit_testbed *testbed, GError **error)
{
    g_autofree char *path = g_build_filename(testbed->directory, FIFO, NULL);
    return !mkfifo(path, 0600) || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make %s: %s",
                                              path, g_strerror(errno));
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct listener *listener = scenario->data;
    const bool postcopy = scenario->spec.move == GODWIT_MOVE_POSTCOPY;
    testbed->oob = postcopy;
    if (strstr(listener->address, FIFO) && !make_fifo(testbed, error))
        return false;
    struct godwit_vm *destination = start_listener(
        testbed, postcopy ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED, listener, error);
    struct godwit_vm *source = destination ? godwit_course_source(testbed, error) : NULL;
    return source && godwit_vm_handshake(destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

#define SOCKET "unix:destination.migrate.sock"
static const struct listener unix_uri = {SOCKET, false}, unix_json = {SOCKET, true},
                             tcp_uri = {"tcp:127.0.0.1:0", false},
                             tcp_json = {"tcp:127.0.0.1:0", true},
                             exec_uri = {"exec:cat " FIFO, false},
                             exec_json = {"exec:cat " FIFO, true};

/* A QEMU that knows the channel "cpr" takes channels by -incoming: that one cannot be given in any
 * other way. */
#define JSON .needs = "channel:cpr"

#define ROW(name_, text, listener, spec_, ...)                                                     \
    {                                                                                              \
        .name = "incoming/" name_, .summary = text, .run = run, .data = &listener, .spec = spec_,  \
        __VA_ARGS__                                                                                \
    }
#define SPEC(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define TCP  .transport = GODWIT_TRANSPORT_TCP
#define EXEC .transport = GODWIT_TRANSPORT_EXEC, .uri = "exec:cat > " FIFO

GODWIT_SCENARIOS(incoming) = {
    ROW("uri/unix", "-incoming unix:", unix_uri, SPEC(.move = GODWIT_MOVE_LIVE), .slow = true),
    ROW("uri/tcp", "-incoming tcp:, at a port that the destination chooses", tcp_uri, SPEC(TCP), ),
    ROW("uri/exec", "-incoming exec:, from a command that reads while the source sends", exec_uri,
        SPEC(EXEC), .slow = true),
    ROW("json/unix", "-incoming with a channel as JSON: a unix socket", unix_json,
        SPEC(.channels = true), JSON),
    ROW("json/inet", "-incoming with a channel as JSON: TCP", tcp_json, SPEC(TCP, .channels = true),
        JSON),
    ROW("json/exec", "-incoming with a channel as JSON: a command", exec_json,
        SPEC(EXEC, .channels = true), JSON, .slow = true),
    ROW("json/postcopy", "-incoming with a channel as JSON, switched to postcopy", unix_json,
        SPEC(.move = GODWIT_MOVE_POSTCOPY), JSON, .slow = true),
};
GODWIT_SCENARIOS_END(incoming);
