/*
 * The report of `godwit compare`: what was compared, its rows, and what failed, as text, JSON or
 * CSV.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_COMPARE_H
#define GODWIT_HARNESS_REPORT_COMPARE_H

#include "base/error.h"
#include "base/json.h"
#include "measure/comparison.h"

/* The reason for which a comparison ended. */
enum godwit_compare_end {
    GODWIT_COMPARE_SETTLED,     /* nothing remained to be decided */
    GODWIT_COMPARE_RUNS,        /* as many runs as the user asked for */
    GODWIT_COMPARE_BUDGET,      /* the time is spent */
    GODWIT_COMPARE_FAILED,      /* no scenario is left that does not fail */
    GODWIT_COMPARE_INTERRUPTED, /* by a signal */
};

/* Failures of one arm with the same message. */
struct godwit_compare_failure {
    enum godwit_arm arm;
    char *message;
    char *again; /* the command line that runs the first of them again */
    unsigned count;
};

/* One scenario. */
struct godwit_compare_scenario {
    const char *name;
    GArray *rounds;               /* of struct godwit_round */
    unsigned passed[GODWIT_ARMS]; /* runs that passed, and those that did not */
    unsigned failed[GODWIT_ARMS];
    GPtrArray *failures;           /* of struct godwit_compare_failure */
    char *skipped;                 /* why it could not run at all; NULL: it ran */
    char *again[GODWIT_ARMS];      /* the command line that repeats the first run; NULL: none */
    json_t *measured[GODWIT_ARMS]; /* a list: the measurements of each run that passed */
    json_t *raw;                   /* a list of godwit_raw_run(), with the "arm" of each */
    uint64_t window_start, window_end;
    unsigned memory_mib;
};

/* A or B. Strings are borrowed. */
struct godwit_compare_side {
    const char *path, *version, *package;
    const json_t *settings; /* NULL: none */
};

/* All of a comparison. */
struct godwit_compare_report {
    struct godwit_compare_side sides[2]; /* A and B */
    bool alike;                          /* both are the same QEMU with the same settings */
    const char *arch, *machine, *accel;
    char *workload;
    GPtrArray *scenarios; /* of struct godwit_compare_scenario */
    struct godwit_rules rules;
    enum godwit_compare_end end;
    double budget, elapsed; /* in seconds; budget 0: none */
    GArray *rows;           /* of struct godwit_row, by the number of the scenario */
    json_t *about;
};

struct godwit_compare_scenario *godwit_compare_scenario_new(const char *name);
void godwit_compare_report_clear(struct godwit_compare_report *report);

/* Takes the RESULT of a run of ARM into SCENARIO and, if it passed, its values into ROUND. */
void godwit_compare_take(struct godwit_compare_scenario *scenario, struct godwit_round *round,
                         enum godwit_arm arm, const json_t *result);

/* Returns what METRIC was in the run of RESULT; NaN if it was not measured. */
double godwit_compare_value(const json_t *result, enum godwit_metric metric);

/* Returns whether all runs of an arm have failed, of which there were enough to give it up. */
bool godwit_compare_is_hopeless(const struct godwit_compare_scenario *scenario);

/* Writes the report in FORMAT, as godwit_figures_check() accepts it. Fails with ENVIRONMENT if it
 * cannot be written. */
bool godwit_compare_write(const char *format, const struct godwit_compare_report *report,
                          GError **error);

#endif
