/*
 * Checks a stamped window page by page, classifies wrong pages, and judges a guest's pace.
 *
 * The account of a CPU determines the generation of each of its pages, except between two passes:
 * the mailbox may or may not count the pass that is over. Then either of two generations is
 * correct, but all pages of the CPU must have the same one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/stamp.h"

#include "guest/image.h"

char *godwit_stamp_walk_begin(struct godwit_stamp_walk *walk,
                              const struct godwit_workload *workload, bool big_endian, bool halves,
                              const struct godwit_mailbox *mailbox)
{
    *walk = (struct godwit_stamp_walk){
        .stamp = godwit_stamp_of(workload),
        .start = workload->window_start,
        .big_endian = big_endian,
        .halves = halves,
        .partial = g_malloc(workload->page_size),
    };
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        if (mailbox[cpu].magic != GODWIT_MAILBOX_MAGIC)
            return g_strdup_printf("no mailbox of CPU %u found: its magic is 0x%08" PRIx32, cpu,
                                   mailbox[cpu].magic);
        if (!godwit_stamp_account(&walk->stamp, cpu, walk->start, mailbox[cpu].passes,
                                  mailbox[cpu].position, &walk->account[cpu]))
            return g_strdup_printf("the position 0x%" PRIx64
                                   " in CPU %u's mailbox is not one of its pages",
                                   mailbox[cpu].position, cpu);
    }
    return NULL;
}

/* Checks the next page. */
static void take(struct godwit_stamp_walk *walk, const unsigned char *bytes)
{
    const uint32_t page = walk->page++;
    const uint32_t cpu = godwit_stamp_cpu_of(&walk->stamp, page);
    const struct godwit_stamp_account *account = &walk->account[cpu];
    struct godwit_stamp_finding finding;
    if (godwit_stamp_check_page(&walk->stamp, page, bytes, walk->big_endian, walk->halves, account,
                                &finding)) {
        walk->torn += finding.torn;
        if (account->turn != walk->stamp.pages / walk->stamp.cpus || finding.either)
            return;
        /* Between two passes, all pages of a CPU must have the generation of its first one. */
        if (!walk->between[cpu])
            walk->generation[cpu] = finding.generation;
        walk->between[cpu] = true;
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

/* Returns the number of words that differ from the page in that generation. */
static uint32_t count_wrong(const struct godwit_stamp *stamp, uint32_t page,
                            const unsigned char *bytes, uint64_t generation, bool big_endian)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < godwit_stamp_words(stamp); i++)
        wrong += godwit_stamp_load(bytes, i, big_endian) !=
                 godwit_stamp_word(stamp, page, i, generation);
    return wrong;
}

struct godwit_page_verdict godwit_stamp_classify(const struct godwit_setup *setup, uint32_t page,
                                                 const unsigned char *bytes,
                                                 const struct godwit_stamp_account *account,
                                                 bool thorough, char **text)
{
    const struct godwit_stamp stamp = godwit_stamp_of(&setup->workload);
    const bool big = setup->machine->big_endian;
    const uint32_t words = godwit_stamp_words(&stamp);
    struct godwit_page_verdict verdict = {.kind = GODWIT_PAGE_RIGHT};
    struct godwit_stamp_finding finding;
    *text = NULL;
    if (godwit_stamp_check_page(&stamp, page, bytes, big,
                                setup->image->stamp_store < sizeof(uint64_t), account, &finding))
        return verdict;
    const uint64_t latest = account->passes + 1;
    verdict.first = finding.index * sizeof(uint64_t);
    verdict.differs = count_wrong(&stamp, page, bytes, finding.generation, big) * sizeof(uint64_t);
    struct godwit_stamp_identity word = {GODWIT_STAMP_WORD, page, finding.index, 0};
    if (thorough)
        word = godwit_stamp_identify(&stamp, finding.found, page, finding.index, latest);
    else if (finding.found == 0)
        word.kind = GODWIT_STAMP_NULL;
    else if (!godwit_stamp_date(&stamp, finding.found, page, finding.index, latest,
                                &word.generation))
        word.kind = GODWIT_STAMP_FOREIGN;

    const bool here = word.page == page && word.index == finding.index;
    if (word.kind == GODWIT_STAMP_NULL && bytes[0] == 0 &&
        !memcmp(bytes, bytes + 1, (size_t)words * sizeof(uint64_t) - 1)) {
        verdict.kind = GODWIT_PAGE_ZERO;
        *text = g_strdup("all zero");
    } else if (word.kind == GODWIT_STAMP_WORD && here &&
               godwit_stamp_mismatch(&stamp, page, word.generation, 0, bytes, big) == words) {
        verdict.kind = GODWIT_PAGE_STALE;
        verdict.behind = (unsigned)(finding.generation - word.generation);
        *text = word.generation > finding.generation
                    ? g_strdup_printf("%" PRIu64 " generations ahead",
                                      word.generation - finding.generation)
                    : g_strdup_printf("stale by %u generation%s", verdict.behind,
                                      verdict.behind == 1 ? "" : "s");
    } else if (word.kind == GODWIT_STAMP_WORD && word.page != page &&
               godwit_stamp_mismatch(&stamp, word.page, word.generation, 0, bytes, big) == words) {
        verdict.kind = GODWIT_PAGE_MISPLACED;
        *text = g_strdup_printf("misplaced: holds page %u as it was in generation %" PRIu64,
                                word.page, word.generation);
    } else if (word.kind == GODWIT_STAMP_FOREIGN) {
        verdict.kind = GODWIT_PAGE_FOREIGN;
        *text = g_strdup_printf("foreign: %zu bytes of words that differ, the first at byte %zu: "
                                "0x%016" PRIx64 ", which the guest never wrote, instead of "
                                "0x%016" PRIx64,
                                verdict.differs, verdict.first, finding.found, finding.expected);
    } else {
        verdict.kind = GODWIT_PAGE_TORN;
        g_autofree char *what = word.kind == GODWIT_STAMP_NULL
                                    ? g_strdup("zero")
                                    : g_strdup_printf("word %u of page %u in generation %" PRIu64,
                                                      word.index, word.page, word.generation);
        *text = g_strdup_printf("torn: %zu bytes of words that differ, the first at byte %zu, "
                                "which is %s instead of generation %" PRIu64,
                                verdict.differs, verdict.first, what, finding.generation);
    }
    return verdict;
}

/* Returns true if at TIMER more pages have been written than were due since it was 0. */
static bool is_ahead(uint32_t page_ticks, uint64_t pages, uint64_t timer)
{
    return pages > 1 && pages - 1 > timer / page_ticks;
}

enum godwit_stamp_pace godwit_stamp_pace(uint32_t page_ticks, uint64_t before, uint64_t early,
                                         uint64_t after, uint64_t late)
{
    const double wanted = (double)(late - early) / page_ticks, written = (double)(after - before);
    /* Pages that were overdue at EARLY may follow at once, up to GODWIT_STAMP_BACKLOG. One more
     * page is allowed, because a sample can be taken anywhere between two pages. */
    const uint64_t due = early / page_ticks + 1;
    const double backlog = (double)(due > before ? MIN(due - before, GODWIT_STAMP_BACKLOG) : 0);
    if (is_ahead(page_ticks, before, early) || is_ahead(page_ticks, after, late) ||
        written > wanted + backlog + 1)
        return GODWIT_STAMP_AHEAD;
    if (written < 0.9 * wanted)
        return GODWIT_STAMP_BEHIND;
    return written > 1.1 * wanted ? GODWIT_STAMP_CATCHING_UP : GODWIT_STAMP_KEPT;
}
