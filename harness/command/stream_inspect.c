/*
 * godwit stream inspect: prints a summary of a migration stream.
 *
 * The stream is read once, item by item. Consecutive parts of one section become one stretch, which
 * is a line of the summary. stream/memory.h counts the pages, and stream/description.h the
 * described states. With --pages, a map shows how each page was last sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/stream_parts.h"

#include "base/text.h"
#include "stream/description.h"
#include "stream/file.h"
#include "stream/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A line of the summary: consecutive parts of one section, or of commands of one kind. */
struct stretch {
    uint64_t offset, length;
    const char *kind; /* literal */
    char *name;
    uint32_t id, instance, version;
    uint64_t parts;
    bool section; /* it has a number, an instance and a version */
    bool packaged;
};

static void free_stretch(gpointer data)
{
    struct stretch *stretch = data;
    g_free(stretch->name);
    g_free(stretch);
}

struct summary {
    struct godwit_stream_memory *memory;
    struct godwit_stream_description *description;
    GPtrArray *stretches;
    GString *head; /* lines about the stream as a whole */
    uint64_t bytes;
    uint64_t marks, packets;
};

/* Adds an item to the last stretch if it continues that, otherwise as a new stretch. Returns the
 * stretch, borrowed. */
static struct stretch *add_stretch(struct summary *summary, const struct godwit_stream_item *item,
                                   const char *kind, const char *raw_name)
{
    g_autofree char *name = godwit_text_line(raw_name);
    const guint count = summary->stretches->len;
    struct stretch *last = count ? g_ptr_array_index(summary->stretches, count - 1) : NULL;
    if (last && last->kind == kind && !strcmp(last->name, name) && last->id == item->section_id &&
        last->packaged == item->packaged && item->kind != GODWIT_STREAM_FULL) {
        last->parts++;
        last->length += item->length;
        return last;
    }
    last = g_new0(struct stretch, 1);
    *last = (struct stretch){
        .offset = item->offset,
        .length = item->length,
        .kind = kind,
        .name = g_steal_pointer(&name),
        .id = item->section_id,
        .instance = item->instance_id,
        .version = item->version,
        .parts = 1,
        .section = *item->section != 0,
        .packaged = item->packaged,
    };
    g_ptr_array_add(summary->stretches, last);
    return last;
}

static void append_capability(GString *head, const char *bytes, size_t length)
{
    g_autofree char *raw = g_strndup(bytes, length);
    g_autofree char *name = godwit_text_line(raw);
    g_string_append_printf(head, " %s", name);
}

static void summarise_subsection(struct summary *summary, const struct godwit_stream_item *item)
{
    g_autofree char *name = godwit_text_line(item->name);
    g_string_append_printf(summary->head, "  %s", name);
    const uint8_t *bytes = item->bytes + item->data;
    size_t left = item->length - item->data;
    if (!strcmp(item->name, "configuration/capabilities")) {
        /* The number of capabilities, then the length and the name of each. The reader has checked
         * them. */
        for (bytes += 4, left -= 4; left; left -= 1u + bytes[0], bytes += 1u + bytes[0])
            append_capability(summary->head, (const char *)bytes + 1, bytes[0]);
    } else if (!strcmp(item->name, "configuration/target-page-bits")) {
        g_string_append_printf(summary->head, " %u", bytes[3]);
    } else {
        g_string_append_c(summary->head, ' ');
        for (size_t i = 0; i < left; i++)
            g_string_append_printf(summary->head, "%02x%s", bytes[i],
                                   i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
    }
    g_string_append_c(summary->head, '\n');
}

/* Adds an item to the summary. */
static bool summarise(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct summary *summary = data;
    summary->bytes += item->length;
    g_autofree char *type = NULL;
    switch (item->kind) {
    case GODWIT_STREAM_CONFIGURATION:
        type = godwit_text_line(item->name);
        g_string_append_printf(summary->head, "machine type %s\n", type);
        break;
    case GODWIT_STREAM_SUBSECTION:
        summarise_subsection(summary, item);
        break;
    case GODWIT_STREAM_START:
    case GODWIT_STREAM_PART:
    case GODWIT_STREAM_LAST:
    case GODWIT_STREAM_FULL:
        add_stretch(summary, item, godwit_stream_kind_name(item->kind), item->section);
        break;
    case GODWIT_STREAM_COMMAND:
        add_stretch(summary, item, "command", godwit_stream_command_name(item->value));
        break;
    case GODWIT_STREAM_EOF:
        add_stretch(summary, item, "eof", "");
        break;
    case GODWIT_STREAM_DESCRIPTION:
        add_stretch(summary, item, "description", "");
        break;
    case GODWIT_STREAM_MULTIFD_INIT:
        g_string_append_printf(summary->head, "channel number %" PRIu64 "\n", item->value);
        break;
    case GODWIT_STREAM_MULTIFD_PACKET:
        summary->packets++;
        break;
    case GODWIT_STREAM_MARK:
        summary->marks++;
        break;
    default:
        break;
    }
    if (*item->section && item->kind > GODWIT_STREAM_FULL && summary->stretches->len) {
        struct stretch *last = g_ptr_array_index(summary->stretches, summary->stretches->len - 1);
        last->length += item->length;
    }
    return godwit_stream_memory_take(summary->memory, item, error) &&
           godwit_stream_description_take(summary->description, item, error);
}

static void print_blocks(const struct godwit_stream_memory *memory)
{
    if (memory->blocks->len == 0)
        return;
    printf("\n%-32s %14s %10s", "RAM block", "bytes", "pages sent");
    for (int kind = 0; kind < GODWIT_STREAM_PAGE_KINDS; kind++)
        printf(" %10s", godwit_stream_page_name((enum godwit_stream_page)kind));
    printf("\n");
    for (guint i = 0; i < memory->blocks->len; i++) {
        const struct godwit_stream_memory_block *block = g_ptr_array_index(memory->blocks, i);
        g_autofree char *name = godwit_text_line(block->name);
        printf("%-32s %14" PRIu64 " %10u", name, block->length,
               (unsigned)g_tree_nnodes(block->pages));
        for (int kind = 0; kind < GODWIT_STREAM_PAGE_KINDS; kind++)
            printf(" %10" PRIu64, block->records[kind]);
        printf("\n");
    }
}

static void print_stretches(const GPtrArray *stretches)
{
    if (stretches->len == 0)
        return;
    printf("\n%12s %12s %-12s %6s %-34s %8s %s\n", "offset", "bytes", "what", "id", "name",
           "instance", "version");
    for (guint i = 0; i < stretches->len; i++) {
        const struct stretch *stretch = g_ptr_array_index(stretches, i);
        printf("%12" PRIu64 " %12" PRIu64 " %s%-*s", stretch->offset, stretch->length,
               stretch->packaged ? "| " : "", stretch->packaged ? 10 : 12, stretch->kind);
        if (stretch->section)
            printf(" %6" PRIu32 " %-34s %8" PRIu32 " %7" PRIu32, stretch->id, stretch->name,
                   stretch->instance, stretch->version);
        else if (*stretch->name)
            printf(" %6s %s", "", stretch->name);
        if (stretch->parts > 1)
            printf("  (%" PRIu64 " times)", stretch->parts);
        printf("\n");
    }
}

static void print_description(const struct godwit_stream_description *description)
{
    if (description->agreed + description->undescribed == 0)
        return;
    printf("\n%u states have the length that their description gives", description->agreed);
    if (description->undescribed)
        printf("; it gives no length for %u", description->undescribed);
    printf("\n");
}

/* Pages in a row of the map. */
#define MAP_ROW 64

/* The map of a block's pages. It is printed row by row. */
struct map {
    const struct godwit_stream_memory_block *block;
    uint64_t size;            /* bytes of a page */
    uint64_t pages;           /* of the block */
    uint64_t first;           /* first page of the current row */
    char row[MAP_ROW + 1];    /* the current row */
    char before[MAP_ROW + 1]; /* the row before it */
    bool starred;             /* the row before was printed as a star */
};

/* Begins the row whose first page is FIRST, with no page sent. */
static void begin_row(struct map *map, uint64_t first)
{
    const size_t count = (size_t)MIN((uint64_t)MAP_ROW, map->pages - first);
    memset(map->row, map->block->mapped ? 'z' : '.', count);
    map->row[count] = 0;
    map->first = first;
}

/* Prints the current row. */
static void end_row(struct map *map)
{
    const bool same = !strcmp(map->row, map->before);
    if (!same)
        printf("%12" PRIx64 " %s\n", map->first * map->size, map->row);
    else if (!map->starred)
        printf("           *\n");
    map->starred = same;
    memcpy(map->before, map->row, sizeof(map->row));
}

/* Prints all rows before the one whose first page is FIRST, and begins that one. All rows without a
 * sent page look alike: the loop prints the first of them and a star, and skips the rest. */
static void go_to_row(struct map *map, uint64_t first)
{
    for (unsigned done = 0; map->first < first; done++) {
        end_row(map);
        begin_row(map, done < 2 ? map->first + MAP_ROW : first);
    }
}

/* Enters a page that was sent into the map, by how it was last sent. */
static gboolean map_page(gpointer number, gpointer value, gpointer data)
{
    const uint64_t page = GPOINTER_TO_SIZE(number);
    const struct godwit_stream_memory_page *sent = value;
    struct map *map = data;
    if (page >= map->pages)
        return true;
    go_to_row(map, page - page % MAP_ROW);
    map->row[page % MAP_ROW] = "zwxcp"[sent->sent];
    return false;
}

static void print_map(const struct godwit_stream_memory *memory)
{
    printf("\npages, %d in a row: z zero, w whole, x xbzrle, c compressed, p packed (multifd), "
           ". not sent;\n* rows equal to the one before\n",
           MAP_ROW);
    for (guint i = 0; i < memory->blocks->len; i++) {
        const struct godwit_stream_memory_block *block = g_ptr_array_index(memory->blocks, i);
        struct map map = {.block = block, .size = block->page_size ? block->page_size : 4096};
        map.pages = block->length / map.size;
        g_autofree char *name = godwit_text_line(block->name);
        printf("%s\n", name);
        if (!map.pages)
            continue;
        begin_row(&map, 0);
        g_tree_foreach(block->pages, map_page, &map);
        go_to_row(&map, (map.pages - 1) / MAP_ROW * MAP_ROW);
        end_row(&map);
    }
}

static const char *channel_name(enum godwit_stream_channel channel)
{
    switch (channel) {
    case GODWIT_STREAM_MAIN:
        return "main";
    case GODWIT_STREAM_MULTIFD:
        return "multifd";
    case GODWIT_STREAM_PREEMPT:
        return "preempt";
    case GODWIT_STREAM_UNKNOWN:
        break;
    }
    return "unknown";
}

bool godwit_stream_inspect(const struct stream_options *options, GError **error)
{
    const char *path = options->words[1];
    struct summary summary = {
        .memory = godwit_stream_memory_new(),
        .description = godwit_stream_description_new(),
        .stretches = g_ptr_array_new_with_free_func(free_stretch),
        .head = g_string_new(NULL),
    };
    enum godwit_stream_channel channel;
    const bool good = godwit_stream_read_file(path, (uint64_t)options->offset, summarise, &summary,
                                              &channel, error);
    /* Print the part before the damage as well: it helps to understand the damage. */
    if (summary.bytes) {
        printf("%s channel, %" PRIu64 " bytes%s\n%s", channel_name(channel), summary.bytes,
               good ? "" : " before the damage", summary.head->str);
        if (summary.packets)
            printf("%" PRIu64 " packets\n", summary.packets);
        print_stretches(summary.stretches);
        print_description(summary.description);
        print_blocks(summary.memory);
        if (options->pages)
            print_map(summary.memory);
    }
    g_ptr_array_unref(summary.stretches);
    g_string_free(summary.head, TRUE);
    godwit_stream_memory_free(summary.memory);
    godwit_stream_description_free(summary.description);
    return good;
}
