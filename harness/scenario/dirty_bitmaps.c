/*
 * Dirty bitmaps, which record what was written to a disk since the last backup, go with the guest
 * (capability dirty-bitmaps). A bitmap that loses a bit makes the next backup lose data.
 *
 * The harness knows each write, and so each bit. QEMU reports the SHA-256 of a bitmap: that of its
 * bits in words of the host, the first one being the lowest of the first word.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/storage.h"
#include "scenario/scenario.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define IMAGE "disk.img"

enum {
    FINE,   /* records everything */
    COARSE, /* likewise */
    OFF,    /* records what is written before it is disabled */
    BITMAPS,
};

struct bitmap {
    const char *name; /* on the source */
    uint32_t granularity;
    bool recording;
    bool sector[GODWIT_STORAGE_SECTORS]; /* written, as far as it records */
};

struct godwit_scenario_state {
    struct godwit_storage storage;
    struct bitmap bitmap[BITMAPS];
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
}

/* A row's course. */
struct plan {
    const char *driver;
    bool mapped;  /* the bitmaps get other names on the destination ... */
    bool kept;    /* ... and become persistent there */
    bool without; /* the capability is off */
    bool breaks;  /* the first migration breaks off, instead of being cancelled */
};

/* Adds what was written to the models of the bitmaps that record. */
static void note_written(struct godwit_scenario_state *state)
{
    for (unsigned i = 0; i < BITMAPS; i++)
        for (unsigned j = 0; j < GODWIT_STORAGE_SECTORS; j++)
            state->bitmap[i].sector[j] |= state->bitmap[i].recording && state->storage.written[j];
}

/* Writes, and adds that to the models of the bitmaps. */
static bool write_some(struct godwit_vm *vm, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    memset(state->storage.written, 0, sizeof(state->storage.written));
    if (!godwit_storage_write(vm, &state->storage, GODWIT_STORAGE_SOME, error))
        return false;
    note_written(state);
    return true;
}

/* Sends COMMAND about a bitmap. */
static bool command(struct godwit_vm *vm, const char *what, const char *name, GError **error)
{
    return godwit_vm_command(
        vm, what, json_pack("{s:s, s:s}", "node", GODWIT_STORAGE_NODE, "name", name), error);
}

/* Makes the bitmaps on the source, and writes before and after one of them is disabled. */
static bool make_bitmaps(struct godwit_vm *source, GError **error)
{
    static const struct {
        const char *name;
        uint32_t granularity;
    } made[BITMAPS] = {{"fine", 4096}, {"coarse", 65536}, {"off", 512}};
    struct bitmap *bitmap = source->testbed->state->bitmap;
    for (unsigned i = 0; i < BITMAPS; i++) {
        bitmap[i].name = made[i].name;
        bitmap[i].granularity = made[i].granularity;
        bitmap[i].recording = true;
        if (!godwit_vm_command(source, "block-dirty-bitmap-add",
                               json_pack("{s:s, s:s, s:I, s:b}", "node", GODWIT_STORAGE_NODE,
                                         "name", made[i].name, "granularity",
                                         (json_int_t)made[i].granularity, "persistent", 0),
                               error))
            return false;
    }
    if (!write_some(source, error) ||
        !command(source, "block-dirty-bitmap-disable", made[OFF].name, error))
        return false;
    bitmap[OFF].recording = false;
    return write_some(source, error);
}

/* Returns the destination's name of the bitmap, which the caller frees. */
static char *name_there(const struct plan *plan, const char *name)
{
    return plan->mapped ? g_strconcat(name, "-there", NULL) : g_strdup(name);
}

/* Maps the bitmaps of VM to aliases, which both sides share. */
static bool map(struct godwit_vm *vm, const struct plan *plan, bool source, GError **error)
{
    json_t *bitmaps = json_array();
    for (unsigned i = 0; i < BITMAPS; i++) {
        const char *own = vm->testbed->state->bitmap[i].name;
        g_autofree char *there = name_there(plan, own);
        g_autofree char *alias = g_strdup_printf("alias-%u", i);
        json_t *entry = json_pack("{s:s, s:s}", "name", source ? own : there, "alias", alias);
        if (plan->kept && source)
            json_object_set_new(entry, "transform", json_pack("{s:b}", "persistent", 1));
        json_array_append_new(bitmaps, entry);
    }
    return godwit_vm_command(vm, "migrate-set-parameters",
                             json_pack("{s:[{s:s, s:s, s:o}]}", "block-bitmap-mapping", "node-name",
                                       GODWIT_STORAGE_NODE, "alias", "node-alias", "bitmaps",
                                       bitmaps),
                             error);
}

/* Returns the SHA-256 of the bitmap as the harness knows it, which the caller frees, and sets
 * *COUNT to the bytes that it has as dirty. */
static char *sum_of(const struct bitmap *bitmap, uint64_t *count)
{
    const size_t bits = GODWIT_STORAGE_SIZE / bitmap->granularity;
    const size_t per_word = sizeof(unsigned long) * CHAR_BIT;
    const size_t words = (bits + per_word - 1) / per_word;
    g_autofree unsigned long *word = g_new0(unsigned long, words);
    *count = 0;
    for (size_t i = 0; i < GODWIT_STORAGE_SECTORS; i++) {
        const size_t bit = i * GODWIT_STORAGE_SECTOR / bitmap->granularity;
        if (bitmap->sector[i])
            word[bit / per_word] |= 1ul << bit % per_word;
    }
    for (size_t i = 0; i < bits; i++)
        if (word[i / per_word] >> i % per_word & 1)
            *count += bitmap->granularity;
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)word,
                                       words * sizeof(*word));
}

/* Returns the list of the disk's bitmaps, which is empty if it has none. The caller frees it. */
static json_t *list_bitmaps(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) node = godwit_storage_query(vm, error);
    json_t *list = json_object_get(node, "dirty-bitmaps");
    return list ? json_incref(list) : node ? json_array() : NULL;
}

/* Fails with ORACLE unless INFO, which QEMU reports of the bitmap, and the bits are as they must
 * be. */
static bool judge_one(struct godwit_vm *vm, const json_t *info, const char *name,
                      const struct bitmap *bitmap, bool persistent, GError **error)
{
    uint64_t count;
    g_autofree char *wanted = sum_of(bitmap, &count);
    g_autoptr(json_t) answer = godwit_vm_execute(
        vm, "x-debug-block-dirty-bitmap-sha256",
        json_pack("{s:s, s:s}", "node", GODWIT_STORAGE_NODE, "name", name), error);
    const char *sum = godwit_json_string(answer, "sha256", "");
    g_autofree char *text = json_dumps(info, JSON_SORT_KEYS);
    if (!answer)
        return false;
    if (godwit_json_integer(info, "granularity", 0) != (json_int_t)bitmap->granularity ||
        godwit_json_true(info, "recording") != bitmap->recording ||
        godwit_json_true(info, "persistent") != persistent || godwit_json_true(info, "busy") ||
        godwit_json_true(info, "inconsistent"))
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: bitmap %s is %s, where granularity %" PRIu32
                           ", recording %s and persistent %s are right",
                           vm->name, name, text, bitmap->granularity,
                           bitmap->recording ? "on" : "off", persistent ? "on" : "off");
    if (godwit_json_integer(info, "count", -1) != (json_int_t)count || strcmp(sum, wanted) != 0)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: bitmap %s has other bits than were written: %" JSON_INTEGER_FORMAT
                           " bytes are dirty instead of %" PRIu64 ", the SHA-256 is %s instead of "
                           "%s",
                           vm->name, name, godwit_json_integer(info, "count", -1), count, sum,
                           wanted);
    return true;
}

/* Judges all bitmaps of VM, which has them under the destination's names if it is THERE. */
static bool judge_bitmaps(struct godwit_vm *vm, const struct plan *plan, bool there, GError **error)
{
    const struct bitmap *bitmap = vm->testbed->state->bitmap;
    const size_t wanted = there && plan->without ? 0 : BITMAPS;
    g_autoptr(json_t) list = list_bitmaps(vm, error);
    if (!list)
        return false;
    if (json_array_size(list) != wanted)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: the disk has %zu bitmaps instead of %zu", vm->name,
                           json_array_size(list), wanted);
    for (unsigned i = 0; i < wanted; i++) {
        g_autofree char *name = there ? name_there(plan, bitmap[i].name) : g_strdup(bitmap[i].name);
        const json_t *info = NULL;
        size_t j;
        json_t *one;
        json_array_foreach(list, j, one)
        {
            if (!strcmp(godwit_json_string(one, "name", ""), name))
                info = one;
        }
        if (!info)
            return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: there is no bitmap %s", vm->name,
                               name);
        if (!judge_one(vm, info, name, &bitmap[i], there && plan->kept, error))
            return false;
    }
    godwit_testbed_measure(vm->testbed, "bitmaps", json_integer((json_int_t)wanted));
    return true;
}

/* A spec's steps. */
static bool write_on_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return write_some(source, error);
}

/* The guest runs on the destination, while most of its pages are missing. The bitmaps may not have
 * arrived either, and must record nevertheless. */
static bool write_on_destination(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **error)
{
    return godwit_vm_wait_event(destination, 0, "RESUME", NULL, error) &&
           write_some(destination, error) && godwit_course_unthrottle_postcopy(source, error);
}

/* Judges the bitmaps that the destination has left in the image at its end. */
static bool judge_kept(struct godwit_testbed *testbed, const struct plan *plan, GError **error)
{
    struct godwit_vm *reader = godwit_vm_start_bare(testbed, testbed->setup->destination, error);
    return reader && godwit_vm_handshake(reader, error) &&
           godwit_vm_command(reader, "blockdev-add",
                             json_pack("{s:s, s:s, s:{s:s, s:s}}", "driver", plan->driver,
                                       "node-name", GODWIT_STORAGE_NODE, "file", "driver", "file",
                                       "filename", IMAGE),
                             error) &&
           judge_bitmaps(reader, plan, true, error) && godwit_vm_quit(reader, error);
}

/* Migrates a source that has its bitmaps, judges them on the destination, lets them record on, and
 * judges them again. */
static bool migrate(struct godwit_vm *source, struct godwit_vm *destination,
                    const struct plan *plan, const struct godwit_spec *spec, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    if (plan->mapped && (!map(source, plan, true, error) || !map(destination, plan, false, error)))
        return false;
    if (!godwit_course_leg(testbed, spec, source, destination, error))
        return false;
    if (!judge_bitmaps(destination, plan, true, error))
        return false;
    if (testbed->lost)
        return godwit_course_end(source, destination, error);
    /* The end writes twice more. */
    if (!write_some(destination, error) || !judge_bitmaps(destination, plan, true, error))
        return false;
    struct godwit_storage *storage = &testbed->state->storage;
    memset(storage->written, 0, sizeof(storage->written));
    if (!godwit_storage_end(source, destination, storage, IMAGE, error))
        return false;
    note_written(testbed->state);
    return !plan->kept || judge_kept(testbed, plan, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    const bool postcopy = scenario->spec.move == GODWIT_MOVE_POSTCOPY;
    struct godwit_vm *source, *destination;
    testbed->oob = postcopy;
    return godwit_storage_start(testbed, &testbed->state->storage, plan->driver, IMAGE,
                                postcopy ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED,
                                &source, &destination, error) &&
           make_bitmaps(source, error) && judge_bitmaps(source, plan, false, error) &&
           migrate(source, destination, plan, &scenario->spec, error);
}

/* Begins a migration to FIRST, which is cancelled or breaks off when it is proven to be live. */
static bool fail_first(struct godwit_vm *source, struct godwit_vm *first, const struct plan *plan,
                       const struct godwit_spec *spec, GError **error)
{
    if (!godwit_course_go_live(spec, source, first, error) || !write_some(source, error))
        return false;
    first->may_exit = true; /* a destination exits when its source breaks off */
    if (plan->breaks) {
        godwit_testbed_phase(source->testbed, GODWIT_PHASE_FAIL);
        return godwit_vm_quit(first, error) && godwit_migrate_wait(source, "failed", error);
    }
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_CANCEL);
    return godwit_vm_command(source, "migrate_cancel", NULL, error) &&
           godwit_migrate_wait(source, "cancelled", error) && godwit_course_refused(first, error);
}

/* Waits until the source's migration has let go of its bitmaps. QEMU reports the state "failed" or
 * "cancelled" before that, and no event comes then. */
static bool await_idle(struct godwit_vm *source, GError **error)
{
    for (;;) {
        g_autoptr(json_t) list = list_bitmaps(source, error);
        bool busy = false;
        size_t i;
        json_t *one;
        if (!list)
            return false;
        json_array_foreach(list, i, one)
        {
            busy |= godwit_json_true(one, "busy");
        }
        if (!busy)
            return true;
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the failed migration to let go of the source's bitmaps", error))
            return false;
    }
}

/* A migration that fails: the source keeps its bitmaps, which record on, can be cleared, and go to
 * another destination. */
static bool run_failing(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_storage *storage = &testbed->state->storage;
    struct bitmap *coarse = &testbed->state->bitmap[COARSE];
    struct godwit_vm *source, *first;
    if (!godwit_storage_start(testbed, storage, plan->driver, IMAGE, GODWIT_VM_DESTINATION_PAUSED,
                              &source, &first, error))
        return false;
    g_auto(GStrv) arguments = godwit_storage_arguments(storage, IMAGE);
    struct godwit_vm *last = godwit_vm_start(testbed, "last", GODWIT_VM_DESTINATION_PAUSED,
                                             (const char *const *)arguments, error);
    if (!last || !godwit_vm_handshake(last, error) || !make_bitmaps(source, error) ||
        !fail_first(source, first, plan, &scenario->spec, error) || !await_idle(source, error) ||
        !judge_bitmaps(source, plan, false, error) || !write_some(source, error) ||
        !command(source, "block-dirty-bitmap-clear", coarse->name, error))
        return false;
    memset(coarse->sector, 0, sizeof(coarse->sector));
    return write_some(source, error) && godwit_course_see_it_run(source, error) &&
           judge_bitmaps(source, plan, false, error) &&
           migrate(source, last, plan, &scenario->spec, error);
}

static const struct godwit_capability bitmaps_on[] = {{"dirty-bitmaps", true}, {NULL, false}};

#define BITMAPS_OF(...)                                                                            \
    .state = sizeof(struct godwit_scenario_state), .clear = clear, .random = true,                 \
    .data = &(const struct plan)                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NEEDS                                                                                      \
    "command:blockdev-create command:block-dirty-bitmap-add "                                      \
    "command:x-debug-block-dirty-bitmap-sha256"
#define LIVE .transport = GODWIT_TRANSPORT_UNIX, .live = write_on_source

GODWIT_SCENARIOS(dirty_bitmaps) = {
    {
        BITMAPS_OF(.driver = "raw"),
        .name = "dirty-bitmaps/precopy",
        .summary = "three dirty bitmaps of a disk, one of them disabled, arrive bit by bit",
        .run = run,
        .needs = NEEDS,
        .spec = {LIVE, .capabilities = bitmaps_on},
    },
    {
        BITMAPS_OF(.driver = "raw"),
        .name = "dirty-bitmaps/postcopy",
        .summary = "the same by postcopy: what the destination writes meanwhile is recorded",
        .run = run,
        .needs = NEEDS,
        .spec = {LIVE, .move = GODWIT_MOVE_POSTCOPY, .capabilities = bitmaps_on,
                 .parameters = godwit_postcopy_throttled, .released = write_on_destination},
    },
    {
        BITMAPS_OF(.driver = "raw", .mapped = true),
        .name = "dirty-bitmaps/mapping",
        .summary = "block-bitmap-mapping: the bitmaps have other names on the destination",
        .slow = true,
        .run = run,
        .needs = NEEDS " parameter:block-bitmap-mapping",
        .spec = {LIVE, .capabilities = bitmaps_on},
    },
    {
        BITMAPS_OF(.driver = "qcow2", .mapped = true, .kept = true),
        .name = "dirty-bitmaps/mapping/persistent",
        .summary = "block-bitmap-mapping: the bitmaps become persistent on the destination",
        .slow = true,
        .run = run,
        .needs = NEEDS " parameter:block-bitmap-mapping",
        .spec = {LIVE, .capabilities = bitmaps_on},
    },
    {
        BITMAPS_OF(.driver = "raw", .without = true),
        .name = "dirty-bitmaps/without",
        .summary = "the capability is off: the destination gets no bitmap",
        .slow = true,
        .run = run,
        .needs = NEEDS,
        .spec = {LIVE},
    },
    {
        BITMAPS_OF(.driver = "raw"),
        .name = "dirty-bitmaps/cancelled",
        .summary = "cancelled: the source's bitmaps record on, and go to another destination",
        .slow = true,
        .run = run_failing,
        .needs = NEEDS,
        .spec = {LIVE, .capabilities = bitmaps_on},
    },
    {
        BITMAPS_OF(.driver = "raw", .breaks = true),
        .name = "dirty-bitmaps/broken",
        .summary = "the first destination quits: the source's bitmaps record on, and go to another",
        .slow = true,
        .run = run_failing,
        .needs = NEEDS,
        .spec = {LIVE, .capabilities = bitmaps_on},
    },
};
GODWIT_SCENARIOS_END(dirty_bitmaps);
