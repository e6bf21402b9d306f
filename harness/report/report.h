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

struct godwit_reporter {
    struct godwit_observer observer; /* hand this to the run; it calls the functions below */
    /* What the format does; each may be NULL. */
    void (*begin)(struct godwit_reporter *reporter, unsigned planned);
    void (*progress)(struct godwit_reporter *reporter, const struct godwit_job *job,
                     const json_t *progress);
    void (*result)(struct godwit_reporter *reporter, const json_t *result);
    void (*end)(struct godwit_reporter *reporter, const struct godwit_summary *summary);
    FILE *out;  /* where it goes ... */
    char *path; /* ... and its name, NULL for standard output; owned */
    bool live;  /* a terminal: progress may be redrawn */
    bool colours;
    unsigned number; /* results so far */
    unsigned points; /* for TAP: numbers given so far */
    unsigned planned;
    int width;        /* of the column for what a scenario runs on, for text */
    json_t *totals;   /* for text: sums over what passed; owned */
    json_t *results;  /* for formats that are written at the end; owned */
    bool wants_about; /* the format prints what is tested ... */
    json_t *about;    /* ... which the command sets: see godwit_about(); owned, may be NULL */
};

/*
 * A reporter as --format names it: "text", "tap", "junit", "json" or "html", with ":FILE" to write
 * to a file instead of standard output. USAGE error for another name, ENVIRONMENT error if the file
 * cannot be written.
 */
struct godwit_reporter *godwit_reporter_new(const char *format, GError **error);

/* Closes and frees it. False with ERROR set if what it wrote did not reach the file. */
bool godwit_reporter_close(struct godwit_reporter *reporter, GError **error);

/* Frees it without a report: a file that it was to be written to is removed. */
void godwit_reporter_discard(struct godwit_reporter *reporter);

/* The formats' own parts. */
void godwit_report_text(struct godwit_reporter *reporter);
void godwit_report_tap(struct godwit_reporter *reporter);
void godwit_report_junit(struct godwit_reporter *reporter);
void godwit_report_json(struct godwit_reporter *reporter);
void godwit_report_html(struct godwit_reporter *reporter);

/* TEXT as content of XML 1.0 or HTML: tame, and what they reserve escaped. The caller frees it. */
char *godwit_report_xml(const char *text);

/* Does the same for an attribute's value: one line. */
char *godwit_report_xml_line(const char *text);

/* The bug report of a result that is no pass, one paragraph a VM, each line begun with INDENT; the
 * caller's. */
char *godwit_report_details(const json_t *result, const char *indent);

/* Returns the same for a terminal: on one screen, with the path of report.txt in place of what that
 * has. The caller frees it. */
char *godwit_report_brief(const json_t *result, const char *indent);

/* Returns the command line that runs the scenario of RESULT again, with the path of this program.
 * The caller frees it. */
char *godwit_report_again(const json_t *result);

/* What the result's scenario ran on: "x86_64", "x86_64 7.2.22 to 10.0.13". Borrowed. */
const char *godwit_report_target(const json_t *result);

/* One line that says what a passed result proved, in bytes and milliseconds; the caller's. */
char *godwit_report_proof(const json_t *result);

/* The known bugs that were met, an array; NULL if there were none. Borrowed. */
json_t *godwit_report_bugs(const json_t *result);

/* How much of UNIT ("bytes") the oracle of that name has compared; 0 if it has not judged. */
json_int_t godwit_report_judged(const json_t *result, const char *oracle, const char *unit);

/* Names the fault that was injected, says what it did and what became of it: who found it, or that
 * nobody did. NULL if none was asked for. The caller frees it. */
char *godwit_report_fault(const json_t *result);

/* The known bugs of QEMU that a result has met, three lines each, begun with INDENT; "" if there
 * are none. The caller's. */
char *godwit_report_known(const json_t *result, const char *indent);

#endif
