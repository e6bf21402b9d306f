/*
 * The TCP connections of a process, as the kernel reports them. This is independent of what QEMU
 * reports.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_TCP_H
#define GODWIT_HARNESS_TESTBED_TCP_H

#include "base/error.h"
#include "testbed/vm.h"
#include <stdint.h>
#include <sys/types.h>

struct godwit_tcp {
    unsigned connections; /* established, IPv4 */
    uint64_t received;    /* bytes, the sum over all connections */
};

/* Reads the connections of the process PID, which must be a process of ours in our network
 * namespace. Fails with SKIP if the kernel does not support sock_diag(7). */
bool godwit_tcp_ask(pid_t pid, struct godwit_tcp *tcp, GError **error);

/*
 * Makes the kernel buffer little of what the process PID sends to PORT of this host: some 100 KiB
 * for each of its connections, however fast its congestion control would let the buffers grow.
 * Returns how many connections that applies to. There are none if the kernel gives nobody a
 * duplicate of another process's descriptor: pidfd_getfd(2) needs Linux 5.6 and the right to trace
 * PID.
 */
unsigned godwit_tcp_narrow(pid_t pid, uint16_t port);

/*
 * Waits until VM has WANTED TCP connections: QEMU makes them one after the other. *TCP has the last
 * reading. Fails with MIGRATION if there are more, and with TIMEOUT if they do not come. WHAT
 * completes "N TCP connections WHAT".
 */
bool godwit_tcp_await(struct godwit_vm *vm, unsigned wanted, const char *what,
                      struct godwit_tcp *tcp, GError **error);

#endif
