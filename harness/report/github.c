/*
 * The formats github and markdown, for GitHub Actions. github writes annotations, which the runner
 * reads from the log of a step, and appends the summary to the file $GITHUB_STEP_SUMMARY, if there
 * is one. markdown is the summary alone.
 *
 * Neither text can leave its place: what is foreign in an annotation has no line end and no percent
 * sign of its own, and in the summary it is escaped HTML on one line, in a block of HTML, in which
 * Markdown has no meaning.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/text.h"
#include <errno.h>
#include <string.h>

/* GitHub shows so many annotations of a kind for each step, and refuses a summary above 1 MiB. */
enum { MOST_ANNOTATIONS = 10, MOST_SUMMARY = 900 * 1024 };

/* Returns TEXT as the message of an annotation, or as its title. The caller frees it. */
static char *escaped(const char *text, bool title)
{
    g_autofree char *tame = title ? godwit_text_line(text) : godwit_text_tame(text);
    GString *out = g_string_new(NULL);
    for (const char *c = tame; *c; c++)
        if (*c == '%' || *c == '\n' || (title && (*c == ':' || *c == ',')))
            g_string_append_printf(out, "%%%02X", (unsigned char)*c);
        else
            g_string_append_c(out, *c);
    return g_string_free(out, FALSE);
}

/* Returns TEXT as HTML on one line. The caller frees it. */
static char *html(const char *text)
{
    g_autofree char *xml = godwit_report_xml(text);
    g_auto(GStrv) lines = g_strsplit(xml, "\n", -1);
    return g_strjoinv("&#10;", lines);
}

static bool is_failure(const json_t *result)
{
    return !godwit_result_passed(result) &&
           strcmp(godwit_json_string(result, "status", "fail"), "skip") != 0;
}

static void annotation(FILE *out, const char *level, const char *title, const char *message)
{
    g_autofree char *head = escaped(title, true);
    g_autofree char *text = escaped(message, false);
    fprintf(out, "::%s title=%s::%s\n", level, head, text);
}

/* Writes an annotation for each result that WANTED accepts, up to GitHub's limit. */
static void annotations(FILE *out, const json_t *results, const char *level,
                        bool (*wanted)(const json_t *result))
{
    size_t i, count = 0;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        if (!wanted(result) || ++count >= MOST_ANNOTATIONS)
            continue;
        g_autofree char *title = g_strdup_printf("%s %s", godwit_report_target(result),
                                                 godwit_json_string(result, "scenario", ""));
        g_autofree char *known = godwit_report_known(result, "");
        const char *message = godwit_json_string(result, "message", "");
        annotation(out, level, title, *message ? message : known);
    }
    if (count >= MOST_ANNOTATIONS) {
        g_autofree char *more = g_strdup_printf("%zu more", count - MOST_ANNOTATIONS + 1);
        annotation(out, level, "godwit", more);
    }
}

static bool is_known(const json_t *result)
{
    return !strcmp(godwit_json_string(result, "status", ""), "known");
}

/* Adds the section of a result that failed, or met a known bug. */
static void add_section(GString *text, const json_t *result)
{
    g_autofree char *target = html(godwit_report_target(result));
    g_autofree char *scenario = html(godwit_json_string(result, "scenario", ""));
    g_autofree char *bugs = godwit_report_known(result, "");
    g_autofree char *details =
        is_known(result) ? g_strdup(bugs) : godwit_report_details(result, "");
    g_autofree char *shown = html(details);
    const char *status = godwit_json_string(result, "status", "fail");
    g_string_append_printf(
        text,
        "<details><summary>%s <code>%s</code> <code>%s</code></summary><pre>%s</pre></details>\n",
        status, target, scenario, shown);
}

static char *summary_of(const struct godwit_reporter *reporter,
                        const struct godwit_summary *summary)
{
    GString *text = g_string_new("## Godwit\n\n");
    size_t i, left_out = 0;
    json_t *result;
    g_string_append_printf(
        text,
        "%u passed, %u with a known bug of QEMU, %u failed, %u skipped, %u could not be run, "
        "%u not run; %.1f s%s.\n\n",
        summary->passed, summary->known, summary->failed, summary->skipped,
        summary->errors - summary->not_run, summary->not_run, summary->seconds,
        summary->interrupted ? ", interrupted" : "");
    for (int known = 0; known <= 1; known++)
        json_array_foreach(reporter->results, i, result)
        {
            if (!(known ? is_known(result) : is_failure(result)))
                continue;
            g_autoptr(GString) section = g_string_new(NULL);
            add_section(section, result);
            if (text->len + section->len <= MOST_SUMMARY)
                g_string_append(text, section->str);
            else
                left_out++;
        }
    if (left_out)
        g_string_append_printf(text, "\n%zu more are left out, because the summary is full.\n",
                               left_out);
    return g_string_free(text, FALSE);
}

static void write_markdown(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    g_autofree char *text = summary_of(reporter, summary);
    fputs(text, reporter->out);
}

static void write_github(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    annotations(reporter->out, reporter->results, "error", is_failure);
    annotations(reporter->out, reporter->results, "warning", is_known);
    const char *path = g_getenv("GITHUB_STEP_SUMMARY");
    if (!path || !*path)
        return;
    g_autofree char *text = summary_of(reporter, summary);
    FILE *file = fopen(path, "ae");
    const bool written = file && fputs(text, file) >= 0;
    if ((file && fclose(file)) || !written)
        godwit_text_complain("cannot write %s (GITHUB_STEP_SUMMARY): %s", path, g_strerror(errno));
}

void godwit_report_markdown(struct godwit_reporter *reporter)
{
    reporter->result = godwit_report_collect;
    reporter->end = write_markdown;
}

void godwit_report_github(struct godwit_reporter *reporter)
{
    reporter->result = godwit_report_collect;
    reporter->end = write_github;
}
