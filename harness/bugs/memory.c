/*
 * Known bugs that leave memory behind: the destination has it as it was a moment earlier, or has
 * something of its own in it. Which bytes those may be is compared one by one.
 *
 * While memory is tracked for migration, QEMU's TCG has to be told of each dirty bit that the
 * migration clears. Before 9.0 it was not when bits were cleared word by word: a page whose TLB
 * entry stays alive is then written without being marked again, and the last writes to it never
 * leave the source (tcg-hot-page). A guest that touches more pages than the TLB has places loses
 * only those that stay: the mailbox, which is written with every increment, and a few more. So the
 * window is made larger than the TLB (godwit_bug_hot_pages()), and more stale pages than those are
 * no known bug.
 *
 * A CPU of TCG marks a page dirty, and then writes to it. If it is preempted in between, and the
 * migration takes mark and page meanwhile, the write comes too late for both (tcg-dirty-race). That
 * is one page for each CPU, one pass behind, once in some hundred migrations.
 *
 * QEMU 11.1 takes the dirty bitmap again as soon as a migration begins; pages that the guest writes
 * to all the while may not be marked from there on (tcg-hot-start).
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "guest/image.h"
#include <string.h>

/* Whether the destination's mailbox is the source's as it was at an earlier time. */
static bool is_earlier(const struct godwit_mailbox *earlier, const struct godwit_mailbox *later)
{
    return earlier->magic == later->magic && earlier->state == later->state &&
           earlier->passes <= later->passes && earlier->timer <= later->timer &&
           earlier->fault_address == later->fault_address &&
           earlier->fault_expected == later->fault_expected &&
           earlier->fault_found == later->fault_found;
}

/* Whether both have the same bytes between the mailboxes of two successive CPUs, CPU being the
 * first of them. */
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

/* Words of a page that can have been sent half written: who copies it meets who writes it. */
#define HALF_WORDS 4u

/* Generations that are looked through for such a word: a page cannot be staler than that, as no
 * scenario's guest makes as many passes. */
#define HALF_GENERATIONS ((uint64_t)1 << 16)

/* Whether WORD is half one generation's of INDEX of PAGE, and half the next one's: between the two
 * stores that it takes, or copied while they are made. */
static bool is_half_written(const struct godwit_stamp *stamp, uint32_t page, uint32_t index,
                            uint64_t word, uint64_t latest)
{
    const uint64_t low = UINT32_MAX;
    /* LATEST is the guest's word, and may be any number. */
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

/* What a page that is stale has to be like, as one bug or another leaves it. */
struct staleness {
    const struct godwit_stamp *stamp;
    uint64_t latest; /* the last generation that the source's page can be of */
    uint64_t most;   /* generations or passes that it can be behind */
    bool halves;     /* a few words may have been sent half written */
    bool big_endian;
};

/* Whether PAGE of the window holds nothing but words of its own that are right or stale. */
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
            if (wanted - generation > how->most)
                return false;
            continue;
        }
        if (left == 0 || !is_half_written(stamp, page, i, word, how->latest))
            return false;
        left--;
    }
    return true;
}

/* The same of a page of `order`, which changes its first byte. */
static bool is_earlier_pass(const struct staleness *how, const unsigned char *right,
                            const unsigned char *found, size_t size)
{
    const signed char behind = (signed char)(right[0] - found[0]);
    return behind > 0 && (uint64_t)behind <= how->most && !memcmp(right + 1, found + 1, size - 1);
}

/* Whether two pages of SIZE bytes, which begin at AT of the first CPU's mailbox, differ in CPUS'
 * mailboxes alone. */
static bool only_mailboxes(const unsigned char *right, const unsigned char *found, size_t size,
                           uint64_t at, unsigned cpus)
{
    for (size_t i = 0; i < size; i++)
        if (right[i] != found[i] && ((at + i) / GODWIT_MAILBOX_STRIDE >= cpus ||
                                     (at + i) % GODWIT_MAILBOX_STRIDE >= GODWIT_MAILBOX_SIZE))
            return false;
    return true;
}

/* Whether nothing differs but the fields of the mailboxes, which are the source's of earlier. */
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

/* The stale pages that the window may have. */
struct extent {
    unsigned pages;  /* at the most */
    uint64_t behind; /* generations or passes that each can be behind */
    bool halves;     /* words of `stamp` may have been sent half written */
    bool mailboxes;  /* and those are stale, too */
};

/* Whether nothing differs but pages of the window, which are as they were earlier, within EXTENT.
 */
static bool is_stale_window(const struct godwit_symptom *symptom, const struct extent *extent)
{
    struct godwit_vm *source = symptom->source, *destination = symptom->destination;
    const struct godwit_setup *setup = source->testbed->setup;
    const struct godwit_workload *workload = &setup->workload;
    const struct godwit_block *there = godwit_memory_block(destination, symptom->block->name);
    const size_t size = workload->page_size;
    const uint64_t length = workload->window_end - workload->window_start;
    uint64_t window = 0, mailboxes = 0;
    unsigned left = extent->pages;
    if (!there ||
        godwit_memory_locate(source, workload->window_start, length, &window, NULL) !=
            symptom->block ||
        godwit_memory_locate(source, setup->image->mailbox, GODWIT_MAILBOX_SIZE, &mailboxes,
                             NULL) != symptom->block ||
        mailboxes % size || window % size)
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
            (extent->mailboxes &&
             only_mailboxes(right, found, size, offset - mailboxes, workload->cpus)))
            continue;
        const uint32_t page = (uint32_t)((offset - window) / size);
        how.latest = here[page % workload->cpus].passes + 1;
        if (offset < window || offset - window >= length || left-- == 0 ||
            !(workload->flags & GODWIT_FLAG_STAMP ? is_older(&how, page, right, found)
                                                  : is_earlier_pass(&how, right, found, size)))
            return false;
    }
    return true;
}

/* Pages of a window larger than the TLB that may stay in it, for each CPU: as many as QEMU keeps
 * beside the TLB proper, whose entries another page of the window has taken. Two were seen. */
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

/* A CPU can be preempted in one page only. */
static bool is_dirty_race(const struct godwit_symptom *symptom, char **seen)
{
    const struct extent extent = {.pages = symptom->source->testbed->setup->workload.cpus,
                                  .behind = 1};
    (void)seen;
    return json_object_get(symptom->source->testbed->measurements, "live") &&
           is_stale_window(symptom, &extent);
}

/* A pseries machine that is reset writes its device tree into the guest's RAM. A destination is,
 * before it takes a migration, which overwrites that; but not where the RAM is the source's. */
static bool is_device_tree(const struct godwit_symptom *symptom, char **seen)
{
    enum { ROOM = 0x200000 }; /* that the machine has for it, and a multiple of where it is */
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

#define HOT_PAGE                                                                                   \
    .id = "tcg-hot-page",                                                                          \
    .summary = "live migration under TCG loses the last writes to pages that stay in the TLB",     \
    .reference = "fixed in QEMU 9.0 by \"physmem: Fix migration dirty bitmap coherency with TCG "  \
                 "memory access\"",                                                                \
    .accel = "tcg", .fixed = {9, 0}, .strikes = 18, .runs = 18

const struct godwit_bug godwit_bugs_memory[] = {
    {HOT_PAGE, .kind = GODWIT_SYMPTOM_MAILBOX, .matches = is_stale_mailbox},
    {HOT_PAGE, .kind = GODWIT_SYMPTOM_WINDOW, .matches = is_hot_window},
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
        .id = "tcg-dirty-race",
        .summary = "live migration under TCG may lose a write made while the dirty bitmap is taken",
        .reference = "measured in QEMU 10.0 and 11.1; earlier ones lose more (tcg-hot-page)",
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
    {.id = NULL},
};
