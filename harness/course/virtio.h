/*
 * A driver for virtio devices on PCI that runs outside: the hand writes to the registers and to the
 * queue's memory what a guest's driver would, so that a device gets into the states in which a
 * working guest has it. Queues are split, and one request is under way at a time.
 *
 * Functions with an ERROR argument set it when they return false: with SKIP if the machine has no
 * way to the device, with MIGRATION if the device does not do what it must, or with what the hand
 * fails with.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_VIRTIO_H
#define GODWIT_HARNESS_COURSE_VIRTIO_H

#include "testbed/vm.h"

/* The PCI numbers of the devices, with the identifier of the virtio specification. */
#define GODWIT_VIRTIO_PCI_DEVICE(id) ((uint16_t)(0x1040u + (id)))

/* The bit of the features that says that the device follows the specification, version 1. */
#define GODWIT_VIRTIO_VERSION_1 (UINT64_C(1) << 32)

/* The memory of a queue and the buffers of its request. */
#define GODWIT_VIRTQUEUE_MEMORY 4096u

/* The most bytes that a request sends, and that an answer has. */
#define GODWIT_VIRTQUEUE_BUFFER 1024u

/* Where the registers of a device are, as guest-physical addresses. */
struct godwit_virtio {
    struct godwit_vm *vm; /* borrowed */
    uint64_t common;      /* what all devices have */
    uint64_t own;         /* the device's own */
    uint64_t notify;      /* of its queues ... */
    uint32_t notify_step; /* ... and from one to the next, times a number that the device gives */
};

struct godwit_virtqueue {
    uint16_t number;
    uint16_t made;   /* requests so far */
    uint64_t memory; /* guest-physical address of GODWIT_VIRTQUEUE_MEMORY bytes */
};

/*
 * Finds the device TYPE ("virtio-mem") of VM, whose identifier is ID and which has no legacy
 * registers. Gives all BARs addresses if nothing has, and lets the device access memory. There must
 * be one such device. VM must have a hand.
 */
bool godwit_virtio_find(struct godwit_virtio *virtio, struct godwit_vm *vm, const char *type,
                        unsigned id, GError **error);

/* Resets the device, and accepts those of its features that are in FEATURES, into which come the
 * ones that it has. The device does not work yet: it wants its queues first. */
bool godwit_virtio_begin(const struct godwit_virtio *virtio, uint64_t *features, GError **error);

/* Gives the device its queue NUMBER, at MEMORY, whose contents are lost. */
bool godwit_virtio_queue(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                         uint16_t number, uint64_t memory, GError **error);

/* Makes the device work. */
bool godwit_virtio_start(const struct godwit_virtio *virtio, GError **error);

/* Sends LENGTH bytes of REQUEST, and waits for ROOM bytes of ANSWER, which may be 0. The queue may
 * have come to the device's VM by a migration. */
bool godwit_virtio_request(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                           const void *request, size_t length, void *answer, size_t room,
                           GError **error);

/* Likewise, but the answer goes to ADDRESS, away from the memory of the queue. */
bool godwit_virtio_request_into(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                                const void *request, size_t length, uint64_t address, size_t room,
                                GError **error);

/* Offers the device LENGTH bytes of memory at ADDRESS to write to, and waits until it has used
 * them. Otherwise like godwit_virtio_request(). */
bool godwit_virtio_offer(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                         uint64_t address, size_t length, GError **error);

/* Reads the little-endian number of SIZE bytes, 2, 4 or 8, at OFFSET of the device's own
 * registers. */
bool godwit_virtio_own(const struct godwit_virtio *virtio, unsigned offset, unsigned size,
                       uint64_t *value, GError **error);

/* Writes such a number, of 2 or 4 bytes. */
bool godwit_virtio_set_own(const struct godwit_virtio *virtio, unsigned offset, unsigned size,
                           uint64_t value, GError **error);

#endif
