/* SPDX-License-Identifier: MIT */
#include "oracle/stamp.h"

#include "vm/image.h"

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

char *godwit_stamp_walk_begin(struct godwit_stamp_walk *walk,
                              const struct godwit_workload *workload,
                              const struct godwit_machine *machine,
                              const struct godwit_image *image,
                              const struct godwit_mailbox *mailbox)
{
    *walk = (struct godwit_stamp_walk){
        .stamp = godwit_stamp_of(workload),
        .start = workload->window_start,
        .big_endian = machine->big_endian,
        .halves = image->stamp_store < sizeof(uint64_t),
        .partial = g_malloc(workload->page_size),
    };
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        if (mailbox[cpu].magic != GODWIT_MAILBOX_MAGIC)
            return g_strdup_printf("there is no mailbox of CPU %u: its magic is 0x%08" PRIx32, cpu,
                                   mailbox[cpu].magic);
        if (!godwit_stamp_account(&walk->stamp, cpu, walk->start, mailbox[cpu].passes,
                                  mailbox[cpu].position, &walk->account[cpu]))
            return g_strdup_printf("the position 0x%" PRIx64 " in CPU %u's mailbox is none of its "
                                   "pages",
                                   mailbox[cpu].position, cpu);
    }
    return NULL;
}

/* Takes one page. */
static void take(struct godwit_stamp_walk *walk, const unsigned char *bytes)
{
    const uint32_t page = walk->page++;
    const uint32_t cpu = godwit_stamp_cpu_of(&walk->stamp, page);
    const struct godwit_stamp_account *account = &walk->account[cpu];
    struct godwit_stamp_finding finding;
    if (godwit_stamp_check_page(&walk->stamp, page, bytes, walk->big_endian, walk->halves, account,
                                &finding)) {
        walk->torn += finding.torn;
        if (account->turn != walk->stamp.pages / walk->stamp.cpus)
            return;
        /* Between two passes all pages are of one generation, the first one's. */
        if (page < walk->stamp.cpus)
            walk->generation[cpu] = finding.generation;
        if (finding.generation == walk->generation[cpu])
            return;
        finding = (struct godwit_stamp_finding){
            .wrong = true,
            .found = godwit_stamp_word(&walk->stamp, page, 0, finding.generation),
            .expected = godwit_stamp_word(&walk->stamp, page, 0, walk->generation[cpu]),
            .generation = walk->generation[cpu],
        };
    }
    if (walk->wrong++ == 0) {
        walk->first = finding;
        walk->first_page = page;
    }
}

void godwit_stamp_walk_feed(struct godwit_stamp_walk *walk, const unsigned char *bytes,
                            size_t length)
{
    const size_t page_size = (size_t)1 << walk->stamp.page_shift;
    while (length > 0) {
        if (walk->have == 0 && length >= page_size) {
            take(walk, bytes);
            bytes += page_size;
            length -= page_size;
            continue;
        }
        const size_t more = MIN(page_size - walk->have, length);
        memcpy(walk->partial + walk->have, bytes, more);
        walk->have += more;
        bytes += more;
        length -= more;
        if (walk->have == page_size) {
            walk->have = 0;
            take(walk, walk->partial);
        }
    }
}

char *godwit_stamp_walk_end(struct godwit_stamp_walk *walk)
{
    g_clear_pointer(&walk->partial, g_free);
    if (walk->page != walk->stamp.pages)
        return g_strdup_printf("stamp unknown: the window has %u pages, %u were seen",
                               walk->stamp.pages, walk->page);
    if (!walk->wrong)
        return NULL;
    uint64_t latest = 0;
    for (unsigned cpu = 0; cpu < walk->stamp.cpus; cpu++)
        latest = MAX(latest, walk->account[cpu].passes + 1);
    char text[400];
    godwit_stamp_format(&walk->stamp, walk->first_page, &walk->first, walk->start, latest, text,
                        sizeof(text));
    return g_strdup_printf("%s; %u of %u pages are wrong", text, walk->wrong, walk->stamp.pages);
}
