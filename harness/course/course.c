/*
 * The common course, from two VMs to their end: the guest is migrated while its blackout is
 * measured, every oracle that applies judges, the guest goes on, and both VMs quit.
 *
 * After precopy the source is stopped for good and the destination, started paused, has not run.
 * This is when their RAM is compared. After postcopy the guest runs already, so its own memory is
 * judged, and the source's mailboxes are read for the continuity.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "bugs/bugs.h"
#include "memory/memory.h"
#include "oracle/blackout.h"
#include "oracle/continuity.h"
#include "oracle/identity.h"
#include "oracle/oracle.h"
#include <string.h>

bool godwit_course_end(struct godwit_vm *vm, struct godwit_vm *other, GError **error)
{
    struct godwit_testbed *testbed = vm->testbed;
    godwit_testbed_phase(testbed, GODWIT_PHASE_END);
    godwit_testbed_end_turn(testbed);
    const bool ended = godwit_vm_quit(vm, error) && (!other || godwit_vm_quit(other, error));
    godwit_testbed_phase(testbed, GODWIT_PHASE_NONE);
    return ended;
}

bool godwit_course_stop(struct godwit_vm *vm, GError **error)
{
    if (!godwit_vm_command(vm, "stop", NULL, error))
        return false;
    while (g_main_context_iteration(NULL, FALSE))
        ;
    return godwit_testbed_healthy(vm->testbed, error);
}

/*
 * Wakes up a guest that was migrated suspended, and waits until it has started anew. Sets *AWAKE to
 * false if a known bug of the source's QEMU leaves it asleep for good.
 */
static bool wake_up(struct godwit_vm *source, struct godwit_vm *destination, bool *awake,
                    GError **error)
{
    g_autofree char *status = godwit_vm_status(destination, error);
    if (!status)
        return false;
    *awake = true;
    if (!strcmp(status, "suspended")) {
        if (!godwit_vm_command(destination, "system_wakeup", NULL, error))
            return false;
    } else if (godwit_bug_explain(&(const struct godwit_symptom){
                   .kind = GODWIT_SYMPTOM_RUN_STATE, .source = source, .state = status})) {
        /* This QEMU wakes the guest up at the end of the migration, by chance before or after it
         * sends the guest's state. Only a guest that woke up before that goes on. */
        const int woken = godwit_course_event_index(source, "WAKEUP", NULL);
        *awake = woken >= 0 && woken < godwit_course_event_index(source, "STOP", NULL);
    } else {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the destination's run state is \"%s\" although the guest was suspended when "
                    "it was migrated",
                    status);
        return false;
    }
    return !*awake || godwit_vm_wait_console(destination, 1, 1, error);
}

/* Stops the source of a migration that is not live, and judges its memory. */
static bool stop_source(struct godwit_vm *source, GError **error)
{
    struct godwit_reading reading = {0};
    godwit_blackout_near(source->testbed);
    if (!godwit_vm_command(source, "stop", NULL, error))
        return false;
    godwit_blackout_hold(source->testbed);
    if (!godwit_oracle_look(source, &reading, error))
        return false;
    godwit_blackout_let_go(source->testbed);
    return true;
}

/* Reads the mailboxes of all of the source's CPUs, with which continuity compares the
 * destination's. */
static bool read_mailboxes(struct godwit_vm *source, struct godwit_mailbox *mailboxes,
                           GError **error)
{
    for (unsigned cpu = 0; cpu < source->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &mailboxes[cpu], error))
            return false;
    return true;
}

/* Migrates and judges, while the blackout is measured. PAST is the source, or a copy of it if its
 * memory will not be there afterwards. */
static bool migrate_from(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                         struct godwit_vm *source, struct godwit_vm *past,
                         struct godwit_vm *destination, GError **error)
{
    struct godwit_reading before = {0}, after = {0};
    if (spec->move == GODWIT_MOVE_STOPPED && !stop_source(source, error))
        return false;

    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    destination->may_exit = spec->outcome == GODWIT_OUTCOME_FAILS;
    /* In postcopy the destination runs its guest without `cont`. A guest that the known bug has
     * woken up starts at once, and writes READY. */
    if (spec->suspend && godwit_course_runs_unasked(spec))
        destination->console->ready_allowed++;
    const bool transferred = godwit_course_transfer(spec, source, destination, error);
    /* Always record what the fault did. If it did nothing, fail, unless something else failed. */
    if ((spec->fault && !godwit_wire_note_fault(testbed, transferred ? error : NULL)) ||
        !transferred)
        return false;
    if (spec->outcome == GODWIT_OUTCOME_FAILS) {
        godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
        return godwit_course_survive(source, destination, error) &&
               (!spec->tls || godwit_tls_judge_failure(source, destination, spec->tls, error)) &&
               godwit_course_step(spec->judge, source, destination, error);
    }
    if (!godwit_course_settle(source, error))
        return false;
    /* The place of the RAM in the guest's address space may have changed while the guest booted, or
     * while its machine's state was loaded. */
    godwit_memory_forget(source);
    godwit_memory_forget(destination);

    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    if (godwit_course_runs_unasked(spec)) {
        if (!godwit_course_judge_postcopy(destination, error) ||
            !read_mailboxes(past, before.mailbox, error))
            return false;
    } else if (!godwit_oracle_twin(source, destination, &before, error))
        return false;
    if ((spec->tls && !godwit_tls_judge(source, destination, spec->tls, error)) ||
        !godwit_course_step(spec->judge, source, destination, error))
        return false;

    if (testbed->lost)
        return true;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RESUME);
    if (spec->suspend && !godwit_course_runs_unasked(spec))
        destination->console->ready_allowed++;
    if (!godwit_course_runs_unasked(spec)) {
        godwit_blackout_resume(testbed);
        if (!godwit_vm_run(destination, error))
            return false;
    }
    bool awake = true;
    if (!(spec->suspend ? wake_up(source, destination, &awake, error)
                        : godwit_course_see_it_run(destination, error)) ||
        !godwit_vm_command(destination, "stop", NULL, error))
        return false;

    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY_AGAIN);
    /* A guest that wakes up has been reset, perhaps with its timer. */
    return !awake || (godwit_oracle_look(destination, &after, error) &&
                      godwit_oracle_continuity(destination, before.mailbox, after.mailbox,
                                               !spec->suspend, error) &&
                      godwit_oracle_identity(past, destination, error));
}

/* Migrates and judges. A source that gives up the memory that it has sent is remembered as it was
 * before: its passes then are the least that the destination must have. */
static bool migrate_once(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                         struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!godwit_spec_is_postcopy(spec) || !godwit_json_true(source->capabilities, "release-ram"))
        return migrate_from(testbed, spec, source, source, destination, error);
    struct godwit_vm *past = godwit_memory_remember(source, source->name, error);
    const bool good = past && migrate_from(testbed, spec, source, past, destination, error);
    if (past)
        godwit_vm_free(past);
    return good;
}

bool godwit_course_leg(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    /* A suspended guest makes no progress until it is woken up. A guest that is kept paused makes
     * none for as long as the harness wants. */
    const bool watched = spec->outcome != GODWIT_OUTCOME_FAILS && !spec->suspend &&
                         spec->move != GODWIT_MOVE_POSTCOPY_PAUSED;
    g_autoptr(GError) cause = NULL;
    const bool good = (!watched || godwit_blackout_watch(source, destination,
                                                         godwit_spec_is_postcopy(spec), &cause)) &&
                      godwit_course_configure(spec, source, destination, &cause) &&
                      migrate_once(testbed, spec, source, destination, &cause);
    godwit_blackout_end(testbed);
    if (good)
        return true;
    /* A migration that must fail explains the end of its destination, not that of its source. */
    if ((spec->outcome != GODWIT_OUTCOME_FAILS || source->exited) && !spec->fault)
        godwit_bug_explain_failure(source, destination, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_course_move(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                        struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!godwit_course_leg(testbed, spec, source, destination, error))
        return false;
    if (spec->outcome != GODWIT_OUTCOME_FAILS)
        return godwit_course_end(source, destination, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_NONE);
    return true;
}

bool godwit_course_run(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       GError **error)
{
    /* A destination whose guest waits for a page may hold the lock of QEMU's main loop meanwhile.
     * If the connection is lost then, it takes no ordinary command any more. */
    testbed->oob = godwit_spec_is_postcopy(spec);
    /* Start both at once: neither waits for the other. */
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *destination = godwit_vm_start(
        testbed, "destination",
        godwit_course_runs_unasked(spec) ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED,
        spec->destination_arguments, error);
    struct godwit_vm *source = destination ? godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE,
                                                             spec->source_arguments, error)
                                           : NULL;
    if (!source || !godwit_vm_handshake(source, error) ||
        !godwit_vm_handshake(destination, error) || !godwit_vm_run(source, error) ||
        !godwit_course_see_first_pass(source, error))
        return false;
    if (spec->suspend && !godwit_vm_wait_event(source, 0, "SUSPEND", NULL, error))
        return false;
    return godwit_course_move(testbed, spec, source, destination, error);
}
