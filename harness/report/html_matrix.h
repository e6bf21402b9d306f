/*
 * What helps to find one's way in a page of many results: a matrix of families and targets, and
 * boxes that show or hide the rows of a status or of a target. Neither needs a script: the boxes
 * come before the rows, and the style of the page asks which of them are ticked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_HTML_MATRIX_H
#define GODWIT_HARNESS_REPORT_HTML_MATRIX_H

#include "base/json.h"
#include <glib.h>

/* The families and the targets of some results. */
struct godwit_html_matrix;

/* Returns those of RESULTS, an array, which is borrowed. The caller frees them. */
struct godwit_html_matrix *godwit_html_matrix_new(const json_t *results);
void godwit_html_matrix_free(struct godwit_html_matrix *matrix);

/* Appends the matrix: a row for each family (what comes before the first "/" of a name), a column
 * for each target. A cell is coloured by the worst of its results, and leads to it. Nothing if
 * there is only one result. */
void godwit_html_matrix_write(GString *page, const struct godwit_html_matrix *matrix);

/* Appends the boxes, and a text box for the names of scenarios, which is hidden. The rows must come
 * next, in one element of the class "results". */
void godwit_html_matrix_filters(GString *page, const struct godwit_html_matrix *matrix);

/* Appends the script that shows the text box. The page is whole without it. */
void godwit_html_matrix_script(GString *page, const struct godwit_html_matrix *matrix);

/* Returns the attributes of the row of result INDEX: what the boxes know it by, and its id. The
 * caller frees them. */
char *godwit_html_matrix_row(const struct godwit_html_matrix *matrix, size_t index);

#endif
