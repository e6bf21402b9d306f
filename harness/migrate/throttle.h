/*
 * Keeps a live migration from converging until it is proven to be live. throttle.c explains how.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_THROTTLE_H
#define GODWIT_HARNESS_MIGRATE_THROTTLE_H

#include "migrate/migrate.h"

/*
 * Throttles the migration that SOURCE starts next, until it is unthrottled. Call it before the
 * start. For most of a minute no iteration ends, even if the guest does not run, except in
 * godwit_migrate_next_iteration() and godwit_migrate_wait_throttled(). The throttle belongs to the
 * testbed. Fails if QEMU refuses the parameters.
 */
bool godwit_migrate_throttle(struct godwit_vm *source, GError **error);

/* Throttles the migration into a file that SOURCE starts next, likewise. Part of the file is
 * written at once. */
bool godwit_migrate_throttle_file(struct godwit_vm *source, GError **error);

/* Lifts QEMU's own limit of the bandwidth of the migration that SOURCE starts next, which is not
 * throttled. */
bool godwit_migrate_unlimit(struct godwit_vm *source, GError **error);

/* Sets the bandwidth to use while the valve is open, in bytes a second. */
void godwit_migrate_throttle_pace(struct godwit_vm *source, json_int_t bandwidth);

/* Lets a throttled migration converge. */
bool godwit_migrate_unthrottle(struct godwit_vm *source, GError **error);

/*
 * Waits until CONDITION(DATA) holds. A throttled migration makes one iteration after another
 * meanwhile. WHAT completes "waiting for ...". Fails if the migration ends first, as
 * godwit_migrate_prove_live() does.
 */
bool godwit_migrate_wait_throttled(struct godwit_vm *source, godwit_condition condition,
                                   gpointer data, const char *what, GError **error);

/* Waits until a throttled migration begins an iteration later than *ITERATION, and sets *ITERATION
 * to its number. Fails as godwit_migrate_wait_throttled() does. */
bool godwit_migrate_next_iteration(struct godwit_vm *source, guint *iteration, GError **error);

/* Waits until a migration that is not throttled begins iteration WANTED or a later one, and sets
 * *ITERATION to its number; 0 if the migration is over without it. */
bool godwit_migrate_reach_iteration(struct godwit_vm *source, guint wanted, guint *iteration,
                                    GError **error);

/*
 * Waits until a throttled migration is proven to be live: the destination has received a page of
 * the window that the source has dirtied again since. Records the proof (address, both bytes,
 * iteration) as "live" in the testbed's measurements.
 *
 * Fails with MIGRATION if the migration ends first, or with ENVIRONMENT if it ended because the
 * host did not let the guest run.
 */
bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error);

/* Waits until a throttled migration is proven to be live by the page at guest-physical address GPA,
 * which the destination has received. Records and fails as godwit_migrate_prove_live() does. */
bool godwit_migrate_prove_page(struct godwit_vm *source, struct godwit_vm *destination,
                               uint64_t gpa, GError **error);

/*
 * Proves that a migration into a file is live. There is no reader yet, so this counts: since some
 * of the window was written out, the guest has dirtied more pages than were still unsent. Records
 * both counts as "live" in the testbed's measurements. Fails as godwit_migrate_prove_live() does.
 */
bool godwit_migrate_prove_dirtied(struct godwit_vm *source, GError **error);

#endif
