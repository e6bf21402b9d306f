/*
 * Calculations of the dirty rate, and their judgement, which dirty_rate_judge.c explains.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_DIRTY_RATE_H
#define GODWIT_HARNESS_SCENARIO_DIRTY_RATE_H

#include "testbed/vm.h"

/* QEMU may be told to sample as many pages of a GiB as this, one page in 16. */
#define GODWIT_SAMPLES_MOST 16384u

/* A calculation. */
struct godwit_calculation {
    const char *mode; /* NULL: QEMU's default, page-sampling */
    unsigned ms;      /* how long QEMU measures */
    bool fine;        /* pass that in milliseconds, not in seconds */
    unsigned samples; /* pages of each GiB; 0: QEMU's default */
    bool monitor;     /* ask by the human monitor */
    bool stopped;     /* the guest is stopped */
};

/* Begins a calculation. If a known bug ends QEMU, marks *ERROR for godwit_bug_of(). */
bool godwit_dirty_rate_begin(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error);

/* Sets *RATE to the result in MiB a second, or to -1 if there is none yet. */
bool godwit_dirty_rate_ask(struct godwit_vm *vm, json_int_t *rate, GError **error);

/* Waits for the result of a calculation that was begun, and fails with MIGRATION if it is more than
 * all RAM. */
bool godwit_dirty_rate_await(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error);

/* Calculates, and fails with MIGRATION unless the result is within its bounds. Repeats that until
 * they mean something, and fails with ENVIRONMENT if the host does not let them. */
bool godwit_dirty_rate_judge(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error);

#endif
