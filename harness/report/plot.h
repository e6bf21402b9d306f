/*
 * Plots: pictures in SVG, written as text into a page of page.h.
 *
 * The markup is generated here rather than by a library. Cairo's SVG surface, for example, turns
 * text into outlines and colours into numbers: such a picture cannot follow the reader's colours,
 * has no text that can be selected or read aloud, and is ten times as large. What a plot needs is
 * little: axes, lines, marks, bars and text.
 *
 * A plot has a title, labels at both axes and a description for those who do not see it. Colours
 * are classes of the page's style. A value that is not a number leaves a gap.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_PLOT_H
#define GODWIT_HARNESS_REPORT_PLOT_H

#include <glib.h>
#include <stdbool.h>

/* A series has a colour, a dash and a mark of its own, so that it can be told without colours. */
enum godwit_series {
    GODWIT_SERIES_A,
    GODWIT_SERIES_B,
    GODWIT_SERIES_CONTROL,
    GODWIT_SERIES_ALL, /* how many there are */
};

/* The axes of a plot. */
struct godwit_axes {
    const char *title, *description;
    const char *x_label, *y_label;
    double x_low, x_high; /* what the axis shows at least */
    double y_low, y_high; /* likewise; without ROWS */
    bool x_log;           /* both limits must be above 0 then */
    char *const *rows;    /* names of rows, from above, NULL-terminated; NULL: y is a number */
    char *const *columns; /* names of the whole numbers of x from 1 on; NULL: x is a number */
    unsigned height;      /* of the area in pixels; 0: the usual one, or as ROWS need */
    unsigned left;        /* where the area begins; 0: the usual place, or as ROWS need */
};

struct godwit_plot;

/* Begins a plot at the end of PAGE. The caller ends it, which frees it. */
struct godwit_plot *godwit_plot_begin(GString *page, const struct godwit_axes *axes);
void godwit_plot_end(struct godwit_plot *plot);

/* What can be in it. Where there are rows, Y is the number of one, and a fraction is below or above
 * its middle. WHAT appears when the pointer rests on a mark; it may be NULL. */
void godwit_plot_line(struct godwit_plot *plot, enum godwit_series series, const double *x,
                      const double *y, size_t count);
void godwit_plot_mark(struct godwit_plot *plot, enum godwit_series series, double x, double y,
                      const char *what);
void godwit_plot_bar(struct godwit_plot *plot, enum godwit_series series, double x_low,
                     double x_high, double y_low, double y_high, const char *what);

/* A line between two points, such as an interval. */
void godwit_plot_range(struct godwit_plot *plot, enum godwit_series series, double x_low,
                       double x_high, double y);

/* A pale band from X_LOW to X_HIGH over the whole height, and a thin line at X. */
void godwit_plot_band(struct godwit_plot *plot, double x_low, double x_high);
void godwit_plot_rule(struct godwit_plot *plot, double x);

/* TEXT in the middle of X and Y. */
void godwit_plot_text(struct godwit_plot *plot, double x, double y, const char *text);

/* Writes what the series are called. A NULL is left out. */
void godwit_plot_legend(GString *page, const char *const names[GODWIT_SERIES_ALL]);

/* Returns the distance between two ticks so that there are about COUNT of them between LOW and
 * HIGH: 1, 2 or 5 times a power of ten. */
double godwit_plot_step(double low, double high, unsigned count);

#endif
