/*
 * TAP, version 13: a test point a result, and one before it for each check that it consists of; the
 * bug report as a YAML block; the plan last, for only then is the number of points known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include <string.h>

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
    json_array_foreach(json_object_get(json_object_get(result_, "facts"), "checks"), i, check)
    {
        const char *problem = godwit_json_string(check, "problem", NULL);
        const char *skip = godwit_json_string(check, "skip", NULL);
        const char *known = godwit_json_string(check, "known", NULL);
        fprintf(reporter->out, "%s %u - %s %s: %s", problem ? "not ok" : "ok", ++reporter->points,
                godwit_report_target(result_), godwit_json_string(result_, "scenario", ""),
                godwit_json_string(check, "name", ""));
        if (skip)
            fprintf(reporter->out, " # SKIP %s", skip);
        else if (known)
            fprintf(reporter->out, " (does not hold: QEMU bug %s)", known);
        fputc('\n', reporter->out);
    }
}

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    const bool pass = godwit_report_passed(result_), skip = !strcmp(status, "skip");
    reporter->number++;
    checks(reporter, result_);
    fprintf(reporter->out, "%s %u - %s %s", pass || skip ? "ok" : "not ok", ++reporter->points,
            godwit_report_target(result_), godwit_json_string(result_, "scenario", ""));
    if (godwit_json_integer(result_, "repetitions", 1) != 1)
        fprintf(reporter->out, ", repetition %" JSON_INTEGER_FORMAT,
                godwit_json_integer(result_, "repetition", 1));
    if (skip) {
        g_autofree char *why = godwit_report_line(godwit_json_string(result_, "message", ""));
        fprintf(reporter->out, " # SKIP %s", why);
    }
    fputc('\n', reporter->out);
    if (!skip) {
        g_autofree char *proof = godwit_report_proof(result_);
        g_autofree char *details = pass ? NULL : godwit_report_details(result_, "    ");
        fprintf(reporter->out, "  ---\n  duration_ms: %.1f\n",
                json_number_value(json_object_get(result_, "ms")));
        g_autofree char *known = godwit_report_known(result_, "    ");
        if (pass)
            fprintf(reporter->out, "  proof: '%s'\n", proof);
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
    /* One that was cut short says so. */
    if (reporter->number < summary->planned || summary->interrupted)
        fprintf(reporter->out, "Bail out! %s\n",
                summary->interrupted ? "interrupted" : "ended at the first failure");
    else
        fprintf(reporter->out, "1..%u\n", reporter->points);
    fflush(reporter->out);
}

void godwit_report_tap(struct godwit_reporter *reporter)
{
    reporter->begin = begin;
    reporter->result = result;
    reporter->end = end;
}
