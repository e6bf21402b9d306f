/*
 * The workload in C: the functions that an architecture's entry code calls, and those that the
 * entry code provides. See docs/adding-an-architecture.md. guest_abi.h defines the contract between
 * guest and launcher.
 *
 * The C code is freestanding, and position-independent where the image is. The compiler must not
 * use floating-point and vector registers, because they hold patterns all the time. The code has no
 * data: everything is in registers or on the stack.
 *
 * The stack. With QEMU before 9.0, a live migration under TCG loses the last writes to a page that
 * the guest writes over and over (docs/known-bugs.md, tcg-hot-page), unless the page holds code
 * that the guest executes. A stack is such a page. Each page of stacks therefore begins with a
 * return instruction, which arch_touch_stack() calls. guest_abi.h defines where the stacks are; the
 * entry code of CPU 0 stores the instructions there before it starts any other CPU. The cost is
 * that TCG looks up that code at each store to the stack, about 0.2 us, so the per-page code uses
 * the stack as little as possible.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_WORKLOAD_H
#define GODWIT_WORKLOAD_H

#include "godwit/guest_abi.h"
#include "godwit/stamp.h"

/* ------------------------------------------------ called by the entry code, with a stack -- */

/* Fills the window with generation 0. CPU 0 calls it before it starts any other CPU. */
void godwit_stamp_fill(const struct godwit_params *params);

/* Returns the address of the page that CPU writes first, which is the position for its mailbox.
 * With several CPUs the entry code must store it before the magic, because CPU 0 may write READY as
 * soon as it sees the magic. */
uint64_t godwit_stamp_first(const struct godwit_params *params, uint32_t cpu);

/*
 * Runs the workload of CPU; does not return. The caller has set up the mailbox as `order` does,
 * except for position, which this function sets. On CPU 0 it also writes READY.
 */
__attribute__((noreturn)) void godwit_stamp_run(const struct godwit_params *params,
                                                struct godwit_mailbox *mailbox, uint32_t cpu);

/* ------------------------------------------------------ provided by the entry code -- */

/* Writes one character to the console. */
void godwit_arch_print(uint32_t character);

/* Halts this CPU for good. */
__attribute__((noreturn)) void godwit_arch_halt(void);

/* The contents of a register that has lost its pattern. */
struct godwit_register {
    uint64_t expected, found;
};

/* Loads the patterns of CPU into the registers that C does not use. */
void godwit_arch_set_registers(uint32_t cpu);

/* Checks those registers. Returns 0 if all hold their patterns; otherwise returns the number of one
 * that does not, and sets *WRONG to its contents. */
uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong);

/*
 * ARCH/workload_arch.h provides, inline:
 *
 *   static inline uint64_t arch_timer(void);        returns the mailbox's timer
 *   static inline void arch_touch_stack(void);      executes an instruction in each stack page
 *   static inline void arch_publish(void);          orders earlier stores before later ones
 *   ARCH_STORE_WORD(at, word)                       stores 64 bits; if that takes two stores, the
 *                                                   half at the lower address comes first
 *   enum { ARCH_UNROLL = N };                       words that the loops over a page do in each
 *                                                   turn: 1, 2 or 4
 */
#include "workload_arch.h"

#endif
