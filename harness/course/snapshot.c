/*
 * Saves and loads snapshots, and judges what is loaded by what the guest was.
 *
 * QEMU stops a running guest to save it, while its main loop does nothing else, so that nobody
 * outside can copy its RAM at that instant. What a running guest was is therefore bounded: its own
 * count of passes lies between one from before the save and one from after it, and its memory and
 * registers are judged to be of one instant. Whatever is loaded twice must be equal, byte by byte.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/snapshot.h"

#include "bugs/bugs.h"
#include "course/course.h"
#include <inttypes.h>
#include <string.h>

/* How each way does each action. */
static const struct {
    const char *line;    /* of the human monitor, before the tag */
    const char *command; /* of QMP */
} actions[] = {
    [GODWIT_SNAPSHOT_SAVE] = {"savevm", "snapshot-save"},
    [GODWIT_SNAPSHOT_LOAD] = {"loadvm", "snapshot-load"},
    [GODWIT_SNAPSHOT_DELETE] = {"delvm", "snapshot-delete"},
};

static const char *name_of(enum godwit_snapshot_way way, enum godwit_snapshot_action action)
{
    return way == GODWIT_SNAPSHOT_MONITOR ? actions[action].line : actions[action].command;
}

void godwit_moment_clear(struct godwit_moment *moment)
{
    g_free(moment->tag);
    godwit_vm_free(moment->ram);
    memset(moment, 0, sizeof(*moment));
}

static bool do_by_monitor(struct godwit_vm *vm, enum godwit_snapshot_action action, const char *tag,
                          char **refusal, GError **error)
{
    g_autofree char *line = g_strdup_printf("%s %s", actions[action].line, tag);
    g_autofree char *answer = godwit_vm_monitor(vm, line, error);
    *refusal = answer && *answer ? g_strdup(g_strstrip(answer)) : NULL;
    return answer != NULL;
}

static bool do_by_job(struct godwit_vm *vm, enum godwit_snapshot_action action, const char *tag,
                      const struct godwit_snapshot_disks *disks, char **refusal, GError **error)
{
    json_t *arguments = json_pack("{s:s, s:[]}", "tag", tag, "devices");
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++)
        json_array_append_new(json_object_get(arguments, "devices"), json_string(disks->name[i]));
    if (action != GODWIT_SNAPSHOT_DELETE)
        json_object_set_new(arguments, "vmstate", json_string(disks->name[disks->state]));
    return godwit_disk_job(vm, actions[action].command, arguments, refusal, error);
}

bool godwit_snapshot_do(struct godwit_vm *vm, enum godwit_snapshot_way way,
                        enum godwit_snapshot_action action, const char *tag,
                        const struct godwit_snapshot_disks *disks, char **refusal, GError **error)
{
    *refusal = NULL;
    const bool done = way == GODWIT_SNAPSHOT_MONITOR
                          ? do_by_monitor(vm, action, tag, refusal, error)
                          : do_by_job(vm, action, tag, disks, refusal, error);
    /* The place of the RAM in the guest's address space may be another one in what was loaded. */
    if (done && action == GODWIT_SNAPSHOT_LOAD) {
        godwit_memory_forget(vm);
        g_free(vm->refusal);
        vm->refusal = g_strdup(*refusal);
    }
    return done;
}

bool godwit_snapshot_must(struct godwit_vm *vm, enum godwit_snapshot_way way,
                          enum godwit_snapshot_action action, const char *tag,
                          const struct godwit_snapshot_disks *disks, GError **error)
{
    g_autofree char *refusal = NULL;
    return godwit_snapshot_do(vm, way, action, tag, disks, &refusal, error) &&
           (!refusal || godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s refused %s of %s: %s",
                                    vm->name, name_of(way, action), tag, refusal));
}

bool godwit_snapshot_refuse(struct godwit_vm *vm, enum godwit_snapshot_way way,
                            enum godwit_snapshot_action action, const char *tag,
                            const struct godwit_snapshot_disks *disks, GError **error)
{
    g_autofree char *refusal = NULL;
    if (!godwit_snapshot_do(vm, way, action, tag, disks, &refusal, error))
        return false;
    if (!refusal)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s of %s, which it should refuse", vm->name,
                           name_of(way, action), tag);
    godwit_testbed_measure_item(vm->testbed, "refusals", json_string(refusal));
    return true;
}

bool godwit_snapshot_prepare(struct godwit_vm *vm, GError **error)
{
    vm->snapshots = true;
    return godwit_migrate_set_capabilities(vm, NULL, error);
}

/* Reads the mailboxes of all CPUs. */
static bool read_mailboxes(struct godwit_vm *vm, struct godwit_reading *reading, GError **error)
{
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(vm, cpu, &reading->mailbox[cpu], error))
            return false;
    return true;
}

bool godwit_moment_begin(struct godwit_vm *vm, const char *tag, bool running, unsigned char value,
                         const struct godwit_snapshot_disks *disks, struct godwit_disk *disk,
                         struct godwit_moment *moment, GError **error)
{
    godwit_moment_clear(moment);
    moment->tag = g_strdup(tag);
    moment->running = running;
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++) {
        if (!godwit_disk_write(vm, disks->name[i], (unsigned char)(value + i), &disk[i], error))
            return false;
        moment->disk[i] = disk[i];
    }
    if (running)
        return godwit_course_see_it_run(vm, error) && read_mailboxes(vm, &moment->reading, error);
    if (!godwit_course_stop(vm, error) || !godwit_oracle_look(vm, &moment->reading, error))
        return false;
    moment->ram = godwit_memory_remember(vm, "saved guest", error);
    return moment->ram != NULL;
}

/* Checks that QEMU stopped the guest to save it, and resumed it. */
static bool judge_pause(const struct godwit_vm *vm, guint first, GError **error)
{
    static const char *const wanted[] = {"STOP", "MIGRATION", "RESUME"};
    unsigned seen = 0;
    for (guint i = first; i < vm->qmp->events->len && seen < G_N_ELEMENTS(wanted); i++)
        seen += godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), wanted[seen],
                                    seen == 1 ? "completed" : NULL);
    return seen == G_N_ELEMENTS(wanted) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s reported %s, expected STOP, MIGRATION with \"completed\" and RESUME "
                       "while it saved a running guest",
                       vm->name,
                       seen == 0   ? "no STOP"
                       : seen == 1 ? "no end of the save after STOP"
                                   : "no RESUME after the save");
}

bool godwit_moment_end(struct godwit_vm *vm, struct godwit_moment *moment, guint first,
                       GError **error)
{
    if (!godwit_course_expect_status(vm, moment->running ? "running" : "paused",
                                     "after the snapshot was saved", error))
        return false;
    if (moment->running)
        return judge_pause(vm, first, error) && godwit_course_see_it_run(vm, error) &&
               read_mailboxes(vm, &moment->after, error);
    struct godwit_reading now;
    return godwit_oracle_twin(moment->ram, vm, &now, error);
}

/* Checks that each CPU's progress is between that before the save and that after it. */
static bool judge_progress(const struct godwit_vm *vm, const struct godwit_moment *moment,
                           const struct godwit_reading *loaded, GError **error)
{
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++) {
        const uint64_t passes = loaded->mailbox[cpu].passes;
        const uint64_t least = moment->reading.mailbox[cpu].passes;
        const uint64_t most = moment->after.mailbox[cpu].passes;
        if (passes < least || passes > most)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: CPU %u has made %" PRIu64 " passes in what was loaded of %s, "
                               "which was saved after %" PRIu64 " and before %" PRIu64,
                               vm->name, cpu, passes, moment->tag, least, most);
    }
    return true;
}

/* Compares the guest that was loaded with the one that was saved. Marks the failure if a known bug
 * explains it. */
static bool judge_ram(struct godwit_vm *vm, const struct godwit_moment *moment,
                      struct godwit_reading *loaded, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_oracle_twin(moment->ram, vm, loaded, &cause))
        return true;
    const struct godwit_symptom symptom = {
        .kind = GODWIT_SYMPTOM_UNCLEARED, .source = moment->ram, .destination = vm};
    if (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ORACLE))
        godwit_bug_excuse(&symptom, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_moment_judge_loaded(struct godwit_vm *vm, struct godwit_moment *moment,
                                const struct godwit_snapshot_disks *disks, GError **error)
{
    struct godwit_reading loaded;
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_VERIFY);
    if (moment->ram && !judge_ram(vm, moment, &loaded, error))
        return false;
    if (!godwit_oracle_look(vm, &loaded, error) ||
        (moment->running && !judge_progress(vm, moment, &loaded, error)))
        return false;
    if (!moment->ram) {
        moment->ram = godwit_memory_remember(vm, "guest as loaded before", error);
        moment->reading = moment->after = loaded;
        if (!moment->ram)
            return false;
    }
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++)
        if (!godwit_disk_judge(vm, disks->name[i], &moment->disk[i], error))
            return false;
    return true;
}

/* Returns whether the timer of VM's guest is before that of MOMENT, or the guest has found that it
 * went back. */
static bool is_back(struct godwit_vm *vm, const struct godwit_moment *moment)
{
    /* Otherwise no QMP command to a VM whose guest has reported something would succeed. */
    const bool provoked = vm->console->fault_provoked;
    vm->console->fault_provoked = true;
    bool back = false;
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus && !back; cpu++) {
        struct godwit_mailbox now;
        if (godwit_memory_mailbox(vm, cpu, &now, NULL) &&
            (now.state == GODWIT_STATE_FAULT_TIMER ||
             now.timer < moment->reading.mailbox[cpu].timer))
            back = true;
    }
    vm->console->fault_provoked = provoked;
    return back;
}

bool godwit_moment_judge(struct godwit_vm *vm, struct godwit_moment *moment,
                         const struct godwit_snapshot_disks *disks, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_moment_judge_loaded(vm, moment, disks, &cause) &&
        godwit_course_judge_resumed(vm, moment->reading.mailbox, &cause))
        return true;
    /* A known bug sets the timer back. That shows once all else is judged and the guest has run. */
    const enum godwit_phase phase = vm->testbed->phase;
    const bool ran = phase == GODWIT_PHASE_RESUME || phase == GODWIT_PHASE_VERIFY_AGAIN;
    if (vm->source && ran && g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ORACLE) &&
        is_back(vm, moment) &&
        godwit_bug_excuse(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_BACK, .vm = vm},
                          &cause))
        vm->console->fault_provoked = true; /* what the guest has found is that bug */
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}
