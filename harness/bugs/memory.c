/*
 * Known bugs of memory: the destination has stale memory, or has written something of its own into
 * it. The functions compare which bytes differ, one by one.
 *
 * tcg-hot-page: whenever a migration clears a dirty bit, QEMU must notify TCG, so that the next
 * write to the page marks it again. Before 9.0 it did not if bits were cleared word by word. A page
 * whose TLB entry stays alive is then written without being marked, and the last writes to it never
 * leave the source. A guest that touches more pages than the TLB has entries loses only writes to
 * pages that stay in it: the mailbox, which is written with every increment, and a few more.
 * Therefore the window is made larger than the TLB (godwit_bug_hot_pages()), and more stale pages
 * than those are not this bug.
 *
 * tcg-block-offset: the cure of that, in 9.0, notifies TCG of other pages than the right ones: it
 * takes the place of a page in its RAM block for its place among all pages. Both are the same only
 * in the block that QEMU has allocated first.
 *
 * tcg-dirty-race: a CPU of TCG marks a page dirty, and then writes to it. If it is preempted in
 * between, and the migration takes mark and page meanwhile, the write comes too late for both. This
 * affects one page for each CPU, by one pass, once in some hundred migrations.
 *
 * tcg-hot-start: QEMU 11.1 takes the dirty bitmap a second time as soon as a migration begins. From
 * then on, pages that the guest writes all the time may not be marked.
 *
 * colo-lost-page: likewise in COLO, of a page that the guest is in. The secondary's guest goes on
 * without these writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "guest/image.h"
#include "migrate/migrate.h"
#include <string.h>

/* Returns true if EARLIER can be an earlier state of the mailbox LATER. */
static bool is_earlier(const struct godwit_mailbox *earlier, const struct godwit_mailbox *later)
{
    return earlier->magic == later->magic && earlier->state == later->state &&
           earlier->passes <= later->passes && earlier->timer <= later->timer &&
           earlier->fault_address == later->fault_address &&
           earlier->fault_expected == later->fault_expected &&
           earlier->fault_found == later->fault_found;
}

/* Returns true if both VMs have the same bytes between the mailboxes of CPU and the next CPU. */
static bool same_gap(struct godwit_vm *source, struct godwit_vm *destination, unsigned cpu)
{
    unsigned char here[GODWIT_MAILBOX_STRIDE - GODWIT_MAILBOX_SIZE];
    unsigned char there[sizeof(here)];
    const uint64_t gpa = source->testbed->setup->image->mailbox +
                         cpu * (uint64_t)GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE;
    return godwit_memory_read(source, gpa, here, sizeof(here), NULL) &&
           godwit_memory_read(destination, gpa, there, sizeof(there), NULL) &&
           !memcmp(here, there, sizeof(here));
}

/* Limit of the words in a page that were sent half written, because the page was copied while the
 * guest wrote it. */
#define HALF_WORDS 4u

/* Number of generations that are searched for such a word. A page cannot be staler, because no
 * scenario's guest makes so many passes. */
#define HALF_GENERATIONS ((uint64_t)1 << 16)

/* Returns true if WORD is half written: one half is that of word INDEX of PAGE in some generation,
 * the other half that of the next generation. */
static bool is_half_written(const struct godwit_stamp *stamp, uint32_t page, uint32_t index,
                            uint64_t word, uint64_t latest)
{
    const uint64_t low = UINT32_MAX;
    /* LATEST comes from the guest's mailbox and can be any number. */
    const uint64_t first = latest > HALF_GENERATIONS ? latest - HALF_GENERATIONS : 0;
    uint64_t older = godwit_stamp_word(stamp, page, index, first);
    for (uint64_t generation = first; generation++ < latest;) {
        const uint64_t newer = godwit_stamp_word(stamp, page, index, generation);
        if (word == ((newer & low) | (older & ~low)) || word == ((older & low) | (newer & ~low)))
            return true;
        older = newer;
    }
    return false;
}

/* How stale a page may be so that a bug explains it. */
struct staleness {
    const struct godwit_stamp *stamp;
    uint64_t latest; /* the latest possible generation of the source's page */
    uint64_t most;   /* limit of the generations or passes that it is behind */
    bool halves;     /* a few words may have been sent half written */
    bool big_endian;
};

/* Returns true if each word of PAGE in FOUND is the one in RIGHT or an older one of the same place.
 */
static bool is_older(const struct staleness *how, uint32_t page, const unsigned char *right,
                     const unsigned char *found)
{
    const struct godwit_stamp *stamp = how->stamp;
    unsigned left = how->halves ? HALF_WORDS : 0;
    for (uint32_t i = 0; i < godwit_stamp_words(stamp); i++) {
        const uint64_t word = godwit_stamp_load(found, i, how->big_endian);
        const uint64_t newer = godwit_stamp_load(right, i, how->big_endian);
        uint64_t generation, wanted = how->latest;
        if (word == newer || (word == 0 && (stamp->flags & GODWIT_FLAG_ZERO)))
            continue;
        if (godwit_stamp_date(stamp, word, page, i, how->latest, &generation)) {
            (void)godwit_stamp_date(stamp, newer, page, i, how->latest, &wanted);
            if (godwit_stamp_writes(stamp, page, wanted) -
                    godwit_stamp_writes(stamp, page, generation) >
                how->most)
                return false;
            continue;
        }
        if (left == 0 || !is_half_written(stamp, page, i, word, how->latest))
            return false;
        left--;
    }
    return true;
}

/* Returns true if a page of the workload `order` is FOUND as it was some passes before RIGHT. Only
 * the first byte may differ. */
static bool is_earlier_pass(const struct staleness *how, const unsigned char *right,
                            const unsigned char *found, size_t size)
{
    const signed char behind = (signed char)(right[0] - found[0]);
    return behind > 0 && (uint64_t)behind <= how->most && !memcmp(right + 1, found + 1, size - 1);
}

/* Returns true if two pages of SIZE bytes differ only in the mailboxes of CPUS CPUs. AT is the
 * offset of the pages from the first CPU's mailbox. */
static bool only_mailboxes(const unsigned char *right, const unsigned char *found, size_t size,
                           uint64_t at, unsigned cpus)
{
    for (size_t i = 0; i < size; i++)
        if (right[i] != found[i] && ((at + i) / GODWIT_MAILBOX_STRIDE >= cpus ||
                                     (at + i) % GODWIT_MAILBOX_STRIDE >= GODWIT_MAILBOX_SIZE))
            return false;
    return true;
}

/* Matches if only mailboxes differ, and the destination has an earlier state of the source's. */
static bool is_stale_mailbox(const struct godwit_symptom *symptom, char **seen)
{
    struct godwit_vm *source = symptom->source, *destination = symptom->destination;
    const struct godwit_setup *setup = source->testbed->setup;
    const unsigned cpus = setup->workload.cpus;
    const uint64_t length = (cpus - 1) * (uint64_t)GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE;
    uint64_t mailboxes = 0;
    (void)seen;
    if (godwit_memory_locate(source, setup->image->mailbox, length, &mailboxes, NULL) !=
            symptom->block ||
        symptom->first < mailboxes || symptom->last >= mailboxes + length)
        return false;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        struct godwit_mailbox here, there;
        if (!godwit_memory_mailbox(source, cpu, &here, NULL) ||
            !godwit_memory_mailbox(destination, cpu, &there, NULL) || !is_earlier(&there, &here) ||
            (cpu + 1 < cpus && !same_gap(source, destination, cpu)))
            return false;
    }
    return true;
}

static bool is_hot_start(const struct godwit_symptom *symptom, char **seen)
{
    return godwit_json_true(symptom->source->capabilities, "postcopy-ram") &&
           is_stale_mailbox(symptom, seen);
}

/* A mailbox is written all the time. If the rest of its page is of the checkpoint, its guest has
 * written that since. */
static bool is_hot_checkpoint(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_json_true(symptom->source->capabilities, "x-colo"))
        return false;
    *seen = g_strdup_printf("the secondary has %s out of date after a checkpoint", symptom->text);
    return true;
}

/* The guest itself finds that, and cannot go on. */
static bool is_lost_page(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_json_true(symptom->source->capabilities, "x-colo"))
        return false;
    *seen = g_strdup_printf("the secondary lacks the last writes to %s", symptom->text);
    return true;
}

/* How much of the window may be stale so that a bug explains it. */
struct extent {
    unsigned pages;  /* limit of the stale pages */
    uint64_t behind; /* limit of the generations or passes that each is behind */
    bool halves;     /* words of `stamp` may have been sent half written */
    bool mailboxes;  /* the mailboxes may be stale as well */
};

/* Returns whether the parts begin at multiples of SIZE, in their block and in the window. */
static bool in_steps(const GArray *parts, size_t size)
{
    for (guint i = 0; i < parts->len; i++) {
        const struct godwit_part *part = &g_array_index(parts, struct godwit_part, i);
        if (part->offset % size || part->at % size)
            return false;
    }
    return true;
}

/* Returns true if only pages of the window differ, and they are stale within EXTENT. */
static bool is_stale_window(const struct godwit_symptom *symptom, const struct extent *extent)
{
    struct godwit_vm *source = symptom->source, *destination = symptom->destination;
    const struct godwit_setup *setup = source->testbed->setup;
    const struct godwit_workload *workload = &setup->workload;
    const struct godwit_block *there = godwit_memory_block(destination, symptom->block->name);
    const size_t size = workload->page_size;
    uint64_t mailboxes = 0;
    unsigned left = extent->pages;
    g_autoptr(GArray) window = godwit_memory_window(source, NULL);
    const bool beside = godwit_memory_locate(source, setup->image->mailbox, GODWIT_MAILBOX_SIZE,
                                             &mailboxes, NULL) == symptom->block;
    if (!there || !window || (beside && mailboxes % size) || !in_steps(window, size))
        return false;
    struct godwit_mailbox here[GODWIT_MAX_CPUS], old;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &here[cpu], NULL) ||
            !godwit_memory_mailbox(destination, cpu, &old, NULL) || !is_earlier(&old, &here[cpu]))
            return false;
    const struct godwit_stamp stamp = godwit_stamp_of(workload);
    struct staleness how = {.stamp = &stamp,
                            .most = extent->behind,
                            .halves = extent->halves,
                            .big_endian = setup->machine->big_endian};
    g_autofree unsigned char *right = g_malloc(size), *found = g_malloc(size);
    for (uint64_t offset = symptom->first - symptom->first % size; offset <= symptom->last;
         offset += size) {
        if (!godwit_memory_read_block(source, symptom->block, offset, right, size, NULL) ||
            !godwit_memory_read_block(destination, there, offset, found, size, NULL))
            return false;
        if (!memcmp(right, found, size) ||
            (extent->mailboxes && beside &&
             only_mailboxes(right, found, size, offset - mailboxes, workload->cpus)))
            continue;
        const struct godwit_part *part = godwit_memory_part(window, symptom->block, offset);
        if (!part || left-- == 0)
            return false;
        const uint32_t page = (uint32_t)((part->at + (offset - part->offset)) / size);
        how.latest = here[page % workload->cpus].passes + 1;
        if (!(workload->flags & GODWIT_FLAG_STAMP ? is_older(&how, page, right, found)
                                                  : is_earlier_pass(&how, right, found, size)))
            return false;
    }
    return true;
}

/* Limit of the window's pages that stay in each CPU's TLB although the window is larger: QEMU keeps
 * so many entries beside the TLB proper (the victim TLB). Two were seen. */
#define HOT_PAGES 8u

static bool is_hot_window(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_setup *setup = symptom->source->testbed->setup;
    const struct extent extent = {.pages = HOT_PAGES * setup->workload.cpus,
                                  .behind = UINT64_MAX,
                                  .halves = setup->image->stamp_store < sizeof(uint64_t),
                                  .mailboxes = true};
    (void)seen;
    return is_stale_window(symptom, &extent);
}

/* Returns true if the RAM block of the differences does not begin where all pages do. */
static bool is_displaced(const struct godwit_symptom *symptom)
{
    return symptom->block->offset > 0;
}

static bool is_displaced_mailbox(const struct godwit_symptom *symptom, char **seen)
{
    return is_displaced(symptom) && is_stale_mailbox(symptom, seen);
}

static bool is_displaced_window(const struct godwit_symptom *symptom, char **seen)
{
    return is_displaced(symptom) && is_hot_window(symptom, seen);
}

/* A CPU can be preempted in one page only, so one page for each CPU may be stale. */
static bool is_dirty_race(const struct godwit_symptom *symptom, char **seen)
{
    const struct extent extent = {.pages = symptom->source->testbed->setup->workload.cpus,
                                  .behind = 1};
    (void)seen;
    return godwit_migration_of(symptom->source->testbed)->live && is_stale_window(symptom, &extent);
}

/* A pseries machine writes its device tree into the guest's RAM when it is reset. A destination is
 * reset before it receives a migration, which normally overwrites that. If the destination shares
 * the source's RAM, nothing overwrites it. */
static bool is_device_tree(const struct godwit_symptom *symptom, char **seen)
{
    enum { ROOM = 0x200000 }; /* limit of the device tree's size, and its alignment */
    static const uint32_t magic = 0xd00dfeed;
    const uint64_t start = symptom->first - symptom->first % ROOM;
    const struct godwit_block *there =
        godwit_memory_block(symptom->destination, symptom->block->name);
    unsigned char head[8];
    (void)seen;
    if (!symptom->source->kept || !there ||
        !godwit_memory_read_block(symptom->destination, there, start, head, sizeof(head), NULL) ||
        godwit_guest_get32(head, true) != magic)
        return false;
    const uint64_t size = godwit_guest_get32(head + 4, true);
    return size <= ROOM && symptom->last < start + size;
}

/* A RAM block that is not sent has no bitmap that could be written to the file. */
static bool is_mapped_shared(const struct godwit_symptom *symptom, char **seen)
{
    const json_t *capabilities = symptom->source->capabilities;
    if (!godwit_json_true(capabilities, "mapped-ram") ||
        !godwit_json_true(capabilities, "x-ignore-shared") ||
        strcmp(symptom->text, "Unable to write to file: Bad address") != 0)
        return false;
    *seen = g_strdup_printf("the migration failed: %s", symptom->text);
    return true;
}

#define HOT_PAGE                                                                                   \
    .id = "tcg-hot-page",                                                                          \
    .summary = "live migration under TCG loses the last writes to pages that stay in the TLB",     \
    .reference = "fixed in QEMU 9.0 by \"physmem: Fix migration dirty bitmap coherency with TCG "  \
                 "memory access\"",                                                                \
    .accel = "tcg", .fixed = {9, 0}, .strikes = 18, .runs = 18

#define BLOCK_OFFSET                                                                               \
    .id = "tcg-block-offset",                                                                      \
    .summary = "live migration under TCG loses the last writes to pages of a RAM block that is "   \
               "not QEMU's first",                                                                 \
    .reference = "measured in QEMU 10.0 and 11.1; 7.2 loses them in every block (tcg-hot-page)",   \
    .since = {9, 0}, .accel = "tcg", .strikes = 1, .runs = 1

const struct godwit_bug godwit_bugs_memory[] = {
    {HOT_PAGE, .kind = GODWIT_SYMPTOM_MAILBOX, .matches = is_stale_mailbox},
    {HOT_PAGE, .kind = GODWIT_SYMPTOM_WINDOW, .matches = is_hot_window},
    {BLOCK_OFFSET, .kind = GODWIT_SYMPTOM_MAILBOX, .matches = is_displaced_mailbox},
    {BLOCK_OFFSET, .kind = GODWIT_SYMPTOM_WINDOW, .matches = is_displaced_window},
    {
        .id = "tcg-hot-start",
        .summary = "a migration under TCG that is soon over, or switched to postcopy, may lose "
                   "writes to pages that stay in the TLB",
        .reference = "measured in QEMU 11.1, and not in 7.2 and 10.0",
        .kind = GODWIT_SYMPTOM_MAILBOX,
        .since = {11, 1},
        .accel = "tcg",
        .strikes = 1,
        .runs = 4,
        .percent = 50,
        .matches = is_hot_start,
    },
    {
        .id = "tcg-hot-start",
        .summary = "COLO under TCG may leave behind writes to pages that stay in the TLB",
        .reference = "measured in QEMU 11.1, which is the first with a COLO that works",
        .kind = GODWIT_SYMPTOM_COLO_STALE,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .accel = "tcg",
        .strikes = 2,
        .runs = 24,
        .percent = 25,
        .matches = is_hot_checkpoint,
    },
    {
        .id = "colo-lost-page",
        .summary = "a COLO secondary under TCG runs on without the last writes to a page",
        .reference = "measured in QEMU 11.1, which is the first with a COLO that works",
        .kind = GODWIT_SYMPTOM_COLO_LOST,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .strikes = 7,
        .runs = 90,
        .percent = 25,
        .matches = is_lost_page,
    },
    {
        .id = "tcg-dirty-race",
        .summary = "live migration under TCG may lose a write made while the dirty bitmap is taken",
        .reference = "measured in QEMU 10.0 and 11.1; earlier versions lose more (tcg-hot-page)",
        .kind = GODWIT_SYMPTOM_WINDOW,
        .since = {9, 0},
        .accel = "tcg",
        .strikes = 3,
        .runs = 250,
        .percent = 10,
        .matches = is_dirty_race,
    },
    {
        .id = "ppc64-device-tree",
        .summary = "a destination that shares the source's RAM writes its device tree into it",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_SHARED_RAM,
        .role = GODWIT_BUG_DESTINATION,
        .arch = "ppc64",
        .strikes = 1,
        .runs = 1,
        .matches = is_device_tree,
    },
    {
        .id = "mapped-ram-shared",
        .summary = "a migration with mapped-ram and x-ignore-shared fails",
        .reference = "measured in QEMU 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_MAPPED_SHARED,
        .role = GODWIT_BUG_SOURCE,
        .since = {9, 0},
        .fixed = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_mapped_shared,
    },
    {.id = NULL},
};
