/*
 * A VM without a QEMU, for tests of what looks at a guest's memory. Its process, the test program
 * itself once more, has the memory and does nothing; a thread of the test answers what is asked by
 * QMP. The memory is shared with the test, which can look at it and spoil it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_FAKE_VM_H
#define GODWIT_TESTS_UNIT_FAKE_VM_H

#include "memory/memory.h"
#include "testbed/testbed.h"
#include "testbed/vm.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define FAKE_GUARD 4096 /* bytes that are not there, behind the memory */

struct fake_vm {
    struct godwit_vm *vm; /* the testbed's */
    unsigned char *memory;
    size_t size;
    uint64_t hva; /* where the process has it */
    int peer;     /* QEMU's end of QMP */
    GThread *thread;
    /* What it answers. To be set before anything is asked. */
    const char *ramblock; /* `info ramblock` */
    const char *mtree;    /* `info mtree -f` */
    const char *gpa2hva;  /* any `gpa2hva`; NULL: where its memory begins and MEMORY_GPA says */
    uint64_t memory_gpa;  /* guest-physical address of the memory's first byte */
    bool refuses;         /* pmemsave ... */
    const char *refusal;  /* ... in these words; NULL: some */
    size_t cut;           /* bytes that are missing from what pmemsave writes */
    /* Called before each pmemsave, with how many came before it; may be NULL. */
    void (*before_pmemsave)(struct fake_vm *fake, unsigned number);
    /* What it was asked. To be looked at when nothing is being asked. */
    unsigned pmemsaves, gpa2hvas;
};

/* The process that has the memory, if that is what it is. It runs before main(), to which a test
 * could forget to add it: such a test would start itself again and again. */
__attribute__((constructor)) static void fake_vm_memory(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "--fake-vm") != 0)
        return;
    struct stat status;
    char byte;
    if (fstat(3, &status))
        _exit(1);
    const size_t size = (size_t)status.st_size;
    unsigned char *all =
        mmap(NULL, size + FAKE_GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mmap(all, size, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_FIXED | MAP_POPULATE, 3, 0) == MAP_FAILED)
        _exit(1);
    const uint64_t hva = (uintptr_t)all;
    if (write(STDOUT_FILENO, &hva, sizeof(hva)) != sizeof(hva))
        _exit(1);
    /* Until the test is gone. */
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    _exit(0);
}

static inline json_t *fake_vm_pmemsave(struct fake_vm *fake, const json_t *arguments)
{
    const uint64_t gpa = (uint64_t)godwit_json_integer(arguments, "val", -1);
    const size_t size = (size_t)godwit_json_integer(arguments, "size", -1);
    g_autofree char *path = g_build_filename(fake->vm->testbed->directory,
                                             godwit_json_string(arguments, "filename", ""), NULL);
    if (fake->before_pmemsave)
        fake->before_pmemsave(fake, fake->pmemsaves);
    fake->pmemsaves++;
    if (fake->refuses || gpa < fake->memory_gpa || gpa - fake->memory_gpa > fake->size ||
        size > fake->size - (gpa - fake->memory_gpa) || fake->cut > size ||
        !g_file_set_contents(path, (const char *)fake->memory + (gpa - fake->memory_gpa),
                             (gssize)(size - fake->cut), NULL))
        return json_pack("{s:{s:s, s:s}}", "error", "class", "GenericError", "desc",
                         fake->refusal ? fake->refusal : "not today");
    return json_pack("{s:{}}", "return");
}

static inline json_t *fake_vm_answer(struct fake_vm *fake, const json_t *request)
{
    const char *command = godwit_json_string(request, "execute", "");
    const json_t *arguments = json_object_get(request, "arguments");
    const char *line = godwit_json_string(arguments, "command-line", "");
    if (!strcmp(command, "pmemsave"))
        return fake_vm_pmemsave(fake, arguments);
    if (!strcmp(command, "qmp_capabilities"))
        return json_pack("{s:{}}", "return");
    const char *text = NULL;
    g_autofree char *hva = NULL;
    if (!strcmp(line, "info ramblock")) {
        text = fake->ramblock;
    } else if (!strcmp(line, "info mtree -f")) {
        text = fake->mtree;
    } else if (g_str_has_prefix(line, "gpa2hva 0x")) {
        const uint64_t gpa = g_ascii_strtoull(line + strlen("gpa2hva "), NULL, 16);
        hva = g_strdup_printf("Host virtual address for 0x%" PRIx64 " (ram) is 0x%" PRIx64 "\r\n",
                              gpa, fake->hva + (gpa - fake->memory_gpa));
        text = fake->gpa2hva ? fake->gpa2hva : hva;
        fake->gpa2hvas++;
    }
    return text ? json_pack("{s:s}", "return", text)
                : json_pack("{s:{s:s, s:s}}", "error", "class", "CommandNotFound", "desc", line);
}

static inline gpointer fake_vm_thread(gpointer data)
{
    struct fake_vm *fake = data;
    FILE *in = fdopen(fake->peer, "r+");
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, in) > 0) {
        g_autoptr(json_t) request = json_loads(line, 0, NULL);
        g_autoptr(json_t) reply = fake_vm_answer(fake, request);
        json_object_set(reply, "id", json_object_get(request, "id"));
        g_autofree char *text = json_dumps(reply, JSON_COMPACT);
        g_autofree char *whole = g_strconcat(text, "\n", NULL);
        if (send(fake->peer, whole, strlen(whole), MSG_NOSIGNAL) < 0)
            break;
    }
    free(line);
    fclose(in);
    return NULL;
}

/* A VM of that name in the testbed, with SIZE bytes of memory. */
static inline struct fake_vm *fake_vm_new(struct godwit_testbed *testbed, const char *name,
                                          const struct godwit_qemu *qemu, size_t size)
{
    static const char greeting[] = "{\"QMP\": {}}\n";
    struct fake_vm *fake = g_new0(struct fake_vm, 1);
    struct godwit_vm *vm = g_new0(struct godwit_vm, 1);
    fake->vm = vm;
    fake->size = size;
    fake->ramblock = fake->mtree = "";
    vm->testbed = testbed;
    vm->name = g_strdup(name);
    vm->qemu = qemu;
    vm->pagemap = -1;
    vm->pmemsave = testbed->setup->pmemsave;
    vm->cancel = g_cancellable_new();
    vm->arguments = g_ptr_array_new();
    g_ptr_array_add(testbed->vms, vm);

    const int fd = memfd_create("fake", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    fake->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(fake->memory, MAP_FAILED);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_subprocess_launcher_take_fd(launcher, fd, 3);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    assert_non_null(self);
    vm->process = g_subprocess_launcher_spawn(launcher, NULL, self, "--fake-vm", NULL);
    assert_non_null(vm->process);
    gsize got = 0;
    assert_true(g_input_stream_read_all(g_subprocess_get_stdout_pipe(vm->process), &fake->hva,
                                        sizeof(fake->hva), &got, NULL, NULL));
    assert_int_equal(got, sizeof(fake->hva));

    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    vm->qmp = godwit_qmp_new(ends[0], NULL, NULL);
    assert_non_null(vm->qmp);
    fake->peer = ends[1];
    assert_int_equal(write(fake->peer, greeting, strlen(greeting)), strlen(greeting));
    while (!vm->qmp->greeting)
        g_main_context_iteration(NULL, TRUE);
    fake->thread = g_thread_new(name, fake_vm_thread, fake);
    return fake;
}

/* To be called when the testbed, and with it the vm, is gone. */
static inline void fake_vm_free(struct fake_vm *fake)
{
    g_thread_join(fake->thread);
    munmap(fake->memory, fake->size);
    g_free(fake);
}

/* Adds a RAM block whose first byte is at OFFSET of the memory (with AT_HVA told, or not), which
 * the guest sees at GPA, all of it, unless that is UINT64_MAX. */
static inline void fake_vm_block(struct fake_vm *fake, const char *name, uint64_t offset,
                                 uint64_t length, bool at_hva, uint64_t gpa)
{
    struct godwit_vm *vm = fake->vm;
    if (!vm->blocks) {
        vm->blocks = g_array_new(FALSE, TRUE, sizeof(struct godwit_block));
        vm->pieces = g_array_new(FALSE, TRUE, sizeof(struct godwit_piece));
    }
    struct godwit_block block = {.length = length, .hva = at_hva ? fake->hva + offset : 0};
    g_strlcpy(block.name, name, sizeof(block.name));
    g_array_append_val(vm->blocks, block);
    const struct godwit_piece piece = {vm->blocks->len - 1, gpa, 0, length};
    if (gpa != UINT64_MAX)
        g_array_append_val(vm->pieces, piece);
}

#endif
