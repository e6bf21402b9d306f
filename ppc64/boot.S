/*
 * The guest of ppc64: entry, console and the `order` workload for QEMU's pseries machine. `stamp` is
 * in workload/, its registers are in registers.S.
 *
 * Entry    A flat image given by -bios stands in for SLOF: it is loaded at 0 and entered at 0x100
 *          by the boot CPU, in 32-bit big-endian real mode, supervisor state below a hypervisor,
 *          external interrupts (MSR[EE]) off. The guest switches to 64-bit mode at once: without
 *          it, instructions that set CR0 would look at the lower half of their result only.
 * CPUs     All but the first sleep until the first one starts them, one after the other, by the
 *          RTAS call start-cpu. The RTAS of pseries is in QEMU, behind a hypercall; a token tells
 *          the call. It is in the device tree, but guests are migrated with it: it never changes.
 * Memory   0x000100  this image: code, parameter block, and the decrementer's vector at 0x900
 *          0x010000  mailboxes
 *          0x030000  stacks, only with `stamp` or IDENTIFY
 *          0x040000  identity table, only with IDENTIFY
 *          0x100000  window, by default up to 0x6400000
 *          QEMU puts the device tree, which is not read here, into the topmost 2 MiB of the first
 *          2 GiB.
 * Console  hypercall H_PUT_TERM_CHAR. Terminal 0 is the lowest virtual terminal there is, be it
 *          made by -serial or by -device spapr-vty.
 * Timer    the time base, 512 MHz.
 * Numbers  hypercalls: LoPAR. MSR, decrementer: Power ISA 3.0. The token of start-cpu is QEMU's.
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
#define H_RTAS          0xf000 /* r4 the address of token, numbers of arguments and results, these */
#define H_BUSY          1
#define RTAS_START_CPU  0x2006 /* CPU, address, what it has in r3 */
#define TERMINAL        0

#define MSR_SF_SHIFT 63 /* 64-bit mode */

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
#define CPU               %r24
#define MORE_CPUS         %r25 /* beside the first one */
#define STEP              %r29 /* from page to page, of what they start with */
#define EXPECTED          %r30 /* what a page has to hold, in bits 8 to 15 from the right; below them
                                  is the fraction of it, and what is above does not matter */
#define NO_WAITING        %cr2 /* eq: page_ticks is 0 */
#define NO_CHECKING       %cr3 /* eq: VERIFY is not set */
#define NO_STAMP          %cr4 /* eq: STAMP is not set */

#define FLAGS_MORE (GODWIT_PARAMS_OFF_FLAGS + 3 - GODWIT_FLAGS_MORE_SHIFT / 8) /* a byte */

#define MAILBOX_SHIFT 6
#if 1 << MAILBOX_SHIFT != GODWIT_MAILBOX_STRIDE
#error MAILBOX_SHIFT
#endif

#define FRAME     32     /* above the stack pointer, for who is called */
#define SAVED_LR  16     /* in that */
#define CODE_PAGE 0x1000 /* each of the stacks' pages begins with it */

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .globl  godwit_identity
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        .set    godwit_identity, GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        /* Goes to LABEL with IDENTIFY, on the first CPU. Changes r3, r4 and cr0. */
        .macro  if_identify label
        li      %r3, godwit_params
        lwz     %r4, GODWIT_PARAMS_OFF_FLAGS(%r3)
        cmpdi   CPU, 0
        bne     1f
        andi.   %r4, %r4, GODWIT_FLAG_IDENTIFY
        bne     \label
1:
        .endm

        .section .entry, "ax"
        .org    0x100
godwit_start:
        li      CPU, 0

load_parameters:
        mfmsr   %r3
        li      %r4, 1
        rldimi  %r3, %r4, MSR_SF_SHIFT, 63 - MSR_SF_SHIFT
        mtmsrd  %r3

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
        andi.   STEP, %r4, GODWIT_FLAG_STAGGER
        beq     step_known
        li      STEP, GODWIT_STAGGER_STEP
step_known:
        andis.  %r5, %r4, GODWIT_FLAG_STAMP >> 16
        mcrf    NO_STAMP, %cr0
        lbz     MORE_CPUS, FLAGS_MORE(%r3)
        lis     MAILBOX, godwit_mailbox@ha
        addi    MAILBOX, MAILBOX, godwit_mailbox@l
        cmpdi   CPU, 0
        bne     stripe

        /* Nobody shall believe an old mailbox. */
        li      %r3, 0
        mr      %r4, MAILBOX
        addi    %r5, MORE_CPUS, 1
        sldi    %r5, %r5, MAILBOX_SHIFT - 3
        mtctr   %r5
clear_mailboxes:
        std     %r3, 0(%r4)
        addi    %r4, %r4, 8
        bdnz    clear_mailboxes

        /* What a reset left in RAM must not pass for this run's memory. */
        bne     NO_STAMP, fill
        li      %r3, 0
        mr      %r4, MORE_CPUS
        mr      POSITION, WINDOW_START
clear_page:
        srdi    %r5, %r3, 8
        stb     %r5, 0(POSITION)
        add     POSITION, POSITION, PAGE_SIZE
        addic.  %r4, %r4, -1
        bge     same_turn
        add     %r3, %r3, STEP
        mr      %r4, MORE_CPUS
same_turn:
        cmpld   POSITION, WINDOW_END
        blt     clear_page
        li      %r3, 0
        stb     %r3, GODWIT_SUSPENDED_OFFSET(WINDOW_START)

        /* The others, each when the one before it has set up its mailbox. */
start_others:
        li      %r26, 0
        mr      %r27, MAILBOX
        lis     %r28, GODWIT_MAILBOX_MAGIC@h
        ori     %r28, %r28, GODWIT_MAILBOX_MAGIC@l
start_next:
        cmpd    %r26, MORE_CPUS
        beq     stripe
        addi    %r26, %r26, 1
        addi    %r27, %r27, GODWIT_MAILBOX_STRIDE
        li      %r4, start_cpu
        stw     %r26, start_cpu_number - start_cpu(%r4)
        stw     %r26, start_cpu_r3 - start_cpu(%r4)
        li      %r3, 0
        ori     %r3, %r3, H_RTAS
        sc      1
await_other:
        lwz     %r3, GODWIT_MAILBOX_OFF_MAGIC(%r27)
        cmpw    %r3, %r28
        bne     await_other
        b       start_next

other_cpu:
        mr      CPU, %r3
        b       load_parameters

        /* Where this CPU's pages and its mailbox are. */
stripe:
        mulld   %r3, CPU, PAGE_SIZE
        add     WINDOW_START, WINDOW_START, %r3
        addi    %r3, MORE_CPUS, 1
        mulld   PAGE_SIZE, PAGE_SIZE, %r3
        sldi    %r3, CPU, MAILBOX_SHIFT
        add     MAILBOX, MAILBOX, %r3
        mr      POSITION, WINDOW_START
        bne     NO_STAMP, find_first

        /* The magic comes last: who reads it finds all the rest in place. */
set_up_mailbox:
        li      %r3, 0
        li      PASSES, 0
        mr      PASSES_LEFT, PASSES_PER_REPORT
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
        lwsync
        stw     %r3, GODWIT_MAILBOX_OFF_MAGIC(MAILBOX)
        bne     NO_STAMP, stamp
        cmpdi   CPU, 0
        bne     next_pass
        if_identify identify
identified:
        li      %r3, GODWIT_CONSOLE_READY
        bl      print

next_pass:
        mr      POSITION, WINDOW_START
        std     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        sldi    EXPECTED, PASSES, 8

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

        if_identify identify_again
count_pass:
        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        addi    PASSES, PASSES, 1
        std     PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        addi    PASSES_LEFT, PASSES_LEFT, -1
        cmplwi  PASSES_LEFT, 0
        bne     next_pass
        mr      PASSES_LEFT, PASSES_PER_REPORT
        cmpdi   CPU, 0
        bne     next_pass
        li      %r3, GODWIT_CONSOLE_PASS
        bl      print
        b       next_pass

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        mftb    %r3
        subf    %r3, TIMER, %r3
        cmpld   %r3, PAGE_TICKS
        blt     wait_ticks
        b       ticks_over

        /* Every pass so far has added one to the byte in r3. */
check_byte:
        rldicl  %r4, EXPECTED, 56, 56
        add     EXPECTED, EXPECTED, STEP
        cmpld   %r3, %r4
        beq     byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        std     POSITION, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        std     %r4, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        std     %r3, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        lwsync
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

        /* `stamp`, where its way is not that of `order`. All CPUs' stacks get their code here. */
fill:
        bl      begin_pages
        bl      take_stack
        li      %r3, godwit_params
        bl      godwit_stamp_fill
        b       start_others

begin_pages:
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
        blr

find_first:
        bl      take_stack
        li      %r3, godwit_params
        mr      %r4, CPU
        bl      godwit_stamp_first
        mr      POSITION, %r3
        b       set_up_mailbox

stamp:
        li      %r3, godwit_params
        mr      %r4, MAILBOX
        mr      %r5, CPU
        bl      godwit_stamp_run

        /* With `order` and IDENTIFY, on the first CPU. C keeps all that is held. */
identify:
        bl      begin_pages
        bl      take_stack
        mr      %r3, MAILBOX
        bl      godwit_identify_start
        b       identified

identify_again:
        mr      %r3, MAILBOX
        bl      godwit_identify_again
        b       count_pass

take_stack:
        mulli   %r3, CPU, GODWIT_STACK_SIZE
        lis     %r1, (GODWIT_RAM_BASE + GODWIT_STACK_OFFSET)@h
        add     %r1, %r1, %r3
        addi    %r1, %r1, GODWIT_STACK_SIZE - FRAME
        blr

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
#include "params.S"

start_cpu:
        .long   RTAS_START_CPU
        .long   3 /* arguments */
        .long   1 /* result */
start_cpu_number:
        .long   0
        .long   other_cpu
start_cpu_r3:
        .long   0
        .long   0 /* the result; what came of it is seen by the CPU's mailbox */

        /*
         * The decrementer, which nobody can switch off, runs out every few seconds. That matters
         * to the sleeping guest alone: send it back to sleep. Its registers but r4 are in use.
         */
        .section .decrementer, "ax"
        lis     %r4, DECREMENTER_MAX_HI
        ori     %r4, %r4, DECREMENTER_MAX_LO
        mtdec   %r4
        rfid
