/*
 * The script that repeats a run: its steps, addresses and quoting, from transcripts written here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/replay.h"

#include "base/file.h"
#include "base/files.h"
#include "unit.h"
#include <glib/gstdio.h>
#include <string.h>

/* A run of two VMs with these transcripts. The destination begins half a second later. */
static json_t *run_new(const char *folder, const char *source, const char *destination)
{
    const char *const transcripts[][2] = {{"source.qmp", source}, {"destination.qmp", destination}};
    for (size_t i = 0; i < G_N_ELEMENTS(transcripts); i++) {
        g_autofree char *path = g_build_filename(folder, transcripts[i][0], NULL);
        assert_true(godwit_file_write(path, transcripts[i][1], strlen(transcripts[i][1]), NULL));
    }
    return json_pack("{s:s, s:s, s:{s:i, s:i}, s:[{s:s, s:s, s:f, s:s, s:s},"
                     " {s:s, s:s, s:f, s:s, s:s}]}",
                     "scenario", "a/b", "folder", folder, "guest", "window_start", 4096,
                     "window_end", 12288, "vms", "name", "source", "qemu", "/q u/x", "began", 0.0,
                     "replay", " -name source", "console", "AB", "name", "destination", "qemu",
                     "/y", "began", 0.5, "replay", " -name destination -incoming defer", "console",
                     "");
}

struct folder {
    char *path;
};

static int set_up(void **state)
{
    struct folder *folder = g_new0(struct folder, 1);
    folder->path = g_dir_make_tmp("replay-XXXXXX", NULL);
    *state = folder;
    return folder->path ? 0 : -1;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    godwit_files_remove(folder->path);
    g_free(folder->path);
    g_free(folder);
    return 0;
}

/* The part of the script that is the run's own. The caller frees it. */
static char *steps_of(const json_t *run)
{
    g_autofree char *why = NULL;
    g_autofree char *script = godwit_report_replay(run, &why);
    assert_null(why);
    assert_non_null(script);
    assert_true(g_str_has_prefix(script, "#!/bin/sh\n"));
    const char *first = strstr(script, "\nstart source ");
    assert_non_null(first);
    return g_strdup(first + 1);
}

static void expect_none(const json_t *run, const char *reason)
{
    g_autofree char *why = NULL;
    g_autofree char *script = godwit_report_replay(run, &why);
    assert_null(script);
    assert_string_equal(why, reason);
}

/* Commands and events in the order of both clocks; queries and what follows `quit` left out. */
static void test_order(void **state)
{
    const struct folder *folder = *state;
    g_autoptr(json_t) run = run_new(
        folder->path,
        "  0.100000 > {\"execute\":\"qmp_capabilities\",\"id\":1}\n"
        "  0.200000 > {\"execute\":\"cont\",\"id\":2}\n"
        "  0.250000 > {\"execute\":\"query-status\",\"id\":3}\n"
        "  0.900000 > {\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:relay\"},\"id\":4}\n"
        "  1.000000 < {\"event\": \"MIGRATION_PASS\", \"data\": {\"pass\": 1}}\n"
        "not a line of a transcript\n"
        "  1.100000 < {\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\n"
        "  1.900000 > {\"execute\":\"quit\",\"id\":5}\n"
        "  2.000000 < {\"event\": \"SHUTDOWN\"}\n",
        "  0.100000 > "
        "{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n"
        "  0.700000 > {\"execute\":\"cont\",\"id\":2}\n"
        "  0.800000 < {\"event\": \"RESUME\"}\n");
    g_autofree char *steps = steps_of(run);
    assert_string_equal(
        steps,
        "start source \"${QEMU:-\"'/q u/x'\"}\" -name source\n"
        "send source 1 '{\"execute\":\"qmp_capabilities\",\"id\":1}'\n"
        "send source 2 '{\"execute\":\"cont\",\"id\":2}'\n"
        "start destination \"${QEMU:-\"/y\"}\" -name destination -incoming defer\n"
        "send destination 1 "
        "'{\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}'\n"
        "console source B\n"
        "send source 4 '{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":4}'\n"
        "event source 1 MIGRATION_PASS '\"pass\": 1}'\n"
        "event source 1 MIGRATION completed\n"
        "compare source destination 4096 8192\n"
        "send destination 2 '{\"execute\":\"cont\",\"id\":2}'\n"
        "event destination 1 RESUME ''\n"
        "\necho \"migration: $state; memory: $memory\"\n"
        "[ \"$state\" = completed ] && [ \"$memory\" != DIFFERENT ]\n");
}

/* The port that the destination chose; channels; a source that is told first. */
static void test_addresses(void **state)
{
    const struct folder *folder = *state;
    static const char *const pairs[][4] = {
        {"\"uri\":\"tcp:[::1]:0\"", "\"uri\":\"tcp:[::1]:77\"", "\"uri\":\"tcp:[::1]:77\"",
         "\"uri\":\"tcp:[::1]:77\""},
        {"\"channels\":[{\"addr\":{\"port\":\"0\"}}]", "\"channels\":[{\"addr\":{\"port\":\"8\"}}]",
         "{\"port\":\"8\"}", "{\"port\":\"8\"}"},
        {"\"channels\":[{\"addr\":{\"path\":\"d\"}}]", "\"channels\":[{\"addr\":{\"path\":\"r\"}}]",
         "{\"path\":\"d\"}", "{\"path\":\"d\"}"},
        {"\"uri\":\"file:f\"", "\"uri\":\"file:f,offset=1\"", "\"file:f\"", "\"file:f,offset=1\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        for (int first = 0; first < 2; first++) {
            g_autofree char *source =
                g_strdup_printf("  %d.0 > {\"execute\":\"migrate\",\"arguments\":{%s},\"id\":1}\n",
                                first ? 0 : 9, pairs[i][1]);
            g_autofree char *destination = g_strdup_printf(
                "  1.0 > {\"execute\":\"migrate-incoming\",\"arguments\":{%s},\"id\":1}\n",
                pairs[i][0]);
            g_autoptr(json_t) run = run_new(folder->path, source, destination);
            g_autofree char *steps = steps_of(run);
            const char *incoming = strstr(steps, "send destination 1 ");
            const char *outgoing = strstr(steps, "send source 1 ");
            assert_non_null(incoming);
            assert_non_null(outgoing);
            assert_contains(incoming, pairs[i][2]);
            assert_contains(outgoing, pairs[i][3]);
        }
    }
}

/* A guest that runs on the other side is not compared, not even after an interruption. */
static void test_postcopy(void **state)
{
    const struct folder *folder = *state;
    g_autoptr(json_t) run = run_new(
        folder->path,
        "  1.0 > {\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n"
        "  2.0 > {\"execute\":\"migrate-start-postcopy\",\"id\":2}\n"
        "  3.0 > {\"execute\":\"migrate-pause\",\"id\":3}\n"
        "  5.0 > "
        "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:e\",\"resume\":true},\"id\":4}\n",
        "  0.1 > {\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n"
        "  4.0 > {\"execute\":\"migrate-recover\",\"arguments\":{\"uri\":\"unix:r\"},\"id\":2}\n");
    g_autofree char *steps = steps_of(run);
    assert_null(strstr(steps, "compare "));
    assert_contains(steps, "{\"uri\":\"unix:r\",\"resume\":true}");
}

/* A run that failed before the guest went on is compared at its end. Signals are sent. */
static void test_failed(void **state)
{
    const struct folder *folder = *state;
    g_autoptr(json_t) run = run_new(
        folder->path,
        "  1.0 > {\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n"
        "  2.0 ! SIGSTOP\n",
        "  0.1 > {\"execute\":\"migrate-incoming\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n");
    g_autofree char *steps = steps_of(run);
    assert_contains(steps, "signal source STOP\ncompare source destination 4096 8192\n");
}

/* Nothing that a QEMU says becomes a command of the shell. */
static void test_hostile(void **state)
{
    const struct folder *folder = *state;
    g_autoptr(json_t) run = run_new(
        folder->path,
        "  1.0 > {\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:$(id)';id\"},\"id\":1}\n"
        "  2.0 < {\"event\": \"X'; id; '\", \"data\": {\"status\": \"$(id)\\n`id`\"}}\n"
        "  3.0 < {\"event\": 7}\n  4.0 < {\n  5.0 < []\n",
        "");
    g_autofree char *steps = steps_of(run);
    assert_contains(steps, "event source 1 'X'\\''; id; '\\''' "
                           "\"$(printf '\\044\\050id\\051\\012\\140id\\140')\"\n");
    assert_contains(steps, "\"uri\":\"unix:$(id)'\\'';id\"");
}

static void test_none(void **state)
{
    const struct folder *folder = *state;
    static const char migrate[] =
        "  1.0 > {\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:d\"},\"id\":1}\n";
    g_autoptr(json_t) idle = run_new(folder->path, "", "");
    expect_none(idle, "no QEMU was told to migrate");
    g_autofree char *noted = g_strconcat(migrate, "  1.5 ! SIGKILLED a rat\n", NULL);
    g_autoptr(json_t) helped = run_new(folder->path, noted, "");
    expect_none(helped, "SIGKILLED a rat");
    g_autoptr(json_t) alone = run_new(folder->path, migrate, "");
    json_array_remove(json_object_get(alone, "vms"), 1);
    expect_none(alone, "Godwit itself was the destination");
    json_object_set_new(alone, "measurements", json_pack("{s:s}", "fault", "drop-page"));
    expect_none(alone, "it takes Godwit to inject the fault");
    json_object_set_new(alone, "folder", json_string("/nonexistent"));
    expect_none(alone, "the source has no transcript");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_postcopy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
