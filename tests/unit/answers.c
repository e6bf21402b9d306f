/*
 * The return path: each message is read for what it says, and nothing is taken for one that is
 * none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "stream/answers.h"
#include <malloc.h>
#include <stdbool.h>
#include <string.h>

static void put(GByteArray *bytes, guint64 number, unsigned size)
{
    for (unsigned i = size; i-- > 0;) {
        const guint8 byte = (guint8)(number >> (8 * i));
        g_byte_array_append(bytes, &byte, 1);
    }
}

static void put_name(GByteArray *bytes, const char *name)
{
    put(bytes, strlen(name), 1);
    g_byte_array_append(bytes, (const guint8 *)name, (guint)strlen(name));
}

static void put_head(GByteArray *bytes, unsigned type, unsigned length)
{
    put(bytes, type, 2);
    put(bytes, length, 2);
}

/* Takes the messages as text. */
static bool note(const struct godwit_answer *answer, gpointer data, GError **error)
{
    GString *text = data;
    (void)error;
    g_string_append_printf(text, "%d %s %s %x %x %x %x\n", (int)answer->offset,
                           godwit_answer_name(answer->type), answer->block, (int)answer->value,
                           (int)answer->start, (int)answer->length, (int)answer->bitmap);
    return true;
}

static GByteArray *every_message(void)
{
    GByteArray *bytes = g_byte_array_new();
    put_head(bytes, GODWIT_ANSWER_PONG, 4);
    put(bytes, 7, 4);
    put_head(bytes, GODWIT_ANSWER_REQ_PAGES_ID, 12 + 1 + 3);
    put(bytes, 0x5000, 8);
    put(bytes, 0x1000, 4);
    put_name(bytes, "ram");
    put_head(bytes, GODWIT_ANSWER_REQ_PAGES, 12);
    put(bytes, 0x8000, 8);
    put(bytes, 0x2000, 4);
    put_head(bytes, GODWIT_ANSWER_RECV_BITMAP, 1 + 3);
    put_name(bytes, "rom");
    put(bytes, 16, 8);
    put(bytes, 1, 8);
    put(bytes, 2, 8);
    put(bytes, G_GUINT64_CONSTANT(0x0123456789abcdef), 8);
    put_head(bytes, GODWIT_ANSWER_RESUME_ACK, 4);
    put(bytes, 1, 4);
    put_head(bytes, GODWIT_ANSWER_SWITCHOVER_ACK, 0);
    put_head(bytes, GODWIT_ANSWER_SHUT, 4);
    put(bytes, 0, 4);
    return bytes;
}

/* However it is cut into pieces. */
static void test_every_message(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = every_message();
    for (guint piece = 1; piece <= bytes->len; piece++) {
        g_autoptr(GString) text = g_string_new(NULL);
        struct godwit_answers *answers = godwit_answers_new(note, text);
        for (guint at = 0; at < bytes->len; at += piece)
            assert_true(
                godwit_answers_feed(answers, bytes->data + at, MIN(piece, bytes->len - at), NULL));
        assert_true(godwit_answers_end(answers, NULL));
        assert_string_equal(text->str, "0 PONG  7 0 0 0\n"
                                       "8 REQ_PAGES_ID ram 0 5000 1000 0\n"
                                       "28 REQ_PAGES ram 0 8000 2000 0\n"
                                       "44 RECV_BITMAP rom 0 0 0 10\n"
                                       "84 RESUME_ACK rom 1 0 0 0\n"
                                       "92 SWITCHOVER_ACK rom 0 0 0 0\n"
                                       "96 SHUT rom 0 0 0 0\n");
        godwit_answers_free(answers);
    }
}

/* The error that these bytes make; the caller's. */
static char *error_of(const GByteArray *bytes, bool end)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL, again = NULL;
    struct godwit_answers *answers = godwit_answers_new(note, text);
    const bool fed = godwit_answers_feed(answers, bytes->data, bytes->len, &error);
    assert_true(fed == end);
    assert_false(godwit_answers_end(answers, end ? &error : &again));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_STREAM));
    /* It stays. */
    if (!end) {
        g_clear_error(&again);
        assert_false(godwit_answers_feed(answers, "", 0, &again));
        assert_string_equal(again->message, error->message);
    }
    godwit_answers_free(answers);
    return g_strdup(error->message);
}

static void test_wrong(void **state)
{
    (void)state;
    static const struct {
        unsigned type, length; /* length of the data as it is told ... */
        const char *name;      /* ... and what is in it */
        guint64 bitmap;
        const char *error;
    } rows[] = {
        {0, 4, NULL, 0, "0: unknown message type 0"},
        {8, 4, NULL, 0, "0: unknown message type 8"},
        {0xffff, 0, NULL, 0, "0: unknown message type 65535"},
        {GODWIT_ANSWER_SHUT, 3, NULL, 0, "0: malformed message SHUT with 3 bytes"},
        {GODWIT_ANSWER_SHUT, 0xffff, NULL, 0, "0: malformed message SHUT with 65535 bytes"},
        {GODWIT_ANSWER_PONG, 5, NULL, 0, "0: malformed message PONG with 5 bytes"},
        {GODWIT_ANSWER_REQ_PAGES, 13, NULL, 0, "0: malformed message REQ_PAGES with 13 bytes"},
        {GODWIT_ANSWER_RESUME_ACK, 0, NULL, 0, "0: malformed message RESUME_ACK with 0 bytes"},
        {GODWIT_ANSWER_SWITCHOVER_ACK, 1, NULL, 0,
         "0: malformed message SWITCHOVER_ACK with 1 bytes"},
        {GODWIT_ANSWER_REQ_PAGES_ID, 12, NULL, 0,
         "0: malformed message REQ_PAGES_ID with 12 bytes"},
        {GODWIT_ANSWER_REQ_PAGES_ID, 13, "", 0, "0: malformed message REQ_PAGES_ID with 13 bytes"},
        {GODWIT_ANSWER_REQ_PAGES_ID, 15, "ram", 0,
         "0: malformed message REQ_PAGES_ID with 15 bytes"},
        {GODWIT_ANSWER_REQ_PAGES_ID, 17, "ram", 0,
         "0: malformed message REQ_PAGES_ID with 17 bytes"},
        {GODWIT_ANSWER_RECV_BITMAP, 0, NULL, 0, "0: malformed message RECV_BITMAP with 0 bytes"},
        {GODWIT_ANSWER_RECV_BITMAP, 3, "ram", 0, "0: malformed message RECV_BITMAP with 3 bytes"},
        {GODWIT_ANSWER_RECV_BITMAP, 4, "ram", 12, "0: invalid bitmap length: 12 bytes"},
        {GODWIT_ANSWER_RECV_BITMAP, 4, "ram", (guint64)1 << 40, "0: invalid bitmap length:"},
        {GODWIT_ANSWER_RECV_BITMAP, 4, "ram", 0,
         "16: the bitmap of RAM block ram does not end with its mark"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        put_head(bytes, rows[i].type, rows[i].length);
        if (rows[i].type == GODWIT_ANSWER_REQ_PAGES_ID) {
            put(bytes, 0x5000, 8);
            put(bytes, 0x1000, 4);
        }
        if (rows[i].name)
            put_name(bytes, rows[i].name);
        put(bytes, rows[i].bitmap, 8);
        put(bytes, 0, 8);
        put(bytes, 0, 8);
        g_autofree char *error = error_of(bytes, false);
        assert_contains(error, rows[i].error);
    }
}

/* An end within a message, wherever it is. */
static void test_cut(void **state)
{
    (void)state;
    static const guint whole[] = {0, 8, 28, 44, 84, 92, 96};
    g_autoptr(GByteArray) bytes = every_message();
    for (guint length = 1; length < bytes->len; length++) {
        bool between = false;
        for (size_t i = 0; i < G_N_ELEMENTS(whole); i++)
            between |= whole[i] == length;
        if (between)
            continue;
        g_autoptr(GByteArray) part = g_byte_array_new();
        g_byte_array_append(part, bytes->data, length);
        g_autofree char *error = error_of(part, true);
        assert_contains(error, ": the return path ends within a message");
    }
}

static bool refuse(const struct godwit_answer *answer, gpointer data, GError **error)
{
    (void)answer;
    ++*(unsigned *)data;
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "no");
}

static size_t memory_in_use(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* After a failure nothing is kept of what comes, however much it is. */
static void test_nothing_kept(void **state)
{
    (void)state;
    enum { PIECE = 1 << 20 };
    g_autofree char *bytes = g_malloc0(PIECE);
    g_autoptr(GString) text = g_string_new(NULL);
    struct godwit_answers *answers = godwit_answers_new(note, text);
    assert_false(godwit_answers_feed(answers, bytes, PIECE, NULL));
    const size_t before = memory_in_use();
    for (unsigned i = 0; i < 32; i++)
        assert_false(godwit_answers_feed(answers, bytes, PIECE, NULL));
    assert_in_range(memory_in_use(), 0, before + PIECE);
    godwit_answers_free(answers);
}

/* The sink's own error is passed on, and the sink not asked again. */
static void test_sink(void **state)
{
    (void)state;
    unsigned calls = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = every_message();
    struct godwit_answers *answers = godwit_answers_new(refuse, &calls);
    assert_false(godwit_answers_feed(answers, bytes->data, bytes->len, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
    assert_false(godwit_answers_feed(answers, bytes->data, bytes->len, NULL));
    assert_int_equal(calls, 1);
    godwit_answers_free(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message), cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_cut),           cmocka_unit_test(test_sink),
        cmocka_unit_test(test_nothing_kept),
    };
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
