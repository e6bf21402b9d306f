/*
 * The stamp oracle: checks that every byte of a stopped guest's window is what its `stamp` workload
 * has written there, according to its mailboxes. godwit/stamp.h defines what is correct. This
 * module feeds it a window that comes in pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STAMP_H
#define GODWIT_HARNESS_ORACLE_STAMP_H

#include "godwit/stamp.h"
#include "oracle/pages.h"
#include "testbed/testbed.h"

/* A walk over a window, from its start to its end. All but the result is private. */
struct godwit_stamp_walk {
    struct godwit_stamp stamp;
    uint64_t start;
    bool big_endian, halves;
    struct godwit_stamp_account account[GODWIT_MAX_CPUS];
    uint64_t generation[GODWIT_MAX_CPUS]; /* of a CPU's pages between two passes ... */
    bool between[GODWIT_MAX_CPUS];        /* ... if a page has shown it */
    unsigned char *partial;               /* a page of which a part has come; owned */
    size_t have;                          /* bytes of that part */
    uint32_t page;                        /* number of the next page */

    /* The result: */
    uint32_t wrong;                    /* number of wrong pages */
    uint32_t torn;                     /* number of correct pages that are half written */
    uint32_t first_page;               /* the first wrong page ... */
    struct godwit_stamp_finding first; /* ... and what is wrong with it */
};

/*
 * Begins a walk over the window of WORKLOAD. MAILBOX has the mailbox of each CPU. With HALVES, the
 * guest stores a word in two halves. Returns NULL, or what is wrong with a mailbox if no guest can
 * have written it. The caller frees that, and ends the walk in any case.
 */
char *godwit_stamp_walk_begin(struct godwit_stamp_walk *walk,
                              const struct godwit_workload *workload, bool big_endian, bool halves,
                              const struct godwit_mailbox *mailbox);

/* Takes the window's next LENGTH bytes. */
void godwit_stamp_walk_feed(struct godwit_stamp_walk *walk, const unsigned char *bytes,
                            size_t length);

/* Ends a walk. Returns NULL if the whole window was walked and is correct, otherwise what is wrong.
 * The caller frees that. */
char *godwit_stamp_walk_end(struct godwit_stamp_walk *walk);

/* How well a guest with page_ticks keeps its rate. */
enum godwit_stamp_pace {
    GODWIT_STAMP_AHEAD,  /* it has written more pages than it may */
    GODWIT_STAMP_BEHIND, /* over 10 % fewer pages than its rate allows */
    GODWIT_STAMP_KEPT,
    GODWIT_STAMP_CATCHING_UP, /* over 10 % more pages: it makes up for a delay before */
};

/*
 * Judges the pace of a guest between two samples, by its own timer: at EARLY ticks it had written
 * BEFORE pages since its start, at LATE ticks AFTER pages. It may write one page right at its
 * start. It can only make up for pages that were due since its machine's timer began to count.
 */
enum godwit_stamp_pace godwit_stamp_pace(uint32_t page_ticks, uint64_t before, uint64_t early,
                                         uint64_t after, uint64_t late);

/*
 * Classifies page number PAGE of the window, which contains BYTES, by the account of its CPU. If
 * the page is wrong, sets *TEXT to a description, which the caller frees; otherwise to NULL. With
 * THOROUGH, searches the whole window for the origin of an unexpected word, which takes long: see
 * godwit_stamp_identify().
 */
struct godwit_page_verdict godwit_stamp_classify(const struct godwit_setup *setup, uint32_t page,
                                                 const unsigned char *bytes,
                                                 const struct godwit_stamp_account *account,
                                                 bool thorough, char **text);

#endif
