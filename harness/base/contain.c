/*
 * Containment of child processes. contain.h explains the three mechanisms.
 *
 * The sweep finds orphans as children of this process, which is their subreaper. Killing a process
 * may turn its children into children of this process, so the sweep repeats until it kills nothing
 * more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/contain.h"

#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment variable of the mark. */
#define MARK "GODWIT_FOLDER"

static char *mark;    /* "GODWIT_FOLDER=PATH"; NULL before godwit_contain_begin() */
static char *group;   /* folder of the control group; NULL if there is none */
static char *entered; /* its cgroup.procs; NULL if there is none */

/* Returns this process's own folder in the cgroup v2 hierarchy, or NULL. The caller frees it. */
static char *own_group(void)
{
    g_autofree char *groups = NULL;
    g_autofree char *mounts = NULL;
    if (!g_file_get_contents("/proc/self/cgroup", &groups, NULL, NULL) ||
        !g_file_get_contents("/proc/self/mountinfo", &mounts, NULL, NULL))
        return NULL;
    const char *line = g_str_has_prefix(groups, "0::/") ? groups : strstr(groups, "\n0::/");
    if (!line)
        return NULL;
    line = strchr(line, '/');
    g_autofree char *own = g_strndup(line, strcspn(line, "\n"));
    g_auto(GStrv) lines = g_strsplit(mounts, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        /* ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE OPTIONS */
        const char *type = strstr(lines[i], " - ");
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 6);
        if (!type || !g_str_has_prefix(type, " - cgroup2 ") || g_strv_length(words) < 6)
            continue;
        const char *root = strcmp(words[3], "/") != 0 ? words[3] : "";
        if (g_str_has_prefix(own, root))
            return g_build_filename(words[4], own + strlen(root), NULL);
    }
    return NULL;
}

/* Creates the control group, if this process may create one and move processes into it. Its name
 * has the last part of FOLDER's path, which is made from the clock, and the folder's identity. The
 * one alone does not suffice, because runs in different folders for temporary files may draw the
 * same one, and the other does not, because a folder that is removed leaves its identity to the
 * next. */
static void make_group(const char *folder)
{
    struct stat identity;
    g_autofree char *own = own_group();
    if (!own || stat(folder, &identity))
        return;
    g_autofree char *base = g_path_get_basename(folder);
    g_autofree char *name =
        g_strdup_printf("%s-%jx-%jx", base, (uintmax_t)identity.st_dev, (uintmax_t)identity.st_ino);
    char *path = g_build_filename(own, name, NULL);
    if (mkdir(path, 0700) && errno != EEXIST) {
        g_free(path);
        return;
    }
    group = path;
    entered = g_build_filename(group, "cgroup.procs", NULL);
    /* Moving a process requires write access to the group that it leaves as well. */
    g_autofree char *left = g_build_filename(own, "cgroup.procs", NULL);
    if (access(entered, W_OK) || access(left, W_OK)) {
        rmdir(group);
        g_clear_pointer(&group, g_free);
        g_clear_pointer(&entered, g_free);
    }
}

void godwit_contain_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void godwit_contain_begin(const char *folder)
{
    g_setenv(MARK, folder, TRUE);
    mark = g_strconcat(MARK "=", folder, NULL);
    godwit_contain_adopt();
    make_group(folder);
}

/* Moves the calling process into the control group, if there is one. */
static void enter(void)
{
    const int fd = entered ? open(entered, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    /* A process that cannot enter is found by its parent, or by its mark. */
    if (write(fd, "0", 1) < 0)
        errno = 0;
    close(fd);
}

void godwit_contain_child(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    enter();
    if (getppid() != parent)
        _exit(127);
}

void godwit_contain_child_setup(void *parent)
{
    godwit_contain_child(GPOINTER_TO_INT(parent));
}

/* What the child needs between fork and exec, and its answer. */
struct child {
    pid_t parent;
    void (*setup)(gpointer data);
    gpointer data;
    pid_t *pid; /* shared with the parent */
};

static void in_child(gpointer data)
{
    const struct child *child = data;
    *child->pid = getpid();
    if (child->setup)
        child->setup(child->data);
    godwit_contain_child(child->parent);
}

GSubprocess *godwit_contain_spawn(GSubprocessLauncher *launcher, const char *const *arguments,
                                  void (*setup)(gpointer data), gpointer data, pid_t *pid,
                                  GError **error)
{
    pid_t *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no memory to start %s: %s", arguments[0],
                    g_strerror(errno));
        return NULL;
    }
    struct child child = {getpid(), setup, data, shared};
    g_subprocess_launcher_set_child_setup(launcher, in_child, &child, NULL);
    GSubprocess *process = g_subprocess_launcher_spawnv(launcher, arguments, error);
    g_subprocess_launcher_set_child_setup(launcher, NULL, NULL, NULL);
    if (pid)
        *pid = *shared;
    munmap(shared, sizeof(*shared));
    return process;
}

/* Calls VISIT for each process of the system. Returns the sum of what it returns. */
static unsigned each_process(unsigned (*visit)(pid_t pid, gconstpointer data), gconstpointer data)
{
    unsigned count = 0;
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        const gint64 pid = g_ascii_isdigit(*name) ? g_ascii_strtoll(name, NULL, 10) : 0;
        if (pid > 0)
            count += visit((pid_t)pid, data);
    }
    return count;
}

/* The longest duration of a sweep, in microseconds. Processes that multiply faster than the sweep
 * can kill them are left to the control group, and otherwise to the janitor. */
#define SWEEP_US (10 * G_USEC_PER_SEC)
/* The pause between two looks for children that have died, in microseconds. */
#define SWEEP_REST_US 2000

/* The children that a sweep lets live. */
struct known {
    const pid_t *pids;
    size_t count;
};

/* Returns the pid of the parent of a process, or 0 if the process is gone. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[MAX(length, 0)] = '\0';
    /* The format is "PID (NAME) STATE PARENT ..."; NAME may contain anything. */
    const char *end = strrchr(text, ')');
    int parent = 0;
    return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static unsigned kill_child(pid_t pid, gconstpointer data)
{
    const struct known *known = data;
    if (parent_of(pid) != getpid())
        return 0;
    for (size_t i = 0; i < known->count; i++)
        if (known->pids[i] == pid)
            return 0;
    return kill(pid, SIGKILL) == 0;
}

/* Kills a child again and reaps it, if it has died. One that waits for a disk may not die. */
static unsigned reap_child(pid_t pid, gconstpointer data)
{
    return kill_child(pid, data) && waitpid(pid, NULL, WNOHANG) == pid;
}

void godwit_contain_sweep(const pid_t *pids, size_t count)
{
    const struct known known = {pids, count};
    const gint64 deadline = g_get_monotonic_time() + SWEEP_US;
    /* Kill all of them before waiting for the first, so that they have little time to multiply. */
    while (each_process(kill_child, &known) && g_get_monotonic_time() < deadline)
        if (!each_process(reap_child, &known))
            g_usleep(SWEEP_REST_US);
}

/* Kills a process with the mark in its environment. A zombie has no environment. */
static unsigned kill_marked(pid_t pid, gconstpointer data)
{
    const char *wanted = data;
    g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)pid);
    g_autofree char *text = NULL;
    gsize length = 0;
    if (pid == getpid() || !g_file_get_contents(path, &text, &length, NULL))
        return 0;
    for (const char *word = text; word < text + length; word += strlen(word) + 1)
        if (!strcmp(word, wanted))
            return kill(pid, SIGKILL) == 0;
    return 0;
}

/* Kills the members of the control group one by one: kernels before 5.14 cannot kill a group. */
static void kill_members(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(entered, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const gint64 pid = g_ascii_strtoll(lines[i], NULL, 10);
        if (pid > 0)
            kill((pid_t)pid, SIGKILL);
    }
}

/* Kills and removes the control group. Returns 1 if it still exists, 0 otherwise. */
static unsigned kill_group(void)
{
    if (!group || !rmdir(group) || errno == ENOENT)
        return 0;
    g_autofree char *path = g_build_filename(group, "cgroup.kill", NULL);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        kill_members();
    if (fd >= 0)
        close(fd);
    return rmdir(group) && errno != ENOENT;
}

unsigned godwit_contain_kill(void)
{
    if (!mark)
        return 0;
    return kill_group() + each_process(kill_marked, mark);
}
