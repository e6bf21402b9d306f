/*
 * The formats of `godwit compat`: text, JSON and HTML. Each begins with a table, a row for each
 * pair of binaries and machine type, and goes on with the causes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compat.h"

#include "base/file.h"
#include "base/text.h"
#include "report/page.h"
#include <errno.h>
#include <string.h>

/* The most names that a line of text lists. */
#define NAMES_MAX 12
/* The most bytes of a reason that text quotes. JSON and HTML have all of it. */
#define REASON_MAX 400

/* A row of the table: how many machines came to what. */
struct row {
    unsigned source, destination;
    const char *arch, *machine;
    unsigned counts[GODWIT_COMPATS];
};

static GArray *rows_of(const struct godwit_compat_table *table)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct row));
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        struct row *row = NULL;
        for (guint r = 0; r < rows->len && !row; r++) {
            row = &g_array_index(rows, struct row, r);
            if (row->source != cell->source || row->destination != cell->destination ||
                strcmp(row->arch, cell->arch) != 0 || strcmp(row->machine, cell->machine) != 0)
                row = NULL;
        }
        if (!row) {
            const struct row new = {
                cell->source, cell->destination, cell->arch, cell->machine, {0}};
            g_array_append_val(rows, new);
            row = &g_array_index(rows, struct row, rows->len - 1);
        }
        row->counts[cell->compat]++;
    }
    return rows;
}

static const char *binary(const struct godwit_compat_table *table, unsigned number)
{
    return g_ptr_array_index(table->binaries, number);
}

/* Returns NAMES, of which that of the machine alone is empty. MOST: no more than so many; 0: all.
 * The caller frees it. */
static char *names_of(const GPtrArray *names, guint most)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < names->len && (!most || i < most); i++) {
        const char *name = g_ptr_array_index(names, i);
        g_string_append_printf(text, "%s%s", i ? ", " : "", *name ? name : "the machine alone");
    }
    if (most && names->len > most)
        g_string_append_printf(text, " and %u more", names->len - most);
    return g_string_free(text, FALSE);
}

/* Returns the names of what a cause strikes. The caller frees it. */
static char *subjects_of(const struct godwit_compat_cause *cause, guint most)
{
    g_autofree char *names = names_of(cause->subjects, most);
    return g_strconcat(!cause->cpu                 ? ""
                       : cause->subjects->len == 1 ? "CPU model "
                                                   : "CPU models ",
                       names, NULL);
}

/* Groups the suspicions that are worth a line, those that differ only in the machine together: an
 * array of arrays of struct godwit_compat_suspicion, which the caller unreferences. Adds to *OTHERS
 * how many are not worth one. */
static GPtrArray *group_suspicions(const struct godwit_compat_table *table, unsigned *others)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GHashTable) by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < table->suspicions->len; i++) {
        struct godwit_compat_suspicion *suspicion = g_ptr_array_index(table->suspicions, i);
        const enum godwit_compat_trial trial = godwit_compat_trial(table, suspicion);
        if (!suspicion->certain && trial != GODWIT_COMPAT_CONFIRMED) {
            (*others)++;
            continue;
        }
        g_autofree char *key =
            g_strdup_printf("%d %s %u %u %s %s", trial, suspicion->arch, suspicion->source,
                            suspicion->destination, suspicion->subject, suspicion->text);
        GPtrArray *group = g_hash_table_lookup(by_key, key);
        if (!group) {
            group = g_ptr_array_new();
            g_ptr_array_add(groups, group);
            g_hash_table_insert(by_key, g_steal_pointer(&key), group);
        }
        g_ptr_array_add(group, suspicion);
    }
    return groups;
}

/* Writes the certain suspicions, and how many others there are. */
static void suspicions_text(FILE *out, const struct godwit_compat_table *table)
{
    unsigned others = 0;
    g_autoptr(GPtrArray) groups = group_suspicions(table, &others);
    for (guint g = 0; g < groups->len; g++) {
        const GPtrArray *group = g_ptr_array_index(groups, g);
        const struct godwit_compat_suspicion *suspicion = g_ptr_array_index(group, 0);
        g_autoptr(GPtrArray) machines = g_ptr_array_new();
        for (guint i = 0; i < group->len; i++)
            g_ptr_array_add(
                machines,
                ((const struct godwit_compat_suspicion *)g_ptr_array_index(group, i))->machine);
        g_autofree char *names = names_of(machines, NAMES_MAX);
        fprintf(out, "\nsuspicion, %s, %s from %s to %s on %s: %s\n  %s\n",
                godwit_compat_trial_name(godwit_compat_trial(table, suspicion)), suspicion->arch,
                binary(table, suspicion->source), binary(table, suspicion->destination), names,
                suspicion->subject, suspicion->text);
    }
    if (others)
        fprintf(out,
                "\n%u more suspicions depend on a condition, and are not confirmed (see --format "
                "json)\n",
                others);
}

static void write_text(FILE *out, const struct godwit_compat_table *table, const GPtrArray *causes,
                       bool judged)
{
    g_autoptr(GArray) rows = rows_of(table);
    int width = 4, machine = 7;
    for (guint i = 0; i < table->binaries->len; i++)
        width = MAX(width, (int)strlen(binary(table, i)));
    for (guint r = 0; r < rows->len; r++)
        machine = MAX(machine, (int)strlen(g_array_index(rows, struct row, r).machine));
    fprintf(out, "%-8s %-*s %-*s %-*s", "arch", width, "from", width, "to", machine, "machine");
    for (enum godwit_compat c = 0; c < GODWIT_COMPATS; c++)
        fprintf(out, " %7s", godwit_compat_name(c));
    fputc('\n', out);
    for (guint r = 0; r < rows->len; r++) {
        const struct row *row = &g_array_index(rows, struct row, r);
        fprintf(out, "%-8s %-*s %-*s %-*s", row->arch, width, binary(table, row->source), width,
                binary(table, row->destination), machine, row->machine);
        for (enum godwit_compat c = 0; c < GODWIT_COMPATS; c++)
            fprintf(out, " %7u", row->counts[c]);
        fputc('\n', out);
    }
    for (guint i = 0; i < table->notes->len; i++)
        fprintf(out, "%s%s\n", i ? "" : "\n", (const char *)g_ptr_array_index(table->notes, i));
    for (guint i = 0; i < causes->len; i++) {
        const struct godwit_compat_cause *cause = g_ptr_array_index(causes, i);
        g_autofree char *subjects = subjects_of(cause, NAMES_MAX);
        g_autofree char *machines = names_of(cause->machines, NAMES_MAX);
        fprintf(out, "\n%s%s, %s from %s to %s: %s\n  %.*s%s\n  on %s\n",
                judged && cause->new ? "NEW " : "", godwit_compat_name(cause->compat), cause->arch,
                binary(table, cause->source), binary(table, cause->destination), subjects,
                REASON_MAX, cause->reason, strlen(cause->reason) > REASON_MAX ? "..." : "",
                machines);
        if (cause->again)
            fprintf(out, "  again: %s\n", cause->again);
    }
    suspicions_text(out, table);
}

static json_t *suspicions_json(const struct godwit_compat_table *table)
{
    json_t *list = json_array();
    for (guint i = 0; i < table->suspicions->len; i++) {
        const struct godwit_compat_suspicion *suspicion = g_ptr_array_index(table->suspicions, i);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "arch", suspicion->arch,
                            "source", binary(table, suspicion->source), "destination",
                            binary(table, suspicion->destination), "machine", suspicion->machine,
                            "subject", suspicion->subject, "text", suspicion->text, "certain",
                            suspicion->certain, "trial",
                            godwit_compat_trial_name(godwit_compat_trial(table, suspicion))));
    }
    return list;
}

static json_t *strings(const GPtrArray *list)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++)
        json_array_append_new(array, json_string(g_ptr_array_index(list, i)));
    return array;
}

static const char *kind_of(const struct godwit_compat_cell *cell)
{
    return cell->cpu ? "cpu" : *cell->subject ? "device" : "machine";
}

static void write_json(FILE *out, const struct godwit_compat_table *table, const GPtrArray *causes,
                       const json_t *about)
{
    g_autoptr(json_t) whole = json_deep_copy(about);
    json_t *cells = json_array(), *list = json_array();
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        json_array_append_new(cells,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "arch",
                                        cell->arch, "source", binary(table, cell->source),
                                        "destination", binary(table, cell->destination), "machine",
                                        cell->machine, "kind", kind_of(cell), "subject",
                                        cell->subject, "result", godwit_compat_name(cell->compat),
                                        "reason", cell->reason, "together", cell->together));
    }
    for (guint i = 0; i < causes->len; i++) {
        const struct godwit_compat_cause *cause = g_ptr_array_index(causes, i);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:s*}", "arch",
                            cause->arch, "source", binary(table, cause->source), "destination",
                            binary(table, cause->destination), "result",
                            godwit_compat_name(cause->compat), "reason", cause->reason, "machines",
                            strings(cause->machines), "subjects", strings(cause->subjects),
                            "cpu_models", cause->cpu, "new", cause->new, "again", cause->again));
    }
    json_object_set_new(whole, "causes", list);
    json_object_set_new(whole, "cells", cells);
    json_object_set_new(whole, "notes", strings(table->notes));
    json_object_set_new(whole, "suspicions", suspicions_json(table));
    g_autofree char *text = godwit_json_dump(whole, JSON_INDENT(2));
    fprintf(out, "%s\n", text);
}

static void suspicions_html(GString *page, const struct godwit_compat_table *table)
{
    static const char *const heads[] = {"tried", "device", "from", "to", "machine", "what", NULL};
    if (!table->suspicions->len)
        return;
    godwit_page_table(page, false, "Suspicions: descriptions of state that differ", heads);
    for (guint i = 0; i < table->suspicions->len; i++) {
        const struct godwit_compat_suspicion *suspicion = g_ptr_array_index(table->suspicions, i);
        g_autofree char *trial =
            g_strconcat(godwit_compat_trial_name(godwit_compat_trial(table, suspicion)),
                        suspicion->certain ? ", certain" : "", NULL);
        godwit_page_row(page, (const char *const[]){trial, suspicion->subject,
                                                    binary(table, suspicion->source),
                                                    binary(table, suspicion->destination),
                                                    suspicion->machine, suspicion->text, NULL});
    }
    godwit_page_table_end(page, false);
}

/* Writes a row for each pair of binaries and machine type. */
static void counts_html(GString *page, const struct godwit_compat_table *table)
{
    const char *heads[4 + GODWIT_COMPATS + 1] = {"arch", "from", "to", "machine"};
    g_autoptr(GArray) rows = rows_of(table);
    for (enum godwit_compat c = 0; c < GODWIT_COMPATS; c++)
        heads[4 + c] = godwit_compat_name(c);
    godwit_page_table(page, false, "What came of each machine", heads);
    for (guint r = 0; r < rows->len; r++) {
        const struct row *row = &g_array_index(rows, struct row, r);
        godwit_page_text(page, "<tr><th scope=\"row\">", row->arch, "</th>");
        godwit_page_text(page, "<td class=\"num\">", binary(table, row->source), "</td>");
        godwit_page_text(page, "<td class=\"num\">", binary(table, row->destination), "</td>");
        godwit_page_text(page, "<td>", row->machine, "</td>");
        for (enum godwit_compat c = 0; c < GODWIT_COMPATS; c++)
            g_string_append_printf(
                page, "<td%s>%u</td>",
                !row->counts[c] || c == GODWIT_COMPAT_UNTRIED || c == GODWIT_COMPAT_VARIES ? ""
                : c == GODWIT_COMPAT_SAME  ? " class=\"ok\""
                : c == GODWIT_COMPAT_KNOWN ? " class=\"known\""
                                           : " class=\"FAIL\"",
                row->counts[c]);
        g_string_append(page, "</tr>\n");
    }
    godwit_page_table_end(page, false);
}

static void write_html(FILE *out, const struct godwit_compat_table *table, const GPtrArray *causes,
                       bool judged)
{
    GString *page = godwit_page_begin("Godwit: what can go where");
    counts_html(page, table);
    for (guint i = 0; i < causes->len; i++) {
        const struct godwit_compat_cause *cause = g_ptr_array_index(causes, i);
        g_autofree char *subjects = subjects_of(cause, 0);
        g_autofree char *machines = names_of(cause->machines, 0);
        g_autofree char *heading =
            g_strdup_printf("%s%s, %s from %s to %s", judged && cause->new ? "new: " : "",
                            godwit_compat_name(cause->compat), cause->arch,
                            binary(table, cause->source), binary(table, cause->destination));
        godwit_page_text(page, "<h2>", heading, "</h2>\n");
        godwit_page_text(page, "<p>", cause->reason, "</p>\n");
        godwit_page_text(page, "<p>Strikes: ", subjects, "</p>\n");
        godwit_page_text(page, "<p>Machines: ", machines, "</p>\n");
        if (cause->again)
            godwit_page_code(page, cause->again);
    }
    for (guint i = 0; i < table->notes->len; i++)
        godwit_page_text(page, "<p>", g_ptr_array_index(table->notes, i), "</p>\n");
    suspicions_html(page, table);
    godwit_page_end(page);
    fwrite(page->str, 1, page->len, out);
    g_string_free(page, TRUE);
}

bool godwit_compat_write(const char *format, const struct godwit_compat_table *table,
                         const GPtrArray *causes, const json_t *about, bool judged, GError **error)
{
    const char *path = strchr(format, ':');
    FILE *out = path ? fopen(path + 1, "we") : stdout;
    if (!out)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write to %s: %s", path + 1,
                           g_strerror(errno));
    if (g_str_has_prefix(format, "json"))
        write_json(out, table, causes, about);
    else if (g_str_has_prefix(format, "html"))
        write_html(out, table, causes, judged);
    else
        write_text(out, table, causes, judged);
    const int cause = godwit_file_finish(out);
    return !cause || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write the report %s: %s",
                                 format, g_strerror(cause));
}
