/*
 * Postcopy: the guest runs on the destination while memory is still on its way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

GODWIT_SCENARIOS(postcopy) = {
    {
        .name = "postcopy/plain",
        .summary = "live, switched to postcopy when memory is proven dirty again",
        .qemu_name = "/migration/postcopy/plain",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX, .postcopy = true},
    },
};
GODWIT_SCENARIOS_END(postcopy);
