/*
 * The formats of `godwit compare`. Text is for people: a table for each scenario. JSON has
 * everything, each run's values included. CSV has a line for each row of the table, runs-csv one
 * for each run. HTML, with pictures, is in compare_html.c, BMF and OpenMetrics are in
 * compare_readings.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compare_parts.h"

#include "base/text.h"
#include "migrate/settings.h"
#include "report/figures.h"
#include "report/raw_runs.h"
#include <math.h>
#include <string.h>

static const char *const ends[] = {
    [GODWIT_COMPARE_SETTLED] = "settled",         [GODWIT_COMPARE_RUNS] = "runs",
    [GODWIT_COMPARE_BUDGET] = "budget",           [GODWIT_COMPARE_FAILED] = "failed",
    [GODWIT_COMPARE_INTERRUPTED] = "interrupted",
};

static const struct godwit_compare_scenario *scenario_at(const struct godwit_compare_report *report,
                                                         unsigned i)
{
    return g_ptr_array_index(report->scenarios, i);
}

static bool is_ratio(const struct godwit_row *row)
{
    return godwit_metric_kind(row->metric)->scale == GODWIT_SCALE_RATIO;
}

/* Text. */

char *godwit_row_median_text(const struct godwit_row *row, enum godwit_arm arm)
{
    const double value = row->median[arm];
    if (isnan(value))
        return g_strdup("-");
    if (row->metric == GODWIT_METRIC_BYTES)
        return g_strdup_printf("%.2f MiB", value / 1048576);
    g_autofree char *text = godwit_figure_text(value);
    return g_strdup_printf("%s %s", text, godwit_metric_kind(row->metric)->unit);
}

/* Returns VALUE, but 0 for what would be printed as -0.00. */
static double unsigned_zero(double value)
{
    return fabs(value) < 0.005 ? 0 : value;
}

char *godwit_row_estimate_text(const struct godwit_row *row, const struct godwit_estimate *estimate)
{
    if (!row->known)
        return g_strdup("-");
    const bool ratio = is_ratio(row);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, ratio ? "%.3f" : "%+.2f", unsigned_zero(estimate->value));
    if (!isnan(estimate->low))
        g_string_append_printf(text, ratio ? " [%.3f, %.3f]" : " [%+.2f, %+.2f]",
                               unsigned_zero(estimate->low), unsigned_zero(estimate->high));
    if (!ratio)
        g_string_append_printf(text, " %s", godwit_metric_kind(row->metric)->unit);
    return g_string_free(text, FALSE);
}

char *godwit_compare_column(const char *name, const struct godwit_compare_report *report)
{
    return g_strdup_printf("%s [%g %%]", name, report->confidence * 100);
}

char *godwit_row_smallest_text(const struct godwit_row *row)
{
    if (isnan(row->smallest))
        return g_strdup("-");
    return is_ratio(row)
               ? g_strdup_printf("+%.1f %%", row->smallest * 100)
               : g_strdup_printf("+%.2f %s", row->smallest, godwit_metric_kind(row->metric)->unit);
}

char *godwit_row_p_text(const struct godwit_row *row)
{
    return isnan(row->adjusted)     ? g_strdup("-")
           : row->adjusted < 0.0001 ? g_strdup("<0.0001")
                                    : g_strdup_printf("%.4f", row->adjusted);
}

static void write_row(FILE *out, const char *name, const struct godwit_row *row)
{
    g_autofree char *a = godwit_row_median_text(row, GODWIT_ARM_A),
                    *b = godwit_row_median_text(row, GODWIT_ARM_B);
    g_autofree char *effect = godwit_row_estimate_text(row, &row->effect);
    g_autofree char *control = godwit_row_estimate_text(row, &row->control);
    g_autofree char *smallest = godwit_row_smallest_text(row);
    g_autofree char *p = godwit_row_p_text(row);
    fprintf(out, "  %-15s %10s %10s  %-29s %-29s %8s %10s  %s%s\n", name, a, b, effect, control, p,
            smallest, godwit_row_verdict(row),
            row->control_differs ? ": A' differs from A as well" : "");
}

static void write_side(FILE *out, const char *name, const struct godwit_compare_side *side)
{
    g_autofree char *path = godwit_text_line(side->path);
    g_autofree char *version = godwit_text_line(side->version);
    g_autofree char *settings = godwit_settings_text(side->settings);
    g_autofree char *tame = godwit_text_line(settings);
    fprintf(out, "%s: QEMU %s, %s%s%s%s\n", name, version, path, *tame ? ", " : "", tame,
            side->traced ? "; each run is traced" : "");
}

/* Returns whether a blackout could not be measured. */
static bool lacks_blackout(const struct godwit_compare_report *report)
{
    bool lacks = false;
    for (guint i = 0; i < report->rows->len; i++) {
        const struct godwit_row *row = &g_array_index(report->rows, struct godwit_row, i);
        lacks = lacks || (row->metric == GODWIT_METRIC_BLACKOUT && godwit_row_is_unmeasured(row));
    }
    return lacks;
}

void godwit_compare_write_head(FILE *out, const struct godwit_compare_report *report)
{
    static const char *const why[] = {
        [GODWIT_COMPARE_SETTLED] = "total time and blackout are decided",
        [GODWIT_COMPARE_RUNS] = "as many runs as asked for",
        [GODWIT_COMPARE_BUDGET] = "the budget is spent",
        [GODWIT_COMPARE_FAILED] = "every scenario fails",
        [GODWIT_COMPARE_INTERRUPTED] = "interrupted",
    };
    write_side(out, "A", &report->sides[0]);
    write_side(out, "B", &report->sides[1]);
    if (report->alike)
        fputs("A/A test: A and B are the same QEMU with the same settings\n", out);
    g_autofree char *machine = godwit_text_line(report->machine);
    fprintf(out, "guest: %s, %s, %s, %s; seed %" G_GUINT64_FORMAT "\n", report->arch, machine,
            report->accel, report->workload, report->rules.seed);
    fprintf(out, "tolerance: %g %% of total time, %g ms of blackout; A' is A once more\n",
            report->rules.part * 100, report->rules.ms);
    fprintf(out, "ended after %.0f s: %s%s\n", report->elapsed, why[report->end],
            report->end == GODWIT_COMPARE_SETTLED && lacks_blackout(report)
                ? ", where they were measured"
                : "");
}

static bool any_failed(const struct godwit_compare_scenario *scenario)
{
    return scenario->failed[GODWIT_ARM_A] || scenario->failed[GODWIT_ARM_B] ||
           scenario->failed[GODWIT_ARM_CONTROL];
}

/* Returns which rounds are no pairs. The caller frees it. */
static char *dropped_text(const struct godwit_compare_scenario *scenario)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < scenario->rounds->len; i++)
        if (godwit_compare_dropped(&g_array_index(scenario->rounds, struct godwit_round, i)))
            g_string_append_printf(text, "%s%u", text->len ? ", " : "left out: rounds ", i + 1);
    if (!text->len)
        g_string_append(text, "no round is left out");
    return g_string_free(text, FALSE);
}

/* Writes how exact the blackouts are: a difference below that says nothing. */
static void write_resolution(FILE *out, const struct godwit_compare_scenario *scenario)
{
    bool any = false;
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(double));
        size_t i;
        json_t *run;
        json_array_foreach(scenario->measured[arm], i, run)
        {
            const double one = godwit_json_number(run, "blackout_resolution_ms");
            if (isfinite(one))
                g_array_append_val(all, one);
        }
        if (!all->len)
            continue;
        fprintf(out, "%s %s %.2f ms", any ? "," : "  a blackout is at most so much too long:",
                godwit_arm_name((enum godwit_arm)arm),
                godwit_median((const double *)(void *)all->data, all->len));
        any = true;
    }
    if (any)
        fputs(" (medians)\n", out);
}

void godwit_compare_write_scenario(FILE *out, const struct godwit_compare_scenario *scenario)
{
    if (scenario->skipped) {
        g_autofree char *why = godwit_text_line(scenario->skipped);
        fprintf(out, "\n%s: skipped: %s\n", scenario->name, why);
        return;
    }
    fprintf(out, "\n%s: %u rounds, window %" G_GUINT64_FORMAT " MiB, RAM %u MiB\n", scenario->name,
            scenario->rounds->len, (scenario->window_end - scenario->window_start) >> 20,
            scenario->memory_mib);
    write_resolution(out, scenario);
    if (any_failed(scenario)) {
        g_autofree char *dropped = dropped_text(scenario);
        fprintf(out, "  failures: B is %s; %s\n",
                godwit_compare_fault_text(godwit_compare_faults(scenario)), dropped);
    }
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        if (!scenario->failed[arm])
            continue;
        fprintf(out, "  %u of %u runs of %s failed:\n", scenario->failed[arm],
                scenario->failed[arm] + scenario->passed[arm],
                godwit_arm_name((enum godwit_arm)arm));
        for (guint i = 0; i < scenario->failures->len; i++) {
            const struct godwit_compare_failure *failure = g_ptr_array_index(scenario->failures, i);
            if (failure->arm == (enum godwit_arm)arm)
                fprintf(out, "    %u %s: %s\n", failure->count,
                        failure->count == 1 ? "time" : "times", failure->message);
        }
    }
}

static void write_columns(FILE *out, const struct godwit_compare_report *report)
{
    g_autofree char *effect = godwit_compare_column("B to A", report);
    g_autofree char *control = godwit_compare_column("A' to A", report);
    fprintf(out, "  %-15s %10s %10s  %-29s %-29s %8s %10s  %s\n", "", "A", "B", effect, control,
            "p (Holm)", "shows", "B is");
}

static void write_text(FILE *out, const struct godwit_compare_report *report)
{
    godwit_compare_write_head(out, report);
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = scenario_at(report, s);
        godwit_compare_write_scenario(out, scenario);
        if (scenario->skipped)
            continue;
        write_columns(out, report);
        for (guint i = 0; i < report->rows->len; i++) {
            const struct godwit_row *row = &g_array_index(report->rows, struct godwit_row, i);
            if (!row->mean && row->scenario == s)
                write_row(out, godwit_metric_kind(row->metric)->name, row);
        }
    }
    fputs("\ngeometric mean over all scenarios\n", out);
    for (guint i = 0; i < report->rows->len; i++) {
        const struct godwit_row *row = &g_array_index(report->rows, struct godwit_row, i);
        if (row->mean)
            write_row(out, "total", row);
    }
}

/* JSON. */

static json_t *estimate_json(const struct godwit_row *row, const struct godwit_estimate *estimate)
{
    return row->known ? json_pack("{s:o, s:o, s:o}", "value", godwit_figure_json(estimate->value),
                                  "low", godwit_figure_json(estimate->low), "high",
                                  godwit_figure_json(estimate->high))
                      : json_null();
}

static json_t *row_json(const struct godwit_compare_report *report, const struct godwit_row *row)
{
    const struct godwit_metric_kind *kind = godwit_metric_kind(row->metric);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b}", "scenario",
        row->mean ? "geometric mean" : scenario_at(report, row->scenario)->name, "metric",
        kind->name, "unit", kind->unit, "scale", is_ratio(row) ? "ratio" : "difference", "pairs",
        (int)row->effect.pairs, "a", godwit_figure_json(row->median[GODWIT_ARM_A]), "b",
        godwit_figure_json(row->median[GODWIT_ARM_B]), "control",
        godwit_figure_json(row->median[GODWIT_ARM_CONTROL]), "effect",
        estimate_json(row, &row->effect), "control_effect", estimate_json(row, &row->control), "p",
        godwit_figure_json(row->p), "p_holm", godwit_figure_json(row->adjusted), "smallest",
        godwit_figure_json(row->smallest), "verdict", godwit_row_verdict(row), "control_differs",
        row->control_differs);
    return json;
}

static json_t *round_json(const struct godwit_round *round)
{
    json_t *json = json_object();
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        json_t *values = json_object();
        for (int metric = 0; metric < GODWIT_METRICS; metric++)
            if (!isnan(round->value[arm][metric]))
                json_object_set_new(values, godwit_metric_kind((enum godwit_metric)metric)->name,
                                    godwit_figure_json(round->value[arm][metric]));
        json_object_set_new(json, godwit_arm_name((enum godwit_arm)arm), values);
    }
    return json;
}

static json_t *scenario_json(const struct godwit_compare_scenario *scenario)
{
    json_t *rounds = json_array(), *failures = json_array(), *runs = json_object();
    json_t *dropped = json_array();
    for (guint i = 0; i < scenario->rounds->len; i++) {
        const struct godwit_round *round = &g_array_index(scenario->rounds, struct godwit_round, i);
        json_array_append_new(rounds, round_json(round));
        if (godwit_compare_dropped(round))
            json_array_append_new(dropped, json_integer(i + 1));
    }
    for (guint i = 0; i < scenario->failures->len; i++) {
        const struct godwit_compare_failure *failure = g_ptr_array_index(scenario->failures, i);
        json_array_append_new(failures,
                              json_pack("{s:s, s:s, s:i, s:s}", "arm",
                                        godwit_arm_name(failure->arm), "message", failure->message,
                                        "count", (int)failure->count, "again", failure->again));
    }
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        json_object_set_new(runs, godwit_arm_name((enum godwit_arm)arm),
                            json_pack("{s:i, s:i, s:s*, s:O, s:O*}", "passed",
                                      (int)scenario->passed[arm], "failed",
                                      (int)scenario->failed[arm], "again", scenario->again[arm],
                                      "measured", scenario->measured[arm], "traced",
                                      arm <= GODWIT_ARM_B ? scenario->traced[arm] : NULL));
    return json_pack("{s:s, s:s*, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:s}", "name", scenario->name,
                     "skipped", scenario->skipped, "memory_mib", (int)scenario->memory_mib,
                     "window_start", (json_int_t)scenario->window_start, "window_end",
                     (json_int_t)scenario->window_end, "runs", runs, "failures", failures, "rounds",
                     rounds, "dropped_rounds", dropped, "failure_verdict",
                     godwit_compare_fault_text(godwit_compare_faults(scenario)));
}

static json_t *side_json(const struct godwit_compare_side *side)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "path", side->path, "version", side->version,
                             "package", side->package);
    json_object_set_new(json, "traced", json_boolean(side->traced));
    json_object_set_new(json, "settings",
                        side->settings ? json_deep_copy(side->settings) : json_object());
    return json;
}

static void write_json(FILE *out, const struct godwit_compare_report *report)
{
    json_t *rows = json_array(), *scenarios = json_array();
    for (guint i = 0; i < report->rows->len; i++)
        json_array_append_new(rows,
                              row_json(report, &g_array_index(report->rows, struct godwit_row, i)));
    for (guint s = 0; s < report->scenarios->len; s++)
        json_array_append_new(scenarios, scenario_json(scenario_at(report, s)));
    g_autoptr(json_t) json = json_pack(
        "{s:o, s:o, s:b, s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:s, s:o, s:o}", "a",
        side_json(&report->sides[0]), "b", side_json(&report->sides[1]), "alike", report->alike,
        "arch", report->arch, "machine", report->machine, "accel", report->accel, "workload",
        report->workload, "seed", (json_int_t)report->rules.seed, "tolerance", report->rules.part,
        "tolerance_ms", report->rules.ms, "confidence", report->confidence, "budget_s",
        report->budget, "elapsed_s", report->elapsed, "ended", ends[report->end], "scenarios",
        scenarios, "rows", rows);
    json_object_update(json, report->about);
    g_autofree char *text = godwit_json_dump(json, JSON_INDENT(2));
    fprintf(out, "%s\n", text);
}

/* CSV. */

static void write_csv_row(FILE *out, const struct godwit_compare_report *report,
                          const struct godwit_row *row)
{
    const struct godwit_metric_kind *kind = godwit_metric_kind(row->metric);
    /* No name of a scenario or a metric has a comma or a quote. */
    fprintf(out, "%s,%s,%s,%s,%zu",
            row->mean ? "geometric mean" : scenario_at(report, row->scenario)->name, kind->name,
            kind->unit, is_ratio(row) ? "ratio" : "difference", row->effect.pairs);
    const struct godwit_estimate *e = &row->effect, *c = &row->control;
    const double unknown[] = {NAN, NAN, NAN};
    const double effect[] = {e->value, e->low, e->high};
    const double control[] = {c->value, c->low, c->high};
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        godwit_figure_csv(out, row->median[arm]);
    for (size_t v = 0; v < G_N_ELEMENTS(effect); v++)
        godwit_figure_csv(out, row->known ? effect[v] : unknown[v]);
    for (size_t v = 0; v < G_N_ELEMENTS(control); v++)
        godwit_figure_csv(out, row->known ? control[v] : unknown[v]);
    godwit_figure_csv(out, row->p);
    godwit_figure_csv(out, row->adjusted);
    godwit_figure_csv(out, row->smallest);
    fprintf(out, ",%s\n", godwit_row_verdict(row));
}

static void write_csv(FILE *out, const struct godwit_compare_report *report)
{
    fputs("scenario,metric,unit,scale,pairs,a,b,control,effect,low,high,control_effect,control_low,"
          "control_high,p,p_holm,smallest,verdict\n",
          out);
    for (guint i = 0; i < report->rows->len; i++)
        write_csv_row(out, report, &g_array_index(report->rows, struct godwit_row, i));
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = scenario_at(report, s);
        if (any_failed(scenario))
            fprintf(out, "%s,failures,runs,,%u,%u,%u,%u,,,,,,,,,,%s\n", scenario->name,
                    scenario->rounds->len, scenario->failed[GODWIT_ARM_A],
                    scenario->failed[GODWIT_ARM_B], scenario->failed[GODWIT_ARM_CONTROL],
                    godwit_compare_fault_text(godwit_compare_faults(scenario)));
    }
}

static void write_runs_csv(FILE *out, const struct godwit_compare_report *report)
{
    fputs("scenario,arm", out);
    godwit_raw_runs_heads(out);
    for (guint s = 0; s < report->scenarios->len; s++) {
        size_t i;
        json_t *run;
        json_array_foreach(scenario_at(report, s)->raw, i, run)
        {
            fprintf(out, "%s,%s", scenario_at(report, s)->name, godwit_json_string(run, "arm", ""));
            godwit_raw_runs_cells(out, run, report->about);
        }
    }
}

static void write_one(enum godwit_figures_format format, FILE *out, gconstpointer report)
{
    static void (*const writers[])(FILE * out, const struct godwit_compare_report *report) = {
        [GODWIT_FORMAT_TEXT] = write_text,
        [GODWIT_FORMAT_JSON] = write_json,
        [GODWIT_FORMAT_CSV] = write_csv,
        [GODWIT_FORMAT_HTML] = godwit_compare_write_html,
        [GODWIT_FORMAT_BMF] = godwit_compare_write_bmf,
        [GODWIT_FORMAT_OPENMETRICS] = godwit_compare_write_openmetrics,
        [GODWIT_FORMAT_RUNS_CSV] = write_runs_csv,
    };
    writers[format](out, report);
}

bool godwit_compare_write(const char *format, const struct godwit_compare_report *report,
                          GError **error)
{
    return godwit_figures_write(format, write_one, report, error);
}
