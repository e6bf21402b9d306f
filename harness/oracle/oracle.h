/*
 * The oracles that judge guest memory. docs/oracles.md describes what each can and cannot see.
 *
 * All of them require stopped guests. If memory is wrong, an oracle fails with ORACLE. Its message
 * names the VM and the place, and has the expected and the actual value. What was proven goes into
 * the testbed's measurements.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_ORACLE_H
#define GODWIT_HARNESS_ORACLE_ORACLE_H

#include "godwit/page_order.h"
#include "memory/memory.h"
#include "testbed/vm.h"

/* The result of reading a stopped guest. The arrays have one valid element for each CPU of the
 * guest. With a single CPU, its stripe is the whole window. */
struct godwit_reading {
    struct godwit_page_order_result order[GODWIT_MAX_CPUS]; /* `order`: result of each stripe */
    struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
    uint64_t checksum; /* of the window's bytes; set by godwit_oracle_look() only */
    bool sizes; /* set by godwit_oracle_twin(): a RAM block differs in size between the sides */
};

/*
 * Checks every byte of a stopped guest's window: page order or stamp, and position, which compares
 * memory with the guest's own account in its mailboxes. Judges each CPU separately. Then reads
 * everything again, because a stopped guest's memory must not change. Fills in READING. Fails with
 * ORACLE if a check fails.
 */
bool godwit_oracle_look(struct godwit_vm *vm, struct godwit_reading *reading, GError **error);

/*
 * The RAM compare ("twin"): compares every byte of every RAM block of two stopped QEMUs, and checks
 * page order and position, or stamp, on both in the same walk. Fills in READING with the order of
 * the destination and the mailboxes of the source. Records blocks that cannot be read in the
 * measurements ("not_compared"), with the reason. Fails with ORACLE if a check fails and no known
 * bug explains the difference.
 */
bool godwit_oracle_twin(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_reading *reading, GError **error);

/*
 * The RAM compare for two stopped QEMUs without a guest: compares every byte of every RAM block,
 * and nothing else. Records blocks that cannot be read as godwit_oracle_twin() does, and that QEMU
 * does not report where RAM is. Fails with ORACLE if a byte differs.
 */
bool godwit_oracle_ram(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/*
 * Position: returns true if mailbox and page order can be from the same instant, which means that
 * memory matches the mailbox or is one increment ahead of it. Otherwise writes one sentence into
 * TEXT. WORKLOAD describes one CPU: with several CPUs, pass the stripe's workload.
 */
bool godwit_oracle_position(const struct godwit_workload *workload,
                            const struct godwit_page_order_result *order,
                            const struct godwit_mailbox *mailbox, char *text, size_t size);

#endif
