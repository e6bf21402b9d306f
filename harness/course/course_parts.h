/*
 * What the files of the course share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_COURSE_PARTS_H
#define GODWIT_HARNESS_COURSE_COURSE_PARTS_H

#include "course/course.h"

/* Sets capabilities, parameters and TLS on both sides, and throttles a live migration. */
bool godwit_course_configure(const struct godwit_spec *spec, struct godwit_vm *source,
                             struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION, both configured, until both sides report the end. */
bool godwit_course_transfer(const struct godwit_spec *spec, struct godwit_vm *source,
                            struct godwit_vm *destination, GError **error);

/* Takes the scenario's OWN step. Does nothing if it is NULL. */
bool godwit_course_step(godwit_step own, struct godwit_vm *source, struct godwit_vm *destination,
                        GError **error);

/* Returns whether the destination runs its guest without `cont`, as in postcopy. */
bool godwit_course_runs_unasked(const struct godwit_spec *spec);

/* Fails with MIGRATION if the source reports a time that is negative or longer than the testbed has
 * existed. A downtime that a known bug explains becomes "downtime_unknown" with the bug's id. */
bool godwit_course_judge_figures(struct godwit_vm *source, GError **error);

/* Fails with MIGRATION unless the guest ran on the destination of a postcopy before the migration
 * completed. */
bool godwit_course_judge_postcopy(struct godwit_vm *destination, GError **error);

/* Returns the index of the first event of the latest migration with that NAME and, unless it is
 * NULL, that STATUS; -1 if there is none. */
int godwit_course_event_index(const struct godwit_vm *vm, const char *name, const char *status);

/* How far one CPU of a guest has come since it was looked at first. Starts with FIRST and LAST
 * equal, and no changes. */
struct godwit_progress {
    uint64_t first, last; /* counts of passes, as the mailbox had them */
    unsigned changes;     /* how often it was another count than the time before */
};

/*
 * Takes note of the PASSES that the mailbox counts now. Returns whether the CPU has written pages
 * since it was looked at first, and stored its timer with them.
 *
 * A guest that was migrated at the end of a pass counts that pass without writing a page, so its
 * timer in the mailbox stays as it was. That does no harm unless the mailbox is known to be STALE:
 * then the count may be several passes behind as well, and tells something only after the guest has
 * stored it here. So it must change twice. The identity table needs a pass that began here.
 */
bool godwit_course_has_gone_on(const struct godwit_setup *setup, bool stale,
                               struct godwit_progress *progress, uint64_t passes);

#endif
