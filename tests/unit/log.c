/*
 * Bounded logs: however much is written, memory and file keep the beginning and the end, and say
 * how much is missing; and drains, which read no more than they are told to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static struct godwit_log *log_new(void **state)
{
    g_autofree char *path = g_build_filename(*state, "log", NULL);
    struct godwit_log *log = godwit_log_new(path, NULL);
    assert_non_null(log);
    return log;
}

/* Byte number AT of what is written here. */
static char byte_at(uint64_t at)
{
    return (char)('a' + at * 7 % 26);
}

/* Writes TOTAL bytes in pieces of that size. */
static void write_pieces(struct godwit_log *log, uint64_t total, size_t piece)
{
    g_autofree char *bytes = g_malloc(piece);
    for (uint64_t done = 0; done < total;) {
        const size_t n = (size_t)MIN(piece, total - done);
        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_at(done + i);
        godwit_log_write(log, bytes, n);
        done += n;
    }
}

/* TEXT is bytes 0 to HEAD, a line that says how many are missing unless none are, and the rest of
 * TOTAL from TAIL on. */
static void expect(const char *text, size_t length, uint64_t head, uint64_t tail, uint64_t total)
{
    g_autofree char *gap =
        tail > head ? g_strdup_printf("\n[%" G_GUINT64_FORMAT " bytes left out]\n", tail - head)
                    : g_strdup("");
    const size_t wide = strlen(gap);
    assert_int_equal(length, head + wide + (total - tail));
    for (uint64_t i = 0; i < head; i++)
        assert_true(text[i] == byte_at(i));
    assert_memory_equal(text + head, gap, wide);
    for (uint64_t i = tail; i < total; i++)
        assert_true(text[head + wide + (i - tail)] == byte_at(i));
}

/* Around each limit, by the byte, in small and large pieces. */
static void test_limits(void **state)
{
    const uint64_t kept = GODWIT_LOG_KEPT, filed = GODWIT_LOG_FILE_MAX;
    const uint64_t totals[] = {
        0,         1,     kept,      kept + 1,     2 * kept,         2 * kept + 1,        5 * kept,
        filed - 1, filed, filed + 1, filed + kept, filed + kept + 1, filed + 5 * kept + 3};
    const size_t pieces[] = {777, 16384, kept, 3 * kept + 1};
    for (size_t i = 0; i < G_N_ELEMENTS(totals); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(pieces); j++) {
            const uint64_t total = totals[i];
            struct godwit_log *log = log_new(state);
            write_pieces(log, total, pieces[j]);
            assert_true(godwit_log_total(log) == total);
            g_autofree char *text = godwit_log_text(log);
            expect(text, strlen(text), MIN(total, kept),
                   total > 2 * kept ? total - kept : MIN(total, kept), total);
            godwit_log_close(log);
            godwit_log_close(log);
            g_autofree char *after = godwit_log_text(log);
            assert_string_equal(after, text);
            godwit_log_free(log);
            gsize length = 0;
            g_autofree char *file = unit_take(state, "log", &length);
            expect(file, length, MIN(total, filed),
                   total > filed + kept ? total - kept : MIN(total, filed), total);
        }
    }
    godwit_log_free(NULL);
}

/* Text is text, whatever was written; the file has the bytes themselves. */
static void test_nul(void **state)
{
    static const char bytes[] = "a\0b\n\0";
    struct godwit_log *log = log_new(state);
    godwit_log_write(log, bytes, sizeof(bytes));
    g_autofree char *text = godwit_log_text(log);
    assert_string_equal(text, "a b\n  ");
    godwit_log_free(log);
    gsize length = 0;
    g_autofree char *file = unit_take(state, "log", &length);
    assert_int_equal(length, sizeof(bytes));
    assert_memory_equal(file, bytes, sizeof(bytes));
}

/* A symbolic link or a FIFO is replaced, not followed nor waited for; what cannot be made is
 * reported. */
static void test_no_file(void **state)
{
    g_autofree char *path = g_build_filename(*state, "log", NULL);
    g_autofree char *target = g_build_filename(*state, "target", NULL);
    g_autoptr(GError) nowhere = NULL;
    assert_int_equal(symlink(target, path), 0);
    for (int i = 0; i < 2; i++) {
        struct godwit_log *log = log_new(state);
        godwit_log_write(log, "text", 4);
        godwit_log_free(log);
        g_autofree char *file = unit_take(state, "log", NULL);
        assert_string_equal(file, "text");
        assert_false(g_file_test(target, G_FILE_TEST_EXISTS));
        assert_int_equal(mkfifo(path, 0600), 0);
    }
    assert_int_equal(g_unlink(path), 0);
    assert_null(godwit_log_new("/dev/null/log", &nowhere));
    assert_true(g_error_matches(nowhere, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(nowhere->message, "/dev/null/log");
}

static struct godwit_drain *drain_new(void **state, int *writer, uint64_t most)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    g_autofree char *path = g_build_filename(*state, "log", NULL);
    struct godwit_drain *drain = godwit_drain_new(ends[0], path, most, NULL);
    assert_non_null(drain);
    *writer = ends[1];
    return drain;
}

/* What was written before the end, and before anybody asks, is there; nothing stays open then. */
static void test_drain(void **state)
{
    const unsigned descriptors = unit_descriptors();
    int writer = -1;
    struct godwit_drain *drain = drain_new(state, &writer, 1000);
    godwit_drain_now(drain);
    assert_int_equal(write(writer, "one\n", 4), 4);
    godwit_drain_now(drain);
    g_autofree char *early = godwit_log_text(drain->log);
    assert_string_equal(early, "one\n");
    assert_int_equal(write(writer, "two\n", 4), 4);
    close(writer);
    unit_settle();
    assert_int_equal(drain->source, 0);
    assert_false(drain->flooded);
    assert_int_equal(unit_descriptors(), descriptors);
    godwit_drain_now(drain);
    g_autofree char *late = godwit_log_text(drain->log);
    assert_string_equal(late, "one\ntwo\n");
    godwit_drain_free(drain);
    g_free(unit_take(state, "log", NULL));
    godwit_drain_free(NULL);
}

/* A flood ends the reading, however it is asked for. */
static void test_flood(void **state)
{
    enum { MOST = 1 << 20 };
    static char bytes[32768];
    signal(SIGPIPE, SIG_IGN);
    for (int asked = 0; asked < 2; asked++) {
        int writer = -1;
        struct godwit_drain *drain = drain_new(state, &writer, MOST);
        memset(bytes, 'x', sizeof(bytes));
        for (uint64_t written = 0; written < 2 * MOST && !drain->flooded;) {
            const ssize_t n = write(writer, bytes, sizeof(bytes));
            assert_int_equal(n, sizeof(bytes));
            written += (uint64_t)n;
            if (asked)
                godwit_drain_now(drain);
            else
                unit_settle();
        }
        assert_true(drain->flooded);
        assert_int_equal(drain->source, 0);
        assert_in_range(godwit_log_total(drain->log), MOST + 1, MOST + sizeof(bytes));
        assert_int_equal(write(writer, "x", 1), -1);
        assert_int_equal(errno, EPIPE);
        close(writer);
        godwit_drain_free(drain);
        g_free(unit_take(state, "log", NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits), cmocka_unit_test(test_nul),   cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_drain),  cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests_name("log", tests, unit_folder, unit_folder_end);
}
