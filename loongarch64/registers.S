/*
 * The registers that hold patterns while loongarch64's `stamp` runs: what C leaves alone, see
 * arch.mk, some CSRs, and all floating-point and vector registers. docs/guest-abi.md has the list of
 * their numbers.
 *
 * The pattern of register NUMBER of CPU is (CPU << 12 | NUMBER) * STEP, which no two share; of a
 * register with fewer bits, those of it that it has.
 *
 * A vector register has up to four 64-bit words, each with a NUMBER of its own. Word 0 is the
 * floating-point register.
 *
 * SPDX-License-Identifier: MIT
 */
#define STEP          0x9e3779b97f4a7c15
#define CPU_SHIFT     12
#define FIRST_CONTROL 32  /* FCSR0 */
#define FIRST_FLAG    33  /* FCC0 */
#define FIRST_CSR     48
#define FIRST_VECTOR  128 /* word 0 of the first one */
#define WORDS         4   /* from one vector register to the next */

#define CPUCFG_UNITS 2 /* the configuration word that shows these units */
#define CPUCFG_FP    0
#define CPUCFG_LSX   6
#define CPUCFG_LASX  7

#define CSR_EUEN  0x02 /* a bit for each of these units */
#define EUEN_FPE  1
#define EUEN_SXE  2
#define EUEN_ASXE 4

/* Enables, rounding mode, flags and cause. No instruction here heeds them. */
#define FCSR_BITS 0x1f1f031f

/* None of these has an effect while addresses are not translated and nothing traps. */
#define CSR_ERA       0x06
#define CSR_EENTRY    0x0c
#define CSR_PGDL      0x19
#define CSR_PGDH      0x1a
#define CSR_SAVE0     0x30
#define CSR_TLBRENTRY 0x88
#define CSR_TLBRSAVE  0x8b
#define CSR_DMW0      0x180

#define ALL_BITS       -1
#define PAGE_BITS      -0x1000
#define PHYSICAL_PAGES 0x0000fffffffff000
#define DMW_BITS       0xf00000000000003f

        .globl  godwit_arch_set_registers, godwit_arch_check_registers

        .macro  for_each_held_general do:vararg
        .irp    number, 2, 10, 11, 19, 20, 21, 24, 25, 26, 27, 28, 29, 30, 31
        \do     \number
        .endr
        .endm

        /* CSR, and those of its bits that hold a pattern. Their NUMBERs follow each other. */
        .macro  for_each_csr do:vararg
        \do     CSR_SAVE0 + 0, ALL_BITS
        \do     CSR_SAVE0 + 1, ALL_BITS
        \do     CSR_SAVE0 + 2, ALL_BITS
        \do     CSR_SAVE0 + 3, ALL_BITS
        \do     CSR_SAVE0 + 4, ALL_BITS
        \do     CSR_SAVE0 + 5, ALL_BITS
        \do     CSR_SAVE0 + 6, ALL_BITS
        \do     CSR_SAVE0 + 7, ALL_BITS
        \do     CSR_TLBRSAVE, ALL_BITS
        \do     CSR_ERA, ALL_BITS
        \do     CSR_EENTRY, PAGE_BITS
        \do     CSR_TLBRENTRY, PHYSICAL_PAGES
        \do     CSR_PGDL, PAGE_BITS
        \do     CSR_PGDH, PAGE_BITS
        \do     CSR_DMW0 + 0, DMW_BITS
        \do     CSR_DMW0 + 1, DMW_BITS
        \do     CSR_DMW0 + 2, DMW_BITS
        \do     CSR_DMW0 + 3, DMW_BITS
        .endm

        .macro  for_each_flag do:vararg
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7
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
        li.d    $t1, STEP
        bstrpick.d $a0, $a0, 31, 0
        slli.d  $a0, $a0, CPU_SHIFT
        mul.d   $a0, $a0, $t1
        .endm

        /* t3: the pattern of NUMBER, and t2 its number. */
        .macro  pattern number
        li.w    $t2, \number
        mul.d   $t3, $t2, $t1
        add.d   $t3, $t3, $a0
        .endm

        /* The same of the next NUMBER, or of the one that is BY further on. */
        .macro  next_pattern by=1
        .rept   \by
        add.d   $t3, $t3, $t1
        .endr
        addi.d  $t2, $t2, \by
        .endm

        /* Goes to LABEL if the CPU does not have UNIT. Changes t0. */
        .macro  if_without unit, label
        li.w    $t0, CPUCFG_UNITS
        cpucfg  $t0, $t0
        bstrpick.d $t0, $t0, \unit, \unit
        beqz    $t0, \label
        .endm

        /* Switches on what EUEN has of UNITS. Changes t0 and t4. */
        .macro  switch_on units
        li.w    $t0, \units
        move    $t4, $t0
        csrxchg $t4, $t0, CSR_EUEN
        .endm

        .text

/* void godwit_arch_set_registers(uint32_t cpu) */
        .macro  set_general number
        pattern \number
        move    $r\number, $t3
        .endm
        .macro  set_csr csr, bits
        li.d    $t0, \bits
        and     $t0, $t0, $t3
        csrwr   $t0, \csr
        next_pattern
        .endm
        .macro  set_flag number
        andi    $t0, $t3, 1
        movgr2cf $fcc\number, $t0
        next_pattern
        .endm
        .macro  set_float number
        movgr2fr.d $f\number, $t3
        next_pattern WORDS
        .endm
        .macro  set_vector number
        vinsgr2vr.d $vr\number, $t3, 0
        next_pattern
        vinsgr2vr.d $vr\number, $t3, 1
        next_pattern (WORDS - 1)
        .endm
        .macro  set_wide_vector number
        .irp    word, 0, 1, 2, 3
        xvinsgr2vr.d $xr\number, $t3, \word
        next_pattern
        .endr
        .endm

godwit_arch_set_registers:
        prepare_patterns
        for_each_held_general set_general
        pattern FIRST_CSR
        for_each_csr set_csr
        if_without CPUCFG_FP, all_set
        switch_on EUEN_FPE
        pattern FIRST_CONTROL
        li.w    $t0, FCSR_BITS
        and     $t0, $t0, $t3
        movgr2fcsr $fcsr0, $t0
        pattern FIRST_FLAG
        for_each_flag set_flag
        pattern FIRST_VECTOR
        if_without CPUCFG_LSX, set_floats
        switch_on EUEN_SXE
        if_without CPUCFG_LASX, set_vectors
        switch_on EUEN_ASXE
        for_all set_wide_vector
        b       all_set
set_vectors:
        for_all set_vector
        b       all_set
set_floats:
        for_all set_float
all_set:
        ret

/* uint32_t godwit_arch_check_registers(uint32_t cpu, struct godwit_register *wrong) */
        .macro  check_general number
        pattern \number
        move    $t4, $r\number
        bl      compare
        .endm
        .macro  check_csr csr, bits
        csrrd   $t4, \csr
        li.d    $t5, \bits
        bl      compare_bits
        next_pattern
        .endm
        .macro  check_flag number
        movcf2gr $t4, $fcc\number
        li.w    $t5, 1
        bl      compare_bits
        next_pattern
        .endm
        .macro  check_float number
        movfr2gr.d $t4, $f\number
        bl      compare
        next_pattern WORDS
        .endm
        .macro  check_vector number
        vpickve2gr.d $t4, $vr\number, 0
        bl      compare
        next_pattern
        vpickve2gr.d $t4, $vr\number, 1
        bl      compare
        next_pattern (WORDS - 1)
        .endm
        .macro  check_wide_vector number
        .irp    word, 0, 1, 2, 3
        xvpickve2gr.d $t4, $xr\number, \word
        bl      compare
        next_pattern
        .endr
        .endm

godwit_arch_check_registers:
        move    $t6, $ra
        prepare_patterns
        for_each_held_general check_general
        pattern FIRST_CSR
        for_each_csr check_csr
        if_without CPUCFG_FP, all_right
        pattern FIRST_CONTROL
        movfcsr2gr $t4, $fcsr0
        li.w    $t5, FCSR_BITS
        bl      compare_bits
        pattern FIRST_FLAG
        for_each_flag check_flag
        pattern FIRST_VECTOR
        if_without CPUCFG_LSX, check_floats
        if_without CPUCFG_LASX, check_vectors
        for_all check_wide_vector
        b       all_right
check_vectors:
        for_all check_vector
        b       all_right
check_floats:
        for_all check_float
all_right:
        move    $a0, $zero
        jr      $t6

        /* t4 should be t3, or the bits t5 of it. If it is not, that is all there is to say. */
compare_bits:
        and     $t0, $t3, $t5
        beq     $t4, $t0, is_right
        move    $t3, $t0
compare:
        bne     $t3, $t4, is_wrong
is_right:
        ret
is_wrong:
        st.d    $t3, $a1, 0
        st.d    $t4, $a1, 8
        move    $a0, $t2
        jr      $t6
