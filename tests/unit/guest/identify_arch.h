/*
 * The identification registers of the machine in tests/unit/cpu_identity.c. See
 * workload/identify.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_IDENTIFY_ARCH_H
#define GODWIT_TESTS_IDENTIFY_ARCH_H

#include <stdint.h>

/* Returns the selector that follows, or 0. */
uint64_t machine_register_after(uint64_t selector);
/* Returns the register, and may write to the page SCRATCH. */
uint64_t machine_register(uint64_t selector, void *scratch);

static inline uint64_t arch_identify_next(uint64_t selector)
{
    return machine_register_after(selector);
}

static inline uint64_t arch_identify_read(uint64_t selector, void *scratch)
{
    return machine_register(selector, scratch);
}

#endif
