/*
 * The tables of machines and images, against each other, against the generated headers and against
 * the ABI: what a new architecture can get wrong before any guest of it has run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"

#include <string.h>

#include "images.h" /* made by mk/test.mk: the headers in gen/, ALL_IMAGES and ALL_ARCHES */
#include "unit.h"

/* What a header says of its image. */
struct header {
    const char *name;
    const unsigned char *bytes;
    size_t array_size;
    unsigned abi_version;
    bool big_endian;
    size_t length, file_size, file_offset, params_offset, start_offset;
    uint64_t image_address, start_address, params_address, mailbox_address, ram_base;
    uint64_t identity_address; /* 0: it has no identity table */
    const char *sha256;
};

#define HEADER(image, IMAGE)                                                                       \
    {.name = #image,                                                                               \
     .bytes = godwit_##image,                                                                      \
     .array_size = sizeof(godwit_##image),                                                         \
     .abi_version = GODWIT_##IMAGE##_ABI_VERSION,                                                  \
     .big_endian = GODWIT_##IMAGE##_BIG_ENDIAN,                                                    \
     .length = GODWIT_##IMAGE##_LENGTH,                                                            \
     .file_size = GODWIT_##IMAGE##_FILE_SIZE,                                                      \
     .file_offset = GODWIT_##IMAGE##_FILE_OFFSET,                                                  \
     .params_offset = GODWIT_##IMAGE##_PARAMS_OFFSET,                                              \
     .start_offset = GODWIT_##IMAGE##_START_OFFSET,                                                \
     .image_address = GODWIT_##IMAGE##_IMAGE_ADDR,                                                 \
     .start_address = GODWIT_##IMAGE##_START_ADDR,                                                 \
     .params_address = GODWIT_##IMAGE##_PARAMS_ADDR,                                               \
     .mailbox_address = GODWIT_##IMAGE##_MAILBOX_ADDR,                                             \
     .identity_address = GODWIT_##IMAGE##_IDENTITY_ADDR,                                           \
     .ram_base = GODWIT_##IMAGE##_RAM_BASE_ADDR,                                                   \
     .sha256 = GODWIT_##IMAGE##_SHA256},

static const struct header headers[] = {ALL_IMAGES(HEADER)};

static const struct header *header_of(const struct godwit_image *image)
{
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++)
        if (!strcmp(headers[i].name, image->name))
            return &headers[i];
    fail_msg("no header is known of image %s", image->name);
    return NULL;
}

/* Calls CHECK with each image of each machine. */
static void each_image(void (*check)(const struct godwit_machine *machine,
                                     const struct godwit_image *image))
{
    for (size_t m = 0; m < godwit_machine_count(); m++) {
        const struct godwit_machine *machine = godwit_machine_at(m);
        for (size_t i = 0; machine->images[i]; i++)
            check(machine, machine->images[i]);
    }
}

/* All that there should be, in order, each findable by its own name and by nothing else. */
static void test_lookup(void **state)
{
    (void)state;
    static const char *const arches[] = {ALL_ARCHES};
    assert_int_equal(godwit_machine_count(), G_N_ELEMENTS(arches));
    for (size_t i = 0; i < G_N_ELEMENTS(arches); i++) {
        assert_string_equal(godwit_machine_at(i)->arch, arches[i]);
        assert_ptr_equal(godwit_machine_find(arches[i]), godwit_machine_at(i));
    }
    static const char *const unknown[] = {"", "x86", "x86_64 ", "X86_64", "x86_6", "vax"};
    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++)
        assert_null(godwit_machine_find(unknown[i]));
}

static void test_image_lookup(void **state)
{
    (void)state;
    for (size_t m = 0; m < godwit_machine_count(); m++) {
        const struct godwit_machine *machine = godwit_machine_at(m);
        assert_non_null(machine->images[0]);
        assert_ptr_equal(godwit_machine_image(machine, NULL), machine->images[0]);
        for (size_t i = 0; machine->images[i]; i++)
            assert_ptr_equal(godwit_machine_image(machine, machine->images[i]->name),
                             machine->images[i]);
        assert_null(godwit_machine_image(machine, ""));
        assert_null(godwit_machine_image(machine, "bios"));
    }
    assert_null(godwit_machine_image(godwit_machine_find("ppc64"), "x86_rom"));
    assert_ptr_equal(godwit_machine_image(godwit_machine_find("i386"), "x86_bootsect"),
                     godwit_machine_image(godwit_machine_find("x86_64"), "x86_bootsect"));
}

/* What is put on QEMU's command line is there, and has no place for more than was meant. */
static void test_machines(void **state)
{
    (void)state;
    for (size_t m = 0; m < godwit_machine_count(); m++) {
        const struct godwit_machine *machine = godwit_machine_at(m);
        assert_true(g_str_has_prefix(machine->package, "qemu-system-"));
        assert_non_null(machine->types[0]);
        for (size_t i = 0; machine->types[i]; i++) {
            assert_null(strpbrk(machine->types[i], ", ="));
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(machine->types[i], machine->types[j]);
        }
        for (size_t i = 0; machine->images[i]; i++)
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(machine->images[i]->name, machine->images[j]->name);
        const char *const options[] = {machine->machine_options, machine->machine_options_tcg};
        for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
            if (!options[i])
                continue;
            assert_non_null(strchr(options[i], '='));
            assert_null(strchr(options[i], ' '));
            assert_true(options[i][0] != ',' && !g_str_has_suffix(options[i], ","));
        }
        /* Without a rate of its own a guest shows the host's cycle counter: x86 under TCG. */
        assert_int_equal(machine->timer_hz == 0, machine->native_on_x86);
        assert_int_equal(machine->can_suspend, machine->native_on_x86);
    }
}

/* An image is its header's: no number is of another header. */
static void check_header(const struct godwit_machine *machine, const struct godwit_image *image)
{
    const struct header *header = header_of(image);
    assert_int_equal(header->abi_version, GODWIT_ABI_VERSION);
    assert_int_equal(header->array_size, header->length);
    assert_int_equal(header->big_endian, machine->big_endian);
    assert_int_equal(header->ram_base, machine->ram_base);
    assert_int_equal(image->length, header->length);
    assert_memory_equal(image->bytes, header->bytes, header->length);
    assert_int_equal(image->file_size, header->file_size);
    assert_int_equal(image->file_offset, header->file_offset);
    assert_int_equal(image->params_offset, header->params_offset);
    assert_int_equal(image->mailbox, header->mailbox_address);
    assert_int_equal(image->identity, header->identity_address);
    assert_true(!image->identity || machine->identity_text);
}

static void test_headers(void **state)
{
    (void)state;
    each_image(check_header);
    /* No image is left that no machine takes. */
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        bool taken = false;
        for (size_t m = 0; m < godwit_machine_count(); m++)
            taken |= godwit_machine_image(godwit_machine_at(m), headers[i].name) != NULL;
        assert_true(taken);
    }
}

/* The file is the array and zeros, and is what the header's hash was taken of. */
static void test_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        const struct header *header = &headers[i];
        assert_true(header->file_offset + header->length <= header->file_size);
        g_autofree unsigned char *file = g_malloc0(header->file_size);
        memcpy(file + header->file_offset, header->bytes, header->length);
        g_autofree char *sum =
            g_compute_checksum_for_data(G_CHECKSUM_SHA256, file, header->file_size);
        assert_string_equal(sum, header->sha256);
    }
}

/* Addresses and offsets of a header tell of the same places. */
static void test_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        const struct header *header = &headers[i];
        const uint64_t array = header->image_address + header->file_offset;
        assert_int_equal(header->params_address, array + header->params_offset);
        assert_int_equal(header->start_address, array + header->start_offset);
        assert_true(header->start_offset < header->length);
        assert_int_equal(header->params_address % 8, 0);
        assert_int_equal(header->mailbox_address, header->ram_base + GODWIT_MAILBOX_OFFSET);
        if (header->identity_address)
            assert_int_equal(header->identity_address, header->ram_base + GODWIT_IDENTITY_OFFSET);
    }
}

/* The parameter block as the assembler made it: the ABI's defaults, in the guest's byte order. */
static void check_block(const struct godwit_machine *machine, const struct godwit_image *image)
{
    const bool big = machine->big_endian;
    assert_true(image->params_offset + GODWIT_PARAMS_SIZE <= image->length);
    const unsigned char *block = image->bytes + image->params_offset;
    assert_int_equal(godwit_guest_get32(block + GODWIT_PARAMS_OFF_MAGIC, big), GODWIT_PARAMS_MAGIC);
    assert_int_equal(godwit_guest_get32(block + GODWIT_PARAMS_OFF_VERSION, big),
                     GODWIT_ABI_VERSION);
    const struct godwit_workload own = godwit_image_workload(machine, image);
    assert_int_equal(own.window_start, machine->ram_base + GODWIT_WINDOW_OFFSET);
    assert_int_equal(own.window_end, machine->ram_base + GODWIT_WINDOW_END_OFFSET);
    assert_int_equal(own.page_size, GODWIT_PAGE_SIZE);
    assert_int_equal(own.passes_per_report, GODWIT_PASSES_PER_REPORT);
    assert_int_equal(own.flags, 0);
    assert_int_equal(own.page_ticks, 0);
    assert_int_equal(own.cpus, 1);
    assert_true(image->max_cpus >= 1 && image->max_cpus <= GODWIT_MAX_CPUS);
}

static void test_blocks(void **state)
{
    (void)state;
    each_image(check_block);
}

/* Nobody has two blocks: a launcher that searches for the magic finds the one that counts. */
static void check_only_block(const struct godwit_machine *machine, const struct godwit_image *image)
{
    unsigned found = 0;
    for (size_t i = 0; i + 4 <= image->length; i += 4)
        found += godwit_guest_get32(image->bytes + i, machine->big_endian) == GODWIT_PARAMS_MAGIC;
    assert_int_equal(found, 1);
}

static void test_only_block(void **state)
{
    (void)state;
    each_image(check_only_block);
}

/* Everything lies where nothing else does: image below the window or out of RAM, mailbox in RAM,
 * outside both; and the default RAM holds the default window. */
static void check_places(const struct godwit_machine *machine, const struct godwit_image *image)
{
    const struct header *header = header_of(image);
    const uint64_t base = machine->ram_base;
    const uint64_t ram_end = base + ((uint64_t)machine->memory_mib << 20);
    const uint64_t array = header->image_address + image->file_offset;
    const uint64_t array_end = array + image->length;
    const uint64_t window = base + GODWIT_WINDOW_OFFSET;
    const uint64_t mailbox_end = image->mailbox + GODWIT_PAGE_SIZE;
    assert_int_equal(image->mailbox % GODWIT_PAGE_SIZE, 0);
    assert_true(image->mailbox >= base && mailbox_end <= window);
    assert_true(mailbox_end <= ram_end);
    assert_true(array_end <= image->mailbox || array >= mailbox_end);
    assert_true((array >= base && array_end <= window) || array >= ram_end || array_end <= base);
    assert_true(GODWIT_MAILBOX_SIZE <= GODWIT_MAILBOX_STRIDE);
    assert_true(GODWIT_MAX_CPUS * GODWIT_MAILBOX_STRIDE <= GODWIT_PAGE_SIZE);

    const struct godwit_workload own = godwit_image_workload(machine, image);
    assert_true(godwit_workload_check(&own, machine, image, machine->memory_mib, NULL));
    /* That this check can fail: one MiB less than the window needs. */
    assert_false(
        godwit_workload_check(&own, machine, image, (GODWIT_WINDOW_END_OFFSET >> 20) - 1, NULL));
    assert_true(machine->memory_mib >= GODWIT_WINDOW_END_OFFSET >> 20);
}

static void test_places(void **state)
{
    (void)state;
    each_image(check_places);
}

/* What the way of loading demands of a file. */
static void test_x86_files(void **state)
{
    (void)state;
    const struct godwit_machine *machine = godwit_machine_find("x86_64");
    const struct godwit_image *sector = godwit_machine_image(machine, "x86_bootsect");
    assert_int_equal(sector->load, GODWIT_LOAD_DISK);
    assert_int_equal(sector->file_size, 512);
    assert_int_equal(sector->length, 512);
    assert_int_equal(sector->bytes[510], 0x55);
    assert_int_equal(sector->bytes[511], 0xaa);
    /* A ROM ends at 4 GiB, whole 64 KiB of it, and is entered 16 bytes below. */
    const struct godwit_image *rom = godwit_machine_image(machine, "x86_rom");
    const struct header *header = header_of(rom);
    assert_int_equal(rom->load, GODWIT_LOAD_BIOS);
    assert_int_equal(rom->file_size % 0x10000, 0);
    assert_int_equal(header->image_address + rom->file_size, UINT64_C(0x100000000));
    assert_int_equal(header->start_address, UINT64_C(0xfffffff0));
    assert_int_equal(rom->file_offset + rom->length, rom->file_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),   cmocka_unit_test(test_image_lookup),
        cmocka_unit_test(test_machines), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_hashes),   cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_blocks),   cmocka_unit_test(test_only_block),
        cmocka_unit_test(test_places),   cmocka_unit_test(test_x86_files),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
