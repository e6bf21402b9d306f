/*
 * The janitor cleans up whenever the harness dies, even before it has read what the janitor says at
 * its beginning.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/janitor.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cleans_up)};
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
