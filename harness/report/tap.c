/*
 * TAP, version 13: a test point a result, the bug report as a YAML block, the plan last.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include <string.h>

static void begin(struct godwit_reporter *reporter, unsigned planned)
{
    fputs("TAP version 13\n", reporter->out);
    if (planned)
        fprintf(reporter->out, "1..%u\n", planned);
    fflush(reporter->out);
}

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    const bool pass = godwit_report_passed(result_), skip = !strcmp(status, "skip");
    fprintf(reporter->out, "%s %u - %s %s", pass || skip ? "ok" : "not ok", ++reporter->number,
            godwit_json_string(result_, "arch", ""), godwit_json_string(result_, "scenario", ""));
    if (godwit_json_integer(result_, "repetitions", 1) != 1)
        fprintf(reporter->out, ", repetition %" JSON_INTEGER_FORMAT,
                godwit_json_integer(result_, "repetition", 1));
    if (skip)
        fprintf(reporter->out, " # SKIP %s", godwit_json_string(result_, "message", ""));
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
    /* An endless run's plan is known only now; one that was cut short says so. */
    if (!summary->planned)
        fprintf(reporter->out, "1..%u\n", reporter->number);
    else if (reporter->number < summary->planned)
        fprintf(reporter->out, "Bail out! %s\n",
                summary->interrupted ? "interrupted" : "ended at the first failure");
    fflush(reporter->out);
}

void godwit_report_tap(struct godwit_reporter *reporter)
{
    reporter->begin = begin;
    reporter->result = result;
    reporter->end = end;
}
