/*
 * Selectors of the identity table on ppc64, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_PPC64_SELECTOR_H
#define GODWIT_PPC64_SELECTOR_H

#include <stdint.h>

/* The number of a special-purpose register, or, with bit 32 set, of a hypercall, in
 * bits 40 to 47 then which of its results: r3, the status, r4 or r5. Bit 63 is set. */
#define ARCH_SELECTOR    ((uint64_t)1 << 63)
#define ARCH_HYPERCALL   ((uint64_t)1 << 32)
#define ARCH_RESULT      ((uint64_t)1 << 40)
#define ARCH_RESULT_MASK (255 * ARCH_RESULT)
#define ARCH_RESULT_LAST (2 * ARCH_RESULT)

#define ARCH_PVR                       287
#define ARCH_H_GET_CPU_CHARACTERISTICS 0x1c8

#endif
