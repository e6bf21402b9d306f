/*
 * The janitor: a small process beside the harness that cleans up when the harness is gone, whatever
 * made it go, SIGKILL included. It also makes the run's temporary folder, so that there is no
 * instant at which the folder is there and the janitor is not. The two share a pair of sockets.
 * When the harness's end closes, the janitor kills everything that the run started (contain.h) and
 * removes the run's temporary folder. When the janitor's end closes, the harness knows at once that
 * it has no janitor any more, ends the run and cleans up itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_JANITOR_H
#define GODWIT_HARNESS_RUN_JANITOR_H

#include "base/error.h"
#include <stdbool.h>
#include <sys/types.h>

struct godwit_janitor;

/* Called from the main loop when the janitor has died. */
typedef void (*godwit_janitor_lost)(void *data);

/*
 * Forks the janitor, which makes a temporary folder and begins to contain what has the folder for
 * its mark (contain.h). To be called before the process has a second thread, and with the signals
 * blocked that must not end the janitor. Returns NULL with ERROR set to ENVIRONMENT if there can be
 * none.
 */
struct godwit_janitor *godwit_janitor_new(godwit_janitor_lost lost, void *data, GError **error);

/* Returns the path of the folder; borrowed. */
const char *godwit_janitor_folder(const struct godwit_janitor *janitor);

/* Returns the process that the janitor is. */
pid_t godwit_janitor_pid(const struct godwit_janitor *janitor);

/* Lets the janitor clean up and waits until it has, or is stopped, and does nothing else: for a
 * signal handler that ends the process. Async-signal-safe. */
void godwit_janitor_hand_over(const struct godwit_janitor *janitor);

/*
 * Lets the janitor clean up, waits until it has, and frees it. What a janitor that died, is stopped
 * or takes far too long has not done is done here. Fails with ENVIRONMENT if it had died;
 * everything is clean all the same.
 */
bool godwit_janitor_finish(struct godwit_janitor *janitor, GError **error);

#endif
