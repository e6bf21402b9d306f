/*
 * A pattern in memory that the guest does not use: pages that the hand writes as a device would,
 * whose contents the harness knows, so that every byte of the range can be judged on each side.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_PATTERN_H
#define GODWIT_HARNESS_SCENARIO_PATTERN_H

#include "testbed/vm.h"

/* The pages of a pattern, and the size of each. */
#define GODWIT_PATTERN_PAGES 256u
#define GODWIT_PATTERN_PAGE  4096u

/* The generation of a page without contents, which is all zero. */
#define GODWIT_PATTERN_ZERO 0

/* A range of memory. Pages that are spread over it, its first and its last included, have contents;
 * all other bytes are zero. A new pattern has none but zeros. */
struct godwit_pattern {
    uint64_t address; /* guest-physical */
    uint64_t size;    /* in bytes: whole pages, GODWIT_PATTERN_PAGES at least */
    uint8_t generations[GODWIT_PATTERN_PAGES]; /* of what each page has */
};

/* Returns the guest-physical address of a page. */
uint64_t godwit_pattern_page(const struct godwit_pattern *pattern, unsigned page);

/* Writes a GENERATION to a page by the hand of VM (testbed->hand). Fails as
 * godwit_qtest_write_bytes() does. */
bool godwit_pattern_write(struct godwit_vm *vm, struct godwit_pattern *pattern, unsigned page,
                          uint8_t generation, GError **error);

/* Compares every byte of the range in VM with what it must be. WHAT completes "... of WHAT". Fails
 * with ORACLE if one differs, or with what reading memory fails with. */
bool godwit_pattern_judge(struct godwit_vm *vm, const struct godwit_pattern *pattern,
                          const char *what, GError **error);

#endif
