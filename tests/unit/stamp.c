/*
 * Stamp: the guest's own C code is run here, stopped at every step or at random ones, and its
 * memory given to the checker, as it is and spoilt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "../../workload/stamp.c"

#define SEED      UINT64_C(0x5eed5eed0badcafe)
#define CPUS_MAX  3
#define PAGES_MAX 1100
#define SIZE_MAX_ (PAGES_MAX * 512)

/* What the guest runs on. There is one: the workload knows no other. */
static struct {
    uint64_t *window;
    struct godwit_mailbox mailbox[CPUS_MAX];
    jmp_buf end;
    uint64_t steps;     /* that are left */
    bool halves;        /* a word takes two stores */
    uint64_t now, tick; /* the timer, and what each look at it adds */
    uint32_t lost;      /* number of a register that has lost its pattern */
    char console[64];
    size_t printed;
    char identified[64]; /* when: S at the start, P after each pass */
} machine;

void machine_step(void)
{
    if (machine.steps-- == 0)
        longjmp(machine.end, 1);
}

uint64_t machine_timer(void)
{
    machine_step();
    return machine.now += machine.tick;
}

void machine_store(volatile uint64_t *at, uint64_t word)
{
    volatile uint32_t *half = (volatile uint32_t *)at;
    if (!machine.halves) {
        machine_step();
        *at = word;
        return;
    }
    machine_step();
    half[0] = (uint32_t)word;
    machine_step();
    half[1] = (uint32_t)(word >> 32);
}

void godwit_arch_print(uint32_t character)
{
    machine_step();
    machine.console[machine.printed % (sizeof(machine.console) - 1)] = (char)character;
    machine.printed++;
}

void godwit_arch_halt(void)
{
    longjmp(machine.end, 2);
}

void godwit_arch_set_registers(uint32_t cpu)
{
    (void)cpu;
}

uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong)
{
    (void)cpu;
    *wrong = (struct godwit_register){1, 2};
    return machine.lost;
}

/* Records C, unless that must not happen now. */
static void identify(char c, const struct godwit_mailbox *mailbox)
{
    machine_step();
    assert_ptr_equal(mailbox, &machine.mailbox[0]);
    const size_t at = strlen(machine.identified);
    assert_int_equal(c == 'S', at == 0);
    assert_int_equal(machine.printed, at); /* before READY, and before each PASS */
    assert_int_equal(mailbox->passes, at ? at - 1 : 0);
    if (at + 1 < sizeof(machine.identified))
        machine.identified[at] = c;
}

void godwit_identify_start(const struct godwit_mailbox *mailbox)
{
    identify('S', mailbox);
}

void godwit_identify_again(const struct godwit_mailbox *mailbox)
{
    identify('P', mailbox);
}

static int set_up(void **state)
{
    (void)state;
    machine.window = aligned_alloc(4096, (SIZE_MAX_ + 4095) & ~(size_t)4095);
    return machine.window ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(machine.window);
    return 0;
}

static struct godwit_params params_of(uint32_t pages, uint32_t flags, uint32_t cpus)
{
    const uint64_t start = (uintptr_t)machine.window;
    return (struct godwit_params){
        .window_start = start,
        .window_end = start + pages * UINT64_C(512),
        .page_size = 512,
        .passes_per_report = 1,
        .flags =
            flags | GODWIT_FLAG_STAMP | GODWIT_FLAG_VERIFY | (cpus - 1) << GODWIT_FLAGS_MORE_SHIFT,
        .seed = SEED,
    };
}

/* Fills the window and sets up the mailboxes, as the entry code does. */
static void boot(const struct godwit_params *params)
{
    memset(machine.window, 0xa5, SIZE_MAX_);
    memset(machine.mailbox, 0, sizeof(machine.mailbox));
    memset(machine.console, 0, sizeof(machine.console));
    memset(machine.identified, 0, sizeof(machine.identified));
    machine.printed = 0;
    machine.now = 0;
    machine.tick = 1;
    machine.lost = 0;
    machine.steps = UINT64_MAX;
    godwit_stamp_fill(params);
}

/* Lets one CPU run for STEPS from its start. Whether it has halted by itself. */
static bool run(const struct godwit_params *params, uint32_t cpu, uint64_t steps)
{
    machine.steps = steps;
    const int end = setjmp(machine.end);
    if (end == 0)
        godwit_stamp_run(params, &machine.mailbox[cpu], cpu);
    return end == 2;
}

static struct godwit_stamp stamp_of(const struct godwit_params *params)
{
    return share_of(params, 0).stamp;
}

/* The lowest page that the checker finds wrong, or the number of pages. */
static uint32_t check(const struct godwit_params *params, struct godwit_stamp_finding *finding)
{
    const struct godwit_stamp stamp = stamp_of(params);
    struct godwit_stamp_account account[CPUS_MAX];
    uint64_t generation[CPUS_MAX];
    bool between[CPUS_MAX] = {false};
    for (uint32_t cpu = 0; cpu < stamp.cpus; cpu++) {
        const struct godwit_mailbox *box = &machine.mailbox[cpu];
        assert_true(godwit_stamp_account(&stamp, cpu, params->window_start, box->passes,
                                         box->position, &account[cpu]));
    }
    uint32_t torn = 0;
    for (uint32_t page = 0; page < stamp.pages; page++) {
        const uint32_t cpu = page % stamp.cpus;
        const unsigned char *bytes = (const unsigned char *)machine.window + page * 512;
        if (!godwit_stamp_check_page(&stamp, page, bytes, G_BYTE_ORDER == G_BIG_ENDIAN,
                                     machine.halves, &account[cpu], finding))
            return page;
        torn += finding->torn;
        if (account[cpu].turn == stamp.pages / stamp.cpus && !finding->either) {
            assert_true(!between[cpu] || generation[cpu] == finding->generation);
            generation[cpu] = finding->generation;
            between[cpu] = true;
        }
    }
    assert_true(torn <= stamp.cpus);
    return stamp.pages;
}

static const uint32_t contents[] = {0, GODWIT_FLAG_SPARSE, GODWIT_FLAG_ZERO, GODWIT_FLAG_MIXED};
static const uint32_t orders[] = {0, GODWIT_FLAG_STRIDE, GODWIT_FLAG_RANDOM};

/* Calls TRY for each kind of stamp in a window of PAGES. */
static void each_kind(uint32_t pages, uint32_t cpus, void (*try)(const struct godwit_params *))
{
    for (size_t content = 0; content < G_N_ELEMENTS(contents); content++)
        for (size_t order = 0; order < G_N_ELEMENTS(orders); order++) {
            const struct godwit_params params =
                params_of(pages, contents[content] | orders[order], cpus);
            try(&params);
        }
}

static void mix_can_be_taken_back(void **state)
{
    (void)state;
    uint64_t x = 1;
    for (int i = 0; i < 100000; i++) {
        assert_true(godwit_stamp_unmix(godwit_stamp_mix(x)) == x);
        x = x * GODWIT_STAMP_GOLDEN + 1;
    }
    assert_true(godwit_stamp_unmix(godwit_stamp_mix(0)) == 0);
    assert_true(godwit_stamp_unmix(godwit_stamp_mix(UINT64_MAX)) == UINT64_MAX);
}

static void every_page_has_its_turn(void **state)
{
    (void)state;
    static bool seen[PAGES_MAX];
    for (uint32_t pages = 1; pages <= PAGES_MAX; pages += pages < 20 ? 1 : 27)
        for (uint32_t cpus = 1; cpus <= CPUS_MAX; cpus++)
            for (size_t order = 0; order < G_N_ELEMENTS(orders); order++) {
                if (pages % cpus)
                    continue;
                const struct godwit_stamp stamp = {SEED + pages, orders[order], 9, pages, cpus};
                memset(seen, 0, sizeof(seen));
                for (uint32_t turn = 0; turn < pages; turn++) {
                    const uint32_t cpu = turn % cpus;
                    const uint32_t page =
                        godwit_stamp_page_at(&stamp, pages / cpus, cpu, turn / cpus);
                    assert_true(page < pages && !seen[page]);
                    seen[page] = true;
                    assert_int_equal(godwit_stamp_cpu_of(&stamp, page), cpu);
                    assert_int_equal(godwit_stamp_turn_of(&stamp, page), turn / cpus);
                }
            }
}

static void orders_are_what_they_say(void **state)
{
    (void)state;
    const struct godwit_stamp stride = {SEED, GODWIT_FLAG_STRIDE, 9, 1030, 1};
    assert_int_equal(godwit_stamp_page_at(&stride, 1030, 0, 0), 0);
    assert_int_equal(godwit_stamp_page_at(&stride, 1030, 0, 1), 512);
    assert_int_equal(godwit_stamp_page_at(&stride, 1030, 0, 2), 1024);
    assert_int_equal(godwit_stamp_page_at(&stride, 1030, 0, 3), 1);
    assert_int_equal(godwit_stamp_page_at(&stride, 1030, 0, 1029), 1023);
    /* Another seed, another order. */
    const struct godwit_stamp one = {1, GODWIT_FLAG_RANDOM, 9, 1000, 1};
    const struct godwit_stamp two = {2, GODWIT_FLAG_RANDOM, 9, 1000, 1};
    unsigned same = 0, next = 0;
    for (uint32_t turn = 0; turn < 999; turn++) {
        const uint32_t page = godwit_stamp_page_at(&one, 1000, 0, turn);
        same += page == godwit_stamp_page_at(&two, 1000, 0, turn);
        next += page + 1 == godwit_stamp_page_at(&one, 1000, 0, turn + 1);
    }
    assert_true(same < 20 && next < 20);
}

/* MIXED: the runs of busy and of other pages have every length that matters to a bitmap, and what
 * is written changes from pass to pass. */
static void mixed_has_every_shape(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 2, 3, 63, 64, 65, 511, 512, 513};
    const struct godwit_stamp stamp = {SEED, GODWIT_FLAG_MIXED, 12, 4096, 1};
    unsigned found[G_N_ELEMENTS(lengths)] = {0};
    uint32_t run = 0;
    for (uint32_t page = 0; page < 2048; page++) {
        run++;
        assert_true(godwit_stamp_is_busy(page) == godwit_stamp_is_busy(page + 2048));
        if (godwit_stamp_is_busy(page) == godwit_stamp_is_busy(page + 1))
            continue;
        for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++)
            found[i] += run == lengths[i];
        run = 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++)
        assert_true(found[i] > 0);

    for (uint64_t generation = 1; generation < 40; generation++) {
        uint32_t written = 0, changed = 0, to_zero = 0, from_zero = 0;
        for (uint32_t page = 0; page < stamp.pages; page++) {
            const uint64_t latest = godwit_stamp_latest(&stamp, page, generation);
            const bool due = latest == generation;
            const bool before = godwit_stamp_is_zero(&stamp, page, generation - 1);
            const bool zero = godwit_stamp_is_zero(&stamp, page, generation);
            assert_true(latest == godwit_stamp_latest(&stamp, page, latest));
            assert_true(due || latest == godwit_stamp_latest(&stamp, page, generation - 1));
            assert_true(generation - latest < GODWIT_STAMP_PERIOD);
            assert_true(due || !godwit_stamp_is_busy(page));
            assert_true(godwit_stamp_writes(&stamp, page, generation) ==
                        godwit_stamp_writes(&stamp, page, generation - 1) + due);
            written += due;
            changed += due != (godwit_stamp_latest(&stamp, page, generation + 1) == generation + 1);
            to_zero += !before && zero;
            from_zero += before && !zero;
            assert_true(due || before == zero);
        }
        assert_in_range(written, stamp.pages / 2, stamp.pages * 2 / 3);
        assert_in_range(changed, stamp.pages / 20, stamp.pages / 5);
        assert_in_range(to_zero, stamp.pages / 8, stamp.pages / 5);
        assert_in_range(from_zero, stamp.pages / 8, stamp.pages / 5);
    }
}

static void try_every_step(const struct godwit_params *params)
{
    struct godwit_stamp_finding finding;
    /* Two passes and some of the third. A page has 64 words. */
    const uint64_t most = 2 * 5 * (64 * (machine.halves ? 2 : 1) + 3) + 400;
    for (uint64_t steps = 1; steps < most; steps++) {
        boot(params);
        assert_false(run(params, 0, steps));
        assert_int_equal(check(params, &finding), 5);
    }
    assert_true(machine.mailbox[0].passes >= 2);
}

static void holds_at_every_step(void **state)
{
    (void)state;
    machine.halves = false;
    each_kind(5, 1, try_every_step);
}

static void holds_between_halves(void **state)
{
    (void)state;
    machine.halves = true;
    each_kind(5, 1, try_every_step);
    /* That there is something between them is seen by who does not expect it. */
    const struct godwit_params params = params_of(5, 0, 1);
    struct godwit_stamp_finding finding;
    unsigned wrong = 0;
    for (uint64_t steps = 700; steps < 740; steps++) {
        boot(&params);
        run(&params, 0, steps);
        machine.halves = false;
        wrong += check(&params, &finding) < 5;
        machine.halves = true;
    }
    assert_true(wrong > 10);
    machine.halves = false;
}

static void try_many_steps(const struct godwit_params *params)
{
    struct godwit_stamp_finding finding;
    const uint32_t pages = stamp_of(params).pages, cpus = stamp_of(params).cpus;
    for (int i = 0; i < 40; i++) {
        boot(params);
        for (uint32_t cpu = 0; cpu < cpus; cpu++)
            assert_false(run(params, cpu, (uint64_t)g_random_int_range(1, 300000)));
        assert_int_equal(check(params, &finding), pages);
    }
}

static void holds_for_several_cpus(void **state)
{
    (void)state;
    each_kind(1029, 3, try_many_steps);
    each_kind(1029, 1, try_many_steps);
}

/* That PAGE is found, unless it still is as it was KEPT: a zero page is like the one before it. */
static void see_found(const struct godwit_params *params, uint32_t page, const uint64_t *kept)
{
    struct godwit_stamp_finding finding;
    if (memcmp(machine.window + page * 64, kept, 512) != 0)
        assert_int_equal(check(params, &finding), page);
}

/* Spoils memory in each way that a lost or misplaced page is, and sees it found. */
static void try_to_hide(const struct godwit_params *params)
{
    const struct godwit_stamp stamp = stamp_of(params);
    struct godwit_stamp_finding finding;
    for (int i = 0; i < 60; i++) {
        boot(params);
        run(params, 0, (uint64_t)g_random_int_range(20000, 60000));
        const uint64_t passes = machine.mailbox[0].passes;
        const uint32_t page = (uint32_t)g_random_int_range(0, (gint32)stamp.pages);
        uint64_t *at = machine.window + page * 64, kept[64];
        memcpy(kept, at, sizeof(kept));

        /* One bit, anywhere. */
        const uint32_t word = (uint32_t)g_random_int_range(0, 64);
        at[word] ^= UINT64_C(1) << g_random_int_range(0, 64);
        assert_int_equal(check(params, &finding), page);
        assert_true(finding.wrong);
        memcpy(at, kept, sizeof(kept));

        /* The page that is being written may be of either generation, and at the moment between two
         * passes all may. */
        struct godwit_mailbox *box = &machine.mailbox[0];
        if (box->position == params->window_end || box->position == (uintptr_t)at)
            continue;

        /* Stale by one to five generations, of the generation after the next, another page's, and
         * zero where it is not. */
        assert_int_equal(check(params, &finding), stamp.pages);
        assert_true(passes >= 6);
        for (uint64_t back = 1; back <= 5; back++) {
            for (uint32_t w = 0; w < 64; w++)
                at[w] = godwit_stamp_word(&stamp, page, w, passes - back);
            see_found(params, page, kept);
        }
        for (uint32_t w = 0; w < 64; w++)
            at[w] = godwit_stamp_word(&stamp, page, w, passes + 2);
        see_found(params, page, kept);
        const uint32_t other = (page + 1) % stamp.pages;
        memcpy(at, machine.window + other * 64, sizeof(kept));
        see_found(params, page, kept);
        memset(at, 0, sizeof(kept));
        see_found(params, page, kept);
        memcpy(at, kept, sizeof(kept));

        /* An account of another pass. */
        box->passes++;
        assert_true(check(params, &finding) < stamp.pages);
        box->passes -= 2;
        assert_true(check(params, &finding) < stamp.pages);
        box->passes++;
    }
}

static void finds_whatever_is_wrong(void **state)
{
    (void)state;
    each_kind(40, 1, try_to_hide);
}

static void account_is_of_one_page(void **state)
{
    (void)state;
    const struct godwit_stamp stamp = {SEED, 0, 12, 8, 2};
    struct godwit_stamp_account account;
    assert_true(godwit_stamp_account(&stamp, 1, 0x100000, 7, 0x103000, &account));
    assert_int_equal(account.passes, 7);
    assert_int_equal(account.turn, 1);
    assert_true(godwit_stamp_account(&stamp, 1, 0x100000, 7, 0x109000, &account));
    assert_int_equal(account.turn, 4);
    /* Another CPU's page, no page, below, above. */
    assert_false(godwit_stamp_account(&stamp, 0, 0x100000, 7, 0x103000, &account));
    assert_false(godwit_stamp_account(&stamp, 1, 0x100000, 7, 0x103008, &account));
    assert_false(godwit_stamp_account(&stamp, 1, 0x100000, 7, 0xff000, &account));
    assert_false(godwit_stamp_account(&stamp, 1, 0x100000, 7, 0x10b000, &account));
}

static void words_are_known(void **state)
{
    (void)state;
    const struct godwit_stamp stamp = {SEED, 0, 9, 500, 1};
    for (int i = 0; i < 200; i++) {
        const uint32_t page = (uint32_t)g_random_int_range(0, 500);
        const uint32_t index = (uint32_t)g_random_int_range(0, 64);
        const uint64_t generation = (uint64_t)g_random_int_range(0, 1000);
        const uint64_t word = godwit_stamp_word(&stamp, page, index, generation);
        const struct godwit_stamp_identity identity =
            godwit_stamp_identify(&stamp, word, 17, 5, 1000);
        assert_int_equal(identity.kind, GODWIT_STAMP_WORD);
        assert_int_equal(identity.page, page);
        assert_int_equal(identity.index, index);
        assert_int_equal(identity.generation, generation);
        assert_int_equal(godwit_stamp_identify(&stamp, word ^ 1, 17, 5, 1000).kind,
                         GODWIT_STAMP_FOREIGN);
    }
    assert_int_equal(godwit_stamp_identify(&stamp, 0, 17, 5, 1000).kind, GODWIT_STAMP_NULL);
    /* What is still to be written is not known. */
    const uint64_t word = godwit_stamp_word(&stamp, 3, 3, 1001);
    assert_int_equal(godwit_stamp_identify(&stamp, word, 3, 3, 1000).kind, GODWIT_STAMP_FOREIGN);
}

static void finding_reads_well(void **state)
{
    (void)state;
    const struct godwit_params params = params_of(8, 0, 1);
    const struct godwit_stamp stamp = stamp_of(&params);
    struct godwit_stamp_finding finding;
    char text[320];
    boot(&params);
    run(&params, 0, 3000);
    assert_int_equal(check(&params, &finding), 8);
    const uint64_t latest = machine.mailbox[0].passes + 1;
    machine.window[3 * 64 + 2] = godwit_stamp_word(&stamp, 6, 9, 1);
    assert_int_equal(check(&params, &finding), 3);
    godwit_stamp_format(&stamp, 3, &finding, 0x100000, latest, text, sizeof(text));
    assert_contains(text, "stamp broken at 0x100610 (word 2 of page 3)");
    assert_contains(text, "which is word 9 of page 6 in generation 1, instead of generation");
    machine.window[3 * 64 + 2] = 0;
    assert_int_equal(check(&params, &finding), 3);
    godwit_stamp_format(&stamp, 3, &finding, 0x100000, latest, text, sizeof(text));
    assert_contains(text, "which is zero, instead of generation");
    machine.window[3 * 64 + 2] = godwit_stamp_word(&stamp, 3, 2, 0);
    assert_int_equal(check(&params, &finding), 3);
    godwit_stamp_format(&stamp, 3, &finding, 0x100000, latest, text, sizeof(text));
    assert_contains(text, "which is the same word of generation 0, instead of generation");
}

static void guest_finds_wrong_memory(void **state)
{
    (void)state;
    const struct godwit_params params = params_of(40, GODWIT_FLAG_RANDOM, 1);
    const struct godwit_mailbox *box = &machine.mailbox[0];
    boot(&params);
    machine.window[7 * 64 + 3] ^= 16;
    assert_true(run(&params, 0, 1000000));
    assert_string_equal(machine.console, "AX");
    assert_int_equal(box->state, GODWIT_STATE_FAULT);
    assert_true(box->fault_address == (uintptr_t)&machine.window[7 * 64 + 3]);
    assert_true(box->fault_found == machine.window[7 * 64 + 3]);
    assert_true(box->fault_expected == (machine.window[7 * 64 + 3] ^ 16));
    /* It has not gone on. */
    assert_int_equal(box->passes, 0);
    assert_true(box->position == (uintptr_t)&machine.window[7 * 64]);
    /* Who is not asked to look does not find it. */
    struct godwit_params blind = params;
    blind.flags &= ~(uint32_t)GODWIT_FLAG_VERIFY;
    boot(&blind);
    machine.window[7 * 64 + 3] ^= 16;
    assert_false(run(&blind, 0, 10000));
}

static void guest_finds_lost_registers(void **state)
{
    (void)state;
    const struct godwit_params params = params_of(4, 0, 1);
    boot(&params);
    machine.lost = 33;
    assert_true(run(&params, 0, 1000000));
    assert_string_equal(machine.console, "AX");
    assert_int_equal(machine.mailbox[0].state, GODWIT_STATE_FAULT_REGISTER);
    assert_int_equal(machine.mailbox[0].fault_address, 33);
    assert_int_equal(machine.mailbox[0].fault_expected, 1);
    assert_int_equal(machine.mailbox[0].fault_found, 2);
}

static void guest_finds_time_going_back(void **state)
{
    (void)state;
    const struct godwit_params params = params_of(4, 0, 1);
    boot(&params);
    machine.now = 1000;
    machine.mailbox[0].timer = 1000;
    machine.tick = UINT64_MAX; /* back by one */
    assert_true(run(&params, 0, 1000000));
    assert_string_equal(machine.console, "AX");
    assert_int_equal(machine.mailbox[0].state, GODWIT_STATE_FAULT_TIMER);
    assert_int_equal(machine.mailbox[0].fault_expected, 1000);
    assert_int_equal(machine.mailbox[0].fault_found, 999);
}

/* Only the first CPU identifies itself, at its start and at the end of each pass. */
static void guest_identifies_itself(void **state)
{
    (void)state;
    struct godwit_params params = params_of(8, 0, 2);
    boot(&params);
    assert_false(run(&params, 0, 1500));
    assert_string_equal(machine.identified, "");
    params.flags |= GODWIT_FLAG_IDENTIFY;
    boot(&params);
    assert_false(run(&params, 1, 1500));
    assert_string_equal(machine.identified, "");
    boot(&params);
    assert_false(run(&params, 0, 1500));
    assert_true(machine.mailbox[0].passes >= 3);
    assert_int_equal(strncmp(machine.identified, "SPPP", 4), 0);
}

static void rate_is_kept(void **state)
{
    (void)state;
    struct godwit_params params = params_of(100, 0, 1);
    params.page_ticks = 1000;
    boot(&params);
    machine.tick = 7; /* a look takes that long: some are late */
    assert_false(run(&params, 0, 400000));
    const struct godwit_mailbox *box = &machine.mailbox[0];
    const uint64_t pages = box->passes * 100 + (box->position - params.window_start) / 512;
    assert_true(pages > 100);
    assert_in_range(machine.now / 1000, pages - 1, pages + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mix_can_be_taken_back),
        cmocka_unit_test(every_page_has_its_turn),
        cmocka_unit_test(orders_are_what_they_say),
        cmocka_unit_test(mixed_has_every_shape),
        cmocka_unit_test(holds_at_every_step),
        cmocka_unit_test(holds_between_halves),
        cmocka_unit_test(holds_for_several_cpus),
        cmocka_unit_test(finds_whatever_is_wrong),
        cmocka_unit_test(account_is_of_one_page),
        cmocka_unit_test(words_are_known),
        cmocka_unit_test(finding_reads_well),
        cmocka_unit_test(guest_finds_wrong_memory),
        cmocka_unit_test(guest_finds_lost_registers),
        cmocka_unit_test(guest_finds_time_going_back),
        cmocka_unit_test(rate_is_kept),
        cmocka_unit_test(guest_identifies_itself),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
