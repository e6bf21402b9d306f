/*
 * Known QEMU bugs: what a failure that is QEMU's, and understood, looks like. A hit is reported as
 * a known bug and counted apart; everything else about the scenario is still judged, so it hides no
 * other failure. docs/known-bugs.md has the evidence for each row.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_KNOWN_BUGS_H
#define GODWIT_HARNESS_ORACLE_KNOWN_BUGS_H

#include "vm/memory.h"
#include "vm/vm.h"

/* Whether one of the setup's QEMUs has the bug of that name: it loses the last writes to pages that
 * are few enough to stay in its TLB, so that `order` wants a window of more. */
bool godwit_known_hot_pages(const struct godwit_setup *setup);

/*
 * All bytes that differ between source and destination after a migration lie in BLOCK from offset
 * FIRST to offset LAST: whether that is a known bug of the source's QEMU. If so it is noted in the
 * rig's facts ("known_bugs"), with TEXT saying what was seen.
 */
bool godwit_known_stale_page(struct godwit_vm *source, struct godwit_vm *destination,
                             const struct godwit_block *block, uint64_t first, uint64_t last,
                             const char *text);

/*
 * The same of the window, where every word of `stamp` that differs tells how old it is, and every
 * byte of `order`, of which there must be few. The destination's guest would find it, too.
 */
bool godwit_known_stale_window(struct godwit_vm *source, struct godwit_vm *destination,
                               const struct godwit_block *block, uint64_t first, uint64_t last,
                               const char *text);

/* The same for a destination that was given the source's memory itself, instead of a copy. */
bool godwit_known_device_tree(struct godwit_vm *source, struct godwit_vm *destination,
                              const struct godwit_block *block, uint64_t first, uint64_t last,
                              const char *text);

/*
 * A guest that was suspended when it was migrated is STATUS ("running", say) on the destination:
 * whether that is a known bug of the source's QEMU. Noted as above.
 */
bool godwit_known_lost_suspend(struct godwit_vm *source, const char *status);

/*
 * A destination whose migration is in state FROM has told that it is now in state TO: whether that
 * is a known bug of its QEMU, and the state has not changed at all. Noted as above.
 */
bool godwit_known_setup_event(const struct godwit_vm *destination, const char *from,
                              const char *to);

/*
 * A source tells that its migration is cancelled, and still makes the connection for it: whether
 * that is a known bug of its QEMU. Noted as above.
 */
bool godwit_known_early_cancel(const struct godwit_vm *source);

/*
 * A source tells twice in a row that its migration is in STATE: whether that is a known bug of its
 * QEMU. Noted as above.
 */
bool godwit_known_failed_twice(const struct godwit_vm *source, const char *state);

/*
 * A request was not treated as it should be: the name of the known bug of the VM's QEMU that is
 * why, NULL if there is none. Noted as above.
 *
 *   level      the compression level PARAMETER was set to VALUE without an error, but READS as
 *              before
 *   port       a connection to a TCP port of PORT, above 65535, went to PORT modulo 65536
 *   incoming   a destination that could not listen where it was told to refuses (REFUSAL) to
 *              listen anywhere else
 *   channels   the source was killed by a list of channels that has no main one
 */
const char *godwit_known_ignored_level(struct godwit_vm *source, const char *parameter,
                                       const char *value, const char *reads);
const char *godwit_known_wrapped_port(struct godwit_vm *source, unsigned port);
const char *godwit_known_stuck_incoming(struct godwit_vm *destination, const json_t *refusal);
const char *godwit_known_channels_crash(struct godwit_vm *source);

/*
 * A multifd migration with postcopy has failed because its destination has ended, or STATE is what
 * the source has been in for too long (NULL if there is none); or a source's migration is in STATE
 * long after it was cancelled: whether that is a known bug of multifd. Noted as above.
 */
bool godwit_known_multifd_postcopy(const struct godwit_vm *source,
                                   const struct godwit_vm *destination, const char *state);
bool godwit_known_multifd_cancel(const struct godwit_vm *source, const char *state);

/* A source whose guest was stopped, and whose connection hangs, does not answer: whether that is a
 * known bug of its QEMU. Noted as above. */
bool godwit_known_stalled_completion(const struct godwit_vm *source);

/*
 * A migration from one version of QEMU to another has failed: whether the destination says that it
 * was for the state of the CPU, which is known for this architecture. Noted as above.
 */
bool godwit_known_cpu_versions(const struct godwit_vm *destination);

/*
 * A destination of a postcopy migration with a preempt channel has ended: whether that is a known
 * bug of its QEMU's recovery. Noted as above.
 */
bool godwit_known_recover_crash(const struct godwit_vm *destination);

/*
 * A destination has ended instead of taking what cpr-transfer begins with: whether that is known
 * between these versions. Noted as above.
 */
bool godwit_known_cpr_versions(const struct godwit_vm *destination);

#endif
