/*
 * The memory of a running or stopped guest, read from outside.
 *
 * QEMU reports the RAM blocks and their host addresses (`info ramblock`, `info mtree -f`,
 * `gpa2hva`). process_vm_readv(2) reads their bytes at memory speed. If the system refuses that,
 * QMP's pmemsave writes them into a file.
 *
 * Functions with an ERROR argument set it when they return false or NULL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEMORY_MEMORY_H
#define GODWIT_HARNESS_MEMORY_MEMORY_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/* A RAM block, as QEMU's migration knows it. */
struct godwit_block {
    char name[256];  /* "pc.ram" */
    uint64_t length; /* bytes in use */
    uint64_t offset; /* of its first byte in the list of all pages that QEMU's dirty bitmap has */
    uint64_t hva;    /* its address in QEMU's address space; 0: QEMU does not report it */
    bool private;    /* private anonymous memory of QEMU: zero where it was never written to */
};

/* A piece of a RAM block that the guest sees, as RAM or ROM. */
struct godwit_piece {
    guint block;     /* index of the block in vm->blocks */
    uint64_t gpa;    /* guest-physical address of its first byte */
    uint64_t offset; /* offset of that byte in the block */
    uint64_t length;
};

/* Fills vm->blocks and vm->pieces from QEMU, unless they are already filled. */
bool godwit_memory_map(struct godwit_vm *vm, GError **error);

/* Copies all RAM blocks, as far as they can be read. From then on, every read of this VM's memory
 * returns the copy, so its QEMU may go. */
bool godwit_memory_keep(struct godwit_vm *vm, GError **error);

/*
 * Returns a VM without a process, NAME in messages, that has a copy of all RAM of VM as far as it
 * can be read: what the memory of a stopped guest was, for a comparison after it has run on. Only
 * the functions that read memory, and the oracles that need nothing else, may be called for it. The
 * caller frees it with godwit_vm_free().
 */
struct godwit_vm *godwit_memory_remember(struct godwit_vm *vm, const char *name, GError **error);

/* Refreshes the copy of LENGTH bytes at guest-physical address GPA. */
bool godwit_memory_keep_again(struct godwit_vm *vm, uint64_t gpa, size_t length, GError **error);

/* Drops the map and the copies, after a change of the map. The next use asks QEMU again. */
void godwit_memory_forget(struct godwit_vm *vm);

/* Returns the VM's RAM block of that name, or NULL. The VM must have been mapped. */
const struct godwit_block *godwit_memory_block(const struct godwit_vm *vm, const char *name);

/* Returns the block that the guest sees at GPA, with LENGTH bytes in one piece, and their *OFFSET
 * in it. Returns NULL with ERROR set if there is none. */
const struct godwit_block *godwit_memory_locate(struct godwit_vm *vm, uint64_t gpa, uint64_t length,
                                                uint64_t *offset, GError **error);

/* A part of a range of guest-physical addresses: bytes that lie in one RAM block, in one piece. */
struct godwit_part {
    const struct godwit_block *block;
    uint64_t offset; /* offset of its first byte in the block ... */
    uint64_t at;     /* ... and in the range */
    uint64_t length;
};

/* Returns the parts of [GPA, GPA + LENGTH), of struct godwit_part, in ascending order; no block has
 * two of them. The caller frees it. Fails if not all of the range is RAM. */
GArray *godwit_memory_parts(struct godwit_vm *vm, uint64_t gpa, uint64_t length, GError **error);

/* Returns the parts of the guest's window. The caller frees it. */
GArray *godwit_memory_window(struct godwit_vm *vm, GError **error);

/* Returns the part that has OFFSET of BLOCK, or NULL. */
const struct godwit_part *godwit_memory_part(const GArray *parts, const struct godwit_block *block,
                                             uint64_t offset);

/* Reads LENGTH bytes at guest-physical address GPA, which must lie in one piece. */
bool godwit_memory_read(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                        GError **error);

/* Like godwit_memory_read(), for pages that a postcopy may not have brought yet: requests them, and
 * runs the main loop until they arrive. */
bool godwit_memory_fetch(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                         GError **error);

/* Reads LENGTH bytes at OFFSET of a RAM block of this VM. */
bool godwit_memory_read_block(struct godwit_vm *vm, const struct godwit_block *block,
                              uint64_t offset, void *buffer, size_t length, GError **error);

/* Likewise, bytes that probably are those of LIKELY: of a VM on another host only hashes come over,
 * unless they differ. */
bool godwit_memory_read_likely(struct godwit_vm *vm, const struct godwit_block *block,
                               uint64_t offset, const void *likely, void *buffer, size_t length,
                               GError **error);

/* Returns whether the block's bytes [OFFSET, OFFSET + LENGTH) can be read, given what this QEMU
 * reports. */
bool godwit_memory_readable(const struct godwit_vm *vm, const struct godwit_block *block,
                            uint64_t offset, uint64_t length);

/* Returns in *HVA the address of LENGTH bytes at guest-physical address GPA in QEMU, for
 * godwit_memory_peek(). *HVA is 0 if QEMU does not report it, or if the system forbids reading
 * QEMU's memory. */
bool godwit_memory_hva(struct godwit_vm *vm, uint64_t gpa, uint64_t length, uint64_t *hva,
                       GError **error);

/* Reads LENGTH bytes, all in one page, at an address that godwit_memory_hva() returned. The guest
 * may run. Never asks QEMU and never blocks. Returns false if the bytes are not present, such as
 * those that a postcopy has not brought yet. */
bool godwit_memory_peek(struct godwit_vm *vm, uint64_t hva, void *buffer, size_t length);

/* Overwrites LENGTH bytes at guest-physical address GPA, to corrupt a guest. Fails with SKIP if the
 * system refuses process_vm_writev(2). */
bool godwit_memory_write(struct godwit_vm *vm, uint64_t gpa, const void *bytes, size_t length,
                         GError **error);

/*
 * Writes a mark with the page's number into each page of the window, next to the byte that `order`
 * changes. So no two pages are alike, and none is all zero when that byte wraps to zero: a
 * throttled migration would complete at once if it could send zero pages. A staggered guest gets a
 * mark in one of four pages only: its other pages must become zero, a few at a time. Does nothing
 * if the system does not allow writes to QEMU's memory.
 */
void godwit_memory_mark(struct godwit_vm *vm);

/* Returns whether the pages of the window are marked, by this VM or by the one that it was migrated
 * from. */
bool godwit_memory_marked(struct godwit_vm *vm);

/* Reads the mailbox of the guest's CPU number CPU, converted to the host's byte order. The guest
 * may run. */
bool godwit_memory_mailbox(struct godwit_vm *vm, unsigned cpu, struct godwit_mailbox *mailbox,
                           GError **error);

#endif
