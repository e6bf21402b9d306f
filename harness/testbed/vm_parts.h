/*
 * Shared by vm.c, vm_talk.c, vm_monitor.c, vm_hand.c, vm_tpm.c and vm_report.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_VM_PARTS_H
#define GODWIT_HARNESS_TESTBED_VM_PARTS_H

#include "testbed/vm.h"

/* The character devices of QMP, console and qtest, on the descriptors that the QEMU inherits. */
#define GODWIT_QMP_CHARDEV     "socket,id=qmp,fd=3"
#define GODWIT_CONSOLE_CHARDEV "socket,id=console,fd=4"
#define GODWIT_QTEST_CHARDEV   "socket,id=qtest,fd=5"

/* Returns the path of the VM's file with that suffix (".qmp") in the testbed's records. The caller
 * frees it. */
char *godwit_vm_file(const struct godwit_vm *vm, const char *suffix);

/* Creates vm->qtest over FD (taken). */
void godwit_vm_open_hand(struct godwit_vm *vm, int fd);

/* Starts a TPM and passes the connection on if the VM's arguments have GODWIT_SWTPM_CHARDEV. Fails
 * with SKIP if the host has no swtpm. */
bool godwit_vm_add_tpm(struct godwit_vm *vm, GSubprocessLauncher *launcher, GError **error);

/* Returns the shell's command that is such a TPM, at the socket NAME.tpm.sock, or NULL if the VM
 * has none. The caller frees it. */
char *godwit_vm_tpm_by_hand(const struct godwit_vm *vm);

/* Ends the TPM, if there is one. QEMU has ended before. */
void godwit_vm_end_tpm(struct godwit_vm *vm);

/* Returns whether the human monitor gets COMMAND with ARGUMENTS, which may be NULL: the testbed
 * wants that, and there are lines for it. If so, takes ARGUMENTS, runs the lines, and sets *OBEYED
 * to whether all were obeyed, and ERROR if not. */
bool godwit_vm_by_line(struct godwit_vm *vm, const char *command, json_t *arguments, bool *obeyed,
                       GError **error);

/* Checks that the VM's CPU reaches the guest's window. Fails with SKIP if it does not. */
bool godwit_vm_reaches_window(struct godwit_vm *vm, GError **error);

/* Returns the error code for the end of the VM's process: CRASH, or ENVIRONMENT if it exceeded a
 * limit of the host. */
enum godwit_error godwit_vm_end_code(const struct godwit_vm *vm);

#endif
