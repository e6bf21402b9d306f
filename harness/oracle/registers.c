/*
 * Compares the guest's position register with its mailbox. The machine's description names the
 * register's label in the output of `info registers`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/registers.h"

#include "guest/image.h"
#include "oracle/ledger.h"
#include <inttypes.h>
#include <string.h>

/* Returns what follows LABEL, or NULL. LABEL must not be the end of a longer word, as "R07=" is in
 * "FR07=". */
static const char *find_word(const char *text, const char *end, const char *label)
{
    for (const char *at = text; (at = strstr(at, label)) && at < end; at++)
        if (at == text || !g_ascii_isalnum(at[-1]))
            return at + strlen(label);
    return NULL;
}

/* Returns what follows the next line that begins with "CPU#", or NULL. */
static const char *next_heading(const char *text)
{
    static const char title[] = "CPU#";
    for (const char *at = text; (at = strstr(at, title)); at++)
        if (at == text || at[-1] == '\n')
            return at + strlen(title);
    return NULL;
}

bool godwit_registers_find(const char *text, unsigned cpu, const char *label, unsigned index,
                           uint64_t *value)
{
    const char *from = next_heading(text);
    while (from && g_ascii_strtoull(from, NULL, 10) != cpu)
        from = next_heading(from);
    if (!from)
        return false;
    const char *next = next_heading(from);
    const char *at = find_word(from, next ? next : from + strlen(from), label);
    for (unsigned i = 0; at; i++) {
        char *behind;
        *value = g_ascii_strtoull(at, &behind, 16);
        if (behind == at)
            return false;
        if (i == index)
            return true;
        at = behind;
    }
    return false;
}

bool godwit_registers_agree(const struct godwit_workload *workload,
                            const struct godwit_mailbox *mailbox, uint64_t position)
{
    const uint64_t next = mailbox->position == workload->window_end
                              ? workload->window_start
                              : mailbox->position + workload->page_size;
    return position == mailbox->position || position == next;
}

bool godwit_oracle_registers(struct godwit_vm *vm, const struct godwit_mailbox *mailbox,
                             GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    /* `stamp` is written in C, so the compiler chooses the register. */
    const char *label = setup->machine->position_label;
    if (!label || vm->kept || (setup->workload.flags & GODWIT_FLAG_STAMP))
        return true;
    g_autoptr(GError) refusal = NULL;
    g_autofree char *text = godwit_vm_monitor(vm, "info registers -a", &refusal);
    if (!text && refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    for (unsigned cpu = 0; text && cpu < setup->workload.cpus; cpu++) {
        const struct godwit_workload stripe = godwit_workload_stripe(&setup->workload, cpu);
        uint64_t position = 0;
        if (mailbox[cpu].state != GODWIT_STATE_RUNNING ||
            !godwit_registers_find(text, cpu, label, setup->machine->position_index, &position))
            continue;
        if (setup->machine->half_position)
            position |= mailbox[cpu].position & ~(uint64_t)UINT32_MAX;
        godwit_oracle_count(vm->testbed, GODWIT_ORACLE_POSITION, GODWIT_UNIT_REGISTERS, 1);
        if (godwit_registers_agree(&stripe, &mailbox[cpu], position))
            continue;
        godwit_oracle_accuse(vm->testbed, GODWIT_ORACLE_POSITION, vm->name);
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: RAM and CPU %u are not from the same instant: by its register the "
                           "guest is at 0x%" PRIx64 ", by its mailbox at 0x%" PRIx64,
                           vm->name, cpu, position, mailbox[cpu].position);
    }
    return true;
}
