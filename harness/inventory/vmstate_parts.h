/*
 * What the files of vmstate.h share: a state as the sequence of pieces that is sent or read, and
 * the alignment of two sequences.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_VMSTATE_PARTS_H
#define GODWIT_HARNESS_INVENTORY_VMSTATE_PARTS_H

#include "inventory/vmstate.h"

/* A field without structure, wherever it is nested: numbers of one size, or a byte array. */
struct godwit_vmstate_piece {
    char *path;       /* in the state: "core.tx.ipcss"; owned */
    const char *name; /* the last part of PATH: "ipcss" */
    uint64_t size;    /* of an element; 0: varies */
    uint64_t count;   /* of elements in a row */
    uint64_t repeat;  /* how often it comes, because an array of structures has it */
    char *condition;  /* path of the outermost field whose condition it needs, or NULL; owned */
};

/* A subsection, wherever the structure that has it is nested. */
struct godwit_vmstate_subsection {
    char *path; /* in the state; owned */
    const struct godwit_vmstate *state;
};

/* A state without its structure. */
struct godwit_vmstate_flat {
    GPtrArray *pieces;      /* of struct godwit_vmstate_piece, in the order of the stream; owned */
    GPtrArray *subsections; /* of struct godwit_vmstate_subsection; owned */
    bool counted;           /* arrays have all their elements, not just one */
};

/* Returns what is sent or read of STATE if the stream has VERSION of it; only one element of each
 * array unless COUNTED. Borrows STATE. The caller frees it with godwit_vmstate_flat_free(). */
struct godwit_vmstate_flat *godwit_vmstate_flatten(const struct godwit_vmstate *state, int version,
                                                   bool counted);
void godwit_vmstate_flat_free(struct godwit_vmstate_flat *flat);

/* Returns how many bytes PIECE has, saturated; 0: varies. */
uint64_t godwit_vmstate_piece_bytes(const struct godwit_vmstate_piece *piece);

/* Returns whether two pieces have the same size, count and repetition. */
bool godwit_vmstate_piece_equal(const struct godwit_vmstate_piece *one,
                                const struct godwit_vmstate_piece *other);

/* Returns whether PIECE is padding, which the loader skips. */
bool godwit_vmstate_piece_unused(const struct godwit_vmstate_piece *piece);

/* Returns whether two arrays of pieces are the same sequence of numbers: fields may be divided or
 * merged into arrays, but no number changes its size. */
bool godwit_vmstate_same_numbers(const GPtrArray *one, const GPtrArray *other);

/* A piece that is sent and the one that is read in its place. NULL: nothing. Borrowed. */
struct godwit_vmstate_column {
    const struct godwit_vmstate_piece *source, *destination;
};

/* Returns the most plausible alignment of two arrays of pieces, an array of struct
 * godwit_vmstate_column. The caller frees it with g_array_unref(). */
GArray *godwit_vmstate_align(const GPtrArray *source, const GPtrArray *destination);

#endif
