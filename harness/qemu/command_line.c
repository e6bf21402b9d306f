/*
 * Turns a command line of QEMU into one that Godwit can run as a source and as a destination.
 *
 * Two QEMUs with these arguments run at once, beside the user's own machine perhaps. So nothing may
 * lead out of them: character devices go nowhere, and what needs the host's devices, networks or
 * processes is refused, because a machine without it would be another one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/command_line.h"

#include "base/json.h"
#include "qemu/arguments.h"
#include <string.h>

/* What becomes of an option. */
enum fate {
    KEEP,
    DROP, /* Godwit has its own, or none */
    BOOT, /* decides what boots: dropped for Godwit's guest */
    FAIL, /* refused */
};

static const struct {
    const char *name;
    enum fate fate;
    const char *reason; /* of a refusal */
} fates[] = {
    {"qmp-pretty", DROP, NULL},
    {"mon", DROP, NULL},
    {"monitor", DROP, NULL},
    {"qtest", DROP, NULL},
    {"qtest-log", DROP, NULL},
    {"S", DROP, NULL},
    {"daemonize", DROP, NULL},
    {"pidfile", DROP, NULL},
    {"display", DROP, NULL},
    {"vnc", DROP, NULL},
    {"spice", DROP, NULL},
    {"curses", DROP, NULL},
    {"nographic", DROP, NULL},
    {"sdl", DROP, NULL},
    {"full-screen", DROP, NULL},
    {"gdb", DROP, NULL},
    {"s", DROP, NULL},
    {"d", DROP, NULL},
    {"D", DROP, NULL},
    {"trace", DROP, NULL},
    {"run-with", DROP, NULL},
    {"async-teardown", DROP, NULL},
    {"parallel", DROP, NULL},
    {"id", DROP, NULL}, /* only Proxmox's QEMU has it */
    {"enable-kvm", DROP, NULL},
    {"accel", DROP, NULL},
    {"kernel", BOOT, NULL},
    {"initrd", BOOT, NULL},
    {"append", BOOT, NULL},
    {"dtb", BOOT, NULL},
    {"shim", BOOT, NULL},
    {"bios", BOOT, NULL},
    {"pflash", BOOT, NULL},
    {"incoming", FAIL, "Godwit sets up the migration itself: give the command line of the source"},
    {"loadvm", FAIL, "Godwit does not restore snapshots"},
    {"preconfig", FAIL, "somebody else would have to complete the machine"},
    {"add-fd", FAIL, "its descriptor belongs to the process that wrote this command line"},
    {"chroot", FAIL, "QEMU must run where Godwit starts it"},
    {"runas", FAIL, "QEMU must run as the user who starts it"},
    {"virtfs", FAIL, "it gives the guest a folder of the host"},
    {"fsdev", FAIL, "it gives the guest a folder of the host"},
    {"tpmdev", FAIL, "it needs a process or a device of the host"},
    {"usbdevice", FAIL, "it may be a device of the host"},
    {"version", FAIL, "it makes QEMU print and exit"},
    {"help", FAIL, "it makes QEMU print and exit"},
    {"h", FAIL, "it makes QEMU print and exit"},
};

/* Devices that are the host's, by patterns. */
static const char *const host_devices[] = {
    "vfio-*", "usb-host",       "usb-mtp", "vhost-*",     "scsi-block",       "scsi-generic",
    "xen-*",  "ccid-card-emu*", "tpm-*",   "virtio-9p-*", "ivshmem-doorbell", "u2f-passthru",
};

/* The kinds of network that lead nowhere, or only out of the process. */
static const char *const networks[] = {"user", "hubport", "none", "nic", NULL};

/* Devices that a console can be connected to by chardev=. */
static const char *const serial_devices[] = {
    "isa-serial", "pci-serial", "spapr-vty", "sclpconsole", "sclplmconsole", NULL,
};

/* The names of Godwit's own character devices (testbed/vm_parts.h). */
static const char *const own_chardevs[] = {"qmp", "console", "qtest", NULL};

struct reading {
    GPtrArray *words; /* the result */
    struct godwit_command_line *line;
    const char *folder;
    bool theirs;
    bool console; /* it is connected */
    GError **error;
};

static bool refuse(struct reading *reading, const struct godwit_argument *argument,
                   const char *reason)
{
    return godwit_fail(reading->error, GODWIT_ERROR_USAGE, "command line: -%s%s%s: %s",
                       argument->name, argument->value ? " " : "",
                       argument->value ? argument->value : "", reason);
}

static void add(struct reading *reading, const char *name, char *value)
{
    g_ptr_array_add(reading->words, g_strconcat("-", name, NULL));
    if (value)
        g_ptr_array_add(reading->words, value);
}

/* Appends a comma, unless ALL is empty, and PREFIX and TEXT, whose commas are doubled. */
static void append_part(GString *all, const char *prefix, const char *text)
{
    g_auto(GStrv) pieces = g_strsplit(text, ",", -1);
    g_autofree char *doubled = g_strjoinv(",,", pieces);
    g_string_append_printf(all, "%s%s%s", all->len ? "," : "", prefix, doubled);
}

/* Returns VALUE with KEY set to TEXT, or without KEY if TEXT is NULL. The caller frees it. */
static char *with(const char *value, const char *key, const char *text)
{
    if (*value == '{') {
        g_autoptr(json_t) object = json_loads(value, 0, NULL);
        if (!object)
            return g_strdup(value);
        if (text)
            json_object_set_new(object, key, godwit_json_text(text));
        else
            json_object_del(object, key);
        return json_dumps(object, JSON_COMPACT);
    }
    g_auto(GStrv) parts = godwit_argument_split(value);
    g_autofree char *prefix = g_strconcat(key, "=", NULL);
    GString *all = g_string_new(NULL);
    for (guint i = 0; parts[i]; i++)
        if (!g_str_has_prefix(parts[i], prefix))
            append_part(all, "", parts[i]);
    if (text)
        append_part(all, prefix, text);
    return g_string_free(all, FALSE);
}

/* Returns the absolute path of NAME, which the caller frees, or NULL with the error set if there is
 * no such file. A name with a protocol ("nbd:...") stays as it is. */
static char *find(struct reading *reading, const struct godwit_argument *argument, const char *name)
{
    const char *colon = strchr(name, ':');
    const char *slash = strchr(name, '/');
    if (!*name || (colon && (!slash || colon < slash)))
        return g_strdup(name);
    g_autofree char *path = g_canonicalize_filename(name, reading->folder);
    if (g_file_test(path, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&path);
    godwit_fail(reading->error, GODWIT_ERROR_USAGE, "command line: %s%s %s: no such file",
                argument->name ? "-" : "", argument->name ? argument->name : "disk", path);
    return NULL;
}

/* Returns VALUE with an absolute path for each key that names a file, or NULL with the error set.
 * The caller frees it. */
static char *with_paths(struct reading *reading, const struct godwit_argument *argument)
{
    static const char *const keys[] = {"file", "filename", "mem-path", "romfile"};
    g_autofree char *value = g_strdup(argument->value);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *name = godwit_argument_get(value, keys[i]);
        /* In a -blockdev, "file" may be the name or the description of another node. */
        if (!name || *name == '{' ||
            (!strcmp(keys[i], "file") && !strcmp(argument->name, "blockdev")))
            continue;
        if (!strcmp(keys[i], "mem-path") && *name == '/')
            continue;
        g_autofree char *path = find(reading, argument, name);
        if (!path)
            return NULL;
        char *changed = strcmp(path, name) ? with(value, keys[i], path) : g_strdup(value);
        g_free(value);
        value = changed;
    }
    return g_steal_pointer(&value);
}

/* Takes -machine: its type, its accelerator, and its firmware unless it boots. */
static bool take_machine(struct reading *reading, const char *value)
{
    static const char *const boot[] = {"pflash0", "pflash1", "firmware", "kernel",
                                       "initrd",  "append",  "dtb"};
    g_autofree char *type = godwit_argument_first(value);
    g_autofree char *rest = type ? g_strdup(value[strlen(type)] ? value + strlen(type) + 1 : "")
                                 : with(value, "type", NULL);
    if (!type)
        type = godwit_argument_get(value, "type");
    g_autofree char *accel = godwit_argument_get(rest, "accel");
    if (accel && !reading->line->accel)
        reading->line->accel = g_strndup(accel, strcspn(accel, ":"));
    if (type) {
        g_free(reading->line->type);
        reading->line->type = g_steal_pointer(&type);
    }
    char *kept = with(rest, "accel", NULL);
    for (size_t i = 0; !reading->theirs && i < G_N_ELEMENTS(boot); i++) {
        char *without = with(kept, boot[i], NULL);
        g_free(kept);
        kept = without;
    }
    if (*kept)
        add(reading, "machine", kept);
    else
        g_free(kept);
    return true;
}

/* Takes -device and -netdev and their kin, or refuses what is the host's. */
static bool take_device(struct reading *reading, const struct godwit_argument *argument)
{
    const char *value = argument->value;
    g_autofree char *driver =
        *value == '{' ? godwit_argument_get(value, "driver") : godwit_argument_first(value);
    for (size_t i = 0; driver && i < G_N_ELEMENTS(host_devices); i++)
        if (g_pattern_match_simple(host_devices[i], driver))
            return refuse(reading, argument, "a device of the host, which Godwit cannot own");
    if (!driver || !g_strv_contains(serial_devices, driver) || reading->console) {
        add(reading, argument->name, g_strdup(value));
        return true;
    }
    reading->console = true;
    add(reading, argument->name, with(value, "chardev", "console"));
    return true;
}

static bool take_network(struct reading *reading, const struct godwit_argument *argument)
{
    const char *value = argument->value;
    g_autofree char *kind =
        *value == '{' ? godwit_argument_get(value, "type") : godwit_argument_first(value);
    g_autofree char *forward = godwit_argument_get(value, "hostfwd");
    if (kind && !g_strv_contains(networks, kind))
        return refuse(reading, argument,
                      "a network of the host, which Godwit cannot own; use user or hubport");
    if (forward)
        return refuse(reading, argument, "source and destination cannot both listen on that port");
    add(reading, argument->name, g_strdup(value));
    return true;
}

/* Takes -object. */
static bool take_object(struct reading *reading, const struct godwit_argument *argument)
{
    g_autofree char *id = godwit_argument_get(argument->value, "id");
    g_autofree char *share = godwit_argument_get(argument->value, "share");
    g_autofree char *path = godwit_argument_get(argument->value, "mem-path");
    /* libvirt's key for secrets in its monitor exists while libvirt runs the machine. */
    if (!g_strcmp0(id, "masterKey0"))
        return true;
    if (path && share && (!strcmp(share, "on") || !strcmp(share, "true") || !strcmp(share, "yes")))
        return refuse(reading, argument, "source and destination would share that memory");
    char *value = with_paths(reading, argument);
    if (value)
        add(reading, argument->name, value);
    return value != NULL;
}

/* Takes -serial: the first is the console. */
static void take_serial(struct reading *reading, const char *value)
{
    const bool none = !strcmp(value, "none");
    add(reading, "serial", g_strdup(none ? "none" : reading->console ? "null" : "chardev:console"));
    reading->console |= !none;
}

/* Takes an option that is neither dropped nor refused by its name alone. */
static bool take_value(struct reading *reading, const struct godwit_argument *argument)
{
    static const char *const paths[] = {"kernel", "initrd",   "dtb",  "bios",       "pflash",
                                        "hda",    "hdb",      "hdc",  "hdd",        "cdrom",
                                        "sd",     "mtdblock", "shim", "readconfig", NULL};
    const char *name = argument->name, *value = argument->value;
    g_autofree char *id = godwit_argument_get(value, "id");
    if (!value) {
        add(reading, name, NULL);
        return true;
    }
    if (!strcmp(name, "machine") || !strcmp(name, "M"))
        return take_machine(reading, value);
    if (!strcmp(name, "device"))
        return take_device(reading, argument);
    if (!strcmp(name, "netdev") || !strcmp(name, "net") || !strcmp(name, "nic"))
        return take_network(reading, argument);
    if (!strcmp(name, "object"))
        return take_object(reading, argument);
    if (!strcmp(name, "chardev") || !strcmp(name, "audiodev")) {
        if (!id)
            return refuse(reading, argument, "it has no id");
        /* Proxmox calls its monitor "qmp". What refers to a device of these names gets Godwit's. */
        if (g_strv_contains(own_chardevs, id))
            return true;
        add(reading, name,
            g_strdup_printf("%s,id=%s", strcmp(name, "chardev") ? "none" : "null", id));
        return true;
    }
    if (!strcmp(name, "serial")) {
        take_serial(reading, value);
        return true;
    }
    char *changed = g_strv_contains(paths, name) ? find(reading, argument, value)
                                                 : with_paths(reading, argument);
    if (changed)
        add(reading, name, changed);
    return changed != NULL;
}

/* Takes one option. */
static bool take(struct reading *reading, const struct godwit_argument *argument)
{
    enum fate fate = KEEP;
    if (!argument->name) {
        char *path = find(reading, argument, argument->value);
        if (path)
            g_ptr_array_add(reading->words, path);
        return path != NULL;
    }
    g_autofree char *place =
        !strcmp(argument->name, "drive") ? godwit_argument_get(argument->value, "if") : NULL;
    if (!strcmp(argument->name, "qmp"))
        return g_strcmp0(argument->value, "stdio") != 0 ||
               refuse(reading, argument,
                      "somebody drives this QEMU by its standard input, which Godwit takes over");
    if (!reading->line->accel && !strcmp(argument->name, "accel"))
        reading->line->accel = godwit_argument_first(argument->value);
    if (!reading->line->accel && !strcmp(argument->name, "enable-kvm"))
        reading->line->accel = g_strdup("kvm");
    for (size_t i = 0; i < G_N_ELEMENTS(fates); i++) {
        if (strcmp(fates[i].name, argument->name) != 0)
            continue;
        fate = fates[i].fate;
        if (fate == FAIL)
            return refuse(reading, argument, fates[i].reason);
    }
    if (!g_strcmp0(place, "pflash"))
        fate = BOOT;
    return fate == DROP || (fate == BOOT && !reading->theirs) || take_value(reading, argument);
}

/* Returns the index of the binary among WORDS, or -1 with ERROR set. */
static int find_binary(char *const *words, GError **error)
{
    static const char *const before[] = {"sudo", "env", "exec", NULL};
    int i = 0;
    while (words[i] && (g_strv_contains(before, words[i]) ||
                        (*words[i] != '-' && *words[i] != '/' && strchr(words[i], '='))))
        i++;
    g_autofree char *base = words[i] ? g_path_get_basename(words[i]) : NULL;
    if (base && (strstr(base, "qemu") || !strcmp(base, "kvm")))
        return i;
    godwit_fail(error, GODWIT_ERROR_USAGE, "command line: it names no QEMU%s%s%s",
                base ? ": it begins with \"" : "", base ? words[i] : "", base ? "\"" : "");
    return -1;
}

/* Refuses what only a shell understands. */
static bool is_plain(char *const *words, GError **error)
{
    static const char *const syntax[] = {"&", "&&", "|", "||", ";", "<", ">", NULL};
    for (guint i = 0; words[i]; i++)
        if (g_strv_contains(syntax, words[i]))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "command line: \"%s\" is for a shell; give QEMU and its arguments "
                               "only",
                               words[i]);
    return true;
}

struct godwit_command_line *godwit_command_line_read(const char *text, bool theirs,
                                                     const char *folder, GError **error)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_shell_parse_argv(text, NULL, &words, &cause)) {
        godwit_fail(error, GODWIT_ERROR_USAGE, "command line: %s",
                    cause->code == G_SHELL_ERROR_EMPTY_STRING ? "it is empty" : cause->message);
        return NULL;
    }
    const int binary = is_plain(words, error) ? find_binary(words, error) : -1;
    if (binary < 0)
        return NULL;
    struct godwit_command_line *line = g_new0(struct godwit_command_line, 1);
    line->qemu = g_strdup(words[binary]);
    struct reading reading = {.words = g_ptr_array_new_with_free_func(g_free),
                              .line = line,
                              .folder = folder,
                              .theirs = theirs,
                              .error = error};
    struct godwit_argument argument;
    bool good = true;
    for (guint at = (guint)binary + 1; good && godwit_argument_at(words, at, &argument);
         at = argument.first + argument.words)
        good = take(&reading, &argument);
    g_ptr_array_add(reading.words, NULL);
    g_ptr_array_set_free_func(reading.words, NULL);
    line->words = (char **)g_ptr_array_free(reading.words, FALSE);
    if (!good)
        g_clear_pointer(&line, godwit_command_line_free);
    return line;
}

void godwit_command_line_free(struct godwit_command_line *line)
{
    g_free(line->qemu);
    g_free(line->type);
    g_free(line->accel);
    g_strfreev(line->words);
    g_free(line);
}

bool godwit_command_line_has_console(const char *const *words)
{
    for (guint i = 0; words && words[i]; i++)
        if (strstr(words[i], "chardev=console") || strstr(words[i], "\"chardev\":\"console\"") ||
            !strcmp(words[i], "chardev:console"))
            return true;
    return false;
}
