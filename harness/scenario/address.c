/*
 * Kinds of addresses that no other family migrates over: IPv6, and the `channels` argument with
 * each transport.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As a URI has it, and as QEMU reports it. */
#define LOOPBACK_URI "[::1]"
#define LOOPBACK     "::1"

/* Returns why this host cannot use IPv6, or NULL. */
static struct godwit_lack *lacks_ipv6(const struct godwit_setup *setup)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    (void)setup;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool usable =
        fd >= 0 && !bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address);
    const int reason = errno;
    if (fd >= 0)
        close(fd);
    return usable ? NULL
                  : godwit_lack_new(g_strdup("the IPv6 address " LOOPBACK),
                                    g_strdup(g_strerror(reason)));
}

static bool use_ipv6(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    (void)error;
    destination->host = LOOPBACK_URI;
    return true;
}

/* Checks where the destination listens, by its own report: only there the source can connect. */
static bool judge_ipv6(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *address = json_array_get(json_object_get(info, "socket-address"), 0);
    const char *host = godwit_json_string(address, "host", "nowhere");
    return !strcmp(host, LOOPBACK) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the destination reports that it listens at %s, expected " LOOPBACK, host);
}

GODWIT_SCENARIOS(address) = {
    {
        .name = "address/tcp/ipv6",
        .summary = "live, over TCP and IPv6",
        .lacks = lacks_ipv6,
        .spec = {.transport = GODWIT_TRANSPORT_TCP, .configure = use_ipv6, .started = judge_ipv6},
    },
    {
        .name = "address/unix/channels",
        .summary = "live, over a unix socket, given by the `channels` argument",
        .spec = {.channels = true},
    },
    {
        .name = "address/fd/channels",
        .summary = "live, through a socket pair, given by the `channels` argument",
        .spec = {.transport = GODWIT_TRANSPORT_FD, .channels = true},
    },
    {
        .name = "address/exec/channels",
        .summary = "live, by commands, given by the `channels` argument",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_EXEC, .channels = true},
    },
    {
        .name = "address/file/channels",
        .summary = "live, into a file, given by the `channels` argument",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_FILE, .channels = true},
    },
};
GODWIT_SCENARIOS_END(address);
