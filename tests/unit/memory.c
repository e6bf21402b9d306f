/*
 * A guest's memory seen from outside: what QEMU's monitor says of it taken apart, and bytes read
 * and written in both ways, up to the last one and not beyond.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/memory.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "fake_vm.h"

#define SIZE     ((size_t)0x30000) /* of the process's memory */
#define BASE     UINT64_C(0x40000000)
#define MAILBOX  UINT64_C(0x10000)
#define NOWHERE  UINT64_MAX
#define PMEMSAVE true

/* What QEMU 8.2 and later print, with addresses that have to be filled in. */
#define RAMBLOCK                                                                                   \
    "              Block Name    PSize              Offset               Used              Total"  \
    "                HVA  RO\n"                                                                    \
    "                 the.ram    4 KiB  0x0000000000000000 0x0000000000020000 "                    \
    "0x0000000000020000 0x%016" PRIx64 " rw\n"                                                     \
    "    /rom@etc/acpi/tables    4 KiB  0x0000000000100000 0x0000000000010000 "                    \
    "0x0000000000200000 0x%016" PRIx64 " ro\n"

/* Before. */
#define RAMBLOCK_OLD                                                                               \
    "              Block Name    PSize              Offset               Used              "       \
    "Total\n"                                                                                      \
    "                 the.ram    4 KiB  0x0000000000000000 0x0000000000020000 "                    \
    "0x0000000000020000\n"                                                                         \
    "    /rom@etc/acpi/tables    4 KiB  0x0000000000100000 0x0000000000010000 "                    \
    "0x0000000000200000\n"

#define RAM_LINE "the.ram 4 KiB 0x0 0x20000 0x20000\n"

/* The RAM in two pieces with a hole between them, a device over a part of it, a ROM, a name that is
 * no block's; and before and after it views that are none of the guest's. */
#define MTREE                                                                                      \
    "FlatView #0\n"                                                                                \
    " AS \"I/O\", root: io\n"                                                                      \
    " Root memory region: io\n"                                                                    \
    "  0000000000000000-0000000000000fff (prio 0, ram): the.ram\n"                                 \
    "\n"                                                                                           \
    "FlatView #1\n"                                                                                \
    " AS \"memory\", root: system\n"                                                               \
    " AS \"cpu-memory-0\", root: system\n"                                                         \
    " Root memory region: system\n"                                                                \
    "  0000000000001000-0000000000001fff (prio 0, i/o): the.ram\n"                                 \
    "  0000000040000000-0000000040017fff (prio 0, ram): the.ram\n"                                 \
    "  0000000040018000-0000000040018fff (prio 1, i/o): device\n"                                  \
    "  0000000040019000-000000004001ffff (prio 0, ram): the.ram @0000000000019000 KVM\n"           \
    "  0000000080000000-000000008000ffff (prio -1000, rom): /rom@etc/acpi/tables\n"                \
    "  00000000a0000000-00000000a000ffff (prio 0, ram): stranger\n"                                \
    "\n"                                                                                           \
    "FlatView #2\n"                                                                                \
    " AS \"cpu-memory-1\", root: other\n"                                                          \
    "  0000000090000000-0000000090000fff (prio 0, ram): the.ram\n"

/* Process_vm_readv(2) and process_vm_writev(2), or, if set, what stands in their place: a transfer
 * of nothing, which leaves errno as it was. */
static bool nothing_moves;

ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
                         const struct iovec *remote, unsigned long remotes, unsigned long flags)
{
    return nothing_moves
               ? 0
               : syscall(SYS_process_vm_readv, pid, local, locals, remote, remotes, flags);
}

ssize_t process_vm_writev(pid_t pid, const struct iovec *local, unsigned long locals,
                          const struct iovec *remote, unsigned long remotes, unsigned long flags)
{
    return nothing_moves
               ? 0
               : syscall(SYS_process_vm_writev, pid, local, locals, remote, remotes, flags);
}

static const struct godwit_image image = {.name = "none", .mailbox = BASE + MAILBOX};

struct guest {
    struct godwit_machine machine;
    struct godwit_setup setup;
    struct godwit_testbed *testbed;
    struct fake_vm *fake;
    struct godwit_vm *vm;
};

static struct guest *guest_new(void **state, bool pmemsave)
{
    struct guest *guest = g_new0(struct guest, 1);
    guest->setup = (struct godwit_setup){
        .machine = &guest->machine, .image = &image, .timeout_scale = 1, .pmemsave = pmemsave};
    guest->testbed = godwit_testbed_new(&guest->setup, *state);
    guest->fake = fake_vm_new(guest->testbed, "source", NULL, SIZE);
    guest->fake->memory_gpa = BASE;
    guest->vm = guest->fake->vm;
    for (size_t i = 0; i < SIZE; i++)
        guest->fake->memory[i] = (unsigned char)(i * 31 + i / 256);
    return guest;
}

static void guest_free(struct guest *guest)
{
    godwit_testbed_free(guest->testbed);
    fake_vm_free(guest->fake);
    g_free(guest);
}

static const struct godwit_block *block_at(const struct guest *guest, guint i)
{
    return &g_array_index(guest->vm->blocks, struct godwit_block, i);
}

static void expect_piece(const struct guest *guest, guint i, guint block, uint64_t gpa,
                         uint64_t offset, uint64_t length)
{
    const struct godwit_piece *piece = &g_array_index(guest->vm->pieces, struct godwit_piece, i);
    assert_int_equal(piece->block, block);
    assert_int_equal(piece->gpa, gpa);
    assert_int_equal(piece->offset, offset);
    assert_int_equal(piece->length, length);
}

static void expect_map(const struct guest *guest)
{
    assert_int_equal(guest->vm->blocks->len, 2);
    assert_string_equal(block_at(guest, 0)->name, "the.ram");
    assert_int_equal(block_at(guest, 0)->length, 0x20000);
    assert_int_equal(block_at(guest, 0)->hva, guest->fake->hva);
    assert_string_equal(block_at(guest, 1)->name, "/rom@etc/acpi/tables");
    assert_int_equal(block_at(guest, 1)->length, 0x10000); /* used, not total */
    assert_int_equal(block_at(guest, 0)->offset, 0);
    assert_int_equal(block_at(guest, 1)->offset, 0x100000);
    assert_int_equal(guest->vm->pieces->len, 3);
    expect_piece(guest, 0, 0, BASE, 0, 0x18000);
    expect_piece(guest, 1, 0, BASE + 0x19000, 0x19000, 0x7000);
    expect_piece(guest, 2, 1, 0x80000000, 0, 0x10000);
    assert_ptr_equal(godwit_memory_block(guest->vm, "the.ram"), block_at(guest, 0));
    assert_ptr_equal(godwit_memory_block(guest->vm, "/rom@etc/acpi/tables"), block_at(guest, 1));
    assert_null(godwit_memory_block(guest->vm, "stranger"));
    assert_null(godwit_memory_block(guest->vm, "the.ra"));
    assert_null(godwit_memory_block(guest->vm, ""));
}

/* A QEMU that tells where its blocks are is not asked again, and one that was asked once neither.
 */
static void test_map(void **state)
{
    struct guest *guest = guest_new(state, false);
    g_autofree char *blocks =
        g_strdup_printf(RAMBLOCK, guest->fake->hva, guest->fake->hva + 0x20000);
    guest->fake->ramblock = blocks;
    guest->fake->mtree = MTREE;
    assert_true(godwit_memory_map(guest->vm, NULL));
    expect_map(guest);
    assert_int_equal(block_at(guest, 1)->hva, guest->fake->hva + 0x20000);
    assert_int_equal(guest->fake->gpa2hvas, 0);
    guest->fake->ramblock = guest->fake->mtree = NULL;
    assert_true(godwit_memory_map(guest->vm, NULL));
    assert_int_equal(guest->vm->blocks->len, 2);
    guest_free(guest);
}

/* An older one is asked for each block once. */
static void test_map_old(void **state)
{
    struct guest *guest = guest_new(state, false);
    guest->fake->ramblock = RAMBLOCK_OLD;
    guest->fake->mtree = MTREE;
    assert_true(godwit_memory_map(guest->vm, NULL));
    expect_map(guest);
    assert_int_equal(block_at(guest, 1)->hva, guest->fake->hva + (0x80000000 - BASE));
    assert_int_equal(guest->fake->gpa2hvas, 2);
    guest_free(guest);
}

/* The block begins before what is seen of it first. */
static void test_map_offset(void **state)
{
    struct guest *guest = guest_new(state, false);
    guest->fake->ramblock = RAMBLOCK_OLD;
    guest->fake->mtree = "FlatView #0\n AS \"memory\", root: system\n"
                         "  0000000040001000-0000000040001fff (prio 0, ram): the.ram "
                         "@0000000000001000\n";
    assert_true(godwit_memory_map(guest->vm, NULL));
    assert_int_equal(block_at(guest, 0)->hva, guest->fake->hva);
    assert_int_equal(block_at(guest, 1)->hva, 0);
    guest_free(guest);
}

/* Answers in which there is no RAM, and refusals; the second time is like the first. */
static void test_map_fails(void **state)
{
    static const struct {
        const char *ramblock, *mtree, *wrong;
    } rows[] = {
        {"", "", "found no RAM in"},
        {RAMBLOCK_OLD, "", "found no RAM in"},
        {"", MTREE, "found no RAM in"},
        {"one line", "FlatView", "found no RAM in"},
        {"Block\nname only\n\n   \n", MTREE, "found no RAM in"},
        {RAMBLOCK_OLD,
         "FlatView #0\n AS \"memory\", root: system\n  rubbish (prio 0, ram): the.ram",
         "found no RAM in"},
        {NULL, MTREE, "refused human-monitor-command: info ramblock"},
        {RAMBLOCK_OLD, NULL, "refused human-monitor-command: info mtree -f"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct guest *guest = guest_new(state, false);
        guest->fake->ramblock = rows[i].ramblock;
        guest->fake->mtree = rows[i].mtree;
        for (int again = 0; again < 2; again++) {
            g_autoptr(GError) error = NULL;
            assert_false(godwit_memory_map(guest->vm, &error));
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
            assert_contains(error->message, rows[i].wrong);
            assert_contains(error->message, "source");
        }
        guest_free(guest);
    }
}

/* Which block is seen where: the first and last byte of each piece, and no byte beside them. */
static void test_locate(void **state)
{
    struct guest *guest = guest_new(state, false);
    guest->fake->ramblock = RAMBLOCK_OLD;
    guest->fake->mtree = MTREE;
    static const struct {
        uint64_t gpa, length;
        int block; /* -1: none */
        uint64_t offset;
    } rows[] = {
        {BASE, 1, 0, 0},
        {BASE, 0x18000, 0, 0},
        {BASE, 0x18001, -1, 0},
        {BASE + 0x17fff, 1, 0, 0x17fff},
        {BASE + 0x17fff, 2, -1, 0},
        {BASE + 0x18000, 1, -1, 0},
        {BASE + 0x18fff, 2, -1, 0},
        {BASE + 0x19000, 0x7000, 0, 0x19000},
        {BASE + 0x19000, 0x7001, -1, 0},
        {BASE + 0x1ffff, 1, 0, 0x1ffff},
        {BASE + 0x20000, 1, -1, 0},
        {BASE - 1, 1, -1, 0},
        {BASE - 1, 2, -1, 0},
        {0x80000000, 0x10000, 1, 0},
        {0x8000ffff, 1, 1, 0xffff},
        {0, 1, -1, 0},          /* of another view */
        {0x1000, 1, -1, 0},     /* no RAM */
        {0x90000000, 1, -1, 0}, /* of the view after it */
        {0xa0000000, 1, -1, 0}, /* of no block */
        {UINT64_MAX, 1, -1, 0},
        {BASE + 1, UINT64_MAX, -1, 0},
        {BASE, UINT64_MAX, -1, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t offset = 12345;
        g_autoptr(GError) error = NULL;
        const struct godwit_block *block =
            godwit_memory_locate(guest->vm, rows[i].gpa, rows[i].length, &offset, &error);
        if (rows[i].block >= 0) {
            assert_ptr_equal(block, block_at(guest, (guint)rows[i].block));
            assert_int_equal(offset, rows[i].offset);
            assert_null(error);
            continue;
        }
        g_autofree char *where =
            g_strdup_printf("0x%" PRIx64 "+0x%" PRIx64, rows[i].gpa, rows[i].length);
        assert_null(block);
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
        assert_contains(error->message, where);
    }
    guest_free(guest);
}

/* A range over several blocks: its parts in the order of addresses, whatever the order of the
 * blocks. No part of it may be missing, and no block may come twice. */
static void test_parts(void **state)
{
    struct guest *guest = guest_new(state, false);
    guest->fake->ramblock = "Block Name PSize Offset Used Total\n"
                            "high 4 KiB 0x20000 0x40000 0x40000\n"
                            "low 4 KiB 0x0 0x20000 0x20000\n";
    guest->fake->mtree =
        "FlatView #1\n AS \"memory\", root: system\n"
        "  0000000000000000-000000000001ffff (prio 0, ram): low\n"
        "  0000000000020000-000000000003ffff (prio 0, ram): high @0000000000010000\n"
        "  0000000000050000-000000000005ffff (prio 0, ram): high @0000000000030000\n"
        "  0000000000060000-000000000006ffff (prio 0, ram): low\n"
        "  0000000000070000-000000000007ffff (prio 0, ram): high\n";
    static const struct {
        uint64_t gpa, length;
        const char *parts; /* block, offset, place in the range, length; NULL: none */
    } rows[] = {
        {0, 0x20000, "low 0+0+20000 "},
        {0x1000, 0x1000, "low 1000+0+1000 "},
        {0, 0x20001, "low 0+0+20000 high 10000+20000+1 "},
        {0x1f000, 0x21000, "low 1f000+0+1000 high 10000+1000+20000 "},
        {0x20000, 0x20000, "high 10000+0+20000 "},
        {0x58000, 0x10000, "high 38000+0+8000 low 0+8000+8000 "},
        {0x1f000, 0x21001, NULL}, /* no RAM behind it */
        {0x40000, 1, NULL},
        {0x58000, 0x18001, NULL}, /* `high` again */
        {UINT64_MAX, 2, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GArray) parts =
            godwit_memory_parts(guest->vm, rows[i].gpa, rows[i].length, &error);
        if (!rows[i].parts) {
            assert_null(parts);
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
            continue;
        }
        assert_non_null(parts);
        g_autoptr(GString) text = g_string_new(NULL);
        for (guint j = 0; j < parts->len; j++) {
            const struct godwit_part *part = &g_array_index(parts, struct godwit_part, j);
            g_string_append_printf(text, "%s %" PRIx64 "+%" PRIx64 "+%" PRIx64 " ",
                                   part->block->name, part->offset, part->at, part->length);
            assert_ptr_equal(godwit_memory_part(parts, part->block, part->offset), part);
            assert_ptr_equal(
                godwit_memory_part(parts, part->block, part->offset + part->length - 1), part);
            assert_null(godwit_memory_part(parts, part->block, part->offset + part->length));
        }
        assert_string_equal(text->str, rows[i].parts);
    }
    guest_free(guest);
}

/* The block of a device on a bus has the device's place in its name, which the guest's view leaves
 * out. If two devices have such a block, the view does not say whose it is. */
static void test_locate_device(void **state)
{
    static const char heading[] = "Block Name PSize Offset Used Total\n";
    static const char one[] = "0000:00:01.0/vga.vram 4 KiB 0x20000 0x10000 0x10000\n";
    static const char other[] = "0000:00:02.0/vga.vram 4 KiB 0x30000 0x10000 0x10000\n";
    static const char its_own[] = "vga.vram 4 KiB 0x40000 0x10000 0x10000\n";
    static const char stranger[] = "0000:00:03.0/other.vga.vram 4 KiB 0x50000 0x10000 0x10000\n";
    static const struct {
        const char *blocks[3];
        int block; /* index of the one that is found; -1: none */
    } rows[] = {
        {{one, "", ""}, 0},         {{stranger, one, ""}, 1}, {{one, other, ""}, -1},
        {{one, other, its_own}, 2}, {{its_own, one, ""}, 0},  {{stranger, "", ""}, -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct guest *guest = guest_new(state, false);
        uint64_t offset = 1;
        g_autoptr(GError) error = NULL;
        g_autofree char *ramblock = g_strconcat(heading, rows[i].blocks[0], rows[i].blocks[1],
                                                rows[i].blocks[2], RAM_LINE, NULL);
        guest->fake->ramblock = ramblock;
        guest->fake->mtree = "FlatView #1\n AS \"memory\", root: system\n"
                             "  0000000040000000-000000004001ffff (prio 0, ram): the.ram\n"
                             "  00000000e0000000-00000000e000ffff (prio 1, ram): vga.vram\n";
        const struct godwit_block *block =
            godwit_memory_locate(guest->vm, 0xe0000000, 0x10000, &offset, &error);
        if (rows[i].block < 0)
            assert_null(block);
        else
            assert_ptr_equal(block, block_at(guest, (guint)rows[i].block));
        guest_free(guest);
    }
}

/* A block that QEMU tells the place of, one that the guest sees a half of, and one that neither. */
static struct guest *three_blocks(void **state, bool pmemsave)
{
    struct guest *guest = guest_new(state, pmemsave);
    fake_vm_block(guest->fake, "told", 0, 0x20000, true, BASE);
    fake_vm_block(guest->fake, "seen", 0x20000, 0x10000, false, BASE + 0x20000);
    g_array_index(guest->vm->pieces, struct godwit_piece, 1).length = 0x8000;
    fake_vm_block(guest->fake, "lost", 0, 0x1000, false, NOWHERE);
    return guest;
}

static void test_readable(void **state)
{
    static const struct {
        guint block;
        uint64_t offset, length;
        bool by_process, by_pmemsave;
    } rows[] = {
        {0, 0, 0x20000, true, true},      {0, 0, 0x20001, false, false},
        {0, 0x1ffff, 1, true, true},      {0, 0x1ffff, 2, false, false},
        {0, 0x20000, 0, true, true},      {0, 0x20001, 0, false, false},
        {0, 1, UINT64_MAX, false, false}, {0, UINT64_MAX, 1, false, false},
        {1, 0, 0x8000, true, true},       {1, 0, 0x8001, false, false},
        {1, 0x8000, 1, false, false},     {2, 0, 1, false, false},
    };
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        struct guest *guest = three_blocks(state, pmemsave);
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
            assert_int_equal(godwit_memory_readable(guest->vm, block_at(guest, rows[i].block),
                                                    rows[i].offset, rows[i].length),
                             pmemsave ? rows[i].by_pmemsave : rows[i].by_process);
        guest_free(guest);
    }
}

/* Every way of reading gives the bytes that are there, at either end and in the middle. What lies
 * in the buffer behind them is not touched. */
static void test_read(void **state)
{
    static const struct {
        uint64_t offset;
        size_t length;
    } rows[] = {{0, 1}, {0, 0x20000}, {0x1ffff, 1}, {0x1fff8, 8}, {0xfff, 2}, {0x12345, 0x6789}};
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        struct guest *guest = three_blocks(state, pmemsave);
        g_autofree unsigned char *buffer = g_malloc(0x20001);
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
            const unsigned char *wanted = guest->fake->memory + rows[i].offset;
            for (int by_address = 0; by_address < 2; by_address++) {
                memset(buffer, 0x5a, 0x20001);
                if (by_address)
                    assert_true(godwit_memory_read(guest->vm, BASE + rows[i].offset, buffer,
                                                   rows[i].length, NULL));
                else
                    assert_true(godwit_memory_read_block(guest->vm, block_at(guest, 0),
                                                         rows[i].offset, buffer, rows[i].length,
                                                         NULL));
                assert_memory_equal(buffer, wanted, rows[i].length);
                assert_int_equal(buffer[rows[i].length], 0x5a);
            }
        }
        assert_int_equal(guest->fake->pmemsaves, pmemsave ? 2 * G_N_ELEMENTS(rows) : 0);
        guest_free(guest);
    }
}

/* What may have to be waited for is read as well as anything. */
static void test_fetch(void **state)
{
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        struct guest *guest = three_blocks(state, pmemsave);
        unsigned char buffer[0x1000];
        g_autoptr(GError) error = NULL;
        assert_true(godwit_memory_fetch(guest->vm, BASE + 0x1f000, buffer, 0x1000, NULL));
        assert_memory_equal(buffer, guest->fake->memory + 0x1f000, 0x1000);
        assert_int_equal(guest->fake->pmemsaves, pmemsave);
        assert_false(godwit_memory_fetch(guest->vm, BASE + 0x1f001, buffer, 0x1000, &error));
        assert_contains(error->message, "is not RAM of this guest");
        guest_free(guest);
    }
}

/* Not there, and no process. */
static void test_fetch_fails(void **state)
{
    struct guest *guest = guest_new(state, false);
    unsigned char buffer[0x2000];
    fake_vm_block(guest->fake, "lie", 0, SIZE + FAKE_GUARD, true, BASE);
    for (int dead = 0; dead < 2; dead++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_memory_fetch(guest->vm, BASE + (dead ? 0 : SIZE - 0x1000), buffer,
                                         sizeof(buffer), &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
        assert_contains(error->message,
                        dead ? "at 0x40000000: No such process" : "at 0x4002f000: Bad address");
        g_subprocess_force_exit(guest->vm->process);
        g_subprocess_wait(guest->vm->process, NULL, NULL);
    }
    guest_free(guest);
}

/* A QEMU that does not allow it while it is migrated to: nobody's failure. */
static void test_pmemsave_not_now(void **state)
{
    static char version[] = "11.1.3";
    const struct godwit_qemu qemu = {.version = version};
    struct guest *guest = three_blocks(state, PMEMSAVE);
    unsigned char buffer[16];
    g_autoptr(GError) error = NULL;
    guest->vm->qemu = &qemu;
    guest->fake->refuses = true;
    guest->fake->refusal = "Guest memory access not allowed during migration";
    assert_false(godwit_memory_read(guest->vm, BASE, buffer, sizeof(buffer), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
    assert_string_equal(error->message, "needs process_vm_readv: QEMU 11.1.3 allows no pmemsave "
                                        "while it is migrated to");
    guest_free(guest);
}

/* A block whose place QEMU does not tell is read by pmemsave, whatever else could be done. */
static void test_read_without_place(void **state)
{
    struct guest *guest = three_blocks(state, false);
    unsigned char buffer[16];
    g_autoptr(GError) error = NULL;
    assert_true(godwit_memory_read_block(guest->vm, block_at(guest, 1), 0x7ff0, buffer,
                                         sizeof(buffer), &error));
    assert_memory_equal(buffer, guest->fake->memory + 0x27ff0, sizeof(buffer));
    assert_int_equal(guest->fake->pmemsaves, 1);
    /* The others are still read as fast as can be. */
    assert_true(godwit_memory_read(guest->vm, BASE, buffer, sizeof(buffer), NULL));
    assert_memory_equal(buffer, guest->fake->memory, sizeof(buffer));
    assert_int_equal(guest->fake->pmemsaves, 1);
    guest_free(guest);
}

/* A copy stays what it is while the memory changes, but where it is made anew; what cannot be read
 * is no reason to fail, and cannot be read in the copy either. */
static void test_keep(void **state)
{
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        struct guest *guest = three_blocks(state, pmemsave);
        const size_t length = 0x28000; /* what the guest sees of the first two */
        g_autofree unsigned char *wanted = g_memdup2(guest->fake->memory, length);
        g_autofree unsigned char *buffer = g_malloc(length);
        assert_true(godwit_memory_keep(guest->vm, NULL));
        for (size_t i = 0; i < length; i++)
            guest->fake->memory[i] ^= 0xff;
        assert_true(godwit_memory_keep_again(guest->vm, BASE + 0x1fff0, 0x10, NULL));
        assert_true(godwit_memory_keep_again(guest->vm, BASE + 0x20001, 1, NULL));
        memcpy(wanted + 0x1fff0, guest->fake->memory + 0x1fff0, 0x10);
        wanted[0x20001] = guest->fake->memory[0x20001];
        const unsigned asked = guest->fake->pmemsaves;
        assert_true(
            godwit_memory_read_block(guest->vm, block_at(guest, 0), 0, buffer, 0x20000, NULL));
        assert_true(godwit_memory_read_block(guest->vm, block_at(guest, 1), 0, buffer + 0x20000,
                                             0x8000, NULL));
        assert_memory_equal(buffer, wanted, length);
        assert_int_equal(guest->fake->pmemsaves, asked);
        g_autoptr(GError) error = NULL;
        assert_false(godwit_memory_read_block(guest->vm, block_at(guest, 2), 0, buffer, 1, &error));
        assert_contains(error->message, "of RAM block lost cannot be read");
        guest_free(guest);
    }
}

/* A copy in the form of a VM, which the memory that goes on does not change. */
static void test_remember(void **state)
{
    for (int pmemsave = 0; pmemsave < 2; pmemsave++) {
        struct guest *guest = three_blocks(state, pmemsave);
        const size_t length = 0x20000;
        g_autofree unsigned char *before = g_memdup2(guest->fake->memory, length);
        g_autofree unsigned char *buffer = g_malloc(length);
        struct godwit_vm *copy = godwit_memory_remember(guest->vm, "copy", NULL);
        assert_non_null(copy);
        for (size_t i = 0; i < length; i++)
            guest->fake->memory[i] ^= 0xff;
        assert_true(
            godwit_memory_read_block(guest->vm, block_at(guest, 0), 0, buffer, length, NULL));
        assert_memory_equal(buffer, guest->fake->memory, length);
        godwit_memory_forget(guest->vm);
        const struct godwit_block *block = &g_array_index(copy->blocks, struct godwit_block, 0);
        assert_true(godwit_memory_read_block(copy, block, 0, buffer, length, NULL));
        assert_memory_equal(buffer, before, length);
        godwit_vm_free(copy);
        guest_free(guest);
    }
}

static void test_out_of_reach(void **state)
{
    struct guest *guest = three_blocks(state, false);
    unsigned char buffer[16];
    static const struct {
        guint block;
        uint64_t offset;
        const char *wrong;
    } rows[] = {
        {0, 0x1fff1, "source: 0x1fff1+0x10 of RAM block told cannot be read"},
        {1, 0x8000, "source: 0x8000+0x10 of RAM block seen cannot be read"},
        {2, 0, "source: 0x0+0x10 of RAM block lost cannot be read"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_memory_read_block(guest->vm, block_at(guest, rows[i].block),
                                              rows[i].offset, buffer, sizeof(buffer), &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
        assert_string_equal(error->message, rows[i].wrong);
    }
    g_autoptr(GError) error = NULL;
    assert_false(godwit_memory_read(guest->vm, BASE + 0x1fff1, buffer, sizeof(buffer), &error));
    assert_contains(error->message, "guest-physical 0x4001fff1+0x10 is not RAM of this guest");
    guest_free(guest);
}

/* A QEMU that says it has memory where it has none, and one that is gone. */
static void test_read_fails(void **state)
{
    struct guest *guest = guest_new(state, false);
    unsigned char buffer[0x2000];
    fake_vm_block(guest->fake, "lie", 0, SIZE + FAKE_GUARD, true, BASE);
    for (int dead = 0; dead < 2; dead++) {
        /* The first of the two pages is there. */
        g_autoptr(GError) error = NULL;
        assert_false(godwit_memory_read_block(guest->vm, block_at(guest, 0), SIZE - 0x1000, buffer,
                                              sizeof(buffer), &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
        assert_contains(error->message, dead ? "at offset 0x2f000 of lie: No such process"
                                             : "at offset 0x30000 of lie: Bad address");
        g_subprocess_force_exit(guest->vm->process);
        g_subprocess_wait(guest->vm->process, NULL, NULL);
    }
    guest_free(guest);
}

static void test_pmemsave_fails(void **state)
{
    struct guest *guest = three_blocks(state, PMEMSAVE);
    unsigned char buffer[16];
    g_autoptr(GError) error = NULL;
    guest->fake->cut = 1;
    assert_false(godwit_memory_read(guest->vm, BASE, buffer, sizeof(buffer), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    assert_contains(error->message, "pmemsave wrote 15 bytes instead of 16");
    g_clear_error(&error);
    guest->fake->refuses = true;
    assert_false(godwit_memory_read(guest->vm, BASE, buffer, sizeof(buffer), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    assert_contains(error->message, "the source refused pmemsave: not today");
    guest_free(guest);
}

/* Written bytes are there, and none beside them. */
static void test_write(void **state)
{
    struct guest *guest = three_blocks(state, false);
    g_autofree unsigned char *wanted = g_memdup2(guest->fake->memory, SIZE);
    static const uint64_t places[] = {0, 0x12345, 0x1fffd};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        memcpy(wanted + places[i], "abc", 3);
        assert_true(godwit_memory_write(guest->vm, BASE + places[i], "abc", 3, NULL));
        assert_memory_equal(guest->fake->memory, wanted, SIZE);
    }
    g_autoptr(GError) error = NULL;
    assert_false(godwit_memory_write(guest->vm, BASE + 0x1fffe, "abc", 3, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    g_clear_error(&error);
    assert_false(godwit_memory_write(guest->vm, BASE + 0x20000, "abc", 3, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_SKIP));
    assert_memory_equal(guest->fake->memory, wanted, SIZE);
    guest_free(guest);
}

/* Each page of the window gets a mark of its own behind its first word, and nothing else changes;
 * more pages than one call of the system takes, too. Where it cannot be, it is not. */
static void test_mark(void **state)
{
    enum { SPACING = 32, START = 0x1000, PAGES = 1500 };
    struct guest *guest = three_blocks(state, false);
    struct godwit_workload *workload = &guest->setup.workload;
    *workload = (struct godwit_workload){.window_start = BASE + START,
                                         .window_end = BASE + START + PAGES * SPACING,
                                         .page_size = SPACING};
    assert_false(godwit_memory_marked(guest->vm));
    g_autofree unsigned char *before = g_memdup2(guest->fake->memory, SIZE);
    godwit_memory_mark(guest->vm);
    assert_true(godwit_memory_marked(guest->vm));
    g_autoptr(GHashTable) seen = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (size_t page = 0; page < PAGES; page++) {
        unsigned char *mark = guest->fake->memory + START + page * SPACING + 8;
        gint64 value;
        memcpy(&value, mark, sizeof(value));
        assert_true(value != 0);
        g_hash_table_add(seen, g_memdup2(&value, sizeof(value)));
        memcpy(before + (mark - guest->fake->memory), mark, sizeof(value));
    }
    assert_int_equal(g_hash_table_size(seen), PAGES);
    assert_memory_equal(guest->fake->memory, before, SIZE);
    GList *values = g_hash_table_get_keys(seen);
    g_list_free_full(values, g_free);

    /* A staggered guest has marks in every fourth page, and the others are as they were. */
    memset(guest->fake->memory + START, 0, PAGES * SPACING);
    workload->flags = GODWIT_FLAG_STAGGER;
    assert_false(godwit_memory_marked(guest->vm));
    godwit_memory_mark(guest->vm);
    assert_true(godwit_memory_marked(guest->vm));
    for (size_t page = 0; page < PAGES; page++) {
        gint64 value;
        memcpy(&value, guest->fake->memory + START + page * SPACING + 8, sizeof(value));
        assert_int_equal(value != 0, page % 4 == 1);
    }
    workload->window_end = workload->window_start + SPACING; /* no page with a mark */
    assert_false(godwit_memory_marked(guest->vm));
    workload->window_end = BASE + START + PAGES * SPACING;
    workload->flags = 0;
    memcpy(guest->fake->memory, before, SIZE);

    workload->page_size = 8; /* no room */
    assert_false(godwit_memory_marked(guest->vm));
    godwit_memory_mark(guest->vm);
    workload->page_size = SPACING;
    workload->flags = GODWIT_FLAG_STAMP; /* no need */
    assert_false(godwit_memory_marked(guest->vm));
    godwit_memory_mark(guest->vm);
    assert_memory_equal(guest->fake->memory, before, SIZE);
    guest_free(guest);
    struct guest *refused = three_blocks(state, true);
    refused->setup.workload = (struct godwit_workload){
        .window_start = BASE + START, .window_end = BASE + 2 * START, .page_size = SPACING};
    godwit_memory_mark(refused->vm);
    assert_false(godwit_memory_marked(refused->vm));
    guest_free(refused);
}

/* Every field of the mailbox, in both byte orders. */
static void test_mailbox(void **state)
{
    for (int big = 0; big < 2; big++) {
        struct guest *guest = three_blocks(state, false);
        struct godwit_mailbox mailbox;
        guest->machine.big_endian = big;
        for (unsigned i = 0; i < GODWIT_MAILBOX_SIZE; i++)
            guest->fake->memory[MAILBOX + i] = (unsigned char)(0x80 + i);
        assert_true(godwit_memory_mailbox(guest->vm, 0, &mailbox, NULL));
#define FIELD(name, big_value, little_value)                                                       \
    assert_int_equal(mailbox.name, big ? UINT64_C(big_value) : UINT64_C(little_value))
        /* Another CPU's has the same form, further on. */
        struct godwit_mailbox third;
        memcpy(guest->fake->memory + MAILBOX + 2 * GODWIT_MAILBOX_STRIDE,
               guest->fake->memory + MAILBOX, GODWIT_MAILBOX_SIZE);
        assert_true(godwit_memory_mailbox(guest->vm, 2, &third, NULL));
        assert_memory_equal(&third, &mailbox, sizeof(third));
        FIELD(magic, 0x80818283, 0x83828180);
        FIELD(state, 0x84858687, 0x87868584);
        FIELD(passes, 0x88898a8b8c8d8e8f, 0x8f8e8d8c8b8a8988);
        FIELD(position, 0x9091929394959697, 0x9796959493929190);
        FIELD(timer, 0x98999a9b9c9d9e9f, 0x9f9e9d9c9b9a9998);
        FIELD(fault_address, 0xa0a1a2a3a4a5a6a7, 0xa7a6a5a4a3a2a1a0);
        FIELD(fault_expected, 0xa8a9aaabacadaeaf, 0xafaeadacabaaa9a8);
        FIELD(fault_found, 0xb0b1b2b3b4b5b6b7, 0xb7b6b5b4b3b2b1b0);
#undef FIELD
        guest_free(guest);
    }
}

/* A transfer of nothing is not judged by the error of an earlier call. */
static void test_nothing_moves(void **state)
{
    static const int earlier[] = {0, EPERM, ENOSYS, ENOENT};
    for (size_t i = 0; i < G_N_ELEMENTS(earlier); i++) {
        struct guest *guest = guest_new(state, false);
        g_autoptr(GError) unread = NULL, unwritten = NULL;
        char byte = 0;
        fake_vm_block(guest->fake, "the.ram", 0, 0x20000, true, BASE);
        nothing_moves = true;
        errno = earlier[i];
        assert_false(godwit_memory_read(guest->vm, BASE, &byte, 1, &unread));
        errno = earlier[i];
        assert_false(godwit_memory_write(guest->vm, BASE, &byte, 1, &unwritten));
        nothing_moves = false;
        assert_contains(unread->message, "no bytes were read");
        assert_true(g_error_matches(unread, GODWIT_ERROR, GODWIT_ERROR_CRASH));
        assert_false(guest->vm->pmemsave);
        assert_contains(unwritten->message, "not all of it could be written");
        guest_free(guest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_old),
        cmocka_unit_test(test_map_offset),
        cmocka_unit_test(test_map_fails),
        cmocka_unit_test(test_locate),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_locate_device),
        cmocka_unit_test(test_readable),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_fetch_fails),
        cmocka_unit_test(test_pmemsave_not_now),
        cmocka_unit_test(test_read_without_place),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_remember),
        cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_read_fails),
        cmocka_unit_test(test_pmemsave_fails),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_mailbox),
        cmocka_unit_test(test_nothing_moves),
    };
    return cmocka_run_group_tests_name("memory", tests, unit_folder, unit_folder_end);
}
