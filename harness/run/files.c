/* SPDX-License-Identifier: MIT */
#include "run/files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

void godwit_files_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* QMP and JSON can have no other paths. */
static bool printable(const char *path, GError **error)
{
    if (g_utf8_validate(path, -1, NULL))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "folder %s: its path is not UTF-8",
                path);
    return false;
}

char *godwit_files_temporary(GError **error)
{
    const char *where = g_getenv("TMPDIR");
    if (!where || !*where)
        where = "/tmp";
    g_autofree char *absolute = g_canonicalize_filename(where, NULL);
    if (!printable(absolute, error))
        return NULL;
    g_autofree char *path = g_build_filename(absolute, "godwit-XXXXXX", NULL);
    if (!g_mkdtemp_full(path, 0700)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "cannot make a temporary folder in %s: %s (set TMPDIR to a folder that can be "
                    "written)",
                    where, g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&path);
}

bool godwit_files_folder(const char *path, GError **error)
{
    if (!printable(path, error))
        return false;
    if (g_mkdir_with_parents(path, 0700) || access(path, W_OK | X_OK)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot write to folder %s: %s",
                    path, g_strerror(errno));
        return false;
    }
    return true;
}
