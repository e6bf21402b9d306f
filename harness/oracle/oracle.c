/* SPDX-License-Identifier: MIT */
#include "oracle/oracle.h"

#include "bugs/bugs.h"
#include "guest/image.h"
#include "oracle/ledger.h"
#include "oracle/pages.h"
#include "oracle/registers.h"
#include "oracle/stamp.h"
#include "qemu/host.h"
#include <string.h>

#define HEX "0x%" G_GINT64_MODIFIER "x"

/* Two buffers of this size stay in the cache of one core; pmemsave has a round trip for each. */
#define CHUNK ((size_t)1 << 20)

/* One VM while its memory goes by. */
struct view {
    struct godwit_vm *vm;
    const struct godwit_block *window_block; /* the block that holds the window ... */
    uint64_t window_offset;                  /* ... and where in it the window begins */
    uint64_t window_length;
    bool stamped;                                    /* the workload is `stamp` ... */
    struct godwit_stamp_walk stamp;                  /* ... and is looked at by this; */
    struct godwit_page_order order[GODWIT_MAX_CPUS]; /* otherwise, of each CPU's stripe */
    bool summed;                                     /* a checksum is wanted, too */
    uint64_t checksum;
    unsigned char *buffer; /* CHUNK bytes; owned */
};

/* What differs between two VMs. */
struct difference {
    uint64_t bytes;
    uint64_t pages;
    const struct godwit_block *block; /* of the first one met ... */
    uint64_t offset;                  /* ... where in it ... */
    unsigned char here, there;        /* ... and what is there, on source and destination */
    bool sizes;                       /* a block is not as large on both, and was not compared */
    bool one_block;                   /* all are in that block, ... */
    uint64_t lowest, highest;         /* ... between these offsets (pieces come in any order) */
};

/* Rotating, so that words which change places change the sum. */
static uint64_t checksum(uint64_t sum, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i + sizeof(uint64_t) <= length; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        sum = ((sum << 1) | (sum >> 63)) + word;
    }
    return sum;
}

/* Reads the mailboxes of all CPUs. */
static bool read_mailboxes(struct godwit_vm *vm, struct godwit_mailbox *mailbox, GError **error)
{
    for (unsigned cpu = 0; cpu < vm->rig->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(vm, cpu, &mailbox[cpu], error))
            return false;
    return true;
}

/* Begins to look at the memory of VM. `stamp` is judged by the account of the VM ACCOUNTANT, which
 * is of the same instant. */
static bool view_begin(struct view *view, struct godwit_vm *vm, struct godwit_vm *accountant,
                       GError **error)
{
    const struct godwit_setup *setup = vm->rig->setup;
    const struct godwit_workload *workload = &setup->workload;
    if (!godwit_memory_map(vm, error))
        return false;
    view->vm = vm;
    view->window_length = workload->window_end - workload->window_start;
    view->window_block = godwit_memory_locate(vm, workload->window_start, view->window_length,
                                              &view->window_offset, error);
    if (!view->window_block)
        return false;
    view->stamped = workload->flags & GODWIT_FLAG_STAMP;
    if (view->stamped) {
        struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
        if (!read_mailboxes(accountant, mailbox, error))
            return false;
        g_autofree char *wrong =
            godwit_stamp_walk_begin(&view->stamp, workload, setup->machine->big_endian,
                                    setup->image->stamp_store < sizeof(uint64_t), mailbox);
        if (wrong)
            return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: %s", accountant->name, wrong);
    }
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const struct godwit_page_order_window window = {
            .start = workload->window_start,
            .length = view->window_length,
            .page_size = workload->page_size * (uint64_t)workload->cpus,
            .offset = workload->page_size * (uint64_t)cpu,
        };
        godwit_page_order_init(&view->order[cpu], &window);
    }
    view->buffer = g_malloc(CHUNK);
    return true;
}

static void view_end(struct view *view)
{
    g_clear_pointer(&view->buffer, g_free);
    g_clear_pointer(&view->stamp.partial, g_free);
}

/* Takes LENGTH bytes of BLOCK that are in the buffer: the window's go to page order or stamp. */
static void view_take(struct view *view, const struct godwit_block *block, uint64_t offset,
                      size_t length)
{
    if (block != view->window_block)
        return;
    const uint64_t start = MAX(offset, view->window_offset);
    const uint64_t end = MIN(offset + length, view->window_offset + view->window_length);
    if (start >= end)
        return;
    const unsigned char *bytes = view->buffer + (start - offset);
    if (view->stamped)
        godwit_stamp_walk_feed(&view->stamp, bytes, (size_t)(end - start));
    for (unsigned cpu = 0; !view->stamped && cpu < view->vm->rig->setup->workload.cpus; cpu++)
        godwit_page_order_feed(&view->order[cpu], bytes, (size_t)(end - start));
    if (view->summed)
        view->checksum = checksum(view->checksum, bytes, (size_t)(end - start));
}

bool godwit_oracle_position(const struct godwit_workload *workload,
                            const struct godwit_page_order_result *order,
                            const struct godwit_mailbox *mailbox, char *text, size_t size)
{
    const uint64_t pages = godwit_workload_pages(workload);
    const uint64_t range = pages * 256;
    const uint64_t at = mailbox->position - workload->window_start;
    if (mailbox->magic != GODWIT_MAILBOX_MAGIC) {
        snprintf(text, size, "there is no mailbox: its magic is 0x%08" PRIx32, mailbox->magic);
        return false;
    }
    if (mailbox->position < workload->window_start || mailbox->position > workload->window_end ||
        at % workload->page_size) {
        snprintf(text, size, "the mailbox's position 0x%" PRIx64 " is no page of the window",
                 mailbox->position);
        return false;
    }
    /* Increments since the start, modulo the point where the bytes wrap: by memory, and by the
     * mailbox. */
    const uint64_t done =
        order->has_edge ? order->base * pages +
                              (order->edge_address - workload->window_start) / workload->page_size
                        : order->base * pages;
    const uint64_t account = (mailbox->passes % 256) * pages + at / workload->page_size;
    const uint64_t ahead = (done + range - account % range) % range;
    /* At the window's end no increment comes next, and the pass may be counted already. */
    if (ahead == 0 ||
        (mailbox->position == workload->window_end ? ahead == range - pages : ahead == 1))
        return true;
    snprintf(text, size,
             "memory and CPU are not of one instant: by its bytes the guest is at page %" PRIu64
             " of pass %" PRIu64 " (mod 256), by its mailbox at page %" PRIu64 " of pass %" PRIu64,
             done % pages, done / pages % 256, at / workload->page_size, mailbox->passes);
    return false;
}

/* Sets ERROR to what ORACLE has found wrong with the memory of one of a VM's CPUs. Always false. */
static bool broken(struct godwit_vm *vm, enum godwit_oracle oracle, unsigned cpu, const char *text,
                   GError **error)
{
    godwit_oracle_accuse(vm->rig, oracle, vm->name);
    if (vm->rig->setup->workload.cpus > 1)
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: CPU %u: %s", vm->name, cpu, text);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: %s", vm->name, text);
}

/* Notes how far the guest has come with checking itself, if it does: each increment is one byte
 * that it has compared, or a whole page of a stamped one. */
static void count_checked(const struct godwit_vm *vm, const struct godwit_reading *reading)
{
    const struct godwit_workload *workload = &vm->rig->setup->workload;
    uint64_t bytes = 0;
    if (!(workload->flags & GODWIT_FLAG_VERIFY))
        return;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        bytes += reading->mailbox[cpu].passes * (godwit_workload_pages(workload) / workload->cpus);
    if (workload->flags & GODWIT_FLAG_STAMP)
        bytes *= workload->page_size;
    godwit_oracle_count_all(vm->rig, GODWIT_ORACLE_GUEST, "bytes", bytes);
}

/* What of a mailbox position compares. */
#define POSITION_BYTES (sizeof(uint64_t) + sizeof(uint64_t))

/* The same of a guest with the workload `stamp`, which position is a part of. */
static bool stamp_judge(struct view *view, struct godwit_reading *reading, GError **error)
{
    struct godwit_vm *vm = view->vm;
    g_autofree char *wrong = godwit_stamp_walk_end(&view->stamp);
    if (godwit_oracle_judges(vm->rig, GODWIT_ORACLE_STAMP)) {
        godwit_oracle_count(vm->rig, GODWIT_ORACLE_STAMP, "pages", view->stamp.stamp.pages);
        godwit_oracle_count(vm->rig, GODWIT_ORACLE_STAMP, "bytes", view->window_length);
        if (wrong) {
            godwit_pages_alone(vm);
            return broken(vm, GODWIT_ORACLE_STAMP, 0, wrong, error);
        }
    }
    if (!read_mailboxes(vm, reading->mailbox, error))
        return false;
    count_checked(vm, reading);
    return true;
}

/* Judges what one VM's walk has gathered; of POSITION only if its mailboxes can be trusted. */
static bool view_judge(struct view *view, struct godwit_reading *reading, bool position,
                       GError **error)
{
    struct godwit_vm *vm = view->vm;
    const struct godwit_workload *workload = &vm->rig->setup->workload;
    const bool by_order = godwit_oracle_judges(vm->rig, GODWIT_ORACLE_PAGE_ORDER);
    const bool by_position = position && godwit_oracle_judges(vm->rig, GODWIT_ORACLE_POSITION);
    char text[320];
    reading->checksum = view->checksum;
    if (view->stamped)
        return stamp_judge(view, reading, error);
    if (by_order)
        godwit_oracle_count(vm->rig, GODWIT_ORACLE_PAGE_ORDER, "bytes", view->window_length);
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        struct godwit_page_order *order = &view->order[cpu];
        const bool holds = godwit_page_order_finish(order) == GODWIT_PAGE_ORDER_HOLDS;
        reading->order[cpu] = order->result;
        if (!by_order)
            continue;
        godwit_oracle_count(vm->rig, GODWIT_ORACLE_PAGE_ORDER, "pages", order->result.pages);
        if (!holds) {
            godwit_page_order_format(&order->result, text, sizeof(text));
            godwit_pages_alone(vm);
            return broken(vm, GODWIT_ORACLE_PAGE_ORDER, cpu, text, error);
        }
    }
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const struct godwit_page_order_result *order = &reading->order[cpu];
        const struct godwit_workload stripe = godwit_workload_stripe(workload, cpu);
        if (!godwit_memory_mailbox(vm, cpu, &reading->mailbox[cpu], error))
            return false;
        /* Memory that is not in order has no edge that could agree with anything. */
        if (!by_position || order->rule != GODWIT_PAGE_ORDER_HOLDS)
            continue;
        godwit_oracle_count(vm->rig, GODWIT_ORACLE_POSITION, "bytes", POSITION_BYTES);
        if (!godwit_oracle_position(&stripe, order, &reading->mailbox[cpu], text, sizeof(text))) {
            godwit_pages_alone(vm);
            return broken(vm, GODWIT_ORACLE_POSITION, cpu, text, error);
        }
    }
    count_checked(vm, reading);
    return !by_position || godwit_oracle_registers(vm, reading->mailbox, error);
}

/* Reads the window of one VM into a fresh view. */
static bool walk_window(struct godwit_vm *vm, struct view *view, GError **error)
{
    if (!view_begin(view, vm, vm, error))
        return false;
    view->summed = true;
    for (uint64_t done = 0; done < view->window_length;) {
        const size_t length = (size_t)MIN(CHUNK, view->window_length - done);
        const uint64_t offset = view->window_offset + done;
        if (!godwit_memory_read_block(vm, view->window_block, offset, view->buffer, length, error))
            return false;
        view_take(view, view->window_block, offset, length);
        done += length;
    }
    return true;
}

/* The first CPU whose mailbox is not as it was any more, or their number; what it is in *NOW. */
static bool find_moved(struct godwit_vm *vm, const struct godwit_reading *before, unsigned *cpu,
                       struct godwit_mailbox *now, GError **error)
{
    for (*cpu = 0; *cpu < vm->rig->setup->workload.cpus; ++*cpu) {
        if (!godwit_memory_mailbox(vm, *cpu, now, error))
            return false;
        if (memcmp(now, &before->mailbox[*cpu], sizeof(*now)) != 0)
            break;
    }
    return true;
}

/* The oracle of the window's bytes that judges, and stillness with it; GODWIT_ORACLES if none does.
 */
static enum godwit_oracle memory_oracle(const struct godwit_rig *rig)
{
    static const enum godwit_oracle both[] = {GODWIT_ORACLE_PAGE_ORDER, GODWIT_ORACLE_STAMP};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++)
        if (godwit_oracle_judges(rig, both[i]))
            return both[i];
    return GODWIT_ORACLES;
}

/* Pages that a guest could write between the two looks at it, if it ran. */
#define STILL_PAGES 4

/* How long the guest takes for a page: as it was told to, or as it did last. In microseconds. */
static double page_time(const struct godwit_vm *vm)
{
    const struct godwit_setup *setup = vm->rig->setup;
    const struct godwit_workload *workload = &setup->workload;
    const double measured = vm->console
                                ? (double)vm->console->interval / workload->passes_per_report *
                                      workload->cpus / (double)godwit_workload_pages(workload)
                                : 0;
    if (!workload->page_ticks)
        return measured;
    const uint64_t hz =
        setup->machine->timer_hz ? setup->machine->timer_hz : godwit_host_timer_hz();
    return hz ? MAX(measured, (double)workload->page_ticks * G_USEC_PER_SEC / (double)hz)
              : measured;
}

/* Waits until a guest that runs, although it should stand still, would have moved since BEGAN. */
static bool let_it_move(struct godwit_vm *vm, gint64 began, GError **error)
{
    const double left = STILL_PAGES * page_time(vm) - (double)(g_get_monotonic_time() - began);
    return left <= 0 || godwit_rig_rest(vm->rig, (guint)(left / 1000) + 1,
                                        "a guest that should stand still to move", error);
}

bool godwit_oracle_look(struct godwit_vm *vm, struct godwit_reading *reading, GError **error)
{
    struct view first = {0}, second = {0};
    struct godwit_mailbox again;
    unsigned moved = 0;
    bool good = walk_window(vm, &first, error) && view_judge(&first, reading, true, error) &&
                let_it_move(vm, g_get_monotonic_time(), error) && walk_window(vm, &second, error) &&
                find_moved(vm, reading, &moved, &again, error);
    const unsigned cpus = vm->rig->setup->workload.cpus;
    const enum godwit_oracle oracle = memory_oracle(vm->rig);
    if (good && oracle != GODWIT_ORACLES && (first.checksum != second.checksum || moved < cpus)) {
        const unsigned cpu = MIN(moved, cpus - 1);
        char text[128];
        snprintf(text, sizeof(text),
                 "its memory changes although it is stopped (position 0x%" PRIx64
                 ", then 0x%" PRIx64 ")",
                 reading->mailbox[cpu].position, again.position);
        good = broken(vm, oracle, cpu, text, error);
    }
    view_end(&first);
    view_end(&second);
    return good;
}

static void note_difference(struct difference *difference, const struct godwit_block *block,
                            uint64_t offset, const unsigned char *here, const unsigned char *there,
                            size_t length, size_t page_size)
{
    for (size_t page = 0; page < length; page += page_size) {
        const size_t size = MIN(page_size, length - page);
        if (!memcmp(here + page, there + page, size))
            continue;
        difference->pages++;
        for (size_t i = page; i < page + size; i++) {
            if (here[i] == there[i])
                continue;
            difference->one_block =
                difference->bytes == 0 || (difference->one_block && difference->block == block);
            difference->highest = MAX(difference->highest, offset + i);
            difference->lowest =
                difference->bytes ? MIN(difference->lowest, offset + i) : offset + i;
            if (difference->bytes++ == 0) {
                difference->block = block;
                difference->offset = offset + i;
                difference->here = here[i];
                difference->there = there[i];
            }
        }
    }
}

/* Compares [offset, offset + length) of a block that both VMs have. */
static bool compare(struct view *source, struct view *destination, const struct godwit_block *here,
                    const struct godwit_block *there, uint64_t offset, uint64_t length,
                    struct difference *difference, GError **error)
{
    const size_t page_size = source->vm->rig->setup->workload.page_size;
    /* Whole pages, as far as a buffer holds any: pages that differ are counted. */
    const size_t chunk = page_size < CHUNK ? CHUNK - CHUNK % page_size : CHUNK;
    for (const uint64_t end = offset + length; offset < end;) {
        const size_t size = (size_t)MIN(chunk, end - offset);
        if (!godwit_memory_read_block(source->vm, here, offset, source->buffer, size, error) ||
            !godwit_memory_read_block(destination->vm, there, offset, destination->buffer, size,
                                      error))
            return false;
        if (memcmp(source->buffer, destination->buffer, size) != 0)
            note_difference(difference, here, offset, source->buffer, destination->buffer, size,
                            page_size);
        view_take(source, here, offset, size);
        view_take(destination, there, offset, size);
        if (godwit_oracle_judges(source->vm->rig, GODWIT_ORACLE_TWIN))
            godwit_oracle_count(source->vm->rig, GODWIT_ORACLE_TWIN, "bytes", size);
        offset += size;
    }
    return true;
}

/* Compares every byte of one block that can be read on both sides, and names it if none can. */
static bool compare_block(struct view *source, struct view *destination,
                          const struct godwit_block *here, struct difference *difference,
                          GError **error)
{
    struct godwit_rig *rig = source->vm->rig;
    const struct godwit_block *there = godwit_memory_block(destination->vm, here->name);
    if (!there || there->length != here->length) {
        difference->sizes = true;
        godwit_oracle_accuse(rig, GODWIT_ORACLE_TWIN, destination->vm->name);
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: RAM block %s has " HEX " bytes on the source and " HEX
                           " on the destination",
                           here->name, here->length, there ? there->length : 0);
    }
    if (godwit_memory_readable(source->vm, here, 0, here->length) &&
        godwit_memory_readable(destination->vm, there, 0, there->length))
        return compare(source, destination, here, there, 0, here->length, difference, error);
    /* Piece by piece, then: pieces are disjoint where QEMU lists a block's RAM, and a byte that two
     * aliases show is merely compared twice. */
    uint64_t seen = 0;
    for (guint i = 0; i < source->vm->pieces->len; i++) {
        const struct godwit_piece *piece =
            &g_array_index(source->vm->pieces, struct godwit_piece, i);
        if (here != &g_array_index(source->vm->blocks, struct godwit_block, piece->block) ||
            !godwit_memory_readable(destination->vm, there, piece->offset, piece->length))
            continue;
        if (!compare(source, destination, here, there, piece->offset, piece->length, difference,
                     error))
            return false;
        seen += piece->length;
    }
    if (seen < here->length) {
        g_autofree char *text = g_strdup_printf(
            "%s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
            " bytes are not mapped in the guest, and this QEMU does not tell where it has them",
            here->name, here->length - seen, here->length);
        json_array_append_new(godwit_json_list(rig->facts, "not_compared"), json_string(text));
    }
    return true;
}

/* Judges what differs. *STALE says whether it is a known bug, by which the destination's mailboxes
 * are old. */
static bool judge_difference(struct godwit_vm *source, struct godwit_vm *destination,
                             const struct difference *difference, bool *stale, GError **error)
{
    const bool judges = godwit_oracle_judges(source->rig, GODWIT_ORACLE_TWIN);
    if (judges)
        godwit_oracle_count(source->rig, GODWIT_ORACLE_TWIN, "different", difference->bytes);
    if (!difference->bytes)
        return true;
    g_autofree char *text =
        g_strdup_printf("twin: %" G_GUINT64_FORMAT " bytes in %" G_GUINT64_FORMAT
                        " pages differ between source and destination, the first at " HEX
                        " of RAM block %s: 0x%02x on the source, 0x%02x on the destination",
                        difference->bytes, difference->pages, difference->offset,
                        difference->block->name, difference->here, difference->there);
    if (judges)
        godwit_pages_twin(source, destination, difference->one_block ? difference->block : NULL,
                          difference->lowest, difference->highest);
    struct godwit_symptom symptom = {.kind = GODWIT_SYMPTOM_MAILBOX,
                                     .source = source,
                                     .destination = destination,
                                     .block = difference->block,
                                     .first = difference->lowest,
                                     .last = difference->highest,
                                     .text = text};
    *stale = difference->one_block && godwit_bug_explain(&symptom);
    symptom.kind = GODWIT_SYMPTOM_WINDOW;
    source->rig->stale |= *stale;
    if (!*stale && difference->one_block && !source->rig->spoiled)
        source->rig->lost = *stale = godwit_bug_explain(&symptom) != NULL;
    symptom.kind = GODWIT_SYMPTOM_SHARED_RAM;
    if (*stale || !judges || (difference->one_block && godwit_bug_explain(&symptom)))
        return true;
    godwit_oracle_accuse(source->rig, GODWIT_ORACLE_TWIN, destination->name);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s", text);
}

bool godwit_oracle_twin(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_reading *reading, GError **error)
{
    struct view here = {0}, there = {0};
    struct difference difference = {0};
    struct godwit_reading twin = {0};
    bool good =
        view_begin(&here, source, source, error) && view_begin(&there, destination, source, error);
    if (good && source->blocks->len != destination->blocks->len) {
        godwit_oracle_accuse(source->rig, GODWIT_ORACLE_TWIN, destination->name);
        good = godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: the source has %u RAM blocks, the destination %u",
                           source->blocks->len, destination->blocks->len);
    }
    /* Though the twin is not to judge: the walk is the others', too, and who reads the
     * destination's mailboxes has to know whether they are known to be old. */
    for (guint i = 0; good && i < source->blocks->len; i++)
        good = compare_block(&here, &there, &g_array_index(source->blocks, struct godwit_block, i),
                             &difference, error);
    bool stale = false;
    good = good && judge_difference(source, destination, &difference, &stale, error);
    /* Mailboxes that are known to be stale say nothing of the destination's memory. */
    good = good && view_judge(&here, &twin, true, error) &&
           (source->rig->lost || view_judge(&there, reading, !stale, error));
    memcpy(reading->mailbox, twin.mailbox, sizeof(reading->mailbox));
    reading->sizes = difference.sizes;
    view_end(&here);
    view_end(&there);
    return good;
}
