/*
 * Wire faults: a relay corrupts one thing in the stream of a source, to test that the destination
 * or an oracle notices. Some faults change an item of the stream, the others change how its bytes
 * arrive.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FAULT_H
#define GODWIT_HARNESS_STREAM_FAULT_H

#include "stream/relay.h"
#include <stdbool.h>

/* The keys of a fault that the user can set. All values are numbers. */
enum godwit_fault_key {
    GODWIT_FAULT_PAGE,    /* the page of the window */
    GODWIT_FAULT_BYTE,    /* the byte of the page, or of the item */
    GODWIT_FAULT_BIT,     /* the bit of the byte */
    GODWIT_FAULT_SECTION, /* the section of the stream */
    GODWIT_FAULT_OFFSET,  /* the byte of the stream at which the fault takes effect */
    GODWIT_FAULT_MS,      /* a time in milliseconds */
    GODWIT_FAULT_RATE,    /* a rate in bytes a second */
    GODWIT_FAULT_BYTES,   /* how many bytes are affected */
    GODWIT_FAULT_SEED,    /* chooses the values of the keys that are not given */
    GODWIT_FAULT_KEYS
};

struct godwit_fault_kind;

struct godwit_fault {
    const struct godwit_fault_kind *kind;
    uint64_t values[GODWIT_FAULT_KEYS];
    bool given[GODWIT_FAULT_KEYS];
};

/* The window that the guest writes. Offsets and lengths are in bytes. */
struct godwit_fault_window {
    const char *block; /* the RAM block that contains it */
    uint64_t offset;   /* where the window begins in the block */
    uint64_t length;
    uint64_t page; /* the size of the guest's pages */
    uint64_t busy; /* offset in the block of the page that the guest is at; UINT64_MAX: unknown. The
                    * guest may have checked that page already and be about to overwrite it, so that
                    * nothing would notice a fault there. Faults avoid it unless `page` is given */
};

/* Parses "NAME[:KEY=NUMBER,...]" into FAULT. Fails with USAGE if there is no such fault, or if it
 * does not take a key. */
bool godwit_fault_parse(const char *text, struct godwit_fault *fault, GError **error);

/* Returns the kind of fault at INDEX, or NULL after the last. Static. */
const struct godwit_fault_kind *godwit_fault_kind_at(unsigned index);

/* Returns the name of a kind of fault. Static. */
const char *godwit_fault_name(const struct godwit_fault_kind *kind);

/* Returns what a kind of fault does, as a clause. Static. */
const char *godwit_fault_summary(const struct godwit_fault_kind *kind);

/* Returns the keys that a kind of fault takes ("page,byte,seed"). The caller frees it. */
char *godwit_fault_keys(const struct godwit_fault_kind *kind);

/* Returns whether the fault needs pages that are sent more than once, that is, a live migration.
 * For the others, the source is best stopped first, so that what they corrupt is not sent again. */
bool godwit_fault_is_live(const struct godwit_fault_kind *kind);

/* A fault at work. */
struct godwit_injection;

/* Injects FAULT into the next connection that RELAY makes. WINDOW's strings must outlive the
 * injection. The caller frees it with godwit_injection_free(). */
struct godwit_injection *godwit_injection_new(struct godwit_relay *relay,
                                              const struct godwit_fault *fault,
                                              const struct godwit_fault_window *window);

/* Frees INJECTION, which may be NULL. Free the relay first, unless nothing passes it any more. */
void godwit_injection_free(struct godwit_injection *injection);

/* Returns what the fault did, in words that follow "the relay", or NULL if it has done nothing yet.
 * Borrowed. */
const char *godwit_injection_done(const struct godwit_injection *injection);

/* What a fault cut the connection before. */
enum godwit_cut {
    GODWIT_CUT_NONE,        /* nothing: it did not cut the connection before an item */
    GODWIT_CUT_SECTION,     /* a section */
    GODWIT_CUT_END,         /* the mark after the last section */
    GODWIT_CUT_DESCRIPTION, /* the description, which no destination needs: it is for people and
                               programs that read streams */
};

/* Returns what the fault has cut the connection before. */
enum godwit_cut godwit_injection_cut(const struct godwit_injection *injection);

/* Sets *OFFSET to the place of the page that a live fault waits to see again, in bytes from the
 * window's start. Returns false if no such page has come yet. */
bool godwit_injection_awaits(const struct godwit_injection *injection, uint64_t *offset);

/* Returns why the stream could not be read, or NULL if it could. Borrowed. */
const char *godwit_injection_lost(const struct godwit_injection *injection);

/* Returns why a fault has done nothing: what it looks for, and what has come instead. The caller
 * frees it. */
char *godwit_injection_why_not(const struct godwit_injection *injection);

#endif
