/*
 * Judges a guest by its migration stream alone: the RAM in the stream has the workload's
 * parameters, its mailboxes and its window.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_VERIFY_H
#define GODWIT_HARNESS_ORACLE_VERIFY_H

#include "godwit/guest_abi.h"
#include "godwit/page_order.h"
#include "stream/memory.h"
#include "testbed/testbed.h"

/* The guest in a stream. The arrays have one valid element for each CPU of the guest. */
struct godwit_stream_guest {
    const struct godwit_stream_memory_block *ram; /* the block with window and mailboxes */
    uint64_t ram_base;                            /* guest-physical address of its first byte */
    uint64_t window_offset;                       /* offset of the window in it */
    bool big_endian;
    struct godwit_workload workload;
    struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
    struct godwit_page_order_result order[GODWIT_MAX_CPUS]; /* `order` only */
    uint32_t stamped; /* `stamp`: pages of the window, all correct; 0: the workload is `order` */
};

/*
 * Finds the guest in MEMORY, fills in GUEST, and checks its window: page order or stamp, and that
 * the mailboxes are from the same instant. MACHINE is the guest's machine; with NULL, the window's
 * addresses determine it. Fails with ORACLE if a check fails, with STREAM if the stream does not
 * contain such a guest, and with USAGE if several machines fit or MACHINE does not.
 */
bool godwit_stream_verify(const struct godwit_stream_memory *memory,
                          const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                          GError **error);

#endif
