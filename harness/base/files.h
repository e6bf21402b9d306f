/*
 * Folders of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_FILES_H
#define GODWIT_HARNESS_BASE_FILES_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* Removes the folder at PATH and everything in it. What cannot be removed stays. Allocates nothing
 * from the heap itself and may run in a forked child. */
void godwit_files_remove(const char *path);

/* Creates a private folder (0700) in $TMPDIR or /tmp; its path is the caller's. */
char *godwit_files_temporary(GError **error);

/* Makes a folder of that name in the folder TO, which is created unless it is there, or of that
 * name with a number behind it: one that was not there, whoever else makes folders there. The
 * caller frees its path. */
char *godwit_files_make(const char *to, const char *name, GError **error);

/* Moves the folder FROM into the folder TO, which is created unless it is there, under the same
 * name or, if that is taken, that name with a number behind it. Its new path is the caller's. */
char *godwit_files_move(const char *from, const char *to, GError **error);

/* Creates the folder PATH (0700) and those above it, unless it is there, and sees that files can be
 * made in it. */
bool godwit_files_folder(const char *path, GError **error);

#endif
