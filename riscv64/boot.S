/*
 * The guest of riscv64: entry, console and the `order` workload for QEMU's virt machine.
 *
 * Entry    A flat image given by -bios stands in for OpenSBI: it is loaded at the start of RAM and
 *          entered at its first byte by every hart, in M-mode, addresses not translated, interrupts
 *          off. M-mode needs no leave from PMP, which binds it by locked entries only.
 * Memory   0x80000000  this image: code and parameter block
 *          0x80010000  mailbox
 *          0x80100000  window, by default up to 0x86400000
 *          QEMU puts the device tree, which is not read here, into the topmost 2 MiB of the first
 *          1 GiB of RAM, or of all RAM if that is less.
 * Console  16550 at 0x10000000: the first -serial.
 * Timer    the `time` register, 10 MHz.
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

/* Held from the start to the end. */
#define MAILBOX           s0
#define WINDOW_START      s1
#define WINDOW_END        s2
#define PAGE_SIZE         s3
#define PASSES_PER_REPORT s4
#define PAGE_TICKS        s5
#define CHECKING          s6 /* 0: VERIFY is not set */
#define PASSES            s7
#define PASSES_LEFT       s8 /* until the next PASS, modulo 2^32 */
#define POSITION          s9
#define TIMER             s10 /* as stored in the mailbox */
#define UART_BASE         s11

        .globl  godwit_start, godwit_params, godwit_mailbox, godwit_ram_base
        .set    godwit_ram_base, GODWIT_RAM_BASE
        .set    godwit_mailbox, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET

        .text
godwit_start:
        /* One hart works; the others sleep, with nothing enabled that could wake them up. */
        csrw    mie, zero
        csrr    t0, mhartid
        bnez    t0, halt

        li      UART_BASE, UART
        li      t0, UART_LCR_8N1
        sb      t0, UART_LCR(UART_BASE)
        li      t0, UART_FCR_FIFO
        sb      t0, UART_FCR(UART_BASE)

        /* The parameters do not change any more: they live in registers from here on. */
        lla     t0, godwit_params
        ld      WINDOW_START, GODWIT_PARAMS_OFF_WINDOW_START(t0)
        ld      WINDOW_END, GODWIT_PARAMS_OFF_WINDOW_END(t0)
        lwu     PAGE_SIZE, GODWIT_PARAMS_OFF_PAGE_SIZE(t0)
        lw      PASSES_PER_REPORT, GODWIT_PARAMS_OFF_PASSES_PER_REPORT(t0)
        lwu     PAGE_TICKS, GODWIT_PARAMS_OFF_PAGE_TICKS(t0)
        lw      CHECKING, GODWIT_PARAMS_OFF_FLAGS(t0)
        andi    CHECKING, CHECKING, GODWIT_FLAG_VERIFY
        li      MAILBOX, GODWIT_RAM_BASE + GODWIT_MAILBOX_OFFSET

        /* What a reset left in RAM must not pass for this run's memory. */
        mv      POSITION, WINDOW_START
clear_page:
        sb      zero, 0(POSITION)
        add     POSITION, POSITION, PAGE_SIZE
        bltu    POSITION, WINDOW_END, clear_page
        sb      zero, GODWIT_SUSPENDED_OFFSET(WINDOW_START)

        /* The magic comes last: who reads it finds all the rest in place. */
        li      PASSES, 0
        mv      PASSES_LEFT, PASSES_PER_REPORT
        mv      POSITION, WINDOW_START
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
        fence   w, w
        sw      t0, GODWIT_MAILBOX_OFF_MAGIC(MAILBOX)
        li      a0, GODWIT_CONSOLE_READY
        jal     print

        /* One page: the path without waiting and checking runs straight through. */
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

        /* One pass: a 32-bit count makes 0 passes per PASS stand for 2^32 of itself. */
        addi    PASSES, PASSES, 1
        sd      PASSES, GODWIT_MAILBOX_OFF_PASSES(MAILBOX)
        addiw   PASSES_LEFT, PASSES_LEFT, -1
        bnez    PASSES_LEFT, next_pass
        mv      PASSES_LEFT, PASSES_PER_REPORT
        li      a0, GODWIT_CONSOLE_PASS
        jal     print
next_pass:
        mv      POSITION, WINDOW_START
        sd      POSITION, GODWIT_MAILBOX_OFF_POSITION(MAILBOX)
        j       next_page

        /* Until page_ticks have gone by since the latest increment. */
wait_ticks:
        rdtime  t0
        sub     t0, t0, TIMER
        bltu    t0, PAGE_TICKS, wait_ticks
        j       ticks_over

        /* Every pass so far has added one to the byte in t0. */
check_byte:
        andi    t1, PASSES, 0xff
        beq     t0, t1, byte_right

        /* The state follows the record, so that who sees FAULT sees a whole record. */
        sd      POSITION, GODWIT_MAILBOX_OFF_FAULT_ADDRESS(MAILBOX)
        sd      t1, GODWIT_MAILBOX_OFF_FAULT_EXPECTED(MAILBOX)
        sd      t0, GODWIT_MAILBOX_OFF_FAULT_FOUND(MAILBOX)
        fence   w, w
        li      t0, GODWIT_STATE_FAULT
        sw      t0, GODWIT_MAILBOX_OFF_STATE(MAILBOX)
        li      a0, GODWIT_CONSOLE_FAULT
        jal     print

        /* For good: no interrupt is enabled. */
halt:
        wfi
        j       halt

        /* Prints the character in a0. */
print:
        lbu     t0, UART_LSR(UART_BASE)
        andi    t0, t0, UART_LSR_THRE
        beqz    t0, print
        sb      a0, UART_THR(UART_BASE)
        ret

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
