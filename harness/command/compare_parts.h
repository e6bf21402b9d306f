/*
 * Shared by the files of `godwit compare`: compare.c runs it, compare_options.c has what the user
 * chooses.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_COMPARE_PARTS_H
#define GODWIT_HARNESS_COMMAND_COMPARE_PARTS_H

#include "command/command.h"
#include "report/compare.h"

struct godwit_compare_options {
    struct godwit_options target;
    char *a, *b;        /* the QEMUs; B is A if it was not given */
    char **globs;       /* of the scenarios; NULL: the default */
    json_t *settings_a; /* --set-a, in addition to --set; NULL: none */
    json_t *settings_b;
    double budget;             /* in seconds; 0: none */
    double tolerance;          /* a part: 0.05 */
    double tolerance_downtime; /* in milliseconds */
    bool waterfall;            /* trace one more run of A and of B */
    gboolean waterfall_b;      /* trace each run of B */
    int runs;                  /* 0: as many as it takes */
    char **formats;
};

/* Parses the arguments. Sets *HELPED if the help was printed. OPTIONS must be zeroed, and cleared
 * in any case. Fails with USAGE. */
bool godwit_compare_options_parse(struct godwit_compare_options *options, int *argc, char ***argv,
                                  bool *helped, GError **error);
void godwit_compare_options_clear(struct godwit_compare_options *options);

#endif
