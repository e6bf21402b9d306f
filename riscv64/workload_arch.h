/*
 * What the workload in C has inline on riscv64. See workload/workload.h; boot.S has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_RISCV64_WORKLOAD_ARCH_H
#define GODWIT_RISCV64_WORKLOAD_ARCH_H

#include <stdint.h>

static inline uint64_t arch_timer(void)
{
    uint64_t time;
    __asm__ volatile("rdtime %0" : "=r"(time));
    return time;
}

/* Calls the instruction at the start of the page that the stack pointer is in. */
static inline void arch_touch_stack(void)
{
    uint64_t page;
    __asm__ volatile("srli %0, sp, 12\n\tslli %0, %0, 12\n\tjalr ra, %0" : "=&r"(page) : : "ra");
}

static inline void arch_publish(void)
{
    __asm__ volatile("fence w, w" : : : "memory");
}

#define ARCH_STORE_WORD(at, word) (*(at) = (word))

enum { ARCH_UNROLL = 4 };

#endif
