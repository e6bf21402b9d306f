/*
 * Forks and ends the janitor, and is its code. janitor.h explains its purpose.
 *
 * The child first sends one message, the folder's path or an error, and then only reads. End of
 * file means that the harness is gone or has finished: the janitor then cleans up and exits. It
 * never executes another program and has one thread, so its code runs safely after fork().
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/janitor.h"

#include "base/contain.h"
#include "base/files.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct godwit_janitor {
    int socket;
    pid_t pid;
    guint source;
    char *folder;
    godwit_janitor_lost lost;
    void *data;
};

/* The number of tries to clean up, and the pause between two tries: 10 s in all. */
enum { TRIES = 1000, PAUSE_NS = 10000000 };

/* Kills what the run started and removes its folder. A killed process may still be inside a system
 * call that creates a file, and only its parent learns of its end. So this repeats until nothing is
 * left. */
static void clean_up(const char *folder)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int tries = 0; tries < TRIES; tries++) {
        const unsigned alive = godwit_contain_kill();
        godwit_files_remove(folder);
        if (!alive && access(folder, F_OK))
            return;
        nanosleep(&pause, NULL);
    }
}

/* The first byte of the janitor's message. The path or the error message follows. */
enum { SAYS_FOLDER = '=', SAYS_ERROR = '!' };

/* The longest message of the janitor, in bytes. */
#define SAID_MAX (PATH_MAX + 1024)

/* Creates the folder and sends its path, or the reason why there is none. Returns the path, or
 * NULL. */
static char *introduce(int socket)
{
    g_autoptr(GError) error = NULL;
    char *folder = godwit_files_temporary(&error);
    if (folder)
        godwit_contain_begin(folder);
    g_autofree char *text = g_strdup_printf("%c%s", folder ? SAYS_FOLDER : SAYS_ERROR,
                                            folder ? folder : error->message);
    /* If the harness is already gone, live() removes the folder at once. */
    send(socket, text, MIN(strlen(text), SAID_MAX), MSG_NOSIGNAL);
    return folder;
}

/* The main function of the janitor. If it can no longer wait, it exits, which the harness
 * notices. */
static void G_GNUC_NORETURN live(int socket)
{
    const char *folder = introduce(socket);
    char byte;
    ssize_t n;
    if (!folder)
        _exit(1);
    prctl(PR_SET_NAME, "gw-janitor");
    while ((n = read(socket, &byte, 1)) < 0 && errno == EINTR)
        ;
    /* A harness that is killed before it has read the introduction resets the connection. */
    if (n < 0 && errno != ECONNRESET)
        _exit(1);
    clean_up(folder);
    _exit(0);
}

static gboolean hung_up(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct godwit_janitor *janitor = data;
    janitor->source = 0;
    janitor->lost(janitor->data);
    return G_SOURCE_REMOVE;
}

/* How long the janitor may take to create the folder, in seconds. */
#define START_SECONDS 30

/* Receives the janitor's message. Returns the folder's path, which the caller frees, or NULL with
 * an ENVIRONMENT error. */
static char *hear(int socket, GError **error)
{
    g_autofree char *said = g_malloc0(SAID_MAX + 1);
    const struct timeval patience = {.tv_sec = START_SECONDS};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ssize_t n;
    while ((n = recv(socket, said, SAID_MAX, 0)) < 0 && errno == EINTR)
        ;
    if (n > 0 && *said == SAYS_FOLDER)
        return g_strdup(said + 1);
    if (n > 0)
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s", said + 1);
    else
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                    "the janitor, which cleans up if godwit is killed, %s before it could begin",
                    n < 0 ? "was stopped" : "was killed");
    return NULL;
}

struct godwit_janitor *godwit_janitor_new(godwit_janitor_lost lost, void *data, GError **error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make a socket pair: %s",
                    g_strerror(errno));
        return NULL;
    }
    const pid_t pid = fork();
    if (pid < 0) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot fork: %s", g_strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    if (pid == 0) {
        /* Leave the terminal's session, hold no descriptor open whose end somebody awaits, and take
         * another name, so that `pkill godwit` does not hit the janitor. */
        setsid();
        const int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        close(ends[1]);
        dup2(ends[0], 3);
        closefrom(4);
        live(3);
    }
    close(ends[0]);
    char *folder = hear(ends[1], error);
    if (!folder) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(ends[1]);
        return NULL;
    }
    struct godwit_janitor *janitor = g_new0(struct godwit_janitor, 1);
    janitor->socket = ends[1];
    janitor->pid = pid;
    janitor->folder = folder;
    janitor->lost = lost;
    janitor->data = data;
    /* The janitor sends nothing more: the socket becomes readable only at its end. */
    janitor->source = g_unix_fd_add(janitor->socket, G_IO_IN | G_IO_HUP, hung_up, janitor);
    return janitor;
}

const char *godwit_janitor_folder(const struct godwit_janitor *janitor)
{
    return janitor->folder;
}

pid_t godwit_janitor_pid(const struct godwit_janitor *janitor)
{
    return janitor->pid;
}

void godwit_janitor_hand_over(const struct godwit_janitor *janitor)
{
    int status;
    shutdown(janitor->socket, SHUT_WR);
    while (waitpid(janitor->pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
}

/* How long the janitor may take to finish, in milliseconds: three times its own limit. */
#define PATIENCE_MS 30000
/* How often to check whether the janitor is stopped, which no poll reports. In milliseconds. */
#define LOOK_MS 100

/* Waits for the end of the janitor. Kills a janitor that is stopped or does not end in time.
 * Returns its wait status, and in *HUNG whether it had to be killed. */
static int await_end(pid_t pid, bool *hung)
{
    const gint64 deadline = g_get_monotonic_time() + PATIENCE_MS * 1000;
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int status = 0;
    *hung = false;
    for (;;) {
        const pid_t got = waitpid(pid, &status, WUNTRACED | (*hung ? 0 : WNOHANG));
        if (got == pid && !WIFSTOPPED(status))
            break;
        if (got < 0 && errno != EINTR)
            break;
        if (got == pid || g_get_monotonic_time() > deadline) {
            *hung = true;
            kill(pid, SIGKILL);
        } else if (got == 0) {
            poll(&end, 1, LOOK_MS);
        }
    }
    if (end.fd >= 0)
        close(end.fd);
    return status;
}

bool godwit_janitor_finish(struct godwit_janitor *janitor, GError **error)
{
    bool hung = false;
    if (janitor->source)
        g_source_remove(janitor->source);
    close(janitor->socket);
    const int status = await_end(janitor->pid, &hung);
    const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!done)
        clean_up(janitor->folder);
    if (hung)
        godwit_text_complain("the janitor (process %d) was stopped or hung; godwit killed it and "
                             "cleaned up itself",
                             (int)janitor->pid);
    else if (!done)
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                    "the janitor (process %d), which cleans up if godwit is killed, %s %d: godwit "
                    "cannot continue without it (everything has been cleaned up)",
                    (int)janitor->pid,
                    WIFSIGNALED(status) ? "was killed by signal" : "exited with status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    g_free(janitor->folder);
    g_free(janitor);
    return done || hung;
}
