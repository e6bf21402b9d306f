/*
 * The workload in C: what an architecture's entry code calls, and what it offers in return. See
 * docs/adding-an-architecture.md; the guest's contract with the launcher is guest_abi.h.
 *
 * The C code is freestanding, position-independent where the image is, and made without
 * floating-point and vector registers, which hold patterns all the time. It has no data: what is
 * not in registers is on the stack.
 *
 * The stack. A live migration under TCG in QEMU before 9.0 loses the last writes to a page that is
 * written over and over (docs/known-bugs.md, tcg-hot-page), unless the page holds code that is
 * executed. A stack is such a page. So each page of stacks begins with an instruction that returns,
 * and arch_touch_stack() calls it. guest_abi.h says where the stacks are; the entry code of CPU 0
 * puts the instructions there before any other CPU is started. The price is that TCG looks that
 * code up at each store to the stack, some 0.2 us: what is done for every page keeps little there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_WORKLOAD_H
#define GODWIT_WORKLOAD_H

#include "godwit/guest_abi.h"
#include "godwit/stamp.h"

/* ------------------------------------------------------- what the entry code calls, on a stack --
 */

/* Fills the window with generation 0. For CPU 0, before any other CPU is started. */
void godwit_stamp_fill(const struct godwit_params *params);

/* The address of the page that CPU writes first: the position for its mailbox. With several CPUs it
 * has to be there before the magic is, because READY may follow that before CPU does anything else.
 */
uint64_t godwit_stamp_first(const struct godwit_params *params, uint32_t cpu);

/*
 * Does the work of CPU from then on. Its mailbox is set up, as `order` has it at its first page,
 * but for position, which is set here at the latest; READY has not been printed: this does so, for
 * CPU 0.
 */
__attribute__((noreturn)) void godwit_stamp_run(const struct godwit_params *params,
                                                struct godwit_mailbox *mailbox, uint32_t cpu);

/* ----------------------------------------------------------------- what the entry code offers --
 */

/* Writes one character to the console. */
void godwit_arch_print(uint32_t character);

/* Ends this CPU's work for good. */
__attribute__((noreturn)) void godwit_arch_halt(void);

/* A register that is not as it should be. */
struct godwit_register {
    uint64_t expected, found;
};

/* Gives the registers that C does not use their patterns, which are CPU's own. */
void godwit_arch_set_registers(uint32_t cpu);

/* The number of one of them that has lost its pattern, and what is in it, or 0: all are right. */
uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong);

/*
 * Inline, from ARCH/workload_arch.h:
 *
 *   static inline uint64_t arch_timer(void);        the mailbox's timer, now
 *   static inline void arch_touch_stack(void);      executes an instruction on the stack's page(s)
 *   static inline void arch_publish(void);          stores before it are seen before those after it
 *   ARCH_STORE_WORD(at, word)                       stores 64 bits; if that takes two stores, the
 * half at the lower address first
 */
#include "workload_arch.h"

#endif
