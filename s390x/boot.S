/*
 * SPDX-License-Identifier: MIT
 *
 * The guest of s390x: entry, console and the `order` workload for QEMU's s390-ccw-virtio machine.
 * `stamp` is in workload/, its registers are in registers.S.
 *
 * Entry    An ELF file given by -bios stands in for s390-ccw.img. QEMU adds a base to each of its
 *          addresses (see Memory), so nothing here may know where it is. The boot CPU enters in
 *          64-bit addressing mode, supervisor state, key 0, with address translation and all
 *          interrupts off and prefix 0.
 * CPUs     All but the first are stopped until the first one lets them go, by SIGP, one after the
 *          other. All have prefix 0, and share what is there; so only the first takes interrupts.
 * Memory   0x0000c8  facility list, only with IDENTIFY
 *          0x000120  restart old PSW
 *          0x000130  external old PSW
 *          0x0001a0  restart new PSW
 *          0x0001b0  external new PSW
 *          0x010000  mailboxes
 *          0x030000  stacks, only with `stamp` or IDENTIFY
 *          0x040000  identity table, only with IDENTIFY
 *          0x100000  window, by default up to 0x6400000
 *          base      this image, whose data are written to. The base is 3 MiB (before QEMU 10.0:
 *                    2 MiB) below the end of RAM or 2 GiB, whichever is lower: always within reach
 *                    of SCLP.
 * Console  SCLP: Write Event Data with an ASCII console event. Each call is followed by a service
 *          signal, which is let in at once and dropped. That a call is over is told by the response
 *          code instead: where a pending service signal gets lost on the way to another QEMU, a
 *          guest that slept until it came would sleep for ever.
 * Timer    the TOD clock, 4096 ticks a microsecond.
 * Numbers  z/Architecture Principles of Operation (SA22-7832). IBM has not published SCLP; Linux
 *          describes its commands and events in drivers/s390/char/sclp.h.
 */
#include "godwit/guest_abi.h"

#define RESTART_NEW_PSW  0x1a0
#define EXTERNAL_OLD_PSW 0x130
#define EXTERNAL_NEW_PSW 0x1b0

#define PSW_64BIT       0x0000000180000000
#define PSW_EXTERNAL    0x0100000000000000 /* external interrupts on */
#define PSW_WAIT        0x0002000000000000
#define SYSTEM_EXTERNAL 0x01  /* PSW_EXTERNAL in the byte that SSM takes */
#define SERVICE_SIGNAL  0x200 /* in CR0: which external interrupts are meant */

#define SIGP_RESTART  6
#define MAILBOX_SHIFT 6
#if 1 << MAILBOX_SHIFT != GODWIT_MAILBOX_STRIDE
#error MAILBOX_SHIFT
#endif
#define FLAGS_MORE  (GODWIT_PARAMS_OFF_FLAGS + 3 - GODWIT_FLAGS_MORE_SHIFT / 8) /* a byte */
#define FLAGS_STAMP (GODWIT_PARAMS_OFF_FLAGS + 1)                               /* a byte, and ... */
#define IS_STAMP    (GODWIT_FLAG_STAMP >> 16)                                   /* ... a bit in it */

#define FLAGS_LOW (GODWIT_PARAMS_OFF_FLAGS + 3) /* a byte: GODWIT_FLAG_IDENTIFY and lower ones */

#define RETURN     0x07fe /* the instruction br %r14 */
#define CODE_PAGE  0x1000 /* each of the stacks' pages begins with it */
#define SAVE_AREA  160    /* above the stack pointer, for who is called */

#define WRITE_EVENT_DATA    0x00760005
#define WRITE_EVENT_MASK    0x00780005
#define IF_BUSY             2    /* branch mask of condition code 2 */
#define IF_NOT_OPERATIONAL  1    /* branch mask of condition code 3 */
#define SCCB_RESPONSE       6    /* u16; SCLP fills it in when the call is over */
#define ASCII_CONSOLE       0x1a /* event type ... */
#define ASCII_CONSOLE_EVENT 0x40 /* ... and its bit in event masks */

/* Held from the start to the end. */
#define CHECKING          %r2 /* 0: VERIFY is not set; or by how much EXPECTED grows, see there */
#define PAGE_TICKS        %r3
#define PASSES_PER_REPORT %r4
#define PASSES_LEFT       %r5 /* until the next PASS, modulo 2^32 */
#define PASSES            %r6
#define POSITION          %r7
#define WINDOW_START      %r8
#define WINDOW_END        %r9
#define PAGE_SIZE         %r10 /* from one page of the CPU's to its next */
#define MAILBOX           %r11
#define DATA              %r12 /* where `data` has come to lie */
#define CPU               %r13
#define MORE_CPUS         %r15 /* beside the first one */

/* Held during a pass. What a page has to hold is in bits 8 to 15; below them is the fraction of it,
 * and what is above them does not matter. So CHECKING has a bit there that keeps it from being 0. */
#define EXPECTED %r14
#define IN_BYTE  2 /* mask that selects bits 8 to 15 */
#define NONZERO  1 /* in bits 16 to 31 */

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .globl  godwit_identity
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        .set    godwit_identity, GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        /* Puts what the pages start with into REGISTER: its step from page to page. */
        .macro  load_step register
        lghi    \register, 0
        tm      godwit_params - data + FLAGS_LOW(DATA), GODWIT_FLAG_STAGGER
        jz      1f
        lghi    \register, GODWIT_STAGGER_STEP
1:
        .endm

        /* Service Call: the assembler has no name for it. */
        .macro  call_service command, sccb
        .insn   rre, 0xb2200000, \command, \sccb
        .endm

        .text
godwit_start:
        larl    DATA, data
        lghi    CPU, 0

        /* Service signals, and no other interrupts, come in from here on. */
        larl    %r1, drop_interrupt
        stg     %r1, EXTERNAL_NEW_PSW + 8
        mvc     EXTERNAL_NEW_PSW(8, %r0), psw_mask - data(DATA)
        lctlg   %c0, %c0, control_0 - data(DATA)
        ssm     system_mask - data(DATA)

        /* SCLP wants to hear which events are going to be sent. */
        llilf   %r0, WRITE_EVENT_MASK
        la      %r1, mask_sccb - data(DATA)
        brasl   %r14, call_sclp

load_parameters:
        /* The parameters do not change any more: they live in registers from here on. */
        lg      WINDOW_START, godwit_params - data + GODWIT_PARAMS_OFF_WINDOW_START(DATA)
        lg      WINDOW_END, godwit_params - data + GODWIT_PARAMS_OFF_WINDOW_END(DATA)
        llgf    PAGE_SIZE, godwit_params - data + GODWIT_PARAMS_OFF_PAGE_SIZE(DATA)
        llgf    PASSES_PER_REPORT, godwit_params - data + GODWIT_PARAMS_OFF_PASSES_PER_REPORT(DATA)
        llgf    PAGE_TICKS, godwit_params - data + GODWIT_PARAMS_OFF_PAGE_TICKS(DATA)
        lghi    CHECKING, 0
        tm      godwit_params - data + FLAGS_LOW(DATA), GODWIT_FLAG_VERIFY
        jz      checking_known
        load_step CHECKING
        oilh    CHECKING, NONZERO
checking_known:
        llgc    MORE_CPUS, godwit_params - data + FLAGS_MORE(DATA)
        llilf   MAILBOX, godwit_mailbox
        cgijne  CPU, 0, stripe

        /* Nobody shall believe an old mailbox. */
        lgr     %r0, MORE_CPUS
        aghi    %r0, 1
        lgr     %r1, MAILBOX
clear_mailbox:
        xc      0(GODWIT_MAILBOX_STRIDE, %r1), 0(%r1)
        aghi    %r1, GODWIT_MAILBOX_STRIDE
        brctg   %r0, clear_mailbox

        /* What a reset left in RAM must not pass for this run's memory. */
        tm      godwit_params - data + FLAGS_STAMP(DATA), IS_STAMP
        jnz     fill
        lgr     POSITION, WINDOW_START
        lghi    %r0, 0
        lgr     %r1, MORE_CPUS
        load_step %r14
clear_page:
        stcm    %r0, IN_BYTE, 0(POSITION)
        agr     POSITION, PAGE_SIZE
        aghi    %r1, -1
        jnm     same_turn
        agr     %r0, %r14
        lgr     %r1, MORE_CPUS
same_turn:
        clgrjl  POSITION, WINDOW_END, clear_page
        mvi     GODWIT_SUSPENDED_OFFSET(WINDOW_START), 0

start_others:
        /* The others, each when the one before it has found its number and set up its mailbox. */
        larl    %r1, other_cpu
        stg     %r1, RESTART_NEW_PSW + 8
        mvc     RESTART_NEW_PSW(8, %r0), psw_mask - data(DATA)
        lghi    %r1, 0
        lgr     %r14, MAILBOX
start_next:
        cgrje   %r1, MORE_CPUS, stripe
        aghi    %r1, 1
        aghi    %r14, GODWIT_MAILBOX_STRIDE
        stg     %r1, number - data(DATA)
restart:
        sigp    %r0, %r1, SIGP_RESTART
        brc     IF_BUSY, restart
        llilf   %r0, GODWIT_MAILBOX_MAGIC
await_other:
        c       %r0, GODWIT_MAILBOX_OFF_MAGIC(%r14)
        jne     await_other
        j       start_next

other_cpu:
        larl    DATA, data
        lg      CPU, number - data(DATA)
        j       load_parameters

        /* Where this CPU's pages and its mailbox are. */
stripe:
        lgr     %r1, CPU
        msgr    %r1, PAGE_SIZE
        agr     WINDOW_START, %r1
        lgr     %r1, MORE_CPUS
        aghi    %r1, 1
        msgr    PAGE_SIZE, %r1
        sllg    %r1, CPU, MAILBOX_SHIFT
        agr     MAILBOX, %r1

        /* The magic comes last: who reads it finds all the rest in place. */
        lghi    PASSES, 0
        lgr     PASSES_LEFT, PASSES_PER_REPORT
        lgr     POSITION, WINDOW_START
        tm      godwit_params - data + FLAGS_STAMP(DATA), IS_STAMP
        jnz     find_first
set_up_mailbox:
        stg     PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        stg     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        mvghi   GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX), 0
        mvghi   GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX), 0
        mvghi   GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX), 0
        stckf   GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        mvhi    GODWIT_MAILBOX_OFF_STATE(MAILBOX), GODWIT_STATE_RUNNING
        llilf   %r1, GODWIT_MAILBOX_MAGIC
        st      %r1, GODWIT_MAILBOX_OFF_MAGIC(MAILBOX)
        tm      godwit_params - data + FLAGS_STAMP(DATA), IS_STAMP
        jnz     stamp
        cgijne  CPU, 0, next_pass
        tm      godwit_params - data + FLAGS_LOW(DATA), GODWIT_FLAG_IDENTIFY
        jnz     identify
identified:
        lghi    %r1, GODWIT_CONSOLE_READY
        brasl   %r14, print

next_pass:
        lgr     POSITION, WINDOW_START
        stg     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        sllg    EXPECTED, PASSES, 8

        /* One page: the path without waiting and checking runs straight through. */
next_page:
        cgijne  PAGE_TICKS, 0, wait_ticks
ticks_over:
        llgc    %r1, 0(POSITION)
        cgijne  CHECKING, 0, check_byte
byte_right:
        aghi    %r1, 1
        stc     %r1, 0(POSITION)
        stckf   GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        agr     POSITION, PAGE_SIZE
        stg     POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        clgrjl  POSITION, WINDOW_END, next_page

        cgijne  CPU, 0, count_pass
        tm      godwit_params - data + FLAGS_LOW(DATA), GODWIT_FLAG_IDENTIFY
        jnz     identify_again
count_pass:
        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        aghi    PASSES, 1
        stg     PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        brct    PASSES_LEFT, next_pass
        lgr     PASSES_LEFT, PASSES_PER_REPORT
        cgijne  CPU, 0, next_pass
        lghi    %r1, GODWIT_CONSOLE_PASS
        brasl   %r14, print
        j       next_pass

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        sllg    %r1, CPU, 3
        agr     %r1, DATA
        stckf   now - data(%r1)
        lg      %r1, now - data(%r1)
        sg      %r1, GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        clgrjl  %r1, PAGE_TICKS, wait_ticks
        j       ticks_over

        /* Every pass so far has added one to the byte in r1. */
check_byte:
        srlg    %r0, EXPECTED, 8
        llgcr   %r0, %r0
        agr     EXPECTED, CHECKING
        cgrje   %r1, %r0, byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        stg     POSITION, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        stg     %r0, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        stg     %r1, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        mvhi    GODWIT_MAILBOX_OFF_STATE(MAILBOX), GODWIT_STATE_FAULT
        lghi    %r1, GODWIT_CONSOLE_FAULT
        brasl   %r14, print
        j       halt

        /* `stamp`, where its way is not that of `order`. All CPUs' stacks get their code here. */
fill:
        brasl   %r14, begin_pages
        brasl   %r14, take_stack
        la      %r2, godwit_params - data(DATA)
        brasl   %r14, godwit_stamp_fill
        llgc    MORE_CPUS, godwit_params - data + FLAGS_MORE(DATA)
        j       start_others

begin_pages:
        llilf   %r1, GODWIT_RAM_BASE + GODWIT_STACK_OFFSET
        lghi    %r0, GODWIT_MAX_CPUS * GODWIT_STACK_SIZE / CODE_PAGE
write_code:
        mvhhi   0(%r1), RETURN
        aghi    %r1, CODE_PAGE
        brctg   %r0, write_code
        bcr     15, %r0 /* forgets what was fetched before */
        br      %r14

find_first:
        brasl   %r14, take_stack
        la      %r2, godwit_params - data(DATA)
        lgr     %r3, CPU
        brasl   %r14, godwit_stamp_first
        lgr     POSITION, %r2
        j       set_up_mailbox

stamp:
        la      %r2, godwit_params - data(DATA)
        lgr     %r3, MAILBOX
        lgr     %r4, CPU
        brasl   %r14, godwit_stamp_run

        /*
         * With `order` and IDENTIFY, on the first CPU, which does not need MORE_CPUS any more. C
         * may change r2 to r5, and keeps the others that are held.
         */
identify:
        brasl   %r14, begin_pages
        brasl   %r14, take_stack
        aghi    %r15, -4 * 8
        stmg    %r2, %r5, SAVE_AREA(%r15)
        lgr     %r2, MAILBOX
        brasl   %r14, godwit_identify_start
        lmg     %r2, %r5, SAVE_AREA(%r15)
        j       identified

identify_again:
        stmg    %r2, %r5, SAVE_AREA(%r15)
        lgr     %r2, MAILBOX
        brasl   %r14, godwit_identify_again
        lmg     %r2, %r5, SAVE_AREA(%r15)
        j       count_pass

        /* Gives r15, which C wants as its stack pointer, to it. */
take_stack:
        lgr     %r15, CPU
        msgfi   %r15, GODWIT_STACK_SIZE
        agfi    %r15, GODWIT_RAM_BASE + GODWIT_STACK_OFFSET + GODWIT_STACK_SIZE - SAVE_AREA
        br      %r14

        .globl  godwit_arch_halt
godwit_arch_halt:
        larl    DATA, data

        /* For good. With all interrupts off QEMU would take the wait for a crashed guest. */
halt:
        larl    %r1, halt
        stg     %r1, halt_psw + 8 - data(DATA)
        lpswe   halt_psw - data(DATA)

        /* C has the character in r2, and expects to find r12 as it was. */
        .globl  godwit_arch_print
godwit_arch_print:
        lgr     %r4, %r14
        lgr     %r5, DATA
        larl    DATA, data
        lgr     %r1, %r2
        brasl   %r14, print
        lgr     DATA, %r5
        br      %r4

        /*
         * Prints the character in r1. The others than the first CPU only ever print FAULT, and all
         * share what can print only that: the first one may be printing something else.
         */
print:
        cgije   %r1, GODWIT_CONSOLE_FAULT, print_fault
        stc     %r1, character - data(DATA)
        mvi     event_flags - data(DATA), 0
        llilf   %r0, WRITE_EVENT_DATA
        la      %r1, event_sccb - data(DATA)
        j       call_sclp
print_fault:
        mvi     fault_flags - data(DATA), 0
        llilf   %r0, WRITE_EVENT_DATA
        la      %r1, fault_sccb - data(DATA)

        /*
         * Gives SCLP the command in r0 with the SCCB at r1 and waits until it is done, if there is
         * an SCLP. What came of it is not asked: a guest without a console has to run, too.
         */
call_sclp:
        mvhhi   SCCB_RESPONSE(%r1), 0
        call_service %r0, %r1
        brc     IF_BUSY, call_sclp
        bcr     IF_NOT_OPERATIONAL, %r14
response_missing:
        clhhsi  SCCB_RESPONSE(%r1), 0
        je      response_missing
        br      %r14

        /* An external interrupt: back to where it came in, be that the wait of `halt`. */
drop_interrupt:
        lpswe   EXTERNAL_OLD_PSW

        /* An SCCB begins with its length, function code, control mask (3 bytes) and response. */
        .balign 8
data:
#include "params.S"

psw_mask:
        .quad   PSW_64BIT
halt_psw:
        .quad   PSW_64BIT + PSW_EXTERNAL + PSW_WAIT
        .quad   0 /* address, known at run time */
control_0:
        .quad   SERVICE_SIGNAL
number: /* of the CPU that is being started */
        .quad   0

mask_sccb:
        .short  mask_sccb_end - mask_sccb
        .byte   0, 0, 0, 0
        .short  0
        .short  0                   /* reserved */
        .short  4                   /* bytes in a mask */
        .long   0                   /* events that the guest receives */
        .long   ASCII_CONSOLE_EVENT /* events that it sends */
        .long   0, 0                /* SCLP's own masks, returned */
mask_sccb_end:

        .balign 8
event_sccb:
        .short  event_sccb_end - event_sccb
        .byte   0, 0, 0, 0
        .short  0
event:
        .short  event_sccb_end - event
        .byte   ASCII_CONSOLE
event_flags:
        .byte   0 /* SCLP marks the event as taken */
        .short  0 /* reserved */
character:
        .byte   0
event_sccb_end:

        .balign 8
fault_sccb:
        .short  fault_sccb_end - fault_sccb
        .byte   0, 0, 0, 0
        .short  0
fault:
        .short  fault_sccb_end - fault
        .byte   ASCII_CONSOLE
fault_flags:
        .byte   0
        .short  0
        .byte   GODWIT_CONSOLE_FAULT
fault_sccb_end:

system_mask:
        .byte   SYSTEM_EXTERNAL

        /* What the clock showed each CPU that waits. It is here, on a page with code, because on any
         * other QEMU before 9.0 would lose the last of it (tcg-hot-page). */
        .balign 8
now:
        .skip   8 * GODWIT_MAX_CPUS
