/* SPDX-License-Identifier: MIT */
#include "memory/memory.h"

#include "base/file.h"
#include "guest/image.h"
#include "memory/untouched.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEX "0x%" G_GINT64_MODIFIER "x"

/* Less than that is read without a look at whether it was ever written to. In bytes. */
#define UNTOUCHED_LEAST ((size_t)64 << 10)

/* `info ramblock`: a heading, then lines "NAME PSIZE UNIT OFFSET USED TOTAL [HVA RO]". Names have
 * no blanks. HVA came with QEMU 8.2. */
static void parse_blocks(const char *text, GArray *blocks)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 1; lines[0] && lines[i]; i++) {
        struct godwit_block block = {0};
        char hva[32] = "";
        unsigned long long used;
        if (sscanf(lines[i], " %255s %*s %*s 0x%*x 0x%llx 0x%*x %31s", block.name, &used, hva) < 2)
            continue;
        block.length = used;
        block.hva = g_str_has_prefix(hva, "0x") ? g_ascii_strtoull(hva, NULL, 16) : 0;
        g_array_append_val(blocks, block);
    }
}

static const guint no_block = G_MAXUINT;

static guint find(const struct godwit_vm *vm, const char *name)
{
    for (guint i = 0; i < vm->blocks->len; i++)
        if (!strcmp(g_array_index(vm->blocks, struct godwit_block, i).name, name))
            return i;
    return no_block;
}

/* `info mtree -f`: the flat view of the address space "memory" tells which piece of which block the
 * guest sees where, lines "START-END (prio N, ram|rom): NAME [@OFFSET] ...". */
static void parse_view(const char *text, struct godwit_vm *vm)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    bool wanted = false;
    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "FlatView"))
            wanted = false;
        else if (strstr(lines[i], "AS \"memory\""))
            wanted = true;
        unsigned long long start, end;
        char name[256], at[64] = "";
        if (!wanted || sscanf(lines[i], " %llx-%llx (prio %*[-0-9], r%*[aomd]): %255s %63s", &start,
                              &end, name, at) < 3)
            continue;
        const struct godwit_piece piece = {
            .block = find(vm, name),
            .gpa = start,
            .offset = at[0] == '@' ? g_ascii_strtoull(at + 1, NULL, 16) : 0,
            .length = end - start + 1,
        };
        if (piece.block != no_block)
            g_array_append_val(vm->pieces, piece);
    }
}

/* Where QEMU has the guest-physical address, or 0 if it does not say. */
static bool ask_hva(struct godwit_vm *vm, uint64_t gpa, uint64_t *hva, GError **error)
{
    g_autofree char *line = g_strdup_printf("gpa2hva " HEX, gpa);
    g_autofree char *answer = godwit_vm_monitor(vm, line, error);
    if (!answer)
        return false;
    const char *is = strstr(answer, ") is 0x");
    *hva = is ? g_ascii_strtoull(is + strlen(") is 0x"), NULL, 16) : 0;
    return true;
}

/* Fills in vm->blocks and vm->pieces, which are empty. */
static bool ask_map(struct godwit_vm *vm, GError **error)
{
    g_autofree char *blocks = godwit_vm_monitor(vm, "info ramblock", error);
    if (!blocks)
        return false;
    g_autofree char *view = godwit_vm_monitor(vm, "info mtree -f", error);
    if (!view)
        return false;
    parse_blocks(blocks, vm->blocks);
    parse_view(view, vm);
    if (vm->pieces->len == 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "%s: no RAM to be made out in `info ramblock` and `info mtree -f`", vm->name);
        return false;
    }
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        struct godwit_block *block = &g_array_index(vm->blocks, struct godwit_block, piece->block);
        if (block->hva)
            continue;
        if (!ask_hva(vm, piece->gpa, &block->hva, error))
            return false;
        block->hva = block->hva ? block->hva - piece->offset : 0;
    }
    g_auto(GStrv) maps = godwit_untouched_maps(godwit_vm_pid(vm));
    for (guint i = 0; i < vm->blocks->len; i++) {
        struct godwit_block *block = &g_array_index(vm->blocks, struct godwit_block, i);
        block->private = block->hva && block->length >= UNTOUCHED_LEAST &&
                         godwit_untouched_private(maps, block->hva, block->length);
    }
    return true;
}

bool godwit_memory_map(struct godwit_vm *vm, GError **error)
{
    if (vm->blocks)
        return true;
    vm->blocks = g_array_new(FALSE, TRUE, sizeof(struct godwit_block));
    vm->pieces = g_array_new(FALSE, TRUE, sizeof(struct godwit_piece));
    if (ask_map(vm, error))
        return true;
    /* What is half known must not pass for known. */
    g_clear_pointer(&vm->blocks, g_array_unref);
    g_clear_pointer(&vm->pieces, g_array_unref);
    return false;
}

/* The block's place among the vm's. */
static guint index_of(const struct godwit_vm *vm, const struct godwit_block *block)
{
    return (guint)(block - &g_array_index(vm->blocks, struct godwit_block, 0));
}

/* Chunks of this size, each of which pmemsave puts into a file. */
#define KEEP_CHUNK ((uint64_t)1 << 20)

/* Copies what can be read of [OFFSET, OFFSET + LENGTH) of the block to its place in COPY. */
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

/* As a whole if that can be read, otherwise piece by piece. */
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
    /* Put away, lest it be read. */
    GPtrArray *kept = g_steal_pointer(&vm->kept);
    const bool done =
        keep(vm, block, offset, length, g_ptr_array_index(kept, index_of(vm, block)), error);
    vm->kept = kept;
    return done;
}

void godwit_memory_forget(struct godwit_vm *vm)
{
    g_clear_pointer(&vm->kept, g_ptr_array_unref);
    g_clear_pointer(&vm->blocks, g_array_unref);
    g_clear_pointer(&vm->pieces, g_array_unref);
}

const struct godwit_block *godwit_memory_block(const struct godwit_vm *vm, const char *name)
{
    const guint i = find(vm, name);
    return i == no_block ? NULL : &g_array_index(vm->blocks, struct godwit_block, i);
}

/* The piece that has those bytes of the block, or NULL if the guest does not see them as one. */
static const struct godwit_piece *piece_of(const struct godwit_vm *vm,
                                           const struct godwit_block *block, uint64_t offset,
                                           uint64_t length)
{
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        if (block == &g_array_index(vm->blocks, struct godwit_block, piece->block) &&
            offset >= piece->offset && offset - piece->offset <= piece->length &&
            length <= piece->length - (offset - piece->offset))
            return piece;
    }
    return NULL;
}

/* QEMU's working directory is the rig's, so a bare file name reaches it. */
static bool read_by_pmemsave(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                             GError **error)
{
    g_autofree char *file = g_strconcat(vm->name, ".pmem", NULL);
    g_autofree char *path = g_build_filename(vm->rig->directory, file, NULL);
    g_autoptr(GError) refusal = NULL;
    if (!godwit_vm_command(vm, "pmemsave",
                           json_pack("{s:I, s:I, s:s}", "val", (json_int_t)gpa, "size",
                                     (json_int_t)length, "filename", file),
                           &refusal)) {
        /* Since 11.1, while something is on its way to it. */
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
    return (block->hva && !vm->pmemsave) || piece_of(vm, block, offset, length);
}

/* The QEMU's pages, as the kernel has them. */
static int pagemap_of(struct godwit_vm *vm)
{
    if (vm->pagemap < 0)
        vm->pagemap = godwit_untouched_open(godwit_vm_pid(vm));
    return vm->pagemap;
}

/* Whether those bytes are known to be zero without being read. Pages that a postcopy has yet to
 * bring are not there either, and are not zero. */
static bool is_untouched(struct godwit_vm *vm, const struct godwit_block *block, uint64_t offset,
                         uint64_t length)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return block->private && !vm->pmemsave && length >= UNTOUCHED_LEAST &&
           (block->hva + offset) % page == 0 && length % page == 0 &&
           !godwit_json_true(vm->capabilities, "postcopy-ram") &&
           godwit_untouched(pagemap_of(vm), block->hva + offset, length);
}

bool godwit_memory_read_block(struct godwit_vm *vm, const struct godwit_block *block,
                              uint64_t offset, void *buffer, size_t length, GError **error)
{
    if (!godwit_memory_readable(vm, block, offset, length)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "%s: " HEX "+" HEX " of RAM block %s is out of reach", vm->name, offset,
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
        const struct iovec local = {buffer, length};
        const struct iovec remote = {(void *)(uintptr_t)(block->hva + offset), length};
        const ssize_t n = process_vm_readv(godwit_vm_pid(vm), &local, 1, &remote, 1, 0);
        if (n > 0) {
            buffer = (char *)buffer + n;
            offset += (uint64_t)n;
            length -= (size_t)n;
        } else if (n < 0 && (errno == EPERM || errno == ENOSYS)) {
            vm->pmemsave = true;
        } else {
            const char *why = n == 0 ? "nothing there" : g_strerror(errno);
            /* How the process ended says more, if it has. */
            return godwit_rig_survives(vm->rig, error) &&
                   godwit_fail(error, GODWIT_ERROR_CRASH,
                               "%s: cannot read its memory at offset " HEX " of %s: %s", vm->name,
                               offset, block->name, why);
        }
    }
    if (length == 0)
        return true;
    const struct godwit_piece *piece = piece_of(vm, block, offset, length);
    if (!piece) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs process_vm_readv, which this system refuses, for RAM block %s",
                    block->name);
        return false;
    }
    return read_by_pmemsave(vm, piece->gpa + (offset - piece->offset), buffer, length, error);
}

const struct godwit_block *godwit_memory_locate(struct godwit_vm *vm, uint64_t gpa, uint64_t length,
                                                uint64_t *offset, GError **error)
{
    if (!godwit_memory_map(vm, error))
        return NULL;
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        if (gpa >= piece->gpa && gpa - piece->gpa <= piece->length &&
            length <= piece->length - (gpa - piece->gpa)) {
            *offset = piece->offset + (gpa - piece->gpa);
            return &g_array_index(vm->blocks, struct godwit_block, piece->block);
        }
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                "%s: guest-physical " HEX "+" HEX " is no RAM of this guest", vm->name, gpa,
                length);
    return NULL;
}

bool godwit_memory_read(struct godwit_vm *vm, uint64_t gpa, void *buffer, size_t length,
                        GError **error)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(vm, gpa, length, &offset, error);
    return block && godwit_memory_read_block(vm, block, offset, buffer, length, error);
}

/* A read that may take as long as a page is on its way. */
struct fetch {
    pid_t pid;
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
    const struct iovec remote = {(void *)(uintptr_t)fetch->hva, fetch->length};
    (void)source;
    (void)cancel;
    const ssize_t n = process_vm_readv(fetch->pid, &local, 1, &remote, 1, 0);
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
    *fetch = (struct fetch){godwit_vm_pid(vm), hva, length, g_malloc(length)};
    g_autoptr(GTask) task = g_task_new(NULL, NULL, NULL, NULL);
    g_task_set_task_data(task, fetch, fetch_free);
    g_task_run_in_thread(task, fetch_in_thread);
    /* One that is not there in time has its own reference until the QEMU is gone. */
    if (!godwit_rig_wait(vm->rig, is_fetched, task, "a page that was read to be there", error)) {
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

bool godwit_memory_hva(struct godwit_vm *vm, uint64_t gpa, uint64_t length, uint64_t *hva,
                       GError **error)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(vm, gpa, length, &offset, error);
    if (block)
        *hva = block->hva && !vm->pmemsave ? block->hva + offset : 0;
    return block != NULL;
}

bool godwit_memory_peek(struct godwit_vm *vm, uint64_t hva, void *buffer, size_t length)
{
    const struct iovec local = {buffer, length};
    const struct iovec remote = {(void *)(uintptr_t)hva, length};
    /* Who reads a page that is not there may have to wait for a postcopy to bring it. */
    return hva && !vm->exited && godwit_untouched_there(pagemap_of(vm), hva) &&
           process_vm_readv(godwit_vm_pid(vm), &local, 1, &remote, 1, 0) == (ssize_t)length;
}

bool godwit_memory_write(struct godwit_vm *vm, uint64_t gpa, const void *bytes, size_t length,
                         GError **error)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(vm, gpa, length, &offset, error);
    if (!block)
        return false;
    const struct iovec local = {(void *)(uintptr_t)bytes, length};
    const struct iovec remote = {(void *)(uintptr_t)(block->hva + offset), length};
    const ssize_t n =
        block->hva ? process_vm_writev(godwit_vm_pid(vm), &local, 1, &remote, 1, 0) : 0;
    if (n == (ssize_t)length)
        return true;
    const char *why = n < 0         ? g_strerror(errno)
                      : !block->hva ? "QEMU does not say where that is"
                                    : "not all of it could be written";
    return godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs process_vm_writev into QEMU, which this system refuses: %s", why);
}

/* A mark, and where in its page it is: behind the bytes that the guests write. */
#define MARK        UINT64_C(0x476f647769740000)
#define MARK_OFFSET 8

/* Where the marks are in the vm's QEMU, or 0 if it has none that could be written. */
static uint64_t first_mark(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->rig->setup->workload;
    uint64_t hva = 0;
    if ((workload->flags & GODWIT_FLAG_STAMP) || workload->page_size < MARK_OFFSET + sizeof(MARK) ||
        !godwit_memory_hva(vm, workload->window_start,
                           workload->window_end - workload->window_start, &hva, NULL) ||
        hva == 0)
        return 0;
    return hva + MARK_OFFSET;
}

void godwit_memory_mark(struct godwit_vm *vm)
{
    enum { BATCH = 512 };
    const struct godwit_workload *workload = &vm->rig->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload), first = first_mark(vm);
    uint64_t marks[BATCH];
    struct iovec remote[BATCH];
    for (uint64_t page = 0; first && page < pages; page += BATCH) {
        const size_t n = MIN(BATCH, pages - page);
        for (size_t i = 0; i < n; i++) {
            marks[i] = MARK + page + i;
            remote[i] = (struct iovec){
                (void *)(uintptr_t)(first + (page + i) * workload->page_size), sizeof(marks[i])};
        }
        const struct iovec local = {marks, n * sizeof(*marks)};
        if (process_vm_writev(godwit_vm_pid(vm), &local, 1, remote, n, 0) < 0)
            return;
    }
}

bool godwit_memory_marked(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->rig->setup->workload;
    const uint64_t last = godwit_workload_pages(workload) - 1, first = first_mark(vm);
    uint64_t mark = 0;
    return first &&
           godwit_memory_peek(vm, first + last * workload->page_size, &mark, sizeof(mark)) &&
           mark == MARK + last;
}

bool godwit_memory_mailbox(struct godwit_vm *vm, unsigned cpu, struct godwit_mailbox *mailbox,
                           GError **error)
{
    unsigned char raw[GODWIT_MAILBOX_SIZE];
    const uint64_t gpa = vm->rig->setup->image->mailbox + cpu * (uint64_t)GODWIT_MAILBOX_STRIDE;
    if (!godwit_memory_read(vm, gpa, raw, sizeof(raw), error))
        return false;
    *mailbox = godwit_guest_mailbox(raw, vm->rig->setup->machine->big_endian);
    return true;
}
