/*
 * --peer: destinations on another host. For each architecture, a script in the run's folder stands
 * for its QEMU there, so that all else finds, asks and starts it as if it were here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/shell.h"
#include <errno.h>
#include <gio/gio.h>
#include <sys/stat.h>

bool godwit_peer_check(const struct godwit_options *options, GError **error)
{
    if (!options->peer && options->peer_address)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--peer-address needs --peer");
    if (!options->peer)
        return true;
    if (!*options->peer || !options->peer_address || !*options->peer_address)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--peer needs a command that connects to the other host, such as 'ssh b "
                           "godwit serve --stdio', and --peer-address with that host's address");
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(options->peer_address);
    if (!address || g_inet_address_get_family(address) != G_SOCKET_FAMILY_IPV4)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--peer-address needs an IPv4 address such as 192.0.2.2, not \"%s\"",
                           options->peer_address);
    if (!options->arch)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--peer needs --arch: only the other host knows which QEMUs it has");
    if (options->cross || options->unthrottled || options->theirs || options->read_memory)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--peer excludes --cross, --unthrottled, --read-memory and a guest that "
                           "is not Godwit's");
    return true;
}

/* Returns the QEMU of an architecture on the other host: NAMED is a binary there, a folder, or
 * NULL. The caller frees it. */
static char *program_of(const char *named, const char *arch)
{
    g_autofree char *usual = g_strconcat("qemu-system-", arch, NULL);
    if (!named)
        return g_steal_pointer(&usual);
    g_autofree char *name = g_path_get_basename(named);
    return g_str_has_prefix(name, "qemu-") ? g_strdup(named) : g_build_filename(named, usual, NULL);
}

char *godwit_peer_program(const struct godwit_options *options, const char *path, const char *arch)
{
    /* The folder's name is the number of the word after --qemu-dst. */
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *number = g_path_get_basename(folder);
    const guint i = (guint)g_ascii_strtoull(number, NULL, 10);
    return program_of(options->qemu_dst ? options->qemu_dst[i] : NULL, arch);
}

/* Writes the script that stands for PROGRAM. */
static bool write_script(const char *path, const char *self, const char *command,
                         const char *program, GError **error)
{
    g_autoptr(GString) text = g_string_new("#!/bin/sh\nexec");
    const char *const words[] = {self, "remote", command, program};
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        godwit_shell_append(text, words[i]);
    g_string_append(text, " \"$@\"\n");
    g_autoptr(GError) cause = NULL;
    if (g_file_set_contents_full(path, text->str, -1, G_FILE_SET_CONTENTS_NONE, 0700, &cause))
        return true;
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s", cause->message);
}

bool godwit_peer_wrap(const struct godwit_process *process, const GPtrArray *machines,
                      struct godwit_options *options, char ***programs, GError **error)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autoptr(GStrvBuilder) folders = g_strv_builder_new();
    const guint count = options->qemu_dst ? g_strv_length(options->qemu_dst) : 1;
    for (guint i = 0; i < count; i++) {
        g_autofree char *number = g_strdup_printf("%u", i);
        g_autofree char *folder = g_build_filename(process->folder, "peer", number, NULL);
        if (g_mkdir_with_parents(folder, 0700)) {
            godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make %s: %s", folder,
                        g_strerror(errno));
            return false;
        }
        for (guint m = 0; m < machines->len; m++) {
            const char *arch =
                ((const struct godwit_machine *)g_ptr_array_index(machines, m))->arch;
            g_autofree char *name = g_strconcat("qemu-system-", arch, NULL);
            g_autofree char *path = g_build_filename(folder, name, NULL);
            g_autofree char *program =
                program_of(options->qemu_dst ? options->qemu_dst[i] : NULL, arch);
            if (!write_script(path, self ? self : "godwit", options->peer, program, error))
                return false;
        }
        g_strv_builder_add(folders, folder);
    }
    *programs = g_strv_builder_end(folders);
    options->qemu_src = options->qemu_src ? options->qemu_src : options->qemu;
    options->qemu_dst = *programs;
    options->qemu = NULL;
    return true;
}
