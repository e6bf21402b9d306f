/*
 * Talks to a VM: QMP commands and their answers, the console, the start and end of the QEMU. Every
 * wait runs the main loop in godwit_testbed_wait(), which also ends when a VM dies.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "base/file.h"
#include "base/text.h"
#include "godwit/guest_abi.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_greeting(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->greeting != NULL;
}

/* Returns the VM of the testbed that failed to start, or NULL. It may be a different VM from the
 * one whose greeting is awaited. */
static const struct godwit_vm *without_start(const struct godwit_testbed *testbed)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->qmp && !vm->answers && (vm->exited || vm->qmp->failure))
            return vm;
    }
    return NULL;
}

/* Leaves negotiation mode. */
static bool negotiate(struct godwit_vm *vm, GError **error)
{
    const bool oob = vm->testbed->oob && godwit_qmp_offers_oob(vm->qmp);
    if (!godwit_vm_command(vm, "qmp_capabilities",
                           oob ? json_pack("{s:[s]}", "enable", "oob") : NULL, error))
        return false;
    vm->qmp->oob = oob;
    return true;
}

/* Returns until when a QEMU may take to answer for the first time. */
static gint64 start_deadline(const struct godwit_testbed *testbed)
{
    const double scale = MAX(testbed->setup->timeout_scale, 1);
    const gint64 whole = (gint64)(GODWIT_START_SECONDS * scale * (double)G_USEC_PER_SEC);
    return MIN(testbed->deadline, g_get_monotonic_time() + whole);
}

bool godwit_vm_handshake(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = start_deadline(vm->testbed);
    /* Some QEMUs greet before they create their machine. */
    if (godwit_testbed_wait_until(vm->testbed, deadline, has_greeting, vm, "the QMP greeting",
                                  &cause) &&
        negotiate(vm, &cause)) {
        g_autofree char *link = g_strdup_printf("/proc/%d/exe", (int)vm->pid);
        vm->exe = g_file_read_link(link, NULL);
        vm->answers = true;
        return true;
    }

    const struct godwit_vm *bad = without_start(vm->testbed);
    if (cause->code == GODWIT_ERROR_TIMEOUT) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s did not answer on QMP (%s)",
                    vm->qemu->path, cause->message);
    } else if (cause->code == GODWIT_ERROR_INTERRUPTED || !bad) {
        /* Not a failure to start, but for example a guest that is already wrong. */
        g_propagate_error(error, g_steal_pointer(&cause));
    } else if (bad->exited) {
        g_autofree char *end = godwit_vm_end(bad);
        g_autofree char *said = godwit_vm_reason(bad);
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "%s %s before it answered on QMP, saying %s%s%s", bad->qemu->path, end,
                    *said ? "\"" : "nothing", said, *said ? "\"" : "");
    } else {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s %s", bad->qemu->path,
                    bad->qmp->failure);
    }
    return false;
}

static bool has_restarted(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->restarted;
}

bool godwit_vm_inherit(struct godwit_vm *heir, struct godwit_vm *vm, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("the QMP greeting of the QEMU that the %s executes", vm->name);
    const gint64 deadline = start_deadline(vm->testbed);
    vm->qmp->may_restart = true;
    if (!godwit_testbed_wait_until(vm->testbed, deadline, has_restarted, vm, what, error))
        return false;
    g_autofree char *transcript = godwit_vm_file(heir, ".qmp");
    heir->qmp = godwit_qmp_successor(vm->qmp, transcript, error);
    if (!heir->qmp)
        return false;
    g_ptr_array_add(heir->arguments, NULL);
    heir->console = g_steal_pointer(&vm->console);
    heir->process = g_object_ref(vm->process);
    heir->errors = g_steal_pointer(&vm->errors);
    heir->pid = vm->pid;
    heir->exe = g_strdup(vm->exe);
    g_cancellable_cancel(vm->cancel);
    vm->exited = vm->may_exit = vm->replaced = true;
    godwit_vm_watch(heir);
    godwit_qmp_note(heir->qmp, "QEMU replaced itself by exec");
    heir->answers = godwit_vm_command(heir, "qmp_capabilities", NULL, error);
    return heir->answers;
}

/* Returns true with the reply, and also if a VM that may exit has ended without one. */
static bool has_reply(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->reply || (vm->exited && vm->qmp->source == 0);
}

json_t *godwit_vm_execute(struct godwit_vm *vm, const char *command, json_t *arguments,
                          GError **error)
{
    return godwit_vm_execute_fd(vm, command, arguments, -1, error);
}

/* Waits for the answer to COMMAND. SENT is false if it could not be sent. */
static json_t *await_reply(struct godwit_vm *vm, const char *command, bool sent, GError **error)
{
    if (!sent) {
        /* The way in which the process ended explains more than a broken pipe. */
        g_autoptr(GError) cause = NULL;
        if (!godwit_testbed_survives(vm->testbed, &cause)) {
            g_clear_error(error);
            g_propagate_error(error, g_steal_pointer(&cause));
        }
        godwit_error_context(error, "sending %s to the %s", command, vm->name);
        return NULL;
    }
    g_autofree char *what = g_strdup_printf("the %s's answer to %s", vm->name, command);
    if (!godwit_testbed_wait(vm->testbed, has_reply, vm, what, error)) {
        godwit_qmp_give_up(vm->qmp);
        return NULL;
    }
    if (!vm->qmp->reply) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        g_set_error(error, GODWIT_ERROR, godwit_vm_end_code(vm),
                    "the %s's QEMU %s instead of answering %s, saying \"%s\"", vm->name, end,
                    command, said);
        return NULL;
    }
    return g_steal_pointer(&vm->qmp->reply);
}

json_t *godwit_vm_ask(struct godwit_vm *vm, const char *command, const char *arguments,
                      GError **error)
{
    const bool sent = godwit_qmp_send_text(vm->qmp, command, arguments, -1, error);
    return await_reply(vm, command, sent, error);
}

/* Waits for the answer to COMMAND and returns its value, which the caller unreferences, or NULL
 * with ERROR set if QEMU refuses. SENT is false if it could not be sent. */
static json_t *take_value(struct godwit_vm *vm, const char *command, bool sent, GError **error)
{
    g_autoptr(json_t) reply = await_reply(vm, command, sent, error);
    if (!reply)
        return NULL;
    json_t *value = json_object_get(reply, "return");
    if (value)
        return json_incref(value);
    const json_t *refusal = json_object_get(reply, "error");
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP, "the %s refused %s: %s (%s)", vm->name,
                command, godwit_json_string(refusal, "desc", "no reason given"),
                godwit_json_string(refusal, "class", "no class"));
    return NULL;
}

json_t *godwit_vm_execute_fd(struct godwit_vm *vm, const char *command, json_t *arguments, int fd,
                             GError **error)
{
    return take_value(vm, command, godwit_qmp_send_fd(vm->qmp, command, arguments, fd, error),
                      error);
}

json_t *godwit_vm_execute_oob(struct godwit_vm *vm, const char *command, json_t *arguments,
                              GError **error)
{
    return take_value(vm, command, godwit_qmp_send_oob(vm->qmp, command, arguments, error), error);
}

bool godwit_vm_command_oob(struct godwit_vm *vm, const char *command, json_t *arguments,
                           GError **error)
{
    bool obeyed;
    if (godwit_vm_by_line(vm, command, arguments, &obeyed, error))
        return obeyed;
    g_autoptr(json_t) value = godwit_vm_execute_oob(vm, command, arguments, error);
    return value != NULL;
}

bool godwit_vm_command(struct godwit_vm *vm, const char *command, json_t *arguments, GError **error)
{
    bool obeyed;
    if (godwit_vm_by_line(vm, command, arguments, &obeyed, error))
        return obeyed;
    g_autoptr(json_t) value = godwit_vm_execute(vm, command, arguments, error);
    return value != NULL;
}

bool godwit_vm_run(struct godwit_vm *vm, GError **error)
{
    if (!godwit_testbed_take_turn(vm->testbed, error) ||
        (vm->source && !godwit_vm_reaches_window(vm, error)))
        return false;
    /* The time for which the guest was stopped must not count as an interval. */
    vm->console->last = 0;
    return godwit_vm_command(vm, "cont", NULL, error);
}

char *godwit_vm_monitor(struct godwit_vm *vm, const char *line, GError **error)
{
    g_autoptr(json_t) value = godwit_vm_execute(vm, "human-monitor-command",
                                                json_pack("{s:s}", "command-line", line), error);
    if (!value)
        return NULL;
    return g_strdup(json_is_string(value) ? json_string_value(value) : "");
}

char *godwit_vm_status(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) value = godwit_vm_execute(vm, "query-status", NULL, error);
    return value ? g_strdup(godwit_json_string(value, "status", "unknown")) : NULL;
}

bool godwit_vm_quit(struct godwit_vm *vm, GError **error)
{
    g_autofree char *what = g_strdup_printf("the %s's QEMU to quit", vm->name);
    g_autoptr(GError) unsent = NULL;
    vm->may_exit = true;
    if (!vm->exited && !godwit_qmp_send(vm->qmp, "quit", NULL, &unsent) &&
        unsent->code != GODWIT_ERROR_CRASH) {
        g_propagate_error(error, g_steal_pointer(&unsent));
        return false;
    }
    if (!godwit_testbed_wait(vm->testbed, godwit_vm_has_ended, vm, what, error))
        return false;
    if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) != 0) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        g_set_error(error, GODWIT_ERROR, godwit_vm_end_code(vm),
                    "the %s's QEMU %s when asked to quit, saying \"%s\"", vm->name, end, said);
        return false;
    }
    return true;
}

struct console_goal {
    const struct godwit_console *console;
    unsigned ready;
    guint64 passes;
};

static bool console_reached(gpointer data)
{
    const struct console_goal *goal = data;
    return goal->console->ready >= goal->ready && goal->console->passes >= goal->passes;
}

bool godwit_vm_wait_console(struct godwit_vm *vm, unsigned ready, guint64 passes, GError **error)
{
    struct console_goal goal = {vm->console, ready, passes};
    const gint64 began = g_get_monotonic_time();
    g_autoptr(GError) cause = NULL;
    g_autofree char *what =
        g_strdup_printf("'%s' on the %s's console", passes ? "B" : "A", vm->name);
    if (godwit_testbed_wait(vm->testbed, console_reached, &goal, what, &cause))
        return true;
    if (cause->code != GODWIT_ERROR_TIMEOUT) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    g_autofree char *late = g_strdup_printf("%s (so far: \"%s\")", what, vm->console->tail->str);
    godwit_testbed_timed_out(vm->testbed, g_get_monotonic_time() - began, late, error);
    return false;
}

struct event_goal {
    const struct godwit_qmp *qmp;
    guint next;
    const char *name;
    const char *status;
    const json_t *found;
};

static bool event_came(gpointer data)
{
    struct event_goal *goal = data;
    goal->found = godwit_qmp_find_event(goal->qmp, goal->next, goal->name, goal->status);
    goal->next = goal->qmp->events->len;
    return goal->found != NULL;
}

const json_t *godwit_vm_wait_event(struct godwit_vm *vm, guint first, const char *name,
                                   const char *status, GError **error)
{
    struct event_goal goal = {vm->qmp, first, name, status, NULL};
    g_autofree char *what = g_strdup_printf("the %s's event %s%s%s", vm->name, name,
                                            status ? " " : "", status ? status : "");
    return godwit_testbed_wait(vm->testbed, event_came, &goal, what, error) ? goal.found : NULL;
}

bool godwit_vm_has_argument(const struct godwit_vm *vm, const char *argument)
{
    for (guint i = 0; vm->arguments && i < vm->arguments->len; i++)
        if (!g_strcmp0(g_ptr_array_index(vm->arguments, i), argument))
            return true;
    return false;
}

bool godwit_vm_send_folder(struct godwit_vm *vm, const char *name, GError **error)
{
    if (!vm->remote)
        return true;
    g_autofree char *folder = g_build_filename(vm->testbed->directory, name, NULL);
    g_autoptr(GDir) files = g_dir_open(folder, 0, error);
    for (const char *file; files && (file = g_dir_read_name(files));) {
        g_autofree char *path = g_build_filename(folder, file, NULL);
        g_autofree char *inside = g_build_filename(name, file, NULL);
        size_t size = 0;
        g_autofree char *bytes = godwit_file_read(path, GODWIT_REMOTE_READ_MAX, &size, error);
        if (!bytes)
            return false;
        if (!godwit_remote_put(vm->remote, inside, bytes, size))
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot send %s to the %s: %s",
                               inside, vm->name, g_strerror(errno));
    }
    return files != NULL;
}
