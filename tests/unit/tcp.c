/*
 * Asking the kernel for TCP connections, and making their buffers small.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "testbed/tcp.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A listener on this host, and a connection to it. */
struct line {
    int listener, fd;
    uint16_t port;
};

static struct line line_open(void)
{
    struct line line = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                        .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    assert_int_equal(bind(line.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(line.listener, 1), 0);
    assert_int_equal(getsockname(line.listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(line.fd, (struct sockaddr *)&address, length), 0);
    line.port = ntohs(address.sin_port);
    return line;
}

static void line_close(const struct line *line)
{
    close(line->fd);
    close(line->listener);
}

static int send_buffer(int fd)
{
    int size = 0;
    socklen_t length = sizeof(size);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    return size;
}

/* Only what leads to the port is made narrow, and the listener's own end is not. */
static void test_narrow(void **state)
{
    (void)state;
    const struct line one = line_open(), other = line_open();
    const int before = send_buffer(other.fd), accepted = accept(one.listener, NULL, NULL);
    const int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    const int copy = (int)syscall(SYS_pidfd_getfd, pidfd, one.fd, 0);
    if (copy >= 0)
        close(copy); /* it would be found too */
    close(pidfd);
    const unsigned narrowed = godwit_tcp_narrow(getpid(), one.port);
    assert_int_equal(narrowed, copy >= 0 ? 1 : 0); /* a container may forbid it */
    if (copy >= 0)
        assert_int_equal(send_buffer(one.fd), 128 << 10);
    assert_int_equal(send_buffer(other.fd), before);
    assert_true(send_buffer(accepted) > 128 << 10);
    close(accepted);
    line_close(&one);
    line_close(&other);
}

/* A process that does not exist has nothing to be made narrow. */
static void test_no_process(void **state)
{
    (void)state;
    assert_int_equal(godwit_tcp_narrow(INT_MAX, 1), 0);
}

static void test_ask(void **state)
{
    (void)state;
    struct godwit_tcp before, with;
    assert_true(godwit_tcp_ask(getpid(), &before, NULL));
    const struct line line = line_open();
    assert_true(godwit_tcp_ask(getpid(), &with, NULL));
    assert_int_equal(with.connections, before.connections + 1);
    line_close(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_no_process),
        cmocka_unit_test(test_ask),
    };
    return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
