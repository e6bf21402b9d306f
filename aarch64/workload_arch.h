/*
 * What the workload in C has inline on aarch64. See workload/workload.h; boot.S has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_AARCH64_WORKLOAD_ARCH_H
#define GODWIT_AARCH64_WORKLOAD_ARCH_H

#include <stdint.h>

/* The length of the counter's tick in 2^-32 nanoseconds. Out of the compiler's hands, see arch.mk;
 * the entry code puts it there. */
register uint64_t arch_tick __asm__("x18");

/* Nanoseconds. The barrier keeps the counter from being read ahead of what comes before it: two
 * readings in the wrong order would be a timer that goes back. */
static inline uint64_t arch_timer(void)
{
    uint64_t count;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(count));
    return (uint64_t)(((unsigned __int128)count * arch_tick) >> 32);
}

/* Calls the instruction at the start of the page that the stack pointer is in. */
static inline void arch_touch_stack(void)
{
    uint64_t page;
    __asm__ volatile("mov %0, sp\n\tand %0, %0, #~0xfff\n\tblr %0" : "=&r"(page) : : "x30");
}

static inline void arch_publish(void)
{
    __asm__ volatile("dmb ishst" : : : "memory");
}

#define ARCH_STORE_WORD(at, word) (*(at) = (word))

enum { ARCH_UNROLL = 4 };

#endif
