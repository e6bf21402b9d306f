/*
 * Shared by compat.c and compat_static.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_COMPAT_PARTS_H
#define GODWIT_HARNESS_COMMAND_COMPAT_PARTS_H

#include "command/command.h"
#include "report/compat.h"

/* Adds to TABLE the suspicions that the descriptions of its machine types give. PATHS are those of
 * its binaries. Fails with ENVIRONMENT if a binary describes none. */
bool godwit_compat_descriptions(const struct godwit_process *process, const GPtrArray *paths,
                                struct godwit_compat_table *table, GError **error);

#endif
