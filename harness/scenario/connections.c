/*
 * One connection of several is late or slow, falls silent, or is cut, as a network or a proxy may
 * do to it.
 * A silent connection is neither closed nor reset: nobody is informed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/multifd.h"
#include "scenario/yank.h"

#include "stream/roles.h"
#include <inttypes.h>
#include <stdlib.h>

#define CHANNELS 4
/* The channel that something happens to. */
#define VICTIM 1
/* How fast a slow connection is, in bytes a second: a packet of multifd takes 0.25 s. */
#define SLOW_RATE (2u << 20)

#define LISTEN_URI "unix:destination.migrate.sock"

/* What happens to the channel. */
enum accident { ACCIDENT_CUT, ACCIDENT_SILENT, ACCIDENT_CANCEL, ACCIDENT_YANK };

struct godwit_scenario_state {
    struct godwit_held held;
    struct godwit_roles *roles;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
    g_clear_pointer(&state->roles, godwit_roles_free);
}

static const struct godwit_capability multifd[] = {
    {"multifd", true}, {"pause-before-switchover", false}, {NULL, false}};
/* In a switchover a source waits for a silent connection with its monitor (known bug
 * completion-stalls-monitor). On a host that does not let the guest run, it would get there. */
static const struct godwit_capability paused[] = {
    {"multifd", true}, {"pause-before-switchover", true}, {NULL, false}};
static const struct godwit_capability preempt[] = {{"postcopy-preempt", true}, {NULL, false}};
static const struct godwit_parameter four[] = {{"multifd-channels", CHANNELS, NULL},
                                               {NULL, 0, NULL}};

/* Before QEMU 8.0 the destination takes the connection that it accepts first as the main one. */
static struct godwit_lack *lacks_recognition(const struct godwit_setup *setup)
{
    return godwit_lack_before(setup->destination, 8,
                              "a destination that identifies connections by their first bytes",
                              "takes the first as the main one");
}

/* Makes the relay connect the channels first. */
static void watch(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    testbed->state->roles = godwit_roles_new(relay);
    godwit_roles_main_last(testbed->state->roles, CHANNELS);
}

/* Fails unless the main connection was made last. */
static bool judge_last(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const int place = godwit_roles_place(source->testbed->state->roles, GODWIT_ROLE_MAIN, 0);
    (void)destination;
    return place == CHANNELS ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the main connection was made after %d others, expected %d", place,
                       CHANNELS);
}

/* Makes the relay connect the channels in reverse order. */
static void watch_order(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    testbed->state->roles = godwit_roles_new(relay);
    godwit_roles_reverse(testbed->state->roles, CHANNELS);
}

/* Fails unless the channels were connected in reverse order, after the main connection. */
static bool judge_reversed(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    for (unsigned id = 0; id < CHANNELS; id++) {
        const int place =
            godwit_roles_place(source->testbed->state->roles, GODWIT_ROLE_CHANNEL, id);
        if (place != (int)(CHANNELS - id))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "multifd channel %u was connected after %d connections, expected %u",
                               id, place, CHANNELS - id);
    }
    return true;
}

static void watch_roles(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    testbed->state->roles = godwit_roles_new(relay);
}

/* Fails because the relay has not seen the connection that something must happen to. */
static bool unseen(GError **error)
{
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "multifd channel %d was not recognized by what it sends", VICTIM);
}

/* Makes one channel slow while the migration is live: the others must wait for it whenever they are
 * synchronized, and its pages must not be lost, nor overtake later ones. */
static bool slow_channel(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_roles_slow(source->testbed->state->roles, GODWIT_ROLE_CHANNEL, VICTIM,
                             SLOW_RATE) ||
           unseen(error);
}

/* Fails unless the slow channel carried pages: more than a packet without any. */
static bool judge_slow(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const uint64_t sent =
        godwit_roles_slowed(source->testbed->state->roles, GODWIT_ROLE_CHANNEL, VICTIM);
    const uint64_t page = source->testbed->setup->workload.page_size;
    (void)destination;
    godwit_testbed_measure(source->testbed, "slow_bytes", json_integer((json_int_t)sent));
    return sent > page || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                      "%" PRIu64 " bytes were sent over the slow channel, expected "
                                      "more than a page",
                                      sent);
}

/* Condition: the channel is silent, and the source has sent over it. */
static bool blocks(gpointer data)
{
    return godwit_roles_blocks(data, GODWIT_ROLE_CHANNEL, VICTIM);
}

/* Cancels a migration with a silent channel: the source must not wait for that channel. */
static bool cancel(struct godwit_held *held, const struct godwit_spec *spec, GError **error)
{
    struct godwit_vm *source = held->source;
    bool stuck;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_CANCEL);
    if (!godwit_vm_command(source, "migrate_cancel", NULL, error) ||
        !godwit_multifd_await_cancelled(source, &stuck, error))
        return false;
    if (stuck)
        return true;
    /* The destination cannot know that the silent channel is closed before the network is. */
    godwit_held_hang_up(held);
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_ELSEWHERE);
    return godwit_course_refused(held->destination, error) &&
           godwit_course_expect_status(source, "running", "after migrate_cancel", error) &&
           godwit_course_see_it_run(source, error) && godwit_vm_handshake(held->second, error) &&
           godwit_course_move(held->testbed, spec, source, held->second, error);
}

/* Yanks a source with a silent channel. */
static bool yank(struct godwit_held *held, const struct godwit_spec *spec, GError **error)
{
    if (!godwit_vm_command_oob(held->source, "yank",
                               json_pack("{s:[{s:s}]}", "instances", "type", "migration"), error) ||
        !godwit_held_await_failure(held, error))
        return false;
    godwit_held_hang_up(held);
    return godwit_yank_judge_failed(held, spec, error);
}

/* Brings a multifd migration under way, and lets something happen to one channel. */
static bool run_channel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const enum accident accident = *(const enum accident *)scenario->data;
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_held *held = &state->held;
    godwit_held_init(held, testbed, GODWIT_HELD_ACTIVE);
    held->elsewhere = true;
    testbed->oob = true;
    if (!godwit_held_start(held, error) ||
        !godwit_migrate_set_parameters(held->source, spec->parameters, error) ||
        !godwit_migrate_set_parameters(held->destination, spec->parameters, error) ||
        !godwit_held_connect(held, paused, error))
        return false;
    state->roles = godwit_roles_new(held->relay);
    if (!godwit_held_reach(held, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_STRIKE);
    if (!(accident == ACCIDENT_CUT
              ? godwit_roles_cut(state->roles, GODWIT_ROLE_CHANNEL, VICTIM)
              : godwit_roles_silence(state->roles, GODWIT_ROLE_CHANNEL, VICTIM)))
        return unseen(error);
    /* The gate would keep from the other side that connections are closed, and a source that waits
     * at it sends over no channel. A silent channel keeps the migration from its end as well. */
    godwit_wire_ungate(testbed->wire);
    if (accident != ACCIDENT_CUT &&
        (!godwit_migrate_wait_throttled(held->source, blocks, state->roles,
                                        "the source to send over the silent channel", error) ||
         !godwit_held_expect(held, "although a channel is silent", error)))
        return false;
    if (accident == ACCIDENT_CUT)
        return godwit_yank_judge_failed(held, spec, error);
    return accident == ACCIDENT_CANCEL ? cancel(held, spec, error) : yank(held, spec, error);
}

/* Starts both sides of a postcopy, whose connections are known by their roles. */
static bool start_postcopy(struct godwit_testbed *testbed,
                           const struct godwit_capability *capabilities, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_held *held = &state->held;
    godwit_held_init(held, testbed, GODWIT_HELD_POSTCOPY_ACTIVE);
    held->survives = true;
    testbed->oob = true;
    if (!godwit_held_start(held, error) ||
        (capabilities &&
         (!godwit_migrate_set_capabilities(held->source, capabilities, error) ||
          !godwit_migrate_set_capabilities(held->destination, capabilities, error))) ||
        !godwit_migrate_incoming(held->destination, LISTEN_URI, false, error))
        return false;
    held->relay = godwit_wire_relay(testbed->wire, LISTEN_URI, error);
    if (!held->relay)
        return false;
    state->roles = godwit_roles_new(held->relay);
    return true;
}

/* Brings a postcopy to where its guest waits for memory. */
static bool reach_postcopy(struct godwit_testbed *testbed,
                           const struct godwit_capability *capabilities, GError **error)
{
    return start_postcopy(testbed, capabilities, error) &&
           godwit_held_reach(&testbed->state->held, error);
}

/* Lets a postcopy complete, which is paused and recovers if it is BROKEN, and judges what came of
 * it. */
static bool complete(struct godwit_held *held, bool broken, GError **error)
{
    struct godwit_reading before = {0};
    return godwit_held_complete(held, broken, &before, error) &&
           godwit_held_judge_running(held->destination, &before, error) &&
           godwit_course_end(held->destination, held->source, error);
}

/* Makes the whole network silent in postcopy. Neither side notices, so both are paused by hand. */
static bool run_silent(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    (void)scenario;
    if (!reach_postcopy(testbed, NULL, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_FAIL);
    godwit_roles_silence_all(testbed->state->roles);
    return godwit_held_expect(held, "although the network is silent", error) &&
           godwit_vm_command_oob(held->source, "migrate-pause", NULL, error) &&
           godwit_vm_command_oob(held->destination, "migrate-pause", NULL, error) &&
           complete(held, true, error);
}

/* Fails unless the second connection is the preempt channel. */
static bool is_preempt_second(const struct godwit_roles *roles, GError **error)
{
    return godwit_roles_place(roles, GODWIT_ROLE_OTHER, 0) == 1 ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the second connection of a postcopy with postcopy-preempt was not "
                       "recognized as the preempt channel");
}

/*
 * Lets something happen to the preempt channel of a postcopy alone. If it is silent, what the guest
 * asks for does not come, and nobody notices: the source is paused by hand. If it is cut, the side
 * that notices pauses. Either takes the other with it, as it closes the main connection.
 */
static bool run_preempt(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const enum accident accident = *(const enum accident *)scenario->data;
    struct godwit_held *held = &testbed->state->held;
    if (!reach_postcopy(testbed, preempt, error))
        return false;
    struct godwit_roles *roles = testbed->state->roles;
    if (!is_preempt_second(roles, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_FAIL);
    if (accident == ACCIDENT_CUT) {
        godwit_roles_cut(roles, GODWIT_ROLE_OTHER, 0);
    } else {
        godwit_roles_silence(roles, GODWIT_ROLE_OTHER, 0);
        if (!godwit_held_expect(held, "although the preempt channel is silent", error) ||
            !godwit_vm_command_oob(held->source, "migrate-pause", NULL, error))
            return false;
    }
    return complete(held, true, error);
}

/* Before QEMU 8.0 the source opens the preempt channel with the main one, and the destination loads
 * nothing before it has both. */
static struct godwit_lack *lacks_switch(const struct godwit_setup *setup)
{
    return godwit_lack_before(setup->source, 8,
                              "a source that opens the preempt channel at the switch to postcopy",
                              "opens it at once");
}

/* Keeps the preempt channel from the destination when the source has switched to postcopy. The
 * destination must not run the guest without it, and must do so with it. */
static bool run_late(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    (void)scenario;
    if (!start_postcopy(testbed, preempt, error))
        return false;
    struct godwit_vm *source = held->source, *destination = held->destination;
    const char *switched = godwit_qemu_has(source->qemu, "state", "postcopy-device")
                               ? "postcopy-device"
                               : "postcopy-active";
    godwit_relay_limit(held->relay, 1);
    held->state = GODWIT_HELD_ACTIVE;
    if (!godwit_held_reach(held, error))
        return false;
    held->state = GODWIT_HELD_POSTCOPY_ACTIVE;
    godwit_wire_ungate(testbed->wire);
    if (!godwit_vm_command(source, "migrate-start-postcopy", NULL, error) ||
        !godwit_migrate_wait(source, switched, error) ||
        !godwit_course_expect_status(destination, "inmigrate", "without the preempt channel",
                                     error))
        return false;
    godwit_relay_limit(held->relay, 0);
    return godwit_recovery_await_guest(source, destination, &held->account, error) &&
           is_preempt_second(testbed->state->roles, error) && complete(held, false, error);
}

#define STATE .state = sizeof(struct godwit_scenario_state), .clear = clear_state

#define CHANNEL(NAME, SUMMARY, ACCIDENT)                                                           \
    {                                                                                              \
        .name = "connections/channel/" NAME, .summary = SUMMARY, .run = run_channel,               \
        .needs = "command:yank command:query-yank", .slow = true, STATE,                           \
        .data = &(const enum accident){ACCIDENT_##ACCIDENT}, .spec = {                             \
            .capabilities = multifd,                                                               \
            .parameters = four,                                                                    \
        }                                                                                          \
    }

#define PREEMPT(NAME, SUMMARY, ACCIDENT)                                                           \
    {                                                                                              \
        .name = "connections/preempt/" NAME, .summary = SUMMARY, .run = run_preempt, .wide = true, \
        .slow = true, .needs = "capability:postcopy-preempt", STATE,                               \
        .data = &(const enum accident)                                                             \
        {                                                                                          \
            ACCIDENT_##ACCIDENT                                                                    \
        }                                                                                          \
    }

GODWIT_SCENARIOS(connections) = {
    {
        .name = "connections/main/last",
        .summary = "the main connection of multifd reaches the destination after all channels",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = four,
                 .watch = watch,
                 .judge = judge_last},
        .lacks = lacks_recognition,
        STATE,
    },
    {
        .name = "connections/channel/reversed",
        .summary = "the multifd channels reach the destination in reverse order",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = four,
                 .watch = watch_order,
                 .judge = judge_reversed},
        .slow = true,
        STATE,
    },
    {
        .name = "connections/channel/slow",
        .summary = "one multifd channel is slow: the migration completes, and nothing is lost",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = multifd,
                 .parameters = four,
                 .watch = watch_roles,
                 .live = slow_channel,
                 .judge = judge_slow},
        .slow = true,
        STATE,
    },
    CHANNEL("cut", "one multifd channel is cut: both sides end, and the guest runs on", CUT),
    CHANNEL("silent/cancel", "one multifd channel is silent, and the migration is cancelled",
            CANCEL),
    CHANNEL("silent/yank", "one multifd channel is silent, and the source is yanked", YANK),
    {
        .name = "connections/postcopy/silent",
        .summary = "the network is silent in postcopy: both sides are paused, and recover",
        .run = run_silent,
        .wide = true,
        .slow = true,
        .needs = "capability:postcopy-ram",
        STATE,
    },
    PREEMPT("silent",
            "the preempt channel is silent in postcopy: the source is paused, and both recover",
            SILENT),
    {
        .name = "connections/preempt/late",
        .summary = "the preempt channel comes late: the guest does not run before it",
        .run = run_late,
        .wide = true,
        .slow = true,
        .needs = "capability:postcopy-preempt",
        .lacks = lacks_switch,
        STATE,
    },
    PREEMPT("cut", "the preempt channel is cut in postcopy: both pause, and recover", CUT),
};
GODWIT_SCENARIOS_END(connections);
