/*
 * Reads the guest's serial console, logs it and checks each character. The first problem is kept in
 * console->failure; godwit_vm_healthy() reports it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/console.h"

#include "godwit/guest_abi.h"
#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define TAIL_MAX 160

static void fail(struct godwit_console *console, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void fail(struct godwit_console *console, const char *format, ...)
{
    if (console->failure)
        return;
    va_list arguments;
    va_start(arguments, format);
    console->failure = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

void godwit_console_feed(struct godwit_console *console, const char *bytes, size_t length)
{
    const gint64 now = g_get_monotonic_time();
    console->interval = console->last ? (now - console->last) / (gint64)length : 0;
    console->last = now;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (g_ascii_isprint((char)c))
            g_string_append_c(console->tail, (char)c);
        else
            g_string_append_printf(console->tail, "\\x%02x", c);
        if (console->theirs)
            continue;
        switch (c) {
        case GODWIT_CONSOLE_READY:
            if (++console->ready > console->ready_allowed)
                fail(console, "the guest restarted: READY number %u, %u expected", console->ready,
                     console->ready_allowed);
            break;
        case GODWIT_CONSOLE_PASS:
            console->passes++;
            break;
        case GODWIT_CONSOLE_FAULT:
            console->guest_fault = true;
            break;
        default:
            fail(console, "the console shows byte 0x%02x, which Godwit's guests never write", c);
        }
    }
    if (console->tail->len > TAIL_MAX)
        g_string_erase(console->tail, 0, (gssize)(console->tail->len - TAIL_MAX));
}

/* Stops reading. */
static void end(struct godwit_console *console)
{
    if (console->source)
        g_source_remove(console->source);
    console->source = 0;
    if (console->fd >= 0)
        close(console->fd);
    console->fd = -1;
    godwit_log_close(console->log);
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_console *console = data;
    char buffer[4096];
    (void)condition;
    const ssize_t length = read(fd, buffer, sizeof(buffer));
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (length <= 0) {
        end(console);
        return G_SOURCE_REMOVE;
    }
    godwit_log_write(console->log, buffer, (size_t)length);
    godwit_console_feed(console, buffer, (size_t)length);
    if (godwit_log_total(console->log) <= GODWIT_CONSOLE_MAX)
        return G_SOURCE_CONTINUE;
    fail(console, "the guest floods its console: it wrote more than %" PRIu64 " MiB",
         GODWIT_CONSOLE_MAX >> 20);
    end(console);
    return G_SOURCE_REMOVE;
}

struct godwit_console *godwit_console_new(int fd, const char *path, unsigned ready_allowed,
                                          GError **error)
{
    struct godwit_log *log = godwit_log_new(path, error);
    if (!log) {
        close(fd);
        return NULL;
    }
    struct godwit_console *console = g_new0(struct godwit_console, 1);
    console->fd = fd;
    console->ready_allowed = ready_allowed;
    console->tail = g_string_new(NULL);
    console->log = log;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    console->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, console);
    return console;
}

void godwit_console_free(struct godwit_console *console)
{
    if (!console)
        return;
    end(console);
    g_free(console->failure);
    g_string_free(console->tail, TRUE);
    godwit_log_free(console->log);
    g_free(console);
}
