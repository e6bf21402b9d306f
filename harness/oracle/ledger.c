/*
 * Keeps a testbed's ledger in its measurements: "oracles" has the sums of each oracle, "found_by"
 * the one that has found an error.
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

/* Returns the oracle's entry in the measurements, which is made if necessary. Borrowed. */
static json_t *entry_of(struct godwit_testbed *testbed, enum godwit_oracle oracle)
{
    json_t *all = json_object_get(testbed->measurements, "oracles");
    if (!all) {
        all = json_object();
        json_object_set_new(testbed->measurements, "oracles", all);
    }
    json_t *entry = json_object_get(all, names[oracle]);
    if (!entry) {
        entry = json_object();
        json_object_set_new(all, names[oracle], entry);
    }
    return entry;
}

void godwit_oracle_count(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                         const char *unit, uint64_t amount)
{
    json_t *entry = entry_of(testbed, oracle);
    const json_int_t before = godwit_json_integer(entry, unit, 0);
    json_object_set_new(entry, unit, json_integer(before + (json_int_t)amount));
}

void godwit_oracle_count_all(struct godwit_testbed *testbed, enum godwit_oracle oracle,
                             const char *unit, uint64_t amount)
{
    json_t *entry = entry_of(testbed, oracle);
    const json_int_t before = godwit_json_integer(entry, unit, 0);
    json_object_set_new(entry, unit, json_integer(MAX(before, (json_int_t)amount)));
}

void godwit_oracle_accuse(struct godwit_testbed *testbed, enum godwit_oracle oracle, const char *vm)
{
    json_object_set_new(testbed->measurements, "found_by",
                        json_pack("{s:s, s:s*}", "oracle", names[oracle], "vm", vm));
}

json_t *godwit_oracles_judged(const struct godwit_testbed *testbed)
{
    json_t *list = json_array();
    const json_t *all = json_object_get(testbed->measurements, "oracles");
    for (unsigned oracle = 0; oracle < GODWIT_ORACLES; oracle++) {
        json_t *entry = json_object_get(all, names[oracle]);
        if (!entry)
            continue;
        json_t *judged = json_pack("{s:s}", "name", names[oracle]);
        json_object_update(judged, entry);
        json_array_append_new(list, judged);
    }
    return list;
}
