/*
 * The oracles: what proves that a guest's memory survived. docs/oracles.md says what each can and
 * cannot see.
 *
 * All of them want the guests stopped. A broken oracle is an ORACLE error whose message says which
 * VM, where, what was expected and what was found; what was proven goes into the testbed's facts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_ORACLE_H
#define GODWIT_HARNESS_ORACLE_ORACLE_H

#include "godwit/page_order.h"
#include "memory/memory.h"
#include "testbed/vm.h"

/* What one look at a stopped guest saw. Of the arrays, as many are filled in as the guest has CPUs;
 * those of a single one are of the whole window. */
struct godwit_reading {
    struct godwit_page_order_result order[GODWIT_MAX_CPUS]; /* of each CPU's stripe; of `order` */
    struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
    uint64_t checksum; /* of every byte of the window, where that is looked at alone */
    bool sizes;        /* of godwit_oracle_twin(): a RAM block is not as large on both sides */
};

/*
 * Looks at every byte of a stopped guest's window: page order or stamp, and that the guest's own
 * account in its mailbox is of the same instant (position), for each CPU by itself. Then looks
 * again: a stopped guest's memory stands still.
 */
bool godwit_oracle_look(struct godwit_vm *vm, struct godwit_reading *reading, GError **error);

/*
 * Twin: compares every byte of every RAM block of two stopped QEMUs, and checks page order and
 * position, or stamp, on both in the same walk. Blocks that neither QEMU lets anybody read are
 * named in the facts ("not_compared"), with the reason.
 */
bool godwit_oracle_twin(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_reading *reading, GError **error);

/*
 * Position: whether mailbox and page order can be of one instant: memory is what the mailbox
 * accounts for, or ahead of it by one increment. WORKLOAD is for a single CPU: one of several has
 * its stripe's. Writes one sentence into TEXT if not.
 */
bool godwit_oracle_position(const struct godwit_workload *workload,
                            const struct godwit_page_order_result *order,
                            const struct godwit_mailbox *mailbox, char *text, size_t size);

#endif
