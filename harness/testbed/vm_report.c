/*
 * Describes VMs for reports: the ends of their logs, how a process ended, whether it is healthy,
 * and the command line that starts the same QEMU by hand.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "base/shell.h"
#include "base/text.h"
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* The longest line that a report quotes in full, in bytes: some answers on QMP have many KiB. */
#define QUOTED_MAX 800

/* Returns TEXT with the middle of each long line cut out. The caller frees it. */
static char *shorten_lines(const char *text)
{
    GString *shorter = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const size_t length = strlen(lines[i]);
        if (i)
            g_string_append_c(shorter, '\n');
        if (length <= QUOTED_MAX)
            g_string_append(shorter, lines[i]);
        else
            g_string_append_printf(shorter, "%.*s [%zu bytes] %s", QUOTED_MAX / 2, lines[i],
                                   length - QUOTED_MAX, lines[i] + length - QUOTED_MAX / 2);
    }
    return g_string_free(shorter, FALSE);
}

/* Returns the last LINES lines of the log, "" if LOG is NULL. The caller frees it. */
static char *tail_of(const struct godwit_log *log, unsigned lines)
{
    if (!log)
        return g_strdup("");
    char *text = godwit_log_text(log);
    g_strchomp(text);
    g_autofree char *shorter = shorten_lines(godwit_text_last_lines(text, lines));
    g_free(text);
    return godwit_text_utf8(shorter);
}

char *godwit_vm_stderr(const struct godwit_vm *vm, unsigned lines)
{
    if (!vm->errors)
        return g_strdup("");
    godwit_drain_now(vm->errors);
    return tail_of(vm->errors->log, lines);
}

/* The number of last lines of standard error in which to look for the reason. */
#define REASON_LINES 20

char *godwit_vm_reason(const struct godwit_vm *vm)
{
    g_autofree char *lines = godwit_vm_stderr(vm, REASON_LINES);
    char *reason = godwit_text_reason(lines);
    return reason ? reason : g_strdup("");
}

char *godwit_vm_load_reason(const struct godwit_vm *vm)
{
    g_autofree char *reason = godwit_vm_reason(vm);
    const char *colon = strstr(reason, ": ");
    return !*reason || strstr(reason, "warning:") ? NULL : g_strdup(colon ? colon + 2 : reason);
}

/* Returns whether the process was killed for exceeding the limit on file size. */
static bool met_limit(const struct godwit_vm *vm)
{
    return WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == SIGXFSZ;
}

enum godwit_error godwit_vm_end_code(const struct godwit_vm *vm)
{
    return met_limit(vm) ? GODWIT_ERROR_ENVIRONMENT : GODWIT_ERROR_CRASH;
}

char *godwit_vm_end(const struct godwit_vm *vm)
{
    if (met_limit(vm))
        return g_strdup_printf("was killed by signal %d (it wrote a file larger than `ulimit -f` "
                               "allows)",
                               SIGXFSZ);
    if (WIFSIGNALED(vm->wait_status))
        return g_strdup_printf("was killed by signal %d (%s)", WTERMSIG(vm->wait_status),
                               g_strsignal(WTERMSIG(vm->wait_status)));
    return g_strdup_printf("exited with status %d", WEXITSTATUS(vm->wait_status));
}

bool godwit_vm_healthy(struct godwit_vm *vm, GError **error)
{
    if (vm->qmp && vm->qmp->failure) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP, "%s %s", vm->name, vm->qmp->failure);
        return false;
    }
    if (vm->errors && vm->errors->flooded) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "the %s's QEMU floods its standard error: it wrote more than %" PRIu64 " MiB",
                    vm->name, vm->errors->most >> 20);
        return false;
    }
    if (vm->exited && !vm->may_exit) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        return godwit_fail(error, godwit_vm_end_code(vm), "the %s's QEMU %s, saying \"%s\"",
                           vm->name, end, said);
    }
    if (vm->console && vm->console->failure) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE, "%s: %s", vm->name,
                    vm->console->failure);
        return false;
    }
    if (vm->console && vm->console->guest_fault && !vm->console->fault_provoked) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE, "%s: the guest reports a fault",
                    vm->name);
        return false;
    }
    return true;
}

/* Returns the command line with QMP, CONSOLE and a socket for qtest, values of -chardev, in place
 * of Godwit's sockets. The caller frees it. */
static char *command_line(const struct godwit_vm *vm, const char *qmp, const char *console)
{
    g_autofree char *qtest =
        g_strdup_printf("socket,id=qtest,path=%s.qtest.sock,server=on,wait=off", vm->name);
    g_autofree char *tpm = g_strdup_printf("socket,id=swtpm,path=%s.tpm.sock", vm->name);
    GString *line = g_string_new(NULL);
    for (guint i = 0; i < vm->arguments->len && g_ptr_array_index(vm->arguments, i); i++) {
        const char *argument = g_ptr_array_index(vm->arguments, i);
        if (!strcmp(argument, GODWIT_QMP_CHARDEV))
            argument = qmp;
        else if (!strcmp(argument, GODWIT_CONSOLE_CHARDEV))
            argument = console;
        else if (!strcmp(argument, GODWIT_QTEST_CHARDEV))
            argument = qtest;
        else if (!strcmp(argument, GODWIT_SWTPM_CHARDEV))
            argument = tpm;
        g_autofree char *word = godwit_shell_word(argument);
        g_string_append_printf(line, "%s%s", i ? " " : "", word);
    }
    return g_string_free(line, FALSE);
}

/* Returns the command line for a person: with QMP and console within reach, and without the -S of a
 * source. The caller frees it. */
static char *by_hand(const struct godwit_vm *vm)
{
    g_autofree char *qmp =
        g_strdup_printf("socket,id=qmp,path=%s.qmp.sock,server=on,wait=off", vm->name);
    g_autofree char *line = command_line(vm, qmp, "stdio,id=console");
    char *paused = godwit_vm_has_argument(vm, "-incoming") ? NULL : strstr(line, " -S ");
    if (paused)
        memmove(paused, paused + strlen(" -S"), strlen(paused + strlen(" -S")) + 1);
    return g_steal_pointer(&line);
}

/* Returns the arguments, without the binary, for a script that speaks QMP on standard input and
 * output. The caller frees them. */
static char *by_script(const struct godwit_vm *vm)
{
    g_autofree char *console = g_strdup_printf("file,id=console,path=%s.serial", vm->name);
    g_autofree char *line = command_line(vm, "stdio,id=qmp,signal=off", console);
    g_autofree char *binary = godwit_shell_word(vm->qemu->path);
    return g_strdup(g_str_has_prefix(line, binary) ? line + strlen(binary) : line);
}

json_t *godwit_vm_describe(const struct godwit_vm *vm)
{
    g_autofree char *command = by_hand(vm);
    g_autofree char *replay = by_script(vm);
    g_autofree char *tpm = godwit_vm_tpm_by_hand(vm);
    g_autofree char *err = godwit_vm_stderr(vm, 8);
    g_autofree char *qmp = tail_of(vm->qmp ? vm->qmp->transcript : NULL, 8);
    g_autofree char *state = !vm->process   ? g_strdup("never started")
                             : !vm->exited  ? g_strdup("was running")
                             : vm->replaced ? g_strdup("had replaced itself by exec")
                                            : godwit_vm_end(vm);
    const double began = vm->qmp ? (double)(vm->qmp->began - vm->testbed->began) / 1e6 : 0;
    json_t *described =
        json_pack("{s:s, s:s, s:s, s:s*, s:s, s:f, s:s, s:s, s:s*, s:s, s:s, s:s}", "name",
                  vm->name, "qemu", vm->qemu->path, "version",
                  vm->qemu->version ? vm->qemu->version : "unknown", "package", vm->qemu->package,
                  "state", state, "began", began, "command", command, "replay", replay, "tpm", tpm,
                  "stderr", err, "console", vm->console ? vm->console->tail->str : "", "qmp", qmp);
    if (vm->exited && !vm->replaced && WIFSIGNALED(vm->wait_status))
        json_object_set_new(described, "signal", json_integer(WTERMSIG(vm->wait_status)));
    return described;
}
