/*
 * The format csv: a line for each result, as RFC 4180 says, for spreadsheets and scripts. No cell
 * is taken for a formula: an apostrophe comes before what a spreadsheet would calculate.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "report/figures.h"

/* Writes a cell with a number, which is empty if there is none. */
static void figure(FILE *out, const json_t *value)
{
    if (json_is_number(value))
        fprintf(out, ",%.6g", json_number_value(value));
    else
        fputc(',', out);
}

static void begin(struct godwit_reporter *reporter, unsigned planned)
{
    (void)planned;
    fputs("target,scenario,repetition,status,kind,arch,source_version,destination_version,machine,"
          "accel,ms,blackout_ms,known_bugs,message\n",
          reporter->out);
}

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    static const char *const texts[] = {
        "status", "kind", "arch", "source_version", "destination_version", "machine", "accel"};
    FILE *out = reporter->out;
    size_t i;
    json_t *bug;
    g_autoptr(GString) bugs = g_string_new(NULL);
    json_array_foreach(godwit_report_bugs(result_), i, bug)
    {
        g_string_append_printf(bugs, "%s%s", i ? " " : "", godwit_json_string(bug, "id", ""));
    }
    godwit_csv_cell(out, "", godwit_report_target(result_));
    godwit_csv_cell(out, ",", godwit_json_string(result_, "scenario", ""));
    fprintf(out, ",%" JSON_INTEGER_FORMAT, godwit_json_integer(result_, "repetition", 1));
    for (i = 0; i < G_N_ELEMENTS(texts); i++)
        godwit_csv_cell(out, ",", godwit_json_string(result_, texts[i], ""));
    figure(out, json_object_get(result_, "ms"));
    figure(out, json_object_get(json_object_get(result_, "measurements"), "blackout_ms"));
    godwit_csv_cell(out, ",", bugs->str);
    godwit_csv_cell(out, ",", godwit_json_string(result_, "message", ""));
    fputc('\n', out);
    fflush(out);
}

void godwit_report_csv(struct godwit_reporter *reporter)
{
    reporter->begin = begin;
    reporter->result = result;
}
