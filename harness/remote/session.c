/*
 * Runs one QEMU for a client on another host: see session.h.
 *
 * The client's first frames say what to run, and bring the files that the QEMU names on its command
 * line. From then on this process only carries: the client's data to the QEMU's descriptors, what
 * comes from them to the client, and the client's requests for memory to a reader.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/session.h"

#include "base/contain.h"
#include "base/file.h"
#include "base/json.h"
#include "base/version.h"
#include "remote/reader.h"
#include "remote/streams.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bounds of what a client may ask for. */
enum { ARGUMENTS_MAX = 4096, CHANNELS_MAX = 8, CHANNEL_LAST = 9, FILES_MAX = 256 };
#define FILE_BYTES_MAX ((size_t)256 << 20) /* all files together */

/* How long a client may stay silent before it has said what to run, and the last answers may take
 * to be sent once the QEMU has ended, in milliseconds. */
enum { BEGIN_MS = 30000, END_MS = 10000 };

struct session {
    struct godwit_frames *frames;
    struct godwit_streams *streams;
    const char *folder;
    const bool *interrupted;
    int wake_up;     /* readable once that may be set */
    json_t *hello;   /* the client's; NULL until it came */
    size_t received; /* bytes of files */
    pid_t pid;       /* of the QEMU; 0: not started */
    int pidfd;       /* becomes readable when it ends; -1 */
    bool ended;      /* it has ended ... */
    int status;      /* ... with this status, as of wait(2) */
    bool told;       /* the client was told how it has ended */
    struct godwit_reader *reader;
};

static bool bad(GError **error, const char *what)
{
    return godwit_fail(error, GODWIT_ERROR_USAGE, "the client sent %s", what);
}

/* Returns whether the file's name stays in the folder. */
static bool is_inside(const char *name)
{
    if (!*name || g_path_is_absolute(name))
        return false;
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    for (guint i = 0; parts[i]; i++)
        if (!*parts[i] || !strcmp(parts[i], "..") || !strcmp(parts[i], "."))
            return false;
    return true;
}

static bool are_strings(const json_t *array, size_t most)
{
    size_t i;
    json_t *value;
    if (!json_is_array(array) || json_array_size(array) > most)
        return false;
    json_array_foreach(array, i, value)
    {
        if (!json_is_string(value))
            return false;
    }
    return true;
}

/* Returns whether PROGRAM is one that a client may start: a QEMU, by its name. */
static bool is_qemu(const char *program)
{
    g_autofree char *name = g_path_get_basename(program);
    return g_str_has_prefix(name, "qemu-system-") || !strcmp(name, "qemu-kvm");
}

/* Checks the client's first frame, and answers it. */
static bool greet(struct session *session, const unsigned char *content, size_t size,
                  GError **error)
{
    session->hello = json_loadb((const char *)content, size, JSON_REJECT_DUPLICATES, NULL);
    const json_int_t protocol = godwit_json_integer(session->hello, "protocol", 0);
    if (protocol != GODWIT_REMOTE_PROTOCOL)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "the client speaks version %d of the protocol, and this is Godwit %s, "
                           "which speaks %d: install the same Godwit on both hosts",
                           (int)protocol, GODWIT_VERSION, GODWIT_REMOTE_PROTOCOL);
    const char *program = godwit_json_string(session->hello, "program", "");
    if (!is_qemu(program))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "\"%.100s\" is no QEMU by its name (qemu-system-ARCH or qemu-kvm)",
                           program);
    size_t i;
    json_t *value;
    const json_t *channels = json_object_get(session->hello, "channels");
    if (!are_strings(json_object_get(session->hello, "arguments"), ARGUMENTS_MAX) ||
        !are_strings(json_object_get(session->hello, "files"), FILES_MAX) ||
        !json_is_array(channels) || json_array_size(channels) > CHANNELS_MAX)
        return bad(error, "no lists of arguments, files and channels");
    json_array_foreach(json_object_get(session->hello, "files"), i, value)
    {
        if (!is_inside(json_string_value(value)))
            return bad(error, "the name of a file outside of its folder");
    }
    json_array_foreach(channels, i, value)
    {
        const json_int_t number = json_integer_value(value);
        if (number < GODWIT_STREAM_FIRST || number > CHANNEL_LAST)
            return bad(error, "a channel number that is out of range");
    }
    g_autoptr(json_t) answer =
        json_pack("{s:i, s:s}", "protocol", GODWIT_REMOTE_PROTOCOL, "godwit", GODWIT_VERSION);
    g_autofree char *text = godwit_json_dump(answer, JSON_COMPACT);
    godwit_frames_put(session->frames, GODWIT_FRAME_HELLO, text, strlen(text), NULL, 0);
    return true;
}

/* Writes a file of the client's, with FLAGS for open(2). */
static bool write_file(const struct session *session, const char *name, int flags,
                       const unsigned char *bytes, size_t size, GError **error)
{
    g_autofree char *path = g_build_filename(session->folder, name, NULL);
    g_autofree char *above = g_path_get_dirname(path);
    const int fd = g_mkdir_with_parents(above, 0700)
                       ? -1
                       : open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    const int cause = fd < 0 ? errno : godwit_file_write_all(fd, bytes, size);
    if (fd >= 0)
        close(fd);
    return !cause || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s", path,
                                 g_strerror(cause));
}

/* Counts SIZE bytes of files. */
static bool count(struct session *session, size_t size, GError **error)
{
    session->received += size;
    return session->received <= FILE_BYTES_MAX || bad(error, "files that are too large");
}

/* Writes a file while the QEMU runs, and answers. */
static bool put_file(struct session *session, const unsigned char *content, size_t size,
                     GError **error)
{
    uint32_t number;
    const unsigned char *name = content + sizeof(number);
    const unsigned char *zero =
        size > sizeof(number) ? memchr(name, 0, size - sizeof(number)) : NULL;
    if (!zero || !g_utf8_validate((const char *)name, -1, NULL) || !is_inside((const char *)name))
        return bad(error, "a file without a usable name");
    const size_t length = size - (size_t)(zero + 1 - content);
    memcpy(&number, content, sizeof(number));
    if (!count(session, length, error) ||
        !write_file(session, (const char *)name, O_TRUNC, zero + 1, length, error))
        return false;
    godwit_frames_put(session->frames, GODWIT_FRAME_BYTES, &number, sizeof(number), NULL, 0);
    return true;
}

/* Appends to a file of the client's. */
static bool take_file(struct session *session, const unsigned char *content, size_t size,
                      GError **error)
{
    const char *name = size ? json_string_value(json_array_get(
                                  json_object_get(session->hello, "files"), content[0]))
                            : NULL;
    if (!name)
        return bad(error, "a part of a file that it has not named");
    return count(session, size, error) &&
           write_file(session, name, O_APPEND, content + 1, size - 1, error);
}

/* The child's ends of what it gets. */
struct ends {
    int input, output, errors;
    int fds[CHANNELS_MAX], numbers[CHANNELS_MAX];
    int count;
};

static void close_ends(struct ends *ends)
{
    const int single[] = {ends->input, ends->output, ends->errors};
    for (size_t i = 0; i < G_N_ELEMENTS(single); i++)
        if (single[i] >= 0)
            close(single[i]);
    for (int i = 0; i < ends->count; i++)
        close(ends->fds[i]);
}

/* Makes a pipe for what the child writes to NUMBER. Returns its other end, or -1. */
static int add_output(struct session *session, uint8_t number)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC))
        return -1;
    godwit_streams_add(session->streams, pair[0], number, true);
    return pair[1];
}

/* Makes pipes and socket pairs, and carries this process's ends. */
static bool make_ends(struct session *session, struct ends *ends, GError **error)
{
    size_t i;
    json_t *number;
    ends->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ends->output = add_output(session, GODWIT_STREAM_OUTPUT);
    ends->errors = add_output(session, GODWIT_STREAM_ERRORS);
    bool good = ends->input >= 0 && ends->output >= 0 && ends->errors >= 0;
    json_array_foreach(json_object_get(session->hello, "channels"), i, number)
    {
        int pair[2];
        if (!good || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
            good = false;
            break;
        }
        ends->fds[ends->count] = pair[1];
        ends->numbers[ends->count++] = (int)json_integer_value(number);
        godwit_streams_add(session->streams, pair[0], (uint8_t)json_integer_value(number), true);
    }
    return good || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no pipe or socket pair: %s",
                               g_strerror(errno));
}

/* Starts the QEMU. */
static bool start(struct session *session, GError **error)
{
    size_t i;
    json_t *value;
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_ptr_array_add(words, (char *)(uintptr_t)godwit_json_string(session->hello, "program", ""));
    json_array_foreach(json_object_get(session->hello, "arguments"), i, value)
        g_ptr_array_add(words, (char *)(uintptr_t)json_string_value(value));
    g_ptr_array_add(words, NULL);
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "TMPDIR", session->folder, TRUE);
    struct ends ends = {-1, -1, -1, {0}, {0}, 0};
    g_autoptr(GError) cause = NULL;
    const bool started =
        make_ends(session, &ends, error) &&
        (g_spawn_async_with_pipes_and_fds(
             session->folder, (const char *const *)(void *)words->pdata,
             (const char *const *)environment, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
             godwit_contain_child_setup, GINT_TO_POINTER(getpid()), ends.input, ends.output,
             ends.errors, ends.fds, ends.numbers, (gsize)ends.count, &session->pid, NULL, NULL,
             NULL, &cause) ||
         godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot start %s: %s",
                     (const char *)words->pdata[0], cause->message));
    close_ends(&ends);
    if (!started)
        return false;
    session->reader = godwit_reader_new(session->pid);
    session->pidfd = (int)syscall(SYS_pidfd_open, session->pid, 0);
    return session->pidfd >= 0 ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "pidfd_open: %s", g_strerror(errno));
}

/* Takes the frames that have come. */
static bool take(struct session *session, GError **error)
{
    const unsigned char *content;
    size_t size;
    int kind;
    while ((kind = godwit_frames_next(session->frames, &content, &size, error)) > 0) {
        if (!session->hello && kind != GODWIT_FRAME_HELLO)
            return bad(error, "something else than a greeting");
        bool good = false;
        switch (kind) {
        case GODWIT_FRAME_HELLO:
            if (!session->hello && !greet(session, content, size, error))
                return false;
            good = true;
            break;
        case GODWIT_FRAME_FILE:
            if (!session->pid && !take_file(session, content, size, error))
                return false;
            good = !session->pid;
            break;
        case GODWIT_FRAME_START:
            if (!session->pid && !start(session, error))
                return false;
            good = true;
            break;
        case GODWIT_FRAME_PUT:
            if (session->pid && !put_file(session, content, size, error))
                return false;
            good = session->pid;
            break;
        case GODWIT_FRAME_READ:
            good = session->reader && godwit_reader_take(session->reader, content, size);
            break;
        case GODWIT_FRAME_DATA:
        case GODWIT_FRAME_CLOSE:
            good = godwit_streams_take(session->streams, kind, content, size);
            break;
        }
        if (!good)
            return bad(error, "a frame that does not fit here");
    }
    return kind == 0;
}

/* Notes the end of the QEMU, without waiting for it. */
static void look(struct session *session)
{
    if (session->pid && !session->ended)
        session->ended = waitpid(session->pid, &session->status, WNOHANG) == session->pid;
}

/* Tells the client how the QEMU has ended, once all that it wrote has been read. */
static void tell(struct session *session)
{
    if (!session->ended || session->told ||
        !godwit_streams_ended(session->streams, GODWIT_STREAM_ERRORS) ||
        !godwit_streams_ended(session->streams, GODWIT_STREAM_OUTPUT))
        return;
    const uint32_t status = GUINT32_TO_BE((uint32_t)session->status);
    godwit_frames_put(session->frames, GODWIT_FRAME_EXIT, &status, sizeof(status), NULL, 0);
    session->told = true;
}

/* Waits until something happens, and carries. Returns false once the client is gone. */
static bool step(struct session *session)
{
    g_autoptr(GArray) polls = g_array_new(FALSE, TRUE, sizeof(struct pollfd));
    const struct pollfd own[] = {
        {.fd = session->ended ? -1 : session->pidfd, .events = POLLIN},
        {.fd = session->wake_up, .events = POLLIN},
        {.fd = session->reader ? godwit_reader_fd(session->reader) : -1, .events = POLLIN},
    };
    g_array_append_vals(polls, own, G_N_ELEMENTS(own));
    godwit_streams_poll(session->streams, polls);
    const int timeout = session->told ? END_MS : session->pid ? -1 : BEGIN_MS;
    const int ready = poll((struct pollfd *)(void *)polls->data, polls->len, timeout);
    if (ready <= 0)
        return ready < 0 && errno == EINTR;
    if (session->reader)
        godwit_reader_answer(session->reader, session->frames);
    look(session);
    return godwit_streams_carry(session->streams, polls, G_N_ELEMENTS(own));
}

static bool carry(struct session *session, GError **error)
{
    for (;;) {
        if (__atomic_load_n(session->interrupted, __ATOMIC_ACQUIRE))
            return godwit_fail(error, GODWIT_ERROR_INTERRUPTED, "interrupted");
        const bool alive = step(session);
        if (!take(session, error))
            return false;
        tell(session);
        if (session->told && !godwit_frames_pending(session->frames))
            return true;
        if (!alive)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "the client is gone");
    }
}

/* Tells the client why it is refused, as far as it still listens. */
static void refuse(struct session *session, const GError *error)
{
    const size_t length = MIN(strlen(error->message), (size_t)4096);
    godwit_frames_put(session->frames, GODWIT_FRAME_NO, error->message, length, NULL, 0);
    const gint64 end = g_get_monotonic_time() + END_MS * 1000;
    while (godwit_frames_send(session->frames) && godwit_frames_pending(session->frames) &&
           g_get_monotonic_time() < end) {
        struct pollfd out = {.fd = godwit_frames_out(session->frames), .events = POLLOUT};
        poll(&out, 1, END_MS);
    }
}

bool godwit_remote_serve(int in, int out, const char *folder, const bool *interrupted, int wake_up,
                         GError **error)
{
    struct session session = {
        .folder = folder, .interrupted = interrupted, .wake_up = wake_up, .pidfd = -1};
    session.frames = godwit_frames_new(in, out);
    session.streams = godwit_streams_new(session.frames);
    g_autoptr(GError) cause = NULL;
    const bool good = carry(&session, &cause);
    if (session.pid && !session.ended) {
        kill(session.pid, SIGKILL);
        waitpid(session.pid, &session.status, 0);
    }
    if (!good && !g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_INTERRUPTED))
        refuse(&session, cause);
    godwit_reader_free(session.reader);
    godwit_streams_free(session.streams);
    godwit_frames_free(session.frames);
    if (session.pidfd >= 0)
        close(session.pidfd);
    json_decref(session.hello);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}
