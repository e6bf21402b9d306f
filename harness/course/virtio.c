/*
 * A driver for virtio devices on PCI that runs outside.
 *
 * The addresses of the registers are those of the regions in the machine's flat view, so that no
 * BAR and no host bridge has to be understood. All values go as bytes: they are little-endian on
 * each target.
 *
 * The guest's driver would sleep until an interrupt. This one lets the device send none, since no
 * guest would take it, and looks at the queue. A device whose VM is stopped answers while it is
 * notified, so that there is nothing to wait for in most cases.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/virtio.h"

#include "oracle/hardware.h"
#include "qemu/pci.h"
#include <string.h>

/* Configuration space. */
#define VENDOR           0x1af4
#define COMMAND          0x04
#define COMMAND_ON       0x406 /* memory, DMA, no INTx */
#define CAPABILITY_OWN   0x09  /* the vendor's: virtio's */
#define CAPABILITY_TYPE  3     /* offsets in such a capability */
#define CAPABILITY_STEP  16
#define CAPABILITY_LEAST 20
#define TYPE_NOTIFY      2

/* Offsets of the registers that all devices have. */
enum {
    FEATURES_SELECT = 0,
    FEATURES = 4,
    ACCEPTED_SELECT = 8,
    ACCEPTED = 12,
    STATUS = 20,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY = 30,
    QUEUE_DESCRIPTORS = 32,
    QUEUE_AVAILABLE = 40,
    QUEUE_USED = 48,
};

/* What the driver has done, in STATUS. */
enum { ACKNOWLEDGED = 1, HAS_DRIVER = 2, WORKS = 4, FEATURES_GOOD = 8 };

/* A queue: SIZE descriptors, and where the rings and the buffers are in its memory. */
#define SIZE      8u
#define AVAILABLE 256u
#define USED      512u
#define REQUEST   1024u
#define ANSWER    2048u
#define NEXT      1u /* flags of a descriptor: another one follows ... */
#define WRITABLE  2u /* ... the device writes */
#define SILENT    1u /* flag of the available ring: no interrupts */

static bool put(const struct godwit_virtio *virtio, unsigned offset, unsigned size, uint64_t value,
                GError **error)
{
    const uint64_t little = GUINT64_TO_LE(value);
    return godwit_qtest_write_bytes(virtio->vm->qtest, virtio->common + offset, &little, size,
                                    error);
}

static bool get(const struct godwit_vm *vm, uint64_t address, unsigned size, uint64_t *value,
                GError **error)
{
    uint64_t little = 0;
    if (!godwit_qtest_read_bytes(vm->qtest, address, &little, size, error))
        return false;
    *value = GUINT64_FROM_LE(little);
    return true;
}

bool godwit_virtio_own(const struct godwit_virtio *virtio, unsigned offset, unsigned size,
                       uint64_t *value, GError **error)
{
    return get(virtio->vm, virtio->own + offset, size, value, error);
}

bool godwit_virtio_set_own(const struct godwit_virtio *virtio, unsigned offset, unsigned size,
                           uint64_t value, GError **error)
{
    const uint64_t little = GUINT64_TO_LE(value);
    return godwit_qtest_write_bytes(virtio->vm->qtest, virtio->own + offset, &little, size, error);
}

/* Finds the region "virtio-pci-PART-TYPE", and sets its ADDRESS. */
static bool find_region(const struct godwit_mtree *mtree, const char *part, const char *type,
                        uint64_t *address, GError **error)
{
    g_autofree char *name = g_strdup_printf("virtio-pci-%s-%s", part, type);
    const struct godwit_range *range = godwit_view_find(godwit_mtree_view(mtree, "memory"), name);
    if (!range)
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs registers of %s that can be reached from outside: no address "
                           "leads to %s",
                           type, name);
    *address = range->start;
    return true;
}

/* Sets the distance of the queues' registers, from the list of CAPABILITIES of configuration space
 * in BYTES. Returns false if it has none. */
static bool find_step(struct godwit_virtio *virtio, const unsigned char *bytes, size_t length)
{
    size_t at;
    for (unsigned i = 0; (at = godwit_pci_capability(bytes, length, CAPABILITY_OWN, i)); i++) {
        if (at + CAPABILITY_LEAST > length || bytes[at + CAPABILITY_TYPE] != TYPE_NOTIFY)
            continue;
        uint32_t little;
        memcpy(&little, bytes + at + CAPABILITY_STEP, sizeof(little));
        virtio->notify_step = GUINT32_FROM_LE(little);
        return true;
    }
    return false;
}

/* Finds the function of the device ID in configuration space, and lets it access memory. */
static bool enable(struct godwit_virtio *virtio, const struct godwit_mtree *mtree, const char *type,
                   unsigned id, GError **error)
{
    struct godwit_vm *vm = virtio->vm;
    unsigned char bytes[256];
    struct godwit_pci *pci = godwit_pci_new(vm->qtest, mtree, error);
    struct godwit_qtree *qtree = pci ? godwit_vm_pci(vm, error) : NULL;
    const struct godwit_pci_function *function =
        qtree ? godwit_qtree_find(qtree, VENDOR, GODWIT_VIRTIO_PCI_DEVICE(id)) : NULL;
    bool good = qtree != NULL;
    if (good && !function)
        good =
            godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: query-pci lists no %s", vm->name, type);
    if (good) {
        const unsigned place = function->slot * 8u + function->function;
        struct godwit_pci_access on = {.bus = function->bus,
                                       .place = (uint8_t)place,
                                       .offset = COMMAND,
                                       .size = 2,
                                       .write = true,
                                       .value = COMMAND_ON};
        good = godwit_pci_run(pci, &on, 1, error) &&
               godwit_pci_config(pci, function->bus, place, 4, bytes, sizeof(bytes), error) &&
               (find_step(virtio, bytes, sizeof(bytes)) ||
                godwit_fail(error, GODWIT_ERROR_MIGRATION,
                            "%s: the configuration space of %s does not say where its queues are "
                            "notified",
                            vm->name, type));
    }
    godwit_qtree_free(qtree);
    godwit_pci_free(pci);
    return good;
}

bool godwit_virtio_find(struct godwit_virtio *virtio, struct godwit_vm *vm, const char *type,
                        unsigned id, GError **error)
{
    *virtio = (struct godwit_virtio){.vm = vm};
    if (!godwit_hardware_assign(vm, error))
        return false;
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    const bool good = mtree && enable(virtio, mtree, type, id, error) &&
                      find_region(mtree, "common", type, &virtio->common, error) &&
                      find_region(mtree, "device", type, &virtio->own, error) &&
                      find_region(mtree, "notify", type, &virtio->notify, error);
    godwit_mtree_free(mtree);
    return good;
}

/* Fails with MIGRATION unless the device agrees that its status is WANTED. */
static bool expect_status(const struct godwit_virtio *virtio, uint64_t wanted, GError **error)
{
    uint64_t status;
    return put(virtio, STATUS, 1, wanted, error) &&
           get(virtio->vm, virtio->common + STATUS, 1, &status, error) &&
           (status == wanted || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                            "%s: the virtio device's status is 0x%02x, expected "
                                            "0x%02x",
                                            virtio->vm->name, (unsigned)status, (unsigned)wanted));
}

bool godwit_virtio_begin(const struct godwit_virtio *virtio, uint64_t *features, GError **error)
{
    uint64_t low, high;
    if (!expect_status(virtio, 0, error) || !expect_status(virtio, ACKNOWLEDGED, error) ||
        !expect_status(virtio, ACKNOWLEDGED | HAS_DRIVER, error) ||
        !put(virtio, FEATURES_SELECT, 4, 0, error) ||
        !get(virtio->vm, virtio->common + FEATURES, 4, &low, error) ||
        !put(virtio, FEATURES_SELECT, 4, 1, error) ||
        !get(virtio->vm, virtio->common + FEATURES, 4, &high, error))
        return false;
    *features &= high << 32 | low;
    return put(virtio, ACCEPTED_SELECT, 4, 0, error) &&
           put(virtio, ACCEPTED, 4, *features & UINT32_MAX, error) &&
           put(virtio, ACCEPTED_SELECT, 4, 1, error) &&
           put(virtio, ACCEPTED, 4, *features >> 32, error) &&
           expect_status(virtio, ACKNOWLEDGED | HAS_DRIVER | FEATURES_GOOD, error);
}

bool godwit_virtio_queue(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                         uint16_t number, uint64_t memory, GError **error)
{
    static const unsigned char zero[GODWIT_VIRTQUEUE_MEMORY];
    *queue = (struct godwit_virtqueue){.number = number, .memory = memory};
    return godwit_qtest_write_bytes(virtio->vm->qtest, memory, zero, sizeof(zero), error) &&
           put(virtio, QUEUE_SELECT, 2, number, error) && put(virtio, QUEUE_SIZE, 2, SIZE, error) &&
           put(virtio, QUEUE_DESCRIPTORS, 4, memory & UINT32_MAX, error) &&
           put(virtio, QUEUE_DESCRIPTORS + 4, 4, memory >> 32, error) &&
           put(virtio, QUEUE_AVAILABLE, 4, (memory + AVAILABLE) & UINT32_MAX, error) &&
           put(virtio, QUEUE_AVAILABLE + 4, 4, (memory + AVAILABLE) >> 32, error) &&
           put(virtio, QUEUE_USED, 4, (memory + USED) & UINT32_MAX, error) &&
           put(virtio, QUEUE_USED + 4, 4, (memory + USED) >> 32, error) &&
           put(virtio, QUEUE_ENABLE, 2, 1, error);
}

bool godwit_virtio_start(const struct godwit_virtio *virtio, GError **error)
{
    return expect_status(virtio, ACKNOWLEDGED | HAS_DRIVER | FEATURES_GOOD | WORKS, error);
}

/* Writes descriptor INDEX. */
static bool describe(const struct godwit_virtio *virtio, const struct godwit_virtqueue *queue,
                     unsigned index, uint64_t address, size_t length, unsigned flags,
                     GError **error)
{
    const struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } descriptor = {GUINT64_TO_LE(address), GUINT32_TO_LE((uint32_t)length),
                    GUINT16_TO_LE((uint16_t)flags), GUINT16_TO_LE((uint16_t)(index + 1))};
    return godwit_qtest_write_bytes(virtio->vm->qtest, queue->memory + sizeof(descriptor) * index,
                                    &descriptor, sizeof(descriptor), error);
}

/* Makes the request available, whose first descriptor is 0, and notifies the device. */
static bool submit(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                   GError **error)
{
    struct godwit_qtest *qtest = virtio->vm->qtest;
    const uint16_t slot = 0, number = GUINT16_TO_LE(queue->number);
    const uint16_t head[] = {GUINT16_TO_LE(SILENT), GUINT16_TO_LE((uint16_t)(queue->made + 1))};
    uint64_t place;
    if (!godwit_qtest_write_bytes(
            qtest, queue->memory + AVAILABLE + sizeof(head) + 2 * (queue->made % SIZE), &slot,
            sizeof(slot), error) ||
        !godwit_qtest_write_bytes(qtest, queue->memory + AVAILABLE, head, sizeof(head), error) ||
        !put(virtio, QUEUE_SELECT, 2, queue->number, error) ||
        !get(virtio->vm, virtio->common + QUEUE_NOTIFY, 2, &place, error))
        return false;
    queue->made++;
    return godwit_qtest_write_bytes(qtest, virtio->notify + place * virtio->notify_step, &number,
                                    sizeof(number), error);
}

/* Waits until the device has used as many requests as were made. */
static bool await_use(const struct godwit_virtio *virtio, const struct godwit_virtqueue *queue,
                      GError **error)
{
    uint64_t used;
    while (get(virtio->vm, queue->memory + USED + 2, 2, &used, error)) {
        if (used == queue->made)
            return true;
        if (!godwit_testbed_rest(virtio->vm->testbed, GODWIT_REST_MS, "the virtio device's answer",
                                 error))
            return false;
    }
    return false;
}

bool godwit_virtio_request_into(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                                const void *request, size_t length, uint64_t address, size_t room,
                                GError **error)
{
    g_assert(length <= GODWIT_VIRTQUEUE_BUFFER);
    return godwit_qtest_write_bytes(virtio->vm->qtest, queue->memory + REQUEST, request, length,
                                    error) &&
           describe(virtio, queue, 0, queue->memory + REQUEST, length, room ? NEXT : 0, error) &&
           describe(virtio, queue, 1, address, room, WRITABLE, error) &&
           submit(virtio, queue, error) && await_use(virtio, queue, error);
}

bool godwit_virtio_request(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                           const void *request, size_t length, void *answer, size_t room,
                           GError **error)
{
    const uint64_t there = queue->memory + ANSWER;
    g_assert(room <= GODWIT_VIRTQUEUE_BUFFER);
    return godwit_virtio_request_into(virtio, queue, request, length, there, room, error) &&
           (!room || godwit_qtest_read_bytes(virtio->vm->qtest, there, answer, room, error));
}

bool godwit_virtio_offer(const struct godwit_virtio *virtio, struct godwit_virtqueue *queue,
                         uint64_t address, size_t length, GError **error)
{
    return describe(virtio, queue, 0, address, length, WRITABLE, error) &&
           submit(virtio, queue, error) && await_use(virtio, queue, error);
}
