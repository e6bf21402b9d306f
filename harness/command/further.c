/*
 * The further arguments of QEMU: those behind "--", those for one side, and those of a complete
 * command line. They are checked before anything starts. Then each QEMU is started once with them,
 * so that arguments that it rejects are one message and not the failure of every scenario.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/file.h"
#include "guest/machine.h"
#include "qemu/arguments.h"
#include "qemu/command_line.h"
#include "testbed/probe.h"
#include <string.h>

/* Returns the words of BOTH and those in TEXT, either of which may be NULL, or NULL if there are
 * none. The caller frees them. */
static char **join(char *const *both, const char *text, const char *option, GError **error)
{
    g_auto(GStrv) own = NULL;
    g_autoptr(GError) cause = NULL;
    if (text && !g_shell_parse_argv(text, NULL, &own, &cause) &&
        cause->code != G_SHELL_ERROR_EMPTY_STRING) {
        godwit_fail(error, GODWIT_ERROR_USAGE, "%s: %s", option, cause->message);
        return NULL;
    }
    GPtrArray *all = g_ptr_array_new();
    for (guint i = 0; both && both[i]; i++)
        g_ptr_array_add(all, g_strdup(both[i]));
    for (guint i = 0; own && own[i]; i++)
        g_ptr_array_add(all, g_strdup(own[i]));
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

/* Takes the words of one side into *WORDS, with their disks protected, and what they choose into
 * OPTIONS. */
static bool take(struct godwit_options *options, char **all, const char *option, char ***words,
                 GError **error)
{
    struct godwit_arguments_choice choice = {0};
    const bool good = godwit_arguments_check(all, option, &choice, error);
    g_autofree char *accel = choice.accel;
    if (!good)
        return false;
    if (accel && options->accel && strcmp(accel, options->accel) != 0)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s: -accel %s: the accelerator is already %s, by --accel or the other "
                           "side",
                           option, accel, options->accel);
    if (choice.memory_mib && options->memory != GODWIT_NOT_GIVEN &&
        choice.memory_mib != (unsigned)options->memory)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s: -m: %u MiB of RAM here, but %d MiB by --memory or the other side",
                           option, choice.memory_mib, options->memory);
    if (accel && !options->accel)
        options->accel = g_steal_pointer(&accel);
    if (choice.memory_mib)
        options->memory = (int)choice.memory_mib;
    if (choice.cpus)
        options->machine_cpus =
            options->machine_cpus ? MIN(options->machine_cpus, choice.cpus) : choice.cpus;
    options->fixed_memory |= choice.backend;
    if (all[0])
        *words = godwit_arguments_protect(all);
    return true;
}

/* Fails unless the guest's RAM fits into a memory backend. */
static bool fits(const struct godwit_options *options, GError **error)
{
    return !options->fixed_memory || options->memory != GODWIT_NOT_GIVEN ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "arguments of QEMU: a memory backend has a fixed size: give the guest as "
                       "much RAM with --memory");
}

bool godwit_options_further(struct godwit_options *options, char *const *words, GError **error)
{
    const struct {
        const char *text, *option;
        char ***words;
    } sides[] = {
        {options->src_args, options->src_args ? "--src-args" : "arguments of QEMU",
         &options->source_words},
        {options->dst_args, options->dst_args ? "--dst-args" : "arguments of QEMU",
         &options->destination_words},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
        g_auto(GStrv) all = join(words, sides[i].text, sides[i].option, error);
        if (!all || !take(options, all, sides[i].option, sides[i].words, error))
            return false;
    }
    return fits(options, error);
}

/* Returns FIRST followed by SECOND, either of which may be NULL. Takes both. */
static char **append(char **first, char **second)
{
    GPtrArray *all = g_ptr_array_new();
    for (guint i = 0; first && first[i]; i++)
        g_ptr_array_add(all, first[i]);
    for (guint i = 0; second && second[i]; i++)
        g_ptr_array_add(all, second[i]);
    g_ptr_array_add(all, NULL);
    g_free(first);
    g_free(second);
    return (char **)g_ptr_array_free(all, FALSE);
}

/* Chooses the architecture of the binary's name, because --qemu may be a folder with several. */
static void choose_arch(struct godwit_options *options, const char *qemu)
{
    const char *arch = strstr(qemu, "qemu-system-");
    arch = arch ? arch + strlen("qemu-system-") : "";
    if (options->arch || !godwit_machine_find(arch))
        return;
    options->arch = g_new0(char *, 2);
    options->arch[0] = g_strdup(arch);
}

/* Takes what a command line says into OPTIONS, unless they have it. */
static bool take_line(struct godwit_options *options, const struct godwit_command_line *line,
                      GError **error)
{
    struct godwit_arguments_choice choice = {0};
    if (!godwit_arguments_choose(line->words, "command line", &choice, error))
        return false;
    g_free(choice.accel);
    if (choice.memory_mib && options->memory != GODWIT_NOT_GIVEN &&
        choice.memory_mib != (unsigned)options->memory)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "command line: -m: %u MiB of RAM here, but %d MiB by --memory",
                           choice.memory_mib, options->memory);
    choose_arch(options, line->qemu);
    if (!options->qemu && !options->qemu_src && !options->qemu_dst) {
        options->qemu = g_new0(char *, 2);
        options->qemu[0] = g_strdup(line->qemu);
    }
    if (!options->machine && !line->type)
        return godwit_fail(
            error, GODWIT_ERROR_USAGE,
            "command line: it has no -machine: name the type that it should have with "
            "--machine");
    if (!options->machine)
        options->machine = g_strdup(line->type);
    /* Without -accel, QEMU takes TCG. The measurement of --accel auto needs Godwit's guest. */
    if (!options->accel && (line->accel || options->theirs))
        options->accel = g_strdup(line->accel ? line->accel : "tcg");
    if (options->theirs && !strcmp(options->accel, "auto"))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--accel auto measures with Godwit's guest: choose tcg or kvm for "
                           "--guest theirs");
    if (options->memory == GODWIT_NOT_GIVEN && choice.memory_mib)
        options->memory = (int)choice.memory_mib;
    if (!options->machine_cpus)
        options->machine_cpus = choice.cpus;
    options->fixed_memory |= choice.backend;
    char **words = godwit_arguments_protect(line->words);
    options->command_words = g_strv_length(words);
    options->source_words = append(g_strdupv(words), options->source_words);
    options->destination_words = append(words, options->destination_words);
    return options->theirs || fits(options, error);
}

/* The most bytes of a command line. */
#define COMMAND_MAX ((size_t)1 << 20)

/* Returns the text of LENGTH bytes, which it takes, or NULL with ERROR set if it is no text. */
static char *as_text(char *bytes, size_t length, GError **error)
{
    g_autofree char *owned = bytes;
    if (memchr(bytes, 0, length)) {
        godwit_fail(error, GODWIT_ERROR_USAGE, "it is no text");
        return NULL;
    }
    return g_strndup(bytes, length);
}

static char *read_file(const char *path, GError **error)
{
    gsize length = 0;
    char *bytes = godwit_file_read(path, COMMAND_MAX, &length, error);
    return bytes ? as_text(bytes, length, error) : NULL;
}

/* Returns what comes from standard input. The caller frees it. */
static char *read_input(GError **error)
{
    char *bytes = g_malloc(COMMAND_MAX);
    const size_t length = fread(bytes, 1, COMMAND_MAX, stdin);
    if (!ferror(stdin) && feof(stdin))
        return as_text(bytes, length, error);
    g_free(bytes);
    godwit_fail(error, GODWIT_ERROR_USAGE, "standard input cannot be read, or is too long");
    return NULL;
}

bool godwit_options_command(struct godwit_options *options, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *text = strcmp(path, "-") != 0 ? read_file(path, &cause) : read_input(&cause);
    if (!text)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--command: %s", cause->message);
    g_autofree char *folder = g_get_current_dir();
    struct godwit_command_line *line =
        godwit_command_line_read(text, options->theirs, folder, error);
    const bool good = line && take_line(options, line, error);
    if (line)
        godwit_command_line_free(line);
    return good;
}

/* Tries one side. */
static bool try_side(struct godwit_process *process, const struct godwit_options *options,
                     const struct godwit_setup *setup, bool source, GHashTable *tried,
                     GError **error)
{
    const char *const *words = source ? setup->source_words : setup->destination_words;
    if (!words)
        return true;
    g_autofree char *text = g_strjoinv("\n", (char **)(uintptr_t)words);
    char *key = g_strdup_printf("%s\n%s\n%s", (source ? setup->source : setup->destination)->path,
                                setup->type, text);
    if (!g_hash_table_add(tried, key))
        return true;
    struct godwit_setup typical = *setup;
    typical.accel = options->accel && strcmp(options->accel, "auto") != 0 ? options->accel : "tcg";
    godwit_scenario_prepare(NULL, &typical);
    return godwit_qemu_try(&typical, source, process->folder, &process->interrupted, error);
}

bool godwit_target_try(struct godwit_process *process, const struct godwit_options *options,
                       const struct godwit_target *target, GHashTable *tried, GError **error)
{
    return try_side(process, options, &target->setup, true, tried, error) &&
           try_side(process, options, &target->setup, false, tried, error);
}
