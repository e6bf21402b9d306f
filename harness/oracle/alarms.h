/*
 * What a QEMU reports about its machine, outside of its migration: alarms, and the guest's starts
 * and stops.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_ALARMS_H
#define GODWIT_HARNESS_ORACLE_ALARMS_H

#include "testbed/vm.h"

/*
 * Judges the events of all VMs of RIG. Fails with MIGRATION if one of them reported something that
 * no scenario provokes (a panic of the guest, a reset or shutdown that the guest asked for, an
 * error of memory or disk, a watchdog), or that its guest started while it ran or stopped while it
 * did not.
 */
bool godwit_alarms_judge(struct godwit_testbed *testbed, GError **error);

#endif
