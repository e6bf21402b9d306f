/*
 * Bounded logs, and drains that fill them. log.h describes what a log keeps.
 *
 * In memory, the tail grows to twice GODWIT_LOG_KEPT bytes before it is cut to one, so that cutting
 * is rare. The file gets the beginning at once, and the end only when the log is closed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/log.h"

#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct godwit_log {
    int fd;         /* owned; -1 when closed */
    uint64_t total; /* all bytes written to the log ... */
    uint64_t filed; /* ... and those that went directly into the file */
    GString *head;  /* the first bytes, up to GODWIT_LOG_KEPT */
    GString *tail;  /* the last bytes after those, up to twice as many */
};

struct godwit_log *godwit_log_new(const char *path, GError **error)
{
    const int fd = path ? godwit_file_create(path, error) : -1;
    if (path && fd < 0)
        return NULL;
    struct godwit_log *log = g_new0(struct godwit_log, 1);
    log->fd = fd;
    log->head = g_string_new(NULL);
    log->tail = g_string_new(NULL);
    return log;
}

/* Writes to the file. Bytes that cannot be written are lost. */
static void put(struct godwit_log *log, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(log->fd, bytes, length);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            return;
        }
    }
}

static void keep(struct godwit_log *log, const char *bytes, size_t length)
{
    const size_t first = MIN(length, GODWIT_LOG_KEPT - log->head->len);
    g_string_append_len(log->head, bytes, (gssize)first);
    bytes += first;
    length -= first;
    if (length > GODWIT_LOG_KEPT) {
        bytes += length - GODWIT_LOG_KEPT;
        length = GODWIT_LOG_KEPT;
    }
    if (log->tail->len + length > 2 * GODWIT_LOG_KEPT)
        g_string_erase(log->tail, 0, (gssize)(log->tail->len + length - GODWIT_LOG_KEPT));
    g_string_append_len(log->tail, bytes, (gssize)length);
}

void godwit_log_write(struct godwit_log *log, const void *bytes, size_t length)
{
    const size_t filed = (size_t)MIN(length, GODWIT_LOG_FILE_MAX - log->filed);
    if (log->fd >= 0) {
        put(log, bytes, filed);
        log->filed += filed;
    }
    log->total += length;
    keep(log, bytes, length);
}

uint64_t godwit_log_total(const struct godwit_log *log)
{
    return log->total;
}

static void append_gap(GString *text, uint64_t missing)
{
    if (missing)
        g_string_append_printf(text, "\n[%" PRIu64 " bytes left out]\n", missing);
}

char *godwit_log_text(const struct godwit_log *log)
{
    const size_t last = MIN(log->tail->len, GODWIT_LOG_KEPT);
    GString *text = g_string_new_len(log->head->str, (gssize)log->head->len);
    append_gap(text, log->total - log->head->len - last);
    g_string_append_len(text, log->tail->str + (log->tail->len - last), (gssize)last);
    for (gsize i = 0; i < text->len; i++)
        if (!text->str[i])
            text->str[i] = ' ';
    return g_string_free(text, FALSE);
}

void godwit_log_close(struct godwit_log *log)
{
    if (log->fd < 0)
        return;
    const size_t last = (size_t)MIN(MIN(log->tail->len, GODWIT_LOG_KEPT), log->total - log->filed);
    g_autoptr(GString) rest = g_string_new(NULL);
    append_gap(rest, log->total - log->filed - last);
    g_string_append_len(rest, log->tail->str + (log->tail->len - last), (gssize)last);
    put(log, rest->str, rest->len);
    close(log->fd);
    log->fd = -1;
}

void godwit_log_free(struct godwit_log *log)
{
    if (!log)
        return;
    godwit_log_close(log);
    g_string_free(log->head, TRUE);
    g_string_free(log->tail, TRUE);
    g_free(log);
}

/* Stops reading. */
static void end(struct godwit_drain *drain)
{
    if (drain->source)
        g_source_remove(drain->source);
    drain->source = 0;
    if (drain->fd >= 0)
        close(drain->fd);
    drain->fd = -1;
    godwit_log_close(drain->log);
}

/* Reads once. Returns whether there may be more to read now. */
static bool take(struct godwit_drain *drain)
{
    char buffer[16384];
    const ssize_t length = read(drain->fd, buffer, sizeof(buffer));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (length <= 0) {
        end(drain);
        return false;
    }
    godwit_log_write(drain->log, buffer, (size_t)length);
    drain->flooded = godwit_log_total(drain->log) > drain->most;
    if (drain->flooded)
        end(drain);
    return !drain->flooded;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_drain *drain = data;
    (void)fd;
    (void)condition;
    take(drain);
    return drain->source ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

struct godwit_drain *godwit_drain_new(int fd, const char *path, uint64_t most, GError **error)
{
    struct godwit_log *log = godwit_log_new(path, error);
    if (!log) {
        close(fd);
        return NULL;
    }
    struct godwit_drain *drain = g_new0(struct godwit_drain, 1);
    drain->fd = fd;
    drain->log = log;
    drain->most = most;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    drain->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, drain);
    return drain;
}

/* Reads at most what a pipe can hold, so that a process that writes without end cannot block this
 * function. */
void godwit_drain_now(struct godwit_drain *drain)
{
    enum { TURNS = 64 };
    for (unsigned turn = 0; turn < TURNS && drain->fd >= 0 && take(drain); turn++)
        ;
}

void godwit_drain_free(struct godwit_drain *drain)
{
    if (!drain)
        return;
    end(drain);
    godwit_log_free(drain->log);
    g_free(drain);
}
