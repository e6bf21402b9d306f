/*
 * Judges a guest by its migration stream alone: the workload's parameters, its mailboxes and its
 * window are in the RAM that the stream carries.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_VERIFY_H
#define GODWIT_HARNESS_ORACLE_VERIFY_H

#include "godwit/guest_abi.h"
#include "godwit/page_order.h"
#include "stream/memory.h"
#include "testbed/testbed.h"

/* What was found. Of the arrays, as many are filled in as the guest has CPUs. */
struct godwit_stream_guest {
    const struct godwit_stream_memory_block *ram; /* the block with window and mailboxes */
    uint64_t ram_base;                            /* guest-physical address of its first byte */
    bool big_endian;
    struct godwit_workload workload;
    struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
    struct godwit_page_order_result order[GODWIT_MAX_CPUS]; /* of `order` */
    uint32_t stamped; /* pages that are as `stamp` has them; 0: it is `order` */
};

/*
 * Finds the guest in MEMORY, and checks that its window holds what its workload can have left
 * there: page order or stamp, and that the mailboxes are of the same instant. MACHINE is the one
 * that it is for; NULL: found by where the window is. An ORACLE error if that does not hold, a
 * STREAM one if the stream does not have it, a USAGE one if MACHINE is needed, or another.
 */
bool godwit_stream_verify(const struct godwit_stream_memory *memory,
                          const struct godwit_machine *machine, struct godwit_stream_guest *guest,
                          GError **error);

#endif
