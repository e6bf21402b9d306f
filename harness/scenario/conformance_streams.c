/*
 * Incoming streams that cannot be loaded. Each is given to a destination that would run its guest
 * if it accepted the stream. It must end with a non-zero status and a message, and must never run
 * the guest.
 *
 * The streams are variants of a good one, which a stopped source has written into a file. At the
 * end a destination loads the good one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/oracle.h"
#include "scenario/conformance.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A migration stream begins with two big-endian words, magic and version. */
#define STREAM_MAGIC  "QEVM"
#define STREAM_HEADER 8
/* More than the length of any stream here, in bytes. */
#define STREAM_MAX     ((size_t)1 << 30)
#define STREAM_VERSION 3
/* The byte that ends the sections, and the one that begins the description after them. */
#define SECTION_END         0x00
#define SECTION_DESCRIPTION 0x06

/* How many destinations run at a time. */
enum { AT_ONCE = 4 };

/* A stream, and the destination that gets it. */
struct trial {
    const char *name;      /* of the check */
    const char *arguments; /* additional arguments, separated by spaces, or NULL */
    unsigned char *bytes;  /* owned */
    size_t length;
    struct godwit_vm *vm;
};

static struct trial *add(GPtrArray *trials, const char *name, const void *bytes, size_t length)
{
    struct trial *trial = g_new0(struct trial, 1);
    trial->name = g_strdup(name);
    trial->bytes = g_memdup2(bytes, length);
    trial->length = length;
    g_ptr_array_add(trials, trial);
    return trial;
}

static void trial_free(gpointer data)
{
    struct trial *trial = data;
    g_free((char *)(uintptr_t)trial->name);
    g_free((char *)(uintptr_t)trial->arguments);
    g_free(trial->bytes);
    g_free(trial);
}

/* Writes the bytes to a file of the VM. Returns their address, which the caller frees. QEMU reads
 * the file by `file:` or, if it lacks that, from a descriptor. */
static char *pass(struct godwit_vm *vm, const void *bytes, size_t length, GError **error)
{
    g_autofree char *file = g_strconcat(vm->name, ".stream", NULL);
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
    if (!godwit_file_write(path, bytes, length, error))
        return NULL;
    if (godwit_qemu_has(vm->qemu, "transport", "file"))
        return g_strconcat("file:", file, NULL);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    const bool passed = godwit_migrate_getfd(vm, "stream", fd, error);
    close(fd);
    return passed ? g_strdup("fd:stream") : NULL;
}

static bool has_ended(gpointer data)
{
    const struct godwit_vm *vm = data;
    for (guint i = vm->migration_first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), "RESUME", NULL))
            return true;
    return vm->exited;
}

/* Returns what is wrong with how the destination handled its stream, or NULL. SAID is its stderr.
 * The caller frees the result. */
static char *judge(const struct godwit_vm *vm, const char *said)
{
    g_autofree char *end = vm->exited ? godwit_vm_end(vm) : NULL;
    for (guint i = 0; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), "RESUME", NULL))
            return g_strdup("the destination ran its guest");
    if (vm->console->passes || vm->console->ready)
        return g_strdup("the destination's guest wrote to its console");
    if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) == 0)
        return g_strdup_printf("the destination %s", end);
    return *said ? NULL : g_strdup("the destination ended without a message");
}

/* Gives the destination its stream. */
static bool give(struct trial *trial, GError **error)
{
    struct godwit_vm *vm = trial->vm;
    if (!godwit_vm_handshake(vm, error) || !godwit_migrate_set_capabilities(vm, NULL, error))
        return false;
    g_autofree char *uri = pass(vm, trial->bytes, trial->length, error);
    if (!uri)
        return false;
    g_autofree char *arguments = g_strdup_printf("{\"uri\":\"%s\"}", uri);
    vm->may_exit = true;
    vm->console->fault_provoked = true; /* judge() judges its console */
    vm->migration_first = vm->migration_leg = vm->qmp->events->len;
    return godwit_qmp_send_text(vm->qmp, "migrate-incoming", arguments, -1, error);
}

static bool judge_trial(struct trial *trial, GError **error)
{
    struct godwit_vm *vm = trial->vm;
    g_autofree char *what =
        g_strdup_printf("a destination to end or to run its guest (%s)", trial->name);
    if (!godwit_testbed_wait(vm->testbed, has_ended, vm, what, error))
        return false;
    g_autofree char *all = godwit_vm_stderr(vm, 20);
    g_autofree char *problem = judge(vm, all);
    /* The reason is the first line that is not a warning. */
    g_auto(GStrv) lines = g_strsplit(all, "\n", -1);
    const char *reason = NULL;
    for (guint i = 0; lines[i]; i++)
        if (!strstr(lines[i], "warning:"))
            reason = reason ? reason : lines[i];
    const char *colon = reason ? strstr(reason, ": ") : NULL;
    if (!problem && !reason)
        problem = g_strdup("the destination ended without a message");
    godwit_testbed_check_answer(vm->testbed, trial->name, NULL, colon ? colon + 2 : reason,
                                problem);
    return vm->exited || godwit_vm_quit(vm, error);
}

/* Runs a few trials at a time: each is short, and spends most of its time starting QEMU. */
static bool run_trials(struct godwit_testbed *testbed, GPtrArray *trials, GError **error)
{
    for (guint first = 0; first < trials->len; first += AT_ONCE) {
        const guint end = MIN(first + AT_ONCE, trials->len);
        for (guint i = first; i < end; i++) {
            struct trial *trial = g_ptr_array_index(trials, i);
            g_autofree char *name = g_strdup_printf("destination-%u", i + 1);
            g_auto(GStrv) arguments =
                trial->arguments ? g_strsplit(trial->arguments, " ", -1) : NULL;
            trial->vm = godwit_vm_start(testbed, name, GODWIT_VM_DESTINATION,
                                        (const char *const *)arguments, error);
            if (!trial->vm)
                return false;
        }
        for (guint i = first; i < end; i++)
            if (!give(g_ptr_array_index(trials, i), error))
                return false;
        for (guint i = first; i < end; i++)
            if (!judge_trial(g_ptr_array_index(trials, i), error))
                return false;
    }
    return true;
}

/* Makes a stopped source write its stream. Returns the stream; the caller frees it. */
static unsigned char *record(struct godwit_testbed *testbed, struct godwit_vm **source,
                             size_t *length, GError **error)
{
    *source = godwit_course_source(testbed, error);
    if (!*source || !godwit_vm_command(*source, "stop", NULL, error) ||
        !godwit_migrate_set_capabilities(*source, NULL, error))
        return NULL;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RECORD);
    const enum godwit_transport transport = godwit_qemu_has((*source)->qemu, "transport", "file")
                                                ? GODWIT_TRANSPORT_FILE
                                                : GODWIT_TRANSPORT_FD_FILE;
    g_autofree char *uri = godwit_migrate_file_address(*source, transport, error);
    if (!uri || !godwit_migrate_start(*source, uri, false, error) ||
        !godwit_migrate_wait(*source, "completed", error))
        return NULL;
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    char *bytes = godwit_file_read(path, STREAM_MAX, length, error);
    if (!bytes)
        return NULL;
    if (*length > STREAM_HEADER && !memcmp(bytes, STREAM_MAGIC, strlen(STREAM_MAGIC)))
        return (unsigned char *)bytes;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the source wrote %zu bytes, which are not a migration stream", *length);
    g_free(bytes);
    return NULL;
}

/* Ends the scenario: a destination must load the whole stream and equal the source. */
static bool take_whole(struct godwit_testbed *testbed, struct godwit_vm *source, const void *bytes,
                       size_t length, GError **error)
{
    struct godwit_reading reading = {0};
    struct godwit_vm *destination = godwit_course_destination(testbed, "destination", true, error);
    if (!destination || !godwit_migrate_set_capabilities(destination, NULL, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *uri = pass(destination, bytes, length, error);
    if (!uri || !godwit_migrate_incoming(destination, uri, false, error) ||
        !godwit_migrate_wait(destination, "completed", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    if (!godwit_oracle_twin(source, destination, &reading, error) ||
        !godwit_vm_run(destination, error) || !godwit_course_see_it_run(destination, error))
        return false;
    return godwit_course_end(source, destination, error);
}

typedef bool (*make_trials)(struct godwit_testbed *testbed, GPtrArray *trials,
                            const unsigned char *stream, size_t length, GError **error);

static bool run(struct godwit_testbed *testbed, make_trials make, GError **error)
{
    struct godwit_vm *source = NULL;
    size_t length = 0;
    g_autofree unsigned char *stream = record(testbed, &source, &length, error);
    if (!stream)
        return false;
    g_autoptr(GPtrArray) trials = g_ptr_array_new_with_free_func(trial_free);
    godwit_testbed_phase(testbed, GODWIT_PHASE_CHECK);
    return make(testbed, trials, stream, length, error) && run_trials(testbed, trials, error) &&
           take_whole(testbed, source, stream, length, error);
}

/* Makes data that is not a migration stream, or not one that this QEMU can know. */
static bool make_foreign(struct godwit_testbed *testbed, GPtrArray *trials,
                         const unsigned char *stream, size_t length, GError **error)
{
    static const unsigned char zeros[4096];
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)testbed;
    (void)error;
    add(trials, "empty stream: refused", "", 0);
    add(trials, "stream of zeros: refused", zeros, sizeof(zeros));
    add(trials, "stream of text: refused", text, strlen(text));
    g_autofree unsigned char *changed = g_memdup2(stream, length);
    changed[0] ^= 1;
    add(trials, "stream with another magic: refused", changed, length);
    changed[0] ^= 1;
    changed[STREAM_HEADER - 1] = STREAM_VERSION - 1;
    add(trials, "stream of an older version: refused", changed, length);
    changed[STREAM_HEADER - 1] = STREAM_VERSION + 1;
    add(trials, "stream of a newer version: refused", changed, length);
    changed[STREAM_HEADER - 1] = STREAM_VERSION;
    changed[STREAM_HEADER] = 0xee;
    add(trials, "stream with a section of an unknown type: refused", changed, length);
    return true;
}

/* Returns where the description at the end begins, or 0. It is text about the stream and holds
 * nothing of the guest. */
static size_t find_description(const unsigned char *stream, size_t length)
{
    for (size_t at = length - 5; at > STREAM_HEADER; at--)
        if (stream[at - 1] == SECTION_END && stream[at] == SECTION_DESCRIPTION &&
            godwit_guest_get32(stream + at + 1, true) == length - at - 5)
            return at;
    return 0;
}

/* Returns an offset inside a RAM page, or 0: the mailbox's magic number is in one. */
static size_t find_page(const struct godwit_testbed *testbed, const unsigned char *stream,
                        size_t length)
{
    for (size_t at = STREAM_HEADER; at + 4 <= length; at++)
        if (godwit_guest_get32(stream + at, testbed->setup->machine->big_endian) ==
            GODWIT_MAILBOX_MAGIC)
            return at;
    return 0;
}

static bool make_cut(struct godwit_testbed *testbed, GPtrArray *trials, const unsigned char *stream,
                     size_t length, GError **error)
{
    const size_t description = find_description(stream, length);
    const size_t page = find_page(testbed, stream, length);
    if (!description || !page) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the stream of %zu bytes has no %s", length,
                    page ? "description at its end" : "page with the guest's mailbox");
        return false;
    }
    const size_t end = description - 1; /* without the byte that ends the sections */
    const struct {
        const char *where;
        size_t length;
    } cuts[] = {
        {"after 1 byte", 1},
        {"inside the magic", 3},
        {"after the magic", 4},
        {"inside the version", 7},
        {"after the header", STREAM_HEADER},
        {"inside the configuration", STREAM_HEADER + 3},
        {"inside the machine's name", STREAM_HEADER + 8},
        {"after 64 bytes", 64},
        {"after 1000 bytes", 1000},
        {"inside a RAM page", page + 2},
        {"inside the same RAM page, later", page + 100},
        {"after a quarter", end / 4},
        {"in the middle", end / 2},
        {"after three quarters", end / 4 * 3},
        {"in the devices, 1000 bytes before the end", end - 1000},
        {"in the devices, 100 bytes before the end", end - 100},
        {"in the devices, 10 bytes before the end", end - 10},
        {"2 bytes before the end", end - 1},
        {"1 byte before the end", end},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_autofree char *name = g_strdup_printf("stream cut %s: refused", cuts[i].where);
        add(trials, name, stream, cuts[i].length);
    }
    return true;
}

/* Returns another machine type: another version of the same one, or "none" if there is none. */
static const char *other_type(const struct godwit_testbed *testbed)
{
    const char *type = testbed->setup->type;
    const char *dash = strrchr(type, '-');
    const char *other = NULL, *name;
    json_t *unused;
    json_object_foreach(testbed->setup->destination->machines, name, unused)
    {
        if (dash && !strncmp(name, type, (size_t)(dash + 1 - type)) &&
            g_ascii_isdigit(name[dash + 1 - type]) && strcmp(name, type) != 0 &&
            (!other || strcmp(name, other) > 0))
            other = name;
    }
    return other ? other : "none";
}

static bool make_other(struct godwit_testbed *testbed, GPtrArray *trials,
                       const unsigned char *stream, size_t length, GError **error)
{
    (void)error;
    struct trial *type = add(trials, "stream of another machine type: refused", stream, length);
    type->arguments = g_strdup_printf("-machine %s", other_type(testbed));
    struct trial *larger =
        add(trials, "stream of a machine with half the RAM: refused", stream, length);
    larger->arguments = g_strdup_printf("-m %u", 2 * testbed->setup->memory_mib);
    return true;
}

static bool run_foreign(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    (void)scenario;
    return run(testbed, make_foreign, error);
}

static bool run_cut(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                    GError **error)
{
    (void)scenario;
    return run(testbed, make_cut, error);
}

static bool run_other(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    (void)scenario;
    return run(testbed, make_other, error);
}

/* A small window: the rest of RAM is zero and takes little room in the stream. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = workload->window_start + 64 * (uint64_t)workload->page_size;
}

GODWIT_SCENARIOS(conformance_streams) = {
    {
        .name = "conformance/streams/foreign",
        .summary = "incoming data that is no stream, or a stream of another version",
        .slow = true,
        .run = run_foreign,
        .prepare = prepare,
        .order = true,
    },
    {
        .name = "conformance/streams/cut",
        .summary = "incoming streams that end too early",
        .slow = true,
        .run = run_cut,
        .prepare = prepare,
        .order = true,
    },
    {
        .name = "conformance/streams/other-machine",
        .summary = "an incoming stream from another machine type, and from another RAM size",
        .slow = true,
        .run = run_other,
        .prepare = prepare,
        .order = true,
    },
};
GODWIT_SCENARIOS_END(conformance_streams);
