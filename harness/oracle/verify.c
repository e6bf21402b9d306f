/*
 * Finds a guest in a stream and judges it.
 *
 * The search goes from the RAM block with a mailbox to the parameter block, and from that to the
 * machine whose RAM has room for the window. Then the window is read once, piece by piece. Every
 * value is checked before it is used, because the stream may be damaged or malicious. The size of
 * the stream and MOST_WINDOW bound the work. The stream's size is not enough: a window in a
 * mapped-ram file can be far larger than the file, because pages that are not in it are zero.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/verify.h"

#include "guest/image.h"
#include "oracle/oracle.h"
#include "oracle/stamp.h"

#include <inttypes.h>
#include <string.h>

#define HEX "0x%" PRIx64

/* A larger window is not judged. */
#define MOST_WINDOW ((uint64_t)64 << 30)

/* No guest stamps larger pages. This bounds the buffer for one page. */
#define MOST_STAMPED_PAGE (64u << 20)

/* Bytes of the window that are read at once: not less than any page of a stream, so that none is
 * decoded twice. */
#define PIECE (64u << 10)

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

/* Finds the block that has a mailbox where a guest's RAM has its first one. Sets the guest's byte
 * order accordingly. */
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

/* Takes the parameter block at BYTES. Returns false if there is none or it does not fit the guest's
 * RAM. Older versions are accepted, because streams outlive versions: the fields used here have not
 * moved since version 1. */
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
    if (workload.page_size < 8 || workload.cpus > GODWIT_MAX_CPUS || step > UINT32_MAX ||
        start >= end || end - start > guest->ram->length || end - start > MOST_WINDOW ||
        (end - start) % step)
        return false;
    if ((workload.flags & GODWIT_FLAG_STAMP) &&
        (godwit_workload_stamp_wrong(&workload) || workload.page_size > MOST_STAMPED_PAGE))
        return false;
    guest->workload = workload;
    return true;
}

struct search {
    const struct godwit_stream_memory_block *block;
    struct godwit_stream_guest *guest;
    uint8_t *content; /* of one page */
    bool found;
};

/* Searches one page for the parameter block, unless all of its bytes are the same. Returns true,
 * which ends the traversal, if it is there. */
static gboolean search_page(gpointer number, gpointer value, gpointer data)
{
    const struct godwit_stream_memory_page *page = value;
    struct search *search = data;
    (void)number;
    if (!page->known || (page->form == GODWIT_STREAM_MEMORY_FILLED && !page->changes))
        return false;
    godwit_stream_memory_content(search->block, page, search->content);
    for (size_t at = 0; !search->found && at + GODWIT_PARAMS_SIZE <= search->block->page_size;
         at += 8)
        search->found = take_parameters(search->content + at, search->guest);
    return search->found;
}

/* Finds the parameter block, in any RAM block: the guest image may be in RAM, in ROM, or in several
 * places. */
static bool find_parameters(const struct godwit_stream_memory *memory,
                            struct godwit_stream_guest *guest, GError **error)
{
    for (guint i = 0; i < memory->blocks->len; i++) {
        const struct godwit_stream_memory_block *block = g_ptr_array_index(memory->blocks, i);
        g_autofree uint8_t *content = g_malloc(block->page_size);
        struct search search = {.block = block, .guest = guest, .content = content};
        g_tree_foreach(block->pages, search_page, &search);
        if (search.found)
            return true;
    }
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "the stream has a Godwit guest's mailbox, but no matching parameter block");
}

/* Returns true if byte order and window fit the machine, with the block that was found as its RAM.
 * Behind a gap of RAM, the window is where it is if Godwit has started the machine. */
static bool fits(const struct godwit_machine *machine, const struct godwit_stream_guest *guest)
{
    const struct godwit_workload *workload = &guest->workload;
    return machine->big_endian == guest->big_endian &&
           workload->window_start >= machine->ram_base + GODWIT_WINDOW_OFFSET &&
           godwit_workload_ram_offset(workload, machine) <=
               guest->ram->length - (workload->window_end - workload->window_start);
}

static bool find_base(const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                      GError **error)
{
    const uint64_t start = guest->workload.window_start, end = guest->workload.window_end;
    if (machine) {
        guest->ram_base = machine->ram_base;
        guest->window_offset = godwit_workload_ram_offset(&guest->workload, machine);
        if (fits(machine, guest))
            return true;
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "this is not a guest of %s: its window " HEX "-" HEX
                           " is not in that machine's RAM, or its byte order differs",
                           machine->arch, start, end);
    }
    const struct godwit_machine *found = NULL;
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const struct godwit_machine *other = godwit_machine_at(i);
        if (!fits(other, guest))
            continue;
        const uint64_t offset = godwit_workload_ram_offset(&guest->workload, other);
        if (found && (found->ram_base != other->ram_base || guest->window_offset != offset))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "the window " HEX "-" HEX " could be in the RAM of %s and of %s: "
                               "choose one with --arch",
                               start, end, found->arch, other->arch);
        found = other;
        guest->window_offset = offset;
    }
    if (!found)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "the window " HEX "-" HEX " is not in the RAM of any known machine",
                           start, end);
    guest->ram_base = found->ram_base;
    return true;
}

/* Takes the window's next bytes. Returns false to end the walk. */
typedef bool take_piece(void *data, const unsigned char *bytes, size_t length);

/* Reads the window once and passes it to TAKE. */
static bool walk_window(const struct godwit_stream_guest *guest, take_piece *take, void *data,
                        GError **error)
{
    const struct godwit_workload *workload = &guest->workload;
    const uint64_t length = workload->window_end - workload->window_start;
    const uint64_t at = guest->window_offset;
    g_autofree unsigned char *buffer = g_malloc(PIECE);
    bool wanted = true;
    for (uint64_t done = 0; wanted && done < length;) {
        /* Pieces end where pages do. */
        const size_t size = (size_t)MIN(PIECE - (at + done) % PIECE, length - done);
        if (!godwit_stream_memory_read(guest->ram, at + done, buffer, size, error))
            return false;
        wanted = take(data, buffer, size);
        done += size;
    }
    return true;
}

/* The checks of page order, one for each CPU's stripe. */
struct stripes {
    struct godwit_page_order check[GODWIT_MAX_CPUS];
    unsigned cpus;
};

static bool feed_stripes(void *data, const unsigned char *bytes, size_t length)
{
    struct stripes *stripes = data;
    bool wanted = false;
    for (unsigned cpu = 0; cpu < stripes->cpus; cpu++) {
        godwit_page_order_feed(&stripes->check[cpu], bytes, length);
        wanted = wanted || !stripes->check[cpu].result.has_next;
    }
    return wanted;
}

/* Judges page order and position of one CPU, whose stripe has been read. */
static bool judge_stripe(struct godwit_stream_guest *guest, struct godwit_page_order *check,
                         unsigned cpu, GError **error)
{
    const struct godwit_workload stripe = godwit_workload_stripe(&guest->workload, cpu);
    char text[320];
    godwit_page_order_finish(check);
    guest->order[cpu] = check->result;
    bool good = check->result.rule == GODWIT_PAGE_ORDER_HOLDS;
    if (!good)
        godwit_page_order_format(&check->result, text, sizeof(text));
    else if (!read_mailbox(guest, cpu, &guest->mailbox[cpu], error))
        return false;
    else
        good = godwit_oracle_position(&stripe, &check->result, &guest->mailbox[cpu], text,
                                      sizeof(text));
    return good || godwit_fail(error, GODWIT_ERROR_ORACLE, "CPU %u: %s", cpu, text);
}

/* Judges a window of the workload `order`. */
static bool judge_order(struct godwit_stream_guest *guest, GError **error)
{
    const struct godwit_workload *workload = &guest->workload;
    g_autofree struct stripes *stripes = g_new0(struct stripes, 1);
    stripes->cpus = workload->cpus;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const struct godwit_page_order_window window = {
            .start = workload->window_start,
            .length = workload->window_end - workload->window_start,
            .page_size = (uint64_t)workload->page_size * workload->cpus,
            .offset = (uint64_t)workload->page_size * cpu,
        };
        godwit_page_order_init(&stripes->check[cpu], &window);
        if (workload->flags & GODWIT_FLAG_STAGGER)
            godwit_page_order_stagger(&stripes->check[cpu]);
    }
    if (!walk_window(guest, feed_stripes, stripes, error))
        return false;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        if (!judge_stripe(guest, &stripes->check[cpu], cpu, error))
            return false;
    return true;
}

static bool feed_stamp(void *walk, const unsigned char *bytes, size_t length)
{
    godwit_stamp_walk_feed(walk, bytes, length);
    return true;
}

/* Judges a window of the workload `stamp`. The stream does not reveal whether this guest image
 * stores a word in two halves, so a half-written word is accepted. */
static bool judge_stamp(struct godwit_stream_guest *guest, GError **error)
{
    const struct godwit_workload *workload = &guest->workload;
    struct godwit_stamp_walk walk;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        if (!read_mailbox(guest, cpu, &guest->mailbox[cpu], error))
            return false;
    g_autofree char *impossible =
        godwit_stamp_walk_begin(&walk, workload, guest->big_endian, true, guest->mailbox);
    if (!impossible && !walk_window(guest, feed_stamp, &walk, error)) {
        g_free(walk.partial);
        return false;
    }
    g_autofree char *wrong = godwit_stamp_walk_end(&walk);
    guest->stamped = !impossible && !wrong ? walk.stamp.pages : 0;
    return guest->stamped ||
           godwit_fail(error, GODWIT_ERROR_ORACLE, "%s", impossible ? impossible : wrong);
}

bool godwit_stream_verify(const struct godwit_stream_memory *memory,
                          const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                          GError **error)
{
    memset(guest, 0, sizeof(*guest));
    if (!find_ram(memory, guest, error) || !find_parameters(memory, guest, error) ||
        !find_base(machine, guest, error))
        return false;
    if (guest->workload.flags & GODWIT_FLAG_STAMP)
        return judge_stamp(guest, error);
    return judge_order(guest, error);
}
