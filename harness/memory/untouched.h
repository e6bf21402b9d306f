/*
 * Detects memory that another process has never written to. Its content is zero, so it need not be
 * read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEMORY_UNTOUCHED_H
#define GODWIT_HARNESS_MEMORY_UNTOUCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Returns the lines of /proc/PID/maps, none if it cannot be read. The caller frees them with
 * g_strfreev(). */
char **godwit_untouched_maps(pid_t pid);

/* Returns whether [START, START + LENGTH) is entirely private anonymous memory according to MAPS.
 * Such memory is zero where it was never written to. */
bool godwit_untouched_private(char *const *maps, uint64_t start, uint64_t length);

/* Opens /proc/PID/pagemap for the functions below. The process must already have executed its
 * program. Returns a descriptor, which the caller closes, or -1. */
int godwit_untouched_open(pid_t pid);

/* Returns whether the page at ADDRESS is present or swapped out. */
bool godwit_untouched_there(int pagemap, uint64_t address);

/*
 * Returns whether each page of [START, START + LENGTH) is absent or the kernel's zero page, so that
 * the range reads as zero. The range must be private anonymous memory, START and LENGTH multiples
 * of the host's page size, and no page may be one that userfaultfd would bring. Returns false if a
 * page has content, or if the kernel cannot answer (Linux before 6.7).
 */
bool godwit_untouched(int pagemap, uint64_t start, uint64_t length);

#endif
