/*
 * What wrong pages are: the classifier of the `order` workload against pages made wrong in each
 * way, and maps of memory that is spoiled here and there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/pages.h"

#include "testbed/measured.h"

#include "fake_pair.h"

#define SIZE 256

/* A page of the workload, written PASSES times, with something of its own behind the first byte. */
static void fill(unsigned char *page, unsigned passes, unsigned char own)
{
    for (size_t i = 0; i < SIZE; i++)
        page[i] = own ? (unsigned char)(own + i) : 0;
    page[0] = (unsigned char)passes;
}

static struct godwit_page_verdict judge(const unsigned char *found, const unsigned char *right,
                                        bool written, uint64_t passes)
{
    const struct godwit_page page = {
        .found = found, .right = right, .size = SIZE, .written = written, .passes = passes};
    return godwit_page_classify_order(&page);
}

/* With the page that is right beside it. */
static void test_twin(void **state)
{
    (void)state;
    unsigned char right[SIZE], found[SIZE];
    struct godwit_page_verdict verdict;
    fill(right, 300, 5);

    memcpy(found, right, SIZE);
    assert_int_equal(judge(found, right, true, 300).kind, GODWIT_PAGE_RIGHT);

    /* Every pass that it can be stale by; by none, it would be right. */
    for (unsigned behind = 1; behind < 256; behind++) {
        found[0] = (unsigned char)(300 - behind);
        verdict = judge(found, right, true, 300);
        assert_int_equal(verdict.kind, GODWIT_PAGE_STALE);
        assert_int_equal(verdict.behind, behind);
        assert_int_equal(verdict.differs, 1);
        assert_int_equal(verdict.first, 0);
        /* What nobody writes cannot be stale. */
        assert_int_equal(judge(found, right, false, 0).kind, GODWIT_PAGE_FOREIGN);
        /* By no more passes than there were. */
        assert_int_equal(judge(found, right, true, behind).kind, GODWIT_PAGE_STALE);
        assert_int_equal(judge(found, right, true, behind - 1).kind, GODWIT_PAGE_FOREIGN);
    }

    /* The first byte alone makes no stale page if another is wrong, too. */
    fill(found, 299, 5);
    found[77] ^= 1;
    verdict = judge(found, right, true, 300);
    assert_int_equal(verdict.kind, GODWIT_PAGE_FOREIGN);
    assert_int_equal(verdict.differs, 2);
    assert_int_equal(verdict.first, 0);

    memset(found, 0, SIZE);
    assert_int_equal(judge(found, right, true, 300).kind, GODWIT_PAGE_ZERO);
    assert_int_equal(judge(found, right, false, 0).kind, GODWIT_PAGE_ZERO);
    /* A page that should be all zero, and is not. */
    assert_int_equal(judge(right, found, false, 0).kind, GODWIT_PAGE_FOREIGN);

    /* Torn: the end is missing, or the beginning. */
    memcpy(found, right, SIZE);
    memset(found + 64, 0, SIZE - 64);
    verdict = judge(found, right, true, 300);
    assert_int_equal(verdict.kind, GODWIT_PAGE_TORN);
    assert_int_equal(verdict.first, 64);
    memcpy(found, right, SIZE);
    memset(found, 0, 64);
    assert_int_equal(judge(found, right, true, 300).kind, GODWIT_PAGE_TORN);
    /* A hole in the middle is neither. */
    memcpy(found, right, SIZE);
    memset(found + 64, 0, 64);
    assert_int_equal(judge(found, right, true, 300).kind, GODWIT_PAGE_FOREIGN);

    /* One bit, anywhere. */
    for (size_t i = 1; i < SIZE; i++) {
        memcpy(found, right, SIZE);
        found[i] ^= 0x10;
        verdict = judge(found, right, true, 300);
        assert_int_equal(verdict.kind, GODWIT_PAGE_FOREIGN);
        assert_int_equal(verdict.differs, 1);
        assert_int_equal(verdict.first, i);
    }
}

/* By the guest's account alone. */
static void test_alone(void **state)
{
    (void)state;
    unsigned char found[SIZE];
    fill(found, 300, 5);
    assert_int_equal(judge(found, NULL, true, 300).kind, GODWIT_PAGE_RIGHT);
    assert_int_equal(judge(found, NULL, true, 300 + 256).kind, GODWIT_PAGE_RIGHT);
    const struct godwit_page_verdict verdict = judge(found, NULL, true, 303);
    assert_int_equal(verdict.kind, GODWIT_PAGE_STALE);
    assert_int_equal(verdict.behind, 3);
    assert_int_equal(judge(found, NULL, true, 43).kind, GODWIT_PAGE_FOREIGN);
    memset(found, 0, SIZE);
    assert_int_equal(judge(found, NULL, true, 3).kind, GODWIT_PAGE_ZERO);
    assert_int_equal(judge(found, NULL, true, 256).kind, GODWIT_PAGE_RIGHT);
    found[9] = 1;
    assert_int_equal(judge(found, NULL, true, 3).kind, GODWIT_PAGE_STALE);

    /* A page that did not start with zero. */
    struct godwit_page page = {
        .found = found, .size = SIZE, .written = true, .passes = 7, .first = 253};
    found[0] = 4;
    assert_int_equal(godwit_page_classify_order(&page).kind, GODWIT_PAGE_RIGHT);
    found[0] = 7;
    assert_int_equal(godwit_page_classify_order(&page).kind, GODWIT_PAGE_FOREIGN);
    found[0] = 254;
    assert_int_equal(godwit_page_classify_order(&page).kind, GODWIT_PAGE_STALE);
    assert_int_equal(godwit_page_classify_order(&page).behind, 6);
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < GODWIT_PAGE_KINDS; kind++)
        for (unsigned other = 0; other < kind; other++)
            assert_string_not_equal(godwit_page_kind_name(kind), godwit_page_kind_name(other));
}

/* The only map that there is, and its entry at INDEX. */
static json_t *map_of(const struct fake_pair *pair)
{
    json_t *maps = json_object_get(godwit_testbed_measured(pair->testbed), "pages");
    assert_int_equal(json_array_size(maps), 1);
    return json_array_get(maps, 0);
}

static void expect_entry(const json_t *map, size_t index, const char *block, uint64_t offset,
                         json_int_t count, json_int_t page, const char *text)
{
    const json_t *entry = json_array_get(json_object_get(map, "list"), index);
    assert_non_null(entry);
    assert_string_equal(godwit_json_string(entry, "block", ""), block);
    assert_int_equal(godwit_json_integer(entry, "offset", -1), offset);
    assert_int_equal(godwit_json_integer(entry, "count", -1), count);
    assert_int_equal(godwit_json_integer(entry, "page", -1), page);
    assert_string_equal(godwit_json_string(entry, "text", ""), text);
}

static unsigned char *window_page(struct fake_vm *fake, uint64_t page)
{
    return fake->memory + PAIR_WINDOW + page * PAIR_PAGE;
}

/* One of each kind, in the window and outside it. */
static void spoil_all(struct fake_pair *pair)
{
    struct fake_vm *there = pair->destination;
    (*window_page(there, 10))--;
    (*window_page(there, 11))--;
    (*window_page(there, 12)) = (unsigned char)(*window_page(there, 12) - 2);
    memset(window_page(there, 100), 0, PAIR_PAGE);
    memcpy(window_page(there, 300), window_page(pair->source, 301), PAIR_PAGE);
    memset(window_page(there, 400) + 1024, 0, PAIR_PAGE - 1024);
    window_page(there, 511)[4095] ^= 1;
    there->memory[PAIR_RAM + 5 * PAIR_PAGE] ^= 1; /* the ROM's page 5 */
    there->memory[PAIR_MAILBOX + GODWIT_MAILBOX_OFF_TIMER] ^= 1;
}

static void expect_all(const struct fake_pair *pair)
{
    const json_t *map = map_of(pair);
    const json_t *kinds = json_object_get(map, "kinds");
    assert_string_equal(godwit_json_string(map, "vm", ""), "destination");
    assert_string_equal(godwit_json_string(map, "against", ""), "source");
    assert_int_equal(godwit_json_integer(map, "bad", 0), 9);
    assert_int_equal(godwit_json_integer(map, "listed", 0), 9);
    assert_int_equal(godwit_json_integer(kinds, "stale", 0), 3);
    assert_int_equal(godwit_json_integer(kinds, "zero", 0), 1);
    assert_int_equal(godwit_json_integer(kinds, "misplaced", 0), 1);
    assert_int_equal(godwit_json_integer(kinds, "torn", 0), 1);
    assert_int_equal(godwit_json_integer(kinds, "foreign", 0), 3);
    expect_entry(map, 0, "the.ram", PAIR_MAILBOX, 1, -1,
                 "foreign: 1 byte differs, the first at byte 24 of the page");
    assert_string_equal(
        godwit_json_string(json_array_get(json_object_get(map, "list"), 0), "use", ""),
        "the guest's mailbox");
    expect_entry(map, 1, "the.ram", PAIR_WINDOW + 10 * PAIR_PAGE, 2, 10,
                 "stale by 1 pass (modulo 256)");
    expect_entry(map, 2, "the.ram", PAIR_WINDOW + 12 * PAIR_PAGE, 1, 12,
                 "stale by 2 passes (modulo 256)");
    expect_entry(map, 3, "the.ram", PAIR_WINDOW + 100 * PAIR_PAGE, 1, 100, "all zero");
    expect_entry(map, 4, "the.ram", PAIR_WINDOW + 300 * PAIR_PAGE, 1, 300,
                 "misplaced: holds the page at offset 0x22d000 of the source's RAM block the.ram");
    expect_entry(map, 7, "the.rom", 5 * PAIR_PAGE, 1, -1,
                 "foreign: 1 byte differs, the first at byte 0 of the page");
    /* The picture: 512 pages, one to a character. */
    const char *picture = godwit_json_string(map, "picture", "");
    assert_int_equal(strlen(picture), PAIR_PAGES);
    assert_int_equal(godwit_json_integer(map, "step", 0), 1);
    for (size_t page = 0; page < PAIR_PAGES; page++) {
        const char wanted = page >= 10 && page <= 12 ? 's'
                            : page == 100            ? '0'
                            : page == 300            ? 'm'
                            : page == 400            ? 't'
                            : page == 511            ? 'f'
                                                     : '.';
        assert_int_equal(picture[page], wanted);
    }
}

static void test_map_twin(void **state)
{
    for (unsigned way = 0; way < 2; way++) {
        struct fake_pair *pair = fake_pair_new(state, way, way);
        fake_pair_blocks(pair, true);
        spoil_all(pair);
        godwit_pages_twin(pair->source->vm, pair->destination->vm, NULL, 0, 0);
        expect_all(pair);
        fake_pair_free(pair);
    }
}

/* Told where to look, it looks nowhere else. */
static void test_map_range(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    spoil_all(pair);
    const struct godwit_block *ram = godwit_memory_block(pair->source->vm, "the.ram");
    godwit_pages_twin(pair->source->vm, pair->destination->vm, ram,
                      PAIR_WINDOW + 11 * PAIR_PAGE + 7, PAIR_WINDOW + 300 * PAIR_PAGE);
    const json_t *map = map_of(pair);
    assert_int_equal(godwit_json_integer(map, "bad", 0), 4);
    expect_entry(map, 0, "the.ram", PAIR_WINDOW + 11 * PAIR_PAGE, 1, 11,
                 "stale by 1 pass (modulo 256)");
    expect_entry(map, 3, "the.ram", PAIR_WINDOW + 300 * PAIR_PAGE, 1, 300,
                 "misplaced: holds the page at offset 0x22d000 of the source's RAM block the.ram");
    fake_pair_free(pair);
}

/* No map of memory that is as it should be. */
static void test_map_none(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    godwit_pages_twin(pair->source->vm, pair->destination->vm, NULL, 0, 0);
    godwit_pages_alone(pair->source->vm);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "pages"));
    fake_pair_free(pair);
}

/* By the mailbox: the page that is just being written may be one ahead, no other may. */
static void test_map_alone(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, true, false);
    fake_pair_blocks(pair, true);
    (*window_page(pair->destination, PAIR_POSITION))++;
    godwit_pages_alone(pair->destination->vm);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "pages"));
    (*window_page(pair->destination, 20))--;
    (*window_page(pair->destination, PAIR_POSITION + 1))++;
    godwit_pages_alone(pair->destination->vm);
    const json_t *map = map_of(pair);
    assert_string_equal(godwit_json_string(map, "against", ""), "mailbox");
    assert_int_equal(godwit_json_integer(map, "bad", 0), 2);
    expect_entry(map, 0, "the.ram", PAIR_WINDOW + 20 * PAIR_PAGE, 1, 20,
                 "stale by 1 pass (modulo 256)");
    expect_entry(map, 1, "the.ram", PAIR_WINDOW + (PAIR_POSITION + 1) * PAIR_PAGE, 1,
                 PAIR_POSITION + 1, "foreign: 1 byte differs, the first at byte 0 of the page");
    fake_pair_free(pair);
}

/* Without an account there is nothing to tell. */
static void test_map_no_mailbox(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    (*window_page(pair->destination, 20))--;
    MAILBOX_SET(pair, destination, MAGIC, 0);
    godwit_pages_alone(pair->destination->vm);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "pages"));
    fake_pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twin),      cmocka_unit_test(test_alone),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_map_twin),
        cmocka_unit_test(test_map_range), cmocka_unit_test(test_map_none),
        cmocka_unit_test(test_map_alone), cmocka_unit_test(test_map_no_mailbox),
    };
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
