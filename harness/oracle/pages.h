/*
 * The pages that are wrong, and what each of them really is: evidence for a failure that an oracle
 * has found, not a judgement of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_PAGES_H
#define GODWIT_HARNESS_ORACLE_PAGES_H

#include "memory/memory.h"
#include "testbed/vm.h"

enum godwit_page_kind {
    GODWIT_PAGE_RIGHT,
    GODWIT_PAGE_STALE,     /* as it was some passes ago */
    GODWIT_PAGE_ZERO,      /* nothing but zeros, where there should be something */
    GODWIT_PAGE_MISPLACED, /* what another page holds */
    GODWIT_PAGE_TORN,      /* a part of what it should be, the rest is missing */
    GODWIT_PAGE_FOREIGN,   /* nothing that is known */
    GODWIT_PAGE_KINDS      /* how many there are */
};

/* A page, as a classifier gets it. */
struct godwit_page {
    const unsigned char *found; /* what is there ... */
    const unsigned char *right; /* ... and what should be; NULL if only the workload can tell */
    size_t size;
    bool written;    /* the guest's workload writes it ... */
    uint64_t passes; /* ... and has done so that often */
};

struct godwit_page_verdict {
    enum godwit_page_kind kind;
    unsigned behind; /* STALE: by that many passes */
    size_t differs;  /* bytes that are not right, as far as that is known ... */
    size_t first;    /* ... and the offset of the first */
};

/*
 * Tells what a page is, but for MISPLACED, which takes a look at the others. Each workload has a
 * classifier of its own: what can be told of a page depends on what the guest writes into it.
 */
typedef struct godwit_page_verdict (*godwit_page_classifier)(const struct godwit_page *page);

/*
 * Of the `order` workload: one byte a page tells the pass, modulo 256. A page cannot be stale by
 * more passes than there were.
 */
struct godwit_page_verdict godwit_page_classify_order(const struct godwit_page *page);

/* Its name: "stale". */
const char *godwit_page_kind_name(enum godwit_page_kind kind);

/*
 * Adds a map of the pages that are wrong to the testbed's facts ("pages", an array):
 *
 *   vm        whose memory it is
 *   against   what was taken for right: "source", or "mailbox", the guest's own account
 *   page_size in bytes
 *   pages     how many there are in the window
 *   bad       how many are wrong, outside the window too
 *   kinds     how many of each kind
 *   picture   the window, one character for each `step` pages: '.' right, the kind's first
 *             letter, '0' for zero, '*' for several kinds
 *   step      pages for a character
 *   list      of them, pages in a row that are the same in one: {"block", "offset", "count",
 * "kind", "text": what it is, in words; "address" and "page" if it is in the window; "use", if the
 * guest has a use of its own for it} told      how many of them are in the list
 *
 * Nothing is added if none is wrong, or memory cannot be read.
 *
 * _twin() takes the pages of DESTINATION that are not as in SOURCE, both stopped; the bytes that
 * differ are in BLOCK of the source from offset FIRST to LAST, or anywhere if it is NULL. _alone()
 * takes the window's pages that are not what the guest's mailbox accounts for.
 */
void godwit_pages_twin(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_block *block, uint64_t first, uint64_t last);
void godwit_pages_alone(struct godwit_vm *vm);

#endif
