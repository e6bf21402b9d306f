/*
 * The workload's architecture in tests/unit/stamp.c: a machine that can be stopped at each of its
 * steps. See workload/workload.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_WORKLOAD_ARCH_H
#define GODWIT_TESTS_WORKLOAD_ARCH_H

#include <stdint.h>

/* One step: does not come back from the last one that the machine is given. */
void machine_step(void);
/* Steps on, and tells the time. */
uint64_t machine_timer(void);
/* One step for the lower half and one for the upper one, if the machine has halves. */
void machine_store(volatile uint64_t *at, uint64_t word);

static inline uint64_t arch_timer(void)
{
    return machine_timer();
}

static inline void arch_touch_stack(void)
{
    machine_step();
}

static inline void arch_publish(void)
{
    machine_step();
}

#define ARCH_STORE_WORD(at, word) machine_store(at, word)
enum { ARCH_UNROLL = 4 };

#endif
