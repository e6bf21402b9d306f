/*
 * Chooses the accelerator by measurement: a working /dev/kvm may still be far slower than TCG.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_ACCEL_H
#define GODWIT_HARNESS_TESTBED_ACCEL_H

#include "testbed/testbed.h"

/*
 * Starts the setup's guest under TCG and, if the host supports it, under KVM. Returns the
 * accelerator under which the guest makes its first passes sooner, a literal. *REASON explains the
 * choice; the caller frees it. Files go into DIRECTORY. Returns NULL with ERROR set if the guest
 * runs under neither, or not in time under TCG.
 */
const char *godwit_accel_choose(const struct godwit_setup *setup, const char *directory,
                                bool *interrupted, char **reason, GError **error);

#endif
