/*
 * Makes pokes, and notices when one was too much for the machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/pokes.h"

#include <string.h>

/* Most registers of a device are in the first bytes of a range: half of all pokes go there. */
#define FRONT 256
/* The registers of configuration space that pokes leave alone: the command register, BARs and the
 * expansion ROM's address; in a bridge, all of its header behind them. From the PCI specification,
 * 6.1. */
#define CONFIG_HEADER  0x40
#define CONFIG_COMMAND 0x04
#define CONFIG_BARS    0x10
#define CONFIG_LINE    0x3c

static bool is_left_alone(const struct godwit_hardware_place *place, uint64_t offset)
{
    return place->space == GODWIT_SPACE_CONFIG &&
           (offset / 4 * 4 == CONFIG_COMMAND || (offset >= CONFIG_BARS && offset < CONFIG_LINE) ||
            (place->bridge && offset < CONFIG_HEADER));
}

/* All zeros, all ones, a single bit, or any bits. */
static uint32_t value_of(GRand *random)
{
    switch (g_rand_int_range(random, 0, 6)) {
    case 0:
        return 0;
    case 1:
        return UINT32_MAX;
    case 2:
    case 3:
        return UINT32_C(1) << g_rand_int_range(random, 0, 32);
    default:
        return g_rand_int(random);
    }
}

static unsigned size_of(const struct godwit_hardware_place *place, GRand *random)
{
    if (place->space == GODWIT_SPACE_PORTS && place->start < GODWIT_ISA_PORTS)
        return 1;
    /* Most registers in memory want 32 bits; ports are of all sizes. */
    const int wide = place->space == GODWIT_SPACE_MEMORY ? 4 : 2;
    const unsigned size =
        g_rand_int_range(random, 0, wide) ? 4 : 1u << g_rand_int_range(random, 0, 2);
    return place->length % size ? 1 : size;
}

static struct godwit_poke poke_of(const struct godwit_hardware_place *place, GRand *random)
{
    struct godwit_poke poke = {.space = place->space, .region = place->region};
    uint64_t at;
    poke.size = size_of(place, random);
    do {
        const uint64_t room = g_rand_boolean(random) ? MIN(place->length, FRONT) : place->length;
        at = (uint64_t)g_rand_int(random) % (room / poke.size) * poke.size;
    } while (is_left_alone(place, at));
    const bool config = place->space == GODWIT_SPACE_CONFIG;
    poke.address = config ? place->start : place->start + at;
    poke.offset = place->offset + at;
    poke.value = value_of(random) & (poke.size == 4 ? UINT32_MAX : (1u << 8 * poke.size) - 1);
    return poke;
}

GArray *godwit_pokes_make(const GArray *places, uint64_t seed, guint count)
{
    GArray *pokes = g_array_new(FALSE, FALSE, sizeof(struct godwit_poke));
    const guint32 words[] = {(guint32)seed, (guint32)(seed >> 32)};
    GRand *random = g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
    while (places->len && pokes->len < count) {
        const guint which = g_rand_int(random) % places->len;
        const struct godwit_poke poke =
            poke_of(&g_array_index(places, struct godwit_hardware_place, which), random);
        g_array_append_val(pokes, poke);
    }
    g_rand_free(random);
    return pokes;
}

static bool write_register(struct godwit_vm *vm, struct godwit_pci *pci,
                           const struct godwit_poke *poke, GError **error)
{
    struct godwit_pci_access access = {.bus = (uint8_t)(poke->address >> 16),
                                       .place = (uint8_t)(poke->address >> 8),
                                       .offset = (uint16_t)poke->offset,
                                       .size = (uint8_t)poke->size,
                                       .write = true,
                                       .value = poke->value};
    switch (poke->space) {
    case GODWIT_SPACE_CONFIG:
        return godwit_pci_run(pci, &access, 1, error);
    case GODWIT_SPACE_PORTS:
        return godwit_qtest_out(vm->qtest, poke->size, (uint16_t)poke->address, poke->value, error);
    default:
        return godwit_qtest_write(vm->qtest, poke->size, poke->address, poke->value, error);
    }
}

/* Returns whether QEMU has reported since event FIRST that the machine is not what it was. */
static bool has_changed(const struct godwit_vm *vm, guint first)
{
    static const char *const ends[] = {"RESET",        "SHUTDOWN", "POWERDOWN",      "SUSPEND",
                                       "SUSPEND_DISK", "WAKEUP",   "GUEST_PANICKED", "RESUME"};
    for (guint i = first; i < vm->qmp->events->len; i++)
        for (size_t end = 0; end < G_N_ELEMENTS(ends); end++)
            if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), ends[end], NULL))
                return true;
    return false;
}

enum godwit_poked godwit_poke_make(struct godwit_vm *vm, struct godwit_pci *pci,
                                   const struct godwit_poke *poke, GError **error)
{
    const guint first = vm->qmp->events->len;
    g_autoptr(GError) cause = NULL;
    /* QEMU resets or ends a machine at the end of the turn of its main loop in which a device asks
     * for that, so before it answers on QMP. */
    g_autofree char *status =
        write_register(vm, pci, poke, &cause) ? godwit_vm_status(vm, &cause) : NULL;
    if (cause && (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS) ||
                  g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_CRASH) || vm->exited))
        return GODWIT_POKED_TO_END;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return GODWIT_POKED_FAILED;
    }
    return strcmp(status, "prelaunch") != 0 || has_changed(vm, first) ? GODWIT_POKED_TO_END
                                                                      : GODWIT_POKED;
}

char *godwit_poke_text(const struct godwit_poke *poke)
{
    static const char letters[] = "?bw?l";
    if (poke->space == GODWIT_SPACE_CONFIG)
        return g_strdup_printf(
            "config %02x:%02x.%x 0x%" G_GINT64_MODIFIER "x = 0x%x (%u bytes)",
            (unsigned)(poke->address >> 16), (unsigned)(poke->address >> 11 & 31),
            (unsigned)(poke->address >> 8 & 7), poke->offset, poke->value, poke->size);
    return g_strdup_printf("%s%c 0x%" G_GINT64_MODIFIER "x 0x%x (%s 0x%" G_GINT64_MODIFIER "x)",
                           poke->space == GODWIT_SPACE_PORTS ? "out" : "write", letters[poke->size],
                           poke->address, poke->value, poke->region, poke->offset);
}
