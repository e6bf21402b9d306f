/*
 * JUnit XML, as CI systems read it: a test case a result, the bug report as the failure's text.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include <string.h>

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    json_array_append(reporter->results, (json_t *)(uintptr_t)result_);
}

/* The known bugs that were met. */
static void properties(FILE *out, const json_t *result_)
{
    const json_t *bugs = godwit_report_bugs(result_);
    size_t i;
    json_t *bug;
    if (!json_array_size(bugs))
        return;
    fputs("<properties>", out);
    json_array_foreach(bugs, i, bug)
    {
        g_autofree char *id = godwit_report_xml(godwit_json_string(bug, "id", ""));
        fprintf(out, "<property name=\"known-bug\" value=\"%s\"/>", id);
    }
    fputs("</properties>\n", out);
}

static void test_case(FILE *out, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    g_autofree char *target = godwit_report_xml_line(godwit_report_target(result_));
    g_autofree char *name = godwit_report_xml_line(godwit_json_string(result_, "scenario", ""));
    g_autofree char *message = godwit_report_xml_line(godwit_json_string(result_, "message", ""));
    fprintf(out, "    <testcase classname=\"%s\" name=\"%s", target, name);
    if (godwit_json_integer(result_, "repetitions", 1) != 1)
        fprintf(out, " #%" JSON_INTEGER_FORMAT, godwit_json_integer(result_, "repetition", 1));
    fprintf(out, "\" time=\"%.3f\"", json_number_value(json_object_get(result_, "ms")) / 1000);
    if (godwit_result_passed(result_)) {
        g_autofree char *proof = godwit_report_proof(result_);
        g_autofree char *known = godwit_report_known(result_, "");
        g_autofree char *text = g_strconcat(proof, *known ? "\n" : "", known, NULL);
        g_autofree char *escaped = godwit_report_xml(text);
        fputs(">", out);
        properties(out, result_);
        fprintf(out, "<system-out>%s</system-out></testcase>\n", escaped);
        return;
    }
    fputs(">\n", out);
    properties(out, result_);
    if (!strcmp(status, "skip")) {
        fprintf(out, "      <skipped message=\"%s\"/>\n", message);
    } else {
        g_autofree char *details = godwit_report_details(result_, "");
        g_autofree char *escaped = godwit_report_xml(details);
        const char *kind = !strcmp(status, "error") ? "error" : "failure";
        fprintf(out, "      <%s message=\"%s\">%s</%s>\n", kind, message, escaped, kind);
    }
    fputs("    </testcase>\n", out);
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    FILE *out = reporter->out;
    size_t i;
    json_t *result_;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", out);
    fprintf(out,
            "  <testsuite name=\"godwit\" tests=\"%zu\" failures=\"%u\" errors=\"%u\""
            " skipped=\"%u\" time=\"%.3f\">\n",
            json_array_size(reporter->results), summary->failed, summary->errors, summary->skipped,
            summary->seconds);
    json_array_foreach(reporter->results, i, result_) test_case(out, result_);
    fputs("  </testsuite>\n</testsuites>\n", out);
}

void godwit_report_junit(struct godwit_reporter *reporter)
{
    reporter->result = result;
    reporter->end = end;
}
