/*
 * The identity table: guest_abi.h specifies it. ARCH/identify_arch.h reads the registers.
 *
 * The table is not written while nothing changes. A page that the guest writes over and over would
 * be lost by QEMU before 9.0 (workload.h), and would be one more dirty page in each iteration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "identify.h"

#include "workload.h"

/* ARCH/workload_arch.h does not need it; ARCH/identify_arch.h may. */
#include "identify_arch.h"

/* Returns the table of the CPU with MAILBOX, which is the first one. */
static inline volatile struct godwit_identity *table_of(const struct godwit_mailbox *mailbox)
{
    return (volatile struct godwit_identity *)((uintptr_t)mailbox - GODWIT_MAILBOX_OFFSET +
                                               GODWIT_IDENTITY_OFFSET);
}

static inline volatile struct godwit_identity_entry *
entries_of(volatile struct godwit_identity *table)
{
    return (volatile struct godwit_identity_entry *)(table + 1);
}

/* Returns what the architecture may write to while it reads a register: the last page of the
 * room. */
static inline void *scratch_of(volatile struct godwit_identity *table)
{
    return (void *)((uintptr_t)table + GODWIT_IDENTITY_ROOM - GODWIT_IDENTITY_SCRATCH);
}

void godwit_identify_start(const struct godwit_mailbox *mailbox)
{
    volatile struct godwit_identity *const table = table_of(mailbox);
    volatile struct godwit_identity_entry *entry = entries_of(table);
    uint32_t count = 0;
    arch_touch_stack();
    table->magic = 0; /* nobody must believe an old table */
    for (uint64_t selector = arch_identify_next(0); selector && count < GODWIT_IDENTITY_MAX;
         selector = arch_identify_next(selector)) {
        const uint64_t value = arch_identify_read(selector, scratch_of(table));
        entry->selector = selector;
        entry->start = value;
        entry->last = value;
        entry++;
        count++;
    }
    table->count = count;
    arch_publish();
    table->magic = GODWIT_IDENTITY_MAGIC;
}

void godwit_identify_again(const struct godwit_mailbox *mailbox)
{
    volatile struct godwit_identity *const table = table_of(mailbox);
    volatile struct godwit_identity_entry *entry = entries_of(table);
    arch_touch_stack();
    for (uint32_t left = table->count; left; left--) {
        const uint64_t value = arch_identify_read(entry->selector, scratch_of(table));
        if (value != entry->start)
            entry->last = value;
        entry++;
    }
}
