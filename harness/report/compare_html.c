/*
 * The page of `godwit compare`: what was compared, then for each scenario the table, the ratios and
 * differences with their intervals, the distribution of the blackout, the runs in their order, and
 * the run of each arm whose total time is nearest to the median.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compare_parts.h"

#include "report/measured.h"
#include "report/page.h"
#include "report/plot.h"
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const arms[GODWIT_SERIES_ALL] = {"A", "B", "A', the control"};

/* What WRITE writes, as text. The caller frees it. */
#define CAPTURE(write, what)                                                                       \
    ({                                                                                             \
        char *text_ = NULL;                                                                        \
        size_t length_ = 0;                                                                        \
        FILE *memory_ = open_memstream(&text_, &length_);                                          \
        write(memory_, what);                                                                      \
        fclose(memory_);                                                                           \
        text_;                                                                                     \
    })

static bool is_of(const struct godwit_row *row, unsigned scenario, bool mean)
{
    return mean ? row->mean : !row->mean && row->scenario == scenario;
}

static void table(GString *page, const struct godwit_compare_report *report, unsigned scenario,
                  bool mean, const char *name)
{
    g_autofree char *b_to_a = godwit_compare_column("B to A", report);
    g_autofree char *again_to_a = godwit_compare_column("A' to A", report);
    const char *const heads[] = {"metric",   "A",     "B",    b_to_a, again_to_a,
                                 "p (Holm)", "shows", "B is", NULL};
    godwit_page_table(page, false, name, heads);
    for (guint i = 0; i < report->rows->len; i++) {
        const struct godwit_row *row = &g_array_index(report->rows, struct godwit_row, i);
        if (!is_of(row, scenario, mean))
            continue;
        g_autofree char *a = godwit_row_median_text(row, GODWIT_ARM_A);
        g_autofree char *b = godwit_row_median_text(row, GODWIT_ARM_B);
        g_autofree char *effect = godwit_row_estimate_text(row, &row->effect);
        g_autofree char *control = godwit_row_estimate_text(row, &row->control);
        g_autofree char *p = godwit_row_p_text(row);
        g_autofree char *smallest = godwit_row_smallest_text(row);
        g_autofree char *verdict =
            g_strconcat(godwit_row_verdict(row),
                        row->control_differs ? ": A' differs from A as well" : "", NULL);
        godwit_page_row(page, (const char *const[]){godwit_metric_kind(row->metric)->name, a, b,
                                                    effect, control, p, smallest, verdict, NULL});
    }
    godwit_page_table_end(page, false);
}

/* Widens LOW and HIGH to what an estimate reaches. */
static void reach(const struct godwit_estimate *estimate, double *low, double *high)
{
    const double values[] = {estimate->value, estimate->low, estimate->high};
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        if (!isfinite(values[i]))
            continue;
        *low = MIN(*low, values[i]);
        *high = MAX(*high, values[i]);
    }
}

/* Draws one estimate: the interval, if there is one, and the value. */
static void draw(struct godwit_plot *plot, enum godwit_series series,
                 const struct godwit_estimate *estimate, double y, const char *what)
{
    godwit_plot_range(plot, series, estimate->low, estimate->high, y);
    godwit_plot_mark(plot, series, estimate->value, y, what);
}

/* Draws the forest of the rows of one scale: those of SCENARIO, and the geometric mean. */
static void forest(GString *page, const struct godwit_compare_report *report, unsigned scenario,
                   const char *name, enum godwit_scale scale)
{
    static const char *const series[GODWIT_SERIES_ALL] = {"B to A", NULL, "A' to A, the control"};
    const bool ratio = scale == GODWIT_SCALE_RATIO;
    const double tolerance = ratio ? 1 + report->rules.part : report->rules.ms;
    const double least = ratio ? 1 / tolerance : -tolerance;
    double low = least, high = tolerance;
    g_autoptr(GPtrArray) rows = g_ptr_array_new(), names = g_ptr_array_new();
    for (guint i = 0; i < report->rows->len; i++) {
        const struct godwit_row *row = &g_array_index(report->rows, struct godwit_row, i);
        const struct godwit_metric_kind *kind = godwit_metric_kind(row->metric);
        if (!(is_of(row, scenario, false) || row->mean) || !row->known || kind->scale != scale)
            continue;
        g_ptr_array_add(rows, (gpointer)(uintptr_t)row);
        g_ptr_array_add(names, row->mean ? (gpointer) "total, mean of all scenarios"
                                         : (gpointer)(uintptr_t)kind->name);
        reach(&row->effect, &low, &high);
        reach(&row->control, &low, &high);
    }
    if (!rows->len)
        return;
    g_ptr_array_add(names, NULL);
    const double edge = ratio ? 1.05 : (high - low) * 0.05;
    g_autofree char *title =
        g_strdup_printf("%s: %s of B and A", name, ratio ? "ratios" : "differences");
    const struct godwit_axes axes = {
        .title = title,
        .description = "A mark is an estimate, its line the interval. The band is the "
                       "tolerance. The numbers are in the table above.",
        .x_label = ratio ? "B / A, logarithmic; below 1 is faster or less"
                         : "B - A in ms; below 0 is faster",
        .y_label = "metric",
        .x_low = ratio ? low / edge : low - edge,
        .x_high = ratio ? high * edge : high + edge,
        .x_log = ratio,
        .rows = (char *const *)names->pdata,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    godwit_plot_band(plot, least, tolerance);
    godwit_plot_rule(plot, ratio ? 1 : 0);
    for (guint i = 0; i < rows->len; i++) {
        const struct godwit_row *row = g_ptr_array_index(rows, i);
        g_autofree char *effect = godwit_row_estimate_text(row, &row->effect);
        g_autofree char *control = godwit_row_estimate_text(row, &row->control);
        draw(plot, GODWIT_SERIES_A, &row->effect, i - 0.17, effect);
        draw(plot, GODWIT_SERIES_CONTROL, &row->control, i + 0.2, control);
    }
    godwit_plot_end(plot);
    godwit_plot_legend(page, series);
}

/* Returns the values of METRIC that an arm has, in ascending order, and their number. The caller
 * frees it. */
static double *sorted(const GArray *rounds, enum godwit_arm arm, enum godwit_metric metric,
                      size_t *count)
{
    double *values = g_new(double, rounds->len + 1);
    *count = 0;
    for (guint i = 0; i < rounds->len; i++) {
        const double value = g_array_index(rounds, struct godwit_round, i).value[arm][metric];
        if (isfinite(value))
            values[(*count)++] = value;
    }
    gsl_sort(values, 1, *count);
    return values;
}

static void ecdf(GString *page, const struct godwit_compare_scenario *scenario)
{
    double low = (double)INFINITY, high = (double)-INFINITY;
    double *values[GODWIT_ARMS];
    size_t counts[GODWIT_ARMS];
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        values[arm] =
            sorted(scenario->rounds, (enum godwit_arm)arm, GODWIT_METRIC_BLACKOUT, &counts[arm]);
        if (counts[arm]) {
            low = MIN(low, values[arm][0]);
            high = MAX(high, values[arm][counts[arm] - 1]);
        }
    }
    g_autofree char *title = g_strdup_printf("%s: distribution of the blackout", scenario->name);
    const struct godwit_axes axes = {
        .title = title,
        .description = "For each blackout the part of the runs whose blackout was not longer, for "
                       "each arm. A line further to the right has longer blackouts.",
        .x_label = "blackout in ms",
        .y_label = "part of the runs",
        .x_low = MIN(low, 0),
        .x_high = high,
        .y_high = 1,
    };
    struct godwit_plot *plot = isfinite(low) ? godwit_plot_begin(page, &axes) : NULL;
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        const size_t count = counts[arm], points = 2 * count + 1;
        g_autofree double *x = g_new(double, points + 1), *y = g_new(double, points + 1);
        for (size_t i = 0; i < count; i++) {
            x[2 * i] = x[2 * i + 1] = values[arm][i];
            y[2 * i] = (double)i / (double)count;
            y[2 * i + 1] = (double)(i + 1) / (double)count;
        }
        x[2 * count] = high;
        y[2 * count] = 1;
        if (plot && count)
            godwit_plot_line(plot, (enum godwit_series)arm, x, y, points);
        g_free(values[arm]);
    }
    if (!plot) {
        g_string_append(page, "<p>The blackout was not measured.</p>\n");
        return;
    }
    godwit_plot_end(plot);
    godwit_plot_legend(page, arms);
}

static void order(GString *page, const struct godwit_compare_scenario *scenario)
{
    const GArray *rounds = scenario->rounds;
    double high = 0;
    for (guint i = 0; i < rounds->len; i++)
        for (int arm = 0; arm < GODWIT_ARMS; arm++) {
            const double total =
                g_array_index(rounds, struct godwit_round, i).value[arm][GODWIT_METRIC_TOTAL];
            high = isfinite(total) ? MAX(high, total) : high;
        }
    if (high <= 0)
        return;
    g_autofree char *title =
        g_strdup_printf("%s: total times in the order of the runs", scenario->name);
    const struct godwit_axes axes = {
        .title = title,
        .description = "The total time of each run, by its place. A slope or a step of all arms "
                       "alike is the host's, not that of a QEMU. A place without a mark failed or "
                       "was not measured.",
        .x_label = "run of this scenario",
        .y_label = "total in ms",
        .x_high = (double)rounds->len * GODWIT_ARMS + 1,
        .y_high = high * 1.05,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    for (guint i = 0; i < rounds->len; i++)
        for (unsigned place = 0; place < GODWIT_ARMS; place++) {
            const enum godwit_arm arm = godwit_arm_at(i, place);
            const double total =
                g_array_index(rounds, struct godwit_round, i).value[arm][GODWIT_METRIC_TOTAL];
            g_autofree char *what =
                g_strdup_printf("%s, round %u: %.2f ms", godwit_arm_name(arm), i + 1, total);
            godwit_plot_mark(plot, (enum godwit_series)arm, i * GODWIT_ARMS + place + 1, total,
                             what);
        }
    godwit_plot_end(plot);
    godwit_plot_legend(page, arms);
}

/* Returns the measurements of the run of ARM whose total time is nearest to the median, borrowed;
 * NULL if no total time was measured. */
static const json_t *typical(const struct godwit_compare_scenario *scenario, enum godwit_arm arm)
{
    size_t count, i;
    g_autofree double *totals = sorted(scenario->rounds, arm, GODWIT_METRIC_TOTAL, &count);
    const double median = godwit_median(totals, count);
    const json_t *nearest = NULL;
    double least = (double)INFINITY;
    json_t *run;
    json_array_foreach(scenario->measured[arm], i, run)
    {
        const json_t *total = json_object_get(json_object_get(run, "pace"), "total_ms");
        const double off = fabs(json_number_value(total) - median);
        if (!json_is_number(total) || !(off < least))
            continue;
        least = off;
        nearest = run;
    }
    return nearest;
}

/* Writes the waterfall of the run that was made for it. */
static void traced_run(GString *page, const struct godwit_compare_scenario *scenario,
                       enum godwit_arm arm, const char *name)
{
    const json_t *run = arm <= GODWIT_ARM_B ? scenario->traced[arm] : NULL;
    if (!run)
        return;
    godwit_page_text(page, "<h3>", name, ": the downtime of one more run</h3>\n");
    g_string_append(page, "<p>This run was traced, which makes its downtime longer. It is no part "
                          "of the comparison.</p>\n");
    godwit_measured_write_waterfall(page, run, name);
}

static void typical_runs(GString *page, const struct godwit_compare_scenario *scenario)
{
    for (int arm = GODWIT_ARM_A; arm <= GODWIT_ARM_B; arm++) {
        const json_t *run = typical(scenario, (enum godwit_arm)arm);
        g_autofree char *name =
            g_strdup_printf("%s, %s", scenario->name, godwit_arm_name((enum godwit_arm)arm));
        if (godwit_measured_has(run)) {
            godwit_page_text(page, "<h3>", name, ": the run with the median total time</h3>\n");
            godwit_measured_write(page, run, name);
        }
        traced_run(page, scenario, (enum godwit_arm)arm, name);
    }
}

static void contents(GString *page, const struct godwit_compare_report *report)
{
    g_string_append(page, "<nav aria-label=\"Scenarios\"><ul>\n");
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = g_ptr_array_index(report->scenarios, s);
        g_string_append_printf(page, "<li><a href=\"#s%u\">", s);
        godwit_page_text(page, "", scenario->name, "</a></li>\n");
    }
    g_string_append(page, "</ul></nav>\n");
}

void godwit_compare_write_html(FILE *out, const struct godwit_compare_report *report)
{
    GString *page = godwit_page_begin("Godwit: comparison of migrations");
    char *head = CAPTURE(godwit_compare_write_head, report);
    godwit_page_code(page, head);
    free(head);
    contents(page, report);
    table(page, report, 0, true, "geometric mean over all scenarios");
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = g_ptr_array_index(report->scenarios, s);
        g_string_append_printf(page, "<h2 id=\"s%u\">", s);
        godwit_page_text(page, "", scenario->name, "</h2>\n");
        char *text = CAPTURE(godwit_compare_write_scenario, scenario);
        godwit_page_code(page, g_strchug(text));
        free(text);
        if (scenario->skipped)
            continue;
        table(page, report, s, false, scenario->name);
        forest(page, report, s, scenario->name, GODWIT_SCALE_RATIO);
        forest(page, report, s, scenario->name, GODWIT_SCALE_DIFFERENCE);
        ecdf(page, scenario);
        order(page, scenario);
        typical_runs(page, scenario);
    }
    godwit_page_end(page);
    fputs(page->str, out);
    g_string_free(page, TRUE);
}
