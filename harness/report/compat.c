/*
 * The findings of `godwit compat`: classes, causes, baseline.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compat.h"

#include "base/text.h"
#include "report/report.h"
#include <stdlib.h>
#include <string.h>

/* The member of a baseline that says what it is, and the version of its form. */
#define BASELINE_KEY     "godwit-compat-baseline"
#define BASELINE_VERSION 1

const char *godwit_compat_name(enum godwit_compat compat)
{
    static const char *const names[] = {"same",    "untried", "known",   "varies", "missing",
                                        "refused", "lost",    "crashed", "error"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == GODWIT_COMPATS);
    return names[compat];
}

static void cell_free(gpointer data)
{
    struct godwit_compat_cell *cell = data;
    g_free(cell->arch);
    g_free(cell->machine);
    g_free(cell->subject);
    g_free(cell->reason);
    g_free(cell->cause);
    g_free(cell->again);
    g_free(cell);
}

static void suspicion_free(gpointer data)
{
    struct godwit_compat_suspicion *suspicion = data;
    g_free(suspicion->arch);
    g_free(suspicion->machine);
    g_free(suspicion->subject);
    g_free(suspicion->text);
    g_free(suspicion);
}

struct godwit_compat_table *godwit_compat_table_new(void)
{
    struct godwit_compat_table *table = g_new0(struct godwit_compat_table, 1);
    table->binaries = g_ptr_array_new_with_free_func(g_free);
    table->versions = g_ptr_array_new_with_free_func(g_free);
    table->cells = g_ptr_array_new_with_free_func(cell_free);
    table->notes = g_ptr_array_new_with_free_func(g_free);
    table->suspicions = g_ptr_array_new_with_free_func(suspicion_free);
    return table;
}

void godwit_compat_table_free(struct godwit_compat_table *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->notes);
    g_ptr_array_unref(table->suspicions);
    g_ptr_array_unref(table->cells);
    g_ptr_array_unref(table->versions);
    g_ptr_array_unref(table->binaries);
    g_free(table);
}

struct godwit_compat_cell *godwit_compat_add(struct godwit_compat_table *table, unsigned source,
                                             unsigned destination, const char *arch,
                                             const char *machine, const char *subject)
{
    struct godwit_compat_cell *cell = g_new0(struct godwit_compat_cell, 1);
    cell->source = source;
    cell->destination = destination;
    cell->arch = g_strdup(arch);
    cell->machine = g_strdup(machine);
    cell->subject = g_strdup(subject);
    cell->compat = GODWIT_COMPAT_ERROR;
    cell->reason = g_strdup("it was not tried");
    g_ptr_array_add(table->cells, cell);
    return cell;
}

/* Returns whether a QEMU was killed by a signal. */
static bool was_killed(const json_t *result)
{
    size_t i;
    const json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        if (json_object_get(vm, "signal"))
            return true;
    }
    return false;
}

static enum godwit_compat class_of(const json_t *result)
{
    static const struct {
        const char *member, *value;
        enum godwit_compat compat;
    } classes[] = {
        {"status", "pass", GODWIT_COMPAT_SAME},    {"status", "known", GODWIT_COMPAT_KNOWN},
        {"status", "skip", GODWIT_COMPAT_UNTRIED}, {"status", "error", GODWIT_COMPAT_ERROR},
        {"kind", "oracle", GODWIT_COMPAT_LOST},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
        if (!strcmp(godwit_json_string(result, classes[i].member, ""), classes[i].value))
            return classes[i].compat;
    return was_killed(result) ? GODWIT_COMPAT_CRASHED : GODWIT_COMPAT_REFUSED;
}

/* Returns what all failures with the same cause have in common: the known bug, the first that is
 * lost, of any value, or the destination's last words, whether or not its QEMU has ended by then.
 * Returns NULL if there is none of these. The caller frees it. */
static char *common_cause(const json_t *result)
{
    const char *known = godwit_json_string(result, "known", NULL);
    if (known)
        return g_strdup_printf("known bug %s", known);
    /* What else is lost may depend on when the machine was looked at. */
    const json_t *lost = json_object_get(json_object_get(result, "measurements"), "lost");
    const char *first = json_string_value(json_array_get(lost, 0));
    if (!strcmp(godwit_json_string(result, "kind", ""), "oracle"))
        return first ? godwit_text_line(first) : NULL;
    size_t i;
    const json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        if (strcmp(godwit_json_string(vm, "name", ""), "destination") != 0)
            continue;
        g_autofree char *reason = godwit_text_reason(godwit_json_string(vm, "stderr", ""));
        return reason ? godwit_text_line(reason) : NULL;
    }
    return NULL;
}

void godwit_compat_take(struct godwit_compat_cell *cell, const json_t *result)
{
    g_free(cell->reason);
    g_free(cell->again);
    cell->compat = class_of(result);
    if (cell->unpromised &&
        (cell->compat == GODWIT_COMPAT_REFUSED || cell->compat == GODWIT_COMPAT_LOST))
        cell->compat = GODWIT_COMPAT_VARIES;
    cell->reason = godwit_text_line(godwit_json_string(result, "message", ""));
    cell->cause = common_cause(result);
    cell->known = json_is_string(json_object_get(result, "known"));
    cell->again = g_strdup(godwit_json_string(result, "again", NULL));
}

bool godwit_compat_is_finding(const struct godwit_compat_cell *cell)
{
    return cell->compat >= GODWIT_COMPAT_MISSING && cell->compat < GODWIT_COMPAT_ERROR;
}

/* Returns the cause of a cell without what differs from one device to the next: its name, where it
 * is plugged, and numbers of its own. The caller frees it. */
static char *cause_of(const struct godwit_compat_cell *cell)
{
    const char *text = cell->cause ? cell->cause : cell->reason;
    if (cell->known)
        return g_strdup(text);
    g_autoptr(GRegex) places = g_regex_new("\\b([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]\\b",
                                           G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT, NULL);
    g_autoptr(GRegex) numbers =
        g_regex_new("\\b[0-9]+\\b", G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT, NULL);
    g_autofree char *placeless =
        g_regex_replace_literal(places, text, -1, 0, "ADDRESS", G_REGEX_MATCH_DEFAULT, NULL);
    g_autofree char *plain = cell->cause ? g_regex_replace_literal(numbers, placeless, -1, 0, "N",
                                                                   G_REGEX_MATCH_DEFAULT, NULL)
                                         : g_strdup(placeless);
    /* The name of a register or a field may contain the device's name: two devices that each lose
     * one of their own have nothing in common. */
    if (!*cell->subject || (cell->cause && cell->compat == GODWIT_COMPAT_LOST))
        return g_steal_pointer(&plain);
    g_autoptr(GString) cause = g_string_new(plain);
    g_string_replace(cause, cell->subject, cell->cpu ? "MODEL" : "DEVICE", 0);
    return g_string_free(g_steal_pointer(&cause), FALSE);
}

static void cause_free(gpointer data)
{
    struct godwit_compat_cause *cause = data;
    g_ptr_array_unref(cause->machines);
    g_ptr_array_unref(cause->subjects);
    g_free(cause->key);
    g_free(cause);
}

static void add_once(GPtrArray *list, const char *text)
{
    if (!g_ptr_array_find_with_equal_func(list, text, g_str_equal, NULL))
        g_ptr_array_add(list, (gpointer)(uintptr_t)text);
}

/* The worst first, then what strikes most. */
static int by_weight(gconstpointer a, gconstpointer b)
{
    const struct godwit_compat_cause *one = *(struct godwit_compat_cause *const *)a;
    const struct godwit_compat_cause *other = *(struct godwit_compat_cause *const *)b;
    if (one->compat != other->compat)
        return (int)other->compat - (int)one->compat;
    if (one->subjects->len != other->subjects->len)
        return (int)other->subjects->len - (int)one->subjects->len;
    return strcmp(one->key, other->key);
}

GPtrArray *godwit_compat_causes(const struct godwit_compat_table *table)
{
    GPtrArray *causes = g_ptr_array_new_with_free_func(cause_free);
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        if (cell->compat <= GODWIT_COMPAT_UNTRIED)
            continue;
        g_autofree char *key = cause_of(cell);
        struct godwit_compat_cause *cause = NULL;
        for (guint c = 0; c < causes->len && !cause; c++) {
            cause = g_ptr_array_index(causes, c);
            if (cause->source != cell->source || cause->destination != cell->destination ||
                cause->compat != cell->compat || cause->cpu != cell->cpu ||
                strcmp(cause->arch, cell->arch) != 0 || strcmp(cause->key, key) != 0)
                cause = NULL;
        }
        if (!cause) {
            cause = g_new0(struct godwit_compat_cause, 1);
            cause->source = cell->source;
            cause->destination = cell->destination;
            cause->compat = cell->compat;
            cause->cpu = cell->cpu;
            cause->arch = cell->arch;
            cause->key = g_steal_pointer(&key);
            cause->reason = cell->reason;
            cause->machines = g_ptr_array_new();
            cause->subjects = g_ptr_array_new();
            cause->again = cell->again;
            g_ptr_array_add(causes, cause);
        }
        add_once(cause->machines, cell->machine);
        add_once(cause->subjects, cell->subject);
    }
    g_ptr_array_sort(causes, by_weight);
    return causes;
}

void godwit_compat_suspect(struct godwit_compat_table *table,
                           const struct godwit_compat_suspicion *suspicion)
{
    struct godwit_compat_suspicion *copy = g_new0(struct godwit_compat_suspicion, 1);
    *copy = *suspicion;
    copy->arch = g_strdup(suspicion->arch);
    copy->machine = g_strdup(suspicion->machine);
    copy->subject = g_strdup(suspicion->subject);
    copy->text = g_strdup(suspicion->text);
    g_ptr_array_add(table->suspicions, copy);
}

enum godwit_compat_trial godwit_compat_trial(const struct godwit_compat_table *table,
                                             const struct godwit_compat_suspicion *suspicion)
{
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        if (cell->source != suspicion->source || cell->destination != suspicion->destination ||
            strcmp(cell->arch, suspicion->arch) != 0 ||
            strcmp(cell->machine, suspicion->machine) != 0 || cell->cpu ||
            strcmp(cell->subject, suspicion->subject) != 0)
            continue;
        if (cell->compat == GODWIT_COMPAT_SAME)
            return GODWIT_COMPAT_LOADS;
        return godwit_compat_is_finding(cell) && cell->compat != GODWIT_COMPAT_MISSING
                   ? GODWIT_COMPAT_CONFIRMED
                   : GODWIT_COMPAT_NOT_TRIED;
    }
    return GODWIT_COMPAT_NOT_TRIED;
}

const char *godwit_compat_trial_name(enum godwit_compat_trial trial)
{
    static const char *const names[] = {"not tried", "loads", "confirmed"};
    return names[trial];
}

/* Returns the first two numbers of a version: "10.0.13" is of the series "10.0". The caller frees
 * it. */
static char *series_of(const char *version)
{
    const char *first = strchr(version, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    return second ? g_strndup(version, (gsize)(second - version)) : g_strdup(version);
}

/* Returns what tells a finding apart from all others, whatever the build. The caller frees it. */
static char *finding_of(const struct godwit_compat_table *table,
                        const struct godwit_compat_cell *cell)
{
    g_autofree char *from = series_of(g_ptr_array_index(table->versions, cell->source));
    g_autofree char *to = series_of(g_ptr_array_index(table->versions, cell->destination));
    return g_strdup_printf("%s %s to %s, %s, %s%s: %s", cell->arch, from, to, cell->machine,
                           cell->cpu ? "CPU model " : "", *cell->subject ? cell->subject : "alone",
                           godwit_compat_name(cell->compat));
}

/* Returns the pairs of series that were compared, as a sorted list without repetitions. The caller
 * releases it. */
static json_t *pairs_of(const struct godwit_compat_table *table)
{
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        g_autofree char *from = series_of(g_ptr_array_index(table->versions, cell->source));
        g_autofree char *to = series_of(g_ptr_array_index(table->versions, cell->destination));
        g_autofree char *pair = g_strdup_printf("%s %s to %s", cell->arch, from, to);
        if (!g_ptr_array_find_with_equal_func(pairs, pair, g_str_equal, NULL))
            g_ptr_array_add(pairs, g_steal_pointer(&pair));
    }
    json_t *list = json_array();
    for (guint i = 0; i < pairs->len; i++)
        json_array_append_new(list, json_string(g_ptr_array_index(pairs, i)));
    return list;
}

json_t *godwit_compat_baseline(const struct godwit_compat_table *table)
{
    g_autoptr(json_t) findings = json_array();
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        g_autofree char *finding = finding_of(table, cell);
        if (godwit_compat_is_finding(cell))
            json_array_append_new(findings, json_string(finding));
    }
    return json_pack("{s:i, s:o, s:O}", BASELINE_KEY, BASELINE_VERSION, "pairs", pairs_of(table),
                     "findings", findings);
}

static bool has_string(const json_t *list, const char *text)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry) && !strcmp(json_string_value(entry), text))
            return true;
    }
    return false;
}

/* Marks the cause of a cell as new. */
static void mark(GPtrArray *causes, const struct godwit_compat_cell *cell)
{
    g_autofree char *key = cause_of(cell);
    for (guint i = 0; i < causes->len; i++) {
        struct godwit_compat_cause *cause = g_ptr_array_index(causes, i);
        if (cause->source == cell->source && cause->destination == cell->destination &&
            cause->compat == cell->compat && cause->cpu == cell->cpu && !strcmp(cause->key, key))
            cause->new = true;
    }
}

int godwit_compat_judge(const struct godwit_compat_table *table, GPtrArray *causes,
                        const char *text, const char *name, GError **error)
{
    json_error_t wrong;
    g_autoptr(json_t) baseline = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
    const json_t *findings = json_object_get(baseline, "findings");
    if (!baseline || godwit_json_integer(baseline, BASELINE_KEY, 0) != BASELINE_VERSION ||
        !json_is_array(findings) || !json_is_array(json_object_get(baseline, "pairs"))) {
        godwit_fail(error, GODWIT_ERROR_USAGE,
                    "%s is no baseline of godwit compat %s%s (write one with --write-baseline)",
                    name, baseline ? "that this version can read" : "but broken JSON: ",
                    baseline ? "" : wrong.text);
        return -1;
    }
    g_autoptr(json_t) pairs = pairs_of(table);
    size_t i;
    const json_t *pair;
    json_array_foreach(pairs, i, pair)
    {
        if (has_string(json_object_get(baseline, "pairs"), json_string_value(pair)))
            continue;
        godwit_fail(error, GODWIT_ERROR_USAGE,
                    "%s is the baseline of other QEMUs: it has nothing about %s", name,
                    json_string_value(pair));
        return -1;
    }
    int worse = 0;
    for (guint c = 0; c < table->cells->len; c++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, c);
        g_autofree char *finding = finding_of(table, cell);
        if (!godwit_compat_is_finding(cell) || has_string(findings, finding))
            continue;
        worse++;
        mark(causes, cell);
    }
    return worse;
}
