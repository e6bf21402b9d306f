/*
 * Makes a QEMU send its migration slower by a known part, or its switchover longer by a known time.
 * Loaded into QEMU by LD_PRELOAD; a source sends by sendmsg(2).
 *
 *   SLOW_PART   percent by which the sender is slower: after each message it spins for this part of
 *               the time since the message before
 *   SLOW_US     microseconds for which it spins, once, before it sends the description of the
 *               devices' state: the guest is stopped then
 *
 * It spins because a sleep of some microseconds takes fifty.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Messages from this size on are parts of a migration, in bytes. */
#define LARGE 8192
/* A pause that is longer than this is not spent on sending, in nanoseconds. */
#define PAUSE 50000000

ssize_t sendmsg(int fd, const struct msghdr *message, int flags);

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void spin_until(int64_t end)
{
    while (now() < end)
        ;
}

static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtol(text, NULL, 10) : 0;
}

/* Returns whether the message has the beginning of the description, which is JSON. */
static bool has_description(const struct msghdr *message)
{
    static const char beginning[] = "{\"configuration\":";
    static const char older[] = "{\"page_size\":";
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        if (memmem(part->iov_base, part->iov_len, beginning, sizeof(beginning) - 1) ||
            memmem(part->iov_base, part->iov_len, older, sizeof(older) - 1))
            return true;
    }
    return false;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, const struct msghdr *, int);
    static int64_t before; /* when the last large message was sent */
    static bool described;
    if (!next)
        next = (ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
    const long part = number_of("SLOW_PART"), us = number_of("SLOW_US");
    if (us && !described && has_description(message)) {
        described = true;
        spin_until(now() + us * 1000);
    }
    const ssize_t sent = next(fd, message, flags);
    if (sent >= LARGE) {
        const int64_t after = now(), took = after - before;
        if (part && before && took < PAUSE)
            spin_until(after + took * part / 100);
        before = now();
    }
    return sent;
}
