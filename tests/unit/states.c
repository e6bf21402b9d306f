/*
 * The graph of the changes of state that QEMU's migration engine may make.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "oracle/states.h"

/* A cancel may come while the engine still cleans up after a failure. Seen once in 5,940 results
 * with QEMU 11.1 on a busy host: relay/hang cancels what may just have failed. */
static void test_failing(void **state)
{
    (void)state;
    assert_true(godwit_states_legal("failing", "failed"));
    assert_true(godwit_states_legal("failing", "cancelling"));
    assert_false(godwit_states_legal("failing", "failing"));
    assert_false(godwit_states_legal("failing", "active"));
    assert_false(godwit_states_legal("failing", "completed"));
}

/* What is over stays over until another migration begins. */
static void test_over(void **state)
{
    static const char *const over[] = {"completed", "failed", "cancelled"};
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(over); i++) {
        assert_true(godwit_states_legal(over[i], "setup"));
        assert_false(godwit_states_legal(over[i], "cancelling"));
        assert_false(godwit_states_legal(over[i], "failing"));
        for (size_t j = 0; j < G_N_ELEMENTS(over); j++)
            assert_false(godwit_states_legal(over[i], over[j]));
    }
}

/* Once the destination may run the guest, the source cannot take the migration back. */
static void test_postcopy(void **state)
{
    (void)state;
    assert_false(godwit_states_legal("postcopy-active", "cancelling"));
    assert_false(godwit_states_legal("postcopy-active", "active"));
    assert_true(godwit_states_legal("postcopy-active", "postcopy-paused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_postcopy),
    };
    return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
