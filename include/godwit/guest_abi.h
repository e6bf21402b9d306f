/*
 * The guest ABI: everything a Godwit guest and its launcher have to agree on, written once.
 *
 * Three readers share this file: C, the GNU assembler (through the C preprocessor) and nasm
 * (through build/guest/guest_abi.inc, which mk/guest.mk makes from the macros below). It therefore
 * holds nothing but integer macros without suffixes outside the C-only part. docs/guest-abi.md
 * tells the same story in prose.
 *
 * Each architecture adds exactly one number, GODWIT_RAM_BASE, the guest-physical address at which
 * its RAM starts; it comes from the architecture's arch.mk. All addresses below are relative to
 * that.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_GUEST_ABI_H
#define GODWIT_GUEST_ABI_H

/* Goes up when a field moves, goes away or changes its meaning; a launcher refuses others. */
#define GODWIT_ABI_VERSION 2

/*
 * Console. The guest writes these three characters and nothing else, ever.
 *   READY  once per start, when the window is ready: at a cold start after the first byte of every
 *          page has been cleared; after a wake-up from suspend at once, memory untouched.
 *   PASS   after every passes_per_report passes.
 *   FAULT  when the guest itself finds a wrong byte; the record is in the mailbox, the guest halts.
 */
#define GODWIT_CONSOLE_READY 0x41
#define GODWIT_CONSOLE_PASS  0x42
#define GODWIT_CONSOLE_FAULT 0x58

/*
 * Defaults of the parameter block: a window from 1 MiB to 100 MiB above the start of RAM, walked
 * in steps of 4 KiB (the smallest page that any of the five architectures migrates by).
 */
#define GODWIT_WINDOW_OFFSET     0x00100000
#define GODWIT_WINDOW_END_OFFSET 0x06400000
#define GODWIT_PAGE_SIZE         0x1000
#define GODWIT_PASSES_PER_REPORT 8

/*
 * The `order` workload. After the cold-start clearing, every pass adds one (modulo 256) to the
 * first byte of each page, from the window's start upwards. No other byte of the window is ever
 * written, but one: the byte SUSPENDED_OFFSET bytes into the window is 0 at a cold start and is
 * set to 1 just before the guest suspends itself.
 */
#define GODWIT_SUSPENDED_OFFSET 4

/*
 * Parameter block: inside every image, at the exported symbol godwit_params, 8-byte aligned, all
 * fields in the guest's own byte order (so the magic tells which that is). A launcher changes it
 * in the image before the guest starts; an untouched block works.
 */
#define GODWIT_PARAMS_MAGIC 0x47445754 /* "GDWT" */

#define GODWIT_PARAMS_OFF_MAGIC             0  /* u32: GODWIT_PARAMS_MAGIC */
#define GODWIT_PARAMS_OFF_VERSION           4  /* u32: GODWIT_ABI_VERSION */
#define GODWIT_PARAMS_OFF_WINDOW_START      8  /* u64: first byte of the window, guest-physical */
#define GODWIT_PARAMS_OFF_WINDOW_END        16 /* u64: first byte after it; whole pages */
#define GODWIT_PARAMS_OFF_PAGE_SIZE         24 /* u32: bytes from one page to the next; 8 or more */
#define GODWIT_PARAMS_OFF_PASSES_PER_REPORT 28 /* u32: passes per PASS; 0 stands for 2^32 */
#define GODWIT_PARAMS_OFF_FLAGS             32 /* u32: GODWIT_FLAG_* */
#define GODWIT_PARAMS_OFF_PAGE_TICKS        36 /* u32: see below */
#define GODWIT_PARAMS_OFF_SEED              40 /* u64: what `stamp` fills the window with */
#define GODWIT_PARAMS_SIZE                  48

/*
 * page_ticks: the least number of guest timer ticks (the timer is the mailbox's) between the
 * increments of two successive pages, by which a launcher chooses a dirty rate. 0: no waiting.
 */

/*
 * Flags.
 *   SUSPEND  after the first PASS, set the suspended byte and suspend to RAM (ACPI S3); after the
 *            wake-up write READY again and go on with the next pass, without suspending again.
 *            x86 only; the other machines have no S3 and ignore it.
 *   VERIFY   before each increment, compare the byte with the value that the pass counter, kept
 *            in a register, demands; on a difference write FAULT, fill in the fault record, halt.
 *   STAMP    the workload is `stamp`, not `order`: see below. Not every image has it.
 *   SPARSE, ZERO    what `stamp` writes: parts of pages, or zero pages in between (one or none)
 *   STRIDE, RANDOM  in which order `stamp` takes the pages, if not upwards (one or none)
 * The field's second byte is a number: how many CPUs share the work beside the first one.
 */
#define GODWIT_FLAG_SUSPEND      1
#define GODWIT_FLAG_VERIFY       2
#define GODWIT_FLAG_STAMP        0x10000
#define GODWIT_FLAG_SPARSE       0x20000
#define GODWIT_FLAG_ZERO         0x40000
#define GODWIT_FLAG_CONTENT_MASK 0x60000
#define GODWIT_FLAG_STRIDE       0x80000
#define GODWIT_FLAG_RANDOM       0x100000
#define GODWIT_FLAG_ORDER_MASK   0x180000
#define GODWIT_FLAGS_MORE_SHIFT  8
#define GODWIT_FLAGS_MORE_MASK   0xff00

/*
 * The `stamp` workload fills whole pages with words that tell their page, their place in it and the
 * pass they are of; what exactly, stamp.h says. The page size is a power of two, 512 or more; the
 * window begins at a multiple of it; pages are numbered from the window's start.
 *
 * At a cold start the window is filled with generation 0. A pass writes the next one, page by page,
 * in the order of the flags. For each page: wait (page_ticks), check the whole page (VERIFY), write
 * it, word by word upwards, then timer and position as below, position being the address of the
 * page that comes next in that order. What follows a pass is the same, too.
 *
 * page_ticks is a rate here: who was kept from writing in time makes up for it, up to
 * GODWIT_STAMP_BACKLOG pages.
 *
 * Registers: from READY on, the CPUs' registers that are free hold patterns, which are checked
 * after every pass. docs/guest-abi.md says which on each architecture.
 */
#define GODWIT_STAMP_BACKLOG 16384

/*
 * Several CPUs. Of N, CPU n walks the pages n, n + N, n + 2 N ... of the window, its stripe,
 * exactly as a single CPU walks all: from address window_start + n * page_size upwards in steps of
 * N * page_size, up to the stripe's end, the first of these addresses that is not below window_end.
 * The window holds the same number of pages for each. Each CPU waits, counts its passes, checks and
 * has a mailbox by itself; none waits for another.
 *
 * CPU 0 clears the window and all mailboxes, starts the others, and waits until each of them has
 * set up its mailbox; then it does so with its own, and writes READY. Of the others only FAULT is
 * ever seen on the console. A CPU that finds a wrong byte halts alone. SUSPEND is for one CPU.
 *
 * The machine must have the CPUs. Not every image can start more than one: docs/guest-abi.md.
 */
#define GODWIT_MAX_CPUS 64

/*
 * Mailbox: one page of RAM outside the window, at the exported symbol godwit_mailbox, kept current
 * by the guest, fields in the guest's own byte order.
 *
 * For each page in this order: wait for page_ticks, check (VERIFY), increment the byte, store
 * timer, store position = address of the next page. After the last page, when position ==
 * window_end: passes is raised, PASS is written if it is due, then position = window_start is
 * stored. So, in a guest stopped anywhere, memory is never behind the mailbox, and is ahead of it
 * by one increment at most.
 *
 * CPU n's mailbox is n times MAILBOX_STRIDE further on in that page; its stripe's first page and
 * end stand for window_start and window_end. The bytes from one mailbox to the next are the guest's
 * own.
 */
#define GODWIT_MAILBOX_OFFSET 0x10000    /* from the start of RAM */
#define GODWIT_MAILBOX_MAGIC  0x47444d42 /* "GDMB", stored last when the mailbox is set up */

#define GODWIT_MAILBOX_OFF_MAGIC          0  /* u32 */
#define GODWIT_MAILBOX_OFF_STATE          4  /* u32: GODWIT_STATE_* */
#define GODWIT_MAILBOX_OFF_PASSES         8  /* u64: whole passes since the cold start */
#define GODWIT_MAILBOX_OFF_POSITION       16 /* u64: address of the page to be incremented next */
#define GODWIT_MAILBOX_OFF_TIMER          24 /* u64: timer, read after the latest increment */
#define GODWIT_MAILBOX_OFF_FAULT_ADDRESS  32 /* u64: where the wrong byte was */
#define GODWIT_MAILBOX_OFF_FAULT_EXPECTED 40 /* u64: what it should have been */
#define GODWIT_MAILBOX_OFF_FAULT_FOUND    48 /* u64: what it was */
#define GODWIT_MAILBOX_SIZE               56
#define GODWIT_MAILBOX_STRIDE             64 /* from one CPU's to the next one's */

/*
 * Stacks of `stamp`: one for each CPU, one after the other from CPU 0's on, whole pages of them.
 * Each page begins with code, workload/workload.h says why. Nothing reads them from outside.
 */
#define GODWIT_STACK_OFFSET 0x30000 /* from the start of RAM */
#define GODWIT_STACK_SIZE   512     /* of one; GODWIT_MAX_CPUS of them are 8 pages of 4 KiB */

#define GODWIT_STATE_RUNNING   1 /* from just before READY */
#define GODWIT_STATE_SUSPENDED 2 /* from just before the suspend request until the wake-up */
#define GODWIT_STATE_FAULT     3 /* the fault record is complete; the guest has halted */

/* Of `stamp` only, and as FAULT; the fault record is about something else than memory. */
#define GODWIT_STATE_FAULT_REGISTER 4 /* fault_address: its number, docs/guest-abi.md */
#define GODWIT_STATE_FAULT_TIMER    5 /* it went back: from fault_expected to fault_found */

#if !defined(__ASSEMBLER__) && !defined(GODWIT_ABI_MACROS_ONLY)

#include <stddef.h>
#include <stdint.h>

/* The parameter block as C sees it. Values are in guest byte order. */
struct godwit_params {
    uint32_t magic;
    uint32_t version;
    uint64_t window_start;
    uint64_t window_end;
    uint32_t page_size;
    uint32_t passes_per_report;
    uint32_t flags;
    uint32_t page_ticks;
    uint64_t seed;
};

/* The mailbox as C sees it. Values are in guest byte order. */
struct godwit_mailbox {
    uint32_t magic;
    uint32_t state;
    uint64_t passes;
    uint64_t position;
    uint64_t timer;
    uint64_t fault_address;
    uint64_t fault_expected;
    uint64_t fault_found;
};

/* A compile-time check that works in C99, C11 and C++ alike: a negative array size is an error. */
#define GODWIT_ABI_CHECK(name, condition) typedef char godwit_abi_check_##name[(condition) ? 1 : -1]

GODWIT_ABI_CHECK(window_end,
                 offsetof(struct godwit_params, window_end) == GODWIT_PARAMS_OFF_WINDOW_END);
GODWIT_ABI_CHECK(page_ticks,
                 offsetof(struct godwit_params, page_ticks) == GODWIT_PARAMS_OFF_PAGE_TICKS);
GODWIT_ABI_CHECK(seed, offsetof(struct godwit_params, seed) == GODWIT_PARAMS_OFF_SEED);
GODWIT_ABI_CHECK(params_size, sizeof(struct godwit_params) == GODWIT_PARAMS_SIZE);
GODWIT_ABI_CHECK(position,
                 offsetof(struct godwit_mailbox, position) == GODWIT_MAILBOX_OFF_POSITION);
GODWIT_ABI_CHECK(mailbox_size, sizeof(struct godwit_mailbox) == GODWIT_MAILBOX_SIZE);

#endif /* C */
#endif /* GODWIT_GUEST_ABI_H */
