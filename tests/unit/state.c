/*
 * State: what differs between the states that were sent and those that would be sent on.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "oracle/state.h"
#include <string.h>

/* States of "timer/0" and "serial/0", 40 bytes each, with byte AT of one of them changed. */
static GHashTable *new_states(const char *name, int at)
{
    static const char *const names[] = {"timer/0", "serial/0"};
    GHashTable *states =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        guint8 bytes[40];
        memset(bytes, 0x11, sizeof(bytes));
        if (!strcmp(names[i], name))
            bytes[at] = 0x22;
        g_hash_table_insert(states, g_strdup(names[i]), g_bytes_new(bytes, sizeof(bytes)));
    }
    return states;
}

static void test_same(void **state)
{
    (void)state;
    g_autoptr(GHashTable) sent = new_states("", 0);
    g_autoptr(GHashTable) again = new_states("", 0);
    assert_null(godwit_state_compare(sent, again, NULL));
    assert_null(godwit_state_compare(sent, again, again));
}

static void test_different(void **state)
{
    (void)state;
    g_autoptr(GHashTable) sent = new_states("", 0);
    g_autoptr(GHashTable) usual = new_states("", 0);
    for (int at = 0; at < 40; at++) {
        g_autoptr(GHashTable) again = new_states("timer/0", at);
        g_autofree char *text = godwit_state_compare(sent, again, NULL);
        g_autofree char *wanted =
            g_strdup_printf("byte %d of the state of timer/0 is 0x22 instead of 0x11", at);
        assert_string_equal(text, wanted);
        g_autofree char *more = godwit_state_compare(sent, again, usual);
        assert_string_equal(more, wanted);
    }
}

/* What differs without a fault as well is let pass, and what is part of the same number; nothing
 * else of that device, and of no other. */
static void test_usual(void **state)
{
    (void)state;
    g_autoptr(GHashTable) sent = new_states("", 0);
    g_autoptr(GHashTable) usual = new_states("timer/0", 20);
    for (int at = 0; at < 40; at++) {
        g_autoptr(GHashTable) again = new_states("timer/0", at);
        g_autofree char *text = godwit_state_compare(sent, again, usual);
        assert_true((text == NULL) == (at >= 13 && at <= 27));
    }
    g_autoptr(GHashTable) again = new_states("serial/0", 20);
    g_autofree char *text = godwit_state_compare(sent, again, usual);
    assert_contains(text, "serial/0");
}

/* Another length, and one that is missing. */
static void test_length(void **state)
{
    (void)state;
    g_autoptr(GHashTable) sent = new_states("", 0);
    g_autoptr(GHashTable) again = new_states("", 0);
    g_hash_table_insert(again, g_strdup("timer/0"), g_bytes_new("short", 5));
    g_autofree char *text = godwit_state_compare(sent, again, NULL);
    assert_string_equal(text, "the state of timer/0 has 5 bytes instead of 40");
    g_hash_table_remove(again, "timer/0");
    g_autofree char *missing = godwit_state_compare(sent, again, NULL);
    assert_string_equal(missing, "the state of timer/0 has 0 bytes instead of 40");
}

static void test_unreadable(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_null(godwit_state_read("QEVM", 4, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_STREAM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),       cmocka_unit_test(test_different),
        cmocka_unit_test(test_usual),      cmocka_unit_test(test_length),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
