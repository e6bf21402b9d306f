/*
 * Selectors of the identity table on x86, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_X86_SELECTOR_H
#define GODWIT_X86_SELECTOR_H

#include <stdint.h>

/*
 * The leaf of CPUID in bits 0 to 31, the subleaf in bits 32 to 47, and in bit 48 which two
 * registers: EAX and EBX, or ECX and EDX, the first one in the value's lower half. Bit 63 is set.
 */
#define ARCH_SELECTOR      ((uint64_t)1 << 63)
#define ARCH_SECOND        ((uint64_t)1 << 48)
#define ARCH_SUBLEAF_SHIFT 32
#define ARCH_SUBLEAF_MASK  0xffff

#endif
