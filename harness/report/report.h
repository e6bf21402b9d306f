/*
 * Reporters: each turns what a run observes into one format, on one stream.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_REPORT_H
#define GODWIT_HARNESS_REPORT_REPORT_H

#include "run/result.h"
#include "run/run.h"
#include <stdio.h>

/* The formats, for help texts and messages. */
#define GODWIT_REPORT_FORMATS "tap, junit, json, html, csv, ctrf, tmt, github or markdown"

/* Version of the format json. Increases when a member disappears or changes its meaning, but not
 * when one is added: see docs/results.md. */
#define GODWIT_RESULTS_FORMAT 1

struct godwit_reporter {
    struct godwit_observer observer; /* hand this to the run; it calls the functions below */
    /* The format's functions; each may be NULL. */
    void (*begin)(struct godwit_reporter *reporter, unsigned planned);
    void (*progress)(struct godwit_reporter *reporter, const struct godwit_job *job,
                     const json_t *progress);
    void (*result)(struct godwit_reporter *reporter, const json_t *result);
    void (*end)(struct godwit_reporter *reporter, const struct godwit_summary *summary);
    FILE *out;  /* the output ... */
    char *path; /* ... and its name; NULL: standard output; owned */
    bool live;  /* the output is a terminal: progress may be redrawn */
    bool colours;
    unsigned number; /* results so far */
    unsigned points; /* TAP: test points so far */
    unsigned planned;
    int width;         /* text: width of the column with the target */
    json_t *totals;    /* text: sums over the passed results; owned */
    json_t *results;   /* formats that are written at the end: all results; owned */
    bool wants_about;  /* the format prints what is tested ... */
    json_t *about;     /* ... which the command sets: see godwit_about(); owned, may be NULL */
    json_t *selection; /* json: what was selected, see godwit_selection_end(); owned, may be NULL */
};

/*
 * Returns a reporter for FORMAT, an argument of --format: the name of a format, or that with
 * ":FILE" to write to a file instead of standard output. Release it with godwit_reporter_close() or
 * godwit_reporter_discard(). Fails with USAGE if the name is unknown, and with ENVIRONMENT if the
 * file cannot be opened.
 */
struct godwit_reporter *godwit_reporter_new(const char *format, GError **error);

/* Closes and frees the reporter. Fails with ENVIRONMENT if its output could not be written. */
bool godwit_reporter_close(struct godwit_reporter *reporter, GError **error);

/* Frees the reporter without a report, and removes its file. */
void godwit_reporter_discard(struct godwit_reporter *reporter);

/* Returns a reporter for each of FORMATS, as godwit_reporter_new() does. The caller closes or
 * discards them and unreferences the array. Fails also, with USAGE, if two go to standard
 * output. */
GPtrArray *godwit_reporters_open(char *const *formats, GError **error);

/* Closes and frees the reporters. Fails with ENVIRONMENT if an output could not be written. */
bool godwit_reporters_close(GPtrArray *reporters, GError **error);

/* Frees the reporters without a report, and removes their files. */
void godwit_reporters_discard(GPtrArray *reporters);

/* Set the functions of each format. Only godwit_reporter_new() calls these. */
void godwit_report_text(struct godwit_reporter *reporter);
void godwit_report_tap(struct godwit_reporter *reporter);
void godwit_report_junit(struct godwit_reporter *reporter);
void godwit_report_json(struct godwit_reporter *reporter);
void godwit_report_html(struct godwit_reporter *reporter);
void godwit_report_csv(struct godwit_reporter *reporter);
void godwit_report_ctrf(struct godwit_reporter *reporter);
void godwit_report_tmt(struct godwit_reporter *reporter);
void godwit_report_github(struct godwit_reporter *reporter);
void godwit_report_markdown(struct godwit_reporter *reporter);

/* Keeps RESULT in the reporter's list, for a format that is written at the end. */
void godwit_report_collect(struct godwit_reporter *reporter, const json_t *result);

/* Returns the names of the formats, ended by NULL. The caller frees the array, not the names. */
const char **godwit_report_formats(void);

/* Returns TEXT as content of XML 1.0 or HTML: tame, with reserved characters escaped. The caller
 * frees it. */
char *godwit_report_xml(const char *text);

/* Returns TEXT as the value of an XML attribute: tame, on one line, with reserved characters
 * escaped. The caller frees it. */
char *godwit_report_xml_line(const char *text);

/* Returns the bug report of a result that has not passed, with a paragraph for each VM. Each line
 * begins with INDENT. The caller frees it. */
char *godwit_report_details(const json_t *result, const char *indent);

/* Adds LABEL and LINES, tame, to TEXT: a line each, begun with INDENT. Adds nothing if LINES is
 * NULL or empty. */
void godwit_report_add_lines(GString *text, const char *indent, const char *label,
                             const char *lines);

/* Returns a short bug report for a terminal, with the path of report.txt for the rest. Each line
 * begins with INDENT. The caller frees it. */
char *godwit_report_brief(const json_t *result, const char *indent);

/* Returns the command line that runs the scenario of RESULT again, with the path of this program.
 * The caller frees it. */
char *godwit_report_again(const json_t *result);

/* Returns the word for a result's status in tables: "ok", "known", "skip", "ERROR" or "FAIL".
 * Static. */
const char *godwit_report_word(const json_t *result);

/* Returns the name of the result's target: "x86_64", "x86_64 7.2.22 to 10.0.13". Borrowed. */
const char *godwit_report_target(const json_t *result);

/* Returns one line about what a passed result proved, in bytes and milliseconds. The caller frees
 * it. */
char *godwit_report_proof(const json_t *result);

/* Returns the known bugs that the result met, an array, or NULL if there are none. Borrowed. */
json_t *godwit_report_bugs(const json_t *result);

/* Returns how much the oracle of that name has compared, in UNIT ("bytes"), or 0 if it has not
 * judged. */
json_int_t godwit_report_judged(const json_t *result, const char *oracle, const char *unit);

/* Returns the name of the injected fault, what it did, and what found it, or that nothing did.
 * Returns NULL if no fault was requested. The caller frees it. */
char *godwit_report_fault(const json_t *result);

/* Returns the known bugs that a result has met, three or four lines each, or "" if there are none.
 * Each line begins with INDENT. The caller frees it. */
char *godwit_report_known(const json_t *result, const char *indent);

#endif
