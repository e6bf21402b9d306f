/*
 * The format json: one object with the summary and every result, written at the end.
 * docs/results.schema.json describes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    g_autoptr(json_t) document = json_pack(
        "{s:i, s:O*, s:O*, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b}, s:O}", "format",
        GODWIT_RESULTS_FORMAT, "about", reporter->about, "selection", reporter->selection,
        "summary", "passed", (int)summary->passed, "known", (int)summary->known, "failed",
        (int)summary->failed, "skipped", (int)summary->skipped, "errors", (int)summary->errors,
        "not_run", (int)summary->not_run, "seconds", summary->seconds, "interrupted",
        summary->interrupted, "results", reporter->results);
    g_autofree char *text = godwit_json_dump(document, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    fputs(text, reporter->out);
    fputc('\n', reporter->out);
}

void godwit_report_json(struct godwit_reporter *reporter)
{
    reporter->wants_about = true;
    reporter->result = godwit_report_collect;
    reporter->end = end;
}
