/*
 * What may come of one flipped bit in the state of a device, for every combination of what
 * happened.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/flip.h"

#include "unit.h"

/* Of the 32 combinations, those are fine that flip.h lists, and no others. */
static void test_all(void **state)
{
    unsigned fine = 0;
    (void)state;
    for (unsigned bits = 0; bits < 32; bits++) {
        const struct godwit_flip flip = {
            .refused = bits & 1,
            .memory = bits & 2,
            .compared = bits & 4,
            .noticed = bits & 8,
            .went_on = bits & 16,
        };
        const bool wanted =
            flip.refused || (!flip.memory && (flip.noticed || (flip.compared && flip.went_on)));
        assert_int_equal(godwit_flip_problem(&flip) == NULL, wanted);
        fine += wanted;
    }
    assert_int_equal(fine, 16 + 4 + 1);
}

/* Each thing that can be wrong is said. */
static void test_words(void **state)
{
    (void)state;
    const struct godwit_flip memory = {.memory = true, .compared = true, .went_on = true};
    const struct godwit_flip blind = {.went_on = true}, stuck = {.compared = true};
    assert_non_null(strstr(godwit_flip_problem(&memory), "RAM differs"));
    assert_non_null(strstr(godwit_flip_problem(&blind), "were not compared"));
    assert_non_null(strstr(godwit_flip_problem(&stuck), "run on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests_name("flipped states", tests, NULL, NULL);
}
