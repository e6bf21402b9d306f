/*
 * Patterns: a byte that is not what it must be is found wherever it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/pattern.h"

#include <inttypes.h>

#include "fake_vm.h"

enum {
    PAGE = GODWIT_PATTERN_PAGE,
    SIZE = (3 * GODWIT_PATTERN_PAGES + 7) * PAGE,
    BASE = 0x40000000
};

static const struct godwit_image image = {.name = "the guest"};

struct guest {
    struct godwit_machine machine;
    struct godwit_setup setup;
    struct godwit_testbed *testbed;
    struct fake_vm *fake;
    struct godwit_pattern pattern;
};

static struct guest *guest_new(void **state)
{
    struct guest *guest = g_new0(struct guest, 1);
    guest->setup =
        (struct godwit_setup){.machine = &guest->machine, .image = &image, .timeout_scale = 1};
    guest->testbed = godwit_testbed_new(&guest->setup, *state);
    guest->fake = fake_vm_new(guest->testbed, "source", NULL, SIZE);
    guest->fake->memory_gpa = BASE;
    fake_vm_block(guest->fake, "dimm", 0, SIZE, true, BASE);
    guest->pattern = (struct godwit_pattern){.address = BASE, .size = SIZE};
    return guest;
}

static void guest_free(struct guest *guest)
{
    godwit_testbed_free(guest->testbed);
    fake_vm_free(guest->fake);
    g_free(guest);
}

/* Pages are spread over the range: its first page and its last are among them, and no two are
 * one. */
static void test_pages(void **state)
{
    const struct godwit_pattern pattern = {.address = BASE, .size = SIZE};
    (void)state;
    assert_int_equal(godwit_pattern_page(&pattern, 0), BASE);
    assert_int_equal(godwit_pattern_page(&pattern, GODWIT_PATTERN_PAGES - 1), BASE + SIZE - PAGE);
    for (unsigned page = 1; page < GODWIT_PATTERN_PAGES; page++)
        assert_true(godwit_pattern_page(&pattern, page) >=
                    godwit_pattern_page(&pattern, page - 1) + PAGE);
}

/* One byte that is not zero, in a page of the pattern or between two. */
static void test_byte(void **state)
{
    static const uint64_t places[] = {0,        1,        PAGE,        (1 << 20) - 1, 1 << 20,
                                      SIZE / 2, SIZE - 1, SIZE - PAGE, 2 * PAGE + 5};
    struct guest *guest = guest_new(state);
    assert_true(godwit_pattern_judge(guest->fake->vm, &guest->pattern, "it", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *said =
            g_strdup_printf("source: 0x40 at offset 0x%" PRIx64 " of it, expected 0x00", places[i]);
        guest->fake->memory[places[i]] = 0x40;
        assert_false(godwit_pattern_judge(guest->fake->vm, &guest->pattern, "it", &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
        assert_string_equal(error->message, said);
        guest->fake->memory[places[i]] = 0;
    }
    assert_true(godwit_pattern_judge(guest->fake->vm, &guest->pattern, "it", NULL));
    guest_free(guest);
}

/* One page whose contents are missing, whichever it is. */
static void test_lost(void **state)
{
    struct guest *guest = guest_new(state);
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *where = g_strdup_printf("at offset 0x%" PRIx64 " of it",
                                                 godwit_pattern_page(&guest->pattern, page) - BASE);
        guest->pattern.generations[page] = 1;
        assert_false(godwit_pattern_judge(guest->fake->vm, &guest->pattern, "it", &error));
        assert_contains(error->message, where);
        guest->pattern.generations[page] = GODWIT_PATTERN_ZERO;
    }
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_byte),
        cmocka_unit_test(test_lost),
    };
    return cmocka_run_group_tests_name("pattern", tests, unit_folder, unit_folder_end);
}
