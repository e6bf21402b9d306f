/*
 * Reads the memory of a guest from outside.
 *
 * godwit_memory_read_block() tries in this order: the copy that godwit_memory_keep() made; zeros,
 * for large ranges that the guest never wrote to (untouched.h); process_vm_readv(2); QMP's
 * pmemsave, for the rest of the VM's life once the system has refused the former. pmemsave reaches
 * only what the guest sees, and needs a QEMU that answers.
 *
 * A read by process_vm_readv(2) of a page that a postcopy has not brought yet blocks until it
 * arrives. godwit_memory_fetch() therefore reads in a thread while the main loop runs, and
 * godwit_memory_peek() first checks that the page is present.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/memory_parts.h"

#include "base/file.h"
#include "guest/image.h"
#include "memory/untouched.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Returns the index of the block in vm->blocks. */
static guint index_of(const struct godwit_vm *vm, const struct godwit_block *block)
{
    return (guint)(block - &g_array_index(vm->blocks, struct godwit_block, 0));
}

/* The size of the chunks in which memory is copied: pmemsave writes each into a file. */
#define KEEP_CHUNK ((uint64_t)1 << 20)

/* Copies [OFFSET, OFFSET + LENGTH) of the block to its place in COPY, unless it cannot be read. */
static bool keep(struct godwit_vm *vm, const struct godwit_block *block, uint64_t offset,
                 uint64_t length, unsigned char *copy, GError **error)
{
    if (!godwit_memory_readable(vm, block, offset, length))
        return true;
    for (const uint64_t end = offset + length; offset < end;) {
        const size_t size = (size_t)MIN(KEEP_CHUNK, end - offset);
        if (!godwit_memory_read_block(vm, block, offset, copy + offset, size, error))
            return false;
        offset += size;
    }
    return true;
}

/* Copies the block as a whole if possible, otherwise piece by piece. */
static bool keep_block(struct godwit_vm *vm, const struct godwit_block *block, unsigned char *copy,
                       GError **error)
{
    if (godwit_memory_readable(vm, block, 0, block->length))
        return keep(vm, block, 0, block->length, copy, error);
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        if (block == &g_array_index(vm->blocks, struct godwit_block, piece->block) &&
            !keep(vm, block, piece->offset, piece->length, copy, error))
            return false;
    }
    return true;
}

bool godwit_memory_keep(struct godwit_vm *vm, GError **error)
{
    if (!godwit_memory_map(vm, error))
        return false;
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < vm->blocks->len; i++) {
        const struct godwit_block *block = &g_array_index(vm->blocks, struct godwit_block, i);
        unsigned char *copy = g_malloc0(block->length);
        g_ptr_array_add(kept, copy);
        if (!keep_block(vm, block, copy, error))
            return false;
    }
    vm->kept = g_steal_pointer(&kept);
    return true;
}

bool godwit_memory_keep_again(struct godwit_vm *vm, uint64_t gpa, size_t length, GError **error)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(vm, gpa, length, &offset, error);
    if (!block)
        return false;
    /* Hide the copies, so that the read reaches QEMU. */
    GPtrArray *kept = g_steal_pointer(&vm->kept);
    const bool done =
        keep(vm, block, offset, length, g_ptr_array_index(kept, index_of(vm, block)), error);
    vm->kept = kept;
    return done;
}

/* The working directory of QEMU is that of the testbed, so a bare file name is enough. */
static bool read_by_pmemsave(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                             GError **error)
{
    g_autofree char *file = g_strconcat(vm->name, ".pmem", NULL);
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
    g_autoptr(GError) refusal = NULL;
    if (!godwit_vm_command(vm, "pmemsave",
                           json_pack("{s:I, s:I, s:s}", "val", (json_int_t)gpa, "size",
                                     (json_int_t)length, "filename", file),
                           &refusal)) {
        /* QEMU 11.1 and later refuse this on a destination during the migration. */
        if (refusal->code == GODWIT_ERROR_QMP && strstr(refusal->message, "during migration"))
            return godwit_fail(error, GODWIT_ERROR_SKIP,
                               "needs process_vm_readv: QEMU %s allows no pmemsave while it is "
                               "migrated to",
                               vm->qemu->version);
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    size_t got = 0;
    g_autofree char *bytes = godwit_file_read(path, 2 * length, &got, error);
    unlink(path);
    if (!bytes)
        return false;
    if (got != length) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "%s: pmemsave wrote %zu bytes instead of %zu", vm->name, got, length);
        return false;
    }
    memcpy(buffer, bytes, length);
    return true;
}

bool godwit_memory_readable(const struct godwit_vm *vm, const struct godwit_block *block,
                            uint64_t offset, uint64_t length)
{
    if (offset > block->length || length > block->length - offset)
        return false;
    return (block->hva && !vm->pmemsave) || godwit_memory_piece(vm, block, offset, length);
}

/* Returns the descriptor of the pagemap of QEMU, opened at the first call, or -1. */
static int pagemap_of(struct godwit_vm *vm)
{
    if (vm->pagemap < 0)
        vm->pagemap = godwit_untouched_open(godwit_vm_pid(vm));
    return vm->pagemap;
}

/* Reads QEMU's memory as process_vm_readv(2) does, wherever QEMU is. */
static ssize_t read_qemu(struct godwit_vm *vm, uint64_t hva, void *buffer, size_t length)
{
    if (vm->remote)
        return godwit_remote_read(vm->remote, hva, buffer, length);
    const struct iovec local = {buffer, length};
    const struct iovec there = {(void *)(uintptr_t)hva, length};
    return process_vm_readv(godwit_vm_pid(vm), &local, 1, &there, 1, 0);
}

/* Returns whether those bytes are known to be zero without a read. A page that a postcopy has not
 * brought yet is also absent, but is not zero. */
static bool is_untouched(struct godwit_vm *vm, const struct godwit_block *block, uint64_t offset,
                         uint64_t length)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return block->private && !vm->pmemsave && !vm->remote && length >= UNTOUCHED_LEAST &&
           (block->hva + offset) % page == 0 && length % page == 0 &&
           !godwit_json_true(vm->capabilities, "postcopy-ram") &&
           godwit_untouched(pagemap_of(vm), block->hva + offset, length);
}

bool godwit_memory_is_direct(struct godwit_vm *vm, const struct godwit_block *block,
                             uint64_t offset, uint64_t length)
{
    return godwit_memory_readable(vm, block, offset, length) && block->hva && !vm->pmemsave &&
           !vm->remote && !vm->kept && godwit_vm_pid(vm) > 0 &&
           !is_untouched(vm, block, offset, length);
}

bool godwit_memory_read_block(struct godwit_vm *vm, const struct godwit_block *block,
                              uint64_t offset, void *buffer, size_t length, GError **error)
{
    if (!godwit_memory_readable(vm, block, offset, length)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "%s: " HEX "+" HEX " of RAM block %s cannot be read", vm->name, offset,
                    (uint64_t)length, block->name);
        return false;
    }
    if (vm->kept) {
        const unsigned char *copy = g_ptr_array_index(vm->kept, index_of(vm, block));
        memcpy(buffer, copy + offset, length);
        return true;
    }
    if (is_untouched(vm, block, offset, length)) {
        memset(buffer, 0, length);
        return true;
    }
    while (block->hva && !vm->pmemsave && length > 0) {
        const ssize_t n = read_qemu(vm, block->hva + offset, buffer, length);
        if (n > 0) {
            buffer = (char *)buffer + n;
            offset += (uint64_t)n;
            length -= (size_t)n;
        } else if (n < 0 && (errno == EPERM || errno == ENOSYS)) {
            vm->pmemsave = true;
        } else {
            const char *why = n == 0 ? "no bytes were read" : g_strerror(errno);
            /* The end of the process, if it has ended, explains more. */
            return godwit_testbed_survives(vm->testbed, error) &&
                   godwit_fail(error, GODWIT_ERROR_CRASH,
                               "%s: cannot read its memory at offset " HEX " of %s: %s", vm->name,
                               offset, block->name, why);
        }
    }
    if (length == 0)
        return true;
    const struct godwit_piece *piece = godwit_memory_piece(vm, block, offset, length);
    if (!piece) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs process_vm_readv, which this system refuses, for RAM block %s",
                    block->name);
        return false;
    }
    return read_by_pmemsave(vm, piece->gpa + (offset - piece->offset), buffer, length, error);
}

bool godwit_memory_read_likely(struct godwit_vm *vm, const struct godwit_block *block,
                               uint64_t offset, const void *likely, void *buffer, size_t length,
                               GError **error)
{
    if (vm->remote && !vm->kept && block->hva && length % GODWIT_REMOTE_PAGE == 0 &&
        godwit_memory_readable(vm, block, offset, length) &&
        godwit_remote_same(vm->remote, block->hva + offset, likely, length) > 0) {
        memcpy(buffer, likely, length);
        return true;
    }
    return godwit_memory_read_block(vm, block, offset, buffer, length, error);
}

bool godwit_memory_read(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                        GError **error)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(vm, gpa, length, &offset, error);
    return block && godwit_memory_read_block(vm, block, offset, buffer, length, error);
}

/* A read that may block until a postcopy brings the page. */
struct fetch {
    pid_t pid;
    struct godwit_remote *remote; /* of a QEMU on another host; NULL: it is here */
    uint64_t hva;
    size_t length;
    unsigned char *bytes; /* owned */
};

static void fetch_free(gpointer data)
{
    struct fetch *fetch = data;
    g_free(fetch->bytes);
    g_free(fetch);
}

static void fetch_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancel)
{
    const struct fetch *fetch = data;
    const struct iovec local = {fetch->bytes, fetch->length};
    const struct iovec there = {(void *)(uintptr_t)fetch->hva, fetch->length};
    (void)source;
    (void)cancel;
    const ssize_t n =
        fetch->remote ? godwit_remote_read(fetch->remote, fetch->hva, fetch->bytes, fetch->length)
                      : process_vm_readv(fetch->pid, &local, 1, &there, 1, 0);
    g_task_return_int(task, n == (ssize_t)fetch->length ? 0 : n < 0 ? errno : EFAULT);
}

static bool is_fetched(gpointer data)
{
    return g_task_get_completed(data);
}

bool godwit_memory_fetch(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                         GError **error)
{
    uint64_t hva = 0;
    if (!godwit_memory_hva(vm, gpa, length, &hva, error))
        return false;
    if (!hva)
        return read_by_pmemsave(vm, gpa, buffer, length, error);
    struct fetch *fetch = g_new0(struct fetch, 1);
    *fetch = (struct fetch){godwit_vm_pid(vm), vm->remote, hva, length, g_malloc(length)};
    g_autoptr(GTask) task = g_task_new(NULL, NULL, NULL, NULL);
    g_task_set_task_data(task, fetch, fetch_free);
    g_task_run_in_thread(task, fetch_in_thread);
    /* A read that is not done in time holds its own reference, until QEMU is gone and the read
     * fails. */
    if (!godwit_testbed_wait(vm->testbed, is_fetched, task, "a page of guest memory to arrive",
                             error)) {
        godwit_error_context(error, "%s: reading at " HEX, vm->name, gpa);
        return false;
    }
    const int failure = (int)g_task_propagate_int(task, NULL);
    if (failure == EPERM || failure == ENOSYS)
        return read_by_pmemsave(vm, gpa, buffer, length, error);
    if (failure)
        return godwit_fail(error, GODWIT_ERROR_CRASH, "%s: cannot read its memory at " HEX ": %s",
                           vm->name, gpa, g_strerror(failure));
    memcpy(buffer, fetch->bytes, length);
    return true;
}

bool godwit_memory_peek(struct godwit_vm *vm, uint64_t hva, void *buffer, size_t length)
{
    if (!hva || vm->exited)
        return false;
    /* Reading an absent page might block until a postcopy brings it. */
    return vm->remote ? godwit_remote_peek(vm->remote, hva, buffer, length) == (ssize_t)length
                      : godwit_untouched_there(pagemap_of(vm), hva) &&
                            read_qemu(vm, hva, buffer, length) == (ssize_t)length;
}

bool godwit_memory_mailbox(struct godwit_vm *vm, unsigned cpu, struct godwit_mailbox *mailbox,
                           GError **error)
{
    unsigned char raw[GODWIT_MAILBOX_SIZE];
    const uint64_t gpa = vm->testbed->setup->image->mailbox + cpu * (uint64_t)GODWIT_MAILBOX_STRIDE;
    if (!godwit_memory_read(vm, gpa, raw, sizeof(raw), error))
        return false;
    *mailbox = godwit_guest_mailbox(raw, vm->testbed->setup->machine->big_endian);
    return true;
}
