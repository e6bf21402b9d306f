/*
 * Accidents in each state of a migration: the connection is cut, or one side is killed or stopped
 * for a while. Each side that survives must be in the right state, with its memory in order. A
 * source that still has its guest must be able to migrate it elsewhere.
 *
 * A trial is a state and a blow. run() brings the migration into the state, strikes, and judges.
 * The migrations of faults/multifd/ have multifd and postcopy on, in every state.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"
#include "scenario/multifd.h"

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
    bool multifd; /* multifd and postcopy are on */
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};

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

/* Starts both sides, and turns multifd and postcopy on if the trial has them. In setup the other
 * side is the one that the guest is migrated to afterwards. */
static bool start(struct godwit_held *held, const struct trial *trial, GError **error)
{
    if (!godwit_held_start(held, error))
        return false;
    if (!trial->multifd)
        return true;
    struct godwit_vm *last = held->destination ? held->destination : held->second;
    return (last->answers || godwit_vm_handshake(last, error)) &&
           godwit_multifd_accept_postcopy(held->source, last, error) &&
           (held->destination ? godwit_held_connect(held, multifd, error)
                              : godwit_migrate_set_capabilities(held->source, multifd, error));
}

/* Checks that the source's guest runs on, and that it can be migrated over multifd as well. */
static bool go_elsewhere(struct godwit_held *held, const struct trial *trial, GError **error)
{
    static const struct godwit_capability capabilities[] = {{"multifd", true},
                                                            {"pause-before-switchover", false},
                                                            {"return-path", false},
                                                            {NULL, false}};
    static const struct godwit_spec spec = {.transport = GODWIT_TRANSPORT_UNIX,
                                            .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                                            .capabilities = capabilities};
    struct godwit_vm *source = held->source, *second = held->second;
    if (!trial->multifd)
        return godwit_held_elsewhere(held, error);
    /* A gate would keep from the other side that connections are closed. */
    godwit_wire_ungate(held->testbed->wire);
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_ELSEWHERE);
    return godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           (second->answers || godwit_vm_handshake(second, error)) &&
           godwit_multifd_move_postcopy(held->testbed, &spec, source, second, error);
}

/* Judges a precopy that failed: before the switchover the guest belongs to the source. */
static bool survive_precopy(struct godwit_held *held, const struct trial *trial, GError **error)
{
    const enum blow blow = trial->blow;
    if (blow == BLOW_KILL_SOURCE)
        return godwit_course_refused(held->destination, error);
    return godwit_held_await_failure(held, error) &&
           (blow != BLOW_CUT || !held->destination ||
            godwit_course_refused(held->destination, error)) &&
           go_elsewhere(held, trial, error);
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
    testbed->oob = trial->multifd;
    if (!start(held, trial, error) || !godwit_held_reach(held, error) ||
        !strike(held, trial->blow, error))
        return false;
    if (trial->multifd)
        godwit_wire_ungate(testbed->wire);
    if (trial->state == GODWIT_HELD_SETUP || (!postcopy && !stops))
        return survive_precopy(held, trial, error);
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
#define PLAIN(STATE, name_, BLOW, what, text, needs_)                                              \
    {                                                                                              \
        .name = "faults/" name_ "/" what, .summary = text, .run = run, .needs = needs_,            \
        .wide = GODWIT_HELD_##STATE >= GODWIT_HELD_POSTCOPY_ACTIVE,                                \
        .slow = SLOW(GODWIT_HELD_##STATE, BLOW_##BLOW),                                            \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            GODWIT_HELD_##STATE, BLOW_##BLOW, false                                                \
        }                                                                                          \
    }
#define MULTIFD(STATE, name_, BLOW, what, text, needs_)                                            \
    {                                                                                              \
        .name = "faults/multifd/" name_ "/" what, .summary = "multifd with postcopy: " text,       \
        .run = run, .needs = "capability:multifd capability:postcopy-ram " needs_, .wide = true,   \
        .slow = true, .state = sizeof(struct godwit_scenario_state), .clear = clear_state,         \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            GODWIT_HELD_##STATE, BLOW_##BLOW, true                                                 \
        }                                                                                          \
    }
#define KILL(ROW, STATE, name_, needs_)                                                            \
    ROW(STATE, name_, KILL_DESTINATION, "kill-destination", "the destination is killed", needs_),  \
        ROW(STATE, name_, KILL_SOURCE, "kill-source", "the source is killed", needs_)
#define STOP(ROW, STATE, name_, needs_)                                                            \
    ROW(STATE, name_, STOP_DESTINATION, "stop-destination",                                        \
        "the destination stands still for a while", needs_),                                       \
        ROW(STATE, name_, STOP_SOURCE, "stop-source", "the source stands still for a while",       \
            needs_)
#define CUT(ROW, STATE, name_, needs_)                                                             \
    ROW(STATE, name_, CUT, "cut", "the connection is cut", needs_)
#define ALL(ROW, STATE, name_, needs_)                                                             \
    CUT(ROW, STATE, name_, needs_), KILL(ROW, STATE, name_, needs_), STOP(ROW, STATE, name_, needs_)
#define SETUP(ROW)                                                                                 \
    ROW(SETUP, "setup", CUT, "cut", "the connection is refused", ""),                              \
        ROW(SETUP, "setup", STOP_SOURCE, "stop-source",                                            \
            "the source stands still for a while, then the connection is refused", "")

#define PAUSES   "capability:pause-before-switchover"
#define POSTCOPY "capability:postcopy-ram"

GODWIT_SCENARIOS(faults) = {
    SETUP(PLAIN),
    ALL(PLAIN, ACTIVE, "active", ""),
    ALL(PLAIN, PRE_SWITCHOVER, "pre-switchover", PAUSES),
    ALL(PLAIN, POSTCOPY_ACTIVE, "postcopy-active", POSTCOPY),
    KILL(PLAIN, POSTCOPY_PAUSED, "postcopy-paused", POSTCOPY),
    STOP(PLAIN, POSTCOPY_PAUSED, "postcopy-paused", POSTCOPY),
    /* Older QEMUs do not leave this state when the network fails again. */
    ALL(PLAIN, POSTCOPY_RECOVER, "postcopy-recover", POSTCOPY " state:postcopy-recover-setup"),
    SETUP(MULTIFD),
    ALL(MULTIFD, ACTIVE, "active", ""),
    ALL(MULTIFD, PRE_SWITCHOVER, "pre-switchover", PAUSES),
    /* The relay keeps the rest of the stream for good: neither side can stand still and go on. */
    CUT(MULTIFD, DEVICE, "device", PAUSES " capability:return-path"),
    KILL(MULTIFD, DEVICE, "device", PAUSES " capability:return-path"),
    ALL(MULTIFD, POSTCOPY_ACTIVE, "postcopy-active", ""),
    KILL(MULTIFD, POSTCOPY_PAUSED, "postcopy-paused", ""),
    STOP(MULTIFD, POSTCOPY_PAUSED, "postcopy-paused", ""),
};
GODWIT_SCENARIOS_END(faults);
