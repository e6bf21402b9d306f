/*
 * Which of the source's states the destination cannot load.
 *
 * Each state that both sides have is flattened on both sides: what the source sends, and what the
 * destination reads from a stream of the source's version. Where two sequences do not agree, a
 * stretch of them is compared as bytes before anything is reported, because a field that is
 * renamed, moved into a structure, merged into an array or replaced by padding is harmless.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/vmstate_parts.h"

#include <inttypes.h>
#include <stdarg.h>

static const char *const kinds[GODWIT_VMSTATE_KINDS] = {
    [GODWIT_VMSTATE_RENAMED] = "renamed",
    [GODWIT_VMSTATE_NEWER] = "newer",
    [GODWIT_VMSTATE_OLDER] = "older",
    [GODWIT_VMSTATE_REMOVED] = "removed",
    [GODWIT_VMSTATE_ADDED] = "added",
    [GODWIT_VMSTATE_RESIZED] = "resized",
    [GODWIT_VMSTATE_REORDERED] = "reordered",
    [GODWIT_VMSTATE_REGROUPED] = "regrouped",
    [GODWIT_VMSTATE_CONDITION] = "condition",
    [GODWIT_VMSTATE_SUBSECTION_REMOVED] = "subsection-removed",
};

const char *godwit_vmstate_kind_name(enum godwit_vmstate_kind kind)
{
    return kinds[kind];
}

const char *godwit_vmstate_certainty_name(enum godwit_vmstate_certainty certainty)
{
    return certainty == GODWIT_VMSTATE_CERTAIN ? "certain" : "conditional";
}

static void finding_free(gpointer data)
{
    struct godwit_vmstate_finding *finding = data;
    g_free(finding->type);
    g_free(finding->path);
    g_free(finding->text);
    g_free(finding);
}

void godwit_vmstate_comparison_free(struct godwit_vmstate_comparison *comparison)
{
    if (!comparison)
        return;
    g_ptr_array_unref(comparison->findings);
    g_ptr_array_unref(comparison->source_only);
    g_ptr_array_unref(comparison->destination_only);
    g_free(comparison);
}

/* One state that is compared: a device's, or a subsection. */
struct comparing {
    GPtrArray *findings;
    const char *type;
    const char *prefix; /* of the paths in it: "" or "tsr/" */
    bool conditional;   /* nothing in it is certain */
    bool counted;       /* both sides give the number of elements of arrays */
};

static bool same_finding(const struct godwit_vmstate_finding *one,
                         const struct godwit_vmstate_finding *other)
{
    return one->kind == other->kind && one->certainty == other->certainty &&
           g_str_equal(one->type, other->type) && g_str_equal(one->path, other->path) &&
           g_str_equal(one->text, other->text);
}

static void find(const struct comparing *comparing, const char *path, enum godwit_vmstate_kind kind,
                 bool conditional, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Adds a finding, unless it is the last one again: a structure is reported only once. */
static void find(const struct comparing *comparing, const char *path, enum godwit_vmstate_kind kind,
                 bool conditional, const char *format, ...)
{
    struct godwit_vmstate_finding *finding = g_new0(struct godwit_vmstate_finding, 1);
    va_list arguments;
    va_start(arguments, format);
    finding->text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    finding->type = g_strdup(comparing->type);
    finding->path = g_strconcat(comparing->prefix, path, NULL);
    finding->kind = kind;
    finding->certainty =
        comparing->conditional || conditional ? GODWIT_VMSTATE_CONDITIONAL : GODWIT_VMSTATE_CERTAIN;
    const GPtrArray *all = comparing->findings;
    if (all->len && same_finding(g_ptr_array_index(all, all->len - 1), finding))
        finding_free(finding);
    else
        g_ptr_array_add(comparing->findings, finding);
}

/* Returns the length of PIECE for a person, which the caller frees. */
static char *length_text(const struct godwit_vmstate_piece *piece)
{
    const uint64_t bytes = godwit_vmstate_piece_bytes(piece);
    return bytes ? g_strdup_printf("%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s")
                 : g_strdup("bytes of varying number");
}

/* Only what surely is in the stream, or is surely read from it, can break loading for certain. */
static bool piece_depends(const struct godwit_vmstate_piece *piece)
{
    return piece->condition || !piece->size;
}

/* Returns the path that a finding about all of PIECE has: if it is in a structure that depends on a
 * condition, the structure's. Borrowed. */
static const char *path_of(const struct godwit_vmstate_piece *piece)
{
    return piece->condition ? piece->condition : piece->path;
}

/* Returns what is at that path, "4 bytes under a condition", which the caller frees. */
static char *content_text(const struct godwit_vmstate_piece *piece)
{
    g_autofree char *length = length_text(piece);
    const bool inside = !g_str_equal(path_of(piece), piece->path);
    return g_strconcat(inside ? "a structure" : length,
                       piece->condition ? " under a condition" : "", NULL);
}

/* Returns the piece of PIECES with the name of PIECE and its size, or NULL. Padding has no name. */
static const struct godwit_vmstate_piece *namesake(const GPtrArray *pieces,
                                                   const struct godwit_vmstate_piece *piece)
{
    for (guint i = 0; i < pieces->len && !godwit_vmstate_piece_unused(piece); i++) {
        const struct godwit_vmstate_piece *other = g_ptr_array_index(pieces, i);
        if (g_str_equal(other->name, piece->name) && godwit_vmstate_piece_equal(other, piece))
            return other;
    }
    return NULL;
}

/* The pieces of a part of an alignment, or of all of it, that stand alone in their columns. */
struct alone {
    GPtrArray *source, *destination;
};

/* A part of an alignment: columns without agreement, between columns with it. */
struct stretch {
    const GArray *columns;
    guint first, end;
};

static const struct godwit_vmstate_column *column_at(const GArray *columns, guint i)
{
    return &g_array_index(columns, struct godwit_vmstate_column, i);
}

static bool agrees(const struct godwit_vmstate_column *column)
{
    return column->source && column->destination &&
           godwit_vmstate_piece_equal(column->source, column->destination);
}

static bool all_unused(const GPtrArray *pieces)
{
    bool unused = pieces->len > 0;
    for (guint i = 0; i < pieces->len && unused; i++)
        unused = godwit_vmstate_piece_unused(g_ptr_array_index(pieces, i));
    return unused;
}

/* Returns the number of bytes of PIECES, or 0 if the dump does not show it. */
static uint64_t bytes_of(const GPtrArray *pieces)
{
    uint64_t bytes = 0;
    for (guint i = 0; i < pieces->len; i++) {
        const struct godwit_vmstate_piece *piece = g_ptr_array_index(pieces, i);
        if (piece_depends(piece))
            return 0;
        bytes += godwit_vmstate_piece_bytes(piece);
    }
    return bytes;
}

/* Judges a stretch as bytes. Returns whether nothing is left to be said of its columns. */
static bool judge_bytes(const struct comparing *comparing, const struct stretch *stretch)
{
    g_autoptr(GPtrArray) source = g_ptr_array_new();
    g_autoptr(GPtrArray) destination = g_ptr_array_new();
    for (guint i = stretch->first; i < stretch->end; i++) {
        const struct godwit_vmstate_column *column = column_at(stretch->columns, i);
        if (column->source)
            g_ptr_array_add(source, (gpointer)column->source);
        if (column->destination)
            g_ptr_array_add(destination, (gpointer)column->destination);
    }
    if (godwit_vmstate_same_numbers(source, destination))
        return true;
    const uint64_t bytes = bytes_of(source), its = bytes_of(destination);
    if (!bytes || !its)
        return false;
    const struct godwit_vmstate_piece *sent = g_ptr_array_index(source, 0);
    const bool padding = all_unused(bytes > its ? source : destination);
    if (bytes != its && padding && !comparing->counted) {
        find(comparing, sent->path, GODWIT_VMSTATE_RESIZED, true,
             "%" PRIu64 " bytes of padding take the place of fields, whose number of elements "
             "only one side gives",
             MAX(bytes, its));
        return true;
    }
    if (bytes != its)
        return false;
    if (!all_unused(source) && !all_unused(destination)) {
        find(comparing, sent->path, GODWIT_VMSTATE_REGROUPED, true,
             "the destination reads the same %" PRIu64 " bytes, but divides them into other "
             "numbers",
             bytes);
    }
    return true;
}

/* Reports a piece that only the source has. */
static void judge_sent(const struct comparing *comparing, const struct godwit_vmstate_piece *piece,
                       const struct alone *alone)
{
    g_autofree char *length = length_text(piece);
    g_autofree char *content = content_text(piece);
    const struct godwit_vmstate_piece *moved = namesake(alone->destination, piece);
    if (moved)
        find(comparing, piece->path, GODWIT_VMSTATE_REORDERED,
             piece_depends(piece) || piece_depends(moved),
             "the source sends %s at one place, the destination reads them at another", length);
    else
        find(comparing, path_of(piece), GODWIT_VMSTATE_REMOVED, piece_depends(piece),
             "the source sends %s, the destination reads none", content);
}

/* Reports a piece that only the destination has, unless judge_sent() did. */
static void judge_read(const struct comparing *comparing, const struct godwit_vmstate_piece *piece,
                       const struct alone *alone)
{
    g_autofree char *content = content_text(piece);
    if (!namesake(alone->source, piece))
        find(comparing, path_of(piece), GODWIT_VMSTATE_ADDED, piece_depends(piece),
             "the destination reads %s, the source sends none", content);
}

/* Reports what is wrong with a column that does not agree. */
static void judge_column(const struct comparing *comparing,
                         const struct godwit_vmstate_column *column, const struct alone *alone)
{
    const struct godwit_vmstate_piece *sent = column->source, *read = column->destination;
    if (!sent) {
        judge_read(comparing, read, alone);
        return;
    }
    if (!read) {
        judge_sent(comparing, sent, alone);
        return;
    }
    g_autofree char *its = length_text(sent);
    g_autofree char *other = length_text(read);
    const uint64_t bytes = godwit_vmstate_piece_bytes(sent);
    const bool depends = piece_depends(sent) || piece_depends(read);
    if (bytes && bytes == godwit_vmstate_piece_bytes(read))
        find(comparing, sent->path, GODWIT_VMSTATE_REGROUPED, true,
             "both sides have %s, but divide them into other numbers", its);
    else
        find(comparing, sent->path, GODWIT_VMSTATE_RESIZED, depends,
             "the source sends %s, the destination reads %s", its, other);
}

/* Reports a column that agrees but for the condition. */
static void judge_condition(const struct comparing *comparing,
                            const struct godwit_vmstate_column *column)
{
    const struct godwit_vmstate_piece *sent = column->source, *read = column->destination;
    g_autofree char *content = content_text(sent->condition ? sent : read);
    if (sent->condition && !read->condition)
        find(comparing, path_of(sent), GODWIT_VMSTATE_CONDITION, true,
             "the source sends %s, the destination always reads it", content);
    if (!sent->condition && read->condition)
        find(comparing, path_of(read), GODWIT_VMSTATE_CONDITION, true,
             "the destination reads %s, the source always sends it", content);
}

/* Reports the fields that moved, of states that are the same sequence of numbers. A name that only
 * one side has is a new name; a pair of names that changed places is not. */
static void judge_order(const struct comparing *comparing, const GArray *columns,
                        const struct alone *alone)
{
    for (guint i = 0; i < columns->len; i++) {
        const struct godwit_vmstate_column *column = column_at(columns, i);
        if (column->source && !column->destination && namesake(alone->destination, column->source))
            judge_sent(comparing, column->source, alone);
    }
}

/* Reports all columns. */
static void judge_columns(const struct comparing *comparing, const GArray *columns,
                          const struct alone *alone)
{
    for (guint i = 0; i < columns->len;) {
        struct stretch stretch = {columns, i, i};
        while (stretch.end < columns->len && !agrees(column_at(columns, stretch.end)))
            stretch.end++;
        if (stretch.end == i) {
            judge_condition(comparing, column_at(columns, i++));
            continue;
        }
        const bool done = judge_bytes(comparing, &stretch);
        for (; i < stretch.end; i++)
            if (!done)
                judge_column(comparing, column_at(columns, i), alone);
    }
}

/* Compares the fields of two flat states. */
static void compare_pieces(const struct comparing *comparing, const GPtrArray *source,
                           const GPtrArray *destination)
{
    g_autoptr(GArray) columns = godwit_vmstate_align(source, destination);
    g_autoptr(GPtrArray) sent = g_ptr_array_new();
    g_autoptr(GPtrArray) read = g_ptr_array_new();
    for (guint i = 0; i < columns->len; i++) {
        const struct godwit_vmstate_column *column = column_at(columns, i);
        if (!column->destination)
            g_ptr_array_add(sent, (gpointer)column->source);
        else if (!column->source)
            g_ptr_array_add(read, (gpointer)column->destination);
    }
    const struct alone alone = {sent, read};
    if (godwit_vmstate_same_numbers(source, destination))
        judge_order(comparing, columns, &alone);
    else
        judge_columns(comparing, columns, &alone);
}

/* Returns whether the destination takes the source's version of a state; reports it if not. */
static bool compare_versions(const struct comparing *comparing, const struct godwit_vmstate *source,
                             const struct godwit_vmstate *destination)
{
    if (source->version > destination->version)
        find(comparing, "", GODWIT_VMSTATE_NEWER, false,
             "the source sends version %d, the destination accepts at most %d", source->version,
             destination->version);
    else if (source->version < destination->minimum)
        find(comparing, "", GODWIT_VMSTATE_OLDER, false,
             "the source sends version %d, the destination accepts at least %d", source->version,
             destination->minimum);
    else
        return true;
    return false;
}

static void compare_states(const struct comparing *comparing, const struct godwit_vmstate *source,
                           const struct godwit_vmstate *destination);

/* Returns the subsection NAME, or NULL. Only the first: structures of one kind have the same. */
static const struct godwit_vmstate *subsection_of(const GPtrArray *subsections, const char *name)
{
    for (guint i = 0; i < subsections->len; i++) {
        const struct godwit_vmstate_subsection *subsection = g_ptr_array_index(subsections, i);
        if (g_str_equal(subsection->state->name, name))
            return subsection->state;
    }
    return NULL;
}

/* Compares the subsections that the source may send. The loader does not care about their order. */
static void compare_subsections(const struct comparing *comparing, const GPtrArray *source,
                                const GPtrArray *destination)
{
    for (guint i = 0; i < source->len; i++) {
        const struct godwit_vmstate_subsection *sent = g_ptr_array_index(source, i);
        if (subsection_of(source, sent->state->name) != sent->state)
            continue;
        const struct godwit_vmstate *known = subsection_of(destination, sent->state->name);
        if (!known) {
            find(comparing, sent->path, GODWIT_VMSTATE_SUBSECTION_REMOVED, true,
                 "the destination does not know the subsection, which the source sends if needed");
            continue;
        }
        g_autofree char *prefix = g_strconcat(comparing->prefix, sent->path, "/", NULL);
        const struct comparing inside = {comparing->findings, comparing->type, prefix, true,
                                         comparing->counted};
        compare_states(&inside, sent->state, known);
    }
}

static void compare_states(const struct comparing *comparing, const struct godwit_vmstate *source,
                           const struct godwit_vmstate *destination)
{
    if (!compare_versions(comparing, source, destination))
        return;
    struct godwit_vmstate_flat *sent =
        godwit_vmstate_flatten(source, source->version, comparing->counted);
    struct godwit_vmstate_flat *read =
        godwit_vmstate_flatten(destination, source->version, comparing->counted);
    compare_pieces(comparing, sent->pieces, read->pieces);
    compare_subsections(comparing, sent->subsections, read->subsections);
    godwit_vmstate_flat_free(sent);
    godwit_vmstate_flat_free(read);
}

/* Compares a device that both sides have. */
static void compare_devices(GPtrArray *findings, bool counted,
                            const struct godwit_vmstate_device *source,
                            const struct godwit_vmstate_device *destination)
{
    const struct godwit_vmstate *sent = source->state, *known = destination->state;
    /* A device that forbids migration has an empty state, but not every empty state forbids it. */
    const struct comparing comparing = {findings, source->type, "",
                                        !sent->fields->len && !sent->subsections->len, counted};
    if (!g_str_equal(sent->name, known->name))
        find(&comparing, "", GODWIT_VMSTATE_RENAMED, false,
             "the source sends the section \"%s\", the destination knows it as \"%s\"", sent->name,
             known->name);
    else
        compare_states(&comparing, sent, known);
}

static int by_certainty(gconstpointer one, gconstpointer other)
{
    const struct godwit_vmstate_finding *const *first = one, *const *second = other;
    return (int)(*first)->certainty - (int)(*second)->certainty;
}

/* Returns the types of DOCUMENT that OTHER lacks. */
static GPtrArray *types_beyond(const struct godwit_vmstate_document *document,
                               const struct godwit_vmstate_document *other)
{
    GPtrArray *types = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < document->devices->len; i++) {
        const struct godwit_vmstate_device *device = g_ptr_array_index(document->devices, i);
        if (!g_hash_table_contains(other->types, device->type))
            g_ptr_array_add(types, g_strdup(device->type));
    }
    return types;
}

struct godwit_vmstate_comparison *
godwit_vmstate_compare(const struct godwit_vmstate_document *source,
                       const struct godwit_vmstate_document *destination)
{
    struct godwit_vmstate_comparison *comparison = g_new0(struct godwit_vmstate_comparison, 1);
    comparison->findings = g_ptr_array_new_with_free_func(finding_free);
    comparison->source_only = types_beyond(source, destination);
    comparison->destination_only = types_beyond(destination, source);
    for (guint i = 0; i < source->devices->len; i++) {
        const struct godwit_vmstate_device *device = g_ptr_array_index(source->devices, i);
        const struct godwit_vmstate_device *its =
            g_hash_table_lookup(destination->types, device->type);
        if (its)
            compare_devices(comparison->findings, source->counted && destination->counted, device,
                            its);
    }
    /* The sort is stable: devices stay in QEMU's order, fields in the stream's. */
    g_ptr_array_sort(comparison->findings, by_certainty);
    return comparison;
}
