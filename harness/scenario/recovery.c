/*
 * Postcopy whose network fails halfway: both sides pause, and continue when they get another
 * connection. recovery.h has the steps that other scenarios share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/recovery.h"

#include "godwit/guest_abi.h"
#include "testbed/tcp.h"

#include <string.h>

/* Where a destination that has lost its source listens. */
#define RECOVER_URI "unix:recover.sock"

static const struct godwit_tls psk = {.kind = GODWIT_TLS_PSK};
static const struct godwit_capability preempt[] = {{"postcopy-preempt", true}, {NULL, false}};

/* Reads the source's report. Fails if its migration is not in the state WANTED. */
static bool ask_account(struct godwit_vm *source, const char *wanted,
                        struct godwit_account *account, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *state = godwit_json_string(info, "status", "none");
    const json_t *ram = json_object_get(info, "ram");
    account->remaining = godwit_json_integer(ram, "remaining", 0);
    account->requests = godwit_json_integer(ram, "postcopy-requests", 0);
    account->sent = godwit_json_integer(ram, "postcopy-bytes", 0);
    account->mbps = json_number_value(json_object_get(ram, "mbps"));
    if (!strcmp(state, wanted))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the source's migration is %s instead of %s, with %" JSON_INTEGER_FORMAT
                " bytes remaining after %" JSON_INTEGER_FORMAT
                " requests for pages, although it was throttled",
                state, wanted, account->remaining, account->requests);
    return false;
}

/* Waits until the destination has requested more than REQUESTS pages, which only query-migrate
 * reports. */
static bool await_requests(struct godwit_vm *source, json_int_t requests,
                           struct godwit_account *account, GError **error)
{
    for (;;) {
        if (!ask_account(source, "postcopy-active", account, error))
            return false;
        if (account->requests > requests)
            return true;
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the destination to request pages", error))
            return false;
    }
}

static bool wait_both(struct godwit_vm *source, struct godwit_vm *destination, const char *state,
                      GError **error)
{
    return godwit_migrate_wait(source, state, error) &&
           godwit_migrate_wait(destination, state, error);
}

/* Checks that requested pages have a connection of their own. Meanwhile the migration is throttled
 * and the guest waits for memory. */
static bool see_channels(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_account account = {0};
    struct godwit_tcp tcp = {0};
    return wait_both(source, destination, "postcopy-active", error) &&
           await_requests(source, 0, &account, error) &&
           godwit_tcp_await(destination, 2,
                            "while the guest waits for memory, with postcopy-preempt", &tcp,
                            error) &&
           godwit_course_unthrottle_postcopy(source, error);
}

/*
 * Waits until the source's migration thread has completed the switchover. The destination's guest
 * runs earlier, and a connection that breaks before that is not paused but lost
 * (docs/known-bugs.md). FIRST is what the source reported in postcopy-active; only query-migrate
 * reports this.
 */
static bool await_switchover(struct godwit_vm *source, const struct godwit_account *first,
                             struct godwit_account *account, GError **error)
{
    /* With preempt another thread sends pages, so that bytes sent prove nothing. Only the migration
     * thread updates the bandwidth. */
    const bool preempts = godwit_json_true(source->capabilities, preempt[0].name);
    while (preempts ? account->mbps == first->mbps : account->sent == 0)
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS, "the source to switch over",
                                 error) ||
            !ask_account(source, "postcopy-active", account, error))
            return false;
    return true;
}

bool godwit_recovery_await_guest(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error)
{
    struct godwit_account first = {0};
    return godwit_migrate_wait(source, "postcopy-active", error) &&
           ask_account(source, "postcopy-active", &first, error) &&
           godwit_migrate_wait(destination, "postcopy-active", error) &&
           godwit_vm_wait_event(destination, destination->migration_first, "RESUME", NULL, error) &&
           await_requests(source, 0, account, error) &&
           await_switchover(source, &first, account, error);
}

bool godwit_recovery_await_pause(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error)
{
    if (!wait_both(source, destination, "postcopy-paused", error) ||
        !ask_account(source, "postcopy-paused", account, error))
        return false;
    if (account->remaining > 0)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the source has nothing left to send when the network fails, although it was "
                "throttled");
    return false;
}

/* Lets the network fail once the guest runs on the destination and waits for memory. */
static bool fail_network(struct godwit_vm *source, struct godwit_vm *destination,
                         struct godwit_account *account, GError **error)
{
    if (!godwit_recovery_await_guest(source, destination, account, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_FAIL);
    return godwit_vm_command(source, "migrate-pause", NULL, error) &&
           godwit_recovery_await_pause(source, destination, account, error);
}

/* Resumes the source at URI, where the destination listens. */
static bool resume(struct godwit_vm *source, struct godwit_vm *destination, const char *uri,
                   const struct godwit_account *before, GError **error)
{
    struct godwit_account after = {0};
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RECOVER);
    if (!godwit_migrate_resume(source, godwit_wire_turn(source->testbed->wire, uri), error) ||
        !wait_both(source, destination, "postcopy-active", error) ||
        !await_requests(source, before->requests, &after, error))
        return false;
    godwit_migration_of(source->testbed)->recovered = true;
    godwit_testbed_measure(source->testbed, "recovery",
                           json_pack("{s:I, s:I, s:I}", "remaining", before->remaining,
                                     "requests_before", before->requests, "requests_after",
                                     after.requests));
    return godwit_course_unthrottle_postcopy(source, error);
}

bool godwit_recovery_recover(struct godwit_vm *source, struct godwit_vm *destination,
                             const char *uri, const struct godwit_account *before, GError **error)
{
    g_autofree char *address = godwit_migrate_recover_at(destination, uri, error);
    return address && resume(source, destination, address, before, error);
}

/* Interrupts a recovery. A QEMU that has the state postcopy-recover-setup must allow that. An older
 * one may refuse, which fails with SKIP. */
static bool interrupt(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, "migrate-pause", NULL, &refusal))
        return godwit_migrate_wait(vm, "postcopy-paused", error);
    if (refusal->code == GODWIT_ERROR_QMP &&
        !godwit_qemu_has(vm->qemu, "state", "postcopy-recover-setup"))
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs migrate-pause during a recovery: %s", refusal->message);
    else
        g_propagate_error(error, g_steal_pointer(&refusal));
    return false;
}

bool godwit_recovery_hang(struct godwit_vm *source, struct godwit_vm *destination,
                          godwit_peer *here, godwit_peer *there, GError **error)
{
    return godwit_peer_silent(there, destination, "silent", error) &&
           godwit_migrate_recover(destination, "fd:silent", error) &&
           godwit_peer_speak(there, error) && godwit_peer_silent(here, source, "silent", error) &&
           godwit_migrate_resume(source, "fd:silent", error) &&
           wait_both(source, destination, "postcopy-recover", error);
}

/* Lets the first recovery hang: each side has a connection on which nothing answers. */
static bool fail_handshake(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_auto(godwit_peer) here = GODWIT_PEER_NONE, there = GODWIT_PEER_NONE;
    struct godwit_account account = {0};
    if (!fail_network(source, destination, &account, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_HANDSHAKE);
    return godwit_recovery_hang(source, destination, &here, &there, error) &&
           interrupt(source, error) && interrupt(destination, error) &&
           godwit_recovery_recover(source, destination, RECOVER_URI, &account, error);
}

/* Lets the source connect to a socket that neither accepts nor refuses. If migrate-pause cannot end
 * that, a refusal does. The destination waits meanwhile and notices nothing. */
static bool fail_reconnect(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_auto(godwit_peer) busy = GODWIT_PEER_NONE;
    struct godwit_account account = {0};
    if (!fail_network(source, destination, &account, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RECONNECT);
    g_autofree char *address = godwit_migrate_recover_at(destination, RECOVER_URI, error);
    if (!address || !godwit_peer_busy(&busy, source->testbed, "busy.sock", error) ||
        !godwit_migrate_resume(source, "unix:busy.sock", error) ||
        !godwit_migrate_wait(source, "postcopy-recover-setup", error) ||
        !ask_account(source, "postcopy-recover-setup", &account, error))
        return false;
    g_autoptr(GError) refusal = NULL;
    if (!godwit_vm_command(source, "migrate-pause", NULL, &refusal)) {
        if (refusal->code != GODWIT_ERROR_QMP) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return false;
        }
        godwit_peer_close(&busy);
    }
    return godwit_migrate_wait(source, "postcopy-paused", error) &&
           resume(source, destination, address, &account, error);
}

bool godwit_recovery_fail_and_recover(struct godwit_vm *source, struct godwit_vm *destination,
                                      GError **error)
{
    struct godwit_account account = {0};
    return fail_network(source, destination, &account, error) &&
           godwit_recovery_recover(source, destination, RECOVER_URI, &account, error);
}

/* A suspended guest dirties nothing that would delay precopy. At this bandwidth precopy takes
 * hours. */
static bool throttle_precopy(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    static const struct godwit_parameter slow[] = {
        {"max-bandwidth", GODWIT_POSTCOPY_THROTTLED, NULL}, {NULL, 0, NULL}};
    (void)destination;
    return godwit_migrate_set_parameters(source, slow, error);
}

GODWIT_SCENARIOS(recovery) = {
    {
        .name = "postcopy/preempt/plain",
        .anywhere = true,
        .summary = "postcopy with a preempt channel for requested pages",
        .qemu_name = "/migration/postcopy/preempt/plain",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .parameters = godwit_postcopy_throttled,
                 .released = see_channels},
    },
    {
        .name = "postcopy/recovery/plain",
        .anywhere = true,
        .quick = true,
        .summary = "the network fails during postcopy, which recovers over a new connection",
        .qemu_name = "/migration/postcopy/recovery/plain",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .released = godwit_recovery_fail_and_recover},
    },
    {
        .name = "postcopy/preempt/recovery/plain",
        .anywhere = true,
        .summary =
            "the network fails during postcopy-preempt, which recovers over a new connection",
        .qemu_name = "/migration/postcopy/preempt/recovery/plain",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .parameters = godwit_postcopy_throttled,
                 .released = godwit_recovery_fail_and_recover},
    },
    {
        .name = "postcopy/preempt/tls/psk",
        .anywhere = true,
        .summary = "postcopy-preempt, both channels encrypted with a pre-shared key",
        .slow = true,
        .qemu_name = "/migration/postcopy/preempt/tls/psk",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .parameters = godwit_postcopy_throttled,
                 .tls = &psk,
                 .released = see_channels},
    },
    {
        .name = "postcopy/recovery/tls/psk",
        .anywhere = true,
        .summary = "the network fails during postcopy; both connections are encrypted",
        .slow = true,
        .qemu_name = "/migration/postcopy/recovery/tls/psk",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .tls = &psk,
                 .released = godwit_recovery_fail_and_recover},
    },
    {
        .name = "postcopy/preempt/recovery/tls/psk",
        .anywhere = true,
        .summary = "the network fails during postcopy-preempt; all connections are encrypted",
        .slow = true,
        .qemu_name = "/migration/postcopy/preempt/recovery/tls/psk",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .parameters = godwit_postcopy_throttled,
                 .tls = &psk,
                 .released = godwit_recovery_fail_and_recover},
    },
    {
        .name = "postcopy/recovery/double-failures/reconnect",
        .anywhere = true,
        .summary = "the first recovery fails while the source connects; the second succeeds",
        .qemu_name = "/migration/postcopy/recovery/double-failures/reconnect",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .released = fail_reconnect},
        .needs = "state:postcopy-recover-setup",
    },
    {
        .name = "postcopy/recovery/double-failures/handshake",
        .summary = "the first recovery gets no answer and is interrupted; the second succeeds",
        .slow = true,
        .qemu_name = "/migration/postcopy/recovery/double-failures/handshake",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .released = fail_handshake},
    },
    {
        .name = "postcopy/suspend",
        .summary = "the guest is suspended (ACPI S3) during migration and wakes up afterwards",
        .qemu_name = "/migration/postcopy/suspend",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .suspend = true,
                 .configure = throttle_precopy},
        .flags = GODWIT_FLAG_SUSPEND,
    },
};
GODWIT_SCENARIOS_END(recovery);
