/*
 * What the workload in C has inline on ppc64. See workload/workload.h; boot.S has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_PPC64_WORKLOAD_ARCH_H
#define GODWIT_PPC64_WORKLOAD_ARCH_H

#include <stdint.h>

/* The time base. */
static inline uint64_t arch_timer(void)
{
    uint64_t now;
    __asm__ volatile("mftb %0" : "=r"(now));
    return now;
}

/* Calls the instruction at the start of the page that the stack pointer is in. */
static inline void arch_touch_stack(void)
{
    uint64_t page;
    __asm__ volatile("rldicr %0, %%r1, 0, 51\n\tmtctr %0\n\tbctrl" : "=&r"(page) : : "ctr", "lr");
}

static inline void arch_publish(void)
{
    __asm__ volatile("lwsync" : : : "memory");
}

#define ARCH_STORE_WORD(at, word) (*(at) = (word))

enum { ARCH_UNROLL = 4 };

#endif
