/*
 * The formats bmf and openmetrics of `godwit sweep`: which readings there are.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/sweep.h"

#include "report/readings.h"

static const double fractions[] = {0.25, 0.5, 0.75};

/* How a figure of a cell is read, in seconds and bytes. */
static const struct {
    enum godwit_reading_kind kind;
    double unit;
} figures[GODWIT_CELL_VALUES] = {
    [GODWIT_CELL_TOTAL] = {GODWIT_READING_TOTAL, 1e-3},
    [GODWIT_CELL_BLACKOUT] = {GODWIT_READING_BLACKOUT, 1e-3},
    [GODWIT_CELL_DOWNTIME] = {GODWIT_READING_DOWNTIME, 1e-3},
    [GODWIT_CELL_MIB] = {GODWIT_READING_BYTES, 1048576},
    [GODWIT_CELL_RATE] = {GODWIT_READING_RATE, 1048576},
};

/* Adds the choices of a cell to LABELS. The name of a label has no dash. */
static void add_choices(const struct godwit_sweep_report *report, const struct godwit_cell *cell,
                        json_t *labels)
{
    for (guint a = 0; a < report->axes->len; a++) {
        const struct godwit_axis *axis = g_ptr_array_index(report->axes, a);
        g_autofree char *label = g_strdup(axis->name);
        g_strcanon(label, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS, '_');
        json_object_set_new(labels, label, godwit_json_text(axis->values[cell->choice[a]]));
    }
}

static struct godwit_readings *of_sweep(const struct godwit_sweep_report *report)
{
    struct godwit_readings *readings = godwit_readings_new();
    for (guint c = 0; c < report->cells->len; c++) {
        const struct godwit_cell *cell = g_ptr_array_index(report->cells, c);
        g_autoptr(json_t) labels =
            json_pack("{s:s, s:s, s:s, s:s}", "scenario", cell->scenario, "qemu", report->version,
                      "arch", report->arch, "machine", report->machine);
        g_autofree char *choices = godwit_cell_text(report->axes, cell);
        g_autofree char *name = g_strdup_printf("%s %s", cell->scenario, choices);
        add_choices(report, cell, labels);
        for (int figure = 0; figure < GODWIT_CELL_VALUES; figure++) {
            double quartiles[G_N_ELEMENTS(fractions)];
            for (size_t i = 0; i < G_N_ELEMENTS(fractions); i++)
                quartiles[i] =
                    figures[figure].unit *
                    godwit_cell_quantile(cell, (enum godwit_cell_value)figure, fractions[i]);
            godwit_readings_add(readings, figures[figure].kind, name, labels, quartiles);
        }
    }
    return readings;
}

void godwit_sweep_write_bmf(FILE *out, const struct godwit_sweep_report *report)
{
    struct godwit_readings *readings = of_sweep(report);
    godwit_readings_write_bmf(out, readings);
    godwit_readings_free(readings);
}

void godwit_sweep_write_openmetrics(FILE *out, const struct godwit_sweep_report *report)
{
    struct godwit_readings *readings = of_sweep(report);
    godwit_readings_write_openmetrics(out, readings);
    godwit_readings_free(readings);
}
