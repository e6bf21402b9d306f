/*
 * A peer that accepts the connection of an encrypted migration and says nothing, as a firewall, or
 * a destination that stands still, does. The source waits for the handshake, and must answer on QMP
 * meanwhile: nothing else could end the migration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "migrate/peer.h"
#include "scenario/scenario.h"

#include <poll.h>
#include <sys/socket.h>

/* The type of the first record, by RFC 8446. */
#define TLS_HANDSHAKE 0x16

/* How long the source may take for an answer. */
#define ANSWER_SECONDS 10

/* Waits until the source has sent the beginning of its handshake. */
static bool await_hello(struct godwit_testbed *testbed, const godwit_peer *peer, GError **error)
{
    struct pollfd end = {.fd = peer->fds[0], .events = POLLIN};
    unsigned char first = 0;
    while (poll(&end, 1, 0) != 1)
        if (!godwit_testbed_rest(testbed, GODWIT_REST_MS, "the source to begin a TLS handshake",
                                 error))
            return false;
    return (recv(peer->fds[0], &first, 1, MSG_PEEK) == 1 && first == TLS_HANDSHAKE) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent 0x%02x first, expected 0x%02x, a TLS handshake", first,
                       TLS_HANDSHAKE);
}

/* Starts the migration, and asks the source for its state when it waits for the peer. Sets *STALLED
 * if it does not answer because of a known bug. */
static bool ask(struct godwit_vm *source, const godwit_peer *peer, bool *stalled, GError **error)
{
    g_autoptr(GError) late = NULL;
    const gint64 deadline = godwit_testbed_limit(source->testbed, ANSWER_SECONDS);
    const bool answers = godwit_migrate_start(source, "fd:silent", false, &late) &&
                         await_hello(source->testbed, peer, &late) &&
                         godwit_vm_command(source, "query-status", NULL, &late);
    source->testbed->deadline = deadline;
    *stalled = !answers && late->code == GODWIT_ERROR_TIMEOUT &&
               godwit_bug_explain(&(const struct godwit_symptom){
                   .kind = GODWIT_SYMPTOM_NO_ANSWER, .source = source, .text = "TLS handshake"});
    if (answers || (*stalled && await_hello(source->testbed, peer, error)))
        return true;
    if (!*stalled)
        g_propagate_error(error, g_steal_pointer(&late));
    return false;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    static const struct godwit_tls psk = {.kind = GODWIT_TLS_PSK};
    g_auto(godwit_peer) peer = GODWIT_PEER_NONE;
    struct godwit_vm *source, *destination;
    bool stalled = false;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(source, NULL, error) ||
        !godwit_tls_set_up(source, destination, &psk, error) ||
        !godwit_peer_silent(&peer, source, "silent", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    if (!ask(source, &peer, &stalled, error))
        return false;
    godwit_peer_close(&peer);
    if (!godwit_migrate_wait(source, "failed", error) ||
        !godwit_migrate_note_failure(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_ELSEWHERE);
    return godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

GODWIT_SCENARIOS(tls_silent) = {
    {
        .name = "connections/tls/silent",
        .summary = "the peer does not answer the TLS handshake: the source answers on QMP",
        .run = run,
        .needs = "object:tls-creds-psk parameter:tls-creds",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(tls_silent);
