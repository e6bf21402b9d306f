/*
 * Writes the report of one result, section by section: the verdict, the test, commands to repeat
 * it, wrong pages, timeline, oracles, and the state of each VM.
 *
 * A report quotes QEMU and the guest. tame_copy() cleans the whole result first, and continuation
 * lines are indented, so that no quotation can look like a section of the report.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/bundle.h"

#include "base/file.h"
#include "base/shell.h"
#include "base/text.h"
#include "godwit/guest_abi.h"
#include "report/report.h"
#include <string.h>

/* Characters of a picture on each line. */
#define PICTURE_WIDTH 64

#define INT JSON_INTEGER_FORMAT

static json_int_t integer(const json_t *object, const char *key)
{
    return godwit_json_integer(object, key, 0);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
    return godwit_json_string(object, key, "");
}

/* Returns true for the parts of a result that may have several lines. They are indented wherever
 * they are quoted. */
static bool has_lines(const char *key)
{
    static const char *const keys[] = {"message", "stderr", "console", "qmp", "backtrace", NULL};
    return g_strv_contains(keys, key);
}

/* Returns a copy of VALUE, the member KEY of its parent, in which each string is tame, and is one
 * line unless has_lines() allows several. The caller releases it. */
static json_t *tame_copy(const json_t *value, const char *key)
{
    const char *name;
    json_t *member, *copy;
    size_t i;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        g_autofree char *tame = has_lines(key) ? godwit_text_tame(text) : godwit_text_line(text);
        return json_string(tame);
    }
    if (!json_is_object(value) && !json_is_array(value))
        return json_incref((json_t *)(uintptr_t)value);
    copy = json_is_object(value) ? json_object() : json_array();
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        g_autofree char *tame = godwit_text_line(name);
        json_object_set_new(copy, tame, tame_copy(member, name));
    }
    json_array_foreach(value, i, member)
    {
        json_array_append_new(copy, tame_copy(member, key));
    }
    return copy;
}

static void heading(GString *text, const char *title)
{
    g_string_append_printf(text, "\n%s\n", title);
    for (size_t i = 0; i < strlen(title); i++)
        g_string_append_c(text, '-');
    g_string_append_c(text, '\n');
}

/* Appends LINES, each of them indented. */
static void indented(GString *text, const char *lines)
{
    g_auto(GStrv) each = g_strsplit(lines, "\n", -1);
    for (guint i = 0; each[i]; i++)
        g_string_append_printf(text, "    %s\n", each[i]);
}

/* Returns TEXT with all lines but the first indented. The caller frees it. */
static char *continued(const char *text)
{
    g_auto(GStrv) each = g_strsplit(text, "\n", -1);
    return g_strjoinv("\n    ", each);
}

/* Returns the meaning of a kind of failure, as the end of "It was noticed as ...", or NULL. */
static const char *meaning_of(const char *kind)
{
    static const char *const meanings[][2] = {
        {"timeout", "a timeout"},
        {"crash", "a QEMU that ended unexpectedly"},
        {"qmp", "a QMP command that was refused, or an invalid answer"},
        {"migration", "a migration that did not behave as required"},
        {"oracle", "wrong guest memory or behaviour"},
        {"environment", "a problem of this host or of a file, not of migration"},
        {"lost", "the death of Godwit's own worker process, which left no other information"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++)
        if (!strcmp(meanings[i][0], kind))
            return meanings[i][1];
    return NULL;
}

/* Appends the sentence that names what noticed the failure. */
static void write_finder(GString *text, const json_t *result)
{
    const json_t *finder = json_object_get(json_object_get(result, "measurements"), "found_by");
    const char *kind = string(result, "kind"), *phase = string(result, "phase");
    if (!strcmp(kind, "oracle") && finder) {
        g_string_append_printf(text, "The oracle \"%s\" found it", string(finder, "oracle"));
        if (*string(finder, "vm"))
            g_string_append_printf(text, " on the %s", string(finder, "vm"));
    } else {
        /* Only a failure by a known bug has no kind. */
        const char *meaning = meaning_of(kind);
        g_string_append_printf(text, "It was noticed as %s",
                               meaning ? meaning : "a known bug of QEMU");
    }
    if (*phase)
        g_string_append_printf(text, ", in phase \"%s\"", phase);
    g_string_append_printf(text, "; source QEMU %s, destination QEMU %s.\n",
                           string(result, "source_version"), string(result, "destination_version"));
}

/* Appends the injected fault, if there was one, and its outcome. */
static void write_fault(GString *text, const json_t *result)
{
    g_autofree char *fault = godwit_report_fault(result);
    if (!fault)
        return;
    g_autofree char *line = godwit_text_line(fault);
    g_string_append_printf(text, "A fault was injected on purpose: %s.\n", line);
}

static void write_verdict(GString *text, const json_t *result)
{
    const char *status = string(result, "status");
    const json_t *bugs = godwit_report_bugs(result);
    g_autofree char *message = continued(string(result, "message"));
    size_t i;
    json_t *bug;
    if (!strcmp(status, "known")) {
        json_array_foreach(bugs, i, bug)
        {
            g_string_append_printf(text, "%s met the known QEMU bug %s, %s: %s.\n",
                                   string(result, "scenario"), string(bug, "id"),
                                   string(bug, "summary"), string(bug, "seen"));
        }
        g_string_append_printf(text,
                               "Everything else holds, so this is not a failure; source QEMU %s, "
                               "destination QEMU %s.\n",
                               string(result, "source_version"),
                               string(result, "destination_version"));
    } else if (!strcmp(status, "skip")) {
        g_string_append_printf(
            text, "%s was skipped: it %s.\nSource QEMU %s, destination QEMU %s.\n",
            string(result, "scenario"), message, string(result, "source_version"),
            string(result, "destination_version"));
    } else if (!strcmp(status, "pass")) {
        g_autofree char *proof = godwit_report_proof(result);
        g_string_append_printf(text, "%s passed: %s.\nSource QEMU %s, destination QEMU %s.\n",
                               string(result, "scenario"), proof, string(result, "source_version"),
                               string(result, "destination_version"));
    } else {
        g_string_append_printf(text, "%s %s: %s.\n", string(result, "scenario"),
                               !strcmp(status, "error") ? "could not be run" : "failed", message);
        write_finder(text, result);
    }
}

static void write_scenario(GString *text, const json_t *result)
{
    const json_t *guest = json_object_get(result, "guest");
    heading(text, "What was done");
    g_string_append_printf(text, "%s: %s.\n", string(result, "scenario"),
                           *string(result, "summary") ? string(result, "summary")
                                                      : "one migration, composed from options");
    const char *board = string(result, "board");
    g_string_append_printf(text, "%s, machine %s, accelerator %s, ", string(result, "arch"),
                           *board ? board : string(result, "machine"), string(result, "accel"));
    if (guest)
        g_string_append_printf(text, "guest image %s; ", string(result, "image"));
    else
        g_string_append(text, "no guest; ");
    g_string_append_printf(text, "Godwit %s.\n", string(result, "kit"));
    if (!guest)
        return;
    g_string_append(text, "\nThe guest is a small program without an operating system. ");
    g_string_append_printf(
        text,
        integer(guest, "flags") & GODWIT_FLAG_STAMP
            ? "It fills the\n%" INT "-byte pages from 0x%" G_GINT64_MODIFIER
              "x to 0x%" G_GINT64_MODIFIER
              "x, one after another, over and over;\none run over all of them is a pass. Each word "
              "of a page is a known function of page,\nword, pass and seed "
              "(include/godwit/stamp.h), so that the origin of each can be determined."
            : "It adds one (modulo 256) to\nthe first byte of each %" INT
              "-byte page from 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
              "x, upwards, over and over; one\nrun over all of them is a pass. At any instant, "
              "therefore, all those bytes%s are equal, or\ndrop by one in a single place, where "
              "the "
              "guest is.",
        integer(guest, "page_size"), (gint64)integer(guest, "window_start"),
        (gint64)integer(guest, "window_end"),
        integer(guest, "flags") & GODWIT_FLAG_STAGGER
            ? ", less what\neach page started with (include/godwit/page_order.h),"
            : "");
    g_string_append_printf(
        text,
        "%s It also keeps an\naccount, the mailbox, at 0x%" G_GINT64_MODIFIER
        "x: passes, position (the page it writes next) and a timer.\n",
        integer(guest, "cpus") > 1 ? " (Each of its CPUs has its own stripe\nof the pages.)" : "",
        (gint64)integer(guest, "mailbox"));
    if (integer(guest, "flags") & GODWIT_FLAG_VERIFY)
        g_string_append(text,
                        "It checks each page before it writes it, and halts if it is wrong.\n");
}

/* Appends "cd FOLDER/work", quoted for the shell. */
static void append_folder(GString *text, const char *folder)
{
    g_autofree char *work = g_build_filename(folder, "work", NULL);
    g_autofree char *word = godwit_shell_word(work);
    g_string_append_printf(text, "    cd %s\n", word);
}

static void write_commands(GString *text, const json_t *result)
{
    heading(text, "To run it again");
    g_autofree char *again = godwit_report_again(result);
    indented(text, again);
    heading(text, "The QEMUs by hand");
    g_string_append(text, "Console on the terminal, QMP on a socket. The transcripts have the QMP "
                          "commands that were sent.\n");
    if (*string(result, "folder"))
        append_folder(text, string(result, "folder"));
    size_t i;
    json_t *vm;
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        const char *tpm = string(vm, "tpm");
        g_string_append_printf(text, "%s:\n", string(vm, "name"));
        if (*tpm)
            g_string_append_printf(text, "    %s &\n", tpm);
        g_string_append_printf(text, "    %s\n", string(vm, "command"));
    }
}

static void write_timeline(GString *text, const json_t *result)
{
    size_t i;
    json_t *moment, *phase;
    if (json_array_size(json_object_get(result, "timeline"))) {
        heading(text, "What happened");
        g_string_append(text, "Seconds since the start; events as the QEMUs reported them.\n");
        json_array_foreach(json_object_get(result, "timeline"), i, moment)
        {
            g_string_append_printf(text, "%10.6f  %-12s %s\n", number(moment, "at"),
                                   string(moment, "vm"), string(moment, "what"));
        }
    }
    if (json_array_size(json_object_get(result, "phases"))) {
        heading(text, "Completed phases");
        json_array_foreach(json_object_get(result, "phases"), i, phase)
        {
            g_string_append_printf(text, "%10.1f ms  %s\n", number(phase, "ms"),
                                   string(phase, "name"));
        }
    }
}

static void write_oracles(GString *text, const json_t *result)
{
    const json_t *measurements = json_object_get(result, "measurements");
    size_t i;
    json_t *oracle, *value;
    if (json_array_size(json_object_get(result, "oracles"))) {
        heading(text, "Oracles that judged");
        json_array_foreach(json_object_get(result, "oracles"), i, oracle)
        {
            g_string_append_printf(text, "%-12s", string(oracle, "name"));
            const char *key, *comma = "";
            json_object_foreach(oracle, key, value)
            {
                if (json_is_integer(value)) {
                    g_string_append_printf(text, "%s %" INT " %s", comma, json_integer_value(value),
                                           key);
                    comma = ",";
                }
            }
            g_string_append_c(text, '\n');
        }
    }
    json_array_foreach(json_object_get(measurements, "not_compared"), i, value)
    {
        if (json_is_string(value))
            g_string_append_printf(text, "not compared: %s\n", json_string_value(value));
    }
    if (json_object_get(measurements, "blackout_ms")) {
        const json_t *migration = json_object_get(measurements, "migration");
        g_string_append_printf(text, "The guest made no progress for %.1f ms, to within %.1f ms; ",
                               number(measurements, "blackout_ms"),
                               number(measurements, "blackout_resolution_ms"));
        if (json_object_get(migration, "downtime_unknown"))
            g_string_append_printf(text, "its downtime by QEMU is unknown (%s).\n",
                                   string(migration, "downtime_unknown"));
        else
            g_string_append_printf(text, "QEMU reports a downtime of %" INT " ms.\n",
                                   integer(migration, "downtime"));
    }
}

/* Appends the picture. Each line begins with the address of its first page. */
static void write_picture(GString *text, const json_t *map, const json_t *guest)
{
    const char *picture = string(map, "picture");
    const json_int_t row = PICTURE_WIDTH * integer(map, "step") * integer(map, "page_size");
    json_int_t address = integer(guest, "window_start");
    for (size_t done = 0; done < strlen(picture); done += PICTURE_WIDTH, address += row)
        g_string_append_printf(text, "    0x%010" G_GINT64_MODIFIER "x  %.*s\n", (gint64)address,
                               PICTURE_WIDTH, picture + done);
}

/* Appends a wrong page, or a run of them. */
static void write_bad(GString *text, const json_t *bad, json_int_t page_size)
{
    const json_int_t count = integer(bad, "count");
    g_string_append_printf(text, "    %s+0x%" G_GINT64_MODIFIER "x", string(bad, "block"),
                           (gint64)integer(bad, "offset"));
    if (count > 1)
        g_string_append_printf(text, " to +0x%" G_GINT64_MODIFIER "x",
                               (gint64)(integer(bad, "offset") + (count - 1) * page_size));
    if (json_object_get(bad, "page") && count > 1)
        g_string_append_printf(text, ", pages %" INT " to %" INT, integer(bad, "page"),
                               integer(bad, "page") + count - 1);
    else if (json_object_get(bad, "page"))
        g_string_append_printf(text, ", page %" INT, integer(bad, "page"));
    if (json_object_get(bad, "page"))
        g_string_append_printf(text, ", from 0x%" G_GINT64_MODIFIER "x",
                               (gint64)integer(bad, "address"));
    if (*string(bad, "use"))
        g_string_append_printf(text, ", %s", string(bad, "use"));
    g_string_append_printf(text, ": %s\n", string(bad, "text"));
}

static void write_map(GString *text, const json_t *map, const json_t *guest)
{
    const char *key;
    json_t *value, *bad;
    size_t i;
    g_string_append_printf(
        text, "Memory of the %s, against %s: %" INT " pages of %" INT " bytes are wrong:",
        string(map, "vm"),
        !strcmp(string(map, "against"), "mailbox") ? "what the guest's mailbox accounts for"
                                                   : "that of the source",
        integer(map, "bad"), integer(map, "page_size"));
    json_object_foreach(json_object_get(map, "kinds"), key, value)
    {
        g_string_append_printf(text, " %" INT " %s", json_integer_value(value), key);
    }
    g_string_append_printf(
        text,
        ".\nThe pages that the guest writes, %" INT " of them, %" INT
        " to a character (. right, s stale,\n0 zero, m misplaced, t torn, f foreign, * of several "
        "kinds):\n\n",
        integer(map, "pages"), integer(map, "step"));
    write_picture(text, map, guest);
    g_string_append_c(text, '\n');
    json_array_foreach(json_object_get(map, "list"), i, bad)
    {
        write_bad(text, bad, integer(map, "page_size"));
    }
    if (integer(map, "listed") < integer(map, "bad"))
        g_string_append_printf(text, "    and %" INT " more\n",
                               integer(map, "bad") - integer(map, "listed"));
}

static void write_pages(GString *text, const json_t *result)
{
    size_t i;
    json_t *map;
    const json_t *maps = json_object_get(json_object_get(result, "measurements"), "pages");
    if (json_array_size(maps))
        heading(text, "Pages");
    json_array_foreach(maps, i, map)
    {
        if (i)
            g_string_append_c(text, '\n');
        write_map(text, map, json_object_get(result, "guest"));
    }
}

static void write_mailboxes(GString *text, const json_t *vm)
{
    static const char *const states[] = {
        "?", "running", "suspended", "fault", "fault of a register", "fault of the timer"};
    size_t i;
    json_t *mailbox;
    json_array_foreach(json_object_get(vm, "mailboxes"), i, mailbox)
    {
        const json_int_t state = integer(mailbox, "state");
        g_string_append_printf(
            text,
            "mailbox of CPU %zu: passes %" INT ", position 0x%" G_GINT64_MODIFIER "x, timer %" INT
            ", state %s%s\n",
            i, integer(mailbox, "passes"), (gint64)integer(mailbox, "position"),
            integer(mailbox, "timer"),
            state > 0 && state < (json_int_t)G_N_ELEMENTS(states) ? states[state] : states[0],
            integer(mailbox, "magic") == GODWIT_MAILBOX_MAGIC ? "" : " (no mailbox: wrong magic)");
        if (json_object_get(mailbox, "fault"))
            g_string_append_printf(text, "  it found %s\n",
                                   string(json_object_get(mailbox, "fault"), "text"));
    }
}

static void write_vm(GString *text, const json_t *vm)
{
    static const char *const parts[][2] = {{"stderr", "the end of its standard error"},
                                           {"console", "the end of its console"},
                                           {"qmp", "the end of its QMP transcript"},
                                           {"backtrace", "backtrace"}};
    g_autofree char *title = g_strdup_printf("The %s", string(vm, "name"));
    heading(text, title);
    g_string_append_printf(text, "%s, version %s%s%s%s, %s.\n", string(vm, "qemu"),
                           string(vm, "version"), *string(vm, "package") ? " (" : "",
                           string(vm, "package"), *string(vm, "package") ? ")" : "",
                           string(vm, "state"));
    if (json_object_get(vm, "began"))
        g_string_append_printf(text,
                               "Times in its QMP transcript count from %.6f s after the start.\n",
                               number(vm, "began"));
    write_mailboxes(text, vm);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (!*string(vm, parts[i][0]))
            continue;
        g_string_append_printf(text, "%s:\n", parts[i][1]);
        indented(text, string(vm, parts[i][0]));
    }
}

char *godwit_report_bundle(const json_t *raw)
{
    g_autoptr(json_t) result = tame_copy(raw, "");
    GString *text = g_string_new(NULL);
    size_t i;
    json_t *vm;
    write_verdict(text, result);
    write_fault(text, result);
    write_scenario(text, result);
    write_commands(text, result);
    write_pages(text, result);
    write_timeline(text, result);
    write_oracles(text, result);
    json_array_foreach(json_object_get(result, "vms"), i, vm)
    {
        write_vm(text, vm);
    }
    heading(text, "Files");
    g_string_append(text,
                    "In this folder, where VM is source, destination and so on:\n"
                    "    VM.qmp       the QMP transcript, with times in seconds\n"
                    "    VM.serial    everything that the guest wrote to its console\n"
                    "    VM.stderr    everything that QEMU wrote to standard error\n"
                    "    result.json  the result, with all measurements\n"
                    "    job.json     the job: the scenario and its settings\n"
                    "    worker.log   the output of the process that ran this scenario\n"
                    "In its folder work, the QEMUs' working directory:\n"
                    "    VM.image     the guest image that was started\n"
                    "    core*        the core of a QEMU that crashed, if the host allows it\n"
                    "    the others   used by the migration: sockets, files, keys\n");
    return g_string_free(text, FALSE);
}
