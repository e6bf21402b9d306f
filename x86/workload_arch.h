/*
 * The workload on x86: see workload/workload.h. 32-bit code, so that a word takes two stores.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_X86_WORKLOAD_ARCH_H
#define GODWIT_X86_WORKLOAD_ARCH_H

#include <stdint.h>

static inline uint64_t arch_timer(void)
{
    uint64_t now;
    __asm__ volatile("rdtsc" : "=A"(now));
    return now;
}

/* A page of stacks begins with a ret. */
static inline void arch_touch_stack(void)
{
    uint32_t page;
    __asm__ volatile("mov %%esp, %0\n\tand $-4096, %0\n\tcall *%0" : "=&r"(page) : : "memory");
}

/* x86 keeps the order of stores; the compiler has to, too. */
static inline void arch_publish(void)
{
    __asm__ volatile("" : : : "memory");
}

#define ARCH_STORE_WORD(at, word)                                                                  \
    do {                                                                                           \
        volatile uint32_t *const half_ = (volatile uint32_t *)(at);                                \
        half_[0] = (uint32_t)(word);                                                               \
        half_[1] = (uint32_t)((word) >> 32);                                                       \
    } while (0)

/* More would need the stack, whose stores cost most; see stamp.c. */
enum { ARCH_UNROLL = 1 };

#endif
