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

/* What a page's square stands for. Its letter is drawn in INK, so that kinds can be told apart
 * without colours; the right ones have none. */
static const struct {
    char kind;
    const char *colour, *ink, *name;
} kinds[] = {
    {'.', "#d8e8d8", NULL, "right"},
    {'s', "#e08020", "light", "stale"},
    {'0', "#404040", "dark", "zero"},
    {'m', "#8040c0", "dark", "misplaced"},
    {'t', "#c02060", "dark", "torn"},
    {'f', "#d02020", "dark", "foreign"},
    {'*', "#000000", "dark", "of several kinds"},
};

/* Returns the number of a kind. The characters of a picture come from a fixed set, but are not
 * trusted: any other one counts as several kinds. */
static size_t kind_of(char kind)
{
    size_t i = 0;
    while (i + 1 < G_N_ELEMENTS(kinds) && kinds[i].kind != kind)
        i++;
    return i;
}

/* Draws the square number PLACE of a picture. */
static void square(GString *out, size_t place, size_t kind)
{
    const size_t x = place % COLUMNS * SQUARE, y = place / COLUMNS * SQUARE;
    g_string_append_printf(out,
                           "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" fill=\"%s\"/>", x,
                           y, SQUARE - 1, SQUARE - 1, kinds[kind].colour);
    g_string_append_printf(out, "<text class=\"sign %s\" x=\"%.1f\" y=\"%zu\">%c</text>\n",
                           kinds[kind].ink, (double)x + 4.5, y + 7, kinds[kind].kind);
}

/* Draws LENGTH right squares: nearly all are, and thousands of pictures can be on a page, so that
 * they are not drawn one by one but as areas with a grid of lines. */
static void right_squares(GString *out, size_t length)
{
    const size_t whole = length / COLUMNS, rest = length % COLUMNS;
    if (whole)
        g_string_append_printf(out, "<rect width=\"%d\" height=\"%zu\" fill=\"%s\"/>",
                               COLUMNS * SQUARE, whole * SQUARE, kinds[0].colour);
    if (rest)
        g_string_append_printf(out, "<rect y=\"%zu\" width=\"%zu\" height=\"%d\" fill=\"%s\"/>",
                               whole * SQUARE, rest * SQUARE, SQUARE, kinds[0].colour);
    g_string_append(out, "<path stroke=\"#fff\" d=\"");
    for (size_t column = 1; column <= COLUMNS; column++)
        g_string_append_printf(out, "M%zu.5 0v%zu", column * SQUARE - 1,
                               (whole + (rest > 0)) * SQUARE);
    for (size_t row_ = 1; row_ <= whole + (rest > 0); row_++)
        g_string_append_printf(out, "M0 %zu.5h%d", row_ * SQUARE - 1, COLUMNS * SQUARE);
    g_string_append(out, "\"/>\n");
}

/* Draws a square for each character of the picture. Its title counts them. */
static void map(GString *out, const json_t *map_)
{
    const char *picture = godwit_json_string(map_, "picture", "");
    const char *vm = godwit_json_string(map_, "vm", "");
    const json_int_t step = godwit_json_integer(map_, "step", 1);
    const size_t length = strlen(picture), rows = (length + COLUMNS - 1) / COLUMNS;
    size_t counts[G_N_ELEMENTS(kinds)] = {0};
    for (size_t i = 0; i < length; i++)
        counts[kind_of(picture[i])]++;
    put(out, "<p>Pages of the ", vm, "");
    g_string_append_printf(out, ", %" JSON_INTEGER_FORMAT " to a square:", step);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_string_append_printf(
            out, "%s <span class=\"swatch\" style=\"background:%s\"></span> %s%c%s%s", i ? "," : "",
            kinds[i].colour, kinds[i].ink ? "" : "no letter", kinds[i].ink ? kinds[i].kind : ' ',
            kinds[i].ink ? ": " : "is ", kinds[i].name);
    g_string_append_printf(out,
                           ".</p>\n<svg width=\"%d\" height=\"%zu\" role=\"img\" "
                           "style=\"background:#fff\"><title>",
                           COLUMNS * SQUARE, rows * SQUARE);
    put(out, "Pages of the ", vm, "");
    g_string_append_printf(out, " in %zu squares of %" JSON_INTEGER_FORMAT ":", length, step);
    for (size_t i = 0, named = 0; i < G_N_ELEMENTS(kinds); i++)
        if (counts[i])
            g_string_append_printf(out, "%s %zu %s", named++ ? "," : "", counts[i], kinds[i].name);
    g_string_append(out, "</title>\n");
    right_squares(out, length);
    for (size_t i = 0; i < length; i++)
        if (kind_of(picture[i]))
            square(out, i, kind_of(picture[i]));
    g_string_append(out, "</svg>\n");
}

/* Returns the link from a page in the folder HERE to the folder THERE, both absolute: relative if
 * they have more in common than the root, so that both can be moved together. It cannot be the name
 * of a scheme. The caller frees it. */
static char *link_to(const char *here, const char *there)
{
    g_auto(GStrv) from = g_strsplit(here, "/", -1), to = g_strsplit(there, "/", -1);
    g_autoptr(GString) path = g_string_new(NULL);
    guint common = 0;
    while (from[common] && to[common] && !strcmp(from[common], to[common]))
        common++;
    if (common < 2) {
        g_autofree char *whole = g_uri_escape_string(there, "/", FALSE);
        return g_strconcat("file://", whole, NULL);
    }
    for (guint i = common; from[i]; i++)
        g_string_append(path, "../");
    if (!path->len)
        g_string_append(path, "./");
    for (guint i = common; to[i]; i++) {
        g_autofree char *part = g_uri_escape_string(to[i], NULL, FALSE);
        g_string_append_printf(path, "%s/", part);
    }
    return g_string_free(g_steal_pointer(&path), FALSE);
}

/* Links to the folder of a result that has kept its files. */
static void files(GString *out, const struct godwit_reporter *reporter, const json_t *result_)
{
    const char *folder = godwit_json_string(result_, "folder", NULL);
    if (!folder || !*folder)
        return;
    /* A page on standard output is most often redirected to a file in the current folder. */
    g_autofree char *page = g_canonicalize_filename(reporter->path ? reporter->path : "-", NULL);
    g_autofree char *here = g_path_get_dirname(page);
    g_autofree char *there = g_canonicalize_filename(folder, NULL);
    g_autofree char *link = link_to(here, there);
    put(out, "<p>Its files: <a href=\"", link, "\">");
    put(out, "", folder, "</a></p>\n");
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

static void section(GString *out, const struct godwit_reporter *reporter, const json_t *result_,
                    size_t index)
{
    size_t i;
    json_t *map_;
    g_autofree char *report = godwit_report_bundle(result_);
    g_string_append_printf(out, "<h2 id=\"r%zu\" class=\"%s\">", index,
                           godwit_report_word(result_));
    put(out, "", godwit_report_target(result_), " ");
    put(out, "", godwit_json_string(result_, "scenario", ""), "</h2>\n");
    put(out, "<p>", godwit_json_string(result_, "message", ""), "</p>\n");
    files(out, reporter, result_);
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
static void sections(GString *out, const struct godwit_reporter *reporter, const char *word)
{
    size_t i;
    json_t *result_;
    json_array_foreach(reporter->results, i, result_)
    {
        if (!strcmp(godwit_report_word(result_), word) && has_section(result_))
            section(out, reporter, result_, i);
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
    godwit_html_matrix_script(out, matrix);
    godwit_html_matrix_free(matrix);
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        sections(out, reporter, order[i]);
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
