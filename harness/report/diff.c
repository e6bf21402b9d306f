/*
 * Compares results. A scenario is worse if it
 *
 * - passed, and does not pass any more, also because it is skipped or could not run;
 * - met no known bug, or others, and meets one now;
 * - fails now and did not before, also if it is new.
 *
 * A scenario that has gone, or is skipped now and did not pass before, is listed and is not worse:
 * another selection, or another host, may be meant.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/diff.h"

#include "base/text.h"
#include "report/document.h"
#include <string.h>

/* The statuses, the best first. */
static const char *const statuses[] = {"pass", "known", "skip", "error", "fail"};
enum rank { PASS, KNOWN, SKIP, ERROR, FAIL };

static enum rank rank_of(const json_t *result)
{
    const char *status = godwit_json_string(result, "status", "fail");
    for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++)
        if (!strcmp(status, statuses[i]))
            return (enum rank)i;
    return FAIL;
}

/* One scenario on one target. */
struct entry {
    const json_t *worst; /* its worst result, borrowed from the document */
    GHashTable *bugs;    /* ids of the known bugs that any repetition has met, borrowed */
};

static void entry_free(gpointer data)
{
    struct entry *entry = data;
    g_hash_table_unref(entry->bugs);
    g_free(entry);
}

/* Returns the entries of a document by name. The caller unreferences the table. NAMES gets the
 * names in the order of the document, borrowed from the table. */
static GHashTable *entries_of(const json_t *document, GPtrArray *names)
{
    GHashTable *entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
    size_t i, b;
    json_t *result, *bug;
    json_array_foreach(json_object_get(document, "results"), i, result)
    {
        char *name = g_strdup_printf("%s %s", godwit_report_target(result),
                                     godwit_json_string(result, "scenario", ""));
        struct entry *entry = g_hash_table_lookup(entries, name);
        if (!entry) {
            entry = g_new0(struct entry, 1);
            entry->bugs = g_hash_table_new(g_str_hash, g_str_equal);
            g_hash_table_insert(entries, name, entry);
            g_ptr_array_add(names, name);
        } else {
            g_free(name);
        }
        if (!entry->worst || rank_of(result) > rank_of(entry->worst))
            entry->worst = result;
        json_array_foreach(godwit_report_bugs(result), b, bug)
        {
            g_hash_table_add(entry->bugs, (gpointer)(uintptr_t)godwit_json_string(bug, "id", ""));
        }
    }
    return entries;
}

/* Returns the ids of LEFT that are not in RIGHT, which may be NULL, separated by commas. The caller
 * frees them. */
static char *only_in(const struct entry *left, const struct entry *right)
{
    GHashTableIter iterator;
    gpointer id;
    GString *text = g_string_new(NULL);
    g_hash_table_iter_init(&iterator, left->bugs);
    while (g_hash_table_iter_next(&iterator, &id, NULL))
        if (!right || !g_hash_table_contains(right->bugs, id))
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", (const char *)id);
    return g_string_free(text, FALSE);
}

/* Returns what has become of a scenario; GODWIT_CHANGES: nothing. Either entry may be NULL. */
static enum godwit_change judge(const struct entry *old, const struct entry *new)
{
    const enum rank after = new ? rank_of(new->worst) : SKIP;
    if (!old)
        return after >= ERROR ? GODWIT_WORSE : GODWIT_CAME;
    const enum rank before = rank_of(old->worst);
    if (!new)
        return GODWIT_WENT;
    if (after == SKIP && before >= ERROR)
        return GODWIT_WENT;
    if (before == SKIP && after < SKIP)
        return GODWIT_CAME;
    if (before != after)
        return after > before ? GODWIT_WORSE : GODWIT_BETTER;
    g_autofree char *came = only_in(new, old), *went = only_in(old, new);
    return *came ? GODWIT_WORSE : *went ? GODWIT_BETTER : GODWIT_CHANGES;
}

static void add(struct godwit_diff *diff, const struct entry *old, const struct entry *new)
{
    const enum godwit_change change = judge(old, new);
    if (change == GODWIT_CHANGES) {
        diff->same++;
        return;
    }
    const json_t *result = new ? new->worst : old->worst;
    g_autofree char *bugs = new ? only_in(new, old) : NULL;
    g_ptr_array_add(
        diff->changes[change],
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s}", "target", godwit_report_target(result),
                  "scenario", godwit_json_string(result, "scenario", ""), "old",
                  old ? statuses[rank_of(old->worst)] : NULL, "new",
                  new ? statuses[rank_of(new->worst)] : NULL, "bugs", bugs && *bugs ? bugs : NULL,
                  "message", new ? godwit_json_string(result, "message", "") : ""));
}

struct godwit_diff *godwit_diff_new(const json_t *old, const json_t *new, GError **error)
{
    g_autoptr(GPtrArray) old_names = g_ptr_array_new(), new_names = g_ptr_array_new();
    g_autoptr(GHashTable) before = entries_of(old, old_names), after = entries_of(new, new_names);
    struct godwit_diff *diff = g_new0(struct godwit_diff, 1);
    unsigned common = 0;
    for (int i = 0; i < GODWIT_CHANGES; i++)
        diff->changes[i] = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (guint i = 0; i < new_names->len; i++) {
        const char *name = g_ptr_array_index(new_names, i);
        const struct entry *was = g_hash_table_lookup(before, name);
        common += was != NULL;
        add(diff, was, g_hash_table_lookup(after, name));
    }
    for (guint i = 0; i < old_names->len; i++) {
        const char *name = g_ptr_array_index(old_names, i);
        if (!g_hash_table_contains(after, name))
            add(diff, g_hash_table_lookup(before, name), NULL);
    }
    if (common)
        return diff;
    godwit_diff_free(diff);
    godwit_fail(error, GODWIT_ERROR_USAGE,
                "the two have no scenario in common on a target of the same name");
    return NULL;
}

void godwit_diff_free(struct godwit_diff *diff)
{
    if (!diff)
        return;
    for (int i = 0; i < GODWIT_CHANGES; i++)
        g_ptr_array_unref(diff->changes[i]);
    g_free(diff);
}

static const char *const words[GODWIT_CHANGES] = {"worse", "better", "came", "went"};

void godwit_diff_text(const struct godwit_diff *diff, FILE *out)
{
    static const char *const keys[] = {"target", "scenario", "bugs", "message"};
    for (int c = 0; c < GODWIT_CHANGES; c++)
        for (guint i = 0; i < diff->changes[c]->len; i++) {
            const json_t *change = g_ptr_array_index(diff->changes[c], i);
            char *lines[G_N_ELEMENTS(keys) + 1] = {0};
            for (size_t k = 0; k < G_N_ELEMENTS(keys); k++)
                lines[k] = godwit_text_line(godwit_json_string(change, keys[k], ""));
            fprintf(out, "%-6s  %s %s: %s -> %s%s%s%s%s\n", words[c], lines[0], lines[1],
                    godwit_json_string(change, "old", "-"), godwit_json_string(change, "new", "-"),
                    *lines[2] ? ", known bug " : "", lines[2], *lines[3] ? ": " : "", lines[3]);
            for (size_t k = 0; k < G_N_ELEMENTS(keys); k++)
                g_free(lines[k]);
        }
    for (int c = 0; c < GODWIT_CHANGES; c++)
        fprintf(out, "%u %s, ", diff->changes[c]->len, words[c]);
    fprintf(out, "%u the same\n", diff->same);
}

void godwit_diff_json(const struct godwit_diff *diff, FILE *out)
{
    g_autoptr(json_t) document = json_object();
    for (int c = 0; c < GODWIT_CHANGES; c++) {
        json_t *list = json_array();
        for (guint i = 0; i < diff->changes[c]->len; i++)
            json_array_append(list, g_ptr_array_index(diff->changes[c], i));
        json_object_set_new(document, words[c], list);
    }
    json_object_set_new(document, "same", json_integer(diff->same));
    g_autofree char *text = godwit_json_dump(document, JSON_INDENT(2));
    fprintf(out, "%s\n", text);
}
