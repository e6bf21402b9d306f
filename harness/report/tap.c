/*
 * The format tap: TAP, version 13. Each result is a test point with its bug report as a YAML block,
 * after a test point for each of its checks. The plan comes last, because only then the number of
 * points is known. No quoted text can look like a line of TAP: descriptions are one line with TAP's
 * own characters escaped, and the lines of a block are indented further than its end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/text.h"
#include <string.h>

/* Returns TEXT as a part of a description, or as the reason of a directive. There "#" begins a
 * directive, and a backslash escapes it. The caller frees it. */
static char *word(const char *text)
{
    g_autofree char *line = godwit_text_line(text);
    GString *escaped = g_string_new(NULL);
    for (const char *c = line; *c; c++) {
        if (*c == '#' || *c == '\\')
            g_string_append_c(escaped, '\\');
        g_string_append_c(escaped, *c);
    }
    return g_string_free(escaped, FALSE);
}

/* Returns TEXT as a YAML scalar in single quotes. The caller frees it. */
static char *scalar(const char *text)
{
    g_autofree char *line = godwit_text_line(text);
    g_auto(GStrv) parts = g_strsplit(line, "'", -1);
    g_autofree char *doubled = g_strjoinv("''", parts);
    return g_strdup_printf("'%s'", doubled);
}

/* Writes a test point without a directive or a line end. */
static void point(struct godwit_reporter *reporter, bool good, const json_t *result_,
                  const char *check)
{
    g_autofree char *target = word(godwit_report_target(result_));
    g_autofree char *scenario = word(godwit_json_string(result_, "scenario", ""));
    fprintf(reporter->out, "%s %u - %s %s", good ? "ok" : "not ok", ++reporter->points, target,
            scenario);
    if (check) {
        g_autofree char *name = word(check);
        fprintf(reporter->out, ": %s", name);
    }
}

static void skipped(struct godwit_reporter *reporter, const char *reason)
{
    g_autofree char *why = word(reason);
    fprintf(reporter->out, " # SKIP %s", why);
}

static void begin(struct godwit_reporter *reporter, unsigned planned)
{
    (void)planned;
    fputs("TAP version 13\n", reporter->out);
    fflush(reporter->out);
}

static void checks(struct godwit_reporter *reporter, const json_t *result_)
{
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(json_object_get(result_, "measurements"), "checks"), i,
                       check)
    {
        const char *problem = godwit_json_string(check, "problem", NULL);
        const char *skip = godwit_json_string(check, "skip", NULL);
        const char *known = godwit_json_string(check, "known", NULL);
        point(reporter, !problem, result_, godwit_json_string(check, "name", ""));
        if (skip) {
            skipped(reporter, skip);
        } else if (known) {
            g_autofree char *bug = word(known);
            fprintf(reporter->out, " (does not hold: QEMU bug %s)", bug);
        }
        fputc('\n', reporter->out);
    }
}

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    const bool pass = godwit_result_passed(result_), skip = !strcmp(status, "skip");
    reporter->number++;
    checks(reporter, result_);
    point(reporter, pass || skip, result_, NULL);
    if (godwit_json_integer(result_, "repetitions", 1) != 1)
        fprintf(reporter->out, ", repetition %" JSON_INTEGER_FORMAT,
                godwit_json_integer(result_, "repetition", 1));
    if (skip)
        skipped(reporter, godwit_json_string(result_, "message", ""));
    fputc('\n', reporter->out);
    if (!skip) {
        g_autofree char *proof = godwit_report_proof(result_);
        g_autofree char *details = pass ? NULL : godwit_report_details(result_, "    ");
        fprintf(reporter->out, "  ---\n  duration_ms: %.1f\n",
                json_number_value(json_object_get(result_, "ms")));
        g_autofree char *known = godwit_report_known(result_, "    ");
        g_autofree char *quoted = scalar(proof);
        if (pass)
            fprintf(reporter->out, "  proof: %s\n", quoted);
        if (*known)
            fprintf(reporter->out, "  known_bugs: |\n%s", known);
        if (!pass)
            fprintf(reporter->out, "  report: |\n%s", details);
        fputs("  ...\n", reporter->out);
    }
    fflush(reporter->out);
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    (void)summary; /* a run that was cut short also reports a point for each scenario */
    fprintf(reporter->out, "1..%u\n", reporter->points);
    fflush(reporter->out);
}

void godwit_report_tap(struct godwit_reporter *reporter)
{
    reporter->begin = begin;
    reporter->result = result;
    reporter->end = end;
}
