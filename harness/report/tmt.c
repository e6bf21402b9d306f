/*
 * The format tmt: results.yaml of a test with `result: custom`, for the Test Management Tool. JSON
 * is YAML, and needs no rules of its own for text of foreign origin.
 *
 * A result's name begins with a slash, as tmt demands, and has target and scenario as its parts.
 * A known bug that is excused is "info", because tmt takes "warn" for a failure. A scenario that
 * could not run is "error", so that no plan takes it for a success.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/text.h"
#include <string.h>

static const char *outcome_of(const json_t *result)
{
    static const char *const outcomes[][2] = {
        {"pass", "pass"}, {"known", "info"}, {"fail", "fail"}, {"skip", "skip"}};
    const char *status = godwit_json_string(result, "status", "");
    for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++)
        if (!strcmp(status, outcomes[i][0]))
            return outcomes[i][1];
    return "error";
}

/* Returns "/TARGET/SCENARIO", and "/REPETITION" if there are several. The caller frees it. */
static char *name_of(const json_t *result)
{
    g_autofree char *target = godwit_text_line(godwit_report_target(result));
    g_autofree char *scenario = godwit_text_line(godwit_json_string(result, "scenario", ""));
    g_strdelimit(target, " /", '-');
    if (godwit_json_integer(result, "repetitions", 1) == 1)
        return g_strdup_printf("/%s/%s", target, scenario);
    return g_strdup_printf("/%s/%s/%" JSON_INTEGER_FORMAT, target, scenario,
                           godwit_json_integer(result, "repetition", 1));
}

/* Returns how long the result took, as HH:MM:SS. The caller frees it. */
static char *duration_of(const json_t *result)
{
    /* A number from a file may be anything. */
    const double ms = CLAMP(json_number_value(json_object_get(result, "ms")), 0, 1e12);
    const gint64 seconds = (gint64)(ms / 1000 + 0.5);
    return g_strdup_printf("%02" G_GINT64_FORMAT ":%02d:%02d", seconds / 3600,
                           (int)(seconds / 60 % 60), (int)(seconds % 60));
}

static json_t *entry_of(const json_t *result)
{
    g_autofree char *name = name_of(result);
    g_autofree char *duration = duration_of(result);
    g_autofree char *message = godwit_text_line(godwit_json_string(result, "message", ""));
    g_autofree char *proof =
        godwit_result_passed(result) ? godwit_report_proof(result) : g_steal_pointer(&message);
    g_autoptr(GString) note = g_string_new(proof);
    size_t i;
    json_t *bug;
    json_array_foreach(godwit_report_bugs(result), i, bug)
    {
        g_autofree char *id = godwit_text_line(godwit_json_string(bug, "id", ""));
        g_string_append_printf(note, "%sknown bug %s", note->len ? "; " : "", id);
    }
    return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "result", outcome_of(result), "duration",
                     duration, "note", note->str);
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    size_t i;
    json_t *result;
    g_autoptr(json_t) entries = json_array();
    (void)summary;
    json_array_foreach(reporter->results, i, result)
    {
        json_array_append_new(entries, entry_of(result));
    }
    g_autofree char *text = godwit_json_dump(entries, JSON_INDENT(2));
    fprintf(reporter->out, "%s\n", text);
}

void godwit_report_tmt(struct godwit_reporter *reporter)
{
    reporter->result = godwit_report_collect;
    reporter->end = end;
}
