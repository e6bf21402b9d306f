/*
 * The format junit: JUnit XML for CI systems. Each result is a test case, with the bug report as
 * the text of the failure. Written at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include <string.h>

/* Writes the known bugs that the result met. */
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

/* Returns the class name of a result: its target, without the blanks and dots that CI systems split
 * names at. The caller frees it. */
static char *class_of(const json_t *result_)
{
    char *name = godwit_report_xml_line(godwit_report_target(result_));
    g_strdelimit(name, " ", '_');
    return g_strdelimit(name, ".", '-');
}

static void test_case(FILE *out, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    g_autofree char *target = class_of(result_);
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

/* Writes a property of the run. */
static void property(FILE *out, const char *name, const char *value)
{
    g_autofree char *left = godwit_report_xml_line(name);
    g_autofree char *right = godwit_report_xml_line(value);
    fprintf(out, "      <property name=\"%s\" value=\"%s\"/>\n", left, right);
}

/* Writes what is tested. */
static void about(FILE *out, const json_t *about_)
{
    static const char *const names[] = {"kit", "date", "host", "command"};
    const char *path;
    json_t *qemu;
    if (!about_)
        return;
    fputs("    <properties>\n", out);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        property(out, names[i], godwit_json_string(about_, names[i], ""));
    json_object_foreach(json_object_get(about_, "qemus"), path, qemu)
    {
        g_autofree char *value = g_strdup_printf(
            "%s, %s, sha256 %s", godwit_json_string(qemu, "version", ""),
            godwit_json_string(qemu, "package", ""), godwit_json_string(qemu, "sha256", "unknown"));
        property(out, path, value);
    }
    fputs("    </properties>\n", out);
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
    about(out, reporter->about);
    json_array_foreach(reporter->results, i, result_) test_case(out, result_);
    fputs("  </testsuite>\n</testsuites>\n", out);
}

void godwit_report_junit(struct godwit_reporter *reporter)
{
    reporter->wants_about = true;
    reporter->result = godwit_report_collect;
    reporter->end = end;
}
