/*
 * The guest of loongarch64: entry, console and the `order` workload for QEMU's virt machine. `stamp`
 * is in C, workload/stamp.c, and what it needs of the machine here, in registers.S and
 * workload_arch.h.
 *
 * Entry    A flat image given by -bios is in the flash at the reset vector, 0x1c000000, where every
 *          CPU begins: at privilege level 0, addresses not translated, interrupts off.
 * CPUs     A CPU's number is in CSR.CPUID. All but the first wait for an interprocessor interrupt, by
 *          IOCSRs; those that are not asked for, for ever. A reset may leave an interrupt of the run
 *          before it pending, so each CPU first takes that back, and the first CPU repeats its
 *          request until it sees the mailbox of each.
 * Memory   0x00010000  mailboxes
 *          0x00030000  stacks, 8 pages; only with `stamp` or IDENTIFY
 *          0x00040000  identity table; only with IDENTIFY
 *          0x00100000  window, by default up to 0x06400000. RAM has a gap at 0x10000000.
 *          0x1c000000  this image: code and parameter block
 *          QEMU puts the device tree, which is not read here, at the start of the window.
 * Console  16550 at 0x1fe001e0: the first -serial.
 * Timer    the stable counter, 100 MHz.
 * Numbers  CSRs: LoongArch Reference Manual, volume 1. IOCSRs of interprocessor interrupts: Loongson
 *          3A5000 manual. 16550: the PC16550D's data sheet.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"

#define UART          0x1fe001e0
#define UART_THR      0
#define UART_FCR      2
#define UART_LCR      3
#define UART_LSR      5
#define UART_FCR_FIFO 0x01
#define UART_LCR_8N1  0x03
#define UART_LSR_THRE 0x20 /* room for another character */

#define CSR_ECFG  0x04
#define CSR_CPUID 0x20
#define ECFG_IPI  0x1000

#define IPI_STATUS     0x1000 /* IOCSRs */
#define IPI_ENABLE     0x1004
#define IPI_CLEAR      0x100c
#define IPI_SEND       0x1040
#define IPI_SEND_SHIFT 16     /* where the number of the CPU is; the rest is that of the interrupt */

#define CPUID_MASK_TOP 8 /* its topmost bit */
#define MAILBOX_SHIFT  6
#if 1 << MAILBOX_SHIFT != GODWIT_MAILBOX_STRIDE
#error MAILBOX_SHIFT
#endif

#define PAGE_SHIFT  12
#define STACK       (GODWIT_RAM_BASE + GODWIT_STACK_OFFSET)
#define STACKS_SIZE (GODWIT_MAX_CPUS * GODWIT_STACK_SIZE)
#define STACK_SHIFT 9
#if 1 << STACK_SHIFT != GODWIT_STACK_SIZE
#error STACK_SHIFT
#endif

/* Held from the start to the end; C leaves them alone ... */
#define MAILBOX           $s0 /* ... but for this one, which it keeps */
#define WINDOW_START      $s1
#define WINDOW_END        $s2
#define PAGE_SIZE         $s3 /* from one page of the CPU's to its next */
#define PASSES_PER_REPORT $s4
#define PAGE_TICKS        $s5
#define CHECKING          $s6 /* 0: VERIFY is not set; or by how much EXPECTED grows, see there */
#define PASSES            $s7
#define PASSES_LEFT       $s8 /* until the next PASS, modulo 2^32 */
#define POSITION          $t7
#define TIMER             $t8 /* as stored in the mailbox */
#define CPU               $a6
#define MORE_CPUS         $a7 /* beside the first one */

/* Not held by C. What a page has to hold is in bits 8 to 15; below them is the fraction of it, and
 * what is above them does not matter. So CHECKING has a bit there that keeps it from being 0. */
#define EXPECTED $t3
#define STEP     $t4 /* from page to page, of what they start with */
#define NONZERO  0x10000

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .globl  godwit_arch_print, godwit_arch_halt
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .globl  godwit_identity
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        .set    godwit_identity, GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        /* Goes to LABEL with FLAG. Changes t1 and t2. */
        .macro  if_flag flag, label
        la.pcrel $t1, godwit_params
        ld.w    $t1, $t1, GODWIT_PARAMS_OFF_FLAGS
        li.w    $t2, \flag
        and     $t1, $t1, $t2
        bnez    $t1, \label
        .endm

        /* Goes to LABEL with `stamp`. Changes t1 and t2. */
        .macro  if_stamp label
        if_flag GODWIT_FLAG_STAMP, \label
        .endm

        .text
godwit_start:
        csrwr   $zero, CSR_ECFG
        csrrd   CPU, CSR_CPUID
        bstrpick.d CPU, CPU, CPUID_MASK_TOP, 0

        /* The parameters do not change any more: they live in registers from here on. */
        la.pcrel $t0, godwit_params
        ld.d    WINDOW_START, $t0, GODWIT_PARAMS_OFF_WINDOW_START
        ld.d    WINDOW_END, $t0, GODWIT_PARAMS_OFF_WINDOW_END
        ld.wu   PAGE_SIZE, $t0, GODWIT_PARAMS_OFF_PAGE_SIZE
        ld.w    PASSES_PER_REPORT, $t0, GODWIT_PARAMS_OFF_PASSES_PER_REPORT
        ld.wu   PAGE_TICKS, $t0, GODWIT_PARAMS_OFF_PAGE_TICKS
        ld.w    $t1, $t0, GODWIT_PARAMS_OFF_FLAGS
        andi    STEP, $t1, GODWIT_FLAG_STAGGER
        beqz    STEP, step_known
        li.w    STEP, GODWIT_STAGGER_STEP
step_known:
        andi    CHECKING, $t1, GODWIT_FLAG_VERIFY
        beqz    CHECKING, checking_known
        li.w    CHECKING, NONZERO
        add.d   CHECKING, CHECKING, STEP
checking_known:
        srli.d  $t1, $t1, GODWIT_FLAGS_MORE_SHIFT
        andi    MORE_CPUS, $t1, GODWIT_FLAGS_MORE_MASK >> GODWIT_FLAGS_MORE_SHIFT
        li.d    MAILBOX, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET

        /* CPUs that are too many sleep, with nothing enabled that could wake them up. */
        bltu    MORE_CPUS, CPU, godwit_arch_halt
        bnez    CPU, other_cpu

        li.w    $t1, UART
        li.w    $t0, UART_LCR_8N1
        st.b    $t0, $t1, UART_LCR
        li.w    $t0, UART_FCR_FIFO
        st.b    $t0, $t1, UART_FCR

        /* Nobody shall believe an old mailbox. */
        addi.d  $t1, MORE_CPUS, 1
        slli.d  $t1, $t1, MAILBOX_SHIFT
        add.d   $t1, $t1, MAILBOX
        move    $t0, MAILBOX
clear_mailbox:
        st.d    $zero, $t0, 0
        addi.d  $t0, $t0, 8
        bltu    $t0, $t1, clear_mailbox

        /* What a reset left in RAM must not pass for this run's memory. */
        if_stamp fill
        move    POSITION, WINDOW_START
        move    $t0, $zero
        move    $t1, MORE_CPUS
clear_page:
        srli.d  $t2, $t0, 8
        st.b    $t2, POSITION, 0
        add.d   POSITION, POSITION, PAGE_SIZE
        addi.d  $t1, $t1, -1
        bge     $t1, $zero, same_turn
        add.d   $t0, $t0, STEP
        move    $t1, MORE_CPUS
same_turn:
        bltu    POSITION, WINDOW_END, clear_page
        st.b    $zero, WINDOW_START, GODWIT_SUSPENDED_OFFSET

window_ready:
        dbar    0
        b       stripe

        /* What an interrupt wakes up from goes on without taking it: none is enabled as such. QEMU
         * withdraws an interrupt from the CPU only if it is cleared while it is enabled. One that was
         * left from before a reset would keep QEMU 11.1 from waking up by the next. */
other_cpu:
        li.w    $t0, IPI_ENABLE
        li.w    $t1, 1
        iocsrwr.w $t1, $t0
        li.w    $t0, IPI_CLEAR
        addi.w  $t1, $zero, -1
        iocsrwr.w $t1, $t0
        li.w    $t0, ECFG_IPI
        csrwr   $t0, CSR_ECFG
        li.w    $t0, IPI_STATUS
wait_for_start:
        idle    0
        iocsrrd.w $t1, $t0
        beqz    $t1, wait_for_start
        csrwr   $zero, CSR_ECFG
        li.w    $t0, IPI_CLEAR
        iocsrwr.w $t1, $t0
        li.w    $t0, IPI_ENABLE
        iocsrwr.w $zero, $t0
        dbar    0
        slli.d  $t0, CPU, MAILBOX_SHIFT
        add.d   MAILBOX, MAILBOX, $t0

        /* Where this CPU's pages are. */
stripe:
        mul.d   $t0, PAGE_SIZE, CPU
        add.d   WINDOW_START, WINDOW_START, $t0
        addi.d  $t0, MORE_CPUS, 1
        mul.d   PAGE_SIZE, PAGE_SIZE, $t0

        /* The magic comes last: who reads it finds all the rest in place. */
        move    PASSES, $zero
        move    PASSES_LEFT, PASSES_PER_REPORT
        move    POSITION, WINDOW_START
        if_stamp first_position
position_known:
        st.d    PASSES, MAILBOX, GODWIT_MAILBOX_OFF_PASSES
        st.d    POSITION, MAILBOX, GODWIT_MAILBOX_OFF_POSITION
        st.d    $zero, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_ADDRESS
        st.d    $zero, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_EXPECTED
        st.d    $zero, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_FOUND
        rdtime.d TIMER, $zero
        st.d    TIMER, MAILBOX, GODWIT_MAILBOX_OFF_TIMER
        li.w    $t0, GODWIT_STATE_RUNNING
        st.w    $t0, MAILBOX, GODWIT_MAILBOX_OFF_STATE
        li.w    $t0, GODWIT_MAILBOX_MAGIC
        bnez    CPU, set_up

        /* The first CPU starts the others and is the last to be ready. */
        move    $t1, MAILBOX
        move    $t2, $zero
        li.w    $t4, IPI_SEND
start_next:
        beq     $t2, MORE_CPUS, set_up
        addi.d  $t2, $t2, 1
        addi.d  $t1, $t1, GODWIT_MAILBOX_STRIDE
        slli.d  $t5, $t2, IPI_SEND_SHIFT
await_next:
        iocsrwr.w $t5, $t4
        ld.w    $t3, $t1, GODWIT_MAILBOX_OFF_MAGIC
        bne     $t3, $t0, await_next
        b       start_next
set_up:
        dbar    0
        st.w    $t0, MAILBOX, GODWIT_MAILBOX_OFF_MAGIC
        if_stamp run
        bnez    CPU, next_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify
identified:
        li.w    $a0, GODWIT_CONSOLE_READY
        bl      godwit_arch_print

next_pass:
        move    POSITION, WINDOW_START
        st.d    POSITION, MAILBOX, GODWIT_MAILBOX_OFF_POSITION
        slli.d  EXPECTED, PASSES, 8

        /* One page: the path without waiting and checking runs straight through. */
        .balign 64
next_page:
        bnez    PAGE_TICKS, wait_ticks
ticks_over:
        ld.bu   $t0, POSITION, 0
        bnez    CHECKING, check_byte
byte_right:
        addi.d  $t0, $t0, 1
        st.b    $t0, POSITION, 0
        rdtime.d TIMER, $zero
        st.d    TIMER, MAILBOX, GODWIT_MAILBOX_OFF_TIMER
        add.d   POSITION, POSITION, PAGE_SIZE
        st.d    POSITION, MAILBOX, GODWIT_MAILBOX_OFF_POSITION
        bltu    POSITION, WINDOW_END, next_page

        bnez    CPU, count_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify_again
count_pass:
        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        addi.d  PASSES, PASSES, 1
        st.d    PASSES, MAILBOX, GODWIT_MAILBOX_OFF_PASSES
        addi.w  PASSES_LEFT, PASSES_LEFT, -1
        bnez    PASSES_LEFT, next_pass
        move    PASSES_LEFT, PASSES_PER_REPORT
        bnez    CPU, next_pass
        li.w    $a0, GODWIT_CONSOLE_PASS
        bl      godwit_arch_print
        b       next_pass

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        rdtime.d $t0, $zero
        sub.d   $t0, $t0, TIMER
        bltu    $t0, PAGE_TICKS, wait_ticks
        b       ticks_over

        /* Every pass so far has added one to the byte in t0. */
check_byte:
        bstrpick.d $t1, EXPECTED, 15, 8
        add.d   EXPECTED, EXPECTED, CHECKING
        beq     $t0, $t1, byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        st.d    POSITION, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_ADDRESS
        st.d    $t1, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_EXPECTED
        st.d    $t0, MAILBOX, GODWIT_MAILBOX_OFF_FAULT_FOUND
        dbar    0
        li.w    $t0, GODWIT_STATE_FAULT
        st.w    $t0, MAILBOX, GODWIT_MAILBOX_OFF_STATE
        li.w    $a0, GODWIT_CONSOLE_FAULT
        bl      godwit_arch_print

        /* For good: no interrupt is enabled. */
godwit_arch_halt:
        idle    0
        b       godwit_arch_halt

        /* Prints the character in a0. C calls it as well. */
godwit_arch_print:
        li.w    $t1, UART
print_when_room:
        ld.bu   $t0, $t1, UART_LSR
        andi    $t0, $t0, UART_LSR_THRE
        beqz    $t0, print_when_room
        st.b    $a0, $t1, UART_THR
        ret

        /* With `stamp`. Each page of stacks begins with an instruction that returns. */
fill:
        bl      begin_pages
        bl      take_stack
        la.pcrel $a0, godwit_params
        bl      godwit_stamp_fill
        b       window_ready

begin_pages:
        li.d    $t0, STACK
        li.d    $t1, STACKS_SIZE
        add.d   $t1, $t1, $t0
        li.w    $t2, 1 << PAGE_SHIFT
        la.pcrel $t3, return
        ld.w    $t3, $t3, 0
begin_page:
        st.w    $t3, $t0, 0
        add.d   $t0, $t0, $t2
        bltu    $t0, $t1, begin_page
        ret

first_position:
        bl      take_stack
        la.pcrel $a0, godwit_params
        move    $a1, CPU
        bl      godwit_stamp_first
        move    POSITION, $a0
        b       position_known

run:
        la.pcrel $a0, godwit_params
        move    $a1, MAILBOX
        move    $a2, CPU
        b       godwit_stamp_run

        /* With `order` and IDENTIFY, on the first CPU. C keeps all that is held. */
identify:
        bl      begin_pages
        bl      take_stack
        move    $a0, MAILBOX
        bl      godwit_identify_start
        b       identified

identify_again:
        move    $a0, MAILBOX
        bl      godwit_identify_again
        b       count_pass

        /* Each CPU makes sure that it fetches what is stored at the start of the page. */
take_stack:
        ibar    0
        li.d    $sp, STACK + GODWIT_STACK_SIZE
        slli.d  $t0, CPU, STACK_SHIFT
        add.d   $sp, $sp, $t0
return:
        ret

        .balign 8
#include "params.S"
