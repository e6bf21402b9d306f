/*
 * The TPM of a VM. QEMU has the registers of a TPM, and leaves the chip behind them to another
 * process: swtpm. Each VM whose arguments ask for one gets a process of its own, with an empty
 * folder for its state: a destination's chip gets the source's state from QEMU's stream alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "base/contain.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* The descriptor of the connection in swtpm. */
enum { SWTPM_FD = 3 };

bool godwit_vm_add_tpm(struct godwit_vm *vm, GSubprocessLauncher *launcher, GError **error)
{
    if (!godwit_vm_has_argument(vm, GODWIT_SWTPM_CHARDEV))
        return true;
    g_autofree char *program = g_find_program_in_path("swtpm");
    if (!program)
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs swtpm, which emulates a TPM: install the package swtpm");
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no socket pair for %s: %s", vm->name,
                           g_strerror(errno));
    g_subprocess_launcher_take_fd(launcher, ends[1], GODWIT_SWTPM_FD);
    g_autoptr(GSubprocessLauncher) companion = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_subprocess_launcher_take_fd(companion, ends[0], SWTPM_FD);
    g_autofree char *folder = g_strdup_printf("%s/%s.tpm.XXXXXX", vm->testbed->directory, vm->name);
    if (!g_mkdtemp(folder))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make a folder in %s: %s",
                           vm->testbed->directory, g_strerror(errno));
    g_autofree char *log = godwit_vm_file(vm, ".swtpm");
    g_subprocess_launcher_set_stdin_file_path(companion, "/dev/null");
    g_subprocess_launcher_set_stdout_file_path(companion, log);
    g_subprocess_launcher_set_stderr_file_path(companion, log);
    g_autofree char *control = g_strdup_printf("type=unixio,clientfd=%d", SWTPM_FD);
    g_autofree char *state = g_strdup_printf("dir=%s", folder);
    g_autoptr(GError) cause = NULL;
    const char *const arguments[] = {program,      "socket", "--tpm2",      "--ctrl", control,
                                     "--tpmstate", state,    "--terminate", NULL};
    vm->tpm = godwit_contain_spawn(companion, arguments, NULL, NULL, NULL, &cause);
    return vm->tpm || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot start %s: %s", program,
                                  cause->message);
}

char *godwit_vm_tpm_by_hand(const struct godwit_vm *vm)
{
    if (!godwit_vm_has_argument(vm, GODWIT_SWTPM_CHARDEV))
        return NULL;
    return g_strdup_printf("mkdir -p %s.tpm && swtpm socket --tpm2 --terminate --ctrl "
                           "type=unixio,path=%s.tpm.sock --tpmstate dir=%s.tpm",
                           vm->name, vm->name, vm->name);
}

void godwit_vm_end_tpm(struct godwit_vm *vm)
{
    if (!vm->tpm)
        return;
    g_subprocess_force_exit(vm->tpm);
    g_subprocess_wait(vm->tpm, NULL, NULL);
    g_clear_object(&vm->tpm);
}
