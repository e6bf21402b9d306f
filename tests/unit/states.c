/*
 * The graph of the changes of state that QEMU's migration engine may make.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/states.h"

#include "fake_pair.h"

/* A cancel may come while the engine still cleans up after a failure. Seen once in 5,940 results
 * with QEMU 11.1 on a busy host: relay/hang cancels what may just have failed. */
static void test_failing(void **state)
{
    (void)state;
    assert_true(godwit_states_legal("device", "colo"));
    assert_true(godwit_states_legal("colo", "completed"));
    assert_false(godwit_states_legal("colo", "active"));
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

static void report(struct fake_vm *fake, const char *name, const char *member, const char *value)
{
    g_ptr_array_add(fake->vm->qmp->events,
                    json_pack("{s:s, s:{s:s}}", "event", name, "data", member, value));
}

/* Only a source that was asked to quit gives up a postcopy. */
static void test_quit(void **state)
{
    static const struct {
        const char *reason; /* of its SHUTDOWN; NULL: none came */
        bool destination, legal;
    } rows[] = {
        {"host-qmp-quit", false, true},
        {NULL, false, false},
        {"guest-shutdown", false, false},
        {"host-qmp-quit", true, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct fake_vm *vm = rows[i].destination ? pair->destination : pair->source;
        g_autoptr(GError) error = NULL;
        g_ptr_array_add(pair->destination->vm->arguments, (gpointer)(uintptr_t) "-incoming");
        report(vm, "MIGRATION", "status", "setup");
        report(vm, "MIGRATION", "status", "active");
        report(vm, "MIGRATION", "status", "postcopy-active");
        if (rows[i].reason)
            report(vm, "SHUTDOWN", "reason", rows[i].reason);
        report(vm, "MIGRATION", "status", "cancelling");
        if (godwit_states_judge(pair->testbed, &error) != rows[i].legal)
            fail_msg("row %zu: %s", i, error ? error->message : "legal");
        fake_pair_free(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_postcopy),
        cmocka_unit_test(test_quit),
    };
    return cmocka_run_group_tests_name("states", tests, unit_folder, unit_folder_end);
}
