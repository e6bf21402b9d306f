/*
 * Migration blockers: a source with a device that cannot be migrated must refuse to migrate, with
 * the blocker's reason, and QEMU with --only-migratable must refuse to start with such a device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance_parts.h"
#include "scenario/monitor.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

static bool greeted_or_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->greeting || vm->exited;
}

/* A block device that cannot be migrated: a folder that appears as a writable FAT disk. */
#define VVFAT "\"driver\":\"vvfat\",\"node-name\":\"folder\",\"dir\":\"folder\",\"rw\":true"

/* Checks that a QEMU with --only-migratable does not even start with that device. */
static bool check_only_migratable(struct godwit_testbed *testbed, GError **error)
{
    static const char name[] = "--only-migratable: a block device that blocks migration is refused";
    static const char *const arguments[] = {"-only-migratable", "-blockdev",
                                            "driver=vvfat,node-name=folder,dir=folder,rw=on", NULL};
    struct godwit_vm *vm = godwit_vm_start(testbed, "refused", GODWIT_VM_SOURCE, arguments, error);
    if (!vm)
        return false;
    vm->may_exit = true;
    /* It ends, or its QMP greeting shows that it runs. */
    if (!godwit_testbed_wait(testbed, greeted_or_gone, vm, "a QEMU with --only-migratable to end",
                             error))
        return false;
    g_autofree char *problem = NULL, *said = NULL;
    if (!vm->exited) {
        problem = g_strdup("QEMU started");
        if (!godwit_vm_handshake(vm, error) || !godwit_vm_quit(vm, error))
            return false;
    } else {
        g_autofree char *end = godwit_vm_end(vm);
        said = godwit_vm_stderr(vm, 1);
        if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) == 0)
            problem = g_strdup_printf("QEMU %s", end);
        else if (!strstr(said, "only-migratable"))
            problem = g_strdup_printf(
                "QEMU %s, but its message does not name only-migratable: \"%s\"", end, said);
    }
    godwit_testbed_check_answer(testbed, name, NULL, said, problem);
    return true;
}

/* Checks that the refusal of a migration contains one of the reasons that query-migrate lists. */
static bool check_reason(struct godwit_conformance *vm, GError **error)
{
    static const char name[] = "migrate with a blocker: refused with the blocker's reason";
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate", "{" NOBODY "}", error);
    g_autoptr(json_t) info = reply ? godwit_vm_execute(vm->vm, "query-migrate", NULL, error) : NULL;
    g_autofree char *problem = NULL;
    if (!info || !godwit_conformance_compare(vm, NULL, &problem, error))
        return false;
    const char *desc = godwit_json_string(json_object_get(reply, "error"), "desc", NULL);
    bool named = false;
    size_t i;
    json_t *reason;
    json_array_foreach(json_object_get(info, "blocked-reasons"), i, reason)
    {
        named |= desc && json_is_string(reason) && strstr(desc, json_string_value(reason));
    }
    if (!problem && !desc)
        problem = g_strdup("the source accepted the request");
    else if (!problem && !named)
        problem = g_strdup_printf("the error \"%s\" has none of the reasons that query-migrate "
                                  "lists",
                                  desc);
    godwit_conformance_note(vm->vm->testbed, name, reply, problem);
    return true;
}

/* Checks that the human monitor shows each of the reasons. */
static bool check_shown(struct godwit_conformance *vm, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(vm->vm, "query-migrate", NULL, error);
    g_autofree char *shown = info ? godwit_monitor_show(vm->vm, error) : NULL;
    g_autofree char *problem = NULL;
    size_t i;
    json_t *reason;
    if (!shown)
        return false;
    json_array_foreach(json_object_get(info, "blocked-reasons"), i, reason)
    {
        if (!problem && !strstr(shown, json_string_value(reason)))
            problem = g_strdup_printf("it does not show \"%s\"", json_string_value(reason));
    }
    godwit_conformance_note(vm->vm->testbed, "info migrate with a blocker: shows each reason", NULL,
                            problem);
    return true;
}

static bool run_blocked(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    static const struct godwit_request blocked[] = {
        {"migrate with a blocker, with resume: refused", MIGRATE(NOBODY ",\"resume\":true")},
    };
    GODWIT_CONFORMANCE vm = {0};
    g_autofree char *folder = g_build_filename(testbed->directory, "folder", NULL);
    if (g_mkdir(folder, 0700)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s: %s", folder,
                    g_strerror(errno));
        return false;
    }
    struct godwit_vm *source = godwit_conformance_start_throttled(testbed, &vm, error);
    g_autoptr(json_t) added =
        source ? godwit_vm_ask(source, "blockdev-add", "{" VVFAT "}", error) : NULL;
    if (!added)
        return false;
    if (json_object_get(added, "error")) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP, "needs block driver vvfat: %s",
                    godwit_json_string(json_object_get(added, "error"), "desc", ""));
        return false;
    }
    return check_reason(&vm, error) && check_shown(&vm, error) && REQUESTS(&vm, blocked, error) &&
           check_only_migratable(testbed, error) &&
           godwit_vm_command(source, "blockdev-del", json_pack("{s:s}", "node-name", "folder"),
                             error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

/* A device whose other side would not come along: memory that it shares with other guests. */
static const char *const ivshmem[] = {"-object", "memory-backend-ram,id=shared,size=1M,share=on",
                                      "-device", "ivshmem-plain,memdev=shared", NULL};

static bool run_device(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    (void)scenario;
    GODWIT_CONFORMANCE vm = {0};
    struct godwit_vm *source = godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, ivshmem, error);
    return source && godwit_course_try_start(source, "with ivshmem-plain", error) &&
           godwit_vm_run(source, error) && godwit_course_see_first_pass(source, error) &&
           godwit_conformance_begin(&vm, source, error) && check_reason(&vm, error) &&
           check_shown(&vm, error) && godwit_course_see_it_run(source, error);
}

GODWIT_SCENARIOS(conformance_blockers) = {
    {
        .name = "conformance/refusals/blocked",
        .summary = "a migration blocker, and --only-migratable",
        .slow = true,
        .run = run_blocked,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
    {
        .name = "conformance/refusals/blocked/device",
        .summary = "a device that cannot be migrated",
        .slow = true,
        .run = run_device,
        .prepare = godwit_conformance_prepare,
        .order = true,
    },
};
GODWIT_SCENARIOS_END(conformance_blockers);
