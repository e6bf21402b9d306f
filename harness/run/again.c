/*
 * The command line that runs a job again.
 *
 * It has every setting that is not Godwit's default, so that the job runs again as it was: on the
 * same binaries, with the same seed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/job.h"

#include "base/shell.h"
#include "bugs/bugs.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "migrate/settings.h"
#include "oracle/ledger.h"
#include <string.h>

/* Returns whether two arrays of words, either of which may be NULL, are equal. */
static bool same_words(const char *const *one, const char *const *other)
{
    return one == other || (one && other && g_strv_equal(one, other));
}

/* Appends OPTION with WORDS as one word. */
static void append_words(GString *line, const char *option, const char *const *words)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (size_t i = 0; words && words[i]; i++) {
        g_autofree char *word = godwit_shell_word(words[i]);
        g_string_append_printf(text, "%s%s", i ? " " : "", word);
    }
    if (text->len)
        godwit_shell_append_option(line, option, text->str);
}

static void append_settings(GString *line, const struct godwit_setup *setup)
{
    const char *name;
    json_t *value;
    if (setup->unthrottled)
        g_string_append(line, " --unthrottled");
    if (setup->untraced)
        g_string_append(line, " --no-waterfall");
    if (setup->give_up > 0)
        g_string_append_printf(line, " --give-up %gs", setup->give_up);
    if (setup->pause_iteration)
        g_string_append_printf(line, " --pause-iteration %d", setup->pause_iteration);
    if (setup->postcopy_iteration)
        g_string_append_printf(line, " --postcopy-iteration %d", setup->postcopy_iteration);
    json_object_foreach((json_t *)(uintptr_t)setup->settings, name, value)
    {
        g_autofree char *word = godwit_settings_value(value);
        g_autofree char *setting = g_strdup_printf("%s=%s", name, word);
        godwit_shell_append_option(line, "--set", setting);
    }
}

/* Appends the further arguments. They come last, because nothing can follow those of both sides.
 * Those of a command line are in its file. */
static void append_further(GString *line, const struct godwit_job *job)
{
    const struct godwit_setup *setup = &job->setup;
    const char *const *source = setup->source_words, *const *destination = setup->destination_words;
    if (job->command) {
        godwit_shell_append_option(line, "--command", job->command);
        godwit_shell_append_option(line, "--guest", setup->theirs ? "theirs" : "godwit");
        if (setup->after)
            godwit_shell_append_option(line, "--after", setup->after);
        source += job->command_words;
        destination += job->command_words;
    }
    if (!same_words(source, destination)) {
        append_words(line, "--src-args", source);
        append_words(line, "--dst-args", destination);
        return;
    }
    for (size_t i = 0; source && source[i]; i++) {
        g_string_append(line, i ? "" : " --");
        godwit_shell_append(line, source[i]);
    }
}

char *godwit_job_again(const struct godwit_job *job)
{
    const struct godwit_setup *setup = &job->setup;
    const struct godwit_workload defaults = godwit_image_workload(setup->machine, setup->image);
    const struct godwit_workload *workload = &setup->workload;
    GString *line = g_string_new("godwit");
    if (job->scenario)
        godwit_shell_append_option(line, "run", job->scenario->name);
    else
        g_string_append_printf(line, " migrate --transport %s%s%s",
                               job->spec.transport == GODWIT_TRANSPORT_TCP ? "tcp" : "unix",
                               godwit_spec_is_postcopy(&job->spec) ? " --postcopy" : "",
                               job->spec.move == GODWIT_MOVE_STOPPED ? " --stopped" : "");
    if (job->fault)
        godwit_shell_append_option(line, "--fault", job->fault);
    for (guint i = 0; i < job->capabilities->len; i++) {
        const struct godwit_capability *c =
            &g_array_index(job->capabilities, struct godwit_capability, i);
        g_autofree char *value = g_strdup_printf("%s=%s", c->name, c->on ? "on" : "off");
        godwit_shell_append_option(line, "--capability", value);
    }
    for (guint i = 0; i < job->parameters->len; i++) {
        const struct godwit_parameter *p =
            &g_array_index(job->parameters, struct godwit_parameter, i);
        g_autofree char *value = g_strdup_printf("%s=%" JSON_INTEGER_FORMAT, p->name, p->value);
        godwit_shell_append_option(line, "--parameter", value);
    }
    godwit_shell_append_option(line, "--arch", setup->machine->arch);
    if (setup->peer) {
        godwit_shell_append_option(line, "--qemu-src", setup->source->path);
        godwit_shell_append_option(line, "--qemu-dst", setup->destination->remote);
        godwit_shell_append_option(line, "--peer", setup->peer);
        godwit_shell_append_option(line, "--peer-address", setup->peer_address);
    } else if (!strcmp(setup->source->path, setup->destination->path)) {
        godwit_shell_append_option(line, "--qemu", setup->source->path);
    } else {
        godwit_shell_append_option(line, "--qemu-src", setup->source->path);
        godwit_shell_append_option(line, "--qemu-dst", setup->destination->path);
    }
    godwit_shell_append_option(line, "--machine", setup->type);
    if (!setup->theirs)
        godwit_shell_append_option(line, "--image", setup->image->name);
    godwit_shell_append_option(line, "--accel", setup->accel);
    /* A run without this option has both workloads, an ad-hoc migration `order`. */
    g_autofree char *name = godwit_workload_name(workload);
    if (job->scenario || strcmp(name, "order") != 0)
        godwit_shell_append_option(line, "--workload", name);
    if (setup->memory_given)
        g_string_append_printf(line, " --memory %u", setup->memory_mib);
    if (setup->window_given)
        g_string_append_printf(line,
                               " --window 0x%" G_GINT64_MODIFIER "x:0x%" G_GINT64_MODIFIER "x",
                               workload->window_start, workload->window_end);
    if (workload->page_size != defaults.page_size)
        g_string_append_printf(line, " --page-size %u", workload->page_size);
    if (workload->page_ticks != defaults.page_ticks)
        g_string_append_printf(line, " --page-ticks %u", workload->page_ticks);
    if (workload->cpus != defaults.cpus)
        g_string_append_printf(line, " --cpus %u", workload->cpus);
    if (setup->pmemsave)
        g_string_append(line, " --read-memory pmemsave");
    if (job->scenario && job->scenario->hops)
        g_string_append_printf(line, " --hops %u", setup->hops);
    if (setup->oracles_off) {
        g_autofree char *oracles = godwit_oracles_chosen(setup->oracles_off);
        godwit_shell_append_option(line, "--oracle", oracles);
    }
    if ((workload->flags & GODWIT_FLAG_STAMP) || job->fault ||
        (job->scenario && job->scenario->random))
        g_string_append_printf(line, " --seed %" G_GUINT64_FORMAT, setup->seed);
    if (setup->timeout_scale != 1)
        g_string_append_printf(line, " --timeout-scale %g", setup->timeout_scale);
    g_autofree char *accepted = godwit_bug_set_text(&setup->accepted);
    if (accepted)
        g_string_append_printf(line, " --accept-known %s", accepted);
    if (setup->strict)
        g_string_append(line, " --strict");
    append_settings(line, setup);
    append_further(line, job);
    return g_string_free(line, FALSE);
}
