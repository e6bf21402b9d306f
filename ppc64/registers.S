/*
 * The registers of `stamp` on ppc64, which hold patterns: general ones that C does not use, the
 * special ones for software, and floating-point and vector registers, which are one file of 64 where
 * there is VSX. docs/guest-abi.md has their numbers.
 *
 * They are taken one after the other by tables of code, of which each entry has two halves: one loads
 * a register from the memory at r11, the other one stores it there. r0 is theirs to change.
 *
 * SPDX-License-Identifier: MIT
 */

/* Below the stack pointer, where nothing else is: who is called here calls nobody. */
#define EXPECTED -32
#define FOUND    -16
#define SAVED_LR 16 /* in what the caller leaves to who is called */

#define MSR                0x500 /* its number, for who is told */
#define MSR_FLOATING_POINT 0x2000
#define MSR_UNITS          0x0280 /* vectors and VSX, in the upper half of a word */
#define MSR_VECTORS        0x0200
#define MSR_VSX            0x0080

/* A group of registers, in `groups`: halfwords. */
#define GROUP_TABLE  0
#define GROUP_HALF   2  /* bytes in the half of an entry */
#define GROUP_COUNT  4  /* of registers; 0: there is no such group */
#define GROUP_NUMBER 6  /* the first one's, for who is told */
#define GROUP_MASK   8  /* the group is there if these bits of the MSR's second halfword from below ... */
#define GROUP_UNITS  10 /* ... are these */
#define GROUP_SIZE   12

#define NUMBER  %r3
#define WRONG   %r4 /* struct godwit_register */
#define PATTERN %r5
#define STEP    %r6
#define GROUP   %r7
#define COUNT   %r8
#define ENTRY   %r9
#define STORING %r10 /* 0: loading */
#define MEMORY  %r11

        .machine push
        .machine power7 /* for VSX, where there is VSX */

        .globl  godwit_arch_set_registers, godwit_arch_check_registers

        .text
godwit_arch_set_registers:
        li      STORING, 0
        addi    MEMORY, %r1, EXPECTED
        b       take_all

godwit_arch_check_registers:
        li      STORING, 1
        addi    MEMORY, %r1, FOUND

        /* Each pattern is the one before it plus an odd number; the first comes from the CPU's. A
         * register takes as much of 16 bytes as it holds. */
take_all:
        mflr    %r0
        std     %r0, SAVED_LR(%r1)
        lis     STEP, 0x9e37
        ori     STEP, STEP, 0x79b9
        sldi    STEP, STEP, 32
        oris    STEP, STEP, 0x7f4a
        ori     STEP, STEP, 0x7c15
        addi    PATTERN, %r3, 1
        mulld   PATTERN, PATTERN, STEP
        rotldi  PATTERN, PATTERN, 32
        li      GROUP, groups

        /* The units have to be on; when registers are checked they are it already. A CPU does not
         * keep the bits of those that it does not have. */
        mfmsr   %r12
        ori     %r0, %r12, MSR_FLOATING_POINT
        oris    %r0, %r0, MSR_UNITS
        mtmsrd  %r0
        isync
        mfmsr   %r0
        cmpdi   STORING, 0
        beq     next_group
        /* Of those bits alone: QEMU inverts MSR[ME] in a migration. */
        li      NUMBER, MSR_FLOATING_POINT
        oris    NUMBER, NUMBER, MSR_UNITS
        and     %r0, %r0, NUMBER
        and     %r12, %r12, NUMBER
        li      NUMBER, MSR
        cmpd    %r0, %r12
        bne     register_wrong
next_group:
        mfmsr   %r0
        srdi    %r0, %r0, 16
        lhz     %r12, GROUP_MASK(GROUP)
        and     %r0, %r0, %r12
        lhz     %r12, GROUP_UNITS(GROUP)
        cmpd    %r0, %r12
        bne     group_over
        lhz     COUNT, GROUP_COUNT(GROUP)
        lhz     NUMBER, GROUP_NUMBER(GROUP)
        lhz     ENTRY, GROUP_TABLE(GROUP)
        lhz     %r12, GROUP_HALF(GROUP)
        mulld   %r0, %r12, STORING
        add     ENTRY, ENTRY, %r0
next_register:
        add     PATTERN, PATTERN, STEP
        std     PATTERN, EXPECTED(%r1)
        std     PATTERN, FOUND(%r1)
        add     PATTERN, PATTERN, STEP
        std     PATTERN, EXPECTED + 8(%r1)
        std     PATTERN, FOUND + 8(%r1)
        mtctr   ENTRY
        bctrl
        ld      %r0, EXPECTED(%r1)
        ld      %r12, FOUND(%r1)
        cmpd    %r0, %r12
        bne     register_wrong
        ld      %r0, EXPECTED + 8(%r1)
        ld      %r12, FOUND + 8(%r1)
        cmpd    %r0, %r12
        bne     register_wrong
        lhz     %r12, GROUP_HALF(GROUP)
        add     ENTRY, ENTRY, %r12
        add     ENTRY, ENTRY, %r12
        addi    NUMBER, NUMBER, 1
        addi    COUNT, COUNT, -1
        cmpwi   COUNT, 0
        bne     next_register
group_over:
        addi    GROUP, GROUP, GROUP_SIZE
        lhz     %r0, GROUP_COUNT(GROUP)
        cmpwi   %r0, 0
        bne     next_group
        li      NUMBER, 0
        b       all_taken

register_wrong:
        std     %r0, 0(WRONG)
        std     %r12, 8(WRONG)
all_taken:
        ld      %r0, SAVED_LR(%r1)
        mtlr    %r0
        blr

groups:
        .short  general_2, 8, 1, 0x102, 0, 0
        .short  general_13, 8, 4, 0x10d, 0, 0
        .short  special, 12, 4, 0x200, 0, 0
        .short  floating_point, 8, 32, 0x300, MSR_VSX, 0
        .short  vsx, 8, 32, 0x400, MSR_VSX, MSR_VSX
        .short  vectors, 8, 32, 0x420, MSR_VECTORS, MSR_VECTORS
        .skip   GROUP_SIZE

        .balign 4
general_2:
        ld      %r2, 0(MEMORY)
        blr
        std     %r2, 0(MEMORY)
        blr

general_13:
        .irp    n, 13, 14, 15, 16
        ld      \n, 0(MEMORY)
        blr
        std     \n, 0(MEMORY)
        blr
        .endr

special:
        .irp    n, 0, 1, 2, 3
        ld      %r0, 0(MEMORY)
        mtsprg  \n, %r0
        blr
        mfsprg  %r0, \n
        std     %r0, 0(MEMORY)
        blr
        .endr

        .macro  table load, store
        .set    n, 0
        .rept   32
        \load   n, 0, MEMORY
        blr
        \store  n, 0, MEMORY
        blr
        .set    n, n + 1
        .endr
        .endm

        /* These fill the gap before the decrementer's vector. */
        .section .tables, "ax"
vsx:
        table   lxvd2x, stxvd2x
vectors:
        table   lvx, stvx

        .text
floating_point:
        table   lfdx, stfdx

        .machine pop
