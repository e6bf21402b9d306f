/*
 * A disk that is not shared: each side has an image of its own, and the source mirrors its disk to
 * the destination's before and while the guest is migrated. In pre-switchover, when the guest is
 * stopped, the mirror is completed: from then on the destination's image alone goes on.
 *
 * The target is full of a byte that nobody writes, so that whatever is not copied is seen, zeroes
 * included.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/mirror.h"
#include "base/file.h"
#include "course/storage.h"
#include "scenario/scenario.h"

#include <string.h>

#define IMAGE "disk.img"

/* A value that godwit_storage_write() never writes. */
#define NEVER 0xff

struct godwit_scenario_state {
    struct godwit_storage storage;
    struct godwit_storage handed; /* the storage as it was when the mirror was completed */
    struct godwit_mirror mirror;
    struct godwit_vm *daemon; /* NULL: none */
    const struct plan *plan;
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
}

/* A row's course. */
struct plan {
    const char *driver;
    const char *copy_mode;
    bool tls;
    bool daemon; /* the destination's image is exported by a qemu-storage-daemon */
    bool paused; /* the migration is cancelled in pre-switchover, otherwise while it is live */
    bool broken; /* the first destination ends, and the mirror with it, instead of being broken off
                    before that */
};

/* Returns the name of VM's image, which the caller frees. */
static char *image_of(const struct godwit_vm *vm)
{
    return vm->source ? g_strdup(IMAGE) : g_strconcat(vm->name, ".img", NULL);
}

/* Makes the image of the destination NAME. */
static bool make_target(struct godwit_testbed *testbed, const char *name, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    g_autofree char *file = g_strconcat(name, ".img", NULL);
    g_autofree char *path = g_build_filename(testbed->directory, file, NULL);
    if (strcmp(state->plan->driver, "raw") != 0)
        return godwit_storage_create(testbed, &state->storage, state->plan->driver, file, error);
    memset(state->storage.model, NEVER, sizeof(state->storage.model));
    return godwit_file_write(path, state->storage.model, sizeof(state->storage.model), error);
}

/* Fails unless VM's image is as STORAGE has it. */
static bool judge_image(struct godwit_vm *vm, const struct godwit_storage *storage, GError **error)
{
    g_autofree char *file = image_of(vm);
    return godwit_storage_judge(vm, storage, file, error);
}

static bool write_some(struct godwit_vm *vm, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    return godwit_storage_write(vm, &state->storage, GODWIT_STORAGE_SOME, error);
}

/* Writes on a source whose mirror is ready. If each write is mirrored before it is complete, the
 * target must have it at once. */
static bool write_mirrored(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *state = source->testbed->state;
    return write_some(source, error) && godwit_mirror_expect_ready(&state->mirror, error) &&
           (strcmp(state->plan->copy_mode, "write-blocking") != 0 ||
            judge_image(destination, &state->storage, error));
}

/* A spec's steps. The mirror is ready, and the source has written while it was not, before the
 * migration begins. */
static bool mirror(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    state->mirror = (struct godwit_mirror){
        .source = source,
        .exporter = state->daemon ? state->daemon : destination,
        .tls = state->plan->tls,
        .copy_mode = state->plan->copy_mode,
    };
    return write_some(source, error) && godwit_mirror_connect(&state->mirror, error) &&
           godwit_mirror_begin(&state->mirror, error) && write_some(source, error) &&
           godwit_mirror_expect_bulk(&state->mirror, error) &&
           godwit_mirror_await_ready(&state->mirror, error) &&
           write_mirrored(source, destination, error);
}

/* The source's guest is stopped. The last writes are made, and the disk is handed over. */
static bool hand_over(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    if (!godwit_migrate_wait(source, "pre-switchover", error) ||
        !write_mirrored(source, destination, error) ||
        !godwit_mirror_complete(&state->mirror, error) ||
        (state->daemon && !godwit_vm_quit(state->daemon, error)))
        return false;
    state->handed = state->storage;
    state->handed.random = NULL; /* the storage owns it */
    return godwit_migrate_continue(source, error);
}

/* Likewise for a postcopy: the destination has the disk, since its guest runs. */
static bool hand_over_early(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return hand_over(source, destination, error) &&
           godwit_vm_wait_event(destination, 0, "RESUME", NULL, error) &&
           write_some(destination, error) && godwit_course_unthrottle_postcopy(source, error);
}

/* Likewise by a QEMU without a machine: VM's disk is inactive, so that VM does not read it. */
static bool judge_apart(struct godwit_vm *vm, const struct godwit_storage *storage, GError **error)
{
    g_autofree char *file = image_of(vm);
    struct godwit_vm *reader = godwit_vm_start_bare(vm->testbed, vm->qemu, error);
    return reader && godwit_vm_handshake(reader, error) &&
           godwit_vm_command(reader, "blockdev-add",
                             json_pack("{s:s, s:s, s:b, s:b, s:{s:s, s:s}}", "driver",
                                       storage->driver, "node-name", GODWIT_STORAGE_NODE,
                                       "read-only", 1, "force-share", 1, "file", "driver", "file",
                                       "filename", file),
                             error) &&
           godwit_storage_judge(reader, storage, file, error) && godwit_vm_quit(reader, error);
}

/* Before a destination has run, its disk is active only if it has exported it. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *state = source->testbed->state;
    return godwit_storage_expect_active(source, false, "after the migration", error) &&
           (state->daemon ? judge_apart : judge_image)(destination, &state->storage, error);
}

/* The guest has run on the destination: that writes on, and the source's image stays as it is. */
static bool end(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (source->testbed->lost)
        return godwit_course_end(source, destination, error);
    return godwit_storage_expect_active(destination, true, "after its guest has run", error) &&
           write_some(destination, error) &&
           judge_image(destination, &source->testbed->state->storage, error) &&
           judge_apart(source, &source->testbed->state->handed, error) &&
           godwit_course_end(source, destination, error);
}

/* Starts a destination NAME with the image that make_target() has made for it. */
static struct godwit_vm *start_target(struct godwit_testbed *testbed, const char *name,
                                      GError **error)
{
    g_autofree char *file = g_strconcat(name, ".img", NULL);
    g_auto(GStrv) arguments = godwit_storage_arguments(&testbed->state->storage, file);
    return godwit_vm_start(testbed, name, GODWIT_VM_DESTINATION_PAUSED,
                           (const char *const *)arguments, error);
}

/* Makes the images, and starts source and destination. */
static bool start(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                  struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    const bool postcopy = scenario->spec.move == GODWIT_MOVE_POSTCOPY;
    state->plan = scenario->data;
    testbed->oob = postcopy;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!make_target(testbed, "destination", error) || !make_target(testbed, "last", error) ||
        !godwit_storage_create(testbed, &state->storage, state->plan->driver, IMAGE, error))
        return false;
    if (state->plan->daemon) {
        state->daemon =
            godwit_mirror_daemon(testbed, state->plan->driver, "destination.img", false, error);
        if (!state->daemon)
            return false;
    }
    g_auto(GStrv) here = godwit_storage_arguments(&state->storage, IMAGE);
    g_auto(GStrv) there = godwit_storage_arguments(&state->storage, "destination.img");
    return godwit_course_try_both(testbed, "a machine with virtio-blk", (const char *const *)here,
                                  (const char *const *)there,
                                  postcopy ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED,
                                  source, destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_vm *source, *destination;
    return start(testbed, scenario, &source, &destination, error) &&
           godwit_course_leg(testbed, &scenario->spec, source, destination, error) &&
           end(source, destination, error);
}

/* Breaks off the migration, and the mirror before it or because of it. */
static bool break_off(struct godwit_vm *source, struct godwit_vm *first, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    first->may_exit = true; /* a destination exits when its source breaks off */
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_CANCEL);
    if (state->plan->broken)
        return godwit_vm_quit(first, error) && godwit_migrate_wait(source, "failed", error) &&
               write_some(source, error) && godwit_mirror_await_failure(&state->mirror, error);
    return godwit_mirror_abandon(&state->mirror, error) &&
           godwit_vm_command(source, "migrate_cancel", NULL, error) &&
           godwit_migrate_wait(source, "cancelled", error) && godwit_course_refused(first, error);
}

/* A migration that comes to nothing after the mirror was ready: the source goes on, with every byte
 * of its disk. Then guest and disk go to another destination, by another mirror. */
static bool run_failing(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const struct godwit_scenario_state *state = testbed->state;
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_vm *source, *first;
    if (!start(testbed, scenario, &source, &first, error))
        return false;
    struct godwit_vm *last = start_target(testbed, "last", error);
    if (!last || !godwit_vm_handshake(last, error) || !mirror(source, first, error) ||
        !godwit_course_go_live(spec, source, first, error) || !write_mirrored(source, first, error))
        return false;
    if (state->plan->paused && (!godwit_migrate_unthrottle(source, error) ||
                                !godwit_migrate_wait(source, "pre-switchover", error) ||
                                !write_mirrored(source, first, error)))
        return false;
    return break_off(source, first, error) &&
           godwit_storage_expect_active(source, true, "after the failed migration", error) &&
           write_some(source, error) && godwit_course_see_it_run(source, error) &&
           judge_image(source, &state->storage, error) &&
           godwit_course_leg(testbed, spec, source, last, error) && end(source, last, error);
}

static const struct godwit_capability pause_on[] = {{"pause-before-switchover", true},
                                                    {NULL, false}};

static const struct godwit_tls certified = {.kind = GODWIT_TLS_X509};

#define MIRROR(...)                                                                                \
    .state = sizeof(struct godwit_scenario_state), .clear = clear, .random = true,                 \
    .needs = "command:blockdev-create command:query-named-block-nodes " GODWIT_MIRROR_NEEDS,       \
    .data = &(const struct plan)                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define BACKGROUND .copy_mode = "background"
#define BLOCKING   .copy_mode = "write-blocking"

#define SPEC .capabilities = pause_on, .configure = mirror, .live = write_mirrored
#define UNIX SPEC, .transport = GODWIT_TRANSPORT_UNIX, .released = hand_over, .judge = judge

GODWIT_SCENARIOS(mirror) = {
    {
        MIRROR(.driver = "raw", BACKGROUND),
        .name = "mirror/precopy",
        .summary = "live, with a raw disk that is mirrored to the destination's own by NBD",
        .run = run,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "qcow2", BACKGROUND),
        .name = "mirror/qcow2",
        .summary = "live, with a qcow2 disk that is mirrored to the destination's own by NBD",
        .slow = true,
        .run = run,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BLOCKING),
        .name = "mirror/write-blocking",
        .summary = "live, copy mode write-blocking: the destination's disk has each write at once",
        .slow = true,
        .run = run,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BACKGROUND, .tls = true),
        .name = "mirror/tls",
        .summary = "live, disk and migration encrypted with the same certificates",
        .slow = true,
        .run = run,
        .spec = {SPEC, .transport = GODWIT_TRANSPORT_TCP, .released = hand_over, .judge = judge,
                 .tls = &certified},
    },
    {
        MIRROR(.driver = "qcow2", BACKGROUND, .daemon = true),
        .name = "mirror/daemon",
        .summary = "live, the destination's image is exported by qemu-storage-daemon until then",
        .slow = true,
        .run = run,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BACKGROUND),
        .name = "mirror/postcopy",
        .summary = "postcopy: the mirror is completed before the destination's guest runs",
        .slow = true,
        .run = run,
        .spec = {SPEC, .move = GODWIT_MOVE_POSTCOPY, .parameters = godwit_postcopy_throttled,
                 .released = hand_over_early, .judge = judge},
    },
    {
        MIRROR(.driver = "raw", BACKGROUND),
        .name = "mirror/cancelled/live",
        .summary = "cancelled when it is live: the source goes on, and is mirrored anew",
        .slow = true,
        .run = run_failing,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BACKGROUND, .paused = true),
        .name = "mirror/cancelled/pre-switchover",
        .summary = "cancelled in pre-switchover: the source goes on, and is mirrored anew",
        .slow = true,
        .run = run_failing,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BACKGROUND, .broken = true),
        .name = "mirror/broken",
        .summary = "the destination quits: the mirror fails, the source's disk does not",
        .slow = true,
        .run = run_failing,
        .spec = {UNIX},
    },
    {
        MIRROR(.driver = "raw", BLOCKING, .broken = true),
        .name = "mirror/broken/write-blocking",
        .summary = "the same in write-blocking: the write that finds it out succeeds on the source",
        .slow = true,
        .run = run_failing,
        .spec = {UNIX},
    },
};
GODWIT_SCENARIOS_END(mirror);
