/*
 * Disks that fail when they are handed over: the source's cannot be flushed, or the destination's
 * is locked by somebody else. No guest may run without its disk, and nothing may be lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "course/storage.h"
#include "scenario/scenario.h"

#include <string.h>

#define IMAGE "disk.img"
#define THERE "there.img"

struct godwit_scenario_state {
    struct godwit_storage storage;
    struct godwit_vm *holder; /* has the destination's image */
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
}

static bool write_some(struct godwit_vm *vm, GError **error)
{
    return godwit_storage_write(vm, &vm->testbed->state->storage, GODWIT_STORAGE_SOME, error);
}

static bool write_on_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return write_some(source, error);
}

/* Fails with MIGRATION unless the source gives the error of the disk as the reason, or a known bug
 * keeps it from giving any. */
static bool judge_reason(struct godwit_vm *source, GError **error)
{
    static const char wanted[] = "Input/output error";
    if (!godwit_migrate_note_failure(source, error))
        return false;
    const char *failure = godwit_migration_of(source->testbed)->failure;
    if (strstr(failure, wanted) ||
        (!*failure && godwit_bug_explain(&(const struct godwit_symptom){
                          .kind = GODWIT_SYMPTOM_UNFLUSHED, .source = source})))
        return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's migration failed with \"%s\", where the reason is \"%s\"",
                       failure, wanted);
}

/* A migration that fails because the source's disk cannot be flushed. Its guest runs on, and its
 * disk stays active. */
static bool fail_once(const struct godwit_spec *spec, struct godwit_vm *source,
                      struct godwit_vm *destination, GError **error)
{
    if (!godwit_course_go_live(spec, source, destination, error) || !write_some(source, error))
        return false;
    destination->may_exit = true; /* it exits when its source breaks off */
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_FAIL);
    return godwit_migrate_unthrottle(source, error) &&
           godwit_migrate_wait(source, "failed", error) &&
           godwit_course_refused(destination, error) && judge_reason(source, error) &&
           godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_storage_expect_active(source, true, "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) && write_some(source, error) &&
           godwit_storage_judge(source, &source->testbed->state->storage, IMAGE, error);
}

/* Starts a further destination of the source's image. */
static struct godwit_vm *start_further(struct godwit_testbed *testbed, const char *name,
                                       GError **error)
{
    g_auto(GStrv) arguments = godwit_storage_arguments(&testbed->state->storage, IMAGE);
    return godwit_vm_start(testbed, name, GODWIT_VM_DESTINATION_PAUSED,
                           (const char *const *)arguments, error);
}

/* Two migrations fail, then the disk works again, and the third one succeeds. */
static bool run_flush(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    struct godwit_storage *storage = &testbed->state->storage;
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_vm *source, *first;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!godwit_storage_create(testbed, storage, "raw", IMAGE, error))
        return false;
    g_auto(GStrv) here = godwit_storage_arguments_failing(storage, IMAGE);
    g_auto(GStrv) there = godwit_storage_arguments(storage, IMAGE);
    if (!godwit_course_try_both(testbed, "a machine with virtio-blk and blkdebug",
                                (const char *const *)here, (const char *const *)there,
                                GODWIT_VM_DESTINATION_PAUSED, &source, &first, error))
        return false;
    struct godwit_vm *second = start_further(testbed, "second", error);
    struct godwit_vm *last = second ? start_further(testbed, "last", error) : NULL;
    return last && godwit_vm_handshake(second, error) && godwit_vm_handshake(last, error) &&
           write_some(source, error) && godwit_storage_turn(source, error) &&
           fail_once(spec, source, first, error) && fail_once(spec, source, second, error) &&
           godwit_storage_turn(source, error) &&
           godwit_course_leg(testbed, spec, source, last, error) &&
           godwit_storage_end(source, last, storage, IMAGE, error);
}

/* Makes a QEMU without a machine export the destination's image for writing, and so lock it. */
static bool hold(struct godwit_testbed *testbed, GError **error)
{
    struct godwit_vm *holder = godwit_vm_start_bare(testbed, testbed->setup->destination, error);
    testbed->state->holder = holder;
    return holder && godwit_vm_handshake(holder, error) &&
           godwit_vm_command(holder, "blockdev-add",
                             json_pack("{s:s, s:s, s:s}", "driver", "file", "filename", THERE,
                                       "node-name", GODWIT_STORAGE_NODE),
                             error) &&
           godwit_vm_command(holder, "nbd-server-start",
                             json_pack("{s:{s:s, s:{s:s}}}", "addr", "type", "unix", "data", "path",
                                       "holder.nbd"),
                             error) &&
           godwit_vm_command(holder, "block-export-add",
                             json_pack("{s:s, s:s, s:s, s:b}", "type", "nbd", "id", "export",
                                       "node-name", GODWIT_STORAGE_NODE, "writable", 1),
                             error);
}

/* Fails unless the destination refuses to run its guest, or a known bug explains that it does. Sets
 * *RUNS in that case. */
static bool refuse(struct godwit_vm *destination, bool *runs, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_storage_refuse_cont(destination, "paused", &cause))
        return true;
    *runs = cause->code == GODWIT_ERROR_MIGRATION &&
            godwit_bug_explain(
                &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_LOCKED, .vm = destination});
    if (!*runs)
        g_propagate_error(error, g_steal_pointer(&cause));
    return *runs;
}

/* The guest must not run as long as somebody else has its disk, however often it is asked to. */
static bool judge_held(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    bool runs = false;
    if (!godwit_storage_expect_active(source, false, "after the migration", error) ||
        !refuse(destination, &runs, error))
        return false;
    return (runs ||
            (godwit_storage_expect_active(destination, false, "while its image is locked", error) &&
             godwit_storage_refuse_cont(destination, "paused", error))) &&
           godwit_vm_quit(source->testbed->state->holder, error);
}

static bool run_held(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    struct godwit_storage *storage = &testbed->state->storage;
    struct godwit_vm *source, *destination;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!godwit_storage_create(testbed, storage, "raw", IMAGE, error) ||
        !godwit_storage_create(testbed, storage, "raw", THERE, error) || !hold(testbed, error))
        return false;
    g_auto(GStrv) here = godwit_storage_arguments(storage, IMAGE);
    g_auto(GStrv) there = godwit_storage_arguments(storage, THERE);
    if (!godwit_course_try_both(testbed, "a machine with virtio-blk", (const char *const *)here,
                                (const char *const *)there, GODWIT_VM_DESTINATION_PAUSED, &source,
                                &destination, error) ||
        !godwit_course_leg(testbed, &scenario->spec, source, destination, error))
        return false;
    if (testbed->lost)
        return godwit_course_end(source, destination, error);
    return godwit_storage_expect_active(destination, true, "after its guest has run", error) &&
           write_some(destination, error) &&
           godwit_storage_judge(destination, storage, THERE, error) &&
           godwit_course_end(source, destination, error);
}

static const struct godwit_capability late_on[] = {{"late-block-activate", true}, {NULL, false}};

#define FAILING .state = sizeof(struct godwit_scenario_state), .clear = clear, .random = true

GODWIT_SCENARIOS(failing) = {
    {
        FAILING,
        .name = "disk/failing/flush",
        .summary = "two migrations fail, because the disk cannot be flushed; the third one arrives",
        .run = run_flush,
        .slow = true,
        .needs = "command:query-named-block-nodes",
        .spec = {.live = write_on_source},
    },
    {
        FAILING,
        .name = "disk/failing/activate",
        .summary =
            "another QEMU has the destination's image: the guest does not run until it quits",
        .slow = true,
        .run = run_held,
        .needs = "command:block-export-add command:nbd-server-start",
        .spec = {.judge = judge_held},
    },
    {
        FAILING,
        .name = "disk/failing/activate/late-block-activate",
        .summary = "the same with this capability",
        .run = run_held,
        .slow = true,
        .needs = "command:block-export-add command:nbd-server-start",
        .spec = {.capabilities = late_on, .judge = judge_held},
    },
};
GODWIT_SCENARIOS_END(failing);
