/*
 * What has changed from one document of results to another.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_DIFF_H
#define GODWIT_HARNESS_REPORT_DIFF_H

#include "base/error.h"
#include "base/json.h"
#include <stdio.h>

/* What can become of a scenario. */
enum godwit_change { GODWIT_WORSE, GODWIT_BETTER, GODWIT_CAME, GODWIT_WENT, GODWIT_CHANGES };

/* The scenarios of each change, and how many are as they were. */
struct godwit_diff {
    GPtrArray *changes[GODWIT_CHANGES]; /* of json_t: "target", "scenario", "old", "new", "message",
                                           "bugs" (known bugs that were not met before) */
    unsigned same;
};

/* Compares the results of two documents, scenario by scenario and target by target. Of several
 * repetitions, the worst counts. The caller frees the diff. Fails with USAGE if the documents have
 * no scenario in common. */
struct godwit_diff *godwit_diff_new(const json_t *old, const json_t *new, GError **error);
void godwit_diff_free(struct godwit_diff *diff);

/* Writes the diff as text, or as JSON. */
void godwit_diff_text(const struct godwit_diff *diff, FILE *out);
void godwit_diff_json(const struct godwit_diff *diff, FILE *out);

#endif
