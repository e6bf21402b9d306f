/*
 * State: a destination that has not run would send its devices' states on as they came. What it
 * would not is what it did not take, or took wrongly. Of devices nothing else tells from outside.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STATE_H
#define GODWIT_HARNESS_ORACLE_STATE_H

#include "testbed/vm.h"

/* The devices' states in a whole stream, GBytes by name and instance ("timer/0"). NULL with a
 * STREAM error set if it cannot be read. The caller's (g_hash_table_unref). */
GHashTable *godwit_state_read(const void *bytes, size_t length, GError **error);

/* The devices' states that a destination would send on, which has loaded and not run: it is made to
 * write them to a file in the testbed's directory; it is to settle in run state postmigrate
 * (godwit_course_settle()). Likewise. */
GHashTable *godwit_state_send_on(struct godwit_vm *vm, GError **error);

/*
 * What of the states that were SENT would be sent on AGAIN as something else, in one sentence; the
 * caller's, NULL if nothing would. UNSPOILED is what another destination would send on, to which
 * the same was sent, or NULL: numbers of up to eight bytes that are others there as well, host
 * clocks mostly, are let pass.
 */
char *godwit_state_compare(GHashTable *sent, GHashTable *again, GHashTable *unspoiled);

#endif
