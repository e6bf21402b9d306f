/*
 * godwit stream: reads a migration stream from a file. It prints what is in it (`inspect`, in
 * stream_inspect.c), verifies the guest's memory in it (`verify`), or lists its items (`json`).
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"
#include "command/stream_parts.h"

#include "oracle/verify.h"
#include "stream/description.h"
#include "stream/file.h"
#include "stream/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

const char *godwit_stream_command_name(uint64_t type)
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

/* What `verify` collects from a stream: memory, and the lengths of the devices' states. */
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

static bool verify(const struct stream_options *options, GError **error)
{
    const char *path = options->words[1];
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

/* Prints one item of a stream as a line of JSON. */
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
        json_object_set_new(line, "command", json_string(godwit_stream_command_name(item->value)));
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

static bool list_items(const struct stream_options *options, GError **error)
{
    enum godwit_stream_channel channel;
    return godwit_stream_read_file(options->words[1], (uint64_t)options->offset, print_item, NULL,
                                   &channel, error);
}

/* What can be done with a stream. */
struct action {
    const char *name;
    guint files; /* that it takes */
    bool (*act)(const struct stream_options *options, GError **error);
};

static const struct action actions[] = {
    {"inspect", 1, godwit_stream_inspect},
    {"verify", 1, verify},
    {"json", 1, list_items},
    {"fields", 1, godwit_stream_list_fields},
    {"diff", 2, godwit_stream_diff},
};

#define ACTIONS "inspect, verify, json, fields or diff"

static const struct action *find_action(const char *name, GError **error)
{
    if (!name)
        godwit_fail(error, GODWIT_ERROR_USAGE, "stream needs " ACTIONS ", and a file (see --help)");
    for (size_t i = 0; name && i < G_N_ELEMENTS(actions); i++)
        if (!strcmp(actions[i].name, name))
            return &actions[i];
    if (name)
        godwit_fail(error, GODWIT_ERROR_USAGE, "unknown action \"%s\" (expected " ACTIONS ")",
                    name);
    return NULL;
}

/* Checks the command line and does the action. */
static bool act(const struct stream_options *options, GError **error)
{
    const struct action *action = find_action(options->words ? options->words[0] : NULL, error);
    if (!action)
        return false;
    if (g_strv_length(options->words) != action->files + 1)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "stream %s needs %s (see --help)",
                           action->name, action->files == 1 ? "one file" : "two files");
    if (options->offset < 0)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--offset needs 0 or more");
    if (options->pages && action->act != godwit_stream_inspect)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--pages works only with inspect");
    if (options->arch && action->act != verify)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--arch works only with verify");
    const bool good = action->act(options, error);
    if (!good && action->files == 1 && g_error_matches(*error, GODWIT_ERROR, GODWIT_ERROR_STREAM) &&
        !g_str_has_prefix((*error)->message, options->words[1]))
        godwit_error_context(error, "%s", options->words[1]);
    return good;
}

/* Lets SIGINT, SIGTERM and SIGHUP kill the process: there is nothing to clean up, and reading or
 * printing may take long. Ignored signals stay ignored. */
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
    g_autoptr(GOptionContext) context = g_option_context_new(
        "inspect|verify|json|fields FILE\n  godwit stream [OPTION…] diff FILE FILE");
    g_option_context_set_summary(
        context,
        "Reads a migration stream, or one channel of it, from a file.\n"
        "  inspect  show its contents: machine type, sections, RAM blocks, pages of each kind\n"
        "  verify   rebuild the guest's memory from the file alone, and check it\n"
        "  json     print each item as a JSON object on a line of its own\n"
        "  fields   list the state of the devices, field by field\n"
        "  diff     show which fields differ between two streams\n"
        "Exit status: 0 if the stream and the memory are correct, 1 if the stream is damaged, the\n"
        "memory is wrong or two streams differ, 2 after a usage or environment error.");
    g_option_context_add_main_entries(context, entries, NULL);
    const bool good = godwit_options_parse(context, NULL, &argc, &argv, &helped, error) &&
                      (helped || act(&options, error));
    g_free(options.arch);
    g_strfreev(options.words);
    return good;
}
