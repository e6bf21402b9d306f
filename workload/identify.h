/*
 * The identity table in C: the functions that fill and refresh it, and those of each architecture
 * that read its registers.
 *
 * Both workloads call them, on CPU 0 only, with its stack and with the mailbox of CPU 0. The stack
 * needs code on its page, as for `stamp` (workload.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_WORKLOAD_IDENTIFY_H
#define GODWIT_WORKLOAD_IDENTIFY_H

#include "godwit/guest_abi.h"

/* The size of the scratch page at the end of the table's room. */
#define GODWIT_IDENTITY_SCRATCH 0x1000

GODWIT_ABI_CHECK(scratch,
                 GODWIT_IDENTITY_OFF_ENTRIES + GODWIT_IDENTITY_MAX * GODWIT_IDENTITY_ENTRY_SIZE <=
                     GODWIT_IDENTITY_ROOM - GODWIT_IDENTITY_SCRATCH);

/* Chooses the registers and fills the table. To be called once, before READY. */
void godwit_identify_start(const struct godwit_mailbox *mailbox);

/* Reads the registers again, and stores those that have changed since the start. To be called at
 * the end of each pass, before the pass is counted. */
void godwit_identify_again(const struct godwit_mailbox *mailbox);

/*
 * ARCH/identify_arch.h provides, inline, without data:
 *
 *   static inline uint64_t arch_identify_next(uint64_t selector);
 *       returns the selector that follows SELECTOR, the first one for 0, and 0 after the last one
 *   static inline uint64_t arch_identify_read(uint64_t selector, void *scratch);
 *       returns the register's value. The calls come in the order of the selectors. SCRATCH is a
 *       page that the guest uses for nothing else; it keeps its contents from one call to the next
 *
 * What they read must not depend on anything but the CPU. They must leave all registers that hold
 * patterns as they are.
 */

#endif
