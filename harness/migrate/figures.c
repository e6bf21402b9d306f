/*
 * What is recorded of a migration when it is over.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/migrate.h"

/* Each figure is a member of query-migrate, or of its "ram". */
static const struct {
    const char *name;
    bool of_ram;
} figures[GODWIT_FIGURES] = {
    [GODWIT_FIGURE_TOTAL_TIME] = {"total-time", false},
    [GODWIT_FIGURE_DOWNTIME] = {"downtime", false},
    [GODWIT_FIGURE_SETUP_TIME] = {"setup-time", false},
    [GODWIT_FIGURE_TRANSFERRED] = {"transferred", true},
    [GODWIT_FIGURE_NORMAL] = {"normal", true},
    [GODWIT_FIGURE_NORMAL_BYTES] = {"normal-bytes", true},
    [GODWIT_FIGURE_DUPLICATE] = {"duplicate", true},
    [GODWIT_FIGURE_DIRTY_SYNC_COUNT] = {"dirty-sync-count", true},
    [GODWIT_FIGURE_POSTCOPY_REQUESTS] = {"postcopy-requests", true},
};

const char *godwit_figure_name(enum godwit_figure figure)
{
    return figures[figure].name;
}

static void record_figures(struct godwit_testbed *testbed)
{
    const struct godwit_migration *migration = godwit_migration_of(testbed);
    json_t *recorded = json_object();
    for (size_t i = 0; i < GODWIT_FIGURES; i++)
        if (migration->given[i])
            json_object_set_new(recorded, figures[i].name, json_integer(migration->figures[i]));
    if (migration->downtime_bug)
        json_object_set_new(recorded, "downtime_unknown", json_string(migration->downtime_bug));
    godwit_testbed_measure(testbed, "migration", recorded);
}

bool godwit_migrate_note(struct godwit_vm *source, GError **error)
{
    struct godwit_migration *migration = godwit_migration_of(source->testbed);
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *ram = json_object_get(info, "ram");
    for (size_t i = 0; i < GODWIT_FIGURES; i++) {
        const json_t *value = json_object_get(figures[i].of_ram ? ram : info, figures[i].name);
        migration->given[i] = json_is_integer(value);
        migration->figures[i] = json_integer_value(value);
    }
    record_figures(source->testbed);
    return true;
}

void godwit_migrate_drop_time(struct godwit_testbed *testbed, enum godwit_figure time,
                              const char *bug)
{
    struct godwit_migration *migration = godwit_migration_of(testbed);
    migration->given[time] = false;
    migration->figures[time] = 0;
    if (bug)
        migration->downtime_bug = bug;
    record_figures(testbed);
}
