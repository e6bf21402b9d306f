/*
 * What the files of the course share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_COURSE_PARTS_H
#define GODWIT_HARNESS_COURSE_COURSE_PARTS_H

#include "course/course.h"

/* Waits until the source's guest has written its first READY and PASS, and marks its pages. */
bool godwit_course_see_first_pass(struct godwit_vm *source, GError **error);

/* Sets capabilities, parameters and TLS on both sides, and throttles a live migration. */
bool godwit_course_configure(const struct godwit_spec *spec, struct godwit_vm *source,
                             struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION, both configured, until both sides report the end. */
bool godwit_course_transfer(const struct godwit_spec *spec, struct godwit_vm *source,
                            struct godwit_vm *destination, GError **error);

/* Takes the spec's OWN step, if it is not NULL. */
bool godwit_course_step(godwit_step own, struct godwit_vm *source, struct godwit_vm *destination,
                        GError **error);

/* Returns whether the destination runs its guest without being told to, as postcopy has it. */
bool godwit_course_runs_unasked(const struct godwit_spec *spec);

/* Fails if the source reports that something took longer than there was time for. A figure that a
 * known bug explains is replaced by the bug's name. */
bool godwit_course_judge_figures(struct godwit_vm *source, GError **error);

/* Fails unless the guest ran on the destination of a postcopy before the migration completed. */
bool godwit_course_judge_postcopy(struct godwit_vm *destination, GError **error);

/* Returns the index of the first event of the latest migration with that NAME and, unless it is
 * NULL, that STATUS; -1 if there is none. */
int godwit_course_event_index(const struct godwit_vm *vm, const char *name, const char *status);

#endif
