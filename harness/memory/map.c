/*
 * The map of a guest's memory: its RAM blocks, their addresses in QEMU's address space, and the
 * pieces of them that the guest sees. It is read from QEMU once, by `info ramblock`, `info mtree
 * -f` and, for QEMU before 8.2, whose `info ramblock` has no addresses, `gpa2hva`. The map is
 * stored in vm->blocks and vm->pieces, either completely or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/memory_parts.h"

#include "memory/untouched.h"
#include <string.h>

/* Parses `info ramblock`: a heading, then lines "NAME PSIZE UNIT OFFSET USED TOTAL [HVA RO]". Names
 * contain no blanks. HVA exists since QEMU 8.2. */
static void parse_blocks(const char *text, GArray *blocks)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 1; lines[0] && lines[i]; i++) {
        struct godwit_block block = {0};
        char hva[32] = "";
        unsigned long long offset, used;
        if (sscanf(lines[i], " %255s %*s %*s 0x%llx 0x%llx 0x%*x %31s", block.name, &offset, &used,
                   hva) < 3)
            continue;
        block.offset = offset;
        block.length = used;
        block.hva = g_str_has_prefix(hva, "0x") ? g_ascii_strtoull(hva, NULL, 16) : 0;
        g_array_append_val(blocks, block);
    }
}

static const guint no_block = G_MAXUINT;

/* Returns the index of the block of the region NAME. The name of a block that belongs to a device
 * on a bus has the device's place before the region's: "0000:00:02.0/vga.vram". If several devices
 * have such a block, NAME is that of none. */
static guint find(const struct godwit_vm *vm, const char *name)
{
    guint found = no_block, matches = 0;
    for (guint i = 0; i < vm->blocks->len; i++) {
        const char *block = g_array_index(vm->blocks, struct godwit_block, i).name;
        const char *last = strrchr(block, '/');
        if (!strcmp(block, name))
            return i;
        if (last && !strcmp(last + 1, name)) {
            found = i;
            matches++;
        }
    }
    return matches == 1 ? found : no_block;
}

/* Parses `info mtree -f`: the flat view of the address space "memory" has a line "START-END (prio
 * N, ram|rom): NAME [@OFFSET] ..." for each piece of a block that the guest sees. */
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

/* Asks QEMU for the host address of a guest-physical address. *HVA is 0 if the answer has none. */
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

/* Returns whether any RAM can be read: it is in the machine's address space, or QEMU reports where
 * it is. On some boards only the CPU sees RAM, in an address space of its own. */
static bool has_ram(const struct godwit_vm *vm)
{
    for (guint i = 0; i < vm->blocks->len; i++)
        if (g_array_index(vm->blocks, struct godwit_block, i).hva)
            return true;
    return vm->pieces->len > 0;
}

/* Fills vm->blocks and vm->pieces, which are empty. */
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
    if (!has_ram(vm)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "%s: found no RAM in `info ramblock` and `info mtree -f`", vm->name);
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
    /* A partial map must not be taken for a complete one. */
    g_clear_pointer(&vm->blocks, g_array_unref);
    g_clear_pointer(&vm->pieces, g_array_unref);
    return false;
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

const struct godwit_piece *godwit_memory_piece(const struct godwit_vm *vm,
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

static void no_ram(const struct godwit_vm *vm, uint64_t gpa, uint64_t length, GError **error)
{
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                "%s: guest-physical " HEX "+" HEX " is not RAM of this guest", vm->name, gpa,
                length);
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
    no_ram(vm, gpa, length, error);
    return NULL;
}

/* Returns the piece with the byte at GPA, or NULL. */
static const struct godwit_piece *piece_at(const struct godwit_vm *vm, uint64_t gpa)
{
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        if (gpa >= piece->gpa && gpa - piece->gpa < piece->length)
            return piece;
    }
    return NULL;
}

/* Returns whether any of the parts is of BLOCK. */
static bool has_part(const GArray *parts, const struct godwit_block *block)
{
    for (guint i = 0; i < parts->len; i++)
        if (g_array_index(parts, struct godwit_part, i).block == block)
            return true;
    return false;
}

/* A walk over the parts must come by each block once, from its beginning to its end, since that is
 * how the RAM compare walks over blocks. */
GArray *godwit_memory_parts(struct godwit_vm *vm, uint64_t gpa, uint64_t length, GError **error)
{
    if (!godwit_memory_map(vm, error))
        return NULL;
    g_autoptr(GArray) parts = g_array_new(FALSE, TRUE, sizeof(struct godwit_part));
    for (uint64_t at = 0; at < length;) {
        const struct godwit_piece *piece = piece_at(vm, gpa + at);
        if (!piece) {
            no_ram(vm, gpa, length, error);
            return NULL;
        }
        const uint64_t into = gpa + at - piece->gpa;
        const struct godwit_part part = {
            .block = &g_array_index(vm->blocks, struct godwit_block, piece->block),
            .offset = piece->offset + into,
            .at = at,
            .length = MIN(length - at, piece->length - into),
        };
        if (has_part(parts, part.block)) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                        "%s: guest-physical " HEX "+" HEX
                        " has two parts of RAM block %s, expected "
                        "one of each block",
                        vm->name, gpa, length, part.block->name);
            return NULL;
        }
        g_array_append_val(parts, part);
        at += part.length;
    }
    return g_steal_pointer(&parts);
}

GArray *godwit_memory_window(struct godwit_vm *vm, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    return godwit_memory_parts(vm, workload->window_start,
                               workload->window_end - workload->window_start, error);
}

const struct godwit_part *godwit_memory_part(const GArray *parts, const struct godwit_block *block,
                                             uint64_t offset)
{
    for (guint i = 0; i < parts->len; i++) {
        const struct godwit_part *part = &g_array_index(parts, struct godwit_part, i);
        if (part->block == block && offset >= part->offset && offset - part->offset < part->length)
            return part;
    }
    return NULL;
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
