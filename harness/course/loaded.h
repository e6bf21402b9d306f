/*
 * Judges what a destination has loaded and not run since, whatever its machine: by what it would
 * send on, field by field, and by what its registers read. Every other oracle judges RAM and the
 * guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_LOADED_H
#define GODWIT_HARNESS_COURSE_LOADED_H

#include "course/pokes.h"
#include "stream/fields.h"
#include "testbed/vm.h"

/* What has not survived. */
struct godwit_lost {
    char *where;        /* "serial 0: lcr" of the stream, or "serial 0x3" of the registers */
    char *text;         /* where, and both values */
    bool is_register;   /* ... not a field of the stream */
    const char *device; /* type of the device that has the register; NULL: unknown */
};

/*
 * What is done to both sides once their registers have been read, so that state comes to light
 * which no register shows at first: the same pokes, after each of which the beginnings of the
 * places are read once more. That a poke ends a machine proves nothing here, since the run state of
 * the two differs.
 */
struct godwit_reveal {
    const GArray *places; /* of struct godwit_hardware_place, in memory and ports */
    GArray *pokes;        /* of struct godwit_poke; those that end a machine are removed */
};

/* Makes VM, a destination that has been started, load GODWIT_MIGRATE_FILE, which SOURCE has
 * written, and waits until it has. */
bool godwit_loaded_load(struct godwit_vm *source, struct godwit_vm *vm, GError **error);

/* Makes VM, which is stopped, save itself to GODWIT_MIGRATE_FILE, and returns the fields of its
 * state. The caller frees them. The VM ends in run state postmigrate. */
struct godwit_stream_fields *godwit_loaded_save(struct godwit_vm *vm, GError **error);

/* Does the same, and leaves in GODWIT_MIGRATE_FILE what was there before. */
struct godwit_stream_fields *godwit_loaded_save_aside(struct godwit_vm *vm, GError **error);

/* Returns what AFTER, the state that a destination has saved again, has lost of BEFORE: an array of
 * struct godwit_lost, which the caller unreferences. Unless both were saved by the SAME QEMU, only
 * fields count that both describe in the same way. */
GPtrArray *godwit_loaded_lost_fields(const struct godwit_testbed *testbed,
                                     const struct godwit_stream_fields *before,
                                     const struct godwit_stream_fields *after, bool same);

/*
 * Compares DESTINATION with SOURCE, which has written its state to GODWIT_MIGRATE_FILE and is
 * stopped. The destination saves what it has loaded, and the two streams are compared field by
 * field. If the VMs have a hand, the registers of both are compared as well; nobody can use SOURCE
 * afterwards.
 *
 * ARGUMENTS are those that were added to the destination's command line. Copies of the destination
 * are started with them, so that it is as it was but for its run state, postmigrate. With LAST, its
 * own registers are read, which is quicker, and nobody can use it afterwards.
 *
 * Returns an array of struct godwit_lost, which the caller unreferences, or NULL with ERROR set if
 * a VM fails.
 */
GPtrArray *godwit_loaded_compare(struct godwit_vm *source, struct godwit_vm *destination,
                                 const char *const *arguments, bool last, GError **error);

/* Does the same, and reveals more. REVEAL may be NULL. */
GPtrArray *godwit_loaded_reveal(struct godwit_vm *source, struct godwit_vm *destination,
                                const char *const *arguments, bool last,
                                struct godwit_reveal *reveal, GError **error);

/* Does both for VMs without a hand: state only. A spec's hook `judge`. */
bool godwit_loaded_judge_state(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error);

/* Fails with ORACLE, and quotes some of it, if anything is LOST. Records all of it. */
bool godwit_loaded_judge(struct godwit_testbed *testbed, const GPtrArray *lost, GError **error);

/* Returns LOST, which may be NULL, as known bugs see it: an array of struct
 * godwit_symptom_register, which the caller unreferences. It borrows from LOST. */
GArray *godwit_loaded_registers(const GPtrArray *lost);

/* Explains *FAILURE of godwit_loaded_judge(), in a machine whose devices are the user's own. If
 * known bugs explain each thing that is LOST, records them and marks *FAILURE for
 * godwit_bug_of(). */
void godwit_loaded_explain(struct godwit_vm *source, struct godwit_vm *destination,
                           const GPtrArray *lost, GError **failure);

#endif
