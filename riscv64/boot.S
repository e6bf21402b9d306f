/*
 * The guest of riscv64: entry, console and the `order` workload for QEMU's virt machine. `stamp` is
 * in C, workload/stamp.c, and what it needs of the machine here, in registers.S and workload_arch.h.
 *
 * Entry    A flat image given by -bios stands in for OpenSBI: it is loaded at the start of RAM and
 *          entered at its first byte by every hart, in M-mode, addresses not translated, interrupts
 *          off. M-mode needs no leave from PMP, which binds it by locked entries only.
 * CPUs     A CPU's number is its hart's. All but the first wait for a software interrupt, which a
 *          reset takes back, from the CLINT at 0x02000000; those that are not asked for, for ever.
 * Memory   0x80000000  this image: code and parameter block
 *          0x80010000  mailboxes
 *          0x80030000  stacks, 8 pages; only with `stamp` or IDENTIFY
 *          0x80040000  identity table; only with IDENTIFY
 *          0x80100000  window, by default up to 0x86400000
 *          QEMU puts the device tree, which is not read here, into the topmost 2 MiB of the first
 *          1 GiB of RAM, or of all RAM if that is less.
 * Console  16550 at 0x10000000: the first -serial.
 * Timer    the `time` register, 10 MHz.
 * Numbers  CSRs: RISC-V Privileged Architecture. CLINT: SiFive's. 16550: the PC16550D's data sheet.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"

#define UART          0x10000000
#define UART_THR      0
#define UART_FCR      2
#define UART_LCR      3
#define UART_LSR      5
#define UART_FCR_FIFO 0x01
#define UART_LCR_8N1  0x03
#define UART_LSR_THRE 0x20 /* room for another character */

#define CLINT         0x02000000 /* a word for each hart: 1 is a software interrupt */
#define CLINT_SHIFT   2
#define MIE_SOFTWARE  8          /* in mie and mip */
#define MSTATUS_MDT   (1 << 42)  /* no trap may come; set by a reset */
#define MAILBOX_SHIFT 6
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
#define MAILBOX           s0 /* ... but for this one, which it keeps */
#define WINDOW_START      s1
#define WINDOW_END        s2
#define PAGE_SIZE         s3 /* from one page of the CPU's to its next */
#define PASSES_PER_REPORT s4
#define PAGE_TICKS        s5
#define CHECKING          s6 /* 0: VERIFY is not set; or by how much EXPECTED grows, see there */
#define PASSES            s7
#define PASSES_LEFT       s8 /* until the next PASS, modulo 2^32 */
#define POSITION          s9
#define TIMER             s10 /* as stored in the mailbox */
#define CPU               a6
#define MORE_CPUS         a7 /* beside the first one */

/* Not held by C. What a page has to hold is in bits 8 to 15; below them is the fraction of it, and
 * what is above them does not matter. So CHECKING has a bit there that keeps it from being 0. */
#define EXPECTED t3
#define STEP     t4 /* from page to page, of what they start with */
#define NONZERO  0x10000

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .globl  godwit_arch_print, godwit_arch_halt
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .globl  godwit_identity
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        .set    godwit_identity, GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        /* Goes to LABEL with FLAG. Changes t1 and t2. */
        .macro  if_flag flag, label
        lla     t1, godwit_params
        lw      t1, GODWIT_PARAMS_OFF_FLAGS(t1)
        li      t2, \flag
        and     t1, t1, t2
        bnez    t1, \label
        .endm

        /* Goes to LABEL with `stamp`. Changes t1 and t2. */
        .macro  if_stamp label
        if_flag GODWIT_FLAG_STAMP, \label
        .endm

        .text
godwit_start:
        csrw    mie, zero
        csrr    CPU, mhartid

        /* The parameters do not change any more: they live in registers from here on. */
        lla     t0, godwit_params
        ld      WINDOW_START, GODWIT_PARAMS_OFF_WINDOW_START(t0)
        ld      WINDOW_END, GODWIT_PARAMS_OFF_WINDOW_END(t0)
        lwu     PAGE_SIZE, GODWIT_PARAMS_OFF_PAGE_SIZE(t0)
        lw      PASSES_PER_REPORT, GODWIT_PARAMS_OFF_PASSES_PER_REPORT(t0)
        lwu     PAGE_TICKS, GODWIT_PARAMS_OFF_PAGE_TICKS(t0)
        lw      t1, GODWIT_PARAMS_OFF_FLAGS(t0)
        andi    STEP, t1, GODWIT_FLAG_STAGGER
        beqz    STEP, step_known
        li      STEP, GODWIT_STAGGER_STEP
step_known:
        andi    CHECKING, t1, GODWIT_FLAG_VERIFY
        beqz    CHECKING, checking_known
        li      CHECKING, NONZERO
        add     CHECKING, CHECKING, STEP
checking_known:
        srli    t1, t1, GODWIT_FLAGS_MORE_SHIFT
        andi    MORE_CPUS, t1, GODWIT_FLAGS_MORE_MASK >> GODWIT_FLAGS_MORE_SHIFT
        li      MAILBOX, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET

        /* Harts that are too many sleep, with nothing enabled that could wake them up. */
        bltu    MORE_CPUS, CPU, godwit_arch_halt
        bnez    CPU, other_cpu

        li      t1, UART
        li      t0, UART_LCR_8N1
        sb      t0, UART_LCR(t1)
        li      t0, UART_FCR_FIFO
        sb      t0, UART_FCR(t1)

        /* Nobody shall believe an old mailbox. */
        addi    t1, MORE_CPUS, 1
        slli    t1, t1, MAILBOX_SHIFT
        add     t1, t1, MAILBOX
        mv      t0, MAILBOX
clear_mailbox:
        sd      zero, 0(t0)
        addi    t0, t0, 8
        bltu    t0, t1, clear_mailbox

        /* What a reset left in RAM must not pass for this run's memory. */
        if_stamp fill
        mv      POSITION, WINDOW_START
        mv      t0, zero
        mv      t1, MORE_CPUS
clear_page:
        srli    t2, t0, 8
        sb      t2, 0(POSITION)
        add     POSITION, POSITION, PAGE_SIZE
        addi    t1, t1, -1
        bgez    t1, same_turn
        add     t0, t0, STEP
        mv      t1, MORE_CPUS
same_turn:
        bltu    POSITION, WINDOW_END, clear_page
        sb      zero, GODWIT_SUSPENDED_OFFSET(WINDOW_START)

window_ready:

        /* The others may begin. */
        fence
        li      t0, CLINT
        li      t1, 1
        mv      t2, MORE_CPUS
        beqz    t2, stripe
start_next:
        addi    t0, t0, 1 << CLINT_SHIFT
        sw      t1, 0(t0)
        addi    t2, t2, -1
        bnez    t2, start_next
        j       stripe

        /* What an interrupt wakes up from goes on without taking it: none is enabled as such. */
other_cpu:
        li      t0, MIE_SOFTWARE
        csrw    mie, t0
wait_for_start:
        wfi
        csrr    t1, mip
        and     t1, t1, t0
        beqz    t1, wait_for_start
        csrw    mie, zero
        li      t0, CLINT
        slli    t1, CPU, CLINT_SHIFT
        add     t0, t0, t1
        sw      zero, 0(t0)
        fence
        slli    t0, CPU, MAILBOX_SHIFT
        add     MAILBOX, MAILBOX, t0

        /* Where this CPU's pages are. Not every CPU has instructions that multiply. */
stripe:
        mv      t0, PAGE_SIZE
        mv      t1, CPU
        mv      t2, MORE_CPUS
        beqz    t1, widen_step
next_start:
        add     WINDOW_START, WINDOW_START, t0
        addi    t1, t1, -1
        bnez    t1, next_start
widen_step:
        beqz    t2, stripe_known
        add     PAGE_SIZE, PAGE_SIZE, t0
        addi    t2, t2, -1
        j       widen_step
stripe_known:

        /* The magic comes last: who reads it finds all the rest in place. */
        li      PASSES, 0
        mv      PASSES_LEFT, PASSES_PER_REPORT
        mv      POSITION, WINDOW_START
        if_stamp first_position
position_known:
        sd      PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        sd      POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        sd      zero, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        sd      zero, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        sd      zero, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        rdtime  TIMER
        sd      TIMER, GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        li      t0, GODWIT_STATE_RUNNING
        sw      t0, GODWIT_MAILBOX_OFF_STATE(MAILBOX)
        li      t0, GODWIT_MAILBOX_MAGIC
        bnez    CPU, set_up

        /* The first CPU is the last to be ready. */
        mv      t1, MAILBOX
        mv      t2, MORE_CPUS
await_others:
        beqz    t2, set_up
        addi    t1, t1, GODWIT_MAILBOX_STRIDE
await_next:
        lw      t3, GODWIT_MAILBOX_OFF_MAGIC(t1)
        bne     t3, t0, await_next
        addi    t2, t2, -1
        j       await_others
set_up:
        fence   rw, w
        sw      t0, GODWIT_MAILBOX_OFF_MAGIC(MAILBOX)
        if_stamp run
        bnez    CPU, next_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify
identified:
        li      a0, GODWIT_CONSOLE_READY
        jal     godwit_arch_print

next_pass:
        mv      POSITION, WINDOW_START
        sd      POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        slli    EXPECTED, PASSES, 8

        /* One page: the path without waiting and checking runs straight through. Elsewhere in a cache
         * line it takes TCG up to 6 % longer. */
        .balign 64
next_page:
        bnez    PAGE_TICKS, wait_ticks
ticks_over:
        lbu     t0, 0(POSITION)
        bnez    CHECKING, check_byte
byte_right:
        addi    t0, t0, 1
        sb      t0, 0(POSITION)
        rdtime  TIMER
        sd      TIMER, GODWIT_MAILBOX_OFF_TIMER(MAILBOX)
        add     POSITION, POSITION, PAGE_SIZE
        sd      POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        bltu    POSITION, WINDOW_END, next_page

        bnez    CPU, count_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify_again
count_pass:
        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        addi    PASSES, PASSES, 1
        sd      PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        addiw   PASSES_LEFT, PASSES_LEFT, -1
        bnez    PASSES_LEFT, next_pass
        mv      PASSES_LEFT, PASSES_PER_REPORT
        bnez    CPU, next_pass
        li      a0, GODWIT_CONSOLE_PASS
        jal     godwit_arch_print
        j       next_pass

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        rdtime  t0
        sub     t0, t0, TIMER
        bltu    t0, PAGE_TICKS, wait_ticks
        j       ticks_over

        /* Every pass so far has added one to the byte in t0. */
check_byte:
        srli    t1, EXPECTED, 8
        andi    t1, t1, 0xff
        add     EXPECTED, EXPECTED, CHECKING
        beq     t0, t1, byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        sd      POSITION, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        sd      t1, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        sd      t0, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        fence   w, w
        li      t0, GODWIT_STATE_FAULT
        sw      t0, GODWIT_MAILBOX_OFF_STATE(MAILBOX)
        li      a0, GODWIT_CONSOLE_FAULT
        jal     godwit_arch_print

        /* For good: no interrupt is enabled. */
godwit_arch_halt:
        wfi
        j       godwit_arch_halt

        /* Prints the character in a0. C calls it, too. */
godwit_arch_print:
        li      t1, UART
print_when_room:
        lbu     t0, UART_LSR(t1)
        andi    t0, t0, UART_LSR_THRE
        beqz    t0, print_when_room
        sb      a0, UART_THR(t1)
        ret

        /* With `stamp`. Each page of stacks begins with an instruction that returns. */
fill:
        jal     begin_pages
        jal     take_stack
        lla     a0, godwit_params
        jal     godwit_stamp_fill
        j       window_ready

begin_pages:
        li      t0, STACK
        li      t1, STACKS_SIZE
        add     t1, t1, t0
        li      t2, 1 << PAGE_SHIFT
        lw      t3, return
begin_page:
        sw      t3, 0(t0)
        add     t0, t0, t2
        bltu    t0, t1, begin_page
        ret

first_position:
        jal     take_stack
        lla     a0, godwit_params
        mv      a1, CPU
        jal     godwit_stamp_first
        mv      POSITION, a0
        j       position_known

run:
        lla     a0, godwit_params
        mv      a1, MAILBOX
        mv      a2, CPU
        j       godwit_stamp_run

        /* With `order` and IDENTIFY, on the first CPU. C keeps all that is held. */
identify:
        jal     begin_pages
        /* `order` also runs on CPUs without Zifencei, where the trap leads to the same place. */
        lla     t0, fetched_anew
        csrrw   t0, mtvec, t0
        li      t1, MSTATUS_MDT
        csrc    mstatus, t1
        fence.i
fetched_anew:
        csrw    mtvec, t0
        jal     set_stack
        mv      a0, MAILBOX
        jal     godwit_identify_start
        j       identified

identify_again:
        mv      a0, MAILBOX
        jal     godwit_identify_again
        j       count_pass

        /* Each CPU sees to it itself that it fetches what is stored at the start of the page. */
take_stack:
        fence.i
set_stack:
        li      sp, STACK + GODWIT_STACK_SIZE
        slli    t0, CPU, STACK_SHIFT
        add     sp, sp, t0
return:
        ret

        .balign 8
#include "params.S"
