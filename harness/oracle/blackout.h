/*
 * Blackout: the downtime that the guest sees, which is how long it made no progress during its
 * migration. Godwit samples the mailbox on both sides from outside, which stops nothing: whenever
 * the main loop wakes up, and every few milliseconds while the switchover is near.
 *
 * Time in which Godwit itself keeps the guest stopped to read its memory does not count.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_BLACKOUT_H
#define GODWIT_HARNESS_ORACLE_BLACKOUT_H

#include "testbed/vm.h"

/*
 * Begins to watch a migration between two VMs. Both must answer on QMP. If DESTINATION does not
 * answer yet, pass NULL and call godwit_blackout_join() later. With POSTCOPY, a RESUME event shows
 * that the destination's guest runs. Otherwise the destination counts as paused until
 * godwit_blackout_resume(). A testbed has one watch at a time. End it with godwit_blackout_end()
 * before one of its VMs is freed. Does nothing if the oracle is switched off. Fails if a QEMU does
 * not answer; if it cannot locate the mailbox, there is no watch, and "blackout_unknown" is set.
 */
bool godwit_blackout_watch(struct godwit_vm *source, struct godwit_vm *destination, bool postcopy,
                           GError **error);

/* Without a watch, the functions below do nothing. */

/* Adds the destination to a watch that began without one, as soon as it answers on QMP. */
bool godwit_blackout_join(struct godwit_vm *destination, GError **error);

/* Begins the frequent samples: from now on, the source may stop at any time. */
void godwit_blackout_near(struct godwit_testbed *testbed);

/* Begins an interval that does not count: the guest is stopped, and Godwit keeps it stopped until
 * one of the three functions below is called. */
void godwit_blackout_hold(struct godwit_testbed *testbed);

/* Ends the interval: the migration continues. */
void godwit_blackout_let_go(struct godwit_testbed *testbed);

/* Ends the interval: the migration continues without the source, which is not sampled any more and
 * may be freed. */
void godwit_blackout_leave(struct godwit_testbed *testbed);

/* Ends the interval: the migration is over, and the destination is about to run its guest. */
void godwit_blackout_resume(struct godwit_testbed *testbed);

/*
 * Ends the watch and records the result in the testbed's measurements: "blackout_ms", and in
 * "blackout_resolution_ms" its possible error. Of several watches in one testbed, the longest
 * blackout stays. If the blackout is unknown, "blackout_unknown" has the reason.
 */
void godwit_blackout_end(struct godwit_testbed *testbed);

#endif
