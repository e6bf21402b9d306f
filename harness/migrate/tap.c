/* SPDX-License-Identifier: MIT */
#include "migrate/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The longest that a record may be: 16 KiB, and what encryption may add to it. */
#define RECORD_MAX ((16u << 10) + 2048)
/* What one direction is read in. */
#define CHUNK (256u << 10)
/* As many as a multifd migration has channels and more. */
#define BACKLOG 64

/* One direction of a connection. Either it reads, or what was read waits for being taken. */
struct pipe {
    struct connection *connection;
    int from, to;   /* owned by the connection */
    guint source;   /* the main loop's, 0 when over */
    size_t at, end; /* what of the buffer is to be sent */
    struct godwit_records *records;
    unsigned char buffer[CHUNK];
};

struct connection {
    int ends[2]; /* the source's and the destination's; owned, -1 when closed */
    struct pipe pipes[2];
    struct godwit_tapped tapped;
};

struct godwit_tap {
    int listener;
    guint source; /* the main loop's, of the listener */
    char *uri;
    char *target; /* the tapped address, as a URI */
    int folder;   /* for unix sockets, whose paths would be too long */
    GPtrArray *connections;
};

/* The header is complete: false if it is none of a TLS record. */
static bool begin_record(struct godwit_records *records)
{
    const unsigned char *header = records->header;
    const size_t length = (size_t)(header[3] << 8 | header[4]);
    /* Version 3.x: every TLS says so; those after 1.2 only in the records they encrypt. */
    if (header[0] < GODWIT_RECORD_CHANGE_CIPHER || header[0] > GODWIT_RECORD_DATA ||
        header[1] != 3 || length == 0 || length > RECORD_MAX)
        return false;
    if (!records->number)
        records->greeted = header[0] == GODWIT_RECORD_HANDSHAKE;
    records->left = length;
    return true;
}

static void end_record(struct godwit_records *records)
{
    if (records->header[0] == GODWIT_RECORD_DATA)
        records->data += (uint64_t)(records->header[3] << 8 | records->header[4]);
    records->number++;
    records->have = 0;
}

void godwit_records_feed(struct godwit_records *records, const unsigned char *bytes, size_t length)
{
    while (length && !records->plain) {
        size_t taken;
        if (records->have < sizeof(records->header)) {
            records->header[records->have++] = *bytes;
            taken = 1;
            if (records->have == sizeof(records->header) && !begin_record(records)) {
                records->plain = true;
                records->at = records->bytes + 1 - sizeof(records->header);
            }
        } else {
            taken = MIN(length, records->left);
            records->left -= taken;
            if (!records->left)
                end_record(records);
        }
        records->bytes += taken;
        bytes += taken;
        length -= taken;
    }
    records->bytes += length;
}

static gboolean readable(int fd, GIOCondition condition, gpointer data);

/* Ends both directions. Closing, and nothing less, tells a TCP peer that has more to send. */
static void hang_up(struct connection *connection)
{
    for (size_t i = 0; i < G_N_ELEMENTS(connection->pipes); i++) {
        if (connection->pipes[i].source)
            g_source_remove(connection->pipes[i].source);
        connection->pipes[i].source = 0;
        if (connection->ends[i] >= 0)
            close(connection->ends[i]);
        connection->ends[i] = -1;
    }
}

/* One direction is over, or, if it is BROKEN, the connection. What the main loop wants to hear of
 * the source that says so. */
static gboolean end_pipe(struct pipe *pipe, bool broken)
{
    struct connection *connection = pipe->connection;
    pipe->source = 0;
    if (broken || (!connection->pipes[0].source && !connection->pipes[1].source))
        hang_up(connection);
    else
        shutdown(pipe->to, SHUT_WR);
    return G_SOURCE_REMOVE;
}

/* Sends what it can of what was read: 1 that was all, 0 some is left, -1 the connection is broken.
 */
static int send_on(struct pipe *pipe)
{
    while (pipe->at < pipe->end) {
        const ssize_t n = send(pipe->to, pipe->buffer + pipe->at, pipe->end - pipe->at,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            pipe->at += (size_t)n;
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EINTR)
            return -1;
    }
    return 1;
}

static gboolean writable(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct pipe *pipe = data;
    const int sent = send_on(pipe);
    if (sent < 0)
        return end_pipe(pipe, true);
    if (!sent)
        return G_SOURCE_CONTINUE;
    pipe->source = g_unix_fd_add(pipe->from, G_IO_IN, readable, pipe);
    return G_SOURCE_REMOVE;
}

static gboolean readable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    struct pipe *pipe = data;
    const ssize_t n = recv(fd, pipe->buffer, sizeof(pipe->buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0)
        return end_pipe(pipe, n < 0);
    godwit_records_feed(pipe->records, pipe->buffer, (size_t)n);
    pipe->at = 0;
    pipe->end = (size_t)n;
    const int sent = send_on(pipe);
    if (sent < 0)
        return end_pipe(pipe, true);
    if (sent)
        return G_SOURCE_CONTINUE;
    pipe->source = g_unix_fd_add(pipe->to, G_IO_OUT, writable, pipe);
    return G_SOURCE_REMOVE;
}

static void free_connection(gpointer data)
{
    hang_up(data);
    g_free(data);
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

static int connect_to(int folder, const char *uri)
{
    const struct address address = address_of(folder, uri);
    const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, &address.any, address.length))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A connection came in. If the tapped side takes none any more, the caller is hung up on. */
static gboolean incoming(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    struct godwit_tap *tap = data;
    const int near = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (near < 0)
        return G_SOURCE_CONTINUE;
    const int far = connect_to(tap->folder, tap->target);
    if (far < 0) {
        close(near);
        return G_SOURCE_CONTINUE;
    }
    if (g_str_has_prefix(tap->uri, "tcp:")) {
        /* Otherwise small answers would wait for one another. */
        const int on = 1;
        setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    struct connection *connection = g_new0(struct connection, 1);
    const int ends[] = {near, far};
    struct godwit_records *const records[] = {&connection->tapped.sent,
                                              &connection->tapped.answered};
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        struct pipe *pipe = &connection->pipes[i];
        connection->ends[i] = ends[i];
        pipe->connection = connection;
        pipe->from = ends[i];
        pipe->to = ends[1 - i];
        pipe->records = records[i];
        pipe->source = g_unix_fd_add(pipe->from, G_IO_IN, readable, pipe);
    }
    g_ptr_array_add(tap->connections, connection);
    return G_SOURCE_CONTINUE;
}

static bool listen_like(struct godwit_tap *tap)
{
    const bool tcp = g_str_has_prefix(tap->target, "tcp:");
    struct address address = address_of(tap->folder, tcp ? "tcp:0" : "unix:tap.sock");
    socklen_t length = address.length;
    tap->listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (tap->listener < 0 || bind(tap->listener, &address.any, address.length) ||
        listen(tap->listener, BACKLOG) || getsockname(tap->listener, &address.any, &length))
        return false;
    tap->uri = tcp ? g_strdup_printf("tcp:127.0.0.1:%d", ntohs(address.inet.sin_port))
                   : g_strdup("unix:tap.sock");
    tap->source = g_unix_fd_add(tap->listener, G_IO_IN, incoming, tap);
    return true;
}

struct godwit_tap *godwit_tap_new(const char *folder, const char *uri, GError **error)
{
    struct godwit_tap *tap = g_new0(struct godwit_tap, 1);
    tap->listener = -1;
    tap->target = g_strdup(uri);
    tap->connections = g_ptr_array_new_with_free_func(free_connection);
    tap->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (tap->folder >= 0 && listen_like(tap))
        return tap;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "cannot listen in front of %s, in %s: %s", uri, folder, g_strerror(errno));
    godwit_tap_free(tap);
    return NULL;
}

void godwit_tap_free(struct godwit_tap *tap)
{
    if (!tap)
        return;
    if (tap->source)
        g_source_remove(tap->source);
    if (tap->listener >= 0)
        close(tap->listener);
    if (tap->folder >= 0)
        close(tap->folder);
    g_ptr_array_unref(tap->connections);
    g_free(tap->uri);
    g_free(tap->target);
    g_free(tap);
}

const char *godwit_tap_uri(const struct godwit_tap *tap)
{
    return tap->uri;
}

void godwit_tap_turn(struct godwit_tap *tap, const char *uri)
{
    g_free(tap->target);
    tap->target = g_strdup(uri);
}

unsigned godwit_tap_count(const struct godwit_tap *tap)
{
    return tap->connections->len;
}

const struct godwit_tapped *godwit_tap_at(const struct godwit_tap *tap, unsigned index)
{
    const struct connection *connection = g_ptr_array_index(tap->connections, index);
    return &connection->tapped;
}
