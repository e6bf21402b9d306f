/*
 * What decides how fast a host is, as Linux reports it in /proc and /sys. A virtual machine often
 * has no governor, and a container may hide any of these files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/host_facts.h"

#include <string.h>

/* Returns what is in the file at PATH below ROOT, without spaces at its ends; NULL if it cannot be
 * read. The caller frees it. */
static char *text_of(const char *root, const char *path)
{
    char *text = NULL;
    g_autofree char *whole = g_build_filename(root, path, NULL);
    return g_file_get_contents(whole, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

/* Returns what follows KEY and a colon in the first line of TEXT that begins with KEY; NULL if none
 * does. The caller frees it. */
static char *value_of(const char *text, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const char *colon = g_str_has_prefix(lines[i], key) ? strchr(lines[i], ':') : NULL;
        if (colon)
            return g_strstrip(g_strdup(colon + 1));
    }
    return NULL;
}

/* Returns the model of the CPUs by the names that architectures have for it. The caller frees
 * it. */
static char *cpu_of(const char *root)
{
    static const char *const keys[] = {"model name", "Model Name", "uarch", "cpu", "CPU part"};
    g_autofree char *text = text_of(root, "proc/cpuinfo");
    char *model = NULL;
    for (size_t i = 0; !model && i < G_N_ELEMENTS(keys); i++)
        model = value_of(text, keys[i]);
    return model;
}

/* Returns the choice in brackets of "always [madvise] never". The caller frees it. */
static char *chosen(const char *text)
{
    const char *begin = text ? strchr(text, '[') : NULL;
    const char *end = begin ? strchr(begin, ']') : NULL;
    return end ? g_strndup(begin + 1, (gsize)(end - begin - 1)) : NULL;
}

double godwit_host_load(const char *root)
{
    g_autofree char *text = text_of(root, "proc/loadavg");
    char *end = text;
    const double load = text ? g_ascii_strtod(text, &end) : 0;
    return end != text ? load : (double)NAN;
}

json_t *godwit_host_facts(const char *root)
{
    g_autofree char *kernel = text_of(root, "proc/sys/kernel/osrelease");
    g_autofree char *cpu = cpu_of(root);
    g_autofree char *meminfo = text_of(root, "proc/meminfo");
    g_autofree char *memory = value_of(meminfo, "MemTotal");
    g_autofree char *governor =
        text_of(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    g_autofree char *enabled = text_of(root, "sys/kernel/mm/transparent_hugepage/enabled");
    g_autofree char *hugepages = chosen(enabled);
    const double load = godwit_host_load(root);
    json_t *facts =
        json_pack("{s:s*, s:s*, s:i, s:s*, s:s*}", "kernel", kernel, "cpu", cpu, "cpus",
                  (int)g_get_num_processors(), "governor", governor, "hugepages", hugepages);
    if (memory)
        json_object_set_new(facts, "memory_mib",
                            json_integer(g_ascii_strtoll(memory, NULL, 10) / 1024));
    if (isfinite(load))
        json_object_set_new(facts, "load", json_real(load));
    return facts;
}
