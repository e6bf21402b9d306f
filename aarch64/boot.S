/*
 * The guest of aarch64: entry, console and the `order` workload for QEMU's virt machine. `stamp` is
 * in C, workload/stamp.c, and what it needs of the machine here, in registers.S and workload_arch.h.
 *
 * Entry    A raw image given by -kernel is loaded 512 KiB into RAM and entered at its first byte by
 *          the boot CPU, MMU and caches off, interrupts masked, in EL1, or in EL2 where the machine
 *          has one (-machine virtualization=on). QEMU leaves EL3 before it enters a raw kernel.
 * CPUs     All but the first are off until PSCI is asked to start them, by HVC, or by SMC where there
 *          is an EL2; that is what virt's device tree says. They come in with their number in x0, in
 *          the EL of the first one. Numbers are dealt out in clusters of 16, which matters from GIC
 *          version 3 on; version 2 has 8 CPUs at most.
 * Memory   0x40000000  QEMU's own first instructions
 *          0x40010000  mailboxes
 *          0x40020000  translation table, one page
 *          0x40030000  stacks, 8 pages; only with `stamp` or IDENTIFY
 *          0x40040000  identity table; only with IDENTIFY
 *          0x40080000  this image: code and parameter block
 *          0x40100000  window, by default up to 0x46400000
 *          QEMU puts the device tree, which is not read here, half-way up RAM or 128 MiB up,
 *          whichever is lower. With 150 MiB that is in the window, which does not mind.
 * Console  PL011 at 0x09000000: the first -serial.
 * Timer    the virtual counter, made into nanoseconds: QEMU's counts at 62.5 MHz or at 1 GHz,
 *          depending on CPU model and machine version; a real CPU's at any rate.
 * Numbers  system registers: Arm ARM (DDI 0487). PSCI: DEN 0022. PL011: DDI 0183.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"

#define UART          0x09000000
#define UART_DR       0x00
#define UART_FR       0x18
#define UART_FR_TXFF  5 /* bit: no room for another character */
#define UART_IBRD     0x24
#define UART_FBRD     0x28
#define UART_LCR_H    0x2c
#define UART_CR       0x30
#define BAUD_INTEGER  13 /* 24 MHz / (16 * 115200) is 13 ... */
#define BAUD_FRACTION 1  /* ... and 1/64 */
#define UART_8N1_FIFO 0x70
#define UART_ENABLE   0x101 /* the UART as such, and sending */

#define PSCI_CPU_ON   0xc4000003 /* with addresses of 64 bits */
#define CLUSTER_SHIFT 4          /* of a number: the cluster ... */
#define CLUSTER_MASK  15         /* ... and the place in it */
#define AFF1_SHIFT    8          /* the cluster in MPIDR */
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

#define EL2         (2 << 2)   /* in CurrentEL */
#define HCR_RW      0x80000000 /* EL1 is AArch64; no second stage of translation, no traps */
#define SPSR_EL1H   0x3c5      /* EL1 with its own stack pointer, D, A, I and F masked */
#define SCTLR_RES1  0x30d00800
#define SCTLR_M_C_I 0x1005 /* MMU, data cache, instruction cache */

/*
 * Translation is one table of 512 blocks of 1 GiB, which is what a single page holds: addresses of
 * 39 bits, twice as many as the 256 GiB that virt puts its RAM below as long as that suffices. A
 * CPU with fewer physical address bits faults when a block beyond them is used, not because of it.
 */
#define TABLE               (GODWIT_RAM_BASE + 0x20000)
#define TABLE_SIZE          0x1000
#define BLOCK_SHIFT         30
#define DEVICE_BLOCK        0x0060000000000401 /* attribute 0, accessed, never executed */
#define NORMAL_BLOCK        0x705              /* attribute 1, inner-shareable, accessed */
#define MAIR                0xff04             /* 0: device nGnRE; 1: write-back, allocating */
#define TCR                 0x200803519        /* 39 bits, 4 KiB granule, cached walks of TTBR0 only */
#define SMALLEST_CACHE_LINE 16

#define NANOSECONDS 1000000000 /* in a second */

/* Held from the start to the end; C leaves them alone ... */
#define MAILBOX           x19 /* ... but for this one, which it keeps */
#define WINDOW_START      x20
#define WINDOW_END        x21
#define PAGE_SIZE         x22 /* from one page of the CPU's to its next */
#define PAGE_TICKS        x23
#define CHECKING          x24 /* 0: VERIFY is not set; or by how much EXPECTED grows, see there */
#define PASSES_PER_REPORT w25
#define PASSES_LEFT       w26 /* until the next PASS, modulo 2^32 */
#define PASSES            x27
#define POSITION          x28
#define TIMER             x29 /* as stored in the mailbox */
#define TICK              x18 /* length of the counter's tick in 2^-32 nanoseconds; C knows it, too */
#define CPU               x16
#define MORE_CPUS         x15 /* beside the first one */
#define ENTRY_EL          x14

/* Not held by C. What a page has to hold is in bits 8 to 15; below them is the fraction of it, and
 * what is above them does not matter. So CHECKING has a bit there that keeps it from being 0. */
#define EXPECTED x13
#define STEP     x12 /* from page to page, of what they start with */
#define NONZERO  0x10000

/* The low halves of those that are loaded from fields of 32 bits. */
#define PAGE_SIZE_LOW  w22
#define PAGE_TICKS_LOW w23
#define MORE_CPUS_LOW  w15

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .globl  godwit_arch_print, godwit_arch_halt
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .globl  godwit_identity
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        .set    godwit_identity, GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        /* Now, in nanoseconds. Changes x2. */
        .macro  read_timer register
        mrs     x2, cntvct_el0
        umulh   \register, x2, TICK
        mul     x2, x2, TICK
        extr    \register, \register, x2, #32
        .endm

        /* Goes to LABEL with FLAG. Changes w0. */
        .macro  if_flag flag, label
        adr     x0, godwit_params
        ldr     w0, [x0, #GODWIT_PARAMS_OFF_FLAGS]
        tst     w0, #\flag
        b.ne    \label
        .endm

        /* Goes to LABEL with `stamp`. Changes w0. */
        .macro  if_stamp label
        if_flag GODWIT_FLAG_STAMP, \label
        .endm

        .text
godwit_start:
        mov     x0, #0
other_cpu:
        mov     CPU, x0

        /* From EL2 down to EL1, so that there is one translation regime to set up, not two. */
        mrs     ENTRY_EL, CurrentEL
        cmp     ENTRY_EL, #EL2
        b.ne    in_el1
        ldr     x0, =HCR_RW
        msr     hcr_el2, x0
        msr     cnthctl_el2, xzr
        msr     cntvoff_el2, xzr
        if_stamp leave_vectors
vectors_left:
        ldr     x0, =SCTLR_RES1
        msr     sctlr_el1, x0
        mov     x0, #SPSR_EL1H
        msr     spsr_el2, x0
        adr     x0, in_el1
        msr     elr_el2, x0
        eret
in_el1:

        /*
         * The table, one to one: the lowest GiB holds the devices that are used, all above it is
         * RAM, wherever a window may be. Stores with the caches off pass by what the caches hold,
         * so the lines of the table are thrown out of them afterwards.
         */
        ldr     x0, =TABLE
        cbnz    CPU, table_filled
        ldr     x1, =DEVICE_BLOCK
        str     x1, [x0]
        ldr     x1, =(1 << BLOCK_SHIFT) + NORMAL_BLOCK
        mov     x2, #(1 << BLOCK_SHIFT)
        mov     x3, #8
fill_table:
        str     x1, [x0, x3]
        add     x1, x1, x2
        add     x3, x3, #8
        cmp     x3, #TABLE_SIZE
        b.lo    fill_table
        dsb     sy
        mov     x3, #0
drop_cache_line:
        add     x1, x0, x3
        dc      ivac, x1
        add     x3, x3, #SMALLEST_CACHE_LINE
        cmp     x3, #TABLE_SIZE
        b.lo    drop_cache_line
table_filled:

        /*
         * MMU and caches on: under KVM, what a guest stores without them is not what the host
         * reads through its caches, and would be lost on the way to another host.
         */
        msr     ttbr0_el1, x0
        ldr     x0, =TCR
        msr     tcr_el1, x0
        mov     x0, #MAIR
        msr     mair_el1, x0
        dsb     sy
        tlbi    vmalle1
        dsb     sy
        isb
        ldr     x0, =SCTLR_RES1 + SCTLR_M_C_I
        msr     sctlr_el1, x0
        isb

        /* The divisor and the line format count while the UART is off, which it is after reset. */
        cbnz    CPU, uart_on
        ldr     x1, =UART
        mov     w0, #BAUD_INTEGER
        str     w0, [x1, #UART_IBRD]
        mov     w0, #BAUD_FRACTION
        str     w0, [x1, #UART_FBRD]
        mov     w0, #UART_8N1_FIFO
        str     w0, [x1, #UART_LCR_H]
        mov     w0, #UART_ENABLE
        str     w0, [x1, #UART_CR]
uart_on:

        /* One tick of the counter, for read_timer. */
        ldr     x0, =NANOSECONDS << 32
        mrs     x1, cntfrq_el0
        udiv    TICK, x0, x1

        /* The parameters do not change any more: they live in registers from here on. */
        adr     x0, godwit_params
        ldr     WINDOW_START, [x0, #GODWIT_PARAMS_OFF_WINDOW_START]
        ldr     WINDOW_END, [x0, #GODWIT_PARAMS_OFF_WINDOW_END]
        ldr     PAGE_SIZE_LOW, [x0, #GODWIT_PARAMS_OFF_PAGE_SIZE]
        ldr     PASSES_PER_REPORT, [x0, #GODWIT_PARAMS_OFF_PASSES_PER_REPORT]
        ldr     PAGE_TICKS_LOW, [x0, #GODWIT_PARAMS_OFF_PAGE_TICKS]
        ldr     w1, [x0, #GODWIT_PARAMS_OFF_FLAGS]
        ubfx    MORE_CPUS_LOW, w1, #GODWIT_FLAGS_MORE_SHIFT, #8
        mov     x2, #GODWIT_STAGGER_STEP
        tst     w1, #GODWIT_FLAG_STAGGER
        csel    STEP, x2, xzr, ne
        orr     x2, STEP, #NONZERO
        tst     w1, #GODWIT_FLAG_VERIFY
        csel    CHECKING, x2, xzr, ne
        ldr     MAILBOX, =GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET
        cbnz    CPU, stripe

        /* Nobody shall believe an old mailbox. */
        mov     x0, MAILBOX
        add     x1, MORE_CPUS, #1
        add     x1, MAILBOX, x1, lsl #MAILBOX_SHIFT
clear_mailbox:
        str     xzr, [x0], #8
        cmp     x0, x1
        b.lo    clear_mailbox

        /* What a reset left in RAM must not pass for this run's memory. */
        if_stamp fill
        mov     POSITION, WINDOW_START
        mov     x1, #0
        mov     x2, MORE_CPUS
clear_page:
        lsr     x3, x1, #8
        strb    w3, [POSITION]
        add     POSITION, POSITION, PAGE_SIZE
        subs    x2, x2, #1
        b.pl    same_turn
        add     x1, x1, STEP
        mov     x2, MORE_CPUS
same_turn:
        cmp     POSITION, WINDOW_END
        b.lo    clear_page
        strb    wzr, [WINDOW_START, #GODWIT_SUSPENDED_OFFSET]

window_ready:

        /* The others may begin. Of PSCI's registers only the result, which nobody asks for, differs
         * afterwards. */
        dsb     sy
        mov     x4, #1
start_next:
        cmp     x4, MORE_CPUS
        b.hi    stripe
        ldr     w0, =PSCI_CPU_ON
        and     x1, x4, #CLUSTER_MASK
        lsr     x2, x4, #CLUSTER_SHIFT
        orr     x1, x1, x2, lsl #AFF1_SHIFT
        adr     x2, other_cpu
        mov     x3, x4
        add     x4, x4, #1
        cmp     ENTRY_EL, #EL2
        b.eq    by_smc
        hvc     #0
        b       start_next
by_smc:
        smc     #0
        b       start_next

        /* Where this CPU's pages and its mailbox are. */
stripe:
        madd    WINDOW_START, CPU, PAGE_SIZE, WINDOW_START
        madd    PAGE_SIZE, MORE_CPUS, PAGE_SIZE, PAGE_SIZE
        add     MAILBOX, MAILBOX, CPU, lsl #MAILBOX_SHIFT

        /* The magic comes last: who reads it finds all the rest in place. */
        mov     PASSES, #0
        mov     PASSES_LEFT, PASSES_PER_REPORT
        mov     POSITION, WINDOW_START
        if_stamp first_position
position_known:
        str     PASSES, [MAILBOX, #GODWIT_MAILBOX_OFF_PASSES]
        str     POSITION, [MAILBOX, #GODWIT_MAILBOX_OFF_POSITION]
        str     xzr, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_ADDRESS]
        str     xzr, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_EXPECTED]
        str     xzr, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_FOUND]
        read_timer TIMER
        str     TIMER, [MAILBOX, #GODWIT_MAILBOX_OFF_TIMER]
        mov     w0, #GODWIT_STATE_RUNNING
        str     w0, [MAILBOX, #GODWIT_MAILBOX_OFF_STATE]
        ldr     x0, =GODWIT_MAILBOX_MAGIC
        cbnz    CPU, set_up

        /* The first CPU is the last to be ready. */
        add     x1, MAILBOX, MORE_CPUS, lsl #MAILBOX_SHIFT
await_others:
        cmp     x1, MAILBOX
        b.eq    set_up
        yield
        ldr     w2, [x1, #GODWIT_MAILBOX_OFF_MAGIC]
        cmp     w2, w0
        b.ne    await_others
        sub     x1, x1, #GODWIT_MAILBOX_STRIDE
        b       await_others
set_up:
        dmb     ish
        str     w0, [MAILBOX, #GODWIT_MAILBOX_OFF_MAGIC]
        if_stamp run
        cbnz    CPU, next_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify
identified:
        mov     w0, #GODWIT_CONSOLE_READY
        bl      godwit_arch_print

next_pass:
        mov     POSITION, WINDOW_START
        str     POSITION, [MAILBOX, #GODWIT_MAILBOX_OFF_POSITION]
        lsl     EXPECTED, PASSES, #8

        /* One page: the path without waiting and checking runs straight through. */
next_page:
        cbnz    PAGE_TICKS, wait_ticks
ticks_over:
        ldrb    w0, [POSITION]
        cbnz    CHECKING, check_byte
byte_right:
        add     w0, w0, #1
        strb    w0, [POSITION]
        read_timer TIMER
        str     TIMER, [MAILBOX, #GODWIT_MAILBOX_OFF_TIMER]
        add     POSITION, POSITION, PAGE_SIZE
        str     POSITION, [MAILBOX, #GODWIT_MAILBOX_OFF_POSITION]
        cmp     POSITION, WINDOW_END
        b.lo    next_page

        cbnz    CPU, count_pass
        if_flag GODWIT_FLAG_IDENTIFY, identify_again
count_pass:
        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        add     PASSES, PASSES, #1
        str     PASSES, [MAILBOX, #GODWIT_MAILBOX_OFF_PASSES]
        subs    PASSES_LEFT, PASSES_LEFT, #1
        b.ne    next_pass
        mov     PASSES_LEFT, PASSES_PER_REPORT
        cbnz    CPU, next_pass
        mov     w0, #GODWIT_CONSOLE_PASS
        bl      godwit_arch_print
        b       next_pass

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        read_timer x0
        sub     x0, x0, TIMER
        cmp     x0, PAGE_TICKS
        b.lo    wait_ticks
        b       ticks_over

        /* Every pass so far has added one to the byte in w0. */
check_byte:
        ubfx    x1, EXPECTED, #8, #8
        add     EXPECTED, EXPECTED, CHECKING
        cmp     x0, x1
        b.eq    byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        str     POSITION, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_ADDRESS]
        str     x1, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_EXPECTED]
        str     x0, [MAILBOX, #GODWIT_MAILBOX_OFF_FAULT_FOUND]
        dmb     ishst
        mov     w0, #GODWIT_STATE_FAULT
        str     w0, [MAILBOX, #GODWIT_MAILBOX_OFF_STATE]
        mov     w0, #GODWIT_CONSOLE_FAULT
        bl      godwit_arch_print

        /* For good: with interrupts masked and none enabled there is nothing to wake up for. */
godwit_arch_halt:
        wfi
        b       godwit_arch_halt

        /* Prints the character in w0. C calls it, too. */
godwit_arch_print:
        ldr     x1, =UART
print_when_room:
        ldr     w2, [x1, #UART_FR]
        tbnz    w2, #UART_FR_TXFF, print_when_room
        str     w0, [x1, #UART_DR]
        ret

        /*
         * With `stamp`. In EL2, the vectors are EL1's. QEMU 7.2 has an EL3, if any, that traps this on all
         * CPUs but the first.
         */
leave_vectors:
        bl      vectors_without_el2
        b       vectors_left

        /*
         * Each page of stacks begins with an instruction that returns. It has been
         * stored as data: to be fetched, it has to be in memory, and not what was there before it in
         * the instruction cache.
         */
fill:
        bl      begin_pages
        bl      take_stack
        adr     x0, godwit_params
        bl      godwit_stamp_fill
        b       window_ready

begin_pages:
        ldr     x0, =STACK
        ldr     w1, return
        mov     x2, #STACKS_SIZE
begin_page:
        str     w1, [x0]
        dc      cvau, x0
        dsb     ish
        ic      ivau, x0
        add     x0, x0, #1 << PAGE_SHIFT
        subs    x2, x2, #1 << PAGE_SHIFT
        b.ne    begin_page
        dsb     ish
        isb
        ret

first_position:
        bl      take_stack
        adr     x0, godwit_params
        mov     x1, CPU
        bl      godwit_stamp_first
        mov     POSITION, x0
        b       position_known

run:
        adr     x0, godwit_params
        mov     x1, MAILBOX
        mov     x2, CPU
        b       godwit_stamp_run

        /* With `order` and IDENTIFY, on the first CPU. C keeps all that is held. */
identify:
        bl      begin_pages
        bl      take_stack
        mov     x0, MAILBOX
        bl      godwit_identify_start
        b       identified

identify_again:
        mov     x0, MAILBOX
        bl      godwit_identify_again
        b       count_pass

take_stack:
        ldr     x0, =STACK + GODWIT_STACK_SIZE
        add     x0, x0, CPU, lsl #STACK_SHIFT
        mov     sp, x0
return:
        ret

        .balign 8 /* in the block, page_ticks are nanoseconds */
#include "params.S"
