/*
 * How reports of measurements write numbers, and to where.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/figures.h"

#include "base/file.h"
#include "base/text.h"
#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const names[] = {
    [GODWIT_FORMAT_TEXT] = "text",         [GODWIT_FORMAT_JSON] = "json",
    [GODWIT_FORMAT_CSV] = "csv",           [GODWIT_FORMAT_HTML] = "html",
    [GODWIT_FORMAT_BMF] = "bmf",           [GODWIT_FORMAT_OPENMETRICS] = "openmetrics",
    [GODWIT_FORMAT_RUNS_CSV] = "runs-csv",
};

char *godwit_figure_text(double value)
{
    if (isnan(value))
        return g_strdup("-");
    const double size = fabs(value);
    const int digits = size >= 999.95 ? 0 : size >= 99.995 ? 1 : 2;
    return g_strdup_printf("%.*f", digits, value);
}

json_t *godwit_figure_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void godwit_figure_csv(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, ",%.6g", value);
    else
        fputc(',', out);
}

void godwit_csv_cell(FILE *out, const char *before, const char *text)
{
    g_autofree char *line = godwit_text_line(text);
    g_auto(GStrv) parts = g_strsplit(line, "\"", -1);
    g_autofree char *doubled = g_strjoinv("\"\"", parts);
    fprintf(out, "%s\"%s%s\"", before, *line && strchr("=+-@|%", *line) ? "'" : "", doubled);
}

/* Returns the number of the format NAME; G_N_ELEMENTS(names) if there is none. */
static size_t find(const char *name)
{
    size_t i = 0;
    while (i < G_N_ELEMENTS(names) && strcmp(name, names[i]) != 0)
        i++;
    return i;
}

bool godwit_figures_check(char *const *formats, GError **error)
{
    for (guint i = 0; formats && formats[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(formats[i], ":", 2);
        if (!parts[0] || find(parts[0]) == G_N_ELEMENTS(names) || (parts[1] && !*parts[1]))
            return godwit_fail(
                error, GODWIT_ERROR_USAGE,
                "unknown format \"%s\" (expected text, json, csv, html, bmf, openmetrics or "
                "runs-csv, with :FILE for a file)",
                formats[i]);
    }
    return true;
}

bool godwit_figures_write(const char *format,
                          void (*write)(enum godwit_figures_format format, FILE *out,
                                        gconstpointer data),
                          gconstpointer data, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(format, ":", 2);
    const char *path = parts[1];
    FILE *out = path ? fopen(path, "we") : stdout;
    if (!out)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write to %s: %s", path,
                           g_strerror(errno));
    write((enum godwit_figures_format)find(parts[0]), out, data);
    const int cause = godwit_file_finish(out);
    return !cause || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write the report %s: %s",
                                 format, g_strerror(cause));
}
