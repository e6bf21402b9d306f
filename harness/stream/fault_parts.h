/*
 * The faults' own: what a fault is made of, and what one that is at work knows. fault_pages.c has
 * those that deal with pages; fault.c the others, and their names; injection.c has the stream go by
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FAULT_PARTS_H
#define GODWIT_HARNESS_STREAM_FAULT_PARTS_H

#include "stream/fault.h"
#include "stream/reader.h"

/* How many bytes go one by one, if nobody says. */
#define SPLIT_BYTES (16u << 10)

#define KEY(name)   (1u << GODWIT_FAULT_##name)
#define PLACE(name) (1u << GODWIT_STREAM_##name)

/* Where sections begin, and the two things that follow them: what `section` counts. */
#define SECTIONS                                                                                   \
    (PLACE(START) | PLACE(PART) | PLACE(LAST) | PLACE(FULL) | PLACE(EOF) | PLACE(DESCRIPTION))

/* Deals with a page's record: true if it has sent what is to go on instead. */
typedef bool godwit_fault_page(struct godwit_injection *injection,
                               const struct godwit_stream_item *item);

/* One of three: it deals with pages, spoils (or cuts before) items in certain places, or strikes at
 * an offset. */
struct godwit_fault_kind {
    const char *name;
    const char *summary;
    unsigned keys; /* KEY(...), beside the seed */
    bool live;
    godwit_fault_page *page; /* given each page's record */
    unsigned places;         /* PLACE(...) */
    /* Changes BYTES, a copy of the item's; NULL: the connection is cut before it. */
    void (*spoil)(struct godwit_injection *injection, const struct godwit_stream_item *item,
                  uint8_t *bytes);
    void (*strike)(struct godwit_injection *injection);
    bool at_once; /* it strikes at the first byte unless told otherwise */
};

/* An item that is held back. */
struct held {
    struct godwit_stream_item item; /* its strings are interned; without its bytes ... */
    size_t at;                      /* ... which begin here among those that are held */
    unsigned section;
};

struct godwit_injection {
    struct godwit_fault fault;
    struct godwit_fault_window window;
    GRand *random;
    struct godwit_flow *flow; /* NULL before the connection is made */
    struct godwit_stream *stream;
    char *done;
    char *lost;
    GString *block; /* the RAM block that the destination takes for the present one */

    uint64_t target;  /* offset of a page in the window's block: this one, or the first after it */
    uint64_t zeros;   /* zero pages that have come by */
    GByteArray *kept; /* a page as it came */
    GByteArray *before; /* the same as it was before it was last changed */
    uint64_t kept_offset;

    bool chosen;            /* the section is known: this one, ... */
    unsigned section;       /* ... by number; otherwise one of those that are held */
    unsigned sections;      /* that have come by */
    bool holding;           /* the devices' states are held back, ... */
    GByteArray *held_bytes; /* ... with all between them, ... */
    GArray *held;           /* ... struct held each */

    unsigned channels[GODWIT_STREAM_PREEMPT + 1]; /* connections of each kind, and ... */
    GPtrArray *seen;                              /* ... what tells them; struct channel each */
    uint64_t pages;                               /* that have come by on the first one ... */
    uint64_t window_pages;                        /* ... in the window */

    uint64_t offset; /* at which a fault strikes */
    uint64_t passed; /* how many bytes have gone on */
};

/* What the user said, or a number below LIMIT, which is not 0. */
uint64_t godwit_fault_choose(struct godwit_injection *injection, enum godwit_fault_key key,
                             uint64_t limit);

/* What the user said, or OTHERWISE. */
uint64_t godwit_fault_value(const struct godwit_injection *injection, enum godwit_fault_key key,
                            uint64_t otherwise);

/* Says what the fault has done, the first time. */
void godwit_fault_done(struct godwit_injection *injection, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* "section 12 (timer)". The caller's. */
char *godwit_fault_section(const struct godwit_injection *injection,
                           const struct godwit_stream_item *item);

/* Sends an item as it came, but for the name of its block, which is told if the item relies on
 * another one before it, and that has not gone on. */
void godwit_fault_send_item(struct godwit_injection *injection,
                            const struct godwit_stream_item *item);

godwit_fault_page godwit_fault_flip_page;
godwit_fault_page godwit_fault_drop_page;
godwit_fault_page godwit_fault_page_to_zero;
godwit_fault_page godwit_fault_zero_to_page;
godwit_fault_page godwit_fault_wrong_offset;
godwit_fault_page godwit_fault_swap_pages;
godwit_fault_page godwit_fault_stale_page;
godwit_fault_page godwit_fault_repeat_page;

/* Has bytes passed on one by one: so many that there is an end to it. */
void godwit_fault_strike_split(struct godwit_injection *injection);

#endif
