/*
 * The matrix of a page of results, and its filters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/html_matrix.h"

#include "report/page.h"
#include "report/report.h"
#include <string.h>

struct godwit_html_matrix {
    const json_t *results;
    GPtrArray *families; /* names, sorted */
    GPtrArray *targets;  /* names, in the order of the results */
};

/* Status words, the worst first: the matrix shows the worst of a cell. */
static const char *const words[] = {"FAIL", "ERROR", "known", "ok", "skip"};

/* Returns the number of NAME in LIST, to which it is added if it is new. */
static guint number_of(GPtrArray *list, const char *name)
{
    guint i = 0;
    while (i < list->len && strcmp(g_ptr_array_index(list, i), name) != 0)
        i++;
    if (i == list->len)
        g_ptr_array_add(list, g_strdup(name));
    return i;
}

static char *family_of(const json_t *result)
{
    const char *scenario = godwit_json_string(result, "scenario", "");
    return g_strndup(scenario, strcspn(scenario, "/"));
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct godwit_html_matrix *godwit_html_matrix_new(const json_t *results)
{
    struct godwit_html_matrix *matrix = g_new0(struct godwit_html_matrix, 1);
    size_t i;
    json_t *result;
    matrix->results = results;
    matrix->families = g_ptr_array_new_with_free_func(g_free);
    matrix->targets = g_ptr_array_new_with_free_func(g_free);
    json_array_foreach(results, i, result)
    {
        g_autofree char *family = family_of(result);
        number_of(matrix->families, family);
        number_of(matrix->targets, godwit_report_target(result));
    }
    g_ptr_array_sort(matrix->families, compare_names);
    return matrix;
}

void godwit_html_matrix_free(struct godwit_html_matrix *matrix)
{
    g_ptr_array_unref(matrix->families);
    g_ptr_array_unref(matrix->targets);
    g_free(matrix);
}

/* The results of one family on one target. */
struct cell {
    unsigned count[G_N_ELEMENTS(words)]; /* by word */
    unsigned all;
    size_t worst[G_N_ELEMENTS(words)]; /* the first result of each word */
};

static size_t word_number(const json_t *result)
{
    const char *word = godwit_report_word(result);
    size_t i = 0;
    while (i + 1 < G_N_ELEMENTS(words) && strcmp(words[i], word) != 0)
        i++;
    return i;
}

/* Counts the results into CELLS, row by row. */
static void count(const struct godwit_html_matrix *matrix, struct cell *cells)
{
    size_t i;
    json_t *result;
    json_array_foreach(matrix->results, i, result)
    {
        g_autofree char *family = family_of(result);
        const guint row = number_of(matrix->families, family);
        const guint column = number_of(matrix->targets, godwit_report_target(result));
        struct cell *cell = &cells[row * matrix->targets->len + column];
        const size_t word = word_number(result);
        if (!cell->count[word]++)
            cell->worst[word] = i;
        cell->all++;
    }
}

/* Writes a cell: how many are good of how many that ran, or that all were skipped. What it counts
 * in full is its label. */
static void write_cell(GString *page, const struct cell *cell)
{
    g_autoptr(GString) label = g_string_new(NULL);
    size_t worst = G_N_ELEMENTS(words);
    unsigned skipped = 0, good = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!cell->count[i])
            continue;
        worst = MIN(worst, i);
        g_string_append_printf(label, "%s%u %s", label->len ? ", " : "", cell->count[i], words[i]);
        if (!strcmp(words[i], "skip"))
            skipped = cell->count[i];
        else if (!strcmp(words[i], "ok") || !strcmp(words[i], "known"))
            good += cell->count[i];
    }
    if (!cell->all) {
        g_string_append(page, "<td></td>");
        return;
    }
    g_string_append_printf(page, "<td class=\"heat %s\"><a href=\"#w%zu\" title=\"%s\">",
                           words[worst], cell->worst[worst], label->str);
    if (skipped == cell->all)
        g_string_append(page, "skipped</a></td>");
    else
        g_string_append_printf(page, "%u/%u</a></td>", good, cell->all - skipped);
}

void godwit_html_matrix_write(GString *page, const struct godwit_html_matrix *matrix)
{
    if (json_array_size(matrix->results) < 2)
        return;
    g_autofree struct cell *cells =
        g_new0(struct cell, (gsize)matrix->families->len * matrix->targets->len);
    count(matrix, cells);
    g_string_append(page, "<table class=\"matrix\">\n<caption>good results of those that ran, by "
                          "family and target</caption>\n<tr><th scope=\"col\">family</th>");
    for (guint t = 0; t < matrix->targets->len; t++)
        godwit_page_text(page, "<th scope=\"col\">", g_ptr_array_index(matrix->targets, t),
                         "</th>");
    g_string_append(page, "</tr>\n");
    for (guint f = 0; f < matrix->families->len; f++) {
        godwit_page_text(page, "<tr><th scope=\"row\">", g_ptr_array_index(matrix->families, f),
                         "</th>");
        for (guint t = 0; t < matrix->targets->len; t++)
            write_cell(page, &cells[f * matrix->targets->len + t]);
        g_string_append(page, "</tr>\n");
    }
    g_string_append(page, "</table>\n");
}

/* Writes a box that hides the rows of the class NAME unless it is ticked, and its style. */
static void write_box(GString *boxes, GString *style, const char *name, const char *label)
{
    g_string_append_printf(boxes, "<input type=\"checkbox\" id=\"b-%s\" checked=\"checked\"/>",
                           name);
    g_string_append_printf(boxes, "<label for=\"b-%s\">", name);
    godwit_page_text(boxes, "", label, "</label>\n");
    g_string_append_printf(style, "#b-%s:not(:checked)~.results .r-%s{display:none}\n", name, name);
}

/* Returns whether there is something to be found. */
static bool has_find(const struct godwit_html_matrix *matrix)
{
    return json_array_size(matrix->results) > 1;
}

void godwit_html_matrix_filters(GString *page, const struct godwit_html_matrix *matrix)
{
    g_autoptr(GString) boxes = g_string_new(NULL), style = g_string_new(NULL);
    unsigned counts[G_N_ELEMENTS(words)] = {0}, several = 0;
    size_t i;
    json_t *result;
    json_array_foreach(matrix->results, i, result)
    {
        several += !counts[word_number(result)]++;
    }
    for (size_t w = 0; several > 1 && w < G_N_ELEMENTS(words); w++) {
        g_autofree char *label = g_strdup_printf("%s (%u)", words[w], counts[w]);
        if (counts[w])
            write_box(boxes, style, words[w], label);
    }
    for (guint t = 0; matrix->targets->len > 1 && t < matrix->targets->len; t++) {
        g_autofree char *name = g_strdup_printf("t%u", t);
        write_box(boxes, style, name, g_ptr_array_index(matrix->targets, t));
    }
    if (has_find(matrix))
        g_string_append(page, "<p id=\"find\" hidden=\"hidden\"><label>scenario: <input "
                              "type=\"search\" placeholder=\"part of a name\"/></label> <span "
                              "role=\"status\"></span></p>\n");
    if (boxes->len)
        g_string_append_printf(page, "<style>%s</style>\n<p class=\"boxes\">show:</p>\n%s",
                               style->str, boxes->str);
}

/* CSS cannot look into text, so this is the only script of a page. It has nothing that comes from a
 * result, and neither "<" nor "&", so that the page stays well-formed. */
static const char script[] =
    "<script>\n"
    "const find = document.getElementById('find');\n"
    "const box = find.querySelector('input'), status = find.querySelector('[role=status]');\n"
    "const rows = Array.from(document.querySelectorAll('.results tr')).map(function (row) {\n"
    "  return {row: row, name: row.cells[2].textContent.toLowerCase()};\n"
    "});\n"
    "const look = function () {\n"
    "  const wanted = box.value.toLowerCase();\n"
    "  let found = 0;\n"
    "  for (const one of rows) {\n"
    "    const has = one.name.includes(wanted);\n"
    "    one.row.classList.toggle('unmatched', !has);\n"
    "    found += has ? 1 : 0;\n"
    "  }\n"
    "  status.textContent = wanted ? found + ' of ' + rows.length : '';\n"
    "};\n"
    "find.hidden = false;\n"
    "box.addEventListener('input', look);\n"
    "look();\n"
    "</script>\n";

void godwit_html_matrix_script(GString *page, const struct godwit_html_matrix *matrix)
{
    if (has_find(matrix))
        g_string_append(page, script);
}

char *godwit_html_matrix_row(const struct godwit_html_matrix *matrix, size_t index)
{
    const json_t *result = json_array_get(matrix->results, index);
    return g_strdup_printf("id=\"w%zu\" class=\"r-%s r-t%u\"", index, words[word_number(result)],
                           number_of(matrix->targets, godwit_report_target(result)));
}
