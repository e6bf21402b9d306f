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

/* The ways to fail that are a QEMU's, or a setting's. An error of the host is neither. */
enum godwit_compare_fault {
    GODWIT_FAULT_FAILED,      /* wrong memory, for example */
    GODWIT_FAULT_UNCONVERGED, /* did not converge in the time that it had */
    GODWIT_FAULTS,            /* how many there are */
};

/* What may be said of the failures of B. */
enum godwit_fault_verdict {
    GODWIT_FAULTS_NONE,  /* B does not fail */
    GODWIT_FAULTS_HOST,  /* only errors of the host, or of the start of a QEMU */
    GODWIT_FAULTS_LIKE,  /* neither does A less, as far as can be told */
    GODWIT_FAULTS_OFTEN, /* more often than A */
    GODWIT_FAULTS_ONLY,  /* in a way in which A does not */
};

/* One scenario. */
struct godwit_compare_scenario {
    const char *name;
    GArray *rounds;               /* of struct godwit_round */
    unsigned passed[GODWIT_ARMS]; /* runs that passed, and those that did not */
    unsigned failed[GODWIT_ARMS];
    unsigned faults[GODWIT_FAULTS][GODWIT_ARMS]; /* of those that failed */
    GPtrArray *failures;                         /* of struct godwit_compare_failure */
    char *skipped;                               /* why it could not run at all; NULL: it ran */
    char *again[GODWIT_ARMS];      /* the command line that repeats the first run; NULL: none */
    json_t *measured[GODWIT_ARMS]; /* a list: the measurements of each run that passed */
    json_t *traced[2];             /* of A and B: those of one more run, with a waterfall; NULL */
    json_t *raw;                   /* a list of godwit_raw_run(), with the "arm" of each */
    uint64_t window_start, window_end;
    unsigned memory_mib;
};

/* A or B. Strings are borrowed. */
struct godwit_compare_side {
    const char *path, *version, *package;
    const json_t *settings; /* NULL: none */
    bool traced;            /* each of its runs has a waterfall */
};

/* All of a comparison. */
struct godwit_compare_report {
    struct godwit_compare_side sides[2]; /* A and B */
    bool alike;                          /* both are the same QEMU with the same settings */
    const char *arch, *machine, *accel;
    char *workload;
    GPtrArray *scenarios; /* of struct godwit_compare_scenario */
    struct godwit_rules rules;
    double confidence; /* of its intervals and verdicts: 0.95 for example */
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

/* Takes the RESULT of one more run of SIDE, 0 for A or 1 for B, into SCENARIO. It is no part of a
 * round, but its failure is one of that arm. */
void godwit_compare_take_traced(struct godwit_compare_scenario *scenario, unsigned side,
                                const json_t *result);

/* Returns what METRIC was in the run of RESULT; NaN if it was not measured. */
double godwit_compare_value(const json_t *result, enum godwit_metric metric);

/* Returns whether all runs of an arm have failed, of which there were enough to give it up. */
bool godwit_compare_is_hopeless(const struct godwit_compare_scenario *scenario);

/* Judges the failures of B: those of each kind, in comparison with A and A'. */
enum godwit_fault_verdict godwit_compare_faults(const struct godwit_compare_scenario *scenario);

/* Returns whether the failures of B are more than those of A. */
bool godwit_compare_fails(const struct godwit_compare_scenario *scenario);

/* Returns the verdict as a word. Static. */
const char *godwit_compare_fault_text(enum godwit_fault_verdict verdict);

/* Returns whether an arm of ROUND has no total time, so that the round is no pair. */
bool godwit_compare_dropped(const struct godwit_round *round);

/* Writes the report in FORMAT, as godwit_figures_check() accepts it. Fails with ENVIRONMENT if it
 * cannot be written. */
bool godwit_compare_write(const char *format, const struct godwit_compare_report *report,
                          GError **error);

#endif
