/*
 * Internal snapshots: the state of a machine in an image, beside what the disk had then. They are
 * saved, loaded and deleted by commands of the human monitor (savevm, loadvm, delvm) or as jobs
 * (snapshot-save, snapshot-load, snapshot-delete).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_SNAPSHOT_H
#define GODWIT_HARNESS_COURSE_SNAPSHOT_H

#include "course/disk.h"
#include "memory/memory.h"
#include "oracle/oracle.h"

enum godwit_snapshot_way {
    GODWIT_SNAPSHOT_MONITOR, /* the human monitor: all disks, the first one has the state */
    GODWIT_SNAPSHOT_JOB,
};

enum godwit_snapshot_action {
    GODWIT_SNAPSHOT_SAVE,
    GODWIT_SNAPSHOT_LOAD,
    GODWIT_SNAPSHOT_DELETE,
};

/* The most disks of a machine. */
#define GODWIT_SNAPSHOT_DISKS 2

/* The disks of a machine, all of which a snapshot includes. */
struct godwit_snapshot_disks {
    const char *name[GODWIT_SNAPSHOT_DISKS]; /* NULL after the last one */
    unsigned state;                          /* index of the disk that jobs give the state to */
};

/* What a guest was when its snapshot was saved. */
struct godwit_moment {
    char *tag;                     /* of the snapshot; owned */
    bool running;                  /* the guest ran until QEMU stopped it to save */
    struct godwit_vm *ram;         /* a copy of its RAM; owned. NULL: not known (yet) */
    struct godwit_reading reading; /* of the stopped guest, or a moment before and after ... */
    struct godwit_reading after;   /* ... of a running one: mailboxes only */
    struct godwit_disk disk[GODWIT_SNAPSHOT_DISKS];
};

/* Frees what the moment owns, and zeroes it. */
void godwit_moment_clear(struct godwit_moment *moment);

/*
 * Performs ACTION on snapshot TAG of VM. Sets *REFUSAL, which the caller frees, to QEMU's reason if
 * it refuses, or to NULL. A save, and whatever else QEMU does, is over when this returns. Fails if
 * QEMU does.
 */
bool godwit_snapshot_do(struct godwit_vm *vm, enum godwit_snapshot_way way,
                        enum godwit_snapshot_action action, const char *tag,
                        const struct godwit_snapshot_disks *disks, char **refusal, GError **error);

/* Does the same for an action that must succeed. Fails with MIGRATION if QEMU refuses. */
bool godwit_snapshot_must(struct godwit_vm *vm, enum godwit_snapshot_way way,
                          enum godwit_snapshot_action action, const char *tag,
                          const struct godwit_snapshot_disks *disks, GError **error);

/* Does the same for an action that QEMU must refuse. Fails with MIGRATION if it does not, or if it
 * gives no reason. */
bool godwit_snapshot_refuse(struct godwit_vm *vm, enum godwit_snapshot_way way,
                            enum godwit_snapshot_action action, const char *tag,
                            const struct godwit_snapshot_disks *disks, GError **error);

/* Prepares VM for snapshots: its events are on, and judged as those of a VM that saves some. */
bool godwit_snapshot_prepare(struct godwit_vm *vm, GError **error);

/*
 * Writes VALUE to each disk of the source and begins MOMENT, that of snapshot TAG, from what there
 * is: stops the guest unless it must be RUNNING, judges a stopped one by every oracle, and copies
 * its RAM. DISK, what the disks have, is updated.
 */
bool godwit_moment_begin(struct godwit_vm *vm, const char *tag, bool running, unsigned char value,
                         const struct godwit_snapshot_disks *disks, struct godwit_disk *disk,
                         struct godwit_moment *moment, GError **error);

/*
 * Ends MOMENT, whose snapshot has been saved; FIRST is the number of events that there were before.
 * Fails with MIGRATION unless QEMU left a stopped guest stopped, or stopped a running one and
 * resumed it, and with ORACLE if a stopped guest's RAM is not as it was. A running guest must then
 * run on.
 */
bool godwit_moment_end(struct godwit_vm *vm, struct godwit_moment *moment, guint first,
                       GError **error);

/*
 * Judges VM, which has loaded the snapshot of MOMENT and is stopped: every byte of RAM, or, if the
 * guest ran, its order or stamps and its progress, which must be between that before the save and
 * that after it; and every byte of the disks. RAM that was not known yet is copied into MOMENT, for
 * another VM. Then the guest runs on, is stopped and judged again.
 */
bool godwit_moment_judge(struct godwit_vm *vm, struct godwit_moment *moment,
                         const struct godwit_snapshot_disks *disks, GError **error);

/* Judges the same, and lets the guest be. */
bool godwit_moment_judge_loaded(struct godwit_vm *vm, struct godwit_moment *moment,
                                const struct godwit_snapshot_disks *disks, GError **error);

#endif
