/* SPDX-License-Identifier: MIT */
#include "stream/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What one direction is read in. */
#define CHUNK (256u << 10)
/* As many as a multifd migration has channels and more. */
#define BACKLOG 64
/* As often as this one direction is read before anybody else has a turn. */
#define TURNS 4
/* How often a direction with a limited rate sends something. In milliseconds. */
#define TICK_MS 10

/* How long a connection to the address behind the relay may take, in milliseconds. */
#define PATIENCE_MS 15000
/* How often to try again while a unix socket's queue is full: no event says when it has room. In
 * milliseconds. */
#define AGAIN_MS 5

/* What is to be done when all has been sent. */
enum ending { ENDING_NONE, ENDING_CLOSE, ENDING_CUT };

struct watcher {
    godwit_flow_watcher watch;
    gpointer data;
};

/* Either it reads, or what was read waits for being taken. */
struct godwit_flow {
    struct connection *connection;
    int from, to;     /* owned by the connection */
    guint source;     /* the main loop's, of what it waits for; 0: for nothing */
    bool ended;       /* nothing more comes */
    bool over;        /* and nothing more goes */
    GArray *watchers; /* of struct watcher */
    godwit_flow_filter filter;
    gpointer filter_data;
    GByteArray *filtered;      /* what the filter has sent */
    const unsigned char *next; /* what is to be sent on next: in BUFFER or FILTERED ... */
    size_t left;               /* ... and how much of it */
    bool stalls;               /* ... after that much of it, for so long */
    size_t stall_after;
    unsigned stall_ms;
    enum ending ending;
    size_t piece; /* to be sent at once; 0: any */
    size_t rate;  /* bytes a second; 0: any */
    size_t spare; /* of the rate, to be sent before the next tick */
    unsigned char buffer[CHUNK];
};

struct connection {
    int ends[2]; /* the source's and the destination's; owned, -1 when closed */
    struct godwit_flow flows[2];
};

struct greeter {
    godwit_relay_greeter greet;
    gpointer data;
};

/*
 * The relay is in one of two states, told by what SOURCE waits for: a caller on the listener, or,
 * for the caller that came last, the connection to the target. Callers that come meanwhile wait in
 * the listener's queue, so that connections are made in the order in which they come.
 */
struct godwit_relay {
    int listener;
    guint source;      /* the main loop's; 0: no more callers are taken */
    int near, far;     /* of the connection that is being made; -1: none */
    guint timer;       /* ends the wait for it; 0: there is none */
    unsigned patience; /* for it, in milliseconds */
    char *failure;     /* of the latest connection that was not made, or NULL */
    char *uri;
    char *target;     /* the address behind the relay, as a URI */
    int folder;       /* for unix sockets, whose paths would be too long */
    GArray *greeters; /* of struct greeter */
    GPtrArray *connections;
};

static gboolean ready(int fd, GIOCondition condition, gpointer data);
static gboolean stalled(gpointer data);
static gboolean tick(gpointer data);

/* Ends both directions. Closing, and nothing less, tells a TCP peer that has more to send. */
static void hang_up(struct connection *connection)
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

/* Nothing more goes on in this direction. */
static void end_flow(struct godwit_flow *flow)
{
    const struct godwit_flow *flows = flow->connection->flows;
    flow->over = true;
    if (flows[0].over && flows[1].over)
        hang_up(flow->connection);
    else
        shutdown(flow->to, SHUT_WR);
}

/* The LENGTH bytes in the buffer have come, or, of 0, the end has. */
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

/* Waits as long as the stall lasts. Of one without end nothing wakes it. */
static void stall(struct godwit_flow *flow)
{
    flow->stalls = false;
    if (flow->stall_ms)
        flow->source = g_timeout_add(flow->stall_ms, stalled, flow);
}

/* How much may be sent at once. */
static size_t allowance(const struct godwit_flow *flow)
{
    size_t most = flow->left;
    if (flow->stalls)
        most = MIN(most, flow->stall_after);
    if (flow->piece)
        most = MIN(most, flow->piece);
    return flow->rate ? MIN(most, flow->spare) : most;
}

/* Sends what was taken: true if that was all. Otherwise it waits, or, if nobody takes anything any
 * more, the connection is over. */
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
            hang_up(flow->connection);
            return false;
        }
    }
    return true;
}

/* All that was taken has gone on. False if that was the last. */
static bool may_read(struct godwit_flow *flow)
{
    if (flow->ending == ENDING_CUT)
        hang_up(flow->connection);
    else if (!flow->over && (flow->ended || flow->ending == ENDING_CLOSE))
        end_flow(flow);
    return !flow->ended && flow->connection->ends[0] >= 0;
}

/* Goes on until it has to wait, or others have to have their turn. */
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
            hang_up(flow->connection);
            return;
        }
    }
}

/* What it has waited for is there. */
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

static void free_connection(gpointer data)
{
    struct connection *connection = data;
    hang_up(connection);
    for (size_t i = 0; i < G_N_ELEMENTS(connection->flows); i++) {
        g_array_unref(connection->flows[i].watchers);
        g_byte_array_unref(connection->flows[i].filtered);
    }
    g_free(connection);
}

/* A socket's address, and its length. */
struct address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un local;
    };
};

/* The address of a URI. Unix paths go by way of the folder's descriptor: those are short enough. */
static struct address address_of(int folder, const char *uri)
{
    struct address address = {0};
    if (g_str_has_prefix(uri, "tcp:")) {
        address.length = sizeof(address.inet);
        address.inet.sin_family = AF_INET;
        address.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.inet.sin_port = htons((uint16_t)g_ascii_strtoull(strrchr(uri, ':') + 1, NULL, 10));
    } else {
        address.length = sizeof(address.local);
        address.local.sun_family = AF_UNIX;
        g_snprintf(address.local.sun_path, sizeof(address.local.sun_path), "/proc/self/fd/%d/%s",
                   folder, uri + strlen("unix:"));
    }
    return address;
}

static gboolean incoming(int fd, GIOCondition condition, gpointer data);
static void connect_far(struct godwit_relay *relay);

/* Waits for nothing any more. */
static void drop_sources(struct godwit_relay *relay)
{
    guint *const sources[] = {&relay->source, &relay->timer};
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        if (*sources[i])
            g_source_remove(*sources[i]);
        *sources[i] = 0;
    }
}

/* Waits for the next caller. */
static void await_caller(struct godwit_relay *relay)
{
    relay->near = relay->far = -1;
    drop_sources(relay);
    relay->source = g_unix_fd_add(relay->listener, G_IO_IN, incoming, relay);
}

/* The connection cannot be made: the caller is hung up on. */
static void give_up(struct godwit_relay *relay, int cause)
{
    g_free(relay->failure);
    relay->failure =
        g_strdup_printf("the relay cannot connect to %s: %s", relay->target, g_strerror(cause));
    if (relay->far >= 0)
        close(relay->far);
    close(relay->near);
    await_caller(relay);
}

/* Passes on from now on what both ends send. */
static void begin(struct godwit_relay *relay)
{
    const int near = relay->near, far = relay->far;
    if (g_str_has_prefix(relay->uri, "tcp:")) {
        /* Otherwise small answers would wait for one another. */
        const int on = 1;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    struct connection *connection = g_new0(struct connection, 1);
    const int ends[] = {near, far};
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
    for (guint i = 0; i < relay->greeters->len; i++) {
        const struct greeter *greeter = &g_array_index(relay->greeters, struct greeter, i);
        greeter->greet(&connection->flows[0], &connection->flows[1], relay->connections->len,
                       greeter->data);
    }
    g_ptr_array_add(relay->connections, connection);
    await_caller(relay);
}

/* The connection has been made, or has failed. */
static gboolean connected(int fd, GIOCondition condition, gpointer data)
{
    struct godwit_relay *relay = data;
    int cause = 0;
    socklen_t length = sizeof(cause);
    (void)condition;
    relay->source = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &length))
        cause = errno;
    if (cause)
        give_up(relay, cause);
    else
        begin(relay);
    return G_SOURCE_REMOVE;
}

static gboolean again(gpointer data)
{
    struct godwit_relay *relay = data;
    relay->source = 0;
    connect_far(relay);
    return G_SOURCE_REMOVE;
}

static gboolean overdue(gpointer data)
{
    struct godwit_relay *relay = data;
    relay->timer = 0;
    give_up(relay, ETIMEDOUT);
    return G_SOURCE_REMOVE;
}

/* Connects to the target for the caller that has come. Never blocks: the main loop runs. */
static void connect_far(struct godwit_relay *relay)
{
    const struct address address = address_of(relay->folder, relay->target);
    if (relay->far < 0)
        relay->far = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->far >= 0 && !connect(relay->far, &address.any, address.length))
        begin(relay);
    else if (relay->far >= 0 && errno == EINPROGRESS)
        relay->source = g_unix_fd_add(relay->far, G_IO_OUT | G_IO_ERR, connected, relay);
    else if (errno != EAGAIN || relay->far < 0)
        give_up(relay, errno);
    else
        relay->source = g_timeout_add(AGAIN_MS, again, relay);
}

/* A caller has come. */
static gboolean incoming(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    struct godwit_relay *relay = data;
    const int near = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (near < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return G_SOURCE_CONTINUE;
    relay->source = 0;
    if (near < 0) {
        /* No descriptor is left, say: the queue stays readable, and the loop would spin. */
        g_free(relay->failure);
        relay->failure = g_strdup_printf("the relay cannot accept: %s", g_strerror(errno));
        return G_SOURCE_REMOVE;
    }
    relay->near = near;
    relay->timer = g_timeout_add(relay->patience, overdue, relay);
    connect_far(relay);
    return G_SOURCE_REMOVE;
}

static bool listen_like(struct godwit_relay *relay)
{
    const bool tcp = g_str_has_prefix(relay->target, "tcp:");
    struct address address = address_of(relay->folder, tcp ? "tcp:0" : "unix:relay.sock");
    socklen_t length = address.length;
    relay->listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->listener < 0 || bind(relay->listener, &address.any, address.length) ||
        listen(relay->listener, BACKLOG) || getsockname(relay->listener, &address.any, &length))
        return false;
    relay->uri = tcp ? g_strdup_printf("tcp:127.0.0.1:%d", ntohs(address.inet.sin_port))
                     : g_strdup("unix:relay.sock");
    await_caller(relay);
    return true;
}

struct godwit_relay *godwit_relay_new(const char *folder, const char *uri, GError **error)
{
    struct godwit_relay *relay = g_new0(struct godwit_relay, 1);
    relay->listener = relay->near = relay->far = -1;
    relay->patience = PATIENCE_MS;
    relay->target = g_strdup(uri);
    relay->greeters = g_array_new(FALSE, FALSE, sizeof(struct greeter));
    relay->connections = g_ptr_array_new_with_free_func(free_connection);
    relay->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (relay->folder >= 0 && listen_like(relay))
        return relay;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "cannot listen in front of %s, in %s: %s", uri, folder, g_strerror(errno));
    godwit_relay_free(relay);
    return NULL;
}

void godwit_relay_free(struct godwit_relay *relay)
{
    if (!relay)
        return;
    drop_sources(relay);
    const int open_ones[] = {relay->listener, relay->near, relay->far};
    for (size_t i = 0; i < G_N_ELEMENTS(open_ones); i++)
        if (open_ones[i] >= 0)
            close(open_ones[i]);
    if (relay->uri && g_str_has_prefix(relay->uri, "unix:"))
        unlinkat(relay->folder, relay->uri + strlen("unix:"), 0);
    if (relay->folder >= 0)
        close(relay->folder);
    g_ptr_array_unref(relay->connections);
    g_array_unref(relay->greeters);
    g_free(relay->uri);
    g_free(relay->target);
    g_free(relay->failure);
    g_free(relay);
}

void godwit_relay_greet(struct godwit_relay *relay, godwit_relay_greeter greeter, gpointer data)
{
    const struct greeter entry = {greeter, data};
    g_array_append_val(relay->greeters, entry);
}

const char *godwit_relay_uri(const struct godwit_relay *relay)
{
    return relay->uri;
}

void godwit_relay_turn(struct godwit_relay *relay, const char *uri)
{
    g_free(relay->target);
    relay->target = g_strdup(uri);
}

const char *godwit_relay_failure(const struct godwit_relay *relay)
{
    return relay->failure;
}

void godwit_relay_patience(struct godwit_relay *relay, unsigned ms)
{
    relay->patience = ms;
}

void godwit_relay_narrow(struct godwit_relay *relay)
{
    /* The kernel makes a sender's buffer as large as twenty segments and more. */
    const int segment = 536, buffer = 16 << 10;
    if (g_str_has_prefix(relay->uri, "tcp:"))
        setsockopt(relay->listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
    setsockopt(relay->listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
}

unsigned godwit_relay_count(const struct godwit_relay *relay)
{
    return relay->connections->len;
}

void godwit_relay_hang_up(struct godwit_relay *relay)
{
    if (relay->near >= 0)
        give_up(relay, ECANCELED);
    for (guint i = 0; i < relay->connections->len; i++)
        hang_up(g_ptr_array_index(relay->connections, i));
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
