/*
 * Wire faults: a relay that spoils one thing in what a source sends, to see that the destination,
 * or an oracle, notices. There are two sorts: those that change an item of the stream, and those
 * that change how its bytes arrive.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FAULT_H
#define GODWIT_HARNESS_STREAM_FAULT_H

#include "stream/relay.h"
#include <stdbool.h>

/* What the user can say of a fault beside its name, each a number. */
enum godwit_fault_key {
    GODWIT_FAULT_PAGE,    /* which page of the window */
    GODWIT_FAULT_BYTE,    /* which byte of the page, or of the device's state */
    GODWIT_FAULT_BIT,     /* which bit of the byte */
    GODWIT_FAULT_SECTION, /* which section of the stream */
    GODWIT_FAULT_OFFSET,  /* at which byte of the stream */
    GODWIT_FAULT_MS,      /* for how many milliseconds */
    GODWIT_FAULT_RATE,    /* to how many bytes a second */
    GODWIT_FAULT_BYTES,   /* for how many bytes */
    GODWIT_FAULT_SEED,    /* what the others are chosen from if they are not given */
    GODWIT_FAULT_KEYS
};

struct godwit_fault_kind;

struct godwit_fault {
    const struct godwit_fault_kind *kind;
    uint64_t values[GODWIT_FAULT_KEYS];
    bool given[GODWIT_FAULT_KEYS];
};

/* Where the window is that the guest writes. */
struct godwit_fault_window {
    const char *block; /* the RAM block that holds it ... */
    uint64_t offset;   /* ... where in it the window begins ... */
    uint64_t length;   /* ... its length ... */
    uint64_t page;     /* ... the distance from one of its pages to the next ... */
    uint64_t busy;     /* ... and where in the block the one is that the guest is at, which it may
                        * have looked at already, and be about to overwrite: left alone by faults
                        * that are not told which page to spoil. UINT64_MAX: none */
};

/* Reads "NAME[:KEY=NUMBER,...]". USAGE error if there is no such fault, or it has no such key. */
bool godwit_fault_parse(const char *text, struct godwit_fault *fault, GError **error);

/* Every fault, one at INDEX: its name, what it does, and the keys it takes ("page,byte"; the
 * caller's). NULL behind the last. */
const struct godwit_fault_kind *godwit_fault_kind_at(unsigned index);
const char *godwit_fault_name(const struct godwit_fault_kind *kind);
const char *godwit_fault_summary(const struct godwit_fault_kind *kind);
char *godwit_fault_keys(const struct godwit_fault_kind *kind);

/* Whether it wants pages that are sent more than once: a live migration. All others are best seen
 * where the source is stopped first, and what is spoiled is not sent again. */
bool godwit_fault_is_live(const struct godwit_fault_kind *kind);

/* A fault at work. */
struct godwit_injection;

/* Has the next connection that RELAY makes spoiled by FAULT. WINDOW's strings must stay. */
struct godwit_injection *godwit_injection_new(struct godwit_relay *relay,
                                              const struct godwit_fault *fault,
                                              const struct godwit_fault_window *window);

/* The relay must have gone, or must not carry anything any more. NULL is fine. */
void godwit_injection_free(struct godwit_injection *injection);

/* What was done, in words that follow "the relay"; NULL as long as nothing was. */
const char *godwit_injection_done(const struct godwit_injection *injection);

/* Where in the window the page is that a live fault waits to see again, in bytes from the window's
 * start; false if none has come yet. */
bool godwit_injection_awaits(const struct godwit_injection *injection, uint64_t *offset);

/* Why the stream could not be followed, if so; NULL otherwise. */
const char *godwit_injection_lost(const struct godwit_injection *injection);

/* Returns why nothing was done, if that is so: what the fault looks for, and what has come instead.
 * The caller frees it. */
char *godwit_injection_why_not(const struct godwit_injection *injection);

#endif
