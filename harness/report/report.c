/*
 * Makes reporters, and the texts that several formats share.
 *
 * Texts from QEMU and the guest pass through base/text.h before they are printed: they are tame,
 * and one line unless a format indents several.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/file.h"
#include "base/shell.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*set_up)(struct godwit_reporter *reporter);
} formats[] = {
    {"text", godwit_report_text},     {"tap", godwit_report_tap},
    {"junit", godwit_report_junit},   {"json", godwit_report_json},
    {"html", godwit_report_html},     {"csv", godwit_report_csv},
    {"ctrf", godwit_report_ctrf},     {"tmt", godwit_report_tmt},
    {"github", godwit_report_github}, {"markdown", godwit_report_markdown},
};

const char **godwit_report_formats(void)
{
    const char **names = g_new0(const char *, G_N_ELEMENTS(formats) + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
        names[i] = formats[i].name;
    return names;
}

void godwit_report_collect(struct godwit_reporter *reporter, const json_t *result)
{
    json_array_append(reporter->results, (json_t *)(uintptr_t)result);
}

static void begin(gpointer data, unsigned planned)
{
    struct godwit_reporter *reporter = data;
    reporter->planned = planned;
    if (reporter->begin)
        reporter->begin(reporter, planned);
}

static void progress(gpointer data, const struct godwit_job *job, const json_t *progress)
{
    struct godwit_reporter *reporter = data;
    if (reporter->progress)
        reporter->progress(reporter, job, progress);
}

static void result(gpointer data, const json_t *result)
{
    struct godwit_reporter *reporter = data;
    if (reporter->result)
        reporter->result(reporter, result);
}

static void end(gpointer data, const struct godwit_summary *summary)
{
    struct godwit_reporter *reporter = data;
    if (reporter->end)
        reporter->end(reporter, summary);
}

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
        reporter->observer = (struct godwit_observer){
            .data = reporter, .begin = begin, .progress = progress, .result = result, .end = end};
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
                "unknown format \"%s\" (expected text, " GODWIT_REPORT_FORMATS ")", name);
    return NULL;
}

bool godwit_reporter_close(struct godwit_reporter *reporter, GError **error)
{
    const int cause = godwit_file_finish(reporter->out);
    if (cause)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s",
                    reporter->path ? reporter->path : "to standard output", g_strerror(cause));
    json_decref(reporter->results);
    json_decref(reporter->about);
    json_decref(reporter->selection);
    json_decref(reporter->totals);
    g_free(reporter->path);
    g_free(reporter);
    return !cause;
}

void godwit_reporter_discard(struct godwit_reporter *reporter)
{
    struct stat status;
    if (reporter->path && !fstat(fileno(reporter->out), &status) && S_ISREG(status.st_mode))
        unlink(reporter->path);
    godwit_reporter_close(reporter, NULL);
}

GPtrArray *godwit_reporters_open(char *const *names, GError **error)
{
    g_autoptr(GPtrArray) reporters = g_ptr_array_new();
    bool output_taken = false;
    for (guint i = 0; names[i]; i++) {
        const bool output = !strchr(names[i], ':');
        struct godwit_reporter *reporter = NULL;
        if (output && output_taken)
            godwit_fail(error, GODWIT_ERROR_USAGE,
                        "only one --format can go to standard output: give the others a file, as "
                        "in --format junit:results.xml");
        else
            reporter = godwit_reporter_new(names[i], error);
        if (!reporter) {
            godwit_reporters_discard(reporters);
            return NULL;
        }
        output_taken |= output;
        g_ptr_array_add(reporters, reporter);
    }
    return g_steal_pointer(&reporters);
}

bool godwit_reporters_close(GPtrArray *reporters, GError **error)
{
    bool good = true;
    for (guint i = 0; i < reporters->len; i++)
        good = godwit_reporter_close(g_ptr_array_index(reporters, i), good ? error : NULL) && good;
    return good;
}

void godwit_reporters_discard(GPtrArray *reporters)
{
    for (guint i = 0; i < reporters->len; i++)
        godwit_reporter_discard(g_ptr_array_index(reporters, i));
}

char *godwit_report_xml(const char *text)
{
    /* A tame text has no characters that XML 1.0 forbids. */
    g_autofree char *tame = godwit_text_tame(text);
    return g_markup_escape_text(tame, -1);
}

char *godwit_report_xml_line(const char *text)
{
    g_autofree char *line = godwit_text_line(text);
    return g_markup_escape_text(line, -1);
}

void godwit_report_add_lines(GString *text, const char *indent, const char *label,
                             const char *lines)
{
    if (!lines || !*lines)
        return;
    g_autofree char *tame = godwit_text_tame(lines);
    g_autofree char *name = godwit_text_line(label);
    g_auto(GStrv) each = g_strsplit(tame, "\n", -1);
    for (guint i = 0; each[i]; i++)
        g_string_append_printf(text, "%s%-9s%s\n", indent, i ? "" : name, each[i]);
}

char *godwit_report_details(const json_t *result, const char *indent)
{
    GString *text = g_string_new(NULL);
    godwit_report_add_lines(text, indent, "what", godwit_json_string(result, "message", ""));
    g_autofree char *fault = godwit_report_fault(result);
    godwit_report_add_lines(text, indent, "fault", fault);
    godwit_report_add_lines(text, indent, "phase", godwit_json_string(result, "phase", ""));
    size_t i;
    json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        g_autofree char *head = g_strdup_printf(
            "%s: QEMU %s %s", godwit_json_string(vm, "name", "?"),
            godwit_json_string(vm, "version", ""), godwit_json_string(vm, "state", "?"));
        g_autofree char *line = godwit_text_line(head);
        g_string_append_printf(text, "%s%s\n", indent, line);
        g_autofree char *deeper = g_strconcat(indent, "  ", NULL);
        static const char *const parts[][2] = {
            {"stderr", "stderr"}, {"console", "console"}, {"qmp", "qmp"}, {"by hand", "command"}};
        for (size_t p = 0; p < G_N_ELEMENTS(parts); p++)
            godwit_report_add_lines(text, deeper, parts[p][0],
                                    godwit_json_string(vm, parts[p][1], ""));
    }
    godwit_report_add_lines(text, indent, "folder", godwit_json_string(result, "folder", ""));
    godwit_report_add_lines(text, indent, "again", godwit_json_string(result, "again", ""));
    return g_string_free(text, FALSE);
}

const char *godwit_report_word(const json_t *result)
{
    static const char *const words[][2] = {
        {"pass", "ok"}, {"known", "known"}, {"skip", "skip"}, {"error", "ERROR"}};
    const char *status = godwit_json_string(result, "status", "fail");
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (!strcmp(words[i][0], status))
            return words[i][1];
    return "FAIL";
}

const char *godwit_report_target(const json_t *result)
{
    return godwit_json_string(result, "target", godwit_json_string(result, "arch", ""));
}

json_t *godwit_report_bugs(const json_t *result)
{
    return json_object_get(json_object_get(result, "measurements"), "known_bugs");
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

/* Returns how the fault in a scenario of the family "relay" was noticed: by oracles, by the
 * destination, which refused it, or not at all. The caller frees it. */
static char *trial_outcome(const json_t *trial)
{
    const json_t *seen = json_object_get(trial, "seen");
    const char *refused = godwit_json_string(trial, "refused", NULL);
    const char *why = godwit_json_string(trial, "why", NULL);
    GString *text = g_string_new(NULL);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)seen, key, value)
    {
        (void)value;
        g_string_append_printf(text, "%s%s", text->len ? ", " : "found by ", key);
    }
    if (refused)
        g_string_append_printf(text, "%srefused by the destination: %s", text->len ? "; " : "",
                               refused);
    if (!text->len)
        g_string_append_printf(text, "not noticed%s%s", why ? ": " : "", why ? why : "");
    return g_string_free(text, FALSE);
}

/* Returns how a fault of `godwit migrate --fault` was noticed. The caller frees it. */
static char *fault_outcome(const json_t *result)
{
    const json_t *finder = json_object_get(json_object_get(result, "measurements"), "found_by");
    const char *kind = godwit_json_string(result, "kind", "");
    const char *vm = godwit_json_string(finder, "vm", NULL);
    if (godwit_result_passed(result))
        return g_strdup("not noticed");
    if (!strcmp(kind, "oracle") && finder)
        return g_strdup_printf("found by %s%s%s", godwit_json_string(finder, "oracle", "?"),
                               vm ? " on the " : "", vm ? vm : "");
    return g_strdup_printf("noticed as a failure of kind \"%s\"", *kind ? kind : "unknown");
}

char *godwit_report_fault(const json_t *result)
{
    const json_t *measurements = json_object_get(result, "measurements");
    const json_t *trial = json_object_get(measurements, "trial");
    const char *asked = godwit_json_string(result, "fault", NULL);
    const char *done = godwit_json_string(measurements, "fault", NULL);
    if (!asked && !done)
        return NULL;
    g_autofree char *outcome = trial            ? trial_outcome(trial)
                               : asked && !done ? g_strdup("it was not injected")
                               : !strcmp(asked ? asked : "", "none") ? g_strdup("nothing to notice")
                                                                     : fault_outcome(result);
    return g_strdup_printf("%s%s%s; %s", asked ? asked : "", asked && done ? ": " : "",
                           done ? done : "", outcome);
}

char *godwit_report_proof(const json_t *result)
{
    const json_t *measurements = json_object_get(result, "measurements");
    const json_t *migration = json_object_get(measurements, "migration");
    const json_t *live = json_object_get(measurements, "live");
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
    json_array_foreach(json_object_get(measurements, "checks"), i, check)
    {
        made += !json_object_get(check, "skip");
    }
    if (made)
        g_string_append_printf(text, "%s%zu checks", text->len ? ", " : "", made);
    if (live)
        g_string_append(text, text->len ? ", live" : "live");
    if (migration) {
        const char *unknown = godwit_json_string(migration, "downtime_unknown", NULL);
        g_string_append_printf(
            text, ", %" JSON_INTEGER_FORMAT " iterations, %.1f MiB sent, downtime ",
            godwit_json_integer(migration, "dirty-sync-count", 0),
            (double)godwit_json_integer(migration, "transferred", 0) / (1 << 20));
        if (unknown)
            g_string_append_printf(text, "unknown (%s)", unknown);
        else
            g_string_append_printf(text, "%" JSON_INTEGER_FORMAT " ms",
                                   godwit_json_integer(migration, "downtime", 0));
    }
    const json_t *blackout = json_object_get(measurements, "blackout_ms");
    if (blackout)
        g_string_append_printf(text, ", blackout %.0f ms", json_number_value(blackout));
    const double doubt = godwit_json_number(measurements, "blackout_resolution_ms");
    if (blackout && isfinite(doubt) && json_object_get(measurements, "transfer"))
        g_string_append_printf(text, " (at most %.0f ms too long)", doubt);
    if (json_object_get(measurements, "plain_link"))
        g_string_append(text, ", a link without delay and loss");
    g_autofree char *fault = godwit_report_fault(result);
    if (fault)
        g_string_append_printf(text, "%sfault %s", text->len ? "; " : "", fault);
    g_autofree char *line = godwit_text_line(text->str);
    return g_string_free(g_string_assign(text, line), FALSE);
}

char *godwit_report_known(const json_t *result, const char *indent)
{
    GString *text = g_string_new(NULL);
    size_t i;
    json_t *bug;
    json_array_foreach(godwit_report_bugs(result), i, bug)
    {
        g_autofree char *id = godwit_text_line(godwit_json_string(bug, "id", ""));
        g_autofree char *summary = godwit_text_line(godwit_json_string(bug, "summary", ""));
        g_autofree char *seen = godwit_text_line(godwit_json_string(bug, "seen", ""));
        g_autofree char *reference = godwit_text_line(godwit_json_string(bug, "reference", ""));
        g_string_append_printf(text, "%sQEMU bug %s: %s\n", indent, id, summary);
        g_string_append_printf(text, "%s  seen here: %s\n", indent, seen);
        const json_t *again =
            json_object_get(json_object_get(result, "measurements"), "confirmation");
        if (!strcmp(godwit_json_string(again, "known", ""), godwit_json_string(bug, "id", "")))
            g_string_append_printf(text,
                                   "%s  run again: it struck %" JSON_INTEGER_FORMAT
                                   " of %" JSON_INTEGER_FORMAT " times\n",
                                   indent, godwit_json_integer(again, "struck", 0),
                                   godwit_json_integer(again, "runs", 0));
        g_string_append_printf(text, "%s  %s; see docs/known-bugs.md\n", indent, reference);
    }
    return g_string_free(text, FALSE);
}
