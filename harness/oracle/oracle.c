/*
 * The oracles that judge the memory of one stopped VM: page order or stamp, position, and
 * stillness. twin.c compares two VMs, and uses the same view for each of them.
 *
 * A view reads the window once, chunk by chunk, and all oracles take its bytes from the same
 * buffer. godwit_oracle_look() walks the window twice, and the second walk must find the same
 * checksum and the same mailboxes, because the guest of a stopped VM must not change memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/oracle_parts.h"

#include "guest/image.h"
#include "oracle/ledger.h"
#include "oracle/pages.h"
#include "oracle/registers.h"
#include "qemu/host.h"
#include <string.h>

/* Adds BYTES to the checksum SUM. The sum rotates, so words that change places change it. */
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
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(vm, cpu, &mailbox[cpu], error))
            return false;
    return true;
}

bool godwit_view_begin(struct view *view, struct godwit_vm *vm, struct godwit_vm *accountant,
                       GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    const struct godwit_workload *workload = &setup->workload;
    if (!godwit_memory_map(vm, error))
        return false;
    view->vm = vm;
    view->accountant = accountant;
    if (setup->theirs) {
        view->buffer = g_malloc(CHUNK);
        return true;
    }
    view->window_length = workload->window_end - workload->window_start;
    view->window = godwit_memory_window(vm, error);
    if (!view->window)
        return false;
    view->stamped = workload->flags & GODWIT_FLAG_STAMP;
    if (view->stamped) {
        struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
        if (!read_mailboxes(accountant, mailbox, error))
            return false;
        g_autofree char *wrong =
            godwit_stamp_walk_begin(&view->stamp, workload, setup->machine->big_endian,
                                    setup->image->stamp_store < sizeof(uint64_t), mailbox);
        if (wrong) {
            godwit_oracle_accuse(vm->testbed, GODWIT_ORACLE_STAMP, accountant->name);
            return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: %s", accountant->name, wrong);
        }
    }
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const struct godwit_page_order_window window = {
            .start = workload->window_start,
            .length = view->window_length,
            .page_size = workload->page_size * (uint64_t)workload->cpus,
            .offset = workload->page_size * (uint64_t)cpu,
        };
        godwit_page_order_init(&view->order[cpu], &window);
        if (workload->flags & GODWIT_FLAG_STAGGER)
            godwit_page_order_stagger(&view->order[cpu]);
    }
    view->buffer = g_malloc(CHUNK);
    return true;
}

void godwit_view_end(struct view *view)
{
    g_clear_pointer(&view->buffer, g_free);
    g_clear_pointer(&view->window, g_array_unref);
    g_clear_pointer(&view->stamp.partial, g_free);
}

/* Takes bytes of the window. */
static void take(struct view *view, const unsigned char *bytes, size_t length)
{
    if (view->stamped)
        godwit_stamp_walk_feed(&view->stamp, bytes, length);
    for (unsigned cpu = 0; !view->stamped && cpu < view->vm->testbed->setup->workload.cpus; cpu++)
        godwit_page_order_feed(&view->order[cpu], bytes, length);
    if (view->summed)
        view->checksum = checksum(view->checksum, bytes, length);
}

void godwit_view_take(struct view *view, const struct godwit_block *block, uint64_t offset,
                      size_t length)
{
    for (guint i = 0; view->window && i < view->window->len; i++) {
        const struct godwit_part *part = &g_array_index(view->window, struct godwit_part, i);
        const uint64_t start = MAX(offset, part->offset);
        const uint64_t end = MIN(offset + length, part->offset + part->length);
        if (block == part->block && start < end)
            take(view, view->buffer + (start - offset), (size_t)(end - start));
    }
}

bool godwit_view_is_like(const struct view *view, const struct view *other)
{
    if (!view->window || !other->window || view->window->len != other->window->len ||
        view->accountant != other->accountant)
        return false;
    for (guint i = 0; i < view->window->len; i++) {
        const struct godwit_part *own = &g_array_index(view->window, struct godwit_part, i);
        const struct godwit_part *its = &g_array_index(other->window, struct godwit_part, i);
        if (strcmp(own->block->name, its->block->name) != 0 || own->offset != its->offset ||
            own->length != its->length)
            return false;
    }
    return true;
}

void godwit_view_follow(struct view *view, const struct view *other)
{
    unsigned char *partial = view->stamp.partial;
    view->stamp = other->stamp;
    view->stamp.partial = partial;
    if (partial)
        memcpy(partial, other->stamp.partial, other->stamp.have);
    memcpy(view->order, other->order, sizeof(view->order));
    view->checksum = other->checksum;
}

bool godwit_oracle_position(const struct godwit_workload *workload,
                            const struct godwit_page_order_result *order,
                            const struct godwit_mailbox *mailbox, char *text, size_t size)
{
    const uint64_t pages = godwit_workload_pages(workload);
    const uint64_t range = pages * 256;
    const uint64_t at = mailbox->position - workload->window_start;
    if (mailbox->magic != GODWIT_MAILBOX_MAGIC) {
        snprintf(text, size, "no mailbox found: its magic is 0x%08" PRIx32, mailbox->magic);
        return false;
    }
    if (mailbox->position < workload->window_start || mailbox->position > workload->window_end ||
        at % workload->page_size) {
        snprintf(text, size, "the mailbox's position 0x%" PRIx64 " is not a page of the window",
                 mailbox->position);
        return false;
    }
    /* The number of increments since the start, modulo the number after which the bytes wrap: DONE
     * by memory, ACCOUNT by the mailbox. */
    const uint64_t done =
        order->has_edge ? order->base * pages +
                              (order->edge_address - workload->window_start) / workload->page_size
                        : order->base * pages;
    const uint64_t account = (mailbox->passes % 256) * pages + at / workload->page_size;
    const uint64_t ahead = (done + range - account % range) % range;
    /* At the window's end there is no next increment, but the mailbox may already count the pass.
     */
    if (ahead == 0 ||
        (mailbox->position == workload->window_end ? ahead == range - pages : ahead == 1))
        return true;
    snprintf(text, size,
             "memory and CPU are not from the same instant: by its bytes the guest is at page "
             "%" PRIu64 " of pass %" PRIu64 " (mod 256), by its mailbox at page %" PRIu64
             " of pass %" PRIu64,
             done % pages, done / pages % 256, at / workload->page_size, mailbox->passes);
    return false;
}

/* Sets ERROR to TEXT, which describes what ORACLE has found wrong in the memory of a VM's CPU
 * number CPU. Returns false. */
static bool broken(struct godwit_vm *vm, enum godwit_oracle oracle, unsigned cpu, const char *text,
                   GError **error)
{
    godwit_oracle_accuse(vm->testbed, oracle, vm->name);
    if (vm->testbed->setup->workload.cpus > 1)
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: CPU %u: %s", vm->name, cpu, text);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: %s", vm->name, text);
}

/* Records how many bytes the guest has checked, if it checks its own memory: for each increment it
 * compares one byte, or a whole page with the workload `stamp`. */
static void count_checked(const struct godwit_vm *vm, const struct godwit_reading *reading)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    uint64_t bytes = 0;
    if (!(workload->flags & GODWIT_FLAG_VERIFY))
        return;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        bytes += reading->mailbox[cpu].passes * (godwit_workload_pages(workload) / workload->cpus);
    if (workload->flags & GODWIT_FLAG_STAMP)
        bytes *= workload->page_size;
    godwit_oracle_count_all(vm->testbed, GODWIT_ORACLE_GUEST, GODWIT_UNIT_BYTES, bytes);
}

/* Bytes of a mailbox that the position oracle compares: passes and position. */
#define POSITION_BYTES (sizeof(uint64_t) + sizeof(uint64_t))

/* Implements godwit_view_judge() for the workload `stamp`, which includes the position. */
static bool stamp_judge(struct view *view, struct godwit_reading *reading, GError **error)
{
    struct godwit_vm *vm = view->vm;
    g_autofree char *wrong = godwit_stamp_walk_end(&view->stamp);
    if (godwit_oracle_judges(vm->testbed, GODWIT_ORACLE_STAMP)) {
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_STAMP, GODWIT_UNIT_PAGES,
                            view->stamp.stamp.pages);
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_STAMP, GODWIT_UNIT_BYTES,
                            view->window_length);
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

bool godwit_view_judge(struct view *view, struct godwit_reading *reading, bool position,
                       GError **error)
{
    struct godwit_vm *vm = view->vm;
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    /* Only Godwit's guest has a window and mailboxes. After a reset they mean nothing: its CPUs are
     * elsewhere, and firmware or a device tree may have been loaded into the window. */
    if (vm->testbed->setup->theirs || vm->was_reset)
        return true;
    const bool by_order = godwit_oracle_judges(vm->testbed, GODWIT_ORACLE_PAGE_ORDER);
    const bool by_position = position && godwit_oracle_judges(vm->testbed, GODWIT_ORACLE_POSITION);
    char text[320];
    reading->checksum = view->checksum;
    if (view->stamped)
        return stamp_judge(view, reading, error);
    if (by_order)
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_PAGE_ORDER, GODWIT_UNIT_BYTES,
                            view->window_length);
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        struct godwit_page_order *order = &view->order[cpu];
        const bool holds = godwit_page_order_finish(order) == GODWIT_PAGE_ORDER_HOLDS;
        reading->order[cpu] = order->result;
        if (!by_order)
            continue;
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_PAGE_ORDER, GODWIT_UNIT_PAGES,
                            order->result.pages);
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
        /* Memory that is not in order has no edge to compare with the mailbox. */
        if (!by_position || order->rule != GODWIT_PAGE_ORDER_HOLDS)
            continue;
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_POSITION, GODWIT_UNIT_BYTES, POSITION_BYTES);
        if (!godwit_oracle_position(&stripe, order, &reading->mailbox[cpu], text, sizeof(text))) {
            godwit_pages_alone(vm);
            return broken(vm, GODWIT_ORACLE_POSITION, cpu, text, error);
        }
    }
    count_checked(vm, reading);
    return !by_position || godwit_oracle_registers(vm, reading->mailbox, error);
}

/* Reads the window of VM once, into VIEW, which must be zeroed. */
static bool walk_window(struct godwit_vm *vm, struct view *view, GError **error)
{
    if (!godwit_view_begin(view, vm, vm, error))
        return false;
    view->summed = true;
    for (guint i = 0; i < view->window->len; i++) {
        const struct godwit_part *part = &g_array_index(view->window, struct godwit_part, i);
        for (uint64_t done = 0; done < part->length;) {
            const size_t length = (size_t)MIN(CHUNK, part->length - done);
            if (!godwit_memory_read_block(vm, part->block, part->offset + done, view->buffer,
                                          length, error))
                return false;
            take(view, view->buffer, length);
            done += length;
        }
    }
    return true;
}

/* Finds the first CPU whose mailbox has changed since BEFORE. Sets *CPU to it and *NOW to its
 * mailbox, or *CPU to the number of CPUs if none has. */
static bool find_moved(struct godwit_vm *vm, const struct godwit_reading *before, unsigned *cpu,
                       struct godwit_mailbox *now, GError **error)
{
    for (*cpu = 0; *cpu < vm->testbed->setup->workload.cpus; ++*cpu) {
        if (!godwit_memory_mailbox(vm, *cpu, now, error))
            return false;
        if (memcmp(now, &before->mailbox[*cpu], sizeof(*now)) != 0)
            break;
    }
    return true;
}

/* Returns page order or stamp, whichever is switched on. It also judges stillness. Returns
 * GODWIT_ORACLES if both are off. */
static enum godwit_oracle memory_oracle(const struct godwit_testbed *testbed)
{
    static const enum godwit_oracle both[] = {GODWIT_ORACLE_PAGE_ORDER, GODWIT_ORACLE_STAMP};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++)
        if (godwit_oracle_judges(testbed, both[i]))
            return both[i];
    return GODWIT_ORACLES;
}

/* A guest that wrongly runs must have time to write this many pages between the two walks. */
#define STILL_PAGES 4

/* Returns how long the guest takes for a page, in microseconds: its configured page_ticks, or the
 * time measured last if that is longer. */
static double page_time(const struct godwit_vm *vm)
{
    const struct godwit_setup *setup = vm->testbed->setup;
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

/* Waits until a guest that wrongly runs would have moved since BEGAN. */
static bool let_it_move(struct godwit_vm *vm, gint64 began, GError **error)
{
    const double left = STILL_PAGES * page_time(vm) - (double)(g_get_monotonic_time() - began);
    return left <= 0 || godwit_testbed_rest(vm->testbed, (guint)(left / 1000) + 1,
                                            "a stopped guest to change its memory", error);
}

bool godwit_oracle_look(struct godwit_vm *vm, struct godwit_reading *reading, GError **error)
{
    struct view first = {0}, second = {0};
    struct godwit_mailbox again;
    unsigned moved = 0;
    bool good = walk_window(vm, &first, error) && godwit_view_judge(&first, reading, true, error) &&
                let_it_move(vm, g_get_monotonic_time(), error) && walk_window(vm, &second, error) &&
                find_moved(vm, reading, &moved, &again, error);
    const unsigned cpus = vm->testbed->setup->workload.cpus;
    const enum godwit_oracle oracle = memory_oracle(vm->testbed);
    if (good && oracle != GODWIT_ORACLES && (first.checksum != second.checksum || moved < cpus)) {
        const unsigned cpu = MIN(moved, cpus - 1);
        char text[128];
        snprintf(text, sizeof(text),
                 "its memory changes although the guest is stopped (position 0x%" PRIx64
                 ", then 0x%" PRIx64 ")",
                 reading->mailbox[cpu].position, again.position);
        good = broken(vm, oracle, cpu, text, error);
    }
    godwit_view_end(&first);
    godwit_view_end(&second);
    return good;
}
