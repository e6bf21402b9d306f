/*
 * The other end of a qtest connection: a thread that answers each line as a test wants it, and an
 * owner that waits with a deadline.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_QTEST_PEER_H
#define GODWIT_TESTS_UNIT_QTEST_PEER_H

#include "unit.h"

#include "qemu/qtest.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    struct godwit_qtest *qtest;
    /* Returns the bytes to send in answer to LINE, which the peer frees; NULL ends the peer. Runs
     * in the peer's thread. */
    char *(*answer)(struct peer *peer, const char *line);
    gpointer data;   /* for answer() */
    unsigned lines;  /* that came before the current one */
    bool waits;      /* it reads nothing */
    bool blind;      /* the owner sees the end of the peer, and nothing before it */
    int over;        /* the peer has ended */
    const char *how; /* how its process ended; NULL: it has not */
    unsigned ms;     /* how long the owner waits ... */
    unsigned after;  /* ... once the peer has handled this many lines */
    int fd;          /* its end */
    GThread *thread;
};

static inline bool peer_wait(gpointer vm, bool (*condition)(gpointer data), gpointer data,
                             const char *what, GError **error)
{
    const struct peer *peer = vm;
    gint64 began = g_get_monotonic_time();
    if (peer->blind) {
        while (!g_atomic_int_get(&peer->over))
            g_usleep(1000);
        return godwit_fail(error, GODWIT_ERROR_CRASH, "a QEMU has ended");
    }
    while (!condition(data)) {
        if ((unsigned)g_atomic_int_get(&peer->lines) < peer->after)
            began = g_get_monotonic_time();
        else if (g_get_monotonic_time() - began >= (gint64)peer->ms * 1000)
            return godwit_fail(error, GODWIT_ERROR_TIMEOUT, "timed out after %u ms waiting for %s",
                               peer->ms, what);
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(50);
    }
    return true;
}

static inline char *peer_end(gpointer vm)
{
    const struct peer *peer = vm;
    return g_strdup(peer->how);
}

static inline gpointer peer_thread(gpointer data)
{
    struct peer *peer = data;
    FILE *in = fdopen(peer->fd, "r");
    char *line = NULL;
    size_t room = 0;
    while (!peer->waits && getline(&line, &room, in) > 0) {
        g_autofree char *text = peer->answer(peer, g_strchomp(line));
        g_atomic_int_inc(&peer->lines);
        if (!text)
            break;
        const size_t length = strlen(text);
        ssize_t n = 0;
        for (size_t sent = 0; sent < length && n >= 0; sent += (size_t)MAX(n, 0))
            n = send(peer->fd, text + sent, length - sent, MSG_NOSIGNAL);
    }
    free(line);
    /* A peer that waits keeps its end until the other one is closed. */
    struct pollfd hangup = {.fd = peer->fd, .events = POLLRDHUP};
    if (peer->waits)
        poll(&hangup, 1, -1);
    fclose(in);
    g_atomic_int_set(&peer->over, 1);
    return NULL;
}

/* Connects PEER, whose members answer and, if wanted, data, how, ms and waits are set. */
static inline void peer_start(struct peer *peer)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    /* Less room than a request may need. */
    const int room = 4096;
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    const struct godwit_qtest_owner owner = {"destination", peer, peer_wait, peer_end};
    peer->ms = peer->ms ? peer->ms : 60000;
    peer->lines = 0;
    peer->fd = ends[1];
    peer->qtest = godwit_qtest_new(ends[0], &owner);
    peer->thread = g_thread_new("peer", peer_thread, peer);
}

static inline void peer_stop(struct peer *peer)
{
    godwit_qtest_free(peer->qtest);
    g_thread_join(peer->thread);
}

#endif
