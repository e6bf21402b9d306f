/*
 * Compares the identification registers that the guest has read on source and destination.
 *
 * The entries of the table have two values of each register: the one at the cold start, and the
 * latest one that differs from it. A register whose values differ on the source has changed without
 * a migration, so its value proves nothing. All others must be on the destination as they were.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/identity.h"

#include "guest/image.h"
#include "memory/memory.h"
#include "oracle/ledger.h"

/* How many registers a message names. */
#define NAMED_MAX 5

bool godwit_identity_is_kept(const struct godwit_setup *setup)
{
    return setup->image->identity && (setup->workload.flags & GODWIT_FLAG_IDENTIFY);
}

/* Reads the table of a guest's memory. Returns COUNT entries in host byte order, which the caller
 * frees. Fails with ORACLE if there is no valid table. */
static struct godwit_identity_entry *read_table(struct godwit_vm *vm, uint32_t *count,
                                                GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    const bool big = setup->machine->big_endian;
    g_autofree unsigned char *room = g_malloc(GODWIT_IDENTITY_ROOM);
    if (!godwit_memory_read(vm, setup->image->identity, room, GODWIT_IDENTITY_ROOM, error))
        return NULL;
    const uint32_t magic = godwit_guest_get32(room + GODWIT_IDENTITY_OFF_MAGIC, big);
    *count = godwit_guest_get32(room + GODWIT_IDENTITY_OFF_COUNT, big);
    if (magic != GODWIT_IDENTITY_MAGIC || *count == 0 || *count > GODWIT_IDENTITY_MAX) {
        godwit_oracle_accuse(vm->testbed, GODWIT_ORACLE_IDENTITY, vm->name);
        godwit_fail(error, GODWIT_ERROR_ORACLE,
                    "%s: no identity table at 0x%" PRIx64 ": its magic is 0x%08" PRIx32
                    " instead of 0x%08" PRIx32 ", and it has %" PRIu32 " entries of at most %d",
                    vm->name, setup->image->identity, magic, (uint32_t)GODWIT_IDENTITY_MAGIC,
                    *count, GODWIT_IDENTITY_MAX);
        return NULL;
    }
    struct godwit_identity_entry *entries = g_new(struct godwit_identity_entry, *count);
    for (uint32_t i = 0; i < *count; i++) {
        const unsigned char *at =
            room + GODWIT_IDENTITY_OFF_ENTRIES + (size_t)i * GODWIT_IDENTITY_ENTRY_SIZE;
        entries[i].selector = godwit_guest_get64(at + GODWIT_IDENTITY_OFF_SELECTOR, big);
        entries[i].start = godwit_guest_get64(at + GODWIT_IDENTITY_OFF_START, big);
        entries[i].last = godwit_guest_get64(at + GODWIT_IDENTITY_OFF_LAST, big);
    }
    return entries;
}

char *godwit_identity_compare(const struct godwit_machine *machine,
                              const struct godwit_identity_entry *source,
                              const struct godwit_identity_entry *destination, uint32_t count,
                              uint32_t *judged)
{
    GString *text = g_string_new(NULL);
    uint32_t different = 0;
    *judged = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t selector = source[i].selector;
        if (source[i].start != source[i].last)
            continue;
        ++*judged;
        if (destination[i].selector == selector && destination[i].last == source[i].start)
            continue;
        if (++different > NAMED_MAX)
            continue;
        if (text->len)
            g_string_append(text, ", ");
        if (destination[i].selector != selector)
            g_string_append_printf(text, "entry %" PRIu32 ": selector 0x%" PRIx64 " -> 0x%" PRIx64,
                                   i, selector, destination[i].selector);
        else
            machine->identity_text(text, selector, source[i].start, destination[i].last);
    }
    if (different > NAMED_MAX)
        g_string_append_printf(text, ", and %" PRIu32 " more", different - NAMED_MAX);
    return g_string_free(text, different == 0);
}

bool godwit_oracle_identity(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    if (!godwit_identity_is_kept(testbed->setup) ||
        !godwit_oracle_judges(testbed, GODWIT_ORACLE_IDENTITY))
        return true;
    uint32_t count = 0, arrived = 0, judged = 0;
    g_autofree struct godwit_identity_entry *before = read_table(source, &count, error);
    g_autofree struct godwit_identity_entry *after =
        before ? read_table(destination, &arrived, error) : NULL;
    if (!after)
        return false;
    if (arrived != count) {
        godwit_oracle_accuse(testbed, GODWIT_ORACLE_IDENTITY, destination->name);
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: the identity table has %" PRIu32 " entries, on the source %" PRIu32,
                           destination->name, arrived, count);
    }
    g_autofree char *differences =
        godwit_identity_compare(testbed->setup->machine, before, after, count, &judged);
    godwit_oracle_count(testbed, GODWIT_ORACLE_IDENTITY, GODWIT_UNIT_REGISTERS, judged);
    godwit_oracle_count(testbed, GODWIT_ORACLE_IDENTITY, GODWIT_UNIT_BYTES,
                        judged * sizeof(before->start));
    if (judged < count)
        godwit_testbed_measure(testbed, "identity_unsteady",
                               json_integer((json_int_t)(count - judged)));
    if (!differences)
        return true;
    godwit_oracle_accuse(testbed, GODWIT_ORACLE_IDENTITY, destination->name);
    return godwit_fail(
        error, GODWIT_ERROR_ORACLE,
        "%s: the CPU identifies itself to the guest differently than on the source: %s",
        destination->name, differences);
}
