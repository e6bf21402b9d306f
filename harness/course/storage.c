/*
 * Makes, writes and compares a disk that goes with the guest.
 *
 * Only one QEMU may have the image at a time. QEMU's own lock sees to that: a machine takes it when
 * its disks are activated, and drops it when they are inactivated, at the switchover.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/storage.h"

#include "base/file.h"
#include "course/course.h"
#include "course/disk.h"
#include <inttypes.h>
#include <string.h>

/* Where every machine has the backend of virtio-blk, whatever bus the device is on. */
#define BACKEND "/machine/peripheral/storage/virtio-backend"

/* The longest write, in sectors. */
#define LONGEST 96

void godwit_storage_clear(struct godwit_storage *storage)
{
    g_clear_pointer(&storage->random, g_rand_free);
}

bool godwit_storage_create(struct godwit_testbed *testbed, struct godwit_storage *storage,
                           const char *driver, const char *file, GError **error)
{
    const guint32 words[] = {(guint32)testbed->setup->seed, (guint32)(testbed->setup->seed >> 32)};
    g_autofree char *path = g_build_filename(testbed->directory, file, NULL);
    memset(storage->model, 0, sizeof(storage->model));
    memset(storage->written, 0, sizeof(storage->written));
    storage->driver = driver;
    if (!storage->random)
        storage->random = g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
    if (!strcmp(driver, "raw"))
        return godwit_file_write(path, storage->model, sizeof(storage->model), error);
    /* A QEMU without a machine makes the others, before the machines that have them start. */
    struct godwit_vm *maker = godwit_vm_start_bare(testbed, testbed->setup->source, error);
    return maker && godwit_vm_handshake(maker, error) &&
           godwit_disk_make(maker, file, driver, GODWIT_STORAGE_SIZE, error) &&
           godwit_vm_quit(maker, error);
}

/* Returns the arguments of a machine with the image FILE, through blkdebug with RULES unless they
 * are NULL. */
static char **arguments_with(const struct godwit_storage *storage, const char *file,
                             const char *rules)
{
    static const char node[] = GODWIT_STORAGE_NODE;
    GPtrArray *words = g_ptr_array_new();
    g_ptr_array_add(words, g_strdup("-blockdev"));
    g_ptr_array_add(words, g_strdup_printf("driver=file,filename=%s,node-name=%s-file,"
                                           "cache.no-flush=on",
                                           file, node));
    if (rules) {
        g_ptr_array_add(words, g_strdup("-blockdev"));
        g_ptr_array_add(words,
                        g_strdup_printf("driver=blkdebug,image=%s-file,node-name=%s-debug,%s", node,
                                        node, rules));
    }
    g_ptr_array_add(words, g_strdup("-blockdev"));
    g_ptr_array_add(words, g_strdup_printf("driver=%s,file=%s-%s,node-name=%s", storage->driver,
                                           node, rules ? "debug" : "file", node));
    g_ptr_array_add(words, g_strdup("-device"));
    g_ptr_array_add(words, g_strdup("virtio-blk,drive=" GODWIT_STORAGE_NODE ",id=storage"));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

char **godwit_storage_arguments(const struct godwit_storage *storage, const char *file)
{
    return arguments_with(storage, file, NULL);
}

char **godwit_storage_arguments_failing(const struct godwit_storage *storage, const char *file)
{
    /* State 1 lasts until the first write: until then, QEMU and firmware may read. In state 3 the
     * disk works, in state 4 it fails, and each read leads from one to the other. The rule for
     * discards, which nobody makes, replaces the one for flushes. */
    return arguments_with(
        storage, file,
        "set-state.0.event=pwritev,set-state.0.state=1,set-state.0.new_state=3,"
        "set-state.1.event=pwritev_zero,set-state.1.state=1,set-state.1.new_state=3,"
        "set-state.2.event=read_aio,set-state.2.state=3,set-state.2.new_state=4,"
        "set-state.3.event=read_aio,set-state.3.state=4,set-state.3.new_state=3,"
        "inject-error.0.event=read_aio,inject-error.0.state=3,inject-error.0.iotype=flush,"
        "inject-error.0.errno=5,"
        "inject-error.1.event=read_aio,inject-error.1.state=4,inject-error.1.iotype=discard");
}

bool godwit_storage_start(struct godwit_testbed *testbed, struct godwit_storage *storage,
                          const char *driver, const char *file, enum godwit_vm_role role,
                          struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!godwit_storage_create(testbed, storage, driver, file, error))
        return false;
    g_auto(GStrv) arguments = godwit_storage_arguments(storage, file);
    const char *const *words = (const char *const *)arguments;
    return godwit_course_try_both(testbed, "a machine with virtio-blk", words, words, role, source,
                                  destination, error);
}

/* Makes the device of VM do IO, a command of qemu-io. */
static bool make_io(struct godwit_vm *vm, const char *io, GError **error)
{
    g_autofree char *line = g_strdup_printf("qemu-io -d " BACKEND " \"%s\"", io);
    g_autofree char *answer = godwit_vm_monitor(vm, line, error);
    return answer &&
           (!*answer || godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s's %s failed: %s",
                                    vm->name, line, g_strstrip(answer)));
}

bool godwit_storage_turn(struct godwit_vm *vm, GError **error)
{
    return make_io(vm, "read 0 512", error);
}

bool godwit_storage_write(struct godwit_vm *vm, struct godwit_storage *storage, unsigned count,
                          GError **error)
{
    for (unsigned i = 0; i < count; i++) {
        const int first = g_rand_int_range(storage->random, 0, (int)GODWIT_STORAGE_SECTORS);
        const int most = MIN(LONGEST, (int)GODWIT_STORAGE_SECTORS - first);
        const int sectors = g_rand_int_range(storage->random, 1, most + 1);
        const int value = g_rand_int_range(storage->random, 1, 255);
        const bool zero = g_rand_int_range(storage->random, 0, 8) == 0;
        const size_t at = (size_t)first * GODWIT_STORAGE_SECTOR;
        const size_t length = (size_t)sectors * GODWIT_STORAGE_SECTOR;
        g_autofree char *pattern = zero ? g_strdup("-z") : g_strdup_printf("-P %d", value);
        g_autofree char *io = g_strdup_printf("write %s %zu %zu", pattern, at, length);
        if (!make_io(vm, io, error))
            return false;
        memset(storage->model + at, zero ? 0 : value, length);
        memset(storage->written + first, true, (size_t)sectors);
        storage->writes++;
    }
    godwit_testbed_measure(vm->testbed, "disk_writes", json_integer(storage->writes));
    return true;
}

bool godwit_storage_judge(struct godwit_vm *vm, const struct godwit_storage *storage,
                          const char *file, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
    gsize length = 0;
    g_autofree unsigned char *bytes =
        (unsigned char *)(strcmp(storage->driver, "raw") != 0
                              ? godwit_disk_read(vm, GODWIT_STORAGE_NODE, GODWIT_STORAGE_SIZE,
                                                 &length, error)
                              : godwit_file_read(path, 2 * GODWIT_STORAGE_SIZE, &length, error));
    if (!bytes)
        return false;
    if (length != GODWIT_STORAGE_SIZE)
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: disk %s has %zu bytes instead of %u",
                           vm->name, file, length, GODWIT_STORAGE_SIZE);
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != storage->model[i])
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: disk %s has 0x%02x at 0x%zx, where 0x%02x was written last "
                               "(%u writes)",
                               vm->name, file, bytes[i], i, storage->model[i], storage->writes);
    return true;
}

json_t *godwit_storage_query(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) nodes = godwit_vm_execute(vm, "query-named-block-nodes", NULL, error);
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        if (!strcmp(godwit_json_string(node, "node-name", ""), GODWIT_STORAGE_NODE))
            return json_incref(node);
    }
    return nodes ? json_object() : NULL;
}

bool godwit_storage_expect_active(struct godwit_vm *vm, bool wanted, const char *when,
                                  GError **error)
{
    g_autoptr(json_t) node = godwit_storage_query(vm, error);
    const json_t *reported = json_object_get(node, "active");
    const bool active = json_is_true(reported);
    return node && (!json_is_boolean(reported) || active == wanted ||
                    godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s's disk is %sactive %s",
                                vm->name, active ? "" : "in", when));
}

bool godwit_storage_refuse_cont(struct godwit_vm *vm, const char *status, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, "cont", NULL, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted cont, although another QEMU has its disk", vm->name);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    godwit_testbed_measure_item(vm->testbed, "refusals", json_string(refusal->message));
    return godwit_course_expect_status(vm, status, "after cont was refused", error);
}

bool godwit_storage_end(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_storage *storage, const char *file, GError **error)
{
    /* A known bug has left the guest without its last writes, and so without a reason to run. */
    if (source->testbed->lost)
        return godwit_course_end(source, destination, error);
    return godwit_storage_expect_active(destination, true, "after its guest has run", error) &&
           godwit_storage_write(destination, storage, GODWIT_STORAGE_SOME, error) &&
           godwit_storage_refuse_cont(source, "postmigrate", error) &&
           godwit_storage_write(destination, storage, GODWIT_STORAGE_SOME, error) &&
           godwit_storage_judge(destination, storage, file, error) &&
           godwit_course_end(source, destination, error);
}
