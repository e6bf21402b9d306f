/*
 * The trials of conformance_trials.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance_trials.h"

#include "base/file.h"
#include "bugs/bugs.h"
#include "oracle/oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM_MAGIC "QEVM"
/* More than the length of any stream here, in bytes. */
#define STREAM_MAX ((size_t)1 << 30)

/* How many destinations run at a time. */
enum { AT_ONCE = 4 };

struct godwit_trial *godwit_trials_splice(struct godwit_trials *trials, const char *name,
                                          size_t head, const void *bytes, size_t length,
                                          size_t tail)
{
    struct godwit_trial *trial = g_new0(struct godwit_trial, 1);
    trial->name = g_strdup(name);
    trial->head = head;
    trial->bytes = g_bytes_new(bytes, length);
    trial->tail = tail;
    trial->capabilities = trials->capabilities;
    g_ptr_array_add(trials->list, trial);
    return trial;
}

struct godwit_trial *godwit_trials_add(struct godwit_trials *trials, const char *name,
                                       const void *bytes, size_t length)
{
    return godwit_trials_splice(trials, name, 0, bytes, length, trials->length);
}

static void trial_free(gpointer data)
{
    struct godwit_trial *trial = data;
    g_free(trial->name);
    g_free(trial->arguments);
    g_bytes_unref(trial->bytes);
    g_free(trial);
}

/* Returns the path of the file with a VM's stream. The caller frees it. */
static char *stream_path(const struct godwit_vm *vm)
{
    g_autofree char *file = g_strconcat(vm->name, ".stream", NULL);
    return g_build_filename(vm->testbed->directory, file, NULL);
}

/* Writes the bytes to a file of the VM. Returns their address, which the caller frees. QEMU reads
 * the file by `file:` or, if it lacks that, from a descriptor. */
static char *pass(struct godwit_vm *vm, const void *bytes, size_t length, GError **error)
{
    g_autofree char *path = stream_path(vm), *file = g_path_get_basename(path);
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

static bool has_event(const struct godwit_vm *vm, const char *name, const char *state)
{
    return godwit_qmp_find_event(vm->qmp, vm->migration_first, name, state) != NULL;
}

/* A destination that may load the stream is paused: then it has no event RESUME. */
static bool has_ended(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->exited || has_event(vm, "RESUME", NULL) || has_event(vm, "MIGRATION", "completed");
}

/* Returns what is wrong with how the destination refused its stream, or NULL. SAID is its stderr.
 * The caller frees the result. */
static char *judge(const struct godwit_vm *vm, const char *said)
{
    g_autofree char *end = vm->exited ? godwit_vm_end(vm) : NULL;
    if (has_event(vm, "RESUME", NULL))
        return g_strdup("the destination ran its guest");
    if (vm->console->passes || vm->console->ready)
        return g_strdup("the destination's guest wrote to its console");
    if (!end)
        return g_strdup("the destination loaded the stream");
    if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) == 0)
        return g_strdup_printf("the destination %s", end);
    return *said ? NULL : g_strdup("the destination ended without a message");
}

/* Gives the destination its stream. */
static bool give(const struct godwit_trials *trials, struct godwit_trial *trial, GError **error)
{
    struct godwit_vm *vm = trial->vm;
    if (!godwit_vm_handshake(vm, error) ||
        !godwit_migrate_set_capabilities(vm, trial->capabilities, error) ||
        (trial->postcopy && !godwit_course_enable_postcopy(vm, error)))
        return false;
    g_autoptr(GByteArray) stream = g_byte_array_new();
    gsize length = 0;
    const guint8 *bytes = g_bytes_get_data(trial->bytes, &length);
    g_byte_array_append(stream, trials->stream, (guint)trial->head);
    g_byte_array_append(stream, bytes, (guint)length);
    g_byte_array_append(stream, trials->stream + trial->tail,
                        (guint)(trials->length - trial->tail));
    g_autofree char *uri = pass(vm, stream->data, stream->len, error);
    if (!uri)
        return false;
    g_autofree char *arguments = g_strdup_printf("{\"uri\":\"%s\"}", uri);
    vm->may_exit = true;
    vm->console->fault_provoked = true; /* judge() judges its console */
    vm->migration_first = vm->migration_leg = vm->qmp->events->len;
    return godwit_qmp_send_text(vm->qmp, "migrate-incoming", arguments, -1, error);
}

/* Compares RAM of a destination that loaded its stream. Sets *PROBLEM to what differs, or leaves it
 * NULL. The caller frees it. */
static bool compare(struct godwit_vm *source, struct godwit_vm *vm, char **problem, GError **error)
{
    struct godwit_reading reading = {0};
    g_autoptr(GError) cause = NULL;
    if (godwit_oracle_twin(source, vm, &reading, &cause))
        return true;
    if (cause->code != GODWIT_ERROR_ORACLE) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    *problem = g_strdup_printf("the destination loaded the stream, but %s", cause->message);
    return true;
}

static bool judge_trial(const struct godwit_trials *trials, struct godwit_trial *trial,
                        GError **error)
{
    struct godwit_vm *vm = trial->vm;
    g_autofree char *what =
        g_strdup_printf("a destination to end or to load its stream (%s)", trial->name);
    if (!godwit_testbed_wait(vm->testbed, has_ended, vm, what, error))
        return false;
    g_autofree char *all = godwit_vm_stderr(vm, 20), *problem = NULL;
    g_autofree char *refusal = godwit_vm_load_reason(vm);
    const char *reason = refusal;
    if (trial->end == GODWIT_TRIAL_REFUSES || (trial->end == GODWIT_TRIAL_EITHER && vm->exited)) {
        problem = judge(vm, all);
        if (!problem && !reason)
            problem = g_strdup("the destination ended without a message");
    } else if (vm->exited) {
        g_autofree char *end = godwit_vm_end(vm);
        problem = g_strdup_printf("the destination %s instead of loading the stream", end);
    } else {
        if (!compare(trials->source, vm, &problem, error))
            return false;
        reason = reason ? reason : "loaded";
    }
    godwit_testbed_check_answer(vm->testbed, trial->name, NULL, reason, problem);
    const struct godwit_bug *bug =
        problem && trial->what ? godwit_bug_explain(&(const struct godwit_symptom){
                                     .kind = GODWIT_SYMPTOM_STREAM, .vm = vm, .text = trial->what})
                               : NULL;
    if (bug)
        godwit_testbed_excuse_check(vm->testbed, bug->id);
    g_autofree char *path = stream_path(vm);
    (void)unlink(path);
    return vm->exited || godwit_vm_quit(vm, error);
}

/* Runs a few trials at a time: each is short, and spends most of its time starting QEMU. */
static bool run_trials(struct godwit_trials *trials, GError **error)
{
    for (guint first = 0; first < trials->list->len; first += AT_ONCE) {
        const guint end = MIN(first + AT_ONCE, trials->list->len);
        for (guint i = first; i < end; i++) {
            struct godwit_trial *trial = g_ptr_array_index(trials->list, i);
            g_autofree char *name = g_strdup_printf("destination-%u", i + 1);
            g_auto(GStrv) arguments =
                trial->arguments ? g_strsplit(trial->arguments, " ", -1) : NULL;
            trial->vm =
                godwit_vm_start(trials->testbed, name,
                                trial->end == GODWIT_TRIAL_REFUSES ? GODWIT_VM_DESTINATION
                                                                   : GODWIT_VM_DESTINATION_PAUSED,
                                (const char *const *)arguments, error);
            if (!trial->vm)
                return false;
        }
        for (guint i = first; i < end; i++)
            if (!give(trials, g_ptr_array_index(trials->list, i), error))
                return false;
        for (guint i = first; i < end; i++)
            if (!judge_trial(trials, g_ptr_array_index(trials->list, i), error))
                return false;
    }
    return true;
}

/* Makes a stopped source write its stream. */
static bool record(struct godwit_trials *trials, GError **error)
{
    struct godwit_testbed *testbed = trials->testbed;
    struct godwit_vm *source = trials->source = godwit_course_source(testbed, error);
    if (!source || !godwit_vm_command(source, "stop", NULL, error) ||
        !godwit_migrate_set_capabilities(source, trials->capabilities, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RECORD);
    const enum godwit_transport transport = godwit_qemu_has(source->qemu, "transport", "file")
                                                ? GODWIT_TRANSPORT_FILE
                                                : GODWIT_TRANSPORT_FD_FILE;
    g_autofree char *uri = godwit_migrate_file_address(source, transport, error);
    if (!uri || !godwit_migrate_start(source, uri, false, error) ||
        !godwit_migrate_wait(source, "completed", error))
        return false;
    trials->path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    trials->stream =
        (unsigned char *)godwit_file_read(trials->path, STREAM_MAX, &trials->length, error);
    if (!trials->stream)
        return false;
    if (trials->length > GODWIT_TRIALS_HEADER &&
        !memcmp(trials->stream, STREAM_MAGIC, strlen(STREAM_MAGIC)))
        return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source wrote %zu bytes, which are not a migration stream",
                       trials->length);
}

/* Ends the scenario: a destination must load the whole stream and equal the source. */
static bool take_whole(struct godwit_trials *trials, GError **error)
{
    struct godwit_testbed *testbed = trials->testbed;
    struct godwit_reading reading = {0};
    struct godwit_vm *destination = godwit_course_destination(testbed, "destination", true, error);
    if (!destination || !godwit_migrate_set_capabilities(destination, trials->capabilities, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *uri = pass(destination, trials->stream, trials->length, error);
    if (!uri || !godwit_migrate_incoming(destination, uri, false, error) ||
        !godwit_migrate_wait(destination, "completed", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    if (!godwit_oracle_twin(trials->source, destination, &reading, error) ||
        !godwit_vm_run(destination, error) || !godwit_course_see_it_run(destination, error))
        return false;
    return godwit_course_end(trials->source, destination, error);
}

bool godwit_trials_run(struct godwit_testbed *testbed, godwit_trials_make make,
                       const struct godwit_capability *capabilities, const void *data,
                       GError **error)
{
    struct godwit_trials trials = {
        .testbed = testbed,
        .capabilities = capabilities,
        .data = data,
        .list = g_ptr_array_new_with_free_func(trial_free),
    };
    bool good = record(&trials, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_CHECK);
    good = good && make(&trials, error) && run_trials(&trials, error) && take_whole(&trials, error);
    g_ptr_array_unref(trials.list);
    g_free(trials.stream);
    g_free(trials.path);
    return good;
}

void godwit_trials_prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = workload->window_start + 64 * (uint64_t)workload->page_size;
}
