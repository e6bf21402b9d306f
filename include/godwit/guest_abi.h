/*
 * The guest ABI: everything that a Godwit guest and its launcher must agree on, defined once.
 *
 * C, the GNU assembler (through the C preprocessor) and nasm (through build/guest/guest_abi.inc,
 * which mk/guest.mk generates from the macros below) all read this file. Outside the C-only part at
 * the end it therefore contains only integer macros without suffixes. docs/guest-abi.md describes
 * the same interface in prose.
 *
 * Each architecture adds one number, GODWIT_RAM_BASE: the guest-physical address at which its RAM
 * starts, set in the architecture's arch.mk. The _OFFSET addresses below are relative to it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_GUEST_ABI_H
#define GODWIT_GUEST_ABI_H

/* Increases when a field moves, disappears or changes meaning. A launcher refuses any version but
 * its own. */
#define GODWIT_ABI_VERSION 2

/*
 * Console. The guest writes only these three characters.
 *   READY  once per start, when the window is ready. At a cold start that is after the guest has
 *          set the first byte of every page; after a wake-up from suspend it is immediately,
 *          with memory untouched.
 *   PASS   after every passes_per_report passes.
 *   FAULT  when the guest finds a wrong byte. It has written a fault record to the mailbox, and
 *          halts.
 */
#define GODWIT_CONSOLE_READY 0x41
#define GODWIT_CONSOLE_PASS  0x42
#define GODWIT_CONSOLE_FAULT 0x58

/*
 * Defaults of the parameter block. The window extends from 1 MiB to 100 MiB above the start of RAM.
 * The guest walks it in steps of 4 KiB, the smallest migration page size of all architectures.
 */
#define GODWIT_WINDOW_OFFSET     0x00100000
#define GODWIT_WINDOW_END_OFFSET 0x06400000
#define GODWIT_PAGE_SIZE         0x1000
#define GODWIT_PASSES_PER_REPORT 8

/*
 * The `order` workload. The guest clears the first byte of every page at a cold start. Each pass
 * then adds one (modulo 256) to the first byte of each page, in ascending order. The guest writes
 * only one other byte of the window: the byte at SUSPENDED_OFFSET is 0 at a cold start, and the
 * guest sets it to 1 just before it suspends itself.
 *
 * With STAGGER, the first byte of page number N starts at N * STAGGER_STEP / 256, rounded down and
 * modulo 256, instead of 0. So each pass turns some pages from data to zero and others from zero to
 * data. The step is a little more than 256/256, so that pages whose distance is a power of two (up
 * to 32768 pages) differ, and the pages that are zero at one time have different places in the
 * 64-bit words of a dirty bitmap. With several CPUs, N counts the pages of one CPU.
 */
#define GODWIT_SUSPENDED_OFFSET 4
#define GODWIT_STAGGER_STEP     257

/*
 * Parameter block. Every image contains one at the exported symbol godwit_params, 8-byte aligned,
 * with all fields in guest byte order; the magic shows which order that is. A launcher may edit the
 * block in the image before it starts the guest. The unedited block works too.
 */
#define GODWIT_PARAMS_MAGIC 0x47445754 /* "GDWT" */

#define GODWIT_PARAMS_OFF_MAGIC             0  /* u32: GODWIT_PARAMS_MAGIC */
#define GODWIT_PARAMS_OFF_VERSION           4  /* u32: GODWIT_ABI_VERSION */
#define GODWIT_PARAMS_OFF_WINDOW_START      8  /* u64: first byte of the window, guest-physical */
#define GODWIT_PARAMS_OFF_WINDOW_END        16 /* u64: first byte after it; whole pages */
#define GODWIT_PARAMS_OFF_PAGE_SIZE         24 /* u32: bytes from one page to the next; 8 or more */
#define GODWIT_PARAMS_OFF_PASSES_PER_REPORT 28 /* u32: passes per PASS; 0 means 2^32 */
#define GODWIT_PARAMS_OFF_FLAGS             32 /* u32: GODWIT_FLAG_* */
#define GODWIT_PARAMS_OFF_PAGE_TICKS        36 /* u32: see below */
#define GODWIT_PARAMS_OFF_SEED              40 /* u64: seed of the words that `stamp` writes */
#define GODWIT_PARAMS_SIZE                  48

/*
 * page_ticks: the minimum number of timer ticks between the increments of two successive pages.
 * The timer is the one in the mailbox. A launcher uses page_ticks to set a dirty rate; 0 means that
 * the guest does not wait.
 */

/*
 * Flags.
 *   SUSPEND  after the first PASS, set the suspended byte and suspend to RAM (ACPI S3). After the
 *            wake-up, write READY again and continue with the next pass; do not suspend again.
 *            x86 only: the other machines have no S3 and ignore the flag.
 *   VERIFY   before each increment, compare the byte with the value that follows from the pass
 *            counter, which is kept in a register. If they differ, fill in the fault record, write
 *            FAULT and halt.
 *   IDENTIFY keep the identity table; see below. Not every image has it.
 *   STAGGER  with `order`, start each page with another first byte; see above
 *   STAMP    run the workload `stamp` instead of `order`; see below. Not every image has it.
 *   SPARSE, ZERO, MIXED
 *            contents that `stamp` writes: parts of pages, some all-zero pages, or some pages in
 *            each pass, with some of them all-zero. At most one of the three.
 *   STRIDE, RANDOM  order in which `stamp` visits the pages, instead of ascending. At most one.
 * The second byte of the field is the number of CPUs that share the work, not counting the first.
 */
#define GODWIT_FLAG_SUSPEND      1
#define GODWIT_FLAG_VERIFY       2
#define GODWIT_FLAG_IDENTIFY     4
#define GODWIT_FLAG_STAGGER      8
#define GODWIT_FLAG_STAMP        0x10000
#define GODWIT_FLAG_SPARSE       0x20000
#define GODWIT_FLAG_ZERO         0x40000
#define GODWIT_FLAG_MIXED        0x60000
#define GODWIT_FLAG_CONTENT_MASK 0x60000
#define GODWIT_FLAG_STRIDE       0x80000
#define GODWIT_FLAG_RANDOM       0x100000
#define GODWIT_FLAG_ORDER_MASK   0x180000
#define GODWIT_FLAGS_MORE_SHIFT  8
#define GODWIT_FLAGS_MORE_MASK   0xff00

/*
 * The `stamp` workload fills whole pages with words that identify their page, their index in it and
 * the pass that wrote them; stamp.h defines them. The page size is a power of two, at least 512.
 * The window starts at a multiple of the page size, and pages are numbered from its start.
 *
 * At a cold start the guest fills the window with generation 0. Each pass writes the next
 * generation page by page, in the order that the flags select. For each page the guest waits
 * (page_ticks), checks the whole page (VERIFY), writes it word by word in ascending order (with
 * MIXED, only if the page is due), and then stores timer and position as `order` does; position is
 * the address of the next page in the selected order. After the last page it does what `order`
 * does.
 *
 * For `stamp`, page_ticks is a rate: a guest that fell behind catches up, by at most
 * GODWIT_STAMP_BACKLOG pages.
 *
 * Registers: from READY on, the unused CPU registers hold patterns, which the guest checks after
 * every pass. docs/guest-abi.md lists them for each architecture.
 */
#define GODWIT_STAMP_BACKLOG 16384

/*
 * Several CPUs. With N CPUs, CPU n owns the pages n, n + N, n + 2 N ... of the window, its stripe.
 * It walks them as a single CPU walks all pages: from address window_start + n * page_size in steps
 * of N * page_size to the end of the stripe, which is the first of these addresses that is not
 * below window_end. Every stripe has the same number of pages. Each CPU waits, counts passes and
 * checks independently, and has its own mailbox.
 *
 * CPU 0 clears the window and all mailboxes, starts the other CPUs, and waits until each of them
 * has set up its mailbox. It then sets up its own and writes READY. The other CPUs write nothing to
 * the console but FAULT. A CPU that finds a wrong byte halts; the others continue. SUSPEND requires
 * a single CPU.
 *
 * The machine must have enough CPUs. Not every image can start more than one; see
 * docs/guest-abi.md.
 */
#define GODWIT_MAX_CPUS 64

/*
 * Mailbox: the guest's progress, in a page of RAM outside the window at the exported symbol
 * godwit_mailbox, with all fields in guest byte order.
 *
 * For each page, the guest does the following in this order: wait for page_ticks, check (VERIFY),
 * increment the byte, store timer, store the address of the next page in position. After the last
 * page, when position == window_end, it increments passes, writes PASS if one is due, and stores
 * window_start in position. Wherever the guest is stopped, its memory is therefore never behind the
 * mailbox, and ahead of it by at most one increment.
 *
 * The mailbox of CPU n is at offset n * MAILBOX_STRIDE in that page; the first page and the end of
 * its stripe take the place of window_start and window_end. The guest may use the bytes between two
 * mailboxes.
 */
#define GODWIT_MAILBOX_OFFSET 0x10000    /* from the start of RAM */
#define GODWIT_MAILBOX_MAGIC  0x47444d42 /* "GDMB"; the last field to be set up */

#define GODWIT_MAILBOX_OFF_MAGIC          0  /* u32 */
#define GODWIT_MAILBOX_OFF_STATE          4  /* u32: GODWIT_STATE_* */
#define GODWIT_MAILBOX_OFF_PASSES         8  /* u64: complete passes since the cold start */
#define GODWIT_MAILBOX_OFF_POSITION       16 /* u64: address of the next page to increment */
#define GODWIT_MAILBOX_OFF_TIMER          24 /* u64: timer, read after the last increment */
#define GODWIT_MAILBOX_OFF_FAULT_ADDRESS  32 /* u64: where the wrong byte was */
#define GODWIT_MAILBOX_OFF_FAULT_EXPECTED 40 /* u64: the value it should have had */
#define GODWIT_MAILBOX_OFF_FAULT_FOUND    48 /* u64: the value it had */
#define GODWIT_MAILBOX_SIZE               56
#define GODWIT_MAILBOX_STRIDE             64 /* from one CPU's to the next */

/*
 * Stacks of `stamp`: one for each CPU, in order of CPU number, filling whole pages. Each page
 * begins with code; workload/workload.h explains why. They are private to the guest.
 */
#define GODWIT_STACK_OFFSET 0x30000 /* from the start of RAM */
#define GODWIT_STACK_SIZE   512     /* of one; GODWIT_MAX_CPUS stacks fill 8 pages of 4 KiB */

/*
 * Identity table: what the guest's first CPU reads in its own identification registers, in RAM at
 * the exported symbol godwit_identity, in guest byte order. Only an image with this symbol has it,
 * and only with IDENTIFY.
 *
 * At a cold start, before READY, the guest chooses the registers that its CPU has, reads each, and
 * stores the value twice, as `start` and as `last`. At the end of each pass, before it counts the
 * pass, it reads each of them again, and stores a value that differs from `start` as `last`. It
 * stores nothing else there, so `last` shows any change for ever, and the table is rarely written.
 *
 * After a migration, all registers have been read on the destination once the guest has counted
 * two passes there. The first of the two may have been counted just after a reading on the source.
 *
 * The selector says which register an entry is of. Its encoding is the architecture's own:
 * docs/guest-abi.md. The guest may use the rest of the room, up to IDENTITY_ROOM, for itself.
 */
#define GODWIT_IDENTITY_OFFSET 0x40000    /* from the start of RAM */
#define GODWIT_IDENTITY_ROOM   0x8000     /* bytes */
#define GODWIT_IDENTITY_MAGIC  0x47444944 /* "GDID"; the last field to be set up */
#define GODWIT_IDENTITY_MAX    1024       /* entries */

#define GODWIT_IDENTITY_OFF_MAGIC    0  /* u32 */
#define GODWIT_IDENTITY_OFF_COUNT    4  /* u32: number of entries */
#define GODWIT_IDENTITY_OFF_ENTRIES  8  /* the first entry */
#define GODWIT_IDENTITY_OFF_SELECTOR 0  /* u64, in an entry: the register; not 0 */
#define GODWIT_IDENTITY_OFF_START    8  /* u64, in an entry: its value at the cold start */
#define GODWIT_IDENTITY_OFF_LAST     16 /* u64, in an entry: the latest value other than that */
#define GODWIT_IDENTITY_ENTRY_SIZE   24

#define GODWIT_STATE_RUNNING   1 /* set just before READY */
#define GODWIT_STATE_SUSPENDED 2 /* from just before the suspend request until the wake-up */
#define GODWIT_STATE_FAULT     3 /* the fault record is complete; the guest halts */

/* Used by `stamp` only. Like FAULT, but the fault record does not describe memory. */
#define GODWIT_STATE_FAULT_REGISTER 4 /* fault_address: register number; docs/guest-abi.md */
#define GODWIT_STATE_FAULT_TIMER    5 /* went back, from fault_expected to fault_found */

#if !defined(__ASSEMBLER__) && !defined(GODWIT_ABI_MACROS_ONLY)

#include <stddef.h>
#include <stdint.h>

/* The parameter block. Values are in guest byte order. */
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

/* The mailbox. Values are in guest byte order. */
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

/* An entry of the identity table. Values are in guest byte order. */
struct godwit_identity_entry {
    uint64_t selector;
    uint64_t start;
    uint64_t last;
};

/* The head of the identity table; the entries follow. Values are in guest byte order. */
struct godwit_identity {
    uint32_t magic;
    uint32_t count;
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
GODWIT_ABI_CHECK(identity_last,
                 offsetof(struct godwit_identity_entry, last) == GODWIT_IDENTITY_OFF_LAST);
GODWIT_ABI_CHECK(identity_entry_size,
                 sizeof(struct godwit_identity_entry) == GODWIT_IDENTITY_ENTRY_SIZE);
GODWIT_ABI_CHECK(identity_entries, sizeof(struct godwit_identity) == GODWIT_IDENTITY_OFF_ENTRIES);
GODWIT_ABI_CHECK(identity_room,
                 GODWIT_IDENTITY_OFF_ENTRIES + GODWIT_IDENTITY_MAX * GODWIT_IDENTITY_ENTRY_SIZE <=
                     GODWIT_IDENTITY_ROOM);

#endif /* C */
#endif /* GODWIT_GUEST_ABI_H */
