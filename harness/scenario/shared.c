/*
 * Guest RAM in a file that source and destination share, as for an upgrade of QEMU on the same
 * host. The migration does not send it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "base/file.h"
#include "bugs/bugs.h"
#include "memory/memory.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file, in the testbed's directory. */
#define RAM_FILE "shared.ram"

/* Reads LENGTH bytes at OFFSET of the file. */
static bool read_file(const struct godwit_testbed *testbed, uint64_t offset, unsigned char *buffer,
                      size_t length, GError **error)
{
    g_autofree char *path = g_build_filename(testbed->directory, RAM_FILE, NULL);
    const int fd = godwit_file_open(path, error);
    ssize_t n = 0;
    if (fd < 0)
        return false;
    while (length > 0 && (n = pread(fd, buffer, length, (off_t)offset)) > 0) {
        buffer += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    const int cause = errno;
    close(fd);
    return length == 0 || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path,
                                      n == 0 ? "the file is too short" : g_strerror(cause));
}

/* Checks that the VM's window equals its part of the file, byte by byte. */
static bool judge_window(struct godwit_vm *vm, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const size_t length = workload->window_end - workload->window_start;
    g_autofree unsigned char *there = g_malloc(length);
    g_autofree unsigned char *here = g_malloc(length);
    uint64_t offset = 0;
    const struct godwit_block *block =
        godwit_memory_locate(vm, workload->window_start, length, &offset, error);
    if (!block || !godwit_memory_read_block(vm, block, offset, here, length, error) ||
        !read_file(vm->testbed, offset, there, length, error))
        return false;
    return !memcmp(here, there, length) ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the window in the %s's RAM block %s differs from %s at offset 0x%" PRIx64,
                       vm->name, block->name, RAM_FILE, offset);
}

/* Checks that both sides use the file, and that hardly anything was sent. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!judge_window(source, error) || !judge_window(destination, error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *ram = json_object_get(info, "ram");
    const json_int_t memory = (json_int_t)source->testbed->setup->memory_mib << 20;
    const json_int_t sent = godwit_json_integer(ram, "transferred", memory);
    const json_int_t total = godwit_json_integer(ram, "total", memory);
    json_int_t others = -memory;
    for (guint i = 0; i < source->blocks->len; i++)
        others += (json_int_t)g_array_index(source->blocks, struct godwit_block, i).length;
    return (sent < memory / 8 && total <= others) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent %" JSON_INTEGER_FORMAT " bytes of %" JSON_INTEGER_FORMAT
                       " bytes of RAM, although it shares %u MiB with the destination",
                       sent, total, source->testbed->setup->memory_mib);
}

static const struct godwit_capability ignore_shared[] = {{"x-ignore-shared", true}, {NULL, false}};

/* Returns the value of the -object that makes RAM of the file. The caller frees it. */
static char *backend_of(const struct godwit_testbed *testbed)
{
    return g_strdup_printf("memory-backend-file,id=shared,size=%uM,mem-path=" RAM_FILE ",share=on",
                           testbed->setup->memory_mib);
}

/* Takes the common course, on machines whose RAM is the file. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    g_autofree char *backend = backend_of(testbed);
    const char *const arguments[] = {"-object", backend, "-machine", "memory-backend=shared", NULL};
    struct godwit_spec spec = scenario->spec;
    spec.source_arguments = arguments;
    spec.destination_arguments = arguments;
    return godwit_course_run(testbed, &spec, error);
}

/* Checks that the migration's file has no room for the RAM that is shared. */
static bool judge_file(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_testbed *testbed = source->testbed;
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    const uint64_t memory = (uint64_t)testbed->setup->memory_mib << 20;
    enum { BLOCK = 512 }; /* the unit of st_blocks, on any file system */
    struct stat status;
    if (!judge(source, destination, error))
        return false;
    if (stat(path, &status))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path, g_strerror(errno));
    const uint64_t used = (uint64_t)status.st_blocks * BLOCK;
    return used < memory / 8 || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                            "%s occupies %" PRIu64 " bytes, although %u MiB of RAM "
                                            "are shared and need not be in it",
                                            path, used, testbed->setup->memory_mib);
}

/* Explains *FAILURE, that of a migration into a file, if a known bug does. The guest must then run
 * on where it is. */
static bool survive(struct godwit_vm *source, struct godwit_vm *destination, GError **failure,
                    GError **error)
{
    g_autoptr(json_t) info =
        g_error_matches(*failure, GODWIT_ERROR, GODWIT_ERROR_MIGRATION) && !source->exited
            ? godwit_vm_execute(source, "query-migrate", NULL, NULL)
            : NULL;
    const char *reason = godwit_json_string(info, "error-desc", "");
    if (strcmp(godwit_json_string(info, "status", ""), "failed") != 0 ||
        !godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_MAPPED_SHARED, .source = source, .text = reason})) {
        g_propagate_error(error, g_steal_pointer(failure));
        return false;
    }
    return godwit_course_see_it_run(source, error) && godwit_course_end(source, destination, error);
}

/* Takes the common course through a file, on machines whose RAM is another file. */
static bool run_file(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    g_autofree char *backend = backend_of(testbed);
    const char *const arguments[] = {"-object", backend, "-machine", "memory-backend=shared", NULL};
    struct godwit_vm *source, *destination;
    g_autoptr(GError) failure = NULL;
    if (!godwit_course_try_both(testbed, "with RAM in a file", arguments, arguments,
                                GODWIT_VM_DESTINATION_PAUSED, &source, &destination, error))
        return false;
    return godwit_course_move(testbed, &scenario->spec, source, destination, &failure) ||
           survive(source, destination, &failure, error);
}

static const struct godwit_capability mapped_ram[] = {
    {"mapped-ram", true}, {"x-ignore-shared", true}, {NULL, false}};

GODWIT_SCENARIOS(shared) = {
    {
        .name = "precopy/ignore-shared",
        .summary = "x-ignore-shared: both sides share guest RAM in a file; none of it is sent",
        .qemu_name = "/migration/ignore-shared",
        .run = run,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .no_ram = true,
                 .capabilities = ignore_shared,
                 .judge = judge},
        .needs = "object:memory-backend-file",
    },
    {
        .name = "memory/mapped-ram/ignore-shared",
        .summary = "mapped-ram with x-ignore-shared: the migration's file has no guest RAM",
        .slow = true,
        .run = run_file,
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .no_ram = true,
                 .capabilities = mapped_ram,
                 .judge = judge_file},
        .needs = "object:memory-backend-file",
    },
};
GODWIT_SCENARIOS_END(shared);
