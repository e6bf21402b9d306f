/*
 * Reading `info mtree -f -o`: real output of QEMU 7.2, 10.0 and 11.1 (tests/unit/mtree, shortened),
 * forms that are rare, and text that is damaged.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/mtree.h"

#include <inttypes.h>
#include <string.h>

#include "unit.h"

#define FOLDER "tests/unit/mtree"

static char *slurp(const char *name)
{
    g_autofree char *path = g_build_filename(FOLDER, name, NULL);
    char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static struct godwit_mtree *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    struct godwit_mtree *mtree = godwit_mtree_parse(text, &error);
    if (!mtree)
        fail_msg("%s", error->message);
    return mtree;
}

/* Writes what was read as QEMU does, without the owners. */
static char *print(const struct godwit_mtree *mtree)
{
    static const char *const kinds[] = {"ram", "ramd", "rom", "romd", "i/o", "container"};
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < mtree->views->len; i++) {
        const struct godwit_view *view = g_ptr_array_index(mtree->views, i);
        g_string_append_printf(text, "%sFlatView #%u\n", i ? "\n" : "", i);
        for (guint j = 0; j < view->spaces->len; j++)
            g_string_append_printf(text, " AS \"%s\"\n",
                                   (const char *)g_ptr_array_index(view->spaces, j));
        g_string_append_printf(text, " Root memory region: %s\n",
                               view->root ? view->root : "(none)");
        if (!view->ranges->len)
            g_string_append(text, "  No rendered FlatView\n");
        for (guint j = 0; j < view->ranges->len; j++) {
            const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, j);
            g_string_append_printf(text, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s",
                                   range->start, range->last, range->priority, kinds[range->kind],
                                   range->name);
            if (range->offset)
                g_string_append_printf(text, " @%016" PRIx64, range->offset);
            g_string_append_c(text, '\n');
        }
    }
    return g_string_free(text, FALSE);
}

/* Returns TEXT without owners and without the roots of address spaces. */
static char *without_owners(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        static const char *const ends[] = {" owner:{", " parent:{", ", root: "};
        for (size_t j = 0; j < G_N_ELEMENTS(ends); j++) {
            char *end = strstr(lines[i], ends[j]);
            if (end)
                *end = '\0';
        }
    }
    return g_strjoinv("\n", lines);
}

/* All that the files have is read, whichever way their lines end. */
static void test_files(void **state)
{
    unsigned files = 0;
    (void)state;
    g_autoptr(GDir) folder = g_dir_open(FOLDER, 0, NULL);
    assert_non_null(folder);
    for (const char *name; (name = g_dir_read_name(folder)); files++) {
        g_autofree char *text = slurp(name);
        struct godwit_mtree *mtree = parse(text);
        g_autofree char *wanted = without_owners(text);
        g_autofree char *printed = print(mtree);
        assert_string_equal(printed, wanted);
        assert_non_null(godwit_mtree_view(mtree, "memory"));
        assert_non_null(godwit_mtree_view(mtree, "I/O"));
        godwit_mtree_free(mtree);

        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autofree char *crlf = g_strjoinv("\r\n", lines);
        mtree = parse(crlf);
        g_autofree char *again = print(mtree);
        assert_string_equal(again, wanted);
        godwit_mtree_free(mtree);
    }
    assert_int_equal(files, 18);
}

/* One range of each file, with its owner. */
static void test_ranges(void **state)
{
    static const struct {
        const char *file, *space, *region;
        uint64_t start, last, offset;
        enum godwit_range_kind kind;
        const char *owner;
    } rows[] = {
        {"7.2-x86_64-q35.txt", "memory", "pcie-mmcfg-mmio", 0xb0000000, 0xbfffffff, 0,
         GODWIT_RANGE_IO, "/machine/q35"},
        {"11.1-x86_64-q35.txt", "memory", "e1000e-mmio", 0x9600000, 0x961ffff, 0, GODWIT_RANGE_IO,
         "/machine/peripheral/far"},
        {"11.1-x86_64-q35.txt", "I/O", "io", 0x10, 0x1f, 0x10, GODWIT_RANGE_CONTAINER,
         "/machine/unattached"},
        {"7.2-x86_64-pc.txt", "I/O", "io", 0x10, 0x1f, 0x10, GODWIT_RANGE_IO,
         "/machine/unattached"},
        {"10.0-x86_64-pc.txt", "memory", "bochs dispi interface", 0xb000500, 0xb000515, 0,
         GODWIT_RANGE_IO, "/machine/peripheral-anon/device[1]"},
        {"11.1-x86_64-pc.txt", "I/O", "dma-page", 0x81, 0x83, 0, GODWIT_RANGE_IO,
         "/machine/unattached/device[3]/dma[0]"},
        {"7.2-aarch64-virt.txt", "memory", "gpex_mmio_window", 0x10020000, 0x1003ffff, 0x10020000,
         GODWIT_RANGE_IO, "/machine/unattached/device[5]"},
        {"11.1-riscv64-virt.txt", "memory", "pcie-mmcfg-mmio", 0x30000000, 0x3fffffff, 0,
         GODWIT_RANGE_CONTAINER, "/machine/unattached/device[12]"},
        {"10.0-riscv64-virt.txt", "memory", "virt.flash0", 0x20000000, 0x21ffffff, 0,
         GODWIT_RANGE_ROM_DEVICE, "/machine/virt.flash0"},
        {"7.2-ppc64-pseries.txt", "pci@800000020000000", "msi", UINT64_C(0x40000000000),
         UINT64_C(0x40000000fff), 0, GODWIT_RANGE_IO, "/machine/unattached/device[5]"},
        {"11.1-s390x-ccw.txt", "cpu-memory-0", "s390.ram", 0, 0x7ffffff, 0, GODWIT_RANGE_RAM,
         "/objects/s390.ram"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = slurp(rows[i].file);
        struct godwit_mtree *mtree = parse(text);
        const struct godwit_range *range =
            godwit_view_find(godwit_mtree_view(mtree, rows[i].space), rows[i].region);
        if (!range)
            fail_msg("%s: no %s", rows[i].file, rows[i].region);
        assert_true(range->start == rows[i].start);
        assert_true(range->last == rows[i].last);
        assert_true(range->offset == rows[i].offset);
        assert_int_equal(range->kind, rows[i].kind);
        assert_string_equal(range->owner, rows[i].owner);
        godwit_mtree_free(mtree);
    }
}

#define HEAD "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"

/* Forms that the files do not have. */
static void test_rare(void **state)
{
    static const struct {
        const char *line, *name, *owner;
        uint64_t last, offset;
        int priority;
    } rows[] = {
        {"  0000000000000000-ffffffffffffffff (prio -2147483648, ramd): x", "x", NULL, UINT64_MAX,
         0, INT32_MIN},
        {"  0000000000000000-0000000000000000 (prio 1, ram): a b @c", "a b @c", NULL, 0, 0, 1},
        {"  0000000000000000-0000000000000fff (prio 0, ram): r @0000000000001000 KVM owner:{obj "
         "path=/objects/r}",
         "r", "/objects/r", 0xfff, 0x1000, 0},
        {"  0000000000000000-0000000000000fff (prio 0, i/o): r owner:{dev id=net0} parent:{dev "
         "path=/x}",
         "r", "/machine/peripheral/net0", 0xfff, 0, 0},
        {"  0000000000000000-0000000000000fff (prio 0, i/o): r owner:{obj type=t} parent:{obj "
         "type=u}",
         "r", NULL, 0xfff, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = g_strconcat(HEAD, rows[i].line, "\n", NULL);
        struct godwit_mtree *mtree = parse(text);
        const struct godwit_view *view = godwit_mtree_view(mtree, "memory");
        assert_int_equal(view->ranges->len, 1);
        const struct godwit_range *range = godwit_view_find(view, rows[i].name);
        assert_non_null(range);
        assert_true(range->start == 0 && range->last == rows[i].last);
        assert_true(range->offset == rows[i].offset);
        assert_int_equal(range->priority, rows[i].priority);
        assert_int_equal(g_strcmp0(range->owner, rows[i].owner), 0);
        assert_null(godwit_view_find(view, "other"));
        assert_null(godwit_mtree_view(mtree, "other"));
        godwit_mtree_free(mtree);
    }
    assert_null(godwit_view_find(NULL, "r"));
    godwit_mtree_free(NULL);
}

/* What is not known is an error that quotes the line, and nothing is skipped. */
static void test_unknown(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "the output has no view"},
        {"\n\n", "the output has no view"},
        {"unknown command: 'info'\n", "cannot read line 1: \"unknown command: 'info'\""},
        {" AS \"memory\", root: system\n", "cannot read line 1"},
        {HEAD "  0000000000000000-0000000000000fff (prio 0, warp): r\n", "cannot read line 4"},
        {HEAD "  0000000000000000-0000000000000fff (prio x, ram): r\n", "cannot read line 4"},
        {HEAD "  0000000000000000-0000000000000fff (prio 0, ram):\n", "cannot read line 4"},
        {HEAD "  0000000000000000-0000000000000fff (prio 0, ram): \n", "cannot read line 4"},
        {HEAD "  0000000000000000-0000000000000fff (prio 0, ram): @0000000000000001\n", NULL},
        {HEAD "  0000000000001000-0000000000000fff (prio 0, ram): r\n", "cannot read line 4"},
        {HEAD "  00000000000000001-0000000000000fff (prio 0, ram): r\n", "cannot read line 4"},
        {HEAD "  0000000000000000-0000000000000fff (prio 0, ram): r\n"
              "  0000000000000fff-0000000000001fff (prio 0, ram): s\n",
         "cannot read line 5"},
        {HEAD "  0000000000000000-ffffffffffffffff (prio 0, ram): r\n"
              "  0000000000000000-0000000000001fff (prio 0, ram): s\n",
         "cannot read line 5"},
        {HEAD "\033[2J\n", "\"\\033[2J\""},
        {HEAD " AS memory\n", "cannot read line 4"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        struct godwit_mtree *mtree = godwit_mtree_parse(rows[i].text, &error);
        if (!rows[i].message) {
            assert_non_null(mtree);
            godwit_mtree_free(mtree);
            continue;
        }
        assert_null(mtree);
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
        assert_contains(error->message, rows[i].message);
        assert_null(strchr(error->message, '\n'));
    }
}

/* Any byte may be any other: read or refused, but never worse. */
static void test_damage(void **state)
{
    g_autofree char *text = slurp("11.1-x86_64-q35.txt");
    const size_t length = strlen(text);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    unsigned refused = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        g_autofree char *damaged = g_strdup(text);
        for (unsigned j = 0; j <= i % 3; j++)
            damaged[g_rand_int_range(random, 0, (gint32)length)] =
                (char)g_rand_int_range(random, 1, 256);
        if (i % 5 == 0)
            damaged[g_rand_int_range(random, 0, (gint32)length)] = '\0';
        struct godwit_mtree *mtree = godwit_mtree_parse(damaged, NULL);
        refused += !mtree;
        godwit_mtree_free(mtree);
    }
    assert_in_range(refused, 300, 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),   cmocka_unit_test(test_ranges), cmocka_unit_test(test_rare),
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
