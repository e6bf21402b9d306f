/*
 * The ledger of a testbed: which oracles judge, how much each has compared, and which one has found
 * an error.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_LEDGER_H
#define GODWIT_HARNESS_ORACLE_LEDGER_H

#include "testbed/testbed.h"

/* The oracles that --oracle selects. The others (console, states, alarms, processes) always judge.
 */
enum godwit_oracle {
    GODWIT_ORACLE_PAGE_ORDER,
    GODWIT_ORACLE_STAMP,
    GODWIT_ORACLE_TWIN,
    GODWIT_ORACLE_POSITION,
    GODWIT_ORACLE_GUEST, /* VERIFY: the guest checks itself */
    GODWIT_ORACLE_CONTINUITY,
    GODWIT_ORACLE_IDENTITY,
    GODWIT_ORACLE_BLACKOUT,
    GODWIT_ORACLES /* how many there are */
};

/* The units in which oracles count. */
enum godwit_unit {
    GODWIT_UNIT_BYTES,
    GODWIT_UNIT_PAGES,
    GODWIT_UNIT_DIFFERENT, /* bytes that differ */
    GODWIT_UNIT_SAMPLES,   /* of a mailbox */
    GODWIT_UNIT_REGISTERS, /* of a CPU; for position: sets of them */
    GODWIT_UNITS,          /* how many there are */
};

/* Returns the oracle's name, such as "page-order". */
const char *godwit_oracle_name(enum godwit_oracle oracle);

/*
 * Parses NAMES, a list of oracles separated by commas. Sets in *OFF the bit of each oracle that is
 * not in the list, as in godwit_setup.oracles_off. Fails with USAGE if a name is unknown or the
 * list is empty.
 */
bool godwit_oracles_choose(const char *names, unsigned *off, GError **error);

/* Returns the help text of --oracle, with the names of all oracles. The caller frees it. */
char *godwit_oracles_help(void);

/* Returns the names of the oracles that are not in OFF, separated by commas. The caller frees it.
 */
char *godwit_oracles_chosen(unsigned off);

/* Returns true if the oracle is switched on. */
bool godwit_oracle_judges(const struct godwit_testbed *testbed, enum godwit_oracle oracle);

/* Adds AMOUNT to the sum of what the oracle has compared, in UNIT. */
void godwit_oracle_count(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                         enum godwit_unit unit, uint64_t amount);

/* Raises the sum of what the oracle has compared, in UNIT, to AMOUNT, unless it is larger. */
void godwit_oracle_count_all(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                             enum godwit_unit unit, uint64_t amount);

/* Records that the oracle has found an error in the VM of that name, or in no particular VM if VM
 * is NULL. */
void godwit_oracle_accuse(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                          const char *vm);

/* Returns the oracle that godwit_oracle_accuse() has recorded last, or GODWIT_ORACLES if none has
 * found an error. */
enum godwit_oracle godwit_oracle_accused(const struct godwit_testbed *testbed);

/* Returns the testbed's ledger as results have it: an array with an object
 * for each oracle that has judged, {"name", and an integer for each unit}. The caller releases it.
 */
json_t *godwit_oracles_judged(const struct godwit_testbed *testbed);

#endif
