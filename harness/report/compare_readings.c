/*
 * The formats bmf and openmetrics of `godwit compare`: which readings there are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compare_parts.h"

#include "measure/statistics.h"
#include "report/readings.h"
#include <math.h>

static const double fractions[] = {0.25, 0.5, 0.75};

/* How a metric is read: times are in milliseconds here, and in seconds there. */
static const struct {
    enum godwit_reading_kind kind;
    double unit;
} metrics[GODWIT_METRICS] = {
    [GODWIT_METRIC_TOTAL] = {GODWIT_READING_TOTAL, 1e-3},
    [GODWIT_METRIC_BLACKOUT] = {GODWIT_READING_BLACKOUT, 1e-3},
    [GODWIT_METRIC_DOWNTIME] = {GODWIT_READING_DOWNTIME, 1e-3},
    [GODWIT_METRIC_SETUP] = {GODWIT_READING_SETUP, 1e-3},
    [GODWIT_METRIC_BYTES] = {GODWIT_READING_BYTES, 1},
    [GODWIT_METRIC_SOURCE_CPU] = {GODWIT_READING_SOURCE_CPU, 1e-3},
    [GODWIT_METRIC_DESTINATION_CPU] = {GODWIT_READING_DESTINATION_CPU, 1e-3},
};

/* Adds what METRIC was in the runs of an arm. */
static void add_metric(struct godwit_readings *readings, const char *benchmark, json_t *labels,
                       const GArray *rounds, enum godwit_arm arm, enum godwit_metric metric)
{
    g_autofree double *values = g_new(double, rounds->len + 1);
    double quartiles[G_N_ELEMENTS(fractions)];
    size_t count = 0;
    for (guint i = 0; i < rounds->len; i++) {
        const double value = g_array_index(rounds, struct godwit_round, i).value[arm][metric];
        if (!isnan(value))
            values[count++] = value * metrics[metric].unit;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(fractions); i++)
        quartiles[i] = godwit_quantile(values, count, fractions[i]);
    godwit_readings_add(readings, metrics[metric].kind, benchmark, labels, quartiles);
}

static struct godwit_readings *of_comparison(const struct godwit_compare_report *report)
{
    struct godwit_readings *readings = godwit_readings_new();
    for (guint s = 0; s < report->scenarios->len; s++) {
        const struct godwit_compare_scenario *scenario = g_ptr_array_index(report->scenarios, s);
        for (int arm = GODWIT_ARM_A; arm <= GODWIT_ARM_B; arm++) {
            const char *name = godwit_arm_name((enum godwit_arm)arm);
            g_autofree char *benchmark = g_strdup_printf("%s %s", scenario->name, name);
            g_autoptr(json_t) labels =
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "scenario", scenario->name, "arm", name,
                          "qemu", report->sides[arm].version, "arch", report->arch, "machine",
                          report->machine, "workload", report->workload);
            for (int metric = 0; metric < GODWIT_METRICS; metric++)
                add_metric(readings, benchmark, labels, scenario->rounds, (enum godwit_arm)arm,
                           (enum godwit_metric)metric);
        }
    }
    return readings;
}

void godwit_compare_write_bmf(FILE *out, const struct godwit_compare_report *report)
{
    struct godwit_readings *readings = of_comparison(report);
    godwit_readings_write_bmf(out, readings);
    godwit_readings_free(readings);
}

void godwit_compare_write_openmetrics(FILE *out, const struct godwit_compare_report *report)
{
    struct godwit_readings *readings = of_comparison(report);
    godwit_readings_write_openmetrics(out, readings);
    godwit_readings_free(readings);
}
