/*
 * Files in folders that a QEMU may change. A QEMU can replace a file by anything: a FIFO that
 * blocks its reader, a link to /dev/zero that never ends, a link to a file elsewhere that must not
 * be overwritten. So these functions create files anew instead of opening existing ones for
 * writing, read only regular files, and read no more of a file than the caller allows.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_FILE_H
#define GODWIT_HARNESS_BASE_FILE_H

#include "base/error.h"
#include <stddef.h>
#include <stdio.h>

/* Creates the file PATH (0600) and replaces whatever has that name, unless it is a device. Returns
 * a descriptor for writing, which the caller closes, or -1 with an ENVIRONMENT error. */
int godwit_file_create(const char *path, GError **error);

/* Creates the file PATH with LENGTH bytes, as godwit_file_create() does. Fails with ENVIRONMENT. */
bool godwit_file_write(const char *path, const void *bytes, size_t length, GError **error);

/* Writes LENGTH bytes to a descriptor that blocks. Returns 0 or an errno. */
int godwit_file_write_all(int fd, const void *bytes, size_t length);

/* Writes what OUT still holds, and closes it unless it is stdout. Returns 0, or an errno if
 * something could not be written, now or before. */
int godwit_file_finish(FILE *out);

/* Opens the regular file PATH for reading. Returns a descriptor, which the caller closes, or -1
 * with an ENVIRONMENT error, also if PATH is not a regular file. Never blocks. */
int godwit_file_open(const char *path, GError **error);

/* Reads the regular file PATH. Returns its bytes with a terminating NUL, which the caller frees,
 * and their number in *LENGTH. Fails with ENVIRONMENT, also if it has more than MAX bytes. */
char *godwit_file_read(const char *path, size_t max, size_t *length, GError **error);

/* Returns the last MAX bytes of the regular file PATH as valid UTF-8, which the caller frees.
 * Returns NULL if they cannot be read, or if PATH is empty or not a regular file. */
char *godwit_file_tail(const char *path, size_t max);

#endif
