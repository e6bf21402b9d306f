/*
 * Shared by oracle.c and twin.c: a view of one VM's memory, which is read chunk by chunk. The view
 * feeds the window's bytes to page order or to stamp, and judges the result at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_ORACLE_PARTS_H
#define GODWIT_HARNESS_ORACLE_ORACLE_PARTS_H

#include "oracle/oracle.h"
#include "oracle/stamp.h"

/* The size of a view's buffer. Two of them fit into the cache of one core; smaller ones would need
 * more round trips with pmemsave. */
#define CHUNK ((size_t)1 << 20)

struct view {
    struct godwit_vm *vm, *accountant; /* the mailboxes are those of the latter */
    GArray *window; /* the parts of the window, of struct godwit_part; NULL: it has none; owned */
    uint64_t window_length;
    bool stamped;                                    /* the workload is `stamp` */
    struct godwit_stamp_walk stamp;                  /* judges the window if it is */
    struct godwit_page_order order[GODWIT_MAX_CPUS]; /* of each CPU's stripe, if it is not */
    bool summed;                                     /* also compute a checksum */
    uint64_t checksum;
    unsigned char *buffer; /* CHUNK bytes; owned */
};

/*
 * Begins a view of the memory of VM. VIEW must be zeroed. A stamped window is judged by the
 * mailboxes of the VM ACCOUNTANT, which must be from the same instant. The caller ends the view
 * with godwit_view_end(), even after a failure. Fails with ORACLE if the mailboxes are impossible.
 */
bool godwit_view_begin(struct view *view, struct godwit_vm *vm, struct godwit_vm *accountant,
                       GError **error);

/* Frees what the view owns. */
void godwit_view_end(struct view *view);

/* Takes the first LENGTH bytes of the buffer, which were read from OFFSET of BLOCK. The window's
 * bytes must come in order. Bytes outside the window are ignored. */
void godwit_view_take(struct view *view, const struct godwit_block *block, uint64_t offset,
                      size_t length);

/* Returns whether both views have the same window, at the same offsets of blocks of the same names,
 * and judge it by the same mailboxes: the same bytes then mean the same for both. */
bool godwit_view_is_like(const struct view *view, const struct view *other);

/* Lets VIEW, which is like OTHER, have taken what OTHER has. */
void godwit_view_follow(struct view *view, const struct view *other);

/* Judges what the view has taken and fills in READING. Checks the position only if POSITION is
 * true, which means that the VM's mailboxes can be trusted. Fails with ORACLE if the memory is
 * wrong. */
bool godwit_view_judge(struct view *view, struct godwit_reading *reading, bool position,
                       GError **error);

#endif
