/*
 * TLS records: that nothing is taken for one that is not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "stream/records.h"

/* A handshake of 4 bytes, a data record of 3, an alert of 2. */
static const unsigned char good[] = {22, 3, 1, 0, 4, 'a', 'b', 'c', 'd', 23, 3, 3,
                                     0,  3, 1, 2, 3, 21,  3,   3,   0,   2,  9, 9};

/* However it is cut into pieces. */
static void test_good(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof(good); piece++) {
        struct godwit_records records = {0};
        for (size_t at = 0; at < sizeof(good); at += piece)
            godwit_records_feed(&records, good + at, MIN(piece, sizeof(good) - at));
        assert_false(records.plain);
        assert_true(records.greeted);
        assert_int_equal(records.number, 3);
        assert_int_equal(records.data, 3);
        assert_int_equal(records.bytes, sizeof(good));
    }
}

static void test_plain(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[5];
        bool plain;
    } rows[] = {
        {{22, 3, 1, 0, 1}, false},
        {{23, 3, 3, 0x40, 0}, false},
        {{23, 3, 3, 0x48, 0}, false},
        {{23, 3, 3, 0x48, 1}, true},
        {{19, 3, 3, 0, 1}, true},
        {{24, 3, 3, 0, 1}, true},
        {{23, 2, 3, 0, 1}, true},
        {{23, 4, 3, 0, 1}, true},
        {{22, 3, 3, 0, 0}, true},
        {{'Q', 'E', 'V', 'M', 0}, true},
        {{0x11, 0x22, 0x33, 0x44}, true}, /* a multifd channel's beginning */
        {{0}, true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        /* At the very beginning, and after what was right. */
        for (int after = 0; after < 2; after++) {
            struct godwit_records records = {0};
            if (after)
                godwit_records_feed(&records, good, sizeof(good));
            godwit_records_feed(&records, rows[i].bytes, sizeof(rows[i].bytes));
            assert_int_equal(records.plain, rows[i].plain);
            if (rows[i].plain)
                assert_int_equal(records.at, after ? sizeof(good) : 0);
            /* It stays what it was found to be. */
            godwit_records_feed(&records, good, sizeof(good));
            if (rows[i].plain)
                assert_true(records.plain);
        }
    }
}

/* TLS never begins with data. */
static void test_not_greeted(void **state)
{
    (void)state;
    struct godwit_records records = {0};
    godwit_records_feed(&records, good + 9, sizeof(good) - 9);
    assert_false(records.plain);
    assert_false(records.greeted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_not_greeted),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
