/*
 * Asks the kernel for TCP connections, by sock_diag(7) over netlink. The kernel lists all
 * connections of the network namespace; those of a process are found by the inode numbers in
 * /proc/PID/fd.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/tcp.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* TCP_ESTABLISHED of the kernel's net/tcp_states.h, which user space does not have. */
#define STATE_ESTABLISHED 1
/* What SO_SNDBUF is set to, in bytes. The kernel doubles it for its own records, and then never
 * changes the buffer's size by itself again. */
#define NARROW_BYTES (64 << 10)

/* Returns the inode numbers of the sockets that a process has open, as a set. */
static GHashTable *open_sockets(pid_t pid, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) directory = g_dir_open(path, 0, error);
    if (!directory)
        return NULL;
    GHashTable *sockets = g_hash_table_new(NULL, NULL);
    for (const char *name; (name = g_dir_read_name(directory));) {
        unsigned inode;
        g_autofree char *link = g_build_filename(path, name, NULL);
        g_autofree char *target = g_file_read_link(link, NULL);
        if (target && sscanf(target, "socket:[%u]", &inode) == 1)
            g_hash_table_add(sockets, GUINT_TO_POINTER(inode));
    }
    return sockets;
}

/* Adds a connection to TCP if it is one of SOCKETS. */
static void add(const struct nlmsghdr *header, GHashTable *sockets, struct godwit_tcp *tcp)
{
    const struct inet_diag_msg *connection = NLMSG_DATA(header);
    if (!g_hash_table_contains(sockets, GUINT_TO_POINTER(connection->idiag_inode)))
        return;
    tcp->connections++;
    const char *bytes = NLMSG_DATA(header);
    const size_t length = NLMSG_PAYLOAD(header, 0);
    for (size_t at = NLMSG_ALIGN(sizeof(*connection)); at + sizeof(struct rtattr) <= length;) {
        const struct rtattr *attribute = (const struct rtattr *)(const void *)(bytes + at);
        if (attribute->rta_len < sizeof(*attribute) || attribute->rta_len > length - at)
            break;
        if (attribute->rta_type == INET_DIAG_INFO) {
            struct tcp_info info = {0};
            memcpy(&info, RTA_DATA(attribute), MIN(sizeof(info), RTA_PAYLOAD(attribute)));
            tcp->received += info.tcpi_bytes_received;
        }
        at += RTA_ALIGN(attribute->rta_len);
    }
}

/* Handles the messages of one read. Returns 1 if more will follow, 0 at the end, -1 with errno set
 * after an error. */
static int take(const struct nlmsghdr *header, ssize_t length, GHashTable *sockets,
                struct godwit_tcp *tcp)
{
    for (; NLMSG_OK(header, (size_t)length); header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type == NLMSG_DONE)
            return 0;
        if (header->nlmsg_type == NLMSG_ERROR) {
            errno = -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
            return -1;
        }
        add(header, sockets, tcp);
    }
    return 1;
}

/* Asks FD, a sock_diag socket, for all established TCP connections. Returns false with errno set if
 * that fails. */
static bool dump(int fd, GHashTable *sockets, struct godwit_tcp *tcp)
{
    const struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } message = {
        .header = {.nlmsg_len = sizeof(message),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_INET,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_ext = 1 << (INET_DIAG_INFO - 1),
                    .idiag_states = 1 << STATE_ESTABLISHED},
    };
    if (send(fd, &message, sizeof(message), 0) != (ssize_t)sizeof(message))
        return false;
    union {
        struct nlmsghdr header;
        char bytes[32768];
    } answer;
    for (int more = 1; more;) {
        const ssize_t length = recv(fd, &answer, sizeof(answer), 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length == 0)
            errno = ENODATA; /* end of file does not set errno */
        more = length > 0 ? take(&answer.header, length, sockets, tcp) : -1;
        if (more < 0)
            return false;
    }
    return true;
}

bool godwit_tcp_ask(pid_t pid, struct godwit_tcp *tcp, GError **error)
{
    g_autoptr(GHashTable) sockets = open_sockets(pid, error);
    if (!sockets)
        return false;
    *tcp = (struct godwit_tcp){0};
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    const bool answered = fd >= 0 && dump(fd, sockets, tcp);
    const int cause = errno;
    if (fd >= 0)
        close(fd);
    return answered ||
           godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs sock_diag for TCP, which this system lacks: %s", g_strerror(cause));
}

/* Whether FD is a TCP connection to PORT of this host. */
static bool leads_to(int fd, uint16_t port)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    return getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && length == sizeof(peer) &&
           peer.sin_family == AF_INET && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK) &&
           ntohs(peer.sin_port) == port;
}

unsigned godwit_tcp_narrow(pid_t pid, uint16_t port)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const int process = (int)syscall(SYS_pidfd_open, pid, 0);
    unsigned narrowed = 0;
    for (const char *name; process >= 0 && directory && (name = g_dir_read_name(directory));) {
        const int theirs = (int)g_ascii_strtoll(name, NULL, 10), size = NARROW_BYTES;
        const int fd = (int)syscall(SYS_pidfd_getfd, process, theirs, 0);
        if (fd < 0)
            continue;
        if (leads_to(fd, port) && !setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)))
            narrowed++;
        close(fd);
    }
    if (process >= 0)
        close(process);
    return narrowed;
}

/* Returns a VM on this host at one end of the migration's connections. */
static struct godwit_vm *near_end(struct godwit_vm *vm)
{
    for (guint i = vm->testbed->vms->len; vm->remote && i-- > 0;) {
        struct godwit_vm *other = g_ptr_array_index(vm->testbed->vms, i);
        if (other->source && !other->remote)
            return other;
    }
    return vm;
}

bool godwit_tcp_await(struct godwit_vm *vm, unsigned wanted, const char *what,
                      struct godwit_tcp *tcp, GError **error)
{
    while (godwit_tcp_ask(godwit_vm_pid(near_end(vm)), tcp, error)) {
        if (tcp->connections == wanted)
            return true;
        if (tcp->connections > wanted)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s has %u TCP connections %s; expected %u", vm->name,
                               tcp->connections, what, wanted);
        if (!godwit_testbed_rest(vm->testbed, GODWIT_REST_MS, "all its TCP connections", error)) {
            godwit_error_context(error, "the %s has %u TCP connections %s; expected %u", vm->name,
                                 tcp->connections, what, wanted);
            return false;
        }
    }
    return false;
}
