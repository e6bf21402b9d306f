/*
 * What throttle.c and liveness.c share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_THROTTLE_PARTS_H
#define GODWIT_HARNESS_MIGRATE_THROTTLE_PARTS_H

#include "migrate/limiter.h"
#include "migrate/throttle.h"

/* The present migration's throttle, which its testbed keeps. */
struct throttle {
    guint next;      /* index of the source's event to look at next */
    guint iteration; /* the latest that was seen */
    bool over;
    bool open;
    json_int_t bandwidth;      /* as it was set last */
    json_int_t open_bandwidth; /* with the valve open */
    json_int_t asked;          /* pages sent, by the latest query-migrate */
    json_int_t sent;           /* pages sent when the pass began, or a little later; -1: unknown */
    bool sending;              /* a page of this pass has been sent ... */
    uint64_t written;          /* ... and the guest had written this many pages by then */
    bool was_sending;          /* the previous pass's "sending" ... */
    uint64_t was_written;      /* ... and "written" */
    bool stopped;    /* QEMU has stopped the guest: passes after that are the migration's end */
    gint64 followed; /* when the bandwidth last followed what remains */
};

/* Returns the throttle of the migration that SOURCE started last. */
struct throttle *godwit_throttle_of(const struct godwit_vm *source);

/* Returns how many bytes are sent of a page of the window. */
uint64_t godwit_throttle_page_bytes(const struct godwit_workload *workload);

/* Takes the events that have come. Returns whether one was of an iteration's begin, or of the
 * migration's end. */
bool godwit_throttle_take_events(struct godwit_vm *source, struct throttle *throttle);

/* Reports that a throttled migration has ended. Always fails: with ENVIRONMENT if the host did not
 * let the guest run, otherwise with MIGRATION, or with the death of a QEMU. */
bool godwit_throttle_report_end(struct godwit_vm *source, const struct throttle *throttle,
                                GError **error);

/* Notes from when on pages that the guest writes are sent again. Sets *DIRTIED to whether it has
 * written all of its window since. */
bool godwit_throttle_watch_guest(struct godwit_vm *source, struct throttle *throttle, bool *dirtied,
                                 GError **error);

/* Closes the valve, or, if it is closed, sets the bandwidth by how much remains. */
bool godwit_throttle_close(struct godwit_vm *source, struct throttle *throttle, GError **error);

#endif
