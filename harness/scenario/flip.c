/*
 * Judges the outcome of one flipped bit in the state of a device: see flip.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/flip.h"

#include <stddef.h>

const char *godwit_flip_problem(const struct godwit_flip *flip)
{
    if (flip->refused)
        return NULL;
    if (flip->memory)
        return "RAM differs before the guest runs, although device state is not part of RAM";
    if (flip->noticed)
        return NULL;
    if (!flip->compared)
        return "nothing noticed it, and the devices' states were not compared";
    if (!flip->went_on)
        return "nothing noticed it, and the guest was not seen to run on";
    return NULL;
}
