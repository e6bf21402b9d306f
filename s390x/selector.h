/*
 * Selectors of the identity table on s390x, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_S390X_SELECTOR_H
#define GODWIT_S390X_SELECTOR_H

#include <stdint.h>

/*
 * A kind in bits 32 to 39, in bits 0 to 15 the number of a doubleword; bit 63 is set. In
 * bits 16 to 31, CRYPTO has the instruction's operation code; SYSTEM has function code, selector 1
 * and selector 2, of four, four and eight bits.
 */
#define ARCH_SELECTOR ((uint64_t)1 << 63)
#define ARCH_KIND(n)  (ARCH_SELECTOR | (uint64_t)(n) << 32)
#define ARCH_CPU_ID   1
#define ARCH_FACILITY 2
#define ARCH_CRYPTO   3
#define ARCH_SYSTEM   4

#define ARCH_FACILITIES   4 /* doublewords */
#define ARCH_SYSTEM_WORDS 32

#define ARCH_STFLE 7  /* facility: STORE FACILITY LIST EXTENDED */
#define ARCH_MSA   17 /* facility: message-security assist */

#define ARCH_KM   0xb92e
#define ARCH_KMC  0xb92f
#define ARCH_KIMD 0xb93e
#define ARCH_KLMD 0xb93f
#define ARCH_KMAC 0xb91e

#define ARCH_SYSTEM_MACHINE 0x1101 /* 1.1.1: type, model, sequence number */
#define ARCH_SYSTEM_CPU     0x1201 /* 1.2.1: CPU ID and address */
#define ARCH_SYSTEM_CPUS    0x1202 /* 1.2.2: how many, how fast */
#define ARCH_SYSTEM_VM      0x3202 /* 3.2.2: name and UUID of the virtual machine */

#endif
