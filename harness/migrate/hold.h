/*
 * Keeps a live migration from converging until it is proven to be live; hold.c says how.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_HOLD_H
#define GODWIT_HARNESS_MIGRATE_HOLD_H

#include "migrate/migrate.h"

/*
 * Holds the migration that SOURCE starts next, until it is released. To be called before the start.
 * For most of a minute no pass over memory ends, even if the guest does not run, except in
 * godwit_migrate_next_pass() and godwit_migrate_wait_held().
 */
bool godwit_migrate_hold(struct godwit_vm *source, GError **error);

/* Does the same for a migration into a file, of which a part is written at once. */
bool godwit_migrate_hold_file(struct godwit_vm *source, GError **error);

/* Sets the bandwidth, in bytes a second, at which passes are let end. */
void godwit_migrate_hold_pace(struct godwit_vm *source, json_int_t bandwidth);

/* Has RELAY, which a held multifd migration goes through, hold it back as well, whether its pages
 * are COMPRESSED or not. To be called before the first connection. It lasts until the release. */
void godwit_migrate_gate(struct godwit_rig *rig, struct godwit_relay *relay, bool compressed);

/* Lets everything pass that goes through the rig's relay. */
void godwit_migrate_ungate(struct godwit_rig *rig);

/* Drops the gate. Call it before the rig's relay is freed. */
void godwit_migrate_forget_gate(struct godwit_rig *rig);

/* Lets a held migration converge. */
bool godwit_migrate_release(struct godwit_vm *source, GError **error);

/*
 * Waits until CONDITION(DATA) holds, while a held migration makes one pass after the other over
 * memory. WHAT completes "waiting for ...". The migration must not end first.
 */
bool godwit_migrate_wait_held(struct godwit_vm *source, godwit_condition condition, gpointer data,
                              const char *what, GError **error);

/* Waits until the source of a held migration begins a pass over memory later than *PASS, which is
 * then set to it. */
bool godwit_migrate_next_pass(struct godwit_vm *source, guint *pass, GError **error);

/*
 * Waits until a held migration is proven to be live: the destination has received a page of the
 * window that the source has dirtied again since. The proof (address, both bytes, pass) goes into
 * the rig's facts.
 *
 * A migration that ends first is a MIGRATION error; if it does because the host did not let the
 * guest run, an ENVIRONMENT error.
 */
bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error);

/* Does the same for the page at guest-physical address GPA, which the destination has received. */
bool godwit_migrate_prove_page(struct godwit_vm *source, struct godwit_vm *destination,
                               uint64_t gpa, GError **error);

/*
 * Does the same where no destination takes what is sent yet: since some of the window was sent, the
 * guest has changed more of its pages than had not been sent (both by the pages in the facts).
 */
bool godwit_migrate_prove_dirtied(struct godwit_vm *source, GError **error);

#endif
