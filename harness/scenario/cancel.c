/*
 * migrate_cancel in every state that a source can be kept in. The source must survive it: if it
 * still has its guest, it then migrates that to another destination.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/cancel.h"

#include "bugs/bugs.h"
#include "scenario/scenario.h"

#include <string.h>

/* Addresses of migrations that must not complete. */
#define BUSY_URI "unix:busy.sock"
#define PIPE_URI "fd:pipe"

static const struct godwit_capability pause_on[] = {{"pause-before-switchover", true},
                                                    {NULL, false}};
static const struct godwit_capability pause_off[] = {{"pause-before-switchover", false},
                                                     {NULL, false}};

static bool expect_state(struct godwit_vm *vm, const char *wanted, const char *when, GError **error)
{
    g_autofree char *state = godwit_migrate_state(vm, error);
    if (!state)
        return false;
    if (!strcmp(state, wanted))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s's migration is %s instead of %s %s", vm->name, state, wanted, when);
    return false;
}

struct godwit_scenario_state {
    struct godwit_vm *last; /* destination of the last migration; it starts before the source */
};

/* Sends migrate_cancel to a source that must be in STATE. */
static bool cancel_in(struct godwit_vm *source, const char *state, GError **error)
{
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_CANCEL);
    return expect_state(source, state, "just before migrate_cancel", error) &&
           godwit_vm_command(source, "migrate_cancel", NULL, error);
}

/* Sends migrate_cancel when there is nothing to cancel, not yet or not any more: the state must not
 * change. */
static bool cancel_without_effect(struct godwit_vm *source, const char *state, GError **error)
{
    return cancel_in(source, state, error) &&
           expect_state(source, state, "after migrate_cancel", error);
}

/* Checks that the source's guest runs on, and that the source can then migrate as if nothing had
 * happened. */
static bool migrate_afterwards(struct godwit_vm *source, const struct godwit_scenario *scenario,
                               GError **error)
{
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RUN_ON);
    if (!godwit_course_expect_status(source, "running", "after migrate_cancel", error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    struct godwit_vm *last = source->testbed->state->last;
    return godwit_vm_handshake(last, error) &&
           godwit_course_move(source->testbed, &scenario->spec, source, last, error);
}

/* Starts a throttled source that sends events and, ahead of it, the destination of its last
 * migration. */
static struct godwit_vm *start_source(struct godwit_testbed *testbed, GError **error)
{
    testbed->state->last = godwit_course_ahead(testbed, "destination", true, error);
    if (!testbed->state->last)
        return NULL;
    struct godwit_vm *source = godwit_course_source(testbed, error);
    return source && godwit_migrate_set_capabilities(source, NULL, error) &&
                   godwit_migrate_throttle(source, error)
               ? source
               : NULL;
}

/* Starts a source and a first destination, and a throttled migration between them, which is proven
 * live. */
static bool start_both(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       const struct godwit_capability *capabilities, struct godwit_vm **source,
                       struct godwit_vm **first, GError **error)
{
    *first = godwit_course_ahead(testbed, "first", true, error);
    *source = *first ? start_source(testbed, error) : NULL;
    if (!*source || !godwit_vm_handshake(*first, error) ||
        !godwit_migrate_set_capabilities(*first, capabilities, error) ||
        !godwit_migrate_set_capabilities(*source, capabilities, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    (*first)->may_exit = true; /* a destination exits when its source breaks off */
    g_autofree char *uri =
        godwit_migrate_listen(*source, *first, scenario->spec.transport, false, error);
    return uri && godwit_migrate_start(*source, uri, false, error) &&
           godwit_migrate_prove_live(*source, *first, error);
}

static bool after_none(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    struct godwit_vm *source = start_source(testbed, error);
    return source && cancel_without_effect(source, "none", error) &&
           migrate_afterwards(source, scenario, error);
}

/* Sets *PENDING to whether the engine still has a migration that could be yanked. It has one as
 * long as it connects, whatever state it reports. */
static bool ask_pending(struct godwit_vm *vm, bool *pending, GError **error)
{
    g_autoptr(json_t) instances = godwit_vm_execute(vm, "query-yank", NULL, error);
    size_t i;
    json_t *instance;
    *pending = false;
    json_array_foreach(instances, i, instance)
    {
        *pending |= !strcmp(godwit_json_string(instance, "type", ""), "migration");
    }
    return instances != NULL;
}

/* A source that reports "cancelled" while it still connects has a known bug. */
bool godwit_cancel_settle(struct godwit_vm *source, godwit_peer *busy, GError **error)
{
    bool pending;
    g_autofree char *state = godwit_migrate_state(source, error);
    if (!state || !ask_pending(source, &pending, error))
        return false;
    if (strcmp(state, "cancelled") != 0) {
        godwit_peer_close(busy);
        return godwit_migrate_wait(source, "cancelled", error);
    }
    if (!pending)
        return true;
    if (!godwit_bug_explain(
            &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CONNECTING, .source = source})) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the source's migration is cancelled, but it still connects: another migration "
                    "would be refused, or would get that connection");
        return false;
    }
    godwit_peer_close(busy);
    while (pending)
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the source to give up its connection", error) ||
            !ask_pending(source, &pending, error))
            return false;
    return true;
}

/* The source's connection is neither accepted nor refused. */
static bool after_setup(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    g_auto(godwit_peer) busy = GODWIT_PEER_NONE;
    struct godwit_vm *source = start_source(testbed, error);
    return source && godwit_peer_busy(&busy, testbed, "busy.sock", error) &&
           godwit_migrate_start(source, BUSY_URI, false, error) &&
           cancel_in(source, "setup", error) && godwit_cancel_settle(source, &busy, error) &&
           migrate_afterwards(source, scenario, error);
}

static bool after_active(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    struct godwit_vm *source, *first;
    return start_both(testbed, scenario, NULL, &source, &first, error) &&
           cancel_in(source, "active", error) && godwit_migrate_wait(source, "cancelled", error) &&
           godwit_course_refused(first, error) && migrate_afterwards(source, scenario, error);
}

/* The guest is already stopped and must run again. */
static bool after_pre_switchover(struct godwit_testbed *testbed,
                                 const struct godwit_scenario *scenario, GError **error)
{
    struct godwit_vm *source, *first;
    return start_both(testbed, scenario, pause_on, &source, &first, error) &&
           godwit_migrate_unthrottle(source, error) &&
           godwit_migrate_wait(source, "pre-switchover", error) &&
           godwit_vm_wait_event(source, source->migration_first, "STOP", NULL, error) &&
           cancel_in(source, "pre-switchover", error) &&
           godwit_migrate_wait(source, "cancelled", error) &&
           godwit_vm_wait_event(source, source->migration_first, "RESUME", NULL, error) &&
           godwit_course_refused(first, error) && migrate_afterwards(source, scenario, error);
}

/* By then the guest runs on the destination. The source's copy of it can still run. */
static bool cancel_completed(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    (void)destination;
    return cancel_without_effect(source, "completed", error) &&
           godwit_course_expect_status(source, "postmigrate", "after migrate_cancel", error) &&
           godwit_vm_run(source, error) && godwit_course_see_it_run(source, error) &&
           godwit_vm_command(source, "stop", NULL, error);
}

/* The sending thread waits for a full pipe, which cannot be shut down, so it notices nothing until
 * the pipe breaks. */
static bool after_cancelling(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                             GError **error)
{
    g_auto(godwit_peer) pipe = GODWIT_PEER_NONE;
    struct godwit_vm *source = start_source(testbed, error);
    if (!source || !godwit_peer_pipe(&pipe, source, "pipe", error) ||
        !godwit_migrate_start(source, PIPE_URI, false, error) ||
        !godwit_migrate_wait(source, "active", error))
        return false;
    while (!godwit_peer_is_full(&pipe))
        if (!expect_state(source, "active", "while nothing reads what it sends", error))
            return false;
    if (!cancel_in(source, "active", error) || !cancel_without_effect(source, "cancelling", error))
        return false;
    godwit_peer_close(&pipe);
    return godwit_migrate_wait(source, "cancelled", error) &&
           migrate_afterwards(source, scenario, error);
}

static bool after_cancelled(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                            GError **error)
{
    struct godwit_vm *source, *first;
    return start_both(testbed, scenario, NULL, &source, &first, error) &&
           cancel_in(source, "active", error) && godwit_migrate_wait(source, "cancelled", error) &&
           cancel_without_effect(source, "cancelled", error) &&
           godwit_course_refused(first, error) && migrate_afterwards(source, scenario, error);
}

/* The pipe breaks during the migration. */
static bool after_failed(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    g_auto(godwit_peer) pipe = GODWIT_PEER_NONE;
    struct godwit_vm *source = start_source(testbed, error);
    if (!source || !godwit_peer_pipe(&pipe, source, "pipe", error) ||
        !godwit_migrate_start(source, PIPE_URI, false, error) ||
        !godwit_migrate_wait(source, "active", error))
        return false;
    godwit_peer_close(&pipe);
    return godwit_migrate_wait(source, "failed", error) &&
           cancel_without_effect(source, "failed", error) &&
           migrate_afterwards(source, scenario, error);
}

/* An entry. Entries differ in the state and in what they run. */
#define ROW(STATE, SUMMARY, ...)                                                                   \
    {                                                                                              \
        .name = "cancel/after/" STATE, .summary = SUMMARY,                                         \
        .qemu_name = "/migration/cancel/src/after/" STATE,                                         \
        .state = sizeof(struct godwit_scenario_state), __VA_ARGS__                                 \
    }

GODWIT_SCENARIOS(cancel) = {
    ROW("none", "migrate_cancel before any migration: no effect", .run = after_none, .slow = true),
    ROW("setup", "migrate_cancel while the source connects", .run = after_setup,
        .needs = "command:query-yank", .slow = true),
    ROW("active", "migrate_cancel while a live migration sends memory", .run = after_active,
        .quick = true),
    ROW("pre-switchover", "migrate_cancel when the guest is already stopped: it resumes",
        .run = after_pre_switchover, .spec = {.capabilities = pause_off}),
    ROW("completed", "migrate_cancel after a completed migration: no effect",
        .spec = {.judge = cancel_completed}),
    ROW("cancelling", "a second migrate_cancel while cancelling: no further effect",
        .run = after_cancelling, .slow = true),
    ROW("cancelled", "migrate_cancel after a cancelled migration: no effect",
        .run = after_cancelled, .slow = true),
    ROW("failed", "migrate_cancel after a failed migration: no effect", .run = after_failed),
};
GODWIT_SCENARIOS_END(cancel);
