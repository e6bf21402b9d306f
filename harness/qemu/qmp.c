/*
 * A QMP connection: parses lines into the greeting, the reply and the events, and sends commands.
 *
 * Only one command is outstanding at a time: an answer with another id breaks the protocol. After
 * the first line that breaks it nothing more is read; qmp->failure keeps the reason, which
 * godwit_vm_healthy() reports.
 *
 * If may_restart is set, another QEMU may take over the same socket. Its greeting stays in the
 * input, unread, for godwit_qmp_successor().
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qmp.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(struct godwit_qmp *qmp, const char *why, const char *line)
{
    if (qmp->failure)
        return;
    g_autofree char *shown = line ? g_strndup(line, 120) : NULL;
    g_autofree char *clean = shown ? g_strescape(shown, NULL) : NULL;
    qmp->failure = clean ? g_strdup_printf("%s: \"%s\"", why, clean) : g_strdup(why);
}

static void record(struct godwit_qmp *qmp, char direction, const char *line)
{
    g_autofree char *text = g_strdup_printf(
        "%10.6f %c %s\n", (double)(g_get_monotonic_time() - qmp->began) / 1e6, direction, line);
    godwit_log_write(qmp->transcript, text, strlen(text));
}

void godwit_qmp_note(struct godwit_qmp *qmp, const char *text)
{
    if (qmp->fd >= 0)
        record(qmp, '!', text);
}

/* Ends the connection. */
static void end(struct godwit_qmp *qmp)
{
    if (qmp->source)
        g_source_remove(qmp->source);
    qmp->source = 0;
    if (qmp->fd >= 0)
        close(qmp->fd);
    qmp->fd = -1;
    godwit_log_close(qmp->transcript);
}

/* Returns TEXT with each integer that does not fit an int64 in quotes. The caller frees it. */
static char *quote_large_integers(const char *text)
{
    GString *quoted = g_string_new(NULL);
    for (const char *c = text; *c;) {
        size_t length = 1;
        bool large = false;
        if (*c == '"') {
            for (; c[length] && c[length] != '"'; length++)
                length += c[length] == '\\' && c[length + 1];
            length += c[length] == '"';
        } else if (*c == '-' || g_ascii_isdigit(*c)) {
            length = strspn(c, "+-.0123456789eE");
            errno = 0;
            g_ascii_strtoll(c, NULL, 10);
            large = errno == ERANGE && strcspn(c, ".eE") >= length;
        }
        g_string_append(quoted, large ? "\"" : "");
        g_string_append_len(quoted, c, (gssize)length);
        g_string_append(quoted, large ? "\"" : "");
        c += length;
    }
    return g_string_free(quoted, FALSE);
}

json_t *godwit_qmp_parse(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (value || json_error_code(&error) != json_error_numeric_overflow)
        return value;
    g_autofree char *quoted = quote_large_integers(text);
    return json_loads(quoted, JSON_DECODE_ANY, NULL);
}

static void take_event(struct godwit_qmp *qmp, json_t *event, const char *line)
{
    g_ptr_array_add(qmp->events, event);
    qmp->event_bytes += strlen(line);
    if (qmp->events->len > GODWIT_QMP_EVENTS_MAX || qmp->event_bytes > GODWIT_QMP_EVENT_BYTES_MAX) {
        g_autofree char *why = g_strdup_printf("floods QMP: it sent %u events, %zu bytes, the last",
                                               qmp->events->len, qmp->event_bytes);
        fail(qmp, why, line);
    }
}

void godwit_qmp_give_up(struct godwit_qmp *qmp)
{
    g_array_append_val(qmp->given_up, qmp->last_id);
}

/* Returns whether nobody waits for the reply with that id, which may come only once. */
static bool was_given_up(struct godwit_qmp *qmp, json_int_t id)
{
    for (guint i = 0; i < qmp->given_up->len; i++) {
        if (g_array_index(qmp->given_up, json_int_t, i) == id) {
            g_array_remove_index(qmp->given_up, i);
            return true;
        }
    }
    return false;
}

static void take_line(struct godwit_qmp *qmp, const char *line)
{
    record(qmp, '<', line);
    json_t *message = godwit_qmp_parse(line);
    if (!json_is_object(message)) {
        json_decref(message);
        fail(qmp, "sent a line that is not a JSON object", line);
    } else if (!qmp->greeting) {
        if (json_is_object(json_object_get(message, "QMP")))
            qmp->greeting = message;
        else {
            fail(qmp, "did not begin with a QMP greeting", line);
            json_decref(message);
        }
    } else if (json_object_get(message, "event")) {
        take_event(qmp, message, line);
    } else {
        const json_int_t id = godwit_json_integer(message, "id", -1);
        const bool late = was_given_up(qmp, id);
        if (id == qmp->last_id && !qmp->reply) {
            qmp->reply = message;
            return;
        }
        if (!late)
            fail(qmp, "sent an unexpected answer", line);
        json_decref(message);
    }
}

static bool is_greeting(const char *line)
{
    g_autoptr(json_t) message = godwit_qmp_parse(line);
    return json_is_object(json_object_get(message, "QMP"));
}

/* Handles the complete lines of the input, up to the greeting of another QEMU. */
static void take_input(struct godwit_qmp *qmp)
{
    const char *next = qmp->input->str, *after = next + qmp->input->len, *newline;
    while (!qmp->failure && (newline = memchr(next, '\n', (size_t)(after - next)))) {
        g_autofree char *line = g_strndup(next, (gsize)(newline - next));
        g_strchomp(line);
        qmp->restarted = qmp->may_restart && is_greeting(line);
        if (qmp->restarted)
            break;
        next = newline + 1;
        if (*line)
            take_line(qmp, line);
    }
    g_string_erase(qmp->input, 0, next - qmp->input->str);
    if (!qmp->restarted && qmp->input->len > GODWIT_QMP_LINE_MAX)
        fail(qmp, "sent an endless line instead of QMP", NULL);
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_qmp *qmp = data;
    char buffer[65536];
    (void)condition;
    const ssize_t length = read(fd, buffer, sizeof(buffer));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (length <= 0) {
        /* The peer has closed its end. Its exit status shows whether that is a failure. */
        end(qmp);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(qmp->input, buffer, length);
    take_input(qmp);
    if (qmp->failure || qmp->restarted) {
        qmp->source = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

struct godwit_qmp *godwit_qmp_new(int fd, const char *path, GError **error)
{
    struct godwit_log *transcript = godwit_log_new(path, error);
    if (!transcript) {
        close(fd);
        return NULL;
    }
    struct godwit_qmp *qmp = g_new0(struct godwit_qmp, 1);
    qmp->fd = fd;
    qmp->input = g_string_new(NULL);
    qmp->given_up = g_array_new(FALSE, FALSE, sizeof(json_int_t));
    qmp->events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    qmp->transcript = transcript;
    qmp->began = g_get_monotonic_time();
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    qmp->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, qmp);
    return qmp;
}

struct godwit_qmp *godwit_qmp_successor(struct godwit_qmp *qmp, const char *path, GError **error)
{
    struct godwit_qmp *successor = godwit_qmp_new(g_steal_fd(&qmp->fd), path, error);
    end(qmp);
    if (!successor)
        return NULL;
    g_string_append_len(successor->input, qmp->input->str, (gssize)qmp->input->len);
    g_string_truncate(qmp->input, 0);
    take_input(successor);
    return successor;
}

void godwit_qmp_free(struct godwit_qmp *qmp)
{
    if (!qmp)
        return;
    end(qmp);
    g_string_free(qmp->input, TRUE);
    json_decref(qmp->greeting);
    json_decref(qmp->reply);
    g_array_unref(qmp->given_up);
    g_ptr_array_unref(qmp->events);
    g_free(qmp->failure);
    godwit_log_free(qmp->transcript);
    g_free(qmp);
}

/* Does what send(2) does, and passes the descriptor FD with the bytes unless it is -1. */
static ssize_t send_with(int socket, const char *bytes, size_t length, int fd)
{
    union {
        struct cmsghdr header; /* for the alignment */
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec vector = {(void *)(uintptr_t)bytes, length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

bool godwit_qmp_send(struct godwit_qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    return godwit_qmp_send_fd(qmp, command, arguments, -1, error);
}

bool godwit_qmp_send_fd(struct godwit_qmp *qmp, const char *command, json_t *arguments, int fd,
                        GError **error)
{
    g_autofree char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;
    json_decref(arguments);
    return godwit_qmp_send_text(qmp, command, text, fd, error);
}

bool godwit_qmp_offers_oob(const struct godwit_qmp *qmp)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(json_object_get(qmp->greeting, "QMP"), "capabilities"), i,
                       one)
    {
        if (!g_strcmp0(json_string_value(one), "oob"))
            return true;
    }
    return false;
}

/* Sends a command. VERB is the key of its name. */
static bool send_as(struct godwit_qmp *qmp, const char *verb, const char *command,
                    const char *arguments, int fd, GError **error)
{
    g_clear_pointer(&qmp->reply, json_decref);
    if (qmp->fd < 0)
        return godwit_fail(error, GODWIT_ERROR_CRASH, "%s: cannot send: the connection has ended",
                           command);
    g_autofree char *text = g_strdup_printf("{\"%s\":\"%s\"%s%s,\"id\":%" JSON_INTEGER_FORMAT "}",
                                            verb, command, arguments ? ",\"arguments\":" : "",
                                            arguments ? arguments : "", ++qmp->last_id);
    if (fd >= 0)
        godwit_qmp_note(qmp, "a file descriptor was passed with the next command");
    record(qmp, '>', text);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    for (size_t sent = 0, length = strlen(line); sent < length;) {
        const ssize_t n = send_with(qmp->fd, line + sent, length - sent, fd);
        if (n >= 0) {
            sent += (size_t)n;
            fd = -1; /* was sent with the first bytes */
        } else if (errno == EAGAIN) {
            /* Only a QEMU that no longer reads fills the socket: give it a second. */
            struct pollfd writable = {.fd = qmp->fd, .events = POLLOUT};
            if (poll(&writable, 1, 1000) == 0) {
                g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                            "%s: QEMU does not read its QMP socket", command);
                return false;
            }
        } else if (errno != EINTR) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_CRASH, "%s: cannot send: %s", command,
                        g_strerror(errno));
            return false;
        }
    }
    return true;
}

bool godwit_qmp_send_text(struct godwit_qmp *qmp, const char *command, const char *arguments,
                          int fd, GError **error)
{
    return send_as(qmp, "execute", command, arguments, fd, error);
}

bool godwit_qmp_send_oob(struct godwit_qmp *qmp, const char *command, json_t *arguments,
                         GError **error)
{
    g_autofree char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;
    json_decref(arguments);
    return send_as(qmp, qmp->oob ? "exec-oob" : "execute", command, text, -1, error);
}

bool godwit_qmp_event_is(const json_t *event, const char *name, const char *status)
{
    return !g_strcmp0(godwit_json_string(event, "event", NULL), name) &&
           (!status ||
            !g_strcmp0(godwit_json_string(json_object_get(event, "data"), "status", NULL), status));
}

const json_t *godwit_qmp_find_event(const struct godwit_qmp *qmp, guint first, const char *name,
                                    const char *status)
{
    for (guint i = first; i < qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(qmp->events, i);
        if (godwit_qmp_event_is(event, name, status))
            return event;
    }
    return NULL;
}
