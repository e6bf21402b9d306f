/*
 * Makes the map of wrong pages after an oracle has failed.
 *
 * visit() reads memory page by page, and take() classifies each page and collects the wrong ones.
 * After a RAM compare, a second walk over the source, with seek(), looks for the pages that wrong
 * pages of the destination hold. map_end() turns the collection into JSON. Read errors end a walk
 * without a message, because the oracle's failure is the one to report.
 *
 * oracle.c and twin.c call this.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/pages.h"

#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/stamp.h"
#include <inttypes.h>
#include <string.h>

/* Approximate size of one read. */
#define CHUNK ((size_t)1 << 20)
/* Limit of the list's entries, and of the pages whose content is searched for elsewhere. */
#define LISTED_MAX 256
/* Limit of the stamped pages that are searched for in the whole window: each search is slow. */
#define THOROUGH_MAX 64
/* Limit of the characters in a picture of the window. */
#define PICTURE_MAX 1024

static const struct {
    const char *name;
    char letter;
} kinds[GODWIT_PAGE_KINDS] = {
    [GODWIT_PAGE_RIGHT] = {"right", '.'}, [GODWIT_PAGE_STALE] = {"stale", 's'},
    [GODWIT_PAGE_ZERO] = {"zero", '0'},   [GODWIT_PAGE_MISPLACED] = {"misplaced", 'm'},
    [GODWIT_PAGE_TORN] = {"torn", 't'},   [GODWIT_PAGE_FOREIGN] = {"foreign", 'f'},
};

const char *godwit_page_kind_name(enum godwit_page_kind kind)
{
    return kinds[kind].name;
}

static bool all_zero(const unsigned char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && !memcmp(bytes, bytes + 1, length - 1));
}

/* The smallest part that a torn page can lack: nothing copies less at once. */
#define WORD 8

/* Returns true if the page is correct before byte FIRST and all zero from there on, or all zero up
 * to byte LAST and correct behind it. FIRST and LAST are the first and last wrong byte. */
static bool is_torn(const struct godwit_page *page, size_t first, size_t last)
{
    const size_t end = page->size - first, start = last + 1;
    return (first > 0 && end >= WORD && all_zero(page->found + first, end)) ||
           (start < page->size && start >= WORD && all_zero(page->found, start));
}

/* Classifies a page by the one byte that the guest writes. */
static enum godwit_page_kind by_pass(const struct godwit_page *page, unsigned char expected,
                                     unsigned *behind)
{
    *behind = (unsigned char)(expected - page->found[0]);
    return *behind <= page->passes ? GODWIT_PAGE_STALE : GODWIT_PAGE_FOREIGN;
}

struct godwit_page_verdict godwit_page_classify_order(const struct godwit_page *page)
{
    struct godwit_page_verdict verdict = {.kind = GODWIT_PAGE_RIGHT};
    const unsigned char expected = (unsigned char)(page->first + page->passes);
    if (!page->right) {
        if (page->found[0] == expected)
            return verdict;
        verdict.differs = 1;
        verdict.kind = all_zero(page->found, page->size) ? GODWIT_PAGE_ZERO
                                                         : by_pass(page, expected, &verdict.behind);
        return verdict;
    }
    size_t last = 0;
    for (size_t i = 0; i < page->size; i++) {
        if (page->found[i] == page->right[i])
            continue;
        last = i;
        if (verdict.differs++ == 0)
            verdict.first = i;
    }
    if (verdict.differs == 0)
        return verdict;
    if (all_zero(page->found, page->size))
        verdict.kind = GODWIT_PAGE_ZERO;
    else if (page->written && last == 0)
        verdict.kind = by_pass(page, page->right[0], &verdict.behind);
    else
        verdict.kind = is_torn(page, verdict.first, last) ? GODWIT_PAGE_TORN : GODWIT_PAGE_FOREIGN;
    return verdict;
}

/* A wrong page. */
struct bad {
    const struct godwit_block *block; /* of the map's VM */
    uint64_t offset;                  /* in BLOCK */
    bool in_window;
    uint64_t page; /* its number in the window */
    struct godwit_page_verdict verdict;
    unsigned char *bytes; /* its content, if seek() must look for it, or NULL; owned */
    size_t size;
    char *where; /* MISPLACED: the page that its content belongs to, in words; owned */
    char *text;  /* `stamp`: what the page is, in words; owned */
};

static void bad_clear(gpointer data)
{
    struct bad *bad = data;
    g_free(bad->bytes);
    g_free(bad->where);
    g_free(bad->text);
}

struct map {
    struct godwit_vm *vm;     /* the VM whose pages are judged */
    struct godwit_vm *source; /* what counts as correct; NULL: the mailboxes do */
    godwit_page_classifier classify;
    struct godwit_mailbox mailbox[GODWIT_MAX_CPUS];
    GArray *window; /* the parts of VM's window, of struct godwit_part; owned */
    GArray *bad;    /* of struct bad; owned */
};

static bool map_begin(struct map *map, struct godwit_vm *vm, struct godwit_vm *source)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    *map = (struct map){.vm = vm, .source = source, .classify = godwit_page_classify_order};
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        if (!godwit_memory_mailbox(source ? source : vm, cpu, &map->mailbox[cpu], NULL))
            return false;
    map->window = godwit_memory_window(vm, NULL);
    if (!map->window)
        return false;
    map->bad = g_array_new(FALSE, TRUE, sizeof(struct bad));
    g_array_set_clear_func(map->bad, bad_clear);
    return true;
}

/* Sets *PASSES to how often the guest has written that page of the window, by its own account, and
 * *OR_NEXT if one more pass is possible. Returns false if there is no account. */
static bool passes_of(const struct map *map, uint64_t page, uint64_t *passes, bool *or_next)
{
    const struct godwit_workload *workload = &map->vm->testbed->setup->workload;
    const unsigned cpu = (unsigned)(page % workload->cpus);
    const struct godwit_workload stripe = godwit_workload_stripe(workload, cpu);
    const struct godwit_mailbox *mailbox = &map->mailbox[cpu];
    if (mailbox->magic != GODWIT_MAILBOX_MAGIC || mailbox->position < stripe.window_start ||
        mailbox->position > stripe.window_end)
        return false;
    const uint64_t address = workload->window_start + page * workload->page_size;
    /* At the window's end, the pass that is over may or may not have been counted. */
    const bool at_end = mailbox->position == stripe.window_end;
    *passes = mailbox->passes + (!at_end && address < mailbox->position);
    *or_next = at_end || address == mailbox->position;
    return true;
}

/* Takes a page of a stamped window. It needs no other VM to compare with: the account determines
 * every word. */
static void take_stamped(struct map *map, struct bad *bad, const unsigned char *found)
{
    const struct godwit_setup *setup = map->vm->testbed->setup;
    const struct godwit_stamp stamp = godwit_stamp_of(&setup->workload);
    const unsigned cpu = (unsigned)(bad->page % setup->workload.cpus);
    const struct godwit_mailbox *mailbox = &map->mailbox[cpu];
    struct godwit_stamp_account account;
    if (!godwit_stamp_account(&stamp, cpu, setup->workload.window_start, mailbox->passes,
                              mailbox->position, &account))
        return;
    bad->verdict = godwit_stamp_classify(setup, (uint32_t)bad->page, found, &account,
                                         map->bad->len < THOROUGH_MAX, &bad->text);
    if (bad->verdict.kind != GODWIT_PAGE_RIGHT)
        g_array_append_val(map->bad, *bad);
}

/* A page_visitor that classifies a page with content FOUND and collects it if it is wrong. RIGHT is
 * the expected content; if it is NULL, the mailbox determines that. */
static void take(struct map *map, const struct godwit_block *block, uint64_t offset, size_t size,
                 const unsigned char *found, const unsigned char *right)
{
    const struct godwit_workload *workload = &map->vm->testbed->setup->workload;
    struct bad bad = {.block = block, .offset = offset, .size = size};
    struct godwit_page page = {.found = found, .right = right, .size = size};
    bool or_next = false;
    /* A page that lies in two blocks is none that the account could explain. */
    const struct godwit_part *part = godwit_memory_part(map->window, block, offset);
    bad.in_window = part && size == workload->page_size;
    if (bad.in_window) {
        bad.page = (part->at + (offset - part->offset)) / workload->page_size;
        if (workload->flags & GODWIT_FLAG_STAMP) {
            take_stamped(map, &bad, found);
            return;
        }
        page.written = passes_of(map, bad.page, &page.passes, &or_next);
        page.first = godwit_workload_first_byte(workload, bad.page);
    }
    if (!right && !page.written)
        return;
    bad.verdict = map->classify(&page);
    if (bad.verdict.kind != GODWIT_PAGE_RIGHT && or_next) {
        page.passes++;
        if (!right && map->classify(&page).kind == GODWIT_PAGE_RIGHT)
            return;
    }
    if (bad.verdict.kind == GODWIT_PAGE_RIGHT)
        return;
    /* A page with only a few wrong bytes is not another page. */
    if (right && bad.verdict.kind >= GODWIT_PAGE_TORN && bad.verdict.differs > size / 64 &&
        map->bad->len < LISTED_MAX)
        bad.bytes = g_memdup2(found, size);
    g_array_append_val(map->bad, bad);
}

/* Called for each page: SIZE bytes at OFFSET of BLOCK. OTHERS is the other VM's content of the same
 * page, or NULL if there is no other VM. */
typedef void (*page_visitor)(struct map *map, const struct godwit_block *block, uint64_t offset,
                             size_t size, const unsigned char *bytes, const unsigned char *others);

/* Visits the pages in [OFFSET, END) of BLOCK. A page begins at ANCHOR. OTHER has the same block as
 * OTHERS, or both are NULL. Returns false if memory cannot be read. */
static bool visit(struct map *map, struct godwit_vm *vm, const struct godwit_block *block,
                  struct godwit_vm *other, const struct godwit_block *others, uint64_t anchor,
                  uint64_t offset, uint64_t end, page_visitor visitor)
{
    const size_t page_size = vm->testbed->setup->workload.page_size;
    const size_t room = MAX(CHUNK / page_size, 1) * page_size;
    g_autofree unsigned char *bytes = g_malloc(room);
    g_autofree unsigned char *right = other ? g_malloc(room) : NULL;
    while (offset < end) {
        const size_t into =
            (size_t)((offset % page_size + page_size - anchor % page_size) % page_size);
        const size_t length = (size_t)MIN(room - into, end - offset);
        if (!godwit_memory_read_block(vm, block, offset, bytes, length, NULL) ||
            (other && !godwit_memory_read_block(other, others, offset, right, length, NULL)))
            return false;
        for (size_t at = 0, size; at < length; at += size) {
            size = MIN(page_size - (at ? 0 : into), length - at);
            visitor(map, block, offset + at, size, bytes + at, right ? right + at : NULL);
        }
        offset += length;
    }
    return true;
}

/* Returns an offset of BLOCK, of any VM, at which a page begins. Pages are counted from the start
 * of their block, except in blocks with a part of the window. */
static uint64_t anchor_in(const struct map *map, const struct godwit_block *block)
{
    const size_t page_size = map->vm->testbed->setup->workload.page_size;
    for (guint i = 0; i < map->window->len; i++) {
        const struct godwit_part *part = &g_array_index(map->window, struct godwit_part, i);
        if (!strcmp(part->block->name, block->name))
            return part->offset % page_size + (page_size - part->at % page_size);
    }
    return 0;
}

/* Visits the pages of a whole block, or of its readable pieces. Does nothing if OTHER is not NULL
 * and has no block of the same name and size. */
static void visit_block(struct map *map, struct godwit_vm *vm, const struct godwit_block *block,
                        struct godwit_vm *other, page_visitor visitor)
{
    const struct godwit_block *others = other ? godwit_memory_block(other, block->name) : NULL;
    const uint64_t anchor = anchor_in(map, block);
    if (other && (!others || others->length != block->length))
        return;
    if (godwit_memory_readable(vm, block, 0, block->length) &&
        (!other || godwit_memory_readable(other, others, 0, block->length))) {
        visit(map, vm, block, other, others, anchor, 0, block->length, visitor);
        return;
    }
    for (guint i = 0; i < vm->pieces->len; i++) {
        const struct godwit_piece *piece = &g_array_index(vm->pieces, struct godwit_piece, i);
        if (block == &g_array_index(vm->blocks, struct godwit_block, piece->block) &&
            (!other || godwit_memory_readable(other, others, piece->offset, piece->length)))
            visit(map, vm, block, other, others, anchor, piece->offset,
                  piece->offset + piece->length, visitor);
    }
}

/* A page_visitor that compares a page of the source with the content of the wrong pages. */
static void seek(struct map *map, const struct godwit_block *block, uint64_t offset, size_t size,
                 const unsigned char *bytes, const unsigned char *others)
{
    (void)others;
    for (guint i = 0; i < map->bad->len; i++) {
        struct bad *bad = &g_array_index(map->bad, struct bad, i);
        if (!bad->bytes || bad->size != size || memcmp(bytes, bad->bytes, size) != 0)
            continue;
        bad->verdict.kind = GODWIT_PAGE_MISPLACED;
        bad->where = g_strdup_printf("the page at offset 0x%" PRIx64 " of the %s's RAM block %s",
                                     offset, map->source->name, block->name);
        g_clear_pointer(&bad->bytes, g_free);
    }
}

static bool any_to_seek(const struct map *map)
{
    for (guint i = 0; i < map->bad->len; i++)
        if (g_array_index(map->bad, struct bad, i).bytes)
            return true;
    return false;
}

/* Returns a description of the page. The caller frees it. */
static char *describe(const struct bad *bad)
{
    const struct godwit_page_verdict *verdict = &bad->verdict;
    if (bad->text)
        return g_strdup(bad->text);
    switch (verdict->kind) {
    case GODWIT_PAGE_STALE:
        return verdict->behind > 128
                   ? g_strdup_printf("%u passes ahead (or stale by %u; modulo 256)",
                                     256 - verdict->behind, verdict->behind)
                   : g_strdup_printf("stale by %u pass%s (modulo 256)", verdict->behind,
                                     verdict->behind == 1 ? "" : "es");
    case GODWIT_PAGE_ZERO:
        return g_strdup("all zero");
    case GODWIT_PAGE_MISPLACED:
        return g_strdup_printf("misplaced: holds %s", bad->where);
    case GODWIT_PAGE_TORN:
        return g_strdup_printf("torn: one part is correct, the rest is zero; %zu bytes differ, "
                               "the first at byte %zu of the page",
                               verdict->differs, verdict->first);
    default:
        return g_strdup_printf("foreign: %zu byte%s differ%s, the first at byte %zu of the page",
                               verdict->differs, verdict->differs == 1 ? "" : "s",
                               verdict->differs == 1 ? "s" : "", verdict->first);
    }
}

/* Returns true if a page belongs to the list's entry of the page before it: it follows that page
 * and has the same description. */
static bool goes_with(const struct bad *bad, const struct bad *before, const char *text)
{
    g_autofree char *same = describe(before);
    return bad->block == before->block && bad->offset == before->offset + before->size &&
           bad->in_window == before->in_window && !strcmp(text, same);
}

/* Returns true if the page holds the guest's first mailbox. */
static bool has_mailbox(const struct map *map, const struct bad *bad)
{
    uint64_t offset = 0;
    const struct godwit_block *block = godwit_memory_locate(
        map->vm, map->vm->testbed->setup->image->mailbox, GODWIT_MAILBOX_SIZE, &offset, NULL);
    return block == bad->block && offset >= bad->offset && offset - bad->offset < bad->size;
}

static json_t *entry_of(const struct map *map, const struct bad *bad, const char *text)
{
    const struct godwit_workload *workload = &map->vm->testbed->setup->workload;
    json_t *entry =
        json_pack("{s:s, s:I, s:i, s:s, s:s, s:s*}", "block", bad->block->name, "offset",
                  (json_int_t)bad->offset, "count", 1, "kind", kinds[bad->verdict.kind].name,
                  "text", text, "use", has_mailbox(map, bad) ? "the guest's mailbox" : NULL);
    if (bad->in_window) {
        json_object_set_new(entry, "page", json_integer((json_int_t)bad->page));
        json_object_set_new(
            entry, "address",
            json_integer((json_int_t)(workload->window_start + bad->page * workload->page_size)));
    }
    return entry;
}

/* Returns the list, and in *LISTED how many wrong pages it covers. */
static json_t *list_of(const struct map *map, guint *listed)
{
    json_t *list = json_array();
    json_t *last = NULL;
    for (*listed = 0; *listed < map->bad->len; ++*listed) {
        const struct bad *bad = &g_array_index(map->bad, struct bad, *listed);
        g_autofree char *text = describe(bad);
        if (last && goes_with(bad, bad - 1, text)) {
            json_object_set_new(last, "count",
                                json_integer(godwit_json_integer(last, "count", 0) + 1));
            continue;
        }
        if (json_array_size(list) == LISTED_MAX)
            break;
        last = entry_of(map, bad, text);
        json_array_append_new(list, last);
    }
    return list;
}

static void map_end(struct map *map)
{
    struct godwit_testbed *testbed = map->vm->testbed;
    const uint64_t pages = godwit_workload_pages(&testbed->setup->workload);
    const uint64_t step = (pages + PICTURE_MAX - 1) / PICTURE_MAX;
    GString *picture = g_string_new(NULL);
    for (uint64_t page = 0; page < pages; page += step)
        g_string_append_c(picture, kinds[GODWIT_PAGE_RIGHT].letter);
    unsigned counts[GODWIT_PAGE_KINDS] = {0};
    for (guint i = 0; i < map->bad->len; i++) {
        const struct bad *bad = &g_array_index(map->bad, struct bad, i);
        const char letter = kinds[bad->verdict.kind].letter;
        counts[bad->verdict.kind]++;
        if (!bad->in_window)
            continue;
        char *cell = &picture->str[bad->page / step];
        *cell = *cell == kinds[GODWIT_PAGE_RIGHT].letter || *cell == letter ? letter : '*';
    }
    if (map->bad->len) {
        json_t *by_kind = json_object();
        for (unsigned kind = GODWIT_PAGE_STALE; kind < GODWIT_PAGE_KINDS; kind++)
            if (counts[kind])
                json_object_set_new(by_kind, kinds[kind].name, json_integer(counts[kind]));
        guint listed = 0;
        json_t *list = list_of(map, &listed);
        godwit_testbed_measure_item(
            testbed, "pages",
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:s, s:I, s:o, s:I}", "vm", map->vm->name,
                      "against", map->source ? map->source->name : "mailbox", "page_size",
                      (json_int_t)testbed->setup->workload.page_size, "pages", (json_int_t)pages,
                      "bad", (json_int_t)map->bad->len, "kinds", by_kind, "picture", picture->str,
                      "step", (json_int_t)step, "list", list, "listed", (json_int_t)listed));
    }
    g_string_free(picture, TRUE);
    g_array_unref(map->bad);
    g_array_unref(map->window);
}

void godwit_pages_twin(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_block *block, uint64_t first, uint64_t last)
{
    struct map map;
    if (!map_begin(&map, destination, source))
        return;
    const uint64_t page_size = source->testbed->setup->workload.page_size;
    const struct godwit_block *there = block ? godwit_memory_block(destination, block->name) : NULL;
    if (there) {
        const uint64_t anchor = anchor_in(&map, there);
        const uint64_t into = (first % page_size + page_size - anchor % page_size) % page_size;
        const uint64_t from = first - MIN(into, first);
        const uint64_t to = MIN(from + ((last - from) / page_size + 1) * page_size, there->length);
        visit(&map, destination, there, source, block, anchor, from, to, take);
    }
    for (guint i = 0; !there && i < destination->blocks->len; i++)
        visit_block(&map, destination, &g_array_index(destination->blocks, struct godwit_block, i),
                    source, take);
    for (guint i = 0; any_to_seek(&map) && i < source->blocks->len; i++)
        visit_block(&map, source, &g_array_index(source->blocks, struct godwit_block, i), NULL,
                    seek);
    map_end(&map);
}

void godwit_pages_alone(struct godwit_vm *vm)
{
    struct map map;
    if (!map_begin(&map, vm, NULL))
        return;
    for (guint i = 0; i < map.window->len; i++) {
        const struct godwit_part *part = &g_array_index(map.window, struct godwit_part, i);
        visit(&map, vm, part->block, NULL, NULL, anchor_in(&map, part->block), part->offset,
              part->offset + part->length, take);
    }
    map_end(&map);
}
