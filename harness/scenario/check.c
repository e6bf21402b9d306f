/*
 * Checks the entries of all scenarios when Godwit starts, so that a mistake in one is an error, and
 * not a skip or a test of something else. Without this check, a misspelt feature would be one that
 * no QEMU has, and the scenario would be skipped for ever.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/check.h"

#include "godwit/guest_abi.h"
#include <string.h>

/* Migration capabilities and parameters that QEMU 7.2, 10.0 and 11.1 have. If a scenario tests a
 * newer one, add it here. */
static const char *const capabilities[] = {
    "auto-converge",
    "background-snapshot",
    "block",
    "compress",
    "dirty-bitmaps",
    "dirty-limit",
    "events",
    "late-block-activate",
    "mapped-ram",
    "multifd",
    "pause-before-switchover",
    "postcopy-blocktime",
    "postcopy-preempt",
    "postcopy-ram",
    "rdma-pin-all",
    "release-ram",
    "return-path",
    "switchover-ack",
    "validate-uuid",
    "x-colo",
    "x-ignore-shared",
    "xbzrle",
    "zero-blocks",
    "zero-copy-send",
    NULL,
};
static const char *const parameters[] = {
    "announce-initial",
    "announce-max",
    "announce-rounds",
    "announce-step",
    "avail-switchover-bandwidth",
    "block-bitmap-mapping",
    "block-incremental",
    "compress-level",
    "compress-threads",
    "compress-wait-thread",
    "cpr-exec-command",
    "cpu-throttle-increment",
    "cpu-throttle-initial",
    "cpu-throttle-tailslow",
    "decompress-threads",
    "direct-io",
    "downtime-limit",
    "max-bandwidth",
    "max-cpu-throttle",
    "max-postcopy-bandwidth",
    "mode",
    "multifd-channels",
    "multifd-compression",
    "multifd-qatzip-level",
    "multifd-zlib-level",
    "multifd-zstd-level",
    "throttle-trigger-threshold",
    "tls-authz",
    "tls-creds",
    "tls-hostname",
    "vcpu-dirty-limit",
    "x-checkpoint-delay",
    "x-rdma-chunk-size",
    "x-vcpu-dirty-limit-period",
    "xbzrle-cache-size",
    "zero-page-detection",
    NULL,
};

/* Kinds of features whose names are not listed here; see godwit_qemu_has(). */
static const char *const other_kinds[] = {
    "command",   "argument", "incoming", "dirty-rate", "global",
    "transport", "object",   "state",    "channel",    NULL,
};

/* Returns what is wrong with the feature FEATURE ("KIND:NAME"), or NULL. The caller frees it. */
static char *check_feature(const char *feature)
{
    g_auto(GStrv) parts = g_strsplit(feature, ":", 2);
    if (!parts[0] || !parts[1] || !*parts[1])
        return g_strdup_printf("needs \"%s\", which is not of the form KIND:NAME", feature);
    if (g_strv_contains(other_kinds, parts[0]))
        return NULL;
    const bool capability = !strcmp(parts[0], "capability");
    if (capability || !strcmp(parts[0], "parameter"))
        return g_strv_contains(capability ? capabilities : parameters, parts[1])
                   ? NULL
                   : g_strdup_printf(
                         "needs the migration %s \"%s\", which no QEMU from 7.2 to 11.1 "
                         "has: correct it, or add it to harness/scenario/check.c",
                         parts[0], parts[1]);
    /* A value of a parameter. */
    return g_strv_contains(parameters, parts[0])
               ? NULL
               : g_strdup_printf("needs \"%s\", but there is no kind of feature and no parameter "
                                 "called \"%s\"",
                                 feature, parts[0]);
}

static char *check_features(const struct godwit_scenario *scenario)
{
    g_autoptr(GString) all = g_string_new(scenario->needs);
    for (const struct godwit_capability *c = scenario->spec.capabilities; c && c->name; c++)
        g_string_append_printf(all, " capability:%s", c->name);
    for (const struct godwit_parameter *p = scenario->spec.parameters; p && p->name; p++)
        g_string_append_printf(all, " parameter:%s", p->name);
    g_auto(GStrv) features = g_strsplit(all->str, " ", -1);
    for (guint i = 0; features[i]; i++) {
        char *problem = *features[i] ? check_feature(features[i]) : NULL;
        if (problem)
            return problem;
    }
    return NULL;
}

/* Returns what contradicts itself in a spec, or NULL. */
static const char *check_spec(const struct godwit_scenario *scenario)
{
    const struct godwit_spec *spec = &scenario->spec;
    const bool file = godwit_transport_is_file(spec->transport);
    const bool suspends = scenario->flags & GODWIT_FLAG_SUSPEND;
    if (spec->move >= GODWIT_MOVES)
        return ".move is not a value of enum godwit_move";
    if (spec->move == GODWIT_MOVE_ITERATE && (spec->suspend || spec->no_ram))
        return ".move is ITERATE, but with .suspend or .no_ram there is only one iteration";
    if (godwit_spec_is_postcopy(spec) && file)
        return ".move is a postcopy, but no page can be requested through a file";
    if (spec->outcome == GODWIT_OUTCOME_FAILS && file)
        return ".outcome is FAILS, which a transport that is a file does not support";
    if (spec->suspend && !suspends)
        return ".suspend without GODWIT_FLAG_SUSPEND in .flags: the guest would never sleep";
    if (spec->uri && !file)
        return ".uri is for the transports that are a file";
    if (spec->fault && spec->tls)
        return ".fault and .tls: the relay cannot read what it should corrupt";
    return NULL;
}

/* Returns what contradicts itself in the rest of an entry, or NULL. */
static const char *check_guest(const struct godwit_scenario *scenario)
{
    if (scenario->quick && (scenario->slow || scenario->order))
        return ".quick with .slow or .order: --quick runs `stamp`, and nothing slow";
    if (scenario->whole && scenario->wide)
        return ".whole and .wide: the whole window is wide enough";
    if (scenario->order && scenario->content)
        return ".order and .content: only `stamp` has content to choose";
    if (scenario->content & ~(uint32_t)GODWIT_FLAG_CONTENT_MASK)
        return ".content must be GODWIT_FLAG_SPARSE, GODWIT_FLAG_ZERO or GODWIT_FLAG_MIXED";
    if (scenario->cpus > GODWIT_MAX_CPUS)
        return ".cpus is more than GODWIT_MAX_CPUS";
    if (scenario->cpus > 1 && (scenario->flags & GODWIT_FLAG_SUSPEND))
        return ".cpus and GODWIT_FLAG_SUSPEND: only a single CPU suspends itself";
    return NULL;
}

char *godwit_scenario_problem(const struct godwit_scenario *scenario)
{
    if (!scenario->name || !g_ascii_islower(*scenario->name) ||
        scenario->name[strspn(scenario->name, "abcdefghijklmnopqrstuvwxyz0123456789-/")])
        return g_strdup(".name must consist of lower-case letters, digits, - and /");
    if (!scenario->summary || !*scenario->summary)
        return g_strdup(".summary is missing");
    const char *problem = check_spec(scenario);
    if (!problem)
        problem = check_guest(scenario);
    return problem ? g_strdup(problem) : check_features(scenario);
}

bool godwit_scenario_check_all(GError **error)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        g_autofree char *problem = godwit_scenario_problem(scenario);
        const struct godwit_scenario *next =
            i + 1 < all->len ? g_ptr_array_index(all, i + 1) : NULL;
        if (!problem && next && !strcmp(scenario->name, next->name))
            problem = g_strdup("two scenarios have this name");
        if (problem)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "scenario %s: %s",
                               scenario->name ? scenario->name : "without a name", problem);
    }
    return true;
}
