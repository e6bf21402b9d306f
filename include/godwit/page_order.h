/*
 * Page order: checks that one sequential writer can have left the memory of a stopped guest.
 *
 * The guest repeatedly adds one (modulo 256) to one byte of each page of a window, in ascending
 * order. At any instant, the k lowest pages therefore hold v + 1 and the others hold v. Every byte
 * equals the one before it, except in at most one place, the edge, where it is one less. Memory
 * like this holds the order; any other memory breaks it.
 *
 * Broken order is reported at the lowest byte that cannot follow the bytes below it. The page that
 * is wrong is that one or one below it: 5 4 5 5 breaks at the 5 after the 4, because memory may
 * begin with 5 4.
 *
 * Some single wrong pages go unnoticed, because the result is legal: the first page after the edge
 * one ahead, the last page before the edge one behind, and, without an edge, the first page of the
 * window one ahead or its last page one behind. The check also cannot see the loss of a multiple of
 * 256 passes of all pages, swapped pages whose bytes are equal, or any byte that it does not read.
 * It can say nothing about a window of one page.
 *
 * A staggered guest starts page n with godwit_page_order_first(n) instead of 0. Then all of this
 * holds for the differences: godwit_page_order_stagger() makes a check subtract the first value.
 *
 * You can copy this file anywhere. It needs only the C standard library, compiles as C99, C11 and
 * C++17, and keeps no state. There are three ways to use it:
 *
 *   godwit_page_order_check_buffer()    the whole window is in memory
 *   godwit_page_order_check_callback()  your function reads one byte at a time
 *   godwit_page_order_init(), _feed(), _finish()
 *                                       it arrives in pieces of any size, or is staggered
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_PAGE_ORDER_H
#define GODWIT_PAGE_ORDER_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The bytes to check. */
struct godwit_page_order_window {
    uint64_t start;     /* address of the first page, for reports and callbacks */
    uint64_t length;    /* in bytes; a multiple of page_size, not 0 */
    uint64_t page_size; /* in bytes, from one page to the next */
    uint64_t offset;    /* of the byte to check in each page; less than page_size */
};

enum godwit_page_order_rule {
    GODWIT_PAGE_ORDER_HOLDS,       /* no rule is broken */
    GODWIT_PAGE_ORDER_SECOND_EDGE, /* a byte is one less than the one before, above an edge */
    GODWIT_PAGE_ORDER_BAD_STEP,    /* a byte is neither equal to the one before nor one less */
    GODWIT_PAGE_ORDER_UNREADABLE,  /* the callback failed to read a byte: order unknown */
    GODWIT_PAGE_ORDER_BAD_LENGTH,  /* less or more than the window was fed: order unknown */
    GODWIT_PAGE_ORDER_BAD_WINDOW   /* the window is invalid */
};

/* The result of a check. Addresses are those of the checked bytes: start + page * page_size +
 * offset. */
struct godwit_page_order_result {
    enum godwit_page_order_rule rule;
    uint64_t pages;         /* number of pages checked and found in order */
    uint64_t address;       /* of the byte that broke a rule or could not be read; with
                               BAD_LENGTH, the end of the bytes fed */
    unsigned char first;    /* byte of the first page of the window */
    unsigned char previous; /* byte of the page before `address`, */
    unsigned char found;    /* at `address`, */
    unsigned char next;     /* and of the page after it, if has_next */
    unsigned char base;     /* v: byte of the highest page in order */
    bool has_next;          /* there was a page after `address`, and it was read */
    bool has_edge;
    uint64_t edge_address;  /* of the lowest byte after the edge, if has_edge */
    bool staggered;         /* the bytes above are less what their pages started with */
    unsigned char start_at; /* ... which is this for the page at `address`, if it broke a rule */
};

/* A check in progress. Everything but the result is private. */
struct godwit_page_order {
    struct godwit_page_order_window window;
    uint64_t fed; /* bytes of the window fed so far */
    uint64_t at;  /* offset in the window of the next byte to check */
    struct godwit_page_order_result result;
};

/* Reads the byte at ADDRESS into *BYTE. Returns false if it cannot. */
typedef bool (*godwit_page_order_read)(void *opaque, uint64_t address, unsigned char *byte);

/* Starts a check. Returns false, and sets the rule to BAD_WINDOW, if the window is invalid. */
static inline bool godwit_page_order_init(struct godwit_page_order *check,
                                          const struct godwit_page_order_window *window)
{
    memset(check, 0, sizeof(*check));
    check->window = *window;
    check->at = window->offset;
    if (window->page_size == 0 || window->offset >= window->page_size || window->length == 0 ||
        window->length % window->page_size != 0 ||
        window->length > UINT64_MAX - window->page_size ||
        window->start > UINT64_MAX - (window->length - 1)) {
        check->result.rule = GODWIT_PAGE_ORDER_BAD_WINDOW;
        return false;
    }
    return true;
}

/* Returns the value with which a staggered guest starts page number PAGE of a window. */
static inline unsigned char godwit_page_order_first(uint64_t page)
{
    return (unsigned char)(page + page / 256);
}

/* Makes a check expect a staggered guest. Call it between godwit_page_order_init() and the first
 * godwit_page_order_feed(). */
static inline void godwit_page_order_stagger(struct godwit_page_order *check)
{
    check->result.staggered = true;
}

/* Returns the value with which the guest has started page number PAGE. Private. */
static inline unsigned char godwit_page_order_start_of(const struct godwit_page_order *check,
                                                       uint64_t page)
{
    return check->result.staggered ? godwit_page_order_first(page) : 0;
}

/* Checks the byte of the next page. Private. */
static inline void godwit_page_order_step(struct godwit_page_order *check, unsigned char byte)
{
    struct godwit_page_order_result *result = &check->result;
    uint64_t address = check->window.start + check->at;
    uint64_t page = check->at / check->window.page_size;
    unsigned char start = godwit_page_order_start_of(check, page);

    byte = (unsigned char)(byte - start);
    check->at += check->window.page_size;
    if (result->rule != GODWIT_PAGE_ORDER_HOLDS) {
        if (!result->has_next) {
            result->has_next = true;
            result->next = byte;
        }
        return;
    }
    if (result->pages == 0) {
        result->first = byte;
    } else if (byte != result->base) {
        bool one_less = ((byte + 1u) & 0xffu) == result->base;

        if (!one_less || result->has_edge) {
            result->rule = one_less ? GODWIT_PAGE_ORDER_SECOND_EDGE : GODWIT_PAGE_ORDER_BAD_STEP;
            result->address = address;
            result->previous = result->base;
            result->found = byte;
            result->start_at = start;
            return;
        }
        result->has_edge = true;
        result->edge_address = address;
    }
    result->base = byte;
    result->pages++;
}

/*
 * Checks the next LENGTH bytes of the window. Returns true if the order still holds. Once it is
 * broken, the caller may stop; further bytes only fill in `next`, the byte after the broken one.
 */
static inline bool godwit_page_order_feed(struct godwit_page_order *check,
                                          const unsigned char *buffer, uint64_t length)
{
    struct godwit_page_order_result *result = &check->result;

    if (result->rule >= GODWIT_PAGE_ORDER_UNREADABLE) {
        return false;
    }
    if (length > check->window.length - check->fed) {
        if (result->rule == GODWIT_PAGE_ORDER_HOLDS) {
            result->rule = GODWIT_PAGE_ORDER_BAD_LENGTH;
            result->address = check->window.start + check->fed + length;
        }
        return false;
    }
    while (check->at - check->fed < length && !result->has_next) {
        const unsigned char *byte = buffer + (check->at - check->fed);
        uint64_t left = length - (check->at - check->fed);

        /* Most pages follow the one before: skip over those in a tight loop. */
        if (result->rule == GODWIT_PAGE_ORDER_HOLDS && result->pages != 0) {
            uint64_t stride = check->window.page_size;
            uint64_t run = 0;
            uint64_t limit = (left - 1) / stride + 1;
            uint64_t page = result->pages;
            unsigned char base = result->base;

            if (result->staggered) {
                while (run < limit && byte[run * stride] ==
                                          (unsigned char)(base + page + run + (page + run) / 256)) {
                    run++;
                }
            } else {
                while (run < limit && byte[run * stride] == base) {
                    run++;
                }
            }
            result->pages += run;
            check->at += run * stride;
            if (run == limit) {
                break;
            }
            byte += run * stride;
        }
        godwit_page_order_step(check, *byte);
    }
    check->fed += length;
    return result->rule == GODWIT_PAGE_ORDER_HOLDS;
}

/* Ends a check. Returns the rule that was broken, if any; check->result has the details. */
static inline enum godwit_page_order_rule godwit_page_order_finish(struct godwit_page_order *check)
{
    struct godwit_page_order_result *result = &check->result;

    if (result->rule == GODWIT_PAGE_ORDER_HOLDS && check->fed != check->window.length) {
        result->rule = GODWIT_PAGE_ORDER_BAD_LENGTH;
        result->address = check->window.start + check->fed;
    }
    return result->rule;
}

/* Checks a window whose window->length bytes are in BUFFER. Fills in *RESULT and returns its rule.
 * */
static inline enum godwit_page_order_rule
godwit_page_order_check_buffer(const struct godwit_page_order_window *window,
                               const unsigned char *buffer, struct godwit_page_order_result *result)
{
    struct godwit_page_order check;

    if (godwit_page_order_init(&check, window)) {
        godwit_page_order_feed(&check, buffer, window->length);
        godwit_page_order_finish(&check);
    }
    *result = check.result;
    return result->rule;
}

/* Checks a window by calling READ with OPAQUE once for each page, in ascending order. Fills in
 * *RESULT and returns its rule. */
static inline enum godwit_page_order_rule
godwit_page_order_check_callback(const struct godwit_page_order_window *window,
                                 godwit_page_order_read read, void *opaque,
                                 struct godwit_page_order_result *result)
{
    struct godwit_page_order check;

    if (godwit_page_order_init(&check, window)) {
        while (check.at < window->length && !check.result.has_next) {
            unsigned char byte = 0;

            if (!read(opaque, window->start + check.at, &byte)) {
                /* If the order is broken already, the byte after the break is optional. */
                if (check.result.rule == GODWIT_PAGE_ORDER_HOLDS) {
                    check.result.rule = GODWIT_PAGE_ORDER_UNREADABLE;
                    check.result.address = window->start + check.at;
                }
                break;
            }
            godwit_page_order_step(&check, byte);
        }
    }
    *result = check.result;
    return result->rule;
}

/*
 * Writes a sentence that describes the result to BUFFER, which has SIZE bytes; truncates it if need
 * be and always terminates it. Returns the length of the whole sentence, as snprintf does.
 */
static inline int godwit_page_order_format(const struct godwit_page_order_result *result,
                                           char *buffer, size_t size)
{
    const unsigned first = result->first;
    const unsigned base = result->base;
    const unsigned previous = result->previous;
    const unsigned found = result->found;
    const unsigned next = result->next;
    const char *more = result->staggered ? " (more than each page started with)" : "";
    char after[32] = "the last page";
    char less[80] = "";

    if (result->has_next) {
        snprintf(after, sizeof(after), "before 0x%02x", next);
    }
    if (result->staggered) {
        snprintf(less, sizeof(less), " (each less what its page started with, here 0x%02x)",
                 (unsigned)result->start_at);
    }
    switch (result->rule) {
    case GODWIT_PAGE_ORDER_HOLDS:
        if (result->has_edge) {
            return snprintf(buffer, size,
                            "page order holds: 0x%02x below 0x%" PRIx64 ", 0x%02x from there up%s",
                            first, result->edge_address, base, more);
        }
        return snprintf(buffer, size, "page order holds: 0x%02x in every page%s", base, more);
    case GODWIT_PAGE_ORDER_SECOND_EDGE:
        return snprintf(buffer, size,
                        "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s) is a second "
                        "edge, after the one at 0x%" PRIx64 "%s",
                        result->address, found, previous, after, result->edge_address, less);
    case GODWIT_PAGE_ORDER_BAD_STEP:
        if (result->has_edge) {
            return snprintf(buffer, size,
                            "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s), where "
                            "above the edge at 0x%" PRIx64 " only 0x%02x may follow%s",
                            result->address, found, previous, after, result->edge_address, previous,
                            less);
        }
        return snprintf(buffer, size,
                        "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s), where only "
                        "0x%02x or 0x%02x may follow%s",
                        result->address, found, previous, after, previous,
                        (previous + 255u) & 0xffu, less);
    case GODWIT_PAGE_ORDER_UNREADABLE:
        return snprintf(buffer, size,
                        "page order unknown: the byte at 0x%" PRIx64 " could not be read",
                        result->address);
    case GODWIT_PAGE_ORDER_BAD_LENGTH:
        return snprintf(buffer, size,
                        "page order unknown: the bytes fed end at 0x%" PRIx64
                        ", which is not the end of the window",
                        result->address);
    case GODWIT_PAGE_ORDER_BAD_WINDOW:
        break;
    }
    return snprintf(buffer, size, "page order unknown: the window is invalid");
}

#endif
