/* SPDX-License-Identifier: MIT */
#include "vm/console.h"

#include "godwit/guest_abi.h"
#include <errno.h>
#include <glib-unix.h>
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
        switch (c) {
        case GODWIT_CONSOLE_READY:
            if (++console->ready > console->ready_allowed)
                fail(console, "the guest started anew: READY number %u, %u expected",
                     console->ready, console->ready_allowed);
            break;
        case GODWIT_CONSOLE_PASS:
            console->passes++;
            break;
        case GODWIT_CONSOLE_FAULT:
            console->guest_fault = true;
            break;
        default:
            fail(console, "the console shows byte 0x%02x, which no guest of ours writes", c);
        }
    }
    if (console->tail->len > TAIL_MAX)
        g_string_erase(console->tail, 0, (gssize)(console->tail->len - TAIL_MAX));
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
        console->source = 0;
        return G_SOURCE_REMOVE;
    }
    fwrite(buffer, 1, (size_t)length, console->log);
    fflush(console->log);
    godwit_console_feed(console, buffer, (size_t)length);
    return G_SOURCE_CONTINUE;
}

struct godwit_console *godwit_console_new(int fd, const char *path, unsigned ready_allowed,
                                          GError **error)
{
    FILE *log = fopen(path, "we");
    if (!log) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s", path,
                    g_strerror(errno));
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
    if (console->source)
        g_source_remove(console->source);
    close(console->fd);
    g_free(console->failure);
    g_string_free(console->tail, TRUE);
    fclose(console->log);
    g_free(console);
}
