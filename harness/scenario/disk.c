/*
 * A disk that goes with the guest, on storage that both sides share: what is written to it before,
 * during and after a migration, and which side may write.
 *
 * The guest has no driver for the disk. QEMU's qemu-io writes through the device's backend instead,
 * so that the harness knows each byte that must be there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/storage.h"
#include "oracle/oracle.h"
#include "scenario/scenario.h"

#include <string.h>

#define IMAGE "disk.img"

struct godwit_scenario_state {
    struct godwit_storage storage;
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
}

/* A row's course. */
struct plan {
    const char *driver;
};

static bool write_some(struct godwit_vm *vm, GError **error)
{
    return godwit_storage_write(vm, &vm->testbed->state->storage, GODWIT_STORAGE_SOME, error);
}

/* A spec's steps: the source still has the disk. */
static bool write_on_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return write_some(source, error);
}

/* The destination has the disk, since its guest runs. Most of its pages are still missing. */
static bool write_on_destination(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **error)
{
    return godwit_vm_wait_event(destination, 0, "RESUME", NULL, error) &&
           write_some(destination, error) && godwit_course_unthrottle_postcopy(source, error);
}

/* The source's guest is stopped, and the source still has the disk. */
static bool write_in_pause(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_migrate_wait(source, "pre-switchover", error) && write_some(source, error) &&
           godwit_migrate_continue(source, error);
}

/* Whoever has the disk, the source has it no more. */
static bool judge_handed_over(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    (void)destination;
    return godwit_storage_expect_active(source, false, "after the migration", error);
}

/* Likewise, and the destination does not have it before its guest runs. */
static bool judge_late(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return judge_handed_over(source, destination, error) &&
           godwit_storage_expect_active(destination, false, "before its guest has run", error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_storage *storage = &testbed->state->storage;
    struct godwit_vm *source, *destination;
    const bool postcopy = scenario->spec.move == GODWIT_MOVE_POSTCOPY;
    testbed->oob = postcopy;
    return godwit_storage_start(testbed, storage, plan->driver, IMAGE,
                                postcopy ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED,
                                &source, &destination, error) &&
           godwit_course_leg(testbed, &scenario->spec, source, destination, error) &&
           godwit_storage_end(source, destination, storage, IMAGE, error);
}

/* Lets the throttled migration of both begin, and writes while it is active. */
static bool begin(struct godwit_vm *source, struct godwit_vm *destination,
                  const struct godwit_spec *spec, GError **error)
{
    return write_some(source, error) && godwit_course_go_live(spec, source, destination, error) &&
           write_some(source, error);
}

/* Cancels a migration: the source goes on writing. Then the guest and its disk go to another
 * destination. */
static bool run_cancelled(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_storage *storage = &testbed->state->storage;
    struct godwit_vm *source, *first;
    if (!godwit_storage_start(testbed, storage, plan->driver, IMAGE, GODWIT_VM_DESTINATION_PAUSED,
                              &source, &first, error))
        return false;
    g_auto(GStrv) arguments = godwit_storage_arguments(storage, IMAGE);
    struct godwit_vm *last = godwit_vm_start(testbed, "last", GODWIT_VM_DESTINATION_PAUSED,
                                             (const char *const *)arguments, error);
    if (!last || !godwit_vm_handshake(last, error) || !begin(source, first, &scenario->spec, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    first->may_exit = true; /* a destination exits when its source breaks off */
    if (!godwit_vm_command(source, "migrate_cancel", NULL, error) ||
        !godwit_migrate_wait(source, "cancelled", error) || !godwit_course_refused(first, error) ||
        !godwit_storage_expect_active(source, true, "after the cancelled migration", error) ||
        !write_some(source, error) || !godwit_course_see_it_run(source, error) ||
        !godwit_storage_judge(source, storage, IMAGE, error))
        return false;
    return godwit_course_leg(testbed, &scenario->spec, source, last, error) &&
           godwit_storage_end(source, last, storage, IMAGE, error);
}

/* The source takes its guest and its disk back after the migration, which it may as long as the
 * destination has not taken the disk. Then the destination must not get it. */
static bool run_back(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_storage *storage = &testbed->state->storage;
    struct godwit_vm *source, *destination;
    struct godwit_reading reading;
    if (!godwit_storage_start(testbed, storage, plan->driver, IMAGE, GODWIT_VM_DESTINATION_PAUSED,
                              &source, &destination, error) ||
        !begin(source, destination, &scenario->spec, error) ||
        !godwit_migrate_unthrottle(source, error) ||
        !godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error) || !judge_late(source, destination, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RUN_ON);
    return godwit_vm_run(source, error) && godwit_course_see_it_run(source, error) &&
           godwit_storage_expect_active(source, true, "after it has got its guest back", error) &&
           write_some(source, error) && godwit_storage_refuse_cont(destination, "paused", error) &&
           write_some(source, error) && godwit_course_see_it_run(source, error) &&
           godwit_course_stop(source, error) && godwit_oracle_look(source, &reading, error) &&
           godwit_storage_judge(source, storage, IMAGE, error) &&
           godwit_course_end(source, destination, error);
}

static const struct godwit_capability late_on[] = {{"late-block-activate", true}, {NULL, false}};
static const struct godwit_capability pause_on[] = {{"pause-before-switchover", true},
                                                    {NULL, false}};

#define DISK(DRIVER)                                                                               \
    .state = sizeof(struct godwit_scenario_state), .clear = clear, .random = true,                 \
    .needs = "command:blockdev-create command:query-named-block-nodes",                            \
    .data = &(const struct plan)                                                                   \
    {                                                                                              \
        DRIVER                                                                                     \
    }

#define LIVE                                                                                       \
    .transport = GODWIT_TRANSPORT_UNIX, .configure = write_on_source, .live = write_on_source

GODWIT_SCENARIOS(disk) = {
    {
        DISK("raw"),
        .name = "disk/raw/plain",
        .summary = "live, with a raw disk on shared storage, written before, during and after it",
        .slow = true,
        .run = run,
        .spec = {LIVE, .judge = judge_handed_over},
    },
    {
        DISK("qcow2"),
        .name = "disk/qcow2/plain",
        .summary = "live, with a qcow2 disk on shared storage, written before, during and after it",
        .run = run,
        .spec = {LIVE, .judge = judge_handed_over},
    },
    {
        DISK("raw"),
        .name = "disk/raw/postcopy",
        .summary = "postcopy, with a raw disk, written on the destination while pages are missing",
        .slow = true,
        .run = run,
        .spec = {LIVE, .move = GODWIT_MOVE_POSTCOPY, .parameters = godwit_postcopy_throttled,
                 .released = write_on_destination, .judge = judge_handed_over},
    },
    {
        DISK("qcow2"),
        .name = "disk/qcow2/postcopy",
        .summary =
            "postcopy, with a qcow2 disk, written on the destination while pages are missing",
        .slow = true,
        .run = run,
        .spec = {LIVE, .move = GODWIT_MOVE_POSTCOPY, .parameters = godwit_postcopy_throttled,
                 .released = write_on_destination, .judge = judge_handed_over},
    },
    {
        DISK("qcow2"),
        .name = "disk/late-block-activate",
        .summary = "the destination takes the disk when its guest runs, not before",
        .run = run,
        .spec = {LIVE, .capabilities = late_on, .judge = judge_late},
    },
    {
        DISK("qcow2"),
        .name = "disk/late-block-activate/back",
        .summary = "the source takes the disk back after the migration: the destination does not",
        .slow = true,
        .run = run_back,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .capabilities = late_on},
    },
    {
        DISK("raw"),
        .name = "disk/pause-before-switchover",
        .summary = "the disk is written in pre-switchover, when the guest is already stopped",
        .slow = true,
        .run = run,
        .spec = {LIVE, .capabilities = pause_on, .released = write_in_pause,
                 .judge = judge_handed_over},
    },
    {
        DISK("qcow2"),
        .name = "disk/cancelled",
        .summary =
            "cancelled: the source goes on writing, and is migrated with its disk afterwards",
        .slow = true,
        .run = run_cancelled,
        .spec = {LIVE, .judge = judge_handed_over},
    },
};
GODWIT_SCENARIOS_END(disk);
