/*
 * The timeline of a measured run: plots below each other, on one axis of time. From above: the
 * guest's speed and its dirty rate, what remains to be sent, the rate of the transfer, how far QEMU
 * throttles the guest's CPUs, and the states of both sides.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/measured_parts.h"

#include "report/page.h"
#include "report/plot.h"
#include <math.h>
#include <string.h>

/* How much of the time after the migration the timeline shows, in milliseconds. */
#define AFTER_MS 150
/* Where the areas of all plots begin, in pixels, so that one moment is at one place in each. The
 * longest name of a state fits. */
#define LEFT_PX 230

const char godwit_time_label[] = "ms after the source reported that the migration is set up";

/* Two columns of a line. */
struct points {
    GArray *x, *y; /* of double */
};

static struct points points_new(void)
{
    return (struct points){g_array_new(FALSE, FALSE, sizeof(double)),
                           g_array_new(FALSE, FALSE, sizeof(double))};
}

static void points_clear(struct points *points)
{
    g_array_unref(points->x);
    g_array_unref(points->y);
}

/* Adds a level from FROM to TO. One that is not known leaves a gap. */
static void add_level(struct points *points, double from, double to, double level)
{
    g_array_append_val(points->x, from);
    g_array_append_val(points->y, level);
    g_array_append_val(points->x, to);
    g_array_append_val(points->y, level);
}

static double highest(const struct points *points, double from)
{
    for (guint i = 0; i < points->y->len; i++) {
        const double y = g_array_index(points->y, double, i);
        from = isfinite(y) ? MAX(from, y) : from;
    }
    return from;
}

static void draw(struct godwit_plot *plot, enum godwit_series series, const struct points *points)
{
    godwit_plot_line(plot, series, (const double *)(void *)points->x->data,
                     (const double *)(void *)points->y->data, points->x->len);
}

/* Returns a list of the measured transfer: "states", "iterations" or "samples". */
static const json_t *list_of(const json_t *measurements, const char *name)
{
    return json_object_get(json_object_get(measurements, "transfer"), name);
}

/* Returns whether a state is the moment at which a guest stopped or resumed, and no state of the
 * migration. */
static bool is_moment(const json_t *state)
{
    const char *name = godwit_json_string(state, "state", "");
    return !strcmp(name, "STOP") || !strcmp(name, "RESUME");
}

/* Returns the last millisecond that the timeline shows. */
static double end_of(const json_t *measurements)
{
    const json_t *states = list_of(measurements, "states");
    const double during =
        godwit_json_number(json_object_get(measurements, "brownout"), "during_ms");
    double end = isfinite(during) ? during : 0;
    size_t i;
    json_t *state;
    json_array_foreach(states, i, state)
    {
        const double at = godwit_json_number(state, "at_ms");
        end = isfinite(at) ? MAX(end, at) : end;
    }
    return end + AFTER_MS;
}

static void speeds(GString *page, const json_t *measurements, const char *name, double low,
                   double high)
{
    static const char *const names[GODWIT_SERIES_ALL] = {
        "pages that the guest wrote, in buckets of 10 ms", "pages dirtied, by iteration", NULL};
    const json_t *brownout = json_object_get(measurements, "brownout");
    struct points speed = points_new(), dirty = points_new();
    const double width = godwit_json_number(brownout, "bucket_ms"),
                 first = godwit_json_number(brownout, "first_ms");
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(brownout, "pages_per_s"), i, item)
    {
        const double from = first + (double)i * width;
        if (from + width <= high)
            add_level(&speed, from, from + width,
                      json_is_number(item) ? json_number_value(item) : (double)NAN);
    }
    json_array_foreach(list_of(measurements, "iterations"), i, item)
    {
        const double from = godwit_json_number(item, "at_ms");
        add_level(&dirty, from, from + godwit_json_number(item, "ms"),
                  godwit_json_number(item, "dirty_pages_per_s"));
    }
    g_autofree char *title = g_strdup_printf("%s: the guest's speed and its dirty rate", name);
    g_autofree char *text = g_strdup_printf("Pages per second over time. Before the migration "
                                            "%.0f, during it %.0f, after it %.0f; nan: "
                                            "not measured. A gap in a line is not measured.",
                                            godwit_json_number(brownout, "before_pages_per_s"),
                                            godwit_json_number(brownout, "during_pages_per_s"),
                                            godwit_json_number(brownout, "after_pages_per_s"));
    const struct godwit_axes axes = {
        .title = title,
        .description = text,
        .x_label = godwit_time_label,
        .y_label = "pages/s",
        .x_low = low,
        .x_high = high,
        .left = LEFT_PX,
        .y_high = highest(&dirty, highest(&speed, 1)) * 1.05,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    const double during = godwit_json_number(brownout, "during_ms");
    if (isfinite(during))
        godwit_plot_band(plot, 0, during);
    draw(plot, GODWIT_SERIES_A, &speed);
    draw(plot, GODWIT_SERIES_B, &dirty);
    godwit_plot_end(plot);
    godwit_plot_legend(page, names);
    points_clear(&speed);
    points_clear(&dirty);
}

/* A panel of the timeline that comes of the samples of query-migrate. */
struct panel {
    const char *what, *description, *y_label;
    double least; /* the axis reaches at least so far */
};

/* Draws LINE as a panel, with a rule where an iteration begins. */
static void draw_panel(GString *page, const json_t *measurements, const char *name,
                       const struct panel *panel, const struct points *line, double low,
                       double high)
{
    g_autofree char *title = g_strdup_printf("%s: %s", name, panel->what);
    const struct godwit_axes axes = {
        .title = title,
        .description = panel->description,
        .x_label = godwit_time_label,
        .y_label = panel->y_label,
        .x_low = low,
        .x_high = high,
        .left = LEFT_PX,
        .y_high = highest(line, panel->least) * 1.05,
        .height = 130,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    size_t i;
    json_t *iteration;
    json_array_foreach(list_of(measurements, "iterations"), i, iteration)
    {
        const double at = godwit_json_number(iteration, "at_ms");
        if (isfinite(at))
            godwit_plot_rule(plot, at);
    }
    draw(plot, GODWIT_SERIES_A, line);
    godwit_plot_end(plot);
}

static void remaining(GString *page, const json_t *measurements, const char *name, double low,
                      double high)
{
    static const struct panel panel = {
        "what remains to be sent",
        "MiB of dirty RAM that are left, over time, by query-migrate. It falls while QEMU sends, "
        "and jumps up at the beginning of an iteration, when QEMU finds what the guest dirtied.",
        "MiB", 1};
    struct points left = points_new();
    size_t i;
    json_t *sample;
    json_array_foreach(list_of(measurements, "samples"), i, sample)
    {
        const double at = godwit_json_number(sample, "at_ms");
        const double mib = godwit_json_number(sample, "remaining") / 1048576;
        add_level(&left, at, at, mib);
    }
    draw_panel(page, measurements, name, &panel, &left, low, high);
    points_clear(&left);
}

static void rate(GString *page, const json_t *measurements, const char *name, double low,
                 double high)
{
    static const struct panel panel = {
        "rate of the transfer", "MiB per second over time, between two answers of query-migrate.",
        "MiB/s", 1};
    struct points sent = points_new();
    double at = 0, bytes = 0;
    size_t i;
    json_t *sample;
    json_array_foreach(list_of(measurements, "samples"), i, sample)
    {
        const double now = godwit_json_number(sample, "at_ms");
        const double all = godwit_json_number(sample, "transferred");
        if (now > at)
            add_level(&sent, at, now, (all - bytes) / 1048576 / (now - at) * 1000);
        at = now;
        bytes = all;
    }
    draw_panel(page, measurements, name, &panel, &sent, low, high);
    points_clear(&sent);
}

/* Draws how far QEMU throttles the guest's CPUs. A run without it has a sentence instead of an
 * empty panel. */
static void throttle(GString *page, const json_t *measurements, const char *name, double low,
                     double high)
{
    static const struct panel panel = {
        "throttle of the guest's CPUs",
        "The part of the time in per cent for which QEMU keeps the guest's CPUs from running, by "
        "query-migrate.",
        "per cent", 100 / 1.05};
    struct points level = points_new();
    double from = (double)NAN, before = (double)NAN;
    bool throttled = false, known = false;
    size_t i;
    json_t *sample;
    json_array_foreach(list_of(measurements, "samples"), i, sample)
    {
        const double at = godwit_json_number(sample, "at_ms");
        const double now = godwit_json_number(sample, "throttle_percent");
        add_level(&level, from, at, before);
        throttled = throttled || now > 0;
        known = known || isfinite(now);
        from = at;
        before = now;
    }
    if (throttled)
        draw_panel(page, measurements, name, &panel, &level, low, high);
    points_clear(&level);
    g_string_append(page, "<p>A dotted line is the beginning of an iteration.");
    if (known && !throttled)
        g_string_append(page, " QEMU did not throttle the guest's CPUs.");
    g_string_append(page, "</p>\n");
}

/* Returns when the next state of the same side begins, or END. */
static double next_state(const json_t *states, size_t from, double end)
{
    const json_t *state = json_array_get(states, from);
    for (size_t i = from + 1; i < json_array_size(states); i++) {
        const json_t *next = json_array_get(states, i);
        if (!strcmp(godwit_json_string(next, "side", ""), godwit_json_string(state, "side", "")) &&
            !is_moment(next))
            return godwit_json_number(next, "at_ms");
    }
    return end;
}

static void states_of(GString *page, const json_t *measurements, const char *name, double low,
                      double high)
{
    const json_t *states = list_of(measurements, "states");
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(g_free);
    size_t i;
    json_t *state;
    json_array_foreach(states, i, state)
    {
        g_ptr_array_add(rows, g_strdup_printf("%s: %s", godwit_json_string(state, "side", ""),
                                              godwit_json_string(state, "state", "")));
    }
    if (!rows->len)
        return;
    g_ptr_array_add(rows, NULL);
    g_autofree char *title = g_strdup_printf("%s: states of both sides", name);
    const struct godwit_axes axes = {
        .title = title,
        .description = "Each state of the migration is a bar, from its event to the next of that "
                       "side. A mark is the moment at which a guest stopped or resumed.",
        .x_label = godwit_time_label,
        .y_label = "state",
        .x_low = low,
        .x_high = high,
        .left = LEFT_PX,
        .rows = (char *const *)rows->pdata,
    };
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    json_array_foreach(states, i, state)
    {
        const char *text = g_ptr_array_index(rows, i);
        const double at = godwit_json_number(state, "at_ms");
        const enum godwit_series series = strcmp(godwit_json_string(state, "side", ""), "source")
                                              ? GODWIT_SERIES_B
                                              : GODWIT_SERIES_A;
        if (is_moment(state))
            godwit_plot_mark(plot, series, at, (double)i, text);
        else
            godwit_plot_bar(plot, series, at, next_state(states, i, high), (double)i - 0.3,
                            (double)i + 0.3, text);
    }
    godwit_plot_end(plot);
}

void godwit_timeline_write(GString *page, const json_t *measurements, const char *name)
{
    const double first = godwit_json_number(json_object_get(measurements, "brownout"), "first_ms");
    const double low = isfinite(first) ? MIN(first, 0) : 0, high = end_of(measurements);
    speeds(page, measurements, name, low, high);
    remaining(page, measurements, name, low, high);
    rate(page, measurements, name, low, high);
    throttle(page, measurements, name, low, high);
    states_of(page, measurements, name, low, high);
}
