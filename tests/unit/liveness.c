/*
 * Which pages are compared to prove that a migration is live.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/throttle_parts.h"

#include "godwit/stamp.h"
#include "guest/image.h"
#include "unit.h"

/* They are in the window and spread over it, and in no generation of `stamp:zero` are all of them
 * zero: whichever place in the cycle is zero, most of them have another one. */
static void test_pages(void **state)
{
    static const uint64_t windows[] = {1, 3, 16, 512, 1024, 4096, 25344};
    (void)state;
    for (size_t w = 0; w < G_N_ELEMENTS(windows); w++) {
        const struct godwit_workload workload = {
            .window_start = 0x100000,
            .window_end = 0x100000 + windows[w] * 4096,
            .page_size = 4096,
            .cpus = 1,
        };
        unsigned places[GODWIT_STAMP_CYCLE] = {0};
        uint64_t last = 0;
        for (unsigned i = 0; i < GODWIT_LIVENESS_PAGES; i++) {
            const uint64_t page = godwit_liveness_page(&workload, i);
            assert_true(page < windows[w]);
            if (windows[w] >= (uint64_t)GODWIT_LIVENESS_PAGES * GODWIT_STAMP_CYCLE && i)
                assert_true(page > last);
            last = page;
            places[page % GODWIT_STAMP_CYCLE]++;
        }
        if (windows[w] >= (uint64_t)GODWIT_LIVENESS_PAGES * GODWIT_STAMP_CYCLE)
            assert_true(last >= windows[w] - windows[w] / GODWIT_LIVENESS_PAGES);
        for (unsigned p = 0; windows[w] >= GODWIT_STAMP_CYCLE && p < GODWIT_STAMP_CYCLE; p++)
            assert_true(places[p] <= GODWIT_LIVENESS_PAGES / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
