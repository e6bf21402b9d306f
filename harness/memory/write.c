/*
 * Writes to the memory of a guest, to corrupt it on purpose or to mark the pages of its window.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/memory_parts.h"

#include "guest/image.h"
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

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
                      : !block->hva ? "QEMU does not report its address"
                                    : "not all of it could be written";
    return godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs process_vm_writev into QEMU, which this system refuses: %s", why);
}

/* The mark and its offset in a page, after the bytes that the guests write. */
#define MARK        UINT64_C(0x476f647769740000)
#define MARK_OFFSET 8

/* With STAGGER, one page of so many has a mark, and is never zero: the second one of each four. So
 * the first and last page of a window become zero, and the first and last one of a bitmap's word.
 */
#define STAGGERED_STEP  4
#define STAGGERED_FIRST 1

/* Returns the number of the page with mark I. */
static uint64_t marked_page(const struct godwit_workload *workload, uint64_t i)
{
    return workload->flags & GODWIT_FLAG_STAGGER ? i * STAGGERED_STEP + STAGGERED_FIRST : i;
}

static uint64_t count_marks(const struct godwit_workload *workload)
{
    const uint64_t pages = godwit_workload_pages(workload);
    return workload->flags & GODWIT_FLAG_STAGGER
               ? (pages + STAGGERED_STEP - 1 - STAGGERED_FIRST) / STAGGERED_STEP
               : pages;
}

/* Returns the parts of the window, or NULL if the VM has no marks that could be written. The caller
 * frees it. */
static GArray *marks_begin(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    if ((workload->flags & GODWIT_FLAG_STAMP) || workload->page_size < MARK_OFFSET + sizeof(MARK))
        return NULL;
    g_autoptr(GArray) parts = godwit_memory_window(vm, NULL);
    for (guint i = 0; parts && i < parts->len; i++)
        if (!g_array_index(parts, struct godwit_part, i).block->hva || vm->pmemsave)
            return NULL;
    return g_steal_pointer(&parts);
}

/* Returns the address in QEMU of the mark of page number PAGE. */
static uint64_t mark_hva(const struct godwit_vm *vm, const GArray *parts, uint64_t page)
{
    const uint64_t at = page * vm->testbed->setup->workload.page_size + MARK_OFFSET;
    const struct godwit_part *part = &g_array_index(parts, struct godwit_part, 0);
    while (at - part->at >= part->length)
        part++;
    return part->block->hva + part->offset + (at - part->at);
}

void godwit_memory_mark(struct godwit_vm *vm)
{
    enum { BATCH = 512 };
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t count = count_marks(workload);
    g_autoptr(GArray) parts = marks_begin(vm);
    uint64_t marks[BATCH];
    struct iovec remote[BATCH];
    for (uint64_t done = 0; parts && done < count; done += BATCH) {
        const size_t n = MIN(BATCH, count - done);
        for (size_t i = 0; i < n; i++) {
            const uint64_t page = marked_page(workload, done + i);
            marks[i] = MARK + page;
            remote[i] =
                (struct iovec){(void *)(uintptr_t)mark_hva(vm, parts, page), sizeof(marks[i])};
        }
        const struct iovec local = {marks, n * sizeof(*marks)};
        if (process_vm_writev(godwit_vm_pid(vm), &local, 1, remote, n, 0) < 0)
            return;
    }
}

bool godwit_memory_marked(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t count = count_marks(workload);
    const uint64_t last = count ? marked_page(workload, count - 1) : 0;
    g_autoptr(GArray) parts = marks_begin(vm);
    uint64_t mark = 0;
    return parts && count &&
           godwit_memory_peek(vm, mark_hva(vm, parts, last), &mark, sizeof(mark)) &&
           mark == MARK + last;
}
