/*
 * The facts about a host, as Linux reports them, and a host that reports nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/host_facts.h"

#include "unit.h"

#include <glib/gstdio.h>

static void write_file(const char *root, const char *path, const char *text)
{
    g_autofree char *whole = g_build_filename(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(whole);
    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_true(g_file_set_contents(whole, text, -1, NULL));
}

static void facts_are_read(void **state)
{
    g_autofree char *root = g_dir_make_tmp("godwit-host-XXXXXX", NULL);
    (void)state;
    write_file(root, "proc/sys/kernel/osrelease", "6.1.0-test\n");
    write_file(root, "proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n");
    write_file(root, "proc/meminfo", "MemTotal:       2097152 kB\nMemFree: 1 kB\n");
    write_file(root, "proc/loadavg", "1.50 2.00 3.00 1/99 7\n");
    write_file(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    write_file(root, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    g_autoptr(json_t) facts = godwit_host_facts(root);
    assert_string_equal(godwit_json_string(facts, "kernel", ""), "6.1.0-test");
    assert_string_equal(godwit_json_string(facts, "cpu", ""), "Some CPU @ 2 GHz");
    assert_string_equal(godwit_json_string(facts, "governor", ""), "powersave");
    assert_string_equal(godwit_json_string(facts, "hugepages", ""), "madvise");
    assert_int_equal(godwit_json_integer(facts, "memory_mib", 0), 2048);
    assert_true(fabs(godwit_json_number(facts, "load") - 1.5) < 1e-9);
    g_autofree char *command = g_strdup_printf("rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

/* What is unknown is left out, and not 0. */
static void a_silent_host_has_few_facts(void **state)
{
    (void)state;
    g_autoptr(json_t) facts = godwit_host_facts("/nonexistent");
    assert_int_equal(json_object_size(facts), 1);
    assert_true(godwit_json_integer(facts, "cpus", 0) > 0);
    assert_true(isnan(godwit_host_load("/nonexistent")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_read),
        cmocka_unit_test(a_silent_host_has_few_facts),
    };
    return cmocka_run_group_tests_name("host_facts", tests, NULL, NULL);
}
