/*
 * The process as a whole: its temporary folder, its janitor, the containment of its children, and
 * its signals.
 *
 * SIGINT, SIGTERM and SIGHUP keep their default action, death, as long as there is nothing to clean
 * up. godwit_process_begin() blocks them while it creates what must be cleaned up, and then
 * installs a handler. The handler sets the flag that every wait and every loop checks, and writes
 * to a descriptor that wakes up the main loop. So no signal is lost, whenever it comes.
 *
 * A second signal ends the process at once, and the janitor cleans up. The first signal also sets
 * an alarm. It ends a process that cannot check the flag, for example because it waits for a reader
 * of its standard output.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/contain.h"
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Seconds after the first signal in which another one belongs to the same request: timeout(1)
 * signals both the process and its group, and systemd sends SIGTERM and SIGHUP. */
#define SAME_REQUEST 1

/* Seconds that the process may take to end after a signal. Cleaning up never takes so long. */
#define LAST_RESORT 20

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* The data of the signal handlers. */
static struct godwit_process *signalled;
static struct timespec first;

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaddset(&set, signals[i]);
    sigaddset(&set, SIGALRM);
    return set;
}

static void caught(int number)
{
    const int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!signalled->signal) {
        first = now;
        signalled->signal = number;
        __atomic_store_n(&signalled->interrupted, true, __ATOMIC_RELEASE);
        /* The counter cannot be full, because nothing else writes to it. */
        eventfd_write(signalled->wake_up, 1);
        alarm(LAST_RESORT);
    } else if (now.tv_sec - first.tv_sec > SAME_REQUEST) {
        signal(number, SIG_DFL);
        raise(number); /* takes effect when the handler returns */
    }
    errno = saved;
}

/* Ends a process that has not ended in time after a signal. The janitor cleans up. */
static void overdue(int number)
{
    (void)number;
    godwit_janitor_hand_over(signalled->janitor);
    _exit(128 + signalled->signal);
}

static gboolean woken(gint fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    (void)data;
    eventfd_t count;
    eventfd_read(fd, &count);
    return G_SOURCE_CONTINUE;
}

/* Installs the handler for the signals that are not ignored. The parent process, nohup(1) for
 * example, may want some to be ignored. */
static bool handle_signals(struct godwit_process *process, GError **error)
{
    process->wake_up = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (process->wake_up < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make an eventfd: %s",
                           g_strerror(errno));
    signalled = process;
    process->source = g_unix_fd_add(process->wake_up, G_IO_IN, woken, NULL);
    const struct sigaction action = {
        .sa_handler = caught, .sa_flags = SA_RESTART, .sa_mask = ending_signals()};
    const struct sigaction last = {.sa_handler = overdue};
    sigaction(SIGALRM, &last, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        struct sigaction old;
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    return true;
}

/* Ends the run: without a janitor, nothing would clean up if godwit were killed. */
static void janitor_lost(void *data)
{
    struct godwit_process *process = data;
    process->interrupted = true;
}

static bool begin(struct godwit_process *process, GError **error)
{
    process->janitor = godwit_janitor_new(janitor_lost, process, error);
    if (!process->janitor)
        return false;
    process->folder = g_strdup(godwit_janitor_folder(process->janitor));
    godwit_contain_begin(process->folder);
    return handle_signals(process, error);
}

bool godwit_process_begin(struct godwit_process *process, GError **error)
{
    const sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    const bool begun = begin(process, error);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return begun;
}

void godwit_process_unblock(void)
{
    const sigset_t set = ending_signals();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool godwit_process_end(struct godwit_process *process, GError **error)
{
    bool well = true;
    if (process->janitor) {
        const pid_t janitor = godwit_janitor_pid(process->janitor);
        godwit_contain_sweep(&janitor, 1);
        well = godwit_janitor_finish(process->janitor, error);
    }
    if (process->source)
        g_source_remove(process->source);
    g_free(process->folder);
    return well;
}
