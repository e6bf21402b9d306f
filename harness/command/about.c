/*
 * What a run tests, for the reports that are kept: when, where, by which command line, and with
 * which QEMU binaries. Two builds of one version differ in their checksums.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/shell.h"
#include "base/version.h"
#include "guest/machine.h"
#include "report/host_facts.h"
#include "report/report.h"
#include <string.h>
#include <sys/utsname.h>

char *godwit_command_line(void)
{
    g_autofree char *words = NULL;
    gsize length = 0;
    GString *line = g_string_new(NULL);
    if (g_file_get_contents("/proc/self/cmdline", &words, &length, NULL))
        for (const char *word = words; word < words + length; word += strlen(word) + 1) {
            g_autofree char *quoted = godwit_shell_word(word);
            g_string_append_printf(line, "%s%s", line->len ? " " : "", quoted);
        }
    return g_string_free(line, FALSE);
}

static char *host(void)
{
    struct utsname names;
    if (uname(&names))
        return g_strdup("unknown");
    return g_strdup_printf("%s %s %s, %u processors", names.sysname, names.release, names.machine,
                           g_get_num_processors());
}

/* Returns the SHA-256 of the file at PATH in hexadecimal, or NULL if it cannot be read. The caller
 * frees it. */
static char *checksum_of(const char *path)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    return file ? g_compute_checksum_for_data(G_CHECKSUM_SHA256,
                                              (const guchar *)g_mapped_file_get_contents(file),
                                              g_mapped_file_get_length(file))
                : NULL;
}

/* Adds the binary to BINARIES, an object by path, if it is not there. */
static void add_binary(json_t *binaries, const struct godwit_qemu *qemu)
{
    if (json_object_get(binaries, qemu->path))
        return;
    g_autofree char *checksum = checksum_of(qemu->path);
    json_object_set_new(binaries, qemu->path,
                        json_pack("{s:s, s:s, s:s*}", "version", qemu->version, "package",
                                  qemu->package, "sha256", checksum));
}

json_t *godwit_about(const GPtrArray *targets)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *date = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree char *command = godwit_command_line();
    g_autofree char *where = host();
    g_autoptr(json_t) binaries = json_object();
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; i < targets->len; i++) {
        const struct godwit_target *target = g_ptr_array_index(targets, i);
        add_binary(binaries, target->source);
        add_binary(binaries, target->destination);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "target", target->name, "machine",
                            target->setup.type, "accel", target->setup.accel, "image",
                            target->setup.image->name, "source", target->source->path,
                            "destination", target->destination->path));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:O, s:O}", "kit", GODWIT_VERSION, "date", date,
                     "host", where, "host_facts", godwit_host_facts("/"), "command", command,
                     "qemus", binaries, "targets", list);
}

GPtrArray *godwit_reporters_open_or_text(char *const *formats, GError **error)
{
    char *const text[] = {(char *)(uintptr_t) "text", NULL};
    return godwit_reporters_open(formats ? formats : text, error);
}

void godwit_reporters_begin(GPtrArray *reporters, GPtrArray *observers, const GPtrArray *targets,
                            const GPtrArray *jobs, godwit_selection *selection,
                            const struct godwit_shard *part, unsigned repetitions)
{
    g_autoptr(json_t) about = NULL;
    g_autoptr(json_t) selected = NULL;
    bool live = false;
    for (guint i = 0; i < reporters->len; i++) {
        struct godwit_reporter *reporter = g_ptr_array_index(reporters, i);
        g_ptr_array_add(observers, &reporter->observer);
        live |= reporter->live;
        if (!reporter->wants_about)
            continue;
        /* It takes a while to read the binaries for their checksums. */
        if (!about) {
            about = godwit_about(targets);
            selected = godwit_selection_end(selection, about, part, repetitions);
        }
        reporter->about = json_incref(about);
        reporter->selection = json_incref(selected);
    }
    for (guint i = 0; i < jobs->len; i++)
        ((struct godwit_job *)g_ptr_array_index(jobs, i))->progress = live;
}
