/*
 * The stamp oracle: whether every byte of a stopped guest's window is what its `stamp` workload has
 * written there, by the account that its mailboxes give. What it checks is godwit/stamp.h's; here
 * the window comes by in pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STAMP_H
#define GODWIT_HARNESS_ORACLE_STAMP_H

#include "godwit/stamp.h"
#include "oracle/pages.h"
#include "testbed/testbed.h"

/* A walk over a window, from its start to its end. Private, but for what is said to be the result.
 */
struct godwit_stamp_walk {
    struct godwit_stamp stamp;
    uint64_t start;
    bool big_endian, halves;
    struct godwit_stamp_account account[GODWIT_MAX_CPUS];
    uint64_t generation[GODWIT_MAX_CPUS]; /* of a CPU's pages, where all are of one */
    unsigned char *partial;               /* a page that came in pieces; owned */
    size_t have;                          /* bytes of it */
    uint32_t page;                        /* the one that comes next */

    /* The result: */
    uint32_t wrong;      /* pages */
    uint32_t torn;       /* pages that are right, and in the middle of being written */
    uint32_t first_page; /* the lowest wrong one ... */
    struct godwit_stamp_finding first; /* ... and what is wrong with it */
};

/*
 * Begins a walk over the window of WORKLOAD, on a machine with IMAGE; MAILBOX is of each of its
 * CPUs. Returns NULL, or, if a mailbox can be of no guest, what is wrong with it: the caller's.
 */
char *godwit_stamp_walk_begin(struct godwit_stamp_walk *walk,
                              const struct godwit_workload *workload, bool big_endian, bool halves,
                              const struct godwit_mailbox *mailbox);

/* Takes the window's next LENGTH bytes. */
void godwit_stamp_walk_feed(struct godwit_stamp_walk *walk, const unsigned char *bytes,
                            size_t length);

/* Ends a walk over the whole window. Returns NULL, or what is wrong: the caller's. */
char *godwit_stamp_walk_end(struct godwit_stamp_walk *walk);

/* How a guest with page_ticks keeps to its rate. */
enum godwit_stamp_pace {
    GODWIT_STAMP_AHEAD,  /* it has written more pages than it may have */
    GODWIT_STAMP_BEHIND, /* more than 10 % fewer than it could have */
    GODWIT_STAMP_KEPT,
    GODWIT_STAMP_CATCHING_UP, /* more than 10 % more: it makes up for what it could not do before */
};

/*
 * Judges the pace of a guest between two looks, by its own timer: when it was at EARLY it had
 * written BEFORE pages since its start, at LATE AFTER pages. One page may be written at the start.
 * A guest can only make up for pages that were due since its machine's timer began to count.
 */
enum godwit_stamp_pace godwit_stamp_pace(uint32_t page_ticks, uint64_t before, uint64_t early,
                                         uint64_t after, uint64_t late);

/*
 * Tells what PAGE of the window, which has BYTES, really is, by the account of the CPU that it is
 * of. If it is not right, *TEXT says what it is, in words: the caller's. THOROUGH looks for a
 * foreign word in every place of the window, see godwit_stamp_identify().
 */
struct godwit_page_verdict godwit_stamp_classify(const struct godwit_setup *setup, uint32_t page,
                                                 const unsigned char *bytes,
                                                 const struct godwit_stamp_account *account,
                                                 bool thorough, char **text);

#endif
