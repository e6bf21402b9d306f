/*
 * Makes the script from the transcripts. They are merged by time, and each line becomes a step:
 *
 *   > COMMAND   is sent, and its answer awaited, if it changes anything
 *   < EVENT     is awaited, because Godwit sent what follows only after it
 *   ! SIGNAL    is sent to the process
 *
 * Addresses may need a change. Where Godwit's relay stood between the QEMUs, the source takes the
 * address on which the destination listens. Where the destination chose a TCP port, it takes the
 * port that the source connected to.
 *
 * A transcript quotes QEMU, so each word of it goes through godwit_shell_word().
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/replay.h"

#include "base/file.h"
#include "base/shell.h"
#include <stdint.h>
#include <string.h>

/* The most of a transcript that is read, in bytes: as much as is written. */
#define TRANSCRIPT_MAX ((size_t)64 << 20)

/* A line of a transcript. */
struct step {
    double at;      /* seconds since the start of the run */
    char direction; /* '>', '<' or '!' */
    const json_t *vm;
    json_t *message; /* NULL if direction is '!' */
    char *note;      /* what was done, if direction is '!' */
    unsigned order;  /* of steps at the same time */
};

/* What the steps have shown so far. */
struct progress {
    GString *text;
    GHashTable *seen;     /* "VM event status" -> how often it came; "VM" if it had to quit */
    const json_t *source; /* the last VM that was told to migrate ... */
    bool compared;        /* ... and whether its memory was compared */
    bool resumed;         /* the guest runs on the other side */
};

static void step_free(gpointer data)
{
    struct step *step = data;
    json_decref(step->message);
    g_free(step->note);
    g_free(step);
}

static const char *name_of(const json_t *vm)
{
    return godwit_json_string(vm, "name", "");
}

static const char *command_of(const struct step *step)
{
    const char *name = godwit_json_string(step->message, "execute", "");
    if (step->direction != '>')
        return "";
    return *name ? name : godwit_json_string(step->message, "exec-oob", "");
}

static json_t *arguments_of(const struct step *step)
{
    return json_object_get(step->message, "arguments");
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    const struct step *one = *(const struct step *const *)a,
                      *other = *(const struct step *const *)b;
    return one->at < other->at ? -1 : one->at > other->at ? 1 : one->order < other->order ? -1 : 1;
}

/* Adds the steps of a VM, which began at its "began". Returns false if it has no transcript. */
static bool add_steps(GPtrArray *steps, const char *folder, const json_t *vm)
{
    g_autofree char *base = g_strconcat(name_of(vm), ".qmp", NULL);
    g_autofree char *path = g_build_filename(folder, base, NULL);
    size_t length;
    g_autofree char *text = godwit_file_read(path, TRANSCRIPT_MAX, &length, NULL);
    if (!text)
        return false;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        char *rest;
        const double at = g_ascii_strtod(lines[i], &rest);
        if (rest == lines[i] || rest[0] != ' ' || !strchr("><!", rest[1]) || rest[2] != ' ')
            continue;
        struct step *step = g_new0(struct step, 1);
        *step = (struct step){.at = json_number_value(json_object_get(vm, "began")) + at,
                              .direction = rest[1],
                              .vm = vm,
                              .order = steps->len};
        if (step->direction == '!')
            step->note = g_strdup(rest + 3);
        else
            step->message = json_loads(rest + 3, 0, NULL);
        g_ptr_array_add(steps, step);
    }
    return true;
}

/* Returns the signal's name without "SIG" if the note is about one, or NULL. */
static const char *signal_of(const char *note)
{
    static const char *const signals[] = {"KILL", "STOP", "CONT"};
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        if (g_str_has_prefix(note, "SIG") && !strcmp(note + 3, signals[i]))
            return signals[i];
    return NULL;
}

static bool is_command(const struct step *step, const char *command)
{
    return !strcmp(command_of(step), command);
}

/* Returns whether the command makes a QEMU wait for a migration at an address. */
static bool listens(const struct step *step)
{
    return is_command(step, "migrate-incoming") || is_command(step, "migrate-recover");
}

/* Returns whether the address, any JSON that has one, is that of a file or a command. */
static bool is_local(const json_t *arguments)
{
    g_autofree char *text = json_dumps(arguments, JSON_COMPACT);
    return text &&
           (strstr(text, "\"file:") || strstr(text, "\"exec:") ||
            strstr(text, "\"transport\":\"file\"") || strstr(text, "\"transport\":\"exec\""));
}

/* Returns why no script can repeat these steps, or NULL. The caller frees it. */
static char *why_not(const json_t *result, const GPtrArray *steps)
{
    bool sent = false, received = false, local = false;
    if (json_object_get(json_object_get(result, "measurements"), "fault"))
        return g_strdup("it takes Godwit to inject the fault");
    for (guint i = 0; i < steps->len; i++) {
        const struct step *step = g_ptr_array_index(steps, i);
        if (step->note && !signal_of(step->note))
            return g_strdup(step->note);
        if (is_command(step, "migrate")) {
            sent = true;
            local = local || is_local(arguments_of(step));
        }
        received = received || listens(step);
    }
    const json_t *vms = json_object_get(result, "vms");
    for (size_t i = 0; i < json_array_size(vms); i++)
        received = received ||
                   strstr(godwit_json_string(json_array_get(vms, i), "replay", ""), " -incoming ");
    if (!sent)
        return g_strdup("no QEMU was told to migrate");
    if (!received && !local)
        return g_strdup("Godwit itself was the destination");
    return NULL;
}

/* The addresses. */

/* Returns the first address in VALUE, a URI or the port or path of an address object, whose text
 * begins with or is of the kind that PICK accepts; NULL if there is none. Borrowed. */
static json_t *find_address(json_t *value, const char *key, const char *member)
{
    const char *name;
    json_t *inner;
    size_t i;
    if (json_is_string(value) && member && (!strcmp(member, key) || !strcmp(member, "uri")))
        return value;
    json_object_foreach(value, name, inner)
    {
        json_t *found = find_address(inner, key, name);
        if (found)
            return found;
    }
    json_array_foreach(value, i, inner)
    {
        json_t *found = find_address(inner, key, member);
        if (found)
            return found;
    }
    return NULL;
}

/* Returns the text behind the last colon of a TCP URI, or the whole of a port number. */
static const char *port_in(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon ? colon + 1 : text;
}

/* Makes both sides of a migration speak to each other: INCOMING and OUTGOING are the arguments of
 * migrate-incoming (or migrate-recover) and of migrate. */
static void join(json_t *incoming, json_t *outgoing)
{
    json_t *there = find_address(incoming, "port", NULL),
           *here = find_address(outgoing, "port", NULL);
    if (there && here && !strcmp(port_in(json_string_value(there)), "0")) {
        const char *text = json_string_value(there);
        g_autofree char *joined = g_strdup_printf("%.*s%s", (int)(port_in(text) - text), text,
                                                  port_in(json_string_value(here)));
        json_string_set(there, joined);
    }
    there = find_address(incoming, "path", NULL);
    here = find_address(outgoing, "path", NULL);
    const bool both_unix = there && here &&
                           g_str_has_prefix(json_string_value(there), "unix:") ==
                               g_str_has_prefix(json_string_value(here), "unix:") &&
                           !g_str_has_prefix(json_string_value(there), "tcp:") &&
                           !g_str_has_prefix(json_string_value(there), "file:") &&
                           !g_str_has_prefix(json_string_value(there), "exec:");
    if (both_unix)
        json_string_set(here, json_string_value(there));
}

/* Joins each `migrate` with the latest address that a QEMU listened on, or else with the next. */
static void join_all(const GPtrArray *steps)
{
    json_t *incoming = NULL, *waiting = NULL;
    for (guint i = 0; i < steps->len; i++) {
        const struct step *step = g_ptr_array_index(steps, i);
        if (listens(step)) {
            incoming = arguments_of(step);
            if (waiting)
                join(incoming, waiting);
            waiting = NULL;
        } else if (is_command(step, "migrate")) {
            if (incoming)
                join(incoming, arguments_of(step));
            else
                waiting = arguments_of(step);
        }
    }
}

/* The script. */

/* What every script begins with: replay_head.sh, as a string. */
static const char head[] =
#include "replay_head.inc"
    ;

/* Returns whether the command only asks, or is one that the script replaces. */
static bool is_left_out(const struct step *step)
{
    const char *command = command_of(step);
    const char *line = godwit_json_string(arguments_of(step), "command-line", "");
    return !*command || g_str_has_prefix(command, "query-") || !strcmp(command, "quit") ||
           !strcmp(command, "pmemsave") || g_str_has_prefix(command, "qom-list") ||
           (!strcmp(command, "human-monitor-command") &&
            (g_str_has_prefix(line, "info ") || g_str_has_prefix(line, "gpa2hva ")));
}

static void write_words(GString *text, const char *function, const struct step *step,
                        const char *const *words)
{
    g_string_append_printf(text, "%s %s", function, name_of(step->vm));
    for (; *words; words++)
        godwit_shell_append(text, *words);
    g_string_append_c(text, '\n');
}

/* Appends the comparison of the window in the source and in VM, which both hold it still. */
static void write_comparison(struct progress *progress, const json_t *result, const json_t *vm)
{
    const json_t *guest = json_object_get(result, "guest");
    const json_int_t start = godwit_json_integer(guest, "window_start", 0);
    const json_int_t end = godwit_json_integer(guest, "window_end", 0);
    if (progress->compared || progress->resumed || !progress->source || progress->source == vm ||
        end <= start)
        return;
    g_string_append_printf(progress->text,
                           "compare %s %s %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT "\n",
                           name_of(progress->source), name_of(vm), start, end - start);
    progress->compared = true;
}

static void write_event(struct progress *progress, const struct step *step)
{
    const char *event = godwit_json_string(step->message, "event", "");
    const json_t *data = json_object_get(step->message, "data");
    const char *status = godwit_json_string(data, "status", "");
    g_autofree char *pass = NULL;
    if (!strcmp(event, "MIGRATION_PASS")) {
        pass = g_strdup_printf("\"pass\": %" JSON_INTEGER_FORMAT "}",
                               godwit_json_integer(data, "pass", 0));
        status = pass;
    }
    if (!strcmp(event, "RESUME") && progress->source && progress->source != step->vm)
        progress->resumed = true;
    g_autofree char *key = g_strdup_printf("%s %s %s", name_of(step->vm), event, status);
    const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(progress->seen, key)) + 1;
    g_hash_table_insert(progress->seen, g_strdup(key), GUINT_TO_POINTER(count));
    g_autofree char *times = g_strdup_printf("%u", count);
    write_words(progress->text, "event", step, (const char *const[]){times, event, status, NULL});
}

static void write_command(struct progress *progress, const json_t *result, const struct step *step)
{
    const char *command = command_of(step);
    g_autofree char *text = json_dumps(step->message, JSON_COMPACT);
    g_autofree char *id = json_dumps(json_object_get(step->message, "id"), JSON_ENCODE_ANY);
    if (!strcmp(command, "migrate")) {
        /* The guest of a migration that goes on after an interruption has moved already. */
        if (!json_is_true(json_object_get(arguments_of(step), "resume")))
            progress->compared = progress->resumed = false;
        progress->source = step->vm;
        if (strchr(godwit_json_string(step->vm, "console", ""), 'B'))
            g_string_append_printf(progress->text, "console %s B\n", name_of(step->vm));
    } else if (!strcmp(command, "cont") && progress->source) {
        write_comparison(progress, result, step->vm);
        progress->resumed = true;
    } else if (!strcmp(command, "migrate-start-postcopy")) {
        progress->resumed = true;
    }
    write_words(progress->text, "send", step, (const char *const[]){id, text, NULL});
}

static void write_step(struct progress *progress, const json_t *result, const struct step *step)
{
    /* What comes after `quit` is only how the run was cleared away. */
    if (is_command(step, "quit"))
        g_hash_table_add(progress->seen, g_strdup(name_of(step->vm)));
    if (g_hash_table_contains(progress->seen, name_of(step->vm)))
        return;
    if (step->direction == '!')
        write_words(progress->text, "signal", step,
                    (const char *const[]){signal_of(step->note), NULL});
    else if (*godwit_json_string(step->message, "event", ""))
        write_event(progress, step);
    else if (!is_left_out(step))
        write_command(progress, result, step);
}

/* Returns the VMs that take part in a migration. Others were only asked questions. The caller frees
 * the set; the VMs are borrowed. */
static GHashTable *participants(const json_t *vms, const GPtrArray *steps)
{
    GHashTable *set = g_hash_table_new(NULL, NULL);
    size_t i;
    json_t *vm;
    json_array_foreach(vms, i, vm)
    {
        const char *incoming = strstr(godwit_json_string(vm, "replay", ""), " -incoming ");
        if (incoming && !g_str_has_prefix(incoming, " -incoming defer"))
            g_hash_table_add(set, vm);
    }
    for (guint s = 0; s < steps->len; s++) {
        const struct step *step = g_ptr_array_index(steps, s);
        if (is_command(step, "migrate") || listens(step))
            g_hash_table_add(set, (gpointer)(uintptr_t)step->vm);
    }
    return set;
}

/* Appends the start of each VM that has begun by AT, and moves *NEXT to the one after them. */
static void write_starts(GString *text, const json_t *vms, GHashTable *taking, size_t *next,
                         double at)
{
    for (; *next < json_array_size(vms); ++*next) {
        const json_t *vm = json_array_get(vms, *next);
        if (json_number_value(json_object_get(vm, "began")) > at)
            return;
        if (!g_hash_table_contains(taking, vm))
            continue;
        g_autofree char *binary = godwit_shell_word(godwit_json_string(vm, "qemu", ""));
        g_string_append_printf(text, "start %s \"${QEMU:-\"%s\"}\"%s\n", name_of(vm), binary,
                               godwit_json_string(vm, "replay", ""));
    }
}

char *godwit_report_replay(const json_t *result, char **why)
{
    const json_t *vms = json_object_get(result, "vms");
    const char *scenario = godwit_json_string(result, "scenario", "");
    g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func(step_free);
    size_t i, next = 0;
    json_t *vm;
    json_array_foreach(vms, i, vm)
    {
        if (!add_steps(steps, godwit_json_string(result, "folder", ""), vm)) {
            *why = g_strdup_printf("the %s has no transcript", name_of(vm));
            return NULL;
        }
    }
    g_ptr_array_sort(steps, by_time);
    *why = why_not(result, steps);
    if (*why)
        return NULL;
    join_all(steps);
    g_autoptr(GHashTable) taking = participants(vms, steps);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    struct progress progress = {.text = g_string_new(NULL), .seen = seen};
    g_string_append_printf(progress.text, "#!/bin/sh\n# Repeats %s without Godwit.\n%s", scenario,
                           head);
    for (guint s = 0; s < steps->len; s++) {
        const struct step *step = g_ptr_array_index(steps, s);
        write_starts(progress.text, vms, taking, &next, step->at);
        if (g_hash_table_contains(taking, step->vm))
            write_step(&progress, result, step);
    }
    /* A run that failed may have ended before the guest went on. */
    if (json_array_size(vms))
        write_comparison(&progress, result, json_array_get(vms, json_array_size(vms) - 1));
    g_string_append(progress.text, "\necho \"migration: $state; memory: $memory\"\n"
                                   "[ \"$state\" = completed ] && [ \"$memory\" != DIFFERENT ]\n");
    return g_string_free(progress.text, FALSE);
}
