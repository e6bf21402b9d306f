/*
 * Shared by the scenarios whose destinations get streams that they must refuse: variants of a good
 * stream, which a stopped source has written into a file. A few destinations run at a time. Each
 * must end with a non-zero status and a message, and must never run its guest. A stream that QEMU
 * may accept must leave the same RAM as the good one. At the end a destination loads the good one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CONFORMANCE_TRIALS_H
#define GODWIT_HARNESS_SCENARIO_CONFORMANCE_TRIALS_H

#include "scenario/scenario.h"

/* A stream begins with two big-endian words, magic and version: so many bytes. */
#define GODWIT_TRIALS_HEADER 8

/* The required end of a destination. */
enum godwit_trial_end {
    GODWIT_TRIAL_REFUSES, /* it refuses the stream */
    GODWIT_TRIAL_LOADS,   /* it loads the stream, and its RAM equals the source's */
    GODWIT_TRIAL_EITHER,  /* one of both: QEMU's releases differ, or the change is harmless */
};

/* A stream, and the destination that gets it. */
struct godwit_trial {
    char *name; /* of the check; owned */
    const char
        *what;       /* what is wrong with the stream, for the known bugs; NULL: none is expected */
    char *arguments; /* additional arguments, separated by spaces, or NULL; owned */
    const struct godwit_capability *capabilities; /* of the destination, or NULL */
    bool postcopy;                                /* the destination has postcopy-ram */
    enum godwit_trial_end end;
    /* The stream: the first HEAD bytes of the good one, BYTES, and the good one from TAIL on. A
     * file with mapped-ram is as long as RAM, so that there is no copy for each trial. */
    size_t head, tail;
    GBytes *bytes; /* owned */
    struct godwit_vm *vm;
};

/* The good stream, and the trials made of it. */
struct godwit_trials {
    struct godwit_testbed *testbed;
    const struct godwit_capability *capabilities; /* of both sides, or NULL */
    const void *data;                             /* the family's own */
    struct godwit_vm *source;                     /* stopped */
    char *path;                                   /* of the file with the good stream */
    unsigned char *stream;
    size_t length;
    GPtrArray *list; /* of struct godwit_trial */
};

/* Adds the trials. Fails if the good stream lacks what they need. */
typedef bool (*godwit_trials_make)(struct godwit_trials *trials, GError **error);

/* Adds a trial with a copy of the bytes. It must be refused, unless the caller changes `end`.
 * Returns the trial, which TRIALS owns. */
struct godwit_trial *godwit_trials_add(struct godwit_trials *trials, const char *name,
                                       const void *bytes, size_t length);

/* Likewise, with the first HEAD bytes of the good stream before the bytes, and what the good stream
 * has from TAIL on behind them. */
struct godwit_trial *godwit_trials_splice(struct godwit_trials *trials, const char *name,
                                          size_t head, const void *bytes, size_t length,
                                          size_t tail);

/* Runs a scenario: records the good stream with CAPABILITIES, which may be NULL, makes the trials,
 * records each as a check, and loads the good stream. DATA is for MAKE. */
bool godwit_trials_run(struct godwit_testbed *testbed, godwit_trials_make make,
                       const struct godwit_capability *capabilities, const void *data,
                       GError **error);

/* Prepares the guest: a small window, since the rest of RAM is zero and takes little room in the
 * stream. */
void godwit_trials_prepare(const struct godwit_scenario *scenario,
                           struct godwit_workload *workload);

#endif
