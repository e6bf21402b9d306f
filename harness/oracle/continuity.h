/*
 * Continuity: the guest's count of passes and its timer never go back across a migration.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_CONTINUITY_H
#define GODWIT_HARNESS_ORACLE_CONTINUITY_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/*
 * Judges the guest of VM, which has run since the migration. Fails with ORACLE if the passes or the
 * timer of a CPU in the mailboxes AFTER are less than in BEFORE, the mailboxes of the stopped
 * source. Without TIMER, only the passes count: waking up from suspend resets a guest, and perhaps
 * its timer.
 */
bool godwit_oracle_continuity(struct godwit_vm *vm, const struct godwit_mailbox *before,
                              const struct godwit_mailbox *after, bool timer, GError **error);

#endif
