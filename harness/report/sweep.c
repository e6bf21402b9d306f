/*
 * Gathers what the runs of `godwit sweep` have measured, and how they failed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/sweep.h"

#include "base/text.h"
#include "measure/statistics.h"
#include "report/compare.h"
#include "report/raw_runs.h"
#include "run/result.h"
#include <math.h>
#include <string.h>

struct godwit_axis *godwit_axis_new(const char *name, const char *values)
{
    struct godwit_axis *axis = g_new(struct godwit_axis, 1);
    axis->name = g_strdup(name);
    axis->values = g_strsplit(values, ",", -1);
    return axis;
}

void godwit_axis_free(gpointer data)
{
    struct godwit_axis *axis = data;
    g_free(axis->name);
    g_strfreev(axis->values);
    g_free(axis);
}

static void failure_free(gpointer data)
{
    struct godwit_sweep_failure *failure = data;
    g_free(failure->message);
    g_free(failure);
}

struct godwit_cell *godwit_cell_new(const char *scenario, unsigned axes)
{
    struct godwit_cell *cell = g_new0(struct godwit_cell, 1);
    cell->scenario = scenario;
    cell->choice = g_new0(unsigned, axes + 1);
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
        cell->values[figure] = g_array_new(FALSE, FALSE, sizeof(double));
    cell->numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));
    cell->failures = g_ptr_array_new_with_free_func(failure_free);
    cell->raw = json_array();
    return cell;
}

void godwit_cell_free(gpointer data)
{
    struct godwit_cell *cell = data;
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
        g_array_unref(cell->values[figure]);
    g_array_unref(cell->numbers);
    g_ptr_array_unref(cell->failures);
    json_decref(cell->raw);
    g_free(cell->choice);
    g_free(cell->skipped);
    g_free(cell->again);
    g_free(cell);
}

void godwit_sweep_report_clear(struct godwit_sweep_report *report)
{
    g_clear_pointer(&report->cells, g_ptr_array_unref);
    json_decref(report->order);
    json_decref(report->about);
}

static void add_failure(struct godwit_cell *cell, const json_t *result)
{
    g_autofree char *message = godwit_text_line(godwit_json_string(result, "message", ""));
    const bool unconverged = godwit_result_unconverged(result);
    for (guint i = 0; i < cell->failures->len; i++) {
        struct godwit_sweep_failure *failure = g_ptr_array_index(cell->failures, i);
        if (failure->unconverged == unconverged && !strcmp(failure->message, message)) {
            failure->count++;
            return;
        }
    }
    struct godwit_sweep_failure *failure = g_new(struct godwit_sweep_failure, 1);
    *failure = (struct godwit_sweep_failure){g_steal_pointer(&message), unconverged, 1};
    g_ptr_array_add(cell->failures, failure);
}

void godwit_cell_take(struct godwit_cell *cell, unsigned number, const json_t *result)
{
    if (!cell->again)
        cell->again = g_strdup(godwit_json_string(result, "again", ""));
    /* Each round runs each cell once. */
    json_array_append_new(cell->raw, godwit_raw_run(result, godwit_cell_runs(cell) + 1));
    if (!godwit_result_passed(result)) {
        *(godwit_result_unconverged(result) ? &cell->unconverged : &cell->failed) += 1;
        add_failure(cell, result);
        return;
    }
    cell->passed++;
    g_array_append_val(cell->numbers, number);
    const double total = godwit_compare_value(result, GODWIT_METRIC_TOTAL);
    const double mib = godwit_compare_value(result, GODWIT_METRIC_BYTES) / 1048576;
    const double values[GODWIT_CELL_VALUES] = {
        [GODWIT_CELL_TOTAL] = total,
        [GODWIT_CELL_BLACKOUT] = godwit_compare_value(result, GODWIT_METRIC_BLACKOUT),
        [GODWIT_CELL_DOWNTIME] = godwit_compare_value(result, GODWIT_METRIC_DOWNTIME),
        [GODWIT_CELL_MIB] = mib,
        [GODWIT_CELL_RATE] = total > 0 ? mib / total * 1000 : (double)NAN,
    };
    for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++)
        g_array_append_val(cell->values[figure], values[figure]);
}

double godwit_cell_quantile(const struct godwit_cell *cell, enum godwit_cell_value figure,
                            double fraction)
{
    const GArray *all = cell->values[figure];
    g_autofree double *known = g_new(double, all->len + 1);
    size_t count = 0;
    for (guint i = 0; i < all->len; i++) {
        const double value = g_array_index(all, double, i);
        if (!isnan(value))
            known[count++] = value;
    }
    return godwit_quantile(known, count, fraction);
}

char *godwit_cell_text(const GPtrArray *axes, const struct godwit_cell *cell)
{
    GString *text = g_string_new(NULL);
    for (guint a = 0; a < axes->len; a++) {
        const struct godwit_axis *axis = g_ptr_array_index(axes, a);
        g_string_append_printf(text, "%s%s=%s", a ? " " : "", axis->name,
                               axis->values[cell->choice[a]]);
    }
    return g_string_free(text, FALSE);
}

bool godwit_sweep_has_map(const struct godwit_sweep_report *report, unsigned *rate,
                          unsigned *bandwidth)
{
    if (report->axes->len != 2)
        return false;
    for (unsigned a = 0; a < 2; a++) {
        const struct godwit_axis *one = g_ptr_array_index(report->axes, a);
        const struct godwit_axis *other = g_ptr_array_index(report->axes, 1 - a);
        *rate = a;
        *bandwidth = 1 - a;
        if (!strcmp(one->name, "dirty-rate") && !strcmp(other->name, "max-bandwidth"))
            return true;
    }
    return false;
}
