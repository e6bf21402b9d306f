/*
 * Shared by the files of `godwit sweep`: sweep.c runs it, sweep_grid.c makes the cells,
 * sweep_options.c has what the user chooses, sweep_presets.c what guestperf compares.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_SWEEP_PARTS_H
#define GODWIT_HARNESS_COMMAND_SWEEP_PARTS_H

#include "command/command.h"
#include "report/sweep.h"

/* The most cells that a grid may have. */
#define GODWIT_SWEEP_CELLS 10000

/* A set of options with a name, after a comparison of QEMU's guestperf. Arrays end with NULL. */
struct godwit_preset {
    const char *name, *summary;
    const char *over[4], *set[3], *scenarios[2];
    const char *missing; /* why Godwit has no such sweep; NULL: it has */
    const char *gone;    /* why a QEMU may not have what it sets; NULL: all have */
    double give_up;      /* in seconds; 0: the usual time */
};

/* Returns the preset NAME. Fails with USAGE if there is none, or if it is missing. */
const struct godwit_preset *godwit_preset_find(const char *name, GError **error);

/* Prints all presets. */
void godwit_preset_list(void);

struct godwit_sweep_options {
    struct godwit_options target;
    GPtrArray *axes; /* of struct godwit_axis */
    char **globs;    /* of the scenarios */
    char *preset_name;
    const struct godwit_preset *preset; /* NULL: none */
    double budget;                      /* in seconds; 0: none */
    int runs;
    char **formats;
};

/* Parses the arguments. Sets *HELPED if the help, or the list of presets, was printed. OPTIONS must
 * be zeroed, and cleared in any case. Fails with USAGE. */
bool godwit_sweep_options_parse(struct godwit_sweep_options *options, int *argc, char ***argv,
                                bool *helped, GError **error);
void godwit_sweep_options_clear(struct godwit_sweep_options *options);

/* How a cell of the report is run. */
struct godwit_plan {
    const struct godwit_scenario *scenario;
    struct godwit_setup setup;
    json_t *settings; /* setup.settings is this; owned */
};

/* Returns whether Godwit itself, not QEMU, knows what NAME is. */
bool godwit_axis_is_own(const char *name);

/* Fails with USAGE, and names the value, if an axis that Godwit itself knows has a wrong one. */
bool godwit_axis_check(const struct godwit_axis *axis, GError **error);

/*
 * Makes the cells of the grid: the product of SCENARIOS and the values of the axes. Adds each to
 * CELLS, and how it is run to PLANS (of struct godwit_plan, which is freed with godwit_plan_free).
 * Asks the target's binaries whether they take each combination of parameters. Fails with USAGE,
 * and names the value, if a binary or the guest does not.
 */
bool godwit_sweep_grid(struct godwit_process *process, const struct godwit_sweep_options *options,
                       const struct godwit_target *target, const GPtrArray *scenarios,
                       GPtrArray *cells, GPtrArray *plans, GError **error);
void godwit_plan_free(gpointer plan);

#endif
