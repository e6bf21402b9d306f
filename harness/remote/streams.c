/*
 * Descriptors that are carried: see streams.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    int fd; /* -1: closed */
    uint8_t number;
    bool ended;        /* nothing more comes from it */
    bool closing;      /* the other side has nothing more for it */
    GByteArray *waits; /* to be written to it */
};

struct godwit_streams {
    struct godwit_frames *frames;
    GArray *list; /* of struct stream */
};

static void clear_stream(gpointer data)
{
    struct stream *stream = data;
    if (stream->fd >= 0)
        close(stream->fd);
    g_byte_array_unref(stream->waits);
}

struct godwit_streams *godwit_streams_new(struct godwit_frames *frames)
{
    struct godwit_streams *streams = g_new0(struct godwit_streams, 1);
    streams->frames = frames;
    streams->list = g_array_new(FALSE, FALSE, sizeof(struct stream));
    g_array_set_clear_func(streams->list, clear_stream);
    return streams;
}

void godwit_streams_free(struct godwit_streams *streams)
{
    if (!streams)
        return;
    g_array_unref(streams->list);
    g_free(streams);
}

void godwit_streams_add(struct godwit_streams *streams, int fd, uint8_t number, bool reads)
{
    const struct stream stream = {fd, number, !reads, false, g_byte_array_new()};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    g_array_append_val(streams->list, stream);
}

static struct stream *at(const struct godwit_streams *streams, guint i)
{
    return &g_array_index(streams->list, struct stream, i);
}

static struct stream *find(const struct godwit_streams *streams, uint8_t number)
{
    for (guint i = 0; i < streams->list->len; i++)
        if (at(streams, i)->number == number)
            return at(streams, i);
    return NULL;
}

/* Returns whether a descriptor has so much to write that no more frames are read. */
static bool is_full(const struct godwit_streams *streams)
{
    for (guint i = 0; i < streams->list->len; i++)
        if (at(streams, i)->waits->len >= GODWIT_STREAM_FULL)
            return true;
    return false;
}

void godwit_streams_poll(struct godwit_streams *streams, GArray *polls)
{
    const bool reads = godwit_frames_pending(streams->frames) < GODWIT_STREAM_FULL;
    const struct pollfd in = {.fd = godwit_frames_in(streams->frames),
                              .events = (short)(is_full(streams) ? 0 : POLLIN)};
    const struct pollfd out = {
        .fd = godwit_frames_pending(streams->frames) ? godwit_frames_out(streams->frames) : -1,
        .events = POLLOUT};
    g_array_append_val(polls, in);
    g_array_append_val(polls, out);
    for (guint i = 0; i < streams->list->len; i++) {
        const struct stream *stream = at(streams, i);
        struct pollfd one = {.fd = stream->fd};
        if (reads && !stream->ended)
            one.events |= POLLIN;
        if (stream->waits->len)
            one.events |= POLLOUT;
        if (!one.events)
            one.fd = -1;
        g_array_append_val(polls, one);
    }
}

/* Nothing more comes from the descriptor. */
static void end(struct godwit_streams *streams, struct stream *stream)
{
    if (!stream->ended)
        godwit_frames_put(streams->frames, GODWIT_FRAME_CLOSE, &stream->number, 1, NULL, 0);
    stream->ended = true;
}

static void read_stream(struct godwit_streams *streams, struct stream *stream)
{
    unsigned char buffer[64 << 10];
    const ssize_t n = read(stream->fd, buffer, sizeof(buffer));
    if (n > 0)
        godwit_frames_put(streams->frames, GODWIT_FRAME_DATA, &stream->number, 1, buffer,
                          (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end(streams, stream);
}

/* Closes the way to the descriptor, once all was written. */
static void close_way(struct stream *stream)
{
    if (stream->fd < 0 || !stream->closing || stream->waits->len)
        return;
    if (shutdown(stream->fd, SHUT_WR)) {
        close(stream->fd); /* not a socket */
        stream->fd = -1;
    }
}

static void write_stream(struct stream *stream)
{
    const ssize_t n = write(stream->fd, stream->waits->data, stream->waits->len);
    if (n > 0)
        g_byte_array_remove_range(stream->waits, 0, (guint)n);
    else if (errno != EAGAIN && errno != EINTR)
        g_byte_array_set_size(stream->waits, 0); /* nobody reads it */
    close_way(stream);
}

bool godwit_streams_carry(struct godwit_streams *streams, const GArray *polls, guint first)
{
    const struct pollfd *ready = &g_array_index(polls, struct pollfd, first);
    const guint count = MIN(streams->list->len, polls->len - first - 2);
    for (guint i = 0; i < count; i++) {
        struct stream *stream = at(streams, i);
        const short events = ready[i + 2].fd < 0 ? 0 : ready[i + 2].revents;
        if (events & (POLLIN | POLLHUP | POLLERR) && !stream->ended)
            read_stream(streams, stream);
        if (events & POLLOUT && stream->fd >= 0)
            write_stream(stream);
    }
    const bool alive = !ready[0].revents || godwit_frames_receive(streams->frames);
    return godwit_frames_send(streams->frames) && alive;
}

bool godwit_streams_take(struct godwit_streams *streams, int kind, const unsigned char *content,
                         size_t size)
{
    struct stream *stream = size ? find(streams, content[0]) : NULL;
    if (!stream || (kind == GODWIT_FRAME_CLOSE && size != 1))
        return false;
    if (kind == GODWIT_FRAME_CLOSE) {
        stream->closing = true;
        close_way(stream);
    } else if (size > 1 && stream->fd >= 0) {
        g_byte_array_append(stream->waits, content + 1, (guint)(size - 1));
    }
    return true;
}

bool godwit_streams_ended(const struct godwit_streams *streams, uint8_t number)
{
    const struct stream *stream = find(streams, number);
    return !stream || stream->ended;
}

bool godwit_streams_written(const struct godwit_streams *streams)
{
    for (guint i = 0; i < streams->list->len; i++)
        if (at(streams, i)->waits->len)
            return false;
    return true;
}
