/* SPDX-License-Identifier: MIT */
/*
 * Stamp: memory of which every word tells where it belongs and when it was written.
 *
 * The guest's `stamp` workload fills whole pages of a window, one page after the other, over and
 * over. A pass over the window is a generation, counted from 0 in 64 bits. What it writes into a
 * word is a function of the page, the word's place in the page, the generation and a seed:
 *
 *   word(page, index, generation) = base(page, generation) + index * GODWIT_STAMP_STEP
 *   base(page, generation)        = mix(generation + key(page))
 *   key(page)                     = mix(seed + (page + 1) * GODWIT_STAMP_GOLDEN)
 *
 * where mix() permutes the 64-bit numbers. A word found anywhere can be taken back to page, index
 * and generation (godwit_stamp_identify()): of the 2^64 values only one for each page, index and
 * generation so far is legal, so chance finds nothing.
 *
 * What one page holds in a generation, by flags (guest_abi.h):
 *   WHOLE    every word is of that generation
 *   SPARSE   generation 0 writes all words, every later one those whose index is congruent to it
 *            modulo GODWIT_STAMP_CLASSES; the others keep what they have
 *   ZERO     as WHOLE, but every fourth generation is all zero, each page in its turn
 * and the order in which the pages are written:
 *   LINEAR   upwards
 *   STRIDE   every GODWIT_STAMP_STRIDE-th page, 2 MiB on with pages of 4 KiB, then the pages after
 *            those, and so on
 *   RANDOM   a permutation that the seed chooses
 * Of N CPUs, CPU n does so with the pages n, n + N, n + 2 N ...
 *
 * In a guest that is stopped anywhere, with its own account (mailbox: passes and position) as in
 * guest_abi.h, every page is determined: those that the pass under way has been over are of
 * generation passes + 1, the others of generation passes, and the page at the position may be in
 * between, new words before old ones. godwit_stamp_check_page() knows no other tolerance. It
 * therefore misses nothing that is in the window: no byte, and no age.
 *
 * Copy this file and guest_abi.h anywhere: it needs the C standard library alone, is C99, C11 and
 * C++17, and keeps no state. The guest itself is made from it: what is above the line "host" below
 * is freestanding, and does not divide.
 */
#ifndef GODWIT_STAMP_H
#define GODWIT_STAMP_H

#include "guest_abi.h"

#include <stdbool.h>
#include <stdint.h>

/* Odd numbers without a pattern: the golden ratio's fraction, and pi's. */
#define GODWIT_STAMP_GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define GODWIT_STAMP_STEP   UINT64_C(0x243f6a8885a308d3)

#define GODWIT_STAMP_CLASSES 16u  /* SPARSE: generations until every word is new */
#define GODWIT_STAMP_CYCLE   4u   /* ZERO: generations from one zero page to the next */
#define GODWIT_STAMP_STRIDE  512u /* STRIDE: pages from one to the next */

/* What a window is filled with. */
struct godwit_stamp {
    uint64_t seed;
    uint32_t flags;      /* GODWIT_FLAG_*; those of content and order count here */
    uint32_t page_shift; /* log2 of the page size in bytes, 3 or more */
    uint32_t pages;      /* in the window; a multiple of cpus */
    uint32_t cpus;       /* 1 or more */
};

/* The finalising steps of a generator that Guy Steele and others published as SplitMix64. */
static inline uint64_t godwit_stamp_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Belongs to the page alone. */
static inline uint64_t godwit_stamp_key(const struct godwit_stamp *stamp, uint32_t page)
{
    return godwit_stamp_mix(stamp->seed + ((uint64_t)page + 1) * GODWIT_STAMP_GOLDEN);
}

/* Word 0 of a page that is not zero, by the page's key. */
static inline uint64_t godwit_stamp_base_by(uint64_t key, uint64_t generation)
{
    return godwit_stamp_mix(generation + key);
}

static inline uint64_t godwit_stamp_base(const struct godwit_stamp *stamp, uint32_t page,
                                         uint64_t generation)
{
    return godwit_stamp_base_by(godwit_stamp_key(stamp, page), generation);
}

static inline uint32_t godwit_stamp_words(const struct godwit_stamp *stamp)
{
    return UINT32_C(1) << (stamp->page_shift - 3);
}

static inline bool godwit_stamp_is_sparse(const struct godwit_stamp *stamp)
{
    return (stamp->flags & GODWIT_FLAG_CONTENT_MASK) == GODWIT_FLAG_SPARSE;
}

/* Whether the page is all zero in that generation. */
static inline bool godwit_stamp_is_zero(const struct godwit_stamp *stamp, uint32_t page,
                                        uint64_t generation)
{
    return (stamp->flags & GODWIT_FLAG_CONTENT_MASK) == GODWIT_FLAG_ZERO &&
           ((uint32_t)generation + page) % GODWIT_STAMP_CYCLE == GODWIT_STAMP_CYCLE - 1;
}

/* The generation that the words of CLASS (their index modulo GODWIT_STAMP_CLASSES) are of in a
 * SPARSE page of GENERATION. */
static inline uint64_t godwit_stamp_class_generation(uint32_t class_, uint64_t generation)
{
    const uint32_t age = ((uint32_t)generation - class_) % GODWIT_STAMP_CLASSES;
    return age > generation ? 0 : generation - age;
}

/* What the word at INDEX of PAGE holds when the page is of GENERATION. */
static inline uint64_t godwit_stamp_word(const struct godwit_stamp *stamp, uint32_t page,
                                         uint32_t index, uint64_t generation)
{
    if (godwit_stamp_is_zero(stamp, page, generation)) {
        return 0;
    }
    if (godwit_stamp_is_sparse(stamp)) {
        generation = godwit_stamp_class_generation(index % GODWIT_STAMP_CLASSES, generation);
    }
    return godwit_stamp_base(stamp, page, generation) + index * GODWIT_STAMP_STEP;
}

/*
 * RANDOM: a Feistel network over the smallest even number of bits that holds all places; what it
 * takes out of them goes through it again. The functions of its four rounds come from the seed.
 */
static inline uint32_t godwit_stamp_half(uint32_t places)
{
    uint32_t half = 1;
    while (half < 16 && (UINT32_C(1) << (2 * half)) < places) {
        half++;
    }
    return half;
}

static inline uint32_t godwit_stamp_round(const struct godwit_stamp *stamp, uint32_t round,
                                          uint32_t value)
{
    const uint32_t key = (uint32_t)(stamp->seed >> (16 * (round % 3))) + round;
    uint32_t x = (value ^ key) * UINT32_C(0x9e3779b1);
    x ^= x >> 15;
    x *= UINT32_C(0x85ebca77);
    return x ^ (x >> 13);
}

static inline uint32_t godwit_stamp_shuffle(const struct godwit_stamp *stamp, uint32_t places,
                                            uint32_t place, bool back)
{
    const uint32_t half = godwit_stamp_half(places);
    const uint32_t mask = (UINT32_C(1) << half) - 1;
    do {
        uint32_t left = place >> half;
        uint32_t right = place & mask;
        uint32_t i;
        for (i = 0; i < 4; i++) {
            const uint32_t round = back ? 3 - i : i;
            if (back) {
                const uint32_t old = right ^ (godwit_stamp_round(stamp, round, left) & mask);
                right = left;
                left = old;
            } else {
                const uint32_t next = left ^ (godwit_stamp_round(stamp, round, right) & mask);
                left = right;
                right = next;
            }
        }
        place = left << half | right;
    } while (place >= places);
    return place;
}

/* STRIDE: how many of the places 0 to PLACES - 1 are in the first COLUMN columns of a table with
 * GODWIT_STAMP_STRIDE of them, filled row by row. */
static inline uint32_t godwit_stamp_column_start(uint32_t places, uint32_t column)
{
    const uint32_t rest = places % GODWIT_STAMP_STRIDE;
    return places / GODWIT_STAMP_STRIDE * column + (column < rest ? column : rest);
}

/*
 * The page that CPU writes as its TURN-th of a generation, counted from 0; there are pages / cpus.
 * PAGES_EACH is that quotient, for those who cannot divide.
 */
static inline uint32_t godwit_stamp_page_at(const struct godwit_stamp *stamp, uint32_t pages_each,
                                            uint32_t cpu, uint32_t turn)
{
    uint32_t place = turn;
    switch (stamp->flags & GODWIT_FLAG_ORDER_MASK) {
    case GODWIT_FLAG_STRIDE: {
        /* The column by halving: it is the last one that starts at TURN or before. */
        uint32_t low = 0, high = GODWIT_STAMP_STRIDE;
        while (high - low > 1) {
            const uint32_t middle = (low + high) / 2;
            if (godwit_stamp_column_start(pages_each, middle) <= turn) {
                low = middle;
            } else {
                high = middle;
            }
        }
        place = (turn - godwit_stamp_column_start(pages_each, low)) * GODWIT_STAMP_STRIDE + low;
        break;
    }
    case GODWIT_FLAG_RANDOM:
        place = godwit_stamp_shuffle(stamp, pages_each, turn, false);
        break;
    default:
        break;
    }
    return cpu + place * stamp->cpus;
}

/* ------------------------------------------------------------------------------------- host -- */
#if __STDC_HOSTED__

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The guest's own account of what it has done: of the mailbox of the CPU that the page is of. */
struct godwit_stamp_account {
    uint64_t passes; /* whole ones */
    uint32_t turn;   /* of the page to be written next, 0 to pages / cpus; see _turn_of() */
};

/* Which CPU writes PAGE. */
static inline uint32_t godwit_stamp_cpu_of(const struct godwit_stamp *stamp, uint32_t page)
{
    return page % stamp->cpus;
}

/* When that CPU does so: the other direction of godwit_stamp_page_at(). */
static inline uint32_t godwit_stamp_turn_of(const struct godwit_stamp *stamp, uint32_t page)
{
    const uint32_t places = stamp->pages / stamp->cpus;
    const uint32_t place = page / stamp->cpus;
    switch (stamp->flags & GODWIT_FLAG_ORDER_MASK) {
    case GODWIT_FLAG_STRIDE:
        return godwit_stamp_column_start(places, place % GODWIT_STAMP_STRIDE) +
               place / GODWIT_STAMP_STRIDE;
    case GODWIT_FLAG_RANDOM:
        return godwit_stamp_shuffle(stamp, places, place, true);
    default:
        return place;
    }
}

/*
 * The account that a mailbox gives: of CPU, with its PASSES and POSITION, in a window that begins
 * at START. False if no guest can have left that position.
 */
static inline bool godwit_stamp_account(const struct godwit_stamp *stamp, uint32_t cpu,
                                        uint64_t start, uint64_t passes, uint64_t position,
                                        struct godwit_stamp_account *account)
{
    const uint64_t offset = position - start;
    const uint64_t page = offset >> stamp->page_shift;
    account->passes = passes;
    if (position < start || page << stamp->page_shift != offset || page % stamp->cpus != cpu) {
        return false;
    }
    /* A stripe ends at the first address of its own steps that is out of the window. */
    if (page == (uint64_t)stamp->pages + cpu) {
        account->turn = stamp->pages / stamp->cpus;
        return true;
    }
    if (page >= stamp->pages) {
        return false;
    }
    account->turn = godwit_stamp_turn_of(stamp, (uint32_t)page);
    return true;
}

/* What is wrong with a page, or that nothing is. */
struct godwit_stamp_finding {
    bool wrong;
    bool torn;      /* right, and in the middle of being written */
    uint32_t index; /* of the first wrong word, or, if torn, of the first old one */
    uint64_t expected, found;
    uint64_t generation; /* that the page should be of: the older one, where it is being written */
};

/* The word at INDEX of a page's BYTES; words are in the guest's byte order. */
static inline uint64_t godwit_stamp_load(const unsigned char *bytes, uint32_t index,
                                         bool big_endian)
{
    /* Written out, because compilers then make one instruction of it. */
    const unsigned char *b = bytes + 8 * (size_t)index;
    if (big_endian) {
        return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
               (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
               (uint64_t)b[6] << 8 | (uint64_t)b[7];
    }
    return (uint64_t)b[7] << 56 | (uint64_t)b[6] << 48 | (uint64_t)b[5] << 40 |
           (uint64_t)b[4] << 32 | (uint64_t)b[3] << 24 | (uint64_t)b[2] << 16 |
           (uint64_t)b[1] << 8 | (uint64_t)b[0];
}

/* The first word in [FROM, words) that is not as GENERATION has it, or their number. */
static inline uint32_t godwit_stamp_mismatch(const struct godwit_stamp *stamp, uint32_t page,
                                             uint64_t generation, uint32_t from,
                                             const unsigned char *bytes, bool big_endian)
{
    const uint32_t words = godwit_stamp_words(stamp);
    const uint64_t step = godwit_stamp_is_zero(stamp, page, generation) ? 0 : GODWIT_STAMP_STEP;
    /* All words go on from the first one; SPARSE ones from the first of their class. */
    const uint32_t classes = godwit_stamp_is_sparse(stamp) ? GODWIT_STAMP_CLASSES : 1;
    uint64_t next[GODWIT_STAMP_CLASSES];
    uint32_t i;
    for (i = from; i < from + classes; i++) {
        next[i % classes] = godwit_stamp_word(stamp, page, i, generation);
    }
    for (i = from; i < words; i++) {
        uint64_t *word = &next[classes == 1 ? 0 : i % GODWIT_STAMP_CLASSES];
        if (godwit_stamp_load(bytes, i, big_endian) != *word) {
            break;
        }
        *word += classes * step;
    }
    return i;
}

/*
 * Checks PAGE, whose BYTES are 1 << page_shift of them, against the ACCOUNT of its CPU, in a guest
 * that is stopped. HALVES: the guest writes a word in two halves, the one at the lower address
 * first, and can be stopped between them (32-bit code does). Returns whether the page is right.
 *
 * With the account at the end of a pass (turn is pages / cpus) a guest may or may not have raised
 * its passes yet: then every page may be of either generation, but all of the CPU's must be of the
 * same, which the caller sees by finding->generation.
 */
static inline bool godwit_stamp_check_page(const struct godwit_stamp *stamp, uint32_t page,
                                           const unsigned char *bytes, bool big_endian, bool halves,
                                           const struct godwit_stamp_account *account,
                                           struct godwit_stamp_finding *finding)
{
    const uint32_t words = godwit_stamp_words(stamp);
    const uint32_t turn = godwit_stamp_turn_of(stamp, page);
    const bool at_end = account->turn == stamp->pages / stamp->cpus;
    const uint64_t old = account->passes;
    uint32_t index;
    memset(finding, 0, sizeof(*finding));
    finding->generation = old + (turn < account->turn && !at_end);
    index = godwit_stamp_mismatch(stamp, page, finding->generation, 0, bytes, big_endian);
    if (index == words) {
        return true;
    }
    if (turn == account->turn || at_end) {
        uint32_t tear = godwit_stamp_mismatch(stamp, page, old + 1, 0, bytes, big_endian);
        uint32_t rest;
        if (tear == words) {
            finding->generation = old + 1;
            return true;
        }
        if (!at_end) {
            rest = tear;
            if (halves) {
                const uint64_t low = UINT64_C(0xffffffff);
                const uint64_t first = big_endian ? ~low : low;
                const uint64_t half = (godwit_stamp_word(stamp, page, tear, old + 1) & first) |
                                      (godwit_stamp_word(stamp, page, tear, old) & ~first);
                if (godwit_stamp_load(bytes, tear, big_endian) == half) {
                    rest = tear + 1;
                }
            }
            index = godwit_stamp_mismatch(stamp, page, old, rest, bytes, big_endian);
            if (index == words) {
                finding->torn = true;
                finding->index = tear;
                return true;
            }
        }
    }
    finding->wrong = true;
    finding->index = index;
    finding->expected = godwit_stamp_word(stamp, page, index, finding->generation);
    finding->found = godwit_stamp_load(bytes, index, big_endian);
    return false;
}

static inline uint64_t godwit_stamp_unshift(uint64_t x, unsigned shift)
{
    uint64_t y = x;
    unsigned done;
    for (done = shift; done < 64; done += shift) {
        y = x ^ (y >> shift);
    }
    return y;
}

/* Takes godwit_stamp_mix() back. The factors are the inverses, modulo 2^64, of those above. */
static inline uint64_t godwit_stamp_unmix(uint64_t x)
{
    x = godwit_stamp_unshift(x, 31) * UINT64_C(0x319642b2d24d8ec3);
    x = godwit_stamp_unshift(x, 27) * UINT64_C(0x96de1b173f119089);
    return godwit_stamp_unshift(x, 30);
}

enum godwit_stamp_kind {
    GODWIT_STAMP_FOREIGN, /* no word that the guest has ever written */
    GODWIT_STAMP_NULL,    /* zero */
    GODWIT_STAMP_WORD     /* the word that it is known as */
};

/* What a word is. */
struct godwit_stamp_identity {
    enum godwit_stamp_kind kind;
    uint32_t page, index;
    uint64_t generation;
};

/* Whether WORD is at INDEX of PAGE in some generation from 0 to LATEST, which is then in
 * *GENERATION. */
static inline bool godwit_stamp_date(const struct godwit_stamp *stamp, uint64_t word, uint32_t page,
                                     uint32_t index, uint64_t latest, uint64_t *generation)
{
    *generation =
        godwit_stamp_unmix(word - index * GODWIT_STAMP_STEP) - godwit_stamp_key(stamp, page);
    return *generation <= latest;
}

/*
 * Finds out what WORD, found at INDEX of PAGE, really is. LATEST is the latest generation that can
 * have been written. The likely is tried first, then everything: pages * words of a page in all,
 * some tenths of a second with 100 MiB.
 */
static inline struct godwit_stamp_identity godwit_stamp_identify(const struct godwit_stamp *stamp,
                                                                 uint64_t word, uint32_t page,
                                                                 uint32_t index, uint64_t latest)
{
    struct godwit_stamp_identity identity = {GODWIT_STAMP_WORD, page, index, 0};
    const uint32_t words = godwit_stamp_words(stamp);
    uint32_t p, turn;
    if (word == 0) {
        identity.kind = GODWIT_STAMP_NULL;
        return identity;
    }
    /* turn 0: this very place; then this index on all pages, then all other indices. */
    if (godwit_stamp_date(stamp, word, page, index, latest, &identity.generation)) {
        return identity;
    }
    for (turn = 0; turn < words; turn++) {
        const uint32_t i = (index + turn) % words;
        const uint64_t origin = godwit_stamp_unmix(word - i * GODWIT_STAMP_STEP);
        for (p = 0; p < stamp->pages; p++) {
            const uint64_t generation = origin - godwit_stamp_key(stamp, p);
            if (generation <= latest) {
                identity.page = p;
                identity.index = i;
                identity.generation = generation;
                return identity;
            }
        }
    }
    identity.kind = GODWIT_STAMP_FOREIGN;
    return identity;
}

/*
 * Writes one sentence that tells a finding into BUFFER of SIZE bytes, cut off if need be and always
 * terminated: what is wrong at which address and what the word found there really is. LATEST is as
 * for godwit_stamp_identify(), START the window's first address. Returns what snprintf does.
 */
static inline int godwit_stamp_format(const struct godwit_stamp *stamp, uint32_t page,
                                      const struct godwit_stamp_finding *finding, uint64_t start,
                                      uint64_t latest, char *buffer, size_t size)
{
    const uint64_t address =
        start + ((uint64_t)page << stamp->page_shift) + 8 * (uint64_t)finding->index;
    struct godwit_stamp_identity identity;
    char what[128];
    if (!finding->wrong) {
        return snprintf(buffer, size, "page %" PRIu32 " is as generation %" PRIu64 " has it", page,
                        finding->generation);
    }
    identity = godwit_stamp_identify(stamp, finding->found, page, finding->index, latest);
    switch (identity.kind) {
    case GODWIT_STAMP_NULL:
        snprintf(what, sizeof(what), "zero");
        break;
    case GODWIT_STAMP_FOREIGN:
        snprintf(what, sizeof(what), "nothing that the guest ever wrote");
        break;
    default:
        if (identity.page == page && identity.index == finding->index) {
            snprintf(what, sizeof(what), "the same word of generation %" PRIu64,
                     identity.generation);
        } else {
            snprintf(what, sizeof(what),
                     "word %" PRIu32 " of page %" PRIu32 " in generation %" PRIu64, identity.index,
                     identity.page, identity.generation);
        }
        break;
    }
    return snprintf(buffer, size,
                    "stamp broken at 0x%" PRIx64 " (word %" PRIu32 " of page %" PRIu32
                    "): 0x%016" PRIx64 ", which is %s, instead of generation %" PRIu64
                    "'s 0x%016" PRIx64,
                    address, finding->index, page, finding->found, what, finding->generation,
                    finding->expected);
}

#endif /* hosted */
#endif
