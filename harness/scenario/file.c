/*
 * Migration into a file and out of it again. QEMU opens the file, or gets it as a set of
 * descriptors.
 *
 * With mapped-ram each page has its own place in the file, where it can be checked without reading
 * the rest. docs/devel/migration/mapped-ram.rst in QEMU's source describes the format.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "base/file.h"
#include "memory/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Where the stream begins in the scenarios with an offset: a multiple of 4096 but of no larger
 * power of two, so that rounding cannot hide an error. */
#define OFFSET        69632
#define OFFSET_TEXT   "69632"
#define FDSET         7
#define FDSET_ADDRESS "file:/dev/fdset/7"

static char *path_of(const struct godwit_testbed *testbed)
{
    return g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
}

/* Returns byte I of what the file has before the offset: never zero, and different in each page. */
static unsigned char mark_at(size_t i)
{
    return (unsigned char)(1 + (i + i / 4096) % 251);
}

static bool put_mark(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    char mark[OFFSET];
    g_autofree char *path = path_of(source->testbed);
    (void)destination;
    for (size_t i = 0; i < sizeof(mark); i++)
        mark[i] = (char)mark_at(i);
    return godwit_file_write(path, mark, sizeof(mark), error);
}

/* Maps the file that QEMU has written. The caller unreferences it. */
static GMappedFile *map_file(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &cause);
    if (!file)
        godwit_fail(error, GODWIT_ERROR_MIGRATION, "the file of the migration: %s", cause->message);
    return file;
}

/* Checks that the mark is unchanged and that the stream begins where the mark ends. */
static bool judge_mark(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    static const char magic[] = {'Q', 'E', 'V', 'M'};
    g_autofree char *path = path_of(source->testbed);
    g_autoptr(GMappedFile) file = map_file(path, error);
    (void)destination;
    if (!file)
        return false;
    const size_t length = g_mapped_file_get_length(file);
    const char *bytes = g_mapped_file_get_contents(file);
    for (size_t i = 0; i < MIN(length, OFFSET); i++)
        if ((unsigned char)bytes[i] != mark_at(i))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "%s: 0x%02x at byte %zu, expected 0x%02x as before the migration to "
                               "offset %d",
                               path, (unsigned char)bytes[i], i, mark_at(i), OFFSET);
    return (length > OFFSET + sizeof(magic) && !memcmp(bytes + OFFSET, magic, sizeof(magic))) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: no migration stream at offset %d of %zu bytes", path, OFFSET, length);
}

/* Opens the file and adds it to the VM's set of descriptors. */
static bool add_descriptor(struct godwit_vm *vm, int flags, GError **error)
{
    g_autofree char *path = path_of(vm->testbed);
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path, g_strerror(errno));
    g_autoptr(json_t) added =
        godwit_vm_execute_fd(vm, "add-fd", json_pack("{s:i}", "fdset-id", FDSET), fd, error);
    close(fd);
    return added != NULL;
}

static bool add_descriptors(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return add_descriptor(source, O_WRONLY | O_CREAT, error) &&
           add_descriptor(destination, O_RDONLY, error);
}

static bool put_mark_add_descriptors(struct godwit_vm *source, struct godwit_vm *destination,
                                     GError **error)
{
    return put_mark(source, destination, error) && add_descriptors(source, destination, error);
}

/* Sets direct-io on both sides. Fails with SKIP if the file system of the testbed does not support
 * it. */
static bool enable_direct_io(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    g_autofree char *path = path_of(source->testbed);
    const int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EINVAL)
        return godwit_fail(
            error, GODWIT_ERROR_SKIP,
            "needs O_DIRECT: the file system of %s does not support it (set TMPDIR to another)",
            source->testbed->directory);
    if (fd < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s: %s", path, g_strerror(errno));
    close(fd);
    return godwit_vm_command(source, "migrate-set-parameters", json_pack("{s:b}", "direct-io", 1),
                             error) &&
           godwit_vm_command(destination, "migrate-set-parameters",
                             json_pack("{s:b}", "direct-io", 1), error);
}

/* Adds a descriptor of each kind: QEMU writes whole pages with O_DIRECT, and the rest without. */
static bool enable_direct_io_add_descriptors(struct godwit_vm *source,
                                             struct godwit_vm *destination, GError **error)
{
    return enable_direct_io(source, destination, error) &&
           add_descriptors(source, destination, error) &&
           add_descriptor(source, O_WRONLY | O_DIRECT, error) &&
           add_descriptor(destination, O_RDONLY | O_DIRECT, error);
}

/* Returns whether descriptor NUMBER of the process is the file, open with O_DIRECT. */
static bool is_direct(pid_t pid, const char *number, const char *path)
{
    g_autofree char *link = g_strdup_printf("/proc/%d/fd/%s", (int)pid, number);
    g_autofree char *details = g_strdup_printf("/proc/%d/fdinfo/%s", (int)pid, number);
    g_autofree char *target = g_file_read_link(link, NULL);
    g_autofree char *text = NULL;
    unsigned flags = 0;
    if (g_strcmp0(target, path) != 0 || !g_file_get_contents(details, &text, NULL, NULL))
        return false;
    const char *line = strstr(text, "flags:");
    return line && sscanf(line, "flags: %o", &flags) == 1 && (flags & O_DIRECT);
}

/* Checks that the source has opened the file for direct I/O, at least once for each channel.
 * Descriptors that it was passed do not count. The migration is throttled meanwhile. */
static bool see_direct_io(struct godwit_vm *source, int channels, int passed, GError **error)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)godwit_vm_pid(source));
    g_autofree char *path = path_of(source->testbed);
    g_autofree char *real = realpath(path, NULL);
    g_autoptr(GDir) directory = g_dir_open(folder, 0, error);
    if (!directory)
        return false;
    int direct = 0;
    for (const char *name; (name = g_dir_read_name(directory));)
        direct += is_direct(godwit_vm_pid(source), name, real);
    godwit_testbed_measure(source->testbed, "direct-io-files", json_integer(direct - passed));
    return direct - passed >= channels ||
           godwit_fail(
               error, GODWIT_ERROR_MIGRATION,
               "the source has %d descriptors with O_DIRECT of %s (%d of them passed to it), "
               "expected one of its own for each of %d channels",
               direct, path, passed, channels);
}

#define CHANNELS 4

static bool see_direct(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return see_direct_io(source, CHANNELS, 0, error);
}

static bool see_direct_of_set(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    (void)destination;
    return see_direct_io(source, CHANNELS, 1, error);
}

/* A RAM block's places in a mapped-ram file. */
struct mapped_block {
    uint64_t page_size;
    uint64_t bitmap; /* file offset of its bitmap: a bit for each page, set if the file has it */
    uint64_t pages;  /* file offset of its first page */
};

/* A block's header with mapped-ram, big-endian: length of its name, its name, its length in bytes,
 * then version, page size, and the file offsets of bitmap and pages. */
#define MAPPED_VERSION     1
#define MAPPED_HEADER_SIZE (4 + 8 + 8 + 8)

static uint64_t big64(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return GUINT64_FROM_BE(value);
}

/* Finds the block's header in the file by its name, its length and the version. */
static bool find_block(GMappedFile *file, const struct godwit_block *block,
                       struct mapped_block *mapped, GError **error)
{
    const uint32_t version = GUINT32_TO_BE(MAPPED_VERSION);
    const uint64_t used = GUINT64_TO_BE(block->length);
    const char *bytes = g_mapped_file_get_contents(file);
    const size_t length = g_mapped_file_get_length(file);
    g_autoptr(GByteArray) header = g_byte_array_new();
    const guint8 name_length = (guint8)strlen(block->name);
    g_byte_array_append(header, &name_length, 1);
    g_byte_array_append(header, (const guint8 *)block->name, name_length);
    g_byte_array_append(header, (const guint8 *)&used, sizeof(used));
    g_byte_array_append(header, (const guint8 *)&version, sizeof(version));
    const char *found = memmem(bytes, length, header->data, header->len);
    if (!found || (size_t)(bytes + length - found) < header->len + MAPPED_HEADER_SIZE)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "no mapped-ram header of RAM block %s in the file", block->name);
    const char *fields = found + header->len;
    *mapped = (struct mapped_block){
        .page_size = big64(fields), .bitmap = big64(fields + 8), .pages = big64(fields + 16)};
    if (mapped->page_size > 0 && mapped->bitmap < length && mapped->pages < length &&
        mapped->bitmap + block->length / mapped->page_size / 8 <= mapped->pages)
        return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the mapped-ram header of RAM block %s is invalid: pages of %" PRIu64
                       " bytes, bitmap at %" PRIu64 ", pages at %" PRIu64 " of a file of %zu bytes",
                       block->name, mapped->page_size, mapped->bitmap, mapped->pages, length);
}

static bool is_zero(const unsigned char *bytes, size_t length)
{
    return !*bytes && !memcmp(bytes, bytes + 1, length - 1);
}

/* Compares each whole page of the window with its place in the file. WINDOW has the bytes of the
 * window, which is at OFFSET of the block. A page that the file does not have must be zero. Adds
 * the number of those that it has to *THERE. */
static bool judge_pages(GMappedFile *file, const struct mapped_block *mapped, uint64_t offset,
                        const unsigned char *window, size_t length, uint64_t *there, GError **error)
{
    const unsigned char *bytes = (const unsigned char *)g_mapped_file_get_contents(file);
    const size_t size = mapped->page_size;
    /* Start at the first whole page. */
    for (size_t at = (size - offset % size) % size; at + size <= length; at += size) {
        const uint64_t page = (offset + at) / size;
        const uint64_t place = mapped->pages + page * size;
        if (!(bytes[mapped->bitmap + page / 8] & (1u << page % 8))) {
            if (is_zero(window + at, size))
                continue;
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "page %" PRIu64 " of the window's RAM block is not in the file, "
                               "but it is not zero: it begins with 0x%02x",
                               page, window[at]);
        }
        if (place + size > g_mapped_file_get_length(file) ||
            memcmp(bytes + place, window + at, size) != 0)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "page %" PRIu64 " of the window's RAM block differs from its "
                               "place in the file, at %" PRIu64,
                               page, place);
        ++*there;
    }
    return *there > 0 ||
           godwit_fail(error, GODWIT_ERROR_ORACLE, "the file has none of the window's pages");
}

/* Checks that the file has each page of the source's window, in its place. */
static bool judge_mapped(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const size_t length = workload->window_end - workload->window_start;
    struct mapped_block mapped = {0};
    uint64_t offset = 0, there = 0;
    (void)destination;
    const struct godwit_block *block =
        godwit_memory_locate(source, workload->window_start, length, &offset, error);
    g_autofree unsigned char *window = g_malloc(length);
    if (!block || !godwit_memory_read_block(source, block, offset, window, length, error))
        return false;
    g_autofree char *path = path_of(source->testbed);
    g_autoptr(GMappedFile) file = map_file(path, error);
    if (!file || !find_block(file, block, &mapped, error) ||
        !judge_pages(file, &mapped, offset, window, length, &there, error))
        return false;
    godwit_testbed_measure(source->testbed, "mapped_pages", json_integer((json_int_t)there));
    return true;
}

/* Checks that both sides refuse invalid offsets before they create a file. */
static bool bad_offset(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    static const char *const bad[] = {"offset=twelve", "offset=0x12M", "offset=-4096", "offset="};
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(source, NULL, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *uri = g_strdup_printf("file:" GODWIT_MIGRATE_FILE ",%s", bad[i]);
        if (!godwit_course_refuse(source, "migrate", json_pack("{s:s}", "uri", uri), "running",
                                  error) ||
            !godwit_course_refuse(destination, "migrate-incoming", json_pack("{s:s}", "uri", uri),
                                  "inmigrate", error))
            return false;
    }
    g_autofree char *path = path_of(testbed);
    if (!access(path, F_OK))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "%s exists although every migration into it was refused", path);
    return godwit_course_see_it_run(source, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

static const struct godwit_capability mapped_ram[] = {{"mapped-ram", true}, {NULL, false}};
static const struct godwit_capability multifd[] = {
    {"mapped-ram", true}, {"multifd", true}, {NULL, false}};
static const struct godwit_parameter channels[] = {{"multifd-channels", CHANNELS, NULL},
                                                   {NULL, 0, NULL}};

GODWIT_SCENARIOS(file) = {
    {
        .name = "file/plain",
        .quick = true,
        .summary = "live, into a file; the destination then reads it",
        .qemu_name = "/migration/precopy/file",
        .spec = {.transport = GODWIT_TRANSPORT_FILE},
    },
    {
        .name = "file/offset",
        .summary = "live, into a file at an offset, behind existing data",
        .qemu_name = "/migration/precopy/file/offset",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .uri = "file:" GODWIT_MIGRATE_FILE ",offset=" OFFSET_TEXT,
                 .configure = put_mark,
                 .judge = judge_mark},
    },
    {
        .name = "file/offset/fdset",
        .summary = "live, into an fdset at an offset, behind existing data",
        .qemu_name = "/migration/precopy/file/offset/fdset",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .uri = FDSET_ADDRESS ",offset=" OFFSET_TEXT,
                 .configure = put_mark_add_descriptors,
                 .judge = judge_mark},
    },
    {
        .name = "file/offset/bad",
        .summary = "invalid offsets: refused, no migration starts",
        .qemu_name = "/migration/precopy/file/offset/bad",
        .run = bad_offset,
        .spec = {.transport = GODWIT_TRANSPORT_FILE},
    },
    {
        .name = "file/mapped-ram",
        .summary = "source stopped, mapped-ram: each page at a fixed offset in the file",
        .qemu_name = "/migration/precopy/file/mapped-ram",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .move = GODWIT_MOVE_STOPPED,
                 .capabilities = mapped_ram,
                 .judge = judge_mapped},
    },
    {
        .name = "file/mapped-ram/live",
        .summary = "live, mapped-ram: each page at a fixed offset in the file",
        .qemu_name = "/migration/precopy/file/mapped-ram/live",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = mapped_ram,
                 .judge = judge_mapped},
    },
    {
        .name = "file/multifd/mapped-ram",
        .summary = "source stopped, mapped-ram, written by several multifd threads",
        .qemu_name = "/migration/multifd/file/mapped-ram",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .move = GODWIT_MOVE_STOPPED,
                 .capabilities = multifd,
                 .parameters = channels,
                 .judge = judge_mapped},
    },
    {
        .name = "file/multifd/mapped-ram/live",
        .summary = "live, mapped-ram, written by several multifd threads",
        .slow = true,
        .qemu_name = "/migration/multifd/file/mapped-ram/live",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = multifd,
                 .parameters = channels,
                 .judge = judge_mapped},
    },
    {
        .name = "file/multifd/mapped-ram/dio",
        .summary = "live, mapped-ram with multifd and direct I/O",
        .slow = true,
        .qemu_name = "/migration/multifd/file/mapped-ram/dio",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .capabilities = multifd,
                 .parameters = channels,
                 .configure = enable_direct_io,
                 .live = see_direct,
                 .judge = judge_mapped},
        .needs = "parameter:direct-io",
    },
    {
        .name = "file/multifd/mapped-ram/fdset",
        .summary = "live, mapped-ram with multifd, the file passed as an fdset",
        .slow = true,
        .qemu_name = "/migration/multifd/file/mapped-ram/fdset",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .uri = FDSET_ADDRESS,
                 .capabilities = multifd,
                 .parameters = channels,
                 .configure = add_descriptors,
                 .judge = judge_mapped},
    },
    {
        .name = "file/multifd/mapped-ram/fdset/dio",
        .summary = "live, mapped-ram with multifd and direct I/O, the file passed as an fdset",
        .slow = true,
        .qemu_name = "/migration/multifd/file/mapped-ram/fdset/dio",
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .uri = FDSET_ADDRESS,
                 .capabilities = multifd,
                 .parameters = channels,
                 .configure = enable_direct_io_add_descriptors,
                 .live = see_direct_of_set,
                 .judge = judge_mapped},
        .needs = "parameter:direct-io",
    },
};
GODWIT_SCENARIOS_END(file);
