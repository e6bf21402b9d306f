/* SPDX-License-Identifier: MIT */
#include "run/janitor.h"

#include "run/files.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* More worker processes than anybody runs at once. */
#define GROUPS_MAX 1024

struct godwit_janitor {
    int pipe;
    pid_t pid;
};

/* What goes through the pipe: a group to watch, or, negative, one to forget. Smaller than PIPE_BUF,
 * so it arrives whole. */
typedef int message;

/* The janitor's whole life. Only async-signal-safe calls until the harness is gone. */
static void G_GNUC_NORETURN live(int pipe, const char *folder)
{
    pid_t groups[GROUPS_MAX];
    size_t count = 0;
    message m;
    ssize_t n;
    while ((n = read(pipe, &m, sizeof(m))) != 0) {
        if (n != (ssize_t)sizeof(m))
            continue;
        if (m > 0 && count < GROUPS_MAX)
            groups[count++] = m;
        for (size_t i = 0; m < 0 && i < count; i++)
            if (groups[i] == -m)
                groups[i--] = groups[--count];
    }
    for (size_t i = 0; i < count; i++)
        kill(-groups[i], SIGKILL);
    /* Something that was killed may still be on its way out of a call that makes a file, and nobody
     * tells the janitor, which is not its parent, when it is gone. */
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int tries = 0; folder && tries < 300; tries++) {
        godwit_files_remove(folder);
        if (access(folder, F_OK))
            break;
        nanosleep(&pause, NULL);
    }
    _exit(0);
}

struct godwit_janitor *godwit_janitor_new(const char *folder, GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot make a pipe: %s",
                    g_strerror(errno));
        return NULL;
    }
    const pid_t pid = fork();
    if (pid < 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot fork: %s",
                    g_strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    if (pid == 0) {
        /* Out of the terminal's reach, holding nothing open that somebody may wait to be closed,
         * and under another name, so that no `pkill godwit` takes it for the harness. */
        setsid();
        prctl(PR_SET_NAME, "gw-janitor");
        const int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        dup2(ends[0], 3);
        close_range(4, ~0U, 0);
        live(3, folder);
    }
    close(ends[0]);
    struct godwit_janitor *janitor = g_new0(struct godwit_janitor, 1);
    janitor->pipe = ends[1];
    janitor->pid = pid;
    return janitor;
}

static void tell(struct godwit_janitor *janitor, message m)
{
    /* If the janitor is gone there is nobody to tell; PR_SET_PDEATHSIG still holds. */
    while (write(janitor->pipe, &m, sizeof(m)) < 0 && errno == EINTR)
        ;
}

void godwit_janitor_watch(struct godwit_janitor *janitor, pid_t group)
{
    tell(janitor, group);
}

void godwit_janitor_forget(struct godwit_janitor *janitor, pid_t group)
{
    tell(janitor, -group);
}

void godwit_janitor_finish(struct godwit_janitor *janitor)
{
    if (!janitor)
        return;
    close(janitor->pipe);
    while (waitpid(janitor->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    g_free(janitor);
}
