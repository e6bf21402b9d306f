/*
 * Blackout: how long the guest made no progress while it was migrated, as the guest sees it. Its
 * mailbox is sampled on both sides from outside, which stops nothing: whenever the main loop wakes
 * up, and every few milliseconds while the switchover is near.
 *
 * Time in which the harness itself keeps the guest from running, to look at it, does not count.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_BLACKOUT_H
#define GODWIT_HARNESS_ORACLE_BLACKOUT_H

#include "testbed/vm.h"

/*
 * Begins to watch a migration between two VMs that answer on QMP; DESTINATION is NULL for one that
 * does not yet, and joins later. With POSTCOPY, where it is there, the destination runs by itself;
 * otherwise it is held until godwit_blackout_resume(). One watch a testbed at a time: it has to be
 * ended, by godwit_blackout_end(), before any of the VMs goes. Does nothing if the oracle is not to
 * judge.
 */
bool godwit_blackout_watch(struct godwit_vm *source, struct godwit_vm *destination, bool postcopy,
                           GError **error);

/* The rest does nothing where there is no watch. */

/* The destination of a watch that began without one answers on QMP now. */
bool godwit_blackout_join(struct godwit_vm *destination, GError **error);

/* From now on the source may stop at any time. */
void godwit_blackout_near(struct godwit_testbed *testbed);

/* The guest stands still, and the harness keeps it from going on until it is let go. */
void godwit_blackout_hold(struct godwit_testbed *testbed);

/* A guest that was held is let go: its migration goes on ... */
void godwit_blackout_let_go(struct godwit_testbed *testbed);

/* ... which will go on without the source: that is not looked at any more, and may go ... */
void godwit_blackout_leave(struct godwit_testbed *testbed);

/* ... or is over, and the destination is about to be told to run it. */
void godwit_blackout_resume(struct godwit_testbed *testbed);

/*
 * Ends the watch. What was seen goes into the testbed's facts: "blackout_ms" and, by how much it
 * can be more or less, "blackout_resolution_ms", the longest if there are several in a testbed; or
 * "blackout_unknown", why it cannot be told.
 */
void godwit_blackout_end(struct godwit_testbed *testbed);

#endif
