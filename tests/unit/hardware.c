/*
 * The register compare on real machines: two in the same state read the same, and one register that
 * is written in one of them is found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "oracle/hardware.h"
#include "qemu/pci.h"

/* The line control register of the first serial port, and a value that it does not have. */
#define LCR       0x3fb
#define LCR_VALUE 0x1b
/* ... and the one that shows the divisor in place of the data. */
#define LCR_DIVISOR 0x80

static const char *const card[] = {"-netdev", "hubport,id=hub,hubid=0", "-device",
                                   "e1000,netdev=hub,addr=9", NULL};

/* The clock of the host would make machines differ that were started in different seconds. */
static const char *const still[] = {"-rtc", "base=2026-01-01,clock=vm", NULL};

/* The interrupt mask of an rtl8139, a 16-bit register that no other access reads. */
#define MASK 0x3c
static const char *const rtl8139[] = {"-netdev", "hubport,id=hub,hubid=0", "-device",
                                      "rtl8139,netdev=hub,addr=9", NULL};

/* What the machine RIG, a PC, reads in the end. */
static struct godwit_hardware *hardware_of(struct rig *rig)
{
    g_autoptr(GPtrArray) deadly = g_ptr_array_new();
    g_ptr_array_add(deadly, (gpointer)g_intern_static_string("vmport"));
    struct godwit_hardware *hardware;
    MUST(hardware = godwit_hardware_read(rig->vm, deadly, error));
    assert_int_equal(deadly->len, 1);
    assert_true(godwit_hardware_count(hardware) > 1000);
    MUST(godwit_hardware_name(hardware, rig->vm, error));
    return hardware;
}

static const char *text_at(const GPtrArray *differences, const char *beginning)
{
    for (guint i = 0; i < differences->len; i++) {
        const struct godwit_hardware_difference *difference = g_ptr_array_index(differences, i);
        if (g_str_has_prefix(difference->text, beginning))
            return difference->text;
    }
    return "";
}

static struct rig *assigned(void **state, const char *const *arguments)
{
    struct rig *rig = rig_new(state, rig_folders[0], "x86_64", "pc", arguments);
    assert_non_null(rig);
    MUST(godwit_hardware_assign(rig->vm, error));
    return rig;
}

static void test_compare(void **state)
{
    struct rig *rigs[4];
    struct godwit_hardware *read[4];
    for (int i = 0; i < 4; i++)
        rigs[i] = assigned(state, card);
    /* The first two are alike. The others differ from them, and in one register from each other. */
    MUST(godwit_qtest_out(rigs[2]->vm->qtest, 1, LCR, LCR_VALUE, error));
    MUST(godwit_qtest_out(rigs[3]->vm->qtest, 1, LCR, LCR_VALUE, error));
    struct godwit_mtree *mtree;
    struct godwit_pci *pci;
    for (int i = 2; i < 4; i++) {
        MUST(mtree = godwit_vm_mtree(rigs[i]->vm, error));
        MUST(pci = godwit_pci_new(rigs[i]->vm->qtest, mtree, error));
        struct godwit_pci_access line = {
            .place = 9 << 3, .offset = 0x3c, .size = 1, .write = true, .value = (uint32_t)i};
        MUST(godwit_pci_run(pci, &line, 1, error));
        godwit_pci_free(pci);
        godwit_mtree_free(mtree);
    }
    for (int i = 0; i < 4; i++)
        read[i] = hardware_of(rigs[i]);

    unsigned moving = 0;
    GPtrArray *same = godwit_hardware_compare(read[0], read[1], NULL, &moving);
    GPtrArray *apart = godwit_hardware_compare(read[0], read[2], NULL, &moving);
    /* A clock of the host, of which this PC has few registers, may go on in between. */
    assert_true(same->len < 5);
    assert_string_equal(text_at(same, "isa-serial"), "");
    assert_string_equal(text_at(same, "e1000, 00:09.0"), "");
    assert_string_equal(text_at(apart, "isa-serial"),
                        "isa-serial, serial 0x3 (port 0x3fb): 0x00 -> 0x1b");
    assert_string_equal(text_at(apart, "e1000, 00:09.0"),
                        "e1000, 00:09.0 config 0x3c: 0x00000100 -> 0x00000102");
    assert_int_equal(moving, 0);
    g_ptr_array_unref(apart);
    apart = godwit_hardware_compare(read[0], read[2], read[3], &moving);
    assert_string_equal(text_at(apart, "isa-serial"),
                        "isa-serial, serial 0x3 (port 0x3fb): 0x00 -> 0x1b");
    assert_string_equal(text_at(apart, "e1000, 00:09.0"), "");
    assert_true(moving >= 1);
    g_ptr_array_unref(apart);
    g_ptr_array_unref(same);
    for (int i = 0; i < 4; i++) {
        godwit_hardware_free(read[i]);
        rig_free(state, rigs[i]);
    }
}

/* The divisor of a serial port shows only when a bit of another register selects it: a difference
 * is found once the same write has set that bit on both sides. The third machine, which is as the
 * second one, tells what goes by a clock. */
static void test_read_again(void **state)
{
    struct rig *rigs[3];
    struct godwit_hardware *read[3];
    g_autoptr(GPtrArray) deadly = g_ptr_array_new();
    for (int i = 0; i < 3; i++) {
        rigs[i] = assigned(state, still);
        struct godwit_qtest *hand = rigs[i]->vm->qtest;
        MUST(godwit_qtest_out(hand, 1, LCR, LCR_DIVISOR, error));
        MUST(godwit_qtest_out(hand, 1, LCR - 3, i ? 5 : 6, error));
        MUST(godwit_qtest_out(hand, 1, LCR, 0, error));
        read[i] = hardware_of(rigs[i]);
    }
    unsigned moving;
    GPtrArray *differences = godwit_hardware_compare(read[0], read[1], read[2], &moving);
    assert_string_equal(text_at(differences, "isa-serial"), "");
    g_ptr_array_unref(differences);

    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(struct godwit_hardware_place));
    const struct godwit_hardware_place serial = {.space = GODWIT_SPACE_PORTS,
                                                 .start = LCR - 3,
                                                 .length = 8,
                                                 .region = g_intern_static_string("serial")};
    g_array_append_val(places, serial);
    for (unsigned turn = 1; turn <= 2; turn++) {
        for (int i = 0; i < 3; i++) {
            MUST(godwit_qtest_out(rigs[i]->vm->qtest, 1, LCR, turn == 1 ? 0 : LCR_DIVISOR, error));
            MUST(godwit_hardware_read_again(read[i], rigs[i]->vm, places, deadly, error));
        }
        differences = godwit_hardware_compare(read[0], read[1], read[2], &moving);
        assert_string_equal(text_at(differences, "serial"),
                            turn == 1 ? ""
                                      : "serial 0x0 (port 0x3f8): 0x06 -> 0x05, after the same "
                                        "writes to both");
        g_ptr_array_unref(differences);
    }
    for (int i = 0; i < 3; i++) {
        godwit_hardware_free(read[i]);
        rig_free(state, rigs[i]);
    }
}

/* A register that shows only in accesses of its own width is found, and is found once. */
static void test_widths(void **state)
{
    struct rig *rigs[2];
    struct godwit_hardware *read[2];
    for (int i = 0; i < 2; i++) {
        rigs[i] = rig_new(state, rig_folders[0], "x86_64", "pc", rtl8139);
        assert_non_null(rigs[i]);
        MUST(godwit_hardware_assign(rigs[i]->vm, error));
    }
    g_autoptr(GArray) places = NULL;
    MUST(places = godwit_hardware_places(rigs[1]->vm, error));
    guint ports = 0;
    for (guint i = 0; i < places->len; i++) {
        const struct godwit_hardware_place *place =
            &g_array_index(places, struct godwit_hardware_place, i);
        if (place->space != GODWIT_SPACE_PORTS || strcmp(place->region, "rtl8139") != 0)
            continue;
        ports++;
        MUST(godwit_qtest_out(rigs[1]->vm->qtest, 2, (uint16_t)(place->start + MASK), 0x55, error));
    }
    assert_int_equal(ports, 1);
    for (int i = 0; i < 2; i++)
        read[i] = hardware_of(rigs[i]);
    unsigned moving = 0;
    g_autoptr(GPtrArray) apart = godwit_hardware_compare(read[0], read[1], NULL, &moving);
    guint found = 0;
    for (guint i = 0; i < apart->len; i++) {
        const struct godwit_hardware_difference *difference = g_ptr_array_index(apart, i);
        if (difference->offset == MASK && !strcmp(difference->region, "rtl8139")) {
            assert_true(g_str_has_suffix(difference->text, ": 0x0000 -> 0x0055"));
            found++;
        }
    }
    assert_int_equal(found, 2); /* as a port, and in memory */
    for (int i = 0; i < 2; i++) {
        godwit_hardware_free(read[i]);
        rig_free(state, rigs[i]);
    }
}

/* A range that one machine has and the other has not. */
static void test_missing(void **state)
{
    struct rig *one = assigned(state, card);
    struct rig *other = rig_new(state, rig_folders[0], "x86_64", "pc", card);
    struct godwit_hardware *with = hardware_of(one), *without = hardware_of(other);
    unsigned moving;
    GPtrArray *differences = godwit_hardware_compare(with, without, NULL, &moving);
    const char *text = text_at(differences, "e1000, e1000-mmio");
    assert_true(g_str_has_suffix(text, "only the source has it there"));
    g_ptr_array_unref(differences);
    differences = godwit_hardware_compare(without, with, NULL, &moving);
    text = text_at(differences, "e1000, e1000-mmio");
    assert_true(g_str_has_suffix(text, "only the destination has it there"));
    g_ptr_array_unref(differences);
    godwit_hardware_free(with);
    godwit_hardware_free(without);
    rig_free(state, one);
    rig_free(state, other);
}

/* A QEMU that dies of a read names the region. */
static void test_deadly(void **state)
{
    struct rig *rig = assigned(state, card);
    g_autoptr(GPtrArray) deadly = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    rig->vm->may_exit = true;
    assert_null(godwit_hardware_read(rig->vm, deadly, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS));
    assert_int_equal(deadly->len, 1);
    assert_string_equal(g_ptr_array_index(deadly, 0), "vmport");
    rig_free(state, rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_widths),  cmocka_unit_test(test_missing),
        cmocka_unit_test(test_deadly),
    };
    g_autofree char *binary = g_build_filename(rig_folders[0], "qemu-system-x86_64", NULL);
    if (access(binary, X_OK)) {
        printf("1..0 # SKIP there is no %s\n", binary);
        return 0;
    }
    return cmocka_run_group_tests_name("hardware", tests, unit_folder, unit_folder_end);
}
