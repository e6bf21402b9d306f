/*
 * Gives every BAR of a machine an address, as firmware does.
 *
 * Buses are numbered depth first. Each kind of address (ports, memory below 4 GiB, memory above)
 * has one window, from which addresses are taken in ascending order. What is behind a bridge is
 * assigned between two alignments, so that it is one piece, and becomes the bridge's window. Large
 * BARs on a root bus are taken from the window's end instead: their alignment would leave a gap
 * before them, and maybe nothing behind them for all smaller ones.
 *
 * A BAR goes above 4 GiB only if it is 64 bits wide and prefetchable, because that is the only
 * memory which a bridge can forward there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/pci_parts.h"

#include <string.h>

/* Registers of configuration space (PCI Local Bus and PCI-to-PCI Bridge specifications). */
enum {
    VENDOR = 0x00,
    COMMAND = 0x04,
    HEADER_TYPE = 0x0e,
    BARS = 0x10,
    BUS_NUMBERS = 0x18,
    IO_WINDOW = 0x1c,
    MEMORY_WINDOW = 0x20,
    PREFETCH_WINDOW = 0x24,
    PREFETCH_UPPER_BASE = 0x28,
    PREFETCH_UPPER_LIMIT = 0x2c,
    IO_UPPER = 0x30,
    ROM = 0x30,
    BRIDGE_ROM = 0x38,
};
#define COMMAND_DECODE 3u /* I/O and memory */
#define IO_GRAIN       UINT64_C(0x1000)
#define MEMORY_GRAIN   UINT64_C(0x100000)
#define LARGE          (UINT64_C(16) << 20)
#define FOUR_GIB       (UINT64_C(1) << 32)
/* A PC has room for memory to be plugged above 4 GiB and RAM. The room is not in any view. */
#define PLUGGED_END   (UINT64_C(32) << 30)
#define BARS_MAX      7
#define WINDOW_CLOSED 0x0000fff0u /* base above limit */
#define IO_CLOSED     0x00f0u

/* The host bridge of q35. */
#define Q35_HOST_BRIDGE 0x29c08086u

static bool set(struct godwit_pci *pci, unsigned bus, unsigned place, unsigned offset,
                unsigned size, uint32_t value, GError **error)
{
    struct godwit_pci_access access = {(uint8_t)bus,  (uint8_t)place, (uint16_t)offset,
                                       (uint8_t)size, true,           value};
    return godwit_pci_run(pci, &access, 1, error);
}

/* Rounds ADDRESS up to a multiple of SIZE, a power of two; UINT64_MAX if there is none. */
static uint64_t align(uint64_t address, uint64_t size)
{
    return address > UINT64_MAX - (size - 1) ? UINT64_MAX : (address + size - 1) & ~(size - 1);
}

/* Takes SIZE bytes, a power of two, out of the window: its first, or its last if TOP. Returns their
 * address, or 0. */
static uint64_t take(struct godwit_pci_window *window, uint64_t size, bool top)
{
    uint64_t start = align(window->next, size);
    if (start > window->last || window->last - start < size - 1)
        return 0;
    if (top) {
        start = (window->last - (size - 1)) & ~(size - 1);
        window->last = start - 1;
    } else {
        window->next = start + size;
    }
    return start;
}

/* Keeps the largest of the gaps that follow each other. */
static void offer(struct godwit_pci_window *largest, uint64_t first, uint64_t last)
{
    if (first <= last &&
        (largest->next > largest->last || last - first > largest->last - largest->next))
        *largest = (struct godwit_pci_window){first, last};
}

/* Returns the largest gap between FIRST and LAST in the view. A range of region IGNORED, if not
 * NULL, is a gap. */
static struct godwit_pci_window largest_gap(const struct godwit_view *view, uint64_t first,
                                            uint64_t last, const char *ignored)
{
    struct godwit_pci_window largest = {1, 0};
    for (guint i = 0; view && i < view->ranges->len && first <= last; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        if (range->last < first || (ignored && !strcmp(range->name, ignored)))
            continue;
        if (range->start > last)
            break;
        if (range->start > first)
            offer(&largest, first, range->start - 1);
        if (range->last >= last)
            return largest;
        first = range->last + 1;
    }
    offer(&largest, first, last);
    return largest;
}

/* Returns the bus addresses between FIRST and LAST to which ranges of region NAME lead. BARs that
 * are already mapped cut such a region into several ranges. */
static struct godwit_pci_window span(const struct godwit_view *view, const char *name,
                                     uint64_t first, uint64_t last)
{
    struct godwit_pci_window window = {1, 0};
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        const uint64_t end = range->offset + (range->last - range->start);
        if (strcmp(range->name, name) != 0 || range->offset < first || end > last)
            continue;
        if (window.next > window.last)
            window.next = range->offset;
        window.last = end;
    }
    return window;
}

void godwit_pci_find_windows(struct godwit_pci *pci, const struct godwit_view *memory,
                             const struct godwit_view *ports)
{
    /* 0 means unmapped, and the lowest ports belong to fixed devices. */
    const struct godwit_pci_window all_ports = {IO_GRAIN, UINT16_MAX}, none = {1, 0};
    if (pci->way == GODWIT_PCI_CALLS) {
        /* PAPR: the 32-bit window is at 2 GiB of the bus. */
        pci->io = all_ports;
        pci->low = (struct godwit_pci_window){FOUR_GIB / 2, FOUR_GIB - 1};
        pci->high = none;
    } else if (godwit_view_find(memory, "gpex_mmio_window")) {
        pci->io = all_ports;
        pci->low = span(memory, "gpex_mmio_window", MEMORY_GRAIN, FOUR_GIB - 1);
        pci->high = span(memory, "gpex_mmio_window", FOUR_GIB, UINT64_MAX);
    } else {
        /* On a PC, PCI gets whatever is not taken. 39 bits of address are what the smallest CPU
         * model for such a machine has. */
        pci->io = largest_gap(ports, all_ports.next, all_ports.last, "io");
        struct godwit_pci_window gap =
            largest_gap(memory, GODWIT_Q35_ECAM, GODWIT_Q35_ECAM + GODWIT_Q35_ECAM_SIZE - 1, NULL);
        pci->can_ecam = gap.last - gap.next == GODWIT_Q35_ECAM_SIZE - 1;
        pci->low = largest_gap(memory, MEMORY_GRAIN, FOUR_GIB - 1, NULL);
        pci->high = largest_gap(memory, PLUGGED_END, (UINT64_C(1) << 39) - 1, NULL);
    }
}

/* Enables ECAM if the machine is a q35 that has not done so and has room for it. */
static bool enable_ecam(struct godwit_pci *pci, GError **error)
{
    struct godwit_pci_access id = {.offset = VENDOR, .size = 4};
    if (pci->way != GODWIT_PCI_PORTS || !pci->can_ecam)
        return true;
    if (!godwit_pci_run(pci, &id, 1, error))
        return false;
    if (id.value != Q35_HOST_BRIDGE)
        return true;
    if (!set(pci, 0, 0, GODWIT_Q35_ECAM_HIGH, 4, GODWIT_Q35_ECAM >> 32, error) ||
        !set(pci, 0, 0, GODWIT_Q35_ECAM_LOW, 4, (uint32_t)GODWIT_Q35_ECAM | 1, error))
        return false;
    pci->way = GODWIT_PCI_ECAM;
    pci->ecam = GODWIT_Q35_ECAM;
    /* What is left below ECAM, or above it, whichever is larger. */
    const struct godwit_pci_window low = pci->low;
    if (low.next < GODWIT_Q35_ECAM && low.last >= GODWIT_Q35_ECAM) {
        const uint64_t after = GODWIT_Q35_ECAM + GODWIT_Q35_ECAM_SIZE;
        pci->low = (struct godwit_pci_window){1, 0};
        offer(&pci->low, low.next, GODWIT_Q35_ECAM - 1);
        offer(&pci->low, after, low.last);
    }
    return true;
}

/* The BARs of a function, as they answer to all ones. */
struct found {
    unsigned offset;
    bool io, wide, prefetchable, rom;
    uint64_t size;
};

/* Makes of the answers to all ones at INDEX of VALUES what BAR that is. Returns false if there is
 * none. The next BAR is at the next index, or behind it if the BAR is wide. */
static bool understand(const struct godwit_pci_access *values, size_t index, size_t count,
                       struct found *bar)
{
    const uint32_t value = values[index].value;
    *bar = (struct found){.offset = values[index].offset};
    bar->rom = bar->offset == ROM || bar->offset == BRIDGE_ROM;
    bar->io = !bar->rom && value & 1;
    bar->wide = !bar->rom && !bar->io && (value & 6) == 4 && index + 1 < count;
    bar->prefetchable = !bar->rom && !bar->io && value & 8;
    uint64_t mask = bar->rom ? value & 0xfffff800u : bar->io ? value & 0xfffcu : value & ~15u;
    if (bar->wide)
        mask |= (uint64_t)values[index + 1].value << 32;
    if (!mask)
        return false;
    bar->size = mask & -mask; /* its lowest bit */
    return true;
}

/* Gives the BARs of a function addresses, or 0 if no window has room, and enables decoding. */
static bool assign_bars(struct godwit_pci *pci, unsigned bus, unsigned place, bool bridge,
                        GError **error)
{
    struct godwit_pci_access command = {
        .bus = (uint8_t)bus, .place = (uint8_t)place, .offset = COMMAND, .size = 2};
    if (!godwit_pci_run(pci, &command, 1, error) ||
        !set(pci, bus, place, COMMAND, 2, command.value & ~COMMAND_DECODE, error))
        return false;
    struct godwit_pci_access writes[BARS_MAX], reads[BARS_MAX];
    const size_t count = bridge ? 3 : 7;
    for (size_t i = 0; i < count; i++) {
        const bool rom = i == count - 1;
        writes[i] = (struct godwit_pci_access){
            .bus = (uint8_t)bus,
            .place = (uint8_t)place,
            .offset = (uint16_t)(!rom     ? BARS + 4 * i
                                 : bridge ? BRIDGE_ROM
                                          : ROM),
            .size = 4,
            .write = true,
            .value = rom ? 0xfffff800u : UINT32_MAX,
        };
        reads[i] = writes[i];
        reads[i].write = false;
    }
    if (!godwit_pci_run(pci, writes, count, error) || !godwit_pci_run(pci, reads, count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct found bar;
        writes[i].value = 0;
        if (!understand(reads, i, count - 1, &bar))
            continue;
        const bool top = bus == pci->root && bar.size >= LARGE;
        uint64_t address = bar.io ? take(&pci->io, bar.size, false) : 0;
        if (bar.wide && bar.prefetchable)
            address = take(&pci->high, bar.size, top);
        if (!bar.io && !address)
            address = take(&pci->low, bar.size, top);
        writes[i].value = (uint32_t)address | (bar.rom && address);
        if (bar.wide)
            writes[++i].value = (uint32_t)(address >> 32);
    }
    return godwit_pci_run(pci, writes, count, error) &&
           set(pci, bus, place, COMMAND, 2, command.value | COMMAND_DECODE, error);
}

/* The windows of a bridge while what is behind it is assigned. */
static void align_windows(struct godwit_pci *pci)
{
    pci->io.next = align(pci->io.next, IO_GRAIN);
    pci->low.next = align(pci->low.next, MEMORY_GRAIN);
    pci->high.next = align(pci->high.next, MEMORY_GRAIN);
}

static bool assign_bus(struct godwit_pci *pci, unsigned bus, GError **error);

/* Opens the windows of a bridge for what was taken since BEFORE. */
static bool open_windows(struct godwit_pci *pci, unsigned bus, unsigned place,
                         const struct godwit_pci *before, GError **error)
{
    const uint64_t io = before->io.next, io_end = pci->io.next - 1;
    const uint64_t low = before->low.next, low_end = pci->low.next - 1;
    const uint64_t high = before->high.next, high_end = pci->high.next - 1;
    const struct {
        unsigned offset, size;
        uint64_t value;
    } writes[] = {
        {IO_WINDOW, 2, io < io_end ? (io >> 8 & 0xf0) | (io_end & 0xf000) : IO_CLOSED},
        {IO_UPPER, 4, 0},
        {MEMORY_WINDOW, 4,
         low < low_end ? (low >> 16 & 0xfff0) | (low_end & 0xfff00000) : WINDOW_CLOSED},
        {PREFETCH_WINDOW, 4,
         high < high_end ? (high >> 16 & 0xfff0) | (high_end & 0xfff00000) : WINDOW_CLOSED},
        {PREFETCH_UPPER_BASE, 4, high < high_end ? high >> 32 : 0},
        {PREFETCH_UPPER_LIMIT, 4, high < high_end ? high_end >> 32 : 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
        if (!set(pci, bus, place, writes[i].offset, writes[i].size, (uint32_t)writes[i].value,
                 error))
            return false;
    return true;
}

static bool assign_bridge(struct godwit_pci *pci, unsigned bus, unsigned place, GError **error)
{
    if (pci->last_bus + 1 >= pci->buses)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "PCI: more than %u buses", pci->buses);
    const unsigned secondary = ++pci->last_bus;
    align_windows(pci);
    const struct godwit_pci before = *pci;
    /* Until all buses behind it have a number, it forwards all numbers. */
    if (!set(pci, bus, place, BUS_NUMBERS, 4, 0xff0000u | secondary << 8 | bus, error) ||
        !assign_bus(pci, secondary, error) ||
        !set(pci, bus, place, BUS_NUMBERS, 4, pci->last_bus << 16 | secondary << 8 | bus, error))
        return false;
    align_windows(pci);
    return open_windows(pci, bus, place, &before, error) &&
           assign_bars(pci, bus, place, true, error);
}

/* Assigns the functions at PLACES, COUNT of them, of a bus, as far as they exist. */
static bool assign_places(struct godwit_pci *pci, unsigned bus, const uint8_t *places, size_t count,
                          bool *several, GError **error)
{
    struct godwit_pci_access ids[32], types[32];
    for (size_t i = 0; i < count; i++) {
        ids[i] = (struct godwit_pci_access){
            .bus = (uint8_t)bus, .place = places[i], .offset = VENDOR, .size = 4};
        types[i] = (struct godwit_pci_access){
            .bus = (uint8_t)bus, .place = places[i], .offset = HEADER_TYPE, .size = 1};
    }
    if (!godwit_pci_run(pci, ids, count, error) || !godwit_pci_run(pci, types, count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        several[i] = false;
        if (ids[i].value == UINT32_MAX || ids[i].value == 0)
            continue;
        several[i] = types[i].value & 0x80;
        const bool bridge = (types[i].value & 0x7f) == 1;
        if (bridge ? !assign_bridge(pci, bus, places[i], error)
                   : !assign_bars(pci, bus, places[i], false, error))
            return false;
    }
    return true;
}

/* Assigns everything on a bus and behind its bridges. */
static bool assign_bus(struct godwit_pci *pci, unsigned bus, GError **error)
{
    uint8_t first[32], others[7];
    bool several[32], unused[7];
    for (unsigned slot = 0; slot < 32; slot++)
        first[slot] = (uint8_t)(slot << 3);
    if (!assign_places(pci, bus, first, G_N_ELEMENTS(first), several, error))
        return false;
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned function = 1; function < 8; function++)
            others[function - 1] = (uint8_t)(slot << 3 | function);
        if (several[slot] && !assign_places(pci, bus, others, G_N_ELEMENTS(others), unused, error))
            return false;
    }
    return true;
}

/* Assigns the buses ROOTS and everything behind them. */
static bool assign_roots(struct godwit_pci *pci, const uint8_t *roots, size_t count, GError **error)
{
    pci->last_bus = 0;
    for (size_t i = 0; i < count; i++) {
        if (i && pci->last_bus >= roots[i])
            return godwit_fail(error, GODWIT_ERROR_SKIP,
                               "PCI: root bus %u has a number that a bus behind another root needs",
                               roots[i]);
        pci->root = pci->last_bus = roots[i];
        if (!assign_bus(pci, roots[i], error))
            return false;
    }
    return true;
}

bool godwit_pci_assign(struct godwit_pci *pci, const uint8_t *roots, size_t count, GError **error)
{
    if (!enable_ecam(pci, error))
        return false;
    /* The windows are used up in a copy: the next time, everything is assigned anew. */
    struct godwit_pci copy = *pci;
    return assign_roots(&copy, roots, count, error);
}
