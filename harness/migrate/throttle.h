/*
 * Keeps a live migration from converging until it is proven to be live; throttle.c says how.
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

/* Does the same for a migration into a file, of which it lets a part be written at once. */
bool godwit_migrate_throttle_file(struct godwit_vm *source, GError **error);

/* Sets the bandwidth with the valve open, in bytes a second. */
void godwit_migrate_throttle_pace(struct godwit_vm *source, json_int_t bandwidth);

/* Makes RELAY the gate of a throttled multifd migration, whose pages are COMPRESSED or not. Call it
 * before the first connection. The gate lasts until the migration is unthrottled. */
void godwit_migrate_gate(struct godwit_testbed *testbed, struct godwit_relay *relay,
                         bool compressed);

/* Opens the gate for good, if there is one. */
void godwit_migrate_ungate(struct godwit_testbed *testbed);

/* Drops the gate. Call it before the testbed's relay is freed. */
void godwit_migrate_forget_gate(struct godwit_testbed *testbed);

/* Lets a throttled migration converge. */
bool godwit_migrate_unthrottle(struct godwit_vm *source, GError **error);

/*
 * Waits until CONDITION(DATA) holds, and lets a throttled migration make iteration after iteration
 * meanwhile. WHAT completes "waiting for ...". Fails if the migration ends first, as
 * godwit_migrate_prove_live() does.
 */
bool godwit_migrate_wait_throttled(struct godwit_vm *source, godwit_condition condition,
                                   gpointer data, const char *what, GError **error);

/* Waits until a throttled migration begins an iteration later than *ITERATION, and sets *ITERATION
 * to its number. Fails as above. */
bool godwit_migrate_next_iteration(struct godwit_vm *source, guint *iteration, GError **error);

/*
 * Waits until a throttled migration is proven to be live: the destination has received a page of
 * the window that the source has dirtied again since. Records the proof (address, both bytes,
 * iteration) in the testbed's facts.
 *
 * Fails with MIGRATION if the migration ends first, or with ENVIRONMENT if it ended because the
 * host did not let the guest run.
 */
bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error);

/* Does the same for the page at guest-physical address GPA, which the destination has received. */
bool godwit_migrate_prove_page(struct godwit_vm *source, struct godwit_vm *destination,
                               uint64_t gpa, GError **error);

/*
 * Proves that a migration into a file is live. Nobody has received a page yet, so this counts:
 * since some of the window was written, the guest has dirtied more pages than were still unsent.
 * Records both counts in the testbed's facts. Fails as above.
 */
bool godwit_migrate_prove_dirtied(struct godwit_vm *source, GError **error);

#endif
