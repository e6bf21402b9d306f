/*
 * The TCP connections of a process, as the kernel knows them: what goes over the wire, whatever
 * QEMU says.
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
    uint64_t received;    /* bytes, by all of them together */
};

/* Asks for the connections of the process PID, which is ours and in our network namespace. A SKIP
 * error where the kernel has no sock_diag(7) to tell. */
bool godwit_tcp_ask(pid_t pid, struct godwit_tcp *tcp, GError **error);

/*
 * Waits until VM has as many TCP connections as WANTED: they are made one after the other. What was
 * found last is in *TCP. A MIGRATION error if there are more, a TIMEOUT error that says how many
 * there are if they do not come. WHAT completes "N TCP connections WHAT".
 */
bool godwit_tcp_await(struct godwit_vm *vm, unsigned wanted, const char *what,
                      struct godwit_tcp *tcp, GError **error);

#endif
