/*
 * The hand on real machines: every installed QEMU, and those that `make qemus` has unpacked. Checks
 * what the fake peers of the other tests can only assume: that QEMU answers, that its text can be
 * read, that BARs get addresses, and what happens when an access kills a QEMU.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rig.h"

#include "qemu/pci.h"

static const struct {
    const char *arch, *type;
    const char *const *arguments;
    bool pci;
    const char *bars[6]; /* regions that are in a view once BARs have addresses */
} machines[] = {
    {"x86_64",
     "q35",
     (const char *const[]){
         "-device", "pcie-root-port,id=rp,chassis=1", "-device", "e1000e,bus=rp,netdev=hub,id=far",
         "-netdev", "hubport,id=hub,hubid=0", "-device", "qemu-xhci,bus=pcie.0", "-device",
         "bochs-display,bus=pcie.0", "-device", "pxb-pcie,id=px,bus_nr=64", "-device",
         "pcie-root-port,id=rp2,chassis=2,bus=px", "-device", "virtio-rng-pci,bus=rp2", NULL},
     true,
     {"ahci", "e1000e-mmio", "e1000e-io", "capabilities", "virtio-pci-common-virtio-rng",
      "bochs-display-vram"}},
    {"x86_64",
     "pc",
     (const char *const[]){"-device", "pci-bridge,chassis_nr=1,id=br", "-device",
                           "e1000,bus=br,addr=2,netdev=hub", "-netdev", "hubport,id=hub,hubid=0",
                           "-device", "VGA", NULL},
     true,
     {"e1000-mmio", "e1000-io", "vga.vram", "piix-bmdma"}},
    {"aarch64",
     "virt",
     (const char *const[]){"-device", "pcie-root-port,id=rp,chassis=1", "-device",
                           "e1000e,bus=rp,netdev=hub", "-netdev", "hubport,id=hub,hubid=0",
                           "-device", "qemu-xhci", NULL},
     true,
     {"e1000e-mmio", "e1000e-io", "capabilities"}},
    {"riscv64",
     "virt",
     (const char *const[]){"-device", "pcie-root-port,id=rp,chassis=1", "-device",
                           "e1000e,bus=rp,netdev=hub", "-netdev", "hubport,id=hub,hubid=0",
                           "-device", "qemu-xhci", NULL},
     true,
     {"e1000e-mmio", "e1000e-io", "capabilities"}},
    {"ppc64",
     "pseries",
     (const char *const[]){"-device", "pci-bridge,chassis_nr=1,id=br", "-device",
                           "e1000,bus=br,addr=2,netdev=hub", "-netdev", "hubport,id=hub,hubid=0",
                           "-device", "qemu-xhci", NULL},
     true,
     {"e1000-mmio", "e1000-io", "capabilities"}},
    {"s390x",
     "s390-ccw-virtio",
     (const char *const[]){"-device", "zpci,uid=1,target=n0", "-device", "virtio-rng-pci,id=n0",
                           NULL},
     false,
     {NULL}},
};

static struct godwit_mtree *mtree_of(struct rig *rig)
{
    struct godwit_mtree *mtree;
    MUST(mtree = godwit_vm_mtree(rig->vm, error));
    return mtree;
}

static struct godwit_qtree *qtree_of(struct rig *rig)
{
    struct godwit_qtree *qtree;
    MUST(qtree = godwit_vm_qtree(rig->vm, error));
    return qtree;
}

static unsigned word(const unsigned char *config, unsigned offset)
{
    return config[offset] | (unsigned)config[offset + 1] << 8;
}

/* QEMU and configuration space agree about a function, and each of its BARs is mapped. */
static void check_function(struct godwit_pci *pci, const struct godwit_pci_function *function)
{
    static unsigned char config[4096];
    if (!function->path)
        fail_msg("%x:%x.%x has no device", function->bus, function->slot, function->function);
    MUST(godwit_pci_config(pci, function->bus, (unsigned)function->slot << 3 | function->function,
                           4, config, godwit_pci_config_size(pci), error));
    assert_int_equal(word(config, 0), function->vendor);
    assert_int_equal(word(config, 2), function->device);
    assert_int_equal(word(config, 10), function->class);
    for (unsigned i = 0; i <= GODWIT_BAR_ROM; i++) {
        const struct godwit_bar *bar = &function->bars[i];
        const unsigned offset = i < GODWIT_BAR_ROM ? 0x10 + 4 * i : function->bridge ? 0x38 : 0x30;
        if (!bar->size)
            continue;
        if (bar->address == GODWIT_BAR_UNMAPPED)
            fail_msg("%s: BAR %u is not mapped", function->path, i);
        assert_true(bar->address % bar->size == 0);
        uint64_t address = word(config, offset) | (uint64_t)word(config, offset + 2) << 16;
        if (bar->wide)
            address |= (uint64_t)word(config, offset + 4) << 32 | (uint64_t)word(config, offset + 6)
                                                                      << 48;
        assert_true((address & ~(bar->size - 1)) == bar->address);
    }
}

/* Assigns all BARs of a machine, reads all of its configuration space, and lets its guest run. */
static void check_machine(struct rig *rig, const char *const *bars)
{
    struct godwit_mtree *mtree = mtree_of(rig);
    struct godwit_qtree *qtree = qtree_of(rig);
    struct godwit_pci *pci;
    MUST(pci = godwit_pci_new(rig->vm->qtest, mtree, error));
    MUST(godwit_pci_assign(pci, (const uint8_t *)qtree->roots->data, qtree->roots->len, error));
    godwit_mtree_free(mtree);
    godwit_qtree_free(qtree);
    godwit_pci_free(pci);

    mtree = mtree_of(rig);
    for (size_t i = 0; i < 6 && bars[i]; i++)
        if (!godwit_view_find(godwit_mtree_view(mtree, "memory"), bars[i]) &&
            !godwit_view_find(godwit_mtree_view(mtree, "I/O"), bars[i]))
            fail_msg("%s is nowhere", bars[i]);
    qtree = qtree_of(rig);
    MUST(pci = godwit_pci_new(rig->vm->qtest, mtree, error));
    for (guint i = 0; i < qtree->functions->len; i++)
        check_function(pci, &g_array_index(qtree->functions, struct godwit_pci_function, i));
    assert_true(qtree->functions->len > 2);
    godwit_mtree_free(mtree);
    godwit_qtree_free(qtree);
    godwit_pci_free(pci);
}

/* RAM keeps what is written to it, in requests of all sizes. */
static void check_ram(struct rig *rig)
{
    enum { LENGTH = 200000 };
    const uint64_t address = rig->setup.workload.window_start;
    g_autofree unsigned char *bytes = g_malloc(LENGTH), *same = g_malloc0(LENGTH);
    struct godwit_qtest *qtest = rig->vm->qtest;
    for (unsigned i = 0; i < LENGTH; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    MUST(godwit_qtest_write_bytes(qtest, address, bytes, LENGTH, error));
    MUST(godwit_qtest_read_bytes(qtest, address, same, LENGTH, error));
    assert_memory_equal(bytes, same, LENGTH);
    for (unsigned size = 1; size <= 8; size *= 2) {
        const uint64_t wanted = UINT64_C(0xfedcba9876543210) >> (64 - 8 * size);
        uint64_t value = 0;
        MUST(godwit_qtest_write(qtest, size, address, wanted, error));
        MUST(godwit_qtest_read(qtest, size, address, &value, error));
        assert_true(value == wanted);
    }
}

/* Accesses beside a guest that runs. */
static void check_running(struct rig *rig)
{
    static struct godwit_access accesses[5000];
    for (size_t i = 0; i < G_N_ELEMENTS(accesses); i++)
        accesses[i] =
            (struct godwit_access){.size = 4, .address = rig->setup.workload.window_start + 4 * i};
    MUST(godwit_vm_run(rig->vm, error));
    MUST(godwit_vm_wait_console(rig->vm, 1, 1, error));
    MUST(godwit_qtest_run(rig->vm->qtest, accesses, G_N_ELEMENTS(accesses), error));
    MUST(godwit_vm_wait_console(rig->vm, 1, rig->vm->console->passes + 1, error));
}

static void test_machines(void **state, const char *folder)
{
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        struct rig *rig =
            rig_new(state, folder, machines[i].arch, machines[i].type, machines[i].arguments);
        if (!rig)
            continue;
        print_message("# %s of %s\n", machines[i].type, rig->qemu.path);
        check_ram(rig);
        if (machines[i].pci) {
            check_machine(rig, machines[i].bars);
        } else {
            g_autoptr(GError) error = NULL;
            struct godwit_mtree *mtree = mtree_of(rig);
            assert_null(godwit_pci_new(rig->vm->qtest, mtree, &error));
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
            godwit_mtree_free(mtree);
            godwit_qtree_free(qtree_of(rig));
        }
        check_running(rig);
        MUST(godwit_vm_quit(rig->vm, error));
        rig_free(state, rig);
    }
}

/* An access to vmport, which asks for the current CPU: there is none. */
static void test_death(void **state, const char *folder)
{
    struct rig *rig = rig_new(state, folder, "x86_64", "q35", NULL);
    assert_non_null(rig);
    struct godwit_access accesses[20];
    for (size_t i = 0; i < G_N_ELEMENTS(accesses); i++)
        accesses[i] = (struct godwit_access){
            .kind = GODWIT_ACCESS_IN, .size = 4, .address = i == 7 ? 0x5658 : 0xcf8};
    g_autoptr(GError) error = NULL;
    assert_false(godwit_qtest_run(rig->vm->qtest, accesses, G_N_ELEMENTS(accesses), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS));
    assert_contains(error->message, "source: QEMU died of `inl 0x5658`: it was killed by signal");
    assert_int_equal(godwit_qtest_answered(rig->vm->qtest), 7);
    assert_false(godwit_testbed_healthy(rig->testbed, NULL));
    rig_free(state, rig);
}

/* An access that ends the machine in peace, by the PM1 control register of ICH9: S5, and go. */
static void test_end(void **state, const char *folder)
{
    struct rig *rig = rig_new(state, folder, "x86_64", "q35", NULL);
    assert_non_null(rig);
    struct godwit_mtree *mtree = mtree_of(rig);
    struct godwit_pci *pci;
    MUST(pci = godwit_pci_new(rig->vm->qtest, mtree, error));
    struct godwit_pci_access base[] = {
        {.place = 0x1f << 3, .offset = 0x40, .size = 4, .write = true, .value = 0x601},
        {.place = 0x1f << 3, .offset = 0x44, .size = 1, .write = true, .value = 0x80},
    };
    MUST(godwit_pci_run(pci, base, G_N_ELEMENTS(base), error));
    g_autoptr(GError) error = NULL;
    /* QEMU answers, and ends later: what comes next is too late. */
    bool well = godwit_qtest_out(rig->vm->qtest, 2, 0x604, 0x2000, &error);
    uint32_t value;
    while (well)
        well = godwit_qtest_in(rig->vm->qtest, 4, 0xcf8, &value, &error);
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS) ||
                g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    godwit_mtree_free(mtree);
    godwit_pci_free(pci);
    rig_free(state, rig);
}

#define TESTS(number)                                                                              \
    static void machines_##number(void **state)                                                    \
    {                                                                                              \
        test_machines(state, rig_folders[number]);                                                 \
    }                                                                                              \
    static void death_##number(void **state)                                                       \
    {                                                                                              \
        test_death(state, rig_folders[number]);                                                    \
    }                                                                                              \
    static void end_##number(void **state)                                                         \
    {                                                                                              \
        test_end(state, rig_folders[number]);                                                      \
    }
TESTS(0)
TESTS(1)
TESTS(2)

/* A skipped test of cmocka is "not ok" in TAP. So those that cannot run are left out, with a
 * reason. */
int main(void)
{
    static const struct CMUnitTest all[][3] = {
        {cmocka_unit_test(machines_0), cmocka_unit_test(death_0), cmocka_unit_test(end_0)},
        {cmocka_unit_test(machines_1), cmocka_unit_test(death_1), cmocka_unit_test(end_1)},
        {cmocka_unit_test(machines_2), cmocka_unit_test(death_2), cmocka_unit_test(end_2)},
    };
    struct CMUnitTest tests[3 * G_N_ELEMENTS(rig_folders)];
    size_t count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(rig_folders); i++) {
        g_autofree char *binary = g_build_filename(rig_folders[i], "qemu-system-x86_64", NULL);
        if (!access(binary, X_OK)) {
            memcpy(&tests[count], all[i], sizeof(all[i]));
            count += 3;
        } else if (i == 0) {
            printf("1..0 # SKIP there is no %s\n", binary);
            return 0;
        } else {
            printf("# there is no %s\n", binary);
        }
    }
    return _cmocka_run_group_tests("hand", tests, count, unit_folder, unit_folder_end);
}
