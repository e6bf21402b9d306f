/*
 * Page order, against a list of everything a sequential writer can leave behind. The list is made
 * by counting, not by the rule that the checker follows, so the two can disagree.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "godwit/guest_abi.h"
#include "godwit/page_order.h"

#define PAGES_MAX     8
#define PAGE_SIZE_MAX 16
#define WINDOW_START  UINT64_C(0x40100000)

/* A way to lay a window's bytes out in memory and to cut it into pieces. */
struct layout {
    uint64_t page_size;
    uint64_t offset;
    size_t chunk; /* bytes per feed; 0: pieces of growing size */
};

static const struct layout layouts[] = {
    {1, 0, 1}, {1, 0, 3}, {2, 1, 1}, {3, 0, 2}, {4, 3, 4}, {4, 0, 5}, {8, 4, 3}, {16, 15, 0},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

/* All legal states of one number of pages, filed under their first byte. */
static uint8_t legal[256][PAGES_MAX][PAGES_MAX];

/* Which byte may follow which in a window of two pages: its list of legal states. */
static bool legal_pair[256][256];

/* The state of PAGES pages when `done` of them are one ahead of the value V of the others. */
static void state_fill(uint8_t *bytes, size_t pages, unsigned v, size_t done)
{
    for (size_t i = 0; i < pages; i++) {
        bytes[i] = (uint8_t)(i < done ? v + 1 : v);
    }
}

static void legal_list(size_t pages)
{
    size_t filed[256] = {0};

    for (unsigned v = 0; v < 256; v++) {
        for (size_t done = 0; done < pages; done++) {
            uint8_t bytes[PAGES_MAX];

            state_fill(bytes, pages, v, done);
            assert_true(filed[bytes[0]] < pages);
            memcpy(legal[bytes[0]][filed[bytes[0]]++], bytes, pages);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        for (size_t done = 0; done < 2; done++) {
            uint8_t bytes[2];

            state_fill(bytes, 2, v, done);
            legal_pair[bytes[0]][bytes[1]] = true;
        }
    }
    return 0;
}

/* How many pages BYTES has in common with the legal state that it resembles longest. */
static size_t legal_prefix(const uint8_t *bytes, size_t pages)
{
    size_t longest = 0;

    for (size_t i = 0; i < pages; i++) {
        const uint8_t *candidate = legal[bytes[0]][i];
        size_t same = 0;

        while (same < pages && candidate[same] == bytes[same]) {
            same++;
        }
        longest = same > longest ? same : longest;
    }
    return longest;
}

static uint64_t page_address(const struct layout *layout, size_t page)
{
    return WINDOW_START + page * layout->page_size + layout->offset;
}

/* Compares a result with what the list of legal states says about BYTES. */
static void expect(const struct godwit_page_order_result *result, const uint8_t *bytes,
                   size_t pages, const struct layout *layout)
{
    size_t good = legal_prefix(bytes, pages);
    size_t edge = 1;

    while (edge < good && bytes[edge] == bytes[0]) {
        edge++;
    }
    assert_int_equal(result->pages, good);
    assert_int_equal(result->first, bytes[0]);
    assert_int_equal(result->base, bytes[good - 1]);
    assert_int_equal(result->has_edge, edge < good);
    if (edge < good) {
        assert_true(result->edge_address == page_address(layout, edge));
    }
    if (good == pages) {
        assert_int_equal(result->rule, GODWIT_PAGE_ORDER_HOLDS);
        return;
    }
    assert_int_equal(result->rule, legal_pair[bytes[good - 1]][bytes[good]]
                                       ? GODWIT_PAGE_ORDER_SECOND_EDGE
                                       : GODWIT_PAGE_ORDER_BAD_STEP);
    assert_true(result->address == page_address(layout, good));
    assert_int_equal(result->previous, bytes[good - 1]);
    assert_int_equal(result->found, bytes[good]);
    assert_int_equal(result->has_next, good + 1 < pages);
    if (good + 1 < pages) {
        assert_int_equal(result->next, bytes[good + 1]);
    }
}

struct memory {
    const uint8_t *bytes;
    uint64_t start;
    uint64_t length;
};

static bool memory_read(void *opaque, uint64_t address, unsigned char *byte)
{
    const struct memory *memory = opaque;

    if (address - memory->start >= memory->length) {
        return false;
    }
    *byte = memory->bytes[address - memory->start];
    return true;
}

/* Runs all three variants over one state in one layout. */
static void check_all(const uint8_t *bytes, size_t pages, const struct layout *layout)
{
    uint8_t buffer[PAGES_MAX * PAGE_SIZE_MAX];
    struct godwit_page_order_window window = {
        .start = WINDOW_START,
        .length = pages * layout->page_size,
        .page_size = layout->page_size,
        .offset = layout->offset,
    };
    struct godwit_page_order_result result;
    enum godwit_page_order_rule rule;
    struct godwit_page_order check;
    struct memory memory = {buffer, WINDOW_START, window.length};
    size_t piece = layout->chunk;
    size_t fed = 0;

    /* What lies between must not matter: it is never equal to its page's byte. */
    for (size_t i = 0; i < window.length; i++) {
        buffer[i] = (uint8_t)(bytes[i / layout->page_size] ^ 0x5a);
    }
    for (size_t i = 0; i < pages; i++) {
        buffer[i * layout->page_size + layout->offset] = bytes[i];
    }

    rule = godwit_page_order_check_buffer(&window, buffer, &result);
    assert_int_equal(rule, result.rule);
    expect(&result, bytes, pages, layout);

    rule = godwit_page_order_check_callback(&window, memory_read, &memory, &result);
    assert_int_equal(rule, result.rule);
    expect(&result, bytes, pages, layout);

    assert_true(godwit_page_order_init(&check, &window));
    while (fed < window.length) {
        size_t left = (size_t)window.length - fed;

        piece = layout->chunk ? layout->chunk : piece + 1;
        piece = piece < left ? piece : left;
        bool holds = godwit_page_order_feed(&check, buffer + fed, piece);

        assert_int_equal(holds, check.result.rule == GODWIT_PAGE_ORDER_HOLDS);
        fed += piece;
    }
    rule = godwit_page_order_finish(&check);
    assert_int_equal(rule, check.result.rule);
    expect(&check.result, bytes, pages, layout);

    /* A staggered guest has left the same if each byte is as much more as its page started with. */
    for (size_t i = 0; i < pages; i++) {
        buffer[i * layout->page_size + layout->offset] =
            (uint8_t)(bytes[i] + godwit_page_order_first(i));
    }
    assert_true(godwit_page_order_init(&check, &window));
    godwit_page_order_stagger(&check);
    piece = 0;
    for (fed = 0; fed < window.length; fed += piece) {
        size_t left = (size_t)window.length - fed;

        piece = layout->chunk ? layout->chunk : piece + 1;
        piece = piece < left ? piece : left;
        godwit_page_order_feed(&check, buffer + fed, piece);
    }
    godwit_page_order_finish(&check);
    expect(&check.result, bytes, pages, layout);
    if (check.result.rule != GODWIT_PAGE_ORDER_HOLDS) {
        assert_int_equal(check.result.start_at, godwit_page_order_first(check.result.pages));
    }
}

static void test_legal(void **state)
{
    (void)state;
    for (size_t pages = 1; pages <= PAGES_MAX; pages++) {
        legal_list(pages);
        for (unsigned v = 0; v < 256; v++) {
            for (size_t done = 0; done < pages; done++) {
                uint8_t bytes[PAGES_MAX];

                state_fill(bytes, pages, v, done);
                assert_int_equal(legal_prefix(bytes, pages), pages);
                for (size_t i = 0; i < LAYOUTS; i++) {
                    check_all(bytes, pages, &layouts[i]);
                }
            }
        }
    }
}

/* How many other legal states are one page away from a legal one: what the rule cannot see. */
static unsigned long blind_spots(size_t pages)
{
    /*
     * One page: every other value. More: without an edge, the first page one ahead and the last
     * one behind; with an edge, the pages on both sides of it.
     */
    return pages == 1 ? 256 * 255 : 256 * 2 * pages;
}

static void test_single_page_deviations(void **state)
{
    size_t layout = 0;

    (void)state;
    for (size_t pages = 1; pages <= PAGES_MAX; pages++) {
        unsigned long unseen = 0;

        legal_list(pages);
        for (unsigned v = 0; v < 256; v++) {
            for (size_t done = 0; done < pages; done++) {
                uint8_t bytes[PAGES_MAX];

                state_fill(bytes, pages, v, done);
                for (size_t page = 0; page < pages; page++) {
                    uint8_t right = bytes[page];

                    for (unsigned wrong = 0; wrong < 256; wrong++) {
                        if (wrong == right) {
                            continue;
                        }
                        bytes[page] = (uint8_t)wrong;
                        unseen += legal_prefix(bytes, pages) == pages;
                        check_all(bytes, pages, &layouts[layout++ % LAYOUTS]);
                    }
                    bytes[page] = right;
                }
            }
        }
        assert_int_equal(unseen, blind_spots(pages));
    }
}

/* The real size: 25,344 pages, broken once in each of a few places. */
static void test_default_window(void **state)
{
    const uint64_t page_size = 4096;
    const uint64_t pages = 25344;
    struct godwit_page_order_window window = {0x100000, pages * page_size, page_size, 0};
    struct godwit_page_order_result result;
    uint8_t *buffer = calloc(pages, page_size);

    (void)state;
    assert_non_null(buffer);
    for (uint64_t page = 0; page < 12345; page++) {
        buffer[page * page_size] = 1;
    }
    assert_int_equal(godwit_page_order_check_buffer(&window, buffer, &result),
                     GODWIT_PAGE_ORDER_HOLDS);
    assert_int_equal(result.pages, pages);
    assert_true(result.edge_address == 0x100000 + 12345 * page_size);

    buffer[(pages - 1) * page_size] = 255;
    assert_int_equal(godwit_page_order_check_buffer(&window, buffer, &result),
                     GODWIT_PAGE_ORDER_SECOND_EDGE);
    assert_true(result.address == 0x100000 + (pages - 1) * page_size);
    assert_false(result.has_next);

    buffer[page_size] = 9;
    assert_int_equal(godwit_page_order_check_buffer(&window, buffer, &result),
                     GODWIT_PAGE_ORDER_BAD_STEP);
    assert_true(result.address == 0x100000 + page_size);
    assert_int_equal(result.next, 1);
    free(buffer);
}

/* The real size, staggered: in each pass some pages are zero, which pages they are differs, and in
 * 256 passes each page is zero once. */
static void test_staggered_window(void **state)
{
    enum { PAGE = 4096, PAGES = 25344, PASSES = 256 };
    struct godwit_page_order_window window = {0x100000, (uint64_t)PAGES * PAGE, PAGE, 0};
    uint8_t *buffer = calloc(PAGES, PAGE);
    uint8_t *zeros = calloc(PAGES, 1);

    (void)state;
    assert_non_null(buffer);
    assert_non_null(zeros);
    for (unsigned pass = 0; pass < PASSES; pass++) {
        struct godwit_page_order check;
        uint64_t edge = (uint64_t)pass * 12345 % PAGES;
        unsigned zero = 0;

        for (uint64_t page = 0; page < PAGES; page++) {
            uint8_t first = (uint8_t)(page * GODWIT_STAGGER_STEP / 256);

            assert_int_equal(godwit_page_order_first(page), first);
            buffer[page * PAGE] = (uint8_t)(first + pass + (page < edge));
            zero += (uint8_t)(first + pass) == 0;
            zeros[page] = (uint8_t)(zeros[page] + ((uint8_t)(first + pass) == 0));
        }
        assert_in_range(zero, PAGES / 256 - 2, PAGES / 256 + 2);
        assert_true(godwit_page_order_init(&check, &window));
        godwit_page_order_stagger(&check);
        assert_true(godwit_page_order_feed(&check, buffer, window.length));
        assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_HOLDS);
        assert_int_equal(check.result.pages, PAGES);
        assert_int_equal(check.result.has_edge, edge != 0);
        assert_int_equal(check.result.first, (uint8_t)(pass + (edge != 0)));
        assert_int_equal(check.result.base, pass);
        if (edge) {
            assert_true(check.result.edge_address == window.start + edge * PAGE);
        }
        /* Without being told, the check sees no order at all. */
        assert_int_equal(godwit_page_order_check_buffer(&window, buffer, &check.result),
                         GODWIT_PAGE_ORDER_BAD_STEP);
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        assert_int_equal(zeros[page], 1);
    }
    /* A page in place of one that is a power of two away is noticed. */
    for (uint64_t distance = 1; distance < 65536; distance *= 2) {
        for (uint64_t page = 0; page < 1024; page++) {
            assert_int_not_equal(godwit_page_order_first(page),
                                 godwit_page_order_first(page + distance));
        }
    }
    free(zeros);
    free(buffer);
}

static void test_bad_windows(void **state)
{
    static const struct godwit_page_order_window windows[] = {
        {0, 0, 4096, 0},                    /* no pages */
        {0, 4096, 0, 0},                    /* no page size */
        {0, 4097, 4096, 0},                 /* not whole pages */
        {0, 8192, 4096, 4096},              /* the byte is not in its page */
        {UINT64_MAX - 4094, 4096, 4096, 0}, /* past the end of the address space */
        {0, UINT64_MAX - 4095, 4096, 0},    /* too long to be counted through */
    };
    uint8_t byte = 0;
    struct memory nothing = {&byte, 0, 0};

    (void)state;
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        struct godwit_page_order_result result;
        struct godwit_page_order check;

        assert_int_equal(godwit_page_order_check_buffer(&windows[i], &byte, &result),
                         GODWIT_PAGE_ORDER_BAD_WINDOW);
        assert_int_equal(
            godwit_page_order_check_callback(&windows[i], memory_read, &nothing, &result),
            GODWIT_PAGE_ORDER_BAD_WINDOW);
        assert_false(godwit_page_order_init(&check, &windows[i]));
        assert_false(godwit_page_order_feed(&check, &byte, 1));
        assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_BAD_WINDOW);
    }

    /* The last page of the address space is a window like any other. */
    struct godwit_page_order_window last = {UINT64_MAX, 1, 1, 0};
    struct godwit_page_order_result result;

    assert_int_equal(godwit_page_order_check_buffer(&last, &byte, &result),
                     GODWIT_PAGE_ORDER_HOLDS);
}

static void test_bad_lengths(void **state)
{
    struct godwit_page_order_window window = {0x1000, 8, 2, 0};
    static const uint8_t bytes[9] = {0};
    struct godwit_page_order check;

    (void)state;
    assert_true(godwit_page_order_init(&check, &window));
    assert_true(godwit_page_order_feed(&check, bytes, 7));
    assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_BAD_LENGTH);
    assert_true(check.result.address == 0x1007);

    assert_true(godwit_page_order_init(&check, &window));
    assert_false(godwit_page_order_feed(&check, bytes, 9));
    assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_BAD_LENGTH);
    assert_true(check.result.address == 0x1009);

    /* Whoever stops feeding at a broken page hears of that page. */
    static const uint8_t broken[] = {5, 0, 7, 0};

    assert_true(godwit_page_order_init(&check, &window));
    assert_false(godwit_page_order_feed(&check, broken, sizeof(broken)));
    assert_int_equal(godwit_page_order_finish(&check), GODWIT_PAGE_ORDER_BAD_STEP);
    assert_true(check.result.address == 0x1002);
    assert_false(check.result.has_next);
}

static void test_unreadable(void **state)
{
    static const uint8_t bytes[] = {5, 5, 3, 3};
    struct godwit_page_order_window window = {0x1000, 4, 1, 0};
    struct godwit_page_order_result result;
    struct memory memory = {bytes, 0x1000, 2};

    (void)state;
    assert_int_equal(godwit_page_order_check_callback(&window, memory_read, &memory, &result),
                     GODWIT_PAGE_ORDER_UNREADABLE);
    assert_true(result.address == 0x1002);
    assert_int_equal(result.pages, 2);

    memory.length = 3;
    assert_int_equal(godwit_page_order_check_callback(&window, memory_read, &memory, &result),
                     GODWIT_PAGE_ORDER_BAD_STEP);
    assert_true(result.address == 0x1002);
    assert_false(result.has_next);
}

static void expect_sentence(const char *bytes, size_t pages, const char *wanted)
{
    struct godwit_page_order_window window = {0x1000, pages, 1, 0};
    struct godwit_page_order_result result;
    char sentence[160];
    char cut[12];

    godwit_page_order_check_buffer(&window, (const unsigned char *)bytes, &result);
    assert_int_equal(godwit_page_order_format(&result, sentence, sizeof(sentence)), strlen(wanted));
    assert_string_equal(sentence, wanted);

    assert_int_equal(godwit_page_order_format(&result, cut, sizeof(cut)), strlen(wanted));
    assert_memory_equal(cut, wanted, sizeof(cut) - 1);
    assert_int_equal(cut[sizeof(cut) - 1], '\0');
    assert_int_equal(godwit_page_order_format(&result, NULL, 0), strlen(wanted));
}

static void expect_staggered(const char *bytes, size_t pages, const char *wanted)
{
    struct godwit_page_order_window window = {0x1000, pages, 1, 0};
    struct godwit_page_order check;
    char sentence[240];

    assert_true(godwit_page_order_init(&check, &window));
    godwit_page_order_stagger(&check);
    godwit_page_order_feed(&check, (const unsigned char *)bytes, pages);
    godwit_page_order_finish(&check);
    assert_int_equal(godwit_page_order_format(&check.result, sentence, sizeof(sentence)),
                     strlen(wanted));
    assert_string_equal(sentence, wanted);
}

static void test_sentences(void **state)
{
    struct godwit_page_order_result result = {.rule = GODWIT_PAGE_ORDER_UNREADABLE,
                                              .address = 0x1234};
    char sentence[160];

    (void)state;
    expect_sentence("\x07\x07", 2, "page order holds: 0x07 in every page");
    expect_sentence("\x01\x01\x00", 3, "page order holds: 0x01 below 0x1002, 0x00 from there up");
    expect_sentence("\x05\x04\x03\x02", 4,
                    "page order broken at 0x1002: 0x03 after 0x04 (before 0x02) is a second edge, "
                    "after the one at 0x1001");
    expect_sentence("\x05\x04\x09", 3,
                    "page order broken at 0x1002: 0x09 after 0x04 (the last page), where above the "
                    "edge at 0x1001 only 0x04 may follow");
    expect_sentence("\x00\x09\x09", 3,
                    "page order broken at 0x1001: 0x09 after 0x00 (before 0x09), where only 0x00 "
                    "or 0xff may follow");
    expect_sentence("", 0, "page order unknown: the window is invalid");
    expect_staggered("\x07\x08", 2,
                     "page order holds: 0x07 in every page (more than each page started with)");
    expect_staggered("\x01\x02\x02", 3,
                     "page order holds: 0x01 below 0x1002, 0x00 from there up (more than each page "
                     "started with)");
    expect_staggered(
        "\x05\x05\x05", 3,
        "page order broken at 0x1002: 0x03 after 0x04 (the last page) is a second edge, "
        "after the one at 0x1001 (each less what its page started with, here 0x02)");
    expect_staggered("\x05\x00\x07", 3,
                     "page order broken at 0x1001: 0xff after 0x05 (before 0x05), where only 0x05 "
                     "or 0x04 may follow (each less what its page started with, here 0x01)");
    expect_staggered(
        "\x05\x05\x0b", 3,
        "page order broken at 0x1002: 0x09 after 0x04 (the last page), where above the "
        "edge at 0x1001 only 0x04 may follow (each less what its page started with, "
        "here 0x02)");

    godwit_page_order_format(&result, sentence, sizeof(sentence));
    assert_string_equal(sentence, "page order unknown: the byte at 0x1234 could not be read");
    result.rule = GODWIT_PAGE_ORDER_BAD_LENGTH;
    godwit_page_order_format(&result, sentence, sizeof(sentence));
    assert_string_equal(sentence, "page order unknown: the bytes fed end at 0x1234, which is not "
                                  "the end of the window");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),          cmocka_unit_test(test_single_page_deviations),
        cmocka_unit_test(test_default_window), cmocka_unit_test(test_bad_windows),
        cmocka_unit_test(test_bad_lengths),    cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_sentences),      cmocka_unit_test(test_staggered_window),
    };

    return cmocka_run_group_tests_name("page order", tests, setup, NULL);
}
