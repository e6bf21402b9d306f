/*
 * Shared by ahead.c, map.c, memory.c and write.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEMORY_MEMORY_PARTS_H
#define GODWIT_HARNESS_MEMORY_MEMORY_PARTS_H

#include "memory/memory.h"

/* The format of an address. */
#define HEX "0x%" G_GINT64_MODIFIER "x"

/* Ranges with fewer bytes than this are read without checking whether the guest ever wrote to
 * them. */
#define UNTOUCHED_LEAST ((size_t)64 << 10)

/* Returns the piece that contains the LENGTH bytes at OFFSET of BLOCK, or NULL if the guest does
 * not see them in one piece. */
const struct godwit_piece *godwit_memory_piece(const struct godwit_vm *vm,
                                               const struct godwit_block *block, uint64_t offset,
                                               uint64_t length);

/* Returns whether process_vm_readv(2) reads the LENGTH bytes at OFFSET of BLOCK: they are readable,
 * here, not in a copy, and not known to be zero without a read. */
bool godwit_memory_is_direct(struct godwit_vm *vm, const struct godwit_block *block,
                             uint64_t offset, uint64_t length);

#endif
