/*
 * Cores: file names by every specifier of kernel.core_pattern, and only the core of the very
 * process.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/core.h"

#include <elf.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "unit.h"

enum { PID = 1234, SIGNAL = 11 };

static struct godwit_core core_of(void **state, const char *pattern, bool uses_pid)
{
    return (struct godwit_core){.pattern = pattern,
                                .uses_pid = uses_pid,
                                .folder = *state,
                                .program = "/usr/bin/qemu",
                                .pid = PID,
                                .signal = SIGNAL};
}

static void test_names(void **state)
{
    static const struct {
        const char *pattern;
        bool uses_pid;
        const char *fits, *does_not; /* separated by blanks */
    } rows[] = {
        {"core", false, "core", "core.1234 score cores"},
        {"core", true, "core.1234", "core core.12345 core.1 corex1234"},
        {"core.%p", true, "core.1234", "core.1234.1234 core.11234 core.12345 core.123"},
        {"core.%p", false, "core.1234", "core. coreX1234"},
        {"%e-%p-%t", false, "qemu-1234-17 CPU-0-TCG-1234-1", "qemu-12345-17 qemu-1234-x"},
        {"%E.%s", false, "!usr!bin!qemu.11", "qemu.11 !usr!bin!qemu.6"},
        {"%%%p%q", false, "%1234", "1234 %1234q"},
        {"core.%P.%i.%I", false, "core.1.2.3", "core.a.2.3"},
        {"c%", false, "c", "c%"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_core core = core_of(state, rows[i].pattern, rows[i].uses_pid);
        g_autofree char *folder = NULL;
        g_autofree char *regex = godwit_core_name(&core, &folder, NULL);
        assert_non_null(regex);
        assert_string_equal(folder, *state);
        for (int fits = 0; fits < 2; fits++) {
            g_auto(GStrv) names = g_strsplit(fits ? rows[i].fits : rows[i].does_not, " ", -1);
            for (guint j = 0; names[j]; j++)
                if (g_regex_match_simple(regex, names[j], G_REGEX_RAW, 0) != (fits == 1))
                    fail_msg("%s: \"%s\" should%s fit", rows[i].pattern, names[j],
                             fits ? "" : " not");
        }
    }
    const struct godwit_core absolute = core_of(state, "/var/cores/%e.%p", false);
    g_autofree char *folder = NULL;
    g_autofree char *regex = godwit_core_name(&absolute, &folder, NULL);
    assert_non_null(regex);
    assert_string_equal(folder, "/var/cores");
}

static void test_elsewhere(void **state)
{
    static const char *const patterns[] = {"|/usr/lib/dump %p", "/var/%u/core", ""};
    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        const struct godwit_core core = core_of(state, patterns[i], false);
        g_autoptr(GError) error = NULL;
        assert_null(godwit_core_find(&core, &error));
        assert_contains(error->message, "does not write cores where they can be found");
        assert_contains(error->message, patterns[i]);
    }
}

/* An ELF core as far as it is read here: its notes say which process it is of. */
static void write_core(void **state, const char *name, int pid)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment;
        Elf64_Nhdr status;
        char status_name[8];
        char status_data[16];
        Elf64_Nhdr note;
        char note_name[8];
        prpsinfo_t info;
    } core = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
                   .e_type = ET_CORE,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_NOTE},
        .status = {5, 14, NT_PRSTATUS},
        .status_name = "CORE",
        .note = {5, sizeof(prpsinfo_t), NT_PRPSINFO},
        .note_name = "CORE",
        .info = {.pr_pid = pid},
    };
    core.segment.p_offset = offsetof(__typeof__(core), status);
    core.segment.p_filesz =
        offsetof(__typeof__(core), info) + sizeof(prpsinfo_t) - offsetof(__typeof__(core), status);
    g_autofree char *path = g_build_filename(*state, name, NULL);
    assert_true(g_file_set_contents(path, (const char *)&core, sizeof(core), NULL));
}

static void forget(void **state, const char *name)
{
    g_autofree char *path = g_build_filename(*state, name, NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* Another process's core is not taken, even if its name contains the pid, or fits. */
static void test_find(void **state)
{
    const struct godwit_core core = core_of(state, "core.%t", false);
    g_autoptr(GError) error = NULL;
    write_core(state, "core.1", PID + 1);
    write_core(state, "core.1234", 7);
    write_core(state, "other.1234", PID);
    assert_null(godwit_core_find(&core, &error));
    assert_contains(error->message, "no core of process 1234");
    write_core(state, "core.5", PID);
    g_autofree char *found = godwit_core_find(&core, NULL);
    assert_non_null(found);
    assert_true(g_str_has_suffix(found, "/core.5"));
    static const char *const names[] = {"core.1", "core.1234", "other.1234", "core.5"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        forget(state, names[i]);
}

/* What is no core has no pid: too short at each place, another file, a link. */
static void test_no_core(void **state)
{
    g_autofree char *path = g_build_filename(*state, "core", NULL);
    write_core(state, "core", PID);
    assert_int_equal(godwit_core_pid(path), PID);
    g_autofree char *whole = NULL;
    gsize length = 0;
    assert_true(g_file_get_contents(path, &whole, &length, NULL));
    for (gsize cut = 0; cut < length; cut++) {
        assert_true(g_file_set_contents(path, whole, (gssize)cut, NULL));
        assert_int_equal(godwit_core_pid(path), -1);
    }
    forget(state, "core");
    assert_int_equal(symlink("/proc/self/exe", path), 0);
    assert_int_equal(godwit_core_pid(path), -1);
    forget(state, "core");
    assert_int_equal(godwit_core_pid("/proc/self/exe"), -1);
    assert_int_equal(godwit_core_pid("/nowhere"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_no_core),
    };
    return cmocka_run_group_tests_name("core", tests, unit_folder, unit_folder_end);
}
