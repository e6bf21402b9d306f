/*
 * What has to hold of VMs before, after and beside a migration: run states, refusals, failures that
 * the source survives, figures that QEMU reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "bugs/bugs.h"
#include "oracle/oracle.h"
#include <string.h>

/* Fails unless STATUS, which VM is in, is WANTED. */
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

/* The run state that a VM comes to: QEMU reports the end of a migration a moment before the run
 * state of its source follows, and has no event for that. The caller's; NULL with ERROR set if it
 * cannot be had. */
static char *last_status(struct godwit_vm *source, GError **error)
{
    for (;;) {
        g_autofree char *status = godwit_vm_status(source, error);
        if (!status || strcmp(status, "finish-migrate") != 0)
            return g_steal_pointer(&status);
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the source's run state to follow", error))
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
                                 "the %s's query-migrate says \"%s\" after an event that the "
                                 "migration is completed",
                                 source->name, state));
}

/* How far the clock of a QEMU may be from this one's, in ms: they round. */
#define CLOCK_SLACK 10

/* Fails if the source reports that something took longer than there was time for. A figure that a
 * known bug explains is not noted as one: the bug's name is. */
bool godwit_course_judge_figures(struct godwit_vm *source, GError **error)
{
    static const char *const times[] = {"total-time", "downtime", "setup-time"};
    json_t *facts = json_object_get(source->testbed->measurements, "migration");
    const gint64 now = g_get_monotonic_time();
    const json_int_t life = (now - source->testbed->began) / 1000 + CLOCK_SLACK;
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        const json_int_t ms = godwit_json_integer(facts, times[i], 0);
        if (ms >= 0 && ms <= life)
            continue;
        const struct godwit_bug *bug =
            strcmp(times[i], "downtime") != 0
                ? NULL
                : godwit_bug_explain(&(const struct godwit_symptom){
                      .kind = GODWIT_SYMPTOM_DOWNTIME, .source = source, .ms = ms, .now = now});
        json_object_del(facts, times[i]);
        if (!bug)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source reports a %s of %" JSON_INTEGER_FORMAT
                               " ms for a migration that took less than %" JSON_INTEGER_FORMAT
                               " ms",
                               times[i], ms, life);
        json_object_set_new(facts, "downtime_unknown", json_string(bug->id));
    }
    return true;
}

/* The index of the first event of that name and status, or -1. */
int godwit_course_event_index(const struct godwit_vm *vm, const char *name, const char *status)
{
    for (guint i = vm->migration_first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), name, status))
            return (int)i;
    return -1;
}

/* That the guest ran on the destination while memory was still missing: what postcopy is. */
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
    g_autofree char *said = json_dumps(arguments, JSON_COMPACT);
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, command, arguments, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s with %s, which it should refuse", vm->name, command,
                           said);
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
                           state, command, said);
    for (guint i = first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), "MIGRATION", NULL))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s told of a migration although it refused %s with %s",
                               vm->name, command, said);
    return godwit_course_expect_status(vm, status, "after the refusal", error);
}

bool godwit_course_see_it_run(struct godwit_vm *vm, GError **error)
{
    const unsigned cpus = vm->testbed->setup->workload.cpus;
    /* A guest that arrives at the end of a pass counts it without writing a page, and its timer
     * stays what it was. Where that is known to be too old, another pass has to follow. */
    const uint64_t passes = vm->testbed->stale ? 2 : 1;
    uint64_t before[GODWIT_MAX_CPUS];
    struct godwit_mailbox mailbox;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        before[cpu] = mailbox.passes;
    }
    if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error))
        return false;
    /* What was migrated on the point of being written comes without a pass: it is the count that
     * has to change. And only the first CPU is heard of on the console: as often as it is, look for
     * the others. */
    for (unsigned cpu = 0; cpu < cpus;) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        if (mailbox.passes - before[cpu] >= passes)
            cpu++;
        else if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error)) {
            godwit_error_context(error, "the %s's CPU %u has not completed a pass", vm->name, cpu);
            return false;
        }
    }
    return true;
}

static bool is_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->exited;
}

bool godwit_course_refused(struct godwit_vm *destination, GError **error)
{
    if (godwit_course_event_index(destination, "RESUME", NULL) >= 0 ||
        destination->console->passes) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the %s ran its guest although the migration failed", destination->name);
        return false;
    }
    if (!destination->exited) {
        /* Asking is a race with its end, which is the other good answer. */
        g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, NULL);
        const char *state = godwit_json_string(info, "status", "none");
        g_autofree char *status = info ? godwit_vm_status(destination, NULL) : NULL;
        if (status && (!strcmp(state, "none") || !strcmp(state, "setup"))) {
            if (!g_str_equal(status, "inmigrate")) {
                g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                            "the %s is \"%s\" after a migration that never began",
                            destination->name, status);
                return false;
            }
            return godwit_vm_quit(destination, error);
        }
        g_autofree char *what = g_strdup_printf("the %s's QEMU to end", destination->name);
        if (!godwit_testbed_wait(destination->testbed, is_gone, destination, what, error))
            return false;
    }
    if (WIFEXITED(destination->wait_status) && WEXITSTATUS(destination->wait_status) != 0)
        return true;
    g_autofree char *end = godwit_vm_end(destination);
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s %s; after a migration that failed its exit status should tell of it",
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
