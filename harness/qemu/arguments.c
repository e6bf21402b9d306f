/*
 * Reads and judges arguments of QEMU. QEMU itself has the last word on each: this file refuses only
 * what would take a machine out of Godwit's hands.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/arguments.h"

#include "base/json.h"
#include <string.h>

/* The options of QEMU that take no value. All others take one word. */
static const char *const flags[] = {
    "S",
    "alt-grab",
    "async-teardown",
    "ctrl-grab",
    "curses",
    "daemonize",
    "enable-kvm",
    "full-screen",
    "h",
    "help",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-hpet",
    "no-kvm",
    "no-quit",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nographic",
    "nouserconfig",
    "old-param",
    "one-insn-per-tb",
    "only-migratable",
    "perfmap",
    "jitdump",
    "portrait",
    "preconfig",
    "s",
    "sdl",
    "semihosting",
    "singlestep",
    "snapshot",
    "usb",
    "version",
    "win2k-hack",
    "xen-attach",
    "xen-domid-restrict",
    NULL,
};

/* Options that Godwit sets itself, or that would take the machine away from it. */
static const struct {
    const char *name, *reason;
} owned[] = {
    {"incoming", "Godwit sets up the migration itself"},
    {"qmp", "QMP belongs to Godwit"},
    {"qmp-pretty", "QMP belongs to Godwit"},
    {"mon", "the monitor belongs to Godwit"},
    {"monitor", "the monitor belongs to Godwit"},
    {"qtest", "Godwit's own access to the machine needs it"},
    {"qtest-log", "Godwit's own access to the machine needs it"},
    {"serial", "the first serial port is the console of Godwit's guest"},
    {"S", "Godwit starts and stops the guest"},
    {"preconfig", "Godwit starts and stops the guest"},
    {"loadvm", "Godwit's guest must start from reset"},
    {"gdb", "a debugger would stop the guest"},
    {"s", "a debugger would stop the guest"},
    {"daemonize", "no QEMU may outlive the run"},
    {"pidfile", "Godwit watches the process itself"},
    {"chroot", "QEMU must run where Godwit starts it"},
    {"runas", "QEMU must run as the user who starts it"},
    {"run-with", "QEMU must run as Godwit starts it"},
    {"name", "Godwit names the source and the destination"},
    {"display", "Godwit runs QEMU without a display"},
    {"vnc", "Godwit runs QEMU without a display"},
    {"spice", "Godwit runs QEMU without a display"},
    {"curses", "Godwit runs QEMU without a display"},
    {"nographic", "Godwit runs QEMU without a display"},
    {"sdl", "Godwit runs QEMU without a display"},
    {"full-screen", "Godwit runs QEMU without a display"},
    {"add-fd", "Godwit passes no descriptor on"},
    {"readconfig", "Godwit does not read that file; put its contents on the command line"},
    {"kernel", "Godwit's guest is in its place"},
    {"initrd", "Godwit's guest is in its place"},
    {"append", "Godwit's guest is in its place"},
    {"shim", "Godwit's guest is in its place"},
    {"bios", "Godwit's guest is in its place"},
    {"pflash", "Godwit's guest is in its place"},
    {"enable-kvm", "choose the accelerator with --accel"},
    {"no-kvm", "choose the accelerator with --accel"},
    {"h", "it makes QEMU print and exit"},
    {"help", "it makes QEMU print and exit"},
    {"version", "it makes QEMU print and exit"},
};

bool godwit_argument_at(char *const *words, guint at, struct godwit_argument *argument)
{
    if (!words || !words[at])
        return false;
    const char *word = words[at];
    *argument = (struct godwit_argument){.value = word, .first = at, .words = 1};
    if (word[0] != '-' || !word[1])
        return true;
    argument->name = word + (word[1] == '-' ? 2 : 1);
    argument->value = NULL;
    if (!g_strv_contains(flags, argument->name) && words[at + 1]) {
        argument->value = words[at + 1];
        argument->words = 2;
    }
    return true;
}

char **godwit_argument_split(const char *value)
{
    GPtrArray *parts = g_ptr_array_new();
    GString *part = g_string_new(NULL);
    for (; *value; value++) {
        if (*value == ',' && value[1] == ',')
            value++;
        else if (*value == ',') {
            g_ptr_array_add(parts, g_string_free(part, FALSE));
            part = g_string_new(NULL);
            continue;
        }
        g_string_append_c(part, *value);
    }
    g_ptr_array_add(parts, g_string_free(part, FALSE));
    g_ptr_array_add(parts, NULL);
    return (char **)g_ptr_array_free(parts, FALSE);
}

char *godwit_argument_get(const char *value, const char *key)
{
    if (!value)
        return NULL;
    if (*value == '{') {
        g_autoptr(json_t) object = json_loads(value, 0, NULL);
        const json_t *member = json_object_get(object, key);
        return json_is_string(member) ? g_strdup(json_string_value(member))
               : member               ? json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY)
                                      : NULL;
    }
    g_auto(GStrv) parts = godwit_argument_split(value);
    g_autofree char *prefix = g_strconcat(key, "=", NULL);
    char *found = NULL;
    for (guint i = 0; parts[i]; i++)
        if (g_str_has_prefix(parts[i], prefix)) {
            g_free(found);
            found = g_strdup(parts[i] + strlen(prefix));
        }
    return found;
}

char *godwit_argument_first(const char *value)
{
    if (!value || *value == '{')
        return NULL;
    g_auto(GStrv) parts = godwit_argument_split(value);
    return strchr(parts[0], '=') ? NULL : g_strdup(parts[0]);
}

/* Returns the number in TEXT, which may be NULL, or 0 if it has none in range. */
static unsigned number(const char *text)
{
    guint64 value = 0;
    return text && g_ascii_string_to_unsigned(text, 10, 1, 1 << 20, &value, NULL) ? (unsigned)value
                                                                                  : 0;
}

/* Returns the size of RAM that a value of -m chooses, in MiB, or 0. */
static unsigned memory_of(const char *value)
{
    static const char units[] = "KMGT";
    g_autofree char *first = godwit_argument_first(value);
    g_autofree char *size = first ? g_steal_pointer(&first) : godwit_argument_get(value, "size");
    char *end = NULL;
    const guint64 count = size ? g_ascii_strtoull(size, &end, 10) : 0;
    if (!count || count > (guint64)1 << 40)
        return 0;
    const char *unit = *end ? strchr(units, g_ascii_toupper(*end)) : units + 1;
    if (!unit || (*end && end[1]))
        return 0;
    const guint64 mib = unit == units ? count >> 10 : count << (10 * (unit - units - 1));
    return mib <= G_MAXINT ? (unsigned)mib : G_MAXINT;
}

/* Returns the number of CPUs that a value of -smp chooses, or 0. */
static unsigned cpus_of(const char *value)
{
    static const char *const parts[] = {"drawers",  "books",   "sockets", "dies",
                                        "clusters", "modules", "cores",   "threads"};
    g_autofree char *first = godwit_argument_first(value);
    g_autofree char *given = first ? g_steal_pointer(&first) : godwit_argument_get(value, "cpus");
    g_autofree char *most = godwit_argument_get(value, "maxcpus");
    unsigned product = 1;
    if (number(given) || number(most))
        return number(given) ? number(given) : number(most);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *part = godwit_argument_get(value, parts[i]);
        product *= MIN(MAX(number(part), 1), 1024);
    }
    return product;
}

/* Checks the value of -machine. */
static bool check_machine(const char *value, const char *option,
                          struct godwit_arguments_choice *choice, GError **error)
{
    g_autofree char *first = godwit_argument_first(value);
    g_autofree char *type = first ? g_steal_pointer(&first) : godwit_argument_get(value, "type");
    g_autofree char *accel = godwit_argument_get(value, "accel");
    g_autofree char *kernel = godwit_argument_get(value, "kernel");
    g_autofree char *firmware = godwit_argument_get(value, "firmware");
    g_autofree char *backend = godwit_argument_get(value, "memory-backend");
    choice->backend |= backend != NULL;
    if (type)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s: -machine %s: choose the machine type with --machine", option, type);
    if (accel)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s: -machine accel=%s: choose the accelerator with --accel", option,
                           accel);
    return (!kernel && !firmware) ||
           godwit_fail(error, GODWIT_ERROR_USAGE, "%s: -machine %s: Godwit's guest is in its place",
                       option, kernel ? "kernel" : "firmware");
}

/* Takes what an option chooses into *CHOICE, or refuses its value. */
static bool take(const struct godwit_argument *argument, const char *option,
                 struct godwit_arguments_choice *choice, GError **error)
{
    const char *name = argument->name, *value = argument->value;
    if (!strcmp(name, "machine") || !strcmp(name, "M"))
        return check_machine(value, option, choice, error);
    if (!strcmp(name, "m") && memory_of(value))
        choice->memory_mib = memory_of(value);
    if (!strcmp(name, "smp"))
        choice->cpus = cpus_of(value);
    g_autofree char *memdev = !strcmp(name, "numa") ? godwit_argument_get(value, "memdev") : NULL;
    choice->backend |= memdev != NULL || !strcmp(name, "mem-path");
    if (!strcmp(name, "accel")) {
        g_free(choice->accel);
        choice->accel = godwit_argument_first(value);
    }
    g_autofree char *fd = godwit_argument_get(value, "fd");
    return !fd || godwit_fail(error, GODWIT_ERROR_USAGE,
                              "%s: -%s fd=%s: Godwit passes no descriptor on", option, name, fd);
}

bool godwit_arguments_choose(char *const *words, const char *option,
                             struct godwit_arguments_choice *choice, GError **error)
{
    struct godwit_argument argument;
    *choice = (struct godwit_arguments_choice){0};
    for (guint at = 0; godwit_argument_at(words, at, &argument);
         at = argument.first + argument.words)
        if (argument.name && !take(&argument, option, choice, error))
            return false;
    return true;
}

/* Refuses what Godwit sets itself. */
static bool refuse_owned(const struct godwit_argument *argument, const char *option, GError **error)
{
    if (!argument->name)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s: the word \"%s\" belongs to no option of QEMU; name a disk with "
                           "-drive",
                           option, argument->value);
    for (size_t i = 0; i < G_N_ELEMENTS(owned); i++)
        if (!strcmp(argument->name, owned[i].name))
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: -%s is not allowed: %s", option,
                               argument->name, owned[i].reason);
    g_autofree char *place =
        !strcmp(argument->name, "drive") ? godwit_argument_get(argument->value, "if") : NULL;
    return g_strcmp0(place, "pflash") != 0 ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "%s: -drive if=pflash: Godwit's guest is in its place", option);
}

bool godwit_arguments_check(char *const *words, const char *option,
                            struct godwit_arguments_choice *choice, GError **error)
{
    struct godwit_argument argument;
    *choice = (struct godwit_arguments_choice){0};
    for (guint at = 0; godwit_argument_at(words, at, &argument);
         at = argument.first + argument.words)
        if (!refuse_owned(&argument, option, error))
            return false;
    return godwit_arguments_choose(words, option, choice, error);
}

/* Returns a value of -blockdev that opens the node read-only. The caller frees it. */
static char *read_only(const char *value)
{
    g_autoptr(json_t) object = *value == '{' ? json_loads(value, 0, NULL) : NULL;
    if (object) {
        json_object_set_new(object, "read-only", json_true());
        json_object_del(object, "auto-read-only");
        char *text = json_dumps(object, JSON_COMPACT);
        return text;
    }
    g_autofree char *is = godwit_argument_get(value, "read-only");
    return !g_strcmp0(is, "on") ? g_strdup(value) : g_strconcat(value, ",read-only=on", NULL);
}

char **godwit_arguments_protect(char *const *words)
{
    static const char *const disks[] = {"drive", "hda",      "hdb",   "hdc", "hdd",
                                        "sd",    "mtdblock", "cdrom", NULL};
    GPtrArray *all = g_ptr_array_new();
    bool drives = false, snapshot = false;
    struct godwit_argument argument;
    for (guint at = 0; godwit_argument_at(words, at, &argument);
         at = argument.first + argument.words) {
        const bool node = !g_strcmp0(argument.name, "blockdev") && argument.value;
        snapshot |= !g_strcmp0(argument.name, "snapshot");
        drives |= !argument.name || g_strv_contains(disks, argument.name);
        g_ptr_array_add(all, g_strdup(words[at]));
        if (argument.words > 1)
            g_ptr_array_add(all, node ? read_only(argument.value) : g_strdup(argument.value));
    }
    if (drives && !snapshot)
        g_ptr_array_add(all, g_strdup("-snapshot"));
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}
