/*
 * Memory that QEMU fills from files: option ROMs and ACPI tables. The files may be others on the
 * destination, as after an upgrade. The guest must keep what its source has given it. A block of
 * another size must become as large as the source's, or be refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "base/file.h"
#include "memory/memory.h"
#include "oracle/hardware.h"
#include <inttypes.h>
#include <string.h>

/* The option ROM: its block, and the files of both sides. */
#define ROM_DEVICE   "virtio-rng-pci"
#define ROM_BLOCK    "/" ROM_DEVICE ".rom"
#define ROM_SIZE     65536u
#define ROM_HERE     60000u /* bytes in the source's file ... */
#define ROM_THERE    40000u /* ... and in the destination's */
#define ROM_OF(name) ROM_DEVICE ",romfile=" name ",rombar=1,romsize="

/* The tables, whose block QEMU makes larger in steps of 128 KiB, and what a file adds to them. */
#define TABLES      "/rom@etc/acpi/tables"
#define TABLE_BYTES 60000u
#define TABLE       "-acpitable", "sig=GDWT,data=table"
#define TABLES_MORE TABLE, TABLE, TABLE

/* The port at which firmware chooses the file of fw_cfg that it reads next, and the numbers that
 * files have, from QEMU's specification of that device. QEMU makes the tables anew when one of
 * theirs is chosen for the first time. */
#define FW_CFG           "fwcfg"
#define FW_CFG_SELECT    0x510
#define FW_CFG_FILE      0x20u
#define FW_CFG_FILES_END 0x60u

struct godwit_scenario_state {
    uint64_t length; /* of the source's tables */
};

/* Fills BYTES with contents of a NUMBER, which repeat nowhere at the distance of a page. */
static void fill(unsigned char *bytes, size_t length, unsigned number)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * number + i / 251 + number);
}

/* Makes the file NAME in the testbed's directory, with contents of a NUMBER. */
static bool make_file(const struct godwit_testbed *testbed, const char *name, size_t length,
                      unsigned number, GError **error)
{
    g_autofree char *path = g_build_filename(testbed->directory, name, NULL);
    g_autofree unsigned char *bytes = g_malloc(length);
    fill(bytes, length, number);
    return godwit_file_write(path, bytes, length, error);
}

/* Starts both sides, and takes the common course. */
static bool take_course(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                        const char *what, const char *const *here, const char *const *there,
                        GError **error)
{
    struct godwit_vm *source, *destination;
    testbed->oob = godwit_spec_is_postcopy(spec);
    return godwit_course_try_both(testbed, what, here, there, GODWIT_VM_DESTINATION_PAUSED, &source,
                                  &destination, error) &&
           godwit_course_migrates(source, "machine", error) &&
           godwit_course_move(testbed, spec, source, destination, error);
}

/* Returns the block of the option ROM, or NULL with ERROR set. */
static const struct godwit_block *find_rom(struct godwit_vm *vm, GError **error)
{
    godwit_memory_forget(vm);
    if (!godwit_memory_map(vm, error))
        return NULL;
    for (guint i = 0; i < vm->blocks->len; i++) {
        const struct godwit_block *block = &g_array_index(vm->blocks, struct godwit_block, i);
        if (g_str_has_suffix(block->name, ROM_BLOCK))
            return block;
    }
    godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: no RAM block has a name that ends in %s",
                vm->name, ROM_BLOCK);
    return NULL;
}

/* Compares the option ROM of VM with what a file of LENGTH bytes with contents of a NUMBER makes of
 * it. */
static bool judge_rom(struct godwit_vm *vm, size_t length, unsigned number, GError **error)
{
    const struct godwit_block *block = find_rom(vm, error);
    unsigned char found[ROM_SIZE], wanted[ROM_SIZE] = {0};
    if (!block)
        return false;
    if (block->length != ROM_SIZE)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "%s: RAM block %s has %" PRIu64 " bytes, expected %u", vm->name,
                           block->name, block->length, ROM_SIZE);
    if (!godwit_memory_read_block(vm, block, 0, found, ROM_SIZE, error))
        return false;
    fill(wanted, length, number);
    for (size_t i = 0; i < ROM_SIZE; i++)
        if (found[i] != wanted[i])
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: 0x%02x at offset 0x%zx of RAM block %s, expected 0x%02x",
                               vm->name, found[i], i, block->name, wanted[i]);
    return true;
}

enum { HERE = 3, THERE = 5 };

/* Gives the source's ROM an address: before 8.2, only what the guest sees can be read. A spec's
 * hook `configure`. */
static bool map_rom(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_course_stop(source, error) && godwit_hardware_assign(source, error) &&
           judge_rom(source, ROM_HERE, HERE, error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

/* A spec's hook `judge`. */
static bool judge_roms(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return judge_rom(source, ROM_HERE, HERE, error) &&
           judge_rom(destination, ROM_HERE, HERE, error);
}

/* A spec's hook `judge` of a migration that failed. */
static bool judge_refusal(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autofree char *said = godwit_vm_stderr(destination, G_MAXUINT);
    (void)source;
    return strstr(said, ROM_BLOCK) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the destination's option ROM has another size, and it ended without naming "
                       "the RAM block %s: \"%s\"",
                       ROM_BLOCK, g_strchomp(said));
}

/* Both sides have a device with an option ROM, from different files. The scenario's data is the
 * destination's device. */
static bool run_option(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    const char *const here[] = {"-device", ROM_OF("here.rom") "65536", NULL};
    const char *const there[] = {"-device", scenario->data, NULL};
    testbed->hand = true;
    return make_file(testbed, "here.rom", ROM_HERE, HERE, error) &&
           make_file(testbed, "there.rom", ROM_THERE, THERE, error) &&
           take_course(testbed, &scenario->spec, "a device with an option ROM", here, there, error);
}

/* Sets *LENGTH of the tables of VM. */
static bool ask_tables(struct godwit_vm *vm, uint64_t *length, GError **error)
{
    godwit_memory_forget(vm);
    if (!godwit_memory_map(vm, error))
        return false;
    const struct godwit_block *block = godwit_memory_block(vm, TABLES);
    if (!block)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine with a RAM block " TABLES);
    *length = block->length;
    return true;
}

/* A spec's hook `configure`. */
static bool see_tables(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    uint64_t *here = &source->testbed->state->length, there;
    if (!ask_tables(source, here, error) || !ask_tables(destination, &there, error))
        return false;
    return *here != there || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                         "the tables have 0x%" PRIx64 " bytes on both sides, where "
                                         "one side has some more",
                                         there);
}

/* A spec's hook `judge`. */
static bool judge_tables(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    uint64_t here, there;
    const uint64_t wanted = source->testbed->state->length;
    if (!ask_tables(source, &here, error) || !ask_tables(destination, &there, error))
        return false;
    return (here == wanted && there == wanted) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's tables had 0x%" PRIx64 " bytes; now they have 0x%" PRIx64
                       " on the source and 0x%" PRIx64 " on the destination",
                       wanted, here, there);
}

static bool run_tables(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       bool larger, GError **error)
{
    const char *const few[] = {TABLE, NULL}, *const many[] = {TABLES_MORE, NULL};
    return make_file(testbed, "table", TABLE_BYTES, HERE, error) &&
           take_course(testbed, &scenario->spec, "ACPI tables from a file", larger ? many : few,
                       larger ? few : many, error);
}

static bool run_larger(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    return run_tables(testbed, scenario, true, error);
}

static bool run_smaller(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    return run_tables(testbed, scenario, false, error);
}

/* Returns the source's tables, or NULL with ERROR set. Fails with SKIP where they cannot be read:
 * before QEMU 8.2, only what the guest sees can be. The caller frees them. */
static GBytes *read_tables(struct godwit_vm *source, GError **error)
{
    uint64_t length;
    if (!ask_tables(source, &length, error))
        return NULL;
    const struct godwit_block *block = godwit_memory_block(source, TABLES);
    if (!godwit_memory_readable(source, block, 0, length)) {
        godwit_fail(
            error, GODWIT_ERROR_SKIP,
            "needs RAM blocks that can be read although the guest does not see them: not in "
            "QEMU %s",
            source->qemu->version);
        return NULL;
    }
    g_autofree unsigned char *bytes = g_malloc(length);
    return godwit_memory_read_block(source, block, 0, bytes, length, error)
               ? g_bytes_new_take(g_steal_pointer(&bytes), length)
               : NULL;
}

/* Fails with SKIP unless the machine has fw_cfg at a port. */
static bool find_fw_cfg(struct godwit_vm *vm, GError **error)
{
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    if (!mtree)
        return false;
    const struct godwit_view *ports = godwit_mtree_view(mtree, "I/O");
    const struct godwit_range *range = ports ? godwit_view_find(ports, FW_CFG) : NULL;
    const bool found = range && range->start == FW_CFG_SELECT;
    godwit_mtree_free(mtree);
    return found || godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine with fw_cfg at a port");
}

/* Does to the source what firmware does, while the migration is live: gives the PCI devices their
 * addresses, and reads the tables. A spec's hook `live`. */
static bool read_as_firmware(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    g_autoptr(GBytes) before = NULL;
    g_autoptr(GBytes) after = NULL;
    (void)destination;
    if (!godwit_course_stop(source, error) || !(before = read_tables(source, error)) ||
        !find_fw_cfg(source, error) || !godwit_hardware_assign(source, error))
        return false;
    for (unsigned file = FW_CFG_FILE; file < FW_CFG_FILES_END; file++)
        if (!godwit_qtest_out(source->qtest, 2, FW_CFG_SELECT, file, error))
            return false;
    if (!(after = read_tables(source, error)) || !godwit_vm_run(source, error))
        return false;
    return !g_bytes_equal(before, after) ||
           godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs tables that depend on what firmware has set up");
}

static bool run_read(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    const char *const none[] = {NULL};
    testbed->hand = true;
    return take_course(testbed, &scenario->spec, "ACPI tables", none, none, error);
}

#define ROW(name_, text, run_, spec_, ...)                                                         \
    {                                                                                              \
        .name = "memory/rom/" name_, .summary = text, .run = run_,                                 \
        .state = sizeof(struct godwit_scenario_state), .spec = spec_, __VA_ARGS__                  \
    }

#define OPTION                                                                                     \
    {                                                                                              \
        .configure = map_rom, .judge = judge_roms                                                  \
    }
#define REFUSED                                                                                    \
    {                                                                                              \
        .outcome = GODWIT_OUTCOME_FAILS, .judge = judge_refusal                                    \
    }
#define RESIZED(move_)                                                                             \
    {                                                                                              \
        .move = move_, .configure = see_tables, .judge = judge_tables                              \
    }

#define READ                                                                                       \
    {                                                                                              \
        .live = read_as_firmware                                                                   \
    }

GODWIT_SCENARIOS(rom) = {
    ROW("option", "a destination with another option ROM: the source's arrives", run_option, OPTION,
        .data = ROM_OF("there.rom") "65536"),
    ROW("option/refused", "a destination with a larger option ROM: refused", run_option, REFUSED,
        .data = ROM_OF("there.rom") "131072"),
    ROW("tables/larger", "ACPI tables that need more memory than the destination's", run_larger,
        RESIZED(GODWIT_MOVE_LIVE), .slow = true),
    ROW("tables/smaller", "ACPI tables that need less memory than the destination's", run_smaller,
        RESIZED(GODWIT_MOVE_LIVE), .slow = true),
    ROW("tables/postcopy", "ACPI tables that need more memory, postcopy", run_larger,
        RESIZED(GODWIT_MOVE_POSTCOPY_PAUSED), .slow = true),
    ROW("tables/read", "ACPI tables that QEMU changes when firmware reads them, during migration",
        run_read, READ, .slow = true),
};
GODWIT_SCENARIOS_END(rom);
