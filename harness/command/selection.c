/*
 * The fingerprint of what a run has selected: results of several shards belong together only if it
 * is the same. It covers Godwit's version, each scenario with the setup of its target, in order,
 * and each binary. It leaves out what may differ between the machines of one run: paths, seeds and
 * deadlines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/version.h"
#include <string.h>

struct godwit_selection {
    GChecksum *checksum;
    unsigned scenarios;
};

static void add_json(godwit_selection *selection, const json_t *value)
{
    g_autofree char *text = godwit_json_dump(value, JSON_COMPACT | JSON_SORT_KEYS);
    g_checksum_update(selection->checksum, (const guchar *)text, (gssize)strlen(text) + 1);
}

godwit_selection *godwit_selection_new(void)
{
    godwit_selection *selection = g_new0(struct godwit_selection, 1);
    selection->checksum = g_checksum_new(G_CHECKSUM_SHA256);
    return selection;
}

void godwit_selection_add(godwit_selection *selection, const struct godwit_job *job)
{
    static const char *const volatile_keys[] = {"seed",     "timeout_scale", "source",
                                                "progress", "destination",   "keep"};
    g_autoptr(json_t) json = godwit_job_to_json(job);
    for (size_t i = 0; i < G_N_ELEMENTS(volatile_keys); i++)
        json_object_del(json, volatile_keys[i]);
    json_object_del(json_object_get(json, "workload"), "seed");
    json_object_set_new(json, "target", json_string(godwit_job_target(job)));
    add_json(selection, json);
    selection->scenarios++;
}

void godwit_selection_add_deal(godwit_selection *selection, const GArray *owners)
{
    g_autoptr(json_t) numbers = json_array();
    for (guint i = 0; i < owners->len; i++)
        json_array_append_new(numbers, json_integer(g_array_index(owners, unsigned, i)));
    add_json(selection, numbers);
}

json_t *godwit_selection_end(godwit_selection *selection, const json_t *about,
                             const struct godwit_shard *shard, unsigned repetitions)
{
    size_t i;
    json_t *target;
    const json_t *qemus = json_object_get(about, "qemus");
    json_array_foreach(json_object_get(about, "targets"), i, target)
    {
        g_autoptr(json_t) binaries =
            json_pack("[s, O, O]", godwit_json_string(target, "target", ""),
                      json_object_get(qemus, godwit_json_string(target, "source", "")),
                      json_object_get(qemus, godwit_json_string(target, "destination", "")));
        add_json(selection, binaries);
    }
    g_autoptr(json_t) rest = json_pack("[s, i]", GODWIT_VERSION, (int)repetitions);
    add_json(selection, rest);
    return json_pack("{s:i, s:i, s:i, s:i, s:s}", "shard", (int)shard->index, "shards",
                     (int)shard->count, "scenarios", (int)selection->scenarios, "repetitions",
                     (int)repetitions, "fingerprint", g_checksum_get_string(selection->checksum));
}

void godwit_selection_free(godwit_selection *selection)
{
    if (!selection)
        return;
    g_checksum_free(selection->checksum);
    g_free(selection);
}
