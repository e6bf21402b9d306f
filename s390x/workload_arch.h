/*
 * What the workload in C has inline on s390x. See workload/workload.h; boot.S has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_S390X_WORKLOAD_ARCH_H
#define GODWIT_S390X_WORKLOAD_ARCH_H

#include <stdint.h>

/* The TOD clock. */
static inline uint64_t arch_timer(void)
{
    uint64_t now;
    __asm__ volatile("stckf %0" : "=Q"(now) : : "cc");
    return now;
}

/* Calls the instruction at the start of the page that the stack pointer is in. */
static inline void arch_touch_stack(void)
{
    uint64_t page;
    __asm__ volatile("lgr %0, %%r15\n\tnill %0, 0xf000\n\tbasr %%r14, %0"
                     : "=&a"(page)
                     :
                     : "r14", "cc");
}

/* A CPU's stores are seen in their order anyway: this one is for the compiler. */
static inline void arch_publish(void)
{
    __asm__ volatile("" : : : "memory");
}

#define ARCH_STORE_WORD(at, word) (*(at) = (word))

enum { ARCH_UNROLL = 4 };

#endif
