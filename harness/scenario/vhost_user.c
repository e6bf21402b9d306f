/*
 * A disk by vhost-user-blk: another process, a qemu-storage-daemon, serves the guest's requests in
 * the guest's memory, which it has mapped. What it writes there during a migration must be sent
 * again, although QEMU does not see it: the daemon logs it. Each side has a connection of its own
 * to the daemon, which has one image.
 *
 * Godwit's guest has no driver. The hand makes the requests. What is read from the disk goes to
 * pages that nothing else writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/mirror.h"
#include "course/storage.h"
#include "course/virtio.h"
#include "scenario/scenario.h"

#include "base/json.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* The number of the device in the specification, and its requests. */
#define VIRTIO_BLK 2u
enum { READ, WRITE };

#define TYPE   "vhost-user-blk"
#define IMAGE  "vhost.img"
#define WHAT   "a machine with " TYPE
#define SECTOR 512u
/* So many sectors are read at a time: all that are written to. */
#define SECTORS 24u
#define SIZE    (1u << 20)

/* From the end of the window: the queue, and where the sectors and the status of a read go. */
#define QUEUE 0
#define DATA  (UINT64_C(16) << 10)

struct godwit_scenario_state {
    struct godwit_virtio device;
    struct godwit_virtqueue queue;
    struct godwit_vm *daemon;
    unsigned char model[SECTORS * SECTOR];
    unsigned writes;
};

/* What a request begins with. */
struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

static struct header header_of(uint32_t type, uint64_t sector)
{
    return (struct header){GUINT32_TO_LE(type), 0, GUINT64_TO_LE(sector)};
}

/* Fails with MIGRATION unless the device of VM reports that a request was served. */
static bool expect_done(const struct godwit_vm *vm, const char *request, unsigned status,
                        GError **error)
{
    return !status || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                  "%s: " TYPE " answers a %s with status %u, expected 0", vm->name,
                                  request, status);
}

/* Makes VM write COUNT sectors, one after the other. Each write has other bytes. */
static bool write_sectors(struct godwit_vm *vm, unsigned count, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    struct {
        struct header header;
        unsigned char data[SECTOR];
    } request;
    state->device.vm = vm;
    for (unsigned i = 0; i < count; i++) {
        const unsigned sector = state->writes++ % SECTORS;
        unsigned char status = 0xff;
        request.header = header_of(WRITE, sector);
        for (unsigned byte = 0; byte < SECTOR; byte++)
            request.data[byte] = (unsigned char)(1 + state->writes * 7 + byte * 13);
        if (!godwit_virtio_request(&state->device, &state->queue, &request, sizeof(request),
                                   &status, sizeof(status), error) ||
            !expect_done(vm, "write", status, error))
            return false;
        memcpy(state->model + (size_t)sector * SECTOR, request.data, SECTOR);
    }
    return true;
}

/* Fails with ORACLE unless the memory of VM has what was last read from the disk. */
static bool judge_read(struct godwit_vm *vm, const char *when, GError **error)
{
    const struct godwit_scenario_state *state = vm->testbed->state;
    const uint64_t address = vm->testbed->setup->workload.window_end + DATA;
    unsigned char data[SECTORS * SECTOR + 1];
    if (!godwit_memory_read(vm, address, data, sizeof(data), error) ||
        !expect_done(vm, "read", data[SECTORS * SECTOR], error))
        return false;
    for (size_t i = 0; i < SECTORS * SECTOR; i++)
        if (data[i] != state->model[i])
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: 0x%02x at 0x%" PRIx64 ", expected 0x%02x, which " TYPE
                               " has read there %s",
                               vm->name, data[i], address + i, state->model[i], when);
    return true;
}

/* Makes VM read all sectors that are written to. */
static bool read_sectors(struct godwit_vm *vm, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    const struct header header = header_of(READ, 0);
    state->device.vm = vm;
    return godwit_virtio_request_into(&state->device, &state->queue, &header, sizeof(header),
                                      vm->testbed->setup->workload.window_end + DATA,
                                      SECTORS * SECTOR + 1, error) &&
           judge_read(vm, "just now", error);
}

/* Brings the source's device to work, whose guest runs, and writes. A spec's hook `configure`. */
static bool begin(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    uint64_t features = GODWIT_VIRTIO_VERSION_1;
    (void)destination;
    return godwit_virtio_find(&state->device, source, "virtio-blk", VIRTIO_BLK, error) &&
           godwit_virtio_begin(&state->device, &features, error) &&
           godwit_virtio_queue(&state->device, &state->queue, 0,
                               source->testbed->setup->workload.window_end + QUEUE, error) &&
           godwit_virtio_start(&state->device, error) && write_sectors(source, SECTORS, error) &&
           read_sectors(source, error);
}

/* Writes other contents, and reads them into pages that have been sent. A spec's hook `live`. */
static bool change(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    guint iteration = 1;
    (void)destination;
    return godwit_migrate_next_iteration(source, &iteration, error) &&
           write_sectors(source, SECTORS / 2, error) && read_sectors(source, error);
}

/* A spec's hook `judge`. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    return judge_read(destination, "during the migration", error);
}

/* Fails with ORACLE unless the image has what was written, and zeros behind that. */
static bool judge_image(struct godwit_testbed *testbed, GError **error)
{
    const struct godwit_scenario_state *state = testbed->state;
    g_autofree char *path = g_build_filename(testbed->directory, IMAGE, NULL);
    g_autofree char *text = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &text, &length, NULL) || length != SIZE)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s has %" G_GSIZE_FORMAT " bytes, expected %u", IMAGE, length, SIZE);
    for (gsize i = 0; i < length; i++) {
        const unsigned char wanted = i < sizeof(state->model) ? state->model[i] : 0;
        if ((unsigned char)text[i] != wanted)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s has 0x%02x at byte %" G_GSIZE_FORMAT ", expected 0x%02x", IMAGE,
                               (unsigned char)text[i], i, wanted);
    }
    return true;
}

/* Makes the daemon serve the disk at the socket NAME.vhost, for the side of that name. */
static bool serve(struct godwit_vm *daemon, const char *name, GError **error)
{
    g_autofree char *path = g_strconcat(name, ".vhost", NULL);
    g_autoptr(GError) cause = NULL;
    if (godwit_vm_command(daemon, "block-export-add",
                          json_pack("{s:s, s:s, s:s, s:b, s:{s:s, s:s}}", "type", TYPE, "id", name,
                                    "node-name", GODWIT_STORAGE_NODE, "writable", 1, "addr", "type",
                                    "unix", "path", path),
                          &cause))
        return true;
    if (cause->code == GODWIT_ERROR_QMP && strstr(cause->message, "does not accept value"))
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a qemu-storage-daemon that exports " TYPE ": %s", cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Appends the arguments of the side NAME. */
static void add_arguments(GPtrArray *words, const struct godwit_testbed *testbed, const char *name)
{
    g_ptr_array_add(words, g_strdup("-object"));
    g_ptr_array_add(words, g_strdup_printf("memory-backend-memfd,id=shared,size=%uM,share=on",
                                           testbed->setup->memory_mib));
    g_ptr_array_add(words, g_strdup("-machine"));
    g_ptr_array_add(words, g_strdup("memory-backend=shared"));
    g_ptr_array_add(words, g_strdup("-chardev"));
    g_ptr_array_add(words, g_strdup_printf("socket,id=vhost,path=%s.vhost", name));
    g_ptr_array_add(words, g_strdup("-device"));
    g_ptr_array_add(words, g_strdup(TYPE "-pci,disable-legacy=on,num-queues=1,chardev=vhost"));
    g_ptr_array_add(words, NULL);
}

/* Reads what there is on the destination, writes on, and reads that. */
static bool go_on(struct godwit_vm *destination, GError **error)
{
    return godwit_vm_run(destination, error) && read_sectors(destination, error) &&
           write_sectors(destination, SECTORS, error) && read_sectors(destination, error) &&
           godwit_course_stop(destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    g_autoptr(GPtrArray) here = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) there = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_build_filename(testbed->directory, IMAGE, NULL);
    g_autofree char *zeros = g_malloc0(SIZE);
    g_autoptr(GError) cause = NULL;
    struct godwit_vm *source, *destination;
    if (!g_file_set_contents(path, zeros, SIZE, &cause))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s", cause->message);
    state->daemon = godwit_mirror_daemon(testbed, "raw", IMAGE, true, error);
    if (!state->daemon || !serve(state->daemon, "source", error) ||
        !serve(state->daemon, "destination", error))
        return false;
    add_arguments(here, testbed, "source");
    add_arguments(there, testbed, "destination");
    testbed->hand = true;
    testbed->oob = godwit_spec_is_postcopy(&scenario->spec);
    return godwit_course_try_both(testbed, WHAT, (const char *const *)here->pdata,
                                  (const char *const *)there->pdata, GODWIT_VM_DESTINATION_PAUSED,
                                  &source, &destination, error) &&
           godwit_course_migrates(source, "machine", error) &&
           godwit_course_leg(testbed, &scenario->spec, source, destination, error) &&
           (testbed->lost || go_on(destination, error)) &&
           godwit_course_end(source, destination, error) && godwit_vm_quit(state->daemon, error) &&
           judge_image(testbed, error);
}

#define ROW(name_, text, ...)                                                                      \
    {                                                                                              \
        .name = "disk/vhost-user/" name_, .summary = text, .run = run, .slow = true,               \
        .needs = "object:memory-backend-memfd",                                                    \
        .spec = {.configure = begin, .live = change, .judge = judge, __VA_ARGS__},                 \
        .state = sizeof(struct godwit_scenario_state),                                             \
    }

GODWIT_SCENARIOS(vhost_user) = {
    ROW("plain", "live, with a disk by vhost-user-blk, whose daemon writes to the guest's memory",
        .move = GODWIT_MOVE_LIVE),
    ROW("postcopy", "postcopy, with a disk by vhost-user-blk, which works again afterwards",
        .move = GODWIT_MOVE_POSTCOPY_PAUSED),
};
GODWIT_SCENARIOS_END(vhost_user);
