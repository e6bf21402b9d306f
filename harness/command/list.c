/*
 * godwit list: what there is to run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

struct list_options {
    gboolean qemu_names;
    char **globs;
};

static void print(const GPtrArray *scenarios, bool qemu_names)
{
    for (guint i = 0; i < scenarios->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
        if (qemu_names)
            printf("%-32s %s\n", scenario->name, scenario->qemu_name ? scenario->qemu_name : "-");
        else
            printf("%-32s %s\n", scenario->name, scenario->summary);
    }
}

bool godwit_command_list(struct godwit_process *process, int argc, char **argv, int *status,
                         GError **error)
{
    (void)process;
    (void)status;
    struct list_options options = {0};
    bool helped = false;
    const GOptionEntry entries[] = {
        {"qemu-names", 0, 0, G_OPTION_ARG_NONE, &options.qemu_names,
         "Show each scenario's name in QEMU's own migration-test instead of what it does", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.globs, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...]");
    g_option_context_set_summary(context, "Lists the scenarios whose names match, all of them "
                                          "without a GLOB.");
    g_option_context_add_main_entries(context, entries, NULL);
    bool good = godwit_options_parse(context, &argc, &argv, &helped, error);
    if (good && !helped) {
        g_autoptr(GPtrArray) scenarios = godwit_match_scenarios(options.globs, error);
        good = scenarios != NULL;
        if (good)
            print(scenarios, options.qemu_names);
    }
    g_strfreev(options.globs);
    return good;
}
