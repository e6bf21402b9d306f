/*
 * Frames: see frames.h. Nothing here waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 5 };

struct godwit_frames {
    int in, out;
    bool socket_in, socket_out;
    GByteArray *came, *pending;
    size_t taken; /* bytes of CAME that belong to frames that were taken */
};

/* Whether a descriptor blocks belongs to what it describes, which another process may share: a
 * transport's standard input and output are often one socket. So this leaves sockets alone. */
static bool prepare(int fd)
{
    struct stat status;
    const bool socket = !fstat(fd, &status) && S_ISSOCK(status.st_mode);
    if (!socket)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return socket;
}

struct godwit_frames *godwit_frames_new(int in, int out)
{
    struct godwit_frames *frames = g_new0(struct godwit_frames, 1);
    frames->in = in;
    frames->out = out;
    frames->came = g_byte_array_new();
    frames->pending = g_byte_array_new();
    frames->socket_in = prepare(in);
    frames->socket_out = prepare(out);
    return frames;
}

void godwit_frames_free(struct godwit_frames *frames)
{
    if (!frames)
        return;
    close(frames->in);
    if (frames->out != frames->in)
        close(frames->out);
    g_byte_array_unref(frames->came);
    g_byte_array_unref(frames->pending);
    g_free(frames);
}

int godwit_frames_in(const struct godwit_frames *frames)
{
    return frames->in;
}

int godwit_frames_out(const struct godwit_frames *frames)
{
    return frames->out;
}

size_t godwit_frames_pending(const struct godwit_frames *frames)
{
    return frames->pending->len;
}

static void append(GByteArray *bytes, const void *data, size_t size)
{
    if (size)
        g_byte_array_append(bytes, data, (guint)size);
}

void godwit_frames_put(struct godwit_frames *frames, enum godwit_frame kind, const void *a,
                       size_t a_size, const void *b, size_t b_size)
{
    g_assert(a_size + b_size <= GODWIT_FRAME_MAX);
    const uint32_t size = GUINT32_TO_BE((uint32_t)(a_size + b_size));
    const uint8_t byte = (uint8_t)kind;
    append(frames->pending, &size, sizeof(size));
    append(frames->pending, &byte, 1);
    append(frames->pending, a, a_size);
    append(frames->pending, b, b_size);
}

bool godwit_frames_send(struct godwit_frames *frames)
{
    size_t sent = 0;
    bool alive = true;
    while (sent < frames->pending->len) {
        const unsigned char *next = frames->pending->data + sent;
        const size_t rest = frames->pending->len - sent;
        const ssize_t n = frames->socket_out
                              ? send(frames->out, next, rest, MSG_DONTWAIT | MSG_NOSIGNAL)
                              : write(frames->out, next, rest);
        if (n > 0) {
            sent += (size_t)n;
        } else if (errno != EINTR) {
            alive = errno == EAGAIN;
            break;
        }
    }
    if (sent)
        g_byte_array_remove_range(frames->pending, 0, (guint)sent);
    return alive;
}

bool godwit_frames_receive(struct godwit_frames *frames)
{
    /* At most two frames a call, so that the other descriptors have their turn. */
    unsigned char buffer[64 << 10];
    for (size_t got = 0; got < 2 * GODWIT_FRAME_MAX;) {
        const ssize_t n = frames->socket_in ? recv(frames->in, buffer, sizeof(buffer), MSG_DONTWAIT)
                                            : read(frames->in, buffer, sizeof(buffer));
        if (n > 0) {
            append(frames->came, buffer, (size_t)n);
            got += (size_t)n;
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            return false;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    return true;
}

int godwit_frames_next(struct godwit_frames *frames, const unsigned char **content, size_t *size,
                       GError **error)
{
    if (frames->taken)
        g_byte_array_remove_range(frames->came, 0, (guint)frames->taken);
    frames->taken = 0;
    if (frames->came->len < HEADER)
        return 0;
    uint32_t length;
    memcpy(&length, frames->came->data, sizeof(length));
    *size = GUINT32_FROM_BE(length);
    if (*size > GODWIT_FRAME_MAX) {
        godwit_fail(error, GODWIT_ERROR_USAGE,
                    "the other host sent something that is not Godwit's protocol: a frame of %zu "
                    "bytes",
                    *size);
        return -1;
    }
    if (frames->came->len < HEADER + *size)
        return 0;
    *content = frames->came->data + HEADER;
    frames->taken = HEADER + *size;
    return frames->came->data[4];
}
