/*
 * What the workload in C has inline on loongarch64. See workload/workload.h; boot.S has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_LOONGARCH64_WORKLOAD_ARCH_H
#define GODWIT_LOONGARCH64_WORKLOAD_ARCH_H

#include <stdint.h>

static inline uint64_t arch_timer(void)
{
    uint64_t time;
    __asm__ volatile("rdtime.d %0, $zero" : "=r"(time));
    return time;
}

/* Calls the instruction at the start of the page that the stack pointer is in. */
static inline void arch_touch_stack(void)
{
    uint64_t page;
    __asm__ volatile("move %0, $sp\n\tbstrins.d %0, $zero, 11, 0\n\tjirl $ra, %0, 0"
                     : "=&r"(page)
                     :
                     : "$r1");
}

static inline void arch_publish(void)
{
    __asm__ volatile("dbar 0" : : : "memory");
}

#define ARCH_STORE_WORD(at, word) (*(at) = (word))

enum { ARCH_UNROLL = 4 };

#endif
