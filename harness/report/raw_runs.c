/*
 * The format runs-csv. Its columns are an interface: docs/measuring.md describes them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/raw_runs.h"

#include "report/compare.h"
#include "report/figures.h"
#include "report/host_facts.h"
#include <string.h>

static const char *const texts[] = {"ended",   "status", "source_version", "destination_version",
                                    "machine", "accel"};
static const char *const facts[] = {"kernel", "cpu", "governor", "hugepages"};

/* Writes the column of METRIC: its name with its unit. */
static void metric_head(FILE *out, enum godwit_metric metric)
{
    const struct godwit_metric_kind *kind = godwit_metric_kind(metric);
    g_autofree char *name = g_strdelimit(g_strdup(kind->name), " ", '_');
    fprintf(out, ",%s%s%s", name, strcmp(name, kind->unit) ? "_" : "",
            strcmp(name, kind->unit) ? kind->unit : "");
}

json_t *godwit_raw_run(const json_t *result, unsigned round)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *seconds = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *ended =
        g_strdup_printf("%s.%03dZ", seconds, g_date_time_get_microsecond(now) / 1000);
    const json_t *measurements = json_object_get(result, "measurements");
    json_t *run =
        json_pack("{s:i, s:s, s:o, s:o, s:o, s:s}", "round", (int)round, "ended", ended, "load",
                  godwit_figure_json(godwit_host_load("/")), "wall_ms",
                  godwit_figure_json(godwit_json_number(result, "ms")), "blackout_resolution_ms",
                  godwit_figure_json(godwit_json_number(measurements, "blackout_resolution_ms")),
                  "message", godwit_json_string(result, "message", ""));
    for (size_t i = 1; i < G_N_ELEMENTS(texts); i++)
        json_object_set_new(run, texts[i], json_string(godwit_json_string(result, texts[i], "")));
    for (int metric = 0; metric < GODWIT_METRICS; metric++)
        json_object_set_new(
            run, godwit_metric_kind((enum godwit_metric)metric)->name,
            godwit_figure_json(godwit_compare_value(result, (enum godwit_metric)metric)));
    return run;
}

void godwit_raw_runs_heads(FILE *out)
{
    fputs(",round", out);
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        fprintf(out, ",%s", texts[i]);
    fputs(",load,wall_ms,blackout_resolution_ms", out);
    for (int metric = 0; metric < GODWIT_METRICS; metric++)
        metric_head(out, (enum godwit_metric)metric);
    for (size_t i = 0; i < G_N_ELEMENTS(facts); i++)
        fprintf(out, ",%s", facts[i]);
    fputs(",cpus,memory_mib,message\n", out);
}

/* Writes a cell with a number. Unlike a report for people, raw data keep all of its digits. */
static void figure(FILE *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    fprintf(out, ",%s", isfinite(value) ? g_ascii_formatd(text, sizeof(text), "%.15g", value) : "");
}

void godwit_raw_runs_cells(FILE *out, const json_t *run, const json_t *about)
{
    const json_t *host = json_object_get(about, "host_facts");
    fprintf(out, ",%" JSON_INTEGER_FORMAT, godwit_json_integer(run, "round", 0));
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        godwit_csv_cell(out, ",", godwit_json_string(run, texts[i], ""));
    figure(out, godwit_json_number(run, "load"));
    figure(out, godwit_json_number(run, "wall_ms"));
    figure(out, godwit_json_number(run, "blackout_resolution_ms"));
    for (int metric = 0; metric < GODWIT_METRICS; metric++)
        figure(out, godwit_json_number(run, godwit_metric_kind((enum godwit_metric)metric)->name));
    for (size_t i = 0; i < G_N_ELEMENTS(facts); i++)
        godwit_csv_cell(out, ",", godwit_json_string(host, facts[i], ""));
    figure(out, godwit_json_number(host, "cpus"));
    figure(out, godwit_json_number(host, "memory_mib"));
    godwit_csv_cell(out, ",", godwit_json_string(run, "message", ""));
    fputc('\n', out);
}
