/*
 * The ledger of a testbed: which oracles judge, how much each of them has compared, and which of
 * them has found something wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_LEDGER_H
#define GODWIT_HARNESS_ORACLE_LEDGER_H

#include "testbed/testbed.h"

/* The oracles that --oracle names. What else is judged (console, states, processes) always is. */
enum godwit_oracle {
    GODWIT_ORACLE_PAGE_ORDER,
    GODWIT_ORACLE_STAMP,
    GODWIT_ORACLE_TWIN,
    GODWIT_ORACLE_POSITION,
    GODWIT_ORACLE_GUEST, /* VERIFY: the guest checks itself */
    GODWIT_ORACLE_CONTINUITY,
    GODWIT_ORACLE_BLACKOUT,
    GODWIT_ORACLES /* how many there are */
};

/* Its name: "page-order". */
const char *godwit_oracle_name(enum godwit_oracle oracle);

/*
 * Takes a list of names with commas between them: *OFF gets a bit for each oracle that is not in
 * it, as godwit_setup.oracles_off has them. USAGE error for a name that there is none of.
 */
bool godwit_oracles_choose(const char *names, unsigned *off, GError **error);

/* What --help says of --oracle, with the names of all; the caller frees it. */
char *godwit_oracles_help(void);

/* The names of those that are not off, with commas between them; the caller's. */
char *godwit_oracles_chosen(unsigned off);

/* Whether that oracle is to judge. */
bool godwit_oracle_judges(const struct godwit_testbed *testbed, enum godwit_oracle oracle);

/* Adds AMOUNT to what the oracle has compared so far, in that UNIT ("bytes", "pages"). */
void godwit_oracle_count(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                         const char *unit, uint64_t amount);

/* The same where AMOUNT is the sum already: the largest counts. */
void godwit_oracle_count_all(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                             const char *unit, uint64_t amount);

/* Notes that the oracle has found the testbed's VM of that name (NULL: no one of them) wrong. */
void godwit_oracle_accuse(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                          const char *vm);

/* What result records have of it, made of the testbed's facts: an array of {"name", and an integer
 * for each unit}, of those that have judged. The caller's. */
json_t *godwit_oracles_judged(const struct godwit_testbed *testbed);

#endif
