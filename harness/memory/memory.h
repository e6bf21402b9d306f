/*
 * The memory of a running or stopped guest, read from outside.
 *
 * RAM blocks and their place in QEMU's address space are asked of QEMU (`info ramblock`,
 * `info mtree -f`, `gpa2hva`); their bytes come by process_vm_readv(2), at memory speed, or, where
 * the system refuses that, by QMP's pmemsave into a file.
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
    uint64_t hva;    /* where it is in QEMU's address space; 0: this QEMU does not tell */
    bool private;    /* memory of QEMU's own: what was never written to is zero */
};

/* A piece of a RAM block that the guest sees, as RAM or ROM. */
struct godwit_piece {
    guint block;     /* index of the block */
    uint64_t gpa;    /* guest-physical address of its first byte */
    uint64_t offset; /* of that byte in the block */
    uint64_t length;
};

/* Asks for the RAM blocks unless they are known; vm->blocks and vm->pieces have them then. */
bool godwit_memory_map(struct godwit_vm *vm, GError **error);

/* Copies the RAM blocks, as far as they can be read. Whoever reads this vm's memory from now on
 * gets the copy: the QEMU may go. */
bool godwit_memory_keep(struct godwit_vm *vm, GError **error);

/* The same again, of LENGTH bytes at guest-physical address GPA only. */
bool godwit_memory_keep_again(struct godwit_vm *vm, uint64_t gpa, size_t length, GError **error);

/* Forgets the map, for one that may have changed: the next question asks QEMU again. */
void godwit_memory_forget(struct godwit_vm *vm);

/* The vm's RAM block of that name, or NULL. It must have been mapped. */
const struct godwit_block *godwit_memory_block(const struct godwit_vm *vm, const char *name);

/* The block that the guest sees at GPA, for LENGTH bytes in one piece, and the OFFSET in it. */
const struct godwit_block *godwit_memory_locate(struct godwit_vm *vm, uint64_t gpa, uint64_t length,
                                                uint64_t *offset, GError **error);

/* Reads LENGTH bytes at guest-physical address GPA, which must be all in one piece. */
bool godwit_memory_read(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                        GError **error);

/* The same where a postcopy may have yet to bring what is there: it is asked for, and waited for
 * with the main loop going round. */
bool godwit_memory_fetch(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                         GError **error);

/* Reads LENGTH bytes at OFFSET of a RAM block of this vm. */
bool godwit_memory_read_block(struct godwit_vm *vm, const struct godwit_block *block,
                              uint64_t offset, void *buffer, size_t length, GError **error);

/* Whether the block's bytes [OFFSET, OFFSET + LENGTH) can be read with what this QEMU tells. */
bool godwit_memory_readable(const struct godwit_vm *vm, const struct godwit_block *block,
                            uint64_t offset, uint64_t length);

/* Where the vm's QEMU has LENGTH bytes at guest-physical address GPA, for godwit_memory_peek();
 * *HVA is 0 if it does not tell, or the system does not let its memory be read from outside. */
bool godwit_memory_hva(struct godwit_vm *vm, uint64_t gpa, uint64_t length, uint64_t *hva,
                       GError **error);

/* Reads LENGTH bytes, none of them in another page than the first, at a place that
 * godwit_memory_hva() gave, while the guest may run. Asks QEMU nothing and waits for nothing: false
 * if they cannot be had at once, as those that a postcopy has yet to bring. */
bool godwit_memory_peek(struct godwit_vm *vm, uint64_t hva, void *buffer, size_t length);

/* Overwrites LENGTH bytes at guest-physical address GPA, to spoil a guest on purpose. Needs
 * process_vm_writev(2): a SKIP error where the system refuses it. */
bool godwit_memory_write(struct godwit_vm *vm, uint64_t gpa, const void *bytes, size_t length,
                         GError **error);

/*
 * Writes into each page of the window, beside the byte that `order` changes, the page's number and
 * more, so that no page is like another, and none is all zero when that byte comes round to zero: a
 * migration that is held back by its bandwidth would be through with zero pages at once. Done as
 * far as the system lets QEMU's memory be written.
 */
void godwit_memory_mark(struct godwit_vm *vm);

/* Whether the window's pages have been marked, in this VM or in the one that it was migrated from.
 */
bool godwit_memory_marked(struct godwit_vm *vm);

/* The mailbox of the guest's CPU of that number in the host's byte order; it may be running. */
bool godwit_memory_mailbox(struct godwit_vm *vm, unsigned cpu, struct godwit_mailbox *mailbox,
                           GError **error);

#endif
