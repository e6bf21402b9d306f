/*
 * Files in folders that a QEMU may write to as well. A QEMU can put anything in the place of a
 * file: a FIFO that blocks whoever opens it, a link to /dev/zero that never ends, a link to a file
 * outside that must not be overwritten. So a file is created anew, never opened for writing where
 * it is there already; only regular files are read; and never more of one than the caller allows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_FILE_H
#define GODWIT_HARNESS_BASE_FILE_H

#include "base/error.h"
#include <stddef.h>

/* Creates the file PATH (0600) in place of whatever has that name, unless that is a device. Returns
 * a descriptor for writing, which the caller closes, or -1 with an ENVIRONMENT error. */
int godwit_file_create(const char *path, GError **error);

/* Creates the file PATH with LENGTH bytes, in place of whatever has that name. Fails with
 * ENVIRONMENT. */
bool godwit_file_write(const char *path, const void *bytes, size_t length, GError **error);

/* Opens the regular file PATH for reading. Returns a descriptor, which the caller closes, or -1
 * with an ENVIRONMENT error, if it is anything else as well. Never blocks. */
int godwit_file_open(const char *path, GError **error);

/* Reads the regular file PATH. Returns its bytes and a NUL, which the caller frees, and their
 * number in *LENGTH. Fails with ENVIRONMENT, also if it has more than MAX bytes. */
char *godwit_file_read(const char *path, size_t max, size_t *length, GError **error);

/* Returns the last MAX bytes of the regular file at PATH as valid UTF-8, or NULL if they cannot be
 * had, or if it is empty or anything else than a regular file. The caller frees them. */
char *godwit_file_tail(const char *path, size_t max);

#endif
