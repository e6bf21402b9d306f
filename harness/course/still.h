/*
 * A machine that never runs: it is started, prepared from outside, migrated through a file and
 * compared. No guest is needed, so any machine type and any device can be tried, and nothing
 * happens between two looks but what the scenario does.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_STILL_H
#define GODWIT_HARNESS_COURSE_STILL_H

#include "course/loaded.h"
#include "testbed/vm.h"

struct godwit_still {
    struct godwit_vm *source, *destination; /* owned by the testbed */
    const char *const *arguments;           /* of the destination, borrowed */
};

/* Starts both sides with ARGUMENTS added to their command lines, and waits until the source
 * answers. The arguments must live as long as STILL. With testbed->hand, registers are compared. */
bool godwit_still_start(struct godwit_testbed *testbed, const char *const *source_arguments,
                        const char *const *destination_arguments, struct godwit_still *still,
                        GError **error);

/* Likewise, but also succeeds if a process was started for each side and then the source does not
 * answer, or the destination ends: the caller finds out which side cannot start the machine. */
bool godwit_still_try_start(struct godwit_testbed *testbed, const char *const *source_arguments,
                            const char *const *destination_arguments, struct godwit_still *still,
                            GError **error);

/* Waits again for a source that has not answered, because of the destination, which may have ended.
 * Returns whether it answers. */
bool godwit_still_source_answers(struct godwit_still *still, GError **error);

/* Moves the state of SOURCE, which does not run, to DESTINATION through a file, and waits until it
 * has been loaded. */
bool godwit_still_transfer(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Migrates it and returns what has not survived, see godwit_loaded_compare(); NULL with ERROR set
 * if a VM fails. Neither VM can be used afterwards. */
GPtrArray *godwit_still_migrate(struct godwit_still *still, GError **error);

/* Does the same, and reveals more: see godwit_loaded_reveal(). */
GPtrArray *godwit_still_reveal(struct godwit_still *still, struct godwit_reveal *reveal,
                               GError **error);

/* Ends every VM that the testbed has started since it had COUNT of them, and forgets them. */
void godwit_still_drop(struct godwit_testbed *testbed, guint count);

#endif
