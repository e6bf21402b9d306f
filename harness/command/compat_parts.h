/*
 * Shared by the files of `godwit compat`: compat.c runs it and reports, compat_options.c has what
 * the user chooses, compat_jobs.c makes the jobs, compat_together.c makes those of several devices
 * at once, compat_static.c compares descriptions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_COMPAT_PARTS_H
#define GODWIT_HARNESS_COMMAND_COMPAT_PARTS_H

#include "command/command.h"
#include "report/compat.h"

struct godwit_compat_options {
    struct godwit_options target;
    int jobs;
    char *devices, *cpu_models; /* as given; NULL: all */
    gboolean all_machines, find_newest;
    char *baseline, *write_baseline;
    char **formats;
    char **binaries;
};

/* Parses the arguments. Sets *HELPED if the help was printed. OPTIONS must be zeroed, and
 * cleared in any case. Fails with USAGE. */
bool godwit_compat_options_parse(struct godwit_compat_options *options, int *argc, char ***argv,
                                 bool *helped, GError **error);
void godwit_compat_options_clear(struct godwit_compat_options *options);

/* Returns whether the device is chosen. */
bool godwit_compat_has_device(const struct godwit_compat_options *options, const char *device);

/* Returns whether the CPU model is chosen for a machine type. NEWEST: the type is the first of its
 * target, which by default is the only one that all models are tried on. */
bool godwit_compat_has_model(const struct godwit_compat_options *options, const char *model,
                             bool newest);

/* A run of compat. */
struct godwit_compat_run {
    struct godwit_process *process;
    const struct godwit_compat_options *options;
    GPtrArray *targets;   /* of struct godwit_target, one for each ordered pair */
    GPtrArray *paths;     /* of the binaries, by their number in the table; borrowed */
    GHashTable *lists;    /* prefix of a prototype and path of a binary -> names; both owned */
    GHashTable *recipes;  /* path of a binary -> JSON: device -> recipe; both owned */
    GHashTable *numbered; /* likewise, recipes that can be joined */
    GPtrArray *jobs;      /* of struct godwit_job */
    GHashTable *cells_of; /* godwit_compat_job_key() of a job -> GPtrArray of its cells, borrowed;
                             both owned */
    GPtrArray *later;     /* of struct godwit_compat_later */
    struct godwit_compat_table *table;
};

/* A device on a machine type that is not the newest of its family. It is tried after those. */
struct godwit_compat_later {
    const struct godwit_target *target;
    struct godwit_compat_cell *cell;
    const struct godwit_compat_cell *first; /* the same device on the newest machine type */
    bool together;                          /* others are tried at the same time */
};

/* Returns the number of a binary that the table has. */
unsigned godwit_compat_number(const struct godwit_compat_run *run, const struct godwit_qemu *qemu);

/* Returns the key of the job of that target and scenario in CELLS_OF. The caller frees it. */
char *godwit_compat_job_key(const char *target, const char *scenario);

/* The prototypes whose scenarios are tried. */
#define GODWIT_COMPAT_DEVICES  "prelaunch/"
#define GODWIT_COMPAT_MODELS   "prelaunch-cpu/"
#define GODWIT_COMPAT_MACHINES "machine/"

/* Adds a job with the scenario PREFIX NAME for a cell. Returns it, borrowed. */
struct godwit_job *godwit_compat_add_job(struct godwit_compat_run *run,
                                         const struct godwit_target *target,
                                         struct godwit_compat_cell *cell, const char *prefix,
                                         const char *name);

/* Adds a job that tries a device alone. */
void godwit_compat_add_device(struct godwit_compat_run *run, const struct godwit_target *target,
                              struct godwit_compat_cell *cell);

/* Makes the jobs of the run those that try what is to be tried later: several devices at once if
 * each of them arrived as it was on the newest machine type, else alone. */
void godwit_compat_together(struct godwit_compat_run *run);

/* Makes the jobs of the run those that try each device alone that was tried together with others
 * which did not all arrive as they were. */
void godwit_compat_alone(struct godwit_compat_run *run);

/* Fills the table with a cell for each thing that is tried, and the run with a job for each that
 * can be tried at first. Fails with USAGE if a choice matches nothing, and with what asking a
 * binary fails with. */
bool godwit_compat_jobs(struct godwit_compat_run *run, GError **error);

/* Adds to TABLE the suspicions that the descriptions of its machine types give. PATHS are those of
 * its binaries. Fails with ENVIRONMENT if a binary describes none. */
bool godwit_compat_descriptions(const struct godwit_process *process, const GPtrArray *paths,
                                struct godwit_compat_table *table, GError **error);

#endif
