/* SPDX-License-Identifier: MIT */
/*
 * Stamp: memory in which every word identifies its place and the pass that wrote it.
 *
 * The guest's `stamp` workload repeatedly fills the whole pages of a window, one after another.
 * Each pass over the window writes one generation, a 64-bit number that starts at 0. The value of a
 * word is a function of its page, its index in the page, the generation and a seed:
 *
 *   word(page, index, generation) = base(page, generation) + index * GODWIT_STAMP_STEP
 *   base(page, generation)        = mix(generation + key(page))
 *   key(page)                     = mix(seed + (page + 1) * GODWIT_STAMP_GOLDEN)
 *
 * where mix() is a permutation of the 64-bit numbers. godwit_stamp_identify() maps a word back to
 * its page, index and generation. Only one of the 2^64 values is legal for each page, index and
 * generation written so far, so a random value practically never passes for a legal one.
 *
 * Flags (guest_abi.h) select what one page holds in a generation:
 *   WHOLE    every word is of that generation
 *   SPARSE   generation 0 writes all words; every later generation writes only the words whose
 *            index is congruent to it modulo GODWIT_STAMP_CLASSES
 *   ZERO     as WHOLE, but every fourth generation of a page is all zero; neighbouring pages are
 *            zero in different generations
 *   MIXED    as ZERO, but the guest writes only some pages in each generation: the busy pages in
 *            all of them, the others in every eighth. Both kinds come in runs of every shape; see
 *            godwit_stamp_is_busy(). A page keeps its contents until it is written again.
 * and the order in which the guest writes the pages:
 *   LINEAR   ascending
 *   STRIDE   every GODWIT_STAMP_STRIDE-th page (2 MiB apart with pages of 4 KiB), then the pages
 *            that follow those, and so on
 *   RANDOM   a permutation that depends on the seed
 * With N CPUs, CPU n writes the pages n, n + N, n + 2 N ...
 *
 * If the guest is stopped, its progress (passes and position in the mailbox, see guest_abi.h)
 * determines the contents of every page. Pages that the current pass has written are of generation
 * passes + 1; the others are of generation passes; the page at the position may be half written,
 * with new words before old ones. godwit_stamp_check_page() tolerates nothing else. It therefore
 * notices any wrong byte in the window, and any stale one.
 *
 * You can copy this file and guest_abi.h anywhere. They need only the C standard library, compile
 * as C99, C11 and C++17, and keep no state. The guest includes this file too: the part above the
 * line "host" is freestanding and does not divide.
 */
#ifndef GODWIT_STAMP_H
#define GODWIT_STAMP_H

#include "guest_abi.h"

#include <stdbool.h>
#include <stdint.h>

/* Odd numbers without a pattern: the fractions of the golden ratio and of pi. */
#define GODWIT_STAMP_GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define GODWIT_STAMP_STEP   UINT64_C(0x243f6a8885a308d3)

#define GODWIT_STAMP_CLASSES 16u  /* SPARSE: generations until every word was rewritten */
#define GODWIT_STAMP_CYCLE   4u   /* ZERO, MIXED: writes from one zero page to the next */
#define GODWIT_STAMP_PERIOD  8u   /* MIXED: generations until a page that is not busy is written */
#define GODWIT_STAMP_STRIDE  512u /* STRIDE: distance in pages */

/* Describes the contents of a window. */
struct godwit_stamp {
    uint64_t seed;
    uint32_t flags;      /* GODWIT_FLAG_*; only content and order are used */
    uint32_t page_shift; /* log2 of the page size in bytes, 3 or more */
    uint32_t pages;      /* in the window; a multiple of cpus */
    uint32_t cpus;       /* 1 or more */
};

/* Returns a permutation of X: the finalizer of SplitMix64, by Guy Steele and others. */
static inline uint64_t godwit_stamp_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Returns the key of a page, which does not depend on the generation. */
static inline uint64_t godwit_stamp_key(const struct godwit_stamp *stamp, uint32_t page)
{
    return godwit_stamp_mix(stamp->seed + ((uint64_t)page + 1) * GODWIT_STAMP_GOLDEN);
}

/* Returns word 0 of a non-zero page with the given key. */
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

static inline bool godwit_stamp_is_mixed(const struct godwit_stamp *stamp)
{
    return (stamp->flags & GODWIT_FLAG_CONTENT_MASK) == GODWIT_FLAG_MIXED;
}

/*
 * MIXED: returns true if the guest writes the page in every generation. A migration tracks dirty
 * pages in a bitmap, whose words have 64 pages each, and a huge page has 512. So runs of busy pages
 * and of other pages alternate. They are as long as a word or a huge page, one page shorter, one
 * page longer, and very short. The pattern repeats every 2048 pages. All short runs are in its
 * first quarter, for small windows.
 */
static inline bool godwit_stamp_is_busy(uint32_t page)
{
    const uint32_t at = page % 2048;
    if (at < 64) {
        return at < 6 ? at == 0 || at >= 3 : at % 2 == 1; /* 1, not 2, 3, then every other page */
    }
    if (at >= 1792) {
        return at % 16 == 7; /* one page in 16 */
    }
    return (at >= 127 && at < 191) || /* not 63, 64, not 65 */
           (at >= 256 && at < 767) || /* 511, not 512 */
           (at >= 1279 && at < 1792); /* 513 */
}

/*
 * Returns the generation in which a page was written last, when GENERATION is complete. MIXED
 * writes a page that is not busy in the generations that are congruent to its phase. About 43
 * pages in a row have the same phase, so each generation writes different pages, and the runs
 * rarely begin or end at a word of the bitmap.
 */
static inline uint64_t godwit_stamp_latest(const struct godwit_stamp *stamp, uint32_t page,
                                           uint64_t generation)
{
    uint32_t age;
    if (!godwit_stamp_is_mixed(stamp) || godwit_stamp_is_busy(page)) {
        return generation;
    }
    age = ((uint32_t)generation - (3 * page >> 7)) % GODWIT_STAMP_PERIOD;
    return age > generation ? 0 : generation - age;
}

/* Returns how many times the page has been written when GENERATION is complete, not counting
 * generation 0. */
static inline uint64_t godwit_stamp_writes(const struct godwit_stamp *stamp, uint32_t page,
                                           uint64_t generation)
{
    if (!godwit_stamp_is_mixed(stamp) || godwit_stamp_is_busy(page)) {
        return generation;
    }
    return (godwit_stamp_latest(stamp, page, generation) + GODWIT_STAMP_PERIOD - 1) /
           GODWIT_STAMP_PERIOD;
}

/* Returns true if the page is all zero in GENERATION. */
static inline bool godwit_stamp_is_zero(const struct godwit_stamp *stamp, uint32_t page,
                                        uint64_t generation)
{
    return (stamp->flags & GODWIT_FLAG_ZERO) &&
           ((uint32_t)godwit_stamp_writes(stamp, page, generation) + page) % GODWIT_STAMP_CYCLE ==
               GODWIT_STAMP_CYCLE - 1;
}

/* Returns the generation of the words of CLASS (index modulo GODWIT_STAMP_CLASSES) in a SPARSE page
 * of GENERATION. */
static inline uint64_t godwit_stamp_class_generation(uint32_t class_, uint64_t generation)
{
    const uint32_t age = ((uint32_t)generation - class_) % GODWIT_STAMP_CLASSES;
    return age > generation ? 0 : generation - age;
}

/* Returns the word at INDEX of PAGE in GENERATION. */
static inline uint64_t godwit_stamp_word(const struct godwit_stamp *stamp, uint32_t page,
                                         uint32_t index, uint64_t generation)
{
    if (godwit_stamp_is_zero(stamp, page, generation)) {
        return 0;
    }
    if (godwit_stamp_is_sparse(stamp)) {
        generation = godwit_stamp_class_generation(index % GODWIT_STAMP_CLASSES, generation);
    }
    generation = godwit_stamp_latest(stamp, page, generation);
    return godwit_stamp_base(stamp, page, generation) + index * GODWIT_STAMP_STEP;
}

/*
 * RANDOM: a Feistel network with four rounds over the smallest even number of bits that can hold
 * all places. A result outside the range goes through the network again. The seed selects the round
 * functions.
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

/* STRIDE: imagine the places 0 to PLACES - 1 written row by row into a table with
 * GODWIT_STAMP_STRIDE columns. Returns how many of them are in the first COLUMN columns. */
static inline uint32_t godwit_stamp_column_start(uint32_t places, uint32_t column)
{
    const uint32_t rest = places % GODWIT_STAMP_STRIDE;
    return places / GODWIT_STAMP_STRIDE * column + (column < rest ? column : rest);
}

/*
 * Returns the page that CPU writes at its turn TURN of a generation, from 0 to PAGES_EACH - 1.
 * PAGES_EACH is pages / cpus; the caller passes it because this code must not divide.
 */
static inline uint32_t godwit_stamp_page_at(const struct godwit_stamp *stamp, uint32_t pages_each,
                                            uint32_t cpu, uint32_t turn)
{
    uint32_t place = turn;
    switch (stamp->flags & GODWIT_FLAG_ORDER_MASK) {
    case GODWIT_FLAG_STRIDE: {
        /* Find the last column that starts at or before TURN, by bisection. */
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

/* The progress of one CPU, from its mailbox. */
struct godwit_stamp_account {
    uint64_t passes; /* complete passes */
    uint32_t turn;   /* of the next page to write, 0 to pages / cpus; see _turn_of() */
};

/* Returns the CPU that writes PAGE. */
static inline uint32_t godwit_stamp_cpu_of(const struct godwit_stamp *stamp, uint32_t page)
{
    return page % stamp->cpus;
}

/* Returns the turn at which that CPU writes PAGE: the inverse of godwit_stamp_page_at(). */
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
 * Sets *ACCOUNT from the mailbox of CPU, which holds PASSES and POSITION. The window starts at
 * START. Returns false if no guest can leave that position.
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
    /* A stripe ends at its first address beyond the window. */
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

/* The result of checking a page. */
struct godwit_stamp_finding {
    bool wrong;
    bool torn;      /* correct, and half written */
    bool either;    /* correct, and the same in `generation` and the next */
    uint32_t index; /* of the first wrong word or, if torn, of the first old one */
    uint64_t expected, found;
    uint64_t generation; /* that the page should have; if half written, the older one */
};

/* Returns the word at INDEX of a page with contents BYTES, which are in guest byte order. */
static inline uint64_t godwit_stamp_load(const unsigned char *bytes, uint32_t index,
                                         bool big_endian)
{
    /* Compilers turn this form into a single instruction. */
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

/* Returns the index of the first word at or after FROM that is not of GENERATION, or the number of
 * words if there is none. */
static inline uint32_t godwit_stamp_mismatch(const struct godwit_stamp *stamp, uint32_t page,
                                             uint64_t generation, uint32_t from,
                                             const unsigned char *bytes, bool big_endian)
{
    const uint32_t words = godwit_stamp_words(stamp);
    const uint64_t step = godwit_stamp_is_zero(stamp, page, generation) ? 0 : GODWIT_STAMP_STEP;
    /* Each word follows from the one before it; in a SPARSE page, from the one before in its class.
     * */
    const uint32_t classes = godwit_stamp_is_sparse(stamp) ? GODWIT_STAMP_CLASSES : 1;
    uint64_t next[GODWIT_STAMP_CLASSES];
    uint32_t i;
    for (i = from; i < from + classes; i++) {
        next[i % classes] = godwit_stamp_word(stamp, page, i, generation);
    }
    i = from;
    /* Four words at once, whose differences are collected: a branch for each word would take longer
     * than all the rest. */
    while (classes == 1 && i + 4 <= words) {
        const uint64_t first = next[0];
        const uint64_t differs =
            (godwit_stamp_load(bytes, i, big_endian) ^ first) |
            (godwit_stamp_load(bytes, i + 1, big_endian) ^ (first + step)) |
            (godwit_stamp_load(bytes, i + 2, big_endian) ^ (first + 2 * step)) |
            (godwit_stamp_load(bytes, i + 3, big_endian) ^ (first + 3 * step));
        if (differs) {
            break;
        }
        next[0] += 4 * step;
        i += 4;
    }
    for (; i < words; i++) {
        uint64_t *word = &next[classes == 1 ? 0 : i % GODWIT_STAMP_CLASSES];
        if (godwit_stamp_load(bytes, i, big_endian) != *word) {
            break;
        }
        *word += classes * step;
    }
    return i;
}

/*
 * Checks PAGE of a stopped guest, with contents BYTES (1 << page_shift bytes), against the progress
 * ACCOUNT of its CPU. HALVES means that the guest writes a word in two halves, the one at the lower
 * address first, and can be stopped between them, as 32-bit code does. Fills in *FINDING and
 * returns true if the page is correct.
 *
 * If ACCOUNT is at the end of a pass (turn is pages / cpus), the guest may or may not have
 * incremented passes yet. A page may then be of either generation, but all pages of the CPU must be
 * of the same one; the caller compares finding->generation to check that, except where `either` is
 * set: MIXED does not write all pages in a pass.
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
        finding->either =
            godwit_stamp_latest(stamp, page, finding->generation + 1) != finding->generation + 1;
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

/* The inverse of godwit_stamp_mix(). The factors are the inverses of those above modulo 2^64. */
static inline uint64_t godwit_stamp_unmix(uint64_t x)
{
    x = godwit_stamp_unshift(x, 31) * UINT64_C(0x319642b2d24d8ec3);
    x = godwit_stamp_unshift(x, 27) * UINT64_C(0x96de1b173f119089);
    return godwit_stamp_unshift(x, 30);
}

enum godwit_stamp_kind {
    GODWIT_STAMP_FOREIGN, /* no word that the guest ever wrote */
    GODWIT_STAMP_NULL,    /* zero */
    GODWIT_STAMP_WORD     /* a word that the guest wrote; see page, index and generation */
};

/* Where a word comes from. */
struct godwit_stamp_identity {
    enum godwit_stamp_kind kind;
    uint32_t page, index;
    uint64_t generation;
};

/* Returns true if WORD belongs at INDEX of PAGE in a generation from 0 to LATEST, and sets
 * *GENERATION to it. */
static inline bool godwit_stamp_date(const struct godwit_stamp *stamp, uint64_t word, uint32_t page,
                                     uint32_t index, uint64_t latest, uint64_t *generation)
{
    *generation =
        godwit_stamp_unmix(word - index * GODWIT_STAMP_STEP) - godwit_stamp_key(stamp, page);
    return *generation <= latest;
}

/*
 * Returns the origin of WORD, which was found at INDEX of PAGE. LATEST is the highest generation
 * that can have been written. Tries the likely places first, then every index of every page, which
 * takes some tenths of a second for 100 MiB.
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
    /* First this place, then this index in all pages, then all other indices. */
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
 * Writes a sentence that describes FINDING to BUFFER, which has SIZE bytes: the address, the word
 * found there and its origin. Truncates it if need be and always terminates it. LATEST is as for
 * godwit_stamp_identify(); START is the first address of the window. Returns the length of the
 * whole sentence, as snprintf does.
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
