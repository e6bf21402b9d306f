/*
 * Block commands on a disk that was handed over. After a migration the source's nodes are inactive,
 * because the destination has the disk. Each command that would write to it must be refused, or its
 * job must fail; no command may end QEMU, or change what is on the disk.
 *
 * Each command meets a source of its own, so that none depends on what another has left behind. The
 * destination's guest runs meanwhile, and writes to the disk before and after it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "course/disk.h"
#include "course/storage.h"
#include "scenario/scenario.h"

#include <string.h>

#define IMAGE "disk.img"
/* A node of the source's own, and one that a command makes. */
#define OTHER   "other"
#define OVERLAY "overlay"

/* A command, and what must come of it. */
struct request {
    const char *command;
    const char *arguments; /* JSON; DISK stands for the disk's node */
    bool job;              /* it starts a job */
    bool writes;           /* to the disk: it must be refused, or fail */
};

#define DISK "\"" GODWIT_STORAGE_NODE "\""

struct godwit_scenario_state {
    struct godwit_storage storage;
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
}

static bool write_some(struct godwit_vm *vm, GError **error)
{
    return godwit_storage_write(vm, &vm->testbed->state->storage, GODWIT_STORAGE_SOME, error);
}

static bool write_on_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return write_some(source, error);
}

/* Gives the source what some of the commands name beside the disk, while all its nodes are
 * active. */
static bool prepare(struct godwit_vm *source, GError **error)
{
    return godwit_vm_command(source, "blockdev-add",
                             json_pack("{s:s, s:s, s:i}", "driver", "null-co", "node-name", OTHER,
                                       "size", (int)GODWIT_STORAGE_SIZE),
                             error) &&
           godwit_vm_command(
               source, "nbd-server-start",
               json_pack("{s:{s:s, s:{s:s}}}", "addr", "type", "unix", "data", "path", "nbd.sock"),
               error);
}

/* Makes the request. Sets *REFUSAL, which the caller frees, to why it was refused or its job
 * failed, or to NULL. Fails if QEMU ends. */
static bool make_request(struct godwit_vm *source, const struct request *request, char **refusal,
                         GError **error)
{
    json_t *arguments = json_loads(request->arguments, 0, NULL);
    g_assert(arguments);
    if (request->job)
        return godwit_disk_job(source, request->command, arguments, refusal, error);
    g_autoptr(GError) cause = NULL;
    *refusal = NULL;
    if (godwit_vm_command(source, request->command, arguments, &cause))
        return true;
    if (cause->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    *refusal = g_strdup(cause->message);
    return true;
}

/* Makes the request and judges the answer. Sets *LOST if a known bug has ended the source. */
static bool judge_request(struct godwit_vm *source, const struct request *request, bool *lost,
                          GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *refusal = NULL;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_REFUSE);
    if (!make_request(source, request, &refusal, &cause)) {
        *lost = source->exited &&
                godwit_bug_explain(&(const struct godwit_symptom){
                    .kind = GODWIT_SYMPTOM_INACTIVE, .source = source, .text = request->command});
        source->may_exit = *lost;
        if (!*lost)
            g_propagate_error(error, g_steal_pointer(&cause));
        return *lost;
    }
    godwit_testbed_measure(source->testbed, "refusal",
                           refusal ? json_string(refusal) : json_null());
    if (request->writes && !refusal)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s with %s, although another QEMU has its disk",
                           source->name, request->command, request->arguments);
    return godwit_course_expect_status(source, "postmigrate", "after the command", error) &&
           godwit_storage_expect_active(source, false, "after the command", error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_storage *storage = &testbed->state->storage;
    struct godwit_vm *source, *destination;
    bool lost = false;
    if (!godwit_storage_start(testbed, storage, "qcow2", IMAGE, GODWIT_VM_DESTINATION_PAUSED,
                              &source, &destination, error) ||
        !prepare(source, error) ||
        !godwit_course_leg(testbed, &scenario->spec, source, destination, error))
        return false;
    /* A known bug has left the guest without its last writes, and so without a reason to run. */
    if (testbed->lost)
        return godwit_course_end(source, destination, error);
    if (!write_some(destination, error) || !judge_request(source, scenario->data, &lost, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY_AGAIN);
    return write_some(destination, error) &&
           godwit_storage_judge(destination, storage, IMAGE, error) &&
           godwit_course_end(destination, lost ? NULL : source, error);
}

#define ROW(NAME, COMMAND, SUMMARY, ARGUMENTS, ...)                                                \
    {                                                                                              \
        .name = "disk/inactive/" NAME, .summary = SUMMARY, .run = run,                             \
        .state = sizeof(struct godwit_scenario_state), .clear = clear, .random = true,             \
        .slow = true,                                                                              \
        .needs = "command:" COMMAND " command:blockdev-create command:query-named-block-nodes",    \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .configure = write_on_source},                \
        .data = &(const struct request){.command = COMMAND, .arguments = ARGUMENTS, __VA_ARGS__},  \
    }

GODWIT_SCENARIOS(inactive) = {
    ROW("resize", "block_resize", "block_resize of a disk that was handed over: refused",
        "{\"node-name\": " DISK ", \"size\": 2097152}", .writes = true),
    ROW("activate", "blockdev-set-active", "the source takes the disk back by command: refused",
        "{\"node-name\": " DISK ", \"active\": true}", .writes = true),
    ROW("export", "block-export-add", "the disk is exported for writing by NBD: refused",
        "{\"type\": \"nbd\", \"id\": \"export\", \"node-name\": " DISK ", \"writable\": true}",
        .writes = true),
    ROW("mirror-to", "blockdev-mirror", "another node is mirrored to the disk: refused",
        "{\"device\": \"" OTHER "\", \"target\": " DISK ", \"sync\": \"full\"}", .job = true,
        .writes = true),
    ROW("mirror-from", "blockdev-mirror", "the disk is mirrored: it stays as it is",
        "{\"device\": " DISK ", \"target\": \"" OTHER "\", \"sync\": \"full\"}", .job = true),
    ROW("backup-to", "blockdev-backup", "another node is backed up to the disk: refused",
        "{\"device\": \"" OTHER "\", \"target\": " DISK ", \"sync\": \"full\"}", .job = true,
        .writes = true),
    ROW("backup-from", "blockdev-backup", "the disk is backed up: it stays as it is",
        "{\"device\": " DISK ", \"target\": \"" OTHER "\", \"sync\": \"full\"}", .job = true),
    ROW("stream", "block-stream", "block-stream into the disk: refused", "{\"device\": " DISK "}",
        .job = true, .writes = true),
    ROW("commit", "block-commit", "block-commit of the disk: refused", "{\"device\": " DISK "}",
        .job = true, .writes = true),
    ROW("amend", "x-blockdev-amend", "the format's options are set: the disk stays as it is",
        "{\"node-name\": " DISK ", \"options\": {\"driver\": \"qcow2\"}}", .job = true),
    ROW("change-backing-file", "change-backing-file", "the image gets a backing file: refused",
        "{\"device\": " DISK ", \"image-node-name\": " DISK ", \"backing-file\": \"none\"}",
        .writes = true),
    ROW("snapshot-internal", "blockdev-snapshot-internal-sync",
        "a snapshot is made in the image: refused", "{\"device\": " DISK ", \"name\": \"one\"}",
        .writes = true),
    ROW("snapshot-save", "snapshot-save", "the machine is saved in the image: the job fails",
        "{\"tag\": \"one\", \"vmstate\": " DISK ", \"devices\": [" DISK "]}", .job = true,
        .writes = true),
    ROW("snapshot-load", "snapshot-load", "the machine is loaded from the image: the job fails",
        "{\"tag\": \"one\", \"vmstate\": " DISK ", \"devices\": [" DISK "]}", .job = true,
        .writes = true),
    ROW("snapshot-delete", "snapshot-delete", "a snapshot in the image is deleted: the job fails",
        "{\"tag\": \"one\", \"devices\": [" DISK "]}", .job = true),
    ROW("snapshot-sync", "blockdev-snapshot-sync", "an overlay over the disk: it stays as it is",
        "{\"node-name\": " DISK ", \"snapshot-file\": \"overlay.qcow2\", "
        "\"snapshot-node-name\": \"" OVERLAY "\"}"),
    ROW("bitmap", "block-dirty-bitmap-add", "the disk gets a bitmap: it stays as it is",
        "{\"node\": " DISK ", \"name\": \"one\"}"),
    ROW("bitmap-persistent", "block-dirty-bitmap-add",
        "the disk gets a bitmap that would be stored in the image: it stays as it is",
        "{\"node\": " DISK ", \"name\": \"one\", \"persistent\": true}"),
    ROW("reopen", "blockdev-reopen", "the disk is opened anew: it stays as it is",
        "{\"options\": [{\"driver\": \"qcow2\", \"node-name\": " DISK
        ", \"file\": \"" GODWIT_STORAGE_NODE "-file\"}]}"),
    ROW("delete", "blockdev-del", "the disk's node is deleted: refused, because a device has it",
        "{\"node-name\": " DISK "}", .writes = true),
    ROW("threshold", "block-set-write-threshold",
        "a write threshold is set: the disk stays as it is",
        "{\"node-name\": " DISK ", \"write-threshold\": 1}"),
};
GODWIT_SCENARIOS_END(inactive);
