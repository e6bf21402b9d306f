/* SPDX-License-Identifier: MIT
 *
 * Keeps the coverage of a QEMU that is killed. `make qemu-coverage` links this into it.
 *
 * gcov writes what it has counted when a program exits, but Godwit ends QEMUs with SIGKILL, at any
 * instant. Therefore the counters live in a file: before main() begins, the pages that counters.ld
 * has given to them are replaced by a shared mapping of a new file in $GODWIT_COUNTERS, so that the
 * kernel keeps what was counted however the process ends. Nothing is written at exit.
 *
 * With $GODWIT_COUNTERS_SUM the program does nothing but add up the files of that folder, and lets
 * gcov write the sum in its own format, into the files *.gcda below $GCOV_PREFIX. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern uint64_t godwit_counters_begin[], godwit_counters_end[];

/* The linker makes these of gcov's function, which each instrumented file calls at exit. */
void __wrap___gcov_exit(void);
void __real___gcov_exit(void) __attribute__((weak));

static const char *counters_folder(void)
{
    const char *folder = getenv("GODWIT_COUNTERS");
    return folder && *folder && godwit_counters_begin != godwit_counters_end ? folder : NULL;
}

static size_t counters_size(void)
{
    return (size_t)((char *)godwit_counters_end - (char *)godwit_counters_begin);
}

void __wrap___gcov_exit(void)
{
    if (getenv("GODWIT_COUNTERS_SUM") && __real___gcov_exit)
        __real___gcov_exit();
}

static void add_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    if (lseek(fd, 0, SEEK_END) != (off_t)counters_size())
        errx(1, "%s: not of this program", path);
    const uint64_t *counted = mmap(NULL, counters_size(), PROT_READ, MAP_PRIVATE, fd, 0);
    if (counted == MAP_FAILED)
        err(1, "%s", path);
    for (size_t i = 0; i < counters_size() / sizeof(*counted); i++)
        godwit_counters_begin[i] += counted[i];
    munmap((void *)counted, counters_size());
    close(fd);
}

static void add_all(const char *folder)
{
    DIR *dir = opendir(folder);
    unsigned count = 0;
    if (!dir)
        err(1, "%s", folder);
    memset(godwit_counters_begin, 0, counters_size());
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (*entry->d_name == '.')
            continue;
        add_file(folder, entry->d_name);
        count++;
    }
    closedir(dir);
    printf("%u\n", count);
    exit(0);
}

static void map_file(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%ld-XXXXXX", folder, (long)getpid());
    const int fd = mkstemp(path);
    if (fd < 0)
        err(1, "%s", path);
    /* Constructors that ran before have counted as well. */
    if (write(fd, godwit_counters_begin, counters_size()) != (ssize_t)counters_size())
        err(1, "%s", path);
    if (mmap(godwit_counters_begin, counters_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             fd, 0) == MAP_FAILED)
        err(1, "%s", path);
    close(fd);
}

/* gcov's own constructors have a priority, so that they run before. */
__attribute__((constructor)) static void begin(void)
{
    const char *folder = counters_folder();
    if (folder && getenv("GODWIT_COUNTERS_SUM"))
        add_all(folder);
    else if (folder)
        map_file(folder);
}
