/*
 * The further arguments of QEMU: those behind "--" and those for one side. They are checked before
 * anything starts. Then each QEMU is started once with them, so that arguments that it rejects are
 * one message and not the failure of every scenario.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "qemu/arguments.h"
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
    return !options->fixed_memory || options->memory != GODWIT_NOT_GIVEN ||
           godwit_fail(
               error, GODWIT_ERROR_USAGE,
               "arguments of QEMU: a memory backend has a fixed size: give the guest as much "
               "RAM with --memory");
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
