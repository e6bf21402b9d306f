/*
 * A migration into a file, which Godwit's own reader of streams judges without QEMU.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "memory/memory.h"
#include "oracle/verify.h"
#include "stream/description.h"
#include "stream/file.h"
#include "stream/memory.h"

#include <inttypes.h>
#include <string.h>

static const struct godwit_capability subsections[] = {
    {"validate-uuid", true}, {"x-ignore-shared", true}, {NULL, false}};
static const char *const with_uuid[] = {"-uuid", "5d9e3c0a-41c7-4f0e-8a53-b1e2d47f9c66", NULL};
static const unsigned char uuid[16] = {0x5d, 0x9e, 0x3c, 0x0a, 0x41, 0xc7, 0x4f, 0x0e,
                                       0x8a, 0x53, 0xb1, 0xe2, 0xd4, 0x7f, 0x9c, 0x66};

/* The findings about the stream. */
struct analysis {
    struct godwit_stream_memory *memory;
    struct godwit_stream_description *description;
    uint64_t bytes, items, sections, pages;
    bool has_type, has_uuid, has_capabilities;
    const char *type; /* that the stream should name */
};

static bool take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct analysis *analysis = data;
    const uint8_t *content = item->bytes + item->data;
    const size_t length = item->length - item->data;
    analysis->bytes += item->length;
    analysis->items++;
    switch (item->kind) {
    case GODWIT_STREAM_CONFIGURATION:
        analysis->has_type = !strcmp(item->name, analysis->type);
        break;
    case GODWIT_STREAM_SUBSECTION:
        if (!strcmp(item->name, "configuration/uuid"))
            analysis->has_uuid = length == sizeof(uuid) && !memcmp(content, uuid, length);
        else if (!strcmp(item->name, "configuration/capabilities"))
            analysis->has_capabilities = memmem(content, length, "x-ignore-shared", 15) != NULL;
        break;
    case GODWIT_STREAM_START:
    case GODWIT_STREAM_FULL:
        analysis->sections++;
        break;
    case GODWIT_STREAM_PAGE:
        analysis->pages++;
        break;
    default:
        break;
    }
    return godwit_stream_memory_take(analysis->memory, item, error) &&
           godwit_stream_description_take(analysis->description, item, error);
}

/* Compares LENGTH bytes at OFFSET of the stopped source's block with the stream. */
static bool compare(struct godwit_vm *source, const struct godwit_block *block,
                    const struct godwit_stream_memory_block *sent, uint64_t offset, uint64_t length,
                    uint64_t *compared, GError **error)
{
    unsigned char here[4096], there[4096];
    for (const uint64_t end = offset + length; offset < end;) {
        const size_t size = (size_t)MIN(sizeof(here), end - offset);
        if (!godwit_memory_read_block(source, block, offset, here, size, error) ||
            !godwit_stream_memory_read(sent, offset, there, size, error))
            return false;
        if (memcmp(here, there, size) != 0)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "page 0x%" PRIx64 " of RAM block %s differs between the stream and "
                               "the source",
                               offset, block->name);
        *compared += size;
        offset += size;
    }
    return true;
}

/* Records how much of a block cannot be read on the source. */
static void note_unread(struct godwit_testbed *testbed, const struct godwit_block *block,
                        uint64_t seen)
{
    g_autofree char *text =
        g_strdup_printf("%s: %" PRIu64 " of %" PRIu64 " bytes cannot be read on the source",
                        block->name, block->length - seen, block->length);
    godwit_testbed_measure_item(testbed, "not_compared", json_string(text));
}

/* Compares all of a block that can be read on the source: the whole block, or the pieces that are
 * mapped in the guest. Records what cannot be read in the measurements. */
static bool compare_block(struct godwit_vm *source, guint index, const struct analysis *analysis,
                          uint64_t *compared, GError **error)
{
    const struct godwit_block *block = &g_array_index(source->blocks, struct godwit_block, index);
    const struct godwit_stream_memory_block *sent =
        godwit_stream_memory_block(analysis->memory, block->name);
    if (!sent || sent->length != block->length)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "RAM block %s has 0x%" PRIx64 " bytes on the source, but 0x%" PRIx64
                           " in the stream",
                           block->name, block->length, sent ? sent->length : 0);
    if (godwit_memory_readable(source, block, 0, block->length))
        return compare(source, block, sent, 0, block->length, compared, error);
    uint64_t seen = 0;
    for (guint i = 0; i < source->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(source->pieces, struct godwit_piece, i);
        if (piece->block != index)
            continue;
        if (!compare(source, block, sent, piece->offset, piece->length, compared, error))
            return false;
        seen += piece->length;
    }
    if (seen < block->length)
        note_unread(source->testbed, block, seen);
    return true;
}

static bool compare_source(struct godwit_vm *source, const struct analysis *analysis,
                           uint64_t *compared, GError **error)
{
    if (!godwit_memory_map(source, error))
        return false;
    for (guint i = 0; i < source->blocks->len; i++)
        if (!compare_block(source, i, analysis, compared, error))
            return false;
    return *compared || godwit_fail(error, GODWIT_ERROR_ORACLE,
                                    "no RAM of the source could be compared with the stream");
}

/* Checks that the guest in the stream has the parameters that it was given, and its memory in
 * order. */
static bool judge_guest(struct godwit_vm *source, const struct analysis *analysis, GError **error)
{
    const struct godwit_setup *setup = source->testbed->setup;
    struct godwit_stream_guest guest;
    if (!godwit_stream_verify(analysis->memory, NULL, &guest, error))
        return false;
    return (guest.ram_base == setup->machine->ram_base &&
            guest.workload.window_start == setup->workload.window_start &&
            guest.workload.window_end == setup->workload.window_end &&
            guest.workload.cpus == setup->workload.cpus) ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the guest in the stream has the window 0x%" PRIx64 "-0x%" PRIx64
                       " for %" PRIu32 " CPUs, not the one that it was given",
                       guest.workload.window_start, guest.workload.window_end, guest.workload.cpus);
}

static bool judge(struct analysis *analysis, struct godwit_vm *source, GError **error)
{
    g_autofree char *path = g_build_filename(source->testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    enum godwit_stream_channel channel;
    uint64_t compared = 0;
    if (!godwit_stream_read_file(path, 0, take, analysis, &channel, error))
        return false;
    if (channel != GODWIT_STREAM_MAIN || !analysis->has_type || !analysis->has_uuid ||
        !analysis->has_capabilities || !analysis->description->agreed)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "the stream is of machine type %s: %s; it has the UUID: %s; it has "
                           "x-ignore-shared: %s; it describes the devices: %s",
                           analysis->type, analysis->has_type ? "yes" : "no",
                           analysis->has_uuid ? "yes" : "no",
                           analysis->has_capabilities ? "yes" : "no",
                           analysis->description->agreed ? "yes" : "no");
    if (!judge_guest(source, analysis, error) ||
        !compare_source(source, analysis, &compared, error))
        return false;
    godwit_testbed_measure(
        source->testbed, "stream",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "bytes", (json_int_t)analysis->bytes,
                  "items", (json_int_t)analysis->items, "sections", (json_int_t)analysis->sections,
                  "pages", (json_int_t)analysis->pages, "compared", (json_int_t)compared,
                  "described", (int)analysis->description->agreed, "undescribed",
                  (int)analysis->description->undescribed));
    return true;
}

static bool analyze(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    struct analysis analysis = {.memory = godwit_stream_memory_new(),
                                .description = godwit_stream_description_new(),
                                .type = source->testbed->setup->type};
    const bool good = judge(&analysis, source, error);
    godwit_error_context(error, "%s", GODWIT_MIGRATE_FILE);
    godwit_stream_memory_free(analysis.memory);
    godwit_stream_description_free(analysis.description);
    return good;
}

GODWIT_SCENARIOS(stream) = {
    {
        .name = "stream/analyze",
        .quick = true,
        .summary = "into a file that Godwit parses and checks, every byte of it",
        .qemu_name = "/migration/analyze-script",
        .spec = {.transport = GODWIT_TRANSPORT_EXEC,
                 .move = GODWIT_MOVE_STOPPED,
                 .capabilities = subsections,
                 .source_arguments = with_uuid,
                 .destination_arguments = with_uuid,
                 .judge = analyze},
    },
};
GODWIT_SCENARIOS_END(stream);
