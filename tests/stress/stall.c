/*
 * A QEMU whose guest the host lets run only now and then.
 *
 *   stall QEMU [ARGUMENT...]
 *
 * Executes QEMU with the arguments. If it is a migration source, a second process stops its vCPU
 * threads, and no others, for half a second at random intervals, as a busy host does. It does so
 * by ptrace(2): PTRACE_INTERRUPT stops a single thread, which no signal can. It ends with the QEMU.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STOPPED_MS = 500,
    RUNS_MS_LEAST = 20,
    RUNS_MS_MOST = 500,
    LOOK_MS = 2,
    THREADS = 16,
};

static pid_t qemu;
static pid_t seized[THREADS];
static size_t seized_count;

/* Collects threads that have ended: QEMU's process is not gone before. */
static void reap(void)
{
    int status;
    for (size_t i = 0; i < seized_count;) {
        if (waitpid(seized[i], &status, WNOHANG | __WALL) == seized[i] &&
            (WIFEXITED(status) || WIFSIGNALED(status)))
            seized[i] = seized[--seized_count];
        else
            i++;
    }
}

/* Ends this process when the QEMU has gone. */
static void pass_time(unsigned ms)
{
    const struct timespec look = {0, LOOK_MS * 1000000L};
    for (unsigned passed = 0; passed < ms; passed += LOOK_MS) {
        nanosleep(&look, NULL);
        reap();
        if (getppid() != qemu)
            _exit(0);
    }
}

static bool is_vcpu(const char *tid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", (int)qemu, tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const bool read = fgets(name, sizeof(name), file) != NULL;
    fclose(file);
    return read && !strncmp(name, "CPU ", 4);
}

static bool is_seized(pid_t tid)
{
    size_t i = 0;
    while (i < seized_count && seized[i] != tid)
        i++;
    return i < seized_count;
}

static void seize(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)qemu);
    DIR *tasks = opendir(path);
    for (const struct dirent *entry; tasks && (entry = readdir(tasks));) {
        const pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && seized_count < THREADS && is_vcpu(entry->d_name) && !is_seized(tid) &&
            !ptrace(PTRACE_SEIZE, tid, NULL, NULL))
            seized[seized_count++] = tid;
    }
    if (tasks)
        closedir(tasks);
}

/* Lets a thread go on from wherever it has stopped, with the signal that it has stopped for. */
static void go_on(pid_t tid, int status)
{
    const bool signalled = WIFSTOPPED(status) && status >> 16 == 0;
    ptrace(PTRACE_CONT, tid, NULL, (void *)(long)(signalled ? WSTOPSIG(status) : 0));
}

/* Passes on what signals the threads get, meanwhile. */
static void serve(unsigned ms)
{
    const struct timespec look = {0, LOOK_MS * 1000000L};
    for (unsigned passed = 0; passed < ms; passed += LOOK_MS) {
        nanosleep(&look, NULL);
        if (getppid() != qemu)
            _exit(0);
        for (size_t i = 0; i < seized_count; i++) {
            int status;
            if (waitpid(seized[i], &status, WNOHANG | __WALL) == seized[i]) {
                if (WIFSTOPPED(status))
                    go_on(seized[i], status);
                else
                    seized[i--] = seized[--seized_count];
            }
        }
    }
}

static void stall(void)
{
    int statuses[THREADS] = {0};
    for (size_t i = 0; i < seized_count; i++)
        ptrace(PTRACE_INTERRUPT, seized[i], NULL, NULL);
    for (size_t i = 0; i < seized_count; i++)
        if (waitpid(seized[i], &statuses[i], __WALL) == seized[i] && !WIFSTOPPED(statuses[i])) {
            seized_count = 0;
            return;
        }
    pass_time(STOPPED_MS);
    for (size_t i = 0; i < seized_count; i++)
        go_on(seized[i], statuses[i]);
}

static void run(void)
{
    srand48(time(NULL) * 7919 + getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        serve(RUNS_MS_LEAST + (unsigned)(drand48() * (RUNS_MS_MOST - RUNS_MS_LEAST)));
        seize();
        stall();
    }
}

static bool has(char **arguments, const char *wanted)
{
    while (*arguments && strcmp(*arguments, wanted) != 0)
        arguments++;
    return *arguments != NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    char **arguments = calloc((size_t)argc + 3, sizeof(*arguments));
    if (!arguments)
        return 2;
    memcpy(arguments, argv + 1, (size_t)(argc - 1) * sizeof(*arguments));
    if (has(argv, "source")) {
        /* That is how its threads get names. */
        arguments[argc - 1] = (char[]){"-name"};
        arguments[argc] = (char[]){"debug-threads=on"};
        qemu = getpid();
        const pid_t child = fork();
        if (child == 0) {
            closefrom(3);
            run();
        }
#ifdef PR_SET_PTRACER
        prctl(PR_SET_PTRACER, child);
#endif
    }
    execv(arguments[0], arguments);
    fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
    return 127;
}
