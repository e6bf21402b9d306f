/*
 * The folders of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_FILES_H
#define GODWIT_HARNESS_BASE_FILES_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* Removes the folder PATH and everything in it. What cannot be removed stays. May run in a forked
 * child of a process with one thread. */
void godwit_files_remove(const char *path);

/* Removes the sockets and FIFOs in the folder PATH and below it. A QEMU that is killed leaves its
 * own behind. What cannot be removed stays. */
void godwit_files_remove_sockets(const char *path);

/* Creates a private folder (0700) in $TMPDIR or /tmp. Returns its path, which the caller frees.
 * Fails with ENVIRONMENT. */
char *godwit_files_temporary(GError **error);

/* Creates a folder NAME in the folder TO, which is created if necessary. If the name is taken,
 * appends a number. The folder is always a new one, even if other processes create folders there.
 * Returns its path, which the caller frees. */
char *godwit_files_make(const char *to, const char *name, GError **error);

/* Moves the folder FROM into the folder TO, which is created if necessary. If the name is taken,
 * appends a number. Returns the new path, which the caller frees. */
char *godwit_files_move(const char *from, const char *to, GError **error);

/* Creates the folder PATH (0700) and those above it if necessary, and checks that files can be
 * created in it. */
bool godwit_files_folder(const char *path, GError **error);

#endif
