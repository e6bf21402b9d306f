/*
 * Figures: how reports of measurements write numbers, and to where.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_FIGURES_H
#define GODWIT_HARNESS_REPORT_FIGURES_H

#include "base/error.h"
#include "base/json.h"
#include <stdio.h>

enum godwit_figures_format {
    GODWIT_FORMAT_TEXT,
    GODWIT_FORMAT_JSON,
    GODWIT_FORMAT_CSV,
    GODWIT_FORMAT_HTML,
    GODWIT_FORMAT_BMF, /* readings.h has these two */
    GODWIT_FORMAT_OPENMETRICS,
    GODWIT_FORMAT_RUNS_CSV, /* raw_runs.h has this one */
};

/* Returns VALUE with four significant digits, or "-" if it is not a number. The caller frees it. */
char *godwit_figure_text(double value);

/* Returns VALUE, or null if it is not a number. */
json_t *godwit_figure_json(double value);

/* Writes a comma and VALUE, which is left out if it is not a number. */
void godwit_figure_csv(FILE *out, double value);

/* Writes BEFORE and a cell with TEXT, in quotes. An apostrophe comes before what a spreadsheet
 * would calculate. */
void godwit_csv_cell(FILE *out, const char *before, const char *text);

/* Fails with USAGE unless each of FORMATS, which may be NULL, is "text", "json", "csv", "html",
 * "bmf", "openmetrics" or "runs-csv", with ":FILE" to write to a file. */
bool godwit_figures_check(char *const *formats, GError **error);

/* Calls WRITE with the stream that FORMAT names, and DATA. Fails with ENVIRONMENT if it cannot be
 * written. */
bool godwit_figures_write(const char *format,
                          void (*write)(enum godwit_figures_format format, FILE *out,
                                        gconstpointer data),
                          gconstpointer data, GError **error);

#endif
