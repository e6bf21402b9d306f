/*
 * Pages and plots: well-formed whatever is measured and however things are named, with gaps where
 * nothing was measured.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/page.h"
#include "base/json.h"
#include "report/measured.h"
#include "report/plot.h"

#include "unit.h"

#include <math.h>

#define NASTY "<b a='1'>&amp; \"q\" @ %s \x01\x1b[31m \xff"

/* Returns the text of a page, which is complete and well-formed. The caller frees it. */
static char *end_page(GString *page)
{
    static const GMarkupParser parser = {NULL, NULL, NULL, NULL, NULL};
    godwit_page_end(page);
    char *body = strstr(page->str, "<body>");
    assert_non_null(body);
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
    assert_true(g_markup_parse_context_parse(context, body, strstr(body, "</html>") - body, NULL));
    assert_true(g_markup_parse_context_end_parse(context, NULL));
    g_markup_parse_context_free(context);
    assert_null(strstr(page->str, "<b a"));
    assert_null(strstr(page->str, "=\"nan"));
    return g_string_free(page, FALSE);
}

static void steps_are_round(void **state)
{
    (void)state;
    assert_true(fabs(godwit_plot_step(0, 100, 10) - 10) < 1e-9);
    assert_true(fabs(godwit_plot_step(0, 0.9, 4) - 0.2) < 1e-9);
    assert_true(fabs(godwit_plot_step(-50, 150, 4) - 50) < 1e-9);
    assert_true(fabs(godwit_plot_step(0, 800, 8) - 100) < 1e-9);
}

/* What is not a number leaves a gap in a line, and no mark. */
static void unknown_values_are_gaps(void **state)
{
    static const double x[] = {0, 1, 2, 3, 4}, y[] = {1, 2, NAN, 3, 4};
    const struct godwit_axes axes = {.title = NASTY,
                                     .description = NASTY,
                                     .x_label = NASTY,
                                     .y_label = NASTY,
                                     .x_high = 4,
                                     .y_high = 4};
    GString *page = godwit_page_begin(NASTY);
    (void)state;
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    godwit_plot_line(plot, GODWIT_SERIES_B, x, y, G_N_ELEMENTS(x));
    godwit_plot_mark(plot, GODWIT_SERIES_A, 1, NAN, NASTY);
    godwit_plot_range(plot, GODWIT_SERIES_A, NAN, 2, 1);
    godwit_plot_bar(plot, GODWIT_SERIES_A, 1, NAN, 0, 1, NULL);
    godwit_plot_end(plot);
    g_autofree char *text = end_page(page);
    const char *line = strstr(text, "line b\" d=\"M");
    assert_non_null(line);
    const char *gap = strchr(line + strlen("line b\" d=\"M"), 'M');
    assert_true(gap && gap < strchr(line, '/'));
    assert_null(strstr(text, "class=\"mark a\""));
    assert_null(strstr(text, "class=\"range a\""));
    assert_null(strstr(text, "class=\"bar a\""));
    assert_contains(text, "role=\"img\"");
}

static void logarithmic_axes_have_round_ticks(void **state)
{
    char *rows[] = {(char *)(uintptr_t) "one", (char *)(uintptr_t)NASTY, NULL};
    const struct godwit_axes axes = {.title = "t",
                                     .description = "d",
                                     .x_label = "x",
                                     .y_label = "y",
                                     .x_low = 0.4,
                                     .x_high = 2.5,
                                     .x_log = true,
                                     .rows = rows};
    GString *page = godwit_page_begin("t");
    (void)state;
    struct godwit_plot *plot = godwit_plot_begin(page, &axes);
    godwit_plot_band(plot, 0.9, 1.1);
    godwit_plot_mark(plot, GODWIT_SERIES_CONTROL, 1, 1, "here");
    godwit_plot_end(plot);
    g_autofree char *text = end_page(page);
    assert_contains(text, ">0.5</text>");
    assert_contains(text, ">2</text>");
    assert_null(strstr(text, ">5</text>"));
    assert_contains(text, "<title>here</title>");
}

/* A run of which nothing but the frame was measured, and one of nasty names and nulls. */
static void any_measurement_makes_a_page(void **state)
{
    GString *page = godwit_page_begin("t");
    (void)state;
    assert_false(godwit_measured_has(NULL));
    g_autoptr(json_t) empty =
        json_pack("{s:{s:[]}, s:s}", "transfer", "states", "brownout_unknown", NASTY);
    assert_true(godwit_measured_has(empty));
    godwit_measured_write(page, empty, NASTY);
    static const char made_up[] =
        "{\"transfer\": {\"states\": [{\"side\": \"source\", \"state\": \"setup\", \"at_ms\": 0}],"
        " \"iterations\": [{\"at_ms\": 1, \"ms\": null, \"bytes\": null}],"
        " \"samples\": [{\"at_ms\": 4, \"transferred\": 5}, {\"at_ms\": 14, \"remaining\": 5},"
        " {\"at_ms\": 24, \"throttle_percent\": 20}, {\"at_ms\": 34, \"throttle_percent\": 30}]},"
        " \"brownout\": {\"bucket_ms\": 10, \"first_ms\": -20, \"pages_per_s\": [5, null, 7],"
        " \"during_ms\": null},"
        " \"waterfall\": {\"devices\": [{\"side\": \"source\", \"at_ms\": 1, \"ms\": 2}],"
        " \"checkpoints\": [{\"side\": \"destination\", \"at_ms\": 4}]}}";
    g_autoptr(json_t) run = json_loads(made_up, 0, NULL);
    assert_non_null(run);
    json_t *waterfall = json_object_get(run, "waterfall");
    json_object_set_new(json_array_get(json_object_get(waterfall, "devices"), 0), "device",
                        json_string(NASTY));
    json_object_set_new(json_array_get(json_object_get(waterfall, "checkpoints"), 0), "name",
                        json_string(NASTY));
    json_object_set_new(waterfall, "destination_unknown", json_string(NASTY));
    godwit_measured_write(page, run, "run");
    g_autofree char *text = end_page(page);
    assert_contains(text, "run: where the downtime goes");
    assert_contains(text, "run: what remains to be sent");
    assert_contains(text, "run: throttle of the guest&apos;s CPUs");
    assert_contains(text, "part of the downtime by device is unknown");
    assert_contains(text, "<td>-</td>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_round),
        cmocka_unit_test(unknown_values_are_gaps),
        cmocka_unit_test(logarithmic_axes_have_round_ticks),
        cmocka_unit_test(any_measurement_makes_a_page),
    };
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
