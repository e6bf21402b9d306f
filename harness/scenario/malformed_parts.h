/*
 * Shared by the scenarios malformed: variants of a good stream as rows of a table.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_MALFORMED_PARTS_H
#define GODWIT_HARNESS_SCENARIO_MALFORMED_PARTS_H

#include "scenario/conformance_trials.h"

/* The places in the good stream where a variant differs. */
enum godwit_place {
    GODWIT_PLACE_SECTIONS,       /* between the configuration and the first section */
    GODWIT_PLACE_CONFIGURATION,  /* its type, a byte; then the machine's name */
    GODWIT_PLACE_NAME_END,       /* behind the machine's name */
    GODWIT_PLACE_START,          /* the header of section "ram" */
    GODWIT_PLACE_START_NUMBERS,  /* in it, the instance and the version */
    GODWIT_PLACE_LAST,           /* the header of the last part of section "ram" */
    GODWIT_PLACE_FOOTER,         /* the first footer */
    GODWIT_PLACE_DEVICE,         /* the header of the first device */
    GODWIT_PLACE_DEVICE_NUMBERS, /* in it, the instance and the version */
    GODWIT_PLACE_DEVICE_FOOTER,  /* the footer of that device */
    GODWIT_PLACE_END,            /* the byte that ends the sections */
    GODWIT_PLACE_RAM_SIZE,       /* the size of RAM */
    GODWIT_PLACE_BLOCK,          /* the first RAM block: a counted name, then its length */
    GODWIT_PLACE_BLOCK_LENGTH,   /* in it, the length */
    GODWIT_PLACE_RECORDS,        /* the first record behind the list of RAM blocks */
    GODWIT_PLACE_PAGE,           /* the first page that is whole */
    GODWIT_PLACE_PAGE_DATA,      /* in it, the page's bytes */
    GODWIT_PLACE_MAPPED,         /* the mapped-ram header of the first RAM block */
    GODWIT_PLACE_MAPPED_BITMAP,  /* its bitmap */
    GODWIT_PLACE_MAPPED_PAGE,    /* its first page */
    GODWIT_PLACES,
};

/* How a destination differs from the source. */
enum godwit_setting {
    GODWIT_SETTING_SAME,
    GODWIT_SETTING_POSTCOPY, /* it has postcopy-ram */
    GODWIT_SETTING_SHARED,   /* it has x-ignore-shared */
    GODWIT_SETTING_SPARE,    /* it has a RAM block that is not migrated, which has no name */
};

/*
 * A variant: SKIP bytes behind PLACE, the good stream's next REMOVE bytes are replaced by TEXT. The
 * rest of the good stream follows, unless CUT. TEXT is words that are separated by spaces:
 *
 *   08 0001 000a  hexadecimal digits: bytes
 *   =NAME         a counted string: the length in a byte, and the name. "=@" is the first RAM block
 *   *SIZE         so many zeros, decimal
 *   +length       two bytes: the length of the first RAM block's counted name
 *   +discard      two bytes: the length of a RAM_DISCARD with that name and a pair of numbers
 *   +pages        the size of the host's pages, eight bytes
 *   +page         the size of the target's pages, eight bytes
 */
struct godwit_malformed {
    const char *name; /* without ": refused" or the like */
    const char *text;
    enum godwit_place place;
    enum godwit_trial_end end;
    enum godwit_setting setting;
    unsigned skip, remove;
    bool cut;
};

/* A group of variants: the `data` of a scenario. */
struct godwit_malformed_group {
    const struct godwit_capability *capabilities; /* of both sides, or NULL */
    const struct godwit_malformed *variants;
    size_t count;
};

/* The hook of all scenarios here. */
bool godwit_malformed_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error);

/* A table as a group. */
#define GODWIT_MALFORMED_GROUP(table)                                                              \
    {                                                                                              \
        .variants = (table), .count = G_N_ELEMENTS(table)                                          \
    }

#endif
