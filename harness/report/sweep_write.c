/*
 * The formats of `godwit sweep`. Text is for people: a line for each cell, and the convergence map
 * if there is one. JSON has everything, each run's values included. CSV has a line for each cell.
 * HTML, with pictures, is in sweep_html.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/sweep.h"

#include "base/text.h"
#include "migrate/settings.h"
#include "report/figures.h"
#include "report/raw_runs.h"
#include <math.h>
#include <string.h>

/* The figures: what they are called in tables, and in JSON and CSV. */
static const struct {
    const char *column, *member;
} figures[GODWIT_CELL_VALUES] = {
    [GODWIT_CELL_TOTAL] = {"total ms", "total_ms"},
    [GODWIT_CELL_BLACKOUT] = {"blackout ms", "blackout_ms"},
    [GODWIT_CELL_DOWNTIME] = {"downtime ms", "downtime_ms"},
    [GODWIT_CELL_MIB] = {"MiB", "mib"},
    [GODWIT_CELL_RATE] = {"MiB/s", "mib_per_s"},
};

static const struct godwit_cell *cell_at(const struct godwit_sweep_report *report, guint i)
{
    return g_ptr_array_index(report->cells, i);
}

static const struct godwit_axis *axis_at(const struct godwit_sweep_report *report, guint a)
{
    return g_ptr_array_index(report->axes, a);
}

/* Returns whether the cells are of several scenarios. */
static bool has_scenarios(const struct godwit_sweep_report *report)
{
    for (guint i = 1; i < report->cells->len; i++)
        if (strcmp(cell_at(report, i)->scenario, cell_at(report, 0)->scenario) != 0)
            return true;
    return false;
}

unsigned godwit_cell_runs(const struct godwit_cell *cell)
{
    return cell->passed + cell->unconverged + cell->failed;
}

/* Text. */

/* Returns a figure of CELL, "MEDIAN [QUARTILE, QUARTILE]". The caller frees it. */
static char *figure_text(const struct godwit_cell *cell, enum godwit_cell_value figure)
{
    g_autofree char *median = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.5));
    g_autofree char *low = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.25));
    g_autofree char *high = godwit_figure_text(godwit_cell_quantile(cell, figure, 0.75));
    return strcmp(median, "-") ? g_strdup_printf("%s [%s, %s]", median, low, high)
                               : g_steal_pointer(&median);
}

/* Returns what went wrong in CELL, "-" if nothing did. The caller frees it. */
static char *failures_text(const struct godwit_cell *cell)
{
    if (cell->skipped) {
        g_autofree char *why = godwit_text_line(cell->skipped);
        return g_strdup_printf("skipped: %s", why);
    }
    GString *text = g_string_new(NULL);
    if (cell->unconverged)
        g_string_append_printf(text, "%u did not converge", cell->unconverged);
    if (cell->failed)
        g_string_append_printf(text, "%s%u failed", text->len ? ", " : "", cell->failed);
    if (!text->len)
        g_string_append(text, godwit_cell_runs(cell) ? "-" : "no run");
    return g_string_free(text, FALSE);
}

/* Appends a row of the table to ROWS: the heads if CELL is NULL. */
static void add_row(const struct godwit_sweep_report *report, const struct godwit_cell *cell,
                    bool scenarios, GPtrArray *rows)
{
    GPtrArray *row = g_ptr_array_new_with_free_func(g_free);
    if (scenarios)
        g_ptr_array_add(row, g_strdup(cell ? cell->scenario : "scenario"));
    for (guint a = 0; a < report->axes->len; a++) {
        const struct godwit_axis *axis = axis_at(report, a);
        g_ptr_array_add(row, godwit_text_line(cell ? axis->values[cell->choice[a]] : axis->name));
    }
    g_ptr_array_add(row, cell ? g_strdup_printf("%u", godwit_cell_runs(cell)) : g_strdup("runs"));
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
        g_ptr_array_add(row, cell ? figure_text(cell, (enum godwit_cell_value)figure)
                                  : g_strdup(figures[figure].column));
    g_ptr_array_add(row, cell ? failures_text(cell) : g_strdup("failures"));
    g_ptr_array_add(rows, row);
}

/* Writes COUNT texts of ROW, each flush right in its width. */
static void write_cells(FILE *out, const GPtrArray *row, guint count, const size_t *widths)
{
    for (guint c = 0; c < count; c++)
        fprintf(out, "  %*s", (int)widths[c], (const char *)g_ptr_array_index(row, c));
}

/* Writes ROWS, arrays of text, as a table. LEFT: its last column is flush left. Clears them. */
static void write_table(FILE *out, GPtrArray *rows, bool left)
{
    const GPtrArray *first = g_ptr_array_index(rows, 0);
    g_autofree size_t *widths = g_new0(size_t, first->len + 1);
    for (guint r = 0; r < rows->len; r++) {
        const GPtrArray *row = g_ptr_array_index(rows, r);
        for (guint c = 0; c < row->len; c++)
            widths[c] = MAX(widths[c], strlen(g_ptr_array_index(row, c)));
    }
    for (guint r = 0; r < rows->len; r++) {
        GPtrArray *row = g_ptr_array_index(rows, r);
        write_cells(out, row, row->len - left, widths);
        if (left)
            fprintf(out, "  %s", (const char *)g_ptr_array_index(row, row->len - 1));
        fputc('\n', out);
        g_ptr_array_unref(row);
    }
    g_ptr_array_set_size(rows, 0);
}

/* Writes which messages the failures of the cells had. */
static void write_failures(FILE *out, const struct godwit_sweep_report *report, bool scenarios)
{
    bool any = false;
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        g_autofree char *text = godwit_cell_text(report->axes, cell);
        g_autofree char *name = godwit_text_line(text);
        for (guint f = 0; f < cell->failures->len; f++) {
            const struct godwit_sweep_failure *failure = g_ptr_array_index(cell->failures, f);
            if (failure->unconverged)
                continue;
            fprintf(out, "%s  %s%s%s: %u %s: %s\n", any ? "" : "\nfailures\n",
                    scenarios ? cell->scenario : "", scenarios ? " " : "", name, failure->count,
                    failure->count == 1 ? "time" : "times", failure->message);
            any = true;
        }
    }
}

char *godwit_cell_map_text(const struct godwit_cell *cell)
{
    if (!cell->passed)
        return g_strdup(cell->failed             ? "failed"
                        : cell->skipped          ? "skipped"
                        : godwit_cell_runs(cell) ? "-"
                                                 : "no run");
    g_autofree char *total = godwit_figure_text(godwit_cell_quantile(cell, GODWIT_CELL_TOTAL, 0.5));
    return cell->passed == godwit_cell_runs(cell)
               ? g_steal_pointer(&total)
               : g_strdup_printf("%s (%u/%u)", total, cell->passed, godwit_cell_runs(cell));
}

/* Writes the map of one scenario, whose cells begin at FIRST: a line for each dirty rate, a column
 * for each bandwidth. */
static void write_map(FILE *out, const struct godwit_sweep_report *report, guint first,
                      unsigned rate, unsigned bandwidth)
{
    const struct godwit_axis *rates = axis_at(report, rate), *speeds = axis_at(report, bandwidth);
    const guint width = g_strv_length(speeds->values), height = g_strv_length(rates->values);
    fprintf(out,
            "\nconvergence of %s: total ms by dirty-rate and max-bandwidth; - did not converge\n",
            cell_at(report, first)->scenario);
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    GPtrArray *head = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(head, g_strdup("dirty-rate"));
    for (guint c = 0; c < width; c++)
        g_ptr_array_add(head, g_strdup(speeds->values[c]));
    g_ptr_array_add(rows, head);
    for (guint r = 0; r < height; r++) {
        GPtrArray *row = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(row, g_strdup(rates->values[r]));
        for (guint c = 0; c < width; c++) {
            const guint cell = rate == 0 ? r * width + c : c * height + r;
            g_ptr_array_add(row, godwit_cell_map_text(cell_at(report, first + cell)));
        }
        g_ptr_array_add(rows, row);
    }
    write_table(out, rows, false);
}

void godwit_sweep_write_head(FILE *out, const struct godwit_sweep_report *report)
{
    static const char *const why[] = {
        [GODWIT_SWEEP_RUNS] = "as many as asked for",
        [GODWIT_SWEEP_BUDGET] = "no more fit into the budget",
        [GODWIT_SWEEP_SKIPPED] = "no cell can run",
        [GODWIT_SWEEP_INTERRUPTED] = "interrupted",
    };
    g_autofree char *path = godwit_text_line(report->path);
    g_autofree char *version = godwit_text_line(report->version);
    g_autofree char *machine = godwit_text_line(report->machine);
    g_autofree char *settings = godwit_settings_text(report->settings);
    g_autofree char *tame = godwit_text_line(settings);
    fprintf(out, "QEMU %s, %s%s%s\n", version, path, *tame ? ", " : "", tame);
    if (strcmp(report->path, report->destination_path) != 0) {
        g_autofree char *to = godwit_text_line(report->destination_path);
        g_autofree char *newer = godwit_text_line(report->destination_version);
        fprintf(out, "to QEMU %s, %s\n", newer, to);
    }
    fprintf(out, "guest: %s, %s, %s; seed %" G_GUINT64_FORMAT "\n", report->arch, machine,
            report->accel, report->seed);
    if (report->preset)
        fprintf(out, "preset: %s\n", report->preset);
    fprintf(out, "a migration is given up after %g s\n", report->give_up);
    fprintf(out, "%u cells, %u of %u rounds in %.0f s: %s\n", report->cells->len, report->rounds,
            report->runs, report->elapsed, why[report->end]);
    if (!report->rounds && report->end == GODWIT_SWEEP_INTERRUPTED)
        fputs("not even one round was completed\n", out);
}

static void write_text(FILE *out, const struct godwit_sweep_report *report)
{
    const bool scenarios = has_scenarios(report);
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    unsigned rate, bandwidth;
    godwit_sweep_write_head(out, report);
    fputs("\nmedian [quartiles] of each cell\n", out);
    add_row(report, NULL, scenarios, rows);
    for (guint i = 0; i < report->cells->len; i++)
        add_row(report, cell_at(report, i), scenarios, rows);
    write_table(out, rows, true);
    if (godwit_sweep_has_map(report, &rate, &bandwidth)) {
        const guint grid =
            g_strv_length(axis_at(report, 0)->values) * g_strv_length(axis_at(report, 1)->values);
        for (guint first = 0; first < report->cells->len; first += grid)
            write_map(out, report, first, rate, bandwidth);
    }
    write_failures(out, report, scenarios);
}

/* JSON. */

static json_t *words_json(char *const *words)
{
    json_t *json = json_array();
    for (guint i = 0; words[i]; i++)
        json_array_append_new(json, godwit_json_text(words[i]));
    return json;
}

static json_t *cell_json(const struct godwit_sweep_report *report, const struct godwit_cell *cell)
{
    json_t *values = json_object(), *measured = json_array(), *failures = json_array();
    for (guint a = 0; a < report->axes->len; a++)
        json_object_set_new(values, axis_at(report, a)->name,
                            godwit_json_text(axis_at(report, a)->values[cell->choice[a]]));
    for (unsigned run = 0; run < cell->passed; run++) {
        json_t *one = json_object();
        for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
            json_object_set_new(
                one, figures[figure].member,
                godwit_figure_json(g_array_index(cell->values[figure], double, run)));
        json_array_append_new(measured, one);
    }
    for (guint f = 0; f < cell->failures->len; f++) {
        const struct godwit_sweep_failure *failure = g_ptr_array_index(cell->failures, f);
        json_array_append_new(failures,
                              json_pack("{s:s, s:b, s:i}", "message", failure->message, "converged",
                                        !failure->unconverged, "count", (int)failure->count));
    }
    json_t *json = json_pack(
        "{s:s, s:o, s:i, s:i, s:i, s:i, s:s*, s:s*, s:o, s:o}", "scenario", cell->scenario,
        "values", values, "runs", (int)godwit_cell_runs(cell), "passed", (int)cell->passed,
        "did_not_converge", (int)cell->unconverged, "failed", (int)cell->failed, "skipped",
        cell->skipped, "again", cell->again, "failures", failures, "measured", measured);
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++) {
        const enum godwit_cell_value of = (enum godwit_cell_value)figure;
        json_object_set_new(
            json, figures[figure].member,
            json_pack("{s:o, s:o, s:o}", "median",
                      godwit_figure_json(godwit_cell_quantile(cell, of, 0.5)), "low",
                      godwit_figure_json(godwit_cell_quantile(cell, of, 0.25)), "high",
                      godwit_figure_json(godwit_cell_quantile(cell, of, 0.75))));
    }
    return json;
}

static void write_json(FILE *out, const struct godwit_sweep_report *report)
{
    static const char *const ends[] = {
        [GODWIT_SWEEP_RUNS] = "runs",
        [GODWIT_SWEEP_BUDGET] = "budget",
        [GODWIT_SWEEP_SKIPPED] = "skipped",
        [GODWIT_SWEEP_INTERRUPTED] = "interrupted",
    };
    json_t *axes = json_array(), *cells = json_array();
    for (guint a = 0; a < report->axes->len; a++)
        json_array_append_new(axes, json_pack("{s:s, s:o}", "name", axis_at(report, a)->name,
                                              "values", words_json(axis_at(report, a)->values)));
    for (guint i = 0; i < report->cells->len; i++)
        json_array_append_new(cells, cell_json(report, cell_at(report, i)));
    g_autoptr(json_t) json = json_pack(
        "{s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:s, s:s, s:s, s:s*, s:I, s:i, s:i, s:f, s:f, s:f, s:s, "
        "s:O, s:o, "
        "s:o}",
        "qemu", "path", report->path, "version", report->version, "package", report->package,
        "destination", "path", report->destination_path, "version", report->destination_version,
        "arch", report->arch, "machine", report->machine, "accel", report->accel, "preset",
        report->preset, "seed", (json_int_t)report->seed, "runs", (int)report->runs, "rounds",
        (int)report->rounds, "give_up_s", report->give_up, "budget_s", report->budget, "elapsed_s",
        report->elapsed, "ended", ends[report->end], "order", report->order, "axes", axes, "cells",
        cells);
    json_object_set_new(json, "settings",
                        report->settings ? json_deep_copy(report->settings) : json_object());
    json_object_update(json, report->about);
    g_autofree char *text = godwit_json_dump(json, JSON_INDENT(2));
    fprintf(out, "%s\n", text);
}

/* CSV. No name or value of an axis has a comma, because commas separate them. */

static void write_csv(FILE *out, const struct godwit_sweep_report *report)
{
    fputs("scenario", out);
    for (guint a = 0; a < report->axes->len; a++)
        fprintf(out, ",%s", axis_at(report, a)->name);
    fputs(",runs,passed,did_not_converge,failed", out);
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
        fprintf(out, ",%s,%s_low,%s_high", figures[figure].member, figures[figure].member,
                figures[figure].member);
    fputc('\n', out);
    for (guint i = 0; i < report->cells->len; i++) {
        const struct godwit_cell *cell = cell_at(report, i);
        fputs(cell->scenario, out);
        for (guint a = 0; a < report->axes->len; a++)
            fprintf(out, ",%s", axis_at(report, a)->values[cell->choice[a]]);
        fprintf(out, ",%u,%u,%u,%u", godwit_cell_runs(cell), cell->passed, cell->unconverged,
                cell->failed);
        for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++) {
            const enum godwit_cell_value of = (enum godwit_cell_value)figure;
            godwit_figure_csv(out, godwit_cell_quantile(cell, of, 0.5));
            godwit_figure_csv(out, godwit_cell_quantile(cell, of, 0.25));
            godwit_figure_csv(out, godwit_cell_quantile(cell, of, 0.75));
        }
        fputc('\n', out);
    }
}

static void write_runs_csv(FILE *out, const struct godwit_sweep_report *report)
{
    fputs("scenario", out);
    for (guint a = 0; a < report->axes->len; a++)
        fprintf(out, ",%s", axis_at(report, a)->name);
    godwit_raw_runs_heads(out);
    for (guint c = 0; c < report->cells->len; c++) {
        const struct godwit_cell *cell = cell_at(report, c);
        size_t i;
        json_t *run;
        json_array_foreach(cell->raw, i, run)
        {
            fputs(cell->scenario, out);
            for (guint a = 0; a < report->axes->len; a++)
                fprintf(out, ",%s", axis_at(report, a)->values[cell->choice[a]]);
            godwit_raw_runs_cells(out, run, report->about);
        }
    }
}

static void write_one(enum godwit_figures_format format, FILE *out, gconstpointer report)
{
    static void (*const writers[])(FILE * out, const struct godwit_sweep_report *report) = {
        [GODWIT_FORMAT_TEXT] = write_text,
        [GODWIT_FORMAT_JSON] = write_json,
        [GODWIT_FORMAT_CSV] = write_csv,
        [GODWIT_FORMAT_HTML] = godwit_sweep_write_html,
        [GODWIT_FORMAT_BMF] = godwit_sweep_write_bmf,
        [GODWIT_FORMAT_OPENMETRICS] = godwit_sweep_write_openmetrics,
        [GODWIT_FORMAT_RUNS_CSV] = write_runs_csv,
    };
    writers[format](out, report);
}

bool godwit_sweep_write(const char *format, const struct godwit_sweep_report *report,
                        GError **error)
{
    return godwit_figures_write(format, write_one, report, error);
}
