/*
 * The pieces of a postcopy migration whose network fails half-way, for scenarios that let it fail
 * in different ways. All of them want max-postcopy-bandwidth to be GODWIT_POSTCOPY_THROTTLED.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_RECOVERY_H
#define GODWIT_HARNESS_SCENARIO_RECOVERY_H

#include "migrate/peer.h"
#include "scenario/scenario.h"

/* What the source has to tell in the middle of a postcopy migration. */
struct godwit_account {
    json_int_t remaining; /* bytes */
    json_int_t requests;  /* of pages, by the destination */
    json_int_t sent;      /* bytes, since the switchover */
    double mbps;          /* as it works it out every 100 ms */
};

/* Waits until the guest runs on the destination and waits for memory, and the source is able to
 * pause. */
bool godwit_recovery_await_guest(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error);

/* Waits until both are paused; something is left to be sent then. */
bool godwit_recovery_await_pause(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error);

/* The destination listens at URI, the source resumes there: what the guest has asked for in vain,
 * and goes on to ask for, comes by this connection. Then nothing is held back any longer. */
bool godwit_recovery_recover(struct godwit_vm *source, struct godwit_vm *destination,
                             const char *uri, const struct godwit_account *before, GError **error);

/* Both sides recover, each over a connection of its own on which nobody answers, whose other ends
 * are HERE and THERE: both are in postcopy-recover then. */
bool godwit_recovery_hang(struct godwit_vm *source, struct godwit_vm *destination,
                          godwit_peer *here, godwit_peer *there, GError **error);

/* The network fails while the guest waits for memory, and both sides go on by another connection:
 * all of the above. */
bool godwit_recovery_fail_and_recover(struct godwit_vm *source, struct godwit_vm *destination,
                                      GError **error);

#endif
