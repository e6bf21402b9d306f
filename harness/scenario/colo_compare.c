/*
 * The RAM compare of a COLO pair.
 *
 * QEMU starts both guests in the same moment in which a checkpoint is complete, so that no two
 * stopped sides have exactly its RAM. But both guests go on from the same state, and what they do
 * depends on nothing else. One is stopped ahead of the other, and what it has written meanwhile
 * follows from both mailboxes. Only those pages of the window may differ, and what the guest keeps
 * outside of it: its mailboxes, its stacks, the room behind its identity table, and what a machine
 * loads at the end of RAM. A guest
 * that takes long for a pass leaves most of the window to compare.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/colo.h"

#include "bugs/bugs.h"
#include "guest/image.h"
#include "oracle/ledger.h"
#include "oracle/stamp.h"
#include <inttypes.h>
#include <string.h>

/* The pages of the identity table. The guest uses the rest of its room, at the end of each pass. */
#define IDENTITY_TABLE                                                                             \
    ((GODWIT_IDENTITY_OFF_ENTRIES + GODWIT_IDENTITY_MAX * GODWIT_IDENTITY_ENTRY_SIZE +             \
      GODWIT_PAGE_SIZE - 1) /                                                                      \
     GODWIT_PAGE_SIZE * GODWIT_PAGE_SIZE)

/* How many pages are read at a time. */
#define PAGES_AT_ONCE 64u

/* The pages that a CPU wrote before each of two moments, counted since its start. */
struct progress {
    uint64_t behind, ahead;
};

struct comparison {
    struct godwit_vm *vm[2]; /* primary, secondary */
    const struct godwit_workload *workload;
    struct godwit_stamp stamp;
    struct progress progress[GODWIT_MAX_CPUS];
    const struct godwit_block *block;   /* of the primary: it has the window */
    uint64_t window, mailboxes, stacks; /* offsets in it */
    uint64_t identity;                  /* likewise, of the room behind the table */
    uint64_t excused;                   /* pages of the window */
};

/* Returns how many pages a CPU wrote before it got where MAILBOX has it. At the end of a pass it
 * may have counted the pass or not: LEAST chooses. */
static uint64_t written_by(const struct comparison *comparison, unsigned cpu,
                           const struct godwit_mailbox *mailbox, bool least)
{
    struct godwit_stamp_account account = {0};
    const uint64_t each = comparison->stamp.pages / comparison->stamp.cpus;
    /* The oracles have judged the position. */
    godwit_stamp_account(&comparison->stamp, cpu, comparison->workload->window_start,
                         mailbox->passes, mailbox->position, &account);
    return account.passes * each + (least && account.turn == each ? 0 : account.turn);
}

/* Returns how often the page at TURN of a pass of EACH pages was among the first COUNT pages. */
static uint64_t visits(uint64_t count, uint64_t turn, uint64_t each)
{
    return count > turn ? (count - turn - 1) / each + 1 : 0;
}

/* Returns whether one guest may have written PAGE of the window, and the other one not. Memory is
 * ahead of a mailbox by one page at most. */
static bool is_excused(const struct comparison *comparison, uint32_t page)
{
    const struct godwit_stamp *stamp = &comparison->stamp;
    const struct progress *progress = &comparison->progress[godwit_stamp_cpu_of(stamp, page)];
    const uint64_t each = stamp->pages / stamp->cpus;
    const uint64_t turn = godwit_stamp_turn_of(stamp, page);
    return visits(progress->ahead + 1, turn, each) != visits(progress->behind, turn, each);
}

static bool is_within(uint64_t offset, uint64_t start, uint64_t length)
{
    return offset >= start && offset - start < length;
}

/* Returns whether the page at OFFSET of BLOCK may differ. */
static bool may_differ(const struct comparison *comparison, const struct godwit_block *block,
                       uint64_t offset)
{
    const struct godwit_workload *workload = comparison->workload;
    const uint64_t length = workload->window_end - workload->window_start;
    if (block != comparison->block)
        return false;
    if (is_within(offset, comparison->window, length))
        return is_excused(comparison,
                          (uint32_t)((offset - comparison->window) / workload->page_size));
    return is_within(offset, comparison->mailboxes, GODWIT_PAGE_SIZE) ||
           is_within(offset, comparison->stacks, (uint64_t)GODWIT_MAX_CPUS * GODWIT_STACK_SIZE) ||
           is_within(offset, comparison->identity, GODWIT_IDENTITY_ROOM - IDENTITY_TABLE) ||
           block->length - offset <= comparison->vm[0]->testbed->setup->machine->tail;
}

/* Compares a page that must be equal. */
static bool compare_page(const struct comparison *comparison, const struct godwit_block *block,
                         uint64_t offset, const unsigned char *here, const unsigned char *there,
                         size_t size, GError **error)
{
    struct godwit_testbed *testbed = comparison->vm[0]->testbed;
    godwit_oracle_count(testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_BYTES, size);
    if (!memcmp(here, there, size))
        return true;
    size_t i = 0;
    while (here[i] == there[i])
        i++;
    godwit_oracle_accuse(testbed, GODWIT_ORACLE_TWIN, comparison->vm[1]->name);
    return godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "twin: after a checkpoint, primary and secondary differ at 0x%" PRIx64
                       " of RAM block %s, which neither guest has written since: 0x%02x on the "
                       "primary, 0x%02x on the secondary",
                       offset + i, block->name, here[i], there[i]);
}

static bool compare_block(const struct comparison *comparison, const struct godwit_block *here,
                          GError **error)
{
    struct godwit_vm *const *vm = comparison->vm;
    const struct godwit_block *there = godwit_memory_block(vm[1], here->name);
    const size_t page = comparison->workload->page_size, most = PAGES_AT_ONCE * page;
    g_autofree unsigned char *first = g_malloc(most), *second = g_malloc(most);
    if (!there || there->length != here->length)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: RAM block %s has 0x%" PRIx64
                           " bytes on the primary and 0x%" PRIx64 " on the secondary",
                           here->name, here->length, there ? there->length : 0);
    for (uint64_t offset = 0; offset < here->length;) {
        const size_t length = (size_t)MIN(most, here->length - offset);
        if (!godwit_memory_read_block(vm[0], here, offset, first, length, error) ||
            !godwit_memory_read_block(vm[1], there, offset, second, length, error))
            return false;
        for (size_t at = 0; at < length; at += page)
            if (!may_differ(comparison, here, offset + at) &&
                !compare_page(comparison, here, offset + at, first + at, second + at,
                              MIN(page, length - at), error))
                return false;
        offset += length;
    }
    return true;
}

/* Sets what both guests have done, by their mailboxes, and how much of the window that excuses. */
static void set_progress(struct comparison *comparison, const struct godwit_reading reading[2])
{
    const struct godwit_stamp *stamp = &comparison->stamp;
    for (unsigned cpu = 0; cpu < stamp->cpus; cpu++) {
        const struct godwit_mailbox *here = &reading[0].mailbox[cpu];
        const struct godwit_mailbox *there = &reading[1].mailbox[cpu];
        comparison->progress[cpu].behind =
            MIN(written_by(comparison, cpu, here, true), written_by(comparison, cpu, there, true));
        comparison->progress[cpu].ahead = MAX(written_by(comparison, cpu, here, false),
                                              written_by(comparison, cpu, there, false));
    }
    for (uint32_t page = 0; page < stamp->pages; page++)
        comparison->excused += is_excused(comparison, page);
    godwit_testbed_measure(comparison->vm[0]->testbed, "colo_excused",
                           json_integer((json_int_t)comparison->excused));
}

/* Sets where the window, the mailboxes and the stacks are. */
static bool locate(struct comparison *comparison, GError **error)
{
    struct godwit_vm *primary = comparison->vm[0];
    const struct godwit_setup *setup = primary->testbed->setup;
    const struct godwit_workload *workload = comparison->workload;
    comparison->block = godwit_memory_locate(primary, workload->window_start,
                                             workload->window_end - workload->window_start,
                                             &comparison->window, error);
    return comparison->block &&
           godwit_memory_locate(primary, setup->image->mailbox, GODWIT_MAILBOX_SIZE,
                                &comparison->mailboxes, error) &&
           godwit_memory_locate(primary, setup->machine->ram_base + GODWIT_STACK_OFFSET,
                                GODWIT_STACK_SIZE, &comparison->stacks, error) &&
           godwit_memory_locate(
               primary, setup->machine->ram_base + GODWIT_IDENTITY_OFFSET + IDENTITY_TABLE,
               GODWIT_IDENTITY_ROOM - IDENTITY_TABLE, &comparison->identity, error);
}

/* Sets *IS to whether the page of the `stamp` workload that CPU writes as number COUNT since its
 * start is as that leaves it, on the secondary. */
static bool is_stamped(const struct comparison *comparison, unsigned cpu, uint64_t count, bool *is,
                       GError **error)
{
    const struct godwit_workload *workload = comparison->workload;
    const struct godwit_stamp *stamp = &comparison->stamp;
    const bool big = comparison->vm[1]->testbed->setup->machine->big_endian;
    const uint32_t each = stamp->pages / stamp->cpus;
    const uint32_t page = godwit_stamp_page_at(stamp, each, cpu, (uint32_t)(count % each));
    g_autofree unsigned char *bytes = g_malloc(workload->page_size);
    if (!godwit_memory_read(comparison->vm[1],
                            workload->window_start + (uint64_t)page * workload->page_size, bytes,
                            workload->page_size, error))
        return false;
    *is = godwit_stamp_mismatch(stamp, page, count / each + 1, 0, bytes, big) ==
          godwit_stamp_words(stamp);
    return true;
}

/* Returns in *COUNT how many pages CPU has written on the secondary since its start, by how far the
 * pages of the `stamp` workload are as their turn leaves them. LEAST is how many its mailbox has,
 * which may be out of date by some passes; MOST is a limit. One page may be out of date as well. */
static bool count_stamped(const struct comparison *comparison, unsigned cpu, uint64_t least,
                          uint64_t most, uint64_t *count, GError **error)
{
    const uint64_t each = comparison->stamp.pages / comparison->stamp.cpus;
    bool is = false, skipped = false;
    uint64_t next = least;
    for (; next < most; next += each) {
        if (!is_stamped(comparison, cpu, next, &is, error))
            return false;
        if (is)
            break;
    }
    if (!is)
        next = least;
    *count = next;
    while (next < most) {
        if (!is_stamped(comparison, cpu, next++, &is, error))
            return false;
        if (is)
            *count = next;
        else if (skipped)
            break;
        else
            skipped = true;
    }
    return true;
}

/* Returns in *COUNT how many pages CPU has written on the secondary, by its memory. With `order`,
 * ORDER has what the bytes show, which is the place in a pass; the pass is the one that is less
 * than half a pass from the primary's place. */
static bool count_pages(const struct comparison *comparison, unsigned cpu,
                        const struct godwit_mailbox *primary,
                        const struct godwit_mailbox *secondary,
                        const struct godwit_page_order_result *order, uint64_t *count,
                        GError **error)
{
    const struct godwit_workload stripe = godwit_workload_stripe(comparison->workload, cpu);
    const uint64_t each = comparison->stamp.pages / comparison->stamp.cpus;
    const uint64_t here = written_by(comparison, cpu, primary, false);
    if (comparison->workload->flags & GODWIT_FLAG_STAMP)
        return count_stamped(comparison, cpu, written_by(comparison, cpu, secondary, false),
                             here + each, count, error);
    const uint64_t turn =
        order->has_edge ? (order->edge_address - stripe.window_start) / stripe.page_size : 0;
    *count = (here + each / 2 > turn ? (here + each / 2 - turn) / each : 0) * each + turn;
    return true;
}

/* Returns the address of the page that CPU writes when it has written COUNT. */
static uint64_t place_of(const struct comparison *comparison, unsigned cpu, uint64_t count)
{
    const struct godwit_workload *workload = comparison->workload;
    const struct godwit_workload stripe = godwit_workload_stripe(workload, cpu);
    const uint32_t each = comparison->stamp.pages / comparison->stamp.cpus;
    const uint32_t turn = (uint32_t)(count % each);
    if (!(workload->flags & GODWIT_FLAG_STAMP))
        return stripe.window_start + (uint64_t)turn * stripe.page_size;
    return workload->window_start +
           (uint64_t)godwit_stamp_page_at(&comparison->stamp, each, cpu, turn) *
               workload->page_size;
}

/* Returns whether the known bug explains what the secondary has that is out of date: TEXT. */
static bool is_known(const struct comparison *comparison, const char *text)
{
    return godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_COLO_STALE,
                                                             .source = comparison->vm[0],
                                                             .destination = comparison->vm[1],
                                                             .text = text}) != NULL;
}

/* Puts into the secondary's mailboxes that a known bug has left out of date what must be in them.
 * ORDER has what its bytes show. Sets *STALE if there are such mailboxes. */
static bool mend(const struct comparison *comparison, const struct godwit_page_order_result *order,
                 bool *stale, GError **error)
{
    struct godwit_vm *primary = comparison->vm[0], *secondary = comparison->vm[1];
    const struct godwit_setup *setup = primary->testbed->setup;
    const bool big = setup->machine->big_endian;
    const uint64_t each = comparison->stamp.pages / comparison->stamp.cpus;
    for (unsigned cpu = 0; cpu < comparison->stamp.cpus; cpu++) {
        struct godwit_mailbox here, there;
        if (!godwit_memory_mailbox(primary, cpu, &here, error) ||
            !godwit_memory_mailbox(secondary, cpu, &there, error))
            return false;
        uint64_t pages;
        if (!count_pages(comparison, cpu, &here, &there, &order[cpu], &pages, error))
            return false;
        if (written_by(comparison, cpu, &there, false) >= pages ||
            !is_known(comparison, "a mailbox that is"))
            continue;
        const uint64_t position = place_of(comparison, cpu, pages);
        const uint64_t raw[] = {big ? GUINT64_TO_BE(pages / each) : GUINT64_TO_LE(pages / each),
                                big ? GUINT64_TO_BE(position) : GUINT64_TO_LE(position)};
        if (!godwit_memory_write(secondary,
                                 setup->image->mailbox + cpu * (uint64_t)GODWIT_MAILBOX_STRIDE +
                                     GODWIT_MAILBOX_OFF_PASSES,
                                 raw, sizeof(raw), error))
            return false;
        *stale = true;
    }
    return true;
}

/* Judges the secondary's window. Mailboxes that a known bug may have left out of date must be as
 * the memory requires; then the rest is judged. */
static bool look_at_secondary(const struct comparison *comparison, struct godwit_reading *reading,
                              GError **error)
{
    g_autoptr(GError) wrong = NULL;
    bool stale = false;
    if (godwit_oracle_look(comparison->vm[1], reading, &wrong))
        return true;
    if (wrong->code == GODWIT_ERROR_ORACLE && !mend(comparison, reading->order, &stale, error))
        return false;
    if (stale)
        return godwit_oracle_look(comparison->vm[1], reading, error);
    g_propagate_error(error, g_steal_pointer(&wrong));
    return false;
}

bool godwit_colo_compare(struct godwit_vm *primary, struct godwit_vm *secondary,
                         struct godwit_reading reading[2], bool *compared, GError **error)
{
    const struct godwit_workload *workload = &primary->testbed->setup->workload;
    struct comparison comparison = {
        .vm = {primary, secondary}, .workload = workload, .stamp = godwit_stamp_of(workload)};
    *compared = true;
    if (!godwit_oracle_look(primary, &reading[0], error) ||
        !look_at_secondary(&comparison, &reading[1], error))
        return false;
    if (!godwit_oracle_judges(primary->testbed, GODWIT_ORACLE_TWIN))
        return true;
    if (!godwit_memory_map(primary, error) || !godwit_memory_map(secondary, error) ||
        !locate(&comparison, error))
        return false;
    set_progress(&comparison, reading);
    *compared = comparison.excused < comparison.stamp.pages;
    if (primary->blocks->len != secondary->blocks->len)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: the primary has %u RAM blocks, the secondary %u",
                           primary->blocks->len, secondary->blocks->len);
    for (guint i = 0; i < primary->blocks->len; i++)
        if (!compare_block(&comparison, &g_array_index(primary->blocks, struct godwit_block, i),
                           error))
            return false;
    return true;
}

/* Returns how many pages of CPU are not as its mailbox requires, and in *LAST the last of them.
 * Sets *BEHIND to false if one of them is something else than a page that lacks all or some of the
 * last writes to it. */
static unsigned count_wrong(const struct comparison *comparison, unsigned cpu,
                            const unsigned char *window, uint32_t *last, bool *behind)
{
    const struct godwit_workload *workload = comparison->workload;
    const struct godwit_setup *setup = comparison->vm[1]->testbed->setup;
    const struct godwit_stamp *stamp = &comparison->stamp;
    const bool big = setup->machine->big_endian;
    const bool halves = setup->image->stamp_store < sizeof(uint64_t);
    struct godwit_mailbox mailbox;
    struct godwit_stamp_account account;
    unsigned wrong = 0;
    if (!godwit_memory_mailbox(comparison->vm[1], cpu, &mailbox, NULL) ||
        !godwit_stamp_account(stamp, cpu, workload->window_start, mailbox.passes, mailbox.position,
                              &account)) {
        *behind = false;
        return 0;
    }
    for (uint32_t page = cpu; page < stamp->pages; page += stamp->cpus) {
        const unsigned char *bytes = window + (uint64_t)page * workload->page_size;
        struct godwit_stamp_finding finding;
        if (godwit_stamp_check_page(stamp, page, bytes, big, halves, &account, &finding))
            continue;
        /* At its turn, a page may be as it was before, or half written. */
        const struct godwit_stamp_account then = {finding.generation - 1,
                                                  godwit_stamp_turn_of(stamp, page)};
        *behind &= finding.generation > 0 &&
                   godwit_stamp_check_page(stamp, page, bytes, big, halves, &then, &finding);
        *last = page;
        wrong++;
    }
    return wrong;
}

char *godwit_colo_lost_page(struct godwit_vm *primary, struct godwit_vm *secondary)
{
    const struct godwit_workload *workload = &primary->testbed->setup->workload;
    const struct comparison comparison = {
        .vm = {primary, secondary}, .workload = workload, .stamp = godwit_stamp_of(workload)};
    const uint64_t length = workload->window_end - workload->window_start;
    g_autofree unsigned char *window = g_malloc(length);
    uint32_t page = 0;
    unsigned total = 0;
    bool behind = true;
    if (!(workload->flags & GODWIT_FLAG_STAMP) || secondary->exited ||
        !godwit_memory_read(secondary, workload->window_start, window, length, NULL))
        return NULL;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const unsigned wrong = count_wrong(&comparison, cpu, window, &page, &behind);
        if (wrong > 1)
            return NULL;
        total += wrong;
    }
    return total && behind ? g_strdup_printf("page %u of its window", page) : NULL;
}
