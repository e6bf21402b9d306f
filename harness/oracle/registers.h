/*
 * Registers: the guest keeps its position in one, and stores it into the mailbox. Both have to be
 * of one instant, as a migration sends the one with the CPU and the other with RAM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_REGISTERS_H
#define GODWIT_HARNESS_ORACLE_REGISTERS_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/* Finds a CPU's register in what `info registers -a` prints: the INDEX-th value, from 0, behind
 * LABEL. False if it is not there. */
bool godwit_registers_find(const char *text, unsigned cpu, const char *label, unsigned index,
                           uint64_t *value);

/*
 * Whether register and mailbox are of one instant: the register is what the mailbox has, or one
 * page further, for it is stored after it was changed. WORKLOAD is for a single CPU: one of several
 * has its stripe's.
 */
bool godwit_registers_agree(const struct godwit_workload *workload,
                            const struct godwit_mailbox *mailbox, uint64_t position);

/*
 * Judges the stopped guest of VM, whose mailboxes are MAILBOX, by that, as a part of position: each
 * CPU that runs the workload, and whose register this QEMU tells. How many those were is counted.
 */
bool godwit_oracle_registers(struct godwit_vm *vm, const struct godwit_mailbox *mailbox,
                             GError **error);

#endif
