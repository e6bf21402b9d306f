/*
 * The formats bmf and openmetrics.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/readings.h"

#include <glib.h>
#include <math.h>

enum { LOW, MEDIAN, HIGH, QUARTILES };

struct reading {
    enum godwit_reading_kind kind;
    char *benchmark;
    json_t *labels;
    double values[QUARTILES];
};

struct godwit_readings {
    GArray *list; /* of struct reading */
};

/* In OpenMetrics, the unit is the end of a name. */
static const struct {
    const char *bmf, *name, *unit, *help;
} kinds[GODWIT_READING_KINDS] = {
    [GODWIT_READING_TOTAL] = {"total-time", "godwit_total_time_seconds", "seconds",
                              "From the start of the migration to its end."},
    [GODWIT_READING_BLACKOUT] = {"blackout", "godwit_blackout_seconds", "seconds",
                                 "How long the guest stood still, seen from outside."},
    [GODWIT_READING_DOWNTIME] = {"downtime", "godwit_downtime_seconds", "seconds",
                                 "The downtime that QEMU reports."},
    [GODWIT_READING_SETUP] = {"setup-time", "godwit_setup_time_seconds", "seconds",
                              "The setup time that QEMU reports."},
    [GODWIT_READING_SOURCE_CPU] = {"source-cpu", "godwit_source_cpu_seconds", "seconds",
                                   "Processor time of the source."},
    [GODWIT_READING_DESTINATION_CPU] = {"destination-cpu", "godwit_destination_cpu_seconds",
                                        "seconds", "Processor time of the destination."},
    [GODWIT_READING_BYTES] = {"sent", "godwit_sent_bytes", "bytes", "What the source has sent."},
    [GODWIT_READING_RATE] = {"rate", "godwit_rate_bytes_per_second", "bytes_per_second",
                             "What the source has sent in a second."},
};

static void reading_clear(gpointer data)
{
    struct reading *reading = data;
    g_free(reading->benchmark);
    json_decref(reading->labels);
}

struct godwit_readings *godwit_readings_new(void)
{
    struct godwit_readings *readings = g_new0(struct godwit_readings, 1);
    readings->list = g_array_new(FALSE, FALSE, sizeof(struct reading));
    g_array_set_clear_func(readings->list, reading_clear);
    return readings;
}

void godwit_readings_free(struct godwit_readings *readings)
{
    g_array_unref(readings->list);
    g_free(readings);
}

void godwit_readings_add(struct godwit_readings *readings, enum godwit_reading_kind kind,
                         const char *benchmark, json_t *labels, const double quartiles[3])
{
    if (!isfinite(quartiles[MEDIAN]))
        return;
    const struct reading reading = {
        kind,
        g_strdup(benchmark),
        json_incref(labels),
        {quartiles[LOW], quartiles[MEDIAN], quartiles[HIGH]},
    };
    g_array_append_val(readings->list, reading);
}

void godwit_readings_write_bmf(FILE *out, const struct godwit_readings *readings)
{
    g_autoptr(json_t) all = json_object();
    for (guint i = 0; i < readings->list->len; i++) {
        const struct reading *reading = &g_array_index(readings->list, struct reading, i);
        json_t *benchmark = json_object_get(all, reading->benchmark);
        if (!benchmark) {
            benchmark = json_object();
            json_object_set_new(all, reading->benchmark, benchmark);
        }
        json_object_set_new(benchmark, kinds[reading->kind].bmf,
                            json_pack("{s:f, s:f, s:f}", "value", reading->values[MEDIAN],
                                      "lower_value", reading->values[LOW], "upper_value",
                                      reading->values[HIGH]));
    }
    g_autofree char *text = godwit_json_dump(all, JSON_INDENT(2));
    fprintf(out, "%s\n", text);
}

/* Adds the value of a label. Quotes, backslashes and the end of a line are escaped there. */
static void add_label(GString *labels, const char *name, const char *value)
{
    g_string_append_printf(labels, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            g_string_append(labels, "\\n");
        else
            g_string_append_printf(labels, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    }
    g_string_append(labels, "\",");
}

static void write_gauge(FILE *out, const struct reading *reading)
{
    static const char *const quantiles[QUARTILES] = {"0.25", "0.5", "0.75"};
    g_autoptr(GString) labels = g_string_new(NULL);
    const char *name;
    json_t *value;
    json_object_foreach(reading->labels, name, value)
    {
        add_label(labels, name, json_string_value(value));
    }
    for (int i = 0; i < QUARTILES; i++)
        fprintf(out, "%s{%squantile=\"%s\"} %.9g\n", kinds[reading->kind].name, labels->str,
                quantiles[i], reading->values[i]);
}

void godwit_readings_write_openmetrics(FILE *out, const struct godwit_readings *readings)
{
    for (int kind = 0; kind < GODWIT_READING_KINDS; kind++) {
        bool described = false;
        for (guint i = 0; i < readings->list->len; i++) {
            const struct reading *reading = &g_array_index(readings->list, struct reading, i);
            if (reading->kind != (enum godwit_reading_kind)kind)
                continue;
            if (!described)
                fprintf(out, "# TYPE %s gauge\n# UNIT %s %s\n# HELP %s %s\n", kinds[kind].name,
                        kinds[kind].name, kinds[kind].unit, kinds[kind].name, kinds[kind].help);
            described = true;
            write_gauge(out, reading);
        }
    }
    fputs("# EOF\n", out);
}
