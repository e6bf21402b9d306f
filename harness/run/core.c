/*
 * Finds the core of a crashed process. core.h explains how.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/core.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends a regular expression for the specifier %C of core(5). */
static void append_specifier(GString *regex, const struct godwit_core *core, char c)
{
    g_autofree char *text = NULL;
    switch (c) {
    case '%':
        text = g_strdup("%");
        break;
    case 'p':
        text = g_strdup_printf("%d", (int)core->pid);
        break;
    case 's':
        text = g_strdup_printf("%d", core->signal);
        break;
    case 'u':
        text = g_strdup_printf("%d", (int)getuid());
        break;
    case 'g':
        text = g_strdup_printf("%d", (int)getgid());
        break;
    case 'h':
        text = g_strdup(g_get_host_name());
        break;
    case 'E':
        if (core->program)
            text = g_strdelimit(g_strdup(core->program), "/", '!');
        break;
    default:
        break;
    }
    if (text) {
        g_autofree char *quoted = g_regex_escape_string(text, -1);
        g_string_append(regex, quoted);
    } else if (strchr("PiIdtcC", c)) {
        g_string_append(regex, "[0-9]+"); /* a pid of another namespace, a thread id, a time, ... */
    } else if (strchr("efE", c)) {
        g_string_append(regex, ".*"); /* a thread may have its own name */
    }
}

char *godwit_core_name(const struct godwit_core *core, char **folder, GError **error)
{
    const char *slash = strrchr(core->pattern, '/');
    const char *name = slash ? slash + 1 : core->pattern;
    g_autofree char *where = g_strndup(core->pattern, (gsize)(name - core->pattern));
    if (*core->pattern == '|' || strchr(where, '%') || !*name) {
        godwit_fail(
            error, GODWIT_ERROR_ENVIRONMENT,
            "this host does not write cores where they can be found (kernel.core_pattern is "
            "\"%s\")",
            core->pattern);
        return NULL;
    }
    GString *regex = g_string_new("^");
    bool has_pid = false;
    for (const char *c = name; *c; c++) {
        if (*c == '%' && c[1]) {
            c++;
            has_pid |= *c == 'p';
            append_specifier(regex, core, *c);
        } else if (*c != '%') {
            g_autofree char *quoted = g_regex_escape_string(c, 1);
            g_string_append(regex, quoted);
        }
    }
    if (core->uses_pid && !has_pid)
        g_string_append_printf(regex, "\\.%d", (int)core->pid);
    g_string_append_c(regex, '$');
    *folder = g_canonicalize_filename(*where ? where : ".", core->folder);
    return g_string_free(regex, FALSE);
}

/* Returns the pid in the notes at OFFSET, LENGTH bytes of them, or -1. */
static pid_t pid_in_notes(int fd, uint64_t offset, uint64_t length)
{
    Elf64_Nhdr note;
    while (length >= sizeof(note)) {
        prpsinfo_t info;
        if (pread(fd, &note, sizeof(note), (off_t)offset) != (ssize_t)sizeof(note))
            return -1;
        const uint64_t name = (note.n_namesz + UINT64_C(3)) & ~UINT64_C(3);
        const uint64_t data = (note.n_descsz + UINT64_C(3)) & ~UINT64_C(3);
        if (sizeof(note) + name + data > length)
            return -1;
        if (note.n_type == NT_PRPSINFO && note.n_descsz == sizeof(info))
            return pread(fd, &info, sizeof(info), (off_t)(offset + sizeof(note) + name)) ==
                           (ssize_t)sizeof(info)
                       ? info.pr_pid
                       : -1;
        offset += sizeof(note) + name + data;
        length -= sizeof(note) + name + data;
    }
    return -1;
}

static pid_t pid_in_core(int fd)
{
    Elf64_Ehdr header;
    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_type != ET_CORE || header.e_phentsize != sizeof(Elf64_Phdr))
        return -1;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        const off_t at = (off_t)(header.e_phoff + i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
            return -1;
        if (segment.p_type == PT_NOTE)
            return pid_in_notes(fd, segment.p_offset, segment.p_filesz);
    }
    return -1;
}

pid_t godwit_core_pid(const char *path)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    const pid_t pid = !fstat(fd, &status) && S_ISREG(status.st_mode) ? pid_in_core(fd) : -1;
    close(fd);
    return pid;
}

char *godwit_core_find(const struct godwit_core *core, GError **error)
{
    g_autofree char *folder = NULL;
    g_autofree char *regex = godwit_core_name(core, &folder, error);
    if (!regex)
        return NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (g_regex_match_simple(regex, name, G_REGEX_RAW, 0) && godwit_core_pid(path) == core->pid)
            return g_steal_pointer(&path);
    }
    godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                "no core of process %d in %s (kernel.core_pattern is \"%s\")", (int)core->pid,
                folder, core->pattern);
    return NULL;
}
