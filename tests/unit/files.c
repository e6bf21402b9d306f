/*
 * Folders of jobs: made and moved under a name that is free, and removed whatever is in them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static char *make(void **state, const char *folder, const char *file, const char *text)
{
    char *path = g_build_filename(*state, folder, NULL);
    g_autofree char *inside = g_build_filename(path, file, NULL);
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    assert_true(g_file_set_contents(inside, text, -1, NULL));
    return path;
}

static void expect(const char *folder, const char *file, const char *text)
{
    g_autofree char *path = g_build_filename(folder, file, NULL);
    g_autofree char *found = NULL;
    g_file_get_contents(path, &found, NULL, NULL);
    if (text)
        assert_string_equal(found, text);
    else
        assert_null(found);
}

static void test_move(void **state)
{
    g_autofree char *to = g_build_filename(*state, "out", "deeper", NULL);
    static const char *const names[] = {"one", "one.2", "one.3"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *from = make(state, "one", "a", names[i]);
        g_autofree char *path = godwit_files_move(from, to, NULL);
        g_autofree char *wanted = g_build_filename(to, names[i], NULL);
        assert_string_equal(path, wanted);
        assert_false(g_file_test(from, G_FILE_TEST_EXISTS));
        expect(path, "a", names[i]);
    }
    /* A file in the way of a folder. */
    g_autofree char *from = make(state, "one", "a", "x");
    g_autofree char *file = g_build_filename(from, "a", "below", NULL);
    g_autoptr(GError) error = NULL;
    assert_null(godwit_files_move(from, file, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    expect(from, "a", "x");
    godwit_files_remove(from);
    g_autofree char *out = g_build_filename(*state, "out", NULL);
    godwit_files_remove(out);
}

/* Sockets and FIFOs go, at any depth; files, and links to a socket, stay. */
static void test_sockets(void **state)
{
    g_autofree char *folder = make(state, "sockets", "a", "text");
    g_autofree char *below = make(state, "sockets/work", "b", "text");
    static const char *const special[] = {"sockets/one.sock", "sockets/work/two.sock"};
    for (size_t i = 0; i < G_N_ELEMENTS(special); i++) {
        g_autofree char *path = g_build_filename(*state, special[i], NULL);
        assert_int_equal(mknod(path, i ? S_IFSOCK | 0600 : S_IFIFO | 0600, 0), 0);
    }
    g_autofree char *elsewhere = g_build_filename(*state, "elsewhere.sock", NULL);
    g_autofree char *link = g_build_filename(folder, "link", NULL);
    assert_int_equal(mknod(elsewhere, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(symlink(elsewhere, link), 0);

    godwit_files_remove_sockets(folder);
    for (size_t i = 0; i < G_N_ELEMENTS(special); i++) {
        g_autofree char *path = g_build_filename(*state, special[i], NULL);
        assert_int_equal(access(path, F_OK), -1);
    }
    expect(folder, "a", "text");
    expect(below, "b", "text");
    assert_int_equal(access(link, F_OK), 0);
    godwit_files_remove(folder);
    unlink(elsewhere);
}

/* Into another file system, if there is one to be had. */
static void test_move_far(void **state)
{
    g_autofree char *to = g_strdup("/dev/shm/godwit-unit-XXXXXX");
    if (!g_mkdtemp(to))
        skip();
    g_autofree char *from = make(state, "far", "a", "text");
    g_autofree char *path = godwit_files_move(from, to, NULL);
    assert_non_null(path);
    assert_false(g_file_test(from, G_FILE_TEST_EXISTS));
    expect(path, "a", "text");
    godwit_files_remove(to);
}

/* Names that are taken get a number, and nothing that was there is touched. */
static void test_make(void **state)
{
    g_autofree char *to = g_build_filename(*state, "out", NULL);
    g_autofree char *taken = make(state, "out/one", "a", "mine");
    for (unsigned number = 2; number < 5; number++) {
        g_autofree char *path = godwit_files_make(to, "one", NULL);
        g_autofree char *wanted = g_strdup_printf("%s.%u", taken, number);
        assert_string_equal(path, wanted);
        assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
    }
    expect(taken, "a", "mine");
    godwit_files_remove(to);
}

/* Removes folders in folders that no path reaches, and what cannot be changed. Follows no link. */
static void test_remove(void **state)
{
    enum { DEPTH = 400 };
    g_autofree char *folder = make(state, "deep", "a", "x");
    g_autofree char *outside = make(state, "outside", "a", "mine");
    int below = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat(outside, below, "link"), 0);
    assert_int_equal(mkdirat(below, "godwit-lifted-0", 0700), 0);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(below, "deeper-and-deeper", 0700), 0);
        const int next = openat(below, "deeper-and-deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        assert_int_equal(symlinkat(outside, next, "link"), 0);
        if (i % 3 == 0)
            assert_int_equal(fchmod(below, 0500), 0);
        close(below);
        below = next;
    }
    close(below);
    assert_int_equal(chmod(outside, 0750), 0);
    godwit_files_remove(folder);
    assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
    expect(outside, "a", "mine");
    struct stat status;
    assert_int_equal(stat(outside, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    /* What is no folder is removed as well; what is not there is no error. */
    g_autofree char *file = g_build_filename(outside, "a", NULL);
    godwit_files_remove(file);
    assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
    godwit_files_remove(file);
    godwit_files_remove(outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move),    cmocka_unit_test(test_move_far),
        cmocka_unit_test(test_sockets), cmocka_unit_test(test_make),
        cmocka_unit_test(test_remove),
    };
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
