/*
 * The pace of a guest that is told how fast to write, as the host judges it: within 10 %, and never
 * ahead.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/stamp.h"

#include "unit.h"

/* Pages of 100 ticks each, on a timer that began at 0. */
static void pace_is_judged(void **state)
{
    static const struct {
        uint64_t before, early, after, late;
        enum godwit_stamp_pace pace;
    } rows[] = {
        {10, 1000, 110, 11000, GODWIT_STAMP_KEPT},
        {11, 1000, 111, 11000, GODWIT_STAMP_KEPT},
        {10, 1000, 101, 11000, GODWIT_STAMP_KEPT},
        {10, 1000, 99, 11000, GODWIT_STAMP_BEHIND},
        {10, 1000, 11, 11000, GODWIT_STAMP_BEHIND},
        /* It was 50 behind, and makes up for it ... */
        {10, 6000, 160, 16000, GODWIT_STAMP_CATCHING_UP},
        {10, 6000, 161, 16000, GODWIT_STAMP_CATCHING_UP},
        /* ... or for more than that. */
        {10, 6000, 162, 16000, GODWIT_STAMP_AHEAD},
        /* It is within 10 %, and ahead all the same. */
        {10, 1000, 118, 11000, GODWIT_STAMP_AHEAD},
        {12, 1000, 112, 11000, GODWIT_STAMP_AHEAD},
        {10, 1000, 500, 11000, GODWIT_STAMP_AHEAD},
        /* A timer that counts since long ago says nothing of the start. */
        {10, 1000000, 118, 1010000, GODWIT_STAMP_KEPT},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (godwit_stamp_pace(100, rows[i].before, rows[i].early, rows[i].after, rows[i].late) !=
            rows[i].pace)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace_is_judged),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
