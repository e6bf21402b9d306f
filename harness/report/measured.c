/*
 * The pictures and tables of one measured run. All times are on one clock, which begins when the
 * source reports that its migration is set up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/measured_parts.h"

#include "report/figures.h"
#include "report/page.h"
#include "report/plot.h"
#include <math.h>
#include <string.h>

/* The most devices in the picture of a waterfall: the longest. The table has all. */
#define LONGEST 24

static int compare_length(gconstpointer a, gconstpointer b)
{
    const double one = godwit_json_number(*(json_t *const *)a, "ms"),
                 other = godwit_json_number(*(json_t *const *)b, "ms");
    return (one < other) - (one > other);
}

static int compare_start(gconstpointer a, gconstpointer b)
{
    const double one = godwit_json_number(*(json_t *const *)a, "at_ms");
    const double other = godwit_json_number(*(json_t *const *)b, "at_ms");
    return (one > other) - (one < other);
}

/* Returns the longest devices and all checkpoints in the order of their times, borrowed. The caller
 * unreferences it. */
static GPtrArray *steps_of(const json_t *waterfall)
{
    GPtrArray *steps = g_ptr_array_new();
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(waterfall, "devices"), i, item)
    {
        g_ptr_array_add(steps, item);
    }
    g_ptr_array_sort(steps, compare_length);
    if (steps->len > LONGEST)
        g_ptr_array_set_size(steps, LONGEST);
    json_array_foreach(json_object_get(waterfall, "checkpoints"), i, item)
    {
        g_ptr_array_add(steps, item);
    }
    g_ptr_array_sort(steps, compare_start);
    return steps;
}

static void draw_steps(GString *page, const GPtrArray *steps, const char *name)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(g_free);
    double low = (double)INFINITY, high = (double)-INFINITY;
    for (guint i = 0; i < steps->len; i++) {
        const json_t *step = g_ptr_array_index(steps, i);
        const double at = godwit_json_number(step, "at_ms"), ms = godwit_json_number(step, "ms");
        g_autofree char *device =
            g_strndup(godwit_json_string(step, "device", godwit_json_string(step, "name", "")), 30);
        low = MIN(low, at);
        high = MAX(high, at + (isnan(ms) ? 0 : ms));
        g_ptr_array_add(
            rows, isnan(ms) ? g_strdup(device)
                            : g_strdup_printf("%s %s",
                                              strcmp(godwit_json_string(step, "side", ""), "source")
                                                  ? "load"
                                                  : "save",
                                              device));
    }
    g_ptr_array_add(rows, NULL);
    g_autofree char *title = g_strdup_printf("%s: where the downtime goes", name);
    const struct godwit_axes axes = {
        .title = title,
        .description = "A bar is the time in which a device's state was saved on the source or "
                       "loaded on the destination. A mark is a step that QEMU names.",
        .x_label = godwit_time_label,
        .y_label = "device or step",
        .x_low = low - (high - low) * 0.02,
        .x_high = high + (high - low) * 0.02,
        .rows = (char *const *)rows->pdata,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    for (guint i = 0; i < steps->len; i++) {
        const json_t *step = g_ptr_array_index(steps, i);
        const double at = godwit_json_number(step, "at_ms"), ms = godwit_json_number(step, "ms");
        const enum godwit_series series = strcmp(godwit_json_string(step, "side", ""), "source")
                                              ? GODWIT_SERIES_B
                                              : GODWIT_SERIES_A;
        g_autofree char *what =
            g_strdup_printf("%s: %.3f ms", (char *)g_ptr_array_index(rows, i), isnan(ms) ? at : ms);
        if (isnan(ms))
            godwit_plot_mark(plot, series, at, i, what);
        else
            godwit_plot_bar(plot, series, at, at + ms, i - 0.35, i + 0.35, what);
    }
    godwit_plot_end(plot);
}

void godwit_measured_write_waterfall(GString *page, const json_t *measurements, const char *name)
{
    static const char *const sides[GODWIT_SERIES_ALL] = {"source", "destination", NULL};
    static const char *const heads[] = {"device", "side", "instance", "type", "at ms", "ms", NULL};
    static const char *const unknown[] = {"source_unknown", "destination_unknown"};
    const json_t *waterfall = json_object_get(measurements, "waterfall");
    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
        const char *why = godwit_json_string(waterfall, unknown[i], NULL);
        if (!why)
            continue;
        godwit_page_text(page, "<p>The ", sides[i],
                         "'s part of the downtime by device is unknown: ");
        godwit_page_text(page, "", why, ".</p>\n");
    }
    g_autoptr(GPtrArray) steps = steps_of(waterfall);
    if (!steps->len)
        return;
    draw_steps(page, steps, name);
    godwit_plot_legend(page, sides);
    g_autofree char *caption = g_strdup_printf("%s: all devices", name);
    godwit_page_table(page, true, caption, heads);
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(waterfall, "devices"), i, device)
    {
        g_autofree char *at = g_strdup_printf("%.3f", godwit_json_number(device, "at_ms"));
        g_autofree char *ms = g_strdup_printf("%.3f", godwit_json_number(device, "ms"));
        g_autofree char *instance =
            g_strdup_printf("%" JSON_INTEGER_FORMAT, godwit_json_integer(device, "instance", 0));
        godwit_page_row(
            page, (const char *const[]){godwit_json_string(device, "device", ""),
                                        godwit_json_string(device, "side", ""), instance,
                                        godwit_json_string(device, "type", ""), at, ms, NULL});
    }
    godwit_page_table_end(page, true);
}

static void iterations_of(GString *page, const json_t *measurements, const char *name)
{
    static const char *const heads[] = {"iteration", "at ms",       "ms",      "bytes",
                                        "bytes/s",   "dirty pages", "pages/s", NULL};
    static const char *const members[] = {"at_ms",       "ms",          "bytes",
                                          "bytes_per_s", "dirty_pages", "dirty_pages_per_s"};
    g_autofree char *caption = g_strdup_printf("%s: iterations", name);
    size_t i;
    json_t *iteration;
    godwit_page_table(page, true, caption, heads);
    json_array_foreach(json_object_get(json_object_get(measurements, "transfer"), "iterations"), i,
                       iteration)
    {
        char *cells[G_N_ELEMENTS(members) + 2] = {g_strdup_printf("%zu", i + 1)};
        for (size_t c = 0; c < G_N_ELEMENTS(members); c++)
            cells[c + 1] = godwit_figure_text(godwit_json_number(iteration, members[c]));
        godwit_page_row(page, (const char *const *)cells);
        for (size_t c = 0; cells[c]; c++)
            g_free(cells[c]);
    }
    godwit_page_table_end(page, true);
}

static void threads_of(GString *page, const json_t *measurements, const char *name)
{
    static const char *const heads[] = {"thread", "side", "CPU ms", NULL};
    static const char *const sides[] = {"source", "destination"};
    const json_t *pace = json_object_get(measurements, "pace");
    g_autofree char *caption = g_strdup_printf("%s: CPU time by thread", name);
    godwit_page_table(page, true, caption, heads);
    for (size_t s = 0; s < G_N_ELEMENTS(sides); s++) {
        g_autofree char *member = g_strdup_printf("%s_threads_ms", sides[s]);
        g_autofree char *rest = g_strdup_printf("%s_ended_ms", sides[s]);
        g_autofree char *ended = godwit_figure_text(godwit_json_number(pace, rest));
        const char *thread;
        json_t *ms;
        json_object_foreach(json_object_get(pace, member), thread, ms)
        {
            g_autofree char *text = godwit_figure_text(json_number_value(ms));
            godwit_page_row(page, (const char *const[]){thread, sides[s], text, NULL});
        }
        godwit_page_row(page,
                        (const char *const[]){"(after the last look)", sides[s], ended, NULL});
    }
    godwit_page_table_end(page, true);
}

/* The figures that have no picture. */
static void figures_of(GString *page, const json_t *measurements, const char *name)
{
    static const char *const heads[] = {"figure", "value", NULL};
    static const struct {
        const char *object, *member, *what;
        double unit;
    } rows[] = {
        {"pace", "total_ms", "total, ms", 1},
        {NULL, "blackout_ms", "blackout, ms", 1},
        {NULL, "blackout_resolution_ms", "blackout, at most too long by, ms", 1},
        {"migration", "downtime", "QEMU's downtime, ms", 1},
        {"brownout", "before_pages_per_s", "guest before, pages/s", 1},
        {"brownout", "during_pages_per_s", "guest during, pages/s", 1},
        {"brownout", "after_pages_per_s", "guest after, pages/s", 1},
        {"brownout", "lost_passes", "passes lost outside the blackout", 1},
        {"brownout", "longest_gap_ms", "longest gap of the sampler, ms", 1},
        {"migration", "transferred", "sent, MiB", 1048576},
        {"transfer", "bytes_per_dirty_byte", "bytes sent per dirty byte", 1},
        {"pace", "source_cpu_ms", "CPU of the source, ms", 1},
        {"pace", "destination_cpu_ms", "CPU of the destination, ms", 1},
        {"pace", "source_peak_bytes", "peak memory of the source, MiB", 1048576},
        {"pace", "destination_peak_bytes", "peak memory of the destination, MiB", 1048576},
    };
    g_autofree char *caption = g_strdup_printf("%s: figures (- was not measured)", name);
    godwit_page_table(page, false, caption, heads);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const json_t *object =
            rows[i].object ? json_object_get(measurements, rows[i].object) : measurements;
        const double value = godwit_json_number(object, rows[i].member) / rows[i].unit;
        /* Not -0.00. */
        g_autofree char *text = godwit_figure_text(fabs(value) < 0.005 ? 0 : value);
        godwit_page_row(page, (const char *const[]){rows[i].what, text, NULL});
    }
    godwit_page_table_end(page, false);
}

bool godwit_measured_has(const json_t *measurements)
{
    return json_object_get(measurements, "transfer") != NULL;
}

void godwit_measured_write(GString *page, const json_t *measurements, const char *name)
{
    const char *why = godwit_json_string(measurements, "brownout_unknown", NULL);
    if (why)
        godwit_page_text(page, "<p>The guest's speed is unknown: ", why, ".</p>\n");
    figures_of(page, measurements, name);
    godwit_timeline_write(page, measurements, name);
    godwit_measured_write_waterfall(page, measurements, name);
    iterations_of(page, measurements, name);
    threads_of(page, measurements, name);
}
