/*
 * Background snapshots, for scenarios whose machine has something of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_BACKGROUND_H
#define GODWIT_HARNESS_SCENARIO_BACKGROUND_H

#include "course/snapshot.h"
#include "scenario/scenario.h"

/* What the guest does. */
enum godwit_background_guest {
    GODWIT_BACKGROUND_STOPPED, /* it is stopped all the time */
    GODWIT_BACKGROUND_RESUMED, /* it is stopped, and resumed once the snapshot is under way */
    GODWIT_BACKGROUND_RUNNING, /* it runs all the time */
};

/* From the FIFO into the file. */
struct godwit_background_flow {
    int fifo, file; /* if open */
    bool open;
    guint source;    /* reads whatever comes; 0: nothing does */
    GError *failure; /* of that */
};

/* A background snapshot. It must live as long as the testbed: in the scenario's state. */
struct godwit_background {
    struct godwit_moment moment;
    struct godwit_background_flow flow;
};

/* What a scenario with such a snapshot needs. */
#define GODWIT_BACKGROUND_NEEDS                                                                    \
    .needs = "capability:background-snapshot", .lacks = godwit_scenario_lacks_userfaultfd

/* Closes and frees what BACKGROUND owns. */
void godwit_background_clear(struct godwit_background *background);

/* Saves a background snapshot of a guest that runs, and does as GUEST has it. The guest must write
 * meanwhile, unless it is stopped, and run on afterwards. It is stopped, and judged, at the end. */
bool godwit_background_save(struct godwit_background *background, struct godwit_vm *source,
                            enum godwit_background_guest guest, GError **error);

/* Makes the destination load the file, and judges it as one that has loaded a snapshot. It is
 * stopped at the end. */
bool godwit_background_load(struct godwit_background *background, struct godwit_vm *source,
                            struct godwit_vm *destination, GError **error);

#endif
