/*
 * Containment: whatever this process starts, and whatever that starts in turn, can be found and
 * killed, even if it has left its process group and its session or lost its parent.
 *
 * Three things together do it:
 *  - A control group (cgroup v2), where this process may make one. Children move into it before
 *    they execute anything. The kernel keeps their descendants there and kills all of them at once.
 *  - The subreaper. What lost its parent becomes a child of this process, so that every descendant
 *    is found among its children, or becomes one when those are killed.
 *  - A mark in the environment: the path of the run's folder. The janitor, which is nobody's
 *    ancestor, finds by it what a killed harness left where there is no control group.
 *
 * The state is that of the process, not of an object: so are its children.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_CONTAIN_H
#define GODWIT_HARNESS_BASE_CONTAIN_H

#include <stddef.h>
#include <sys/types.h>

/* Begins containment under the mark FOLDER. To be called before anything is started. Two processes
 * may do so under the same mark. */
void godwit_contain_begin(const char *folder);

/* Makes this process the subreaper of its descendants: all that a worker needs, which was begun by
 * its parent. */
void godwit_contain_adopt(void);

/* Moves the calling process, a child between fork and exec, into the control group, if there is
 * one. Async-signal-safe. */
void godwit_contain_enter(void);

/* Kills every child of this process that is not among the COUNT of KNOWN, waits for its end, and
 * goes on until there is none, for ten seconds at the most: what lost its parent that way is a
 * child of this process, too. */
void godwit_contain_sweep(const pid_t *known, size_t count);

/* Kills everything in the control group and everything with the mark, but for this process, and
 * removes the control group. Returns how many processes it found alive; 0 means that nothing is
 * left. It does not wait for their ends. May run in a forked child. */
unsigned godwit_contain_kill(void);

#endif
