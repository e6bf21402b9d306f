/*
 * A failure on a terminal: on one screen, what is wrong, where memory is wrong, what the QEMUs
 * reported last, and how to go on. Raw QMP traffic and command lines are in the folder's
 * report.txt; where no folder was kept, the command lines are here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/shell.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

/* How many ranges of wrong pages, events and lines of standard error are shown of each VM. */
enum { MOST_PAGES = 3, MOST_EVENTS = 5, MOST_ERRORS = 3 };

/* How many characters are shown of the end of a console. */
#define MOST_CONSOLE 40

/* Adds the first ranges of pages that are wrong, for each VM that has some. */
static void add_pages(GString *brief, const char *indent, const json_t *result)
{
    const json_t *maps = json_object_get(json_object_get(result, "measurements"), "pages");
    size_t m, i;
    json_t *map, *bad;
    json_array_foreach(maps, m, map)
    {
        const json_t *list = json_object_get(map, "list");
        json_int_t shown = 0;
        GString *text = g_string_new(NULL);
        json_array_foreach(list, i, bad)
        {
            const json_int_t count = godwit_json_integer(bad, "count", 1);
            if (i >= MOST_PAGES)
                break;
            shown += count;
            g_string_append_printf(text, "%s%s+0x%" G_GINT64_MODIFIER "x", i ? "\n" : "",
                                   godwit_json_string(bad, "block", ""),
                                   (gint64)godwit_json_integer(bad, "offset", 0));
            if (count > 1)
                g_string_append_printf(text, ", %" JSON_INTEGER_FORMAT " pages", count);
            g_string_append_printf(text, ": %s", godwit_json_string(bad, "text", ""));
        }
        const json_int_t more = godwit_json_integer(map, "bad", 0) - shown;
        if (more > 0)
            g_string_append_printf(text, "\nand %" JSON_INTEGER_FORMAT " more pages of the %s",
                                   more, godwit_json_string(map, "vm", "VM"));
        godwit_report_add_lines(brief, indent, "pages", text->str);
        g_string_free(text, TRUE);
    }
}

/* Returns the last events that the VM called NAME reported, one after the other. The caller frees
 * it. */
static char *last_events(const json_t *result, const char *name)
{
    g_autoptr(GPtrArray) events = g_ptr_array_new();
    size_t i;
    json_t *moment;
    json_array_foreach(json_object_get(result, "timeline"), i, moment)
    {
        if (!strcmp(godwit_json_string(moment, "vm", ""), name))
            g_ptr_array_add(events, (gpointer)(uintptr_t)godwit_json_string(moment, "what", ""));
    }
    GString *text = g_string_new(events->len > MOST_EVENTS ? "..., " : NULL);
    for (guint e = events->len > MOST_EVENTS ? events->len - MOST_EVENTS : 0; e < events->len; e++)
        g_string_append_printf(text, "%s%s", (const char *)g_ptr_array_index(events, e),
                               e + 1 < events->len ? ", " : "");
    return g_string_free(text, FALSE);
}

static void add_vm(GString *brief, const char *indent, const json_t *result, const json_t *vm)
{
    const char *name = godwit_json_string(vm, "name", "?");
    const char *console = godwit_json_string(vm, "console", "");
    const size_t length = strlen(console);
    g_autofree char *head = g_strdup_printf("QEMU %s %s", godwit_json_string(vm, "version", ""),
                                            godwit_json_string(vm, "state", "?"));
    g_autofree char *events = last_events(result, name);
    g_autofree char *label = g_strdup_printf("%s ", name);
    g_autofree char *deeper = g_strconcat(indent, "  ", NULL);
    godwit_report_add_lines(brief, indent, label, head);
    godwit_report_add_lines(brief, deeper, "events", events);
    godwit_report_add_lines(
        brief, deeper, "stderr",
        godwit_text_last_lines(godwit_json_string(vm, "stderr", ""), MOST_ERRORS));
    if (length > MOST_CONSOLE) {
        g_autofree char *end = g_strconcat("...", console + length - MOST_CONSOLE, NULL);
        godwit_report_add_lines(brief, deeper, "console", end);
    } else {
        godwit_report_add_lines(brief, deeper, "console", console);
    }
    if (!*godwit_json_string(result, "folder", ""))
        godwit_report_add_lines(brief, deeper, "by hand", godwit_json_string(vm, "command", ""));
}

char *godwit_report_again(const json_t *result)
{
    const char *line = godwit_json_string(result, "again", "");
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *known = g_find_program_in_path("godwit");
    g_autofree char *found = known ? realpath(known, NULL) : NULL;
    if (!g_str_has_prefix(line, "godwit ") || !self || !g_strcmp0(self, found))
        return g_strdup(line);
    g_autofree char *program = godwit_shell_word(self);
    return g_strconcat(program, line + strlen("godwit"), NULL);
}

char *godwit_report_brief(const json_t *result, const char *indent)
{
    GString *brief = g_string_new(NULL);
    const char *folder = godwit_json_string(result, "folder", "");
    g_autofree char *fault = godwit_report_fault(result);
    g_autofree char *report = *folder ? g_build_filename(folder, "report.txt", NULL) : NULL;
    g_autofree char *again = godwit_report_again(result);
    godwit_report_add_lines(brief, indent, "what", godwit_json_string(result, "message", ""));
    godwit_report_add_lines(brief, indent, "fault", fault);
    godwit_report_add_lines(brief, indent, "phase", godwit_json_string(result, "phase", ""));
    add_pages(brief, indent, result);
    size_t i;
    json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        add_vm(brief, indent, result, vm);
    }
    godwit_report_add_lines(brief, indent, "report", report);
    godwit_report_add_lines(brief, indent, "again", again);
    return g_string_free(brief, FALSE);
}
