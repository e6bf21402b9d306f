/*
 * Alarms: events in which QEMU reports trouble with its machine, and the order of its guest's
 * starts and stops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_ALARMS_H
#define GODWIT_HARNESS_ORACLE_ALARMS_H

#include "testbed/vm.h"

/* Returns the VM's first alarm: an event that no sound guest causes, or a reset or shutdown that
 * the guest asked for. Returns NULL if there is none. Borrowed. */
const json_t *godwit_alarms_first(const struct godwit_vm *vm);

/*
 * Judges the events of all VMs of TESTBED. Fails with MIGRATION if a VM reported something that no
 * scenario provokes (a guest panic, a reset or shutdown that the guest asked for, a memory or disk
 * error, a watchdog), or a start of a running guest, or a stop of a stopped one.
 * Ignores what a VM with `alarms_judged` reports of its machine, but not its starts and stops.
 */
bool godwit_alarms_judge(struct godwit_testbed *testbed, GError **error);

#endif
