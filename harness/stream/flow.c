/*
 * Flows: the two directions of a connection through the relay.
 *
 * A flow has one buffer. It either waits for bytes to read, or waits to send on what it has read:
 * until the other end has room, until the next tick of a limited rate, or until a stall is over. It
 * reads nothing before it has sent all that it has, so a slow reader slows the writer down as it
 * would without a relay. `source` is the one main loop source that wakes a waiting flow; if it is
 * 0, nothing will: the flow has ended, or it stalls for good.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/relay_parts.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* The size of a flow's buffer. */
#define CHUNK (256u << 10)
/* How often a flow reads before the main loop gives others a turn. */
#define TURNS 4
/* How often a flow with a limited rate sends something, in milliseconds. */
#define TICK_MS 10

/* What happens once all has been sent. */
enum ending { ENDING_NONE, ENDING_CLOSE, ENDING_CUT };

struct watcher {
    godwit_flow_watcher watch;
    gpointer data;
};

struct godwit_flow {
    struct godwit_connection *connection;
    int from, to;     /* owned by the connection */
    guint source;     /* in the main loop: what the flow waits for; 0: nothing */
    bool ended;       /* nothing more comes */
    bool over;        /* nothing more goes on */
    GArray *watchers; /* of struct watcher */
    godwit_flow_filter filter;
    gpointer filter_data;
    GByteArray *filtered;      /* what the filter has sent */
    const unsigned char *next; /* the bytes to send next, in `buffer` or `filtered` */
    size_t left;               /* how many they are */
    bool stalls;               /* a stall begins when `stall_after` more bytes are sent ... */
    size_t stall_after;
    unsigned stall_ms; /* ... and lasts this long; 0: for good */
    enum ending ending;
    size_t piece; /* most bytes to send at once; 0: no limit */
    size_t rate;  /* most bytes a second; 0: no limit */
    size_t spare; /* how much of the rate is left until the next tick */
    unsigned char buffer[CHUNK];
};

struct godwit_connection {
    int ends[2]; /* the source's and the destination's; owned, -1 when closed */
    struct godwit_flow flows[2];
};

static gboolean ready(int fd, GIOCondition condition, gpointer data);
static gboolean stalled(gpointer data);
static gboolean tick(gpointer data);

/* Closes the sockets, for shutdown() alone would not stop a TCP peer that has more to send. */
void godwit_connection_hang_up(struct godwit_connection *connection)
{
    for (size_t i = 0; i < G_N_ELEMENTS(connection->flows); i++) {
        struct godwit_flow *flow = &connection->flows[i];
        if (flow->source)
            g_source_remove(flow->source);
        flow->source = 0;
        flow->over = true;
        if (connection->ends[i] >= 0)
            close(connection->ends[i]);
        connection->ends[i] = -1;
    }
}

/* Ends this direction, and the connection if the other one has ended as well. */
static void end_flow(struct godwit_flow *flow)
{
    const struct godwit_flow *flows = flow->connection->flows;
    flow->over = true;
    if (flows[0].over && flows[1].over)
        godwit_connection_hang_up(flow->connection);
    else
        shutdown(flow->to, SHUT_WR);
}

/* Takes the LENGTH bytes that have come into the buffer; the end has come if LENGTH is 0. */
static void take(struct godwit_flow *flow, size_t length)
{
    flow->ended = length == 0;
    for (guint i = 0; i < flow->watchers->len; i++) {
        const struct watcher *watcher = &g_array_index(flow->watchers, struct watcher, i);
        watcher->watch(watcher->data, flow->buffer, length);
    }
    flow->next = flow->buffer;
    flow->left = flow->over ? 0 : length;
    if (flow->filter && !flow->over) {
        g_byte_array_set_size(flow->filtered, 0);
        flow->filter(flow, flow->filter_data, flow->buffer, length);
        flow->next = flow->filtered->data;
        flow->left = flow->filtered->len;
    }
}

/* Waits until the stall is over. Nothing wakes a flow that stalls for good. */
static void stall(struct godwit_flow *flow)
{
    flow->stalls = false;
    if (flow->stall_ms)
        flow->source = g_timeout_add(flow->stall_ms, stalled, flow);
}

/* Returns how much may be sent at once. */
static size_t allowance(const struct godwit_flow *flow)
{
    size_t most = flow->left;
    if (flow->stalls)
        most = MIN(most, flow->stall_after);
    if (flow->piece)
        most = MIN(most, flow->piece);
    return flow->rate ? MIN(most, flow->spare) : most;
}

/* Sends what was taken. Returns true if all of it is sent. Otherwise the flow now waits, or the
 * connection is closed because the peer takes nothing any more. */
static bool send_on(struct godwit_flow *flow)
{
    while (flow->left || flow->stalls) {
        if (flow->stalls && !flow->stall_after) {
            stall(flow);
            return false;
        }
        const size_t most = allowance(flow);
        if (!most) {
            flow->source = g_timeout_add(TICK_MS, tick, flow);
            return false;
        }
        const ssize_t n = send(flow->to, flow->next, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            flow->next += n;
            flow->left -= (size_t)n;
            flow->stall_after -= flow->stalls ? (size_t)n : 0;
            flow->spare -= flow->rate ? (size_t)n : 0;
        } else if (errno == EAGAIN) {
            flow->source = g_unix_fd_add(flow->to, G_IO_OUT, ready, flow);
            return false;
        } else if (errno != EINTR) {
            godwit_connection_hang_up(flow->connection);
            return false;
        }
    }
    return true;
}

/* Ends what a filter asked to end, now that all is sent. Returns whether to read on. */
static bool may_read(struct godwit_flow *flow)
{
    if (flow->ending == ENDING_CUT)
        godwit_connection_hang_up(flow->connection);
    else if (!flow->over && (flow->ended || flow->ending == ENDING_CLOSE))
        end_flow(flow);
    return !flow->ended && flow->connection->ends[0] >= 0;
}

/* Passes bytes on until the flow has to wait or has used up its turns. */
static void advance(struct godwit_flow *flow)
{
    for (unsigned turn = 0; send_on(flow) && may_read(flow); turn++) {
        const ssize_t n =
            turn < TURNS ? recv(flow->from, flow->buffer, sizeof(flow->buffer), MSG_DONTWAIT) : -1;
        if (n >= 0) {
            take(flow, (size_t)n);
        } else if (turn == TURNS || errno == EAGAIN || errno == EINTR) {
            flow->source = g_unix_fd_add(flow->from, G_IO_IN, ready, flow);
            return;
        } else {
            godwit_connection_hang_up(flow->connection);
            return;
        }
    }
}

/* Main loop callback: what the flow waited for is there. */
static gboolean ready(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct godwit_flow *flow = data;
    flow->source = 0;
    advance(flow);
    return G_SOURCE_REMOVE;
}

static gboolean stalled(gpointer data)
{
    return ready(-1, 0, data);
}

static gboolean tick(gpointer data)
{
    struct godwit_flow *flow = data;
    flow->spare = MAX(flow->rate * TICK_MS / 1000, 1);
    return ready(-1, 0, data);
}

struct godwit_connection *godwit_connection_new(int source, int destination)
{
    struct godwit_connection *connection = g_new0(struct godwit_connection, 1);
    const int ends[] = {source, destination};
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        struct godwit_flow *flow = &connection->flows[i];
        connection->ends[i] = ends[i];
        flow->connection = connection;
        flow->from = ends[i];
        flow->to = ends[1 - i];
        flow->watchers = g_array_new(FALSE, FALSE, sizeof(struct watcher));
        flow->filtered = g_byte_array_new();
        flow->source = g_unix_fd_add(flow->from, G_IO_IN, ready, flow);
    }
    return connection;
}

void godwit_connection_free(struct godwit_connection *connection)
{
    godwit_connection_hang_up(connection);
    for (size_t i = 0; i < G_N_ELEMENTS(connection->flows); i++) {
        g_array_unref(connection->flows[i].watchers);
        g_byte_array_unref(connection->flows[i].filtered);
    }
    g_free(connection);
}

struct godwit_flow *godwit_connection_sent(struct godwit_connection *connection)
{
    return &connection->flows[0];
}

struct godwit_flow *godwit_connection_answered(struct godwit_connection *connection)
{
    return &connection->flows[1];
}

void godwit_flow_watch(struct godwit_flow *flow, godwit_flow_watcher watcher, gpointer data)
{
    const struct watcher entry = {watcher, data};
    g_array_append_val(flow->watchers, entry);
}

void godwit_flow_filter_by(struct godwit_flow *flow, godwit_flow_filter filter, gpointer data)
{
    flow->filter = filter;
    flow->filter_data = data;
}

void godwit_flow_send(struct godwit_flow *flow, const void *bytes, size_t length)
{
    if (flow->ending == ENDING_NONE)
        g_byte_array_append(flow->filtered, bytes, (guint)length);
}

void godwit_flow_stall(struct godwit_flow *flow, unsigned ms)
{
    flow->stalls = true;
    flow->stall_after = flow->filtered->len;
    flow->stall_ms = ms;
}

void godwit_flow_close(struct godwit_flow *flow)
{
    flow->ending = ENDING_CLOSE;
}

void godwit_flow_cut(struct godwit_flow *flow)
{
    flow->ending = ENDING_CUT;
}

void godwit_flow_slow(struct godwit_flow *flow, size_t piece, size_t rate)
{
    flow->piece = piece;
    flow->rate = rate;
}
