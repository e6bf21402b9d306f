/*
 * The choice of accelerator, by measurement: a /dev/kvm that works may still be far slower than
 * TCG.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_ACCEL_H
#define GODWIT_HARNESS_TESTBED_ACCEL_H

#include "testbed/testbed.h"

/*
 * Starts the setup's guest under TCG and, where the host could run it, under KVM, and gives the
 * name of the accelerator that makes its first passes sooner (a literal). Why is put into *REASON,
 * the caller's. The testbed's files go into DIRECTORY. NULL with ERROR set if the guest runs under
 * neither.
 */
const char *godwit_accel_choose(const struct godwit_setup *setup, const char *directory,
                                bool *interrupted, char **reason, GError **error);

#endif
