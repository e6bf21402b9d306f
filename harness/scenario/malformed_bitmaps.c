/*
 * Malformed dirty bitmaps in a stream (capability dirty-bitmaps). The source migrates into a file,
 * in which one thing is changed; the destination reads that file. QEMU promises to give up a
 * stream that it cannot read on. Of a bitmap that it cannot take, it drops what has come, reports
 * why, and loads the rest: the guest arrives without bitmaps. In both cases the source's guest
 * survives, with its bitmaps, and nothing crashes or hangs.
 *
 * The content of a section "dirty-bitmap" is a list of chunks, and ends with a chunk that has the
 * flag END. A chunk has flags, the names of the node and the bitmap if they are others than before,
 * and then what its kind has.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "base/file.h"
#include "bugs/bugs.h"
#include "course/storage.h"
#include "oracle/state.h"
#include "scenario/scenario.h"
#include "stream/file.h"

#include <inttypes.h>
#include <string.h>

#define IMAGE   "disk.img"
#define DAMAGED "damaged.stream"

/* Has writes, and records. */
#define WRITTEN "written"
/* Has none. */
#define EMPTY "zero"
/* On the destination, before the migration. */
#define THERE "there"

#define GRANULARITY 4096
#define SECTORS     (GODWIT_STORAGE_SIZE / 512)

/* Flags of a chunk: its kind, and what it has. */
#define END      0x01
#define ZEROES   0x02
#define NAME     0x04
#define NODE     0x08
#define START    0x10
#define COMPLETE 0x20
#define BITS     0x40
#define KINDS    (START | COMPLETE | BITS)
/* The flags have more than one byte. */
#define MORE 0x80

struct chunk {
    unsigned flags;
    unsigned width; /* of the flags in the stream: 1, 2 or 4 bytes */
    char node[256], name[256];
    size_t node_length, name_length; /* as the stream says */
    uint32_t granularity;            /* START */
    uint8_t start_flags;             /* START */
    uint64_t sector;                 /* BITS */
    uint32_t sectors;                /* BITS */
    uint64_t size;                   /* BITS without ZEROES: bytes that follow */
    const uint8_t *bits;
    size_t length; /* of `bits` */
};

/* What must come of it. */
enum verdict {
    VERDICT_REFUSED, /* the destination ends */
    VERDICT_DROPPED, /* the guest arrives without the bitmaps */
    VERDICT_ARRIVES, /* the guest arrives with them: the change is legal */
};

struct damage {
    unsigned kind; /* of the chunk: START, BITS or COMPLETE */
    bool empty;    /* of the bitmap without writes, not of the other one */
    void (*change)(struct chunk *chunk);
    bool leave_out;         /* the chunk is not sent */
    bool version;           /* the section's version is 0 */
    bool cut;               /* the stream ends within the chunk's names */
    bool exists;            /* the destination has a bitmap of that name */
    const char *mapping[2]; /* block-bitmap-mapping of the source and of the destination */
    enum verdict verdict;
};

struct godwit_scenario_state {
    struct godwit_storage storage;
    const struct damage *damage;
    GByteArray *stream; /* the damaged one; owned */
    bool done, ended;
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_storage_clear(&state->storage);
    g_clear_pointer(&state->stream, g_byte_array_unref);
}

/* What is left of a section's content. */
struct rest {
    const uint8_t *bytes;
    size_t length;
};

/* Takes a number of WIDTH bytes; 0 if they are not there. */
static uint64_t take_number(struct rest *rest, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width && i < rest->length; i++)
        value = value << 8 | rest->bytes[i];
    rest->bytes += MIN(width, rest->length);
    rest->length -= MIN(width, rest->length);
    return value;
}

/* Takes a string behind its length. */
static size_t take_string(struct rest *rest, char text[256])
{
    size_t length = (size_t)take_number(rest, 1);
    length = MIN(length, rest->length);
    memcpy(text, rest->bytes, length);
    text[length] = 0;
    rest->bytes += length;
    rest->length -= length;
    return length;
}

static void take_chunk(struct rest *rest, struct chunk *chunk)
{
    memset(chunk, 0, sizeof(*chunk));
    chunk->width = 1;
    chunk->flags = (unsigned)take_number(rest, 1);
    if (chunk->flags & NODE)
        chunk->node_length = take_string(rest, chunk->node);
    if (chunk->flags & NAME)
        chunk->name_length = take_string(rest, chunk->name);
    if (chunk->flags & START) {
        chunk->granularity = (uint32_t)take_number(rest, 4);
        chunk->start_flags = (uint8_t)take_number(rest, 1);
    }
    if (!(chunk->flags & BITS))
        return;
    chunk->sector = take_number(rest, 8);
    chunk->sectors = (uint32_t)take_number(rest, 4);
    if (chunk->flags & ZEROES)
        return;
    chunk->size = take_number(rest, 8);
    chunk->bits = rest->bytes;
    chunk->length = (size_t)MIN(chunk->size, rest->length);
    rest->bytes += chunk->length;
    rest->length -= chunk->length;
}

static void put_string(GByteArray *to, const char *text, size_t length)
{
    godwit_bytes_append(to, 1, length);
    g_byte_array_append(to, (const guint8 *)text, (guint)strlen(text));
}

static void put_chunk(GByteArray *to, const struct chunk *chunk)
{
    if (chunk->width > 1)
        godwit_bytes_append(to, 1, MORE);
    if (chunk->width > 2)
        godwit_bytes_append(to, 2, MORE << 8);
    godwit_bytes_append(to, 1, chunk->flags);
    if (chunk->flags & NODE)
        put_string(to, chunk->node, chunk->node_length);
    if (chunk->flags & NAME)
        put_string(to, chunk->name, chunk->name_length);
    if (chunk->flags & START) {
        godwit_bytes_append(to, 4, chunk->granularity);
        godwit_bytes_append(to, 1, chunk->start_flags);
    }
    if (!(chunk->flags & BITS))
        return;
    godwit_bytes_append(to, 8, chunk->sector);
    godwit_bytes_append(to, 4, chunk->sectors);
    if (chunk->flags & ZEROES)
        return;
    godwit_bytes_append(to, 8, chunk->size);
    g_byte_array_append(to, chunk->bits, (guint)chunk->length);
}

/* Sends a chunk, damaged if it is the first that fits. */
static void pass_chunk(struct godwit_scenario_state *state, struct chunk *chunk)
{
    const struct damage *damage = state->damage;
    const bool fits = damage->kind && (chunk->flags & KINDS) == damage->kind &&
                      !strcmp(chunk->name, damage->empty ? EMPTY : WRITTEN);
    if (state->done || !fits) {
        put_chunk(state->stream, chunk);
        return;
    }
    state->done = true;
    if (damage->change)
        damage->change(chunk);
    if (!damage->leave_out)
        put_chunk(state->stream, chunk);
    if (damage->cut) {
        g_byte_array_set_size(state->stream, state->stream->len - 6);
        state->ended = true;
    }
}

/* Sink of the reader: copies the stream, with the damage. */
static bool take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_scenario_state *state = data;
    const bool ours = !strcmp(item->section, "dirty-bitmap");
    (void)error;
    if (state->ended)
        return true;
    if (!ours || item->kind != GODWIT_STREAM_STATE) {
        g_byte_array_append(state->stream, item->bytes, (guint)item->length);
        if (ours && item->kind == GODWIT_STREAM_START && state->damage->version) {
            memset(state->stream->data + state->stream->len - 4, 0, 4);
            state->done = true;
        }
        return true;
    }
    for (struct rest rest = {item->bytes, item->length}; rest.length && !state->ended;) {
        struct chunk chunk;
        take_chunk(&rest, &chunk);
        pass_chunk(state, &chunk);
    }
    return true;
}

/* Writes, and makes two bitmaps, one of which has no writes afterwards. */
static bool make_bitmaps(struct godwit_vm *source, GError **error)
{
    static const char *const names[] = {WRITTEN, EMPTY};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (i == 1 && !godwit_storage_write(source, &source->testbed->state->storage,
                                            GODWIT_STORAGE_SOME, error))
            return false;
        if (!godwit_vm_command(source, "block-dirty-bitmap-add",
                               json_pack("{s:s, s:s, s:i}", "node", GODWIT_STORAGE_NODE, "name",
                                         names[i], "granularity", GRANULARITY),
                               error))
            return false;
    }
    return true;
}

/* Returns how many named bitmaps the disk of VM has, or -1 with ERROR set. */
static int count_bitmaps(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) node = godwit_storage_query(vm, error);
    return node ? (int)json_array_size(json_object_get(node, "dirty-bitmaps")) : -1;
}

/* Fails unless the disk of VM has WANTED bitmaps. */
static bool expect_bitmaps(struct godwit_vm *vm, int wanted, GError **error)
{
    const int count = count_bitmaps(vm, error);
    return count == wanted ||
           (count >= 0 &&
            godwit_fail(error, GODWIT_ERROR_ORACLE, "%s: the disk has %d bitmaps instead of %d",
                        vm->name, count, wanted));
}

static const struct godwit_capability on[] = {{"dirty-bitmaps", true}, {NULL, false}};

static bool configure(struct godwit_vm *vm, const char *mapping, GError **error)
{
    if (!godwit_migrate_set_capabilities(vm, on, error))
        return false;
    g_autoptr(json_t) list = mapping ? json_loads(mapping, 0, NULL) : NULL;
    return !list || godwit_vm_command(vm, "migrate-set-parameters",
                                      json_pack("{s:O}", "block-bitmap-mapping", list), error);
}

/* Makes the source write its stream into a file, and the damaged one from that. */
static bool record(struct godwit_vm *source, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    struct godwit_scenario_state *state = testbed->state;
    g_autofree char *from = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    g_autofree char *to = g_build_filename(testbed->directory, DAMAGED, NULL);
    enum godwit_stream_channel channel;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RECORD);
    if (!godwit_state_save(source, error))
        return false;
    state->stream = g_byte_array_new();
    if (!godwit_stream_read_file(from, 0, take, state, &channel, error))
        return false;
    if (state->damage->kind && !state->done)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "the stream has no chunk of a dirty bitmap that could be changed");
    return godwit_file_write(to, state->stream->data, state->stream->len, error);
}

/* Judges a destination that has read the damaged stream, and ends it. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination,
                  const struct damage *damage, GError **error)
{
    const enum verdict verdict = damage->verdict;
    g_autoptr(GError) wrong = NULL;
    g_autofree char *reason = godwit_vm_reason(destination);
    godwit_testbed_measure(destination->testbed, "refused", json_string(reason));
    if (destination->exited && !godwit_course_refused(destination, &wrong)) {
        if (godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_LOAD,
                                                              .source = source,
                                                              .destination = destination,
                                                              .failure = wrong}))
            return true;
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    if (destination->exited != (verdict == VERDICT_REFUSED))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the destination %s: %s",
                           destination->exited ? "refused the stream" : "took the stream", reason);
    if (!*reason && verdict != VERDICT_ARRIVES)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination reports nothing about the bitmap");
    if (destination->exited)
        return true;
    return godwit_vm_run(destination, error) &&
           godwit_vm_wait_console(destination, 0, destination->console->passes + 1, error) &&
           expect_bitmaps(destination, verdict == VERDICT_ARRIVES ? 2 : 0, error) &&
           godwit_vm_quit(destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct damage *damage = scenario->data;
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_vm *source, *destination;
    state->damage = damage;
    if (!godwit_storage_start(testbed, &state->storage, "raw", IMAGE, GODWIT_VM_DESTINATION_PAUSED,
                              &source, &destination, error) ||
        !make_bitmaps(source, error) || !configure(source, damage->mapping[0], error) ||
        !configure(destination, damage->mapping[1], error) || !godwit_course_stop(source, error) ||
        !record(source, error))
        return false;
    if (damage->exists &&
        !godwit_vm_command(destination, "block-dirty-bitmap-add",
                           json_pack("{s:s, s:s}", "node", GODWIT_STORAGE_NODE, "name", WRITTEN),
                           error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    destination->may_exit = true;
    if (!godwit_migrate_incoming(destination, "exec:cat " DAMAGED, false, error) ||
        !godwit_testbed_wait(testbed, godwit_migrate_is_loaded, destination,
                             "the destination to end", error) ||
        !judge(source, destination, damage, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_SURVIVE);
    return godwit_course_settle(source, error) && godwit_vm_run(source, error) &&
           godwit_course_see_it_run(source, error) && expect_bitmaps(source, 2, error) &&
           godwit_course_stop(source, error) && godwit_course_end(source, NULL, error);
}

/* Changes of a chunk. */
static const uint8_t more_bits[1024];
#define CHANGE(NAME, ...)                                                                          \
    static void NAME(struct chunk *chunk)                                                          \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
CHANGE(two_bytes, chunk->width = 2)
CHANGE(four_bytes, chunk->width = 4)
CHANGE(other_node, chunk->node[0] ^= 1)
CHANGE(no_node, chunk->flags &= ~(unsigned)NODE)
CHANGE(other_name, chunk->name[0] ^= 1)
CHANGE(no_name, chunk->flags &= ~(unsigned)NAME)
CHANGE(empty_name, chunk->name[0] = 0, chunk->name_length = 0)
CHANGE(fine, chunk->granularity = 512)
CHANGE(odd, chunk->granularity = GRANULARITY + 1)
CHANGE(small, chunk->granularity = 1)
CHANGE(no_granularity, chunk->granularity = 0)
CHANGE(reserved, chunk->start_flags |= 0x80)
CHANGE(beyond, chunk->sector += SECTORS)
CHANGE(unaligned, chunk->sector++)
CHANGE(many_sectors, chunk->sectors = UINT32_MAX)
CHANGE(no_sectors, chunk->sectors = 0)
CHANGE(huge_size, chunk->size = (uint64_t)1 << 40)
CHANGE(no_size, chunk->size = chunk->length = 0)
CHANGE(large_size, chunk->bits = more_bits, chunk->size = chunk->length = sizeof(more_bits))

#define ROW(NAME, SUMMARY, VERDICT, ...)                                                           \
    {                                                                                              \
        .name = "malformed/bitmaps/" NAME, .summary = SUMMARY, .run = run, .slow = true,           \
        .random = true, .state = sizeof(struct godwit_scenario_state), .clear = clear,             \
        .needs = "capability:dirty-bitmaps command:block-dirty-bitmap-add "                        \
                 "parameter:block-bitmap-mapping",                                                 \
        .data = &(const struct damage){.verdict = VERDICT_##VERDICT, __VA_ARGS__},                 \
    }
#define MAPPING(NODE_ALIAS, BITMAP_ALIAS)                                                          \
    "[{\"node-name\": \"" GODWIT_STORAGE_NODE "\", \"alias\": \"" NODE_ALIAS                       \
    "\", \"bitmaps\": [{\"name\": \"" WRITTEN "\", \"alias\": \"" BITMAP_ALIAS                     \
    "\"}, {\"name\": \"" EMPTY "\", \"alias\": \"other\"}]}]"

GODWIT_SCENARIOS(malformed_bitmaps) = {
    ROW("none", "nothing is changed: the bitmaps arrive", ARRIVES, .kind = 0),
    ROW("flags/two-bytes", "the flags of a chunk have two bytes", ARRIVES, .kind = START,
        .change = two_bytes),
    ROW("flags/four-bytes", "the flags of a chunk have four bytes", ARRIVES, .kind = START,
        .change = four_bytes),
    ROW("version", "the section has version 0", REFUSED, .version = true),
    ROW("node/unknown", "a bitmap of a node that does not exist", DROPPED, .kind = START,
        .empty = true, .change = other_node),
    ROW("node/missing", "a bitmap without a node", DROPPED, .kind = START, .empty = true,
        .change = no_node),
    ROW("node/cut", "the stream ends in the name of a node", REFUSED, .kind = COMPLETE,
        .cut = true),
    ROW("name/missing", "the first bitmap has no name", DROPPED, .kind = START, .empty = true,
        .change = no_name),
    ROW("name/again", "the second bitmap has no name, and so that of the first", REFUSED,
        .kind = START, .change = no_name),
    ROW("name/empty", "a bitmap whose name is empty", REFUSED, .kind = START, .change = empty_name),
    ROW("name/unknown", "the bits of a bitmap that was not announced", DROPPED, .kind = BITS,
        .change = other_name),
    ROW("name/exists", "the destination has a bitmap of that name", REFUSED, .kind = 0,
        .exists = true),
    ROW("start/missing", "the bits of a bitmap that does not start", DROPPED, .kind = START,
        .leave_out = true),
    ROW("start/flags", "a bitmap with flags that do not exist", REFUSED, .kind = START,
        .change = reserved),
    ROW("granularity/other", "another granularity than that of the bits", DROPPED, .kind = START,
        .change = fine),
    ROW("granularity/odd", "a granularity that is no power of two", REFUSED, .kind = START,
        .change = odd),
    ROW("granularity/small", "a granularity of one byte", REFUSED, .kind = START, .change = small),
    ROW("granularity/zero", "a granularity of 0", REFUSED, .kind = START, .change = no_granularity),
    ROW("bits/beyond", "bits behind the end of the bitmap", DROPPED, .kind = BITS,
        .change = beyond),
    ROW("bits/unaligned", "bits that begin at one sector", DROPPED, .kind = BITS,
        .change = unaligned),
    ROW("bits/many", "bits for 4294967295 sectors", DROPPED, .kind = BITS, .change = many_sectors),
    ROW("bits/none", "bits for no sector", DROPPED, .kind = BITS, .change = no_sectors),
    ROW("bits/huge", "a chunk with a TiB of bits", REFUSED, .kind = BITS, .change = huge_size),
    ROW("bits/short", "a chunk with no bits", DROPPED, .kind = BITS, .change = no_size),
    ROW("bits/long", "a chunk with too many bits", DROPPED, .kind = BITS, .change = large_size),
    ROW("zeroes/beyond", "zeroes behind the end of the bitmap", DROPPED, .kind = BITS,
        .empty = true, .change = beyond),
    ROW("zeroes/many", "zeroes for 4294967295 sectors", DROPPED, .kind = BITS, .empty = true,
        .change = many_sectors),
    ROW("complete/unknown", "a bitmap is complete that was not announced", DROPPED,
        .kind = COMPLETE, .change = other_name),
    ROW("mapping/node", "block-bitmap-mapping: the node's alias is another one", DROPPED,
        .mapping = {MAPPING("here", "one"), MAPPING(THERE, "one")}),
    ROW("mapping/bitmap", "block-bitmap-mapping: a bitmap's alias is another one", DROPPED,
        .mapping = {MAPPING("here", "one"), MAPPING("here", "two")}),
};
GODWIT_SCENARIOS_END(malformed_bitmaps);
