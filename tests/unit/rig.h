/*
 * Real machines for unit tests: each installed QEMU, and those that `make qemus` has unpacked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_RIG_H
#define GODWIT_TESTS_UNIT_RIG_H

#include "unit.h"

#include "guest/machine.h"
#include "testbed/vm.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MUST(expression)                                                                           \
    do {                                                                                           \
        GError *failure = NULL;                                                                    \
        GError **error = &failure;                                                                 \
        if (!(expression))                                                                         \
            fail_msg("%s: %s", #expression, failure ? failure->message : "no error is set");       \
    } while (0)

/* A folder of binaries, and a VM of one of them. */
struct rig {
    struct godwit_qemu qemu;
    struct godwit_setup setup;
    struct godwit_testbed *testbed;
    struct godwit_vm *vm;
};

/* Without the first, the installed one, nothing is tested. */
static const char *const rig_folders[] = {"/usr/bin", "build/qemus/10.0/bin",
                                          "build/qemus/11.1/bin"};

/* Starts a VM of the binary in FOLDER. Returns NULL, after printing why, if it is not there. */
static struct rig *rig_new(void **state, const char *folder, const char *arch, const char *type,
                           const char *const *arguments)
{
    g_autofree char *file = g_strdup_printf("%s/qemu-system-%s", folder, arch);
    if (access(file, X_OK)) {
        print_message("# there is no %s\n", file);
        return NULL;
    }
    struct rig *rig = g_new0(struct rig, 1);
    const struct godwit_machine *machine = godwit_machine_find(arch);
    rig->qemu.path = g_canonicalize_filename(file, NULL);
    rig->qemu.package = g_strdup("");
    rig->setup = (struct godwit_setup){
        .machine = machine,
        .image = godwit_machine_image(machine, NULL),
        .type = type,
        .accel = "tcg",
        .memory_mib = machine->memory_mib,
        .source = &rig->qemu,
        .destination = &rig->qemu,
        .workload = {.window_start = machine->ram_base + (1 << 20),
                     .window_end = machine->ram_base + (2 << 20),
                     .page_size = 4096,
                     .passes_per_report = 1,
                     .cpus = 1},
        .timeout_scale = 4,
    };
    rig->testbed = godwit_testbed_new(&rig->setup, *state);
    rig->testbed->hand = true;
    MUST(rig->vm = godwit_vm_start(rig->testbed, "source", GODWIT_VM_SOURCE, arguments, error));
    MUST(godwit_vm_handshake(rig->vm, error));
    return rig;
}

static void rig_free(void **state, struct rig *rig)
{
    godwit_testbed_free(rig->testbed);
    g_autoptr(GDir) folder = g_dir_open(*state, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *path = g_build_filename(*state, name, NULL);
        g_unlink(path);
    }
    g_free(rig->qemu.path);
    g_free(rig->qemu.package);
    g_free(rig);
}

#endif
