/*
 * The janitor cleans up whenever the harness dies, even before it has read what the janitor says at
 * its beginning.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/janitor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* What happens when the harness is about to read the introduction. */
static bool die_instead;

/* Takes the place of the C library's. */
ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    if (die_instead) {
        struct pollfd introduction = {.fd = fd, .events = POLLIN};
        poll(&introduction, 1, -1);
        raise(SIGKILL);
    }
    return recvfrom(fd, buffer, length, flags, NULL, NULL);
}

/* The process in which reads succeed; 0: all do. */
static pid_t reader;

/* Likewise: the janitor, another process, cannot read. */
ssize_t read(int fd, void *buffer, size_t length)
{
    if (reader && getpid() != reader) {
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_read, fd, buffer, length);
}

static void lost(void *data)
{
    (void)data;
}

/* Runs a harness in a child that ends without cleaning up. */
static void lose_harness(bool early)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        die_instead = early;
        godwit_janitor_new(lost, NULL, NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WIFSIGNALED(status), early);
}

/* Returns how many entries a folder has. */
static unsigned entries(const char *folder)
{
    unsigned count = 0;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}

static void test_cleans_up(void **state)
{
    g_setenv("TMPDIR", *state, TRUE);
    for (int early = 0; early <= 1; early++) {
        lose_harness(early);
        const gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
        while (entries(*state) && g_get_monotonic_time() < deadline)
            g_usleep(1000);
        assert_int_equal(entries(*state), 0);
    }
}

static void note_lost(void *data)
{
    *(bool *)data = true;
}

/* A janitor that cannot wait for its harness any more ends, and the harness notices. */
static void test_cannot_wait(void **state)
{
    bool noticed = false;
    GError *error = NULL;
    g_setenv("TMPDIR", *state, TRUE);
    reader = getpid();
    struct godwit_janitor *janitor = godwit_janitor_new(note_lost, &noticed, &error);
    assert_non_null(janitor);
    const gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (!noticed && g_get_monotonic_time() < deadline) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    assert_true(noticed);
    reader = 0;
    /* The harness cleans up in its place. */
    assert_false(godwit_janitor_finish(janitor, &error));
    g_clear_error(&error);
    assert_int_equal(entries(*state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cleans_up),
        cmocka_unit_test(test_cannot_wait),
    };
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
