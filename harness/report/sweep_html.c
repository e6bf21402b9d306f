/*
 * The page of `godwit sweep`: a table of the cells, their total times and blackouts, the
 * convergence map, and the runs in their order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/sweep.h"

#include "report/figures.h"
#include "report/page.h"
#include "report/plot.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct godwit_cell *cell_at(const struct godwit_sweep_report *report, guint i)
{
    return g_ptr_array_index(report->cells, i);
}

/* Returns what a cell is, with its scenario. The caller frees it. */
static char *name_of(const struct godwit_sweep_report *report, const struct godwit_cell *cell)
{
    g_autofree char *values = godwit_cell_text(report->axes, cell);
    return g_strdup_printf("%s %s", cell->scenario, values);
}

/* Returns a figure of CELL, "MEDIAN [QUARTILE, QUARTILE]". The caller frees it. */
static char *figure_text(const struct godwit_cell *cell, enum godwit_cell_value figure)
{
    g_autofree char *median = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.5));
    g_autofree char *low = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.25));
    g_autofree char *high = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.75));
    return strcmp(median, "-") ? g_strdup_printf("%s [%s, %s]", median, low, high)
                               : g_steal_pointer(&median);
}

static void table(GString *page, const struct godwit_sweep_report *report)
{
    static const char *const heads[] = {"cell",
                                        "runs",
                                        "passed",
                                        "did not converge",
                                        "failed",
                                        "total ms",
                                        "blackout ms",
                                        "downtime ms",
                                        "MiB",
                                        "MiB/s",
                                        "skipped, or the first failure",
                                        NULL};
    godwit_page_table(page, false, "median [quartiles] of each cell; - was not measured", heads);
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        const struct godwit_sweep_failure *failure =
            cell->failures->len ? g_ptr_array_index(cell->failures, 0) : NULL;
        const unsigned counts[] = {godwit_cell_runs(cell), cell->passed, cell->unconverged,
                                   cell->failed};
        g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(cells, name_of(report, cell));
        for (size_t c = 0; c < G_N_ELEMENTS(counts); c++)
            g_ptr_array_add(cells, g_strdup_printf("%u", counts[c]));
        for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
            g_ptr_array_add(cells, figure_text(cell, (enum godwit_cell_value)figure));
        g_ptr_array_add(cells, g_strdup(cell->skipped ? cell->skipped
                                        : failure     ? failure->message
                                                      : ""));
        g_ptr_array_add(cells, NULL);
        godwit_page_row(page, (const char *const *)cells->pdata);
    }
    godwit_page_table_end(page, false);
}

/* Draws a figure of all cells: its median, and a line between the quartiles. */
static void cells(GString *page, const struct godwit_sweep_report *report,
                  enum godwit_cell_value figure, const char *title, const char *label)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    double high = 0;
    for (guint i = 0; i < report->cells->len; i++) {
        const double most = godwit_cell_quantile(cell_at(report, i), figure, 0.75);
        high = isfinite(most) ? MAX(high, most) : high;
        g_ptr_array_add(names, godwit_cell_text(report->axes, cell_at(report, i)));
    }
    if (high <= 0)
        return;
    g_ptr_array_add(names, NULL);
    const struct godwit_axes axes = {
        .title = title,
        .description = "A mark is the median of a cell, its line goes from quartile to quartile. A "
                       "cell without a mark was not measured, or did not converge.",
        .x_label = label,
        .y_label = "cell",
        .x_high = high * 1.05,
        .rows = (char *const *)names->pdata,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        g_autofree char *what = figure_text(cell, figure);
        godwit_plot_range(plot, GODWIT_SERIES_A, godwit_cell_quantile(cell, figure, 0.25),
                          godwit_cell_quantile(cell, figure, 0.75), i);
        godwit_plot_mark(plot, GODWIT_SERIES_A, godwit_cell_quantile(cell, figure, 0.5), i, what);
    }
    godwit_plot_end(plot);
}

/* Draws the map of one scenario, whose cells begin at FIRST: a row for each dirty rate, a column
 * for each bandwidth, and a bar as long as the part of the runs that converged. */
static void map(GString *page, const struct godwit_sweep_report *report, guint first, unsigned rate,
                unsigned bandwidth)
{
    const struct godwit_axis *rates = g_ptr_array_index(report->axes, rate);
    const struct godwit_axis *speeds = g_ptr_array_index(report->axes, bandwidth);
    const guint width = g_strv_length(speeds->values), height = g_strv_length(rates->values);
    g_autofree char *title =
        g_strdup_printf("%s: what converges", cell_at(report, first)->scenario);
    const struct godwit_axes axes = {
        .title = title,
        .description = "Each cell has the medians of total time and downtime in ms; - did not "
                       "converge. Its bar is as long as the part of the runs that converged. In a "
                       "cell in which none did, two thin lines take the place of the bar.",
        .x_label = "max-bandwidth in bytes/s",
        .y_label = "dirty-rate",
        .x_low = 0.5,
        .x_high = width + 0.5,
        .rows = rates->values,
        .columns = speeds->values,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    for (guint r = 0; r < height; r++)
        for (guint c = 0; c < width; c++) {
            const guint place = rate == 0 ? r * width + c : c * height + r;
            const struct godwit_cell *cell = cell_at(report, first + place);
            const unsigned runs = godwit_cell_runs(cell);
            const double part = runs ? (double)cell->passed / runs : 0;
            g_autofree char *text = godwit_cell_map_text(cell);
            g_autofree char *down =
                godwit_figure_text(godwit_cell_quantile(cell, GODWIT_CELL_DOWNTIME, 0.5));
            g_autofree char *both = part > 0 ? g_strdup_printf("%s / %s", text, down) : NULL;
            if (part <= 0 && cell->unconverged) {
                godwit_plot_range(plot, GODWIT_SERIES_B, c + 0.6, c + 1.4, r + 0.28);
                godwit_plot_range(plot, GODWIT_SERIES_B, c + 0.6, c + 1.4, r + 0.42);
            }
            if (part > 0)
                godwit_plot_bar(plot, GODWIT_SERIES_A, c + 0.6, c + 0.6 + 0.8 * part, r + 0.25,
                                r + 0.45, text);
            godwit_plot_text(plot, c + 1, r - 0.05, both ? both : text);
        }
    godwit_plot_end(plot);
    godwit_page_text(page, "<p>",
                     "Total time / downtime in ms, medians. Bar: the part of the runs "
                     "that converged. Two thin lines: none converged.",
                     "</p>\n");
}

/* Draws the total time of each run, by that of its cell, in the order of the runs. */
static void order(GString *page, const struct godwit_sweep_report *report)
{
    unsigned last = 0;
    double high = 0;
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        const double median = godwit_cell_quantile(cell, GODWIT_CELL_TOTAL, 0.5);
        for (unsigned run = 0; run < cell->passed; run++) {
            const double total = g_array_index(cell->values[GODWIT_CELL_TOTAL], double, run);
            last = MAX(last, g_array_index(cell->numbers, unsigned, run) + 1);
            high = isfinite(total) ? MAX(high, total / median) : high;
        }
    }
    if (high <= 0)
        return;
    const struct godwit_axes axes = {
        .title = "Total times in the order of the runs",
        .description = "The total time of each run by the median of its cell. A slope or a step is "
                       "the host's. A place without a mark failed or did not converge.",
        .x_label = "run",
        .y_label = "total / median of its cell",
        .x_high = last + 1,
        .y_high = high * 1.05,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        const double median = godwit_cell_quantile(cell, GODWIT_CELL_TOTAL, 0.5);
        g_autofree char *name = name_of(report, cell);
        for (unsigned run = 0; run < cell->passed; run++)
            godwit_plot_mark(plot, GODWIT_SERIES_A, g_array_index(cell->numbers, unsigned, run) + 1,
                             g_array_index(cell->values[GODWIT_CELL_TOTAL], double, run) / median,
                             name);
    }
    godwit_plot_end(plot);
}

void godwit_sweep_write_html(FILE *out, const struct godwit_sweep_report *report)
{
    GString *page = godwit_page_begin("Godwit: sweep of migrations");
    char *head = NULL;
    size_t length = 0;
    unsigned rate, bandwidth;
    FILE *memory = open_memstream(&head, &length);
    godwit_sweep_write_head(memory, report);
    fclose(memory);
    godwit_page_code(page, head);
    free(head);
    table(page, report);
    cells(page, report, GODWIT_CELL_TOTAL, "Total time of each cell", "total in ms");
    cells(page, report, GODWIT_CELL_BLACKOUT, "Blackout of each cell", "blackout in ms");
    if (godwit_sweep_has_map(report, &rate, &bandwidth)) {
        const struct godwit_axis *one = g_ptr_array_index(report->axes, 0);
        const struct godwit_axis *other = g_ptr_array_index(report->axes, 1);
        const guint grid = g_strv_length(one->values) * g_strv_length(other->values);
        for (guint first = 0; first < report->cells->len; first += grid)
            map(page, report, first, rate, bandwidth);
    }
    order(page, report);
    godwit_page_end(page);
    fputs(page->str, out);
    g_string_free(page, TRUE);
}
