/*
 * Makes pokes, and notices when one was too much for the machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/pokes.h"

#include "qemu/pci.h"

#include <string.h>

/* Most registers of a device are in the first bytes of a range: half of all pokes go there. */
#define FRONT ((uint64_t)256)
/* The registers of configuration space that pokes leave alone: the command register, BARs and the
 * expansion ROM's address; in a bridge, all of its header behind them. From the PCI specification,
 * 6.1. */
#define CONFIG_HEADER  0x40
#define CONFIG_COMMAND 0x04
#define CONFIG_BARS    0x10
#define CONFIG_LINE    0x3c

/* The host bridge of a q35, which has the place of ECAM: all configuration space is read there. */
#define Q35_BRIDGE "mch"

/* Where a legacy virtio device has the address of a queue, from the virtio specification, 4.1.4.8.
 * A destination checks the rings there, computes their places anew, and need not keep garbage. */
#define VIRTIO_LEGACY    "virtio-pci"
#define VIRTIO_QUEUE     0x08
#define VIRTIO_QUEUE_END 0x0c

static bool is_left_alone(const struct godwit_hardware_place *place, uint64_t offset)
{
    if (place->space == GODWIT_SPACE_PORTS && !strcmp(place->region, VIRTIO_LEGACY))
        return offset >= VIRTIO_QUEUE && offset < VIRTIO_QUEUE_END;
    return place->space == GODWIT_SPACE_CONFIG &&
           (offset / 4 * 4 == CONFIG_COMMAND || (offset >= CONFIG_BARS && offset < CONFIG_LINE) ||
            (place->bridge && offset < CONFIG_HEADER) ||
            (!g_strcmp0(place->device, Q35_BRIDGE) && offset >= GODWIT_Q35_ECAM_LOW &&
             offset < GODWIT_Q35_ECAM_HIGH + 4));
}

/* All zeros, all ones, a single bit, any bits, or a few, for a register of SIZE bytes. Many a wide
 * register has its bits in the first byte, and one among them that resets the device. */
static uint32_t value_of(GRand *random, unsigned size)
{
    const unsigned bits = 8 * size;
    const uint32_t mask = UINT32_MAX >> (32 - bits);
    switch (g_rand_int_range(random, 0, 7)) {
    case 0:
        return 0;
    case 1:
        return mask;
    case 2:
        return UINT32_C(1) << g_rand_int_range(random, 0, (gint32)bits);
    case 3:
        return UINT32_C(1) << g_rand_int_range(random, 0, 8);
    case 4:
        return g_rand_int(random) & mask;
    default:
        return g_rand_int(random) & g_rand_int(random) & mask;
    }
}

/* Reset leaves most registers at zero, and zero proves nothing there. */
static uint32_t value_not_zero(GRand *random, unsigned size)
{
    uint32_t value;
    do
        value = value_of(random, size);
    while (!value);
    return value;
}

static unsigned size_of(const struct godwit_hardware_place *place, GRand *random)
{
    if (godwit_hardware_is_isa(place))
        return 1;
    /* Most registers in memory want 32 bits; ports are of all sizes. */
    const int wide = place->space == GODWIT_SPACE_MEMORY ? 4 : 2;
    const unsigned size =
        g_rand_int_range(random, 0, wide) ? 4 : 1u << g_rand_int_range(random, 0, 2);
    return place->length % size ? 1 : size;
}

/* Returns a poke of SIZE bytes to what is at offset AT of a place. */
static struct godwit_poke poke_at(const struct godwit_hardware_place *place, uint64_t at,
                                  unsigned size, uint32_t value)
{
    const bool config = place->space == GODWIT_SPACE_CONFIG;
    return (struct godwit_poke){.space = place->space,
                                .address = config ? place->start : place->start + at,
                                .offset = place->offset + at,
                                .region = place->region,
                                .size = size,
                                .value = value};
}

static struct godwit_poke poke_of(const struct godwit_hardware_place *place, GRand *random)
{
    const unsigned size = size_of(place, random);
    uint64_t at;
    do {
        const uint64_t room = g_rand_boolean(random) ? MIN(place->length, FRONT) : place->length;
        at = (uint64_t)g_rand_int(random) % (room / size) * size;
    } while (is_left_alone(place, at));
    return poke_at(place, at, size, value_of(random, size));
}

static GRand *seeded(uint64_t seed)
{
    const guint32 words[] = {(guint32)seed, (guint32)(seed >> 32)};
    return g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
}

GArray *godwit_pokes_select(const GArray *places, uint64_t seed, guint count, guint values)
{
    GArray *pokes = g_array_new(FALSE, FALSE, sizeof(struct godwit_poke));
    GRand *random = seeded(seed);
    while (places->len && pokes->len < count * values) {
        const guint which = g_rand_int(random) % places->len;
        struct godwit_poke poke =
            poke_of(&g_array_index(places, struct godwit_hardware_place, which), random);
        for (guint i = 0; i < values; i++) {
            if (i)
                poke.value = value_of(random, poke.size);
            g_array_append_val(pokes, poke);
        }
    }
    g_rand_free(random);
    return pokes;
}

GArray *godwit_pokes_make(const GArray *places, uint64_t seed, guint count)
{
    return godwit_pokes_select(places, seed, count, 1);
}

/* Adds a poke to each register at the beginning of a place. */
static void sweep_place(GArray *pokes, const struct godwit_hardware_place *place, unsigned width,
                        GRand *random)
{
    const bool isa = godwit_hardware_is_isa(place);
    const unsigned size = isa || place->length % width || place->start % width ? 1 : width;
    for (uint64_t at = 0; at < MIN(place->length, FRONT); at += size) {
        const struct godwit_poke poke = poke_at(place, at, size, value_not_zero(random, size));
        if (!is_left_alone(place, at))
            g_array_append_val(pokes, poke);
    }
}

GArray *godwit_pokes_sweep(const GArray *places, uint64_t seed, unsigned width, guint count)
{
    GArray *pokes = g_array_new(FALSE, FALSE, sizeof(struct godwit_poke));
    GRand *random = seeded(seed);
    for (guint i = 0; i < places->len; i++)
        sweep_place(pokes, &g_array_index(places, struct godwit_hardware_place, i), width, random);
    /* In any order: a register may reset others, or enable them. */
    for (guint i = pokes->len; i > 1; i--) {
        struct godwit_poke *last = &g_array_index(pokes, struct godwit_poke, i - 1);
        struct godwit_poke *any = &g_array_index(pokes, struct godwit_poke, g_rand_int(random) % i);
        const struct godwit_poke kept = *last;
        *last = *any;
        *any = kept;
    }
    g_array_set_size(pokes, MIN(pokes->len, count));
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
    for (size_t end = 0; end < G_N_ELEMENTS(ends); end++)
        if (godwit_qmp_find_event(vm->qmp, first, ends[end], NULL))
            return true;
    return false;
}

enum godwit_poked godwit_poke_make(struct godwit_vm *vm, struct godwit_pci *pci, const char *status,
                                   const struct godwit_poke *poke, GError **error)
{
    const guint first = vm->qmp->events->len;
    g_autoptr(GError) cause = NULL;
    /* QEMU resets or ends a machine at the end of the turn of its main loop in which a device asks
     * for that, so before it answers on QMP. */
    g_autofree char *now =
        write_register(vm, pci, poke, &cause) ? godwit_vm_status(vm, &cause) : NULL;
    if (cause && (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS) ||
                  g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_CRASH) || vm->exited))
        return GODWIT_POKED_TO_END;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return GODWIT_POKED_FAILED;
    }
    return strcmp(now, status) != 0 || has_changed(vm, first) ? GODWIT_POKED_TO_END : GODWIT_POKED;
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
