/*
 * A QEMU binary: finds it, and stores what it can do. testbed/probe.c asks the binary itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qemu.h"

#include "guest/machine.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Returns PATH (taken) if QMP and JSON can represent it. Otherwise frees it and fails. */
static char *printable(char *path, GError **error)
{
    if (!path || g_utf8_validate(path, -1, NULL))
        return path;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "QEMU binary %s: its path is not UTF-8", path);
    g_free(path);
    return NULL;
}

/* Returns whether the machine is of the host's architecture: only its QEMU is called qemu-kvm. */
static bool is_of_host(const struct godwit_machine *machine)
{
    struct utsname names;
    if (uname(&names))
        return false;
    return !strcmp(machine->arch, names.machine) ||
           (!strcmp(machine->arch, "ppc64") && !strcmp(names.machine, "ppc64le"));
}

/* Returns the QEMU of a distribution that puts it outside $PATH, or NULL. The caller frees it. */
static char *find_kvm(const struct godwit_machine *machine)
{
    static const char libexec[] = "/usr/libexec/qemu-kvm";
    if (!is_of_host(machine))
        return NULL;
    char *found = g_find_program_in_path("qemu-kvm");
    return found                                             ? found
           : g_file_test(libexec, G_FILE_TEST_IS_EXECUTABLE) ? g_strdup(libexec)
                                                             : NULL;
}

/* Returns the machine's QEMU in FOLDER, or NULL. The caller frees it. */
static char *find_in_folder(const struct godwit_machine *machine, const char *folder,
                            const char *name)
{
    const struct {
        const char *place, *name;
        bool good;
    } files[] = {
        {".", name, true},
        {"bin", name, true},
        {".", "qemu-kvm", is_of_host(machine)},
        {"bin", "qemu-kvm", is_of_host(machine)},
        {"libexec", "qemu-kvm", is_of_host(machine)},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *file = g_build_filename(folder, files[i].place, files[i].name, NULL);
        if (files[i].good && g_file_test(file, G_FILE_TEST_IS_EXECUTABLE))
            return g_canonicalize_filename(file, NULL);
    }
    return NULL;
}

char *godwit_qemu_find(const struct godwit_machine *machine, const char *path, GError **error)
{
    g_autofree char *default_name = g_strconcat("qemu-system-", machine->arch, NULL);
    const char *name = path ? path : default_name;
    if (!strchr(name, '/')) {
        char *found = g_find_program_in_path(name);
        if (!found && !path)
            found = find_kvm(machine);
        if (!found && path)
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "QEMU binary \"%s\": not in $PATH (give its path)", name);
        else if (!found)
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "no %s in $PATH: install Debian's package %s, or name a binary with --qemu",
                        name, machine->package);
        return printable(found, error);
    }
    struct stat status;
    if (!stat(name, &status) && S_ISDIR(status.st_mode)) {
        char *found = find_in_folder(machine, name, default_name);
        if (found)
            return found;
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "QEMU folder %s: no %s in it or in its bin", name, default_name);
        return NULL;
    }
    if (stat(name, &status)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "QEMU binary %s: %s (name a QEMU binary, or a folder of them)", name,
                    g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || access(name, X_OK)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "QEMU binary %s: %s", name,
                    S_ISREG(status.st_mode) ? "not executable (chmod +x?)" : "not a regular file");
        return NULL;
    }
    return printable(g_canonicalize_filename(name, NULL), error);
}

json_t *godwit_qemu_to_json(const struct godwit_qemu *qemu)
{
    return json_pack("{s:s, s:s*, s:s, s:s, s:s, s:O, s:s, s:O, s:f}", "path", qemu->path, "remote",
                     qemu->remote, "version", qemu->version, "package", qemu->package, "arch",
                     qemu->arch, "machines", qemu->machines, "usual_type", qemu->usual_type,
                     "features", qemu->features, "start_ms", qemu->start_ms);
}

struct godwit_qemu *godwit_qemu_from_json(const json_t *json)
{
    struct godwit_qemu *qemu = g_new0(struct godwit_qemu, 1);
    qemu->path = g_strdup(godwit_json_string(json, "path", ""));
    qemu->remote = g_strdup(godwit_json_string(json, "remote", NULL));
    qemu->version = g_strdup(godwit_json_string(json, "version", ""));
    qemu->package = g_strdup(godwit_json_string(json, "package", ""));
    qemu->arch = g_strdup(godwit_json_string(json, "arch", ""));
    qemu->machines = json_incref(json_object_get(json, "machines"));
    qemu->usual_type = g_strdup(godwit_json_string(json, "usual_type", ""));
    qemu->features = json_incref(json_object_get(json, "features"));
    qemu->start_ms = json_number_value(json_object_get(json, "start_ms"));
    return qemu;
}

struct godwit_qemu *godwit_qemu_copy(const struct godwit_qemu *qemu)
{
    g_autoptr(json_t) json = godwit_qemu_to_json(qemu);
    return godwit_qemu_from_json(json);
}

int godwit_qemu_compare(const struct godwit_qemu *a, const struct godwit_qemu *b)
{
    int one[3] = {0}, other[3] = {0};
    sscanf(a->version, "%d.%d.%d", &one[0], &one[1], &one[2]);
    sscanf(b->version, "%d.%d.%d", &other[0], &other[1], &other[2]);
    for (size_t i = 0; i < G_N_ELEMENTS(one); i++)
        if (one[i] != other[i])
            return one[i] < other[i] ? -1 : 1;
    return 0;
}

void godwit_qemu_free(struct godwit_qemu *qemu)
{
    if (!qemu)
        return;
    g_free(qemu->path);
    g_free(qemu->remote);
    g_free(qemu->version);
    g_free(qemu->package);
    g_free(qemu->arch);
    g_free(qemu->usual_type);
    json_decref(qemu->machines);
    json_decref(qemu->features);
    g_free(qemu);
}

bool godwit_qemu_has(const struct godwit_qemu *qemu, const char *kind, const char *name)
{
    g_autofree char *key = g_strconcat(kind, ":", name, NULL);
    return json_object_get(qemu->features, key) != NULL;
}

struct godwit_lack *godwit_lack_new(char *need, char *why)
{
    struct godwit_lack *lack = g_new0(struct godwit_lack, 1);
    lack->need = need;
    lack->why = why;
    return lack;
}

struct godwit_lack *godwit_lack_before(const struct godwit_qemu *qemu, long least, const char *need,
                                       const char *does)
{
    return !qemu->version || strtol(qemu->version, NULL, 10) >= least
               ? NULL
               : godwit_lack_new(g_strdup(need),
                                 g_strdup_printf("QEMU %s %s", qemu->version, does));
}

void godwit_lack_free(struct godwit_lack *lack)
{
    if (!lack)
        return;
    g_free(lack->need);
    g_free(lack->why);
    g_free(lack);
}

char *godwit_lack_reason(struct godwit_lack *lack)
{
    char *reason = !lack        ? NULL
                   : !lack->why ? g_strdup_printf("needs %s", lack->need)
                                : g_strdup_printf("needs %s: %s", lack->need, lack->why);
    godwit_lack_free(lack);
    return reason;
}

struct godwit_lack *godwit_qemu_lacks(const struct godwit_qemu *qemu, const char *needs)
{
    g_auto(GStrv) list = g_strsplit(needs ? needs : "", " ", -1);
    for (guint i = 0; list[i]; i++) {
        if (!*list[i] || json_object_get(qemu->features, list[i]))
            continue;
        g_strdelimit(list[i], ":", ' ');
        return godwit_lack_new(g_strdup(list[i]), g_strdup_printf("not in QEMU %s", qemu->version));
    }
    return NULL;
}

/* Returns the one of two types, the source's and the destination's, that both binaries know. */
static const char *newest(const struct godwit_qemu *source, const struct godwit_qemu *destination,
                          const char *here, const char *there)
{
    if (!strcmp(here, there))
        return here;
    /* The newest version of the older binary is the newest that both know. */
    if (json_object_get(destination->machines, here))
        return here;
    return json_object_get(source->machines, there) ? there : NULL;
}

const char *godwit_qemu_common_type(const struct godwit_qemu *source,
                                    const struct godwit_qemu *destination, const char *type)
{
    const char *here = godwit_json_string(source->machines, type, NULL);
    const char *there = godwit_json_string(destination->machines, type, NULL);
    return here && there ? newest(source, destination, here, there) : NULL;
}

const char *godwit_qemu_usual_type(const struct godwit_qemu *source,
                                   const struct godwit_qemu *destination, const char *const *types)
{
    const char *type = newest(source, destination, source->usual_type, destination->usual_type);
    g_auto(GStrv) parts = g_strsplit(type ? type : "", "-", -1);
    for (size_t i = 0; types[i]; i++)
        if (g_strv_contains((const char *const *)parts, types[i]))
            return type;
    return NULL;
}
