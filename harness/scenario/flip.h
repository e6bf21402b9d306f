/*
 * The possible outcomes of one flipped bit in the state of a device.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_FLIP_H
#define GODWIT_HARNESS_SCENARIO_FLIP_H

#include <stdbool.h>

/* The outcome of a migration with one flipped bit in the state of a device. */
struct godwit_flip {
    bool refused;  /* the destination refused the stream, with a reason or an assertion */
    bool memory;   /* RAM differed before the guest ran; a device's state is not part of RAM */
    bool compared; /* the states that the destination would send on were compared with those sent */
    bool noticed;  /* an oracle noticed the flip: in a state, in the guest, or in its progress */
    bool went_on;  /* the guest continued, and its memory was checked afterwards */
};

/*
 * Returns what is wrong with the outcome, as a literal, or NULL if it is one of these:
 *
 * - the destination refused the stream;
 * - it loaded the stream, RAM is equal, and an oracle noticed the flip;
 * - it loaded the stream, RAM is equal, and nothing differs: all states that it would send on
 *     are those that were sent before the flip, and the guest continued with its memory in
 *     order. Then QEMU does not keep the flipped bit, because it means nothing or because QEMU
 *     recomputes it.
 */
const char *godwit_flip_problem(const struct godwit_flip *flip);

#endif
