/*
 * A pattern in memory that the guest does not use.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/pattern.h"

#include "godwit/stamp.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* Memory is compared in pieces of this many bytes, a multiple of a page. */
#define PIECE ((size_t)1 << 20)

uint64_t godwit_pattern_page(const struct godwit_pattern *pattern, unsigned page)
{
    const uint64_t stride = pattern->size / GODWIT_PATTERN_PAGE / GODWIT_PATTERN_PAGES;
    return page == GODWIT_PATTERN_PAGES - 1
               ? pattern->address + pattern->size - GODWIT_PATTERN_PAGE
               : pattern->address + page * stride * GODWIT_PATTERN_PAGE;
}

/* Fills BYTES with what a page has in its generation. No two pages or generations are alike, and no
 * word is zero. */
static void fill(unsigned page, uint8_t generation, unsigned char *bytes)
{
    memset(bytes, 0, GODWIT_PATTERN_PAGE);
    if (generation == GODWIT_PATTERN_ZERO)
        return;
    for (unsigned at = 0; at < GODWIT_PATTERN_PAGE; at += sizeof(uint64_t)) {
        const uint64_t word =
            godwit_stamp_mix((uint64_t)page << 32 | (uint64_t)generation << 16 | at) | 1;
        memcpy(bytes + at, &word, sizeof(word));
    }
}

bool godwit_pattern_write(struct godwit_vm *vm, struct godwit_pattern *pattern, unsigned page,
                          uint8_t generation, GError **error)
{
    unsigned char bytes[GODWIT_PATTERN_PAGE];
    fill(page, generation, bytes);
    pattern->generations[page] = generation;
    return godwit_qtest_write_bytes(vm->qtest, godwit_pattern_page(pattern, page), bytes,
                                    sizeof(bytes), error);
}

/* Fills WANTED with what the LENGTH bytes at ADDRESS must be. */
static void expect(const struct godwit_pattern *pattern, uint64_t address, unsigned char *wanted,
                   size_t length)
{
    memset(wanted, 0, length);
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++) {
        const uint64_t at = godwit_pattern_page(pattern, page);
        if (at >= address && at - address < length)
            fill(page, pattern->generations[page], wanted + (at - address));
    }
}

bool godwit_pattern_judge(struct godwit_vm *vm, const struct godwit_pattern *pattern,
                          const char *what, GError **error)
{
    g_autofree unsigned char *found = g_malloc(PIECE);
    g_autofree unsigned char *wanted = g_malloc(PIECE);
    for (uint64_t offset = 0; offset < pattern->size; offset += PIECE) {
        const size_t length = (size_t)MIN(PIECE, pattern->size - offset);
        if (!godwit_memory_read(vm, pattern->address + offset, found, length, error))
            return false;
        expect(pattern, pattern->address + offset, wanted, length);
        if (!memcmp(found, wanted, length))
            continue;
        size_t i = 0;
        while (found[i] == wanted[i])
            i++;
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: 0x%02x at offset 0x%" PRIx64 " of %s, expected 0x%02x", vm->name,
                           found[i], offset + i, what, wanted[i]);
    }
    return true;
}
