/*
 * Identification on aarch64: the ID registers, read in EL1. See workload/identify.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_AARCH64_IDENTIFY_ARCH_H
#define GODWIT_AARCH64_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdbool.h>
#include <stdint.h>

#define ARCH_CACHES 14 /* values of CSSELR_EL1: 7 levels, data and instructions each */

/* From S3_0_C0_C1_0 to S3_0_C0_C7_7 each register can be read; unassigned ones are 0. */
#define ARCH_ID_SPACE     0xc008
#define ARCH_ID_SPACE_END 0xc040

#define ARCH_READ(name, value) __asm__ volatile("mrs %0, " #name : "=r"(value))

/* A branch into a list of pairs of instructions: an MRS, and a branch to the end. */
static __attribute__((noinline)) uint64_t arch_id_space(uint64_t index)
{
    uint64_t value, at;
    __asm__ volatile("adr %1, 1f\n\t"
                     "add %1, %1, %2, lsl #3\n\t"
                     "br %1\n"
                     "1:\n\t"
                     ".irp crm, 1, 2, 3, 4, 5, 6, 7\n\t"
                     ".irp op2, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
                     "mrs %0, s3_0_c0_c\\crm\\()_\\op2\n\t"
                     "b 2f\n\t"
                     ".endr\n\t"
                     ".endr\n"
                     "2:"
                     : "=r"(value), "=&r"(at)
                     : "r"(index));
    return value;
}

/* Reads CCSIDR_EL1 of the cache that CSSELR selects. */
static inline uint64_t arch_ccsidr(uint64_t csselr)
{
    uint64_t value, before;
    __asm__ volatile("mrs %1, csselr_el1\n\t"
                     "msr csselr_el1, %2\n\t"
                     "isb\n\t"
                     "mrs %0, ccsidr_el1\n\t"
                     "msr csselr_el1, %1"
                     : "=&r"(value), "=&r"(before)
                     : "r"(csselr));
    return value;
}

/* Returns whether the CPU has the cache that CSSELR selects. Reading CCSIDR_EL1 of another one may
 * be undefined. */
static inline bool arch_has_cache(uint32_t csselr)
{
    uint64_t clidr;
    ARCH_READ(clidr_el1, clidr);
    const uint32_t type = (uint32_t)(clidr >> (3 * (csselr >> 1))) & 7;
    return csselr & 1 ? type == 1 || type == 3 : type >= 2;
}

/* Returns the selector of the first cache from CSSELR on that the CPU has, or 0. */
static inline uint64_t arch_cache_from(uint32_t csselr)
{
    while (csselr < ARCH_CACHES && !arch_has_cache(csselr))
        csselr++;
    return csselr < ARCH_CACHES
               ? ARCH_SELECTOR | ARCH_CCSIDR | (uint64_t)csselr << ARCH_CSSELR_SHIFT
               : 0;
}

static inline uint64_t arch_identify_next(uint64_t selector)
{
    const uint32_t encoding = selector & 0xffff;
    if (!selector)
        return ARCH_SELECTOR | ARCH_MIDR;
    if (encoding >= ARCH_ID_SPACE && encoding < ARCH_ID_SPACE_END - 1)
        return selector + 1;
    switch (encoding) {
    case ARCH_MIDR:
        return ARCH_SELECTOR | ARCH_MPIDR;
    case ARCH_MPIDR:
        return ARCH_SELECTOR | ARCH_REVIDR;
    case ARCH_REVIDR:
        return ARCH_SELECTOR | ARCH_ID_SPACE;
    case ARCH_ID_SPACE_END - 1:
        return ARCH_SELECTOR | ARCH_CLIDR;
    case ARCH_CLIDR:
        return ARCH_SELECTOR | ARCH_AIDR;
    case ARCH_AIDR:
        return ARCH_SELECTOR | ARCH_CTR;
    case ARCH_CTR:
        return ARCH_SELECTOR | ARCH_DCZID;
    case ARCH_DCZID:
        return ARCH_SELECTOR | ARCH_CNTFRQ;
    case ARCH_CNTFRQ:
        return arch_cache_from(0);
    default:
        return arch_cache_from(((selector >> ARCH_CSSELR_SHIFT) & ARCH_CSSELR_MASK) + 1);
    }
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    const uint32_t encoding = selector & 0xffff;
    uint64_t value = 0;
    (void)scratch;
    if (encoding >= ARCH_ID_SPACE && encoding < ARCH_ID_SPACE_END)
        return arch_id_space(encoding - ARCH_ID_SPACE);
    switch (encoding) {
    case ARCH_MIDR:
        ARCH_READ(midr_el1, value);
        break;
    case ARCH_MPIDR:
        ARCH_READ(mpidr_el1, value);
        break;
    case ARCH_REVIDR:
        ARCH_READ(revidr_el1, value);
        break;
    case ARCH_CLIDR:
        ARCH_READ(clidr_el1, value);
        break;
    case ARCH_AIDR:
        ARCH_READ(aidr_el1, value);
        break;
    case ARCH_CTR:
        ARCH_READ(ctr_el0, value);
        break;
    case ARCH_DCZID:
        ARCH_READ(dczid_el0, value);
        break;
    case ARCH_CNTFRQ:
        ARCH_READ(cntfrq_el0, value);
        break;
    default:
        value = arch_ccsidr((selector >> ARCH_CSSELR_SHIFT) & ARCH_CSSELR_MASK);
    }
    return value;
}

#endif
