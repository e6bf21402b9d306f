/*
 * Selectors of the identity table on aarch64, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_AARCH64_SELECTOR_H
#define GODWIT_AARCH64_SELECTOR_H

#include <stdint.h>

/*
 * The register as MRS encodes it (op0, op1, CRn, CRm, op2; 16 bits), in bits 16 to 19
 * the value of CSSELR_EL1 meanwhile, and bit 63, which is set.
 */
#define ARCH_SELECTOR     ((uint64_t)1 << 63)
#define ARCH_CSSELR_SHIFT 16
#define ARCH_CSSELR_MASK  15

#define ARCH_MIDR   0xc000
#define ARCH_MPIDR  0xc005
#define ARCH_REVIDR 0xc006
#define ARCH_CCSIDR 0xc800
#define ARCH_CLIDR  0xc801
#define ARCH_AIDR   0xc807
#define ARCH_CTR    0xd801
#define ARCH_DCZID  0xd807
#define ARCH_CNTFRQ 0xdf00

#endif
