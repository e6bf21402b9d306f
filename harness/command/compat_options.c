/*
 * The options of `godwit compat`, and what they choose.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "qemu/host.h"
#include <string.h>

/* What distributions' default machines have, and what people plug into them. */
static const char *const common[] = {
    "virtio-net-pci",
    "virtio-blk-pci",
    "virtio-scsi-pci",
    "virtio-balloon-pci",
    "virtio-rng-pci",
    "virtio-gpu-pci",
    "virtio-serial-pci",
    "virtio-vga",
    "virtio-keyboard-pci",
    "virtio-tablet-pci",
    "virtio-net-ccw",
    "virtio-blk-ccw",
    "virtio-scsi-ccw",
    "virtio-balloon-ccw",
    "virtio-rng-ccw",
    "virtio-serial-ccw",
    "e1000",
    "e1000e",
    "rtl8139",
    "qemu-xhci",
    "ich9-usb-ehci1",
    "usb-tablet",
    "usb-kbd",
    "ich9-ahci",
    "ide-hd",
    "scsi-hd",
    "VGA",
    "bochs-display",
    "intel-hda",
    "hda-duplex",
    "pcie-root-port",
    "pci-bridge",
    "i6300esb",
    "pvpanic",
    "spapr-vscsi",
    "spapr-vlan",
};

void godwit_compat_options_clear(struct godwit_compat_options *options)
{
    godwit_options_clear(&options->target);
    g_free(options->devices);
    g_free(options->cpu_models);
    g_free(options->baseline);
    g_free(options->write_baseline);
    g_strfreev(options->formats);
    g_strfreev(options->binaries);
}

static bool check(struct godwit_compat_options *options, GError **error)
{
    static const char *const names[] = {"text", "json", "html", NULL};
    if (options->jobs < 1 || options->jobs > 256)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "-j needs a number from 1 to 256");
    if (!options->binaries || !options->binaries[0] || !options->binaries[1])
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compat needs two QEMUs or more: an old one and new ones");
    if (options->target.qemu || options->target.qemu_src || options->target.qemu_dst ||
        options->target.cross)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compat takes its QEMUs as arguments: leave out --qemu, --qemu-src, "
                           "--qemu-dst and --cross");
    if (options->all_machines && options->target.machine)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--all-machines and --machine exclude each other");
    if (options->find_newest && options->target.direction)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--find-newest goes from the first QEMU to each other one: leave out "
                           "--direction");
    for (guint i = 0; options->formats && options->formats[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(options->formats[i], ":", 2);
        if (!parts[0] || !g_strv_contains(names, parts[0]))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "unknown format \"%s\" (expected text, json or html)",
                               options->formats[i]);
    }
    options->target.qemu = g_strdupv(options->binaries);
    options->target.cross = true;
    return true;
}

bool godwit_compat_options_parse(struct godwit_compat_options *options, int *argc, char ***argv,
                                 bool *helped, GError **error)
{
    godwit_options_init(&options->target);
    options->target.usual_workloads = "order";
    options->jobs = (int)MAX(1, godwit_host_processors());
    const GOptionEntry entries[] = {
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &options->jobs,
         "Machines to move in parallel, 1 to 256 (default: one per processor)", "N"},
        {"devices", 0, 0, G_OPTION_ARG_STRING, &options->devices,
         "The devices to plug: all (default), common (what most machines have), none, or globs, "
         "separated by commas",
         "NAMES"},
        {"cpu-models", 0, 0, G_OPTION_ARG_STRING, &options->cpu_models,
         "The CPU models to start, on the newest machine: all (default), none, or globs, separated "
         "by "
         "commas, which are started on every machine that is tried",
         "NAMES"},
        {"all-machines", 0, 0, G_OPTION_ARG_NONE, &options->all_machines,
         "Every machine type with a version that both QEMUs have, not only the newest of one "
         "family",
         NULL},
        {"baseline", 0, 0, G_OPTION_ARG_FILENAME, &options->baseline,
         "Fail only for what is not in FILE, an earlier --write-baseline", "FILE"},
        {"write-baseline", 0, 0, G_OPTION_ARG_FILENAME, &options->write_baseline,
         "Write what was found to FILE", "FILE"},
        {"find-newest", 0, 0, G_OPTION_ARG_NONE, &options->find_newest,
         "Print the newest of the QEMUs to which all of the first one's machines can go", NULL},
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options->formats,
         "Report as text (default), json or html, to standard output or to FILE; repeatable",
         "NAME[:FILE]"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->binaries, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("OLD NEW...");
    g_option_context_set_summary(
        context,
        "Says which machines can go from one QEMU to another, and back: each device and each CPU "
        "model\n"
        "in the newest version of the machine that both have, in both directions. OLD and NEW are\n"
        "binaries, or folders that have them.\n"
        "Exit status: 0 if everything can go, or nothing is worse than the baseline; 1 otherwise;\n"
        "2 after a usage or environment error, or if nothing could be tried.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    return godwit_options_parse(context, &options->target, argc, argv, helped, error) &&
           (*helped || check(options, error));
}

/* Returns whether one of the globs in NAMES, separated by commas, matches NAME. */
static bool matches(const char *names, const char *name)
{
    g_auto(GStrv) globs = g_strsplit(names, ",", -1);
    for (guint i = 0; globs[i]; i++)
        if (g_pattern_match_simple(globs[i], name))
            return true;
    return false;
}

bool godwit_compat_has_device(const struct godwit_compat_options *options, const char *device)
{
    const char *names = options->devices ? options->devices : "all";
    if (!strcmp(names, "all"))
        return true;
    if (!strcmp(names, "none"))
        return false;
    if (strcmp(names, "common") != 0)
        return matches(names, device);
    for (size_t i = 0; i < G_N_ELEMENTS(common); i++)
        if (!strcmp(common[i], device))
            return true;
    return false;
}

bool godwit_compat_has_model(const struct godwit_compat_options *options, const char *model,
                             bool newest)
{
    const char *names = options->cpu_models ? options->cpu_models : "all";
    if (!strcmp(names, "all"))
        return newest;
    return strcmp(names, "none") != 0 && matches(names, model);
}
