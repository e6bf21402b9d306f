/*
 * The oracles: position against a list of all that a guest can leave behind, made by playing the
 * guest step by step; look and twin on memory that is right, and spoiled in each way and place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/oracle.h"
#include "oracle/ledger.h"
#include "oracle/registers.h"

#include "testbed/measured.h"

#include "fake_pair.h"

#define START UINT64_C(0x40100000)
#define STEP  UINT64_C(0x1000)

enum { PAGES_MAX = 4 };

/* [increments modulo 256 passes][passes modulo 256][page of the position, the end included] */
static bool legal[256 * PAGES_MAX][256][PAGES_MAX + 1];

static struct godwit_workload small_workload(uint64_t pages)
{
    return (struct godwit_workload){
        .window_start = START, .window_end = START + pages * STEP, .page_size = STEP, .cpus = 1};
}

/* What page order says of a window of PAGES pages with these first bytes. */
static struct godwit_page_order_result order_of(const uint8_t *bytes, uint64_t pages)
{
    const struct godwit_page_order_window window = {START, pages * STEP, STEP, 0};
    struct godwit_page_order_result result;
    struct godwit_page_order check;
    assert_true(godwit_page_order_init(&check, &window));
    for (uint64_t page = 0; page < pages; page++) {
        static uint8_t whole[STEP];
        whole[0] = bytes[page];
        godwit_page_order_feed(&check, whole, STEP);
    }
    assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_HOLDS);
    result = check.result;
    return result;
}

/* Notes where a guest with PAGES pages can be stopped, as guest_abi.h tells the order of its
 * stores, over 256 passes: then everything repeats. */
static void list_legal(uint64_t pages)
{
    memset(legal, 0, sizeof(legal));
    uint64_t increments = 0, passes = 0, position = 0;
#define STOPPED_HERE() (legal[increments % (256 * pages)][passes % 256][position] = true)
    for (unsigned pass = 0; pass < 257; pass++) {
        STOPPED_HERE();
        for (uint64_t page = 0; page < pages; page++) {
            increments++;
            STOPPED_HERE();
            position = page + 1;
            STOPPED_HERE();
        }
        passes++;
        STOPPED_HERE();
        position = 0;
        STOPPED_HERE();
    }
#undef STOPPED_HERE
}

/* Every state of a small window against every mailbox: those that belong together pass, no other
 * does. Passes are counted beyond a byte, too: the oracle can and must see only its last one. */
static void test_position(void **state)
{
    (void)state;
    for (uint64_t pages = 1; pages <= PAGES_MAX; pages++) {
        const struct godwit_workload workload = small_workload(pages);
        list_legal(pages);
        for (uint64_t done = 0; done < 256 * pages; done++) {
            uint8_t bytes[PAGES_MAX];
            for (uint64_t page = 0; page < pages; page++)
                bytes[page] = (uint8_t)(done / pages + (page < done % pages));
            const struct godwit_page_order_result order = order_of(bytes, pages);
            for (uint64_t passes = 0; passes < 256; passes++) {
                for (uint64_t page = 0; page <= pages; page++) {
                    const struct godwit_mailbox mailbox = {
                        .magic = GODWIT_MAILBOX_MAGIC,
                        .passes = passes + (done % 3) * 256,
                        .position = START + page * STEP,
                    };
                    char text[320] = "";
                    const bool good =
                        godwit_oracle_position(&workload, &order, &mailbox, text, sizeof(text));
                    if (good != legal[done][passes][page])
                        fail_msg("%d pages: %d increments, %d passes, position %d: %s", (int)pages,
                                 (int)done, (int)passes, (int)page, good ? "passed" : text);
                    assert_int_equal(*text == '\0', good);
                }
            }
        }
    }
}

/* Each refusal, word by word. */
static void test_position_sentences(void **state)
{
    (void)state;
    static const struct {
        uint32_t magic;
        uint64_t passes, position;
        const char *text;
    } rows[] = {
        {GODWIT_MAILBOX_MAGIC, 7, START + 2 * STEP, ""},
        {0, 7, START + 2 * STEP, "no mailbox found: its magic is 0x00000000"},
        {0x424d4447, 7, START + 2 * STEP, "no mailbox found: its magic is 0x424d4447"},
        {GODWIT_MAILBOX_MAGIC, 7, START - STEP,
         "the mailbox's position 0x400ff000 is not a page of the window"},
        {GODWIT_MAILBOX_MAGIC, 7, START + 5 * STEP,
         "the mailbox's position 0x40105000 is not a page of the window"},
        {GODWIT_MAILBOX_MAGIC, 7, START + 2 * STEP + 8,
         "the mailbox's position 0x40102008 is not a page of the window"},
        {GODWIT_MAILBOX_MAGIC, 7, UINT64_MAX,
         "the mailbox's position 0xffffffffffffffff is not a page of the window"},
        {GODWIT_MAILBOX_MAGIC, 8, START + 2 * STEP,
         "memory and CPU are not from the same instant: by its bytes the guest is at page 2 of "
         "pass 7 "
         "(mod 256), by its mailbox at page 2 of pass 8"},
        {GODWIT_MAILBOX_MAGIC, 7, START + 3 * STEP,
         "memory and CPU are not from the same instant: by its bytes the guest is at page 2 of "
         "pass 7 "
         "(mod 256), by its mailbox at page 3 of pass 7"},
        {GODWIT_MAILBOX_MAGIC, 7, START,
         "memory and CPU are not from the same instant: by its bytes the guest is at page 2 of "
         "pass 7 "
         "(mod 256), by its mailbox at page 0 of pass 7"},
    };
    const struct godwit_workload workload = small_workload(4);
    static const uint8_t bytes[] = {8, 8, 7, 7};
    const struct godwit_page_order_result order = order_of(bytes, 4);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_mailbox mailbox = {
            .magic = rows[i].magic, .passes = rows[i].passes, .position = rows[i].position};
        char text[320] = "", cut[8] = "";
        assert_int_equal(godwit_oracle_position(&workload, &order, &mailbox, text, sizeof(text)),
                         *rows[i].text == '\0');
        assert_string_equal(text, rows[i].text);
        godwit_oracle_position(&workload, &order, &mailbox, cut, sizeof(cut));
        assert_true(g_str_has_prefix(rows[i].text, cut));
    }
}

/* How much of UNIT an oracle has compared, -1 if it has not judged. */
static json_int_t judged(const struct fake_pair *pair, enum godwit_oracle oracle, const char *unit)
{
    g_autoptr(json_t) all = godwit_oracles_judged(pair->testbed);
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one)
    {
        if (!strcmp(godwit_json_string(one, "name", ""), godwit_oracle_name(oracle)))
            return godwit_json_integer(one, unit, -1);
    }
    return -1;
}

/* The oracle's message is exactly TEXT, and it is the oracle's. */
static void expect_error(const GError *error, const char *text)
{
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
    assert_string_equal(error->message, text);
}

static void expect_reading(const struct godwit_reading *reading)
{
    assert_int_equal(reading->order->rule, GODWIT_PAGE_ORDER_HOLDS);
    assert_int_equal(reading->order->pages, PAIR_PAGES);
    assert_int_equal(reading->order->first, PAIR_PASSES + 1);
    assert_int_equal(reading->order->edge_address, START + PAIR_POSITION * PAIR_PAGE);
    assert_int_equal(reading->mailbox->magic, GODWIT_MAILBOX_MAGIC);
    assert_int_equal(reading->mailbox->passes, PAIR_PASSES);
    assert_int_equal(reading->mailbox->position, START + PAIR_POSITION * PAIR_PAGE);
    assert_int_equal(reading->mailbox->timer, 123456789);
}

/* Calls TEST with a pair of either byte order, read in either way. */
static void each_pair(void **state, void (*test)(struct fake_pair *pair))
{
    for (int kind = 0; kind < 4; kind++) {
        struct fake_pair *pair = fake_pair_new(state, kind & 1, kind & 2);
        fake_pair_blocks(pair, true);
        test(pair);
        fake_pair_free(pair);
    }
}

static void look_good(struct fake_pair *pair)
{
    struct godwit_reading reading, later;
    assert_true(godwit_oracle_look(pair->source->vm, &reading, NULL));
    expect_reading(&reading);
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "pages"), PAIR_PAGES);
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "bytes"), PAIR_PAGES * PAIR_PAGE);
    assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "bytes"), -1);

    /* The sum is of the window, of each byte in it, and of their order. */
    assert_true(godwit_oracle_look(pair->destination->vm, &later, NULL));
    assert_int_equal(later.checksum, reading.checksum);
    unsigned char *window = pair->destination->memory + PAIR_WINDOW;
    window[-1]++;
    window[PAIR_PAGES * PAIR_PAGE]++;
    assert_true(godwit_oracle_look(pair->destination->vm, &later, NULL));
    assert_int_equal(later.checksum, reading.checksum);
    window[PAIR_PAGES * PAIR_PAGE - 1]++;
    assert_true(godwit_oracle_look(pair->destination->vm, &later, NULL));
    assert_int_not_equal(later.checksum, reading.checksum);
    window[PAIR_PAGES * PAIR_PAGE - 1]--;
    memset(window + 8, 1, 8);
    memset(window + 16, 2, 8);
    assert_true(godwit_oracle_look(pair->destination->vm, &reading, NULL));
    memset(window + 8, 2, 8);
    memset(window + 16, 1, 8);
    assert_true(godwit_oracle_look(pair->destination->vm, &later, NULL));
    assert_int_not_equal(later.checksum, reading.checksum);
}

static void test_look(void **state)
{
    each_pair(state, look_good);
}

/* Guests that are not as they should be. */
static void test_look_wrong(void **state)
{
    static const struct {
        uint64_t page; /* whose first byte is ... */
        int byte;      /* ... this; -1: unchanged */
        uint64_t passes;
        uint64_t pages;     /* in order */
        const char *oracle; /* that finds it */
        const char *text;
    } rows[] = {
        {0, 9, PAIR_PASSES, 1, "page-order",
         "source: page order broken at 0x40101000: 0x04 after 0x09 (before 0x04), where only 0x09 "
         "or 0x08 may follow"},
        {256, 9, PAIR_PASSES, 256, "page-order", /* the first one of the second chunk */
         "source: page order broken at 0x40200000: 0x09 after 0x03 (before 0x03), where above the "
         "edge at 0x401c8000 only 0x03 may follow"},
        {PAIR_PAGES - 1, 2, PAIR_PASSES, PAIR_PAGES - 1, "page-order",
         "source: page order broken at 0x402ff000: 0x02 after 0x03 (the last page) is a second "
         "edge, after the one at 0x401c8000"},
        {0, -1, PAIR_PASSES + 1, PAIR_PAGES, "position",
         "source: memory and CPU are not from the same instant: by its bytes the guest is at page "
         "200 of "
         "pass 3 (mod 256), by its mailbox at page 200 of pass 4"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        if (rows[i].byte >= 0)
            pair->source->memory[PAIR_WINDOW + rows[i].page * PAIR_PAGE] =
                (unsigned char)rows[i].byte;
        MAILBOX_SET(pair, source, PASSES, rows[i].passes);
        assert_false(godwit_oracle_look(pair->source->vm, &reading, &error));
        expect_error(error, rows[i].text);
        assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "pages"), rows[i].pages);
        const json_t *finder = json_object_get(godwit_testbed_measured(pair->testbed), "found_by");
        assert_string_equal(godwit_json_string(finder, "oracle", ""), rows[i].oracle);
        assert_string_equal(godwit_oracle_name(godwit_oracle_accused(pair->testbed)),
                            rows[i].oracle);
        assert_string_equal(godwit_json_string(finder, "vm", ""), "source");
        fake_pair_free(pair);
    }
}

/* A guest that is not stopped: one look takes three readings of its memory (two MiB and the
 * mailbox), and then the same three again. Here it moves after the first three. */
static uint64_t moving_byte;

static void move(struct fake_vm *fake, unsigned number)
{
    if (number == 3)
        fake->memory[moving_byte] ^= 1;
}

static void test_look_moving(void **state)
{
    static const uint64_t bytes[] = {
        PAIR_WINDOW + 1,                                  /* the window's first that is no first */
        PAIR_WINDOW + PAIR_PAGES * PAIR_PAGE - 1,         /* its last */
        PAIR_MAILBOX + GODWIT_MAILBOX_OFF_TIMER,          /* a guest that reads its timer */
        PAIR_MAILBOX + GODWIT_MAILBOX_OFF_FAULT_FOUND + 7 /* the mailbox's last */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, true);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        moving_byte = bytes[i];
        pair->source->before_pmemsave = move;
        assert_false(godwit_oracle_look(pair->source->vm, &reading, &error));
        expect_error(error, "source: its memory changes although the guest is stopped (position "
                            "0x401c8000, then 0x401c8000)");
        assert_int_equal(pair->source->pmemsaves, 6);
        fake_pair_free(pair);
    }
}

/* Stillness goes with either oracle of the window's bytes, and with no other. */
static void test_look_moving_oracles(void **state)
{
    static const struct {
        enum godwit_oracle on;
        bool judges;
    } rows[] = {
        {GODWIT_ORACLE_PAGE_ORDER, true},
        {GODWIT_ORACLE_STAMP, true},
        {GODWIT_ORACLE_TWIN, false},
        {GODWIT_ORACLE_CONTINUITY, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, true);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        pair->setup.oracles_off = ~(1u << rows[i].on);
        moving_byte = PAIR_WINDOW + 1;
        pair->source->before_pmemsave = move;
        assert_int_equal(godwit_oracle_look(pair->source->vm, &reading, &error), !rows[i].judges);
        if (rows[i].judges)
            expect_error(error,
                         "source: its memory changes although the guest is stopped (position "
                         "0x401c8000, then 0x401c8000)");
        fake_pair_free(pair);
    }
}

/* A guest that writes a page each 100 ms, and should not. */
static gboolean write_page(gpointer data)
{
    struct fake_vm *fake = data;
    fake->memory[PAIR_WINDOW + PAIR_POSITION * PAIR_PAGE]++;
    return G_SOURCE_REMOVE;
}

static void test_look_slow(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_reading reading;
    g_autoptr(GError) error = NULL;
    fake_pair_blocks(pair, true);
    pair->machine.timer_hz = 10000000;
    pair->setup.workload.page_ticks = 1000000;
    g_timeout_add(150, write_page, pair->source);
    assert_false(godwit_oracle_look(pair->source->vm, &reading, &error));
    expect_error(error, "source: its memory changes although the guest is stopped (position "
                        "0x401c8000, then 0x401c8000)");
    assert_true(godwit_oracle_look(pair->destination->vm, &reading, NULL));
    fake_pair_free(pair);
}

static void twin_good(struct fake_pair *pair)
{
    struct godwit_reading reading;
    assert_true(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, NULL));
    expect_reading(&reading);
    assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "bytes"), PAIR_ALL);
    assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "different"), 0);
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "pages"), 2 * PAIR_PAGES);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "not_compared"));
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "known_bugs"));
}

static void test_twin(void **state)
{
    each_pair(state, twin_good);
}

/* One byte differs: at every place where something begins or ends, and somewhere. */
static void test_twin_one_byte(void **state)
{
    static const uint64_t places[] = {
        0,
        1,
        PAIR_PAGE - 1,
        PAIR_PAGE,
        0xf000,
        PAIR_MAILBOX - 1,
        PAIR_MAILBOX, /* the mailbox's magic */
        PAIR_MAILBOX + GODWIT_MAILBOX_OFF_TIMER,
        PAIR_MAILBOX + GODWIT_MAILBOX_SIZE - 1,
        PAIR_MAILBOX + GODWIT_MAILBOX_SIZE,
        PAIR_MAILBOX + PAIR_PAGE - 1,
        0xfffff, /* the last byte before the window and of the first MiB */
        PAIR_WINDOW,
        PAIR_WINDOW + 1,
        0x1fffff,
        0x200000,
        0x234567,
        PAIR_WINDOW + PAIR_PAGES * PAIR_PAGE - 1,
        PAIR_WINDOW + PAIR_PAGES * PAIR_PAGE,
        PAIR_RAM - 1,
        PAIR_RAM, /* the ROM's first byte */
        PAIR_RAM + 0x1234,
        PAIR_ALL - 1,
    };
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
            struct fake_pair *pair = fake_pair_new(state, false, pmemsave);
            struct godwit_reading reading;
            g_autoptr(GError) error = NULL;
            fake_pair_blocks(pair, true);
            unsigned char *byte = &pair->destination->memory[places[i]];
            *byte ^= 0x10;
            g_autofree char *text = g_strdup_printf(
                "twin: 1 bytes in 1 pages differ between source and destination, the first at "
                "0x%" PRIx64 " of RAM block %s: 0x%02x on the source, 0x%02x on the destination",
                places[i] < PAIR_RAM ? places[i] : places[i] - PAIR_RAM,
                places[i] < PAIR_RAM ? "the.ram" : "the.rom", *byte ^ 0x10, *byte);
            assert_false(
                godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
            expect_error(error, text);
            assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "different"), 1);
            assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "bytes"), PAIR_ALL);
            fake_pair_free(pair);
        }
    }
}

/* The RAM compare without a guest: it needs no window and no mailbox, and sees one byte. */
static void test_ram(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    g_autoptr(GError) error = NULL;
    fake_pair_blocks(pair, true);
    memset(pair->source->memory, 0, PAIR_ALL);
    memset(pair->destination->memory, 0, PAIR_ALL);
    assert_true(godwit_oracle_ram(pair->source->vm, pair->destination->vm, NULL));
    assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "bytes"), PAIR_ALL);
    pair->destination->memory[PAIR_ALL - 1] = 1;
    assert_false(godwit_oracle_ram(pair->source->vm, pair->destination->vm, &error));
    g_autofree char *text = g_strdup_printf(
        "twin: 1 bytes in 1 pages differ between source and destination, the first at 0x%" PRIx64
        " of RAM block the.rom: 0x00 on the source, 0x01 on the destination",
        (uint64_t)PAIR_ALL - 1 - PAIR_RAM);
    expect_error(error, text);
    fake_pair_free(pair);
}

/* Many bytes, counted, pages apart, over chunks and blocks; the first one is told. */
static void test_twin_count(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_reading reading;
    g_autoptr(GError) error = NULL;
    fake_pair_blocks(pair, true);
    static const struct {
        uint64_t from, to;
    } spans[] = {
        {0x5001, 0x5003},            /* two in a page */
        {0x6fff, 0x7001},            /* two in two */
        {0xfffff, 0x100001},         /* and over a chunk's edge */
        {0x302fff, PAIR_RAM + 1},    /* and from one block into the other */
        {PAIR_ALL - 4096, PAIR_ALL}, /* a whole page */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(spans); i++)
        for (uint64_t at = spans[i].from; at < spans[i].to; at++)
            pair->source->memory[at] ^= 0xff;
    assert_false(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
    g_autofree char *text = g_strdup_printf(
        "twin: 4104 bytes in 8 pages differ between source and destination, the first at 0x5001 of "
        "RAM block the.ram: 0x%02x on the source, 0x%02x on the destination",
        pair->source->memory[0x5001], pair->destination->memory[0x5001]);
    expect_error(error, text);
    assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "different"), 4104);
    fake_pair_free(pair);
}

/* Blocks that only one side has, or has more of. */
static void test_twin_blocks(void **state)
{
    for (int what = 0; what < 3; what++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        struct godwit_block *rom =
            &g_array_index(pair->destination->vm->blocks, struct godwit_block, 1);
        if (what == 0)
            fake_vm_block(pair->destination, "more", 0, 0x1000, true, UINT64_MAX);
        else if (what == 1)
            rom->length -= 1;
        else
            strcpy(rom->name, "the.rim");
        static const char *const texts[] = {
            "twin: the source has 2 RAM blocks, the destination 3",
            "twin: RAM block the.rom has 0x12000 bytes on the source and 0x11fff on the "
            "destination",
            "twin: RAM block the.rom has 0x12000 bytes on the source and 0x0 on the destination",
        };
        assert_false(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
        expect_error(error, texts[what]);
        fake_pair_free(pair);
    }
}

/* Blocks are matched by name, not by their place in the list. */
static void test_twin_block_order(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_reading reading;
    fake_vm_block(pair->source, "the.ram", 0, PAIR_RAM, true, PAIR_BASE);
    fake_vm_block(pair->source, "the.rom", PAIR_RAM, PAIR_ROM, true, PAIR_BASE + PAIR_RAM);
    fake_vm_block(pair->destination, "the.rom", PAIR_RAM, PAIR_ROM, true, PAIR_BASE + PAIR_RAM);
    fake_vm_block(pair->destination, "the.ram", 0, PAIR_RAM, true, PAIR_BASE);
    assert_true(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, NULL));
    expect_reading(&reading);
    fake_pair_free(pair);
}

/* A block of which nobody says where it is, and the guest sees a part only: that is compared, and
 * the rest is named. */
static void test_twin_not_compared(void **state)
{
    for (int different = 0; different < 2; different++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct fake_vm *const both[] = {pair->source, pair->destination};
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
            fake_vm_block(both[i], "the.ram", 0, PAIR_RAM, true, PAIR_BASE);
            fake_vm_block(both[i], "the.rom", PAIR_RAM, PAIR_ROM, false, PAIR_BASE + PAIR_RAM);
            g_array_index(both[i]->vm->pieces, struct godwit_piece, 1).length = 0x1800;
        }
        /* The last byte that is seen, or the first that is not. */
        pair->destination->memory[PAIR_RAM + (different ? 0x17ff : 0x1800)] ^= 1;
        assert_int_equal(
            godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error),
            !different);
        if (different)
            assert_contains(error->message, "twin: 1 bytes in 1 pages differ between source and "
                                            "destination, the first at 0x17ff of RAM block "
                                            "the.rom");
        const json_t *list =
            json_object_get(godwit_testbed_measured(pair->testbed), "not_compared");
        assert_int_equal(json_array_size(list), 1);
        assert_string_equal(json_string_value(json_array_get(list, 0)),
                            "the.rom: 67584 of 73728 bytes are not mapped in the guest, and this "
                            "QEMU does not report where they are");
        assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "bytes"), PAIR_RAM + 0x1800);
        fake_pair_free(pair);
    }
}

/* Twins of which both are wrong. */
static void test_twin_both_wrong(void **state)
{
    for (int what = 0; what < 2; what++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        if (what == 0) {
            pair->source->memory[PAIR_WINDOW] = pair->destination->memory[PAIR_WINDOW] = 0x77;
        } else {
            MAILBOX_SET(pair, source, PASSES, 9);
            MAILBOX_SET(pair, destination, PASSES, 9);
        }
        assert_false(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
        assert_true(g_str_has_prefix(
            error->message, what == 0 ? "source: page order broken at 0x40101000: "
                                      : "source: memory and CPU are not from the same instant"));
        assert_int_equal(judged(pair, GODWIT_ORACLE_TWIN, "different"), 0);
        fake_pair_free(pair);
    }
}

static void make_stale(struct fake_pair *pair)
{
    g_free(pair->source_qemu.version);
    pair->source_qemu.version = pair->destination_qemu.version = g_strdup("8.2.1");
    /* The destination's mailbox is from two pages ago. */
    MAILBOX_SET(pair, destination, POSITION, START + (PAIR_POSITION - 2) * PAIR_PAGE);
    MAILBOX_SET(pair, destination, TIMER, 123456000);
}

/* A stale mailbox that is a known bug of QEMU is noted, and is no failure; the reading is the
 * source's. */
static void stale_known(struct fake_pair *pair)
{
    struct godwit_reading reading;
    make_stale(pair);
    assert_true(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, NULL));
    expect_reading(&reading);
    const json_t *bug =
        json_array_get(json_object_get(godwit_testbed_measured(pair->testbed), "known_bugs"), 0);
    assert_string_equal(godwit_json_string(bug, "id", ""), "tcg-hot-page");
    assert_contains(godwit_json_string(bug, "seen", ""), "of RAM block the.ram: 0x");
    assert_true(judged(pair, GODWIT_ORACLE_TWIN, "different") >= 2);
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "pages"), 2 * PAIR_PAGES);
}

static void test_twin_known(void **state)
{
    each_pair(state, stale_known);
}

/* So are a few pages of the window that are some passes old, and the guest is not to run then; not
 * many, and none that differs in another byte. */
static void test_twin_known_window(void **state)
{
    static const struct {
        unsigned pages, by, byte;
        bool known;
    } rows[] = {{1, 1, 0, true},    {3, 127, 0, true},  {8, 1, 0, true}, {9, 1, 0, false},
                {1, 128, 0, false}, {1, 255, 0, false}, {1, 1, 8, false}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        fake_pair_blocks(pair, true);
        make_stale(pair);
        for (unsigned page = 0; page < rows[i].pages; page++) {
            unsigned char *byte =
                pair->destination->memory + PAIR_WINDOW + page * PAIR_PAGE + rows[i].byte;
            *byte = (unsigned char)(*byte - rows[i].by);
        }
        assert_int_equal(
            godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, NULL),
            rows[i].known);
        assert_int_equal(pair->testbed->lost, rows[i].known);
        fake_pair_free(pair);
    }
}

/* The known bug excuses nothing else: not a byte more, not page order, not the source's position.
 */
static void test_twin_known_hides_nothing(void **state)
{
    static const uint64_t more[] = {
        0, /* before the mailbox, */
        PAIR_MAILBOX - 1,
        PAIR_MAILBOX + GODWIT_MAILBOX_SIZE, /* in its page behind it, */
        PAIR_WINDOW,                        /* a page that is ahead, */
        PAIR_WINDOW + 1,
        PAIR_RAM - 1,
        PAIR_RAM,                                           /* in the other block, */
        PAIR_RAM + PAIR_MAILBOX + GODWIT_MAILBOX_OFF_TIMER, /* at the same place, */
        PAIR_ALL - 1,
        PAIR_MAILBOX + GODWIT_MAILBOX_OFF_MAGIC, /* and in it, what never changes */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(more) + 2; i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        const char *wrong = "twin: ";
        fake_pair_blocks(pair, true);
        make_stale(pair);
        if (i < G_N_ELEMENTS(more)) {
            pair->destination->memory[more[i]] ^= 1;
        } else if (i == G_N_ELEMENTS(more)) {
            pair->source->memory[PAIR_WINDOW] = pair->destination->memory[PAIR_WINDOW] = 0x77;
            wrong = "source: page order broken";
        } else {
            MAILBOX_SET(pair, source, PASSES, 9);
            wrong = "source: memory and CPU are not from the same instant";
        }
        assert_false(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
        assert_true(g_str_has_prefix(error->message, wrong));
        fake_pair_free(pair);
    }
}

/* Nor when blocks are compared in pieces that come in another order than their bytes. */
static void test_twin_known_in_pieces(void **state)
{
    for (int more = 0; more < 3; more++) {
        struct fake_pair *pair = fake_pair_new(state, false, true);
        struct fake_vm *const both[] = {pair->source, pair->destination};
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        make_stale(pair);
        for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
            fake_vm_block(both[i], "the.ram", 0, PAIR_RAM, false, UINT64_MAX);
            const struct godwit_piece pieces[] = {
                {0, PAIR_BASE + PAIR_MAILBOX, PAIR_MAILBOX, PAIR_RAM - PAIR_MAILBOX},
                {0, PAIR_BASE, 0, PAIR_MAILBOX},
            };
            g_array_append_vals(both[i]->vm->pieces, pieces, G_N_ELEMENTS(pieces));
        }
        if (more > 0) /* lower than the mailbox, and met later */
            pair->destination->memory[5] ^= 1;
        if (more > 1) /* higher, and met in between */
            pair->destination->memory[PAIR_WINDOW + 1] ^= 1;
        assert_int_equal(
            godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error), !more);
        if (more)
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
        fake_pair_free(pair);
    }
}

/* A window that is no RAM of this guest, and a QEMU that cannot be read. */
static void test_unreadable(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, true);
    struct godwit_reading reading;
    g_autoptr(GError) error = NULL;
    fake_pair_blocks(pair, true);
    pair->destination->refuses = true;
    assert_false(godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error));
    assert_contains(error->message, "the destination refused pmemsave");
    g_clear_error(&error);
    assert_false(godwit_oracle_look(pair->destination->vm, &reading, &error));
    assert_contains(error->message, "the destination refused pmemsave");
    g_clear_error(&error);
    pair->setup.workload.window_start = PAIR_BASE - PAIR_PAGE;
    assert_false(godwit_oracle_look(pair->source->vm, &reading, &error));
    assert_contains(error->message, "0x3ffff000+0x301000 is not RAM of this guest");
    fake_pair_free(pair);
}

/* Several CPUs, each in another pass and at another page of its stripe. */
enum { CPUS = 4, EACH = PAIR_PAGES / CPUS };

static const struct {
    uint64_t passes, page;
} progress[CPUS] = {{7, 100}, {3, 0}, {255, 127}, {256, 1}};

/* Sets a field of one CPU's mailbox on one side, or in the CPU's own of what guests keep there. */
static void set_field(struct fake_pair *pair, struct fake_vm *fake, unsigned cpu, size_t field,
                      uint64_t value)
{
    fake_vm_mailbox(fake, pair->machine.big_endian, cpu * GODWIT_MAILBOX_STRIDE + field,
                    field < GODWIT_MAILBOX_OFF_PASSES ? 4 : 8, value);
}

static void make_smp(struct fake_pair *pair)
{
    struct fake_vm *const both[] = {pair->source, pair->destination};
    pair->setup.workload.cpus = CPUS;
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        for (uint64_t page = 0; page < PAIR_PAGES; page++)
            both[i]->memory[PAIR_WINDOW + page * PAIR_PAGE] =
                (unsigned char)(progress[page % CPUS].passes +
                                (page / CPUS < progress[page % CPUS].page));
        memset(both[i]->memory + PAIR_MAILBOX, 0, CPUS * GODWIT_MAILBOX_STRIDE);
        for (unsigned cpu = 0; cpu < CPUS; cpu++) {
            set_field(pair, both[i], cpu, GODWIT_MAILBOX_OFF_MAGIC, GODWIT_MAILBOX_MAGIC);
            set_field(pair, both[i], cpu, GODWIT_MAILBOX_OFF_STATE, GODWIT_STATE_RUNNING);
            set_field(pair, both[i], cpu, GODWIT_MAILBOX_OFF_PASSES, progress[cpu].passes);
            set_field(pair, both[i], cpu, GODWIT_MAILBOX_OFF_TIMER, 1000 + cpu);
            set_field(pair, both[i], cpu, GODWIT_MAILBOX_OFF_POSITION,
                      START + (progress[cpu].page * CPUS + cpu) * PAIR_PAGE);
        }
    }
}

static void smp_good(struct fake_pair *pair)
{
    struct godwit_reading reading;
    make_smp(pair);
    assert_true(godwit_oracle_look(pair->source->vm, &reading, NULL));
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "pages"), PAIR_PAGES);
    assert_int_equal(judged(pair, GODWIT_ORACLE_PAGE_ORDER, "bytes"), PAIR_PAGES * PAIR_PAGE);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        const struct godwit_page_order_result *order = &reading.order[cpu];
        assert_int_equal(order->pages, EACH);
        assert_int_equal(order->base, progress[cpu].passes % 256);
        assert_int_equal(order->has_edge, progress[cpu].page != 0);
        if (order->has_edge)
            assert_int_equal(order->edge_address,
                             START + (progress[cpu].page * CPUS + cpu) * PAIR_PAGE);
        assert_int_equal(reading.mailbox[cpu].passes, progress[cpu].passes);
        assert_int_equal(reading.mailbox[cpu].timer, 1000 + cpu);
    }
    /* A CPU at its stripe's end, which is beyond the window's, and ahead by one increment. */
    set_field(pair, pair->source, 2, GODWIT_MAILBOX_OFF_POSITION,
              START + (PAIR_PAGES + 2) * PAIR_PAGE);
    pair->source->memory[PAIR_WINDOW + (PAIR_PAGES - 2) * PAIR_PAGE] = 0;
    assert_true(godwit_oracle_look(pair->source->vm, &reading, NULL));
    set_field(pair, pair->source, 0, GODWIT_MAILBOX_OFF_POSITION, START + 99 * CPUS * PAIR_PAGE);
    assert_true(godwit_oracle_look(pair->source->vm, &reading, NULL));
}

static void test_smp(void **state)
{
    each_pair(state, smp_good);
}

/* What is wrong is told with the CPU whose it is. */
static void test_smp_wrong(void **state)
{
    static const struct {
        uint64_t page; /* whose first byte is ... */
        int byte;      /* ... this; -1: unchanged */
        unsigned cpu;  /* whose position is ... */
        uint64_t at;   /* ... this page of the window; 0: unchanged */
        const char *text;
    } rows[] = {
        {9, 9, 0, 0,
         "source: CPU 1: page order broken at 0x40109000: 0x09 after 0x03 (before 0x03), where "
         "only 0x03 or 0x02 may follow"},
        /* What would be an edge among all pages is none in its stripe. */
        {4, 7, 0, 0,
         "source: CPU 0: page order broken at 0x40108000: 0x08 after 0x07 (before 0x08)"},
        {PAIR_PAGES - 1, 3, 0, 0,
         "source: CPU 3: page order broken at 0x402ff000: 0x03 after 0x00"},
        {0, -1, 2, 126 * CPUS + 1,
         "source: CPU 2: the mailbox's position 0x402f9000 is not a page of the window"},
        {0, -1, 1, PAIR_PAGES + CPUS + 1,
         "source: CPU 1: the mailbox's position 0x40305000 is not a page of the window"},
        {0, -1, 3, 2 * CPUS + 3,
         "source: CPU 3: memory and CPU are not from the same instant: by its bytes the guest is "
         "at page "
         "1 of pass 0 (mod 256), by its mailbox at page 2 of pass 256"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        make_smp(pair);
        if (rows[i].byte >= 0)
            pair->source->memory[PAIR_WINDOW + rows[i].page * PAIR_PAGE] =
                (unsigned char)rows[i].byte;
        if (rows[i].at)
            set_field(pair, pair->source, rows[i].cpu, GODWIT_MAILBOX_OFF_POSITION,
                      START + rows[i].at * PAIR_PAGE);
        assert_false(godwit_oracle_look(pair->source->vm, &reading, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
        assert_contains(error->message, rows[i].text);
        fake_pair_free(pair);
    }
}

/* The known bug is of all mailboxes, and of nothing between and behind them. */
static void test_smp_known(void **state)
{
    static const struct {
        uint64_t offset; /* of a byte that differs as well; 0: none */
        bool known;
    } rows[] = {
        {0, true},
        {GODWIT_MAILBOX_OFF_MAGIC, false},
        {GODWIT_MAILBOX_SIZE, false},
        {GODWIT_MAILBOX_STRIDE - 1, false},
        {2 * GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE, false},
        {2 * GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_OFF_STATE, false},
        {3 * GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_OFF_FAULT_FOUND, false},
        {3 * GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE, false},
        {4 * GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_OFF_TIMER, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct godwit_reading reading;
        g_autoptr(GError) error = NULL;
        fake_pair_blocks(pair, true);
        make_smp(pair);
        g_free(pair->source_qemu.version);
        pair->source_qemu.version = pair->destination_qemu.version = g_strdup("8.2.1");
        set_field(pair, pair->destination, 0, GODWIT_MAILBOX_OFF_TIMER, 999);
        set_field(pair, pair->destination, 3, GODWIT_MAILBOX_OFF_PASSES, 255);
        set_field(pair, pair->destination, 3, GODWIT_MAILBOX_OFF_TIMER, 1);
        if (rows[i].offset || i == 1)
            pair->destination->memory[PAIR_MAILBOX + rows[i].offset] ^= 1;
        assert_int_equal(
            godwit_oracle_twin(pair->source->vm, pair->destination->vm, &reading, &error),
            rows[i].known);
        assert_int_equal(json_object_get(godwit_testbed_measured(pair->testbed), "known_bugs") !=
                             NULL,
                         rows[i].known);
        /* The reading is the source's. */
        if (rows[i].known)
            assert_int_equal(reading.mailbox[3].passes, progress[3].passes);
        fake_pair_free(pair);
    }
}

/* What QEMU prints of registers, of several CPUs, as far as it matters. */
static void test_registers_find(void **state)
{
    (void)state;
    static const char x86[] = "\r\nCPU#0\r\nEAX=00000001 EBX=0012f000 ECX=00000000\r\nESI=5\r\n"
                              "\r\nCPU#1\r\nEAX=00000001 ECX=00000000\r\n"
                              "\r\nCPU#10\r\nEAX=00000001 EBX=00130000\r\n";
    static const char ppc[] =
        "CPU#0\nNIP 0000000000000100   LR 00 CPU#0\n"
        "GPR20 0000000000000014 0000000000000015 0000000000000016 0000000000000017\n";
    static const char s390[] = "CPU#0\nF7=1 FR07=ff R06=1 R07=0000000000abc000\n";
    static const struct {
        const char *text;
        unsigned cpu;
        const char *label;
        unsigned index;
        json_int_t value; /* -1: not there */
    } rows[] = {
        {x86, 0, "EBX=", 0, 0x12f000},
        {x86, 1, "EBX=", 0, -1},
        {x86, 10, "EBX=", 0, 0x130000},
        {x86, 2, "EBX=", 0, -1},
        {x86, 0, "BX=", 0, -1},
        {ppc, 0, "GPR20", 2, 0x16},
        {ppc, 0, "GPR20", 3, 0x17},
        {ppc, 0, "GPR20", 4, -1},
        {s390, 0, "R07=", 0, 0xabc000},
        {"", 0, "EBX=", 0, -1},
        {"CPU#0\nEBX=", 0, "EBX=", 0, -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t value = 0;
        const bool found =
            godwit_registers_find(rows[i].text, rows[i].cpu, rows[i].label, rows[i].index, &value);
        assert_int_equal(found, rows[i].value >= 0);
        if (found)
            assert_int_equal(value, rows[i].value);
    }
}

/* The register is stored after it was changed: it is never behind, and ahead by one page at most.
 */
static void test_registers_agree(void **state)
{
    (void)state;
    const struct godwit_workload workload = small_workload(4);
    for (uint64_t at = 0; at <= 4; at++) {
        const struct godwit_mailbox mailbox = {.position = START + at * STEP};
        for (uint64_t page = 0; page <= 5; page++)
            assert_int_equal(godwit_registers_agree(&workload, &mailbox, START + page * STEP),
                             page == at || (at < 4 ? page == at + 1 : page == 0));
        assert_false(godwit_registers_agree(&workload, &mailbox, START + at * STEP + 8));
        assert_false(godwit_registers_agree(&workload, &mailbox, START - STEP));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_find),
        cmocka_unit_test(test_registers_agree),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_position_sentences),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_look_wrong),
        cmocka_unit_test(test_look_moving),
        cmocka_unit_test(test_look_moving_oracles),
        cmocka_unit_test(test_look_slow),
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_twin_one_byte),
        cmocka_unit_test(test_ram),
        cmocka_unit_test(test_twin_count),
        cmocka_unit_test(test_twin_blocks),
        cmocka_unit_test(test_twin_block_order),
        cmocka_unit_test(test_twin_not_compared),
        cmocka_unit_test(test_twin_both_wrong),
        cmocka_unit_test(test_twin_known),
        cmocka_unit_test(test_twin_known_window),
        cmocka_unit_test(test_smp),
        cmocka_unit_test(test_smp_wrong),
        cmocka_unit_test(test_smp_known),
        cmocka_unit_test(test_twin_known_hides_nothing),
        cmocka_unit_test(test_twin_known_in_pieces),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests_name("oracle", tests, unit_folder, unit_folder_end);
}
