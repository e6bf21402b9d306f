/*
 * The registers that hold patterns while aarch64's `stamp` runs: what C leaves alone, see arch.mk,
 * and all floating-point and vector registers. docs/guest-abi.md has the list of their numbers.
 *
 * The pattern of register NUMBER of CPU is (CPU << 12 | NUMBER) * STEP, which no two share; of a
 * register with fewer bits, those of it that it has.
 *
 * A vector register is a number of 64-bit words, each with a NUMBER of its own: two of them, or, with
 * SVE, as many as there are, up to 16. What is beyond them QEMU does not migrate: docs/known-bugs.md.
 *
 * SPDX-License-Identifier: MIT
 */
#define STEP             0x9e3779b97f4a7c15
#define CPU_SHIFT        12
#define FIRST_CONTROL    32  /* FPCR, FPSR, TPIDR_EL0, TPIDRRO_EL0, TPIDR_EL1 */
#define FIRST_VECTOR     128 /* word 0 of the first one */
#define VECTOR_SHIFT     5   /* from one to the next: there can be 32 words */
#define VECTORS          32

#define FPCR_BITS 0x07c00000 /* AHP, DN, FZ, RMode */
#define FPSR_BITS 0x0800009f /* QC and the exceptions' flags */

#define PFR0_FP_SHIFT   16 /* 4 bits, 15: there is no floating point, nor are there vectors */
#define PFR0_SVE_SHIFT  32 /* 4 bits, 0: there is no SVE */
#define CPACR_FPEN      (3 << 20) /* no traps of floating point ... */
#define CPACR_ZEN       (3 << 16) /* ... nor of SVE */
#define CPTR_RES1       0x32ff     /* the same in EL2, which traps by bits that are 1 */
#define LONGEST_VECTORS 7          /* in units of 128 bits, less one */

        .arch   armv8-a+sve
        .globl  godwit_arch_set_registers, godwit_arch_check_registers, vectors_without_el2

        .macro  for_each_held_general do:vararg
        .irp    number, 14, 15, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        \do     \number
        .endr
        .endm

        .macro  for_each_vector do:vararg
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, \
                        21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        \do     \number
        .endr
        .endm

        /* x0 and x1: what all patterns of CPU w0 are made with. */
        .macro  prepare_patterns
        ldr     x1, =STEP
        ubfiz   x0, x0, #CPU_SHIFT, #32
        mul     x0, x0, x1
        .endm

        /* x3: the pattern of NUMBER, and w2 its number. */
        .macro  pattern number
        mov     w2, #\number
        madd    x3, x2, x1, x0
        .endm

        /* Whether there is SVE, and whether there are any vectors. Changes x8. */
        .macro  if_no_sve label
        mrs     x8, id_aa64pfr0_el1
        ubfx    x8, x8, #PFR0_SVE_SHIFT, #4
        cbz     x8, \label
        .endm
        .macro  if_no_vectors label
        mrs     x8, id_aa64pfr0_el1
        ubfx    x8, x8, #PFR0_FP_SHIFT, #4
        cmp     x8, #15
        b.eq    \label
        .endm

        .text

        /* For EL2: leaves floating-point and vector registers to EL1. Changes x0 and x8. */
vectors_without_el2:
        mov     x0, #CPTR_RES1
        msr     cptr_el2, x0
        isb
        if_no_sve left_to_el1
        mov     x0, #LONGEST_VECTORS
        msr     zcr_el2, x0
left_to_el1:
        ret

/* void godwit_arch_set_registers(uint32_t cpu) */
        .macro  set_general number
        pattern \number
        mov     x\number, x3
        .endm
        .macro  set_word_pair number
        ins     v\number\().d[0], x3
        add     x4, x3, x1
        ins     v\number\().d[1], x4
        add     x3, x3, x5
        .endm
        .macro  set_whole number
        index   z\number\().d, x3, x1
        add     x3, x3, x5
        .endm

godwit_arch_set_registers:
        prepare_patterns
        for_each_held_general set_general
        pattern (FIRST_CONTROL + 2)
        msr     tpidr_el0, x3
        add     x3, x3, x1
        msr     tpidrro_el0, x3
        add     x3, x3, x1
        msr     tpidr_el1, x3

        if_no_vectors set
        mrs     x3, cpacr_el1
        orr     x3, x3, #CPACR_FPEN
        msr     cpacr_el1, x3
        isb
        pattern FIRST_CONTROL
        and     x4, x3, #FPCR_BITS
        msr     fpcr, x4
        add     x3, x3, x1
        ldr     w4, =FPSR_BITS
        and     x4, x4, x3
        msr     fpsr, x4
        pattern FIRST_VECTOR
        lsl     x5, x1, #VECTOR_SHIFT
        if_no_sve set_word_pairs
        mrs     x4, cpacr_el1
        orr     x4, x4, #CPACR_ZEN
        msr     cpacr_el1, x4
        isb
        mov     x4, #LONGEST_VECTORS
        msr     zcr_el1, x4
        isb
        for_each_vector set_whole
        ret
set_word_pairs:
        for_each_vector set_word_pair
set:
        ret

/* uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong) */
        .macro  check_general number
        pattern \number
        mov     x4, x\number
        bl      compare
        .endm
        /* The next one in a row, of which the first number is known. */
        .macro  check_system register
        mrs     x4, \register
        bl      compare
        add     x3, x3, x1
        add     w2, w2, #1
        .endm
        .macro  check_in_pair number
        umov    x4, v\number\().d[WORD]
        bl      compare
        add     x3, x3, x5
        add     w2, w2, #1 << VECTOR_SHIFT
        .endm
        .macro  check_in_whole number
        lastb   x4, p0, z\number\().d
        bl      compare
        add     x3, x3, x5
        add     w2, w2, #1 << VECTOR_SHIFT
        .endm

godwit_arch_check_registers:
        mov     x6, x1
        mov     x7, x30
        prepare_patterns
        for_each_held_general check_general
        pattern (FIRST_CONTROL + 2)
        check_system tpidr_el0
        check_system tpidrro_el0
        check_system tpidr_el1

        if_no_vectors all_right
        pattern FIRST_CONTROL
        mov     x9, x3
        and     x3, x9, #FPCR_BITS
        mrs     x4, fpcr
        bl      compare
        add     w2, w2, #1
        add     x9, x9, x1
        ldr     w3, =FPSR_BITS
        and     x3, x3, x9
        mrs     x4, fpsr
        bl      compare
        lsl     x5, x1, #VECTOR_SHIFT
        if_no_sve check_pairs
        cntd    x9
        mov     x10, #0
        /* Word x10 of all of them: the last one of those up to it. */
next_word:
        whilels p0.d, xzr, x10
        add     x2, x10, #FIRST_VECTOR
        madd    x3, x2, x1, x0
        for_each_vector check_in_whole
        add     x10, x10, #1
        cmp     x10, x9
        b.lo    next_word
        b       all_right
check_pairs:
        .set    WORD, 0
        pattern FIRST_VECTOR
        for_each_vector check_in_pair
        .set    WORD, 1
        pattern (FIRST_VECTOR + 1)
        for_each_vector check_in_pair
all_right:
        mov     w0, #0
        ret     x7

        /* x4 should be x3. If it is not, that is all there is to say. */
compare:
        cmp     x3, x4
        b.ne    is_wrong
        ret
is_wrong:
        stp     x3, x4, [x6]
        mov     w0, w2
        ret     x7
