/*
 * Steps of a postcopy migration whose network fails halfway, for scenarios in which it fails in
 * different ways. All of them need a max-postcopy-bandwidth of GODWIT_POSTCOPY_THROTTLED.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_RECOVERY_H
#define GODWIT_HARNESS_SCENARIO_RECOVERY_H

#include "migrate/peer.h"
#include "scenario/scenario.h"

/* The source's report in the middle of a postcopy migration. */
struct godwit_account {
    json_int_t remaining; /* bytes */
    json_int_t requests;  /* for pages, from the destination */
    json_int_t sent;      /* bytes, since the switchover */
    double mbps;          /* bandwidth, which QEMU recomputes every 100 ms */
};

/* Waits until the guest runs on the destination and waits for memory, and until the source can be
 * paused. ACCOUNT is what the source reports then. */
bool godwit_recovery_await_guest(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error);

/* Waits until both sides are paused. ACCOUNT is what the source reports then. Fails if nothing is
 * left to send. */
bool godwit_recovery_await_pause(struct godwit_vm *source, struct godwit_vm *destination,
                                 struct godwit_account *account, GError **error);

/* Recovers: the destination listens at URI, and the source resumes there. Waits until the
 * destination has requested more pages than BEFORE, over the new connection, and unthrottles the
 * migration. */
bool godwit_recovery_recover(struct godwit_vm *source, struct godwit_vm *destination,
                             const char *uri, const struct godwit_account *before, GError **error);

/* Makes both sides recover, each over a connection of its own on which nothing answers, until both
 * are in postcopy-recover. HERE and THERE are the other ends of the source's and the destination's
 * connection; the caller closes them. */
bool godwit_recovery_hang(struct godwit_vm *source, struct godwit_vm *destination,
                          godwit_peer *here, godwit_peer *there, GError **error);

/* Does all of the above except the hang: lets the network fail while the guest waits for memory,
 * and recovers over another connection. */
bool godwit_recovery_fail_and_recover(struct godwit_vm *source, struct godwit_vm *destination,
                                      GError **error);

#endif
