/*
 * Collects the evidence of a result: the state of each VM, the timeline and the guest's parameters.
 *
 * It runs after a failure, when a QEMU may no longer answer. So it sends no QMP command: mailboxes
 * are read from outside, with the RAM blocks that are already known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/evidence.h"

#include "base/text.h"
#include "guest/image.h"
#include "memory/memory.h"
#include "run/core.h"
#include "testbed/vm.h"
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How long a worker may take after its deadline and the wait for dying QEMUs, in seconds. */
#define GRACE_SECONDS 20
/* The longest and the shortest that gdb may run, in seconds; what it leaves of the time until the
 * run gives this worker up; and the most of its output that is quoted, in bytes. */
#define GDB_SECONDS       60
#define GDB_SECONDS_LEAST 5
#define GDB_SECONDS_LEFT  5
#define BACKTRACE_MAX     16384

static json_t *mailbox_of(const struct godwit_mailbox *mailbox)
{
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "magic", (json_int_t)mailbox->magic, "state",
                  (json_int_t)mailbox->state, "passes", (json_int_t)mailbox->passes, "position",
                  (json_int_t)mailbox->position, "timer", (json_int_t)mailbox->timer);
    g_autofree char *found = godwit_guest_found(mailbox);
    if (found)
        json_object_set_new(object, "fault",
                            json_pack("{s:s, s:I, s:I, s:I}", "text", found, "address",
                                      (json_int_t)mailbox->fault_address, "expected",
                                      (json_int_t)mailbox->fault_expected, "found",
                                      (json_int_t)mailbox->fault_found));
    return object;
}

/* Returns the mailboxes of a VM, as far as they can be read without asking its QEMU. */
static json_t *mailboxes_of(struct godwit_vm *vm)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    json_t *list = json_array();
    for (unsigned cpu = 0; vm->blocks && !setup->theirs && cpu < setup->workload.cpus; cpu++) {
        unsigned char raw[GODWIT_MAILBOX_SIZE];
        const uint64_t gpa = setup->image->mailbox + cpu * (uint64_t)GODWIT_MAILBOX_STRIDE;
        uint64_t hva = 0;
        if (!godwit_memory_hva(vm, gpa, sizeof(raw), &hva, NULL) ||
            !godwit_memory_peek(vm, hva, raw, sizeof(raw)))
            break;
        const struct godwit_mailbox mailbox = godwit_guest_mailbox(raw, setup->machine->big_endian);
        json_array_append_new(list, mailbox_of(&mailbox));
    }
    return list;
}

double godwit_evidence_grace(double timeout_scale)
{
    return GODWIT_END_SECONDS * timeout_scale + GRACE_SECONDS;
}

/* Returns how long gdb may run from now on, in seconds. */
static gint64 gdb_seconds(const struct godwit_testbed *testbed)
{
    const gint64 rest = (testbed->deadline - g_get_monotonic_time()) / G_USEC_PER_SEC +
                        (gint64)godwit_evidence_grace(testbed->setup->timeout_scale);
    return CLAMP(rest - GDB_SECONDS_LEFT, GDB_SECONDS_LEAST, GDB_SECONDS);
}

/* Returns the backtrace that gdb prints for a core, or one line that says why there is none. The
 * caller frees it. */
static char *run_gdb(const struct godwit_vm *vm, const char *core)
{
    const char *exe = vm->exe ? vm->exe : vm->qemu->path;
    g_autofree char *limit = g_strdup_printf("%" G_GINT64_FORMAT, gdb_seconds(vm->testbed));
    const char *const argv[] = {"timeout",
                                limit,
                                "gdb",
                                "-nx",
                                "-batch",
                                "-iex",
                                "set auto-load off",
                                "-iex",
                                "set debuginfod enabled off",
                                "-ex",
                                "thread apply all backtrace 48",
                                exe,
                                core,
                                NULL};
    g_autofree char *out = NULL;
    g_autofree char *program = g_shell_quote(exe);
    /* The folder may be moved later, so name a core in it relative to it. */
    g_autofree char *name = g_path_get_basename(core);
    g_autofree char *file =
        g_shell_quote(g_str_has_prefix(core, vm->testbed->directory) ? name : core);
    g_autoptr(GError) error = NULL;
    int status = 0;
    if (!g_spawn_sync(vm->testbed->directory, (char **)(uintptr_t)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out, NULL,
                      &status, &error))
        return g_strdup_printf("none: cannot run gdb (%s); to inspect the core on a host with gdb: "
                               "gdb %s %s",
                               error->message, program, file);
    const char *from = strstr(out, "Core was generated");
    if (status || !from)
        return g_strdup_printf(
            "none: gdb could not read the core; to inspect it by hand: gdb %s %s", program, file);
    g_autofree char *head = g_strndup(from, BACKTRACE_MAX);
    return g_strchomp(godwit_text_utf8(head));
}

/* Returns the path of the core of a VM's process, which the caller frees, or NULL with ERROR
 * set. */
static char *core_of(const struct godwit_vm *vm, GError **error)
{
    g_autofree char *pattern = NULL;
    g_autofree char *uses_pid = NULL;
    if (!WCOREDUMP(vm->wait_status)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "the kernel wrote no core");
        return NULL;
    }
    if (!g_file_get_contents("/proc/sys/kernel/core_pattern", &pattern, NULL, NULL)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read /proc/sys/kernel/core_pattern");
        return NULL;
    }
    g_strchomp(pattern);
    const struct godwit_core core = {
        .pattern = pattern,
        .uses_pid = g_file_get_contents("/proc/sys/kernel/core_uses_pid", &uses_pid, NULL, NULL) &&
                    atoi(uses_pid) != 0,
        .folder = vm->testbed->directory,
        .program = vm->exe,
        .pid = vm->pid,
        .signal = WTERMSIG(vm->wait_status),
    };
    return godwit_core_find(&core, error);
}

/* Returns the backtrace of a QEMU that has crashed, or one line that says why there is none. The
 * caller frees it. Returns NULL if the QEMU has not crashed. */
static char *backtrace_of(const struct godwit_vm *vm)
{
    if (!vm->process || !vm->exited || vm->replaced || !WIFSIGNALED(vm->wait_status) ||
        WTERMSIG(vm->wait_status) == SIGKILL)
        return NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *core = core_of(vm, &error);
    return core ? run_gdb(vm, core) : g_strdup_printf("none: %s", error->message);
}

static json_t *vm_of(struct godwit_vm *vm)
{
    json_t *object = godwit_vm_describe(vm);
    g_autofree char *backtrace = backtrace_of(vm);
    if (backtrace)
        json_object_set_new(object, "backtrace", json_string(backtrace));
    if (vm->console)
        json_object_set_new(object, "mailboxes", mailboxes_of(vm));
    return object;
}

/* One entry of the timeline. */
struct moment {
    double at; /* seconds since the testbed's start */
    guint order;
    const char *vm; /* NULL: the harness */
    char *what;     /* owned */
};

static void moment_clear(gpointer data)
{
    struct moment *moment = data;
    g_free(moment->what);
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    const struct moment *one = a, *other = b;
    if (one->at != other->at)
        return one->at < other->at ? -1 : 1;
    return one->order < other->order ? -1 : 1;
}

static void add_moment(GArray *moments, double at, const char *vm, char *what)
{
    const struct moment moment = {at, moments->len, vm, what};
    g_array_append_val(moments, moment);
}

/* Returns an event as one line: its name and its data. The caller frees it. */
static char *words_of(const json_t *event)
{
    GString *words = g_string_new(godwit_json_string(event, "event", "?"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(event, "data"), key, value)
    {
        if (!strcmp(key, "status") && json_is_string(value)) {
            g_string_append_printf(words, " %s", json_string_value(value));
        } else {
            g_autofree char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            g_string_append_printf(words, " %s=%s", key, text);
        }
    }
    return g_string_free(words, FALSE);
}

/* QEMU stamps its events with the time of day, which is this host's for all VMs. */
static void add_events(GArray *moments, const struct godwit_vm *vm)
{
    for (guint i = 0; vm->qmp && i < vm->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(vm->qmp->events, i);
        const json_t *stamp = json_object_get(event, "timestamp");
        const gint64 time = godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
                            godwit_json_integer(stamp, "microseconds", 0);
        add_moment(moments, stamp ? (double)(time - vm->testbed->began_at) / 1e6 : 0, vm->name,
                   words_of(event));
    }
}

static json_t *timeline_of(const struct godwit_testbed *testbed)
{
    g_autoptr(GArray) moments = g_array_new(FALSE, FALSE, sizeof(struct moment));
    g_array_set_clear_func(moments, moment_clear);
    for (guint i = 0; i < testbed->phases->len; i++) {
        const struct godwit_phase_time *time =
            &g_array_index(testbed->phases, struct godwit_phase_time, i);
        add_moment(moments, time->at / 1000, NULL,
                   g_strdup_printf("phase \"%s\"", godwit_phase_name(time->phase)));
    }
    if (testbed->phase)
        add_moment(moments, (double)(testbed->phase_began - testbed->began) / 1e6, NULL,
                   g_strdup_printf("phase \"%s\"", godwit_phase_name(testbed->phase)));
    for (guint i = 0; i < testbed->vms->len; i++)
        add_events(moments, g_ptr_array_index(testbed->vms, i));
    g_array_sort(moments, by_time);
    json_t *timeline = json_array();
    for (guint i = 0; i < moments->len; i++) {
        const struct moment *moment = &g_array_index(moments, struct moment, i);
        json_array_append_new(timeline,
                              json_pack("{s:f, s:s, s:s}", "at", moment->at, "vm",
                                        moment->vm ? moment->vm : "godwit", "what", moment->what));
    }
    return timeline;
}

/* Sources come first: a reader looks for them first. */
static json_t *vms_of(const struct godwit_testbed *testbed)
{
    json_t *vms = json_array();
    for (int sources = 1; sources >= 0; sources--)
        for (guint i = 0; i < testbed->vms->len; i++) {
            struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
            if (vm->source == (sources == 1))
                json_array_append_new(vms, vm_of(vm));
        }
    return vms;
}

/* Adds the machine type of a VM that runs no guest, in place of the one that the result names. */
static void add_board(const struct godwit_testbed *testbed, json_t *result)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        for (guint a = 0; vm->board && a + 1 < vm->arguments->len; a++) {
            const char *type = g_ptr_array_index(vm->arguments, a + 1);
            if (!g_strcmp0(g_ptr_array_index(vm->arguments, a), "-machine"))
                json_object_set_new(result, "board", json_stringn(type, strcspn(type, ",")));
        }
    }
}

/* Returns true if a VM runs the guest. */
static bool has_guest(const struct godwit_testbed *testbed)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->console)
            return true;
    }
    return false;
}

void godwit_evidence_add(struct godwit_testbed *testbed, json_t *result)
{
    const struct godwit_workload *workload = &testbed->setup->workload;
    json_object_set_new(result, "vms", vms_of(testbed));
    json_object_set_new(result, "timeline", timeline_of(testbed));
    add_board(testbed, result);
    if (!has_guest(testbed))
        return;
    json_object_set_new(result, "guest",
                        json_pack("{s:I, s:I, s:I, s:I, s:i, s:I, s:I, s:i}", "window_start",
                                  (json_int_t)workload->window_start, "window_end",
                                  (json_int_t)workload->window_end, "page_size",
                                  (json_int_t)workload->page_size, "page_ticks",
                                  (json_int_t)workload->page_ticks, "cpus", (int)workload->cpus,
                                  "flags", (json_int_t)workload->flags, "mailbox",
                                  (json_int_t)testbed->setup->image->mailbox, "memory_mib",
                                  (int)testbed->setup->memory_mib));
}
