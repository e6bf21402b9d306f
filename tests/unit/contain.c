/*
 * Containment kills what its own run has started, and nothing of another run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/contain.h"
#include "base/files.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* A run: a process that has begun containment, and a child of it. */
struct run {
    pid_t pid;
    int order; /* a byte makes the run kill what it has started */
    int talk;  /* the child sends each byte back; at its end when the child has ended */
};

/* The process of a run: starts the child, and kills it on order. */
static void G_GNUC_NORETURN live(const char *folder, int order, int talk)
{
    char byte;
    godwit_contain_begin(folder);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
        godwit_contain_child(parent);
        /* Another program, as every child of a run: only that has the mark in the environment that
         * /proc shows, by which it is found where there is no control group. */
        if (dup2(talk, STDIN_FILENO) >= 0 && dup2(talk, STDOUT_FILENO) >= 0)
            execlp("cat", "cat", NULL);
        _exit(1);
    }
    close(talk);
    if (read(order, &byte, 1) == 1)
        godwit_contain_kill();
    waitpid(child, NULL, 0);
    godwit_contain_kill();
    _exit(0);
}

/* Whether the child of the run lives. One that is being killed does not answer. */
static bool answers(const struct run *run)
{
    char byte = 0;
    return send(run->talk, &byte, 1, MSG_NOSIGNAL) == 1 && read(run->talk, &byte, 1) == 1;
}

/* Starts a run in the folder. */
static struct run start(const char *folder)
{
    int order[2], talk[2];
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_int_equal(pipe2(order, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(order[1]);
        close(talk[0]);
        live(folder, order[0], talk[1]);
    }
    close(order[0]);
    close(talk[1]);
    struct run run = {pid, order[1], talk[0]};
    assert_true(answers(&run));
    return run;
}

/* Lets the run kill its child and end. */
static void finish(struct run *run)
{
    char byte = 0;
    assert_int_equal(write(run->order, &byte, 1), 1);
    assert_int_equal(waitpid(run->pid, NULL, 0), run->pid);
    assert_false(answers(run));
    close(run->order);
    close(run->talk);
}

/* The folders of two runs may have the same name, in two folders for temporary files. */
static void test_same_name(void **state)
{
    const char *top = *state;
    g_autofree char *above_first = g_build_filename(top, "first", NULL);
    g_autofree char *above_second = g_build_filename(top, "second", NULL);
    g_autofree char *first = g_build_filename(above_first, "godwit-SAME00", NULL);
    g_autofree char *second = g_build_filename(above_second, "godwit-SAME00", NULL);
    struct run runs[] = {start(first), start(second)};
    finish(&runs[0]);
    assert_true(answers(&runs[1]));
    finish(&runs[1]);
    godwit_files_remove(above_first);
    godwit_files_remove(above_second);
}

/* The folder of a run may get the inode of that of an earlier run, whose janitor has removed it and
 * looks once more for what is left. */
static void test_same_inode(void **state)
{
    const char *top = *state;
    g_autofree char *first = g_build_filename(top, "godwit-FIRST0", NULL);
    g_autofree char *second = g_build_filename(top, "godwit-SECOND", NULL);
    struct run runs[] = {start(first), {0}};
    assert_int_equal(g_rmdir(first), 0);
    runs[1] = start(second);
    finish(&runs[0]);
    assert_true(answers(&runs[1]));
    finish(&runs[1]);
    godwit_files_remove(second);
}

static void change_folder(gpointer folder)
{
    if (chdir(folder))
        _exit(1);
}

/* The pid of a child that has ended already is known, and the child was set up. */
static void test_spawn(void **state)
{
    const char *const arguments[] = {"sh", "-c", "echo $$ >pid", NULL};
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autoptr(GError) error = NULL;
    pid_t pid = 0;
    g_autoptr(GSubprocess) child =
        godwit_contain_spawn(launcher, arguments, change_folder, *state, &pid, &error);
    assert_null(error);
    assert_true(g_subprocess_wait_check(child, NULL, NULL));
    assert_null(g_subprocess_get_identifier(child));
    g_autofree char *path = g_build_filename(*state, "pid", NULL);
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_int_equal(pid, g_ascii_strtoll(text, NULL, 10));
    assert_int_equal(g_unlink(path), 0);
}

static void test_spawn_nothing(void **state)
{
    (void)state;
    const char *const arguments[] = {"/nonexistent", NULL};
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GError) error = NULL;
    assert_null(godwit_contain_spawn(launcher, arguments, NULL, NULL, NULL, &error));
    assert_non_null(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_name), cmocka_unit_test(test_same_inode),
        cmocka_unit_test(test_spawn), cmocka_unit_test(test_spawn_nothing)};
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
