/*
 * Which scenario belongs to which shard. Without recorded times, scenarios are dealt in turn. With
 * them the longest comes first, and each goes to the shard that has the least to do so far, which
 * is never worse than a third above the best division. Every shard deals all scenarios in the same
 * way, so each is in exactly one of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "report/document.h"
#include <math.h>

/* What is known of a scenario. */
struct known {
    double ms; /* of all results together */
    unsigned results;
};

struct godwit_times {
    char *path;
    GHashTable *known; /* of struct known, by "TARGET SCENARIO" and by "SCENARIO" */
    double median;     /* milliseconds, of one result */
};

void godwit_times_free(struct godwit_times *times)
{
    if (!times)
        return;
    g_free(times->path);
    g_hash_table_unref(times->known);
    g_free(times);
}

static void note(struct godwit_times *times, char *key, double ms)
{
    struct known *known = g_hash_table_lookup(times->known, key);
    if (known) {
        g_free(key);
    } else {
        known = g_new0(struct known, 1);
        g_hash_table_insert(times->known, key, known);
    }
    known->ms += ms;
    known->results++;
}

static char *key_of(const char *target, const char *scenario)
{
    return g_strdup_printf("%s %s", target, scenario);
}

static gint compare_ms(gconstpointer a, gconstpointer b)
{
    const double one = *(const double *)a, two = *(const double *)b;
    return (one > two) - (one < two);
}

struct godwit_times *godwit_times_read(const char *path, GError **error)
{
    g_autoptr(json_t) document = godwit_document_read(path, error);
    if (!document)
        return NULL;
    g_autoptr(godwit_times) times = g_new0(struct godwit_times, 1);
    times->path = g_strdup(path);
    times->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(double));
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(document, "results"), i, result)
    {
        const double ms = json_number_value(json_object_get(result, "ms"));
        const char *scenario = godwit_json_string(result, "scenario", "");
        if (!isfinite(ms) || ms < 0)
            continue;
        note(times, key_of(godwit_report_target(result), scenario), ms);
        note(times, g_strdup(scenario), ms);
        g_array_append_val(all, ms);
    }
    if (!all->len) {
        godwit_fail(error, GODWIT_ERROR_USAGE, "--shard-times: %s has no result", path);
        return NULL;
    }
    g_array_sort(all, compare_ms);
    times->median = g_array_index(all, double, all->len / 2);
    return g_steal_pointer(&times);
}

/* Returns how many milliseconds the job takes. Counts in *UNKNOWN those of which nothing is known,
 * which count as the median. */
static double time_of(const struct godwit_times *times, const struct godwit_job *job,
                      guint *unknown)
{
    g_autofree char *key = key_of(godwit_job_target(job), godwit_job_name(job));
    const struct known *known = g_hash_table_lookup(times->known, key);
    if (!known)
        known = g_hash_table_lookup(times->known, godwit_job_name(job));
    if (known)
        return known->ms / known->results;
    (*unknown)++;
    return times->median;
}

/* What one shard has to do. */
struct part {
    double ms, longest;
    guint scenarios;
};

/* A scenario and what it takes. */
struct weighed {
    guint number;
    double ms;
};

static gint longest_first(gconstpointer a, gconstpointer b)
{
    const struct weighed *one = a, *two = b;
    if (one->ms != two->ms)
        return one->ms < two->ms ? 1 : -1;
    return one->number < two->number ? -1 : one->number > two->number;
}

/* Returns the seconds that a part takes if it runs JOBS scenarios at a time. */
static double seconds_of(const struct part *part, unsigned jobs)
{
    return MAX(part->ms / jobs, part->longest) / 1000;
}

/* Says how the scenarios were dealt. */
static void describe(const struct godwit_shard *shard, const struct godwit_times *times,
                     const struct part *parts, guint count, guint unknown, unsigned jobs)
{
    double most = 0;
    for (guint p = 0; p < MIN(shard->count, count); p++)
        most = MAX(most, seconds_of(&parts[p], jobs));
    const struct part nothing = {0};
    const struct part *mine = shard->index <= count ? &parts[shard->index - 1] : &nothing;
    g_autofree char *rest = unknown ? g_strdup_printf("; %u not in %s count as %.1f s each",
                                                      unknown, times->path, times->median / 1000)
                                    : g_strdup("");
    godwit_text_complain("shard %u of %u: %u of %u scenarios, about %.1f s with -j%u; all shards "
                         "take about %.1f s%s",
                         shard->index, shard->count, mine->scenarios, count, seconds_of(mine, jobs),
                         jobs, most, rest);
}

GArray *godwit_shard_deal(const struct godwit_shard *shard, const struct godwit_times *times,
                          const GPtrArray *jobs, unsigned parallel)
{
    GArray *owners = g_array_new(FALSE, TRUE, sizeof(unsigned));
    g_array_set_size(owners, jobs->len);
    if (!times) {
        for (guint i = 0; i < jobs->len; i++)
            g_array_index(owners, unsigned, i) = i % shard->count + 1;
        return owners;
    }
    g_autoptr(GArray) weighed = g_array_new(FALSE, FALSE, sizeof(struct weighed));
    guint unknown = 0;
    for (guint i = 0; i < jobs->len; i++) {
        const struct godwit_job *job = g_ptr_array_index(jobs, i);
        const struct weighed one = {i, time_of(times, job, &unknown) * MAX(job->repetitions, 1)};
        g_array_append_val(weighed, one);
    }
    g_array_sort(weighed, longest_first);
    /* Further shards than there are scenarios get none. */
    const guint count = MIN(shard->count, jobs->len);
    g_autofree struct part *parts = g_new0(struct part, jobs->len + 1);
    for (guint w = 0; w < weighed->len; w++) {
        const struct weighed *one = &g_array_index(weighed, struct weighed, w);
        guint least = 0;
        for (guint p = 1; p < count; p++)
            if (parts[p].ms < parts[least].ms)
                least = p;
        parts[least].ms += one->ms;
        parts[least].longest = MAX(parts[least].longest, one->ms);
        parts[least].scenarios++;
        g_array_index(owners, unsigned, one->number) = least + 1;
    }
    describe(shard, times, parts, jobs->len, unknown, parallel);
    return owners;
}
