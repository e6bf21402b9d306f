/*
 * The worker: what its result says of scenarios that do not keep to the rules.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/job.h"

#include "guest/image.h"
#include "testbed/vm.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static bool fail_silently(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    (void)scenario;
    (void)error;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    return false;
}

static bool lose_a_check(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    (void)scenario;
    (void)error;
    godwit_testbed_check(testbed, "a check that holds", NULL);
    godwit_testbed_check(testbed, NULL, NULL);
    return true;
}

static bool fail_a_check(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    (void)scenario;
    (void)error;
    godwit_testbed_check(testbed, "a check \xff", "what QEMU said: \xfe");
    return true;
}

static bool say_wild_words(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    (void)testbed;
    (void)scenario;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION, "wild \xff words");
}

GODWIT_SCENARIOS(unit) = {
    {.name = "unit/fail-silently", .summary = "", .run = fail_silently},
    {.name = "unit/lose-a-check", .summary = "", .run = lose_a_check},
    {.name = "unit/fail-a-check", .summary = "", .run = fail_a_check},
    {.name = "unit/say-wild-words", .summary = "", .run = say_wild_words},
};
GODWIT_SCENARIOS_END(unit);

/* A job of that scenario, in a file. */
static void write_job(const char *scenario, const char *path)
{
    struct godwit_qemu qemu = {.path = (char *)(uintptr_t) "/none",
                               .usual_type = (char *)(uintptr_t) "",
                               .version = (char *)(uintptr_t) "1.2.3",
                               .package = (char *)(uintptr_t) "",
                               .arch = (char *)(uintptr_t) "ppc64"};
    struct godwit_job *job = godwit_job_new();
    job->scenario = godwit_scenario_find(scenario);
    assert_non_null(job->scenario);
    job->setup.machine = godwit_machine_find("ppc64");
    job->setup.image = godwit_machine_image(job->setup.machine, NULL);
    job->setup.workload = godwit_image_workload(job->setup.machine, job->setup.image);
    job->setup.memory_mib = job->setup.machine->memory_mib;
    job->setup.type = job->type = g_strdup("pseries");
    job->setup.accel = job->accel = g_strdup("tcg");
    job->setup.source = job->setup.destination = &qemu;
    qemu.machines = json_object();
    qemu.features = json_object();
    g_autoptr(json_t) json = godwit_job_to_json(job);
    g_autofree char *text = godwit_json_dump(json, 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    json_decref(qemu.machines);
    json_decref(qemu.features);
    godwit_job_free(job);
}

/* What a worker reports of that scenario, in a process of its own. The caller releases it. */
static json_t *result_of(void **state, const char *scenario)
{
    g_autofree char *job = g_build_filename(*state, "job.json", NULL);
    int ends[2], turn[2];
    write_job(scenario, job);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(turn), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Out of the way of the descriptors that a worker has. */
        const int out = fcntl(ends[1], F_DUPFD, 20), in = fcntl(turn[0], F_DUPFD, 20);
        const bool ready = dup2(out, GODWIT_WORKER_FD) == GODWIT_WORKER_FD &&
                           dup2(in, GODWIT_TURN_FD) == GODWIT_TURN_FD && freopen(job, "re", stdin);
        _exit(ready ? godwit_worker_main(*state) : 99);
    }
    close(ends[1]);
    close(turn[0]);
    FILE *reports = fdopen(ends[0], "r");
    g_autofree char *line = NULL;
    size_t size = 0;
    json_t *result = NULL;
    while (getline(&line, &size, reports) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        if (json_object_get(object, "status"))
            result = json_incref(object);
        json_decref(object);
    }
    fclose(reports);
    close(turn[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    g_unlink(job);
    g_autofree char *work = g_build_filename(*state, "work", NULL);
    g_rmdir(work); /* the VMs' working directory; no VM was started */
    assert_non_null(result);
    return result;
}

/* A hook that fails and does not say why has failed. */
static void test_silent_failure(void **state)
{
    g_autoptr(json_t) result = result_of(state, "unit/fail-silently");
    assert_string_equal(godwit_json_string(result, "status", ""), "fail");
    assert_string_equal(godwit_json_string(result, "message", ""),
                        "a step of phase \"observe\" failed without a reason: a defect of Godwit");
}

/* A check whose outcome is lost has not been passed. */
static void test_lost_check(void **state)
{
    g_autoptr(json_t) result = result_of(state, "unit/lose-a-check");
    assert_string_equal(godwit_json_string(result, "status", ""), "fail");
    assert_contains(godwit_json_string(result, "message", ""), "1 of 2 checks failed:");
    assert_contains(godwit_json_string(result, "message", ""), "a defect of Godwit");
}

/* Nor does one disappear because of the words that it quotes. */
static void test_wild_check(void **state)
{
    g_autoptr(json_t) result = result_of(state, "unit/fail-a-check");
    assert_string_equal(godwit_json_string(result, "status", ""), "fail");
    assert_string_equal(godwit_json_string(result, "message", ""),
                        "1 of 1 checks failed:\na check \\xff: what QEMU said: \\xfe");
}

static void test_wild_words(void **state)
{
    g_autoptr(json_t) result = result_of(state, "unit/say-wild-words");
    assert_string_equal(godwit_json_string(result, "status", ""), "fail");
    assert_string_equal(godwit_json_string(result, "message", ""), "wild \\xff words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_failure),
        cmocka_unit_test(test_lost_check),
        cmocka_unit_test(test_wild_check),
        cmocka_unit_test(test_wild_words),
    };
    return cmocka_run_group_tests_name("worker", tests, unit_folder, unit_folder_end);
}
