/*
 * The protocol between two hosts: frames that come in pieces or are none, and memory that is read
 * through it, here this process's own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/client.h"
#include "remote/reader.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

/* A frame that comes byte by byte is one frame, and comes once. */
static void test_pieces(void **state)
{
    static const unsigned char bytes[] = {0, 0, 0, 3, 'D', 4, 'a', 'b', 0, 0, 0, 0, 'S'};
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    g_autoptr(godwit_frames) frames = godwit_frames_new(ends[0], ends[0]);
    const unsigned char *content = NULL;
    size_t size = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(write(ends[1], &bytes[i], 1), 1);
        assert_true(godwit_frames_receive(frames));
        const int kind = godwit_frames_next(frames, &content, &size, NULL);
        assert_int_equal(kind, i == 7 ? 'D' : i == 12 ? 'S' : 0);
        if (i == 7) {
            assert_int_equal(size, 3);
            assert_memory_equal(content, "\4ab", 3);
        }
    }
    close(ends[1]);
    assert_false(godwit_frames_receive(frames));
    assert_int_equal(godwit_frames_next(frames, &content, &size, NULL), 0);
}

/* What is too large to be a frame is refused before it has come. */
static void test_too_large(void **state)
{
    const uint32_t sizes[] = {GUINT32_TO_BE((uint32_t)GODWIT_FRAME_MAX + 1), UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        g_autoptr(godwit_frames) frames = godwit_frames_new(ends[0], ends[0]);
        g_autoptr(GError) error = NULL;
        const unsigned char *content = NULL;
        size_t size = 0;
        assert_int_equal(write(ends[1], &sizes[i], sizeof(sizes[i])), sizeof(sizes[i]));
        assert_int_equal(write(ends[1], "H", 1), 1);
        assert_true(godwit_frames_receive(frames));
        assert_int_equal(godwit_frames_next(frames, &content, &size, &error), -1);
        assert_int_equal(error->code, GODWIT_ERROR_USAGE);
        close(ends[1]);
    }
}

/* What is sent arrives, although it is more than a socket holds. */
static void test_much(void **state)
{
    enum { FRAMES = 40, SIZE = 100000 };
    g_autofree unsigned char *bytes = g_malloc(SIZE);
    int ends[2], taken = 0;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    g_autoptr(godwit_frames) here = godwit_frames_new(ends[0], ends[0]);
    g_autoptr(godwit_frames) there = godwit_frames_new(ends[1], ends[1]);
    for (int i = 0; i < FRAMES; i++) {
        memset(bytes, i, SIZE);
        godwit_frames_put(here, GODWIT_FRAME_DATA, bytes, 1, bytes, SIZE - 1);
    }
    while (taken < FRAMES) {
        const unsigned char *content = NULL;
        size_t size = 0;
        assert_true(godwit_frames_send(here) && godwit_frames_receive(there));
        while (godwit_frames_next(there, &content, &size, NULL) > 0) {
            memset(bytes, taken++, SIZE);
            assert_int_equal(size, SIZE);
            assert_memory_equal(content, bytes, SIZE);
        }
    }
    assert_int_equal(godwit_frames_pending(here), 0);
}

/* A server that reads this process's memory, in a thread. */
struct server {
    int fd;
    GThread *thread;
};

static void *serve(void *data)
{
    struct server *server = data;
    g_autoptr(godwit_frames) frames = godwit_frames_new(server->fd, server->fd);
    g_autoptr(godwit_reader) reader = godwit_reader_new(getpid());
    for (bool alive = true; alive;) {
        const short out = godwit_frames_pending(frames) ? POLLOUT : 0;
        struct pollfd polls[] = {{.fd = server->fd, .events = (short)(POLLIN | out)},
                                 {.fd = godwit_reader_fd(reader), .events = POLLIN}};
        const unsigned char *content = NULL;
        size_t size = 0;
        poll(polls, G_N_ELEMENTS(polls), -1);
        alive = !(polls[0].revents & ~POLLOUT) || godwit_frames_receive(frames);
        /* It answers nothing to what it does not take. */
        while (godwit_frames_next(frames, &content, &size, NULL) > 0)
            godwit_reader_take(reader, content, size);
        godwit_reader_answer(reader, frames);
        godwit_frames_send(frames);
    }
    return NULL;
}

static struct godwit_remote *start(struct server *server, gint64 patience)
{
    struct godwit_remote *remote =
        godwit_remote_new(g_get_monotonic_time() + patience, &server->fd);
    assert_non_null(remote);
    server->thread = g_thread_new("server", serve, server);
    return remote;
}

static void test_memory(void **state)
{
    enum { PAGES = 300, SIZE = PAGES * 4096 };
    struct server server;
    struct godwit_remote *remote = start(&server, 60 * G_USEC_PER_SEC);
    g_autofree unsigned char *bytes = g_malloc(SIZE), *copy = g_malloc0(SIZE);
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 4096);
    const uint64_t address = (uint64_t)(uintptr_t)bytes;
    size_t read = 0;
    for (ssize_t n; read < SIZE; read += (size_t)n) {
        n = godwit_remote_read(remote, address + read, copy + read, SIZE - read);
        if (n <= 0)
            fail_msg("%zd: %s", n, g_strerror(errno));
    }
    assert_memory_equal(bytes, copy, SIZE);
    assert_int_equal(godwit_remote_peek(remote, address, copy, 100), 100);
    assert_int_equal(godwit_remote_same(remote, address, copy, SIZE), 1);
    copy[SIZE - 1] ^= 1;
    assert_int_equal(godwit_remote_same(remote, address, copy, SIZE), 0);
    /* Nothing is mapped there. */
    assert_int_equal(godwit_remote_read(remote, 4096, copy, 100), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(godwit_remote_peek(remote, 4096, copy, 100), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(godwit_remote_same(remote, 4096, copy, 4096), -1);
    godwit_remote_free(remote);
    g_thread_join(server.thread);
}

/* A request that is not well formed gets no answer, and a call does not wait for ever. */
static void test_deadline(void **state)
{
    struct server server;
    struct godwit_remote *remote = start(&server, G_USEC_PER_SEC / 10);
    char byte;
    (void)state;
    assert_false(godwit_remote_put(remote, "name", "bytes", 5));
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(godwit_remote_read(remote, 4096, &byte, 1), -1);
    godwit_remote_free(remote);
    g_thread_join(server.thread);
}

/* Calls end with the server. */
static void test_gone(void **state)
{
    int fd;
    char byte;
    struct godwit_remote *remote =
        godwit_remote_new(g_get_monotonic_time() + 60 * G_USEC_PER_SEC, &fd);
    (void)state;
    close(fd);
    assert_int_equal(godwit_remote_read(remote, 4096, &byte, 1), -1);
    assert_int_equal(errno, EPIPE);
    godwit_remote_free(remote);
}

/* Requests that no client sends. */
static void test_malformed(void **state)
{
    g_autoptr(godwit_reader) reader = godwit_reader_new(getpid());
    struct godwit_remote_read wanted = {0, GUINT32_TO_BE(4096), 0, GODWIT_REMOTE_BYTES};
    const unsigned char *bytes = (const unsigned char *)&wanted;
    (void)state;
    assert_false(godwit_reader_take(reader, bytes, sizeof(wanted) - 1));
    wanted.how = 99;
    assert_false(godwit_reader_take(reader, bytes, sizeof(wanted)));
    wanted.how = GODWIT_REMOTE_BYTES;
    wanted.length = GUINT32_TO_BE((uint32_t)GODWIT_REMOTE_READ_MAX + 1);
    assert_false(godwit_reader_take(reader, bytes, sizeof(wanted)));
    wanted.length = 0;
    assert_false(godwit_reader_take(reader, bytes, sizeof(wanted)));
    wanted.how = GODWIT_REMOTE_HASHES;
    wanted.length = GUINT32_TO_BE(4095);
    assert_false(godwit_reader_take(reader, bytes, sizeof(wanted)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),    cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_much),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_deadline),  cmocka_unit_test(test_gone),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
