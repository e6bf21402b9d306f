/*
 * Selectors of the identity table on loongarch64, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_LOONGARCH64_SELECTOR_H
#define GODWIT_LOONGARCH64_SELECTOR_H

#include <stdint.h>

/* Bits 16 and 17 are the kind of register, and those below them its number. Bit 63 is set. */
#define ARCH_SELECTOR ((uint64_t)1 << 63)
#define ARCH_KIND     ((uint64_t)3 << 16)
#define ARCH_NUMBER   ((uint64_t)0xffff)

#define ARCH_CPUCFG ((uint64_t)0 << 16) /* a configuration word */
#define ARCH_CSR    ((uint64_t)1 << 16)
#define ARCH_IOCSR  ((uint64_t)2 << 16)

/* The manual assigns no configuration word after this one. */
#define ARCH_CPUCFG_LAST 0x14

#define ARCH_CSR_CPUID  0x20
#define ARCH_CSR_PRCFG1 0x21
#define ARCH_CSR_PRCFG2 0x22
#define ARCH_CSR_PRCFG3 0x23

#define ARCH_IOCSR_VERSION  0x00
#define ARCH_IOCSR_FEATURES 0x08
#define ARCH_IOCSR_VENDOR   0x10
#define ARCH_IOCSR_NAME     0x20

#endif
