/*
 * The relay stands between source and destination: it listens on a unix or TCP socket, connects to
 * the address behind it for each caller, and passes bytes on in both directions (flow.c).
 *
 * It lives in the main loop and never blocks. `source` says in which state it is: it waits for a
 * caller on the listener, for the first bytes of the latest caller if there is a sorter, or for the
 * connection to the target for that caller. Callers that come meanwhile wait in the listener's
 * queue, so connections are made in the order in which callers come, unless a sorter puts some off.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/relay.h"
#include "stream/relay_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The listener's queue: more than a multifd migration has channels. */
#define BACKLOG 64

/* How long a connection to the address behind the relay may take, in milliseconds. */
#define PATIENCE_MS 15000
/* How long to wait before trying again while a unix socket's queue is full, in milliseconds: no
 * event says when it has room. */
#define AGAIN_MS 5
/* How many of a caller's first bytes a sorter sees. */
#define SORTED 64

struct greeter {
    godwit_relay_greeter greet;
    gpointer data;
};

struct godwit_relay {
    int listener;
    guint source;      /* in the main loop; 0: no more callers are taken */
    int near, far;     /* sockets of the connection that is being made; -1: none */
    guint timer;       /* limits the wait for that connection; 0: no wait */
    unsigned patience; /* how long that wait may be, in milliseconds */
    char *failure;     /* why the latest failed connection failed, or NULL */
    char *uri;
    char *target;     /* the address behind the relay, as a URI */
    int folder;       /* descriptor of unix sockets' folder: whole paths may be too long */
    GArray *greeters; /* of struct greeter */
    godwit_relay_sorter sorter; /* decides when a connection is made; NULL: at once */
    gpointer sorter_data;
    unsigned most;          /* connections that are made at most; 0: no limit */
    GArray *put_off;        /* sockets of the callers that the sorter lets wait */
    GPtrArray *connections; /* of struct godwit_connection */
};

/* A socket address and its length. */
struct address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un local;
    };
};

/* Returns the address that URI names: "tcp:HOST:PORT" with an IPv4 address, "tcp:PORT" of this
 * host, or "unix:PATH". A unix path goes through FOLDER's descriptor to be short. */
static struct address address_of(int folder, const char *uri)
{
    struct address address = {0};
    if (g_str_has_prefix(uri, "tcp:")) {
        address.length = sizeof(address.inet);
        address.inet.sin_family = AF_INET;
        const char *host = uri + strlen("tcp:"), *port = strrchr(uri, ':') + 1;
        g_autofree char *number = g_strndup(host, port > host ? (gsize)(port - 1 - host) : 0);
        if (inet_pton(AF_INET, number, &address.inet.sin_addr) != 1)
            address.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.inet.sin_port = htons((uint16_t)g_ascii_strtoull(port, NULL, 10));
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
static void take_caller(struct godwit_relay *relay, int near);

/* Stops waiting for anything. */
static void drop_sources(struct godwit_relay *relay)
{
    guint *const sources[] = {&relay->source, &relay->timer};
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        if (*sources[i])
            g_source_remove(*sources[i]);
        *sources[i] = 0;
    }
}

/* Returns whether the connection for the caller at socket NEAR is to be made now. */
static bool is_due(const struct godwit_relay *relay, int near)
{
    unsigned char first[SORTED];
    const ssize_t n = recv(near, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
    return relay->sorter(first, n > 0 ? (size_t)n : 0, relay->sorter_data);
}

/* Takes a caller that was put off and whose time has come. Returns its socket, or -1. */
static int take_due(struct godwit_relay *relay)
{
    for (guint i = 0; i < relay->put_off->len; i++) {
        const int near = g_array_index(relay->put_off, int, i);
        if (is_due(relay, near)) {
            g_array_remove_index(relay->put_off, i);
            return near;
        }
    }
    return -1;
}

/* Waits for the next caller, unless one that was put off is due or no more may come. */
static void await_caller(struct godwit_relay *relay)
{
    relay->near = relay->far = -1;
    drop_sources(relay);
    if (relay->most && relay->connections->len >= relay->most)
        return;
    const int due = take_due(relay);
    if (due >= 0)
        take_caller(relay, due);
    else
        relay->source = g_unix_fd_add(relay->listener, G_IO_IN, incoming, relay);
}

/* Hangs up on the caller, because CAUSE (an errno) keeps the connection from being made. */
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

/* Begins to pass on what both ends send. */
static void begin(struct godwit_relay *relay)
{
    const int near = relay->near, far = relay->far;
    if (g_str_has_prefix(relay->uri, "tcp:")) {
        /* Without this, small answers would wait for one another. */
        const int on = 1;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    struct godwit_connection *connection = godwit_connection_new(near, far);
    for (guint i = 0; i < relay->greeters->len; i++) {
        const struct greeter *greeter = &g_array_index(relay->greeters, struct greeter, i);
        greeter->greet(godwit_connection_sent(connection), godwit_connection_answered(connection),
                       relay->connections->len, greeter->data);
    }
    g_ptr_array_add(relay->connections, connection);
    await_caller(relay);
}

/* Main loop callback: the connection to the target has been made, or has failed. */
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

/* Connects to the target for the caller that has come. Never blocks, for the main loop runs it. */
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

/* Begins to connect to the target for a caller. */
static void take_caller(struct godwit_relay *relay, int near)
{
    relay->near = near;
    relay->timer = g_timeout_add(relay->patience, overdue, relay);
    connect_far(relay);
}

/* Main loop callback: the latest caller has sent something, or has gone. */
static gboolean spoken(int fd, GIOCondition condition, gpointer data)
{
    struct godwit_relay *relay = data;
    (void)condition;
    relay->source = 0;
    if (is_due(relay, fd)) {
        take_caller(relay, fd);
    } else {
        g_array_append_val(relay->put_off, fd);
        await_caller(relay);
    }
    return G_SOURCE_REMOVE;
}

/* Main loop callback: a caller has come. */
static gboolean incoming(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    struct godwit_relay *relay = data;
    const int near = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (near < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return G_SOURCE_CONTINUE;
    relay->source = 0;
    if (near < 0) {
        /* For example, no descriptor is left. Stop: the queue stays readable, so the main loop
         * would spin. */
        g_free(relay->failure);
        relay->failure = g_strdup_printf("the relay cannot accept: %s", g_strerror(errno));
        return G_SOURCE_REMOVE;
    }
    if (relay->sorter) {
        relay->near = near;
        relay->source = g_unix_fd_add(near, G_IO_IN, spoken, relay);
    } else {
        take_caller(relay, near);
    }
    return G_SOURCE_REMOVE;
}

/* Listens on a socket of the same kind as the target. Returns false with errno set on failure. */
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

static void free_connection(gpointer connection)
{
    godwit_connection_free(connection);
}

struct godwit_relay *godwit_relay_new(const char *folder, const char *uri, GError **error)
{
    struct godwit_relay *relay = g_new0(struct godwit_relay, 1);
    relay->listener = relay->near = relay->far = -1;
    relay->patience = PATIENCE_MS;
    relay->target = g_strdup(uri);
    relay->greeters = g_array_new(FALSE, FALSE, sizeof(struct greeter));
    relay->put_off = g_array_new(FALSE, FALSE, sizeof(int));
    relay->connections = g_ptr_array_new_with_free_func(free_connection);
    relay->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (relay->folder >= 0 && listen_like(relay))
        return relay;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "cannot listen in front of %s, in %s: %s", uri, folder, g_strerror(errno));
    godwit_relay_free(relay);
    return NULL;
}

/* Hangs up on the callers that were put off. */
static void drop_put_off(struct godwit_relay *relay)
{
    for (guint i = 0; i < relay->put_off->len; i++)
        close(g_array_index(relay->put_off, int, i));
    g_array_set_size(relay->put_off, 0);
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
    drop_put_off(relay);
    g_array_unref(relay->put_off);
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

static void count_sent(gpointer sent, const unsigned char *bytes, size_t length)
{
    (void)bytes;
    *(uint64_t *)sent += length;
}

static void count_connection(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                             gpointer data)
{
    (void)answered;
    (void)index;
    godwit_flow_watch(sent, count_sent, data);
}

void godwit_relay_count_bytes(struct godwit_relay *relay, uint64_t *sent)
{
    godwit_relay_greet(relay, count_connection, sent);
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
    /* The kernel makes a sender's buffer at least twenty segments large: make them small. */
    const int segment = 536, buffer = 16 << 10;
    if (g_str_has_prefix(relay->uri, "tcp:"))
        setsockopt(relay->listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
    setsockopt(relay->listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
}

unsigned godwit_relay_count(const struct godwit_relay *relay)
{
    return relay->connections->len;
}

void godwit_relay_sort(struct godwit_relay *relay, godwit_relay_sorter sorter, gpointer data)
{
    relay->sorter = sorter;
    relay->sorter_data = data;
}

void godwit_relay_limit(struct godwit_relay *relay, unsigned most)
{
    relay->most = most;
    if (relay->near < 0)
        await_caller(relay);
}

void godwit_relay_cut(struct godwit_relay *relay, unsigned index)
{
    godwit_connection_hang_up(g_ptr_array_index(relay->connections, index));
}

void godwit_relay_hang_up(struct godwit_relay *relay)
{
    drop_put_off(relay);
    if (relay->near >= 0)
        give_up(relay, ECANCELED);
    for (guint i = 0; i < relay->connections->len; i++)
        godwit_connection_hang_up(g_ptr_array_index(relay->connections, i));
}
