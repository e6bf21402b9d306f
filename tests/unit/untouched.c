/*
 * Memory that was never written to, told from memory that was.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/untouched.h"

#include "unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 64 };

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned char *map(int flags, int fd)
{
    unsigned char *memory = mmap(NULL, PAGES * page_size(), PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    /* One page of 4 KiB at a time. */
    madvise(memory, PAGES * page_size(), MADV_NOHUGEPAGE);
    return memory;
}

static bool untouched(const unsigned char *memory, size_t first, size_t pages)
{
    const int pagemap = godwit_untouched_open(getpid());
    const bool is = godwit_untouched(pagemap, (uint64_t)(uintptr_t)(memory + first * page_size()),
                                     pages * page_size());
    close(pagemap);
    return is;
}

static bool private(const unsigned char *memory, size_t first, size_t pages)
{
    g_auto(GStrv) maps = godwit_untouched_maps(getpid());
    return godwit_untouched_private(maps, (uint64_t)(uintptr_t)(memory + first * page_size()),
                                    pages * page_size());
}

/* A kernel that cannot tell says so of everything. */
static bool can_tell(void)
{
    unsigned char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    const bool can = untouched(memory, 0, PAGES);
    munmap(memory, PAGES * page_size());
    return can;
}

/* Returns whether reading brings the page of zeros that all share. Some kernels bring a page that
 * is zero and nobody else's, which cannot be told from one that was written to. */
static bool reading_shares(bool can)
{
    volatile unsigned char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    assert_int_equal(memory[0], 0);
    const bool shares = untouched((unsigned char *)(uintptr_t)memory, 0, 1);
    munmap((void *)(uintptr_t)memory, PAGES * page_size());
    assert_true(can || !shares);
    return shares;
}

/* Reading brings the page of zeros, writing brings another, whatever is written. */
static void test_pages(void **state)
{
    (void)state;
    const bool can = can_tell(), shares = reading_shares(can);
    unsigned char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    unsigned sum = 0;
    for (size_t page = 0; page < PAGES / 2; page++)
        sum += *(volatile unsigned char *)(memory + page * page_size());
    assert_int_equal(sum, 0);
    assert_int_equal(untouched(memory, 0, PAGES), shares);
    assert_int_equal(untouched(memory, PAGES / 2, PAGES / 2), can);
    memory[(PAGES - 4) * page_size()] = 1;
    memory[5 * page_size() + 100] = 0;
    for (size_t page = 0; page < PAGES; page++)
        assert_int_equal(untouched(memory, page, 1),
                         (page < PAGES / 2 ? shares : can) && page != PAGES - 4 && page != 5);
    assert_false(untouched(memory, 0, PAGES));
    assert_int_equal(untouched(memory, 6, PAGES - 10), shares);
    assert_int_equal(untouched(memory, PAGES / 2, PAGES / 2 - 4), can);
    assert_false(untouched(memory, PAGES / 2, PAGES / 2 - 3));
    munmap(memory, PAGES * page_size());
}

/* Of these no page is known to be zero because it is not there. */
static void test_mappings(void **state)
{
    (void)state;
    unsigned char *memory = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    assert_true(private(memory, 0, PAGES));
    assert_true(private(memory, 1, PAGES - 1));
    /* Two mappings of the same kind, then with one of another kind and with a hole between them. */
    assert_int_equal(mprotect(memory + 10 * page_size(), page_size(), PROT_READ), 0);
    assert_true(private(memory, 0, PAGES));
    assert_ptr_equal(mmap(memory + 10 * page_size(), page_size(), PROT_READ,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     memory + 10 * page_size());
    assert_false(private(memory, 0, PAGES));
    assert_false(private(memory, 10, 1));
    assert_true(private(memory, 0, 10));
    assert_true(private(memory, 11, PAGES - 11));
    munmap(memory + 10 * page_size(), page_size());
    assert_false(private(memory, 0, PAGES));
    assert_true(private(memory, 0, 10));
    munmap(memory, PAGES * page_size());

    const int fd = memfd_create("godwit", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)(PAGES * page_size())), 0);
    for (int shared = 0; shared < 2; shared++) {
        memory = map(shared ? MAP_SHARED : MAP_PRIVATE, fd);
        assert_false(private(memory, 0, PAGES));
        munmap(memory, PAGES * page_size());
    }
    close(fd);
}

/* A process that is not there has nothing. */
static void test_nobody(void **state)
{
    (void)state;
    const int pagemap = godwit_untouched_open(-1);
    assert_int_equal(pagemap, -1);
    assert_false(godwit_untouched(pagemap, 0, page_size()));
    assert_false(godwit_untouched_there(pagemap, 0));
    g_auto(GStrv) maps = godwit_untouched_maps(-1);
    assert_false(godwit_untouched_private(maps, 0, page_size()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
