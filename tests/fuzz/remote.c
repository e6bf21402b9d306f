/*
 * The fuzzer of the protocol between two hosts, for clang's libFuzzer: see mk/fuzz.mk. It plays a
 * hostile client to a server, or a hostile server to a client, and demands that neither crashes,
 * hangs, or touches a file outside of its folder.
 *
 * The first byte of an input chooses the victim, and whether the rest is sent as it is or is a list
 * of frames: kind, length in 16 bits, content. Lengths that are right let the fuzzer get further.
 *
 * A server starts the QEMU that its client names. PATH holds a false one, FUZZ_QEMU, which does
 * what a hostile client could do at worst with a process: write much, ignore its input, or end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/client.h"
#include "remote/proxy.h"
#include "remote/session.h"
#include "remote/streams.h"

#include "base/files.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define FUZZ_QEMU "qemu-system-fuzz"

enum { FRAMED = 1, CLIENT = 2 }; /* bits of the first byte */

/* How long a peer listens once it has said everything, in milliseconds: until it has read what the
 * victim answers at once, not all that a process writes. */
enum { LISTEN_MS = 3 };

/* The descriptors of a client that its server's frames reach. */
enum { FIRST_CHANNEL = GODWIT_STREAM_FIRST, LAST_CHANNEL = GODWIT_REMOTE_FD };

static char *place;  /* what the victims must not leave: nothing is in it but INSIDE */
static char *inside; /* the folder of a server; the working folder */

static int
    complaints; /* the standard error of this process: a victim writes to what is called so */

/* Before libFuzzer closes it. */
__attribute__((constructor)) static void keep_complaints(void)
{
    complaints = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, LAST_CHANNEL + 1);
}

static void demand(bool condition, const char *what)
{
    if (condition)
        return;
    dprintf(complaints, "broken: %s\n", what);
    abort();
}

/* Keeps the numbers of a client's channels, which it takes for open if they are. */
static void reserve_channels(void)
{
    for (int fd = FIRST_CHANNEL; fd <= LAST_CHANNEL; fd++) {
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        demand(null >= 0 && (null == fd || (dup2(null, fd) == fd && !close(null))), "/dev/null");
    }
}

/* Returns the bytes to send. The caller frees them. */
static GByteArray *compose(const uint8_t *data, size_t size, bool framed)
{
    GByteArray *bytes = g_byte_array_new();
    while (framed && size >= 3) {
        const size_t length = MIN(((size_t)data[1] << 8) | data[2], size - 3);
        const uint32_t head = GUINT32_TO_BE((uint32_t)length);
        g_byte_array_append(bytes, (const uint8_t *)&head, sizeof(head));
        g_byte_array_append(bytes, data, 1);
        g_byte_array_append(bytes, data + 3, (guint)length);
        data += 3 + length;
        size -= 3 + length;
    }
    if (!framed)
        g_byte_array_append(bytes, data, (guint)size);
    return bytes;
}

/* The peer: says everything, and reads what it is answered. */
struct peer {
    int fd;
    const GByteArray *bytes;
};

static gpointer act(gpointer data)
{
    const struct peer *peer = data;
    char answer[4096];
    size_t sent = 0;
    for (;;) {
        const bool talks = sent < peer->bytes->len;
        struct pollfd ready = {.fd = peer->fd, .events = (short)(POLLIN | (talks ? POLLOUT : 0))};
        if (poll(&ready, 1, talks ? -1 : LISTEN_MS) <= 0)
            break;
        if (ready.revents & POLLIN && read(peer->fd, answer, sizeof(answer)) <= 0)
            break;
        if (!talks || !(ready.revents & POLLOUT)) {
            if (ready.revents & (POLLHUP | POLLERR))
                break;
            continue;
        }
        const ssize_t n = send(peer->fd, peer->bytes->data + sent, peer->bytes->len - sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    close(peer->fd);
    return NULL;
}

static void attack_server(const GByteArray *bytes)
{
    const bool interrupted = false;
    int pair[2];
    demand(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a socket pair");
    struct peer peer = {pair[1], bytes};
    GThread *thread = g_thread_new("peer", act, &peer);
    g_autoptr(GError) error = NULL;
    const bool good = godwit_remote_serve(pair[0], dup(pair[0]), inside, &interrupted, -1, &error);
    demand(good == !error, "an error exactly if it failed");
    g_thread_join(thread);
    demand(waitpid(-1, NULL, WNOHANG) < 0, "no child is left");
}

/* The transport of the client is a cat of what the fuzzer says; what the client says is lost. */
static void attack_client(const GByteArray *bytes)
{
    char *arguments[] = {(char[]){"-S"}, NULL};
    int status = 0;
    g_autofree char *file = g_build_filename(inside, "says", NULL);
    g_autofree char *command = g_strdup_printf("exec /bin/cat %s", file);
    demand(g_file_set_contents(file, (const char *)bytes->data, (gssize)bytes->len, NULL), file);
    int ends[LAST_CHANNEL - FIRST_CHANNEL + 1];
    for (int i = 0; i < (int)G_N_ELEMENTS(ends); i++) {
        int pair[2];
        demand(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a socket pair");
        demand(dup2(pair[0], FIRST_CHANNEL + i) >= 0 && !close(pair[0]), "a channel");
        ends[i] = pair[1];
    }
    g_autoptr(GError) error = NULL;
    const bool good = godwit_remote_run(command, FUZZ_QEMU, arguments, &status, &error);
    demand(good == !error, "an error exactly if it failed");
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
        close(ends[i]);
    reserve_channels();
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    g_autoptr(GByteArray) bytes = compose(data + 1, size - 1, data[0] & FRAMED);
    if (data[0] & CLIENT)
        attack_client(bytes);
    else
        attack_server(bytes);
    g_autoptr(GDir) folder = g_dir_open(place, 0, NULL);
    demand(folder && !g_strcmp0(g_dir_read_name(folder), "inside") && !g_dir_read_name(folder),
           "nothing was written outside of the folder");
    godwit_files_remove(inside);
    demand(!mkdir(inside, 0700) && !chdir(inside), "an empty folder");
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *program = g_getenv("FUZZ_PATH");
    place = g_dir_make_tmp("godwit-fuzz-XXXXXX", NULL);
    demand(program && place, "FUZZ_PATH names a folder with " FUZZ_QEMU ", and there is room");
    inside = g_build_filename(place, "inside", NULL);
    demand(!mkdir(inside, 0700) && !chdir(inside), "an empty folder");
    g_setenv("PATH", program, TRUE); /* no real QEMU is in it */
    signal(SIGPIPE, SIG_IGN);
    reserve_channels();
    return 0;
}
