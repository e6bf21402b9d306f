/*
 * migrate_cancel in the states that only a held migration has: when everything was sent and nothing
 * is confirmed yet, and in postcopy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"

#include <stdlib.h>

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

/* Before 10.0 a source obeys, and the guest is lost: neither side has all of its memory. */
static struct godwit_lack *lacks_refusal(const struct godwit_setup *setup)
{
    return godwit_lack_before(setup->source, 10, "a source that refuses migrate_cancel in postcopy",
                              "obeys, and loses the guest");
}

/* A cancelled migration: the guest runs on, and goes to another destination. */
static bool judge_cancelled(struct godwit_held *held, GError **error)
{
    return godwit_held_await_cancelled(held, error) &&
           godwit_vm_wait_event(held->source, held->source->migration_first, "RESUME", NULL,
                                error) &&
           godwit_course_refused(held->destination, error) && godwit_held_elsewhere(held, error);
}

/* When the destination may run the guest, or has a part of its memory, to cancel would lose it:
 * it must be refused. */
static bool judge_refused(struct godwit_held *held, GError **error)
{
    if (held->state == GODWIT_HELD_POSTCOPY_DEVICE) {
        godwit_held_hang_up(held);
        return godwit_held_await_failure(held, error) &&
               godwit_course_refused(held->destination, error) &&
               godwit_held_elsewhere(held, error);
    }
    const bool broken = held->state != GODWIT_HELD_POSTCOPY_ACTIVE;
    struct godwit_reading before = {0};
    return godwit_held_expect(held, "after migrate_cancel", error) &&
           godwit_held_complete(held, broken, &before, error) &&
           godwit_held_judge_running(held->destination, &before, error) &&
           godwit_course_end(held->destination, held->source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const enum godwit_held_state *state = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    g_autoptr(GError) refusal = NULL;
    godwit_held_init(held, testbed, *state);
    held->survives = godwit_held_is_postcopy(held);
    held->elsewhere = !held->survives;
    testbed->oob = true;
    if (!godwit_held_start(held, error) || !godwit_held_reach(held, error) ||
        !godwit_held_expect(held, "just before migrate_cancel", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    const bool obeyed = godwit_vm_command(held->source, "migrate_cancel", NULL, &refusal);
    if (!obeyed && refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    const bool refuses = *state != GODWIT_HELD_DEVICE;
    if (obeyed == refuses)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s in %s%s",
                           obeyed ? "the source accepted migrate_cancel" : refusal->message,
                           godwit_held_name(*state), obeyed ? ", expected a refusal" : "");
    return refuses ? judge_refused(held, error) : judge_cancelled(held, error);
}

#define ROW(name_, state_, text, ...)                                                              \
    {                                                                                              \
        .name = "cancel/after/" name_, .summary = text, .run = run, .slow = true,                  \
        .data = &(const enum godwit_held_state){GODWIT_HELD_##state_},                             \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state, __VA_ARGS__           \
    }

GODWIT_SCENARIOS(cancel_held) = {
    ROW("device", DEVICE, "migrate_cancel when everything was sent, but not confirmed: it resumes",
        .needs = "capability:return-path capability:pause-before-switchover"),
    ROW("postcopy-device", POSTCOPY_DEVICE,
        "migrate_cancel when the devices were sent, but not confirmed: refused",
        .needs = "capability:postcopy-ram state:postcopy-device", .wide = true),
    ROW("postcopy-active", POSTCOPY_ACTIVE, "migrate_cancel in postcopy: refused, it completes",
        .needs = "capability:postcopy-ram", .wide = true, .lacks = lacks_refusal),
    ROW("postcopy-paused", POSTCOPY_PAUSED, "migrate_cancel in postcopy-paused: refused",
        .needs = "capability:postcopy-ram", .wide = true, .lacks = lacks_refusal),
    ROW("postcopy-recover", POSTCOPY_RECOVER, "migrate_cancel in postcopy-recover: refused",
        .needs = "capability:postcopy-ram", .wide = true, .lacks = lacks_refusal),
};
GODWIT_SCENARIOS_END(cancel_held);
