/*
 * Memory of another process that it has never written to, which need not be read to be known.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEMORY_UNTOUCHED_H
#define GODWIT_HARNESS_MEMORY_UNTOUCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc/PID/maps tells of a process's address space, a line each: the caller's (g_strfreev).
 * None if the system does not tell. */
char **godwit_untouched_maps(pid_t pid);

/* Whether all of [START, START + LENGTH) is private anonymous memory by those maps: what was never
 * written there is zero. */
bool godwit_untouched_private(char *const *maps, uint64_t start, uint64_t length);

/* What the kernel knows of the pages of a process that has executed what it is to execute: a
 * descriptor for the questions below, the caller's to close. -1 if the system does not tell. */
int godwit_untouched_open(pid_t pid);

/* Whether the page at ADDRESS is in memory or swapped out, by such a descriptor. */
bool godwit_untouched_there(int pagemap, uint64_t address);

/*
 * Whether no page of [START, START + LENGTH), which is of private anonymous memory, is anything but
 * absent or the kernel's page of zeros: all of it reads as zero. Both are to be multiples of the
 * host's page size; a page that userfaultfd would bring must not be among them. False if one is,
 * and if the system does not tell (Linux before 6.7).
 */
bool godwit_untouched(int pagemap, uint64_t start, uint64_t length);

#endif
