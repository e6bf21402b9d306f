/*
 * What the files of the faults share. fault_pages.c has the faults that deal with pages. The other
 * faults, and all names, are in fault.c. injection.c passes the stream through a fault.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FAULT_PARTS_H
#define GODWIT_HARNESS_STREAM_FAULT_PARTS_H

#include "stream/fault.h"
#include "stream/reader.h"

/* How many bytes are sent one by one by default. */
#define SPLIT_BYTES (16u << 10)

#define KEY(name)   (1u << GODWIT_FAULT_##name)
#define PLACE(name) (1u << GODWIT_STREAM_##name)

/* What the key `section` counts: the starts of sections, and the two items that follow the last. */
#define SECTIONS                                                                                   \
    (PLACE(START) | PLACE(PART) | PLACE(LAST) | PLACE(FULL) | PLACE(EOF) | PLACE(DESCRIPTION))

/* Deals with a page's record. Returns true if it has sent something in its place; otherwise the
 * record goes on unchanged. */
typedef bool godwit_fault_page(struct godwit_injection *injection,
                               const struct godwit_stream_item *item);

/* A kind of fault does one of three things: it deals with pages, it corrupts (or cuts before) items
 * of certain kinds, or it strikes at an offset. */
struct godwit_fault_kind {
    const char *name;
    const char *summary;
    unsigned keys; /* KEY(...), beside the seed */
    bool live;
    godwit_fault_page *page; /* called with each page's record */
    unsigned places;         /* PLACE(...) */
    /* Changes BYTES, a copy of the item's bytes; NULL: the connection is cut before the item. */
    void (*corrupt)(struct godwit_injection *injection, const struct godwit_stream_item *item,
                    uint8_t *bytes);
    void (*strike)(struct godwit_injection *injection);
    bool at_once; /* it strikes at the first byte unless `offset` is given */
};

/* An item that is delayed. */
struct delayed {
    struct godwit_stream_item item; /* its strings are interned; it has no bytes ... */
    size_t at;                      /* ... but they begin here in delayed_bytes */
    unsigned section;               /* its section's number, counted from 0 */
};

struct godwit_injection {
    struct godwit_fault fault;
    struct godwit_fault_window window;
    GRand *random;
    struct godwit_flow *flow; /* NULL before the connection is made */
    struct godwit_stream *stream;
    char *done; /* what the fault did; NULL: nothing yet */
    enum godwit_cut cut;
    char *lost;     /* why the stream could not be read; NULL: it could */
    GString *block; /* the RAM block of the latest record that the destination was sent */

    uint64_t target;      /* offset in the window's block of the page to deal with; without `page`,
                           * the first suitable page from there on */
    uint64_t zeros;       /* zero pages that have come */
    GByteArray *kept;     /* a page as it came last; empty: none */
    GByteArray *before;   /* its content before it last changed; empty: it has not changed */
    uint64_t kept_offset; /* its offset in the block */
    GByteArray *filled;   /* for each page of the window: 1 if it last came with contents */

    bool chosen;       /* the section is chosen: `section`; otherwise one of the delayed sections */
    unsigned section;  /* its number, counted from 0 */
    unsigned sections; /* sections that have come */
    bool delaying;     /* the devices' states are delayed, and all items between them */
    GByteArray *delayed_bytes; /* the bytes of these items */
    GArray *delayed;           /* of struct delayed */

    unsigned channels[GODWIT_STREAM_PREEMPT + 1]; /* connections of each kind */
    GPtrArray *seen;                              /* of struct channel, one for each connection */
    uint64_t pages;                               /* pages that have come on the first one ... */
    uint64_t window_pages;                        /* ... and how many of them are in the window */

    uint64_t offset; /* the byte at which the fault strikes */
    uint64_t passed; /* how many bytes have come */
};

/* Returns the user's value of KEY modulo LIMIT, or else a random number below LIMIT. LIMIT is not
 * 0. */
uint64_t godwit_fault_choose(struct godwit_injection *injection, enum godwit_fault_key key,
                             uint64_t limit);

/* Returns the user's value of KEY, or else OTHERWISE. */
uint64_t godwit_fault_value(const struct godwit_injection *injection, enum godwit_fault_key key,
                            uint64_t otherwise);

/* Records what the fault has done. Does nothing after the first time. */
void godwit_fault_done(struct godwit_injection *injection, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* Returns the name of the item's section, such as "section 12 (timer)". The caller frees it. */
char *godwit_fault_section(const struct godwit_injection *injection,
                           const struct godwit_stream_item *item);

/* Sends an item as it came. A page's record gets the name of its RAM block if it relies on an
 * earlier record for that and the destination was not sent that one. */
void godwit_fault_send_item(struct godwit_injection *injection,
                            const struct godwit_stream_item *item);

godwit_fault_page godwit_fault_flip_page;
godwit_fault_page godwit_fault_drop_page;
godwit_fault_page godwit_fault_page_to_zero;
godwit_fault_page godwit_fault_zero_to_page;
godwit_fault_page godwit_fault_wrong_offset;
godwit_fault_page godwit_fault_swap_pages;
godwit_fault_page godwit_fault_drop_zero;
godwit_fault_page godwit_fault_stale_page;
godwit_fault_page godwit_fault_repeat_page;

/* Passes bytes on one by one. The injection ends that after a number of bytes. */
void godwit_fault_strike_split(struct godwit_injection *injection);

#endif
