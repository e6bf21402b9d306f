/*
 * dump-guest-memory and migrations. A dump stops the guest and reads all of its memory, so that
 * only one of the two may be under way. A dump is an ELF core file, of which every byte of the
 * window is compared with the guest's memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "memory/memory.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "guest.dump"
#define FIFO      "dump.fifo"
/* How much is compared at a time. */
#define CHUNK ((size_t)64 << 10)
/* How much of a dump the FIFO takes, in bytes: less than a dump has. */
#define PIPE_SIZE (1 << 20)

struct godwit_scenario_state {
    int fifo; /* if `open` */
    bool open;
};

static void clear(struct godwit_scenario_state *state)
{
    if (state->open)
        close(state->fifo);
}

/* A file in memory, in one of the two byte orders and sizes of ELF. */
struct core {
    const unsigned char *bytes;
    gsize length;
    bool big, wide; /* big-endian; 64 bits */
};

/* Returns the number of SIZE bytes at OFFSET, 0 if that is beyond the end. */
static uint64_t number_at(const struct core *core, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    if (offset > core->length || size > core->length - offset)
        return 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | core->bytes[offset + (core->big ? i : size - 1 - i)];
    return value;
}

#define FIELD(core, base, type, field)                                                             \
    ((core)->wide ? number_at(core, (base) + offsetof(Elf64_##type, field),                        \
                              sizeof(((Elf64_##type *)0)->field))                                  \
                  : number_at(core, (base) + offsetof(Elf32_##type, field),                        \
                              sizeof(((Elf32_##type *)0)->field)))

/* Returns where in the file the guest-physical ADDRESS is, and in *LEFT how many bytes follow it
 * there; NULL if the file does not have it. */
static const unsigned char *find(const struct core *core, uint64_t address, uint64_t *left)
{
    const uint64_t table = FIELD(core, 0, Ehdr, e_phoff), count = FIELD(core, 0, Ehdr, e_phnum);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t header = table + i * FIELD(core, 0, Ehdr, e_phentsize);
        const uint64_t begin = FIELD(core, header, Phdr, p_paddr);
        const uint64_t size = FIELD(core, header, Phdr, p_filesz);
        const uint64_t offset = FIELD(core, header, Phdr, p_offset);
        if (FIELD(core, header, Phdr, p_type) != PT_LOAD || address < begin ||
            address - begin >= size || offset > core->length || size > core->length - offset)
            continue;
        *left = size - (address - begin);
        return core->bytes + offset + (address - begin);
    }
    return NULL;
}

/* Fails with MIGRATION unless the dump NAME is complete: an ELF core with all of the window, which,
 * if SAME, is that of VM, whose guest is stopped. */
static bool judge_dump(struct godwit_vm *vm, const char *name, bool same, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    g_autofree char *path = g_build_filename(vm->testbed->directory, name, NULL);
    g_autofree char *text = NULL;
    g_autofree unsigned char *here = g_malloc(CHUNK);
    struct core core = {0};
    if (!g_file_get_contents(path, &text, &core.length, NULL) || core.length < EI_NIDENT ||
        memcmp(text, ELFMAG, SELFMAG) != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s's dump %s is no ELF file",
                           vm->name, name);
    core.bytes = (const unsigned char *)text;
    core.big = text[EI_DATA] == ELFDATA2MSB;
    core.wide = text[EI_CLASS] == ELFCLASS64;
    for (uint64_t at = workload->window_start, size; at < workload->window_end; at += size) {
        uint64_t left = 0;
        const unsigned char *there = find(&core, at, &left);
        size = MIN(MIN(left, CHUNK), workload->window_end - at);
        if (!there)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s's dump of %" G_GSIZE_FORMAT
                               " bytes ends before the memory at 0x%" PRIx64,
                               vm->name, core.length, at);
        if (same && !godwit_memory_read(vm, at, here, size, error))
            return false;
        for (uint64_t i = 0; same && i < size; i++)
            if (here[i] != there[i])
                return godwit_fail(error, GODWIT_ERROR_ORACLE,
                                   "the %s's dump has 0x%02x at 0x%" PRIx64
                                   ", expected 0x%02x as in its memory",
                                   vm->name, there[i], at + i, here[i]);
    }
    godwit_testbed_measure(vm->testbed, "dump_bytes", json_integer((json_int_t)core.length));
    return true;
}

static bool dump(struct godwit_vm *vm, const char *file, bool detach, GError **error)
{
    g_autofree char *protocol = g_strconcat("file:", file, NULL);
    return godwit_vm_command(
        vm, "dump-guest-memory",
        json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", protocol, "detach", detach), error);
}

/* Asks a VM in a migration for a dump. Either it refuses, and its reason is recorded, or the dump
 * must be complete. */
static bool try_dump(struct godwit_vm *vm, GError **error)
{
    g_autofree char *file = g_strdup_printf("%s.dump", vm->name);
    g_autoptr(GError) refusal = NULL;
    if (dump(vm, file, false, &refusal))
        return judge_dump(vm, file, false, error);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    godwit_testbed_measure_member(vm->testbed, "dump_refusals", vm->name,
                                  json_string(refusal->message));
    return true;
}

/* A spec's hook `live`. */
static bool try_both(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return try_dump(source, error) && try_dump(destination, error) &&
           godwit_course_expect_status(source, "running", "after it was asked for a dump", error);
}

/* Dumps the guest that has arrived. A spec's hook `judge`. */
static bool dump_arrived(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    return dump(destination, FILE_NAME, false, error) &&
           judge_dump(destination, FILE_NAME, true, error);
}

/* Fails with SKIP if the machine cannot be dumped: QEMU knows no format for some. */
static bool is_dumped(struct godwit_vm *source, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (dump(source, FILE_NAME, false, &cause))
        return true;
    if (cause->code == GODWIT_ERROR_QMP && strstr(cause->message, "not currently supported"))
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine that can be dumped: %s",
                           cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* A dump of the running guest before the migration, which then runs on. A spec's hook `configure`.
 */
static bool dump_before(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return is_dumped(source, error) && judge_dump(source, FILE_NAME, false, error) &&
           godwit_course_expect_status(source, "running", "after a dump", error) &&
           godwit_course_see_it_run(source, error);
}

/* Makes a FIFO for the dump. Nothing reads it, so that the dump goes on until something does. */
static bool open_fifo(struct godwit_testbed *testbed, GError **error)
{
    g_autofree char *path = g_build_filename(testbed->directory, FIFO, NULL);
    struct godwit_scenario_state *state = testbed->state;
    state->fifo = mkfifo(path, 0600) ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    state->open = state->fifo >= 0;
    /* The larger it is, the sooner the rest has come. A user may be allowed less. */
    if (state->open)
        (void)fcntl(state->fifo, F_SETPIPE_SZ, PIPE_SIZE);
    return state->open || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make %s: %s", path,
                                      g_strerror(errno));
}

/* Reads the FIFO into FILE_NAME until its writer closes it. */
static bool drain(struct godwit_vm *vm, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, FILE_NAME, NULL);
    g_autoptr(GByteArray) all = g_byte_array_new();
    g_autofree unsigned char *bytes = g_malloc(CHUNK);
    g_autoptr(GError) cause = NULL;
    for (;;) {
        const ssize_t length = read(vm->testbed->state->fifo, bytes, CHUNK);
        if (length > 0)
            g_byte_array_append(all, bytes, (guint)length);
        else if (!length)
            break;
        else if (errno != EAGAIN && errno != EINTR)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read the dump: %s",
                               g_strerror(errno));
        else if (!godwit_testbed_rest(vm->testbed, GODWIT_REST_MS, "the rest of the dump", error))
            return false;
    }
    return g_file_set_contents(path, (const char *)all->data, all->len, &cause) ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s", cause->message);
}

/* Fails with MIGRATION unless a source that dumps refuses to migrate. */
static bool refuse_migrate(struct godwit_vm *source, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_migrate_start(source, "unix:nobody.sock", false, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source accepted migrate while its guest is dumped, expected a "
                           "refusal");
    if (refusal->code != GODWIT_ERROR_QMP || !strstr(refusal->message, "dump")) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    godwit_testbed_measure(source->testbed, "refusal", json_string(refusal->message));
    return true;
}

/* A detached dump of a stopped guest, during which no migration may start. A spec's hook
 * `configure`. */
static bool dump_detached(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const guint first = source->qmp->events->len;
    (void)destination;
    if (!is_dumped(source, error) || !godwit_course_stop(source, error) ||
        !open_fifo(source->testbed, error) || !dump(source, FIFO, true, error) ||
        !refuse_migrate(source, error) || !drain(source, error))
        return false;
    const json_t *event = godwit_vm_wait_event(source, first, "DUMP_COMPLETED", NULL, error);
    if (!event)
        return false;
    const json_t *result = json_object_get(json_object_get(event, "data"), "result");
    const char *status = godwit_json_string(result, "status", "unknown");
    if (strcmp(status, "completed") != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the dump ended as %s", status);
    return judge_dump(source, FILE_NAME, true, error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

GODWIT_SCENARIOS(dump) = {
    {
        .name = "dump/migrating",
        .summary = "dump-guest-memory before, during and after a migration, on both sides",
        .slow = true,
        .spec = {.configure = dump_before, .live = try_both, .judge = dump_arrived},
    },
    {
        .name = "dump/detached",
        .summary = "a detached dump is under way: migrate is refused until it is complete",
        .spec = {.configure = dump_detached},
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear,
    },
};
GODWIT_SCENARIOS_END(dump);
