/*
 * What an operator may ask of either side in the middle of a migration, in each state that it can
 * be kept in: stop and cont, a reset, a press of the power button, other parameters, another
 * migration. Each request has its effect on the guest, or is refused. The migration goes on, and
 * every oracle that still applies judges it.
 *
 * A guest that is reset starts from the beginning: its mailboxes are meaningless until its next
 * READY, and the oracle of continuity does not apply to it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/lifecycle.h"
#include "bugs/bugs.h"

#include <string.h>

/* Nobody listens there. */
#define NOBODY_URI "unix:nobody.sock"
#define PIPE_URI   "fd:pipe"

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

bool godwit_lifecycle_request(struct godwit_vm *vm, const char *command, const char *event,
                              GError **error)
{
    const guint first = vm->qmp->events->len;
    return godwit_vm_command(vm, command, NULL, error) &&
           godwit_vm_wait_event(vm, first, event, NULL, error);
}

/* Stops a guest that runs, and checks that it stands, with its memory in order. */
static bool stop_and_look(struct godwit_vm *vm, GError **error)
{
    struct godwit_reading reading;
    return godwit_lifecycle_request(vm, "stop", "STOP", error) &&
           godwit_course_expect_status(vm, "paused", "after stop", error) &&
           godwit_oracle_look(vm, &reading, error);
}

/* Continues a guest that stands, and checks that it runs. */
static bool continue_and_see(struct godwit_vm *vm, GError **error)
{
    return godwit_lifecycle_request(vm, "cont", "RESUME", error) &&
           godwit_course_expect_status(vm, "running", "after cont", error) &&
           godwit_course_see_it_run(vm, error);
}

static bool stop_and_continue(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    (void)destination;
    return stop_and_look(source, error) && continue_and_see(source, error);
}

/* Resets the source, whose guest works again before the migration goes on. */
static bool reset_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_course_reset(source, error);
}

/* Resets a destination that is still loading: what it has loaded and will load must not suffer. */
static bool reset_destination(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    (void)source;
    return godwit_lifecycle_request(destination, "system_reset", "RESET", error) &&
           godwit_course_expect_status(destination, "inmigrate", "after system_reset", error);
}

/* Presses the power button of both sides. Godwit's guests do not listen to it. */
static bool power_down(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_lifecycle_request(source, "system_powerdown", "POWERDOWN", error) &&
           godwit_lifecycle_request(destination, "system_powerdown", "POWERDOWN", error) &&
           godwit_course_see_it_run(source, error);
}

bool godwit_lifecycle_refuses(struct godwit_vm *vm, const char *command, json_t *arguments,
                              const char *reason, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, command, arguments, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s, which it should refuse", vm->name, command);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    return strstr(refusal->message, reason) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s refused %s for another reason than \"%s\": %s", vm->name, command,
                       reason, refusal->message);
}

/* Asks for a second migration at once, before the first one has begun to send. */
static bool migrate_again(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_lifecycle_refuses(source, "migrate", json_pack("{s:s}", "uri", NOBODY_URI),
                                    "in progress", error);
}

/* Parameters that may be set at any time, with values other than their defaults. The throttle uses
 * the others. */
static const struct godwit_parameter settable[] = {
    {"announce-initial", 40, NULL},       {"announce-max", 500, NULL},
    {"announce-rounds", 3, NULL},         {"announce-step", 60, NULL},
    {"cpu-throttle-increment", 11, NULL}, {"cpu-throttle-initial", 21, NULL},
    {"max-cpu-throttle", 98, NULL},       {"max-postcopy-bandwidth", 1 << 20, NULL},
    {"multifd-channels", 3, NULL},        {"throttle-trigger-threshold", 51, NULL},
    {"xbzrle-cache-size", 1 << 20, NULL},
};

/* Sets each parameter that this QEMU has, by itself, and checks that it is set. */
static bool set_each(struct godwit_vm *vm, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(settable); i++) {
        const struct godwit_parameter one[] = {settable[i], {NULL, 0, NULL}};
        if (!godwit_qemu_has(vm->qemu, "parameter", one->name))
            continue;
        if (!godwit_migrate_set_parameters(vm, one, error))
            return false;
        g_autoptr(json_t) set = godwit_vm_execute(vm, "query-migrate-parameters", NULL, error);
        if (!set)
            return false;
        const json_int_t value = godwit_json_integer(set, one->name, -1);
        if (value != one->value)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "%s of the %s is %" JSON_INTEGER_FORMAT
                               " after it was set to %" JSON_INTEGER_FORMAT " during the migration",
                               one->name, vm->name, value, one->value);
    }
    return true;
}

bool godwit_lifecycle_set_parameters(struct godwit_vm *source, struct godwit_vm *destination,
                                     GError **error)
{
    return set_each(source, error) && set_each(destination, error);
}

/* What a source has sent, and when. */
struct progress {
    gint64 time; /* monotonic microseconds */
    json_int_t sent;
};

static bool ask_progress(struct godwit_vm *source, struct progress *progress, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    progress->time = g_get_monotonic_time();
    progress->sent = godwit_json_integer(json_object_get(info, "ram"), "transferred", -1);
    return info != NULL;
}

/* How long a lowered bandwidth is observed: at least four periods of QEMU's rate limiter, in
 * seconds, and until the source would have sent two windows at the rate before. */
#define OBSERVED_SECONDS 0.4
#define OBSERVED_WINDOWS 2
/* QEMU may send more than the bandwidth allows: a lowered limit counts from the next period on, so
 * that half a window may still be sent, and pages are sent in batches. As a part of the window, and
 * as a multiple of the bandwidth. */
#define EXCESS_WINDOW 0.75
#define EXCESS        3
/* However low the bandwidth is, such a batch is sent in each period: 1.3 to 1.4 MB/s were measured
 * with 10.0 and 11.1. In bytes a second, with half as much again. */
#define BATCHES (1.5 * 131072 / 0.1)

/*
 * Raises and lowers the bandwidth, as the throttle does. It raises it until an iteration ends,
 * which would take most of a minute otherwise. Afterwards the source must send as little as the
 * lowered bandwidth allows, while the guest dirties all of its window.
 */
static bool change_bandwidth(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    struct progress begin, from, to;
    guint iteration = 1;
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const uint64_t window = workload->window_end - workload->window_start;
    (void)destination;
    if (!ask_progress(source, &begin, error) ||
        !godwit_migrate_next_iteration(source, &iteration, error))
        return false;
    g_autoptr(json_t) set = godwit_vm_execute(source, "query-migrate-parameters", NULL, error);
    if (!set || !ask_progress(source, &from, error))
        return false;
    const double raised = (double)(from.sent - begin.sent) / (double)(from.time - begin.time);
    const json_int_t bandwidth = godwit_json_integer(set, "max-bandwidth", -1);
    double seconds, allowed;
    /* The limit holds at any time, so that the first excess ends it. */
    do {
        if (!godwit_vm_wait_console(source, 0, source->console->passes + 1, error) ||
            !ask_progress(source, &to, error))
            return false;
        seconds = (double)(to.time - from.time) / G_USEC_PER_SEC;
        allowed =
            MAX((double)bandwidth * EXCESS, BATCHES) * seconds + (double)window * EXCESS_WINDOW;
    } while ((double)(to.sent - from.sent) <= allowed &&
             (seconds < OBSERVED_SECONDS ||
              raised * (double)(to.time - from.time) < OBSERVED_WINDOWS * (double)window));
    godwit_testbed_measure(source->testbed, "lowered",
                           json_pack("{s:I, s:I, s:f}", "bandwidth", bandwidth, "sent",
                                     to.sent - from.sent, "seconds", seconds));
    return (bandwidth >= 0 && (double)(to.sent - from.sent) <= allowed) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent %" JSON_INTEGER_FORMAT
                       " bytes in %.2f s, although its max-bandwidth had been lowered to "
                       "%" JSON_INTEGER_FORMAT " bytes a second",
                       to.sent - from.sent, seconds, bandwidth);
}

/* Waits until the source is in pre-switchover and its guest stopped. */
static bool await_pause(struct godwit_vm *source, GError **error)
{
    return godwit_migrate_wait(source, "pre-switchover", error) &&
           godwit_vm_wait_event(source, source->migration_first, "STOP", NULL, error);
}

/* Fails unless the guest of a source in pre-switchover is stopped. */
static bool is_paused(struct godwit_vm *source, const char *when, GError **error)
{
    g_autofree char *status = godwit_vm_status(source, error);
    if (!status)
        return false;
    if (strcmp(status, "finish-migrate") != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source's run state %s in pre-switchover is \"%s\" instead of "
                           "\"finish-migrate\"",
                           when, status);
    return true;
}

/* Fails unless it is, and its memory is in order and stays as it is. */
static bool still_stands(struct godwit_vm *source, const char *when, GError **error)
{
    struct godwit_reading reading;
    return is_paused(source, when, error) && godwit_oracle_look(source, &reading, error);
}

/* The guest is already stopped, for the destination: it must not run here any more. */
static bool pause_continue(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return await_pause(source, error) &&
           godwit_lifecycle_refuses(source, "cont", NULL, "Migration is not finalized yet",
                                    error) &&
           still_stands(source, "after cont", error) && godwit_migrate_continue(source, error);
}

static bool pause_power_down(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    return await_pause(source, error) &&
           godwit_lifecycle_request(source, "system_powerdown", "POWERDOWN", error) &&
           godwit_lifecycle_request(destination, "system_powerdown", "POWERDOWN", error) &&
           still_stands(source, "after system_powerdown", error) &&
           godwit_migrate_continue(source, error);
}

/* Starts both sides, and brings the migration into the scenario's state. */
static struct godwit_held *reach(struct godwit_testbed *testbed,
                                 const struct godwit_scenario *scenario, bool paused,
                                 GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed, *(const enum godwit_held_state *)scenario->data);
    held->paused = paused;
    held->survives = true;
    if (!godwit_held_start(held, error) || !godwit_held_reach(held, error))
        return NULL;
    godwit_testbed_phase(testbed, GODWIT_PHASE_STRIKE);
    return held;
}

static bool quit_both(struct godwit_held *held, GError **error)
{
    return godwit_vm_quit(held->source, error) && godwit_vm_quit(held->destination, error);
}

/* The guest is stopped by the operator. It must arrive stopped although nothing else keeps the
 * destination from running it. */
static bool run_stop(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, false, error);
    return held && stop_and_look(held->source, error) &&
           godwit_held_complete(held, false, &before, error) &&
           godwit_course_expect_status(held->destination, "paused",
                                       "after the migration of a stopped guest", error) &&
           godwit_held_judge_loaded(held, error) && quit_both(held, error);
}

/* Likewise in pre-switchover. QEMU may lose this stop, a known bug, and runs the guest. */
static bool run_pause_stop(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, false, error);
    if (!held || !godwit_vm_command(held->source, "stop", NULL, error) ||
        !still_stands(held->source, "after stop", error) ||
        !godwit_held_complete(held, false, &before, error))
        return false;
    g_autofree char *status = godwit_vm_status(held->destination, error);
    if (!status)
        return false;
    if (godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_STOP_LOST, .source = held->source, .state = status}))
        return godwit_held_judge_running(held->destination, &before, error) &&
               quit_both(held, error);
    return godwit_course_expect_status(held->destination, "paused",
                                       "after the migration of a stopped guest", error) &&
           godwit_held_judge_loaded(held, error) && quit_both(held, error);
}

bool godwit_lifecycle_judge_restart(struct godwit_vm *destination, GError **error)
{
    struct godwit_reading after = {0};
    return godwit_course_see_restart(destination, error) &&
           godwit_course_stop(destination, error) && godwit_oracle_look(destination, &after, error);
}

/* Resets a guest that is stopped for the switchover. The destination gets it as it is then, and
 * runs it from its first instruction. */
static bool run_pause_reset(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                            GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, true, error);
    if (!held || !godwit_lifecycle_request(held->source, "system_reset", "RESET", error) ||
        !is_paused(held->source, "after system_reset", error))
        return false;
    held->source->was_reset = held->destination->was_reset = true;
    if (!godwit_held_complete(held, false, &before, error) ||
        !godwit_oracle_twin(held->source, held->destination, &before, error))
        return false;
    held->destination->was_reset = false;
    held->destination->console->ready_allowed++;
    return testbed->lost ||
           (godwit_vm_run(held->destination, error) &&
            godwit_lifecycle_judge_restart(held->destination, error) && quit_both(held, error));
}

/* A guest that waits for memory takes no request, and a destination that waits for that guest takes
 * no other command. So memory comes again right after the command is sent. */
static bool request_and_feed(struct godwit_held *held, const char *command, const char *event,
                             GError **error)
{
    struct godwit_vm *destination = held->destination;
    const guint first = destination->qmp->events->len;
    return godwit_qmp_send(destination->qmp, command, NULL, error) &&
           godwit_course_unthrottle_postcopy(held->source, error) &&
           godwit_vm_wait_event(destination, first, event, NULL, error);
}

/* Stops the guest on the destination while memory is missing. It must stay stopped when all of its
 * memory has come. */
static bool run_postcopy_stop(struct godwit_testbed *testbed,
                              const struct godwit_scenario *scenario, GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, false, error);
    return held && request_and_feed(held, "stop", "STOP", error) &&
           godwit_held_complete(held, false, &before, error) &&
           godwit_course_expect_status(held->destination, "paused", "after stop in postcopy",
                                       error) &&
           godwit_lifecycle_request(held->destination, "cont", "RESUME", error) &&
           godwit_held_judge_running(held->destination, &before, error) && quit_both(held, error);
}

static bool run_postcopy_reset(struct godwit_testbed *testbed,
                               const struct godwit_scenario *scenario, GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, false, error);
    if (!held)
        return false;
    held->destination->console->ready_allowed++;
    return request_and_feed(held, "system_reset", "RESET", error) &&
           godwit_held_complete(held, false, &before, error) &&
           godwit_lifecycle_judge_restart(held->destination, error) && quit_both(held, error);
}

static bool run_postcopy_power_down(struct godwit_testbed *testbed,
                                    const struct godwit_scenario *scenario, GError **error)
{
    struct godwit_reading before = {0};
    struct godwit_held *held = reach(testbed, scenario, false, error);
    return held &&
           godwit_lifecycle_request(held->destination, "system_powerdown", "POWERDOWN", error) &&
           godwit_lifecycle_request(held->source, "system_powerdown", "POWERDOWN", error) &&
           godwit_held_complete(held, false, &before, error) &&
           godwit_held_judge_running(held->destination, &before, error) && quit_both(held, error);
}

/* Stops the guest while the source connects or sends. When the migration fails, the guest must stay
 * stopped until `cont`, and can be migrated again. */
static bool run_stop_fail(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    struct godwit_reading reading;
    godwit_held_init(held, testbed, *(const enum godwit_held_state *)scenario->data);
    held->elsewhere = true;
    if (!godwit_held_start(held, error) || !godwit_held_reach(held, error) ||
        !stop_and_look(held->source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_STRIKE);
    if (held->relay)
        godwit_held_hang_up(held);
    return godwit_held_await_failure(held, error) &&
           (!held->destination || godwit_course_refused(held->destination, error)) &&
           godwit_course_expect_status(held->source, "paused",
                                       "after the failed migration of a stopped guest", error) &&
           godwit_oracle_look(held->source, &reading, error) &&
           godwit_lifecycle_request(held->source, "cont", "RESUME", error) &&
           godwit_held_elsewhere(held, error);
}

static bool run_setup_reset(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                            GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed, *(const enum godwit_held_state *)scenario->data);
    held->elsewhere = true;
    return godwit_held_start(held, error) && godwit_held_reach(held, error) &&
           reset_source(held->source, NULL, error) &&
           godwit_held_expect(held, "after system_reset", error) &&
           godwit_held_await_failure(held, error) && godwit_held_elsewhere(held, error);
}

/* Asks for another migration while the first one is cancelled, which lasts because nothing reads
 * the pipe that it writes to. */
static bool run_cancelling(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed, *(const enum godwit_held_state *)scenario->data);
    held->elsewhere = true;
    if (!godwit_held_start(held, error) ||
        !godwit_peer_pipe(&held->here, held->source, "pipe", error) ||
        !godwit_migrate_start(held->source, PIPE_URI, false, error) ||
        !godwit_migrate_wait(held->source, "active", error))
        return false;
    while (!godwit_peer_is_full(&held->here))
        if (!godwit_testbed_rest(testbed, GODWIT_REST_MS, "the source to fill a pipe", error))
            return false;
    if (!godwit_vm_command(held->source, "migrate_cancel", NULL, error) ||
        !godwit_migrate_wait(held->source, "cancelling", error) ||
        !migrate_again(held->source, NULL, error))
        return false;
    godwit_held_end_peers(held);
    return godwit_migrate_wait(held->source, "cancelled", error) &&
           godwit_held_elsewhere(held, error);
}

static const struct godwit_capability pausing[] = {{"pause-before-switchover", true},
                                                   {NULL, false}};

#define HOOK(NAME, SUMMARY, ...)                                                                   \
    {                                                                                              \
        .name = "lifecycle/" NAME, .summary = SUMMARY, .spec = {__VA_ARGS__},                      \
    }
#define SLOW_HOOK(NAME, SUMMARY, ...)                                                              \
    {                                                                                              \
        .name = "lifecycle/" NAME, .summary = SUMMARY, .slow = true, .spec = {__VA_ARGS__},        \
    }
#define RUN(NAME, STATE, SUMMARY, RUNS, ...)                                                       \
    {                                                                                              \
        .name = "lifecycle/" NAME, .summary = SUMMARY, .run = RUNS,                                \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const enum godwit_held_state){GODWIT_HELD_##STATE}, __VA_ARGS__                  \
    }
#define PAUSES   .needs = "capability:pause-before-switchover"
#define POSTCOPY .needs = "capability:postcopy-ram", .wide = true

GODWIT_SCENARIOS(lifecycle) = {
    RUN("setup/stop", SETUP, "the guest is stopped while the source connects: it stays stopped",
        run_stop_fail),
    RUN("setup/reset", SETUP, "the guest is reset while the source connects", run_setup_reset),
    HOOK("active/stop", "the guest is stopped and continued during the migration",
         .live = stop_and_continue),
    RUN("active/stop-arrives", ACTIVE, "the guest is stopped during the migration: it arrives so",
        run_stop),
    RUN("active/stop-fails", ACTIVE,
        "the guest is stopped, then the migration fails: it stays stopped", run_stop_fail,
        .slow = true),
    HOOK("active/reset", "the guest is reset during the migration", .live = reset_source),
    SLOW_HOOK("active/reset-destination", "a destination is reset while it loads",
              .live = reset_destination),
    SLOW_HOOK("active/powerdown", "the power button of both sides is pressed", .live = power_down),
    SLOW_HOOK("active/parameters", "parameters are set on both sides during the migration",
              .live = godwit_lifecycle_set_parameters),
    {
        .name = "lifecycle/active/bandwidth",
        .summary = "the bandwidth is raised and lowered during the migration",
        .spec = {.live = change_bandwidth},
        .slow = true,
    },
    HOOK("active/migrate-again", "a second migrate at once: refused", .started = migrate_again),
    RUN("cancelling/migrate-again", SETUP, "a second migrate while the first is cancelled: refused",
        run_cancelling, .slow = true),
    HOOK("pre-switchover/cont", "cont while the guest waits for the switchover: refused",
         .capabilities = pausing, .released = pause_continue),
    RUN("pre-switchover/stop", PRE_SWITCHOVER,
        "stop while the guest waits for the switchover: it arrives stopped", run_pause_stop,
        PAUSES),
    RUN("pre-switchover/reset", PRE_SWITCHOVER,
        "the guest is reset while it waits for the switchover: it starts on the destination",
        run_pause_reset, PAUSES),
    HOOK("pre-switchover/powerdown", "the power button is pressed before the switchover",
         .capabilities = pausing, .released = pause_power_down),
    RUN("postcopy-active/stop", POSTCOPY_ACTIVE,
        "the guest is stopped while memory is missing: it stays stopped", run_postcopy_stop,
        POSTCOPY),
    RUN("postcopy-active/reset", POSTCOPY_ACTIVE, "the guest is reset while memory is missing",
        run_postcopy_reset, POSTCOPY, .slow = true),
    RUN("postcopy-active/powerdown", POSTCOPY_ACTIVE,
        "the power button of both sides is pressed while memory is missing",
        run_postcopy_power_down, POSTCOPY, .slow = true),
};
GODWIT_SCENARIOS_END(lifecycle);
