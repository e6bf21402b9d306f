/*
 * Files among which a QEMU may have put anything: FIFOs, links, devices, too much.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

/* Paths in the folder of the tests, and a file outside of what is tested that must stay as it is.
 */
static char *file, *fifo, *link_to, *link_nowhere, *folder, *victim;

static int begin(void **state)
{
    if (unit_folder(state))
        return -1;
    file = g_build_filename(*state, "file", NULL);
    fifo = g_build_filename(*state, "fifo", NULL);
    link_to = g_build_filename(*state, "link", NULL);
    link_nowhere = g_build_filename(*state, "nowhere", NULL);
    folder = g_build_filename(*state, "folder", NULL);
    victim = g_build_filename(*state, "victim", NULL);
    return !g_file_set_contents(file, "0123456789", -1, NULL) || mkfifo(fifo, 0600) ||
           symlink(victim, link_to) || symlink("none/none", link_nowhere) || mkdir(folder, 0700) ||
           !g_file_set_contents(victim, "mine", -1, NULL);
}

static int end(void **state)
{
    char **const all[] = {&file, &fifo, &link_to, &link_nowhere, &folder, &victim};
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_remove(*all[i]);
        g_clear_pointer(all[i], g_free);
    }
    return unit_folder_end(state);
}

static void test_tail(void **state)
{
    (void)state;
    g_autofree char *all = godwit_file_tail(file, 10);
    g_autofree char *more = godwit_file_tail(file, 1000);
    g_autofree char *last = godwit_file_tail(file, 3);
    assert_string_equal(all, "0123456789");
    assert_string_equal(more, "0123456789");
    assert_string_equal(last, "789");
    assert_true(g_file_set_contents(file, "", 0, NULL));
    assert_null(godwit_file_tail(file, 10));
}

/* No more is read than is allowed. */
static void test_read(void **state)
{
    (void)state;
    size_t length = 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *all = godwit_file_read(file, 10, &length, &error);
    assert_string_equal(all, "0123456789");
    assert_int_equal(length, 10);
    assert_null(godwit_file_read(file, 9, &length, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "it has more than 9 bytes");
    g_clear_error(&error);
    /* A hole costs nothing, and gains nothing. */
    assert_int_equal(truncate(file, (off_t)1 << 40), 0);
    assert_null(godwit_file_read(file, 1 << 20, &length, &error));
    assert_contains(error->message, "it has more than");
    g_autofree char *last = godwit_file_tail(file, 3);
    assert_string_equal(last, "");
}

/* What is no regular file is neither waited for nor read. */
static void test_others(void **state)
{
    (void)state;
    const char *const others[] = {fifo,        link_to,     link_nowhere, folder,
                                  "/dev/zero", "/dev/null", "/none"};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        size_t length = 0;
        g_autoptr(GError) error = NULL;
        assert_null(godwit_file_tail(others[i], 10));
        assert_null(godwit_file_read(others[i], 10, &length, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
        assert_contains(error->message, others[i]);
    }
}

/* A device is left alone, even if root runs Godwit. */
static void test_devices(void **state)
{
    struct stat before, after;
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_int_equal(lstat("/dev/null", &before), 0);
    assert_true(S_ISCHR(before.st_mode));
    assert_int_equal(godwit_file_create("/dev/null", &error), -1);
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "/dev/null: it is a device");
    assert_int_equal(lstat("/dev/null", &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
}

/* What is written takes the place of whatever was there, and nothing else is touched. */
static void test_write(void **state)
{
    (void)state;
    char *const places[] = {file, fifo, link_to, link_nowhere};
    struct stat status;
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *found = NULL;
        g_autoptr(GError) error = NULL;
        assert_true(godwit_file_write(places[i], "new", 3, &error));
        assert_int_equal(lstat(places[i], &status), 0);
        assert_true(S_ISREG(status.st_mode));
        assert_int_equal(status.st_mode & 0777, 0600);
        assert_true(g_file_get_contents(places[i], &found, NULL, NULL));
        assert_string_equal(found, "new");
    }
    g_autofree char *kept = NULL;
    assert_true(g_file_get_contents(victim, &kept, NULL, NULL));
    assert_string_equal(kept, "mine");
    g_autoptr(GError) error = NULL;
    assert_false(godwit_file_write(folder, "new", 3, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
}

/* No place for a file, and a limit on its size, are errors. */
static void test_limits(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct rlimit limit, small;
    assert_int_equal(godwit_file_create("/proc/none", &error), -1);
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    g_clear_error(&error);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 4;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_false(godwit_file_write(file, "12345", 5, &error));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "File too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tail, begin, end),
        cmocka_unit_test_setup_teardown(test_read, begin, end),
        cmocka_unit_test_setup_teardown(test_others, begin, end),
        cmocka_unit_test_setup_teardown(test_write, begin, end),
        cmocka_unit_test(test_devices),
        cmocka_unit_test_setup_teardown(test_limits, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
