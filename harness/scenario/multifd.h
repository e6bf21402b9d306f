/*
 * What scenarios of multifd share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_MULTIFD_H
#define GODWIT_HARNESS_SCENARIO_MULTIFD_H

#include "scenario/scenario.h"

/* Turns multifd and postcopy on, and sets *BOTH to whether the VM accepts that. If not, it must
 * name both in its refusal and leave both off. Fails if anything else happens. */
bool godwit_multifd_ask_postcopy(struct godwit_vm *vm, bool *both, GError **error);

/* Turns multifd and postcopy on, on both sides. Fails with SKIP if a QEMU refuses that, or if the
 * known bug of the combination would hide what becomes of it: multifd/tcp/postcopy and
 * multifd/postcopy/held show that bug. */
bool godwit_multifd_accept_postcopy(struct godwit_vm *source, struct godwit_vm *destination,
                                    GError **error);

/* Does what godwit_course_move() does, for a spec with both. A known bug may keep the migration
 * from its end; the failure names it then. */
bool godwit_multifd_move_postcopy(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                                  struct godwit_vm *source, struct godwit_vm *destination,
                                  GError **error);

/* Waits until a multifd migration that was cancelled is over. Sets *STUCK if a known bug keeps it
 * from that for good. Fails with TIMEOUT if it takes too long otherwise. */
bool godwit_multifd_await_cancelled(struct godwit_vm *source, bool *stuck, GError **error);

#endif
