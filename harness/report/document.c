/*
 * Reads results from a file. The file may come from anywhere: it is checked before it is used, and
 * what is wrong is one line. Texts in it are foreign; the reporters escape them. Names must be
 * harmless, because they are keys as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/document.h"

#include "base/file.h"
#include "base/text.h"
#include <string.h>

/* More than the results of every device on every machine; a parsed document takes ten times the
 * memory of its text. */
#define MOST_BYTES ((size_t)256 << 20)

/* Longer than a year. A larger number is no time. */
#define MOST_MS 1e11

enum kind { TEXT, NAME, WHOLE, TIME, OBJECT, ARRAY };

/* A member that reporters rely on. */
struct member {
    const char *name;
    enum kind kind;
    bool needed;
    json_int_t least; /* of a whole number */
};

static const struct member about_members[] = {
    {"kit", NAME, true, 0},     {"date", NAME, true, 0},          {"host", TEXT, true, 0},
    {"command", TEXT, true, 0}, {"qemus", OBJECT, true, 0},       {"targets", ARRAY, true, 0},
    {"parts", ARRAY, false, 0}, {"host_facts", OBJECT, false, 0},
};
static const struct member selection_members[] = {
    {"shard", WHOLE, true, 1},       {"shards", WHOLE, true, 1},     {"scenarios", WHOLE, true, 0},
    {"repetitions", WHOLE, true, 0}, {"fingerprint", NAME, true, 0},
};
static const struct member summary_members[] = {{"seconds", TIME, true, 0}};
static const struct member result_members[] = {
    {"scenario", NAME, true, 0},
    {"target", NAME, true, 0},
    {"status", NAME, true, 0},
    {"message", TEXT, true, 0},
    {"ms", TIME, true, 0},
    {"kind", NAME, false, 0},
    {"known", NAME, false, 0},
    {"repetition", WHOLE, false, 1},
    {"repetitions", WHOLE, false, 0},
    {"measurements", OBJECT, false, 0},
    {"vms", ARRAY, false, 0},
    {"oracles", ARRAY, false, 0},
};
static const struct member bug_members[] = {
    {"id", NAME, true, 0}, {"summary", TEXT, true, 0}, {"reference", TEXT, true, 0}};

static bool is_of_kind(const json_t *value, const struct member *member)
{
    switch (member->kind) {
    case TEXT:
        return json_is_string(value);
    case NAME:
        return json_is_string(value) && *json_string_value(value) &&
               godwit_text_is_tame(json_string_value(value));
    case WHOLE:
        return json_is_integer(value) && json_integer_value(value) >= member->least &&
               json_integer_value(value) <= INT_MAX;
    case TIME:
        return json_is_number(value) && json_number_value(value) >= 0 &&
               json_number_value(value) <= MOST_MS;
    case OBJECT:
        return json_is_object(value);
    case ARRAY:
        return json_is_array(value);
    }
    return false;
}

/* Checks the members of OBJECT. WHERE is its place in the file, for messages. */
static bool check_members(const json_t *object, const char *where, const struct member *members,
                          size_t count, GError **error)
{
    if (!json_is_object(object))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s is not an object", where);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        if (value ? !is_of_kind(value, &members[i]) : members[i].needed)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: \"%s\" is %s", where,
                               members[i].name, value ? "not what it must be" : "missing");
    }
    return true;
}

static bool check_result(const json_t *result, size_t index, GError **error)
{
    static const char *const statuses[] = {"pass", "known", "fail", "skip", "error", NULL};
    g_autofree char *where = g_strdup_printf("results[%zu]", index);
    if (!check_members(result, where, result_members, G_N_ELEMENTS(result_members), error))
        return false;
    if (!g_strv_contains(statuses, godwit_json_string(result, "status", "")))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: \"status\" is not one of this version",
                           where);
    size_t i;
    json_t *bug;
    const json_t *bugs = godwit_report_bugs(result);
    if (bugs && !json_is_array(bugs))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: \"known_bugs\" is not an array", where);
    json_array_foreach(bugs, i, bug)
    {
        g_autofree char *place = g_strdup_printf("%s: known_bugs[%zu]", where, i);
        if (!check_members(bug, place, bug_members, G_N_ELEMENTS(bug_members), error))
            return false;
    }
    return strcmp(godwit_json_string(result, "status", ""), "known") != 0 ||
           json_array_size(bugs) ||
           godwit_fail(error, GODWIT_ERROR_USAGE, "%s: no known bug is named", where);
}

static bool check_document(const json_t *document, GError **error)
{
    const json_t *format = json_object_get(document, "format");
    const json_t *results = json_object_get(document, "results");
    if (!json_is_integer(format))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "not results of `godwit run --format json`: there is no \"format\"");
    if (json_integer_value(format) != GODWIT_RESULTS_FORMAT)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "results of version %" JSON_INTEGER_FORMAT
                           "; this program reads version %d",
                           json_integer_value(format), GODWIT_RESULTS_FORMAT);
    const struct {
        const char *name;
        const struct member *members;
        size_t count;
    } parts[] = {{"about", about_members, G_N_ELEMENTS(about_members)},
                 {"selection", selection_members, G_N_ELEMENTS(selection_members)},
                 {"summary", summary_members, G_N_ELEMENTS(summary_members)}};
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (!check_members(json_object_get(document, parts[i].name), parts[i].name,
                           parts[i].members, parts[i].count, error))
            return false;
    const json_t *selection = json_object_get(document, "selection");
    if (godwit_json_integer(selection, "shard", 0) > godwit_json_integer(selection, "shards", 0))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "selection: no such shard");
    if (!json_is_array(results))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "\"results\" is not an array");
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        if (!check_result(result, i, error))
            return false;
        g_autofree char *key = godwit_document_key(result);
        if (g_hash_table_contains(seen, key))
            return godwit_fail(error, GODWIT_ERROR_USAGE, "results[%zu]: %s is there twice", i,
                               key);
        g_hash_table_add(seen, g_steal_pointer(&key));
    }
    return true;
}

json_t *godwit_document_read(const char *path, GError **error)
{
    size_t length = 0;
    g_autofree char *text = godwit_file_read(path, MOST_BYTES, &length, error);
    if (!text)
        return NULL;
    json_error_t cause;
    g_autoptr(json_t) document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &cause);
    if (!document) {
        godwit_fail(error, GODWIT_ERROR_USAGE, "%s: not JSON: line %d, column %d: %s", path,
                    cause.line, cause.column, cause.text);
        return NULL;
    }
    if (!check_document(document, error)) {
        godwit_error_context(error, "%s", path);
        return NULL;
    }
    return g_steal_pointer(&document);
}

char *godwit_document_key(const json_t *result)
{
    const json_int_t repetition = godwit_json_integer(result, "repetition", 1);
    g_autofree char *which =
        repetition == 1 ? g_strdup("")
                        : g_strdup_printf(", repetition %" JSON_INTEGER_FORMAT, repetition);
    return g_strdup_printf("%s %s%s", godwit_report_target(result),
                           godwit_json_string(result, "scenario", ""), which);
}

struct godwit_summary godwit_document_summary(const json_t *document)
{
    const json_t *written = json_object_get(document, "summary");
    struct godwit_summary summary = {
        .seconds = json_number_value(json_object_get(written, "seconds")),
        .interrupted = godwit_json_true(written, "interrupted"),
    };
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(document, "results"), i, result)
    {
        godwit_summary_add(&summary, result);
    }
    summary.planned = (unsigned)i;
    return summary;
}

/* Returns the width of the column for targets that a run would have chosen. */
static int width_of(const json_t *about)
{
    int width = 8;
    size_t i;
    json_t *target;
    json_array_foreach(json_object_get(about, "targets"), i, target)
    {
        const size_t length = strlen(godwit_json_string(target, "target", ""));
        width = MAX(width, (int)MIN(length, 1000));
    }
    return width;
}

void godwit_document_report(const json_t *document, struct godwit_reporter *reporter)
{
    json_t *about = json_object_get(document, "about");
    const struct godwit_observer *observer = &reporter->observer;
    const struct godwit_summary summary = godwit_document_summary(document);
    size_t i;
    json_t *result;
    reporter->width = width_of(about);
    if (reporter->wants_about) {
        reporter->about = json_incref(about);
        reporter->selection = json_incref(json_object_get(document, "selection"));
    }
    observer->begin(observer->data, summary.planned);
    json_array_foreach(json_object_get(document, "results"), i, result)
    {
        observer->result(observer->data, result);
    }
    observer->end(observer->data, &summary);
}
