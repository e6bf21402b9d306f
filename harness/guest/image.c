/*
 * Guest images and their workload: reads and writes parameter blocks and mailboxes in guest byte
 * order, and checks whether a guest can run a workload. guest_abi.h defines the layouts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/image.h"

#include "base/file.h"
#include "godwit/guest_abi.h"
#include "godwit/page_order.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static void put32(unsigned char *bytes, uint32_t value, bool big_endian)
{
    value = big_endian ? GUINT32_TO_BE(value) : GUINT32_TO_LE(value);
    memcpy(bytes, &value, sizeof(value));
}

static void put64(unsigned char *bytes, uint64_t value, bool big_endian)
{
    value = big_endian ? GUINT64_TO_BE(value) : GUINT64_TO_LE(value);
    memcpy(bytes, &value, sizeof(value));
}

uint32_t godwit_guest_get32(const void *bytes, bool big_endian)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return big_endian ? GUINT32_FROM_BE(value) : GUINT32_FROM_LE(value);
}

uint64_t godwit_guest_get64(const void *bytes, bool big_endian)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return big_endian ? GUINT64_FROM_BE(value) : GUINT64_FROM_LE(value);
}

struct godwit_workload godwit_guest_workload(const void *bytes, bool big_endian)
{
    const unsigned char *block = bytes;
    const bool big = big_endian;
    const uint32_t flags = godwit_guest_get32(block + GODWIT_PARAMS_OFF_FLAGS, big);
    return (struct godwit_workload){
        .window_start = godwit_guest_get64(block + GODWIT_PARAMS_OFF_WINDOW_START, big),
        .window_end = godwit_guest_get64(block + GODWIT_PARAMS_OFF_WINDOW_END, big),
        .page_size = godwit_guest_get32(block + GODWIT_PARAMS_OFF_PAGE_SIZE, big),
        .passes_per_report = godwit_guest_get32(block + GODWIT_PARAMS_OFF_PASSES_PER_REPORT, big),
        .flags = flags & ~(uint32_t)GODWIT_FLAGS_MORE_MASK,
        .page_ticks = godwit_guest_get32(block + GODWIT_PARAMS_OFF_PAGE_TICKS, big),
        .cpus = ((flags & GODWIT_FLAGS_MORE_MASK) >> GODWIT_FLAGS_MORE_SHIFT) + 1,
        .seed = godwit_guest_get64(block + GODWIT_PARAMS_OFF_SEED, big),
    };
}

struct godwit_mailbox godwit_guest_mailbox(const void *bytes, bool big_endian)
{
    const unsigned char *raw = bytes;
    const bool big = big_endian;
    return (struct godwit_mailbox){
        .magic = godwit_guest_get32(raw + GODWIT_MAILBOX_OFF_MAGIC, big),
        .state = godwit_guest_get32(raw + GODWIT_MAILBOX_OFF_STATE, big),
        .passes = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_PASSES, big),
        .position = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_POSITION, big),
        .timer = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_TIMER, big),
        .fault_address = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_FAULT_ADDRESS, big),
        .fault_expected = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_FAULT_EXPECTED, big),
        .fault_found = godwit_guest_get64(raw + GODWIT_MAILBOX_OFF_FAULT_FOUND, big),
    };
}

char *godwit_guest_found(const struct godwit_mailbox *mailbox)
{
    const uint64_t found = mailbox->fault_found, where = mailbox->fault_address,
                   expected = mailbox->fault_expected;
    switch (mailbox->state) {
    case GODWIT_STATE_FAULT:
        return g_strdup_printf("0x%02" PRIx64 " at 0x%" PRIx64 " where 0x%02" PRIx64 " should be",
                               found, where, expected);
    case GODWIT_STATE_FAULT_REGISTER:
        return g_strdup_printf("0x%" PRIx64 " in register %" PRIu64
                               " (docs/guest-abi.md has their numbers) where 0x%" PRIx64
                               " should be",
                               found, where, expected);
    case GODWIT_STATE_FAULT_TIMER:
        return g_strdup_printf("its timer at %" PRIu64 " after it had been at %" PRIu64, found,
                               expected);
    default:
        return NULL;
    }
}

struct godwit_workload godwit_image_workload(const struct godwit_machine *machine,
                                             const struct godwit_image *image)
{
    return godwit_guest_workload(image->bytes + image->params_offset, machine->big_endian);
}

bool godwit_image_write(const struct godwit_image *image, bool big_endian,
                        const struct godwit_workload *workload, const char *path, GError **error)
{
    g_autofree unsigned char *file = g_malloc0(image->file_size);
    memcpy(file + image->file_offset, image->bytes, image->length);
    unsigned char *block = file + image->file_offset + image->params_offset;
    put64(block + GODWIT_PARAMS_OFF_WINDOW_START, workload->window_start, big_endian);
    put64(block + GODWIT_PARAMS_OFF_WINDOW_END, workload->window_end, big_endian);
    put32(block + GODWIT_PARAMS_OFF_PAGE_SIZE, workload->page_size, big_endian);
    put32(block + GODWIT_PARAMS_OFF_PASSES_PER_REPORT, workload->passes_per_report, big_endian);
    put32(block + GODWIT_PARAMS_OFF_FLAGS,
          workload->flags | (workload->cpus - 1) << GODWIT_FLAGS_MORE_SHIFT, big_endian);
    put32(block + GODWIT_PARAMS_OFF_PAGE_TICKS, workload->page_ticks, big_endian);
    put64(block + GODWIT_PARAMS_OFF_SEED, workload->seed, big_endian);
    return godwit_file_write(path, file, image->file_size, error);
}

/* The words after "order:" and "stamp:", each with its flag and the flags that it excludes. */
static const struct {
    uint32_t workload;
    const char *word;
    uint32_t flag, choice;
} words_known[] = {
    {0, "staggered", GODWIT_FLAG_STAGGER, GODWIT_FLAG_STAGGER},
    {0, "uniform", 0, GODWIT_FLAG_STAGGER},
    {GODWIT_FLAG_STAMP, "whole", 0, GODWIT_FLAG_CONTENT_MASK},
    {GODWIT_FLAG_STAMP, "sparse", GODWIT_FLAG_SPARSE, GODWIT_FLAG_CONTENT_MASK},
    {GODWIT_FLAG_STAMP, "zero", GODWIT_FLAG_ZERO, GODWIT_FLAG_CONTENT_MASK},
    {GODWIT_FLAG_STAMP, "mixed", GODWIT_FLAG_MIXED, GODWIT_FLAG_CONTENT_MASK},
    {GODWIT_FLAG_STAMP, "stride", GODWIT_FLAG_STRIDE, GODWIT_FLAG_ORDER_MASK},
    {GODWIT_FLAG_STAMP, "random", GODWIT_FLAG_RANDOM, GODWIT_FLAG_ORDER_MASK},
};

/* The flags of contents, of either workload. */
#define CONTENT_FLAGS (GODWIT_FLAG_STAGGER | GODWIT_FLAG_CONTENT_MASK)
#define WORKLOAD_FLAGS                                                                             \
    (GODWIT_FLAG_STAMP | GODWIT_FLAG_STAGGER | GODWIT_FLAG_CONTENT_MASK | GODWIT_FLAG_ORDER_MASK)

bool godwit_workload_choose(struct godwit_workload *workload, const char *name, GError **error)
{
    g_auto(GStrv) words = g_strsplit(name, ":", -1);
    const bool stamp = words[0] && !strcmp(words[0], "stamp");
    const uint32_t which = stamp ? GODWIT_FLAG_STAMP : 0;
    uint32_t flags = which, chosen = 0;
    bool good = stamp || (words[0] && !strcmp(words[0], "order"));
    for (guint i = 1; good && words[i]; i++) {
        good = false;
        for (size_t j = 0; j < G_N_ELEMENTS(words_known); j++)
            if (words_known[j].workload == which && !strcmp(words[i], words_known[j].word) &&
                !(chosen & words_known[j].choice)) {
                flags |= words_known[j].flag;
                chosen |= words_known[j].choice;
                good = true;
            }
    }
    if (!good)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown workload \"%s\" (known: order[:staggered|:uniform], "
                           "stamp[:whole|:sparse|:zero|:mixed][:stride|:random])",
                           name);
    workload->flags = (workload->flags & ~(uint32_t)WORKLOAD_FLAGS) | flags;
    workload->usual_content = !(chosen & CONTENT_FLAGS);
    return true;
}

char *godwit_workload_name(const struct godwit_workload *workload)
{
    const uint32_t which = workload->flags & GODWIT_FLAG_STAMP;
    GString *name = g_string_new(which ? "stamp" : "order");
    for (size_t j = 0; j < G_N_ELEMENTS(words_known); j++)
        if (words_known[j].workload == which &&
            (workload->flags & words_known[j].choice) == words_known[j].flag &&
            !(words_known[j].choice & CONTENT_FLAGS && workload->usual_content))
            g_string_append_printf(name, ":%s", words_known[j].word);
    return g_string_free(name, FALSE);
}

const char *godwit_workload_stamp_wrong(const struct godwit_workload *workload)
{
    if (workload->flags & GODWIT_FLAG_SUSPEND)
        return "the stamp workload cannot suspend the guest";
    if ((workload->flags & GODWIT_FLAG_ORDER_MASK) == GODWIT_FLAG_ORDER_MASK)
        return "the stamp workload takes at most one of stride and random";
    if (workload->page_size < 512 || (workload->page_size & (workload->page_size - 1)))
        return "the stamp workload needs a page size that is a power of two, 512 or more";
    if (workload->window_start % workload->page_size)
        return "the stamp workload's window must begin at a multiple of the page size";
    return NULL;
}

unsigned char godwit_workload_first_byte(const struct godwit_workload *workload, uint64_t page)
{
    return workload->flags & GODWIT_FLAG_STAGGER ? godwit_page_order_first(page / workload->cpus)
                                                 : 0;
}

uint64_t godwit_workload_pages(const struct godwit_workload *workload)
{
    return (workload->window_end - workload->window_start) / workload->page_size;
}

struct godwit_stamp godwit_stamp_of(const struct godwit_workload *workload)
{
    return (struct godwit_stamp){
        .seed = workload->seed,
        .flags = workload->flags,
        .page_shift = (uint32_t)g_bit_nth_lsf(workload->page_size, -1),
        .pages = (uint32_t)godwit_workload_pages(workload),
        .cpus = workload->cpus,
    };
}

void godwit_workload_share(struct godwit_workload *workload)
{
    workload->window_end -=
        godwit_workload_pages(workload) % workload->cpus * (uint64_t)workload->page_size;
}

struct godwit_workload godwit_workload_stripe(const struct godwit_workload *workload, unsigned cpu)
{
    struct godwit_workload stripe = *workload;
    stripe.window_start += cpu * (uint64_t)workload->page_size;
    stripe.window_end += cpu * (uint64_t)workload->page_size;
    stripe.page_size *= workload->cpus;
    stripe.cpus = 1;
    return stripe;
}

bool godwit_workload_is_beyond_gap(const struct godwit_workload *workload,
                                   const struct godwit_machine *machine)
{
    return machine->gap.end && workload->window_start >= machine->gap.end;
}

uint64_t godwit_workload_ram_offset(const struct godwit_workload *workload,
                                    const struct godwit_machine *machine)
{
    return godwit_workload_is_beyond_gap(workload, machine)
               ? workload->window_start - machine->gap.end + ((uint64_t)machine->gap.low_mib << 20)
               : workload->window_start - machine->ram_base;
}

/* A 32-bit guest has no pointer to the first byte of 4 GiB that is not its null pointer, so that it
 * does without the first MiB. */
#define UPPER_HALF (~(uint64_t)UINT32_MAX)

/* Returns what is wrong with a window behind the machine's gap, or NULL. Sets [*FIRST, *END) to
 * where it may be. The image reaches beyond the gap. */
static const char *wrong_beyond_gap(const struct godwit_workload *workload,
                                    const struct godwit_machine *machine, unsigned memory_mib,
                                    uint64_t *first, uint64_t *end)
{
    const uint64_t high_mib = memory_mib - MIN(memory_mib, machine->gap.low_mib);
    const uint64_t ram_end = machine->gap.end + (high_mib << 20);
    const uint64_t base = workload->window_start & UPPER_HALF;
    const uint64_t last = workload->window_end + (workload->cpus - 1) * workload->page_size;
    *first = base + GODWIT_WINDOW_OFFSET;
    *end = MIN(ram_end, base + machine->gap.room);
    if (workload->window_end > ram_end)
        return "the window must lie inside the guest's RAM";
    if (workload->window_start < *first || last > base + machine->gap.room)
        return "the window must not extend beyond what this guest can address";
    return NULL;
}

/* Likewise, for every other window. */
static const char *wrong_before_gap(const struct godwit_workload *workload,
                                    const struct godwit_machine *machine, unsigned memory_mib,
                                    uint64_t *first, uint64_t *end)
{
    const uint64_t ram_end = machine->ram_base + ((uint64_t)memory_mib << 20);
    const uint64_t tail = ram_end - machine->tail;
    *first = machine->ram_base + GODWIT_WINDOW_OFFSET;
    *end = machine->reach ? MIN(tail, machine->reach) : tail;
    if (workload->window_start < machine->ram_base || workload->window_end > ram_end)
        return "the window must lie inside the guest's RAM";
    if (workload->window_start < *first)
        return "the window must not cover the first MiB of RAM, which the guest itself occupies";
    if (workload->window_end > tail)
        return "the window must not cover the end of RAM, which the guest itself occupies";
    if (workload->window_end > *end)
        return "the window must not extend beyond what this guest can address";
    return NULL;
}

bool godwit_workload_check(const struct godwit_workload *workload,
                           const struct godwit_machine *machine, const struct godwit_image *image,
                           unsigned memory_mib, GError **error)
{
    const bool beyond = image->beyond_gap && godwit_workload_is_beyond_gap(workload, machine);
    uint64_t usable, usable_end;
    const char *const misplaced =
        beyond ? wrong_beyond_gap(workload, machine, memory_mib, &usable, &usable_end)
               : wrong_before_gap(workload, machine, memory_mib, &usable, &usable_end);
    const char *wrong = NULL;
    if (workload->cpus < 1 || workload->cpus > image->max_cpus) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                    "%s %s: this guest supports 1 to %u CPUs, not %u", machine->arch, image->name,
                    image->max_cpus, workload->cpus);
        return false;
    }
    if (workload->page_size < 8 || workload->page_size % 8)
        wrong = "the page size must be a multiple of 8";
    else if (workload->window_start >= workload->window_end)
        wrong = "the window is empty";
    else if ((workload->window_end - workload->window_start) % workload->page_size)
        wrong = "the window must be a whole number of pages";
    else if (godwit_workload_pages(workload) % workload->cpus)
        wrong = "the window must have the same number of pages for each CPU";
    else if ((uint64_t)workload->page_size * workload->cpus > UINT32_MAX)
        wrong = "the pages are too large for so many CPUs";
    else if (workload->window_start % 8)
        wrong = "the window must begin at a multiple of 8";
    else if (misplaced)
        wrong = misplaced;
    else if ((workload->flags & GODWIT_FLAG_SUSPEND) && !machine->can_suspend)
        wrong = "this machine has no suspend to RAM";
    else if ((workload->flags & GODWIT_FLAG_SUSPEND) && workload->cpus > 1)
        wrong = "a guest with more than one CPU cannot suspend";
    else if (workload->flags & GODWIT_FLAG_STAMP)
        wrong = image->stamp_store ? godwit_workload_stamp_wrong(workload)
                                   : "this guest has no stamp workload";
    if (wrong)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                    "%s %s: %s (window 0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER
                    "x, page size %u, usable RAM 0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER
                    "x)",
                    machine->arch, image->name, wrong, workload->window_start, workload->window_end,
                    workload->page_size, usable, usable_end);
    return !wrong;
}
