/*
 * PCI configuration space through the hand: a machine that has configuration space and nothing
 * else, reached in each of the ways, and what firmware would do to it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/pci.h"

#include "qtest_peer.h"

#include <inttypes.h>

#define BARS_MAX 7 /* with that of the ROM */

/* A function, and what a test knows of it. */
struct function {
    int parent;   /* index of its bridge; -1: it is on a root bus ... */
    uint8_t root; /* ... with this number */
    uint8_t place;
    uint32_t id;
    bool bridge, several;
    struct {
        uint64_t size;
        uint32_t flags; /* the low bits of the BAR */
    } bars[BARS_MAX];
    unsigned char config[4096], writable[4096];
};

#define IO       1u
#define WIDE     4u
#define PREFETCH 8u

/* The machine, and how its configuration space is reached. */
struct machine {
    struct function functions[12];
    size_t count;
    uint64_t ecam;  /* where ECAM is; 0: nowhere */
    bool q35;       /* function 0 says where */
    bool ports;     /* it has 0xCF8 and 0xCFC */
    uint32_t index; /* what 0xCF8 has */
    uint32_t ram[16];
    uint64_t bridge; /* its number for firmware services; 0: it has none */
};

#define BRIDGE_ROM 0x38
#define ROM        0x30

static uint32_t get(const unsigned char *bytes, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)bytes[offset + i] << (8 * i);
    return value;
}

static void put(unsigned char *bytes, unsigned offset, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[offset + i] = (unsigned char)(value >> (8 * i));
}

static unsigned bar_offset(const struct function *function, unsigned bar)
{
    return bar < BARS_MAX - 1 ? 0x10 + 4 * bar : function->bridge ? BRIDGE_ROM : ROM;
}

/* Makes configuration space of what the test knows. */
static void prepare(struct machine *machine)
{
    for (size_t i = 0; i < machine->count; i++) {
        struct function *function = &machine->functions[i];
        put(function->config, 0, 4, function->id);
        put(function->writable, 4, 2, 0x547);
        function->config[0x0e] =
            (unsigned char)((function->bridge ? 1 : 0) | (function->several ? 0x80 : 0));
        if (function->bridge) {
            put(function->writable, 0x18, 4, 0x00ffffff);
            put(function->writable, 0x1c, 2, 0xf0f0);
            put(function->writable, 0x20, 4, 0xfff0fff0);
            put(function->writable, 0x24, 4, 0xfff0fff0);
            put(function->config, 0x24, 4, 0x00010001);
            put(function->writable, 0x28, 4, UINT32_MAX);
            put(function->writable, 0x2c, 4, UINT32_MAX);
        }
        for (unsigned bar = 0; bar < BARS_MAX; bar++) {
            const uint64_t size = function->bars[bar].size;
            const unsigned offset = bar_offset(function, bar);
            if (!size)
                continue;
            const uint64_t mask = ~(size - 1);
            put(function->writable, offset, 4, (uint32_t)mask | (bar == BARS_MAX - 1));
            put(function->config, offset, 4, function->bars[bar].flags);
            if (function->bars[bar].flags & WIDE)
                put(function->writable, offset + 4, 4, (uint32_t)(mask >> 32));
        }
    }
    if (machine->q35) {
        put(machine->functions[0].writable, 0x60, 4, 0xf0000007);
        put(machine->functions[0].writable, 0x64, 4, 0xf);
    }
}

static unsigned bus_of(const struct machine *machine, const struct function *function)
{
    return function->parent < 0 ? function->root
                                : machine->functions[function->parent].config[0x19];
}

static struct function *find(struct machine *machine, unsigned bus, unsigned place)
{
    for (size_t i = 0; i < machine->count; i++) {
        struct function *function = &machine->functions[i];
        const unsigned number = bus_of(machine, function);
        if (number == bus && function->place == place && (number || function->parent < 0))
            return function;
    }
    return NULL;
}

static void config_write(struct machine *machine, unsigned bus, unsigned place, unsigned offset,
                         unsigned size, uint32_t value)
{
    struct function *function = find(machine, bus, place);
    for (unsigned i = 0; function && i < size; i++) {
        const unsigned char writable = function->writable[offset + i];
        function->config[offset + i] = (unsigned char)((function->config[offset + i] & ~writable) |
                                                       (value >> (8 * i) & writable));
    }
    if (machine->q35 && function == machine->functions && offset == 0x60)
        machine->ecam = value & 1 ? value & 0xf0000000 : 0;
}

static uint32_t config_read(struct machine *machine, unsigned bus, unsigned place, unsigned offset,
                            unsigned size)
{
    const struct function *function = find(machine, bus, place);
    return function ? get(function->config, offset, size) : UINT32_MAX >> (32 - 8 * size);
}

/* A firmware service: words in RAM, which begins at 0. */
static char *answer_call(struct machine *machine, const char *line)
{
    char name[32];
    unsigned arguments, results;
    uint64_t from, to;
    assert_int_equal(sscanf(line, "rtas %31s %u 0x%" SCNx64 " %u 0x%" SCNx64, name, &arguments,
                            &from, &results, &to),
                     5);
    if (!machine->bridge)
        return g_strdup("FAIL Unknown command 'rtas'\n");
    const uint32_t *words = &machine->ram[from / 4];
    uint32_t *into = &machine->ram[to / 4];
    assert_true(((uint64_t)words[1] << 32 | words[2]) == machine->bridge);
    const unsigned bus = words[0] >> 16 & 0xff, place = words[0] >> 8 & 0xff;
    const unsigned offset = (words[0] & 0xff) | (words[0] >> 28) << 8;
    into[0] = find(machine, bus, place) ? 0 : (uint32_t)-3;
    if (!strcmp(name, "ibm,read-pci-config")) {
        assert_int_equal(arguments, 4);
        assert_int_equal(results, 2);
        into[1] = config_read(machine, bus, place, offset, words[3]);
    } else {
        assert_string_equal(name, "ibm,write-pci-config");
        assert_int_equal(arguments, 5);
        assert_int_equal(results, 1);
        config_write(machine, bus, place, offset, words[3], words[4]);
    }
    return g_strdup("OK 0\n");
}

static char *answer(struct peer *peer, const char *line)
{
    struct machine *machine = peer->data;
    char word[16], data[128] = "";
    uint64_t address = 0, value = 0;
    if (g_str_has_prefix(line, "rtas "))
        return answer_call(machine, line);
    if (sscanf(line, "write 0x%" SCNx64 " 0x%" SCNx64 " 0x%127s", &address, &value, data) == 3) {
        for (unsigned i = 0; i < value; i++)
            ((unsigned char *)machine->ram)[address + i] =
                (unsigned char)(g_ascii_xdigit_value(data[2 * i]) << 4 |
                                g_ascii_xdigit_value(data[2 * i + 1]));
        return g_strdup("OK\n");
    }
    if (sscanf(line, "read 0x%" SCNx64 " 0x%" SCNx64, &address, &value) == 2) {
        GString *text = g_string_new("OK 0x");
        for (unsigned i = 0; i < value; i++)
            g_string_append_printf(text, "%02x", ((unsigned char *)machine->ram)[address + i]);
        return g_string_free(g_string_append_c(text, '\n'), FALSE);
    }
    assert_true(sscanf(line, "%15s 0x%" SCNx64 " 0x%" SCNx64, word, &address, &value) >= 2);
    const bool in = g_str_has_prefix(word, "in"), out = g_str_has_prefix(word, "out");
    const bool write = out || g_str_has_prefix(word, "write");
    const char last = word[strlen(word) - 1];
    const unsigned size = last == 'b' ? 1 : last == 'w' ? 2 : 4;
    uint32_t *ram = NULL;
    unsigned bus = 0, place = 0, offset = 0;
    if ((in || out) && address == 0xcf8) {
        ram = &machine->index;
    } else if (in || out) {
        assert_in_range(address, 0xcfc, 0xcff);
        assert_true(machine->ports && machine->index >> 31);
        bus = machine->index >> 16 & 0xff;
        place = machine->index >> 8 & 0xff;
        offset = (machine->index & 0xfc) | (address & 3);
    } else if (machine->ecam && address >= machine->ecam) {
        bus = (unsigned)((address - machine->ecam) >> 20);
        place = (address - machine->ecam) >> 12 & 0xff;
        offset = (address - machine->ecam) & 0xfff;
    } else {
        assert_in_range(address, 0, sizeof(machine->ram) - 1);
        ram = &machine->ram[address / 4];
    }
    if (!write)
        return g_strdup_printf("OK 0x%x\n",
                               ram ? *ram : config_read(machine, bus, place, offset, size));
    if (ram)
        *ram = (uint32_t)value;
    else
        config_write(machine, bus, place, offset, size, (uint32_t)value);
    return g_strdup("OK\n");
}

/* The views of the machines. */
static const char pc_views[] = "FlatView #0\n"
                               " AS \"memory\", root: system\n"
                               " Root memory region: system\n"
                               "  0000000000000000-0000000007ffffff (prio 0, ram): pc.ram\n"
                               "  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\n"
                               "  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\n"
                               "\n"
                               "FlatView #1\n"
                               " AS \"I/O\", root: io\n"
                               " Root memory region: io\n"
                               "  0000000000000cf8-0000000000000cf8 (prio 0, i/o): pci-conf-idx\n"
                               "  0000000000000cfc-0000000000000cff (prio 0, i/o): pci-conf-data\n"
                               "  0000000000000d00-0000000000005657 (prio 0, i/o): io\n"
                               "  0000000000005658-0000000000005658 (prio 0, i/o): vmport\n"
                               "  0000000000005659-000000000000ffff (prio 0, i/o): io\n";
/* More RAM: nothing is left where ECAM of q35 would go. */
static const char full_views[] =
    "FlatView #0\n"
    " AS \"memory\", root: system\n"
    " Root memory region: system\n"
    "  0000000000000000-00000000bfffffff (prio 0, ram): pc.ram\n"
    "  0000000100000000-000000013fffffff (prio 0, ram): pc.ram\n"
    "\n"
    "FlatView #1\n"
    " AS \"I/O\", root: io\n"
    " Root memory region: io\n"
    "  0000000000000cf8-0000000000000cf8 (prio 0, i/o): pci-conf-idx\n";
static const char virt_views[] =
    "FlatView #0\n"
    " AS \"memory\", root: system\n"
    " Root memory region: system\n"
    "  0000000010000000-000000003efeffff (prio 0, i/o): gpex_mmio_window @0000000010000000\n"
    "  000000003eff0000-000000003effffff (prio 0, i/o): gpex_ioport_window\n"
    "  0000004010000000-0000004017ffffff (prio 0, i/o): pcie-mmcfg-mmio\n"
    "  0000008000000000-000000ffffffffff (prio 0, i/o): gpex_mmio_window @0000008000000000\n";
static const char pseries_views[] =
    "FlatView #0\n"
    " AS \"memory\", root: system\n"
    " Root memory region: system\n"
    "  0000000000000000-000000001fffffff (prio 0, ram): ppc_spapr.ram\n"
    "\n"
    "FlatView #1\n"
    " AS \"pci@800000020000001\", root: pci@800000020000001.iommu-root\n"
    " AS \"pci@800000020000000\", root: pci@800000020000000.iommu-root\n"
    " AS \"pci@800000020000002\", root: pci@800000020000002.iommu-root\n"
    " Root memory region: (none)\n"
    "  No rendered FlatView\n";
static const char s390x_views[] = "FlatView #0\n"
                                  " AS \"memory\", root: system\n"
                                  " Root memory region: s390.ram\n"
                                  "  0000000000000000-0000000007ffffff (prio 0, ram): s390.ram\n";

/* Two bridges in a row, one with nothing behind it, an expander, and BARs of all kinds. */
static const struct function functions[] = {
    {.parent = -1, .id = 0x29c08086},
    {.parent = -1,
     .place = 1 << 3,
     .id = 0x00011234,
     .several = true,
     .bars = {{0x20, IO},
              {0x1000, 0},
              {0x10000000, WIDE | PREFETCH},
              {0, 0},
              {0, 0},
              {0, 0},
              {0x8000, 0}}},
    {.parent = -1, .place = 1 << 3 | 3, .id = 0x00021234, .bars = {[5] = {0x100, 0}}},
    {.parent = -1, .place = 2 << 3, .id = 0x00031234, .bridge = true, .bars = {{0x1000, 0}}},
    {.parent = 3, .place = 0, .id = 0x00041234, .bridge = true, .bars = {[6] = {0x800, 0}}},
    {.parent = 4,
     .place = 4 << 3,
     .id = 0x00051234,
     .bars = {{0x100, IO}, {0x100000, 0}, {0, 0}, {0x800000, PREFETCH}, {0x4000, WIDE | PREFETCH}}},
    {.parent = -1, .place = 3 << 3, .id = 0x00061234, .bridge = true},
    {.parent = -1,
     .place = 4 << 3,
     .id = 0x00071234,
     .bars = {{0x80000000, 0}, {0x40000000, WIDE}, {0, 0}, {0x40000000, 0}}},
    {.parent = -1, .root = 64, .id = 0x00081234, .bridge = true},
    {.parent = 8, .id = 0x00091234, .bars = {{0x40, IO}, {0x20, 0}}},
};

static struct machine *machine_new(void)
{
    struct machine *machine = g_new0(struct machine, 1);
    machine->count = G_N_ELEMENTS(functions);
    memcpy(machine->functions, functions, sizeof(functions));
    for (unsigned i = 0; i < G_N_ELEMENTS(machine->ram); i++)
        machine->ram[i] = 0x01010101 * i;
    machine->index = 0x80001234;
    return machine;
}

static struct godwit_pci *open_pci(struct peer *peer, const char *views)
{
    struct godwit_mtree *mtree = godwit_mtree_parse(views, NULL);
    assert_non_null(mtree);
    struct godwit_pci *pci = godwit_pci_new(peer->qtest, mtree, NULL);
    godwit_mtree_free(mtree);
    assert_non_null(pci);
    return pci;
}

/* Returns the address of a BAR, 0 for none. */
static uint64_t address_of(const struct function *function, unsigned bar)
{
    const unsigned offset = bar_offset(function, bar);
    uint64_t address = get(function->config, offset, 4) & ~(bar == BARS_MAX - 1 ? 0x7ffu
                                                            : function->bars[bar].flags & IO ? 3u
                                                                                             : 15u);
    if (function->bars[bar].flags & WIDE)
        address |= (uint64_t)get(function->config, offset + 4, 4) << 32;
    return address;
}

/* Returns whether the bridge forwards the bytes. */
static bool forwards(const struct function *bridge, uint64_t first, uint64_t last, bool io)
{
    const unsigned char *config = bridge->config;
    const uint64_t io_first = get(config, 0x1c, 1) >> 4 << 12;
    const uint64_t io_last = (get(config, 0x1d, 1) >> 4 << 12) | 0xfff;
    const uint64_t low_first = get(config, 0x20, 2) >> 4 << 20;
    const uint64_t low_last = (get(config, 0x22, 2) >> 4 << 20) | 0xfffff;
    const uint64_t high_first = (get(config, 0x24, 2) >> 4 << 20) | (uint64_t)get(config, 0x28, 4)
                                                                        << 32;
    const uint64_t high_last =
        ((get(config, 0x26, 2) >> 4 << 20) | (uint64_t)get(config, 0x2c, 4) << 32) | 0xfffff;
    if (io)
        return first >= io_first && last <= io_last;
    return (first >= low_first && last <= low_last) || (first >= high_first && last <= high_last);
}

/* Every BAR has an address of its own that reaches it, except COUNT without an address. */
static void check(const struct machine *machine, unsigned unmapped)
{
    unsigned without = 0;
    for (size_t i = 0; i < machine->count; i++) {
        const struct function *function = &machine->functions[i];
        assert_int_equal(get(function->config, 4, 2), 3);
        for (unsigned bar = 0; bar < BARS_MAX; bar++) {
            const uint64_t size = function->bars[bar].size;
            const uint64_t first = address_of(function, bar), last = first + size - 1;
            const bool io = function->bars[bar].flags & IO;
            without += size && !first;
            if (!size || !first)
                continue;
            assert_true(first % size == 0);
            if (io)
                assert_in_range(last, 0x1000, 0xffff);
            if (!(function->bars[bar].flags & WIDE))
                assert_true(last <= UINT32_MAX);
            if (machine->ecam && !io)
                assert_true(last < machine->ecam || first >= machine->ecam + (256u << 20));
            if (bar == BARS_MAX - 1)
                assert_true(function->config[bar_offset(function, bar)] & 1);
            for (int above = function->parent; above >= 0; above = machine->functions[above].parent)
                assert_true(forwards(&machine->functions[above], first, last, io));
            for (size_t j = 0; j < machine->count; j++) {
                const struct function *other = &machine->functions[j];
                for (unsigned k = 0; k < BARS_MAX; k++) {
                    const uint64_t start = address_of(other, k);
                    if (!other->bars[k].size || !start || (j == i && k == bar) ||
                        io != (other->bars[k].flags & IO))
                        continue;
                    assert_true(last < start || first > start + other->bars[k].size - 1);
                }
            }
        }
        if (!function->bridge)
            continue;
        const unsigned own = function->config[0x18], secondary = function->config[0x19],
                       subordinate = function->config[0x1a];
        assert_int_equal(own, bus_of(machine, function));
        assert_true(secondary > own && subordinate >= secondary);
    }
    assert_int_equal(without, unmapped);
    /* Nobody sees that somebody has looked. */
    assert_int_equal(machine->index, 0x80001234);
    for (unsigned i = 0; i < G_N_ELEMENTS(machine->ram); i++)
        assert_int_equal(machine->ram[i], 0x01010101 * i);
}

static void test_assign(void **state)
{
    static const uint8_t roots[] = {0, 64};
    static const struct {
        const char *views;
        bool ports, q35;
        uint64_t ecam, bridge, ecam_after;
        unsigned unmapped;
        size_t size;
    } rows[] = {
        /* A BAR of 2 GiB finds no room anywhere; of two with 1 GiB each, some do. */
        {pc_views, true, true, 0, 0, 0xb0000000, 2, 4096},
        {pc_views, true, false, 0, 0, 0, 1, 256},
        {full_views, true, true, 0, 0, 0, 3, 256},
        {virt_views, false, false, UINT64_C(0x4010000000), 0, UINT64_C(0x4010000000), 3, 4096},
        {pseries_views, false, false, 0, UINT64_C(0x800000020000000), 0, 3, 4096},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree struct machine *machine = machine_new();
        g_autoptr(GError) error = NULL;
        machine->ports = rows[i].ports;
        machine->q35 = rows[i].q35;
        machine->ecam = rows[i].ecam;
        machine->bridge = rows[i].bridge;
        if (!rows[i].q35)
            machine->functions[0].id = 0x12378086;
        prepare(machine);
        struct peer peer = {.answer = answer, .data = machine};
        peer_start(&peer);
        struct godwit_pci *pci = open_pci(&peer, rows[i].views);
        /* The second time does what the first has done. */
        for (unsigned times = 0; times < 2; times++) {
            if (!godwit_pci_assign(pci, roots, G_N_ELEMENTS(roots), &error))
                fail_msg("row %zu: %s", i, error->message);
            assert_true(machine->ecam == rows[i].ecam_after);
            assert_int_equal(godwit_pci_config_size(pci), rows[i].size);
            check(machine, rows[i].unmapped);
        }
        unsigned char bytes[4096];
        assert_true(godwit_pci_config(pci, 64, 0, 4, bytes, rows[i].size, NULL));
        assert_memory_equal(bytes, machine->functions[8].config, rows[i].size);
        godwit_pci_free(pci);
        peer_stop(&peer);
    }
}

/* Single registers of all sizes, in each way, and registers of functions that are not there. */
static void test_access(void **state)
{
    static const struct {
        const char *views;
        uint64_t ecam, bridge;
    } rows[] = {{pc_views, 0, 0},
                {virt_views, UINT64_C(0x4010000000), 0},
                {pseries_views, 0, UINT64_C(0x800000020000000)}};
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree struct machine *machine = machine_new();
        machine->ports = !rows[i].ecam && !rows[i].bridge;
        machine->ecam = rows[i].ecam;
        machine->bridge = rows[i].bridge;
        prepare(machine);
        struct peer peer = {.answer = answer, .data = machine};
        peer_start(&peer);
        struct godwit_pci *pci = open_pci(&peer, rows[i].views);
        struct godwit_pci_access accesses[] = {
            {.place = 1 << 3, .offset = 0, .size = 4},
            {.place = 1 << 3, .offset = 2, .size = 2},
            {.place = 1 << 3, .offset = 3, .size = 1},
            {.place = 1 << 3, .offset = 4, .size = 2, .write = true, .value = 0x547},
            {.place = 1 << 3, .offset = 5, .size = 1},
            {.place = 1 << 3, .offset = 5, .size = 1, .write = true, .value = 0},
            {.place = 1 << 3, .offset = 4, .size = 2},
            {.place = 9 << 3, .offset = 4, .size = 2},
            {.bus = 7, .place = 0, .offset = 0, .size = 4},
            {.bus = 7, .place = 0, .offset = 0xff, .size = 1},
        };
        static const uint32_t wanted[] = {0x00011234, 0x0001, 0x00,   0x547,      0x05,
                                          0,          0x47,   0xffff, UINT32_MAX, 0xff};
        assert_true(godwit_pci_run(pci, accesses, G_N_ELEMENTS(accesses), NULL));
        for (size_t j = 0; j < G_N_ELEMENTS(accesses); j++)
            assert_int_equal(accesses[j].value, wanted[j]);
        assert_true(godwit_pci_run(pci, NULL, 0, NULL));
        assert_int_equal(machine->index, 0x80001234);
        godwit_pci_free(pci);
        peer_stop(&peer);
    }
}

static void test_out_of_reach(void **state)
{
    static const struct {
        const char *views;
        struct godwit_pci_access access;
    } rows[] = {
        {pc_views, {.offset = 256, .size = 4}}, {virt_views, {.offset = 4096, .size = 4}},
        {virt_views, {.bus = 128, .size = 4}},  {pseries_views, {.offset = 4096, .size = 1}},
        {pc_views, {.offset = 0, .size = 8}},   {pc_views, {.offset = 0, .size = 0}},
        {pc_views, {.offset = 2, .size = 4}},   {pc_views, {.offset = 3, .size = 2}},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        struct peer peer = {.answer = answer};
        peer_start(&peer);
        struct godwit_pci *pci = open_pci(&peer, rows[i].views);
        struct godwit_pci_access access = rows[i].access;
        if (access.size)
            assert_false(godwit_pci_run(pci, &access, 1, &error));
        else
            godwit_pci_run(pci, &access, 1, &error);
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, "within reach");
        godwit_pci_free(pci);
        peer_stop(&peer);
        assert_int_equal(peer.lines, 0);
    }
}

/* A machine without a way to configuration space is a reason to skip. */
static void test_no_way(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer};
    peer_start(&peer);
    struct godwit_mtree *mtree = godwit_mtree_parse(s390x_views, NULL);
    assert_null(godwit_pci_new(peer.qtest, mtree, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
    godwit_mtree_free(mtree);
    godwit_pci_free(NULL);
    peer_stop(&peer);
}

/* Bridges without end, and roots whose numbers are needed otherwise. */
static void test_too_many_buses(void **state)
{
    static const uint8_t close[] = {0, 2};
    (void)state;
    g_autofree struct machine *machine = machine_new();
    machine->ports = true;
    machine->functions[0].id = 0x12378086;
    prepare(machine);
    struct peer peer = {.answer = answer, .data = machine};
    peer_start(&peer);
    struct godwit_pci *pci = open_pci(&peer, pc_views);
    g_autoptr(GError) error = NULL;
    assert_false(godwit_pci_assign(pci, close, 2, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
    assert_contains(error->message, "root bus 2");
    g_clear_error(&error);
    /* Behind a bridge with the largest number there is no other one. */
    static const uint8_t last[] = {255};
    machine->functions[8].root = 255;
    assert_false(godwit_pci_assign(pci, last, 1, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
    assert_contains(error->message, "more than 256 buses");
    godwit_pci_free(pci);
    peer_stop(&peer);
}

/* The errors of the connection are passed on, wherever they happen. */
static char *answer_until(struct peer *peer, const char *line)
{
    struct machine *machine = peer->data;
    return peer->lines < machine->index ? answer(peer, line) : NULL;
}

static void test_death(void **state)
{
    static const uint8_t roots[] = {0, 64};
    (void)state;
    for (unsigned lines = 0; lines < 900; lines += 13) {
        g_autofree struct machine *machine = machine_new();
        g_autoptr(GError) error = NULL;
        machine->ecam = UINT64_C(0x4010000000);
        machine->index = lines;
        prepare(machine);
        struct peer peer = {.answer = answer_until, .data = machine, .how = "ended"};
        peer_start(&peer);
        struct godwit_pci *pci = open_pci(&peer, virt_views);
        if (!godwit_pci_assign(pci, roots, 2, &error)) {
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS));
            assert_contains(error->message, "QEMU died of `");
        } else {
            assert_in_range(lines, 500, 900);
        }
        godwit_pci_free(pci);
        peer_stop(&peer);
    }
}

static void test_capability(void **state)
{
    (void)state;
    unsigned char config[256] = {
        [0x34] = 0x40, [0x40] = 9, [0x41] = 0x50, [0x50] = 16, [0x51] = 0x60, [0x60] = 9};
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 9, 0), 0x40);
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 9, 1), 0x60);
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 9, 2), 0);
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 16, 0), 0x50);
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 5, 0), 0);
    assert_int_equal(godwit_pci_capability(config, 0x50, 16, 0), 0);
    config[0x61] = 0x40; /* a list without an end */
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 5, 0), 0);
    assert_int_equal(godwit_pci_capability(config, sizeof(config), 9, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assign),         cmocka_unit_test(test_access),
        cmocka_unit_test(test_out_of_reach),   cmocka_unit_test(test_no_way),
        cmocka_unit_test(test_too_many_buses), cmocka_unit_test(test_capability),
        cmocka_unit_test(test_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
