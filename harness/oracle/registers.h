/*
 * Registers, a part of the position oracle: the guest keeps its position in a register and stores
 * it into the mailbox. A migration sends the register with the CPU state and the mailbox with RAM.
 * Both must be from the same instant.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_REGISTERS_H
#define GODWIT_HARNESS_ORACLE_REGISTERS_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/* Finds a register of CPU in TEXT, the output of `info registers -a`: the value number INDEX, from
 * 0, behind LABEL. Returns false if it is not there. */
bool godwit_registers_find(const char *text, unsigned cpu, const char *label, unsigned index,
                           uint64_t *value);

/*
 * Returns true if register and mailbox can be from the same instant: the register equals the
 * mailbox's position or is one page further, because the guest stores it after changing it.
 * WORKLOAD describes one CPU: with several CPUs, pass the stripe's workload.
 */
bool godwit_registers_agree(const struct godwit_workload *workload,
                            const struct godwit_mailbox *mailbox, uint64_t position);

/*
 * Judges the stopped guest of VM, whose mailboxes are MAILBOX: each CPU that runs the workload and
 * whose register this QEMU prints. Counts the registers compared. Fails with ORACLE if a register
 * does not agree with its mailbox.
 */
bool godwit_oracle_registers(struct godwit_vm *vm, const struct godwit_mailbox *mailbox,
                             GError **error);

#endif
