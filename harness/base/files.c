/* SPDX-License-Identifier: MIT */
#include "base/files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

char *godwit_files_make(const char *to, const char *name, GError **error)
{
    if (!godwit_files_folder(to, error))
        return NULL;
    for (unsigned number = 1; number < 10000; number++) {
        g_autofree char *file =
            number == 1 ? g_strdup(name) : g_strdup_printf("%s.%u", name, number);
        g_autofree char *path = g_build_filename(to, file, NULL);
        if (!mkdir(path, 0700))
            return g_steal_pointer(&path);
        if (errno != EEXIST) {
            godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make folder %s: %s", path,
                        g_strerror(errno));
            return NULL;
        }
    }
    godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s is full of folders called %s", to, name);
    return NULL;
}

/* Into another file system, by mv(1), which knows about holes (cores have many) and sockets. */
static bool move_far(const char *from, const char *path, GError **error)
{
    const char *const argv[] = {"mv", "-T", "--", from, path, NULL};
    g_autofree char *said = NULL;
    g_autoptr(GError) cause = NULL;
    int status = 0;
    if (g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                     &said, &status, &cause) &&
        g_spawn_check_wait_status(status, NULL))
        return true;
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot move %s to %s: %s", from, path,
                       cause ? cause->message : g_strchomp(said));
}

char *godwit_files_move(const char *from, const char *to, GError **error)
{
    g_autofree char *name = g_path_get_basename(from);
    g_autofree char *path = godwit_files_make(to, name, error);
    if (!path)
        return NULL;
    /* In place of an empty folder: no other run can take the name meanwhile. */
    return !rename(from, path) || move_far(from, path, error) ? g_steal_pointer(&path) : NULL;
}
