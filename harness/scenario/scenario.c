/* SPDX-License-Identifier: MIT */
#include "scenario/scenario.h"

#include "godwit/guest_abi.h"
#include "vm/qemu.h"
#include <string.h>

extern const struct godwit_family *const __start_godwit_families[];
extern const struct godwit_family *const __stop_godwit_families[];

static gint by_name(gconstpointer a, gconstpointer b)
{
    const struct godwit_scenario *const *one = a;
    const struct godwit_scenario *const *other = b;
    return strcmp((*one)->name, (*other)->name);
}

GPtrArray *godwit_scenario_all(void)
{
    GPtrArray *all = g_ptr_array_new();
    for (const struct godwit_family *const *family = __start_godwit_families;
         family < __stop_godwit_families; family++)
        for (size_t i = 0; i < (*family)->count; i++)
            g_ptr_array_add(all, (gpointer)(uintptr_t) & (*family)->rows[i]);
    g_ptr_array_sort(all, by_name);
    return all;
}

const struct godwit_scenario *godwit_scenario_find(const char *name)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        if (!strcmp(scenario->name, name))
            return scenario;
    }
    return NULL;
}

void godwit_scenario_usual(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    workload->flags |= scenario->flags | GODWIT_FLAG_VERIFY;
    workload->passes_per_report = 1;
}

char *godwit_scenario_obstacle(const struct godwit_scenario *scenario,
                               const struct godwit_machine *machine,
                               const struct godwit_qemu *source,
                               const struct godwit_qemu *destination)
{
    if ((scenario->flags & GODWIT_FLAG_SUSPEND) && !machine->can_suspend)
        return g_strdup_printf("needs suspend to RAM: the %s machine has none", machine->arch);
    const struct godwit_qemu *const both[] = {source, destination};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        if (scenario->plan.postcopy && !godwit_qemu_has_capability(both[i], "postcopy-ram"))
            return g_strdup_printf("needs capability postcopy-ram: not in QEMU %s",
                                   both[i]->version);
        for (const struct godwit_capability *c = scenario->plan.capabilities; c && c->name; c++)
            if (!godwit_qemu_has_capability(both[i], c->name))
                return g_strdup_printf("needs capability %s: not in QEMU %s", c->name,
                                       both[i]->version);
    }
    return NULL;
}

bool godwit_scenario_run(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                         GError **error)
{
    if (scenario->run)
        return scenario->run(rig, scenario, error);
    return godwit_plan_run(rig, &scenario->plan, error);
}
