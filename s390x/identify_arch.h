/*
 * Identification on s390x: CPU ID, facilities, functions of the cryptographic instructions, system
 * information. See workload/identify.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_S390X_IDENTIFY_ARCH_H
#define GODWIT_S390X_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdbool.h>
#include <stdint.h>

#define ARCH_RETURN 0x07fe /* the instruction br %r14 */

/* Returns doubleword NUMBER of the facility list. */
static __attribute__((noinline)) uint64_t arch_facilities(uint32_t number)
{
    uint64_t list[ARCH_FACILITIES];
    register uint64_t last __asm__("0") = ARCH_FACILITIES - 1;
    uint32_t low;
    /* STFL stores at address 200, of which C would think that nothing is there. */
    __asm__ volatile("stfl 0\n\tl %0, 200(%%r0)" : "=d"(low) : : "memory");
    if (!(low & 1u << (31 - ARCH_STFLE)))
        return number ? 0 : (uint64_t)low << 32;
    list[0] = list[1] = list[2] = list[3] = 0;
    __asm__ volatile(".insn s, 0xb2b00000, %0" : "+Q"(list), "+d"(last) : : "cc", "memory");
    return list[number];
}

/* Returns doubleword NUMBER of the functions that an instruction has. */
#define ARCH_QUERY(opcode, number)                                                                 \
    ({                                                                                             \
        uint64_t functions_[2] = {0, 0};                                                           \
        register uint64_t function_ __asm__("0") = 0;                                              \
        register uint64_t block_ __asm__("1") = (uintptr_t)functions_;                             \
        __asm__ volatile(".insn rre, " #opcode "0000, 2, 4"                                        \
                         : "+m"(functions_)                                                        \
                         : "d"(function_), "a"(block_)                                             \
                         : "cc", "memory");                                                        \
        functions_[number];                                                                        \
    })

static __attribute__((noinline)) uint64_t arch_crypto(uint32_t opcode, uint32_t number)
{
    if (!(arch_facilities(0) & (uint64_t)1 << (63 - ARCH_MSA)))
        return 0;
    switch (opcode) {
    case ARCH_KM:
        return ARCH_QUERY(0xb92e, number);
    case ARCH_KMC:
        return ARCH_QUERY(0xb92f, number);
    case ARCH_KIMD:
        return ARCH_QUERY(0xb93e, number);
    case ARCH_KLMD:
        return ARCH_QUERY(0xb93f, number);
    default:
        return ARCH_QUERY(0xb91e, number);
    }
}

/*
 * Returns doubleword NUMBER of a block of system information, which is stored in SCRATCH when the
 * first one is read. Code must be on that page between two stores: without it, QEMU before 9.0
 * would lose the last one on the way to a destination (workload.h).
 */
static __attribute__((noinline)) uint64_t arch_system(uint32_t which, uint32_t number,
                                                      void *scratch)
{
    volatile uint64_t *const words = scratch;
    if (number == 0) {
        register uint64_t r0 __asm__("0") = (uint64_t)(which >> 12) << 28 | ((which >> 8) & 15);
        register uint64_t r1 __asm__("1") = which & 255;
        uint32_t refused;
        __asm__ volatile("stsi 0(%3)\n\t"
                         "ipm %0\n\t"
                         "srl %0, 28"
                         : "=d"(refused), "+d"(r0)
                         : "d"(r1), "a"(scratch)
                         : "cc", "memory");
        if (refused)
            for (uint32_t i = 0; i < ARCH_SYSTEM_WORDS; i++)
                words[i] = 0;
        const uint64_t first = words[0];
        *(volatile uint16_t *)scratch = ARCH_RETURN;
        __asm__ volatile("basr %%r14, %0" : : "a"(scratch) : "r14", "memory");
        return first;
    }
    if (which != ARCH_SYSTEM_VM)
        return words[number];
    /* Bytes 44 to 51 are the virtual machine's name, and 80 to 95 its UUID: a user may choose both
     * anew. */
    if (number == 10 || number == 11)
        return 0;
    if (number == 5)
        return words[number] & ~(uint64_t)0xffffffff;
    return number == 6 ? words[number] & 0xffffffff : words[number];
}

static inline uint64_t arch_identify_next(uint64_t selector)
{
    const uint32_t kind = (selector >> 32) & 255, which = (selector >> 16) & 0xffff;
    const uint32_t number = selector & 0xffff;
    uint32_t next = 0;
    if (!selector)
        return ARCH_KIND(ARCH_CPU_ID);
    if (kind == ARCH_CPU_ID)
        return ARCH_KIND(ARCH_FACILITY);
    if (kind == ARCH_FACILITY)
        return number + 1 < ARCH_FACILITIES ? selector + 1
                                            : ARCH_KIND(ARCH_CRYPTO) | (uint64_t)ARCH_KM << 16;
    if (number + 1 < (kind == ARCH_CRYPTO ? 2 : ARCH_SYSTEM_WORDS))
        return selector + 1;
    if (which == ARCH_KM)
        next = ARCH_KMC;
    else if (which == ARCH_KMC)
        next = ARCH_KIMD;
    else if (which == ARCH_KIMD)
        next = ARCH_KLMD;
    else if (which == ARCH_KLMD)
        next = ARCH_KMAC;
    if (next)
        return ARCH_KIND(ARCH_CRYPTO) | (uint64_t)next << 16;
    if (which == ARCH_KMAC)
        next = ARCH_SYSTEM_MACHINE;
    else if (which == ARCH_SYSTEM_MACHINE)
        next = ARCH_SYSTEM_CPU;
    else if (which == ARCH_SYSTEM_CPU)
        next = ARCH_SYSTEM_CPUS;
    else if (which == ARCH_SYSTEM_CPUS)
        next = ARCH_SYSTEM_VM;
    return next ? ARCH_KIND(ARCH_SYSTEM) | (uint64_t)next << 16 : 0;
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    const uint32_t kind = (selector >> 32) & 255, which = (selector >> 16) & 0xffff;
    const uint32_t number = selector & 0xffff;
    if (kind == ARCH_FACILITY)
        return arch_facilities(number);
    if (kind == ARCH_CRYPTO)
        return arch_crypto(which, number);
    if (kind == ARCH_SYSTEM)
        return arch_system(which, number, scratch);
    uint64_t id;
    __asm__ volatile("stidp %0" : "=Q"(id));
    return id;
}

#endif
