/*
 * Accidents in each state of a migration: the connection is cut, or one side is killed or stopped
 * for a while. Each side that survives must be in the right state, with its memory in order. A
 * source that still has its guest must be able to migrate it elsewhere.
 *
 * A trial is a state and a blow. run() brings the migration into the state, strikes, and judges.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"

#include <signal.h>

/* How long a side is stopped, in milliseconds: more than two periods of QEMU's rate limiter of 0.1
 * s, and longer than a whole unthrottled migration takes here. */
#define STOPPED_MS 250

/* The accident. */
enum blow {
    BLOW_CUT,
    BLOW_KILL_DESTINATION,
    BLOW_KILL_SOURCE,
    BLOW_STOP_DESTINATION,
    BLOW_STOP_SOURCE
};

struct trial {
    enum godwit_held_state state;
    enum blow blow;
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

static bool is_stop(const struct trial *trial)
{
    return trial->blow == BLOW_STOP_DESTINATION || trial->blow == BLOW_STOP_SOURCE;
}

static bool end_now(struct godwit_vm *vm, GError **error)
{
    g_autofree char *what = g_strdup_printf("the %s's QEMU to be killed", vm->name);
    vm->may_exit = true;
    godwit_vm_signal(vm, SIGKILL);
    return godwit_testbed_wait(vm->testbed, godwit_vm_has_ended, vm, what, error);
}

/* Stops the VM's QEMU for a while. There is no event to wait for: only time must pass. */
static bool stop_for_a_while(struct godwit_vm *vm, GError **error)
{
    godwit_vm_signal(vm, SIGSTOP);
    const bool rested = godwit_testbed_rest(vm->testbed, STOPPED_MS, "nothing", error);
    godwit_vm_signal(vm, SIGCONT);
    return rested;
}

/* Strikes. Fails if the source is not in the trial's state. */
static bool strike(struct godwit_held *held, enum blow blow, GError **error)
{
    if (!godwit_held_expect(held, "just before the fault", error))
        return false;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_STRIKE);
    switch (blow) {
    case BLOW_CUT:
        godwit_held_end_peers(held);
        if (held->relay)
            godwit_held_hang_up(held);
        return true;
    case BLOW_KILL_DESTINATION:
        if (!end_now(held->destination, error))
            return false;
        /* The destination's host would break the connection as well. Break it before the source
         * continues: otherwise all that is left may fit into the sockets' buffers, and then the
         * source counts it as sent. */
        godwit_held_hang_up(held);
        return true;
    case BLOW_KILL_SOURCE:
        return end_now(held->source, error);
    case BLOW_STOP_DESTINATION:
        return stop_for_a_while(held->destination, error);
    case BLOW_STOP_SOURCE:
        return stop_for_a_while(held->source, error);
    }
    return false;
}

/* Judges a precopy that failed: before the switchover the guest belongs to the source. */
static bool survive_precopy(struct godwit_held *held, enum blow blow, GError **error)
{
    if (blow == BLOW_KILL_SOURCE)
        return godwit_course_refused(held->destination, error);
    return godwit_held_await_failure(held, error) &&
           (blow != BLOW_CUT || !held->destination ||
            godwit_course_refused(held->destination, error)) &&
           godwit_held_elsewhere(held, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    const bool stops = is_stop(trial);
    godwit_held_init(held, testbed, trial->state);
    const bool postcopy = godwit_held_is_postcopy(held);
    /* A destination that should load is compared before it runs. One that should not load is not
     * started paused, so that it would run if it did. */
    held->paused = stops && !postcopy;
    held->survives = stops;
    held->elsewhere = trial->state == GODWIT_HELD_SETUP ||
                      (!postcopy && !stops && trial->blow != BLOW_KILL_SOURCE);
    if (!godwit_held_start(held, error) || !godwit_held_reach(held, error) ||
        !strike(held, trial->blow, error))
        return false;
    if (trial->state == GODWIT_HELD_SETUP || (!postcopy && !stops))
        return survive_precopy(held, trial->blow, error);
    if (trial->blow == BLOW_KILL_DESTINATION)
        return godwit_held_alone(held, held->source, error);
    if (trial->blow == BLOW_KILL_SOURCE)
        return godwit_held_alone(held, held->destination, error);
    struct godwit_reading before = {0};
    const bool broken = postcopy && (!stops || trial->state != GODWIT_HELD_POSTCOPY_ACTIVE);
    return godwit_held_complete(held, broken, &before, error) &&
           (postcopy ? godwit_held_judge_running(held->destination, &before, error)
                     : godwit_held_judge_loaded(held, error)) &&
           godwit_vm_quit(held->source, error) && godwit_vm_quit(held->destination, error);
}

/* Whether a row is slow: those with a recovery are, and where a side stands still, but for a live
 * precopy. */
#define SLOW(state, blow)                                                                          \
    ((state) > GODWIT_HELD_POSTCOPY_ACTIVE ||                                                      \
     (((blow) == BLOW_STOP_DESTINATION || (blow) == BLOW_STOP_SOURCE) &&                           \
      (state) != GODWIT_HELD_ACTIVE))
#define ROW(STATE, name_, BLOW, what, text, needs_)                                                \
    {                                                                                              \
        .name = "faults/" name_ "/" what, .summary = text, .run = run, .needs = needs_,            \
        .wide = GODWIT_HELD_##STATE >= GODWIT_HELD_POSTCOPY_ACTIVE,                                \
        .slow = SLOW(GODWIT_HELD_##STATE, BLOW_##BLOW),                                            \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            GODWIT_HELD_##STATE, BLOW_##BLOW                                                       \
        }                                                                                          \
    }
#define KILLS(STATE, name_, needs_)                                                                \
    ROW(STATE, name_, KILL_DESTINATION, "kill-destination", "the destination is killed", needs_),  \
        ROW(STATE, name_, KILL_SOURCE, "kill-source", "the source is killed", needs_),             \
        ROW(STATE, name_, STOP_DESTINATION, "stop-destination",                                    \
            "the destination stands still for a while", needs_),                                   \
        ROW(STATE, name_, STOP_SOURCE, "stop-source", "the source stands still for a while",       \
            needs_)
#define ALL(STATE, name_, needs_)                                                                  \
    ROW(STATE, name_, CUT, "cut", "the connection is cut", needs_), KILLS(STATE, name_, needs_)

#define POSTCOPY "capability:postcopy-ram"

GODWIT_SCENARIOS(faults) = {
    ROW(SETUP, "setup", CUT, "cut", "the connection is refused", NULL),
    ROW(SETUP, "setup", STOP_SOURCE, "stop-source",
        "the source stands still for a while, then the connection is refused", NULL),
    ALL(ACTIVE, "active", NULL),
    ALL(PRE_SWITCHOVER, "pre-switchover", "capability:pause-before-switchover"),
    ALL(POSTCOPY_ACTIVE, "postcopy-active", POSTCOPY),
    KILLS(POSTCOPY_PAUSED, "postcopy-paused", POSTCOPY),
    /* Older QEMUs do not leave this state when the network fails again. */
    ALL(POSTCOPY_RECOVER, "postcopy-recover", POSTCOPY " state:postcopy-recover-setup"),
};
GODWIT_SCENARIOS_END(faults);
