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

/* Returns the address where page 0 would have its mark in QEMU, or 0 if the VM has no marks
 * that could be written. */
static uint64_t marks_begin(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
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
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t count = count_marks(workload), begin = marks_begin(vm);
    uint64_t marks[BATCH];
    struct iovec remote[BATCH];
    for (uint64_t done = 0; begin && done < count; done += BATCH) {
        const size_t n = MIN(BATCH, count - done);
        for (size_t i = 0; i < n; i++) {
            const uint64_t page = marked_page(workload, done + i);
            marks[i] = MARK + page;
            remote[i] = (struct iovec){(void *)(uintptr_t)(begin + page * workload->page_size),
                                       sizeof(marks[i])};
        }
        const struct iovec local = {marks, n * sizeof(*marks)};
        if (process_vm_writev(godwit_vm_pid(vm), &local, 1, remote, n, 0) < 0)
            return;
    }
}

bool godwit_memory_marked(struct godwit_vm *vm)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t count = count_marks(workload), begin = marks_begin(vm);
    const uint64_t last = count ? marked_page(workload, count - 1) : 0;
    uint64_t mark = 0;
    return begin && count &&
           godwit_memory_peek(vm, begin + last * workload->page_size, &mark, sizeof(mark)) &&
           mark == MARK + last;
}
