/*
 * Stands for a QEMU on another host: see proxy.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/proxy.h"

#include "base/contain.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "remote/client.h"
#include "remote/streams.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The most files that are sent, and the largest. */
enum { FILES_MAX = 256 };
#define FILE_MAX ((off_t)64 << 20)

struct proxy {
    struct godwit_frames *frames, *memory; /* MEMORY is NULL if nobody asks for it */
    struct godwit_streams *streams;
    pid_t transport;
    int errors;    /* what the transport writes to its standard error; -1: ended */
    GString *said; /* the latest of it */
    bool channels[GODWIT_REMOTE_FD]; /* by number: it was open when this process began */
    json_t *files;                   /* their names */
    bool greeted;                    /* the server has */
    bool ended;
    int status;
};

/* Files below the current directory: nftw(3) passes no argument. */
static struct {
    char *const *arguments;
    json_t *names;
} search;

static bool is_named(const char *name)
{
    for (size_t i = 0; search.arguments[i]; i++)
        if (strstr(search.arguments[i], name))
            return true;
    return false;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)where;
    const char *name = g_str_has_prefix(path, "./") ? path + 2 : path;
    /* A folder may be named in place of the files in it. */
    g_autofree char *above = g_path_get_dirname(name);
    const bool named = is_named(name) || (strcmp(above, ".") != 0 && is_named(above));
    if (type == FTW_F && S_ISREG(status->st_mode) && status->st_size <= FILE_MAX && named &&
        json_array_size(search.names) < FILES_MAX)
        json_array_append_new(search.names, json_string(name));
    return 0;
}

/* Returns the names of the files that ARGUMENTS name. */
static json_t *find_files(char *const *arguments)
{
    enum { DESCRIPTORS = 16 };
    search.arguments = arguments;
    search.names = json_array();
    nftw(".", visit, DESCRIPTORS, FTW_PHYS);
    return search.names;
}

/* Appends a file's content, in frames. */
static bool put_file(struct proxy *proxy, uint8_t number, const char *name, GError **error)
{
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    unsigned char buffer[64 << 10];
    ssize_t n = fd < 0 ? -1 : 1;
    /* At least one frame, so that an empty file is made, too. */
    for (bool first = true; n > 0; first = false) {
        n = read(fd, buffer, sizeof(buffer));
        if (n > 0 || (n == 0 && first))
            godwit_frames_put(proxy->frames, GODWIT_FRAME_FILE, &number, 1, buffer, (size_t)n);
    }
    const int why = errno;
    if (fd >= 0)
        close(fd);
    return n == 0 || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: %s", name,
                                 g_strerror(why));
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Says what to run, and sends its files. */
static bool begin(struct proxy *proxy, const char *program, char **arguments, GError **error)
{
    json_t *channels = json_array(), *words = json_array();
    for (int fd = GODWIT_STREAM_FIRST; fd < GODWIT_REMOTE_FD; fd++) {
        if (!proxy->channels[fd])
            continue;
        json_array_append_new(channels, json_integer(fd));
        godwit_streams_add(proxy->streams, fd, (uint8_t)fd, true);
    }
    for (size_t i = 0; arguments[i]; i++)
        json_array_append_new(words, json_string(arguments[i]));
    proxy->files = find_files(arguments);
    g_autoptr(json_t) hello =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:O}", "protocol", GODWIT_REMOTE_PROTOCOL, "godwit",
                  GODWIT_VERSION, "program", program, "arguments", words, "channels", channels,
                  "files", proxy->files);
    g_autofree char *text = hello ? godwit_json_dump(hello, JSON_COMPACT) : NULL;
    if (!text || strlen(text) > GODWIT_FRAME_MAX)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the arguments of %s are not UTF-8, or too long", program);
    godwit_frames_put(proxy->frames, GODWIT_FRAME_HELLO, text, strlen(text), NULL, 0);
    size_t i;
    json_t *name;
    json_array_foreach(proxy->files, i, name)
    {
        if (!put_file(proxy, (uint8_t)i, json_string_value(name), error))
            return false;
    }
    godwit_frames_put(proxy->frames, GODWIT_FRAME_START, NULL, 0, NULL, 0);
    return true;
}

static bool bad(GError **error)
{
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the other host sent a frame that does not fit here");
}

/* Takes the server's first frame. */
static bool take_greeting(struct proxy *proxy, const unsigned char *content, size_t size,
                          GError **error)
{
    g_autoptr(json_t) hello = json_loadb((const char *)content, size, 0, NULL);
    const json_int_t protocol = godwit_json_integer(hello, "protocol", 0);
    proxy->greeted = protocol == GODWIT_REMOTE_PROTOCOL;
    return proxy->greeted ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "Godwit %.40s on the other host speaks version %d of the protocol, and this "
                       "is %s, which speaks %d: install the same Godwit on both hosts",
                       godwit_json_string(hello, "godwit", "of some kind"), (int)protocol,
                       GODWIT_VERSION, GODWIT_REMOTE_PROTOCOL);
}

/* Takes what the server sent. */
static bool take(struct proxy *proxy, GError **error)
{
    const unsigned char *content;
    size_t size;
    int kind;
    while ((kind = godwit_frames_next(proxy->frames, &content, &size, error)) > 0) {
        uint32_t status;
        if (kind == GODWIT_FRAME_NO) {
            g_autofree char *raw = g_strndup((const char *)content, size);
            g_autofree char *text = godwit_text_utf8(raw);
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "the other host refuses: %s", text);
        }
        if (!proxy->greeted && kind != GODWIT_FRAME_HELLO)
            return bad(error);
        switch (kind) {
        case GODWIT_FRAME_HELLO:
            if (!take_greeting(proxy, content, size, error))
                return false;
            break;
        case GODWIT_FRAME_EXIT:
            if (size != sizeof(status))
                return bad(error);
            memcpy(&status, content, sizeof(status));
            proxy->status = (int)GUINT32_FROM_BE(status);
            proxy->ended = true;
            break;
        case GODWIT_FRAME_BYTES:
        case GODWIT_FRAME_ERRNO:
            if (!proxy->memory)
                return bad(error);
            godwit_frames_put(proxy->memory, (enum godwit_frame)kind, content, size, NULL, 0);
            break;
        default:
            if (!godwit_streams_take(proxy->streams, kind, content, size))
                return bad(error);
        }
    }
    return kind == 0;
}

/* Passes on what the transport says on its standard error, and remembers the latest. */
static void hear(struct proxy *proxy)
{
    enum { LATEST = 1000 };
    char buffer[4096];
    const ssize_t n = read(proxy->errors, buffer, sizeof(buffer));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(proxy->errors);
        proxy->errors = -1;
        return;
    }
    for (ssize_t done = 0, some; done < n; done += some) {
        some = write(STDERR_FILENO, buffer + done, (size_t)(n - done));
        if (some <= 0)
            break;
    }
    g_string_append_len(proxy->said, buffer, n);
    if (proxy->said->len > LATEST)
        g_string_erase(proxy->said, 0, (gssize)proxy->said->len - LATEST);
}

/* Fails because the connection was lost, and quotes what the transport says of that, which may take
 * it a moment. */
static bool lost(struct proxy *proxy, GError **error)
{
    enum { PATIENCE_MS = 1000 };
    struct pollfd ready = {.fd = proxy->errors, .events = POLLIN};
    while (proxy->errors >= 0 && poll(&ready, 1, PATIENCE_MS) > 0)
        hear(proxy);
    g_autofree char *reason = godwit_text_reason(proxy->said->str);
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the connection to the other host was lost%s%s", reason ? ": " : "",
                       reason ? reason : "");
}

/* Passes requests for memory on. Returns false if the harness is gone. */
static bool pass_requests(struct proxy *proxy, const struct pollfd *ready)
{
    const unsigned char *content;
    size_t size;
    int kind;
    if (!proxy->memory)
        return true;
    const bool alive = !ready->revents || godwit_frames_receive(proxy->memory);
    while ((kind = godwit_frames_next(proxy->memory, &content, &size, NULL)) > 0)
        godwit_frames_put(proxy->frames, (enum godwit_frame)kind, content, size, NULL, 0);
    return godwit_frames_send(proxy->memory) && alive;
}

/* Carries until the program has ended, and all that it wrote was written. */
static bool carry(struct proxy *proxy, GError **error)
{
    bool alive = true;
    while (alive && !(proxy->ended && godwit_streams_written(proxy->streams))) {
        g_autoptr(GArray) polls = g_array_new(FALSE, TRUE, sizeof(struct pollfd));
        const bool answers = proxy->memory && godwit_frames_pending(proxy->memory);
        const struct pollfd own[] = {
            {.fd = proxy->memory ? godwit_frames_in(proxy->memory) : -1,
             .events = (short)(POLLIN | (answers ? POLLOUT : 0))},
            {.fd = proxy->errors, .events = POLLIN},
        };
        g_array_append_vals(polls, own, G_N_ELEMENTS(own));
        godwit_streams_poll(proxy->streams, polls);
        if (poll((struct pollfd *)(void *)polls->data, polls->len, -1) < 0 && errno != EINTR)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "poll: %s", g_strerror(errno));
        if (!pass_requests(proxy, &g_array_index(polls, struct pollfd, 0)))
            g_clear_pointer(&proxy->memory, godwit_frames_free);
        if (g_array_index(polls, struct pollfd, 1).revents)
            hear(proxy);
        alive = godwit_streams_carry(proxy->streams, polls, G_N_ELEMENTS(own));
        if (!take(proxy, error))
            return false;
    }
    return proxy->ended || lost(proxy, error);
}

/* Starts the transport. */
static bool connect_by(struct proxy *proxy, const char *command, GError **error)
{
    int pair[2], errors[2];
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no socket pair: %s",
                           g_strerror(errno));
    proxy->frames = godwit_frames_new(pair[0], pair[0]);
    if (pipe2(errors, O_CLOEXEC)) {
        close(pair[1]);
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no pipe: %s", g_strerror(errno));
    }
    proxy->errors = errors[0];
    g_autoptr(GError) cause = NULL;
    const bool started = g_spawn_async_with_pipes_and_fds(
        NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, godwit_contain_child_setup,
        GINT_TO_POINTER(getpid()), pair[1], pair[1], errors[1], NULL, NULL, 0, &proxy->transport,
        NULL, NULL, NULL, &cause);
    close(pair[1]);
    close(errors[1]);
    return started || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot start \"%s\": %s",
                                  command, cause->message);
}

bool godwit_remote_run(const char *command, const char *program, char **arguments, int *status,
                       GError **error)
{
    struct proxy proxy = {.errors = -1, .said = g_string_new(NULL)};
    if (is_open(GODWIT_REMOTE_FD)) {
        fcntl(GODWIT_REMOTE_FD, F_SETFD, FD_CLOEXEC);
        proxy.memory = godwit_frames_new(GODWIT_REMOTE_FD, GODWIT_REMOTE_FD);
    }
    for (int fd = GODWIT_STREAM_FIRST; fd < GODWIT_REMOTE_FD; fd++) {
        proxy.channels[fd] = is_open(fd);
        if (proxy.channels[fd])
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    bool good = connect_by(&proxy, command, error);
    proxy.streams = godwit_streams_new(proxy.frames);
    if (good) {
        godwit_streams_add(proxy.streams, dup(STDOUT_FILENO), GODWIT_STREAM_OUTPUT, false);
        godwit_streams_add(proxy.streams, dup(STDERR_FILENO), GODWIT_STREAM_ERRORS, false);
        good = begin(&proxy, program, arguments, error) && carry(&proxy, error);
    }
    *status = proxy.status;
    godwit_streams_free(proxy.streams);
    godwit_frames_free(proxy.memory);
    godwit_frames_free(proxy.frames);
    json_decref(proxy.files);
    g_string_free(proxy.said, TRUE);
    if (proxy.errors >= 0)
        close(proxy.errors);
    return good;
}
