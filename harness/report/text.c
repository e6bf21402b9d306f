/*
 * The format text: a line for each result, a bug report for each failure, and the totals at the
 * end. On a terminal, the last line shows progress.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"

#include "base/text.h"
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *colour(const struct godwit_reporter *reporter, const char *code)
{
    return reporter->colours ? code : "";
}

static void clear_line(struct godwit_reporter *reporter)
{
    if (reporter->live)
        fputs("\r\033[K", reporter->out);
}

static void progress(struct godwit_reporter *reporter, const struct godwit_job *job,
                     const json_t *progress_)
{
    if (!reporter->live)
        return;
    const json_t *migration = json_object_get(progress_, "migration");
    GString *line = g_string_new(NULL);
    if (reporter->planned)
        g_string_append_printf(line, "[%u/%u] ", reporter->number, reporter->planned);
    g_string_append_printf(line, "%s %s: %s", godwit_job_target(job), godwit_job_name(job),
                           godwit_json_string(progress_, "progress", ""));
    if (migration)
        g_string_append_printf(line,
                               ", iteration %" JSON_INTEGER_FORMAT ", %.1f MiB left, %.0f Mbit/s",
                               godwit_json_integer(migration, "pass", 0),
                               (double)godwit_json_integer(migration, "remaining", 0) / (1 << 20),
                               json_number_value(json_object_get(migration, "mbps")));
    g_autofree char *shown = godwit_text_line(line->str);
    struct winsize size;
    if (!ioctl(fileno(reporter->out), TIOCGWINSZ, &size) && size.ws_col > 1 &&
        g_utf8_strlen(shown, -1) >= size.ws_col)
        *g_utf8_offset_to_pointer(shown, size.ws_col - 1) = '\0';
    clear_line(reporter);
    fputs(shown, reporter->out);
    fflush(reporter->out);
    g_string_free(line, TRUE);
}

/* Adds a passed result to the totals. */
static void add_totals(struct godwit_reporter *reporter, const json_t *result_)
{
    static const char *const sums[][2] = {
        {"twin", "bytes"}, {"page-order", "pages"}, {"stamp", "bytes"}};
    for (size_t i = 0; i < G_N_ELEMENTS(sums); i++) {
        const json_int_t sum = godwit_json_integer(reporter->totals, sums[i][0], 0) +
                               godwit_report_judged(result_, sums[i][0], sums[i][1]);
        json_object_set_new(reporter->totals, sums[i][0], json_integer(sum));
    }
}

/* Adds target and scenario of RESULT_ to LIST, once. */
static void add_name(json_t *list, const json_t *result_)
{
    g_autofree char *target = godwit_text_line(godwit_report_target(result_));
    g_autofree char *scenario = godwit_text_line(godwit_json_string(result_, "scenario", ""));
    g_autofree char *name = g_strdup_printf("%s %s", target, scenario);
    size_t i;
    json_t *other;
    json_array_foreach(list, i, other)
    {
        if (!strcmp(json_string_value(other), name))
            return;
    }
    json_array_append_new(list, json_string(name));
}

/* Prints what was seen of known bugs of QEMU. A bug that was met before is only named: the end of
 * the run lists the scenarios that met it. */
static void print_bugs(struct godwit_reporter *reporter, const json_t *result_)
{
    json_t *met = json_object_get(reporter->totals, "known_bugs");
    if (!met) {
        met = json_object();
        json_object_set_new(reporter->totals, "known_bugs", met);
    }
    size_t i;
    json_t *bug;
    json_array_foreach(godwit_report_bugs(result_), i, bug)
    {
        const char *id = godwit_json_string(bug, "id", "");
        json_t *entry = json_object_get(met, id);
        if (!entry) {
            g_autofree char *seen = godwit_text_line(godwit_json_string(bug, "seen", ""));
            g_autofree char *name = godwit_text_line(id);
            fprintf(reporter->out, "      %s: %s\n", name, seen);
            entry = json_copy(bug);
            json_object_set_new(met, id, entry);
        }
        add_name(godwit_json_list(entry, "scenarios"), result_);
    }
    const char *folder = godwit_json_string(result_, "folder", NULL);
    g_autofree char *shown = folder ? godwit_text_line(folder) : NULL;
    if (shown && godwit_result_passed(result_))
        fprintf(reporter->out, "      folder: %s\n", shown);
}

/* Returns whether BUG was printed in this run already. */
static bool met_before(const struct godwit_reporter *reporter, const json_t *bug)
{
    return json_object_get(json_object_get(reporter->totals, "known_bugs"),
                           godwit_json_string(bug, "id", "")) != NULL;
}

static void result(struct godwit_reporter *reporter, const json_t *result_)
{
    const char *status = godwit_json_string(result_, "status", "fail");
    const bool pass = godwit_result_passed(result_), skip = !strcmp(status, "skip");
    const bool known = !strcmp(status, "known"), not_run = godwit_result_is_not_run(result_);
    reporter->number++;
    clear_line(reporter);
    g_autofree char *target = godwit_text_line(godwit_report_target(result_));
    g_autofree char *scenario = godwit_text_line(godwit_json_string(result_, "scenario", ""));
    g_autofree char *detail = pass ? godwit_report_proof(result_)
                              : skip || not_run
                                  ? godwit_text_line(godwit_json_string(result_, "message", ""))
                                  : NULL;
    fprintf(reporter->out, "%s%-5s%s %-*s %-36s %6.2f s%s%s",
            colour(reporter, skip || known ? "\033[33m"
                             : pass        ? "\033[32m"
                                           : "\033[31m"),
            known  ? "known"
            : pass ? "ok"
            : skip ? "skip"
                   : (!strcmp(status, "error") ? "ERROR" : "FAIL"),
            colour(reporter, "\033[0m"), reporter->width, target, scenario,
            json_number_value(json_object_get(result_, "ms")) / 1000, detail ? "  " : "",
            detail ? detail : "");
    if (known) {
        const json_t *bug = json_array_get(godwit_report_bugs(result_), 0);
        g_autofree char *id = godwit_text_line(godwit_json_string(bug, "id", ""));
        if (met_before(reporter, bug))
            fprintf(reporter->out, ", %s again", id);
    }
    fputc('\n', reporter->out);
    if (godwit_report_bugs(result_))
        print_bugs(reporter, result_);
    if (!pass && !skip && !not_run) {
        g_autofree char *brief = godwit_report_brief(result_, "      ");
        fputs(brief, reporter->out);
        add_name(godwit_json_list(reporter->totals, "failures"), result_);
    }
    if (pass)
        add_totals(reporter, result_);
    fflush(reporter->out);
}

/* So many scenarios are named for each known bug. */
#define MOST_NAMES 3

/* Prints in plain words what a run without a failure has found. */
static void print_found(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    const char *id;
    json_t *bug, *met = json_object_get(reporter->totals, "known_bugs");
    bool lost = false;
    if (!summary->known || summary->failed || summary->errors)
        return;
    json_object_foreach(met, id, bug)
    {
        lost |= godwit_json_true(bug, "lost");
    }
    fprintf(reporter->out,
            "found: %zu known bug%s of QEMU, met in %u of %u results, and nothing else; %s\n",
            json_object_size(met), json_object_size(met) == 1 ? "" : "s", summary->known,
            reporter->number,
            lost ? "accepted (--accept-known), although a guest can be lost"
                 : "the guests survived (--strict makes that a failure)");
}

/* Prints each known bug that was met: what it is, and in which scenarios. */
static void print_known(struct godwit_reporter *reporter)
{
    const char *id;
    json_t *bug, *name;
    size_t i;
    json_object_foreach(json_object_get(reporter->totals, "known_bugs"), id, bug)
    {
        const json_t *names = json_object_get(bug, "scenarios");
        const size_t count = json_array_size(names);
        g_autofree char *shown = godwit_text_line(id);
        g_autofree char *summary = godwit_text_line(godwit_json_string(bug, "summary", ""));
        g_autofree char *reference = godwit_text_line(godwit_json_string(bug, "reference", ""));
        fprintf(reporter->out, "known bug of QEMU %s: %s\n  %s; see docs/known-bugs.md\n  met by ",
                shown, summary, reference);
        json_array_foreach(names, i, name)
        {
            if (i < MOST_NAMES)
                fprintf(reporter->out, "%s%s", i ? ", " : "", json_string_value(name));
        }
        if (count > MOST_NAMES)
            fprintf(reporter->out, " and %zu more", count - MOST_NAMES);
        fputc('\n', reporter->out);
    }
}

/* Prints the names of what failed, at the very end. */
static void print_failures(struct godwit_reporter *reporter)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(reporter->totals, "failures"), i, name)
    {
        fprintf(reporter->out, "%s%s%s %s\n", colour(reporter, "\033[31m"),
                "failed:", colour(reporter, "\033[0m"), json_string_value(name));
    }
}

static void end(struct godwit_reporter *reporter, const struct godwit_summary *summary)
{
    clear_line(reporter);
    fprintf(reporter->out, "%s%u passed, %u failed, %u skipped%s",
            colour(reporter, summary->failed + summary->errors ? "\033[31m" : "\033[32m"),
            summary->passed, summary->failed, summary->skipped, colour(reporter, "\033[0m"));
    if (summary->red_known)
        fprintf(reporter->out, ", %u of the failures due to a known bug of QEMU (--accept-known)",
                summary->red_known);
    if (summary->known)
        fprintf(reporter->out, ", %u with a known bug of QEMU", summary->known);
    if (summary->errors > summary->not_run)
        fprintf(reporter->out, ", %u could not be run", summary->errors - summary->not_run);
    if (summary->not_run)
        fprintf(reporter->out, ", %u not run", summary->not_run);
    fprintf(reporter->out, " in %.1f s%s\n", summary->seconds,
            summary->interrupted ? " (interrupted)" : "");
    const json_int_t bytes = godwit_json_integer(reporter->totals, "twin", 0);
    const json_int_t pages = godwit_json_integer(reporter->totals, "page-order", 0);
    if (bytes)
        fprintf(reporter->out,
                "%" JSON_INTEGER_FORMAT
                " bytes of guest RAM compared, source against destination\n",
                bytes);
    if (pages)
        fprintf(reporter->out,
                "%" JSON_INTEGER_FORMAT " pages found in the order that the guest wrote them\n",
                pages);
    const json_int_t stamped = godwit_json_integer(reporter->totals, "stamp", 0);
    if (stamped)
        fprintf(reporter->out,
                "%" JSON_INTEGER_FORMAT " bytes found to be what the guest stamped there\n",
                stamped);
    print_found(reporter, summary);
    print_known(reporter);
    print_failures(reporter);
}

void godwit_report_text(struct godwit_reporter *reporter)
{
    reporter->progress = progress;
    reporter->result = result;
    reporter->end = end;
}
