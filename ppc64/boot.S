/*
 * The guest of ppc64: entry, console and the `order` workload for QEMU's pseries machine. `stamp` is
 * in workload/, its registers are in registers.S.
 *
 * Entry    A flat image given by -bios stands in for SLOF: it is loaded at 0 and entered at 0x100
 *          by the boot CPU, in 64-bit big-endian real mode, supervisor state below a hypervisor,
 *          external interrupts (MSR[EE]) off.
 * Memory   0x000100  this image: code, parameter block, and the decrementer's vector at 0x900
 *          0x010000  mailbox
 *          0x030000  stack, of `stamp` only
 *          0x100000  window, by default up to 0x6400000
 *          QEMU puts the device tree, which is not read here, into the topmost 2 MiB of the first
 *          2 GiB.
 * Console  hypercall H_PUT_TERM_CHAR. Terminal 0 is the lowest virtual terminal there is, be it
 *          made by -serial or by -device spapr-vty.
 * Timer    the time base, 512 MHz.
 *
 * Hypercalls may change r0, r3 to r12, CTR, XER and cr0, cr1, cr5 to cr7: what is to stay is kept
 * elsewhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"

/* Hypercalls: the number goes into r3, the status comes back there. */
#define H_PUT_TERM_CHAR 0x58 /* r4 terminal, r5 length, r6 the first characters, from the top */
#define H_CEDE          0xe0 /* turns MSR[EE] on and sleeps until the next interrupt */
#define H_BUSY          1
#define TERMINAL        0

#define DECREMENTER_MAX_HI 0x7fff /* 0x7fffffff, the most that a 32-bit decrementer takes */
#define DECREMENTER_MAX_LO 0xffff

/* Held from the start to the end. */
#define MAILBOX           %r14
#define WINDOW_START      %r15
#define WINDOW_END        %r16
#define PAGE_SIZE         %r17
#define PASSES_PER_REPORT %r18
#define PAGE_TICKS        %r19
#define PASSES            %r20
#define PASSES_LEFT       %r21 /* until the next PASS, modulo 2^32 */
#define POSITION          %r22
#define TIMER             %r23 /* as stored in the mailbox */
#define NO_WAITING        %cr2 /* eq: page_ticks is 0 */
#define NO_CHECKING       %cr3 /* eq: VERIFY is not set */
#define NO_STAMP          %cr4 /* eq: STAMP is not set */

#define FRAME     32     /* above the stack pointer, for who is called */
#define SAVED_LR  16     /* in that */
#define CODE_PAGE 0x1000 /* each of the stacks' pages begins with it */

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET

        .section .entry, "ax"
        .org    0x100
godwit_start:
        /* The parameters do not change any more: they live in registers from here on. */
        li      %r3, godwit_params
        ld      WINDOW_START, GODWIT_PARAMS_OFF_WINDOW_START(%r3)
        ld      WINDOW_END, GODWIT_PARAMS_OFF_WINDOW_END(%r3)
        lwz     PAGE_SIZE, GODWIT_PARAMS_OFF_PAGE_SIZE(%r3)
        lwz     PASSES_PER_REPORT, GODWIT_PARAMS_OFF_PASSES_PER_REPORT(%r3)
        lwz     PAGE_TICKS, GODWIT_PARAMS_OFF_PAGE_TICKS(%r3)
        cmpldi  NO_WAITING, PAGE_TICKS, 0
        lwz     %r4, GODWIT_PARAMS_OFF_FLAGS(%r3)
        andi.   %r5, %r4, GODWIT_FLAG_VERIFY
        mcrf    NO_CHECKING, %cr0
        andis.  %r5, %r4, GODWIT_FLAG_STAMP >> 16
        mcrf    NO_STAMP, %cr0
        lis     MAILBOX, godwit_mailbox@ha
        addi    MAILBOX, MAILBOX, godwit_mailbox@l

        /* What a reset left in RAM must not pass for this run's memory. */
        bne     NO_STAMP, fill
        li      %r3, 0
        mr      POSITION, WINDOW_START
clear_page:
        stb     %r3, 0(POSITION)
        add     POSITION, POSITION, PAGE_SIZE
        cmpld   POSITION, WINDOW_END
        blt     clear_page
        stb     %r3, GODWIT_SUSPENDED_OFFSET(WINDOW_START)

window_ready:
        /* The magic comes last: who reads it finds all the rest in place. */
        li      %r3, 0
        li      PASSES, 0
        mr      PASSES_LEFT, PASSES_PER_REPORT
        mr      POSITION, WINDOW_START
        std     PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        std     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        std     %r3, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        std     %r3, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        std     %r3, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        mftb    TIMER
        std     TIMER, GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        li      %r3, GODWIT_STATE_RUNNING
        stw     %r3, GODWIT_MAILBOX_OFF_STATE(MAILBOX)
        lis     %r3, GODWIT_MAILBOX_MAGIC@h
        ori     %r3, %r3, GODWIT_MAILBOX_MAGIC@l
        stw     %r3, GODWIT_MAILBOX_OFF_MAGIC(MAILBOX)
        bne     NO_STAMP, stamp
        li      %r3, GODWIT_CONSOLE_READY
        bl      print

        /* One page: the path without waiting and checking runs straight through. */
next_page:
        bne     NO_WAITING, wait_ticks
ticks_over:
        lbz     %r3, 0(POSITION)
        bne     NO_CHECKING, check_byte
byte_right:
        addi    %r3, %r3, 1
        stb     %r3, 0(POSITION)
        mftb    TIMER
        std     TIMER, GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        add     POSITION, POSITION, PAGE_SIZE
        std     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        cmpld   POSITION, WINDOW_END
        blt     next_page

        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        addi    PASSES, PASSES, 1
        std     PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        addi    PASSES_LEFT, PASSES_LEFT, -1
        cmplwi  PASSES_LEFT, 0
        bne     next_pass
        mr      PASSES_LEFT, PASSES_PER_REPORT
        li      %r3, GODWIT_CONSOLE_PASS
        bl      print
next_pass:
        mr      POSITION, WINDOW_START
        std     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        b       next_page

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        mftb    %r3
        subf    %r3, TIMER, %r3
        cmpld   %r3, PAGE_TICKS
        blt     wait_ticks
        b       ticks_over

        /* Every pass so far has added one to the byte in r3. */
check_byte:
        clrldi  %r4, PASSES, 56
        cmpld   %r3, %r4
        beq     byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        std     POSITION, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        std     %r4, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        std     %r3, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        li      %r3, GODWIT_STATE_FAULT
        stw     %r3, GODWIT_MAILBOX_OFF_STATE(MAILBOX)
        li      %r3, GODWIT_CONSOLE_FAULT
        bl      print

        .globl  godwit_arch_halt
godwit_arch_halt:
        /* For good: nothing but the decrementer ends the sleep, and that only for a moment. */
halt:
        li      %r3, H_CEDE
        sc      1
        b       halt

        /* `stamp`, where its way is not that of `order`. */
fill:
        lis     %r3, (GODWIT_RAM_BASE + GODWIT_STACK_OFFSET)@h
        lis     %r4, return@h
        lwz     %r4, return@l(%r4)
        li      %r5, GODWIT_MAX_CPUS * GODWIT_STACK_SIZE / CODE_PAGE
        mtctr   %r5
write_code:
        stw     %r4, 0(%r3)
        dcbst   0, %r3
        sync
        icbi    0, %r3
        addi    %r3, %r3, CODE_PAGE
        bdnz    write_code
        sync
        isync
        lis     %r1, (GODWIT_RAM_BASE + GODWIT_STACK_OFFSET)@h
        addi    %r1, %r1, GODWIT_STACK_SIZE - FRAME
        li      %r3, godwit_params
        bl      godwit_stamp_fill
        b       window_ready

stamp:
        li      %r3, godwit_params
        mr      %r4, MAILBOX
        li      %r5, 0
        bl      godwit_stamp_run

        /* As `print`, for C, whose r13 holds a pattern. */
        .globl  godwit_arch_print
godwit_arch_print:
        mflr    %r0
        std     %r0, SAVED_LR(%r1)
        std     %r13, -8(%r1)
        bl      print
        ld      %r13, -8(%r1)
        ld      %r0, SAVED_LR(%r1)
        mtlr    %r0
return:
        blr

        /* Prints the character in r3. Full terminals are waited for; missing ones are not. */
print:
        sldi    %r13, %r3, 56
put_character:
        li      %r3, H_PUT_TERM_CHAR
        li      %r4, TERMINAL
        li      %r5, 1
        mr      %r6, %r13
        sc      1
        cmpdi   %r3, H_BUSY
        beq     put_character
        blr

        .balign 8
godwit_params:
        .long   GODWIT_PARAMS_MAGIC
        .long   GODWIT_ABI_VERSION
        .quad   GODWIT_RAM_BASE + GODWIT_WINDOW_OFFSET
        .quad   GODWIT_RAM_BASE + GODWIT_WINDOW_END_OFFSET
        .long   GODWIT_PAGE_SIZE
        .long   GODWIT_PASSES_PER_REPORT
        .long   0 /* flags */
        .long   0 /* page_ticks */
        .quad   0 /* seed */

        /*
         * The decrementer, which nobody can switch off, runs out every few seconds. That matters
         * to the sleeping guest alone: send it back to sleep. Its registers but r4 are in use.
         */
        .section .decrementer, "ax"
        lis     %r4, DECREMENTER_MAX_HI
        ori     %r4, %r4, DECREMENTER_MAX_LO
        mtdec   %r4
        rfid
