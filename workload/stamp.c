/*
 * The `stamp` workload: guest_abi.h specifies what it does, and stamp.h what it writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "workload.h"

#include "identify.h"

/* One CPU's share of the window. */
struct share {
    struct godwit_stamp stamp;
    uint64_t start;      /* address of the window's first page */
    uint32_t page_size;  /* in bytes */
    uint32_t pages_each; /* of each CPU */
    uint32_t cpu;
    bool verify;         /* check each page before writing it */
    uint64_t generation; /* of the pages that this pass has not written yet */
};

static inline struct share share_of(const struct godwit_params *params, uint32_t cpu)
{
    struct share share;
    const uint32_t more = (params->flags & GODWIT_FLAGS_MORE_MASK) >> GODWIT_FLAGS_MORE_SHIFT;
    uint32_t shift = 3;
    while ((params->page_size >> shift) > 1)
        shift++;
    share.stamp.seed = params->seed;
    share.stamp.flags = params->flags;
    share.stamp.page_shift = shift;
    share.stamp.pages = (uint32_t)((params->window_end - params->window_start) >> shift);
    share.stamp.cpus = more + 1;
    share.start = params->window_start;
    share.page_size = params->page_size;
    share.verify = params->flags & GODWIT_FLAG_VERIFY;
    /* Do not divide: 32-bit code would need a library for that. */
    share.pages_each = 0;
    for (uint32_t pages = share.stamp.pages; pages > more; pages -= more + 1)
        share.pages_each++;
    share.cpu = cpu;
    share.generation = 0;
    return share;
}

static inline uint64_t address_of(const struct share *share, uint32_t page)
{
    return share->start + ((uint64_t)page << share->stamp.page_shift);
}

/* Returns what a pointer to ADDRESS lacks of it: the upper half on 32-bit machines. All addresses
 * of a window have the same one. */
static inline uint64_t upper_of(uint64_t address)
{
    return address ^ (uintptr_t)address;
}

static inline uint64_t *page_at(const struct share *share, uint32_t page)
{
    return (uint64_t *)(uintptr_t)address_of(share, page);
}

/* Returns the page that follows TURN pages of a pass; after the last one, the end of the stripe. */
static __attribute__((noinline)) uint32_t page_after(const struct share *share, uint32_t turn)
{
    if (turn == share->pages_each)
        return share->stamp.pages + share->cpu;
    return godwit_stamp_page_at(&share->stamp, share->pages_each, share->cpu, turn);
}

/* Returns the end of the page that begins at AT. */
static inline uint64_t *end_of(const struct share *share, uint64_t *at)
{
    return at + share->page_size / sizeof(*at);
}

/*
 * The loops over a page's words do ARCH_UNROLL words in each turn: under TCG, counting and the
 * branch cost as much as a store. The smallest page has 64 words, and a sparse one
 * GODWIT_STAMP_CLASSES times fewer to write, so that divides the number of words in each case.
 */
_Static_assert(64 / GODWIT_STAMP_CLASSES % ARCH_UNROLL == 0, "a sparse page has whole turns");

/* Writes every BY-th word from AT to END in ascending order: first WORD, then STEP more each time.
 * */
static inline void write_words(volatile uint64_t *at, const uint64_t *end, uint32_t by,
                               uint64_t word, uint64_t step)
{
    for (; at < end; at += by * ARCH_UNROLL)
#pragma GCC unroll ARCH_UNROLL
        for (uint32_t i = 0; i < ARCH_UNROLL; i++) {
            ARCH_STORE_WORD(at + i * by, word);
            word += step;
        }
}

/*
 * Checks the words that write_words() writes. Returns the first wrong one, or NULL. AT is not
 * volatile: 32-bit compilers would load 64 volatile bits by way of the stack, and nothing writes to
 * the page meanwhile.
 */
static inline uint64_t *find_wrong(uint64_t *at, const uint64_t *end, uint32_t by, uint64_t word,
                                   uint64_t step)
{
    for (; at < end; at += by * ARCH_UNROLL)
#pragma GCC unroll ARCH_UNROLL
        for (uint32_t i = 0; i < ARCH_UNROLL; i++) {
            if (at[i * by] != word)
                return at + i * by;
            word += step;
        }
    return NULL;
}

static __attribute__((noinline)) void write_page(const struct share *share, uint32_t page,
                                                 uint64_t *at, uint64_t generation)
{
    const struct godwit_stamp *stamp = &share->stamp;
    const uint64_t *const end = end_of(share, at);
    const uint64_t base = godwit_stamp_base(stamp, page, generation);
    /* One loop for each case, with constants: the compiler has no registers for more variables. */
    if (godwit_stamp_is_zero(stamp, page, generation)) {
        write_words(at, end, 1, 0, 0);
    } else if (godwit_stamp_is_sparse(stamp) && generation > 0) {
        const uint32_t first = (uint32_t)generation % GODWIT_STAMP_CLASSES;
        write_words(at + first, end, GODWIT_STAMP_CLASSES, base + first * GODWIT_STAMP_STEP,
                    GODWIT_STAMP_CLASSES * GODWIT_STAMP_STEP);
    } else {
        write_words(at, end, 1, base, GODWIT_STAMP_STEP);
    }
}

/* Returns the first word that is not of GENERATION, or NULL. */
static __attribute__((noinline)) uint64_t *check_page(const struct share *share, uint32_t page,
                                                      uint64_t *at, uint64_t generation)
{
    const struct godwit_stamp *stamp = &share->stamp;
    const uint64_t *const end = end_of(share, at);
    uint64_t *wrong = NULL;
    generation = godwit_stamp_latest(stamp, page, generation);
    if (godwit_stamp_is_zero(stamp, page, generation))
        return find_wrong(at, end, 1, 0, 0);
    if (!godwit_stamp_is_sparse(stamp))
        return find_wrong(at, end, 1, godwit_stamp_base(stamp, page, generation),
                          GODWIT_STAMP_STEP);
    for (uint32_t first = 0; first < GODWIT_STAMP_CLASSES && !wrong; first++)
        wrong = find_wrong(at + first, end, GODWIT_STAMP_CLASSES,
                           godwit_stamp_word(stamp, page, first, generation),
                           GODWIT_STAMP_CLASSES * GODWIT_STAMP_STEP);
    return wrong;
}

/* Checks the page at AT, if VERIFY is set, and writes it if it is due and no word is wrong. Returns
 * the first wrong word, or NULL. */
static __attribute__((noinline)) uint64_t *renew(const struct share *share, uint32_t page,
                                                 uint64_t *at)
{
    uint64_t *const wrong = share->verify ? check_page(share, page, at, share->generation) : NULL;
    const uint64_t next = share->generation + 1;
    if (!wrong && godwit_stamp_latest(&share->stamp, page, next) == next)
        write_page(share, page, at, next);
    return wrong;
}

/*
 * A faster renew() for WHOLE contents. A store to the stack costs as much as many words of a page
 * (see workload.h), so this does everything in one call, with its arguments in registers and few
 * other values to keep.
 */
static __attribute__((noinline)) uint64_t *renew_whole(const struct share *share, uint32_t page,
                                                       uint64_t *at)
{
    const uint64_t key = godwit_stamp_key(&share->stamp, page);
    uint64_t *wrong = NULL;
    if (share->verify)
        wrong = find_wrong(at, end_of(share, at), 1, godwit_stamp_base_by(key, share->generation),
                           GODWIT_STAMP_STEP);
    if (!wrong)
        write_words(at, end_of(share, at), 1, godwit_stamp_base_by(key, share->generation + 1),
                    GODWIT_STAMP_STEP);
    return wrong;
}

/* Writes the fault record and halts. The state is stored after the record, so a reader that sees
 * FAULT sees a complete record. */
static __attribute__((noreturn)) void give_up(struct godwit_mailbox *mailbox, uint32_t state,
                                              uint64_t address, uint64_t expected, uint64_t found)
{
    volatile struct godwit_mailbox *box = mailbox;
    box->fault_address = address;
    box->fault_expected = expected;
    box->fault_found = found;
    arch_publish();
    box->state = state;
    godwit_arch_print(GODWIT_CONSOLE_FAULT);
    godwit_arch_halt();
}

void godwit_stamp_fill(const struct godwit_params *params)
{
    const struct share share = share_of(params, 0);
    for (uint32_t page = 0; page < share.stamp.pages; page++)
        write_page(&share, page, page_at(&share, page), 0);
}

uint64_t godwit_stamp_first(const struct godwit_params *params, uint32_t cpu)
{
    const struct share share = share_of(params, cpu);
    return address_of(&share, page_after(&share, 0));
}

/* Waits until the next page is due, at time *DUE, and sets *DUE for the page after it. */
static inline void wait_until_due(uint64_t *due, uint32_t page_ticks)
{
    const uint64_t backlog = (uint64_t)page_ticks * GODWIT_STAMP_BACKLOG;
    uint64_t now = arch_timer();
    while ((int64_t)(now - *due) < 0)
        now = arch_timer();
    if (now - *due > backlog)
        *due = now - backlog;
    *due += page_ticks;
}

void godwit_stamp_run(const struct godwit_params *params, struct godwit_mailbox *mailbox,
                      uint32_t cpu)
{
    volatile struct godwit_mailbox *const box = mailbox;
    struct share share = share_of(params, cpu);
    const uint32_t page_ticks = params->page_ticks;
    const bool whole = !(params->flags & GODWIT_FLAG_CONTENT_MASK);
    const bool linear = !(params->flags & GODWIT_FLAG_ORDER_MASK);
    const bool identify = cpu == 0 && (params->flags & GODWIT_FLAG_IDENTIFY);
    uint32_t passes_left = params->passes_per_report;
    uint64_t timer = box->timer, due = timer;

    box->position = godwit_stamp_first(params, cpu);
    godwit_arch_set_registers(cpu);
    /* Identification may depend on which units are on, so read it with the registers set. */
    if (identify)
        godwit_identify_start(mailbox);
    if (cpu == 0)
        godwit_arch_print(GODWIT_CONSOLE_READY);
    for (;;) {
        uint32_t page = page_after(&share, 0);
        for (uint32_t turn = 1; turn <= share.pages_each; turn++) {
            uint64_t *const at = page_at(&share, page);
            arch_touch_stack();
            if (page_ticks)
                wait_until_due(&due, page_ticks);
            const uint64_t *const wrong =
                whole ? renew_whole(&share, page, at) : renew(&share, page, at);
            if (wrong)
                give_up(
                    mailbox, GODWIT_STATE_FAULT, upper_of(share.start) | (uintptr_t)wrong,
                    godwit_stamp_word(&share.stamp, page, (uint32_t)(wrong - at), share.generation),
                    *wrong);
            const uint64_t now = arch_timer();
            if ((int64_t)(now - timer) < 0)
                give_up(mailbox, GODWIT_STATE_FAULT_TIMER, 0, timer, now);
            timer = now;
            box->timer = timer;
            page = linear ? page + share.stamp.cpus : page_after(&share, turn);
            box->position = address_of(&share, page);
        }
        if (identify)
            godwit_identify_again(mailbox);
        share.generation++;
        box->passes = share.generation;
        struct godwit_register wrong;
        const uint32_t number = godwit_arch_check_registers(cpu, &wrong);
        if (number)
            give_up(mailbox, GODWIT_STATE_FAULT_REGISTER, number, wrong.expected, wrong.found);
        if (--passes_left == 0) {
            passes_left = params->passes_per_report;
            if (cpu == 0)
                godwit_arch_print(GODWIT_CONSOLE_PASS);
        }
        box->position = address_of(&share, page_after(&share, 0));
    }
}
