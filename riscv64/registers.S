/*
 * The registers that hold patterns while riscv64's `stamp` runs: what C leaves alone, see arch.mk,
 * and all floating-point and vector registers. docs/guest-abi.md has the list of their numbers.
 *
 * The pattern of register NUMBER of CPU is (CPU << 12 | NUMBER) * STEP, which no two share; of a
 * register with fewer bits, those of it that it has.
 *
 * A vector register is a number of 64-bit words, each with a NUMBER of its own. Words beyond the
 * 32nd are left alone.
 *
 * SPDX-License-Identifier: MIT
 */
#define STEP          0x9e3779b97f4a7c15
#define CPU_SHIFT     12
#define FIRST_CONTROL 32  /* mscratch, fcsr, vtype, vl */
#define FIRST_FLOAT   64
#define FIRST_VECTOR  128 /* word 0 of the first one */
#define VECTOR_SHIFT  5   /* from one to the next */
#define WORDS_MAX     32

#define FCSR_BITS  0x60 /* rounding modes that exist; not the flags: docs/known-bugs.md */
#define MSTATUS_FS 0x6000
#define MSTATUS_VS 0x0600
#define MISA_D     3
#define MISA_V     21

/* The words' type: 64 bits, one register at a time, whatever is beyond vl stays as it is. */
#define WORDS      e64, m1, tu, mu
#define WORDS_TYPE 0x18

        .option arch, +m, +d, +v
        .globl  godwit_arch_set_registers, godwit_arch_check_registers

        .macro  for_each_held_general do:vararg
        .irp    number, 3, 4, 9, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
        \do     \number
        .endr
        .endm

        .macro  for_all do:vararg
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, \
                        21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        \do     \number
        .endr
        .endm

        /* a0 and t1: what all patterns of CPU a0 are made with. */
        .macro  prepare_patterns
        li      t1, STEP
        slli    a0, a0, 32
        srli    a0, a0, 32 - CPU_SHIFT
        mul     a0, a0, t1
        .endm

        /* t3: the pattern of NUMBER, and t2 its number. */
        .macro  pattern number
        li      t2, \number
        mul     t3, t2, t1
        add     t3, t3, a0
        .endm

        /* Goes to LABEL if misa does not show EXTENSION. Changes t0. */
        .macro  if_without extension, label
        csrr    t0, misa
        srli    t0, t0, \extension
        andi    t0, t0, 1
        beqz    t0, \label
        .endm

        .text

/* void godwit_arch_set_registers(uint32_t cpu) */
        .macro  set_general number
        pattern \number
        mv      x\number, t3
        .endm
        .macro  set_float number
        fmv.d.x f\number, t3
        add     t3, t3, t1
        .endm
        .macro  set_vector number
        vid.v   v\number
        vmul.vx v\number, v\number, t1
        vadd.vx v\number, v\number, t3
        add     t3, t3, t5
        .endm

godwit_arch_set_registers:
        prepare_patterns
        for_each_held_general set_general
        pattern FIRST_CONTROL
        csrw    mscratch, t3
        if_without MISA_D, floats_set
        li      t4, MSTATUS_FS
        csrs    mstatus, t4
        pattern (FIRST_CONTROL + 1)
        andi    t3, t3, FCSR_BITS
        csrw    fcsr, t3
        pattern FIRST_FLOAT
        for_all set_float
floats_set:
        if_without MISA_V, vectors_set
        li      t4, MSTATUS_VS
        csrs    mstatus, t4
        li      t4, WORDS_MAX
        vsetvli zero, t4, WORDS
        pattern FIRST_VECTOR
        slli    t5, t1, VECTOR_SHIFT
        for_all set_vector
vectors_set:
        ret

/* uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong) */
        .macro  check_general number
        pattern \number
        mv      t4, x\number
        jal     t6, compare
        .endm
        .macro  check_float number
        fmv.x.d t4, f\number
        jal     t6, compare
        add     t3, t3, t1
        addi    t2, t2, 1
        .endm
        /* Word 0, which then goes to the end: after all words everything is in its place again. */
        .macro  check_word number
        vmv.x.s t4, v\number
        jal     t6, compare
        vslide1down.vx v\number, v\number, t4
        add     t3, t3, t5
        addi    t2, t2, 1 << VECTOR_SHIFT
        .endm

godwit_arch_check_registers:
        prepare_patterns
        for_each_held_general check_general
        pattern FIRST_CONTROL
        csrr    t4, mscratch
        jal     t6, compare
        if_without MISA_D, floats_right
        pattern (FIRST_CONTROL + 1)
        andi    t3, t3, FCSR_BITS
        csrr    t4, fcsr
        jal     t6, compare
        pattern FIRST_FLOAT
        for_all check_float
floats_right:
        if_without MISA_V, all_right

        /* Type and length are what set_registers has left there, and everything below needs them. */
        li      t2, FIRST_CONTROL + 2
        li      t3, WORDS_TYPE
        csrr    t4, vtype
        jal     t6, compare
        addi    t2, t2, 1
        csrr    t3, vlenb
        srli    t3, t3, 3
        li      t4, WORDS_MAX
        bleu    t3, t4, length_known
        mv      t3, t4
length_known:
        csrr    t4, vl
        jal     t6, compare
        slli    t5, t1, VECTOR_SHIFT
        mv      a2, t4
        li      a3, 0
next_word:
        addi    t2, a3, FIRST_VECTOR
        mul     t3, t2, t1
        add     t3, t3, a0
        for_all check_word
        addi    a3, a3, 1
        bltu    a3, a2, next_word
all_right:
        li      a0, 0
        ret

        /* t4 should be t3. If it is not, that is all there is to say. */
compare:
        bne     t3, t4, is_wrong
        jr      t6
is_wrong:
        sd      t3, 0(a1)
        sd      t4, 8(a1)
        mv      a0, t2
        ret
