/*
 * Creates, moves and removes the folders of jobs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The state of one round of godwit_files_remove(). */
struct round {
    int top;       /* the folder to empty */
    unsigned next; /* number in the name of the next lifted folder */
    bool lifted;   /* a folder was lifted: another round is necessary */
};

/* Moves a folder, unless there is something at TO. Returns 0, or -1 with errno set. Some file
 * systems (NFS, 9p) cannot do that in one step. Nothing else uses these names. */
static int move_to_free_name(int folder, const char *name, int top, const char *to)
{
    if (!renameat2(folder, name, top, to, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL)
        return -1;
    if (!faccessat(top, to, F_OK, AT_SYMLINK_NOFOLLOW)) {
        errno = EEXIST;
        return -1;
    }
    return renameat(folder, name, top, to);
}

/* If NAME of FOLDER is a folder, gives it the permissions that changing it requires. Returns
 * whether that succeeded. */
static bool allow(int folder, const char *name)
{
    struct stat status;
    return !fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) && S_ISDIR(status.st_mode) &&
           !fchmodat(folder, name, 0700, 0);
}

/* Removes NAME of FOLDER. If it is a folder with content, moves it up to the top. */
static void remove_or_lift(struct round *round, int folder, const char *name)
{
    if (!unlinkat(folder, name, 0) || !unlinkat(folder, name, AT_REMOVEDIR))
        return;
    while (allow(folder, name)) {
        char above[32];
        snprintf(above, sizeof(above), "godwit-lifted-%u", round->next++);
        if (!move_to_free_name(folder, name, round->top, above)) {
            round->lifted = true;
            return;
        }
        if (errno != EEXIST)
            return;
    }
}

/* Calls VISIT for each entry of FOLDER. */
static void visit_entries(struct round *round, int folder,
                          void (*visit)(struct round *round, int folder, const char *name))
{
    const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries && fd >= 0)
        close(fd);
    for (const struct dirent *entry; entries && (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(round, folder, entry->d_name);
    if (entries)
        closedir(entries);
}

static int open_folder(int folder, const char *name)
{
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes NAME of the top folder, after its content was removed or lifted. */
static void remove_entry(struct round *round, int top, const char *name)
{
    if (!unlinkat(top, name, 0))
        return;
    int folder = open_folder(top, name);
    if (folder < 0 && errno == EACCES && allow(top, name))
        folder = open_folder(top, name);
    if (folder >= 0) {
        fchmod(folder, 0700);
        visit_entries(round, folder, remove_or_lift);
        close(folder);
    }
    unlinkat(top, name, AT_REMOVEDIR);
}

/*
 * A QEMU may leave folders nested more deeply than a path can be long, or than there are
 * descriptors to open. So this function never descends by more than one level: it lifts what is
 * below to the top, until nothing more is lifted.
 */
void godwit_files_remove(const char *path)
{
    struct round round = {.top = open_folder(AT_FDCWD, path)};
    if (round.top >= 0) {
        fchmod(round.top, 0700);
        do {
            round.lifted = false;
            visit_entries(&round, round.top, remove_entry);
        } while (round.lifted);
        close(round.top);
    }
    if (rmdir(path))
        unlink(path);
}

static int remove_socket(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)type;
    (void)where;
    if (S_ISSOCK(status->st_mode) || S_ISFIFO(status->st_mode))
        unlink(path);
    return 0;
}

void godwit_files_remove_sockets(const char *path)
{
    enum { DESCRIPTORS = 16 };
    nftw(path, remove_socket, DESCRIPTORS, FTW_PHYS);
}

/* QMP and JSON can represent only paths in UTF-8. */
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
    godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s has too many folders named %s", to, name);
    return NULL;
}

/* Moves to another file system, by mv(1), which handles holes (cores have many) and sockets. */
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
    /* Replaces the empty folder, so no other run can take the name in the meantime. */
    return !rename(from, path) || move_far(from, path, error) ? g_steal_pointer(&path) : NULL;
}
