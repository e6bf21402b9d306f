/*
 * Continuity: what the guest counts goes on across a migration, and never back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_CONTINUITY_H
#define GODWIT_HARNESS_ORACLE_CONTINUITY_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/*
 * Judges the guest of VM, which has run: passes and timer of each of its CPUs, by the mailboxes
 * AFTER, are not before those of the stopped source, BEFORE. Without TIMER only the passes are: who
 * wakes up from suspend has been reset.
 */
bool godwit_oracle_continuity(struct godwit_vm *vm, const struct godwit_mailbox *before,
                              const struct godwit_mailbox *after, bool timer, GError **error);

#endif
