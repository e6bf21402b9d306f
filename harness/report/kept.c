/*
 * Writes what a folder that a run keeps has besides the run's own files: report.txt for a reader,
 * and replay.sh, which repeats the run without Godwit, where a script can do that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/kept.h"

#include "base/file.h"
#include "base/text.h"
#include "report/bundle.h"
#include "report/replay.h"
#include <string.h>
#include <sys/stat.h>

/* Writes TEXT to the file NAME in the folder. MODE are its permissions. */
static void write_file(const char *folder, const char *name, const char *text, mode_t mode)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    if (!godwit_file_write(path, text, strlen(text), &error))
        godwit_text_complain("%s", error->message);
    else if (chmod(path, mode) != 0)
        godwit_text_complain("%s: %s", path, g_strerror(errno));
}

static void write_kept(gpointer data, const json_t *result)
{
    const char *folder = godwit_json_string(result, "folder", "");
    g_autofree char *why = NULL;
    g_autofree char *script = godwit_report_replay(result, &why);
    g_autofree char *report = godwit_report_bundle(result);
    g_autofree char *whole =
        script ? g_strconcat(report, "    replay.sh    repeats the run without Godwit\n", NULL)
               : g_strdup_printf("%sThere is no replay.sh: %s.\n", report, why);
    (void)data;
    write_file(folder, "report.txt", whole, 0600);
    if (script)
        write_file(folder, "replay.sh", script, 0700);
}

struct godwit_observer godwit_kept_writer = {.kept = write_kept};
