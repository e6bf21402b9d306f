/*
 * A state as the sequence of pieces that is sent or read, and the alignment of two sequences.
 *
 * The stream has no names and no structure, so descriptions that differ may mean the same bytes.
 * Pieces show that. Their names serve only to guess which piece of one side was which of the other,
 * so that a finding names the field that was changed, not the first that is shifted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/vmstate_parts.h"

#include <string.h>

/* How QEMU names padding. */
#define PADDING "unused"

/* The most pairs of pieces that an alignment compares. QEMU's states have up to 240 pieces. */
#define PAIRS_MAX ((size_t)4 << 20)

/* How well two pieces fit together. A name outweighs a size, because sizes are few: a guess by
 * sizes would find the end of a run of equal numbers changed, wherever one was inserted. */
enum fit { FIT_NONE = 0, FIT_SIZE = 2, FIT_NAME = 3, FIT_BOTH = 5 };

static void piece_free(gpointer data)
{
    struct godwit_vmstate_piece *piece = data;
    g_free(piece->path);
    g_free(piece->condition);
    g_free(piece);
}

static void subsection_free(gpointer data)
{
    struct godwit_vmstate_subsection *subsection = data;
    g_free(subsection->path);
    g_free(subsection);
}

void godwit_vmstate_flat_free(struct godwit_vmstate_flat *flat)
{
    g_ptr_array_unref(flat->pieces);
    g_ptr_array_unref(flat->subsections);
    g_free(flat);
}

static uint64_t product(uint64_t one, uint64_t other)
{
    uint64_t result;
    return __builtin_mul_overflow(one, other, &result) ? UINT64_MAX : result;
}

/* Adds FIELD, which has no structure. CONDITION: as in the piece. */
static void add_piece(struct godwit_vmstate_flat *flat, const struct godwit_vmstate_field *field,
                      const char *prefix, const char *condition)
{
    struct godwit_vmstate_piece *piece = g_new0(struct godwit_vmstate_piece, 1);
    piece->path = g_strconcat(prefix, field->name, NULL);
    /* "tx_props.ipcss" may be called "tx.ipcss" elsewhere. */
    const char *dot = strrchr(piece->path, '.');
    piece->name = dot ? dot + 1 : piece->path;
    piece->size = field->size;
    piece->count = flat->counted ? field->count : 1;
    piece->repeat = 1;
    piece->condition = g_strdup(condition);
    g_ptr_array_add(flat->pieces, piece);
}

/* Accounts for COUNT elements of a structure whose pieces are those from FIRST on. */
static void repeat_pieces(struct godwit_vmstate_flat *flat, guint first, uint64_t count)
{
    const bool single = flat->pieces->len == first + 1;
    for (guint i = first; i < flat->pieces->len; i++) {
        struct godwit_vmstate_piece *piece = g_ptr_array_index(flat->pieces, i);
        /* An array of structures with one number each is an array of numbers. */
        uint64_t *times = single ? &piece->count : &piece->repeat;
        *times = product(*times, count);
    }
}

static void add_state(struct godwit_vmstate_flat *flat, const struct godwit_vmstate *state,
                      int version, const char *prefix, const char *condition)
{
    for (guint i = 0; i < state->fields->len; i++) {
        const struct godwit_vmstate_field *field = g_ptr_array_index(state->fields, i);
        /* An array without elements is a check of the loader, which has no bytes. (Where counts are
         * unknown, both sides have it as a piece.) */
        if ((!field->conditional && field->version > version) || (!field->count && flat->counted))
            continue;
        g_autofree char *path = g_strconcat(prefix, field->name, NULL);
        const char *its = condition || !field->conditional ? condition : path;
        if (!field->structure) {
            add_piece(flat, field, prefix, its);
            continue;
        }
        g_autofree char *inside = g_strconcat(prefix, field->name, ".", NULL);
        const guint first = flat->pieces->len;
        add_state(flat, field->structure, field->structure->version, inside, its);
        repeat_pieces(flat, first, flat->counted ? field->count : 1);
    }
    for (guint i = 0; i < state->subsections->len; i++) {
        struct godwit_vmstate_subsection *subsection = g_new0(struct godwit_vmstate_subsection, 1);
        subsection->state = g_ptr_array_index(state->subsections, i);
        subsection->path = g_strconcat(prefix, subsection->state->name, NULL);
        g_ptr_array_add(flat->subsections, subsection);
    }
}

struct godwit_vmstate_flat *godwit_vmstate_flatten(const struct godwit_vmstate *state, int version,
                                                   bool counted)
{
    struct godwit_vmstate_flat *flat = g_new0(struct godwit_vmstate_flat, 1);
    flat->pieces = g_ptr_array_new_with_free_func(piece_free);
    flat->subsections = g_ptr_array_new_with_free_func(subsection_free);
    flat->counted = counted;
    add_state(flat, state, version, "", NULL);
    return flat;
}

uint64_t godwit_vmstate_piece_bytes(const struct godwit_vmstate_piece *piece)
{
    return product(product(piece->size, piece->count), piece->repeat);
}

bool godwit_vmstate_piece_equal(const struct godwit_vmstate_piece *one,
                                const struct godwit_vmstate_piece *other)
{
    return one->size == other->size && one->count == other->count && one->repeat == other->repeat;
}

bool godwit_vmstate_piece_unused(const struct godwit_vmstate_piece *piece)
{
    return g_str_equal(piece->name, PADDING);
}

/* Returns the runs of equal numbers in PIECES, an array of struct godwit_vmstate_piece. */
static GArray *runs_of(const GPtrArray *pieces)
{
    GArray *runs = g_array_new(FALSE, FALSE, sizeof(struct godwit_vmstate_piece));
    for (guint i = 0; i < pieces->len; i++) {
        struct godwit_vmstate_piece run =
            *(const struct godwit_vmstate_piece *)g_ptr_array_index(pieces, i);
        /* Numbers have 1, 2, 4 or 8 bytes. Anything else is an array of bytes. */
        if (run.size > 8 || (run.size & (run.size - 1))) {
            run.count = product(run.count, run.size);
            run.size = 1;
        }
        struct godwit_vmstate_piece *last =
            runs->len ? &g_array_index(runs, struct godwit_vmstate_piece, runs->len - 1) : NULL;
        if (last && last->size == run.size && last->repeat == 1 && run.repeat == 1 &&
            !last->condition && !run.condition)
            last->count += run.count;
        else
            g_array_append_val(runs, run);
    }
    return runs;
}

bool godwit_vmstate_same_numbers(const GPtrArray *one, const GPtrArray *other)
{
    g_autoptr(GArray) before = runs_of(one);
    g_autoptr(GArray) after = runs_of(other);
    bool same = before->len == after->len;
    for (guint i = 0; i < before->len && same; i++) {
        const struct godwit_vmstate_piece *run =
            &g_array_index(before, struct godwit_vmstate_piece, i);
        const struct godwit_vmstate_piece *its =
            &g_array_index(after, struct godwit_vmstate_piece, i);
        same = godwit_vmstate_piece_equal(run, its) && !run->condition == !its->condition;
    }
    return same;
}

static unsigned fit_of(const struct godwit_vmstate_piece *source,
                       const struct godwit_vmstate_piece *destination)
{
    /* All padding has one name. */
    const bool name =
        g_str_equal(source->name, destination->name) && !godwit_vmstate_piece_unused(source);
    if (godwit_vmstate_piece_equal(source, destination))
        return name ? FIT_BOTH : FIT_SIZE;
    return name ? FIT_NAME : FIT_NONE;
}

static void add_column(GArray *columns, const GPtrArray *source, guint i,
                       const GPtrArray *destination, guint j)
{
    const struct godwit_vmstate_column column = {
        i < source->len ? g_ptr_array_index(source, i) : NULL,
        j < destination->len ? g_ptr_array_index(destination, j) : NULL,
    };
    g_array_append_val(columns, column);
}

/* Aligns by position, where there are too many pieces for anything better. */
static GArray *align_by_position(const GPtrArray *source, const GPtrArray *destination)
{
    GArray *columns = g_array_new(FALSE, FALSE, sizeof(struct godwit_vmstate_column));
    for (guint i = 0; i < MAX(source->len, destination->len); i++)
        add_column(columns, source, i, destination, i);
    return columns;
}

GArray *godwit_vmstate_align(const GPtrArray *source, const GPtrArray *destination)
{
    const guint rows = source->len, width = destination->len + 1;
    if ((size_t)(rows + 1) * width > PAIRS_MAX)
        return align_by_position(source, destination);
    /* best[i * width + j]: the best sum of fits of the pieces from I and from J on. */
    g_autofree unsigned *best = g_new0(unsigned, (size_t)(rows + 1) * width);
#define BEST(i, j) best[(size_t)(i)*width + (j)]
    for (guint i = rows; i-- > 0;) {
        for (guint j = destination->len; j-- > 0;) {
            const unsigned fit =
                fit_of(g_ptr_array_index(source, i), g_ptr_array_index(destination, j));
            BEST(i, j) =
                MAX(MAX(BEST(i + 1, j), BEST(i, j + 1)), fit ? BEST(i + 1, j + 1) + fit : 0);
        }
    }
    GArray *columns = g_array_new(FALSE, FALSE, sizeof(struct godwit_vmstate_column));
    for (guint i = 0, j = 0; i < rows || j < destination->len;) {
        const unsigned fit =
            i < rows && j < destination->len
                ? fit_of(g_ptr_array_index(source, i), g_ptr_array_index(destination, j))
                : FIT_NONE;
        const bool pair = fit && BEST(i, j) == BEST(i + 1, j + 1) + fit;
        const bool sent = pair || (i < rows && BEST(i, j) == BEST(i + 1, j));
        const bool read = pair || !sent;
        add_column(columns, source, sent ? i : G_MAXUINT, destination, read ? j : G_MAXUINT);
        i += sent;
        j += read;
    }
#undef BEST
    return columns;
}
