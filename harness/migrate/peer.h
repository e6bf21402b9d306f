/*
 * Peers that the harness plays itself, so badly that a QEMU stays in the state that it is in: one
 * end of a connection is the QEMU's, the other is here, and nothing is done with it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_PEER_H
#define GODWIT_HARNESS_MIGRATE_PEER_H

#include "testbed/vm.h"

/* The descriptors of one peer, owned; -1 for none. Declared as
 * g_auto(godwit_peer) peer = GODWIT_PEER_NONE; it goes away at the end of the block. */
typedef struct {
    int fds[2];
} godwit_peer;

#define GODWIT_PEER_NONE                                                                           \
    {                                                                                              \
        {                                                                                          \
            -1, -1                                                                                 \
        }                                                                                          \
    }

/* A connection on which nobody answers: VM has its end by the name NAME (for "fd:NAME"). */
bool godwit_peer_silent(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error);

/* Says one byte on such a connection, with which a stream may go on. A destination takes no notice
 * of a descriptor before there is something to read. */
bool godwit_peer_speak(const godwit_peer *peer, GError **error);

/* A pipe that nobody reads: VM has its writing end by the name NAME. Unlike a socket it cannot be
 * shut down, so whoever writes when it is full waits until the peer goes away. */
bool godwit_peer_pipe(godwit_peer *peer, struct godwit_vm *vm, const char *name, GError **error);

/* Whether nothing more goes into such a pipe. What a QEMU writes at once is no divisor of a pipe's
 * size, so by then it is in the middle of it. */
bool godwit_peer_is_full(const godwit_peer *peer);

/* A listening unix socket NAME in the testbed's directory whose queue is full: a connection to it
 * is neither made nor refused. When the peer goes away it is refused. */
bool godwit_peer_busy(godwit_peer *peer, struct godwit_testbed *testbed, const char *name,
                      GError **error);

/* Goes away. */
void godwit_peer_close(godwit_peer *peer);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(godwit_peer, godwit_peer_close)

#endif
