/*
 * Brings migrations into a state and keeps them there, and judges what becomes of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"

#include "oracle/continuity.h"
#include "stream/reader.h"

#include <string.h>

/* Where a destination that has lost its source listens. */
#define RECOVER_URI "unix:recover.sock"

static const char *const state_names[] = {
    [GODWIT_HELD_SETUP] = "setup",
    [GODWIT_HELD_ACTIVE] = "active",
    [GODWIT_HELD_PRE_SWITCHOVER] = "pre-switchover",
    [GODWIT_HELD_DEVICE] = "device",
    [GODWIT_HELD_POSTCOPY_DEVICE] = "postcopy-device",
    [GODWIT_HELD_POSTCOPY_ACTIVE] = "postcopy-active",
    [GODWIT_HELD_POSTCOPY_PAUSED] = "postcopy-paused",
    [GODWIT_HELD_POSTCOPY_RECOVER] = "postcopy-recover",
};

static const struct godwit_capability pause_on[] = {{"pause-before-switchover", true},
                                                    {NULL, false}};
static const struct godwit_capability pause_off[] = {{"pause-before-switchover", false},
                                                     {NULL, false}};
/* Without a return path a source that has sent everything counts it as received. */
static const struct godwit_capability confirm_on[] = {
    {"pause-before-switchover", true}, {"return-path", true}, {NULL, false}};
static const struct godwit_capability confirm_off[] = {
    {"pause-before-switchover", false}, {"return-path", false}, {NULL, false}};
static const struct godwit_capability postcopy_off[] = {{"postcopy-ram", false}, {NULL, false}};

void godwit_held_init(struct godwit_held *held, struct godwit_testbed *testbed,
                      enum godwit_held_state state)
{
    *held = (struct godwit_held){
        .testbed = testbed, .state = state, .here = GODWIT_PEER_NONE, .there = GODWIT_PEER_NONE};
}

void godwit_held_clear(struct godwit_held *held)
{
    godwit_held_end_peers(held);
    g_clear_pointer(&held->sluice.stream, godwit_stream_free);
}

const char *godwit_held_name(enum godwit_held_state state)
{
    return state_names[state];
}

void godwit_held_end_peers(struct godwit_held *held)
{
    godwit_peer_close(&held->here);
    godwit_peer_close(&held->there);
}

void godwit_held_hang_up(struct godwit_held *held)
{
    godwit_qmp_note(held->source->qmp, "Godwit closed the connection between the QEMUs");
    godwit_relay_hang_up(held->relay);
}

bool godwit_held_expect(const struct godwit_held *held, const char *when, GError **error)
{
    g_autofree char *state = godwit_migrate_state(held->source, error);
    const char *wanted = state_names[held->state];
    if (!state)
        return false;
    return !strcmp(state, wanted) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's migration is %s instead of %s %s", state, wanted, when);
}

/* Returns whether the relay keeps back the end of the stream. */
static bool is_shut_off(const struct godwit_held *held)
{
    return held->state == GODWIT_HELD_DEVICE || held->state == GODWIT_HELD_POSTCOPY_DEVICE;
}

/* Returns whether the migration uses postcopy, in whatever state it is. */
static bool uses_postcopy(const struct godwit_held *held)
{
    return godwit_held_is_postcopy(held) || held->state == GODWIT_HELD_POSTCOPY_DEVICE;
}

/* Returns the capabilities that hold the migration in its state. */
static const struct godwit_capability *capabilities_of(const struct godwit_held *held)
{
    return held->state == GODWIT_HELD_PRE_SWITCHOVER ? pause_on
           : held->state == GODWIT_HELD_DEVICE       ? confirm_on
                                                     : NULL;
}

/* Sets capabilities and parameters, and throttles the migration. */
static bool configure(struct godwit_held *held, GError **error)
{
    struct godwit_vm *const both[] = {held->destination, held->source};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++)
        if ((uses_postcopy(held) && !godwit_course_enable_postcopy(both[i], error)) ||
            !godwit_migrate_set_capabilities(both[i], capabilities_of(held), error))
            return false;
    return godwit_migrate_throttle(held->source, error) &&
           (!uses_postcopy(held) ||
            godwit_migrate_set_parameters(held->source, godwit_postcopy_throttled, error));
}

static bool start_both(struct godwit_held *held, GError **error)
{
    held->destination =
        godwit_vm_start(held->testbed, "destination",
                        held->paused ? GODWIT_VM_DESTINATION_PAUSED : GODWIT_VM_DESTINATION,
                        held->destination_arguments, error);
    held->source = held->destination
                       ? godwit_course_source_with(held->testbed, held->source_arguments, error)
                       : NULL;
    return held->source && godwit_vm_handshake(held->destination, error);
}

bool godwit_held_start(struct godwit_held *held, GError **error)
{
    if (held->elsewhere) {
        held->second = godwit_course_ahead(held->testbed, "second", true, error);
        if (!held->second)
            return false;
    }
    if (held->state != GODWIT_HELD_SETUP)
        return start_both(held, error) && configure(held, error);
    held->source = godwit_course_source(held->testbed, error);
    return held->source && godwit_migrate_set_capabilities(held->source, NULL, error) &&
           godwit_migrate_throttle(held->source, error);
}

/* Notes what is to be kept back, once all of it has come. */
static bool take_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_sluice *sluice = data;
    (void)error;
    sluice->over |= sluice->postcopy ? item->kind == GODWIT_STREAM_COMMAND &&
                                           item->value == GODWIT_COMMAND_POSTCOPY_RUN
                                     : item->kind == GODWIT_STREAM_EOF;
    return true;
}

/* Filter: lets everything pass until the sluice is shut. The end of the connection always passes:
 * the destination sees a stream that was cut off. */
static void filter_channel(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                           size_t length)
{
    const struct godwit_sluice *sluice = data;
    if (!length)
        godwit_flow_close(flow);
    else if (!sluice->shut)
        godwit_flow_send(flow, bytes, length);
}

/* Filter: likewise, and reads the stream. */
static void filter_main(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                        size_t length)
{
    struct godwit_sluice *sluice = data;
    if (length && sluice->stream && !godwit_stream_feed(sluice->stream, bytes, length, NULL))
        g_clear_pointer(&sluice->stream, godwit_stream_free);
    filter_channel(flow, data, bytes, length);
}

/* The first connection is the main one: multifd channels follow it. */
static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_sluice *sluice = data;
    (void)answered;
    if (!index)
        sluice->stream = godwit_stream_new(0, take_item, sluice);
    godwit_flow_filter_by(sent, index ? filter_channel : filter_main, sluice);
}

/* Returns whether all that is to be kept back has come, or the stream cannot be read. */
static bool has_come(gpointer data)
{
    const struct godwit_sluice *sluice = data;
    return sluice->over || !sluice->stream;
}

/* Brings the source into a state in which it has sent all that the destination needs to run the
 * guest, and waits for its confirmation, while the relay keeps that back. */
static bool shut_off(struct godwit_held *held, GError **error)
{
    struct godwit_vm *source = held->source;
    held->sluice.postcopy = held->state == GODWIT_HELD_POSTCOPY_DEVICE;
    godwit_wire_ungate(held->testbed->wire);
    if (held->sluice.postcopy) {
        held->sluice.shut = true;
        if (!godwit_vm_command(source, "migrate-start-postcopy", NULL, error))
            return false;
    } else {
        if (!godwit_migrate_unthrottle(source, error) ||
            !godwit_migrate_wait(source, "pre-switchover", error))
            return false;
        held->sluice.shut = true;
        if (!godwit_migrate_continue(source, error))
            return false;
    }
    if (!godwit_testbed_wait(held->testbed, has_come, &held->sluice,
                             "the source to send the end of its stream", error) ||
        !godwit_migrate_wait(source, state_names[held->state], error))
        return false;
    return held->sluice.over ||
           godwit_fail(error, GODWIT_ERROR_STREAM, "the source's stream could not be read");
}

/* Lets the network fail, and waits until both sides are paused. */
static bool fail_network(struct godwit_held *held, GError **error)
{
    godwit_held_hang_up(held);
    return godwit_recovery_await_pause(held->source, held->destination, &held->account, error);
}

/* Starts a migration to a socket which never accepts. */
static bool reach_setup(struct godwit_held *held, GError **error)
{
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_MIGRATE);
    return godwit_peer_busy(&held->here, held->testbed, "busy.sock", error) &&
           godwit_migrate_start(held->source, "unix:busy.sock", false, error);
}

/* Makes the destination listen behind a relay. */
static bool connect_both(struct godwit_held *held, GError **error)
{
    g_autofree char *address =
        godwit_migrate_listen(held->source, held->destination, GODWIT_TRANSPORT_UNIX, false, error);
    held->relay = address ? godwit_wire_relay(held->testbed->wire, address, error) : NULL;
    return held->relay != NULL;
}

bool godwit_held_connect(struct godwit_held *held, const struct godwit_capability *capabilities,
                         GError **error)
{
    if (!godwit_migrate_set_capabilities(held->source, capabilities, error) ||
        !godwit_migrate_set_capabilities(held->destination, capabilities, error) ||
        !connect_both(held, error))
        return false;
    godwit_wire_gate(held->testbed->wire, false);
    return true;
}

bool godwit_held_reach(struct godwit_held *held, GError **error)
{
    struct godwit_vm *source = held->source, *destination = held->destination;
    if (held->state == GODWIT_HELD_SETUP)
        return reach_setup(held, error);
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_MIGRATE);
    if (!held->relay && !connect_both(held, error))
        return false;
    if (is_shut_off(held))
        godwit_relay_greet(held->relay, greet, &held->sluice);
    destination->may_exit = !held->survives;
    if (!godwit_migrate_start(source, godwit_relay_uri(held->relay), false, error) ||
        !godwit_migrate_prove_live(source, destination, error))
        return false;
    if (held->state == GODWIT_HELD_PRE_SWITCHOVER)
        return godwit_migrate_unthrottle(source, error) &&
               godwit_migrate_wait(source, "pre-switchover", error) &&
               godwit_vm_wait_event(source, source->migration_first, "STOP", NULL, error);
    if (is_shut_off(held))
        return shut_off(held, error);
    if (!godwit_held_is_postcopy(held))
        return true;
    godwit_wire_ungate(held->testbed->wire);
    if (!godwit_vm_command(source, "migrate-start-postcopy", NULL, error) ||
        !godwit_recovery_await_guest(source, destination, &held->account, error))
        return false;
    if (held->state >= GODWIT_HELD_POSTCOPY_PAUSED && !fail_network(held, error))
        return false;
    return held->state != GODWIT_HELD_POSTCOPY_RECOVER ||
           godwit_recovery_hang(source, destination, &held->here, &held->there, error);
}

bool godwit_held_go_on(struct godwit_held *held, GError **error)
{
    return held->state != GODWIT_HELD_PRE_SWITCHOVER ||
           godwit_migrate_continue(held->source, error);
}

/* Continues a source in pre-switchover whose connection is lost. One with a return path may have
 * noticed that already, and refuses to continue while it fails. */
static bool go_on_unless_failing(struct godwit_held *held, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_held_go_on(held, &refusal))
        return true;
    if (refusal->code == GODWIT_ERROR_QMP) {
        g_autofree char *state = godwit_migrate_state(held->source, error);
        if (!state)
            return false;
        if (!strcmp(state, "failing") || !strcmp(state, "failed"))
            return true;
    }
    g_propagate_error(error, g_steal_pointer(&refusal));
    return false;
}

bool godwit_held_await_failure(struct godwit_held *held, GError **error)
{
    struct godwit_vm *source = held->source;
    const bool stopped = held->state >= GODWIT_HELD_PRE_SWITCHOVER;
    godwit_held_end_peers(held);
    return go_on_unless_failing(held, error) && godwit_migrate_wait(source, "failed", error) &&
           godwit_migrate_note_failure(source, error) &&
           (!stopped ||
            godwit_vm_wait_event(source, source->migration_first, "RESUME", NULL, error));
}

bool godwit_held_await_cancelled(struct godwit_held *held, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const bool cancelled = godwit_migrate_wait(held->source, "cancelled", &cause);
    const char *state = godwit_migrate_reported_state(held->source);
    godwit_testbed_measure(held->testbed, "ended", json_string(state));
    if (cancelled || (held->state == GODWIT_HELD_DEVICE && cause->code == GODWIT_ERROR_MIGRATION &&
                      !strcmp(state, "failed")))
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_held_elsewhere(struct godwit_held *held, GError **error)
{
    struct godwit_vm *source = held->source;
    struct godwit_spec spec = {.transport = GODWIT_TRANSPORT_UNIX};
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_ELSEWHERE);
    if (!godwit_course_expect_status(source, "running", "after the failed migration", error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    if (held->state == GODWIT_HELD_PRE_SWITCHOVER)
        spec.capabilities = pause_off;
    else if (held->state == GODWIT_HELD_DEVICE)
        spec.capabilities = confirm_off;
    else if (held->state == GODWIT_HELD_POSTCOPY_DEVICE)
        spec.capabilities = postcopy_off;
    return godwit_vm_handshake(held->second, error) &&
           godwit_course_move(held->testbed, &spec, source, held->second, error);
}

bool godwit_held_alone(struct godwit_held *held, struct godwit_vm *vm, GError **error)
{
    godwit_held_end_peers(held);
    if (!godwit_migrate_wait(vm, "postcopy-paused", error))
        return false;
    g_autofree char *state = godwit_migrate_state(vm, error);
    g_autofree char *status = state ? godwit_vm_status(vm, error) : NULL;
    if (!status)
        return false;
    if (strcmp(state, "postcopy-paused") != 0 || (vm == held->source && !strcmp(status, "running")))
        return godwit_fail(
            error, GODWIT_ERROR_MIGRATION,
            "the %s is alone in a postcopy, with its migration %s and run state \"%s\", "
            "expected postcopy-paused and a guest that does not run",
            vm->name, state, status);
    /* A destination whose guest waits for memory cannot quit. */
    return vm == held->destination || godwit_vm_quit(vm, error);
}

bool godwit_held_judge_running(struct godwit_vm *destination, const struct godwit_reading *before,
                               GError **error)
{
    struct godwit_reading after = {0};
    return godwit_course_see_it_run(destination, error) &&
           godwit_vm_command(destination, "stop", NULL, error) &&
           godwit_oracle_look(destination, &after, error) &&
           godwit_oracle_continuity(destination, before->mailbox, after.mailbox, true, error);
}

bool godwit_held_judge_loaded(struct godwit_held *held, GError **error)
{
    struct godwit_reading before = {0};
    return godwit_oracle_twin(held->source, held->destination, &before, error) &&
           (held->testbed->lost || (godwit_vm_run(held->destination, error) &&
                                    godwit_held_judge_running(held->destination, &before, error)));
}

/* Lets a migration in whatever state send the rest. */
static bool release(struct godwit_held *held, bool broken, GError **error)
{
    struct godwit_vm *source = held->source, *destination = held->destination;
    if (!godwit_held_is_postcopy(held))
        return (held->state == GODWIT_HELD_PRE_SWITCHOVER ||
                godwit_migrate_unthrottle(source, error)) &&
               godwit_held_go_on(held, error);
    if (!broken)
        return godwit_course_unthrottle_postcopy(source, error);
    return (held->state == GODWIT_HELD_POSTCOPY_PAUSED ||
            godwit_recovery_await_pause(source, destination, &held->account, error)) &&
           godwit_recovery_recover(source, destination, RECOVER_URI, &held->account, error);
}

bool godwit_held_complete(struct godwit_held *held, bool broken, struct godwit_reading *before,
                          GError **error)
{
    struct godwit_vm *source = held->source, *destination = held->destination;
    destination->may_exit = false;
    godwit_held_end_peers(held);
    if (!release(held, broken, error) || !godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error))
        return false;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_VERIFY);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    for (unsigned cpu = 0; cpu < held->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &before->mailbox[cpu], error))
            return false;
    return true;
}
