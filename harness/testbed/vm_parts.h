/*
 * What vm.c, vm_talk.c and vm_report.c share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_VM_PARTS_H
#define GODWIT_HARNESS_TESTBED_VM_PARTS_H

#include "testbed/vm.h"

/* The character devices of QMP and console on a command line: descriptors that the QEMU inherits.
 */
#define GODWIT_QMP_CHARDEV     "socket,id=qmp,fd=3"
#define GODWIT_CONSOLE_CHARDEV "socket,id=console,fd=4"

/* Returns the path of the VM's own file with that suffix (".qmp") among the testbed's records. The
 * caller frees it. */
char *godwit_vm_file(const struct godwit_vm *vm, const char *suffix);

/* Returns the code of the error that the end of the VM's process is: CRASH, or ENVIRONMENT if the
 * process exceeded a limit of the host. */
enum godwit_error godwit_vm_end_code(const struct godwit_vm *vm);

#endif
