/*
 * The janitor: a small process beside the harness that cleans up when the harness ends, however it
 * ends, SIGKILL included. It also creates the run's temporary folder, so that the folder never
 * exists without a janitor. The two processes share a socket pair. When the harness's end closes,
 * the janitor kills everything that the run started (contain.h) and removes the temporary folder.
 * When the janitor's end closes, the harness notices at once, ends the run and cleans up itself.
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
 * Forks the janitor, which creates a temporary folder and begins containment under that folder's
 * mark (contain.h). Call it before the process has a second thread, and with those signals blocked
 * that must not end the janitor. Fails with ENVIRONMENT.
 */
struct godwit_janitor *godwit_janitor_new(godwit_janitor_lost lost, void *data, GError **error);

/* Returns the path of the folder; borrowed. */
const char *godwit_janitor_folder(const struct godwit_janitor *janitor);

/* Returns the pid of the janitor. */
pid_t godwit_janitor_pid(const struct godwit_janitor *janitor);

/* Lets the janitor clean up, and waits until it has exited or is stopped. Async-signal-safe: for a
 * signal handler that ends the process. */
void godwit_janitor_hand_over(const struct godwit_janitor *janitor);

/*
 * Lets the janitor clean up, waits until it has, and frees JANITOR. If the janitor has died, is
 * stopped or takes far too long, this function cleans up instead. Fails with ENVIRONMENT if the
 * janitor had died, after cleaning up.
 */
bool godwit_janitor_finish(struct godwit_janitor *janitor, GError **error);

#endif
