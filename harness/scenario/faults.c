/*
 * Accidents in each state of a migration: the connection is cut, or one side is killed or stopped
 * for a while. Each side that survives must be in the right state, with its memory in order. A
 * source that still has its guest must be able to migrate it elsewhere.
 *
 * A trial is a state and a blow. follow() brings the migration into the state, strikes, and judges:
 * with survive_*() if one side is lost, with complete_*() if both sides survive.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/peer.h"
#include "oracle/continuity.h"
#include "oracle/oracle.h"
#include "scenario/recovery.h"

#include <signal.h>
#include <string.h>

/* How long a side is stopped, in milliseconds: more than two periods of QEMU's rate limiter of 0.1
 * s, and longer than a whole unthrottled migration takes here. */
#define STOPPED_MS 250

/* Where a destination that has lost its source listens. */
#define RECOVER_URI "unix:recover.sock"

/* The accident. */
enum blow {
    BLOW_CUT,
    BLOW_KILL_DESTINATION,
    BLOW_KILL_SOURCE,
    BLOW_STOP_DESTINATION,
    BLOW_STOP_SOURCE
};

enum state {
    STATE_SETUP, /* the connection is neither accepted nor refused; there is no destination */
    STATE_ACTIVE,
    STATE_PRE_SWITCHOVER,
    STATE_POSTCOPY_ACTIVE,
    STATE_POSTCOPY_PAUSED,
    STATE_POSTCOPY_RECOVER,
};

static const char *const state_names[] = {
    [STATE_SETUP] = "setup",
    [STATE_ACTIVE] = "active",
    [STATE_PRE_SWITCHOVER] = "pre-switchover",
    [STATE_POSTCOPY_ACTIVE] = "postcopy-active",
    [STATE_POSTCOPY_PAUSED] = "postcopy-paused",
    [STATE_POSTCOPY_RECOVER] = "postcopy-recover",
};

struct trial {
    enum state state;
    enum blow blow;
};

struct course {
    struct godwit_testbed *testbed;
    const struct trial *trial;
    struct godwit_vm *source, *destination;
    struct godwit_vm *second; /* where a source that survives is migrated; it starts first */
    struct godwit_relay *relay;
    struct godwit_account account; /* of a postcopy, when its guest was last seen to wait */
    godwit_peer here, there;       /* the other ends of connections that get no answer */
};

static const struct godwit_capability pause_on[] = {{"pause-before-switchover", true},
                                                    {NULL, false}};
static const struct godwit_capability pause_off[] = {{"pause-before-switchover", false},
                                                     {NULL, false}};

static bool is_postcopy(const struct trial *trial)
{
    return trial->state >= STATE_POSTCOPY_ACTIVE;
}

static bool is_stop(const struct trial *trial)
{
    return trial->blow == BLOW_STOP_DESTINATION || trial->blow == BLOW_STOP_SOURCE;
}

/* Returns whether the source loses its destination and can use another one. */
static bool goes_elsewhere(const struct trial *trial)
{
    return !is_postcopy(trial) && !is_stop(trial) && trial->blow != BLOW_KILL_SOURCE;
}

static bool is_gone(gpointer data)
{
    return ((const struct godwit_vm *)data)->exited;
}

static bool end_now(struct godwit_vm *vm, GError **error)
{
    g_autofree char *what = g_strdup_printf("the %s's QEMU to be killed", vm->name);
    vm->may_exit = true;
    godwit_vm_signal(vm, SIGKILL);
    return godwit_testbed_wait(vm->testbed, is_gone, vm, what, error);
}

/* Stops the VM's QEMU for a while. There is no event to wait for: only time must pass. */
static bool stop_for_a_while(struct godwit_vm *vm, GError **error)
{
    godwit_vm_signal(vm, SIGSTOP);
    const bool rested = godwit_testbed_rest(vm->testbed, STOPPED_MS, "nothing", error);
    godwit_vm_signal(vm, SIGCONT);
    return rested;
}

/* Closes the other ends: a side that waits for an answer sees its connection end, or be refused. */
static void end_peers(struct course *course)
{
    godwit_peer_close(&course->here);
    godwit_peer_close(&course->there);
}

/* Cuts the connection between the QEMUs. */
static void hang_up(struct course *course)
{
    godwit_qmp_note(course->source->qmp, "Godwit closed the connection between the QEMUs");
    godwit_relay_hang_up(course->relay);
}

/* Strikes. Fails if the source is not in the trial's state. */
static bool strike(struct course *course, GError **error)
{
    g_autofree char *state = godwit_migrate_state(course->source, error);
    const char *wanted = state_names[course->trial->state];
    if (!state)
        return false;
    if (strcmp(state, wanted) != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source's migration is %s instead of %s just before the fault",
                           state, wanted);
    godwit_testbed_phase(course->testbed, GODWIT_PHASE_STRIKE);
    switch (course->trial->blow) {
    case BLOW_CUT:
        end_peers(course);
        if (course->relay)
            hang_up(course);
        return true;
    case BLOW_KILL_DESTINATION:
        if (!end_now(course->destination, error))
            return false;
        /* The destination's host would break the connection as well. Break it before the source
         * continues: otherwise all that is left may fit into the sockets' buffers, and then the
         * source counts it as sent. */
        hang_up(course);
        return true;
    case BLOW_KILL_SOURCE:
        return end_now(course->source, error);
    case BLOW_STOP_DESTINATION:
        return stop_for_a_while(course->destination, error);
    case BLOW_STOP_SOURCE:
        return stop_for_a_while(course->source, error);
    }
    return false;
}

/* Sets capabilities and parameters, and throttles the migration. */
static bool configure(struct course *course, GError **error)
{
    static const struct godwit_parameter throttled[] = {
        {"max-postcopy-bandwidth", GODWIT_POSTCOPY_THROTTLED, NULL}, {NULL, 0, NULL}};
    struct godwit_vm *const both[] = {course->destination, course->source};
    const enum state state = course->trial->state;
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++)
        if ((is_postcopy(course->trial) && !godwit_course_enable_postcopy(both[i], error)) ||
            !godwit_migrate_set_capabilities(
                both[i], state == STATE_PRE_SWITCHOVER ? pause_on : NULL, error))
            return false;
    return godwit_migrate_throttle(course->source, error) &&
           (!is_postcopy(course->trial) ||
            godwit_migrate_set_parameters(course->source, throttled, error));
}

/* Starts a source that connects to a socket which never accepts. */
static bool begin_setup(struct course *course, GError **error)
{
    course->second = godwit_course_ahead(course->testbed, "second", true, error);
    struct godwit_vm *source = course->source =
        course->second ? godwit_course_source(course->testbed, error) : NULL;
    godwit_testbed_phase(course->testbed, GODWIT_PHASE_MIGRATE);
    return source && godwit_migrate_set_capabilities(source, NULL, error) &&
           godwit_migrate_throttle(source, error) &&
           godwit_peer_busy(&course->here, course->testbed, "busy.sock", error) &&
           godwit_migrate_start(source, "unix:busy.sock", false, error);
}

/* Starts both sides and the migration, through a relay, and proves it live. */
static bool begin(struct course *course, GError **error)
{
    struct godwit_testbed *testbed = course->testbed;
    /* A destination that should load is compared before it runs. One that should not load is not
     * started paused, so that it would run if it did. */
    const bool paused = is_stop(course->trial) && !is_postcopy(course->trial);
    if (goes_elsewhere(course->trial))
        course->second = godwit_course_ahead(testbed, "second", true, error);
    if ((goes_elsewhere(course->trial) && !course->second) ||
        !godwit_course_both(testbed, "destination", paused, &course->source, &course->destination,
                            error) ||
        !configure(course, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *address = godwit_migrate_listen(course->source, course->destination,
                                                     GODWIT_TRANSPORT_UNIX, false, error);
    course->relay = address ? godwit_wire_relay(testbed->wire, address, error) : NULL;
    if (!course->relay)
        return false;
    course->destination->may_exit = !is_stop(course->trial);
    return godwit_migrate_start(course->source, godwit_relay_uri(course->relay), false, error) &&
           godwit_migrate_prove_live(course->source, course->destination, error);
}

/* Lets the network fail, and waits until both sides are paused. */
static bool fail_network(struct course *course, GError **error)
{
    hang_up(course);
    return godwit_recovery_await_pause(course->source, course->destination, &course->account,
                                       error);
}

/* Brings a migration that has begun into the trial's state. */
static bool reach(struct course *course, GError **error)
{
    struct godwit_vm *source = course->source, *destination = course->destination;
    const enum state state = course->trial->state;
    if (state == STATE_PRE_SWITCHOVER)
        return godwit_migrate_unthrottle(source, error) &&
               godwit_migrate_wait(source, "pre-switchover", error) &&
               godwit_vm_wait_event(source, source->migration_first, "STOP", NULL, error);
    if (state < STATE_POSTCOPY_ACTIVE)
        return true;
    if (!godwit_vm_command(source, "migrate-start-postcopy", NULL, error) ||
        !godwit_recovery_await_guest(source, destination, &course->account, error))
        return false;
    if (state >= STATE_POSTCOPY_PAUSED && !fail_network(course, error))
        return false;
    return state != STATE_POSTCOPY_RECOVER ||
           godwit_recovery_hang(source, destination, &course->here, &course->there, error);
}

/* Checks that the source's guest runs on and can be migrated to another destination. */
static bool migrate_elsewhere(struct course *course, GError **error)
{
    static const struct godwit_spec pauseless = {.transport = GODWIT_TRANSPORT_UNIX,
                                                 .capabilities = pause_off};
    static const struct godwit_spec plain = {.transport = GODWIT_TRANSPORT_UNIX};
    struct godwit_vm *source = course->source;
    const enum state state = course->trial->state;
    godwit_testbed_phase(course->testbed, GODWIT_PHASE_ELSEWHERE);
    if (!godwit_course_expect_status(source, "running", "after the failed migration", error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    return godwit_vm_handshake(course->second, error) &&
           godwit_course_move(course->testbed, state == STATE_PRE_SWITCHOVER ? &pauseless : &plain,
                              source, course->second, error);
}

/* Continues a source in pre-switchover, which does not notice the network before. */
static bool go_on(struct course *course, GError **error)
{
    return course->trial->state != STATE_PRE_SWITCHOVER ||
           godwit_vm_command(course->source, "migrate-continue",
                             json_pack("{s:s}", "state", "pre-switchover"), error);
}

/* Judges a precopy that failed: before the switchover the guest belongs to the source. */
static bool survive_precopy(struct course *course, GError **error)
{
    struct godwit_vm *source = course->source, *destination = course->destination;
    if (course->trial->blow == BLOW_KILL_SOURCE)
        return godwit_course_refused(destination, error);
    end_peers(course);
    if (!go_on(course, error) || !godwit_migrate_wait(source, "failed", error) ||
        !godwit_migrate_note_failure(source, error) ||
        (course->trial->blow == BLOW_CUT && destination &&
         !godwit_course_refused(destination, error)))
        return false;
    /* The migration stopped the guest, and must start it again. */
    if (course->trial->state == STATE_PRE_SWITCHOVER &&
        !godwit_vm_wait_event(source, source->migration_first, "RESUME", NULL, error))
        return false;
    return migrate_elsewhere(course, error);
}

/* Judges the side that is left of a postcopy. It has only a part of the guest's memory, so it must
 * wait in postcopy-paused. A source must not run its guest. */
static bool survive_alone(struct course *course, struct godwit_vm *vm, GError **error)
{
    end_peers(course);
    if (!godwit_migrate_wait(vm, "postcopy-paused", error))
        return false;
    g_autofree char *state = godwit_migrate_state(vm, error);
    g_autofree char *status = state ? godwit_vm_status(vm, error) : NULL;
    if (!status)
        return false;
    if (strcmp(state, "postcopy-paused") != 0 ||
        (vm == course->source && !strcmp(status, "running")))
        return godwit_fail(
            error, GODWIT_ERROR_MIGRATION,
            "the %s is alone in a postcopy, with its migration %s and run state \"%s\", "
            "expected postcopy-paused and a guest that does not run",
            vm->name, state, status);
    /* A destination whose guest waits for memory cannot quit. */
    return vm == course->destination || godwit_vm_quit(vm, error);
}

/* Checks that the destination's guest continues from BEFORE, where the source stopped, and that its
 * memory is in order when it is stopped again. */
static bool judge_going_on(struct godwit_vm *destination, const struct godwit_reading *before,
                           GError **error)
{
    struct godwit_reading after = {0};
    return godwit_course_see_it_run(destination, error) &&
           godwit_vm_command(destination, "stop", NULL, error) &&
           godwit_oracle_look(destination, &after, error) &&
           godwit_oracle_continuity(destination, before->mailbox, after.mailbox, true, error);
}

/* Completes a postcopy whose sides both survive, and judges it. */
static bool complete_postcopy(struct course *course, GError **error)
{
    struct godwit_vm *source = course->source, *destination = course->destination;
    struct godwit_reading before = {0};
    const bool stopped = is_stop(course->trial);
    const enum state state = course->trial->state;
    destination->may_exit = false;
    end_peers(course);
    if (state == STATE_POSTCOPY_ACTIVE && stopped) {
        if (!godwit_course_unthrottle_postcopy(source, error))
            return false;
    } else if ((state != STATE_POSTCOPY_PAUSED &&
                !godwit_recovery_await_pause(source, destination, &course->account, error)) ||
               !godwit_recovery_recover(source, destination, RECOVER_URI, &course->account,
                                        error)) {
        return false;
    }
    if (!godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error))
        return false;
    godwit_testbed_phase(course->testbed, GODWIT_PHASE_VERIFY);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    for (unsigned cpu = 0; cpu < course->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &before.mailbox[cpu], error))
            return false;
    return judge_going_on(destination, &before, error) && godwit_vm_quit(source, error) &&
           godwit_vm_quit(destination, error);
}

/* Completes a precopy whose sides both survive. Compares RAM before the destination runs. */
static bool complete_precopy(struct course *course, GError **error)
{
    struct godwit_vm *source = course->source, *destination = course->destination;
    struct godwit_reading before = {0};
    if ((course->trial->state != STATE_PRE_SWITCHOVER &&
         !godwit_migrate_unthrottle(source, error)) ||
        !go_on(course, error) || !godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error))
        return false;
    godwit_testbed_phase(course->testbed, GODWIT_PHASE_VERIFY);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    if (!godwit_oracle_twin(source, destination, &before, error))
        return false;
    return (course->testbed->lost ||
            (godwit_vm_run(destination, error) && judge_going_on(destination, &before, error))) &&
           godwit_vm_quit(source, error) && godwit_vm_quit(destination, error);
}

static bool follow(struct course *course, GError **error)
{
    if (course->trial->state == STATE_SETUP)
        return begin_setup(course, error) && strike(course, error) &&
               survive_precopy(course, error);
    if (!begin(course, error) || !reach(course, error) || !strike(course, error))
        return false;
    if (!is_postcopy(course->trial))
        return is_stop(course->trial) ? complete_precopy(course, error)
                                      : survive_precopy(course, error);
    if (course->trial->blow == BLOW_KILL_DESTINATION)
        return survive_alone(course, course->source, error);
    if (course->trial->blow == BLOW_KILL_SOURCE)
        return survive_alone(course, course->destination, error);
    return complete_postcopy(course, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct course course = {.testbed = testbed,
                            .trial = scenario->data,
                            .here = GODWIT_PEER_NONE,
                            .there = GODWIT_PEER_NONE};
    const bool good = follow(&course, error);
    end_peers(&course);
    return good;
}

#define ROW(STATE, name_, BLOW, what, text, needs_)                                                \
    {                                                                                              \
        .name = "faults/" name_ "/" what, .summary = text, .run = run, .needs = needs_,            \
        .wide = STATE_##STATE >= STATE_POSTCOPY_ACTIVE, .data = &(const struct trial)              \
        {                                                                                          \
            STATE_##STATE, BLOW_##BLOW                                                             \
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
