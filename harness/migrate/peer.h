/*
 * Unresponsive peers. Each keeps a QEMU in its present state: QEMU has one end of a connection, the
 * harness has the other and does nothing with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_PEER_H
#define GODWIT_HARNESS_MIGRATE_PEER_H

#include "testbed/vm.h"

/* A peer. It owns its descriptors; -1 is none. Declare it as
 * `g_auto(godwit_peer) peer = GODWIT_PEER_NONE`, so that it is closed at the end of the block. */
typedef struct {
    int fds[2];
} godwit_peer;

#define GODWIT_PEER_NONE                                                                           \
    {                                                                                              \
        {                                                                                          \
            -1, -1                                                                                 \
        }                                                                                          \
    }

/* Makes a connection on which nothing answers, and passes one end to VM as NAME (for "fd:NAME"). */
bool godwit_peer_silent(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error);

/* Sends one byte on such a connection, which may begin an item of a stream. A destination ignores a
 * descriptor that has nothing to read. Fails with MIGRATION if QEMU has closed its end. */
bool godwit_peer_speak(const godwit_peer *peer, GError **error);

/* Makes a pipe that nothing reads, and passes its writing end to VM as NAME. Unlike a socket, a
 * pipe cannot be shut down, so a thread that writes to the full pipe waits until the peer is
 * closed. */
bool godwit_peer_pipe(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error);

/* Returns whether such a pipe is full. QEMU is in the middle of a write then, since the size of its
 * writes does not divide the size of a pipe. */
bool godwit_peer_is_full(const godwit_peer *peer);

/* Makes a listening unix socket NAME, in the testbed's directory, whose queue is full. A connection
 * to it is neither made nor refused; it is refused when the peer is closed. */
bool godwit_peer_busy(godwit_peer *peer, struct godwit_testbed *testbed, const char *name,
                      GError **error);

/* Makes a listening unix socket NAME, in the testbed's directory: fds[0], which is readable once
 * somebody connects. */
bool godwit_peer_listen(godwit_peer *peer, const struct godwit_testbed *testbed, const char *name,
                        GError **error);

/* Accepts a connection to such a socket: fds[1]. */
bool godwit_peer_accept(godwit_peer *peer, GError **error);

/* Closes the peer's descriptors. */
void godwit_peer_close(godwit_peer *peer);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(godwit_peer, godwit_peer_close)

#endif
