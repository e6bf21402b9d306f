/*
 * The format html: one file that needs no other. It begins with a matrix of families and targets,
 * and a table of all results: failures first, skips last and folded away. Below it, each result
 * that failed, met a known bug or was measured has a section with the message, what was measured, a
 * picture of the pages, a timeline and the whole report. Written at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "report/bundle.h"
#include "report/html_matrix.h"
#include "report/measured.h"
#include "report/page.h"
#include <string.h>

/* Squares in a row of a picture of pages, and their size in pixels. */
#define COLUMNS 64
#define SQUARE  10

/* Returns true if the result has a section of its own below the table. */
static bool has_section(const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    if (godwit_measured_has(json_object_get(result_, "measurements")))
        return true;
    return strcmp(status, "pass") != 0 && strcmp(status, "skip") != 0 &&
           !godwit_result_is_not_run(result_);
}

static void put(GString *out, const char *before, const char *text, const char *after)
{
    godwit_page_text(out, before, text, after);
}

static void row(GString *out, const struct godwit_html_matrix *matrix, const json_t *result_,
                size_t index)
{
    const char *word = godwit_report_word(result_);
    g_autofree char *proof = godwit_result_passed(result_)
                                 ? godwit_report_proof(result_)
                                 : g_strdup(godwit_json_string(result_, "message", ""));
    g_autofree char *attributes = godwit_html_matrix_row(matrix, index);
    g_string_append_printf(out, "<tr %s><td class=\"%s\">%s</td>", attributes, word, word);
    put(out, "<td>", godwit_report_target(result_), "</td>");
    if (has_section(result_))
        g_string_append_printf(out, "<td><a href=\"#r%zu\">", index);
    put(out, has_section(result_) ? "" : "<td>", godwit_json_string(result_, "scenario", ""),
        has_section(result_) ? "</a>" : "");
    g_string_append_printf(out, "</td><td class=\"num\">%.2f s</td>",
                           json_number_value(json_object_get(result_, "ms")) / 1000);
    put(out, "<td>", proof, "</td></tr>\n");
}

/* What a page's square stands for. */
static const struct {
    char kind;
    const char *colour, *name;
} kinds[] = {
    {'.', "#d8e8d8", "right"},     {'s', "#e08020", "stale"}, {'0', "#404040", "zero"},
    {'m', "#8040c0", "misplaced"}, {'t', "#c02060", "torn"},  {'f', "#d02020", "foreign"},
};

static const char *colour_of(char kind)
{
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].colour;
    return "#000000"; /* of several kinds */
}

/* Draws a square for each character of the picture. The characters come from a fixed set, but are
 * not trusted: any other one becomes a black square. */
static void map(GString *out, const json_t *map_)
{
    const char *picture = godwit_json_string(map_, "picture", "");
    const size_t length = strlen(picture), rows = (length + COLUMNS - 1) / COLUMNS;
    put(out, "<p>Pages of the ", godwit_json_string(map_, "vm", ""), "");
    g_string_append_printf(
        out, ", %" JSON_INTEGER_FORMAT " to a square:", godwit_json_integer(map_, "step", 1));
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_string_append_printf(out, " <span class=\"swatch\" style=\"background:%s\"></span> %s,",
                               kinds[i].colour, kinds[i].name);
    g_string_append(out, " or of several kinds (black).</p>\n");
    g_string_append_printf(
        out,
        "<svg width=\"%d\" height=\"%zu\" role=\"img\" style=\"background:#fff\">"
        "<title>Pages</title>\n",
        COLUMNS * SQUARE, rows * SQUARE);
    for (size_t i = 0; i < length; i++)
        g_string_append_printf(
            out, "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" fill=\"%s\"/>%s",
            i % COLUMNS * SQUARE, i / COLUMNS * SQUARE, SQUARE - 1, SQUARE - 1,
            colour_of(picture[i]), i % COLUMNS == COLUMNS - 1 ? "\n" : "");
    g_string_append(out, "</svg>\n");
}

static void timeline(GString *out, const json_t *list)
{
    size_t i;
    json_t *moment;
    if (!json_array_size(list))
        return;
    g_string_append(out, "<table>\n<tr><th>s</th><th>where</th><th>what</th></tr>\n");
    json_array_foreach(list, i, moment)
    {
        g_string_append_printf(out, "<tr><td>%.6f</td>",
                               json_number_value(json_object_get(moment, "at")));
        put(out, "<td>", godwit_json_string(moment, "vm", ""), "</td>");
        put(out, "<td>", godwit_json_string(moment, "what", ""), "</td></tr>\n");
    }
    g_string_append(out, "</table>\n");
}

static void section(GString *out, const json_t *result_, size_t index)
{
    size_t i;
    json_t *map_;
    g_autofree char *report = godwit_report_bundle(result_);
    g_string_append_printf(out, "<h2 id=\"r%zu\" class=\"%s\">", index,
                           godwit_report_word(result_));
    put(out, "", godwit_report_target(result_), " ");
    put(out, "", godwit_json_string(result_, "scenario", ""), "</h2>\n");
    put(out, "<p>", godwit_json_string(result_, "message", ""), "</p>\n");
    const json_t *measurements = json_object_get(result_, "measurements");
    if (godwit_measured_has(measurements))
        godwit_measured_write(out, measurements, godwit_json_string(result_, "scenario", ""));
    g_autofree char *known = godwit_report_known(result_, "");
    if (*known)
        godwit_page_code(out, known);
    json_array_foreach(json_object_get(json_object_get(result_, "measurements"), "pages"), i, map_)
    {
        map(out, map_);
    }
    timeline(out, json_object_get(result_, "timeline"));
    g_string_append(out, "<details><summary>The whole report</summary>");
    godwit_page_code(out, report);
    g_string_append(out, "</details>\n");
}

/* Writes the rows of all results with that word. NOT_RUN selects either the results of scenarios
 * that were not run, or all others. */
static void rows(GString *out, const struct godwit_html_matrix *matrix, const json_t *results,
                 const char *word, bool not_run)
{
    size_t i;
    json_t *result_;
    json_array_foreach(results, i, result_)
    {
        if (!strcmp(godwit_report_word(result_), word) &&
            godwit_result_is_not_run(result_) == not_run)
            row(out, matrix, result_, i);
    }
}

/* Writes the sections of all results with that word. */
static void sections(GString *out, const json_t *results, const char *word)
{
    size_t i;
    json_t *result_;
    json_array_foreach(results, i, result_)
    {
        if (!strcmp(godwit_report_word(result_), word) && has_section(result_))
            section(out, result_, i);
    }
}

/* What is tested: two columns. */
static void about(GString *out, const json_t *about_)
{
    static const char *const names[][2] = {
        {"kit", "Godwit"}, {"date", "date"}, {"host", "host"}, {"command", "command"}};
    const char *path;
    json_t *qemu;
    if (!about_)
        return;
    g_string_append(out, "<table>\n");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        put(out, "<tr><th>", names[i][1], "</th>");
        put(out, "<td>", godwit_json_string(about_, names[i][0], ""), "</td></tr>\n");
    }
    json_object_foreach(json_object_get(about_, "qemus"), path, qemu)
    {
        const char *checksum = godwit_json_string(qemu, "sha256", "unknown");
        put(out, "<tr><th>QEMU ", godwit_json_string(qemu, "version", ""), "</th>");
        put(out, "<td>", path, ", ");
        put(out, "", godwit_json_string(qemu, "package", ""), "");
        put(out, ", sha256 ", checksum, "</td></tr>\n");
    }
    g_string_append(out, "</table>\n");
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    static const char *const order[] = {"FAIL", "ERROR", "known", "ok"};
    GString *out = godwit_page_begin("Godwit");
    const json_t *results = reporter->results;
    g_string_append_printf(out,
                           "<p>%u passed, %u with a known bug of QEMU, %u failed, %u skipped, %u "
                           "could not be run, %u not run; %.1f s%s.</p>\n",
                           summary->passed, summary->known, summary->failed, summary->skipped,
                           summary->errors - summary->not_run, summary->not_run, summary->seconds,
                           summary->interrupted ? ", interrupted" : "");
    about(out, reporter->about);
    struct godwit_html_matrix *matrix = godwit_html_matrix_new(results);
    godwit_html_matrix_write(out, matrix);
    godwit_html_matrix_filters(out, matrix);
    g_string_append(out, "<div class=\"results\">\n<table>\n");
    rows(out, matrix, results, "FAIL", false);
    rows(out, matrix, results, "ERROR", false);
    rows(out, matrix, results, "ERROR", true);
    rows(out, matrix, results, "known", false);
    rows(out, matrix, results, "ok", false);
    g_string_append(out, "</table>\n");
    if (summary->skipped) {
        g_string_append_printf(out, "<details><summary>%u skipped</summary>\n<table>\n",
                               summary->skipped);
        rows(out, matrix, results, "skip", false);
        g_string_append(out, "</table>\n</details>\n");
    }
    g_string_append(out, "</div>\n");
    godwit_html_matrix_free(matrix);
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        sections(out, results, order[i]);
    godwit_page_end(out);
    fputs(out->str, reporter->out);
    g_string_free(out, TRUE);
}

void godwit_report_html(struct godwit_reporter *reporter)
{
    reporter->wants_about = true;
    reporter->result = godwit_report_collect;
    reporter->end = end;
}
