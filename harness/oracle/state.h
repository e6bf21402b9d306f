/*
 * The state oracle: a destination that has not run must be able to send its devices' states on
 * exactly as it received them. If a state differs, the destination has not loaded it, or has loaded
 * it wrongly. Nothing else shows the state of devices from outside.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_STATE_H
#define GODWIT_HARNESS_ORACLE_STATE_H

#include "migrate/migrate.h"
#include "testbed/vm.h"

/* Returns the devices' states in a whole stream: GBytes by name and instance ("timer/0"). The
 * caller unreferences the table. Fails with STREAM if the stream cannot be read. */
GHashTable *godwit_state_read(const void *bytes, size_t length, GError **error);

/* Returns a transport into a file that is complete when QEMU reports completion: one that QEMU
 * itself writes. */
enum godwit_transport godwit_state_transport(const struct godwit_qemu *qemu);

/* The same, for a file that both QEMUs know how to read and write. */
enum godwit_transport godwit_state_common_transport(const struct godwit_qemu *source,
                                                    const struct godwit_qemu *destination);

/* Makes VM, a destination that has loaded and not run, write its state to GODWIT_MIGRATE_FILE, in
 * place of what is there. The VM ends in run state postmigrate. */
bool godwit_state_save(struct godwit_vm *vm, GError **error);

/* Makes VM, a destination that has loaded and not run, write its state to a file in the testbed's
 * directory, and returns the devices' states in it, as godwit_state_read() does. The VM ends in run
 * state postmigrate: see godwit_course_settle(). */
GHashTable *godwit_state_send_on(struct godwit_vm *vm, GError **error);

/*
 * Compares the states that were SENT to a destination with those that it sends AGAIN. Returns one
 * sentence about the first difference, which the caller frees, or NULL if there is none. REFERENCE
 * has the states that another destination sends on, which received the unmodified stream, or is
 * NULL. A byte is ignored if it, or one of the seven bytes before and after it, differs in
 * REFERENCE as well: it may belong to a number that always changes, such as a host clock.
 */
char *godwit_state_compare(GHashTable *sent, GHashTable *again, GHashTable *reference);

#endif
