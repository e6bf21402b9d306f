/*
 * What was measured, for whoever writes the result. Only harness/run/ and unit tests include this
 * header, and tests/check/layers.t checks that: everything else only writes measurements
 * (godwit_testbed_measure()), and keeps values that it needs again in typed members.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_MEASURED_H
#define GODWIT_HARNESS_TESTBED_MEASURED_H

#include "testbed/testbed.h"

/* Returns the measurements as an object, with the checks, if there are any, in the array "checks".
 * Borrowed from the testbed. */
json_t *godwit_testbed_measured(struct godwit_testbed *testbed);

#endif
