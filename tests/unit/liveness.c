/*
 * Which pages are compared to prove that a migration is live.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/throttle_parts.h"

#include "godwit/stamp.h"
#include "guest/image.h"
#include "unit.h"

static const uint64_t windows[] = {1, 3, 16, 512, 1024, 4096, 25344};

static struct godwit_workload workload_of(uint64_t pages, uint32_t flags)
{
    return (struct godwit_workload){
        .window_start = 0x100000,
        .window_end = 0x100000 + pages * 4096,
        .page_size = 4096,
        .flags = flags,
        .cpus = 1,
    };
}

/* They are in the window and spread over it, and in no generation of `stamp:zero` are all of them
 * zero: whichever place in the cycle is zero, most of them have another one. */
static void test_pages(void **state)
{
    (void)state;
    for (size_t w = 0; w < G_N_ELEMENTS(windows); w++) {
        const struct godwit_workload workload =
            workload_of(windows[w], GODWIT_FLAG_STAMP | GODWIT_FLAG_ZERO);
        assert_int_equal(godwit_liveness_dirtied(&workload), windows[w]);
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

/* With `stamp:mixed`, only pages that are written in each pass are compared. */
static void test_mixed(void **state)
{
    (void)state;
    for (size_t w = 0; w < G_N_ELEMENTS(windows); w++) {
        const struct godwit_workload workload =
            workload_of(windows[w], GODWIT_FLAG_STAMP | GODWIT_FLAG_MIXED);
        unsigned places[GODWIT_STAMP_CYCLE] = {0};
        uint64_t busy = 0, last = 0;
        for (uint32_t page = 0; page < windows[w]; page++)
            busy += godwit_stamp_is_busy(page);
        assert_int_equal(godwit_liveness_dirtied(&workload), busy);
        for (unsigned i = 0; i < GODWIT_LIVENESS_PAGES; i++) {
            last = godwit_liveness_page(&workload, i);
            assert_true(last < windows[w] && godwit_stamp_is_busy((uint32_t)last));
            places[last % GODWIT_STAMP_CYCLE]++;
        }
        for (unsigned p = 0; windows[w] >= 16 && p < GODWIT_STAMP_CYCLE; p++)
            assert_true(places[p] <= GODWIT_LIVENESS_PAGES * 2 / 3);
        /* The pattern leaves long stretches alone, so the last one may be far from the end. */
        if (windows[w] >= 512)
            assert_true(last >= windows[w] / 2);
    }
    const struct godwit_workload order = workload_of(1024, 0);
    assert_int_equal(godwit_liveness_dirtied(&order), 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_mixed),
    };
    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
