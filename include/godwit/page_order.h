/*
 * Page order: whether the memory of a stopped guest is what one sequential writer can have left.
 *
 * The guest adds one (modulo 256) to one byte of each page of a window, from its start upwards,
 * over and over. At any instant, therefore, the k lowest pages hold v + 1 and the others v: walking
 * up, every byte equals the one before it, but for at most one place, the edge, where it is one
 * less. Such memory holds the order; all other memory breaks it.
 *
 * Broken order is reported at the lowest byte that no writer can have left above those below it.
 * The page that is really wrong is that one or one below: 5 4 5 5 breaks at the 5 after the 4,
 * because memory may well begin with 5 4.
 *
 * What one wrong page cannot show, because what it makes is legal as well: the first page after the
 * edge one ahead, the last page before it one behind, and likewise the window's first page one
 * ahead or its last page one behind where there is no edge. Nor can a loss of a multiple of 256
 * passes of all pages, pages of equal bytes swapped, or any byte that is not looked at. A window of
 * one page shows nothing.
 *
 * Copy this file anywhere: it needs the C standard library alone, is C99, C11 and C++17, and keeps
 * no state of its own. Three ways to use it:
 *
 *   godwit_page_order_check_buffer()    the window is in memory
 *   godwit_page_order_check_callback()  a function of yours reads one byte at a time
 *   godwit_page_order_init(), _feed(), _finish()
 *                                       the window comes by in pieces of any size
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

/* Where the bytes are. */
struct godwit_page_order_window {
    uint64_t start;     /* address of the first page; only reported, and passed to callbacks */
    uint64_t length;    /* in bytes; whole pages, at least one */
    uint64_t page_size; /* in bytes, from one page to the next */
    uint64_t offset;    /* in each page, of the byte to look at; below page_size */
};

enum godwit_page_order_rule {
    GODWIT_PAGE_ORDER_HOLDS,       /* none broken */
    GODWIT_PAGE_ORDER_SECOND_EDGE, /* a byte one less than the one before, above an edge */
    GODWIT_PAGE_ORDER_BAD_STEP,    /* a byte neither equal to the one before nor one less */
    GODWIT_PAGE_ORDER_UNREADABLE,  /* the callback could not read a byte: order unknown */
    GODWIT_PAGE_ORDER_BAD_LENGTH,  /* fed less or more than the window: order unknown */
    GODWIT_PAGE_ORDER_BAD_WINDOW   /* the window itself makes no sense */
};

/* Addresses are of the bytes looked at: start + page * page_size + offset. */
struct godwit_page_order_result {
    enum godwit_page_order_rule rule;
    uint64_t pages;         /* that were looked at and were in order */
    uint64_t address;       /* of the byte that broke a rule or could not be read; BAD_LENGTH:
                               where the bytes fed ended */
    unsigned char first;    /* byte of the window's first page */
    unsigned char previous; /* byte of the page before `address`, */
    unsigned char found;    /* at `address`, */
    unsigned char next;     /* and of the page after it, if has_next */
    unsigned char base;     /* v above: byte of the highest page in order */
    bool has_next;          /* there was a page after `address`, and it was read */
    bool has_edge;
    uint64_t edge_address; /* of the lowest byte after the edge, if has_edge */
};

/* A check that is under way. Private, but for the result. */
struct godwit_page_order {
    struct godwit_page_order_window window;
    uint64_t fed; /* bytes of the window that have gone by */
    uint64_t at;  /* offset in the window of the byte to look at next */
    struct godwit_page_order_result result;
};

/* Reads the byte at ADDRESS into *BYTE; false if that is impossible. */
typedef bool (*godwit_page_order_read)(void *opaque, uint64_t address, unsigned char *byte);

/* Starts a check. False, with the rule BAD_WINDOW, if no window can look like this one. */
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

/* Takes the byte of the next page. Private. */
static inline void godwit_page_order_step(struct godwit_page_order *check, unsigned char byte)
{
    struct godwit_page_order_result *result = &check->result;
    uint64_t address = check->window.start + check->at;

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
            return;
        }
        result->has_edge = true;
        result->edge_address = address;
    }
    result->base = byte;
    result->pages++;
}

/*
 * Takes the window's next LENGTH bytes. Returns whether the order still holds. Once it does not,
 * nothing more has to be fed; what is fed all the same can only add the byte after the broken one.
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

        /* Most pages equal the one before: run over those without leaving registers. */
        if (result->rule == GODWIT_PAGE_ORDER_HOLDS && result->pages != 0) {
            uint64_t stride = check->window.page_size;
            uint64_t run = 0;
            uint64_t limit = (left - 1) / stride + 1;
            unsigned char base = result->base;

            while (run < limit && byte[run * stride] == base) {
                run++;
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

/* Ends a check: tells which rule was broken. The details are in check->result. */
static inline enum godwit_page_order_rule godwit_page_order_finish(struct godwit_page_order *check)
{
    struct godwit_page_order_result *result = &check->result;

    if (result->rule == GODWIT_PAGE_ORDER_HOLDS && check->fed != check->window.length) {
        result->rule = GODWIT_PAGE_ORDER_BAD_LENGTH;
        result->address = check->window.start + check->fed;
    }
    return result->rule;
}

/* Checks the window whose window->length bytes are in BUFFER. */
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

/* Checks a window whose bytes READ finds, given OPAQUE; it is called upwards, once a page. */
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
                /* A byte that would only have followed a broken one is no loss. */
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
 * Writes one sentence that tells the result into BUFFER of SIZE bytes, cut off if need be and
 * always terminated. Returns the length of the whole sentence, as snprintf does.
 */
static inline int godwit_page_order_format(const struct godwit_page_order_result *result,
                                           char *buffer, size_t size)
{
    const unsigned first = result->first;
    const unsigned base = result->base;
    const unsigned previous = result->previous;
    const unsigned found = result->found;
    const unsigned next = result->next;
    char after[32] = "the last page";

    if (result->has_next) {
        snprintf(after, sizeof(after), "before 0x%02x", next);
    }
    switch (result->rule) {
    case GODWIT_PAGE_ORDER_HOLDS:
        if (result->has_edge) {
            return snprintf(buffer, size,
                            "page order holds: 0x%02x below 0x%" PRIx64 ", 0x%02x from there up",
                            first, result->edge_address, base);
        }
        return snprintf(buffer, size, "page order holds: 0x%02x in every page", base);
    case GODWIT_PAGE_ORDER_SECOND_EDGE:
        return snprintf(buffer, size,
                        "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s) is a second "
                        "edge, after the one at 0x%" PRIx64,
                        result->address, found, previous, after, result->edge_address);
    case GODWIT_PAGE_ORDER_BAD_STEP:
        if (result->has_edge) {
            return snprintf(buffer, size,
                            "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s), where "
                            "above the edge at 0x%" PRIx64 " only 0x%02x may follow",
                            result->address, found, previous, after, result->edge_address,
                            previous);
        }
        return snprintf(buffer, size,
                        "page order broken at 0x%" PRIx64 ": 0x%02x after 0x%02x (%s), where only "
                        "0x%02x or 0x%02x may follow",
                        result->address, found, previous, after, previous,
                        (previous + 255u) & 0xffu);
    case GODWIT_PAGE_ORDER_UNREADABLE:
        return snprintf(buffer, size,
                        "page order unknown: the byte at 0x%" PRIx64 " could not be read",
                        result->address);
    case GODWIT_PAGE_ORDER_BAD_LENGTH:
        return snprintf(buffer, size,
                        "page order unknown: the bytes fed end at 0x%" PRIx64
                        ", which is not the window's end",
                        result->address);
    case GODWIT_PAGE_ORDER_BAD_WINDOW:
        break;
    }
    return snprintf(buffer, size, "page order unknown: the window makes no sense");
}

#endif
