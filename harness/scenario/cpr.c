/*
 * Checkpoint and restart (CPR): the guest continues in another QEMU on the same host, and its
 * memory stays where it is. QEMU's docs/devel/migration/CPR.rst describes the modes.
 *
 * Both QEMUs use the same memory, so that comparing the two would prove nothing. Godwit copies the
 * source's memory while its guest is stopped, and compares the destination with the copy.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include "memory/memory.h"
#include "oracle/blackout.h"
#include "oracle/continuity.h"
#include "oracle/oracle.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Files and sockets in the testbed's directory. */
#define RAM_FILE    "reboot.ram"
#define STATE_FILE  "file:" GODWIT_MIGRATE_FILE
#define CPR_SOCKET  "cpr.sock"
#define MAIN_SOCKET "unix:transfer.sock"

/* Machine options that put all memory into a file or a memfd, as these modes require. */
#define SHARED_FILE  "memory-backend=shared"
#define SHARED_MEMFD "memory-backend=shared,aux-ram-share=on"

/* How often to check whether a destination listens yet, in milliseconds. */
#define LOOK_AGAIN_MS 2

static const struct godwit_capability ignore_shared[] = {{"x-ignore-shared", true}, {NULL, false}};
static const struct godwit_capability pause_before[] = {{"pause-before-switchover", true},
                                                        {NULL, false}};

static bool set_mode(struct godwit_vm *vm, const char *mode,
                     const struct godwit_capability *capabilities, GError **error)
{
    const struct godwit_parameter parameters[] = {{"mode", 0, mode}, {NULL, 0, NULL}};
    return godwit_migrate_set_capabilities(vm, capabilities, error) &&
           godwit_migrate_set_parameters(vm, parameters, error);
}

/* Returns what backs the block's memory, by the process's memory map: device, inode and offset. The
 * caller frees it. Fails with SKIP if the map cannot be read. */
static char *backing_of(struct godwit_vm *vm, const struct godwit_block *block, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", (int)godwit_vm_pid(vm));
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &text, NULL, &cause)) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs to read QEMU's memory map: %s",
                    cause->message);
        return NULL;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        uint64_t start, end, offset, inode;
        char device[32];
        if (sscanf(lines[i], "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %31s %" SCNu64, &start, &end,
                   &offset, device, &inode) == 5 &&
            block->hva >= start && block->hva < end)
            return g_strdup_printf("device %s inode %" PRIu64 " offset 0x%" PRIx64, device, inode,
                                   offset + (block->hva - start));
    }
    godwit_fail(error, GODWIT_ERROR_MIGRATION,
                "the %s has nothing mapped at 0x%" PRIx64 " for RAM block %s", vm->name, block->hva,
                block->name);
    return NULL;
}

/* Returns the backings of the VM's RAM blocks by name: of ALL blocks, or only of the one with the
 * window. The caller frees it. */
static json_t *backings_of(struct godwit_vm *vm, bool all, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    uint64_t offset;
    const struct godwit_block *ram = godwit_memory_locate(
        vm, workload->window_start, workload->window_end - workload->window_start, &offset, error);
    if (!ram)
        return NULL;
    g_autoptr(json_t) backings = json_object();
    for (guint i = 0; i < vm->blocks->len; i++) {
        const struct godwit_block *block = &g_array_index(vm->blocks, struct godwit_block, i);
        if (!all && block != ram)
            continue;
        g_autofree char *backing = backing_of(vm, block, error);
        if (!backing)
            return NULL;
        json_object_set_new(backings, block->name, json_string(backing));
    }
    return g_steal_pointer(&backings);
}

/* Checks that the destination uses the source's memory, and not a copy of it. */
static bool judge_backings(const json_t *before, const json_t *after, GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        const char *here = json_is_string(value) ? json_string_value(value) : "nothing";
        const char *there = godwit_json_string(after, name, "nothing");
        if (strcmp(here, there) != 0)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "RAM block %s is backed by %s on the destination, expected %s as on "
                               "the source",
                               name, there, here);
    }
    return true;
}

/* Checks that hardly anything was sent. */
static bool judge_sent(const struct godwit_testbed *testbed, json_int_t sent, GError **error)
{
    return sent < ((json_int_t)testbed->setup->memory_mib << 20) / 8 ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent %" JSON_INTEGER_FORMAT
                       " bytes, although its %u MiB of RAM need not be sent",
                       sent, testbed->setup->memory_mib);
}

/* Checks that hardly anything was written to the file. */
static bool judge_file(struct godwit_testbed *testbed, GError **error)
{
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    struct stat status;
    if (stat(path, &status))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: %s", path, g_strerror(errno));
    return judge_sent(testbed, status.st_size, error);
}

/* Checks that QEMU stopped the guest before it began to send. */
static bool judge_stop(const struct godwit_vm *source, GError **error)
{
    for (guint i = source->migration_first; i < source->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(source->qmp->events, i);
        if (godwit_qmp_event_is(event, "STOP", NULL))
            return true;
        if (godwit_qmp_event_is(event, "MIGRATION", "active"))
            break;
    }
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source did not stop its guest before the migration was active");
}

/* Checks that the guest runs, and watches for its blackout. This must come before the migration:
 * QEMU stops the guest when that begins, or soon after. */
static bool watch(struct godwit_vm *source, GError **error)
{
    if (!godwit_blackout_watch(source, NULL, false, error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    godwit_blackout_near(source->testbed);
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    return true;
}

/* Copies the memory of the source, whose guest QEMU must have stopped, and returns its backings.
 * The guest does not run on this source again. The caller frees the result. */
static json_t *keep_source(struct godwit_vm *source, bool all, GError **error)
{
    godwit_blackout_hold(source->testbed);
    json_t *backings = judge_stop(source, error) && godwit_memory_keep(source, error)
                           ? backings_of(source, all, error)
                           : NULL;
    godwit_blackout_leave(source->testbed);
    return backings;
}

/* Checks that the destination, which has loaded and is paused, has the source's memory and
 * BACKINGS, and that its guest continues. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, const json_t *backings,
                  bool all, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    struct godwit_reading before = {0}, after = {0};
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    godwit_blackout_hold(testbed);
    g_autoptr(json_t) there = backings_of(destination, all, error);
    if (!there || !judge_backings(backings, there, error) ||
        !godwit_oracle_twin(source, destination, &before, error))
        return false;
    godwit_testbed_measure(testbed, "blocks_in_place",
                           json_integer((json_int_t)json_object_size(backings)));
    godwit_testbed_phase(testbed, GODWIT_PHASE_RESUME);
    godwit_blackout_resume(testbed);
    if (!godwit_vm_run(destination, error) || !godwit_course_see_it_run(destination, error))
        return false;
    godwit_blackout_end(testbed);
    if (!godwit_vm_command(destination, "stop", NULL, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY_AGAIN);
    return godwit_oracle_look(destination, &after, error) &&
           godwit_oracle_continuity(destination, before.mailbox, after.mailbox, true, error);
}

static char *backend_of(const struct godwit_testbed *testbed, const char *type, const char *more)
{
    return g_strdup_printf("%s,id=shared,size=%uM,share=on%s", type, testbed->setup->memory_mib,
                           more);
}

/* Migrates into a file. The source quits before another QEMU starts and loads the file. */
static bool run_reboot(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    static const char mode[] = "cpr-reboot";
    (void)scenario;
    g_autofree char *backend = backend_of(testbed, "memory-backend-file", ",mem-path=" RAM_FILE);
    const char *const arguments[] = {"-object", backend, "-machine", SHARED_FILE, NULL};
    struct godwit_vm *source = godwit_course_source_with(testbed, arguments, error);
    if (!source || !set_mode(source, mode, ignore_shared, error) || !watch(source, error))
        return false;
    if (!godwit_migrate_start(source, STATE_FILE, false, error) ||
        !godwit_migrate_wait(source, "completed", error) || !godwit_course_settle(source, error) ||
        !godwit_migrate_note(source, error))
        return false;
    g_autoptr(json_t) backings = keep_source(source, false, error);
    if (!backings || !godwit_vm_quit(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RESTART);
    struct godwit_vm *destination =
        godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, arguments, error);
    return destination && godwit_vm_handshake(destination, error) &&
           godwit_blackout_join(destination, error) &&
           set_mode(destination, mode, ignore_shared, error) &&
           godwit_migrate_incoming(destination, STATE_FILE, false, error) &&
           godwit_migrate_wait(destination, "completed", error) && judge_file(testbed, error) &&
           judge(source, destination, backings, false, error) && godwit_vm_quit(destination, error);
}

/* Returns whether the process has the unix socket with that inode. */
static bool has_socket(pid_t pid, guint64 inode)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autofree char *wanted = g_strdup_printf("socket:[%" G_GUINT64_FORMAT "]", inode);
    g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
    for (const char *name; directory && (name = g_dir_read_name(directory));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        if (!g_strcmp0(target, wanted))
            return true;
    }
    return false;
}

/* Returns whether the VM listens on CPR_SOCKET. The kernel lists flags, inode and path of each unix
 * socket. The path is relative and other testbeds use it as well, so the inode must belong to the
 * VM. */
static bool listens(const struct godwit_vm *vm)
{
    enum { ACCEPTS = 0x10000 };
    const pid_t pid = godwit_vm_pid(vm);
    g_autofree char *path = g_strdup_printf("/proc/%d/net/unix", (int)pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 1; lines[0] && lines[i]; i++) {
        unsigned flags;
        guint64 inode;
        char name[128];
        if (sscanf(lines[i], "%*s %*x %*x %x %*x %*x %" SCNu64 " %127s", &flags, &inode, name) ==
                3 &&
            (flags & ACCEPTS) && !strcmp(name, CPR_SOCKET) && has_socket(pid, inode))
            return true;
    }
    return false;
}

/* Waits until the destination listens on its CPR channel. It has no monitor yet that could report
 * that. */
static bool await_listener(struct godwit_vm *vm, GError **error)
{
    while (!listens(vm))
        if (!godwit_testbed_rest(vm->testbed, LOOK_AGAIN_MS,
                                 "the destination to listen on its CPR channel", error))
            return false;
    return true;
}

/* Returns the channel "cpr" at CPR_SOCKET. The caller frees it. */
static json_t *cpr_channel(void)
{
    g_autoptr(json_t) channels = godwit_migrate_channels("unix:" CPR_SOCKET);
    json_t *channel = json_incref(json_array_get(channels, 0));
    json_object_set_new(channel, "channel-type", json_string("cpr"));
    return channel;
}

/* Waits until the destination has loaded. It may have begun before its monitor could report
 * that. */
static bool await_loaded(struct godwit_vm *destination, GError **error)
{
    for (;;) {
        g_autofree char *state = godwit_migrate_state(destination, error);
        if (!state)
            return false;
        if (!strcmp(state, "completed"))
            return true;
        if (!strcmp(state, "failed"))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the destination's migration failed");
        if (!godwit_testbed_rest(destination->testbed, GODWIT_REST_MS, "the destination to load",
                                 error))
            return false;
    }
}

static bool send_descriptors(struct godwit_vm *source, GError **error)
{
    json_t *channels = godwit_migrate_channels(MAIN_SOCKET);
    json_array_append_new(channels, cpr_channel());
    return godwit_migrate_start_channels(source, channels, error);
}

/* Copies once more all memory that the guest may have written since the first copy. The guest runs
 * while the destination gets its memory, until the destination has accepted the connection. */
static bool keep_written(struct godwit_vm *source, GError **error)
{
    const struct godwit_setup *setup = source->testbed->setup;
    const struct godwit_workload *workload = &setup->workload;
    /* A guest that lives at the end of RAM has its console requests there. */
    const uint64_t tail = setup->machine->tail;
    const uint64_t end =
        setup->machine->ram_base + MIN((uint64_t)setup->memory_mib << 20, UINT64_C(2) << 30);
    godwit_blackout_hold(source->testbed);
    const bool kept =
        judge_stop(source, error) &&
        godwit_memory_keep_again(source, workload->window_start,
                                 workload->window_end - workload->window_start, error) &&
        godwit_memory_keep_again(source, setup->image->mailbox, GODWIT_MAILBOX_SIZE, error) &&
        godwit_memory_keep_again(source, setup->machine->ram_base + GODWIT_STACK_OFFSET,
                                 GODWIT_MAX_CPUS * GODWIT_STACK_SIZE, error) &&
        (!setup->image->identity ||
         godwit_memory_keep_again(source, setup->image->identity, GODWIT_IDENTITY_ROOM, error)) &&
        (!tail || godwit_memory_keep_again(source, end - tail, tail, error));
    godwit_blackout_leave(source->testbed);
    return kept;
}

/* Waits until the destination has its memory: only then its monitor answers. Sets *REFUSED if it
 * does not accept the memory because of a known bug. */
static bool greet(struct godwit_vm *destination, bool *refused, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_vm_handshake(destination, &cause))
        return true;
    *refused =
        godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_LOAD, .destination = destination, .failure = cause}) != NULL;
    if (*refused)
        return true;
    /* It did start, as the source did, so its end is a crash and not a problem of the
     * environment. */
    if (destination->exited && cause->code == GODWIT_ERROR_ENVIRONMENT)
        cause->code = GODWIT_ERROR_CRASH;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Checks that the source keeps its guest if the destination refuses its memory. */
static bool judge_refusal(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_reading reading;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_VERIFY);
    destination->may_exit = true;
    godwit_memory_forget(source);
    return godwit_migrate_wait(source, "failed", error) &&
           godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_vm_command(source, "stop", NULL, error) &&
           godwit_oracle_look(source, &reading, error) && godwit_vm_quit(source, error);
}

/* Migrates into a QEMU that is already started. If DEFER, it loads only when QMP requests it. */
static bool transfer(struct godwit_testbed *testbed, bool defer, GError **error)
{
    g_autofree char *backend = backend_of(testbed, "memory-backend-memfd", "");
    g_autoptr(json_t) channel = cpr_channel();
    g_autofree char *cpr = json_dumps(channel, JSON_COMPACT);
    const char *const here[] = {"-object", backend, "-machine", SHARED_MEMFD, NULL};
    const char *const there[] = {"-object",    backend,     "-machine",
                                 SHARED_MEMFD, "-incoming", defer ? "defer" : MAIN_SOCKET,
                                 "-incoming",  cpr,         NULL};
    struct godwit_vm *source = godwit_course_source_with(testbed, here, error);
    struct godwit_vm *destination =
        source ? godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, there, error)
               : NULL;
    if (!destination || !await_listener(destination, error) ||
        !set_mode(source, "cpr-transfer", pause_before, error) || !watch(source, error))
        return false;
    g_autoptr(json_t) backings =
        godwit_memory_keep(source, error) ? backings_of(source, true, error) : NULL;
    bool refused = false;
    if (!backings || !send_descriptors(source, error) || !greet(destination, &refused, error))
        return false;
    if (refused)
        return judge_refusal(source, destination, error);
    if (!godwit_blackout_join(destination, error))
        return false;
    if (defer && (!godwit_migrate_set_capabilities(destination, NULL, error) ||
                  !godwit_migrate_incoming(destination, MAIN_SOCKET, false, error)))
        return false;
    if (!godwit_migrate_wait(source, "pre-switchover", error) || !keep_written(source, error) ||
        !godwit_migrate_continue(source, error) ||
        !godwit_migrate_wait(source, "completed", error) ||
        !(defer ? godwit_migrate_wait(destination, "completed", error)
                : await_loaded(destination, error)) ||
        !godwit_course_settle(source, error) || !godwit_migrate_note(source, error))
        return false;
    const struct godwit_migration *migration = godwit_migration_of(testbed);
    return judge_sent(testbed,
                      migration->given[GODWIT_FIGURE_TRANSFERRED]
                          ? migration->figures[GODWIT_FIGURE_TRANSFERRED]
                          : G_MAXINT64,
                      error) &&
           judge(source, destination, backings, true, error) && godwit_vm_quit(source, error) &&
           godwit_vm_quit(destination, error);
}

static bool run_transfer(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    (void)scenario;
    return transfer(testbed, false, error);
}

static bool run_defer(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    (void)scenario;
    return transfer(testbed, true, error);
}

/* Sets the command line that the source will execute. */
static bool set_command(struct godwit_vm *source, const struct godwit_vm *destination,
                        GError **error)
{
    json_t *command = json_array();
    for (guint i = 0; i < destination->arguments->len; i++)
        json_array_append_new(command, json_string(g_ptr_array_index(destination->arguments, i)));
    return godwit_vm_command(source, "migrate-set-parameters",
                             json_pack("{s:o}", "cpr-exec-command", command), error);
}

/* The source's process executes another QEMU and keeps its QMP connection and console. Before that
 * it waits with the guest stopped, so that its memory can be copied. */
static bool run_exec(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    (void)scenario;
    g_autofree char *backend = backend_of(testbed, "memory-backend-memfd", "");
    const char *const arguments[] = {"-object", backend, "-machine", SHARED_MEMFD, NULL};
    struct godwit_vm *source = godwit_course_source_with(testbed, arguments, error);
    struct godwit_vm *destination =
        source ? godwit_vm_prepare(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, arguments,
                                   error)
               : NULL;
    if (!destination || !set_mode(source, "cpr-exec", pause_before, error) ||
        !set_command(source, destination, error) || !watch(source, error))
        return false;
    if (!godwit_migrate_start(source, STATE_FILE, false, error) ||
        !godwit_migrate_wait(source, "pre-switchover", error))
        return false;
    g_autoptr(json_t) backings = keep_source(source, true, error);
    if (!backings)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_EXEC);
    return godwit_qmp_send(source->qmp, "migrate-continue",
                           json_pack("{s:s}", "state", "pre-switchover"), error) &&
           godwit_vm_inherit(destination, source, error) &&
           godwit_blackout_join(destination, error) &&
           godwit_migrate_set_capabilities(destination, NULL, error) &&
           godwit_migrate_incoming(destination, STATE_FILE, false, error) &&
           godwit_migrate_wait(destination, "completed", error) && judge_file(testbed, error) &&
           judge(source, destination, backings, true, error) && godwit_vm_quit(destination, error);
}

GODWIT_SCENARIOS(cpr) = {
    {
        .name = "mode/reboot",
        .summary =
            "cpr-reboot: RAM stays in a file; the source quits before the destination starts",
        .qemu_name = "/migration/mode/reboot",
        .run = run_reboot,
        .spec = {.capabilities = ignore_shared},
        .needs = "mode:cpr-reboot object:memory-backend-file",
    },
    {
        .name = "mode/transfer",
        .summary = "cpr-transfer: the destination inherits the RAM descriptors and runs at once",
        .qemu_name = "/migration/mode/transfer",
        .run = run_transfer,
        .spec = {.capabilities = pause_before},
        .needs = "mode:cpr-transfer channel:cpr object:memory-backend-memfd",
    },
    {
        .name = "mode/transfer/defer",
        .summary = "cpr-transfer: the destination runs only after `cont`",
        .slow = true,
        .qemu_name = "/migration/mode/transfer/defer",
        .run = run_defer,
        .spec = {.capabilities = pause_before},
        .needs = "mode:cpr-transfer channel:cpr object:memory-backend-memfd",
    },
    {
        .name = "mode/exec",
        .summary = "cpr-exec: RAM stays; the source's process executes the destination's QEMU",
        .qemu_name = "/migration/mode/exec",
        .run = run_exec,
        .spec = {.capabilities = pause_before},
        .needs = "mode:cpr-exec parameter:cpr-exec-command object:memory-backend-memfd",
    },
};
GODWIT_SCENARIOS_END(cpr);
