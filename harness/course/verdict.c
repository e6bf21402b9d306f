/*
 * Checks of VMs before, during and after a migration: run states, refusals, failures that the
 * source survives, and the figures that QEMU reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "bugs/bugs.h"
#include "oracle/continuity.h"
#include "oracle/identity.h"
#include "oracle/oracle.h"
#include <string.h>

/* Fails with MIGRATION unless STATUS, the VM's run state, is WANTED. */
static bool is_status(const struct godwit_vm *vm, const char *status, const char *wanted,
                      const char *when, GError **error)
{
    if (!strcmp(status, wanted))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s's run state %s is \"%s\" instead of \"%s\"", vm->name, when, status,
                wanted);
    return false;
}

/* Waits until a VM's run state is no longer "finish-migrate", and returns it. The caller frees it.
 * A source leaves that run state a moment after QEMU reports the end of the migration, and no event
 * reports it. */
static char *last_status(struct godwit_vm *source, GError **error)
{
    for (;;) {
        g_autofree char *status = godwit_vm_status(source, error);
        if (!status || strcmp(status, "finish-migrate") != 0)
            return g_steal_pointer(&status);
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the source's run state to be other than \"finish-migrate\"",
                                 error))
            return NULL;
    }
}

bool godwit_course_expect_status(struct godwit_vm *vm, const char *wanted, const char *when,
                                 GError **error)
{
    g_autofree char *status = last_status(vm, error);
    return status && is_status(vm, status, wanted, when, error);
}

bool godwit_course_unwind(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = last_status(source, error);
    return status != NULL;
}

bool godwit_course_settle(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = last_status(source, error);
    if (!status || !is_status(source, status, "postmigrate", "after the migration", error))
        return false;
    g_autofree char *state = godwit_migrate_state(source, error);
    return state && (!strcmp(state, "completed") ||
                     godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                 "the %s's query-migrate reports \"%s\" after a MIGRATION event "
                                 "with \"completed\"",
                                 source->name, state));
}

bool godwit_course_take_back(struct godwit_vm *source, bool stopped, GError **error)
{
    if (!godwit_testbed_wait(source->testbed, godwit_migrate_is_over, source,
                             "the source's migration to end", error))
        return false;
    const bool completed = !strcmp(godwit_migrate_reported_state(source), "completed");
    return (completed ? godwit_course_settle(source, error)
                      : godwit_course_unwind(source, error)) &&
           ((!completed && !stopped) || godwit_vm_run(source, error)) &&
           godwit_course_expect_status(source, "running", "after the migration", error) &&
           godwit_course_see_it_run(source, error);
}

/* How much longer a time of QEMU's may be than ours because both are rounded, in milliseconds. */
#define CLOCK_SLACK 10

bool godwit_course_judge_figures(struct godwit_vm *source, GError **error)
{
    static const enum godwit_figure times[] = {GODWIT_FIGURE_TOTAL_TIME, GODWIT_FIGURE_DOWNTIME,
                                               GODWIT_FIGURE_SETUP_TIME};
    const struct godwit_migration *migration = godwit_migration_of(source->testbed);
    const gint64 now = g_get_monotonic_time();
    const json_int_t life = (now - source->testbed->began) / 1000 + CLOCK_SLACK;
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        const json_int_t ms = migration->figures[times[i]];
        if (ms >= 0 && ms <= life)
            continue;
        const struct godwit_bug *bug =
            times[i] != GODWIT_FIGURE_DOWNTIME
                ? NULL
                : godwit_bug_explain(&(const struct godwit_symptom){
                      .kind = GODWIT_SYMPTOM_DOWNTIME, .source = source, .ms = ms, .now = now});
        godwit_migrate_drop_time(source->testbed, times[i], bug ? bug->id : NULL);
        if (!bug)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source reports a %s of %" JSON_INTEGER_FORMAT
                               " ms for a migration that took less than %" JSON_INTEGER_FORMAT
                               " ms",
                               godwit_figure_name(times[i]), ms, life);
    }
    return true;
}

int godwit_course_event_index(const struct godwit_vm *vm, const char *name, const char *status)
{
    for (guint i = vm->migration_first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), name, status))
            return (int)i;
    return -1;
}

bool godwit_course_judge_postcopy(struct godwit_vm *destination, GError **error)
{
    const int resumed = godwit_course_event_index(destination, "RESUME", NULL);
    const int completed = godwit_course_event_index(destination, "MIGRATION", "completed");
    if (resumed >= 0 && resumed < completed)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the destination's guest did not run before the postcopy migration was completed");
    return false;
}

bool godwit_course_refuse(struct godwit_vm *vm, const char *command, json_t *arguments,
                          const char *status, GError **error)
{
    const guint first = vm->qmp->events->len;
    g_autofree char *given = json_dumps(arguments, JSON_COMPACT);
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, command, arguments, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s with %s, which it should refuse", vm->name, command,
                           given);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_autofree char *state = godwit_migrate_state(vm, error);
    if (!state)
        return false;
    if (strcmp(state, "none") != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s's migration is \"%s\" after it refused %s with %s", vm->name,
                           state, command, given);
    if (godwit_qmp_find_event(vm->qmp, first, "MIGRATION", NULL))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s reported a migration although it refused %s with %s", vm->name,
                           command, given);
    return godwit_course_expect_status(vm, status, "after the refusal", error);
}

bool godwit_course_has_gone_on(const struct godwit_setup *setup, bool stale,
                               struct godwit_progress *progress, uint64_t passes)
{
    if (passes == progress->last)
        return false;
    progress->changes++;
    progress->last = passes;
    if (stale)
        return progress->changes > 1;
    return passes - progress->first >= (godwit_identity_is_kept(setup) ? 2 : 1);
}

bool godwit_course_see_it_run(struct godwit_vm *vm, GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    const unsigned cpus = setup->workload.cpus;
    struct godwit_progress progress[GODWIT_MAX_CPUS] = {0};
    struct godwit_mailbox mailbox;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        progress[cpu].first = progress[cpu].last = mailbox.passes;
    }
    if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error))
        return false;
    /* The count in the mailbox must change: a character that was about to be written when the guest
     * was migrated comes without a pass. Only the first CPU writes to the console, so whenever it
     * does, look at the others' mailboxes. */
    for (unsigned cpu = 0; cpu < cpus;) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        if (godwit_course_has_gone_on(setup, vm->testbed->stale, &progress[cpu], mailbox.passes))
            cpu++;
        else if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error)) {
            godwit_error_context(error, "the %s's CPU %u has not completed a pass", vm->name, cpu);
            return false;
        }
    }
    return true;
}

bool godwit_course_see_restart(struct godwit_vm *vm, GError **error)
{
    return godwit_vm_wait_console(vm, vm->console->ready_allowed, 0, error) &&
           godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error);
}

bool godwit_course_reset(struct godwit_vm *vm, GError **error)
{
    const guint first = vm->qmp->events->len;
    vm->console->ready_allowed++;
    return godwit_vm_command(vm, "system_reset", NULL, error) &&
           godwit_vm_wait_event(vm, first, "RESET", NULL, error) &&
           godwit_course_see_restart(vm, error) &&
           godwit_course_expect_status(vm, "running", "after system_reset", error);
}

/* How long a destination whose migration has failed may take to answer or to end before a known bug
 * is considered, in seconds. */
#define ANSWER_SECONDS 10

/* Asks a destination whose migration has failed about it. Returns the answer, which the caller
 * unreferences, or NULL if there is none: the destination has ended, or answers late. Sets *STUCK
 * if a known bug keeps it from answering, and from ending, for good. */
static json_t *ask_refused(struct godwit_vm *destination, bool *stuck)
{
    struct godwit_testbed *testbed = destination->testbed;
    g_autoptr(GError) late = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, ANSWER_SECONDS);
    json_t *info = godwit_vm_execute(destination, "query-migrate", NULL, &late);
    testbed->deadline = deadline;
    *stuck = !info && late->code == GODWIT_ERROR_TIMEOUT &&
             godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_STUCK,
                                                               .destination = destination});
    return info;
}

/* Waits until a destination whose migration has failed has ended. Sets *STUCK as ask_refused(). */
static bool await_end(struct godwit_vm *destination, bool *stuck, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    g_autofree char *what = g_strdup_printf("the %s's QEMU to end", destination->name);
    if (godwit_testbed_wait_until(testbed, godwit_testbed_seconds(testbed, ANSWER_SECONDS),
                                  godwit_vm_has_ended, destination, what, NULL))
        return true;
    g_autoptr(json_t) info = ask_refused(destination, stuck);
    return *stuck || godwit_testbed_wait(testbed, godwit_vm_has_ended, destination, what, error);
}

bool godwit_course_refused(struct godwit_vm *destination, GError **error)
{
    bool stuck = false;
    if (godwit_course_event_index(destination, "RESUME", NULL) >= 0 ||
        destination->console->passes) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the %s ran its guest although the migration failed", destination->name);
        return false;
    }
    if (!destination->exited) {
        /* The destination may end while it is asked. That is a valid answer. */
        g_autoptr(json_t) info = ask_refused(destination, &stuck);
        const char *state = godwit_json_string(info, "status", "none");
        g_autofree char *status = info ? godwit_vm_status(destination, NULL) : NULL;
        if (status && (!strcmp(state, "none") || !strcmp(state, "setup"))) {
            if (!g_str_equal(status, "inmigrate")) {
                g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                            "the %s's run state is \"%s\" instead of \"inmigrate\", although "
                            "the migration never began",
                            destination->name, status);
                return false;
            }
            return godwit_vm_quit(destination, error);
        }
        if (!stuck && !await_end(destination, &stuck, error))
            return false;
        if (stuck)
            return true;
    }
    if (WIFEXITED(destination->wait_status) && WEXITSTATUS(destination->wait_status) != 0)
        return true;
    g_autofree char *end = godwit_vm_end(destination);
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s %s; after a failed migration it should exit with a nonzero status",
                destination->name, end);
    return false;
}

bool godwit_course_survive(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_reading reading;
    return godwit_course_refused(destination, error) &&
           godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_vm_command(source, "stop", NULL, error) &&
           godwit_oracle_look(source, &reading, error) && godwit_vm_quit(source, error);
}

bool godwit_course_judge_resumed(struct godwit_vm *vm, const struct godwit_mailbox *before,
                                 GError **error)
{
    struct godwit_reading after = {0};
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_RESUME);
    if (!godwit_vm_run(vm, error) || !godwit_course_see_it_run(vm, error) ||
        !godwit_course_stop(vm, error))
        return false;
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_VERIFY_AGAIN);
    return godwit_oracle_look(vm, &after, error) &&
           godwit_oracle_continuity(vm, before, after.mailbox, true, error);
}
