/*
 * Reads memory through a proxy: see client.h. A thread takes the answers, so that a read that waits
 * for a page of a postcopy does not keep others from theirs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

/* A call that waits. */
struct call {
    uint32_t number;
    bool done;
    int failure;
    void *buffer;
    size_t room, length;
};

struct godwit_remote {
    GMutex lock;
    GCond changed;
    struct godwit_frames *frames; /* requests, by callers under LOCK; answers, by the thread */
    int fd;
    gint64 deadline;  /* monotonic microseconds */
    GPtrArray *calls; /* of struct call, on the stacks of their callers */
    uint32_t number;
    bool ended;
    GThread *thread;
};

/* Gives an answer to its call. */
static void give(struct godwit_remote *remote, int kind, const unsigned char *content, size_t size)
{
    uint32_t number;
    if (size < sizeof(number))
        return;
    memcpy(&number, content, sizeof(number));
    content += sizeof(number);
    size -= sizeof(number);
    for (guint i = 0; i < remote->calls->len; i++) {
        struct call *call = g_ptr_array_index(remote->calls, i);
        if (call->number != number || call->done)
            continue;
        uint32_t failure = GUINT32_TO_BE(EPROTO);
        if (kind == GODWIT_FRAME_ERRNO && size == sizeof(failure))
            memcpy(&failure, content, sizeof(failure));
        if (kind == GODWIT_FRAME_BYTES && size <= call->room) {
            memcpy(call->buffer, content, size);
            call->length = size;
            failure = 0;
        }
        call->failure = (int)GUINT32_FROM_BE(failure);
        call->done = true;
    }
}

/* Takes answers until the proxy is gone. */
static void *take_answers(void *data)
{
    struct godwit_remote *remote = data;
    for (bool alive = true; alive;) {
        struct pollfd in = {.fd = remote->fd, .events = POLLIN};
        if (poll(&in, 1, -1) < 0 && errno != EINTR)
            break;
        g_mutex_lock(&remote->lock);
        alive = godwit_frames_receive(remote->frames);
        const unsigned char *content;
        size_t size;
        int kind;
        while ((kind = godwit_frames_next(remote->frames, &content, &size, NULL)) > 0)
            give(remote, kind, content, size);
        alive = alive && kind == 0;
        g_cond_broadcast(&remote->changed);
        g_mutex_unlock(&remote->lock);
    }
    g_mutex_lock(&remote->lock);
    remote->ended = true;
    g_cond_broadcast(&remote->changed);
    g_mutex_unlock(&remote->lock);
    return NULL;
}

struct godwit_remote *godwit_remote_new(gint64 deadline, int *fd)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return NULL;
    struct godwit_remote *remote = g_new0(struct godwit_remote, 1);
    g_mutex_init(&remote->lock);
    g_cond_init(&remote->changed);
    remote->fd = pair[0];
    remote->deadline = deadline;
    remote->frames = godwit_frames_new(pair[0], pair[0]);
    remote->calls = g_ptr_array_new();
    remote->thread = g_thread_new("remote", take_answers, remote);
    *fd = pair[1];
    return remote;
}

void godwit_remote_set_deadline(struct godwit_remote *remote, gint64 deadline)
{
    g_mutex_lock(&remote->lock);
    remote->deadline = deadline;
    g_cond_broadcast(&remote->changed);
    g_mutex_unlock(&remote->lock);
}

void godwit_remote_free(struct godwit_remote *remote)
{
    if (!remote)
        return;
    shutdown(remote->fd, SHUT_RDWR);
    g_thread_join(remote->thread);
    /* That thread has ended all calls, but one may not have woken up yet. */
    g_mutex_lock(&remote->lock);
    while (remote->calls->len)
        g_cond_wait(&remote->changed, &remote->lock);
    g_mutex_unlock(&remote->lock);
    godwit_frames_free(remote->frames);
    g_ptr_array_unref(remote->calls);
    g_mutex_clear(&remote->lock);
    g_cond_clear(&remote->changed);
    g_free(remote);
}

/* Sends what is pending. A proxy takes requests even if its connection is slow, up to a limit, so
 * this waits only then. Returns false if the proxy is gone. */
static bool send_all(struct godwit_remote *remote)
{
    bool alive;
    while ((alive = godwit_frames_send(remote->frames)) && godwit_frames_pending(remote->frames)) {
        const gint64 rest = remote->deadline - g_get_monotonic_time();
        struct pollfd out = {.fd = remote->fd, .events = POLLOUT};
        if (rest <= 0)
            break;
        poll(&out, 1, (int)(rest / 1000) + 1);
    }
    return alive;
}

/* Sends a request, whose number follows from CALL, and waits for the answer. Returns its length, or
 * -1 with errno set. */
static ssize_t ask(struct godwit_remote *remote, struct call *call, enum godwit_frame kind,
                   void *head, size_t head_size, const void *rest, size_t rest_size)
{
    g_mutex_lock(&remote->lock);
    call->number = GUINT32_TO_BE(remote->number++);
    memcpy(head, &call->number, sizeof(call->number)); /* every request begins with it */
    godwit_frames_put(remote->frames, kind, head, head_size, rest, rest_size);
    g_ptr_array_add(remote->calls, call);
    if (!send_all(remote))
        remote->ended = true;
    while (!call->done && !remote->ended && g_get_monotonic_time() < remote->deadline)
        g_cond_wait_until(&remote->changed, &remote->lock, remote->deadline);
    const bool ended = remote->ended;
    g_ptr_array_remove_fast(remote->calls, call);
    g_cond_broadcast(&remote->changed);
    g_mutex_unlock(&remote->lock);
    errno = call->done ? call->failure : ended ? EPIPE : ETIMEDOUT;
    return errno ? -1 : (ssize_t)call->length;
}

/* Asks for memory. */
static ssize_t ask_memory(struct godwit_remote *remote, enum godwit_remote_how how,
                          uint64_t address, size_t length, void *buffer, size_t room)
{
    struct call call = {.buffer = buffer, .room = room};
    struct godwit_remote_read wanted = {0, GUINT32_TO_BE((uint32_t)length), GUINT64_TO_BE(address),
                                        (uint8_t)how};
    return ask(remote, &call, GODWIT_FRAME_READ, &wanted, sizeof(wanted), NULL, 0);
}

bool godwit_remote_put(struct godwit_remote *remote, const char *name, const void *bytes,
                       size_t size)
{
    struct call call = {0};
    const size_t head_size = sizeof(call.number) + strlen(name) + 1;
    g_autofree char *head = g_malloc0(head_size);
    memcpy(head + sizeof(call.number), name, strlen(name));
    if (head_size + size > GODWIT_FRAME_MAX) {
        errno = EFBIG;
        return false;
    }
    return ask(remote, &call, GODWIT_FRAME_PUT, head, head_size, bytes, size) == 0;
}

ssize_t godwit_remote_read(struct godwit_remote *remote, uint64_t address, void *buffer,
                           size_t length)
{
    length = MIN(length, GODWIT_REMOTE_READ_MAX);
    return ask_memory(remote, GODWIT_REMOTE_BYTES, address, length, buffer, length);
}

ssize_t godwit_remote_peek(struct godwit_remote *remote, uint64_t address, void *buffer,
                           size_t length)
{
    length = MIN(length, GODWIT_REMOTE_READ_MAX);
    return ask_memory(remote, GODWIT_REMOTE_PRESENT, address, length, buffer, length);
}

int godwit_remote_same(struct godwit_remote *remote, uint64_t address, const void *bytes,
                       size_t length)
{
    const unsigned char *next = bytes;
    g_autofree uint64_t *hashes =
        g_malloc(GODWIT_REMOTE_HASHED_MAX / GODWIT_REMOTE_PAGE * sizeof(*hashes));
    while (length) {
        const size_t part = MIN(length, GODWIT_REMOTE_HASHED_MAX);
        const size_t pages = part / GODWIT_REMOTE_PAGE;
        const ssize_t got = ask_memory(remote, GODWIT_REMOTE_HASHES, address, part, hashes,
                                       pages * sizeof(*hashes));
        if (got < 0)
            return -1;
        if ((size_t)got != pages * sizeof(*hashes)) {
            errno = EPROTO;
            return -1;
        }
        for (size_t i = 0; i < pages; i++, next += GODWIT_REMOTE_PAGE)
            if (GUINT64_FROM_BE(hashes[i]) != XXH3_64bits(next, GODWIT_REMOTE_PAGE))
                return 0;
        address += part;
        length -= part;
    }
    return 1;
}
