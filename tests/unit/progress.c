/*
 * When a guest that was migrated is known to have written pages on the destination: what the count
 * of passes in its mailbox says, fresh or stale.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "unit.h"

/* LENGTH counts of passes in order, and after how many of them the guest has gone on; 0: never. */
static const struct {
    uint64_t first, counts[5];
    unsigned length, enough;
    bool stale, identified;
} rows[] = {
    /* A pass that ended here. */
    {7, {7, 7, 8}, 3, 3, false, false},
    {7, {15}, 1, 1, false, false},
    {7, {7, 7, 7, 7, 7}, 5, 0, false, false},
    /* The identity table is written in a pass that began here. */
    {7, {8, 8, 9}, 3, 3, false, true},
    {7, {9}, 1, 1, false, true},
    /* A mailbox that arrived four passes behind jumps, and no page was written meanwhile. */
    {4, {8, 8, 8, 8, 8}, 5, 0, true, false},
    {4, {8, 8, 16}, 3, 3, true, false},
    {4, {4, 8, 9}, 3, 3, true, true},
    /* The count wraps. */
    {UINT64_MAX, {UINT64_MAX, 0}, 2, 2, false, false},
};

static void a_guest_has_gone_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_image image = {.identity = 1};
        const struct godwit_setup setup = {
            .image = &image,
            .workload = {.flags = rows[i].identified ? GODWIT_FLAG_IDENTIFY : 0},
        };
        struct godwit_progress progress = {.first = rows[i].first, .last = rows[i].first};
        unsigned enough = 0;
        for (unsigned n = 0; n < rows[i].length && !enough; n++)
            if (godwit_course_has_gone_on(&setup, rows[i].stale, &progress, rows[i].counts[n]))
                enough = n + 1;
        if (enough != rows[i].enough)
            fail_msg("row %zu: after %u", i, enough);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_has_gone_on),
    };
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
