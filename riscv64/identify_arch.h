/*
 * Identification on riscv64: the CSRs that identify a hart, read in M-mode, and extensions that no
 * CSR shows, which are tried. See workload/identify.h. The code must run on any RV64I.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_RISCV64_IDENTIFY_ARCH_H
#define GODWIT_RISCV64_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdint.h>

#define ARCH_MSTATUS_UNITS   0x6600              /* FS, VS: the units can be used */
#define ARCH_MSTATUS_M_TRAPS ((uint64_t)1 << 42) /* MDT: no trap may come. Set by a reset */

/*
 * Runs CODE, one instruction of four bytes. It sets VALUE, or leaves it as it was if it traps: the
 * trap goes to the instruction behind it, in M-mode still. A trap changes mstatus, which is put
 * back, and mepc, mcause and mtval, which nothing else uses.
 */
#define ARCH_TRY(code, value)                                                                      \
    do {                                                                                           \
        uint64_t vector_, status_;                                                                 \
        __asm__ volatile("lla %1, 1f\n\t"                                                          \
                         "csrrw %1, mtvec, %1\n\t"                                                 \
                         "csrrc %2, mstatus, %3\n\t"                                               \
                         "csrs mstatus, %4\n\t" code "\n\t"                                        \
                         ".balign 4\n"                                                             \
                         "1:\n\t"                                                                  \
                         "csrw mstatus, %2\n\t"                                                    \
                         "csrw mtvec, %1"                                                          \
                         : "+&r"(value), "=&r"(vector_), "=&r"(status_)                            \
                         : "r"(ARCH_MSTATUS_M_TRAPS), "r"((uint64_t)ARCH_MSTATUS_UNITS)            \
                         : "memory");                                                              \
    } while (0)

static inline uint64_t arch_identify_next(uint64_t selector)
{
    uint32_t trials = 0;
#define ARCH_COUNT(number, name, code) trials = (number) + 1;
    ARCH_TRIALS(ARCH_COUNT)
#undef ARCH_COUNT
    if (!selector)
        return ARCH_SELECTOR | ARCH_MISA;
    if (selector & ARCH_TRIAL)
        return (selector & 0xffff) + 1 < trials ? selector + 1 : 0;
    switch (selector & 0xffff) {
    case ARCH_MISA:
        return ARCH_SELECTOR | ARCH_VLENB;
    case ARCH_VLENB:
        return ARCH_SELECTOR | ARCH_MVENDORID;
    case ARCH_MCONFIGPTR:
        return ARCH_SELECTOR | ARCH_TRIAL;
    default:
        return selector + 1;
    }
}

/* Returns whether the hart has the extension of that number: 1 or 0. */
static inline uint64_t arch_try(uint32_t which)
{
    uint64_t has = 0;
#define ARCH_CASE(number, name, code)                                                              \
    if (which == (number))                                                                         \
        ARCH_TRY(code "\n\tli %0, 1", has);
    ARCH_TRIALS(ARCH_CASE)
#undef ARCH_CASE
    return has;
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    uint64_t value = ARCH_MISSING;
    (void)scratch;
    if (selector & ARCH_TRIAL)
        return arch_try(selector & 0xffff);
    switch (selector & 0xffff) {
    case ARCH_MISA:
        __asm__ volatile("csrr %0, misa" : "=r"(value));
        break;
    case ARCH_VLENB:
        ARCH_TRY("csrr %0, 0xc22", value);
        break;
    case ARCH_MVENDORID:
        __asm__ volatile("csrr %0, mvendorid" : "=r"(value));
        break;
    case ARCH_MARCHID:
        __asm__ volatile("csrr %0, marchid" : "=r"(value));
        break;
    case ARCH_MIMPID:
        __asm__ volatile("csrr %0, mimpid" : "=r"(value));
        break;
    case ARCH_MHARTID:
        __asm__ volatile("csrr %0, mhartid" : "=r"(value));
        break;
    default:
        ARCH_TRY("csrr %0, 0xf15", value);
    }
    return value;
}

#endif
