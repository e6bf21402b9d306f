/*
 * What an operator may ask of either side while the connection of a postcopy is lost, and while the
 * two recover. The guest has left the source, and waits on the destination for memory: the source
 * must not run it, and no other migration may begin. What stops or resets the guest takes effect
 * when its memory comes, so it must not keep the destination from recovering.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/lifecycle.h"

#include <string.h>

/* Nobody listens there. */
#define NOBODY_URI "unix:nobody.sock"

/* What becomes of the guest. */
enum effect { EFFECT_NONE, EFFECT_STOPS, EFFECT_RESTARTS };

struct trial {
    enum godwit_held_state state;
    bool (*act)(struct godwit_held *held, GError **error); /* what is asked for */
    enum effect effect;
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

/* Sends COMMAND to a destination that answers when memory comes: the event that the command causes
 * is waited for instead. */
static bool send_only(struct godwit_held *held, const char *command, GError **error)
{
    struct godwit_qmp *qmp = held->destination->qmp;
    if (!godwit_qmp_send(qmp, command, NULL, error))
        return false;
    godwit_qmp_give_up(qmp);
    return true;
}

static bool stop(struct godwit_held *held, GError **error)
{
    return send_only(held, "stop", error);
}

static bool reset(struct godwit_held *held, GError **error)
{
    held->destination->console->ready_allowed++;
    return send_only(held, "system_reset", error);
}

static bool power_down(struct godwit_held *held, GError **error)
{
    return godwit_lifecycle_request(held->destination, "system_powerdown", "POWERDOWN", error) &&
           godwit_lifecycle_request(held->source, "system_powerdown", "POWERDOWN", error);
}

/* Fails unless the source still waits for the end of its migration. */
static bool stands(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = godwit_vm_status(source, error);
    return status && (!strcmp(status, "finish-migrate") ||
                      godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                  "the source's run state after cont is \"%s\" instead of "
                                  "\"finish-migrate\"",
                                  status));
}

/* Asks the source to run the guest that it has given away. */
static bool continue_source(struct godwit_held *held, GError **error)
{
    return godwit_lifecycle_refuses(held->source, "cont", NULL, "Migration is not finalized yet",
                                    error) &&
           stands(held->source, error);
}

/* Asks for another migration, and, in a recovery, for another recovery. */
static bool migrate_again(struct godwit_held *held, GError **error)
{
    return godwit_lifecycle_refuses(held->source, "migrate", json_pack("{s:s}", "uri", NOBODY_URI),
                                    "in progress", error) &&
           (held->state == GODWIT_HELD_POSTCOPY_PAUSED ||
            godwit_lifecycle_refuses(held->source, "migrate",
                                     json_pack("{s:s, s:b}", "uri", NOBODY_URI, "resume", 1),
                                     "resume", error));
}

static bool set_parameters(struct godwit_held *held, GError **error)
{
    return godwit_lifecycle_set_parameters(held->source, held->destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    struct godwit_reading before = {0};
    godwit_held_init(held, testbed, trial->state);
    held->survives = true;
    testbed->oob = true;
    if (!godwit_held_start(held, error) || !godwit_held_reach(held, error))
        return false;
    struct godwit_vm *destination = held->destination;
    const guint first = destination->qmp->events->len;
    godwit_testbed_phase(testbed, GODWIT_PHASE_STRIKE);
    if (!trial->act(held, error) || !godwit_held_expect(held, "after what was asked for", error) ||
        !godwit_held_complete(held, true, &before, error))
        return false;
    if (trial->effect == EFFECT_STOPS &&
        (!godwit_vm_wait_event(destination, first, "STOP", NULL, error) ||
         !godwit_course_expect_status(destination, "paused", "after stop in postcopy", error) ||
         !godwit_lifecycle_request(destination, "cont", "RESUME", error)))
        return false;
    return (trial->effect == EFFECT_RESTARTS
                ? godwit_vm_wait_event(destination, first, "RESET", NULL, error) &&
                      godwit_lifecycle_judge_restart(destination, error)
                : godwit_held_judge_running(destination, &before, error)) &&
           godwit_course_end(destination, held->source, error);
}

#define POSTCOPY "capability:postcopy-ram"
/* Older QEMUs do not leave this state when the network fails again. */
#define RECOVERS POSTCOPY " state:postcopy-recover-setup"

#define ROW(STATE, name_, what, text, needs_, ...)                                                 \
    {                                                                                              \
        .name = "lifecycle/" name_ "/" what, .summary = text, .run = run, .needs = needs_,         \
        .wide = true, .slow = true, .state = sizeof(struct godwit_scenario_state),                 \
        .clear = clear_state, .data = &(const struct trial)                                        \
        {                                                                                          \
            GODWIT_HELD_##STATE, __VA_ARGS__                                                       \
        }                                                                                          \
    }
#define ALL(STATE, name_, when, needs_)                                                            \
    ROW(STATE, name_, "stop", "the guest is stopped " when ": it stays stopped", needs_, stop,     \
        EFFECT_STOPS),                                                                             \
        ROW(STATE, name_, "reset", "the guest is reset " when, needs_, reset, EFFECT_RESTARTS),    \
        ROW(STATE, name_, "powerdown", "the power button of both sides is pressed " when, needs_,  \
            power_down, EFFECT_NONE),                                                              \
        ROW(STATE, name_, "cont", "the source is asked to run the guest " when ": refused",        \
            needs_, continue_source, EFFECT_NONE),                                                 \
        ROW(STATE, name_, "migrate-again", "another migrate " when ": refused", needs_,            \
            migrate_again, EFFECT_NONE),                                                           \
        ROW(STATE, name_, "parameters", "parameters are set on both sides " when, needs_,          \
            set_parameters, EFFECT_NONE)

GODWIT_SCENARIOS(lifecycle_paused) = {
    ALL(POSTCOPY_PAUSED, "postcopy-paused", "while the connection is lost", POSTCOPY),
    ALL(POSTCOPY_RECOVER, "postcopy-recover", "during a recovery", RECOVERS),
};
GODWIT_SCENARIOS_END(lifecycle_paused);
