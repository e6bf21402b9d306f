/*
 * Identification on x86: the leaves of CPUID. See workload/identify.h. The code must run on a 486.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_X86_IDENTIFY_ARCH_H
#define GODWIT_X86_IDENTIFY_ARCH_H

#include "selector.h"
#include <stdbool.h>
#include <stdint.h>

#define ARCH_LEAVES_MAX 0x40 /* of one range, however many the CPU claims to have */

#define ARCH_RANGE_HYPERVISOR 0x40000000u
#define ARCH_RANGE_INTERFACE  0x40000100u /* KVM's own, behind Hyper-V's */
#define ARCH_RANGE_EXTENDED   0x80000000u
#define ARCH_RANGE_CENTAUR    0xc0000000u

static inline void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t value[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(value[0]), "=b"(value[1]), "=c"(value[2]), "=d"(value[3])
                     : "a"(leaf), "c"(subleaf));
}

/* Returns how many subleaves of LEAF to read: all that CPUs have by now, if not more. Those that
 * this CPU lacks have a value as well. */
static inline uint32_t arch_subleaves(uint32_t leaf)
{
    if (leaf == 0xd)
        return 20;
    if (leaf == 4 || leaf == 0x8000001d)
        return 8;
    if (leaf == 7 || leaf == 0xb || leaf == 0x1f || leaf == 0x10 || leaf == 0x12 || leaf == 0x14 ||
        leaf == 0x17 || leaf == 0x18 || leaf == 0x23 || leaf == 0x80000026)
        return 4;
    if (leaf == 0xf || leaf == 0x1d || leaf == 0x1e || leaf == 0x20 || leaf == 0x24 ||
        leaf == 0x80000020)
        return 2;
    return 1;
}

/* Returns whether the CPU has the range of leaves that begins with FIRST. One that has not gives
 * any other value as the highest leaf. */
static __attribute__((noinline)) bool arch_has_leaf(uint32_t first, uint32_t leaf)
{
    uint32_t value[4];
    arch_cpuid(first, 0, value);
    return value[0] - first < 0x10000 && leaf <= value[0] && leaf - first < ARCH_LEAVES_MAX;
}

static inline uint32_t arch_range_of(uint32_t leaf)
{
    if (leaf >= ARCH_RANGE_CENTAUR)
        return ARCH_RANGE_CENTAUR;
    if (leaf >= ARCH_RANGE_EXTENDED)
        return ARCH_RANGE_EXTENDED;
    if (leaf >= ARCH_RANGE_INTERFACE)
        return ARCH_RANGE_INTERFACE;
    return leaf >= ARCH_RANGE_HYPERVISOR ? ARCH_RANGE_HYPERVISOR : 0;
}

/* Returns the range after the one that begins with FIRST, or 0. */
static inline uint32_t arch_range_after(uint32_t first)
{
    if (first == 0)
        return ARCH_RANGE_HYPERVISOR;
    if (first == ARCH_RANGE_HYPERVISOR)
        return ARCH_RANGE_INTERFACE;
    if (first == ARCH_RANGE_INTERFACE)
        return ARCH_RANGE_EXTENDED;
    return first == ARCH_RANGE_EXTENDED ? ARCH_RANGE_CENTAUR : 0;
}

static inline uint64_t arch_identify_next(uint64_t selector)
{
    const uint32_t leaf = (uint32_t)selector;
    const uint32_t subleaf = (uint32_t)(selector >> ARCH_SUBLEAF_SHIFT) & ARCH_SUBLEAF_MASK;
    uint32_t first = arch_range_of(leaf);
    if (!selector)
        return ARCH_SELECTOR;
    if (!(selector & ARCH_SECOND))
        return selector | ARCH_SECOND;
    selector &= ~ARCH_SECOND;
    if (subleaf + 1 < arch_subleaves(leaf))
        return selector + ((uint64_t)1 << ARCH_SUBLEAF_SHIFT);
    if (arch_has_leaf(first, leaf + 1))
        return ARCH_SELECTOR | (leaf + 1);
    do
        first = arch_range_after(first);
    while (first && !arch_has_leaf(first, first));
    return first ? ARCH_SELECTOR | first : 0;
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    uint32_t value[4];
    (void)scratch;
    arch_cpuid((uint32_t)selector, (uint32_t)(selector >> ARCH_SUBLEAF_SHIFT) & ARCH_SUBLEAF_MASK,
               value);
    const uint32_t at = selector & ARCH_SECOND ? 2 : 0;
    return value[at] | (uint64_t)value[at + 1] << 32;
}

#endif
