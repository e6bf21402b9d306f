/*
 * Internal snapshots, saved and loaded in one QEMU or in two.
 *
 * No device of the guest uses the disks, so that every machine can have them and savevm finds
 * nothing else to save. Another QEMU, the destination's, gets the disks once the source has let go
 * of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include "course/loaded.h"
#include "course/snapshot.h"
#include "oracle/hardware.h"
#include "oracle/state.h"
#include <string.h>
#include <sys/wait.h>

/* The most snapshots of a scenario. */
#define MOMENTS 3

struct godwit_scenario_state {
    struct godwit_moment moment[MOMENTS];
    struct godwit_disk disk[GODWIT_SNAPSHOT_DISKS]; /* what the disks have now */
};

static void clear(struct godwit_scenario_state *state)
{
    for (size_t i = 0; i < MOMENTS; i++)
        godwit_moment_clear(&state->moment[i]);
}

/* Which QEMU loads the snapshot. */
enum place {
    SAME,   /* the one that saved it */
    OTHER,  /* another one, by a command */
    STARTS, /* another one, by -loadvm */
};

/* A row's course. */
struct plan {
    enum godwit_snapshot_way save, load;
    enum place place;
    bool running; /* the guest runs when it is saved */
    struct godwit_snapshot_disks disks;
};

#define ONE_DISK                                                                                   \
    {                                                                                              \
        {"disk"}, 0                                                                                \
    }
#define TWO_DISKS                                                                                  \
    {                                                                                              \
        {"disk", "second"}, 1                                                                      \
    }

static bool create_disks(struct godwit_vm *vm, const struct godwit_snapshot_disks *disks,
                         GError **error)
{
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++)
        if (!godwit_disk_create(vm, disks->name[i], error))
            return false;
    return true;
}

static bool attach_disks(struct godwit_vm *vm, const struct godwit_snapshot_disks *disks,
                         GError **error)
{
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++)
        if (!godwit_disk_attach(vm, disks->name[i], error))
            return false;
    return true;
}

static bool detach_disks(struct godwit_vm *vm, const struct godwit_snapshot_disks *disks,
                         GError **error)
{
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && disks->name[i]; i++)
        if (!godwit_disk_detach(vm, disks->name[i], error))
            return false;
    return true;
}

/* Starts a source with ARGUMENTS (NULL: none) and disks. */
static struct godwit_vm *start_source(struct godwit_testbed *testbed,
                                      const struct godwit_snapshot_disks *disks,
                                      const char *const *arguments, GError **error)
{
    struct godwit_vm *source = godwit_course_source_with(testbed, arguments, error);
    return source && godwit_snapshot_prepare(source, error) && create_disks(source, disks, error)
               ? source
               : NULL;
}

/* Saves snapshot TAG and lets the guest run on, while the disks get other contents. */
static bool save(struct godwit_vm *source, const struct plan *plan, const char *tag,
                 unsigned char value, struct godwit_moment *moment, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    if (!godwit_moment_begin(source, tag, plan->running, value, &plan->disks, state->disk, moment,
                             error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    const guint first = source->qmp->events->len;
    if (!godwit_snapshot_must(source, plan->save, GODWIT_SNAPSHOT_SAVE, tag, &plan->disks, error) ||
        !godwit_moment_end(source, moment, first, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RUN_ON);
    for (unsigned i = 0; i < GODWIT_SNAPSHOT_DISKS && plan->disks.name[i]; i++)
        if (!godwit_disk_write(source, plan->disks.name[i], (unsigned char)(value + 100 + i),
                               &state->disk[i], error))
            return false;
    return plan->running ||
           (godwit_vm_run(source, error) && godwit_course_see_it_run(source, error));
}

/* Makes VM, whose guest is stopped, load the snapshot of MOMENT, and judges it. */
static bool load(struct godwit_vm *vm, const struct plan *plan, struct godwit_moment *moment,
                 GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_RESTART);
    g_autofree char *before = godwit_vm_status(vm, error);
    if (!before ||
        !godwit_snapshot_must(vm, plan->load, GODWIT_SNAPSHOT_LOAD, moment->tag, &plan->disks,
                              error) ||
        !godwit_course_expect_status(vm, before, "after the snapshot was loaded", error) ||
        !godwit_moment_judge(vm, moment, &plan->disks, error))
        return false;
    memcpy(state->disk, moment->disk, sizeof(state->disk));
    return true;
}

/* Passes on FAILURE, with which a destination has not loaded a snapshot, marked if a known bug
 * explains that. Returns false. */
static bool explain(struct godwit_vm *source, struct godwit_vm *destination, GError **failure,
                    GError **error)
{
    /* A QEMU that ends at its start has refused the snapshot of -loadvm. */
    if (destination->exited && (*failure)->code == GODWIT_ERROR_ENVIRONMENT)
        (*failure)->code =
            WIFEXITED(destination->wait_status) ? GODWIT_ERROR_MIGRATION : GODWIT_ERROR_CRASH;
    godwit_bug_explain_snapshot(source, destination, failure);
    g_propagate_error(error, g_steal_pointer(failure));
    return false;
}

/* Lets another QEMU, which was started before unless -loadvm loads the snapshot, take over. */
static bool load_elsewhere(struct godwit_vm *source, struct godwit_vm *other,
                           const struct plan *plan, struct godwit_moment *moment, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    g_autoptr(GError) cause = NULL;
    if (!godwit_course_stop(source, error) || !detach_disks(source, &plan->disks, error))
        return false;
    if (plan->place == STARTS) {
        godwit_testbed_phase(testbed, GODWIT_PHASE_RESTART);
        g_auto(GStrv) disk = godwit_disk_arguments(plan->disks.name[0]);
        const char *const arguments[] = {disk[0],   disk[1],     disk[2], disk[3],
                                         "-loadvm", moment->tag, NULL};
        other = godwit_vm_start(testbed, "destination", GODWIT_VM_RESTORED, arguments, error);
        if (!other)
            return false;
    }
    if (!godwit_vm_handshake(other, &cause))
        return explain(source, other, &cause, error);
    if (!godwit_snapshot_prepare(other, error))
        return false;
    if (plan->place == STARTS)
        return godwit_moment_judge(other, moment, &plan->disks, error) &&
               godwit_course_end(source, other, error);
    if (!attach_disks(other, &plan->disks, error))
        return false;
    return load(other, plan, moment, &cause) ? godwit_course_end(source, other, error)
                                             : explain(source, other, &cause, error);
}

/* Saves a snapshot and loads it. What was saved of a running guest is loaded twice, to be compared
 * with itself. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = testbed->state->moment;
    /* It starts beside the source. */
    struct godwit_vm *other =
        plan->place == OTHER
            ? godwit_vm_start(testbed, "destination", GODWIT_VM_RESTORED, NULL, error)
            : NULL;
    struct godwit_vm *source =
        plan->place != OTHER || other ? start_source(testbed, &plan->disks, NULL, error) : NULL;
    if (!source || !save(source, plan, "one", 1, moment, error))
        return false;
    if (plan->place == SAME || plan->running)
        if (!godwit_course_stop(source, error) || !load(source, plan, moment, error))
            return false;
    if (plan->place != SAME)
        return load_elsewhere(source, other, plan, moment, error);
    return (!plan->running || load(source, plan, moment, error)) &&
           godwit_course_end(source, NULL, error);
}

/* Returns how many snapshots node NAME has that have a machine's state, or not, and are called TAG
 * (NULL: any); -1 with ERROR set if QEMU does not answer. */
static int count_snapshots(struct godwit_vm *vm, const char *name, const char *tag, bool state,
                           GError **error)
{
    g_autoptr(json_t) nodes = godwit_vm_execute(vm, "query-named-block-nodes", NULL, error);
    size_t i, j;
    json_t *node, *snapshot;
    int count = 0;
    if (!nodes)
        return -1;
    json_array_foreach(nodes, i, node)
    {
        const json_t *image = json_object_get(node, "image");
        if (strcmp(godwit_json_string(node, "node-name", ""), name) != 0)
            continue;
        json_array_foreach(json_object_get(image, "snapshots"), j, snapshot) count +=
            (!tag || !strcmp(godwit_json_string(snapshot, "name", ""), tag)) &&
            state == (godwit_json_integer(snapshot, "vm-state-size", 0) > 0);
    }
    return count;
}

/* Fails with MIGRATION unless node NAME has that many such snapshots. */
static bool expect_snapshots(struct godwit_vm *vm, const char *name, const char *tag, bool state,
                             int wanted, GError **error)
{
    const int count = count_snapshots(vm, name, tag, state, error);
    return count >= 0 && (count == wanted ||
                          godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                      "the %s's disk %s has %d snapshots%s%s with%s a machine's "
                                      "state instead of %d",
                                      vm->name, name, count, tag ? " called " : "", tag ? tag : "",
                                      state ? "" : "out", wanted));
}

/* Saves a snapshot to which nobody gives a name, and loads it by the name that QEMU gave it. */
static bool run_unnamed(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = testbed->state->moment;
    struct godwit_vm *source = start_source(testbed, &plan->disks, NULL, error);
    if (!source || !save(source, plan, "", 1, moment, error) ||
        !expect_snapshots(source, plan->disks.name[0], NULL, true, 1, error))
        return false;
    g_autofree char *list = godwit_vm_monitor(source, "info snapshots", error);
    g_autoptr(GRegex) name = g_regex_new("\\bvm-[0-9]{14}\\b", 0, 0, NULL);
    g_autoptr(GMatchInfo) found = NULL;
    if (!list)
        return false;
    if (!g_regex_match(name, list, 0, &found))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "\"info snapshots\" has no snapshot that is named after the time: %s",
                           g_strdelimit(list, "\r\n", ' '));
    g_free(moment->tag);
    moment->tag = g_match_info_fetch(found, 0);
    return godwit_course_stop(source, error) && load(source, plan, moment, error) &&
           godwit_course_end(source, NULL, error);
}

/* Saves to two disks, the second of which gets the state, and loads elsewhere. */
static bool run_second(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = testbed->state->moment;
    struct godwit_vm *other =
        godwit_vm_start(testbed, "destination", GODWIT_VM_RESTORED, NULL, error);
    struct godwit_vm *source = other ? start_source(testbed, &plan->disks, NULL, error) : NULL;
    return source && save(source, plan, "one", 1, moment, error) &&
           expect_snapshots(source, plan->disks.name[0], "one", false, 1, error) &&
           expect_snapshots(source, plan->disks.name[1], "one", true, 1, error) &&
           load_elsewhere(source, other, plan, moment, error);
}

/* Saves three snapshots, saves another one in place of the first, deletes the second, and loads the
 * third and the first. */
static bool run_several(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    static const char *const tags[MOMENTS] = {"one", "two", "three"};
    const struct plan *plan = scenario->data;
    const char *disk = plan->disks.name[0];
    struct godwit_moment *moment = testbed->state->moment;
    struct godwit_vm *source = start_source(testbed, &plan->disks, NULL, error);
    if (!source)
        return false;
    for (unsigned i = 0; i < MOMENTS; i++)
        if (!save(source, plan, tags[i], (unsigned char)(1 + 2 * i), &moment[i], error))
            return false;
    /* A job keeps what is there, savevm replaces it. */
    if (plan->save == GODWIT_SNAPSHOT_JOB &&
        (!godwit_snapshot_refuse(source, plan->save, GODWIT_SNAPSHOT_SAVE, tags[0], &plan->disks,
                                 error) ||
         !godwit_snapshot_must(source, plan->save, GODWIT_SNAPSHOT_DELETE, tags[0], &plan->disks,
                               error)))
        return false;
    if (!save(source, plan, tags[0], 1 + 2 * MOMENTS, &moment[0], error) ||
        !godwit_snapshot_must(source, plan->save, GODWIT_SNAPSHOT_DELETE, tags[1], &plan->disks,
                              error) ||
        !expect_snapshots(source, disk, NULL, true, MOMENTS - 1, error) ||
        !expect_snapshots(source, disk, tags[1], true, 0, error) ||
        !godwit_course_stop(source, error))
        return false;
    return load(source, plan, &moment[2], error) && load(source, plan, &moment[0], error) &&
           godwit_snapshot_refuse(source, plan->load, GODWIT_SNAPSHOT_LOAD, tags[1], &plan->disks,
                                  error) &&
           load(source, plan, &moment[2], error) && godwit_course_end(source, NULL, error);
}

/* Compares state and registers of the destination, which loads by a snapshot, with the source's. */
static bool run_state(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    /* The host's own clock would differ between two looks. */
    static const char *const clock[] = {"-rtc", "base=2026-01-01,clock=vm", NULL};
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = testbed->state->moment;
    testbed->hand = true;
    struct godwit_vm *other =
        godwit_vm_start(testbed, "destination", GODWIT_VM_RESTORED, clock, error);
    struct godwit_vm *source = other ? start_source(testbed, &plan->disks, clock, error) : NULL;
    g_autoptr(GError) cause = NULL;
    if (!source || !godwit_hardware_assign(source, error) ||
        !godwit_moment_begin(source, "one", false, 1, &plan->disks, testbed->state->disk, moment,
                             error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    const guint first = source->qmp->events->len;
    if (!godwit_snapshot_must(source, plan->save, GODWIT_SNAPSHOT_SAVE, "one", &plan->disks,
                              error) ||
        !godwit_moment_end(source, moment, first, error) ||
        !detach_disks(source, &plan->disks, error) || !godwit_state_save(source, error) ||
        !godwit_course_settle(source, error) || !godwit_vm_handshake(other, error) ||
        !godwit_snapshot_prepare(other, error) || !attach_disks(other, &plan->disks, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RESTART);
    if (!godwit_snapshot_must(other, plan->load, GODWIT_SNAPSHOT_LOAD, "one", &plan->disks, &cause))
        return explain(source, other, &cause, error);
    if (!godwit_moment_judge_loaded(other, moment, &plan->disks, error) ||
        !detach_disks(other, &plan->disks, error))
        return false;
    g_autoptr(GPtrArray) lost = godwit_loaded_compare(source, other, clock, true, error);
    return lost && godwit_loaded_judge(testbed, lost, error);
}

/* Asks a running guest's QEMU for a snapshot that does not exist. */
static bool run_missing(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    static const enum godwit_snapshot_way ways[] = {GODWIT_SNAPSHOT_MONITOR, GODWIT_SNAPSHOT_JOB};
    const struct plan *plan = scenario->data;
    struct godwit_reading reading;
    struct godwit_vm *source = start_source(testbed, &plan->disks, NULL, error);
    if (!source)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        if (!godwit_snapshot_refuse(source, ways[i], GODWIT_SNAPSHOT_LOAD, "missing", &plan->disks,
                                    error))
            return false;
        /* QEMU stops the guest before it looks for the snapshot, and leaves it stopped. */
        g_autofree char *status = godwit_vm_status(source, error);
        if (!status)
            return false;
        godwit_testbed_measure_item(testbed, "status_after_refusal", json_string(status));
        if (strcmp(status, "running") != 0 && !godwit_vm_run(source, error))
            return false;
        if (!godwit_course_see_it_run(source, error))
            return false;
    }
    return godwit_course_stop(source, error) && godwit_oracle_look(source, &reading, error) &&
           godwit_course_end(source, NULL, error);
}

/* Asks a source for snapshots whose migration has completed, so that its disks are inactive. */
static bool run_inactive(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    static const enum godwit_snapshot_way ways[] = {GODWIT_SNAPSHOT_MONITOR, GODWIT_SNAPSHOT_JOB};
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = testbed->state->moment;
    struct godwit_vm *source = start_source(testbed, &plan->disks, NULL, error);
    if (!source || !save(source, plan, "one", 1, moment, error) ||
        !godwit_course_stop(source, error))
        return false;
    struct godwit_vm *before = godwit_memory_remember(source, "migrated guest", error);
    if (!before)
        return false;
    struct godwit_reading now;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    bool good = godwit_state_save(source, error) && godwit_course_settle(source, error);
    for (size_t i = 0; good && i < G_N_ELEMENTS(ways); i++)
        for (int action = GODWIT_SNAPSHOT_SAVE; good && action <= GODWIT_SNAPSHOT_DELETE; action++)
            good = godwit_snapshot_refuse(source, ways[i], (enum godwit_snapshot_action)action,
                                          "one", &plan->disks, error) &&
                   godwit_course_expect_status(source, "postmigrate", "after the refusal", error);
    good = good && godwit_oracle_twin(before, source, &now, error);
    godwit_vm_free(before);
    /* The disks are active again once the guest runs. */
    return good && godwit_vm_run(source, error) && godwit_course_see_it_run(source, error) &&
           save(source, plan, "two", 3, &moment[1], error) && godwit_course_stop(source, error) &&
           load(source, plan, &moment[0], error) && load(source, plan, &moment[1], error) &&
           godwit_course_end(source, NULL, error);
}

/* Turns CAPABILITIES off again. */
static bool turn_off(struct godwit_vm *vm, const struct godwit_capability *capabilities,
                     GError **error)
{
    for (; capabilities->name; capabilities++) {
        const struct godwit_capability off[] = {{capabilities->name, false}, {NULL, false}};
        if (!godwit_migrate_set_capabilities(vm, off, error))
            return false;
    }
    return true;
}

/* Saves with the spec's capabilities. If QEMU refuses, the guest must be as it was, and be saved
 * without them. */
static bool run_with(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    const struct plan *plan = scenario->data;
    const struct godwit_capability *capabilities = scenario->spec.capabilities;
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_moment *moment = state->moment;
    g_autofree char *refusal = NULL;
    g_autoptr(GError) cause = NULL;
    struct godwit_vm *source = start_source(testbed, &plan->disks, NULL, error);
    if (!source || !godwit_migrate_set_capabilities(source, capabilities, error) ||
        !godwit_moment_begin(source, "one", false, 1, &plan->disks, state->disk, moment, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    const guint first = source->qmp->events->len;
    if (!godwit_snapshot_do(source, plan->save, GODWIT_SNAPSHOT_SAVE, "one", &plan->disks, &refusal,
                            &cause)) {
        godwit_bug_explain_saver(source, &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (refusal) {
        godwit_testbed_measure_item(testbed, "refusals", json_string(refusal));
        struct godwit_reading now;
        if (!godwit_course_expect_status(source, "paused", "after the refusal", error) ||
            !godwit_oracle_twin(moment->ram, source, &now, error) ||
            !turn_off(source, capabilities, error) ||
            !godwit_snapshot_must(source, plan->save, GODWIT_SNAPSHOT_SAVE, "one", &plan->disks,
                                  error))
            return false;
    }
    if (!godwit_moment_end(source, moment, first, error) || !godwit_vm_run(source, error) ||
        !godwit_disk_write(source, plan->disks.name[0], 101, state->disk, error) ||
        !godwit_course_see_it_run(source, error) || !godwit_course_stop(source, error))
        return false;
    if (load(source, plan, moment, &cause) && godwit_course_end(source, NULL, &cause))
        return true;
    godwit_bug_explain_saver(source, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* The human monitor saves all disks that can be written to. */
static struct godwit_lack *lacks_rom(const struct godwit_setup *setup)
{
    return setup->image->load == GODWIT_LOAD_DISK
               ? godwit_lack_new(g_strdup("a guest that is not on a disk"),
                                 g_strdup("savevm and loadvm would include it"))
               : NULL;
}

#define MONITOR GODWIT_SNAPSHOT_MONITOR
#define BY_JOB  GODWIT_SNAPSHOT_JOB
#define JOBS    "command:snapshot-save command:snapshot-load command:snapshot-delete"

#define PLAN(...)                                                                                  \
    &(const struct plan)                                                                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* A row that saves and loads by the human monitor, or by jobs. */
#define SNAPSHOT .state = sizeof(struct godwit_scenario_state), .clear = clear, .cold = true

/* A row that saves with a capability on, and behind it those that it needs: they are turned off in
 * this order. */
#define WITH(NAME, ...)                                                                            \
    SNAPSHOT,                                                                                      \
        .name = "snapshot/with/" NAME,                                                             \
        .summary = "saved with " NAME " on, or refused by QEMU, which does no harm",               \
        .run = run_with, .needs = JOBS,                                                            \
        .spec = {.capabilities = (const struct godwit_capability[]){__VA_ARGS__, {NULL, false}}},  \
        .data = PLAN(BY_JOB, BY_JOB, SAME, false, ONE_DISK)

GODWIT_SCENARIOS(snapshot) = {
    {
        SNAPSHOT,
        .name = "snapshot/monitor/stopped",
        .summary = "savevm of a stopped guest, loadvm after it has run on",
        .run = run,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/monitor/running",
        .summary = "savevm of a running guest, which runs on; loadvm twice",
        .run = run,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, SAME, true, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/monitor/several",
        .summary = "three snapshots by savevm, one replaced and one deleted by delvm; each loaded",
        .run = run_several,
        .slow = true,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/monitor/unnamed",
        .summary = "savevm without a name, loadvm of the name that QEMU gave",
        .run = run_unnamed,
        .slow = true,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/monitor/elsewhere",
        .summary = "savevm of a stopped guest, loadvm in another QEMU",
        .run = run,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, OTHER, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/job/stopped",
        .summary = "snapshot-save of a stopped guest, snapshot-load after it has run on",
        .run = run,
        .needs = JOBS,
        .data = PLAN(BY_JOB, BY_JOB, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/job/running",
        .quick = true,
        .summary = "snapshot-save of a running guest, which runs on; snapshot-load twice",
        .run = run,
        .needs = JOBS,
        .data = PLAN(BY_JOB, BY_JOB, SAME, true, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/job/several",
        .summary = "three snapshots by jobs, one deleted and saved again, one deleted; each loaded",
        .run = run_several,
        .slow = true,
        .needs = JOBS,
        .data = PLAN(BY_JOB, BY_JOB, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/job/elsewhere",
        .summary = "snapshot-save of a running guest, loaded there and in another QEMU",
        .slow = true,
        .run = run,
        .needs = JOBS,
        .data = PLAN(BY_JOB, BY_JOB, OTHER, true, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/job/second-disk",
        .summary = "two disks, the second gets the state; loaded in another QEMU",
        .run = run_second,
        .needs = JOBS,
        .data = PLAN(BY_JOB, BY_JOB, OTHER, false, TWO_DISKS),
    },
    {
        SNAPSHOT,
        .name = "snapshot/start",
        .summary = "snapshot-save of a stopped guest; another QEMU starts with -loadvm",
        .run = run,
        .needs = JOBS,
        .lacks = lacks_rom,
        .data = PLAN(BY_JOB, BY_JOB, STARTS, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/start/running",
        .summary = "savevm of a running guest, loaded there; another QEMU starts with -loadvm",
        .slow = true,
        .run = run,
        .lacks = lacks_rom,
        .data = PLAN(MONITOR, MONITOR, STARTS, true, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/state",
        .summary = "loaded in another QEMU: state of the devices and registers are compared",
        .slow = true,
        .run = run_state,
        .needs = JOBS,
        .order = true,
        .data = PLAN(BY_JOB, BY_JOB, OTHER, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/missing",
        .summary = "a snapshot that does not exist: refused, and the guest can run on",
        .run = run_missing,
        .needs = JOBS,
        .lacks = lacks_rom,
        .data = PLAN(BY_JOB, BY_JOB, SAME, false, ONE_DISK),
    },
    {
        SNAPSHOT,
        .name = "snapshot/inactive",
        .summary = "after a migration, with inactive disks: refused; saved once they are active",
        .slow = true,
        .run = run_inactive,
        .needs = JOBS,
        .lacks = lacks_rom,
        .data = PLAN(BY_JOB, BY_JOB, SAME, false, ONE_DISK),
    },
    {WITH("multifd", {"multifd", true}), .slow = true},
    {WITH("mapped-ram", {"mapped-ram", true})},
    {WITH("auto-converge", {"auto-converge", true}), .slow = true},
    {WITH("background-snapshot", {"background-snapshot", true}), .slow = true,
     .lacks = godwit_scenario_lacks_userfaultfd},
    {WITH("block", {"block", true}), .slow = true},
    {WITH("compress", {"compress", true}), .slow = true},
    {WITH("dirty-bitmaps", {"dirty-bitmaps", true}), .slow = true},
    {WITH("late-block-activate", {"late-block-activate", true}), .slow = true},
    {WITH("pause-before-switchover", {"pause-before-switchover", true}), .slow = true},
    {WITH("postcopy-ram", {"postcopy-ram", true}), .slow = true,
     .lacks = godwit_scenario_lacks_userfaultfd},
    {WITH("release-ram", {"release-ram", true}), .slow = true},
    {WITH("return-path", {"return-path", true}), .slow = true},
    {WITH("validate-uuid", {"validate-uuid", true}), .slow = true},
    {WITH("postcopy-preempt", {"postcopy-preempt", true}, {"postcopy-ram", true}), .slow = true,
     .lacks = godwit_scenario_lacks_userfaultfd},
    {WITH("postcopy-blocktime", {"postcopy-blocktime", true}), .slow = true,
     .lacks = godwit_scenario_lacks_userfaultfd},
    {WITH("switchover-ack", {"switchover-ack", true}, {"return-path", true}), .slow = true},
    {WITH("x-colo", {"x-colo", true}, {"return-path", true}), .slow = true},
    {WITH("x-ignore-shared", {"x-ignore-shared", true}), .slow = true},
    {WITH("xbzrle", {"xbzrle", true}), .slow = true},
    {WITH("zero-blocks", {"zero-blocks", true}), .slow = true},
};
GODWIT_SCENARIOS_END(snapshot);
