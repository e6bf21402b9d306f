/*
 * What the unit tests share: cmocka with what it wants included before, and a scratch folder.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_UNIT_H
#define GODWIT_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib/gstdio.h>

/* cmocka's own prints no text when it fails. */
#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("\"%s\" is not in \"%s\"", part, text);                                       \
    } while (0)

/* Two workloads with the same fields. (memcmp would compare what is behind the last one, too.) */
#define assert_same_workload(one, other)                                                           \
    do {                                                                                           \
        assert_int_equal((one)->window_start, (other)->window_start);                              \
        assert_int_equal((one)->window_end, (other)->window_end);                                  \
        assert_int_equal((one)->page_size, (other)->page_size);                                    \
        assert_int_equal((one)->passes_per_report, (other)->passes_per_report);                    \
        assert_int_equal((one)->flags, (other)->flags);                                            \
        assert_int_equal((one)->page_ticks, (other)->page_ticks);                                  \
        assert_int_equal((one)->cpus, (other)->cpus);                                              \
        assert_true((one)->seed == (other)->seed);                                                 \
        assert_int_equal((one)->usual_content, (other)->usual_content);                            \
    } while (0)

/* Group fixtures: *STATE is the path of an empty folder. */
static inline int unit_folder(void **state)
{
    *state = g_dir_make_tmp("godwit-unit-XXXXXX", NULL);
    return *state ? 0 : -1;
}

/* Tests remove what they made; a file left behind is an error of the test. */
static inline int unit_folder_end(void **state)
{
    const int status = g_rmdir(*state);
    g_free(*state);
    return status;
}

/* What is in FILE of the folder STATE, which is removed. The caller's. */
static inline char *unit_take(void **state, const char *file, gsize *length)
{
    g_autofree char *path = g_build_filename(*state, file, NULL);
    char *text = NULL;
    assert_true(g_file_get_contents(path, &text, length, NULL));
    assert_int_equal(g_unlink(path), 0);
    return text;
}

/* How many descriptors this process has open. */
static inline unsigned unit_descriptors(void)
{
    unsigned count = 0;
    g_main_context_default(); /* has one of its own from the first use on */
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    while (folder && g_dir_read_name(folder))
        count++;
    return count;
}

/* Lets the main loop handle everything that has happened by now. */
static inline void unit_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

#endif
