/*
 * Mirrors a disk to another QEMU, as a management layer does when it migrates a guest whose storage
 * is not shared: the destination exports its empty disk by NBD, the source's job blockdev-mirror
 * fills it and keeps it equal, and is ended in pre-switchover.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_MIRROR_H
#define GODWIT_HARNESS_COURSE_MIRROR_H

#include "testbed/vm.h"

/* The features that a mirror needs. */
#define GODWIT_MIRROR_NEEDS                                                                        \
    "command:blockdev-mirror command:block-export-add command:nbd-server-start "                   \
    "command:query-block-jobs"

/* What a mirror connects. */
struct godwit_mirror {
    struct godwit_vm *source;
    struct godwit_vm *exporter; /* has the disk's node under the same name as the source */
    bool tls;                   /* by the credentials that godwit_tls_set_up() has made */
    const char *copy_mode;      /* "background" or "write-blocking" */
};

/*
 * Starts a qemu-storage-daemon that has the image FILE of a DRIVER, to be an exporter. It is the
 * one beside the destination's QEMU, or that in $PATH. Fails with SKIP if there is none of the
 * destination's version, or none at all if ANY version will do. The testbed owns it.
 */
struct godwit_vm *godwit_mirror_daemon(struct godwit_testbed *testbed, const char *driver,
                                       const char *file, bool any, GError **error);

/* Makes the exporter export its disk, and connects the source to it. With TLS, a source that asks
 * for no encryption must be refused first: fails with MIGRATION if it is not. */
bool godwit_mirror_connect(const struct godwit_mirror *mirror, GError **error);

/* Begins to mirror the disk, so slowly that the bulk of it takes minutes. */
bool godwit_mirror_begin(const struct godwit_mirror *mirror, GError **error);

/* Fails with MIGRATION unless the job still copies the bulk of the disk. */
bool godwit_mirror_expect_bulk(const struct godwit_mirror *mirror, GError **error);

/* Lets the mirror go at full speed, and waits until it is ready: from then on it copies what the
 * source writes. Fails with MIGRATION and QEMU's reason if it ends instead. */
bool godwit_mirror_await_ready(const struct godwit_mirror *mirror, GError **error);

/* Fails with MIGRATION unless the job is ready and, if QEMU reports that, synchronizes each write
 * as its mode demands. */
bool godwit_mirror_expect_ready(const struct godwit_mirror *mirror, GError **error);

/* Ends a ready mirror, which leaves the exporter's disk as the source's is at this moment, and
 * disconnects the two. Fails with MIGRATION if the job has not copied everything. */
bool godwit_mirror_complete(const struct godwit_mirror *mirror, GError **error);

/* Breaks a mirror off, and disconnects the source. */
bool godwit_mirror_abandon(const struct godwit_mirror *mirror, GError **error);

/* Waits until a mirror whose exporter has ended fails, with a reason, which is measured, and
 * disconnects the source. The source must have written something by then. */
bool godwit_mirror_await_failure(const struct godwit_mirror *mirror, GError **error);

#endif
