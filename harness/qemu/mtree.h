/*
 * What is where in a machine: the flat views of its address spaces, as `info mtree -f -o` prints
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_MTREE_H
#define GODWIT_HARNESS_QEMU_MTREE_H

#include "base/error.h"
#include <stdint.h>

/* The line of the human monitor whose output godwit_mtree_parse() reads. */
#define GODWIT_MTREE_COMMAND "info mtree -f -o"

enum godwit_range_kind {
    GODWIT_RANGE_RAM,
    GODWIT_RANGE_RAM_DEVICE, /* memory of a device, mapped into QEMU */
    GODWIT_RANGE_ROM,
    GODWIT_RANGE_ROM_DEVICE, /* reads as memory; writes go to the device, as to a flash chip */
    GODWIT_RANGE_IO,         /* every access goes to a device */
    GODWIT_RANGE_CONTAINER,  /* nothing but the room of a container; QEMU 10.0 and
                                older print it as IO */
};

/* A range of addresses that lead to one region. */
struct godwit_range {
    uint64_t start;
    uint64_t last; /* the last address, inclusive */
    int priority;
    enum godwit_range_kind kind;
    char *name;      /* of the region; several regions may share it */
    uint64_t offset; /* of START in the region */
    char *owner;     /* path of the QOM object that owns the region, or else of its parent; NULL if
                        neither has one */
};

/* The view of one or more address spaces. */
struct godwit_view {
    GPtrArray *spaces; /* of char *: names of address spaces; several may share one */
    char *root;        /* name of the root region, or NULL for a view of nothing */
    GArray *ranges;    /* of struct godwit_range: ascending, without overlaps */
};

struct godwit_mtree {
    GPtrArray *views; /* of struct godwit_view, in the order of the text */
};

/* Parses the output of GODWIT_MTREE_COMMAND. The caller frees it. Fails with QMP, and quotes the
 * line, if the text has a form that is not known. */
struct godwit_mtree *godwit_mtree_parse(const char *text, GError **error);

/* Frees it. Does nothing for NULL. */
void godwit_mtree_free(struct godwit_mtree *mtree);

/* Returns the first view of the address space SPACE ("memory", "I/O"), or NULL. Borrowed. */
const struct godwit_view *godwit_mtree_view(const struct godwit_mtree *mtree, const char *space);

/* Returns the first range of the region NAME, or NULL. Borrowed. VIEW may be NULL. */
const struct godwit_range *godwit_view_find(const struct godwit_view *view, const char *name);

#endif
