/*
 * Merges the results of the shards of one run. A merged document looks like that of a run that was
 * not divided, so that it can be merged again, converted and compared like any other.
 *
 * Nothing is guessed: what is merged must be all of one selection, each part once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/document.h"

#include <string.h>

static const json_t *selection_of(const json_t *document)
{
    return json_object_get(document, "selection");
}

/* Checks that a document belongs to the same run as the first one. */
static bool check_same(const json_t *first, const json_t *document, const char *first_path,
                       const char *path, GError **error)
{
    const json_t *one = selection_of(first), *other = selection_of(document);
    const char *const numbers[] = {"shards", "scenarios", "repetitions"};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const json_int_t a = godwit_json_integer(one, numbers[i], 0);
        const json_int_t b = godwit_json_integer(other, numbers[i], 0);
        if (a != b)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s is of another run than %s: %s: %" JSON_INTEGER_FORMAT
                               " and %" JSON_INTEGER_FORMAT,
                               path, first_path, numbers[i], b, a);
    }
    const char *a = godwit_json_string(one, "fingerprint", "");
    const char *b = godwit_json_string(other, "fingerprint", "");
    return !strcmp(a, b) ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "%s is of another run than %s: other scenarios, settings, binaries or "
                       "another Godwit (fingerprint %.16s, not %.16s)",
                       path, first_path, b, a);
}

/* Returns the index of each shard's document by its number, an array that the caller frees. */
static guint *order_of(const GPtrArray *documents, char *const *paths, GError **error)
{
    const json_t *first = g_ptr_array_index(documents, 0);
    const json_int_t shards = godwit_json_integer(selection_of(first), "shards", 1);
    g_autoptr(GHashTable) by_number = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (guint i = 0; i < documents->len; i++) {
        const json_t *document = g_ptr_array_index(documents, i);
        const json_int_t number = godwit_json_integer(selection_of(document), "shard", 1);
        gpointer other;
        if (!check_same(first, document, paths[0], paths[i], error))
            return NULL;
        if (g_hash_table_lookup_extended(by_number, GINT_TO_POINTER(number), NULL, &other)) {
            godwit_fail(error, GODWIT_ERROR_USAGE,
                        "shard %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                        " is in %s and in %s",
                        number, shards, paths[GPOINTER_TO_UINT(other)], paths[i]);
            return NULL;
        }
        g_hash_table_insert(by_number, GINT_TO_POINTER(number), GUINT_TO_POINTER(i));
    }
    /* The first number that is missing is among the first LEN + 1. */
    g_autofree guint *order = g_new0(guint, documents->len);
    for (json_int_t number = 1; number <= shards; number++) {
        gpointer index;
        if (!g_hash_table_lookup_extended(by_number, GINT_TO_POINTER(number), NULL, &index)) {
            godwit_fail(error, GODWIT_ERROR_USAGE,
                        "shard %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                        " is missing: %u of them are given",
                        number, shards, documents->len);
            return NULL;
        }
        order[number - 1] = GPOINTER_TO_UINT(index);
    }
    return g_steal_pointer(&order);
}

/* Returns the name of a result's scenario on its target. The caller frees it. */
static char *name_of(const json_t *result)
{
    return g_strdup_printf("%s %s", godwit_report_target(result),
                           godwit_json_string(result, "scenario", ""));
}

/* Appends the results of DOCUMENT to RESULTS. KEYS maps each result so far to its file; NAMES has
 * the number of results of each scenario so far. */
static bool add_results(json_t *results, GHashTable *keys, GHashTable *names,
                        const json_t *document, const char *path, GError **error)
{
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(document, "results"), i, result)
    {
        g_autofree char *key = godwit_document_key(result);
        const char *other = g_hash_table_lookup(keys, key);
        if (other)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s is in %s and in %s", key, other,
                               path);
        g_hash_table_insert(keys, g_steal_pointer(&key), (gpointer)(uintptr_t)path);
        char *name = name_of(result);
        const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(names, name));
        g_hash_table_insert(names, name, GUINT_TO_POINTER(count + 1));
        json_array_append(results, result);
    }
    return true;
}

/* Checks that no result is missing: that there are as many scenarios as were selected, SCENARIOS,
 * each as often as it was repeated. A scenario that was skipped before it ran has one result. */
static bool check_complete(const json_t *results, GHashTable *names, json_int_t scenarios,
                           GError **error)
{
    size_t i;
    json_t *result;
    if (g_hash_table_size(names) != scenarios)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "there are results of %u scenarios, but %" JSON_INTEGER_FORMAT
                           " were selected: a file is not complete",
                           g_hash_table_size(names), scenarios);
    json_array_foreach(results, i, result)
    {
        g_autofree char *name = name_of(result);
        const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(names, name));
        const json_int_t due = godwit_json_integer(result, "repetitions", 1);
        if (due && count != due)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "there are %u results of %s, but it was to run %" JSON_INTEGER_FORMAT
                               " times: a file is not complete",
                               count, name, due);
    }
    return true;
}

/* Appends those of the LIST's members to RESULT that are not there yet. */
static void add_new(json_t *result, const json_t *list)
{
    size_t i, j;
    json_t *value, *other;
    json_array_foreach(list, i, value)
    {
        bool found = false;
        json_array_foreach(result, j, other)
        {
            found |= json_equal(value, other);
        }
        if (!found)
            json_array_append(result, value);
    }
}

/* Adds what is tested by DOCUMENT to ABOUT. */
static void add_about(json_t *about, GString *hosts, const json_t *document)
{
    const json_t *part = json_object_get(document, "about");
    const char *date = godwit_json_string(part, "date", "");
    const char *host = godwit_json_string(part, "host", "");
    if (strcmp(date, godwit_json_string(about, "date", "")) < 0)
        json_object_set_new(about, "date", json_string(date));
    if (!strstr(hosts->str, host))
        g_string_append_printf(hosts, "%s%s", hosts->len ? "; " : "", host);
    json_object_update(json_object_get(about, "qemus"), json_object_get(part, "qemus"));
    add_new(json_object_get(about, "targets"), json_object_get(part, "targets"));
    json_t *facts = json_object_get(part, "host_facts");
    json_t *one = json_pack("{s:i, s:s, s:s, s:s, s:f}", "shard",
                            (int)godwit_json_integer(selection_of(document), "shard", 1), "date",
                            date, "host", host, "command", godwit_json_string(part, "command", ""),
                            "seconds", godwit_document_summary(document).seconds);
    if (facts)
        json_object_set(one, "host_facts", facts);
    json_array_append_new(godwit_json_list(about, "parts"), one);
}

json_t *godwit_document_merge(const GPtrArray *documents, char *const *paths, const char *command,
                              GError **error)
{
    const json_t *first = g_ptr_array_index(documents, 0);
    g_autofree guint *order = order_of(documents, paths, error);
    if (!order)
        return NULL;
    g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GString) hosts = g_string_new(NULL);
    g_autoptr(json_t) about = json_deep_copy(json_object_get(first, "about"));
    g_autoptr(json_t) selection = json_copy((json_t *)(uintptr_t)selection_of(first));
    g_autoptr(json_t) results = json_array();
    json_object_del(about, "parts");
    /* Each part has its own. */
    json_object_del(about, "host_facts");
    double seconds = 0;
    bool interrupted = false;
    for (guint i = 0; i < documents->len; i++) {
        const json_t *document = g_ptr_array_index(documents, order[i]);
        const struct godwit_summary summary = godwit_document_summary(document);
        if (!add_results(results, keys, names, document, paths[order[i]], error))
            return NULL;
        add_about(about, hosts, document);
        seconds += summary.seconds;
        interrupted |= summary.interrupted;
    }
    if (!check_complete(results, names, godwit_json_integer(selection, "scenarios", 0), error))
        return NULL;
    json_object_set_new(about, "host", json_string(hosts->str));
    json_object_set_new(about, "command", json_string(command));
    json_object_set_new(selection, "shard", json_integer(1));
    json_object_set_new(selection, "shards", json_integer(1));
    return json_pack("{s:i, s:O, s:O, s:{s:f, s:b}, s:O}", "format", GODWIT_RESULTS_FORMAT, "about",
                     about, "selection", selection, "summary", "seconds", seconds, "interrupted",
                     interrupted, "results", results);
}
