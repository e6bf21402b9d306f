/*
 * Keeps a testbed's ledger: a sum for each oracle and unit. The measurement "found_by" names the
 * oracle that has found an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/ledger.h"

#include <string.h>

static const char *const names[GODWIT_ORACLES] = {
    [GODWIT_ORACLE_PAGE_ORDER] = "page-order",
    [GODWIT_ORACLE_STAMP] = "stamp",
    [GODWIT_ORACLE_TWIN] = "twin",
    [GODWIT_ORACLE_POSITION] = "position",
    [GODWIT_ORACLE_GUEST] = "guest",
    [GODWIT_ORACLE_CONTINUITY] = "continuity",
    [GODWIT_ORACLE_IDENTITY] = "identity",
    [GODWIT_ORACLE_BLACKOUT] = "blackout",
};

const char *godwit_oracle_name(enum godwit_oracle oracle)
{
    return names[oracle];
}

bool godwit_oracles_choose(const char *list, unsigned *off, GError **error)
{
    g_auto(GStrv) each = g_strsplit(list, ",", -1);
    unsigned on = 0;
    for (guint i = 0; each[i]; i++) {
        unsigned found = GODWIT_ORACLES;
        for (unsigned oracle = 0; oracle < GODWIT_ORACLES; oracle++)
            if (!strcmp(names[oracle], each[i]))
                found = oracle;
        if (found == GODWIT_ORACLES) {
            g_autofree char *known = godwit_oracles_chosen(0);
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "unknown oracle \"%s\" (expected one of %s)", each[i], known);
        }
        on |= 1u << found;
    }
    *off = ~on & ((1u << GODWIT_ORACLES) - 1);
    return on || godwit_fail(error, GODWIT_ERROR_USAGE, "--oracle needs the name of an oracle");
}

char *godwit_oracles_help(void)
{
    g_autofree char *names_ = godwit_oracles_chosen(0);
    g_auto(GStrv) each = g_strsplit(names_, ",", -1);
    g_autofree char *list = g_strjoinv(", ", each);
    return g_strdup_printf("Judge only with these oracles: %s", list);
}

char *godwit_oracles_chosen(unsigned off)
{
    GString *list = g_string_new(NULL);
    for (unsigned oracle = 0; oracle < GODWIT_ORACLES; oracle++)
        if (!(off & (1u << oracle)))
            g_string_append_printf(list, "%s%s", list->len ? "," : "", names[oracle]);
    return g_string_free(list, FALSE);
}

bool godwit_oracle_judges(const struct godwit_testbed *testbed, enum godwit_oracle oracle)
{
    return !(testbed->setup->oracles_off & (1u << oracle));
}

/* Names of the units, as results have them. */
static const char *const units[GODWIT_UNITS] = {
    [GODWIT_UNIT_BYTES] = "bytes",         [GODWIT_UNIT_PAGES] = "pages",
    [GODWIT_UNIT_DIFFERENT] = "different", [GODWIT_UNIT_SAMPLES] = "samples",
    [GODWIT_UNIT_REGISTERS] = "registers",
};

/* What an oracle has compared, in one unit. */
struct sum {
    bool counted; /* the oracle has judged, perhaps with an amount of 0 */
    uint64_t amount;
};

struct godwit_ledger {
    struct sum sums[GODWIT_ORACLES][GODWIT_UNITS];
    enum godwit_oracle accused; /* GODWIT_ORACLES: none */
};

static struct godwit_ledger *ledger_of(struct godwit_testbed *testbed)
{
    if (!testbed->ledger) {
        testbed->ledger = g_new0(struct godwit_ledger, 1);
        testbed->ledger->accused = GODWIT_ORACLES;
        godwit_testbed_at_end(testbed, g_free, testbed->ledger);
    }
    return testbed->ledger;
}

static struct sum *sum_of(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                          enum godwit_unit unit)
{
    struct sum *sum = &ledger_of(testbed)->sums[oracle][unit];
    sum->counted = true;
    return sum;
}

void godwit_oracle_count(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                         enum godwit_unit unit, uint64_t amount)
{
    sum_of(testbed, oracle, unit)->amount += amount;
}

void godwit_oracle_count_all(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                             enum godwit_unit unit, uint64_t amount)
{
    struct sum *sum = sum_of(testbed, oracle, unit);
    sum->amount = MAX(sum->amount, amount);
}

void godwit_oracle_accuse(struct godwit_testbed *testbed, enum godwit_oracle oracle, const char *vm)
{
    ledger_of(testbed)->accused = oracle;
    godwit_testbed_measure(testbed, "found_by",
                           json_pack("{s:s, s:s*}", "oracle", names[oracle], "vm", vm));
}

enum godwit_oracle godwit_oracle_accused(const struct godwit_testbed *testbed)
{
    return testbed->ledger ? testbed->ledger->accused : GODWIT_ORACLES;
}

json_t *godwit_oracles_judged(const struct godwit_testbed *testbed)
{
    json_t *list = json_array();
    for (unsigned oracle = 0; testbed->ledger && oracle < GODWIT_ORACLES; oracle++) {
        const struct sum *sums = testbed->ledger->sums[oracle];
        json_t *judged = NULL;
        for (unsigned unit = 0; unit < GODWIT_UNITS; unit++) {
            if (!sums[unit].counted)
                continue;
            if (!judged)
                judged = json_pack("{s:s}", "name", names[oracle]);
            json_object_set_new(judged, units[unit], json_integer((json_int_t)sums[unit].amount));
        }
        if (judged)
            json_array_append_new(list, judged);
    }
    return list;
}
