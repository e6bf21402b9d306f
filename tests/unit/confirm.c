/*
 * Confirmation of bugs that strike now and then: which results are held back, how often their jobs
 * are run again, and what becomes of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/confirm.h"

#include "bugs/bugs.h"
#include "unit.h"
#include <string.h>

/* A result with STATUS that has met the bug of that id, if any. */
static json_t *result_of(const char *status, const char *id)
{
    return id ? json_pack("{s:s, s:s, s:{s:[{s:s}]}}", "status", status, "message", "a message",
                          "measurements", "known_bugs", "id", id)
              : json_pack("{s:s, s:s, s:{}}", "status", status, "message", "a message",
                          "measurements");
}

/* Only what is known, and rare, is held back. */
static void test_passing(void **state)
{
    static const char *const rows[][2] = {
        {"pass", NULL},
        {"fail", "tcg-dirty-race"},
        {"skip", NULL},
        {"known", "suspend-lost"},
        {"known", "tcg-hot-page"},
        {"error", "tcg-dirty-race"},
    };
    (void)state;
    struct godwit_confirm *confirm = godwit_confirm_new();
    struct godwit_job *job = godwit_job_new();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) result = result_of(rows[i][0], rows[i][1]);
        assert_ptr_equal(godwit_confirm_take(confirm, job, result), result);
        assert_null(godwit_confirm_next(confirm));
    }
    assert_null(godwit_confirm_give_up(confirm));
    godwit_job_free(job);
    godwit_confirm_free(confirm);
}

/* Runs a held result's repetitions: one for each character of STORY, "x" for a strike, "." for
 * none, "!" for another failure, "i" for the end of the run. The result is the caller's. */
static json_t *confirm_by(const char *story)
{
    static const char id[] = "tcg-dirty-race";
    struct godwit_confirm *confirm = godwit_confirm_new();
    struct godwit_job *job = godwit_job_new();
    json_t *final = NULL;
    assert_null(godwit_confirm_take(confirm, job, result_of("known", id)));
    for (const char *c = story; *c; c++) {
        assert_null(final);
        if (*c == 'i') {
            final = godwit_confirm_give_up(confirm);
            continue;
        }
        struct godwit_job *repetition = godwit_confirm_next(confirm);
        assert_non_null(repetition);
        /* One at a time. */
        assert_null(godwit_confirm_next(confirm));
        final = godwit_confirm_take(confirm, repetition,
                                    *c == 'x'   ? result_of("known", id)
                                    : *c == '.' ? result_of("pass", NULL)
                                                : result_of("fail", NULL));
        godwit_job_free(repetition);
    }
    assert_non_null(final);
    assert_null(godwit_confirm_give_up(confirm));
    godwit_job_free(job);
    godwit_confirm_free(confirm);
    return final;
}

static void test_stories(void **state)
{
    static const struct {
        const char *story, *status;
        int struck, runs;
    } rows[] = {
        {"..", "known", 0, 2},   {"x..", "known", 1, 3},   {"xxxx..", "known", 4, 6},
        {"xxxxx", "fail", 5, 5}, {".xxxxx", "fail", 5, 6}, {"xx!", "fail", 2, 3},
        {"xxi", "error", 2, 2},  {"i", "error", 0, 0},     {".xxxx.", "known", 4, 6},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) final = confirm_by(rows[i].story);
        const json_t *measurements =
            json_object_get(json_object_get(final, "measurements"), "confirmation");
        if (strcmp(godwit_json_string(final, "status", ""), rows[i].status) != 0)
            fail_msg("story %s ends as %s", rows[i].story, godwit_json_string(final, "status", ""));
        assert_int_equal(godwit_json_integer(measurements, "struck", -1), rows[i].struck);
        assert_int_equal(godwit_json_integer(measurements, "runs", -1), rows[i].runs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_stories),
    };
    return cmocka_run_group_tests_name("confirm", tests, NULL, NULL);
}
