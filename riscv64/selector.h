/*
 * Selectors of the identity table on riscv64, for guest and harness. See guest_abi.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_RISCV64_SELECTOR_H
#define GODWIT_RISCV64_SELECTOR_H

#include <stdint.h>

/* The number of a CSR, or, with bit 16 set, one of ARCH_TRIALS. Bit 63 is set. */
#define ARCH_SELECTOR ((uint64_t)1 << 63)
#define ARCH_TRIAL    ((uint64_t)1 << 16)

/* Of a CSR that the hart does not have. */
#define ARCH_MISSING (~(uint64_t)0)

#define ARCH_MISA       0x301
#define ARCH_VLENB      0xc22
#define ARCH_MVENDORID  0xf11
#define ARCH_MARCHID    0xf12
#define ARCH_MIMPID     0xf13
#define ARCH_MHARTID    0xf14
#define ARCH_MCONFIGPTR 0xf15

/* X(number, its name, an instruction that only it has): all on x0, and without any effect. */
#define ARCH_TRIALS(X)                                                                             \
    X(0, "Zba", ".insn r 0x33, 2, 0x10, x0, x0, x0")     /* sh1add */                              \
    X(1, "Zbb", ".insn r 0x33, 4, 0x05, x0, x0, x0")     /* min */                                 \
    X(2, "Zbc", ".insn r 0x33, 2, 0x05, x0, x0, x0")     /* clmulr */                              \
    X(3, "Zbs", ".insn r 0x33, 1, 0x14, x0, x0, x0")     /* bset */                                \
    X(4, "Zbkb", ".insn r 0x33, 4, 0x04, x0, x0, x0")    /* pack */                                \
    X(5, "Zbkx", ".insn r 0x33, 2, 0x14, x0, x0, x0")    /* xperm4 */                              \
    X(6, "Zicond", ".insn r 0x33, 5, 0x07, x0, x0, x0")  /* czero.eqz */                           \
    X(7, "Zknd", ".insn r 0x33, 0, 0x1d, x0, x0, x0")    /* aes64ds */                             \
    X(8, "Zkne", ".insn r 0x33, 0, 0x19, x0, x0, x0")    /* aes64es */                             \
    X(9, "Zknh", ".insn i 0x13, 1, x0, x0, 0x102")       /* sha256sig0 */                          \
    X(10, "Zksed", ".insn r 0x33, 0, 0x18, x0, x0, x0")  /* sm4ed */                               \
    X(11, "Zksh", ".insn i 0x13, 1, x0, x0, 0x108")      /* sm3p0 */                               \
    X(12, "Zfhmin", ".insn r 0x53, 0, 0x72, x0, x0, x0") /* fmv.x.h */

#endif
