/*
 * Known bugs of snapshots, and of migrations that are snapshots.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "memory/memory.h"
#include "migrate/migrate.h"
#include <signal.h>
#include <string.h>

/* QEMU crashes when it saves a snapshot while multifd is on. */
static bool is_multifd(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->vm;
    if (!godwit_bug_was_killed(vm, SIGSEGV) || !godwit_json_true(vm->capabilities, "multifd"))
        return false;
    g_autofree char *end = godwit_vm_end(vm);
    *seen = g_strdup_printf("the %s's QEMU %s while it saved a snapshot", vm->name, end);
    return true;
}

/* An assertion about the end of a range of RAM fails. Some sizes of RAM are spared. */
static bool is_background(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->vm;
    if (!godwit_bug_was_killed(vm, SIGABRT) ||
        !godwit_json_true(vm->capabilities, "background-snapshot"))
        return false;
    g_autofree char *line = godwit_vm_reason(vm);
    if (!g_regex_match_simple("^\\S+: \\S+physmem\\.c:[0-9]+: tlb_reset_dirty_range_all: Assertion "
                              ".+ failed\\.$",
                              line, 0, 0))
        return false;
    *seen = g_steal_pointer(&line);
    return true;
}

/* Whatever is loaded while x-colo is on goes into a cache that only a COLO secondary has. */
static bool is_colo(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->vm;
    if (!godwit_bug_was_killed(vm, SIGABRT) || !godwit_json_true(vm->capabilities, "x-colo"))
        return false;
    *seen = godwit_bug_find_line(vm, "memory_global_dirty_log_do_stop: Assertion .+ failed\\.$");
    return *seen != NULL;
}

/* QEMU runs a guest that was stopped before its background snapshot. */
static bool is_unpaused(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "running") != 0 ||
        !godwit_json_true(symptom->source->capabilities, "background-snapshot"))
        return false;
    *seen = g_strdup("the paused guest runs after a background snapshot");
    return true;
}

/* A CPU that waits for its page to be saved is not woken up when the snapshot is cancelled. */
static bool is_standing(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *source = symptom->source;
    if (symptom->failure->code != GODWIT_ERROR_TIMEOUT || source->exited ||
        !godwit_json_true(source->capabilities, "background-snapshot") ||
        strcmp(godwit_migrate_reported_state(source), "cancelled") != 0)
        return false;
    *seen = g_strdup("the guest stands still after its background snapshot was cancelled");
    return true;
}

/* Nor does QEMU forget, when it is cancelled, that pages are protected. The next migration fails
 * when it tries to release one. */
static bool is_protected(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *source = symptom->source;
    if (!source || !godwit_qmp_find_event(source->qmp, 0, "MIGRATION", "cancelled"))
        return false;
    *seen =
        godwit_bug_find_line(source, "^\\S+: uffd_change_protection\\(\\) failed: addr=0x[0-9a-f]+ "
                                     "len=[0-9]+ mode=0 errno=25$");
    return *seen != NULL;
}

/* Nothing but the timer of a guest is wrong. */
static bool is_back(const struct godwit_symptom *symptom, char **seen)
{
    *seen = g_strdup_printf("the timer of the %s's guest went back when its snapshot was loaded",
                            symptom->vm->name);
    return true;
}

/* The smallest page that QEMU sends as zero. */
#define UNIT ((size_t)4096)

/* Adds the number of pages of BLOCK that differ from those in THERE to *BAD. Returns false if one
 * of them is not all zero in BLOCK, or cannot be read. */
static bool only_zeros_differ(const struct godwit_symptom *symptom,
                              const struct godwit_block *block, const struct godwit_block *there,
                              uint64_t *bad)
{
    static const unsigned char zeros[UNIT];
    unsigned char right[UNIT], found[UNIT];
    for (uint64_t offset = 0; offset < block->length; offset += UNIT) {
        const size_t size = (size_t)MIN(UNIT, block->length - offset);
        if (!godwit_memory_read_block(symptom->source, block, offset, right, size, NULL) ||
            !godwit_memory_read_block(symptom->destination, there, offset, found, size, NULL))
            return false;
        if (!memcmp(right, found, size))
            continue;
        ++*bad;
        if (memcmp(right, zeros, size) != 0)
            return false;
    }
    return true;
}

/* Pages that are zero in the snapshot are as they were before it was loaded. */
static bool is_uncleared(const struct godwit_symptom *symptom, char **seen)
{
    struct godwit_vm *saved = symptom->source, *loaded = symptom->destination;
    uint64_t bad = 0;
    if (!godwit_json_true(loaded->capabilities, "mapped-ram"))
        return false;
    for (guint i = 0; i < saved->blocks->len; i++) {
        const struct godwit_block *block = &g_array_index(saved->blocks, struct godwit_block, i);
        const struct godwit_block *there = godwit_memory_block(loaded, block->name);
        if (!there || there->length != block->length ||
            !only_zeros_differ(symptom, block, there, &bad))
            return false;
    }
    *seen =
        g_strdup_printf("%" G_GUINT64_FORMAT " pages that are zero in the snapshot are not after "
                        "it was loaded",
                        bad);
    return bad > 0;
}

#define CANCEL                                                                                     \
    .id = "background-snapshot-cancel",                                                            \
    .summary = "once its background snapshot was cancelled, a guest may stand still for ever, or " \
               "cannot be migrated",                                                               \
    .reference = "measured in QEMU 7.2, and not in 10.0 and 11.1", .fixed = {10, 0},               \
    .effect = GODWIT_BUG_LOST

const struct godwit_bug godwit_bugs_snapshots[] = {
    {
        .id = "snapshot-multifd",
        .summary = "saving a snapshot with multifd on crashes QEMU",
        .reference = "refused by QEMU 10.2 and later",
        .kind = GODWIT_SYMPTOM_SNAPSHOT,
        .fixed = {10, 2},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_multifd,
    },
    {
        .id = "snapshot-background",
        .summary = "saving a snapshot with background-snapshot on aborts QEMU",
        .reference = "measured in QEMU 10.0 for aarch64 and riscv64, and not in 7.2 and 11.1",
        .kind = GODWIT_SYMPTOM_SNAPSHOT,
        .since = {10, 0},
        .fixed = {11, 1},
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_background,
    },
    {
        .id = "snapshot-colo",
        .summary = "loading a snapshot with x-colo on aborts QEMU",
        .reference = "measured in QEMU 11.1, and not in 7.2 and 10.0",
        .kind = GODWIT_SYMPTOM_SNAPSHOT,
        .since = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_colo,
    },
    {
        .id = "riscv-loadvm-time",
        .summary = "a snapshot that is loaded where it was saved sets the guest's timer back",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_BACK,
        .arch = "riscv64",
        .fixed = {11, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_back,
    },
    {
        .id = "snapshot-zero-pages",
        .summary = "a snapshot with mapped-ram leaves RAM as it is where it should become zero",
        .reference = "measured in QEMU 11.1; 10.0 cannot save one",
        .kind = GODWIT_SYMPTOM_UNCLEARED,
        .role = GODWIT_BUG_DESTINATION,
        .since = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_uncleared,
    },
    {
        .id = "background-snapshot-resumes",
        .summary = "a background snapshot of a paused guest lets the guest run",
        .reference = "measured in QEMU 7.2, and not in 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_UNPAUSED,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_unpaused,
    },
    {
        CANCEL,
        .kind = GODWIT_SYMPTOM_STANDS,
        .strikes = 8,
        .runs = 10,
        .percent = 95,
        .matches = is_standing,
    },
    {
        CANCEL,
        .kind = GODWIT_SYMPTOM_LOAD,
        .strikes = 2,
        .runs = 10,
        .percent = 95,
        .matches = is_protected,
    },
    {.id = NULL},
};
