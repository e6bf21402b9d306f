/*
 * The judgement of a source that loses its connections while it has its guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_YANK_H
#define GODWIT_HARNESS_SCENARIO_YANK_H

#include "scenario/held.h"

/* Fails unless both sides end a migration whose guest has not left the source: the source reports
 * the failure, and then no migration that could be yanked, and the destination ends with an error.
 * The guest must run on, and go to HELD's second destination as SPEC describes. The testbed must
 * have out-of-band commands. */
bool godwit_yank_judge_failed(struct godwit_held *held, const struct godwit_spec *spec,
                              GError **error);

/* Waits until a source whose migration has failed lists no migration any more that could be yanked:
 * before, it may refuse the next one. Sets *STUCK if a known bug keeps it from that for good. The
 * testbed must have out-of-band commands. */
bool godwit_yank_await_over(struct godwit_vm *source, bool *stuck, GError **error);

#endif
