/*
 * godwit list: prints the scenarios, and with --why whether they can run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"

struct list_options {
    struct godwit_options target;
    gboolean qemu_names;
    gboolean why;
    char **globs;
};

static void print(const GPtrArray *scenarios, bool qemu_names)
{
    for (guint i = 0; i < scenarios->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
        if (qemu_names)
            printf("%-36s %s\n", scenario->name, scenario->qemu_name ? scenario->qemu_name : "-");
        else
            printf("%-36s %s%s\n", scenario->name, scenario->summary,
                   scenario->slow    ? " (slow)"
                   : scenario->quick ? " (quick)"
                                     : "");
    }
}

/* Prints for each scenario and target that it can run there, or the reason to skip it. */
static bool print_why(struct godwit_process *process, const struct godwit_options *options,
                      const GPtrArray *scenarios, GError **error)
{
    g_autoptr(GPtrArray) targets =
        godwit_process_begin(process, error) ? godwit_targets(process, options, 0, error) : NULL;
    for (guint t = 0; targets && t < targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(targets, t);
        for (guint i = 0; i < scenarios->len; i++) {
            const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
            g_autofree char *skip = godwit_scenario_skip_reason(scenario, &target->setup);
            g_autofree char *name = godwit_text_line(target->name);
            g_autofree char *why =
                godwit_text_line(skip             ? skip
                                 : scenario->slow ? "slow: runs only if requested"
                                                  : "runs");
            printf("%-*s %-36s %s\n", godwit_targets_width(targets), name, scenario->name, why);
        }
    }
    return targets != NULL;
}

bool godwit_command_list(struct godwit_process *process, int argc, char **argv, int *status,
                         GError **error)
{
    (void)status;
    struct list_options options = {0};
    bool helped = false;
    godwit_options_init(&options.target);
    const GOptionEntry entries[] = {
        {"qemu-names", 0, 0, G_OPTION_ARG_NONE, &options.qemu_names,
         "Show each scenario's name in QEMU's own migration-test instead of its summary", NULL},
        {"why", 0, 0, G_OPTION_ARG_NONE, &options.why,
         "Show for each architecture and binary that the scenario runs there, or why it does not",
         NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.globs, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...]");
    g_option_context_set_summary(
        context,
        "Lists the scenarios whose names match a GLOB, or all scenarios without a GLOB. The "
        "options\nunder \"What to start\" have an effect only with --why.\n"
        "Exit status: 0, or 2 after a usage or environment error.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options.target));
    bool good = godwit_options_parse(context, &options.target, &argc, &argv, &helped, error);
    if (good && !helped) {
        g_autoptr(GPtrArray) scenarios = godwit_match_scenarios(options.globs, error);
        g_autoptr(GPtrArray) prototypes = godwit_scenario_prototypes();
        good = scenarios != NULL;
        if (good && options.why)
            good = print_why(process, &options.target, scenarios, error);
        else if (good)
            print(scenarios, options.qemu_names);
        if (good && !options.why && !options.globs)
            print(prototypes, options.qemu_names);
    }
    g_strfreev(options.globs);
    godwit_options_clear(&options.target);
    return good;
}
