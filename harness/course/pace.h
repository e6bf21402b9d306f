/*
 * Pace: what an unthrottled migration costs. Records the measurement "pace", an object:
 *
 *   total_ms            from the source's report that it sets the migration up (of a postcopy: that
 *                       it has switched over) to the later one of both sides' that it is completed;
 *                       into a file, the source's
 *   source_cpu_ms       CPU time of the source's QEMU meanwhile, without that of the guest's CPUs
 *   destination_cpu_ms  of the destination's, likewise
 *   SIDE_threads_ms     CPU time of each side by the names of its threads
 *   SIDE_ended_ms       CPU time of threads between the last look at them and their end
 *   SIDE_peak_bytes     the most memory that each QEMU has had
 *
 * and the measurements "transfer" (iterations.h) and "waterfall" (waterfall.h).
 *
 * What cannot be measured on this host, or with this QEMU, is left out or null.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_PACE_H
#define GODWIT_HARNESS_COURSE_PACE_H

#include "testbed/vm.h"

struct godwit_pace;

/* Begins to measure, before the migration starts. BY_FILE: the destination reads a file when the
 * source is done. Returns what godwit_pace_end() frees. Fails if a QEMU does not answer. */
struct godwit_pace *godwit_pace_begin(struct godwit_vm *source, struct godwit_vm *destination,
                                      bool by_file, GError **error);

/* Ends it: records the measurement if the migration is OVER, and frees PACE, which may be NULL. */
void godwit_pace_end(struct godwit_pace *pace, bool over);

#endif
