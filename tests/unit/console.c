/*
 * The console's judgement: READY where it is allowed, PASSes, FAULT, and nothing else ever.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/console.h"
#include "godwit/guest_abi.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

struct wire {
    struct godwit_console *console;
    int guest; /* the guest's end */
};

static struct wire wire_new(void **state, unsigned ready_allowed)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    g_autofree char *path = g_build_filename(*state, "log", NULL);
    struct wire wire = {godwit_console_new(ends[0], path, ready_allowed, NULL), ends[1]};
    assert_non_null(wire.console);
    return wire;
}

/* Ends it and gives back what it logged. */
static char *wire_end(void **state, struct wire *wire, gsize *length)
{
    godwit_console_free(wire->console);
    if (wire->guest >= 0)
        close(wire->guest);
    return unit_take(state, "log", length);
}

/* What comes of a guest's output: with how many READYs allowed, fed in pieces of 1, 2, ... bytes.
 */
static const struct {
    unsigned ready_allowed;
    const char *output;
    unsigned ready;
    guint64 passes;
    bool fault;
    const char *failure; /* part of it, or NULL */
    const char *tail;
} outputs[] = {
    {1, "", 0, 0, false, NULL, ""},
    {1, "A", 1, 0, false, NULL, "A"},
    {1, "ABBB", 1, 3, false, NULL, "ABBB"},
    {0, "BB", 0, 2, false, NULL, "BB"},
    {0, "A", 1, 0, false, "READY number 1, 0 expected", "A"},
    {1, "ABA", 2, 1, false, "READY number 2, 1 expected", "ABA"},
    {2, "ABAB", 2, 2, false, NULL, "ABAB"},
    {2, "ABABA", 3, 2, false, "READY number 3, 2 expected", "ABABA"},
    {1, "ABX", 1, 1, true, NULL, "ABX"},
    {1, "AZBA", 2, 1, false, "byte 0x5a", "AZBA"},
    {1, "A\nB", 1, 1, false, "byte 0x0a", "A\\x0aB"},
    {1, "ab", 0, 0, false, "byte 0x61", "ab"},
    {1, "A\xff", 1, 0, false, "byte 0xff", "A\\xff"},
};

static void test_outputs(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(outputs); i++) {
        const size_t length = strlen(outputs[i].output);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            struct wire wire = wire_new(state, outputs[i].ready_allowed);
            for (size_t done = 0; done < length; done += piece)
                godwit_console_feed(wire.console, outputs[i].output + done,
                                    MIN(piece, length - done));
            assert_int_equal(wire.console->ready, outputs[i].ready);
            assert_int_equal(wire.console->passes, outputs[i].passes);
            assert_int_equal(wire.console->guest_fault, outputs[i].fault);
            assert_string_equal(wire.console->tail->str, outputs[i].tail);
            assert_int_equal(wire.console->failure != NULL, outputs[i].failure != NULL);
            if (outputs[i].failure)
                assert_contains(wire.console->failure, outputs[i].failure);
            g_free(wire_end(state, &wire, NULL));
        }
    }
}

/* Every byte that there is, and that its number is told. */
static void test_every_byte(void **state)
{
    for (unsigned c = 0; c < 256; c++) {
        struct wire wire = wire_new(state, 1);
        const char byte = (char)c;
        godwit_console_feed(wire.console, &byte, 1);
        const bool known =
            c == GODWIT_CONSOLE_READY || c == GODWIT_CONSOLE_PASS || c == GODWIT_CONSOLE_FAULT;
        assert_int_equal(wire.console->failure == NULL, known);
        assert_int_equal(wire.console->ready, c == GODWIT_CONSOLE_READY);
        assert_int_equal(wire.console->passes, c == GODWIT_CONSOLE_PASS);
        assert_int_equal(wire.console->guest_fault, c == GODWIT_CONSOLE_FAULT);
        if (!known) {
            g_autofree char *number = g_strdup_printf("byte 0x%02x,", c);
            assert_contains(wire.console->failure, number);
        }
        g_free(wire_end(state, &wire, NULL));
    }
}

/* What comes after the first failure neither hides nor replaces it. */
static void test_first_failure_stays(void **state)
{
    struct wire wire = wire_new(state, 1);
    godwit_console_feed(wire.console, "AAzzz", 5);
    assert_contains(wire.console->failure, "READY number 2");
    g_free(wire_end(state, &wire, NULL));
}

/* One READY more, once it is expected. */
static void test_ready_allowed_later(void **state)
{
    struct wire wire = wire_new(state, 1);
    godwit_console_feed(wire.console, "AB", 2);
    wire.console->ready_allowed++;
    godwit_console_feed(wire.console, "AB", 2);
    assert_null(wire.console->failure);
    godwit_console_feed(wire.console, "A", 1);
    assert_contains(wire.console->failure, "READY number 3, 2 expected");
    g_free(wire_end(state, &wire, NULL));
}

/* How long the guest took for a character, of those that came together each the same. */
static void test_interval(void **state)
{
    struct wire wire = wire_new(state, 1);
    godwit_console_feed(wire.console, "AB", 2);
    assert_int_equal(wire.console->interval, 0);
    g_usleep(3000);
    godwit_console_feed(wire.console, "BB", 2);
    const gint64 one = wire.console->interval;
    assert_true(one >= 1500);
    g_usleep(4 * (gulong)one);
    godwit_console_feed(wire.console, "B", 1);
    assert_true(wire.console->interval >= 4 * one);
    g_free(wire_end(state, &wire, NULL));
}

/* However much comes, the tail stays short and is of the end. */
static void test_tail_is_short(void **state)
{
    struct wire wire = wire_new(state, 1);
    for (unsigned i = 0; i < 100000; i++)
        godwit_console_feed(wire.console, "B", 1);
    godwit_console_feed(wire.console, "BBX", 3);
    assert_int_equal(wire.console->passes, 100002);
    assert_in_range(wire.console->tail->len, 10, 1000);
    assert_true(g_str_has_suffix(wire.console->tail->str, "BBBX"));
    g_free(wire_end(state, &wire, NULL));
}

/* Through the socket: judged, logged byte by byte as it came, and the guest's end is no failure. */
static void test_socket(void **state)
{
    static const char output[] = "A\0B\xff";
    const unsigned descriptors = unit_descriptors();
    struct wire wire = wire_new(state, 1);
    for (size_t i = 0; i < sizeof(output); i++) {
        assert_int_equal(write(wire.guest, output + i, 1), 1);
        unit_settle();
    }
    assert_int_equal(wire.console->ready, 1);
    assert_int_equal(wire.console->passes, 1);
    assert_string_equal(wire.console->tail->str, "A\\x00B\\xff\\x00");
    assert_int_not_equal(wire.console->source, 0);
    close(wire.guest);
    wire.guest = -1;
    unit_settle();
    assert_int_equal(wire.console->source, 0);
    assert_int_equal(unit_descriptors(), descriptors);
    assert_contains(wire.console->failure, "byte 0x00");
    gsize length = 0;
    g_autofree char *log = wire_end(state, &wire, &length);
    assert_int_equal(length, sizeof(output));
    assert_memory_equal(log, output, sizeof(output));
}

/* A log that cannot be written is told, and the descriptor does not leak. */
static void test_no_log(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    g_autoptr(GError) error = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_null(godwit_console_new(ends[0], "/dev/null/log", 1, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "/dev/null/log");
    assert_int_equal(read(ends[1], &byte, 1), 0);
    close(ends[1]);
    godwit_console_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs),       cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_tail_is_short), cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_socket),        cmocka_unit_test(test_ready_allowed_later),
        cmocka_unit_test(test_no_log),        cmocka_unit_test(test_interval),
    };
    return cmocka_run_group_tests_name("console", tests, unit_folder, unit_folder_end);
}
