/*
 * The RAM compare of a COLO pair, which colo_compare.c explains.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_COLO_H
#define GODWIT_HARNESS_SCENARIO_COLO_H

#include "oracle/oracle.h"

/*
 * Compares all RAM of a primary and a secondary that ran a little since a checkpoint and are
 * stopped. Judges both windows as godwit_oracle_look() does, and fills in READING: [0] of the
 * primary, [1] of the secondary. Sets *COMPARED to false if one of them has written its whole
 * window meanwhile, so that none of that could be compared. Fails with ORACLE if a byte differs
 * that neither guest has written since.
 */
bool godwit_colo_compare(struct godwit_vm *primary, struct godwit_vm *secondary,
                         struct godwit_reading reading[2], bool *compared, GError **error);

/* Returns "page N of its window" if all that is wrong with the window of a secondary with `stamp`
 * is one page for each CPU that lacks the last writes to it; otherwise NULL. The caller frees
 * it. */
char *godwit_colo_lost_page(struct godwit_vm *primary, struct godwit_vm *secondary);

#endif
