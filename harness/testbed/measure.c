/*
 * Measurements and checks of a testbed: a scenario writes them while it runs, and the result has
 * them at its end. Measurements are JSON from the start, because nothing reads them back. A check
 * is typed until then, because its result decides the verdict.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/measured.h"

struct godwit_measurements {
    json_t *values; /* an object */
};

/* One check of a scenario. */
struct check {
    char *name;
    enum godwit_check_result result;
    char *reason;         /* why it failed or was not made, or the problem that is excused */
    const char *bug;      /* id of the known bug that excuses it; NULL unless it is excused */
    char *class, *answer; /* QEMU's answer, or NULL */
};

/* The member of a check in the result that has its reason. */
static const char *const reason_keys[GODWIT_CHECK_RESULTS] = {
    [GODWIT_CHECK_FAILED] = "problem",
    [GODWIT_CHECK_SKIPPED] = "skip",
    [GODWIT_CHECK_EXCUSED] = "seen",
};

static void clear_check(gpointer data)
{
    struct check *check = data;
    g_free(check->name);
    g_free(check->reason);
    g_free(check->class);
    g_free(check->answer);
}

static void free_measurements(gpointer data)
{
    struct godwit_measurements *measurements = data;
    json_decref(measurements->values);
    g_free(measurements);
}

void godwit_testbed_begin_measurements(struct godwit_testbed *testbed)
{
    testbed->measurements = g_new0(struct godwit_measurements, 1);
    testbed->measurements->values = json_object();
    godwit_testbed_at_end(testbed, free_measurements, testbed->measurements);
    testbed->checks = g_array_new(FALSE, FALSE, sizeof(struct check));
    g_array_set_clear_func(testbed->checks, clear_check);
    godwit_testbed_at_end(testbed, (GDestroyNotify)g_array_unref, testbed->checks);
}

void godwit_testbed_measure(struct godwit_testbed *testbed, const char *name, json_t *value)
{
    json_object_set_new(testbed->measurements->values, name, value);
}

void godwit_testbed_measure_member(struct godwit_testbed *testbed, const char *name,
                                   const char *member, json_t *value)
{
    json_t *object = json_object_get(testbed->measurements->values, name);
    if (!object) {
        object = json_object();
        json_object_set_new(testbed->measurements->values, name, object);
    }
    json_object_set_new(object, member, value);
}

void godwit_testbed_measure_item(struct godwit_testbed *testbed, const char *name, json_t *value)
{
    json_array_append_new(godwit_json_list(testbed->measurements->values, name), value);
}

void godwit_testbed_unmeasure(struct godwit_testbed *testbed, const char *name)
{
    json_object_del(testbed->measurements->values, name);
}

static void add_check(struct godwit_testbed *testbed, const char *name,
                      enum godwit_check_result result, const char *reason, const char *class,
                      const char *answer)
{
    const struct check check = {
        .name = g_strdup(name ? name : "(without a name)"),
        /* A check that could not be named must not count as passed. */
        .result = name ? result : GODWIT_CHECK_FAILED,
        .reason = g_strdup(name ? reason : "its outcome was lost: a defect of Godwit"),
        .class = g_strdup(class),
        .answer = g_strdup(answer),
    };
    g_array_append_val(testbed->checks, check);
}

void godwit_testbed_check(struct godwit_testbed *testbed, const char *name, const char *problem)
{
    godwit_testbed_check_answer(testbed, name, NULL, NULL, problem);
}

void godwit_testbed_check_answer(struct godwit_testbed *testbed, const char *name,
                                 const char *class, const char *answer, const char *problem)
{
    add_check(testbed, name, problem ? GODWIT_CHECK_FAILED : GODWIT_CHECK_PASSED, problem, class,
              answer);
}

void godwit_testbed_skip_check(struct godwit_testbed *testbed, const char *name, const char *reason)
{
    add_check(testbed, name, GODWIT_CHECK_SKIPPED, reason, NULL, NULL);
}

void godwit_testbed_excuse_check(struct godwit_testbed *testbed, const char *bug)
{
    struct check *last = &g_array_index(testbed->checks, struct check, testbed->checks->len - 1);
    last->result = GODWIT_CHECK_EXCUSED;
    last->bug = bug;
}

unsigned godwit_testbed_failed_checks(const struct godwit_testbed *testbed, GString *text)
{
    unsigned failed = 0;
    for (guint i = 0; i < testbed->checks->len; i++) {
        const struct check *check = &g_array_index(testbed->checks, struct check, i);
        if (check->result != GODWIT_CHECK_FAILED)
            continue;
        failed++;
        if (text)
            g_string_append_printf(text, "\n%s: %s", check->name, check->reason);
    }
    return failed;
}

/* Returns a check as the result has it. The caller owns it. */
static json_t *check_to_json(const struct check *check)
{
    json_t *json = json_pack("{s:s, s:s*, s:s*, s:s*}", "name", check->name, "class", check->class,
                             "answer", check->answer, "known", check->bug);
    if (check->reason)
        json_object_set_new(json, reason_keys[check->result], json_string(check->reason));
    return json;
}

json_t *godwit_testbed_measured(struct godwit_testbed *testbed)
{
    json_t *checks = json_array();
    for (guint i = 0; i < testbed->checks->len; i++)
        json_array_append_new(checks,
                              check_to_json(&g_array_index(testbed->checks, struct check, i)));
    if (testbed->checks->len)
        json_object_set(testbed->measurements->values, "checks", checks);
    json_decref(checks);
    return testbed->measurements->values;
}
