/*
 * Compares each CPU's passes and timer before and after a migration. course/ calls it when the
 * destination has run and is stopped again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/continuity.h"

#include "oracle/ledger.h"
#include <inttypes.h>

/* Sets ERROR. Returns false. */
static bool went_back(struct godwit_vm *vm, unsigned cpu, const char *what, uint64_t before,
                      uint64_t after, GError **error)
{
    godwit_oracle_accuse(vm->testbed, GODWIT_ORACLE_CONTINUITY, vm->name);
    return godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "%s: the %s of the guest's CPU %u went back from %" PRIu64
                       " on the stopped source to %" PRIu64,
                       vm->name, what, cpu, before, after);
}

bool godwit_oracle_continuity(struct godwit_vm *vm, const struct godwit_mailbox *before,
                              const struct godwit_mailbox *after, bool timer, GError **error)
{
    if (!godwit_oracle_judges(vm->testbed, GODWIT_ORACLE_CONTINUITY))
        return true;
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++) {
        if (after[cpu].passes < before[cpu].passes)
            return went_back(vm, cpu, "count of passes", before[cpu].passes, after[cpu].passes,
                             error);
        if (timer && after[cpu].timer < before[cpu].timer)
            return went_back(vm, cpu, "timer", before[cpu].timer, after[cpu].timer, error);
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_CONTINUITY, GODWIT_UNIT_BYTES,
                            sizeof(after->passes) + (timer ? sizeof(after->timer) : 0));
    }
    return true;
}
