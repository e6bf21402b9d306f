/*
 * Unresponsive peers: descriptors that keep a QEMU waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/peer.h"

#include "migrate/migrate.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The first byte of a command in a migration stream. */
#define STREAM_COMMAND 0x08

static bool fail(GError **error, const char *what)
{
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s: %s", what, g_strerror(errno));
    return false;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void godwit_peer_close(godwit_peer *peer)
{
    close_one(&peer->fds[0]);
    close_one(&peer->fds[1]);
}

bool godwit_peer_is_full(const godwit_peer *peer)
{
    struct pollfd pipe = {.fd = peer->fds[1], .events = POLLOUT};
    return poll(&pipe, 1, 0) == 0;
}

/* Passes the peer's second descriptor to VM and closes it here. */
static bool pass(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error)
{
    const bool passed = godwit_migrate_getfd(vm, name, peer->fds[1], error);
    close_one(&peer->fds[1]);
    return passed;
}

bool godwit_peer_silent(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer->fds))
        return fail(error, "cannot make a socket pair");
    return pass(peer, vm, name, error);
}

bool godwit_peer_speak(const godwit_peer *peer, GError **error)
{
    const unsigned char command = STREAM_COMMAND;
    if (send(peer->fds[0], &command, 1, MSG_NOSIGNAL) == 1)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "QEMU has closed the connection that it was passed: %s", g_strerror(errno));
    return false;
}

bool godwit_peer_pipe(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error)
{
    if (pipe2(peer->fds, O_CLOEXEC))
        return fail(error, "cannot make a pipe");
    /* Keep the writing end: godwit_peer_is_full() polls it. */
    return godwit_migrate_getfd(vm, name, peer->fds[1], error);
}

/* Connects to ADDRESS without waiting. Returns the descriptor, or -1 with ERROR set. */
static int connect_to(const struct sockaddr_un *address, GError **error)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && !connect(fd, (const struct sockaddr *)address, sizeof(*address)))
        return fd;
    fail(error, "cannot connect to a socket in the testbed's directory");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Listens on a unix socket NAME in the testbed's directory. *ADDRESS is valid as long as
 * *DIRECTORY, which the caller closes unless it is -1. */
static bool listen_in(godwit_peer *peer, const struct godwit_testbed *testbed, const char *name,
                      struct sockaddr_un *address, int *directory, GError **error)
{
    /* The directory's path may be too long for a socket address. */
    *directory = open(testbed->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return fail(error, testbed->directory);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    g_snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *directory,
               name);

    unlink(address->sun_path); /* an earlier run may have used the folder */
    peer->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return (peer->fds[0] >= 0 &&
            !bind(peer->fds[0], (const struct sockaddr *)address, sizeof(*address)) &&
            !listen(peer->fds[0], 0)) ||
           fail(error, "cannot listen on a socket in the testbed's directory");
}

bool godwit_peer_listen(godwit_peer *peer, const struct godwit_testbed *testbed, const char *name,
                        GError **error)
{
    struct sockaddr_un address;
    int directory = -1;
    const bool good = listen_in(peer, testbed, name, &address, &directory, error);
    close_one(&directory);
    return good;
}

bool godwit_peer_accept(godwit_peer *peer, GError **error)
{
    peer->fds[1] = accept4(peer->fds[0], NULL, NULL, SOCK_CLOEXEC);
    return peer->fds[1] >= 0 || fail(error, "cannot accept a connection");
}

bool godwit_peer_busy(godwit_peer *peer, struct godwit_testbed *testbed, const char *name,
                      GError **error)
{
    struct sockaddr_un address;
    int directory = -1;
    bool full = false;
    if (listen_in(peer, testbed, name, &address, &directory, error) &&
        (peer->fds[1] = connect_to(&address, error)) >= 0) {
        /* A queue of length 0 has room for one connection. */
        const int another = connect_to(&address, NULL);
        full = another < 0 && errno == EAGAIN;
        if (another >= 0)
            close(another);
        if (!full)
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "a listening socket with backlog 0 queued a second connection");
    }
    close_one(&directory);
    return full;
}
