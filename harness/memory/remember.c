/*
 * Copies of a guest's RAM that outlive the moment: the guest may run on, or its QEMU may end.
 *
 * The copy is in the form of a VM without a process, whose memory is all that it has, so that the
 * RAM compare and every other reader of memory takes it like any VM.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/memory.h"

struct godwit_vm *godwit_memory_remember(struct godwit_vm *vm, const char *name, GError **error)
{
    if (!godwit_memory_keep(vm, error))
        return NULL;
    struct godwit_vm *copy = g_new0(struct godwit_vm, 1);
    copy->testbed = vm->testbed;
    copy->name = g_strdup(name);
    copy->source = vm->source;
    copy->qemu = vm->qemu;
    copy->arguments = g_ptr_array_new();
    copy->exited = copy->may_exit = true;
    copy->blocks = g_array_ref(vm->blocks);
    copy->pieces = g_array_ref(vm->pieces);
    copy->kept = g_steal_pointer(&vm->kept);
    copy->pagemap = -1;
    copy->pmemsave = vm->pmemsave;
    return copy;
}
