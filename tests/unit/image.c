/*
 * Images: the parameter block that is poked into them, in either byte order, and the workloads that
 * no guest could work with.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/image.h"
#include "godwit/guest_abi.h"

#include <string.h>
#include <sys/stat.h>

#include "unit.h"

/* An image that begins and ends inside its file, with a block that begins and ends inside it. */
enum { LENGTH = 100, FILE_SIZE = 160, FILE_OFFSET = 24, PARAMS_OFFSET = 16 };

static unsigned char bytes[LENGTH];

static const struct godwit_image image = {
    .name = "none",
    .bytes = bytes,
    .length = LENGTH,
    .file_size = FILE_SIZE,
    .file_offset = FILE_OFFSET,
    .params_offset = PARAMS_OFFSET,
    .max_cpus = 4,
};

/* Each field differs from the others, and each of its bytes from the field's others. */
static const struct godwit_workload workload = {
    .window_start = UINT64_C(0x0123456789abcdef),
    .window_end = UINT64_C(0xfedcba9876543210),
    .page_size = 0x11223344,
    .passes_per_report = 0x55667788,
    .flags = 0x99aa00cc,
    .page_ticks = 0xddeeff01,
    .cpus = 0xbc, /* the flags' second byte is one less */
};

/* The block's bytes for that workload, written down by hand. */
static const unsigned char big_block[GODWIT_PARAMS_SIZE - GODWIT_PARAMS_OFF_WINDOW_START] = {
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, /* window_start */
    0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, /* window_end */
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, /* page_size, passes_per_report */
    0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01, /* flags, page_ticks */
};

static const unsigned char little_block[sizeof(big_block)] = {
    0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
    0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55, 0xcc, 0xbb, 0xaa, 0x99, 0x01, 0xff, 0xee, 0xdd,
};

/* The file that comes of the image; the caller's. */
static char *write_image(void **state, const struct godwit_image *which, bool big,
                         const struct godwit_workload *what)
{
    g_autofree char *path = g_build_filename(*state, "image", NULL);
    gsize length = 0;
    assert_true(godwit_image_write(which, big, what, path, NULL));
    char *file = unit_take(state, "image", &length);
    assert_int_equal(length, which->file_size);
    return file;
}

static int fill_bytes(void **state)
{
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    return unit_folder(state);
}

/* The whole file, byte by byte: the block in the guest's order, the image around it as it was,
 * zeros around that; and the image itself is not touched. */
static void test_written(void **state)
{
    unsigned char before[LENGTH];
    memcpy(before, bytes, sizeof(bytes));
    for (int big = 0; big < 2; big++) {
        unsigned char wanted[FILE_SIZE] = {0};
        memcpy(wanted + FILE_OFFSET, bytes, LENGTH);
        memcpy(wanted + FILE_OFFSET + PARAMS_OFFSET + GODWIT_PARAMS_OFF_WINDOW_START,
               big ? big_block : little_block, sizeof(big_block));
        g_autofree char *file = write_image(state, &image, big, &workload);
        assert_memory_equal(file, wanted, FILE_SIZE);
        assert_memory_equal(bytes, before, LENGTH);
    }
}

/* One parameter alone is changed: no other byte of the file is. */
static void test_one_at_a_time(void **state)
{
    static const struct {
        size_t offset, size; /* of the field, in the block */
        size_t member;       /* in struct godwit_workload */
    } fields[] = {
#define FIELD(name, NAME)                                                                          \
    {GODWIT_PARAMS_OFF_##NAME, sizeof(workload.name), offsetof(struct godwit_workload, name)}
        FIELD(window_start, WINDOW_START),
        FIELD(window_end, WINDOW_END),
        FIELD(page_size, PAGE_SIZE),
        FIELD(passes_per_report, PASSES_PER_REPORT),
        FIELD(flags, FLAGS),
        FIELD(page_ticks, PAGE_TICKS),
#undef FIELD
    };
    for (int big = 0; big < 2; big++) {
        g_autofree char *usual = write_image(state, &image, big, &workload);
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
            struct godwit_workload changed = workload;
            if (fields[i].offset == GODWIT_PARAMS_OFF_FLAGS)
                changed.cpus = 1;
            memset((char *)&changed + fields[i].member, 0x5e, fields[i].size);
            g_autofree char *file = write_image(state, &image, big, &changed);
            for (size_t at = 0; at < FILE_SIZE; at++) {
                const size_t field = FILE_OFFSET + PARAMS_OFFSET + fields[i].offset;
                const bool its = at >= field && at < field + fields[i].size;
                assert_int_equal(file[at], its ? 0x5e : usual[at]);
            }
        }
    }
}

/* The number of CPUs is the flags' second byte and no other; it does not pass for a flag. */
static void test_cpus(void **state)
{
    for (int big = 0; big < 2; big++) {
        const size_t field = FILE_OFFSET + PARAMS_OFFSET + GODWIT_PARAMS_OFF_FLAGS;
        const size_t its = field + (big ? 2 : 1);
        struct godwit_workload w = workload;
        w.flags = GODWIT_FLAG_VERIFY | GODWIT_FLAG_SUSPEND;
        w.cpus = 1;
        g_autofree char *usual = write_image(state, &image, big, &w);
        assert_int_equal(usual[its], 0);
        for (w.cpus = 1; w.cpus <= GODWIT_MAX_CPUS; w.cpus++) {
            g_autofree char *file = write_image(state, &image, big, &w);
            const struct godwit_machine machine = {.big_endian = big};
            const struct godwit_image written = {
                .bytes = (const unsigned char *)file,
                .params_offset = FILE_OFFSET + PARAMS_OFFSET,
            };
            assert_int_equal(file[its], w.cpus - 1);
            const struct godwit_workload back = godwit_image_workload(&machine, &written);
            assert_int_equal(back.cpus, w.cpus);
            assert_int_equal(back.flags, w.flags);
            file[its] = 0;
            assert_memory_equal(file, usual, FILE_SIZE);
        }
    }
}

/* Stripes share the window: each page is in exactly one of them, at its place from there. */
static void test_stripes(void **state)
{
    (void)state;
    for (uint32_t cpus = 1; cpus <= 5; cpus++) {
        const struct godwit_workload w = {.window_start = 0x100000,
                                          .window_end = 0x100000 + 60 * 4096,
                                          .page_size = 4096,
                                          .flags = GODWIT_FLAG_VERIFY,
                                          .page_ticks = 7,
                                          .cpus = cpus};
        unsigned met[60] = {0};
        for (unsigned cpu = 0; cpu < cpus; cpu++) {
            const struct godwit_workload stripe = godwit_workload_stripe(&w, cpu);
            assert_int_equal(godwit_workload_pages(&stripe), 60 / cpus);
            assert_int_equal(stripe.cpus, 1);
            assert_int_equal(stripe.flags, w.flags);
            assert_int_equal(stripe.page_ticks, w.page_ticks);
            for (uint64_t at = stripe.window_start; at < stripe.window_end; at += stripe.page_size)
                met[(at - w.window_start) / w.page_size] += 1 + cpu * 100;
        }
        for (unsigned page = 0; page < 60; page++)
            assert_int_equal(met[page], 1 + page % cpus * 100);
    }
}

/* Pages that not every CPU has one of are left out, at the end; with one CPU there are none. */
static void test_share(void **state)
{
    (void)state;
    static const struct {
        uint32_t pages, cpus, left;
    } rows[] = {{25344, 1, 25344}, {25344, 4, 25344}, {333, 2, 332},
                {7, 4, 4},         {7, 7, 7},         {3, 4, 0}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_workload w = {.window_start = 4096,
                                    .window_end = 4096 + rows[i].pages * UINT64_C(8192),
                                    .page_size = 8192,
                                    .cpus = rows[i].cpus};
        godwit_workload_share(&w);
        assert_int_equal(w.window_start, 4096);
        assert_int_equal(w.window_end, 4096 + rows[i].left * UINT64_C(8192));
    }
    struct godwit_workload odd = {.window_end = 4097, .page_size = 4096, .cpus = 1};
    godwit_workload_share(&odd);
    assert_int_equal(odd.window_end, 4097);
}

/* What was written reads back the same. */
static void test_read_back(void **state)
{
    for (int big = 0; big < 2; big++) {
        g_autofree char *file = write_image(state, &image, big, &workload);
        const struct godwit_machine machine = {.big_endian = big};
        const struct godwit_image written = {
            .bytes = (const unsigned char *)file,
            .length = FILE_SIZE,
            .params_offset = FILE_OFFSET + PARAMS_OFFSET,
        };
        const struct godwit_workload back = godwit_image_workload(&machine, &written);
        assert_int_equal(back.window_start, workload.window_start);
        assert_int_equal(back.window_end, workload.window_end);
        assert_int_equal(back.page_size, workload.page_size);
        assert_int_equal(back.passes_per_report, workload.passes_per_report);
        assert_int_equal(back.flags, workload.flags);
        assert_int_equal(back.page_ticks, workload.page_ticks);
        assert_int_equal(back.cpus, workload.cpus);
    }
}

/* Every image that there is, written as it is, is the file that the header's hash is of. */
static void test_real_images(void **state)
{
    for (size_t m = 0; m < godwit_machine_count(); m++) {
        const struct godwit_machine *machine = godwit_machine_at(m);
        for (size_t i = 0; machine->images[i]; i++) {
            const struct godwit_image *real = machine->images[i];
            const struct godwit_workload own = godwit_image_workload(machine, real);
            g_autofree char *file = write_image(state, real, machine->big_endian, &own);
            assert_memory_equal(file + real->file_offset, real->bytes, real->length);
            for (size_t at = 0; at < real->file_size; at++)
                if (at < real->file_offset || at >= real->file_offset + real->length)
                    assert_int_equal(file[at], 0);
        }
    }
}

/* An old file is replaced, and nobody else may read the new one. */
static void test_file(void **state)
{
    g_autofree char *path = g_build_filename(*state, "image", NULL);
    g_autofree char *old = g_strnfill(1000, 'x');
    struct stat status;
    assert_true(g_file_set_contents(path, old, -1, NULL));
    assert_true(godwit_image_write(&image, true, &workload, path, NULL));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, FILE_SIZE);
    assert_int_equal(g_unlink(path), 0);
    assert_true(godwit_image_write(&image, true, &workload, path, NULL));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(g_unlink(path), 0);
}

static void test_cannot_write(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_false(godwit_image_write(&image, true, &workload, "/dev/null/image", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "cannot write /dev/null/image: ");
}

/* Guest numbers, at every alignment. */
static void test_numbers(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        unsigned char raw[16];
        for (size_t i = 0; i < sizeof(raw); i++)
            raw[i] = 0xee;
        memcpy(raw + shift, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
        assert_int_equal(godwit_guest_get32(raw + shift, true), 0x01234567);
        assert_int_equal(godwit_guest_get32(raw + shift, false), 0x67452301);
        assert_int_equal(godwit_guest_get64(raw + shift, true), UINT64_C(0x0123456789abcdef));
        assert_int_equal(godwit_guest_get64(raw + shift, false), UINT64_C(0xefcdab8967452301));
    }
}

static void test_pages(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, end;
        uint32_t page_size;
        uint64_t pages;
    } rows[] = {
        {0x100000, 0x101000, 0x1000, 1},
        {0x100000, 0x6400000, 0x1000, 25344},
        {0x100000, 0x100018, 8, 3},
        {0, UINT64_C(0x4000000000), 4096, UINT64_C(0x4000000)},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_workload w = {.window_start = rows[i].start,
                                          .window_end = rows[i].end,
                                          .page_size = rows[i].page_size};
        assert_int_equal(godwit_workload_pages(&w), rows[i].pages);
    }
}

/* Windows of a machine whose RAM begins at BASE and has 16 MiB; a part of the message or NULL. */
#define BASE UINT64_C(0x40000000)
#define MIB  UINT64_C(0x100000)

static void test_check(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, end;
        uint32_t page_size;
        uint32_t flags;
        const char *wrong;
    } rows[] = {
        /* Everything that fits, to the last byte. */
        {BASE + MIB, BASE + 2 * MIB, 4096, 0, NULL},
        {BASE + MIB, BASE + 16 * MIB, 4096, 0, NULL},
        {BASE + 16 * MIB - 8, BASE + 16 * MIB, 8, 0, NULL},
        {BASE + MIB, BASE + 16 * MIB, 15 * MIB, 0, NULL},
        {BASE + MIB + 8, BASE + MIB + 8 + 4096, 4096, 0, NULL},
        {BASE + MIB, BASE + MIB + 240, 24, 0, NULL},
        {BASE + MIB, BASE + 2 * MIB, 4096, GODWIT_FLAG_VERIFY, NULL},
        /* Pages. */
        {BASE + MIB, BASE + 2 * MIB, 0, 0, "page size must be a multiple of 8"},
        {BASE + MIB, BASE + 2 * MIB, 4, 0, "page size must be a multiple of 8"},
        {BASE + MIB, BASE + 2 * MIB, 12, 0, "page size must be a multiple of 8"},
        {BASE + MIB, BASE + 2 * MIB, 4097, 0, "page size must be a multiple of 8"},
        {BASE + MIB, BASE + MIB + 4096 + 8, 4096, 0, "whole number of pages"},
        {BASE + MIB, BASE + 2 * MIB, 2 * MIB, 0, "whole number of pages"},
        /* Windows. */
        {BASE + MIB, BASE + MIB, 4096, 0, "window is empty"},
        {BASE + 2 * MIB, BASE + MIB, 4096, 0, "window is empty"},
        {BASE + MIB + 4, BASE + MIB + 4 + 4096, 4096, 0, "begin at a multiple of 8"},
        /* RAM, from below and from above. */
        {BASE - 4096, BASE + 2 * MIB, 4096, 0, "inside the guest's RAM"},
        {0, 4096, 4096, 0, "inside the guest's RAM"},
        {BASE + MIB, BASE + 16 * MIB + 8, 8, 0, "inside the guest's RAM"},
        {BASE + 16 * MIB, BASE + 17 * MIB, 4096, 0, "inside the guest's RAM"},
        {BASE + MIB, UINT64_C(0xfffffffffffff000), 4096, 0, "inside the guest's RAM"},
        /* The guest's own MiB. */
        {BASE, BASE + 2 * MIB, 4096, 0, "must not cover the first MiB"},
        {BASE + MIB - 8, BASE + 2 * MIB, 8, 0, "must not cover the first MiB"},
        /* Suspend. */
        {BASE + MIB, BASE + 2 * MIB, 4096, GODWIT_FLAG_SUSPEND, "no suspend to RAM"},
    };
    struct godwit_machine machine = {.arch = "some-arch", .ram_base = BASE};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_workload w = {.window_start = rows[i].start,
                                          .window_end = rows[i].end,
                                          .page_size = rows[i].page_size,
                                          .passes_per_report = 1,
                                          .flags = rows[i].flags,
                                          .cpus = 1};
        g_autoptr(GError) error = NULL;
        assert_int_equal(godwit_workload_check(&w, &machine, &image, 16, &error), !rows[i].wrong);
        assert_int_equal(error != NULL, rows[i].wrong != NULL);
        if (!rows[i].wrong)
            continue;
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, rows[i].wrong);
        assert_true(g_str_has_prefix(error->message, "some-arch none: "));
        assert_contains(error->message, "usable RAM 0x40100000-0x41000000");
        assert_null(strchr(error->message, '\n'));
        /* A caller that does not want to know why is told no less. */
        assert_false(godwit_workload_check(&w, &machine, &image, 16, NULL));
    }
    machine.can_suspend = true;
    struct godwit_workload sleeper = {BASE + MIB, BASE + 2 * MIB, 4096, 1, GODWIT_FLAG_SUSPEND, 0,
                                      1};
    g_autoptr(GError) error = NULL;
    assert_true(godwit_workload_check(&sleeper, &machine, &image, 16, NULL));
    sleeper.cpus = 2;
    assert_false(godwit_workload_check(&sleeper, &machine, &image, 16, &error));
    assert_contains(error->message, "a guest with more than one CPU cannot suspend");
}

/* A window behind a gap of RAM: where an image that reaches it may have it. */
static void test_check_gap(void **state)
{
    (void)state;
    const uint64_t end = UINT64_C(1) << 32, far = 3 * end;
    const struct godwit_machine machine = {
        .arch = "some-arch",
        .reach = 0x80000000,
        .gap = {.end = end, .low_mib = 16, .option = "split", .room = 0xfe000000}};
    const struct godwit_image wide = {.name = "wide", .max_cpus = 64, .beyond_gap = true};
    const struct godwit_image narrow = {.name = "narrow", .max_cpus = 64};
    const struct {
        uint64_t start, end;
        unsigned cpus, memory_mib;
        uint64_t offset; /* in RAM; 0: it has none */
        const char *wrong, *usable;
    } rows[] = {
        {MIB, 2 * MIB, 1, 32, MIB, NULL, NULL},
        {end + MIB, end + 16 * MIB, 1, 32, 17 * MIB, NULL, NULL},
        {end + MIB, end + 13 * MIB, 4, 32, 17 * MIB, NULL, NULL},
        {far + MIB, far + 2 * MIB, 1, 16384, far - end + 17 * MIB, NULL, NULL},
        {end + MIB, end + 0xfe000000, 1, 4096, 17 * MIB, NULL, NULL},
        {end + MIB, end + 17 * MIB, 1, 32, 17 * MIB, "inside the guest's RAM",
         "0x100100000-0x101000000"},
        {end + MIB, end + 2 * MIB, 1, 8, 17 * MIB, "inside the guest's RAM",
         "0x100100000-0x100000000"},
        {end - MIB, end + 2 * MIB, 1, 32, 0, "inside the guest's RAM", "0x100000-0x2000000"},
        {2 * MIB, end + MIB, 1, 8192, 0, "what this guest can address", "0x100000-0x80000000"},
        {end - MIB, end, 1, 8192, 0, "what this guest can address", "0x100000-0x80000000"},
        {end, end + 2 * MIB, 1, 32, 16 * MIB, "what this guest can address",
         "0x100100000-0x101000000"},
        {end + MIB, end + 0xfe000000, 2, 4096, 17 * MIB, "what this guest can address",
         "0x100100000-0x1fe000000"},
        {end + MIB, 2 * end + MIB, 1, 8192, 17 * MIB, "what this guest can address",
         "0x100100000-0x1fe000000"},
        {far, far + MIB, 1, 16384, far - end + 16 * MIB, "what this guest can address",
         "0x300100000-0x3fe000000"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_workload w = {.window_start = rows[i].start,
                                          .window_end = rows[i].end,
                                          .page_size = 4096,
                                          .cpus = rows[i].cpus};
        const bool beyond = rows[i].start >= end;
        g_autoptr(GError) error = NULL, other = NULL;
        assert_int_equal(godwit_workload_is_beyond_gap(&w, &machine), beyond);
        if (rows[i].offset)
            assert_int_equal(godwit_workload_ram_offset(&w, &machine), rows[i].offset);
        assert_int_equal(godwit_workload_check(&w, &machine, &wide, rows[i].memory_mib, &error),
                         !rows[i].wrong);
        if (rows[i].wrong) {
            assert_contains(error->message, rows[i].wrong);
            assert_contains(error->message, rows[i].usable);
            assert_null(strchr(error->message, '\n'));
        }
        /* An image that does not reach beyond the gap has no such window. */
        assert_int_equal(godwit_workload_check(&w, &machine, &narrow, 16384, &other),
                         !beyond && !rows[i].wrong);
        if (beyond)
            assert_contains(other->message, "what this guest can address");
    }
}

/* CPUs: what the image can start, and the same number of pages for each. */
/* Names of workloads, there and back. */
static void test_workload_names(void **state)
{
    (void)state;
    static const char *const good[] = {
        "order",        "order:uniform",     "stamp",       "order:staggered",
        "stamp:sparse", "stamp:whole",       "stamp:mixed", "stamp:zero:random",
        "stamp:stride", "stamp:whole:random"};
    static const char *const bad[] = {"",
                                      "stomp",
                                      "order:zero",
                                      "order:",
                                      "order:uniform:staggered",
                                      "order:stride",
                                      "stamp:uniform",
                                      "stamp:",
                                      "stamp:zero:sparse",
                                      "stamp:whole:sparse",
                                      "stamp:mixed:whole",
                                      "stamp:zero:zero",
                                      "stamp:random:stride",
                                      "Stamp",
                                      ":stamp",
                                      "stamp zero"};
    struct godwit_workload w = {.flags = GODWIT_FLAG_VERIFY};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(godwit_workload_choose(&w, good[i], NULL));
        assert_true(w.flags & GODWIT_FLAG_VERIFY);
        assert_int_equal(!!(w.flags & GODWIT_FLAG_STAMP), good[i][0] == 's');
        assert_int_equal(w.usual_content, !strcmp(good[i], "stamp") || !strcmp(good[i], "order") ||
                                              !strcmp(good[i], "stamp:stride"));
        assert_int_equal(!!(w.flags & GODWIT_FLAG_STAGGER), !strcmp(good[i], "order:staggered"));
        g_autofree char *name = godwit_workload_name(&w);
        assert_string_equal(name, good[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        const uint32_t before = w.flags;
        assert_false(godwit_workload_choose(&w, bad[i], &error));
        assert_int_equal(error->code, GODWIT_ERROR_USAGE);
        assert_contains(error->message, "unknown workload");
        assert_int_equal(w.flags, before);
    }
    /* The other way round is another name for the same. */
    assert_true(godwit_workload_choose(&w, "stamp:stride:sparse", NULL));
    g_autofree char *name = godwit_workload_name(&w);
    assert_string_equal(name, "stamp:sparse:stride");
}

/* What `stamp` asks of a workload and a guest beside what all do. */
static void test_check_stamp(void **state)
{
    (void)state;
    const struct godwit_machine machine = {.arch = "some-arch", .can_suspend = true};
    const struct godwit_image image = {.name = "some", .max_cpus = 1, .stamp_store = 8};
    const struct godwit_image plain = {.name = "plain", .max_cpus = 1};
    const struct godwit_workload right = {.window_start = 0x100000,
                                          .window_end = 0x200000,
                                          .page_size = 4096,
                                          .flags = GODWIT_FLAG_STAMP,
                                          .cpus = 1};
    assert_true(godwit_workload_check(&right, &machine, &image, 16, NULL));
    struct godwit_workload wrong[] = {right, right, right, right, right};
    wrong[0].page_size = 256;
    wrong[1].page_size = 3 * 4096;
    wrong[1].window_end = 0x100000 + 30 * 4096;
    wrong[2].window_start += 512;
    wrong[2].window_end += 512;
    wrong[3].flags |= GODWIT_FLAG_STRIDE | GODWIT_FLAG_RANDOM;
    wrong[4].flags |= GODWIT_FLAG_SUSPEND;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_workload_check(&wrong[i], &machine, &image, 16, &error));
        assert_contains(error->message, "the stamp workload");
        /* `order` minds none of it. */
        wrong[i].flags &= GODWIT_FLAG_SUSPEND;
        assert_true(godwit_workload_check(&wrong[i], &machine, &plain, 16, NULL));
    }
    g_autoptr(GError) error = NULL;
    assert_false(godwit_workload_check(&right, &machine, &plain, 16, &error));
    assert_contains(error->message, "no stamp workload");
}

static void test_check_cpus(void **state)
{
    (void)state;
    const struct godwit_machine machine = {.arch = "some-arch", .ram_base = BASE};
    static const struct {
        uint32_t pages, page_size, cpus;
        const char *wrong;
    } rows[] = {
        {12, 4096, 1, NULL},
        {12, 4096, 4, NULL},
        {4, 4096, 4, NULL},
        {13, 4096, 4, "the same number of pages for each CPU"},
        {2, 4096, 4, "the same number of pages for each CPU"},
        {12, 4096, 0, "supports 1 to 4 CPUs, not 0"},
        {12, 4096, 5, "supports 1 to 4 CPUs, not 5"},
        {12, 4096, UINT32_MAX, "supports 1 to 4 CPUs, not 4294967295"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_workload w = {.window_start = BASE + MIB,
                                          .window_end = BASE + MIB +
                                                        rows[i].pages * (uint64_t)rows[i].page_size,
                                          .page_size = rows[i].page_size,
                                          .cpus = rows[i].cpus};
        g_autoptr(GError) error = NULL;
        assert_int_equal(godwit_workload_check(&w, &machine, &image, 16, &error), !rows[i].wrong);
        if (rows[i].wrong) {
            assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
            assert_contains(error->message, rows[i].wrong);
            assert_true(g_str_has_prefix(error->message, "some-arch none: "));
        }
    }
    /* The step from page to page has to fit its 32 bits. */
    const struct godwit_workload large = {
        .window_start = 8192 * MIB, .window_end = 16384 * MIB, .page_size = 1u << 31, .cpus = 2};
    g_autoptr(GError) error = NULL;
    assert_false(godwit_workload_check(&large, &(struct godwit_machine){.arch = "some-arch"},
                                       &image, 16384, &error));
    assert_contains(error->message, "too large for so many CPUs");
}

/* More RAM than 32 bits can count, and none at all. */
static void test_check_memory(void **state)
{
    (void)state;
    const struct godwit_machine machine = {.arch = "some-arch"};
    const struct godwit_workload high = {
        8191 * MIB, 8192 * MIB, 4096, 1, 0, 0, 1,
    };
    assert_true(godwit_workload_check(&high, &machine, &image, 8192, NULL));
    assert_false(godwit_workload_check(&high, &machine, &image, 8191, NULL));
    assert_false(godwit_workload_check(&high, &machine, &image, 0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),     cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_read_back),   cmocka_unit_test(test_real_images),
        cmocka_unit_test(test_file),        cmocka_unit_test(test_cannot_write),
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_pages),
        cmocka_unit_test(test_check),       cmocka_unit_test(test_check_memory),
        cmocka_unit_test(test_cpus),        cmocka_unit_test(test_stripes),
        cmocka_unit_test(test_share),       cmocka_unit_test(test_workload_names),
        cmocka_unit_test(test_check_stamp), cmocka_unit_test(test_check_gap),
        cmocka_unit_test(test_check_cpus),
    };
    return cmocka_run_group_tests_name("image", tests, fill_bytes, unit_folder_end);
}
