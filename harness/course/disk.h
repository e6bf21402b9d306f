/*
 * Small qcow2 disks that no device of the guest uses, for what QEMU keeps in images: snapshots.
 * QEMU itself makes, writes and reads them, so that no tool beside it is needed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_DISK_H
#define GODWIT_HARNESS_COURSE_DISK_H

#include "testbed/vm.h"

/* A disk has this many clusters, of one byte value each. */
#define GODWIT_DISK_CLUSTERS     16u
#define GODWIT_DISK_CLUSTER_SIZE (UINT64_C(64) << 10)
#define GODWIT_DISK_SIZE         (GODWIT_DISK_CLUSTERS * GODWIT_DISK_CLUSTER_SIZE)

/* What is on a disk: the byte value of each cluster. */
struct godwit_disk {
    unsigned char cluster[GODWIT_DISK_CLUSTERS];
};

/*
 * Runs job COMMAND of VM with ARGUMENTS (taken), to which a job-id is added, and waits until its
 * events report the end. Sets *FAILURE, which the caller frees, to QEMU's reason if the command is
 * refused or the job fails, or to NULL. Fails if QEMU does.
 */
bool godwit_disk_job(struct godwit_vm *vm, const char *command, json_t *arguments, char **failure,
                     GError **error);

/* Makes VM create the image FILE of a DRIVER and a SIZE in its working directory. */
bool godwit_disk_make(struct godwit_vm *vm, const char *file, const char *driver, uint64_t size,
                      GError **error);

/* Makes VM create the image NAME.qcow2 in its working directory and attach it. All of it is zero.
 * No other image of that name may be attached. */
bool godwit_disk_create(struct godwit_vm *vm, const char *name, GError **error);

/* Attaches the image NAME.qcow2 to VM as node NAME. */
bool godwit_disk_attach(struct godwit_vm *vm, const char *name, GError **error);

/* Detaches it, so that another QEMU can attach it. */
bool godwit_disk_detach(struct godwit_vm *vm, const char *name, GError **error);

/* Returns the arguments that attach the image NAME.qcow2 when a QEMU starts, NULL-terminated. The
 * caller frees them. */
char **godwit_disk_arguments(const char *name);

/* Fills two clusters of disk NAME with VALUE, from 1 to 254: the first one, and one of VALUE's own.
 * Sets those of DISK to the same. QEMU writes the data through its block layer. */
bool godwit_disk_write(struct godwit_vm *vm, const char *name, unsigned char value,
                       struct godwit_disk *disk, GError **error);

/* Returns the SIZE bytes of disk NAME, and their number, which is another one if the disk has
 * another size. VM copies them into a raw file for that. Bytes that it does not copy are 0xff,
 * which no disk has. The caller frees them. */
char *godwit_disk_read(struct godwit_vm *vm, const char *name, uint64_t size, gsize *length,
                       GError **error);

/* Fails with ORACLE unless every byte of disk NAME is as in DISK. VM copies it into a raw file for
 * that. */
bool godwit_disk_judge(struct godwit_vm *vm, const char *name, const struct godwit_disk *disk,
                       GError **error);

#endif
