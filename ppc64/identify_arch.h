/*
 * Identification on ppc64: the processor version, and what the hypervisor says of the processor.
 * See workload/identify.h. A supervisor below a hypervisor can read no other identification without
 * risking an interrupt.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_PPC64_IDENTIFY_ARCH_H
#define GODWIT_PPC64_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdint.h>

static inline uint64_t arch_identify_next(uint64_t selector)
{
    if (!selector)
        return ARCH_SELECTOR | ARCH_PVR;
    if (!(selector & ARCH_HYPERCALL))
        return ARCH_SELECTOR | ARCH_HYPERCALL | ARCH_H_GET_CPU_CHARACTERISTICS;
    return (selector & ARCH_RESULT_MASK) < ARCH_RESULT_LAST ? selector + ARCH_RESULT : 0;
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    (void)scratch;
    if (!(selector & ARCH_HYPERCALL)) {
        uint64_t value;
        __asm__ volatile("mfpvr %0" : "=r"(value));
        return value;
    }
    register uint64_t r3 __asm__("r3") = selector & 0xffffffff;
    register uint64_t r4 __asm__("r4") = 0;
    register uint64_t r5 __asm__("r5") = 0;
    __asm__ volatile("sc 1"
                     : "+r"(r3), "+r"(r4), "+r"(r5)
                     :
                     : "r0", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0",
                       "cr1", "cr5", "cr6", "cr7", "memory");
    const uint64_t which = selector & ARCH_RESULT_MASK;
    return which == 0 ? r3 : which == ARCH_RESULT ? r4 : r5;
}

#endif
