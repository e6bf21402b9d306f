/*
 * The janitor: a small process beside the harness that cleans up when the harness is gone, whatever
 * made it go, SIGKILL included. It holds the reading end of a pipe; when the writing end closes, it
 * kills the process groups that it was told of and removes the run's temporary folder. That is the
 * only way in which the folder is removed: there is no other path to get wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_JANITOR_H
#define GODWIT_HARNESS_RUN_JANITOR_H

#include "error.h"
#include <stdbool.h>
#include <sys/types.h>

struct godwit_janitor;

/*
 * Forks the janitor of FOLDER (NULL: no folder to remove). To be called before the process has a
 * second thread. NULL with ERROR set if there can be none.
 */
struct godwit_janitor *godwit_janitor_new(const char *folder, GError **error);

/* A process group that must not outlive the harness, and one that is over. */
void godwit_janitor_watch(struct godwit_janitor *janitor, pid_t group);
void godwit_janitor_forget(struct godwit_janitor *janitor, pid_t group);

/* Lets the janitor clean up and waits until it has. NULL is fine. */
void godwit_janitor_finish(struct godwit_janitor *janitor);

#endif
