/*
 * Access to PCI configuration space. Each access becomes one or more of qtest's:
 *
 *   ports   the address to 0xCF8, then the data at 0xCFC to 0xCFF
 *   ECAM    one access to memory: 1 MiB a bus, 4 KiB a function
 *   calls   the arguments into RAM, the firmware service, the results out of RAM
 *
 * All accesses of a run go into one batch. What the run changes on its way, the address port or the
 * RAM, is read before and restored after it: a compare must not see that somebody has looked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/pci_parts.h"

#include <string.h>

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
/* Where configuration space has the offset of the first capability. */
#define CAPABILITIES 0x34

/* The layout of the scratch RAM: arguments, then results, as 32-bit words. */
#define SCRATCH_RESULTS 32
#define SCRATCH_SIZE    40

size_t godwit_pci_config_size(const struct godwit_pci *pci)
{
    return pci->way == GODWIT_PCI_PORTS ? 256 : 4096;
}

static void add(GArray *batch, enum godwit_access_kind kind, size_t size, uint64_t address,
                uint64_t value)
{
    const struct godwit_access access = {
        .kind = kind, .size = size, .address = address, .value = value};
    g_array_append_val(batch, access);
}

static void add_ports(GArray *batch, const struct godwit_pci_access *access)
{
    const uint32_t address = 0x80000000u | (uint32_t)access->bus << 16 |
                             (uint32_t)access->place << 8 | (access->offset & 0xfcu);
    add(batch, GODWIT_ACCESS_OUT, 4, ADDRESS_PORT, address);
    add(batch, access->write ? GODWIT_ACCESS_OUT : GODWIT_ACCESS_IN, access->size,
        DATA_PORT + (access->offset & 3u), access->value);
}

static void add_ecam(GArray *batch, const struct godwit_pci *pci,
                     const struct godwit_pci_access *access)
{
    add(batch, access->write ? GODWIT_ACCESS_WRITE : GODWIT_ACCESS_READ, access->size,
        pci->ecam + ((uint64_t)access->bus << 20 | (uint64_t)access->place << 12 | access->offset),
        access->value);
}

/* The services take bus, place and the low 8 bits of the offset in one word, as PAPR defines them,
 * with the high 4 bits of the offset on top. */
static void add_call(GArray *batch, const struct godwit_pci *pci,
                     const struct godwit_pci_access *access)
{
    const uint32_t words[] = {
        (uint32_t)(access->offset >> 8) << 28 | (uint32_t)access->bus << 16 |
            (uint32_t)access->place << 8 | (access->offset & 0xffu),
        (uint32_t)(pci->bridge >> 32),
        (uint32_t)pci->bridge,
        access->size,
        access->value,
    };
    const size_t arguments = access->write ? 5 : 4;
    for (size_t i = 0; i < arguments; i++)
        add(batch, GODWIT_ACCESS_WRITE, 4, pci->scratch + 4 * i, words[i]);
    const struct godwit_access call = {
        .kind = GODWIT_ACCESS_CALL,
        .call = access->write ? "ibm,write-pci-config" : "ibm,read-pci-config",
        .address = pci->scratch,
        .arguments = arguments,
        .size = access->write ? 1 : 2,
        .results = pci->scratch + SCRATCH_RESULTS,
    };
    g_array_append_val(batch, call);
    if (access->write)
        return;
    add(batch, GODWIT_ACCESS_READ, 4, pci->scratch + SCRATCH_RESULTS, 0);
    add(batch, GODWIT_ACCESS_READ, 4, pci->scratch + SCRATCH_RESULTS + 4, 0);
}

static bool is_within_reach(const struct godwit_pci *pci, const struct godwit_pci_access *access)
{
    return (access->size == 1 || access->size == 2 || access->size == 4) &&
           access->offset % access->size == 0 && access->offset < godwit_pci_config_size(pci) &&
           access->bus < pci->buses;
}

/* Takes the values that were read from the answered BATCH. */
static void take_values(const struct godwit_pci *pci, const GArray *batch,
                        struct godwit_pci_access *accesses, size_t count)
{
    const struct godwit_access *next = (const void *)batch->data;
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        switch (pci->way) {
        case GODWIT_PCI_PORTS:
            next++;
            value = next++->value;
            break;
        case GODWIT_PCI_ECAM:
            value = next++->value;
            break;
        case GODWIT_PCI_CALLS:
        default:
            next += accesses[i].write ? 6 : 5;
            if (accesses[i].write)
                continue;
            /* The first result is a status, which is not 0 if there is no such register. */
            value = next[0].value ? UINT64_MAX >> (64 - 8 * accesses[i].size) : next[1].value;
            next += 2;
            break;
        }
        if (!accesses[i].write)
            accesses[i].value = (uint32_t)value;
    }
}

bool godwit_pci_run(struct godwit_pci *pci, struct godwit_pci_access *accesses, size_t count,
                    GError **error)
{
    g_autoptr(GArray) batch = g_array_new(FALSE, TRUE, sizeof(struct godwit_access));
    for (size_t i = 0; i < count; i++) {
        if (!is_within_reach(pci, &accesses[i]))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "PCI %02x:%02x.%x: no %u bytes of configuration space at offset "
                               "0x%x are within reach",
                               accesses[i].bus, accesses[i].place >> 3u, accesses[i].place & 7u,
                               accesses[i].size, accesses[i].offset);
        if (pci->way == GODWIT_PCI_PORTS)
            add_ports(batch, &accesses[i]);
        else if (pci->way == GODWIT_PCI_ECAM)
            add_ecam(batch, pci, &accesses[i]);
        else
            add_call(batch, pci, &accesses[i]);
    }
    uint32_t address = 0;
    unsigned char memory[SCRATCH_SIZE];
    if (pci->way == GODWIT_PCI_PORTS &&
        !godwit_qtest_in(pci->qtest, 4, ADDRESS_PORT, &address, error))
        return false;
    if (pci->way == GODWIT_PCI_CALLS &&
        !godwit_qtest_read_bytes(pci->qtest, pci->scratch, memory, sizeof(memory), error))
        return false;
    if (!godwit_qtest_run(pci->qtest, (void *)batch->data, batch->len, error))
        return false;
    take_values(pci, batch, accesses, count);
    if (pci->way == GODWIT_PCI_PORTS)
        return godwit_qtest_out(pci->qtest, 4, ADDRESS_PORT, address, error);
    return pci->way != GODWIT_PCI_CALLS ||
           godwit_qtest_write_bytes(pci->qtest, pci->scratch, memory, sizeof(memory), error);
}

bool godwit_pci_config(struct godwit_pci *pci, unsigned bus, unsigned place, unsigned size,
                       unsigned char *bytes, size_t length, GError **error)
{
    const size_t count = length / size;
    g_autofree struct godwit_pci_access *accesses = g_new0(struct godwit_pci_access, MAX(count, 1));
    for (size_t i = 0; i < count; i++) {
        accesses[i].bus = (uint8_t)bus;
        accesses[i].place = (uint8_t)place;
        accesses[i].offset = (uint16_t)(i * size);
        accesses[i].size = (uint8_t)size;
    }
    if (!godwit_pci_run(pci, accesses, count, error))
        return false;
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(accesses[i / size].value >> (8 * (i % size)));
    return true;
}

/* Returns the number of a pseries host bridge: it is in the name of the bridge's address space,
 * "pci@800000020000000". Returns 0 if there is none. */
static uint64_t find_bridge(const struct godwit_mtree *mtree)
{
    uint64_t found = 0;
    for (guint i = 0; i < mtree->views->len; i++) {
        const struct godwit_view *view = g_ptr_array_index(mtree->views, i);
        for (guint j = 0; j < view->spaces->len; j++) {
            const char *space = g_ptr_array_index(view->spaces, j);
            uint64_t number;
            if (g_str_has_prefix(space, "pci@") &&
                g_ascii_string_to_unsigned(space + strlen("pci@"), 16, 1, UINT64_MAX, &number,
                                           NULL) &&
                (!found || number < found))
                found = number;
        }
    }
    return found;
}

/* Returns the first RAM of the view, or NULL. */
static const struct godwit_range *find_ram(const struct godwit_view *view)
{
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        if (range->kind == GODWIT_RANGE_RAM && range->last - range->start >= SCRATCH_SIZE)
            return range;
    }
    return NULL;
}

struct godwit_pci *godwit_pci_new(struct godwit_qtest *qtest, const struct godwit_mtree *mtree,
                                  GError **error)
{
    const struct godwit_view *memory = godwit_mtree_view(mtree, "memory");
    const struct godwit_view *ports = godwit_mtree_view(mtree, "I/O");
    const struct godwit_range *ecam = godwit_view_find(memory, "pcie-mmcfg-mmio");
    const struct godwit_range *ram = find_ram(memory);
    struct godwit_pci pci = {.qtest = qtest, .buses = 256};
    if (ecam) {
        pci.way = GODWIT_PCI_ECAM;
        pci.ecam = ecam->start;
        pci.buses = (unsigned)MIN((ecam->last - ecam->start + 1) >> 20, 256);
    } else if (godwit_view_find(ports, "pci-conf-idx")) {
        pci.way = GODWIT_PCI_PORTS;
    } else if (find_bridge(mtree) && ram) {
        pci.way = GODWIT_PCI_CALLS;
        pci.bridge = find_bridge(mtree);
        pci.scratch = ram->start;
    } else {
        godwit_fail(error, GODWIT_ERROR_SKIP,
                    "PCI configuration space cannot be reached on this machine: it has neither "
                    "ECAM nor ports nor firmware services for it");
        return NULL;
    }
    godwit_pci_find_windows(&pci, memory, ports);
    return g_memdup2(&pci, sizeof(pci));
}

size_t godwit_pci_capability(const unsigned char *config, size_t length, uint8_t id,
                             unsigned number)
{
    size_t at = config[CAPABILITIES];
    /* No list is longer than its room, so that a loop in it ends as well. */
    for (size_t seen = 0; at && at + 2 <= length && seen < length; seen++) {
        if (config[at] == id && number-- == 0)
            return at;
        at = config[at + 1];
    }
    return 0;
}

void godwit_pci_free(struct godwit_pci *pci)
{
    g_free(pci);
}
