/*
 * Containment: finds and kills every process that this one has started, directly or indirectly,
 * even if it has left its process group and session or lost its parent.
 *
 * Three mechanisms work together:
 *  - A control group (cgroup v2), if this process may create one. Children enter it before they
 *    execute anything. The kernel keeps their descendants in it and kills all of them at once.
 *  - The subreaper. A process that loses its parent becomes a child of this process. So every
 *    descendant is among its children, or will be once those are killed.
 *  - A mark in the environment: the path of the run's folder. The janitor, which is nobody's
 *    ancestor, finds by it what a killed harness left if there is no control group.
 *
 * The state is global, because it belongs to the process.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_CONTAIN_H
#define GODWIT_HARNESS_BASE_CONTAIN_H

#include <gio/gio.h>
#include <stddef.h>
#include <sys/types.h>

/* Begins containment under the mark FOLDER. Call it before anything is started. Two processes may
 * use the same mark. */
void godwit_contain_begin(const char *folder);

/* Makes this process the subreaper of its descendants. A worker needs nothing else, because its
 * parent has begun containment. */
void godwit_contain_adopt(void);

/* Makes the calling process, a child between fork and exec, end with PARENT, which has forked it:
 * moves it into the control group, if there is one, and has the kernel kill it when PARENT ends.
 * Ends it at once if PARENT has ended already. Async-signal-safe. */
void godwit_contain_child(pid_t parent);

/* godwit_contain_child() as a child setup of GLib's. PARENT is GINT_TO_POINTER() of the parent's
 * pid. */
void godwit_contain_child_setup(void *parent);

/*
 * Starts ARGUMENTS with LAUNCHER as a child that ends with this process, as godwit_contain_child()
 * says. In the child, before it executes anything, SETUP is called with DATA, unless it is NULL; it
 * must be async-signal-safe. Sets *PID, unless PID is NULL: a GSubprocess forgets the pid of a
 * process that has ended, and the child may have ended already. Returns NULL with ERROR set if the
 * child cannot be started.
 */
GSubprocess *godwit_contain_spawn(GSubprocessLauncher *launcher, const char *const *arguments,
                                  void (*setup)(gpointer data), gpointer data, pid_t *pid,
                                  GError **error);

/* Kills and reaps every child of this process that is not among the COUNT pids of KNOWN, and
 * repeats until there are none: a process that loses its parent that way becomes a child as well.
 * Gives up after ten seconds. */
void godwit_contain_sweep(const pid_t *known, size_t count);

/* Kills everything in the control group and everything with the mark, except this process, and
 * removes the control group. Returns a count of what was still alive; 0 means that nothing is left.
 * Does not wait until the killed processes are gone. May run in a forked child. */
unsigned godwit_contain_kill(void);

#endif
