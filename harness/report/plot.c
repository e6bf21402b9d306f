/*
 * Plots as SVG markup.
 *
 * The picture is as wide as the page, at most WIDTH, by its viewBox. All numbers are written with
 * two digits and a point, whatever the locale.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/plot.h"

#include "report/figures.h"
#include "report/report.h"
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define WIDTH      800
#define LEFT       70
#define LEFT_ROWS  250
#define RIGHT      20
#define TOP        10
#define BOTTOM     45
#define HEIGHT     200
#define ROW_HEIGHT 20

static const char *const classes[GODWIT_SERIES_ALL] = {"a", "b", "c"};

/* The rest of a path's element after its classes: a mark at two numbers. */
static const char *const shapes[GODWIT_SERIES_ALL] = {
    "\" d=\"M@ @m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0\"",
    "\" d=\"M@ @m-4-4h8v8h-8z\"",
    "\" d=\"M@ @m0-5l5 9h-10z\"",
};

struct godwit_plot {
    GString *page;
    const struct godwit_axes *axes;
    double left, width, height; /* of the area */
    double x_low, x_high, y_low, y_high;
    unsigned rows;
};

/* Appends FORMAT with its numbers, each as %.2f, in place of each "@". */
static void put(GString *page, const char *format, ...)
{
    va_list numbers;
    va_start(numbers, format);
    for (const char *c = format; *c; c++) {
        char number[G_ASCII_DTOSTR_BUF_SIZE];
        if (*c != '@')
            g_string_append_c(page, *c);
        else
            g_string_append(
                page, g_ascii_formatd(number, sizeof(number), "%.2f", va_arg(numbers, double)));
    }
    va_end(numbers);
}

static void put_text(GString *page, const char *text)
{
    g_autofree char *escaped = godwit_report_xml(text);
    g_string_append(page, escaped);
}

static double scale(double value, double low, double high, bool logarithmic)
{
    return logarithmic ? (log(value) - log(low)) / (log(high) - log(low))
                       : (value - low) / (high - low);
}

/* Return the place of a value in the picture. What is outside of the axes comes to their end. */
static double x_of(const struct godwit_plot *plot, double x)
{
    const double part = scale(x, plot->x_low, plot->x_high, plot->axes->x_log);
    return plot->left + CLAMP(part, 0, 1) * plot->width;
}

static double y_of(const struct godwit_plot *plot, double y)
{
    if (plot->rows)
        return TOP + (y + 0.5) * ROW_HEIGHT;
    return TOP + (1 - CLAMP(scale(y, plot->y_low, plot->y_high, false), 0, 1)) * plot->height;
}

double godwit_plot_step(double low, double high, unsigned count)
{
    const double rough = (high - low) / MAX(count, 1);
    const double power = pow(10, floor(log10(rough)));
    const double part = rough / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static char *number_text(double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    return g_strdup(g_ascii_formatd(buffer, sizeof(buffer), "%g", fabs(value) < 1e-9 ? 0 : value));
}

static void x_tick(struct godwit_plot *plot, double value, const char *text)
{
    const double x = x_of(plot, value), bottom = TOP + plot->height;
    put(plot->page, "<path class=\"grid\" d=\"M@ @V@\"/><text class=\"x\" x=\"@\" y=\"@\">", x,
        (double)TOP, bottom, x, bottom + 15);
    put_text(plot->page, text);
    g_string_append(plot->page, "</text>\n");
}

static void y_tick(struct godwit_plot *plot, double value)
{
    g_autofree char *text = number_text(value);
    const double y = y_of(plot, value);
    put(plot->page, "<path class=\"grid\" d=\"M@ @H@\"/><text class=\"y\" x=\"@\" y=\"@\">",
        plot->left, y, plot->left + plot->width, plot->left - 6, y + 4);
    put_text(plot->page, text);
    g_string_append(plot->page, "</text>\n");
}

static void x_number(struct godwit_plot *plot, double value)
{
    g_autofree char *text = number_text(value);
    x_tick(plot, value, text);
}

static void x_ticks(struct godwit_plot *plot)
{
    if (plot->axes->columns) {
        for (unsigned i = 0; plot->axes->columns[i]; i++)
            x_tick(plot, i + 1, plot->axes->columns[i]);
        return;
    }
    if (plot->axes->x_log && plot->x_high / plot->x_low > 3) {
        static const double parts[] = {1, 2, 5};
        for (double power = pow(10, floor(log10(plot->x_low))); power <= plot->x_high; power *= 10)
            for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
                if (power * parts[i] >= plot->x_low && power * parts[i] <= plot->x_high)
                    x_number(plot, power * parts[i]);
        return;
    }
    const double step = godwit_plot_step(plot->x_low, plot->x_high, 8);
    for (double at = ceil(plot->x_low / step - 1e-9) * step; at <= plot->x_high + step * 1e-9;
         at += step)
        x_number(plot, at);
}

static void y_ticks(struct godwit_plot *plot)
{
    if (plot->rows) {
        for (unsigned row = 0; row < plot->rows; row++) {
            put(plot->page, "<text class=\"y\" x=\"@\" y=\"@\">", plot->left - 6,
                y_of(plot, row) + 4);
            put_text(plot->page, plot->axes->rows[row]);
            g_string_append(plot->page, "</text>\n");
        }
        return;
    }
    const double step = godwit_plot_step(plot->y_low, plot->y_high, 4);
    for (double at = ceil(plot->y_low / step - 1e-9) * step; at <= plot->y_high + step * 1e-9;
         at += step)
        y_tick(plot, at);
}

static void labels(struct godwit_plot *plot)
{
    put(plot->page, "<text class=\"x label\" x=\"@\" y=\"@\">", plot->left + plot->width / 2,
        TOP + plot->height + 36);
    put_text(plot->page, plot->axes->x_label);
    /* Long names of rows leave no place for a label beside them. */
    if (plot->rows)
        put(plot->page, "</text>\n<text class=\"y label\" x=\"@\" y=\"@\">", plot->left - 6,
            TOP + plot->height + 15);
    else
        put(plot->page,
            "</text>\n<text class=\"x label\" transform=\"translate(@ @) rotate(-90)\">",
            plot->left - 56, TOP + plot->height / 2);
    put_text(plot->page, plot->axes->y_label);
    put(plot->page, "</text>\n<rect class=\"area\" x=\"@\" y=\"@\" width=\"@\" height=\"@\"/>\n",
        plot->left, (double)TOP, plot->width, plot->height);
}

/* Returns HIGH, or something above LOW if it is not. */
static double above(double low, double high)
{
    return high > low ? high : low + MAX(fabs(low) * 0.1, 1);
}

struct godwit_plot *godwit_plot_begin(GString *page, const struct godwit_axes *axes)
{
    struct godwit_plot *plot = g_new0(struct godwit_plot, 1);
    plot->page = page;
    plot->axes = axes;
    plot->rows = axes->rows ? g_strv_length((char **)(uintptr_t)axes->rows) : 0;
    plot->left = axes->left ? axes->left : axes->rows ? LEFT_ROWS : LEFT;
    plot->width = WIDTH - plot->left - RIGHT;
    plot->height = axes->rows ? plot->rows * ROW_HEIGHT : axes->height ? axes->height : HEIGHT;
    plot->x_low = axes->x_low;
    plot->x_high = above(axes->x_low, axes->x_high);
    plot->y_low = axes->y_low;
    plot->y_high = above(axes->y_low, axes->y_high);
    g_string_append(page, "<figure>\n<figcaption>");
    put_text(page, axes->title);
    put(page, "</figcaption>\n<svg viewBox=\"0 0 @ @\" role=\"img\">\n<title>", (double)WIDTH,
        TOP + plot->height + BOTTOM);
    put_text(page, axes->title);
    g_string_append(page, "</title>\n<desc>");
    put_text(page, axes->description);
    g_string_append(page, "</desc>\n");
    x_ticks(plot);
    y_ticks(plot);
    labels(plot);
    return plot;
}

void godwit_plot_end(struct godwit_plot *plot)
{
    g_string_append(plot->page, "</svg>\n</figure>\n");
    g_free(plot);
}

void godwit_plot_line(struct godwit_plot *plot, enum godwit_series series, const double *x,
                      const double *y, size_t count)
{
    bool pen = false;
    g_string_append_printf(plot->page, "<path class=\"line %s\" d=\"", classes[series]);
    for (size_t i = 0; i < count; i++) {
        const bool known = isfinite(x[i]) && isfinite(y[i]);
        if (known)
            put(plot->page, pen ? "L@ @" : "M@ @", x_of(plot, x[i]), y_of(plot, y[i]));
        pen = known;
    }
    g_string_append(plot->page, "\"/>\n");
}

/* Closes an element, with what appears when the pointer rests on it. */
static void close_mark(struct godwit_plot *plot, const char *element, const char *what)
{
    g_string_append(plot->page, ">");
    if (what) {
        g_string_append(plot->page, "<title>");
        put_text(plot->page, what);
        g_string_append(plot->page, "</title>");
    }
    g_string_append_printf(plot->page, "</%s>\n", element);
}

void godwit_plot_mark(struct godwit_plot *plot, enum godwit_series series, double x, double y,
                      const char *what)
{
    if (!isfinite(x) || !isfinite(y))
        return;
    g_string_append_printf(plot->page, "<path class=\"mark %s", classes[series]);
    put(plot->page, shapes[series], x_of(plot, x), y_of(plot, y));
    close_mark(plot, "path", what);
}

void godwit_plot_bar(struct godwit_plot *plot, enum godwit_series series, double x_low,
                     double x_high, double y_low, double y_high, const char *what)
{
    const double x = x_of(plot, x_low), y = MIN(y_of(plot, y_low), y_of(plot, y_high));
    if (!isfinite(x_low) || !isfinite(x_high) || !isfinite(y_low) || !isfinite(y_high))
        return;
    g_string_append_printf(plot->page, "<rect class=\"bar %s\"", classes[series]);
    /* What takes next to no time must be visible. */
    put(plot->page, " x=\"@\" y=\"@\" width=\"@\" height=\"@\"", x, y,
        MAX(x_of(plot, x_high) - x, 1.5), fabs(y_of(plot, y_low) - y_of(plot, y_high)));
    close_mark(plot, "rect", what);
}

void godwit_plot_range(struct godwit_plot *plot, enum godwit_series series, double x_low,
                       double x_high, double y)
{
    if (!isfinite(x_low) || !isfinite(x_high))
        return;
    g_string_append_printf(plot->page, "<path class=\"range %s\"", classes[series]);
    put(plot->page, " d=\"M@ @H@\"/>\n", x_of(plot, x_low), y_of(plot, y), x_of(plot, x_high));
}

void godwit_plot_band(struct godwit_plot *plot, double x_low, double x_high)
{
    const double x = x_of(plot, x_low);
    put(plot->page, "<rect class=\"band\" x=\"@\" y=\"@\" width=\"@\" height=\"@\"/>\n", x,
        (double)TOP, x_of(plot, x_high) - x, plot->height);
}

void godwit_plot_rule(struct godwit_plot *plot, double x)
{
    put(plot->page, "<path class=\"rule\" d=\"M@ @V@\"/>\n", x_of(plot, x), (double)TOP,
        TOP + plot->height);
}

void godwit_plot_text(struct godwit_plot *plot, double x, double y, const char *text)
{
    put(plot->page, "<text class=\"x inside\" x=\"@\" y=\"@\">", x_of(plot, x), y_of(plot, y) + 4);
    put_text(plot->page, text);
    g_string_append(plot->page, "</text>\n");
}

void godwit_plot_legend(GString *page, const char *const names[GODWIT_SERIES_ALL])
{
    g_string_append(page, "<ul class=\"legend\">\n");
    for (int series = 0; series < GODWIT_SERIES_ALL; series++) {
        if (!names[series])
            continue;
        g_string_append_printf(page,
                               "<li><svg width=\"34\" height=\"12\" aria-hidden=\"true\"><path "
                               "class=\"line %s\" d=\"M0 6H34\"/><path class=\"mark %s",
                               classes[series], classes[series]);
        put(page, shapes[series], 17.0, 6.0);
        g_string_append(page, "/></svg> ");
        put_text(page, names[series]);
        g_string_append(page, "</li>\n");
    }
    g_string_append(page, "</ul>\n");
}
