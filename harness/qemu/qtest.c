/*
 * Sends accesses over QEMU's qtest socket and reads the answers.
 *
 * The protocol has one line for each request and one for its answer, "OK" or "OK VALUE", in the
 * same order. Nothing else links the two, so the connection ends as soon as it could be out of
 * step. Lines "IRQ raise N" and "IRQ lower N" may come at any time, and are ignored.
 *
 * QEMU stops reading while it cannot write. So a run never writes more than it can without
 * blocking, and reads at the same time. Requests are formatted only when the socket will soon take
 * them, which bounds memory.
 *
 * QEMU answers a request before it handles the next one. So of a QEMU that has died, the oldest
 * request without an answer is the one that killed it. Answers that were sent before the end can
 * still be read after it. The exception is an access that starts work which QEMU does later, after
 * its answer: then the request that follows is the oldest one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qtest.h"

#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* No more requests are formatted while this many bytes have not been sent. */
#define OUTPUT_MAX ((size_t)64 << 10)
/* The longest answer. */
#define LINE_MAX_BYTES (2 * GODWIT_QTEST_BYTES_MAX + 64)
/* The most characters of a line or a request that a message quotes. */
#define QUOTED_MAX 80

struct godwit_qtest {
    int fd;        /* owned; -1 when closed */
    guint readers; /* main-loop source for reading, 0 when closed ... */
    guint writers; /* ... and for writing, 0 unless output waits */
    struct godwit_qtest_owner owner;
    GString *input;                 /* the bytes of an incomplete line */
    GString *output;                /* requests that have been formatted ... */
    size_t sent;                    /* ... and of which this many bytes have been sent */
    struct godwit_access *accesses; /* of the latest run, borrowed while it lasts */
    size_t count;                   /* ... their number ... */
    size_t asked;                   /* ... the number of formatted requests ... */
    size_t answered;                /* ... and of answers */
    char *failure;                  /* why the connection is unusable, or NULL; owned */
};

static void end(struct godwit_qtest *qtest)
{
    if (qtest->readers)
        g_source_remove(qtest->readers);
    if (qtest->writers)
        g_source_remove(qtest->writers);
    qtest->readers = qtest->writers = 0;
    if (qtest->fd >= 0)
        close(qtest->fd);
    qtest->fd = -1;
}

/* Returns TEXT as one printable line of bounded length. The caller frees it. */
static char *quote(const char *text, size_t length)
{
    g_autofree char *shown = g_strndup(text, MIN(length, QUOTED_MAX));
    g_autofree char *clean = g_strescape(shown, NULL);
    return g_strconcat(clean, length > QUOTED_MAX ? "..." : "", NULL);
}

static void append_text(GString *text, const struct godwit_access *access)
{
    static const char letters[] = "?bw?l???q";
    const char letter = access->size < sizeof(letters) - 1 ? letters[access->size] : '?';
    switch (access->kind) {
    case GODWIT_ACCESS_READ:
        g_string_append_printf(text, "read%c 0x%" PRIx64, letter, access->address);
        break;
    case GODWIT_ACCESS_WRITE:
        g_string_append_printf(text, "write%c 0x%" PRIx64 " 0x%" PRIx64, letter, access->address,
                               access->value);
        break;
    case GODWIT_ACCESS_IN:
        g_string_append_printf(text, "in%c 0x%" PRIx64, letter, access->address);
        break;
    case GODWIT_ACCESS_OUT:
        g_string_append_printf(text, "out%c 0x%" PRIx64 " 0x%" PRIx64, letter, access->address,
                               access->value);
        break;
    case GODWIT_ACCESS_READ_BYTES:
        g_string_append_printf(text, "read 0x%" PRIx64 " 0x%zx", access->address, access->size);
        break;
    case GODWIT_ACCESS_WRITE_BYTES:
        g_string_append_printf(text, "write 0x%" PRIx64 " 0x%zx 0x", access->address, access->size);
        for (size_t i = 0; i < access->size; i++)
            g_string_append_printf(text, "%02x", access->bytes[i]);
        break;
    case GODWIT_ACCESS_CALL:
        g_string_append_printf(text, "rtas %s %zu 0x%" PRIx64 " %zu 0x%" PRIx64, access->call,
                               access->arguments, access->address, access->size, access->results);
        break;
    }
}

char *godwit_access_text(const struct godwit_access *access)
{
    GString *text = g_string_new(NULL);
    append_text(text, access);
    return g_string_free(text, FALSE);
}

/* Returns the oldest access without an answer, for a message. The caller frees it. */
static char *oldest(const struct godwit_qtest *qtest)
{
    g_autofree char *text = godwit_access_text(&qtest->accesses[qtest->answered]);
    return quote(text, strlen(text));
}

static void fail(struct godwit_qtest *qtest, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void fail(struct godwit_qtest *qtest, const char *format, ...)
{
    if (qtest->failure)
        return;
    va_list arguments;
    va_start(arguments, format);
    qtest->failure = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

/* Parses "0xDIGITS" with 1 to 16 digits up to the end of TEXT. */
static bool parse_hex(const char *text, uint64_t *value)
{
    *value = 0;
    if (text[0] != '0' || text[1] != 'x' || !text[2] || strlen(text) > 18)
        return false;
    for (text += 2; *text; text++) {
        if (!g_ascii_isxdigit(*text))
            return false;
        *value = *value << 4 | (uint64_t)g_ascii_xdigit_value(*text);
    }
    return true;
}

/* Parses "0xDIGITS" with two digits a byte into LENGTH bytes. */
static bool parse_bytes(const char *text, unsigned char *bytes, size_t length)
{
    if (text[0] != '0' || text[1] != 'x' || strlen(text) != 2 + 2 * length)
        return false;
    text += 2;
    for (size_t i = 0; i < length; i++, text += 2) {
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]))
            return false;
        bytes[i] =
            (unsigned char)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    }
    return true;
}

/* Stores the answer LINE to ACCESS. Returns whether it is one. */
static bool take_answer(struct godwit_access *access, const char *line)
{
    const char *value = g_str_has_prefix(line, "OK ") ? line + 3 : NULL;
    uint64_t number;
    switch (access->kind) {
    case GODWIT_ACCESS_WRITE:
    case GODWIT_ACCESS_OUT:
    case GODWIT_ACCESS_WRITE_BYTES:
        return !strcmp(line, "OK");
    case GODWIT_ACCESS_READ:
    case GODWIT_ACCESS_IN:
        if (!value || !parse_hex(value, &number) ||
            (access->size < 8 && number >> (8 * access->size)))
            return false;
        access->value = number;
        return true;
    case GODWIT_ACCESS_READ_BYTES:
        return value && parse_bytes(value, access->bytes, access->size);
    case GODWIT_ACCESS_CALL:
        return value && g_ascii_string_to_unsigned(value, 10, 0, UINT64_MAX, &access->value, NULL);
    }
    return false;
}

static void take_line(struct godwit_qtest *qtest, const char *line)
{
    if (g_str_has_prefix(line, "IRQ raise ") || g_str_has_prefix(line, "IRQ lower "))
        return;
    if (qtest->answered < qtest->asked && take_answer(&qtest->accesses[qtest->answered], line)) {
        qtest->answered++;
        return;
    }
    g_autofree char *shown = quote(line, strlen(line));
    if (qtest->answered == qtest->asked) {
        fail(qtest, "sent \"%s\" on its qtest socket without being asked", shown);
        return;
    }
    g_autofree char *request = oldest(qtest);
    if (g_str_has_prefix(line, "FAIL ") || g_str_has_prefix(line, "ERR "))
        fail(qtest, "refused `%s`: \"%s\"", request, shown);
    else
        fail(qtest, "answered `%s` with \"%s\"", request, shown);
}

/* Handles the complete lines of the input. */
static void take_input(struct godwit_qtest *qtest)
{
    char *next = qtest->input->str, *after = next + qtest->input->len, *newline;
    while (!qtest->failure && (newline = memchr(next, '\n', (size_t)(after - next)))) {
        *newline = '\0';
        take_line(qtest, next);
        next = newline + 1;
    }
    g_string_erase(qtest->input, 0, next - qtest->input->str);
    if (qtest->input->len > LINE_MAX_BYTES)
        fail(qtest, "sent an endless line on its qtest socket");
}

/* Formats requests up to the limit. */
static void format_requests(struct godwit_qtest *qtest)
{
    if (qtest->sent) {
        g_string_erase(qtest->output, 0, (gssize)qtest->sent);
        qtest->sent = 0;
    }
    while (qtest->asked < qtest->count && qtest->output->len < OUTPUT_MAX) {
        append_text(qtest->output, &qtest->accesses[qtest->asked++]);
        g_string_append_c(qtest->output, '\n');
    }
}

static gboolean writable(gint fd, GIOCondition condition, gpointer data);

/* Sends what the socket takes, and continues when it takes more. */
static void send_requests(struct godwit_qtest *qtest)
{
    for (format_requests(qtest); qtest->fd >= 0 && qtest->output->len > 0; format_requests(qtest)) {
        const ssize_t n =
            send(qtest->fd, qtest->output->str, qtest->output->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            qtest->sent = (size_t)n;
        else if (errno != EINTR)
            break; /* full; or closed by the peer, which reading reports after the last answer */
    }
    if (qtest->fd >= 0 && qtest->output->len > 0 && errno == EAGAIN && !qtest->writers)
        qtest->writers = g_unix_fd_add(qtest->fd, G_IO_OUT, writable, qtest);
}

static gboolean writable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_qtest *qtest = data;
    (void)fd;
    (void)condition;
    qtest->writers = 0;
    send_requests(qtest);
    return G_SOURCE_REMOVE;
}

/* Reads once. Returns false if there is nothing to read at the moment, or never again. */
static bool read_once(struct godwit_qtest *qtest)
{
    char buffer[65536];
    if (qtest->fd < 0 || qtest->failure)
        return false;
    const ssize_t length = read(qtest->fd, buffer, sizeof(buffer));
    if (length < 0 && errno == EINTR)
        return true;
    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0) {
        end(qtest);
        return false;
    }
    g_string_append_len(qtest->input, buffer, length);
    take_input(qtest);
    if (!qtest->failure)
        send_requests(qtest);
    return true;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_qtest *qtest = data;
    (void)fd;
    (void)condition;
    read_once(qtest);
    if (qtest->failure)
        end(qtest);
    return qtest->readers ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

struct godwit_qtest *godwit_qtest_new(int fd, const struct godwit_qtest_owner *owner)
{
    struct godwit_qtest *qtest = g_new0(struct godwit_qtest, 1);
    qtest->fd = fd;
    qtest->owner = *owner;
    qtest->input = g_string_new(NULL);
    qtest->output = g_string_new(NULL);
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    qtest->readers = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, readable, qtest);
    return qtest;
}

void godwit_qtest_free(struct godwit_qtest *qtest)
{
    if (!qtest)
        return;
    end(qtest);
    g_string_free(qtest->input, TRUE);
    g_string_free(qtest->output, TRUE);
    g_free(qtest->failure);
    g_free(qtest);
}

static bool is_valid(const struct godwit_access *access)
{
    switch (access->kind) {
    case GODWIT_ACCESS_READ:
    case GODWIT_ACCESS_WRITE:
        return access->size == 1 || access->size == 2 || access->size == 4 || access->size == 8;
    case GODWIT_ACCESS_IN:
    case GODWIT_ACCESS_OUT:
        return (access->size == 1 || access->size == 2 || access->size == 4) &&
               access->address <= UINT16_MAX;
    case GODWIT_ACCESS_READ_BYTES:
    case GODWIT_ACCESS_WRITE_BYTES:
        return access->size > 0 && access->size <= GODWIT_QTEST_BYTES_MAX;
    case GODWIT_ACCESS_CALL:
        return access->call && !strpbrk(access->call, " \n");
    }
    return false;
}

static bool is_over(gpointer data)
{
    const struct godwit_qtest *qtest = data;
    return qtest->answered == qtest->count || qtest->failure || qtest->fd < 0;
}

/* Explains why a run did not get all answers. WAITED is the error of the wait, or NULL. */
static bool explain(struct godwit_qtest *qtest, GError *waited, GError **error)
{
    const char *name = qtest->owner.name;
    if (qtest->failure) {
        g_clear_error(&waited);
        return godwit_fail(error, GODWIT_ERROR_QMP, "%s: QEMU %s", name, qtest->failure);
    }
    g_autofree char *request = oldest(qtest);
    g_autofree char *how = qtest->fd < 0 ? qtest->owner.end(qtest->owner.vm) : NULL;
    if (how) {
        g_clear_error(&waited);
        fail(qtest, "has died of `%s`", request);
        return godwit_fail(error, GODWIT_ERROR_ACCESS, "%s: QEMU died of `%s`: it %s", name,
                           request, how);
    }
    fail(qtest, "did not answer `%s`", request);
    if (!waited)
        return godwit_fail(error, GODWIT_ERROR_QMP,
                           "%s: QEMU closed its qtest socket instead of answering `%s`", name,
                           request);
    g_propagate_error(error, waited);
    godwit_error_context(error, "%s: `%s`", name, request);
    return false;
}

bool godwit_qtest_run(struct godwit_qtest *qtest, struct godwit_access *accesses, size_t count,
                      GError **error)
{
    const char *name = qtest->owner.name;
    qtest->count = qtest->asked = qtest->answered = 0;
    for (size_t i = 0; i < count; i++) {
        g_autofree char *text = is_valid(&accesses[i]) ? NULL : godwit_access_text(&accesses[i]);
        if (text)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: invalid access `%.*s`", name,
                               QUOTED_MAX, text);
    }
    /* What has already happened is not due to the accesses that follow. */
    while (read_once(qtest))
        ;
    if (qtest->failure)
        return godwit_fail(error, GODWIT_ERROR_QMP, "%s: QEMU %s", name, qtest->failure);
    if (qtest->fd < 0)
        return godwit_fail(error, GODWIT_ERROR_CRASH,
                           "%s: QEMU had closed its qtest socket before the next access", name);
    qtest->accesses = accesses;
    qtest->count = count;
    send_requests(qtest);

    g_autoptr(GError) waited = NULL;
    const bool well = qtest->owner.wait(qtest->owner.vm, is_over, qtest, "an answer", &waited);
    /* The end of the process may be noticed before the last of what it sent. */
    while (!well && read_once(qtest))
        ;
    const bool complete = qtest->answered == count && !qtest->failure;
    if (!complete)
        explain(qtest, g_steal_pointer(&waited), error);
    else if (waited)
        g_propagate_error(error, g_steal_pointer(&waited));
    if (qtest->failure)
        end(qtest);
    qtest->accesses = NULL;
    qtest->asked = qtest->count = qtest->answered;
    return complete && well;
}

size_t godwit_qtest_answered(const struct godwit_qtest *qtest)
{
    return qtest->answered;
}

bool godwit_qtest_read(struct godwit_qtest *qtest, unsigned size, uint64_t address, uint64_t *value,
                       GError **error)
{
    struct godwit_access access = {.kind = GODWIT_ACCESS_READ, .size = size, .address = address};
    const bool well = godwit_qtest_run(qtest, &access, 1, error);
    *value = access.value;
    return well;
}

bool godwit_qtest_write(struct godwit_qtest *qtest, unsigned size, uint64_t address, uint64_t value,
                        GError **error)
{
    struct godwit_access access = {
        .kind = GODWIT_ACCESS_WRITE, .size = size, .address = address, .value = value};
    return godwit_qtest_run(qtest, &access, 1, error);
}

bool godwit_qtest_in(struct godwit_qtest *qtest, unsigned size, uint16_t port, uint32_t *value,
                     GError **error)
{
    struct godwit_access access = {.kind = GODWIT_ACCESS_IN, .size = size, .address = port};
    const bool well = godwit_qtest_run(qtest, &access, 1, error);
    *value = (uint32_t)access.value;
    return well;
}

bool godwit_qtest_out(struct godwit_qtest *qtest, unsigned size, uint16_t port, uint32_t value,
                      GError **error)
{
    struct godwit_access access = {
        .kind = GODWIT_ACCESS_OUT, .size = size, .address = port, .value = value};
    return godwit_qtest_run(qtest, &access, 1, error);
}

/* Makes as many accesses of KIND as LENGTH bytes need. */
static bool move_bytes(struct godwit_qtest *qtest, enum godwit_access_kind kind, uint64_t address,
                       unsigned char *bytes, size_t length, GError **error)
{
    g_autoptr(GArray) accesses = g_array_new(FALSE, FALSE, sizeof(struct godwit_access));
    for (size_t done = 0; done < length; done += GODWIT_QTEST_BYTES_MAX) {
        const struct godwit_access access = {
            .kind = kind,
            .size = MIN(length - done, GODWIT_QTEST_BYTES_MAX),
            .address = address + done,
            .bytes = bytes + done,
        };
        g_array_append_val(accesses, access);
    }
    return godwit_qtest_run(qtest, (void *)accesses->data, accesses->len, error);
}

bool godwit_qtest_read_bytes(struct godwit_qtest *qtest, uint64_t address, void *bytes,
                             size_t length, GError **error)
{
    return move_bytes(qtest, GODWIT_ACCESS_READ_BYTES, address, bytes, length, error);
}

bool godwit_qtest_write_bytes(struct godwit_qtest *qtest, uint64_t address, const void *bytes,
                              size_t length, GError **error)
{
    return move_bytes(qtest, GODWIT_ACCESS_WRITE_BYTES, address, (void *)(uintptr_t)bytes, length,
                      error);
}
