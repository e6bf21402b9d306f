/*
 * The findings of compat: classes, causes, baselines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "report/compat.h"
#include <glib/gstdio.h>
#include <string.h>

static struct godwit_compat_table *table_of(const char *old, const char *new)
{
    struct godwit_compat_table *table = godwit_compat_table_new();
    g_ptr_array_add(table->binaries, g_strdup_printf("%s (old)", old));
    g_ptr_array_add(table->binaries, g_strdup_printf("%s (new)", new));
    g_ptr_array_add(table->versions, g_strdup(old));
    g_ptr_array_add(table->versions, g_strdup(new));
    return table;
}

/* Adds a cell from the first binary to the second one, or back, with that result. A QEMU was killed
 * by a signal if KIND is "killed". */
static void add(struct godwit_compat_table *table, bool back, const char *machine,
                const char *subject, const char *status, const char *kind, const char *message)
{
    struct godwit_compat_cell *cell =
        godwit_compat_add(table, back, !back, "x86_64", machine, subject);
    const bool killed = !strcmp(kind, "killed");
    g_autoptr(json_t) vm = json_pack("{s:s}", "name", "source");
    g_autoptr(json_t) result =
        json_pack("{s:s, s:s, s:s, s:s, s:[O]}", "status", status, "kind", killed ? "crash" : kind,
                  "message", message, "again", "godwit run it", "vms", vm);
    if (killed)
        json_object_set_new(vm, "signal", json_integer(11));
    godwit_compat_take(cell, result);
}

static void test_classes(void **state)
{
    static const struct {
        const char *status, *kind;
        enum godwit_compat compat;
        bool finding;
    } rows[] = {
        {"pass", "", GODWIT_COMPAT_SAME, false},
        {"skip", "", GODWIT_COMPAT_UNTRIED, false},
        {"known", "", GODWIT_COMPAT_KNOWN, false},
        {"fail", "killed", GODWIT_COMPAT_CRASHED, true},
        {"fail", "crash", GODWIT_COMPAT_REFUSED, true}, /* it has ended by itself */
        {"fail", "oracle", GODWIT_COMPAT_LOST, true},
        {"fail", "migration", GODWIT_COMPAT_REFUSED, true},
        {"fail", "timeout", GODWIT_COMPAT_REFUSED, true},
        {"error", "environment", GODWIT_COMPAT_ERROR, false},
    };
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        add(table, false, "pc", "e1000", rows[i].status, rows[i].kind, "why");
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        assert_int_equal(cell->compat, rows[i].compat);
        assert_int_equal(godwit_compat_is_finding(cell), rows[i].finding);
        assert_string_equal(cell->reason, "why");
    }
    godwit_compat_table_free(table);
}

/* Two devices that each lose a register of their own have two causes, although their names stand
 * in the same place; what both lose of another device is one. */
static void test_own_registers(void **state)
{
    static const struct {
        const char *device, *lost;
    } rows[] = {{"sb16", "sb16 0x0"},
                {"pvpanic", "pvpanic 0x0"},
                {"edu", "rtc 0: second"},
                {"e1000", "rtc 0: second"}};
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) result =
            json_pack("{s:s, s:s, s:s, s:{s:[s]}}", "status", "fail", "kind", "oracle", "message",
                      "other state", "measurements", "lost", rows[i].lost);
        godwit_compat_take(godwit_compat_add(table, 0, 1, "x86_64", "pc-7.2", rows[i].device),
                           result);
    }
    g_autoptr(GPtrArray) causes = godwit_compat_causes(table);
    assert_int_equal(causes->len, 3);
    godwit_compat_table_free(table);
}

/* A CPU model is no device of the same name, and what no QEMU promises is no finding. */
static void test_models(void **state)
{
    static const struct {
        const char *name, *status, *kind;
        bool unpromised;
        enum godwit_compat compat;
    } rows[] = {
        {"Haswell", "fail", "oracle", false, GODWIT_COMPAT_LOST},
        {"Nehalem", "fail", "oracle", false, GODWIT_COMPAT_LOST},
        {"max", "fail", "oracle", true, GODWIT_COMPAT_VARIES},
        {"base", "fail", "migration", true, GODWIT_COMPAT_VARIES},
        {"host", "fail", "killed", true, GODWIT_COMPAT_CRASHED},
        {"host", "pass", "", true, GODWIT_COMPAT_SAME},
    };
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "Haswell", "fail", "oracle", "Haswell lost 1");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_compat_cell *cell =
            godwit_compat_add(table, 0, 1, "x86_64", "pc-7.2", rows[i].name);
        g_autofree char *message = g_strdup_printf("%s lost 1", rows[i].name);
        g_autoptr(json_t) vm = json_object();
        if (!strcmp(rows[i].kind, "killed"))
            json_object_set_new(vm, "signal", json_integer(6));
        g_autoptr(json_t) result = json_pack("{s:s, s:s, s:s, s:[O]}", "status", rows[i].status,
                                             "kind", rows[i].kind, "message", message, "vms", vm);
        cell->cpu = true;
        cell->unpromised = rows[i].unpromised;
        godwit_compat_take(cell, result);
        assert_int_equal(cell->compat, rows[i].compat);
    }
    g_autoptr(GPtrArray) causes = godwit_compat_causes(table);
    assert_int_equal(causes->len, 4);
    const struct godwit_compat_cause *models = g_ptr_array_index(causes, 1);
    assert_true(models->cpu);
    assert_int_equal(models->subjects->len, 2);
    const struct godwit_compat_cause *device = g_ptr_array_index(causes, 2);
    assert_false(device->cpu);
    assert_int_equal(device->subjects->len, 1);
    g_autoptr(json_t) baseline = godwit_compat_baseline(table);
    const json_t *findings = json_object_get(baseline, "findings");
    assert_int_equal(json_array_size(findings), 4);
    assert_string_equal(json_string_value(json_array_get(findings, 1)),
                        "x86_64 7.2 to 10.0, pc-7.2, CPU model Haswell: lost");
    godwit_compat_table_free(table);
}

/* One cause is one entry with all names, whatever the device and its place; the worst is first. */
static void test_causes(void **state)
{
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "e1000", "fail", "oracle", "0000:00:01.0/e1000 lost 1");
    add(table, false, "pc-7.2", "rtl8139", "fail", "oracle", "0000:00:02.0/rtl8139 lost 1");
    add(table, false, "pc-7.1", "rtl8139", "fail", "oracle", "0000:00:02.0/rtl8139 lost 1");
    add(table, true, "pc-7.2", "rtl8139", "fail", "oracle", "0000:00:02.0/rtl8139 lost 1");
    add(table, false, "pc-7.2", "edu", "fail", "oracle", "0000:00:02.0/edu lost 2");
    add(table, false, "pc-7.2", "nvme", "fail", "killed", "it died");
    add(table, false, "pc-7.2", "VGA", "pass", "", "");
    add(table, false, "pc-7.2", "ufs", "skip", "", "none");
    g_autoptr(GPtrArray) causes = godwit_compat_causes(table);
    assert_int_equal(causes->len, 4);
    const struct godwit_compat_cause *first = g_ptr_array_index(causes, 0);
    const struct godwit_compat_cause *second = g_ptr_array_index(causes, 1);
    assert_string_equal(first->reason, "it died");
    assert_string_equal(second->key, "ADDRESS/DEVICE lost 1");
    assert_string_equal(second->reason, "0000:00:01.0/e1000 lost 1");
    assert_int_equal(second->subjects->len, 2);
    assert_int_equal(second->machines->len, 2);
    assert_string_equal(g_ptr_array_index(second->subjects, 1), "rtl8139");
    assert_string_equal(second->again, "godwit run it");
    g_clear_pointer(&causes, g_ptr_array_unref);
    godwit_compat_table_free(table);
}

/* A suspicion is confirmed by a finding, and by nothing else. */
static void test_suspicions(void **state)
{
    static const struct {
        const char *machine, *subject;
        unsigned source;
        enum godwit_compat_trial trial;
    } rows[] = {
        {"pc-7.2", "e1000", 0, GODWIT_COMPAT_CONFIRMED},
        {"pc-7.2", "VGA", 0, GODWIT_COMPAT_LOADS},
        {"pc-7.2", "ufs", 0, GODWIT_COMPAT_NOT_TRIED},
        {"pc-7.2", "nvme", 0, GODWIT_COMPAT_NOT_TRIED},
        {"pc-7.1", "e1000", 0, GODWIT_COMPAT_NOT_TRIED},
        {"pc-7.2", "e1000", 1, GODWIT_COMPAT_NOT_TRIED},
    };
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "e1000", "fail", "migration", "refused");
    add(table, false, "pc-7.2", "VGA", "pass", "", "");
    add(table, false, "pc-7.2", "ufs", "skip", "", "none");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        godwit_compat_suspect(
            table, &(struct godwit_compat_suspicion){.source = rows[i].source,
                                                     .destination = !rows[i].source,
                                                     .arch = (char *)(uintptr_t) "x86_64",
                                                     .machine = (char *)(uintptr_t)rows[i].machine,
                                                     .subject = (char *)(uintptr_t)rows[i].subject,
                                                     .text = (char *)(uintptr_t) "why"});
        assert_int_equal(godwit_compat_trial(table, g_ptr_array_index(table->suspicions, i)),
                         rows[i].trial);
    }
    godwit_compat_table_free(table);
}

/* What a baseline has is nothing new, in another build either; what it has not is. */
static void test_baseline(void **state)
{
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "e1000", "fail", "oracle", "lost 1");
    add(table, true, "pc-7.2", "e1000", "pass", "", "");
    g_autoptr(json_t) baseline = godwit_compat_baseline(table);
    g_autofree char *text = godwit_json_dump(baseline, 0);
    godwit_compat_table_free(table);

    table = table_of("7.2.99", "10.0.14");
    add(table, false, "pc-7.2", "e1000", "fail", "oracle", "lost 1");
    GPtrArray *causes = godwit_compat_causes(table);
    assert_int_equal(godwit_compat_judge(table, causes, text, "file", NULL), 0);
    assert_false(((struct godwit_compat_cause *)g_ptr_array_index(causes, 0))->new);
    g_ptr_array_unref(causes);
    /* Another device, another class, another direction, another machine. */
    add(table, false, "pc-7.2", "edu", "fail", "oracle", "lost 2");
    add(table, false, "pc-7.2", "e1000", "fail", "killed", "it died");
    add(table, true, "pc-7.2", "e1000", "fail", "oracle", "lost 1");
    add(table, false, "pc-7.1", "e1000", "fail", "oracle", "lost 1");
    causes = godwit_compat_causes(table);
    assert_int_equal(godwit_compat_judge(table, causes, text, "file", NULL), 4);
    g_ptr_array_unref(causes);
    godwit_compat_table_free(table);
}

static void test_bad_baseline(void **state)
{
    static const char *const rows[][2] = {
        {"", "broken JSON"},
        {"{", "broken JSON"},
        {"[]", "is no baseline of godwit compat"},
        {"{\"godwit-compat-baseline\": 2, \"pairs\": [], \"findings\": []}", "is no baseline"},
        {"{\"godwit-compat-baseline\": 1, \"pairs\": [], \"findings\": {}}", "is no baseline"},
        {"{\"godwit-compat-baseline\": 1, \"findings\": []}", "is no baseline"},
        {"{\"godwit-compat-baseline\": 1, \"pairs\": [], \"findings\": []}",
         "is the baseline of other QEMUs: it has nothing about x86_64 7.2 to 10.0"},
        {"{\"godwit-compat-baseline\": 1, \"pairs\": [7], \"findings\": [7]}",
         "is the baseline of other QEMUs"},
    };
    (void)state;
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "e1000", "fail", "oracle", "lost 1");
    g_autoptr(GPtrArray) causes = godwit_compat_causes(table);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(godwit_compat_judge(table, causes, rows[i][0], "file", &error), -1);
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, rows[i][1]);
        assert_null(strchr(error->message, '\n'));
    }
    g_clear_pointer(&causes, g_ptr_array_unref);
    godwit_compat_table_free(table);
}

/* All formats name what was found, and escape it. */
static void test_formats(void **state)
{
    struct godwit_compat_table *table = table_of("7.2.22", "10.0.13");
    add(table, false, "pc-7.2", "e1000", "fail", "oracle", "lost <b> \x1b[31m");
    g_autoptr(GPtrArray) causes = godwit_compat_causes(table);
    g_autoptr(json_t) about = json_object();
    static const char *const formats[] = {"text", "json", "html"};
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *path = g_build_filename(*state, "report", NULL);
        g_autofree char *format = g_strdup_printf("%s:%s", formats[i], path);
        g_autofree char *text = NULL;
        assert_true(godwit_compat_write(format, table, causes, about, true, NULL));
        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        assert_contains(text, "e1000");
        assert_contains(text, "pc-7.2");
        assert_null(strchr(text, '\x1b'));
        assert_true(i < 2 || !strstr(text, "<b>"));
        assert_int_equal(g_unlink(path), 0);
    }
    g_autoptr(GError) error = NULL;
    assert_false(godwit_compat_write("text:/no/such/folder/x", table, causes, about, true, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    g_clear_pointer(&causes, g_ptr_array_unref);
    godwit_compat_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),      cmocka_unit_test(test_causes),
        cmocka_unit_test(test_suspicions),   cmocka_unit_test(test_baseline),
        cmocka_unit_test(test_bad_baseline), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_models),       cmocka_unit_test(test_own_registers),
    };
    return cmocka_run_group_tests_name("compat", tests, unit_folder, unit_folder_end);
}
