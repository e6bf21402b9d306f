/*
 * Reading what is plugged into a machine: real answers of QEMU 7.2, 10.0 and 11.1, and answers that
 * no QEMU gives. The real ones (tests/unit/qtree) are shortened, and come from machines whose BARs
 * and buses have been assigned.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qtree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#define FOLDER "tests/unit/qtree"

/* Answers from the object of the file: the key is the command and its arguments. */
static json_t *execute(gpointer vm, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(json_t) taken = arguments;
    g_autoptr(GString) key = g_string_new(command);
    const char *path = godwit_json_string(taken, "path", NULL);
    const char *property = godwit_json_string(taken, "property", NULL);
    g_string_append_printf(key, "%s%s", path ? " " : "", path ? path : "");
    g_string_append_printf(key, "%s%s", property ? " " : "", property ? property : "");
    json_t *answer = json_object_get(vm, key->str);
    if (!answer)
        godwit_fail(error, GODWIT_ERROR_QMP, "the source refused %s", key->str);
    return json_incref(answer);
}

static json_t *load(const char *name)
{
    g_autofree char *path = g_build_filename(FOLDER, name, NULL);
    json_t *answers = json_load_file(path, 0, NULL);
    assert_non_null(answers);
    return answers;
}

static struct godwit_qtree *read_file(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) answers = load(name);
    struct godwit_qtree *qtree = godwit_qtree_read(execute, answers, &error);
    if (!qtree)
        fail_msg("%s: %s", name, error->message);
    return qtree;
}

/* Each file: every function is linked to a device, and what is plugged into a PCI bus is a
 * function. */
static void test_files(void **state)
{
    unsigned files = 0;
    (void)state;
    g_autoptr(GDir) folder = g_dir_open(FOLDER, 0, NULL);
    assert_non_null(folder);
    for (const char *name; (name = g_dir_read_name(folder)); files++) {
        struct godwit_qtree *qtree = read_file(name);
        unsigned plugged = 0;
        for (guint i = 0; i < qtree->devices->len; i++) {
            const struct godwit_device *device =
                &g_array_index(qtree->devices, struct godwit_device, i);
            plugged += device->pci_addr >= 0;
            assert_true(g_str_has_prefix(device->path, "/machine/"));
            assert_true(!i || strcmp(device[-1].path, device->path) < 0);
        }
        assert_true(plugged > 0);
        assert_int_equal(plugged, qtree->functions->len);
        for (guint i = 0; i < qtree->functions->len; i++) {
            const struct godwit_pci_function *function =
                &g_array_index(qtree->functions, struct godwit_pci_function, i);
            if (!function->path)
                fail_msg("%s: %x:%x.%x has no device", name, function->bus, function->slot,
                         function->function);
            assert_ptr_equal(function, godwit_qtree_function(qtree, function->bus, function->slot,
                                                             function->function));
        }
        assert_int_equal(qtree->roots->len, strstr(name, "q35") ? 2 : 1);
        assert_int_equal(g_array_index(qtree->roots, uint8_t, 0), 0);
        assert_null(godwit_qtree_function(qtree, 3, 0, 0));
        assert_null(godwit_qtree_find(qtree, 0xffff, 0xffff));
        const struct godwit_pci_function *last =
            &g_array_index(qtree->functions, struct godwit_pci_function, qtree->functions->len - 1);
        assert_ptr_equal(godwit_qtree_find(qtree, last->vendor, last->device), last);
        godwit_qtree_free(qtree);
    }
    assert_int_equal(files, 18);
}

/* Functions on root buses, behind bridges, and behind an expander, and a BAR of each. */
static void test_functions(void **state)
{
    static const struct {
        const char *file, *function, *bar;
    } rows[] = {
        {"7.2-x86_64-q35.json", "00:1f.2 8086:2922 0106 0 /machine/unattached/device[16]",
         "4: 0x20 bytes at 0x7000, io"},
        {"10.0-x86_64-q35.json", "01:00.0 8086:10d3 0200 0 /machine/peripheral/far",
         "6: 0x40000 bytes at 0x9680000, memory"},
        {"11.1-x86_64-q35.json", "41:00.0 1af4:1044 00ff 0 /machine/peripheral-anon/device[2]",
         "4: 0x4000 bytes at 0x100000000, memory 64-bit prefetchable"},
        {"11.1-x86_64-q35.json", "40:00.0 1b36:000c 0604 65 /machine/peripheral/rp2",
         "0: 0x1000 bytes at 0xb200000, memory"},
        {"7.2-x86_64-pc.json", "00:01.0 8086:7000 0601 0 /machine/unattached/device[3]",
         "0: 0x0 bytes at 0x0, memory"},
        {"11.1-ppc64-pseries.json", "01:02.0 8086:100e 0200 0 /machine/peripheral-anon/device[0]",
         "1: 0x40 bytes at 0x1000, io"},
        {"10.0-s390x-ccw.json", "00:00.0 1af4:1005 00ff 0 /machine/peripheral/n0",
         "1: 0x1000 bytes at 0xffffffffffffffff, memory"},
        {"11.1-aarch64-virt.json", "00:02.0 1b36:000d 0c03 0 /machine/peripheral-anon/device[1]",
         "0: 0x4000 bytes at 0x10104000, memory 64-bit"},
        {"7.2-riscv64-virt.json",
         "00:00.0 1b36:0008 0600 0 /machine/unattached/device[12]/gpex_root",
         "0: 0x0 bytes at 0x0, memory"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        unsigned bus, slot, place;
        struct godwit_qtree *qtree = read_file(rows[i].file);
        assert_int_equal(sscanf(rows[i].function, "%x:%x.%x", &bus, &slot, &place), 3);
        const struct godwit_pci_function *function = godwit_qtree_function(qtree, bus, slot, place);
        if (!function)
            fail_msg("%s: no %s", rows[i].file, rows[i].function);
        g_autofree char *found =
            g_strdup_printf("%02x:%02x.%x %04x:%04x %04x %u %s", function->bus, function->slot,
                            function->function, function->vendor, function->device, function->class,
                            function->secondary, function->path);
        assert_string_equal(found, rows[i].function);
        assert_int_equal(function->bridge, function->secondary != 0);
        const unsigned index = (unsigned)(*rows[i].bar - '0');
        const struct godwit_bar *bar = &function->bars[index];
        g_autofree char *described =
            g_strdup_printf("%u: 0x%" PRIx64 " bytes at 0x%" PRIx64 ", %s%s%s", index, bar->size,
                            bar->address, bar->io ? "io" : "memory", bar->wide ? " 64-bit" : "",
                            bar->prefetchable ? " prefetchable" : "");
        assert_string_equal(described, rows[i].bar);
        godwit_qtree_free(qtree);
    }
}

static void test_devices(void **state)
{
    (void)state;
    struct godwit_qtree *qtree = read_file("11.1-x86_64-q35.json");
    unsigned found = 0;
    for (guint i = 0; i < qtree->devices->len; i++) {
        const struct godwit_device *device =
            &g_array_index(qtree->devices, struct godwit_device, i);
        if (!strcmp(device->path, "/machine/peripheral/far")) {
            found++;
            assert_string_equal(device->type, "e1000e");
            assert_string_equal(device->bus, "/machine/peripheral/rp/rp");
            assert_int_equal(device->pci_addr, 0);
        } else if (!strcmp(device->path, "/machine/peripheral-anon/device[0]/xhci-core")) {
            found++;
            assert_string_equal(device->type, "base-xhci");
            assert_null(device->bus);
            assert_int_equal(device->pci_addr, -1);
        }
    }
    assert_int_equal(found, 2);
    godwit_qtree_free(qtree);
    godwit_qtree_free(NULL);
}

/* Before a bridge has numbered its bus, what is behind it must not be taken for a part of bus 0. */
static void test_unnumbered(void **state)
{
    (void)state;
    g_autoptr(json_t) answers = load("11.1-x86_64-q35.json");
    const json_t *buses = json_object_get(answers, "query-pci");
    size_t i, j;
    json_t *bus, *function;
    json_array_foreach(buses, i, bus)
    {
        json_array_foreach(json_object_get(bus, "devices"), j, function)
        {
            json_t *bridge = json_object_get(function, "pci_bridge");
            json_object_set_new(json_object_get(bridge, "bus"), "secondary", json_integer(0));
            json_object_del(bridge, "devices");
        }
    }
    /* It has the slot of a device on bus 0, which comes before it in the order of paths. */
    json_object_set_new(answers, "qom-get /machine/peripheral/far addr", json_integer(2 << 3));
    struct godwit_qtree *qtree = godwit_qtree_read(execute, answers, NULL);
    assert_non_null(qtree);
    assert_null(godwit_qtree_function(qtree, 1, 0, 0));
    const struct godwit_pci_function *bridge = godwit_qtree_function(qtree, 0, 1, 0);
    assert_string_equal(bridge->path, "/machine/peripheral/rp");
    assert_true(bridge->bridge && bridge->secondary == 0);
    assert_string_equal(godwit_qtree_function(qtree, 0, 2, 0)->path,
                        "/machine/peripheral-anon/device[0]");
    assert_string_equal(godwit_qtree_function(qtree, 64, 0, 0)->path, "/machine/peripheral/rp2");
    godwit_qtree_free(qtree);
}

#define ONE(fields) "[{\"bus\": 0, \"devices\": [{" fields "}]}]"
#define NAMED       "\"id\": {\"vendor\": 1, \"device\": 2}, \"class_info\": {\"class\": 3}"
#define PLACED      "\"bus\": 0, \"slot\": 0, \"function\": 0, " NAMED

/* What no QEMU answers is an error, whichever field is missing or out of range. */
static void test_nonsense(void **state)
{
    static const struct {
        const char *key, *value, *message;
    } rows[] = {
        {"query-pci", "[]", NULL},
        {"query-pci", ONE(PLACED), NULL},
        {"query-pci", "[{\"devices\": []}]", "a bus without a number"},
        {"query-pci", "[{\"bus\": 256, \"devices\": []}]", "a bus without a number"},
        {"query-pci", ONE("\"bus\": 0, \"slot\": 32, \"function\": 0, " NAMED), "cannot read"},
        {"query-pci", ONE("\"bus\": 0, \"slot\": 0, \"function\": 8, " NAMED), "cannot read"},
        {"query-pci", ONE("\"bus\": 256, \"slot\": 0, \"function\": 0, " NAMED), "cannot read"},
        {"query-pci", ONE("\"bus\": 0, \"slot\": 0, \"function\": 0"), "cannot read"},
        {"query-pci", ONE(PLACED ", \"pci_bridge\": {}"), "cannot read"},
        {"query-pci", ONE(PLACED ", \"regions\": [{\"bar\": 7, \"size\": 1, \"type\": \"io\"}]"),
         "cannot read"},
        {"query-pci", ONE(PLACED ", \"regions\": [{\"bar\": 0, \"size\": 0, \"type\": \"io\"}]"),
         "cannot read"},
        {"query-pci", ONE(PLACED ", \"regions\": [{\"bar\": 0, \"size\": 1, \"type\": \"x\"}]"),
         "cannot read"},
        {"qom-get /machine/peripheral/br type", "5", "are not text"},
        {"qom-get /machine/peripheral/br parent_bus", "null", "are not text"},
        {"qom-get /machine/peripheral/br addr", "\"02.0\"", NULL},
        {"qom-get /machine/peripheral/br addr", "-1", NULL},
        {"qom-get /machine/peripheral/br addr", "256", NULL},
        {"qom-list /machine/peripheral/br", "[{}, 5]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(json_t) answers = load("7.2-x86_64-pc.json");
        assert_non_null(json_object_get(answers, rows[i].key));
        json_t *value = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        json_object_set_new(answers, rows[i].key, value);
        struct godwit_qtree *qtree = godwit_qtree_read(execute, answers, &error);
        if (rows[i].message) {
            assert_null(qtree);
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
            assert_contains(error->message, rows[i].message);
        } else {
            assert_non_null(qtree);
        }
        godwit_qtree_free(qtree);
    }
}

/* Each command may be refused: the error is passed on. */
static void test_refusals(void **state)
{
    (void)state;
    g_autoptr(json_t) all = load("11.1-x86_64-pc.json");
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value)
    {
        g_autoptr(GError) error = NULL;
        g_autoptr(json_t) most = json_copy(all);
        json_object_del(most, key);
        struct godwit_qtree *qtree = godwit_qtree_read(execute, most, &error);
        /* A bus number is asked for only if there is an expander. */
        if (qtree || !error)
            fail_msg("%s was not missed", key);
        assert_contains(error->message, key);
    }
}

/* A tree without end, in depth and in breadth. */
static json_t *endless(gpointer vm, const char *command, json_t *arguments, GError **error)
{
    (void)error;
    json_decref(arguments);
    if (strcmp(command, "qom-list") != 0)
        return json_array();
    json_t *list = json_array();
    const int breadth = GPOINTER_TO_INT(vm);
    for (int i = 0; i < breadth; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", "a", "type", "child<container>"));
    return list;
}

static void test_endless(void **state)
{
    (void)state;
    for (int breadth = 1; breadth < 100; breadth *= 9) {
        g_autoptr(GError) error = NULL;
        assert_null(godwit_qtree_read(endless, GINT_TO_POINTER(breadth), &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
        assert_contains(error->message, "the tree is endless");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),    cmocka_unit_test(test_functions),
        cmocka_unit_test(test_devices),  cmocka_unit_test(test_unnumbered),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_endless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
