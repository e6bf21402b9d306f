/*
 * Makes, writes and reads small qcow2 disks by jobs and commands of QEMU.
 *
 * The content is read by a backup into a raw file: qemu-io, with which it is written, prints what
 * it reads to QEMU's standard output only.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/disk.h"

#include "base/file.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define JOB "godwit"

/* A value that godwit_disk_write() is never given. */
#define NEVER 0xff

struct job_end {
    const GPtrArray *events;
    guint next;
    bool concluded;
};

/* Returns whether the job has concluded, by the events from NEXT on. */
static bool has_concluded(gpointer data)
{
    struct job_end *end = data;
    for (; !end->concluded && end->next < end->events->len; end->next++) {
        const json_t *event = g_ptr_array_index(end->events, end->next);
        const json_t *about = json_object_get(event, "data");
        end->concluded = godwit_qmp_event_is(event, "JOB_STATUS_CHANGE", "concluded") &&
                         !strcmp(godwit_json_string(about, "id", ""), JOB);
    }
    return end->concluded;
}

/* Sets *FAILURE to the reason why the job failed, or to NULL. */
static bool ask_job(struct godwit_vm *vm, const char *command, char **failure, GError **error)
{
    g_autoptr(json_t) jobs = godwit_vm_execute(vm, "query-jobs", NULL, error);
    size_t i;
    json_t *job;
    if (!jobs)
        return false;
    json_array_foreach(jobs, i, job)
    {
        if (strcmp(godwit_json_string(job, "id", ""), JOB) != 0)
            continue;
        *failure = g_strdup(godwit_json_string(job, "error", NULL));
        return true;
    }
    return godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s reported the end of %s, and query-jobs has no such job", vm->name,
                       command);
}

bool godwit_disk_job(struct godwit_vm *vm, const char *command, json_t *arguments, char **failure,
                     GError **error)
{
    g_autoptr(GError) refusal = NULL;
    g_autofree char *what = g_strdup_printf("the end of the %s's job %s", vm->name, command);
    struct job_end end = {vm->qmp->events, vm->qmp->events->len, false};
    *failure = NULL;
    json_object_set_new(arguments, "job-id", json_string(JOB));
    if (!godwit_vm_command(vm, command, arguments, &refusal)) {
        if (refusal->code == GODWIT_ERROR_QMP) {
            *failure = g_strdup(refusal->message);
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    return godwit_testbed_wait(vm->testbed, has_concluded, &end, what, error) &&
           ask_job(vm, command, failure, error) &&
           godwit_vm_command(vm, "job-dismiss", json_pack("{s:s}", "id", JOB), error);
}

/* Runs a job that must succeed. Takes ARGUMENTS. */
static bool job(struct godwit_vm *vm, const char *command, json_t *arguments, GError **error)
{
    g_autofree char *failure = NULL;
    return godwit_disk_job(vm, command, arguments, &failure, error) &&
           (!failure || godwit_fail(error, GODWIT_ERROR_QMP, "the %s's job %s failed: %s", vm->name,
                                    command, failure));
}

static char *file_of(const char *name)
{
    return g_strconcat(name, ".qcow2", NULL);
}

static char *file_node_of(const char *name)
{
    return g_strconcat(name, "-file", NULL);
}

/* Attaches FILE as node NODE, as it is. It need not reach the host's disk: what one QEMU has
 * written to the file, another one reads, and a busy host takes long to flush. */
static bool attach_file(struct godwit_vm *vm, const char *file, const char *node, GError **error)
{
    return godwit_vm_command(vm, "blockdev-add",
                             json_pack("{s:s, s:s, s:s, s:{s:b}}", "driver", "file", "filename",
                                       file, "node-name", node, "cache", "no-flush", 1),
                             error);
}

static bool detach_node(struct godwit_vm *vm, const char *node, GError **error)
{
    return godwit_vm_command(vm, "blockdev-del", json_pack("{s:s}", "node-name", node), error);
}

/* Attaches what is in node FILE as node NAME. */
static bool attach_image(struct godwit_vm *vm, const char *name, const char *file, GError **error)
{
    return godwit_vm_command(
        vm, "blockdev-add",
        json_pack("{s:s, s:s, s:s}", "driver", "qcow2", "file", file, "node-name", name), error);
}

/* Makes FILE an image, and leaves it attached as node NODE. */
static bool make(struct godwit_vm *vm, const char *file, const char *node, const char *driver,
                 uint64_t size, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
    return godwit_file_write(path, "", 0, error) && attach_file(vm, file, node, error) &&
           job(vm, "blockdev-create",
               json_pack("{s:{s:s, s:s, s:I}}", "options", "driver", driver, "file", node, "size",
                         (json_int_t)size),
               error);
}

bool godwit_disk_make(struct godwit_vm *vm, const char *file, const char *driver, uint64_t size,
                      GError **error)
{
    static const char node[] = "new";
    return make(vm, file, node, driver, size, error) && detach_node(vm, node, error);
}

bool godwit_disk_create(struct godwit_vm *vm, const char *name, GError **error)
{
    g_autofree char *file = file_of(name);
    g_autofree char *node = file_node_of(name);
    return make(vm, file, node, "qcow2", GODWIT_DISK_SIZE, error) &&
           attach_image(vm, name, node, error);
}

bool godwit_disk_attach(struct godwit_vm *vm, const char *name, GError **error)
{
    g_autofree char *file = file_of(name);
    g_autofree char *node = file_node_of(name);
    return attach_file(vm, file, node, error) && attach_image(vm, name, node, error);
}

bool godwit_disk_detach(struct godwit_vm *vm, const char *name, GError **error)
{
    g_autofree char *node = file_node_of(name);
    return detach_node(vm, name, error) && detach_node(vm, node, error);
}

char **godwit_disk_arguments(const char *name)
{
    char **arguments = g_new0(char *, 5);
    arguments[0] = g_strdup("-blockdev");
    arguments[1] = g_strdup_printf(
        "driver=file,filename=%s.qcow2,node-name=%s-file,cache.no-flush=on", name, name);
    arguments[2] = g_strdup("-blockdev");
    arguments[3] = g_strdup_printf("driver=qcow2,file=%s-file,node-name=%s", name, name);
    return arguments;
}

/* Fills cluster NUMBER of disk NAME with VALUE. */
static bool fill(struct godwit_vm *vm, const char *name, unsigned number, unsigned char value,
                 GError **error)
{
    g_autofree char *line =
        g_strdup_printf("qemu-io %s \"write -P %u %" PRIu64 " %" PRIu64 "\"", name, value,
                        number * GODWIT_DISK_CLUSTER_SIZE, GODWIT_DISK_CLUSTER_SIZE);
    g_autofree char *answer = godwit_vm_monitor(vm, line, error);
    return answer && (!*answer || godwit_fail(error, GODWIT_ERROR_QMP, "the %s's %s failed: %s",
                                              vm->name, line, g_strstrip(answer)));
}

bool godwit_disk_write(struct godwit_vm *vm, const char *name, unsigned char value,
                       struct godwit_disk *disk, GError **error)
{
    const unsigned own = 1 + value % (GODWIT_DISK_CLUSTERS - 1);
    disk->cluster[0] = disk->cluster[own] = value;
    return fill(vm, name, 0, value, error) && fill(vm, name, own, value, error);
}

/* Compares BYTES, of a whole disk, with DISK. */
static bool compare(const struct godwit_vm *vm, const char *name, const unsigned char *bytes,
                    const struct godwit_disk *disk, GError **error)
{
    for (uint64_t i = 0; i < GODWIT_DISK_SIZE; i++) {
        const unsigned char right = disk->cluster[i / GODWIT_DISK_CLUSTER_SIZE];
        if (bytes[i] != right)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: disk %s has 0x%02x at 0x%" PRIx64
                               ", where 0x%02x was written before the snapshot",
                               vm->name, name, bytes[i], i, right);
    }
    return true;
}

char *godwit_disk_read(struct godwit_vm *vm, const char *name, uint64_t size, gsize *length,
                       GError **error)
{
    static const char node[] = "copy";
    g_autofree char *file = g_strdup_printf("%s-%s.raw", vm->name, name);
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
    /* What the backup leaves out is seen: no byte of a disk has this value. */
    g_autofree char *nothing = g_malloc(size);
    memset(nothing, NEVER, size);
    if (!godwit_file_write(path, nothing, size, error) || !attach_file(vm, file, node, error) ||
        !job(vm, "blockdev-backup",
             json_pack("{s:s, s:s, s:s, s:b}", "device", name, "target", node, "sync", "full",
                       "auto-dismiss", 0),
             error) ||
        !detach_node(vm, node, error))
        return NULL;
    char *bytes = godwit_file_read(path, 2 * size, length, error);
    unlink(path);
    return bytes;
}

bool godwit_disk_judge(struct godwit_vm *vm, const char *name, const struct godwit_disk *disk,
                       GError **error)
{
    gsize length = 0;
    g_autofree char *bytes = godwit_disk_read(vm, name, GODWIT_DISK_SIZE, &length, error);
    if (!bytes)
        return false;
    if (length != GODWIT_DISK_SIZE)
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: disk %s has %zu bytes instead of %zu",
                           vm->name, name, length, (size_t)GODWIT_DISK_SIZE);
    return compare(vm, name, (const unsigned char *)bytes, disk, error);
}
