/*
 * What the threads of a process have used of the CPUs, by their names, and the most memory that the
 * process has had, from /proc.
 *
 * A thread that ends takes its time along. So look often: what it used after the last look is
 * missing here, and is in the time of the whole process.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_THREADS_H
#define GODWIT_HARNESS_COURSE_THREADS_H

#include "base/json.h"
#include <glib.h>

struct godwit_threads;

/* Begins with what the threads of the process have used until now. FOLDER is the process's,
 * "/proc/PID". The caller frees the result. */
struct godwit_threads *godwit_threads_new(const char *folder);
void godwit_threads_free(struct godwit_threads *threads);

/* Looks at all threads. Those that are new count from their start. */
void godwit_threads_look(struct godwit_threads *threads);

/* Returns whether THREAD was ever seen in the process. */
bool godwit_threads_has(const struct godwit_threads *threads, guint64 thread);

/* Sets *SLEEPS to whether a thread that was never seen in the process sleeps for some time, by
 * nanosleep. Fails with SKIP if the kernel does not tell. */
bool godwit_threads_sleeper(const struct godwit_threads *threads, bool *sleeps, GError **error);

/* Returns the milliseconds that the threads of each name have used since the beginning, as an
 * object that the caller unreferences, and adds all of them to *SUM. */
json_t *godwit_threads_used(const struct godwit_threads *threads, double *sum);

/* Returns the nanoseconds in the text of a thread's schedstat; -1 if it is anything else. */
gint64 godwit_threads_time(const char *schedstat);

/* Returns the bytes of VmHWM in the text of a process's status; -1 if it has none. */
gint64 godwit_threads_peak(const char *status);

#endif
