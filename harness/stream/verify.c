/* SPDX-License-Identifier: MIT */
#include "stream/verify.h"

#include "oracle/oracle.h"
#include "vm/image.h"

#include <inttypes.h>
#include <string.h>

#define HEX "0x%" PRIx64

static bool read_mailbox(const struct godwit_stream_guest *guest, unsigned cpu,
                         struct godwit_mailbox *mailbox, GError **error)
{
    unsigned char bytes[GODWIT_MAILBOX_SIZE];
    if (!godwit_stream_memory_read(guest->ram, GODWIT_MAILBOX_OFFSET + cpu * GODWIT_MAILBOX_STRIDE,
                                   bytes, sizeof(bytes), error))
        return false;
    *mailbox = godwit_guest_mailbox(bytes, guest->big_endian);
    return true;
}

/* The block that has a mailbox where a guest's RAM has its first one, and the guest's byte order.
 */
static bool find_ram(const struct godwit_stream_memory *memory, struct godwit_stream_guest *guest,
                     GError **error)
{
    g_autoptr(GError) unread = NULL;
    for (guint i = 0; i < memory->blocks->len; i++) {
        guest->ram = g_ptr_array_index(memory->blocks, i);
        if (guest->ram->length < GODWIT_WINDOW_OFFSET)
            continue;
        for (int big = 0; big <= 1; big++) {
            guest->big_endian = big;
            g_clear_error(&unread);
            if (read_mailbox(guest, 0, &guest->mailbox[0], &unread) &&
                guest->mailbox[0].magic == GODWIT_MAILBOX_MAGIC)
                return true;
        }
    }
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "no RAM block in the stream has a Godwit guest's mailbox%s%s",
                       unread ? ": " : "", unread ? unread->message : "");
}

/* Whether there is a parameter block at BYTES, one that fits the RAM that was found. Streams
 * outlive versions: what is used here is where it was in the first one. */
static bool take_parameters(const unsigned char *bytes, struct godwit_stream_guest *guest)
{
    const bool big = guest->big_endian;
    const uint32_t version = godwit_guest_get32(bytes + GODWIT_PARAMS_OFF_VERSION, big);
    if (godwit_guest_get32(bytes, big) != GODWIT_PARAMS_MAGIC || version == 0 ||
        version > GODWIT_ABI_VERSION)
        return false;
    const struct godwit_workload workload = godwit_guest_workload(bytes, big);
    const uint64_t start = workload.window_start, end = workload.window_end;
    const uint64_t step = (uint64_t)workload.page_size * workload.cpus;
    if (workload.page_size < 8 || workload.cpus > GODWIT_MAX_CPUS || start >= end ||
        end - start > guest->ram->length || (end - start) % step)
        return false;
    guest->workload = workload;
    return true;
}

/* The parameter block, in any RAM block: the image may be in RAM, in ROM, or in several places. */
static bool find_parameters(const struct godwit_stream_memory *memory,
                            struct godwit_stream_guest *guest, GError **error)
{
    for (guint i = 0; i < memory->blocks->len; i++) {
        const struct godwit_stream_memory_block *block = g_ptr_array_index(memory->blocks, i);
        GHashTableIter pages;
        gpointer number, value;
        g_hash_table_iter_init(&pages, block->pages);
        while (g_hash_table_iter_next(&pages, &number, &value)) {
            const struct godwit_stream_memory_page *page = value;
            for (size_t at = 0; page->bytes && at + GODWIT_PARAMS_SIZE <= block->page_size; at += 8)
                if (take_parameters(page->bytes + at, guest))
                    return true;
        }
    }
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "the stream has a Godwit guest's mailbox, but no parameter block that fits");
}

/* Whether the machine's RAM begins where that window fits into the block that was found. */
static bool fits(const struct godwit_machine *machine, const struct godwit_stream_guest *guest)
{
    const struct godwit_workload *workload = &guest->workload;
    return machine->big_endian == guest->big_endian &&
           workload->window_start >= machine->ram_base + GODWIT_WINDOW_OFFSET &&
           workload->window_end <= machine->ram_base + guest->ram->length;
}

static bool find_base(const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                      GError **error)
{
    const uint64_t start = guest->workload.window_start, end = guest->workload.window_end;
    if (machine) {
        guest->ram_base = machine->ram_base;
        if (fits(machine, guest))
            return true;
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "this is no guest of %s: its window " HEX "-" HEX
                           " is not in that machine's RAM, or its byte order is another",
                           machine->arch, start, end);
    }
    const struct godwit_machine *found = NULL;
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const struct godwit_machine *other = godwit_machine_at(i);
        if (!fits(other, guest))
            continue;
        if (found && found->ram_base != other->ram_base)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "the window " HEX "-" HEX " could be in the RAM of %s and of %s: "
                               "say which it is with --arch",
                               start, end, found->arch, other->arch);
        found = other;
    }
    if (!found)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "the window " HEX "-" HEX " is in the RAM of no machine", start, end);
    guest->ram_base = found->ram_base;
    return true;
}

/* Page order of one CPU's stripe, and that its mailbox is of the same instant. */
static bool judge_stripe(struct godwit_stream_guest *guest, unsigned cpu, GError **error)
{
    const struct godwit_workload *workload = &guest->workload;
    const struct godwit_page_order_window window = {
        .start = workload->window_start,
        .length = workload->window_end - workload->window_start,
        .page_size = (uint64_t)workload->page_size * workload->cpus,
        .offset = (uint64_t)workload->page_size * cpu,
    };
    struct godwit_page_order check;
    godwit_page_order_init(&check, &window);
    unsigned char buffer[4096];
    for (uint64_t done = 0; done < window.length && !check.result.has_next;) {
        const size_t size = (size_t)MIN(sizeof(buffer), window.length - done);
        if (!godwit_stream_memory_read(guest->ram, window.start - guest->ram_base + done, buffer,
                                       size, error))
            return false;
        godwit_page_order_feed(&check, buffer, size);
        done += size;
    }
    godwit_page_order_finish(&check);
    guest->order[cpu] = check.result;
    const struct godwit_workload stripe = godwit_workload_stripe(workload, cpu);
    char text[320];
    bool good = check.result.rule == GODWIT_PAGE_ORDER_HOLDS;
    if (!good)
        godwit_page_order_format(&check.result, text, sizeof(text));
    else if (!read_mailbox(guest, cpu, &guest->mailbox[cpu], error))
        return false;
    else
        good = godwit_oracle_position(&stripe, &check.result, &guest->mailbox[cpu], text,
                                      sizeof(text));
    return good || godwit_fail(error, GODWIT_ERROR_ORACLE, "CPU %u: %s", cpu, text);
}

bool godwit_stream_verify(const struct godwit_stream_memory *memory,
                          const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                          GError **error)
{
    memset(guest, 0, sizeof(*guest));
    if (!find_ram(memory, guest, error) || !find_parameters(memory, guest, error) ||
        !find_base(machine, guest, error))
        return false;
    for (unsigned cpu = 0; cpu < guest->workload.cpus; cpu++)
        if (!judge_stripe(guest, cpu, error))
            return false;
    return true;
}
