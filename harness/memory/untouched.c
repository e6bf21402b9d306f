/*
 * Finds memory of another process that was never written to, in /proc/PID/maps and
 * /proc/PID/pagemap.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/untouched.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* PAGEMAP_SCAN, from Linux's Documentation/admin-guide/mm/pagemap.rst. Headers before 6.7 lack
 * it. */
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct region {
    uint64_t start, end, categories;
};
#define SCAN    _IOWR('f', 16, struct scan)
#define PRESENT (UINT64_C(1) << 3)
#define SWAPPED (UINT64_C(1) << 4)
#define ZERO    (UINT64_C(1) << 5)

char **godwit_untouched_maps(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", (int)pid);
    g_autofree char *text = NULL;
    return g_strsplit(g_file_get_contents(path, &text, NULL, NULL) ? text : "", "\n", -1);
}

bool godwit_untouched_private(char *const *maps, uint64_t start, uint64_t length)
{
    uint64_t reached = start;
    for (guint i = 0; maps[i] && reached < start + length; i++) {
        const char *dash = strchr(maps[i], '-');
        unsigned long long from, to, inode;
        char kind;
        /* Most lines describe libraries, far away. */
        if (!dash || g_ascii_strtoull(dash + 1, NULL, 16) <= reached ||
            sscanf(maps[i], "%llx-%llx %*c%*c%*c%c %*s %*s %llu", &from, &to, &kind, &inode) < 4)
            continue;
        if (from > reached || kind != 'p' || inode != 0)
            return false;
        reached = to;
    }
    return reached >= start + length;
}

int godwit_untouched_open(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/pagemap", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool godwit_untouched_there(int pagemap, uint64_t address)
{
    const uint64_t page = address / (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t entry = 0;
    return pread(pagemap, &entry, sizeof(entry), (off_t)(page * sizeof(entry))) == sizeof(entry) &&
           (entry >> 62) != 0;
}

bool godwit_untouched(int pagemap, uint64_t start, uint64_t length)
{
    struct region found;
    struct scan scan = {
        .size = sizeof(scan),
        .start = start,
        .end = start + length,
        .vec = (uint64_t)(uintptr_t)&found,
        .vec_len = 1,
        .max_pages = 1,
        /* Match pages that are present or swapped out, except the zero page. */
        .category_inverted = ZERO,
        .category_mask = ZERO,
        .category_anyof_mask = PRESENT | SWAPPED,
        .return_mask = PRESENT,
    };
    return ioctl(pagemap, SCAN, &scan) == 0;
}
