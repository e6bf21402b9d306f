/*
 * A map of the wrong pages, with what each of them holds. It is evidence for a failure that an
 * oracle has found; it does not judge.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_PAGES_H
#define GODWIT_HARNESS_ORACLE_PAGES_H

#include "memory/memory.h"
#include "testbed/vm.h"

enum godwit_page_kind {
    GODWIT_PAGE_RIGHT,
    GODWIT_PAGE_STALE,     /* its content of some passes ago */
    GODWIT_PAGE_ZERO,      /* all zero, where it should not be */
    GODWIT_PAGE_MISPLACED, /* the content of another page */
    GODWIT_PAGE_TORN,      /* partly correct, the rest is missing */
    GODWIT_PAGE_FOREIGN,   /* anything else */
    GODWIT_PAGE_KINDS
};

/* The input of a classifier. */
struct godwit_page {
    const unsigned char *found; /* the actual content */
    const unsigned char *right; /* the expected content; NULL if only the workload defines it */
    size_t size;
    bool written;    /* the guest's workload writes it ... */
    uint64_t passes; /* ... and has done so that often ... */
    uint8_t first;   /* ... beginning with this byte, with `order` */
};

struct godwit_page_verdict {
    enum godwit_page_kind kind;
    unsigned behind; /* STALE: by that many passes */
    size_t differs;  /* number of wrong bytes, as far as it is known */
    size_t first;    /* offset of the first wrong byte */
};

/*
 * Returns the kind of a page. MISPLACED is not among the results, because it needs the other pages.
 * Each workload has its own classifier, since a page can only be judged by what the guest writes
 * into it.
 */
typedef struct godwit_page_verdict (*godwit_page_classifier)(const struct godwit_page *page);

/*
 * The classifier of the workload `order`: one byte of each page has the pass, modulo 256. A page
 * cannot be stale by more passes than there were.
 */
struct godwit_page_verdict godwit_page_classify_order(const struct godwit_page *page);

/* Returns the kind's name, such as "stale". */
const char *godwit_page_kind_name(enum godwit_page_kind kind);

/*
 * Both functions add a map of the wrong pages to the array "pages" in the testbed's measurements.
 * They add nothing if no page is wrong or memory cannot be read. A map is an object:
 *
 *   vm         the VM whose memory it shows
 *   against    what counts as correct: "source", or "mailbox", the guest's own account
 *   page_size  in bytes
 *   pages      number of pages in the window
 *   bad        number of wrong pages, including those outside the window
 *   kinds      number of wrong pages of each kind
 *   picture    the window, one character for `step` pages: '.' for right, '0' for zero, the first
 *              letter of any other kind, '*' for several kinds
 *   step       pages for each character
 *   list       an array of runs of wrong pages with the same content, each an object:
 *                block, offset, count  where it is, and how many pages it has
 *                kind, text            the kind, and a description in words
 *                address, page         only in the window
 *                use                   only if the guest uses it in some other way
 *   listed     number of wrong pages that the list covers
 *
 * godwit_pages_twin() compares DESTINATION with SOURCE. Both must be stopped. All differences are
 * in BLOCK of the source, from offset FIRST to LAST; with BLOCK NULL they can be anywhere.
 * godwit_pages_alone() compares the window's pages with the account in the guest's mailboxes.
 */
void godwit_pages_twin(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_block *block, uint64_t first, uint64_t last);
void godwit_pages_alone(struct godwit_vm *vm);

#endif
