/*
 * One migration between two VMs of a rig, step by step. Each step waits for what it needs to see,
 * by events; none sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_MIGRATE_H
#define GODWIT_HARNESS_MIGRATE_MIGRATE_H

#include "vm/vm.h"

enum godwit_transport {
    GODWIT_TRANSPORT_UNIX, /* a socket in the rig's directory */
    GODWIT_TRANSPORT_TCP,  /* 127.0.0.1, a port that the destination's kernel picks */
};

/* What is set on both sides before a migration. Capability and parameter names are QEMU's; both
 * arrays may be NULL and end with a NULL name. */
struct godwit_capability {
    const char *name;
    bool on;
};

struct godwit_parameter {
    const char *name;
    json_int_t value;
};

/* The latest migration's state on a VM ("none", "active", "completed", ...): the caller's. */
char *godwit_migrate_state(struct godwit_vm *vm, GError **error);

/*
 * Sets capabilities on a VM, beside `events`, which Godwit always needs. A capability that this
 * QEMU does not have is a SKIP error that names it.
 */
bool godwit_migrate_set_capabilities(struct godwit_vm *vm,
                                     const struct godwit_capability *capabilities, GError **error);

bool godwit_migrate_set_parameters(struct godwit_vm *vm, const struct godwit_parameter *parameters,
                                   GError **error);

/* Makes a destination that waits (-incoming defer) listen; returns the address to send to, as
 * `migrate` wants it, the caller's. */
char *godwit_migrate_listen(struct godwit_vm *destination, enum godwit_transport transport,
                            GError **error);

/* Starts sending to URI. */
bool godwit_migrate_start(struct godwit_vm *source, const char *uri, GError **error);

/*
 * A downtime limit far below what sending the window takes, and a bandwidth at which the guest
 * dirties all of it again in every pass: the migration goes on, pass after pass, until it is
 * released. Set before the start.
 */
bool godwit_migrate_hold(struct godwit_vm *source, GError **error);

/* Lets a held migration converge. */
bool godwit_migrate_release(struct godwit_vm *source, GError **error);

/*
 * Waits until a held migration is proven to be live: the destination has received a page of the
 * window that the source has dirtied again since. The proof (address, both bytes, pass) goes into
 * the rig's facts.
 */
bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error);

/*
 * Waits until the migration is over on VM, reporting progress where it is asked for. WANTED is the
 * state it has to end in; ending in another is a MIGRATION error with QEMU's reason.
 */
bool godwit_migrate_finish(struct godwit_vm *vm, const char *wanted, GError **error);

/* Notes what the source's query-migrate says of a migration that is over (times, bytes, passes) in
 * the rig's facts. */
bool godwit_migrate_note(struct godwit_vm *source, GError **error);

#endif
