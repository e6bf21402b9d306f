/*
 * The registers of `stamp` on s390x, which hold patterns: general ones that arch.mk keeps out of the
 * compiler's hands, the access registers, and floating-point or vector registers, these being those
 * and more. docs/guest-abi.md has their numbers.
 *
 * They are taken one after the other by EXECUTE, which puts a register's number into one of two
 * instructions: one that loads it from MEMORY, one that stores it there. That is on the stack, where
 * stores are slow under TCG (workload.h): there are no more of them than need be.
 *
 * SPDX-License-Identifier: MIT
 */

/* On the stack, in what the caller leaves to who is called. */
#define FACILITIES 16 /* what STFLE says: three doublewords */
#define SAVED      48 /* r11 to r13 */
#define WANTED     80 /* control register 0, as it should be */
#define MEMORY     128

/* The byte of control register 0, and of the facilities, and bits in them. */
#define CONTROL_0       0x500 /* its number, for who is told */
#define CONTROL_0_UNITS 5
#define FLOATING_POINT  0x04
#define VECTOR          0x02
#define FACILITY_129    16
#define VECTOR_FACILITY 0x40

/* A group of registers, in `groups`. */
#define GROUP_LOAD   0  /* the two instructions, with the number of the first register ... */
#define GROUP_STORE  6
#define GROUP_STEP   12 /* ... and what is to be added to their second byte for the next one */
#define GROUP_NUMBER 14 /* the first one's, for who is told */
#define GROUP_COUNT  16 /* of registers; 0: there is no such group */
#define GROUP_SIZE   18

#define GROUP       %r1
#define NUMBER      %r2
#define WRONG       %r3 /* struct godwit_register */
#define PATTERN     %r4
#define COUNT       %r5
#define EXPECTED    %r11 /* the first half of a pattern; PATTERN is then the second one */
#define OPERAND     %r12 /* of EXECUTE */
#define INSTRUCTION %r13 /* GROUP_LOAD or GROUP_STORE */

        .machine push
        .machine z13 /* for the vector facility, where there is one */

        .globl  godwit_arch_set_registers, godwit_arch_check_registers

        .text
godwit_arch_set_registers:
        stmg    %r11, %r13, SAVED(%r15)
        lghi    INSTRUCTION, GROUP_LOAD
        j       take_all

godwit_arch_check_registers:
        stmg    %r11, %r13, SAVED(%r15)
        lghi    INSTRUCTION, GROUP_STORE

        /* The units have to be on, that this CPU has; when registers are checked they are it already. */
take_all:
        xc      FACILITIES(24, %r15), FACILITIES(%r15)
        lghi    %r0, 2
        stfle   FACILITIES(%r15)
        stctg   %c0, %c0, MEMORY(%r15)
        mvc     WANTED(8, %r15), MEMORY(%r15)
        oi      WANTED + CONTROL_0_UNITS(%r15), FLOATING_POINT
        larl    GROUP, groups
        tm      FACILITIES + FACILITY_129(%r15), VECTOR_FACILITY
        jz      turn_on
        oi      WANTED + CONTROL_0_UNITS(%r15), VECTOR
        larl    GROUP, vector_groups
turn_on:
        lctlg   %c0, %c0, WANTED(%r15)

        /* Each pattern is the one before it plus an odd number; the first comes from the CPU's. A
         * register takes as much of 16 bytes as it holds. */
        llihf   %r0, 0x9e3779b9
        oilf    %r0, 0x7f4a7c15
        lgr     PATTERN, NUMBER
        aghi    PATTERN, 1
        msgr    PATTERN, %r0
        rllg    PATTERN, PATTERN, 32

        cgije   INSTRUCTION, GROUP_LOAD, next_group
        lghi    NUMBER, CONTROL_0
        lg      EXPECTED, WANTED(%r15)
        cg      EXPECTED, MEMORY(%r15)
        jne     register_wrong
next_group:
        lgh     COUNT, GROUP_COUNT(GROUP)
        lgh     NUMBER, GROUP_NUMBER(GROUP)
        lghi    OPERAND, 0
next_register:
        agr     PATTERN, %r0
        stg     PATTERN, MEMORY(%r15)
        lgr     EXPECTED, PATTERN
        agr     PATTERN, %r0
        stg     PATTERN, MEMORY + 8(%r15)
        ex      OPERAND, 0(INSTRUCTION, GROUP)
        cg      EXPECTED, MEMORY(%r15)
        jne     register_wrong
        cg      PATTERN, MEMORY + 8(%r15)
        jne     second_half_wrong
        ah      OPERAND, GROUP_STEP(GROUP)
        aghi    NUMBER, 1
        brctg   COUNT, next_register
        aghi    GROUP, GROUP_SIZE
        lh      COUNT, GROUP_COUNT(GROUP)
        cijne   COUNT, 0, next_group
        lghi    NUMBER, 0
        j       taken

        /* The doubleword that differs, or that has the register in it. */
register_wrong:
        stg     EXPECTED, 0(WRONG)
        mvc     8(8, WRONG), MEMORY(%r15)
        j       taken
second_half_wrong:
        stg     PATTERN, 0(WRONG)
        mvc     8(8, WRONG), MEMORY + 8(%r15)
taken:
        lmg     %r11, %r13, SAVED(%r15)
        br      %r14

        /* LOAD and STORE are the instructions' names. */
        .macro  group load, store, first, step, number, count
0:      \load   \first, MEMORY(%r15)
        .org    0b + GROUP_STORE
        \store  \first, MEMORY(%r15)
        .org    0b + GROUP_STEP
        .short  \step, \number, \count
        .endm

        .macro  groups_of_all
        group   lg, stg, %r6, 0x10, 0x106, 2
        group   lg, stg, %r8, 0x10, 0x108, 1
        group   "lam %a0,", "stam %a0,", %a0, 0x11, 0x200, 16
        .endm

groups:
        groups_of_all
        group   ld, std, %f0, 0x10, 0x300, 16
        .skip   GROUP_SIZE
vector_groups:
        groups_of_all
        group   vl, vst, %v0, 0x10, 0x400, 16
        group   vl, vst, %v16, 0x10, 0x410, 16
        .skip   GROUP_SIZE

        .machine pop
