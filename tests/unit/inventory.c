/*
 * What a binary lists, and the recipes for it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/devices.h"
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
    static const char *const expected[][3] = {
        {"ioh3420", "PCI", "Controller/Bridge/Hub"},
        {"virtio-net-pci", "PCI", "Network"},
        {"loader", "", "Network"},
        {"xlnx,zynqmp", "System", "Network"},
        {"max-x86_64-cpu", "", "CPU"},
    };
    (void)state;
    g_autoptr(GPtrArray) types = godwit_device_types_parse(listed);
    assert_int_equal(types->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(types, i);
        assert_string_equal(type->name, expected[i][0]);
        assert_string_equal(type->bus, expected[i][1]);
        assert_string_equal(type->category, expected[i][2]);
    }
    assert_ptr_equal(godwit_device_types_find(types, "loader"), g_ptr_array_index(types, 2));
    assert_null(godwit_device_types_find(types, "load"));
    g_autoptr(GPtrArray) none = godwit_device_types_parse("unknown command: 'info qdm'\r\n");
    assert_int_equal(none->len, 0);
}

/* Expects the recipe of a device with that bus and those properties, in one line. */
static void expect_recipe(const char *name, const char *bus, const char *properties,
                          const char *expected)
{
    const struct godwit_device_type type = {.name = (char *)(uintptr_t)name,
                                            .bus = (char *)(uintptr_t)bus,
                                            .category = (char *)(uintptr_t) "Misc"};
    g_autoptr(json_t) list = json_array();
    g_auto(GStrv) names = g_strsplit(properties, " ", -1);
    for (guint i = 0; names[i]; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", names[i], "type", "str"));
    g_auto(GStrv) arguments = godwit_recipe(&type, list);
    g_autofree char *line = g_strjoinv(" ", arguments);
    assert_string_equal(line, expected);
}

/* A bus, a backend for each property that refers to one, and what only this device needs. */
static void test_recipe(void **state)
{
    (void)state;
    expect_recipe("edu", "PCI", "", "-device edu,id=subject");
    expect_recipe("e1000", "PCI", "mac netdev",
                  "-netdev hubport,id=net,hubid=0 -device e1000,id=subject,netdev=net");
    expect_recipe("usb-kbd", "usb-bus", "", "-device qemu-xhci -device usb-kbd,id=subject");
    expect_recipe("ccid-card-passthru", "ccid-bus", "chardev",
                  "-device qemu-xhci -device usb-ccid -chardev null,id=chr "
                  "-device ccid-card-passthru,id=subject,chardev=chr");
    expect_recipe("ide-hd", "IDE", "",
                  "-device ich9-ahci,id=ahci -device ide-hd,id=subject,bus=ahci.0");
    expect_recipe("nvme", "PCI", "", "-device nvme,id=subject,serial=godwit");
    expect_recipe("pc-dimm", "", "memdev",
                  "-object memory-backend-ram,id=mem,size=16M -m slots=4,maxmem=1G "
                  "-device pc-dimm,id=subject,memdev=mem");
    expect_recipe("xlnx,zynqmp", "System", "", "-device xlnx,,zynqmp,id=subject");
    expect_recipe("vhost-user-rng-pci", "PCI", "chardev", "-device vhost-user-rng-pci,id=subject");
    expect_recipe("ivshmem-doorbell", "PCI", "chardev", "-device ivshmem-doorbell,id=subject");
}

/* Nothing is known of the properties. */
static void test_unknown(void **state)
{
    (void)state;
    const struct godwit_device_type type = {.name = (char *)(uintptr_t) "x",
                                            .bus = (char *)(uintptr_t) "no such bus",
                                            .category = (char *)(uintptr_t) ""};
    g_auto(GStrv) arguments = godwit_recipe(&type, NULL);
    g_autofree char *line = g_strjoinv(" ", arguments);
    assert_string_equal(line, "-device x,id=subject");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_recipe),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
