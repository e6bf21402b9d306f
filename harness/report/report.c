/* SPDX-License-Identifier: MIT */
#include "report/report.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*set_up)(struct godwit_reporter *reporter);
} formats[] = {
    {"text", godwit_report_text}, {"tap", godwit_report_tap},   {"junit", godwit_report_junit},
    {"json", godwit_report_json}, {"html", godwit_report_html},
};

struct godwit_reporter *godwit_reporter_new(const char *format, GError **error)
{
    const char *colon = strchr(format, ':');
    g_autofree char *name = colon ? g_strndup(format, (gsize)(colon - format)) : g_strdup(format);
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strcmp(formats[i].name, name) != 0)
            continue;
        FILE *out = stdout;
        if (colon && !(out = fopen(colon + 1, "we"))) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s",
                        colon + 1, g_strerror(errno));
            return NULL;
        }
        struct godwit_reporter *reporter = g_new0(struct godwit_reporter, 1);
        reporter->out = out;
        reporter->path = colon ? g_strdup(colon + 1) : NULL;
        reporter->live = isatty(fileno(out)) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
        const char *no_color = g_getenv("NO_COLOR");
        reporter->colours = reporter->live && !(no_color && *no_color);
        reporter->width = 8;
        reporter->results = json_array();
        reporter->totals = json_object();
        formats[i].set_up(reporter);
        return reporter;
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                "unknown format \"%s\": there are text, tap, junit, json and html", name);
    return NULL;
}

bool godwit_reporter_close(struct godwit_reporter *reporter, GError **error)
{
    const bool failed = fflush(reporter->out) != 0 || ferror(reporter->out);
    const int reason = errno;
    if (failed)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s",
                    reporter->path ? reporter->path : "to standard output", g_strerror(reason));
    if (reporter->path)
        fclose(reporter->out);
    json_decref(reporter->results);
    json_decref(reporter->totals);
    g_free(reporter->path);
    g_free(reporter);
    return !failed;
}

void godwit_reporter_discard(struct godwit_reporter *reporter)
{
    struct stat status;
    if (reporter->path && !fstat(fileno(reporter->out), &status) && S_ISREG(status.st_mode))
        unlink(reporter->path);
    godwit_reporter_close(reporter, NULL);
}

/* Neither ASCII's control characters nor U+0080 to U+009F, which are C2 80 to C2 9F. */
void godwit_report_tame(char *text)
{
    for (char *c = text; *c; c++)
        if (g_ascii_iscntrl(*c) && *c != '\n' && *c != '\t')
            *c = '?';
        else if (c[0] == '\xc2' && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0)
            c[0] = c[1] = '?';
}

char *godwit_report_line(const char *text)
{
    char *line = g_strdup(text);
    g_strdelimit(line, "\n\t", ' ');
    godwit_report_tame(line);
    return line;
}

char *godwit_report_xml(const char *text)
{
    g_autofree char *clean = g_strdup(text);
    for (char *c = clean; *c; c++)
        if ((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t')
            *c = '?';
        else if (!strncmp(c, "\xef\xbf\xbe", 3) || !strncmp(c, "\xef\xbf\xbf", 3))
            memset(c, '?', 3); /* U+FFFE and U+FFFF, which are no characters */
    return g_markup_escape_text(clean, -1);
}

static void add_lines(GString *text, const char *indent, const char *label, const char *lines)
{
    if (!lines || !*lines)
        return;
    g_auto(GStrv) each = g_strsplit(lines, "\n", -1);
    for (guint i = 0; each[i]; i++)
        g_string_append_printf(text, "%s%-9s%s\n", indent, i ? "" : label, each[i]);
}

char *godwit_report_details(const json_t *result, const char *indent)
{
    GString *text = g_string_new(NULL);
    add_lines(text, indent, "what", godwit_json_string(result, "message", ""));
    add_lines(text, indent, "fault",
              godwit_json_string(json_object_get(result, "facts"), "fault", ""));
    add_lines(text, indent, "phase", godwit_json_string(result, "phase", ""));
    size_t i;
    json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        g_string_append_printf(
            text, "%s%s: QEMU %s %s\n", indent, godwit_json_string(vm, "name", "?"),
            godwit_json_string(vm, "version", ""), godwit_json_string(vm, "state", "?"));
        g_autofree char *deeper = g_strconcat(indent, "  ", NULL);
        static const char *const parts[][2] = {
            {"stderr", "stderr"}, {"console", "console"}, {"qmp", "qmp"}, {"by hand", "command"}};
        for (size_t p = 0; p < G_N_ELEMENTS(parts); p++)
            add_lines(text, deeper, parts[p][0], godwit_json_string(vm, parts[p][1], ""));
    }
    add_lines(text, indent, "folder", godwit_json_string(result, "folder", ""));
    add_lines(text, indent, "again", godwit_json_string(result, "again", ""));
    godwit_report_tame(text->str);
    return g_string_free(text, FALSE);
}

const char *godwit_report_target(const json_t *result)
{
    return godwit_json_string(result, "target", godwit_json_string(result, "arch", ""));
}

bool godwit_report_passed(const json_t *result)
{
    const char *status = godwit_json_string(result, "status", "fail");
    return !strcmp(status, "pass") || !strcmp(status, "known");
}

json_int_t godwit_report_judged(const json_t *result, const char *oracle, const char *unit)
{
    size_t i;
    json_t *judged;
    json_array_foreach(json_object_get(result, "oracles"), i, judged)
    {
        if (!strcmp(godwit_json_string(judged, "name", ""), oracle))
            return godwit_json_integer(judged, unit, 0);
    }
    return 0;
}

char *godwit_report_proof(const json_t *result)
{
    const json_t *facts = json_object_get(result, "facts");
    const json_t *migration = json_object_get(facts, "migration");
    const json_t *live = json_object_get(facts, "live");
    GString *text = g_string_new(NULL);
    const json_int_t twin = godwit_report_judged(result, "twin", "bytes");
    const json_int_t different = godwit_report_judged(result, "twin", "different");
    if (twin)
        g_string_append_printf(text, "%" JSON_INTEGER_FORMAT " bytes equal", twin - different);
    const json_int_t order = godwit_report_judged(result, "page-order", "pages");
    if (order)
        g_string_append_printf(text, "%s%" JSON_INTEGER_FORMAT " pages in order",
                               text->len ? ", " : "", order);
    const json_int_t stamp = godwit_report_judged(result, "stamp", "pages");
    if (stamp)
        g_string_append_printf(text, "%s%" JSON_INTEGER_FORMAT " pages as stamped",
                               text->len ? ", " : "", stamp);
    size_t i, made = 0;
    json_t *check;
    json_array_foreach(json_object_get(facts, "checks"), i, check)
    {
        made += !json_object_get(check, "skip");
    }
    if (made)
        g_string_append_printf(text, "%s%zu checks", text->len ? ", " : "", made);
    if (live)
        g_string_append(text, text->len ? ", live" : "live");
    if (migration)
        g_string_append_printf(text,
                               ", %" JSON_INTEGER_FORMAT
                               " passes, %.1f MiB sent, downtime %" JSON_INTEGER_FORMAT " ms",
                               godwit_json_integer(migration, "dirty-sync-count", 0),
                               (double)godwit_json_integer(migration, "transferred", 0) / (1 << 20),
                               godwit_json_integer(migration, "downtime", 0));
    const json_t *blackout = json_object_get(facts, "blackout_ms");
    if (blackout)
        g_string_append_printf(text, ", blackout %.0f ms", json_number_value(blackout));
    return g_string_free(text, FALSE);
}

char *godwit_report_known(const json_t *result, const char *indent)
{
    GString *text = g_string_new(NULL);
    size_t i;
    json_t *bug;
    json_array_foreach(json_object_get(json_object_get(result, "facts"), "known_bugs"), i, bug)
    {
        g_string_append_printf(text, "%sQEMU bug %s: %s\n", indent,
                               godwit_json_string(bug, "id", ""),
                               godwit_json_string(bug, "summary", ""));
        g_string_append_printf(text, "%s  seen here: %s\n", indent,
                               godwit_json_string(bug, "seen", ""));
        g_string_append_printf(text, "%s  %s; see docs/known-bugs.md\n", indent,
                               godwit_json_string(bug, "reference", ""));
    }
    return g_string_free(text, FALSE);
}
