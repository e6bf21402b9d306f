/*
 * godwit stream: what is in a migration stream that was written to a file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "oracle/verify.h"
#include "stream/description.h"
#include "stream/file.h"
#include "stream/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

struct stream_options {
    char *arch;
    gint64 offset;
    gboolean pages;
    char **words;
};

/* A stretch of a stream for the summary: parts of one section that follow each other are one. */
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

static const char *command_name(uint64_t type)
{
    static const char *const names[] = {
        [GODWIT_COMMAND_OPEN_RETURN_PATH] = "open-return-path",
        [GODWIT_COMMAND_PING] = "ping",
        [GODWIT_COMMAND_POSTCOPY_ADVISE] = "postcopy-advise",
        [GODWIT_COMMAND_POSTCOPY_LISTEN] = "postcopy-listen",
        [GODWIT_COMMAND_POSTCOPY_RUN] = "postcopy-run",
        [GODWIT_COMMAND_POSTCOPY_RAM_DISCARD] = "postcopy-ram-discard",
        [GODWIT_COMMAND_POSTCOPY_RESUME] = "postcopy-resume",
        [GODWIT_COMMAND_PACKAGED] = "packaged",
        [GODWIT_COMMAND_ENABLE_COLO] = "enable-colo",
        [GODWIT_COMMAND_RECV_BITMAP] = "recv-bitmap",
        [GODWIT_COMMAND_SWITCHOVER_START] = "switchover-start",
    };
    return names[type];
}

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
        /* Their number, then each with its length before it; the reader has checked them. */
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
        add_stretch(summary, item, "command", command_name(item->value));
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
    if (description->agreed + description->untold == 0)
        return;
    printf("\n%u states are as long as they are described", description->agreed);
    if (description->untold)
        printf("; of %u the description does not tell", description->untold);
    printf("\n");
}

/* Pages in a row of the map. */
#define MAP_ROW 64

/* The map of a block's pages, while it is printed row by row. */
struct map {
    const struct godwit_stream_memory_block *block;
    uint64_t size;            /* bytes of a page */
    uint64_t pages;           /* of the block */
    uint64_t first;           /* page of the present row */
    char row[MAP_ROW + 1];    /* the present row */
    char before[MAP_ROW + 1]; /* the one before it */
    bool starred;             /* a star stands for the row before already */
};

/* Makes the row that begins with page FIRST the present one, with no page in it that was sent. */
static void begin_row(struct map *map, uint64_t first)
{
    const size_t count = (size_t)MIN((uint64_t)MAP_ROW, map->pages - first);
    memset(map->row, map->block->mapped ? 'z' : '.', count);
    map->row[count] = 0;
    map->first = first;
}

/* Prints the present row. */
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

/* Prints all rows before the one that begins with page FIRST. However many there are without a page
 * that was sent, they look alike: two of them show all that there is to see, a row and a star. */
static void go_to_row(struct map *map, uint64_t first)
{
    for (unsigned done = 0; map->first < first; done++) {
        end_row(map);
        begin_row(map, done < 2 ? map->first + MAP_ROW : first);
    }
}

/* What the map has for a page that was sent: how, the last time. */
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
           ". not sent;\n* rows like the one before\n",
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

static bool inspect(const struct stream_options *options, const char *path, GError **error)
{
    struct summary summary = {
        .memory = godwit_stream_memory_new(),
        .description = godwit_stream_description_new(),
        .stretches = g_ptr_array_new_with_free_func(free_stretch),
        .head = g_string_new(NULL),
    };
    enum godwit_stream_channel channel;
    const bool good = godwit_stream_read_file(path, (uint64_t)options->offset, summarise, &summary,
                                              &channel, error);
    /* What was found before the damage helps to understand it. */
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

/* What is verified: memory, and the states' lengths. */
struct evidence {
    struct godwit_stream_memory *memory;
    struct godwit_stream_description *description;
};

static bool remember(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct evidence *evidence = data;
    return godwit_stream_memory_take(evidence->memory, item, error) &&
           godwit_stream_description_take(evidence->description, item, error);
}

static bool verify(const struct stream_options *options, const char *path, GError **error)
{
    const struct godwit_machine *machine =
        options->arch ? godwit_machine_find(options->arch) : NULL;
    if (options->arch && !machine)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "unknown architecture \"%s\" (see --help)",
                           options->arch);
    struct evidence evidence = {godwit_stream_memory_new(), godwit_stream_description_new()};
    enum godwit_stream_channel channel;
    struct godwit_stream_guest guest;
    const bool good = godwit_stream_read_file(path, (uint64_t)options->offset, remember, &evidence,
                                              &channel, error) &&
                      godwit_stream_verify(evidence.memory, machine, &guest, error);
    for (unsigned cpu = 0; good && cpu < guest.workload.cpus; cpu++) {
        char text[320];
        if (guest.stamped) {
            printf("CPU %u: stamp holds, pass %" PRIu64 "\n", cpu, guest.mailbox[cpu].passes);
            continue;
        }
        godwit_page_order_format(&guest.order[cpu], text, sizeof(text));
        printf("CPU %u: %s; %" PRIu64 " pages, pass %" PRIu64 "\n", cpu, text,
               guest.order[cpu].pages, guest.mailbox[cpu].passes);
    }
    if (good && guest.stamped)
        printf("%u pages, each byte as it was stamped\n", guest.stamped);
    godwit_stream_memory_free(evidence.memory);
    godwit_stream_description_free(evidence.description);
    return good;
}

static bool print_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    (void)data;
    json_t *line =
        json_pack("{s:s, s:I, s:I}", "kind", godwit_stream_kind_name(item->kind), "offset",
                  (json_int_t)item->offset, "length", (json_int_t)item->length);
    const struct {
        const char *name;
        uint64_t value;
        bool there;
    } numbers[] = {
        {"data", item->data, item->data < item->length},
        {"id", item->section_id, *item->section},
        {"instance", item->instance_id, *item->section},
        {"version", item->version, item->version},
        {"value", item->value, item->value},
        {"flags", item->flags, item->flags},
        {"address", item->address, item->address},
        {"pages", item->pages, item->kind == GODWIT_STREAM_MULTIFD_PACKET},
        {"zero-pages", item->zero_pages, item->kind == GODWIT_STREAM_MULTIFD_PACKET},
        {"package-size", item->package_size, item->package_size},
        {"page-offset", item->page_offset, item->kind == GODWIT_STREAM_PAGE},
    };
    if (*item->section)
        json_object_set_new(line, "section", json_string(item->section));
    if (*item->name)
        json_object_set_new(line, "name", json_string(item->name));
    if (item->kind == GODWIT_STREAM_PAGE)
        json_object_set_new(line, "page", json_string(godwit_stream_page_name(item->page)));
    if (item->kind == GODWIT_STREAM_COMMAND)
        json_object_set_new(line, "command", json_string(command_name(item->value)));
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].there)
            json_object_set_new(line, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    if (item->packaged)
        json_object_set_new(line, "packaged", json_true());
    g_autofree char *text = godwit_json_dump(line, JSON_COMPACT);
    const bool good = puts(text) != EOF;
    json_decref(line);
    return good || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                               "cannot write to standard output: %s", g_strerror(errno));
}

static bool list_items(const struct stream_options *options, const char *path, GError **error)
{
    enum godwit_stream_channel channel;
    return godwit_stream_read_file(path, (uint64_t)options->offset, print_item, NULL, &channel,
                                   error);
}

static bool act(const struct stream_options *options, GError **error)
{
    static const struct {
        const char *name;
        bool (*act)(const struct stream_options *options, const char *path, GError **error);
    } actions[] = {{"inspect", inspect}, {"verify", verify}, {"json", list_items}};
    const char *action = options->words ? options->words[0] : NULL;
    const char *path = action ? options->words[1] : NULL;
    if (!action)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "stream wants inspect, verify or json, and a file (see --help)");
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].name, action) != 0)
            continue;
        if (!path || options->words[2])
            return godwit_fail(error, GODWIT_ERROR_USAGE, "stream %s wants one file (see --help)",
                               action);
        if (options->offset < 0)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "--offset wants 0 or more");
        if (options->pages && actions[i].act != inspect)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "--pages goes with inspect only");
        if (options->arch && actions[i].act != verify)
            return godwit_fail(error, GODWIT_ERROR_USAGE, "--arch goes with verify only");
        const bool good = actions[i].act(options, path, error);
        if (!good && g_error_matches(*error, GODWIT_ERROR, GODWIT_ERROR_STREAM))
            godwit_error_context(error, "%s", path);
        return good;
    }
    return godwit_fail(error, GODWIT_ERROR_USAGE,
                       "unknown action \"%s\": there are inspect, verify and json", action);
}

/* Has the signals that ask for the end do just that, as the system does it: there is nothing to be
 * cleaned up, and whatever is read or printed may take long. What is ignored stays so. */
static void let_signals_end(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        struct sigaction action;
        if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
            signal(signals[i], SIG_DFL);
    }
}

bool godwit_command_stream(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    (void)process;
    (void)status;
    let_signals_end();
    struct stream_options options = {0};
    bool helped = false;
    const GOptionEntry entries[] = {
        {"arch", 'a', 0, G_OPTION_ARG_STRING, &options.arch,
         "verify: the guest's architecture, if the window's addresses fit several", "ARCH"},
        {"offset", 0, 0, G_OPTION_ARG_INT64, &options.offset,
         "Offset in the file at which the stream begins (default: 0)", "BYTES"},
        {"pages", 0, 0, G_OPTION_ARG_NONE, &options.pages,
         "inspect: show a map of how each page was last sent", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.words, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("inspect|verify|json FILE");
    g_option_context_set_summary(
        context,
        "Reads a migration stream, or one channel of it, from a file.\n"
        "  inspect  show its contents: machine type, sections, RAM blocks, pages of each kind\n"
        "  verify   rebuild the guest's memory from the file alone, and check it\n"
        "  json     print each item as a JSON object on a line of its own\n"
        "Exit status: 0 if the stream and the memory are correct, 1 if the stream is damaged or "
        "the\nmemory is wrong, 2 after a usage or environment error.");
    g_option_context_add_main_entries(context, entries, NULL);
    const bool good = godwit_options_parse(context, &argc, &argv, &helped, error) &&
                      (helped || act(&options, error));
    g_free(options.arch);
    g_strfreev(options.words);
    return good;
}
