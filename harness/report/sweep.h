/*
 * The report of `godwit sweep`: the axes of a grid, its cells with what their runs have measured
 * and how they failed, as text, JSON or CSV.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_SWEEP_H
#define GODWIT_HARNESS_REPORT_SWEEP_H

#include "base/error.h"
#include "base/json.h"
#include <stdint.h>
#include <stdio.h>

/* What is varied, and its values as the user wrote them. */
struct godwit_axis {
    char *name;
    char **values;
};

/* Creates an axis of VALUES, which are separated by commas. The caller frees it. */
struct godwit_axis *godwit_axis_new(const char *name, const char *values);
void godwit_axis_free(gpointer axis);

enum godwit_cell_value {
    GODWIT_CELL_TOTAL, /* times are in milliseconds */
    GODWIT_CELL_BLACKOUT,
    GODWIT_CELL_DOWNTIME,
    GODWIT_CELL_MIB,
    GODWIT_CELL_RATE,   /* MiB/s */
    GODWIT_CELL_VALUES, /* how many there are */
};

/* Failures of a cell with the same message. */
struct godwit_sweep_failure {
    char *message;
    bool unconverged;
    unsigned count;
};

/* One cell of the grid. */
struct godwit_cell {
    const char *scenario; /* borrowed */
    unsigned *choice;     /* of each axis, the number of its value */
    GArray
        *values[GODWIT_CELL_VALUES]; /* of double: one of each run that passed; NaN: not measured */
    GArray *numbers; /* of unsigned: of each of these runs, its place among all runs */
    unsigned passed;
    unsigned unconverged; /* runs that did not converge ... */
    unsigned failed;      /* ... and those that failed for another reason */
    GPtrArray *failures;  /* of struct godwit_sweep_failure */
    json_t *raw;          /* a list of godwit_raw_run() */
    char *skipped;        /* why it could not run at all; NULL: it ran */
    char *again;          /* the command line that repeats its first run; NULL: none */
};

/* The reason for which a sweep ended. */
enum godwit_sweep_end {
    GODWIT_SWEEP_RUNS,        /* as many runs as the user asked for */
    GODWIT_SWEEP_BUDGET,      /* the time is spent */
    GODWIT_SWEEP_SKIPPED,     /* no cell can run */
    GODWIT_SWEEP_INTERRUPTED, /* by a signal */
};

/* All of a sweep. Strings are borrowed. */
struct godwit_sweep_report {
    const char *path, *version, *package; /* of the source */
    const char *destination_path, *destination_version;
    const char *arch, *machine, *accel, *preset; /* preset NULL: none */
    const json_t *settings;                      /* of all cells; NULL: none */
    uint64_t seed;
    const GPtrArray *axes;  /* of struct godwit_axis */
    GPtrArray *cells;       /* of struct godwit_cell */
    json_t *order;          /* an array for each round: the numbers of the cells as they ran */
    unsigned runs;          /* of each cell, that the user asked for */
    unsigned rounds;        /* that were completed */
    double budget, elapsed; /* in seconds; budget 0: none */
    double give_up;         /* in seconds */
    enum godwit_sweep_end end;
    json_t *about;
};

struct godwit_cell *godwit_cell_new(const char *scenario, unsigned axes);
void godwit_cell_free(gpointer cell);
void godwit_sweep_report_clear(struct godwit_sweep_report *report);

/* Takes the RESULT of the run with that NUMBER among all runs into CELL. */
void godwit_cell_take(struct godwit_cell *cell, unsigned number, const json_t *result);

/* Returns how many runs CELL has had. */
unsigned godwit_cell_runs(const struct godwit_cell *cell);

/* Returns what the convergence map says of CELL: the median of its total time in milliseconds, with
 * the part of the runs that arrived if some did not; "-" if none converged. The caller frees it. */
char *godwit_cell_map_text(const struct godwit_cell *cell);

/* Returns the quantile FRACTION of a figure of CELL, of the runs that have it; NaN if none has. */
double godwit_cell_quantile(const struct godwit_cell *cell, enum godwit_cell_value figure,
                            double fraction);

/* Returns what CELL is, "NAME=VALUE NAME=VALUE". The caller frees it. */
char *godwit_cell_text(const GPtrArray *axes, const struct godwit_cell *cell);

/* Returns the axes' numbers of dirty-rate and max-bandwidth if these two are all there are. */
bool godwit_sweep_has_map(const struct godwit_sweep_report *report, unsigned *rate,
                          unsigned *bandwidth);

/* Writes the lines about the sweep, or all of it as a page, BMF or OpenMetrics. */
void godwit_sweep_write_head(FILE *out, const struct godwit_sweep_report *report);
void godwit_sweep_write_html(FILE *out, const struct godwit_sweep_report *report);
void godwit_sweep_write_bmf(FILE *out, const struct godwit_sweep_report *report);
void godwit_sweep_write_openmetrics(FILE *out, const struct godwit_sweep_report *report);

/* Writes the report in FORMAT, as godwit_figures_check() accepts it. Fails with ENVIRONMENT if it
 * cannot be written. */
bool godwit_sweep_write(const char *format, const struct godwit_sweep_report *report,
                        GError **error);

#endif
