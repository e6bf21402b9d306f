/*
 * What throttle.c and liveness.c share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_THROTTLE_PARTS_H
#define GODWIT_HARNESS_MIGRATE_THROTTLE_PARTS_H

#include "migrate/limiter.h"
#include "migrate/throttle.h"

/* The throttle of the present migration: testbed->throttle, once a migration was throttled. */
struct godwit_throttle {
    guint next;                /* index of the source's event to look at next */
    guint iteration;           /* number of the latest iteration that was reported */
    bool over;                 /* the migration has ended, or stopped the guest at pre-switchover */
    bool open;                 /* the valve is open */
    json_int_t bandwidth;      /* as it was set last, in bytes a second */
    json_int_t open_bandwidth; /* while the valve is open, in bytes a second */
    json_int_t asked;          /* pages sent, by the latest query-migrate */
    json_int_t sent;      /* pages sent when the iteration began, or a little later; -1: unknown */
    bool sending;         /* a page of this iteration has been sent ... */
    uint64_t written;     /* ... and the guest had written this many pages by then */
    bool was_sending;     /* "sending" of the previous iteration ... */
    uint64_t was_written; /* ... and its "written" */
    bool stopped;         /* QEMU has stopped the guest: later iterations end the migration */
    gint64 followed;      /* when the bandwidth was last set by what remains */
};

/* Returns how many bytes are sent for each page of the window that the guest has written. */
uint64_t godwit_throttle_page_bytes(const struct godwit_workload *workload);

/* Processes the events that have come. Returns whether an iteration has begun or the migration has
 * ended. */
bool godwit_throttle_take_events(struct godwit_vm *source, struct godwit_throttle *throttle);

/* Fails because a throttled migration has ended: sets ERROR and returns false. The error is the
 * death of a QEMU, if one died, ENVIRONMENT if the host did not let the guest run, otherwise
 * MIGRATION. */
bool godwit_throttle_report_end(struct godwit_vm *source, const struct godwit_throttle *throttle,
                                GError **error);

/* Notes when the first page of this iteration is sent: the pages that the guest writes from then on
 * are sent again. Sets *DIRTIED to whether it has written all of its window since. */
bool godwit_throttle_watch_guest(struct godwit_vm *source, struct godwit_throttle *throttle,
                                 bool *dirtied, GError **error);

/* Closes the valve. If it is closed already, lowers the bandwidth to fit what remains. */
bool godwit_throttle_close(struct godwit_vm *source, struct godwit_throttle *throttle,
                           GError **error);

/* Returns how many pages of the window the guest dirties in each pass: all of them, but with
 * `stamp:mixed` at least the busy ones. */
uint64_t godwit_liveness_dirtied(const struct godwit_workload *workload);

/* How many pages of the window a look at the destination compares. */
#define GODWIT_LIVENESS_PAGES 64

/*
 * Returns the page that the look compares as its number I, below GODWIT_LIVENESS_PAGES. The pages
 * are spread over the window, are written in each pass, and have all places in the cycle of
 * `stamp:zero`. There every
 * GODWIT_STAMP_CYCLE-th page is zero at the same time, and a page that has arrived as zero cannot
 * be told from one that has not arrived: if all compared pages were such, nothing would ever be
 * proven.
 */
uint64_t godwit_liveness_page(const struct godwit_workload *workload, unsigned i);

#endif
