/*
 * The hand on a VM: its qtest connection, and what is where in its machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

/* Returns how the process of the VM ended. A QEMU that exits in peace closes its qtest socket some
 * time before it is gone, and nothing else shows yet that it will be. */
static char *end_of(gpointer data)
{
    struct godwit_vm *vm = data;
    const gint64 deadline = godwit_testbed_seconds(vm->testbed, GODWIT_END_SECONDS);
    godwit_testbed_wait_until(vm->testbed, deadline, godwit_vm_has_ended, vm, "its end", NULL);
    if (!vm->exited)
        return NULL;
    g_autofree char *end = godwit_vm_end(vm);
    g_autofree char *said = godwit_vm_reason(vm);
    return *said ? g_strdup_printf("%s, saying \"%s\"", end, said) : g_steal_pointer(&end);
}

static bool wait_for(gpointer data, bool (*condition)(gpointer data), gpointer argument,
                     const char *what, GError **error)
{
    const struct godwit_vm *vm = data;
    return godwit_testbed_wait(vm->testbed, condition, argument, what, error);
}

void godwit_vm_open_hand(struct godwit_vm *vm, int fd)
{
    const struct godwit_qtest_owner owner = {vm->name, vm, wait_for, end_of};
    vm->qtest = godwit_qtest_new(fd, &owner);
}

struct godwit_mtree *godwit_vm_mtree(struct godwit_vm *vm, GError **error)
{
    g_autofree char *text = godwit_vm_monitor(vm, GODWIT_MTREE_COMMAND, error);
    struct godwit_mtree *mtree = text ? godwit_mtree_parse(text, error) : NULL;
    if (text && !mtree)
        godwit_error_context(error, "%s", vm->name);
    return mtree;
}

static json_t *execute(gpointer vm, const char *command, json_t *arguments, GError **error)
{
    return godwit_vm_execute(vm, command, arguments, error);
}

struct godwit_qtree *godwit_vm_qtree(struct godwit_vm *vm, GError **error)
{
    return godwit_qtree_read(execute, vm, error);
}

struct godwit_qtree *godwit_vm_pci(struct godwit_vm *vm, GError **error)
{
    return godwit_qtree_read_pci(execute, vm, error);
}
