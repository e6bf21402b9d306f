/*
 * The RAM compare ("twin"): compares all RAM of two stopped VMs, source and destination.
 *
 * Blocks are matched by name, and each is read chunk by chunk on both sides. Each chunk also goes
 * to a view of each VM (oracle.c), so one walk serves page order, stamp and position as well.
 * Differences are counted first and judged at the end, because a known bug must explain all of
 * them or none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/oracle_parts.h"

#include "bugs/bugs.h"
#include "memory/ahead.h"
#include "oracle/ledger.h"
#include "oracle/pages.h"
#include <string.h>

#define HEX "0x%" G_GINT64_MODIFIER "x"

/* Blocks with fewer bytes are compared without a second thread: starting it would take longer. */
#define AHEAD_LEAST ((uint64_t)4 << 20)

/* The differences between two VMs. */
struct difference {
    uint64_t bytes;
    uint64_t pages;
    const struct godwit_block *block; /* the source's block with the first difference found */
    uint64_t offset;                  /* of that difference in BLOCK */
    unsigned char here, there;        /* its bytes on source and destination */
    bool sizes;               /* a block has different sizes on the two sides; it is not compared */
    bool lags;                /* the destination's view has not taken what was equal so far */
    bool one_block;           /* all differences are in BLOCK ... */
    uint64_t lowest, highest; /* ... between these offsets; pieces come in any order */
};

/* Adds the differences between HERE and THERE, LENGTH bytes at OFFSET of BLOCK, to DIFFERENCE. */
static void note_difference(struct difference *difference, const struct godwit_block *block,
                            uint64_t offset, const unsigned char *here, const unsigned char *there,
                            size_t length, size_t page_size)
{
    for (size_t page = 0; page < length; page += page_size) {
        const size_t size = MIN(page_size, length - page);
        if (!memcmp(here + page, there + page, size))
            continue;
        difference->pages++;
        for (size_t i = page; i < page + size; i++) {
            if (here[i] == there[i])
                continue;
            difference->one_block =
                difference->bytes == 0 || (difference->one_block && difference->block == block);
            difference->highest = MAX(difference->highest, offset + i);
            difference->lowest =
                difference->bytes ? MIN(difference->lowest, offset + i) : offset + i;
            if (difference->bytes++ == 0) {
                difference->block = block;
                difference->offset = offset + i;
                difference->here = here[i];
                difference->there = there[i];
            }
        }
    }
}

/* Lets the destination's view take what it has not taken: all that the source's has. */
static void catch_up(const struct view *source, struct view *destination,
                     struct difference *difference)
{
    if (difference->lags)
        godwit_view_follow(destination, source);
    difference->lags = false;
}

/* Compares LENGTH bytes at OFFSET of a block that both VMs have. As long as no byte differs, only
 * the source's view takes them. */
static bool compare(struct view *source, struct view *destination, const struct godwit_block *here,
                    const struct godwit_block *there, uint64_t offset, uint64_t length,
                    struct difference *difference, GError **error)
{
    const size_t page_size = source->vm->testbed->setup->workload.page_size;
    /* Chunks are whole pages if the buffer is large enough, because wrong pages are counted. */
    const size_t chunk = page_size < CHUNK ? CHUNK - CHUNK % page_size : CHUNK;
    g_autoptr(godwit_ahead) ahead = length >= AHEAD_LEAST ? godwit_ahead_new() : NULL;
    godwit_ahead_begin(ahead, destination->vm, there, offset, destination->buffer,
                       (size_t)MIN(chunk, length));
    for (const uint64_t end = offset + length; offset < end;) {
        const size_t size = (size_t)MIN(chunk, end - offset);
        if (!godwit_memory_read_block(source->vm, here, offset, source->buffer, size, error))
            return false;
        if (!godwit_ahead_finish(ahead) &&
            !godwit_memory_read_likely(destination->vm, there, offset, source->buffer,
                                       destination->buffer, size, error))
            return false;
        if (memcmp(source->buffer, destination->buffer, size) != 0) {
            note_difference(difference, here, offset, source->buffer, destination->buffer, size,
                            page_size);
            catch_up(source, destination, difference);
        }
        if (!difference->lags)
            godwit_view_take(destination, there, offset, size);
        /* The next bytes of the destination come while the source's are judged. */
        if (offset + size < end)
            godwit_ahead_begin(ahead, destination->vm, there, offset + size, destination->buffer,
                               (size_t)MIN(chunk, end - offset - size));
        godwit_view_take(source, here, offset, size);
        if (godwit_oracle_judges(source->vm->testbed, GODWIT_ORACLE_TWIN))
            godwit_oracle_count(source->vm->testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_BYTES, size);
        offset += size;
    }
    return true;
}

/* Compares every byte of a block that can be read on both sides, and records how many cannot. */
static bool compare_block(struct view *source, struct view *destination,
                          const struct godwit_block *here, struct difference *difference,
                          GError **error)
{
    struct godwit_testbed *testbed = source->vm->testbed;
    const struct godwit_block *there = godwit_memory_block(destination->vm, here->name);
    if (!there || there->length != here->length) {
        difference->sizes = true;
        godwit_oracle_accuse(testbed, GODWIT_ORACLE_TWIN, destination->vm->name);
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: RAM block %s has " HEX " bytes on the source and " HEX
                           " on the destination",
                           here->name, here->length, there ? there->length : 0);
    }
    if (godwit_memory_readable(source->vm, here, 0, here->length) &&
        godwit_memory_readable(destination->vm, there, 0, there->length))
        return compare(source, destination, here, there, 0, here->length, difference, error);
    /* Compare piece by piece. Pieces are disjoint if QEMU lists the block's RAM. Otherwise a byte
     * that appears in two aliases is compared twice, which does no harm. */
    uint64_t seen = 0;
    for (guint i = 0; i < source->vm->pieces->len; i++) {
        const struct godwit_piece *piece =
            &g_array_index(source->vm->pieces, struct godwit_piece, i);
        if (here != &g_array_index(source->vm->blocks, struct godwit_block, piece->block) ||
            !godwit_memory_readable(destination->vm, there, piece->offset, piece->length))
            continue;
        if (!compare(source, destination, here, there, piece->offset, piece->length, difference,
                     error))
            return false;
        seen += piece->length;
    }
    if (seen < here->length) {
        g_autofree char *text = g_strdup_printf(
            "%s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
            " bytes are not mapped in the guest, and this QEMU does not report where they are",
            here->name, here->length - seen, here->length);
        godwit_testbed_measure_item(testbed, "not_compared", json_string(text));
    }
    return true;
}

/* Returns a sentence about the differences, of which there are some. The caller frees it. */
static char *difference_text(const struct difference *difference)
{
    return g_strdup_printf("twin: %" G_GUINT64_FORMAT " bytes in %" G_GUINT64_FORMAT
                           " pages differ between source and destination, the first at " HEX
                           " of RAM block %s: 0x%02x on the source, 0x%02x on the destination",
                           difference->bytes, difference->pages, difference->offset,
                           difference->block->name, difference->here, difference->there);
}

/* Returns the VM's blocks, those with parts of the window first, in the order of its addresses:
 * QEMU lists blocks in another order, and the view takes the window's bytes in theirs. The caller
 * frees it. */
static GPtrArray *blocks_in_order(const struct view *view)
{
    GPtrArray *blocks = g_ptr_array_new();
    for (guint i = 0; view->window && i < view->window->len; i++)
        g_ptr_array_add(blocks, (gpointer)g_array_index(view->window, struct godwit_part, i).block);
    const guint in_window = blocks->len;
    for (guint i = 0; i < view->vm->blocks->len; i++) {
        struct godwit_block *block = &g_array_index(view->vm->blocks, struct godwit_block, i);
        guint j = 0;
        while (j < in_window && g_ptr_array_index(blocks, j) != block)
            j++;
        if (j == in_window)
            g_ptr_array_add(blocks, block);
    }
    return blocks;
}

/* Compares all RAM blocks of two VMs. */
static bool compare_blocks(struct view *here, struct view *there, struct difference *difference,
                           GError **error)
{
    g_autoptr(GPtrArray) blocks = blocks_in_order(here);
    if (blocks->len != there->vm->blocks->len) {
        godwit_oracle_accuse(here->vm->testbed, GODWIT_ORACLE_TWIN, there->vm->name);
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "twin: the source has %u RAM blocks, the destination %u", blocks->len,
                           there->vm->blocks->len);
    }
    for (guint i = 0; i < blocks->len; i++)
        if (!compare_block(here, there, g_ptr_array_index(blocks, i), difference, error))
            return false;
    return true;
}

/* Judges the differences. Sets *STALE if a known bug explains them that leaves the destination's
 * mailboxes out of date. */
static bool judge_difference(struct godwit_vm *source, struct godwit_vm *destination,
                             const struct difference *difference, bool *stale, GError **error)
{
    const bool judges = godwit_oracle_judges(source->testbed, GODWIT_ORACLE_TWIN);
    const bool ours = !source->testbed->setup->theirs;
    if (judges)
        godwit_oracle_count(source->testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_DIFFERENT,
                            difference->bytes);
    if (!difference->bytes)
        return true;
    g_autofree char *text = difference_text(difference);
    if (judges && ours)
        godwit_pages_twin(source, destination, difference->one_block ? difference->block : NULL,
                          difference->lowest, difference->highest);
    struct godwit_symptom symptom = {.kind = GODWIT_SYMPTOM_MAILBOX,
                                     .source = source,
                                     .destination = destination,
                                     .block = difference->block,
                                     .first = difference->lowest,
                                     .last = difference->highest,
                                     .text = text};
    *stale = ours && difference->one_block && godwit_bug_explain(&symptom);
    symptom.kind = GODWIT_SYMPTOM_WINDOW;
    source->testbed->stale |= *stale;
    if (ours && !*stale && difference->one_block && !source->testbed->fault_injected)
        source->testbed->lost = *stale = godwit_bug_explain(&symptom) != NULL;
    symptom.kind = GODWIT_SYMPTOM_SHARED_RAM;
    if (*stale || !judges || (difference->one_block && godwit_bug_explain(&symptom)))
        return true;
    godwit_oracle_accuse(source->testbed, GODWIT_ORACLE_TWIN, destination->name);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s", text);
}

bool godwit_oracle_twin(struct godwit_vm *source, struct godwit_vm *destination,
                        struct godwit_reading *reading, GError **error)
{
    struct view here = {0}, there = {0};
    struct difference difference = {0};
    struct godwit_reading twin = {0};
    bool good = godwit_view_begin(&here, source, source, error) &&
                godwit_view_begin(&there, destination, source, error);
    difference.lags = good && godwit_view_is_like(&there, &here);
    /* Compare even if this oracle is switched off: the other oracles need the walk, and depend on
     * whether a known bug has left the destination's mailboxes out of date. */
    good = good && compare_blocks(&here, &there, &difference, error);
    catch_up(&here, &there, &difference);
    bool stale = false;
    good = good && judge_difference(source, destination, &difference, &stale, error);
    /* Stale mailboxes prove nothing about the destination's memory. */
    good = good && godwit_view_judge(&here, &twin, true, error) &&
           (source->testbed->lost || godwit_view_judge(&there, reading, !stale, error));
    memcpy(reading->mailbox, twin.mailbox, sizeof(reading->mailbox));
    reading->sizes = difference.sizes;
    godwit_view_end(&here);
    godwit_view_end(&there);
    return good;
}

bool godwit_oracle_ram(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct difference difference = {0};
    if (!godwit_oracle_judges(source->testbed, GODWIT_ORACLE_TWIN))
        return true;
    g_autoptr(GError) unmapped = NULL;
    if (!godwit_memory_map(source, &unmapped) || !godwit_memory_map(destination, &unmapped)) {
        /* On some boards only the CPU sees RAM, and QEMU before 8.2 reports no other address. */
        if (unmapped->code == GODWIT_ERROR_QMP)
            godwit_testbed_measure_item(source->testbed, "not_compared",
                                        json_string(unmapped->message));
        else
            g_propagate_error(error, g_steal_pointer(&unmapped));
        return unmapped != NULL;
    }
    /* Views without a window: there is no guest whose pages they could judge. */
    struct view here = {.vm = source, .buffer = g_malloc(CHUNK)};
    struct view there = {.vm = destination, .buffer = g_malloc(CHUNK)};
    const bool good = compare_blocks(&here, &there, &difference, error);
    godwit_view_end(&here);
    godwit_view_end(&there);
    if (!good)
        return false;
    godwit_oracle_count(source->testbed, GODWIT_ORACLE_TWIN, GODWIT_UNIT_DIFFERENT,
                        difference.bytes);
    if (!difference.bytes)
        return true;
    godwit_oracle_accuse(source->testbed, GODWIT_ORACLE_TWIN, destination->name);
    g_autofree char *text = difference_text(&difference);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "%s", text);
}
