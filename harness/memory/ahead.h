/*
 * A thread that reads the memory of one QEMU while the caller reads that of another: a comparison
 * takes as long as reading one side.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MEMORY_AHEAD_H
#define GODWIT_HARNESS_MEMORY_AHEAD_H

#include "memory/memory.h"

struct godwit_ahead;

/* Starts the thread. Returns what godwit_ahead_free() ends. */
struct godwit_ahead *godwit_ahead_new(void);

/*
 * Begins to read LENGTH bytes at OFFSET of the block into BUFFER, which nobody else may use until
 * godwit_ahead_finish(). Does nothing if they are not read by process_vm_readv(2), or need no
 * reading, or if AHEAD is NULL.
 */
void godwit_ahead_begin(struct godwit_ahead *ahead, struct godwit_vm *vm,
                        const struct godwit_block *block, uint64_t offset, void *buffer,
                        size_t length);

/* Waits for what was begun, if anything was. Returns true if all bytes were read. Otherwise
 * godwit_memory_read_block() finds out what is wrong. AHEAD may be NULL. */
bool godwit_ahead_finish(struct godwit_ahead *ahead);

/* Waits for what was begun, and ends the thread. AHEAD may be NULL. */
void godwit_ahead_free(struct godwit_ahead *ahead);

typedef struct godwit_ahead godwit_ahead;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_ahead, godwit_ahead_free)

#endif
