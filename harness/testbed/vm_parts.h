/*
 * Shared by vm.c, vm_talk.c and vm_report.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_VM_PARTS_H
#define GODWIT_HARNESS_TESTBED_VM_PARTS_H

#include "testbed/vm.h"

/* The character devices of QMP and console, on the descriptors that the QEMU inherits. */
#define GODWIT_QMP_CHARDEV     "socket,id=qmp,fd=3"
#define GODWIT_CONSOLE_CHARDEV "socket,id=console,fd=4"

/* Returns the path of the VM's file with that suffix (".qmp") in the testbed's records. The caller
 * frees it. */
char *godwit_vm_file(const struct godwit_vm *vm, const char *suffix);

/* Returns the error code for the end of the VM's process: CRASH, or ENVIRONMENT if it exceeded a
 * limit of the host. */
enum godwit_error godwit_vm_end_code(const struct godwit_vm *vm);

#endif
