/*
 * What a binary lists, and the recipes for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/boards.h"
#include "inventory/cpus.h"
#include "inventory/devices.h"
#include "inventory/features.h"
#include "inventory/recipe.h"

#include "unit.h"
#include <string.h>

/* Lines as QEMUs print them. */
static const char listed[] =
    "failed to open module: libpulse.so: cannot open shared object file\r\n"
    "Controller/Bridge/Hub devices:\r\n"
    "name \"i440FX-pcihost\", bus System, no-user\r\n"
    "name \"ioh3420\", bus PCI, desc \"Intel IOH device id 3420, no-user\"\r\n"
    "\r\n"
    "Network devices:\r\n"
    "name \"virtio-net-pci\", bus PCI, alias \"virtio-net\"\r\n"
    "name \"loader\", desc \"Generic Loader, bus none\"\r\n"
    "name \"xlnx,zynqmp\", bus System\r\n"
    "CPU devices:\r\n"
    "name \"max-x86_64-cpu\"\r\n";

static void test_list(void **state)
{
    static const char *const expected[][4] = {
        {"ioh3420", "PCI", "Controller/Bridge/Hub", NULL},
        {"virtio-net-pci", "PCI", "Network", "virtio-net"},
        {"loader", "", "Network", NULL},
        {"xlnx,zynqmp", "System", "Network", NULL},
        {"max-x86_64-cpu", "", "CPU", NULL},
    };
    (void)state;
    g_autoptr(GPtrArray) types = godwit_device_types_parse(listed);
    assert_int_equal(types->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(types, i);
        assert_string_equal(type->name, expected[i][0]);
        assert_string_equal(type->bus, expected[i][1]);
        assert_string_equal(type->category, expected[i][2]);
        assert_int_equal(g_strcmp0(type->alias, expected[i][3]), 0);
    }
    assert_ptr_equal(godwit_device_types_find(types, "loader"), g_ptr_array_index(types, 2));
    assert_null(godwit_device_types_find(types, "load"));
    g_autoptr(GPtrArray) none = godwit_device_types_parse("unknown command: 'info qdm'\r\n");
    assert_int_equal(none->len, 0);
}

/* What the binaries of the tests list. */
static const char providers[] =
    "name \"qemu-xhci\", bus PCI\n"
    "name \"usb-ccid\", bus usb-bus\n"
    "name \"ich9-ahci\", bus PCI\n"
    "name \"virtio-scsi-ccw\", bus virtual-css-bus, alias \"virtio-scsi\"\n"
    "name \"ati-vga\", bus PCI\n"
    "name \"isa-fdc\", bus ISA\n";

/* Returns the recipe in one line, by a binary that has these DEVICES and MACHINES, two lists with
 * spaces. The caller frees it. */
static char *recipe_line(const struct godwit_device_type *type, const json_t *properties,
                         const char *devices, const char *machines)
{
    g_autoptr(GPtrArray) types = godwit_device_types_parse(devices);
    g_autoptr(json_t) list = json_array();
    g_auto(GStrv) names = g_strsplit(machines, " ", -1);
    for (guint i = 0; names[i]; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", names[i]));
    struct godwit_recipe *recipe =
        godwit_recipe_new(type, properties, &(struct godwit_offer){types, list}, 0);
    g_autofree char *machine = g_strjoinv(" ", recipe->machine);
    char *line = g_strdup_printf("%s%s-device %s", machine, machine[0] ? " " : "", recipe->device);
    assert_true(!recipe->board || g_str_has_prefix(line, "-M "));
    /* It reaches a worker as it is. */
    g_autoptr(json_t) json = godwit_recipe_to_json(recipe);
    struct godwit_recipe *copy = godwit_recipe_from_json(json);
    assert_true(
        g_strv_equal((const char *const *)copy->machine, (const char *const *)recipe->machine));
    assert_string_equal(copy->device, recipe->device);
    assert_int_equal(g_strcmp0(copy->board, recipe->board), 0);
    assert_int_equal(copy->pci, recipe->pci);
    godwit_recipe_free(copy);
    godwit_recipe_free(recipe);
    return line;
}

/* Expects the recipe of a device with that bus and those properties, in one line. */
static void expect_on(const char *machines, const char *devices, const char *name, const char *bus,
                      const char *properties, const char *expected)
{
    const struct godwit_device_type type = {.name = (char *)(uintptr_t)name,
                                            .bus = (char *)(uintptr_t)bus,
                                            .category = (char *)(uintptr_t) "Misc"};
    g_autoptr(json_t) list = json_array();
    g_auto(GStrv) names = g_strsplit(properties, " ", -1);
    for (guint i = 0; names[i]; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", names[i], "type", "str"));
    g_autofree char *line = recipe_line(&type, list, devices, machines);
    assert_string_equal(line, expected);
}

static void expect_recipe(const char *name, const char *bus, const char *properties,
                          const char *expected)
{
    expect_on("pc q35", providers, name, bus, properties, expected);
}

/* A bus, a backend for each property that refers to one, and what only this device needs. */
static void test_recipe(void **state)
{
    (void)state;
    expect_recipe("edu", "PCI", "", "-device edu,id=subject");
    expect_recipe("e1000", "PCI", "mac netdev",
                  "-netdev hubport,hubid=0,id=net -device e1000,id=subject,netdev=net");
    expect_recipe("usb-kbd", "usb-bus", "", "-device qemu-xhci -device usb-kbd,id=subject");
    expect_recipe("scsi-cd", "SCSI", "", "-device virtio-scsi -device scsi-cd,id=subject");
    expect_recipe("ccid-card-passthru", "ccid-bus", "chardev",
                  "-device qemu-xhci -device usb-ccid -chardev null,id=chr "
                  "-device ccid-card-passthru,id=subject,chardev=chr");
    expect_recipe("ide-hd", "IDE", "",
                  "-device ich9-ahci,id=ahci -device ide-hd,id=subject,bus=ahci.0");
    expect_recipe("tmp105", "i2c-bus", "",
                  "-device ati-vga -device tmp105,id=subject,address=0x20");
    expect_recipe("nvme", "PCI", "", "-device nvme,id=subject,serial=godwit");
    expect_recipe("pc-dimm", "", "memdev",
                  "-m slots=4,maxmem=1G -object memory-backend-ram,id=dimm,size=256M "
                  "-device pc-dimm,id=subject,memdev=dimm");
    expect_recipe("mioe3680_pci", "PCI", "canbus0 canbus1",
                  "-object can-bus,id=can -device mioe3680_pci,id=subject,canbus0=can,canbus1=can");
    expect_recipe("xlnx,zynqmp", "System", "", "-device xlnx,,zynqmp,id=subject");
    expect_recipe("vhost-user-rng-pci", "PCI", "chardev", "-device vhost-user-rng-pci,id=subject");
    expect_recipe("ivshmem-doorbell", "PCI", "chardev", "-device ivshmem-doorbell,id=subject");
}

/* A binary without the devices that make a bus, or with others. */
static void test_providers(void **state)
{
    static const char bridge[] = "name \"i82378\", bus PCI\nname \"isa-fdc\", bus ISA\n";
    (void)state;
    expect_on("", "", "usb-kbd", "usb-bus", "", "-device usb-kbd,id=subject");
    expect_on("", "name \"qemu-xhci\", bus PCI\n", "x", "ccid-bus", "", "-device x,id=subject");
    expect_recipe("sb16", "ISA", "", "-device sb16,id=subject");
    expect_recipe("floppy", "floppy-bus", "", "-device isa-fdc -device floppy,id=subject");
    expect_on("", bridge, "sb16", "ISA", "", "-device i82378 -device sb16,id=subject");
    expect_on("", bridge, "floppy", "floppy-bus", "",
              "-device i82378 -device isa-fdc -device floppy,id=subject");
}

/* A machine that has the bus, if the binary has that machine. */
static void test_board(void **state)
{
    (void)state;
    expect_on("virt sifive_u", providers, "m25p80", "SSI", "cs drive",
              "-M sifive_u -device m25p80,id=subject,cs=1");
    expect_on("powernv10 netduino2", providers, "m25p80", "SSI", "",
              "-M netduino2 -device m25p80,id=subject");
    expect_on("xlnx-zcu102", providers, "dpcd", "aux-bus", "",
              "-M xlnx-zcu102 -audio none -device dpcd,id=subject");
    expect_on("virt", providers, "m25p80", "SSI", "cs", "-device m25p80,id=subject,cs=1");
    expect_on("ppce500", providers, "eTSEC", "System", "", "-M ppce500 -device eTSEC,id=subject");
    expect_on("ppce500", providers, "ramfb", "System", "", "-device ramfb,id=subject");
}

/* Nothing is known of the properties. */
static void test_unknown(void **state)
{
    (void)state;
    const struct godwit_device_type type = {.name = (char *)(uintptr_t) "x",
                                            .bus = (char *)(uintptr_t) "no such bus",
                                            .category = (char *)(uintptr_t) ""};
    g_autofree char *line = recipe_line(&type, NULL, "", "");
    assert_string_equal(line, "-device x,id=subject");
}

/* Expects NAMES in one line. Frees them. */
static void expect_names(char **names, const char *expected)
{
    g_autofree char *line = g_strjoinv(" ", names);
    assert_string_equal(line, expected);
    g_strfreev(names);
}

/* Boards and CPU models: sorted, without aliases, and no machine that is none. */
static void test_names(void **state)
{
    (void)state;
    g_autoptr(json_t) machines = json_pack("[{s:s, s:s}, {s:s}, {s:s}, {}]", "name", "virt-9",
                                           "alias", "virt", "name", "none", "name", "a");
    expect_names(godwit_boards_parse(machines), "a virt-9");
    expect_names(godwit_boards_parse(NULL), "");
    g_autoptr(json_t) models = json_pack("[{s:s, s:s}, {s:s}, {s:s}, {}]", "name", "Old",
                                         "alias-of", "Old-v1", "name", "Old-v1", "name", "Any");
    expect_names(godwit_cpus_parse(models), "Any Old-v1");
    g_autoptr(json_t) typed = json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "name", "970",
                                        "typename", "970_v2.2-powerpc64-cpu", "name", "970_v2.2",
                                        "typename", "", "name", "max", "typename", "max-arm-cpu");
    expect_names(godwit_cpus_parse(typed), "970_v2.2 max");
    g_autoptr(json_t) types =
        json_pack("[{s:s}, {s:s}, {s:s}, {s:s}, {}]", "name", "sifive-u54-riscv-cpu", "name",
                  "rv64-riscv-cpu", "name", "riscv-cpu", "name", "cpu");
    expect_names(godwit_cpus_parse_types(types), "rv64 sifive-u54");
}

static void expect_board(const char *version, const char *type, const char *expected)
{
    const struct godwit_qemu qemu = {.version = (char *)(uintptr_t)version};
    char **arguments = godwit_board_arguments(&qemu, type, "tcg", "zeros");
    /* The first eight are the same for all. */
    assert_true(g_strv_length(arguments) >= 8);
    assert_string_equal(arguments[0], "-machine");
    assert_true(g_str_has_prefix(arguments[1], type));
    g_autofree char *line = g_strjoinv(" ", arguments + 8);
    assert_string_equal(line, expected);
    g_strfreev(arguments);
}

/* A sound backend where QEMU no longer chooses one, and an image for boards that insist on it. */
static void test_machine(void **state)
{
    (void)state;
    expect_board("7.2.22", "q35", "");
    expect_board("8.2.0", "q35", "-audio none");
    expect_board("10.0.13", "sx1", "-audio none -kernel zeros");
    expect_board("7.2.22", "connex",
                 "-drive if=pflash,driver=null-co,read-zeroes=on,size=16777216");
    expect_board("11.1.3", "ast2700fc", "-audio none -bios zeros");
}

/* Features that differ between two QEMUs, and what a guest does not see. */
static void test_features(void **state)
{
    (void)state;
    g_autoptr(json_t) here =
        json_loads("{\"avx\": true, \"aes\": true, \"new\": true, \"level\": 13, "
                   "\"x-hack\": true, \"core-id\": -1, \"old\": false}",
                   0, NULL);
    g_autoptr(json_t) there =
        json_loads("{\"avx\": false, \"aes\": true, \"level\": 20, "
                   "\"legacy-multi-node\": true, \"core-id\": 0, \"mpx\": true}",
                   0, NULL);
    g_autoptr(GPtrArray) differences = godwit_features_compare(here, there);
    g_ptr_array_add(differences, NULL);
    g_autofree char *text = g_strjoinv(", ", (char **)differences->pdata);
    assert_string_equal(text, "avx: on -> off, level: 13 -> 20, mpx: off -> on, new: on -> off");
    g_autoptr(GPtrArray) none = godwit_features_compare(here, here);
    assert_int_equal(none->len, 0);
    g_autoptr(json_t) unknown = json_null();
    g_autoptr(GPtrArray) unlisted = godwit_features_compare(unknown, there);
    assert_int_equal(unlisted->len, 0);
    assert_null(godwit_recipe_from_json(unknown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),      cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_providers), cmocka_unit_test(test_board),
        cmocka_unit_test(test_unknown),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_machine),   cmocka_unit_test(test_features),
    };
    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
