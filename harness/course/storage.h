/*
 * A disk that goes with the guest: an image that both sides have, behind a virtio-blk device of the
 * machine, and a model of every byte that must be in it. The writes are the device's own: QEMU's
 * `qemu-io` makes them through the device's backend, so that the guest needs no driver.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_STORAGE_H
#define GODWIT_HARNESS_COURSE_STORAGE_H

#include "testbed/vm.h"

#define GODWIT_STORAGE_SIZE    (1u << 20)
#define GODWIT_STORAGE_SECTOR  512u
#define GODWIT_STORAGE_SECTORS (GODWIT_STORAGE_SIZE / GODWIT_STORAGE_SECTOR)

/* How many writes scenarios make at a time. */
#define GODWIT_STORAGE_SOME 12

/* The name of the node that has the guest's data. */
#define GODWIT_STORAGE_NODE "disk"

struct godwit_storage {
    const char *driver;                   /* of the image: "raw" or "qcow2" */
    GRand *random;                        /* makes all choices; owned */
    unsigned writes;                      /* how many there were */
    bool written[GODWIT_STORAGE_SECTORS]; /* since the caller has last cleared it */
    unsigned char model[GODWIT_STORAGE_SIZE];
};

/* Frees what STORAGE owns. */
void godwit_storage_clear(struct godwit_storage *storage);

/* Makes the image FILE, all zero, in the VMs' working directory, and begins the model. */
bool godwit_storage_create(struct godwit_testbed *testbed, struct godwit_storage *storage,
                           const char *driver, const char *file, GError **error);

/* Returns the arguments that give a machine the image FILE and the device, NULL-terminated. The
 * caller frees them. */
char **godwit_storage_arguments(const struct godwit_storage *storage, const char *file);

/* Likewise for a raw image, whose flushes fail with EIO after godwit_storage_turn(), which the
 * first write must precede, until that is called again. */
char **godwit_storage_arguments_failing(const struct godwit_storage *storage, const char *file);

/* Makes the flushes of such a disk fail, or succeed again, by a read. */
bool godwit_storage_turn(struct godwit_vm *vm, GError **error);

/* Makes the image FILE and starts both sides with it, the destination as ROLE says, and waits until
 * the source's guest works. Fails with SKIP if the machine has no place for the device. */
bool godwit_storage_start(struct godwit_testbed *testbed, struct godwit_storage *storage,
                          const char *driver, const char *file, enum godwit_vm_role role,
                          struct godwit_vm **source, struct godwit_vm **destination,
                          GError **error);

/* Makes VM write COUNT runs of sectors, chosen by the seed: patterns, and sometimes zeroes. The
 * disk must be active. */
bool godwit_storage_write(struct godwit_vm *vm, struct godwit_storage *storage, unsigned count,
                          GError **error);

/* Fails with ORACLE unless every byte of the disk is as in the model. A raw image is read without
 * QEMU. VM, whose disk must be active, copies any other into a raw file for that. */
bool godwit_storage_judge(struct godwit_vm *vm, const struct godwit_storage *storage,
                          const char *file, GError **error);

/* Returns what QEMU reports of the disk's node: an empty object if VM has none, or NULL with ERROR
 * set. The caller frees it. */
json_t *godwit_storage_query(struct godwit_vm *vm, GError **error);

/* Fails with MIGRATION unless the disk of VM is active or not, as WANTED, if its QEMU reports that.
 * WHEN completes "the disk is active ...". */
bool godwit_storage_expect_active(struct godwit_vm *vm, bool wanted, const char *when,
                                  GError **error);

/* Fails with MIGRATION unless VM, which has handed its disk over, refuses `cont` with a reason, and
 * stays in run state STATUS. */
bool godwit_storage_refuse_cont(struct godwit_vm *vm, const char *status, GError **error);

/* Ends a scenario whose guest has run on the destination: that writes on, and the source does not
 * get the disk back as long as the destination has it. Judges the disk, and ends both. */
bool godwit_storage_end(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_storage *storage, const char *file, GError **error);

#endif
