/*
 * One side of a migration quits, or the connection breaks, in each state that the migration can be
 * kept in. A QEMU that is asked to quit ends with status 0, and does not wait for its peer. The
 * other side survives as after an accident (faults.c), but it is told: before the guest has left
 * the source, the source goes on and a destination ends with an error; in postcopy, the side that
 * is left waits in postcopy-paused.
 *
 * In device and postcopy-device the source has sent everything, and the destination has not got it:
 * the guest is nobody's, until the source takes it back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"

enum ending {
    ENDING_CUT,
    ENDING_QUIT_SOURCE,
    ENDING_QUIT_DESTINATION,
};

struct trial {
    enum godwit_held_state state;
    enum ending ending;
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

/* Ends one side, or cuts the connection. */
static bool strike(struct godwit_held *held, enum ending ending, GError **error)
{
    if (!godwit_held_expect(held, "just before the end", error))
        return false;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_STRIKE);
    switch (ending) {
    case ENDING_CUT:
        godwit_held_hang_up(held);
        return true;
    case ENDING_QUIT_SOURCE:
        return godwit_vm_quit(held->source, error);
    case ENDING_QUIT_DESTINATION:
        if (!godwit_vm_quit(held->destination, error))
            return false;
        /* Without a relay between them, the source's connection would be broken as well. */
        godwit_held_hang_up(held);
        return true;
    }
    return false;
}

/* Judges the source of a migration that has lost its destination. */
static bool survive_source(struct godwit_held *held, GError **error)
{
    if (godwit_held_is_postcopy(held))
        return godwit_held_alone(held, held->source, error);
    return godwit_held_await_failure(held, error) &&
           (held->destination->exited || godwit_course_refused(held->destination, error)) &&
           godwit_held_elsewhere(held, error);
}

/* Judges the destination of a migration that has lost its source, if there is one. */
static bool survive_destination(struct godwit_held *held, GError **error)
{
    if (!held->destination)
        return true;
    return godwit_held_is_postcopy(held) ? godwit_held_alone(held, held->destination, error)
                                         : godwit_course_refused(held->destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed, trial->state);
    held->elsewhere = trial->ending != ENDING_QUIT_SOURCE && !godwit_held_is_postcopy(held);
    return godwit_held_start(held, error) && godwit_held_reach(held, error) &&
           strike(held, trial->ending, error) &&
           (trial->ending == ENDING_QUIT_SOURCE ? survive_destination(held, error)
                                                : survive_source(held, error));
}

/* Whether a row is slow: where the source waits for the last answer, and where the destination
 * quits, but for a live precopy. */
#define SLOW(state, ending)                                                                        \
    ((state) == GODWIT_HELD_DEVICE ||                                                              \
     ((ending) == ENDING_QUIT_DESTINATION && (state) != GODWIT_HELD_ACTIVE))
#define ROW(STATE, name_, ENDING, what, text, needs_)                                              \
    {                                                                                              \
        .name = "lifecycle/" name_ "/" what, .summary = text, .run = run, .needs = needs_,         \
        .wide = GODWIT_HELD_##STATE >= GODWIT_HELD_POSTCOPY_DEVICE,                                \
        .slow = SLOW(GODWIT_HELD_##STATE, ENDING_##ENDING),                                        \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            GODWIT_HELD_##STATE, ENDING_##ENDING                                                   \
        }                                                                                          \
    }
#define QUITS(STATE, name_, needs_)                                                                \
    ROW(STATE, name_, QUIT_SOURCE, "quit-source", "the source quits", needs_),                     \
        ROW(STATE, name_, QUIT_DESTINATION, "quit-destination", "the destination quits", needs_)

#define NEEDS_PAUSE    "capability:pause-before-switchover"
#define NEEDS_DEVICE   NEEDS_PAUSE " capability:return-path"
#define NEEDS_POSTCOPY "capability:postcopy-ram"

GODWIT_SCENARIOS(lifecycle_quit) = {
    ROW(SETUP, "setup", QUIT_SOURCE, "quit-source", "the source quits", NULL),
    QUITS(ACTIVE, "active", NULL),
    QUITS(PRE_SWITCHOVER, "pre-switchover", NEEDS_PAUSE),
    ROW(DEVICE, "device", CUT, "cut",
        "the connection is cut when all was sent and nothing confirmed: the source resumes",
        NEEDS_DEVICE),
    QUITS(DEVICE, "device", NEEDS_DEVICE),
    ROW(POSTCOPY_DEVICE, "postcopy-device", CUT, "cut",
        "the connection is cut when the devices' state was sent and not confirmed: the source "
        "resumes",
        NEEDS_POSTCOPY " state:postcopy-device"),
    QUITS(POSTCOPY_DEVICE, "postcopy-device", NEEDS_POSTCOPY " state:postcopy-device"),
    QUITS(POSTCOPY_ACTIVE, "postcopy-active", NEEDS_POSTCOPY),
};
GODWIT_SCENARIOS_END(lifecycle_quit);
