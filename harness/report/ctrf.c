/*
 * The format ctrf: Common Test Report Format, JSON for dashboards (https://ctrf.io). Written at the
 * end. A scenario that could not run counts as failed, so that no gate takes it for a success.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/text.h"
#include "base/version.h"
#include <string.h>

/* The version of CTRF's specification. */
#define SPECIFICATION "0.0.0"

static const char *status_of(const json_t *result)
{
    if (godwit_result_passed(result))
        return "passed";
    return strcmp(godwit_json_string(result, "status", "fail"), "skip") != 0 ? "failed" : "skipped";
}

static json_t *test_of(const json_t *result)
{
    const char *status = godwit_json_string(result, "status", "fail");
    const json_int_t repetition = godwit_json_integer(result, "repetition", 1);
    g_autofree char *target = godwit_text_line(godwit_report_target(result));
    g_autofree char *scenario = godwit_text_line(godwit_json_string(result, "scenario", ""));
    g_autofree char *name =
        godwit_json_integer(result, "repetitions", 1) == 1
            ? g_strdup(scenario)
            : g_strdup_printf("%s #%" JSON_INTEGER_FORMAT, scenario, repetition);
    g_autofree char *message = godwit_text_tame(godwit_json_string(result, "message", ""));
    json_t *test =
        json_pack("{s:s, s:s, s:I, s:[s], s:s, s:s}", "name", name, "status", status_of(result),
                  "duration", (json_int_t)json_number_value(json_object_get(result, "ms")), "suite",
                  target, "rawStatus", status, "message", message);
    size_t i;
    json_t *bug;
    json_array_foreach(godwit_report_bugs(result), i, bug)
    {
        g_autofree char *id = godwit_text_line(godwit_json_string(bug, "id", ""));
        json_array_append_new(godwit_json_list(test, "tags"), json_string(id));
    }
    if (godwit_result_passed(result)) {
        g_autofree char *proof = godwit_report_proof(result);
        json_object_set_new(test, "message", json_string(proof));
    } else if (strcmp(status, "skip") != 0) {
        g_autofree char *details = godwit_report_details(result, "");
        json_object_set_new(test, "trace", json_string(details));
    }
    return test;
}

/* Returns when the run began, in ms since 1970; 0 if that is not known. */
static json_int_t start_of(const json_t *about)
{
    g_autoptr(GDateTime) date =
        g_date_time_new_from_iso8601(godwit_json_string(about, "date", ""), NULL);
    return date ? g_date_time_to_unix(date) * 1000 : 0;
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    const json_int_t start = start_of(reporter->about);
    const json_int_t duration = (json_int_t)(summary->seconds * 1000);
    g_autofree char *host = godwit_text_line(godwit_json_string(reporter->about, "host", ""));
    g_autofree char *version =
        godwit_text_line(godwit_json_string(reporter->about, "kit", GODWIT_VERSION));
    size_t i;
    json_t *result;
    g_autoptr(json_t) tests = json_array();
    json_array_foreach(reporter->results, i, result)
    {
        json_array_append_new(tests, test_of(result));
    }
    g_autoptr(json_t) document = json_pack(
        "{s:s, s:s, s:s, s:{s:{s:s, s:s}, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I}, s:O, "
        "s:{s:{s:s}}}}",
        "reportFormat", "CTRF", "specVersion", SPECIFICATION, "generatedBy", "godwit", "results",
        "tool", "name", "godwit", "version", version, "summary", "tests",
        (int)json_array_size(tests), "passed", (int)(summary->passed + summary->known), "failed",
        (int)(summary->failed + summary->errors), "skipped", (int)summary->skipped, "pending", 0,
        "other", 0, "start", start, "stop", start + duration, "tests", tests, "environment",
        "extra", "host", host);
    g_autofree char *text = godwit_json_dump(document, JSON_INDENT(2));
    fprintf(reporter->out, "%s\n", text);
}

void godwit_report_ctrf(struct godwit_reporter *reporter)
{
    reporter->wants_about = true;
    reporter->result = godwit_report_collect;
    reporter->end = end;
}
