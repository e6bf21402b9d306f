/*
 * Identification on loongarch64: the configuration words, the CSRs that describe the CPU, and what
 * the processor chip says about itself in its IOCSRs. See workload/identify.h. Every LA64 CPU has
 * all of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_LOONGARCH64_IDENTIFY_ARCH_H
#define GODWIT_LOONGARCH64_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdint.h>

static inline uint64_t arch_identify_next(uint64_t selector)
{
    switch (selector & ~ARCH_SELECTOR) {
    case 0:
        /* The first configuration word has a selector without any other bit. */
        return selector ? selector + 1 : ARCH_SELECTOR | ARCH_CPUCFG;
    case ARCH_CPUCFG | ARCH_CPUCFG_LAST:
        return ARCH_SELECTOR | ARCH_CSR | ARCH_CSR_CPUID;
    case ARCH_CSR | ARCH_CSR_PRCFG3:
        return ARCH_SELECTOR | ARCH_IOCSR | ARCH_IOCSR_VERSION;
    case ARCH_IOCSR | ARCH_IOCSR_VERSION:
        return ARCH_SELECTOR | ARCH_IOCSR | ARCH_IOCSR_FEATURES;
    case ARCH_IOCSR | ARCH_IOCSR_FEATURES:
        return ARCH_SELECTOR | ARCH_IOCSR | ARCH_IOCSR_VENDOR;
    case ARCH_IOCSR | ARCH_IOCSR_VENDOR:
        return ARCH_SELECTOR | ARCH_IOCSR | ARCH_IOCSR_NAME;
    case ARCH_IOCSR | ARCH_IOCSR_NAME:
        return 0;
    default:
        return selector + 1;
    }
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    const uint64_t number = selector & ARCH_NUMBER;
    uint64_t value;
    (void)scratch;
    if ((selector & ARCH_KIND) == ARCH_CPUCFG)
        __asm__ volatile("cpucfg %0, %1" : "=r"(value) : "r"(number));
    else if ((selector & ARCH_KIND) == ARCH_IOCSR)
        __asm__ volatile("iocsrrd.d %0, %1" : "=r"(value) : "r"(number));
    else if (number == ARCH_CSR_CPUID)
        __asm__ volatile("csrrd %0, %1" : "=r"(value) : "i"(ARCH_CSR_CPUID));
    else if (number == ARCH_CSR_PRCFG1)
        __asm__ volatile("csrrd %0, %1" : "=r"(value) : "i"(ARCH_CSR_PRCFG1));
    else if (number == ARCH_CSR_PRCFG2)
        __asm__ volatile("csrrd %0, %1" : "=r"(value) : "i"(ARCH_CSR_PRCFG2));
    else
        __asm__ volatile("csrrd %0, %1" : "=r"(value) : "i"(ARCH_CSR_PRCFG3));
    return value;
}

#endif
