/*
 * The reader of migration streams, RAM that is put together from them, and its judge: on streams
 * that are built here byte by byte, and on the fuzzer's seeds, which QEMUs have written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "../fuzz/stream.h"
#include "stream/file.h"
#include <zlib.h>

#define PAGE 4096

/* Appends VALUE in LENGTH bytes, as streams have numbers. */
static void put(GByteArray *to, size_t length, uint64_t value)
{
    while (length--) {
        const uint8_t byte = (uint8_t)(value >> 8 * length);
        g_byte_array_append(to, &byte, 1);
    }
}

static void put_text(GByteArray *to, const char *text)
{
    g_byte_array_append(to, (const uint8_t *)text, (guint)strlen(text));
}

static void put_name(GByteArray *to, const char *name)
{
    put(to, 1, strlen(name));
    put_text(to, name);
}

static void put_bytes(GByteArray *to, size_t count, uint8_t byte)
{
    while (count--)
        g_byte_array_append(to, &byte, 1);
}

static void put_head(GByteArray *to)
{
    put(to, 4, 0x5145564d);
    put(to, 4, 3);
    put(to, 1, 7);
    put(to, 4, 6);
    put_text(to, "pc-9.9");
}

static void put_section(GByteArray *to, uint8_t type, uint32_t id, const char *name,
                        uint32_t version)
{
    put(to, 1, type);
    put(to, 4, id);
    put_name(to, name);
    put(to, 4, 0);
    put(to, 4, version);
}

static void put_footer(GByteArray *to, uint32_t id)
{
    put(to, 1, 0x7e);
    put(to, 4, id);
}

static void put_part(GByteArray *to, uint8_t type, uint32_t id)
{
    put(to, 1, type);
    put(to, 4, id);
}

/* The end of sections, and a description. */
static void put_described_end(GByteArray *to, const char *json)
{
    put(to, 1, 0);
    put(to, 1, 6);
    put(to, 4, strlen(json));
    put_text(to, json);
}

static void put_end(GByteArray *to)
{
    put_described_end(to, "{}");
}

/* The beginning of a section "ram", number 1, with one block "pc.ram" of so many pages, up to where
 * more that is announced for the block, or records, follow. */
static void put_ram(GByteArray *to, uint64_t pages)
{
    put_section(to, 1, 1, "ram", 4);
    put(to, 8, pages * PAGE | 4);
    put_name(to, "pc.ram");
    put(to, 8, pages * PAGE);
}

static void put_ram_end(GByteArray *to)
{
    put(to, 8, 0x10);
    put_footer(to, 1);
}

/* A record up to its page, which names the block unless it is of the one before. */
static void put_record(GByteArray *to, uint64_t page, uint32_t flags)
{
    put(to, 8, page * PAGE | flags);
    if (!(flags & GODWIT_RAM_SAME_BLOCK))
        put_name(to, "pc.ram");
}

static GByteArray *begin(void)
{
    GByteArray *to = g_byte_array_new();
    put_head(to);
    return to;
}

static const char small_description[] =
    "{\"devices\":[{\"name\":\"timer\",\"instance_id\":0,\"fields\":[{\"size\":7}]},"
    "{\"name\":\"nothing\",\"instance_id\":0}]}";

/* A stream with some of everything that is short. */
static GByteArray *small_stream(void)
{
    GByteArray *to = begin();
    put_ram(to, 3);
    put_ram_end(to);
    put(to, 1, 8);
    put(to, 2, 2);
    put(to, 2, 4);
    put(to, 4, 1);
    put_part(to, 2, 1);
    put_record(to, 0, GODWIT_RAM_ZERO);
    put(to, 1, 0);
    put_record(to, 2, GODWIT_RAM_ZERO | GODWIT_RAM_SAME_BLOCK);
    put(to, 1, 7);
    put_record(to, 2, GODWIT_RAM_XBZRLE | GODWIT_RAM_SAME_BLOCK);
    put(to, 1, 1);
    put(to, 2, 4);
    put(to, 4, 0x05029988);
    put_ram_end(to);
    put_part(to, 3, 1);
    put_ram_end(to);
    put_section(to, 4, 2, "timer", 2);
    put_text(to, "a state");
    put_footer(to, 2);
    put_section(to, 4, 3, "nothing", 1);
    put_footer(to, 3);
    put_described_end(to, small_description);
    return to;
}

/* What a sink has heard: one line an item. */
struct heard {
    GString *text;
    struct godwit_stream_memory *memory;
    unsigned most; /* then it has heard enough */
};

static bool hear(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct heard *heard = data;
    if (heard->most && --heard->most == 0)
        return godwit_fail(error, GODWIT_ERROR_INTERRUPTED, "enough");
    g_string_append_printf(heard->text, "%s%s", heard->text->len ? " " : "",
                           item->packaged ? "|" : "");
    if (item->kind == GODWIT_STREAM_PAGE)
        g_string_append_printf(heard->text, "%s:%s@%u", godwit_stream_page_name(item->page),
                               item->name, (unsigned)(item->page_offset / PAGE));
    else if (*item->section && item->kind <= GODWIT_STREAM_FULL)
        g_string_append_printf(heard->text, "%s:%s", godwit_stream_kind_name(item->kind),
                               item->section);
    else
        g_string_append_printf(heard->text, "%s%s%s", godwit_stream_kind_name(item->kind),
                               *item->name ? ":" : "", item->name);
    if (item->kind == GODWIT_STREAM_STATE || item->kind == GODWIT_STREAM_GAP)
        g_string_append_printf(heard->text, "(%zu)", item->length);
    return godwit_stream_memory_take(heard->memory, item, error);
}

static struct heard listen(void)
{
    return (struct heard){.text = g_string_new(NULL), .memory = godwit_stream_memory_new()};
}

static void forget(struct heard *heard)
{
    g_string_free(heard->text, TRUE);
    godwit_stream_memory_free(heard->memory);
}

/* Reads all of it; the error, or NULL, is the caller's. Takes the bytes. */
static GError *read_all(struct heard *heard, GByteArray *bytes)
{
    GError *error = NULL;
    struct godwit_stream *stream = godwit_stream_new(0, hear, heard);
    if (godwit_stream_feed(stream, bytes->data, bytes->len, &error))
        godwit_stream_end(stream, &error);
    godwit_stream_free(stream);
    g_byte_array_unref(bytes);
    return error;
}

/* It is sound, and has these items. */
static void expect_items(GByteArray *bytes, const char *items)
{
    struct heard heard = listen();
    g_autoptr(GError) error = read_all(&heard, bytes);
    assert_string_equal(error ? error->message : "", "");
    assert_string_equal(heard.text->str, items);
    forget(&heard);
}

/* It is damaged, and this is what is said, beginning with that offset. */
static void expect_damage(GByteArray *bytes, size_t offset, const char *part)
{
    struct heard heard = listen();
    g_autoptr(GError) error = read_all(&heard, bytes);
    if (!error)
        fail_msg("\"%s\" was expected, nothing is found: %s", part, heard.text->str);
    assert_int_equal(error->code, GODWIT_ERROR_STREAM);
    g_autofree char *at = g_strdup_printf("offset 0x%zx: ", offset);
    if (!g_str_has_prefix(error->message, at) || !strstr(error->message, part))
        fail_msg("\"%s%s\" was expected, not \"%s\"", at, part, error->message);
    forget(&heard);
}

static void test_items(void **state)
{
    (void)state;
    expect_items(small_stream(),
                 "header configuration:pc-9.9 start:ram ram-size ram-block:pc.ram mark footer "
                 "command part:ram zero:pc.ram@0 zero:pc.ram@2 xbzrle:pc.ram@2 mark footer "
                 "end:ram mark footer full:timer state(7) footer full:nothing footer eof "
                 "description");
}

static void test_pieces(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = small_stream();
    for (size_t piece = 1; piece <= bytes->len; piece++)
        assert_true(fuzz_stream(bytes->data, bytes->len, piece));
}

/* Only complete after the description, or after the end of sections at least. */
static void test_truncated(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = small_stream();
    const size_t whole = bytes->len, eof = whole - 5 - strlen(small_description);
    for (size_t length = 0; length < whole; length++)
        assert_int_equal(fuzz_stream(bytes->data, length, 1), length == eof);
    expect_damage(g_byte_array_new(), 0, "the stream ends in nothing: it is empty");
}

/* Whatever one flipped bit makes of it, nothing breaks; and some make it unsound. */
static void test_flipped(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = small_stream();
    unsigned unsound = 0;
    for (size_t bit = 0; bit < 8u * bytes->len; bit++) {
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        unsound += !fuzz_stream(bytes->data, bytes->len, 13);
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(unsound > 4u * bytes->len);
}

static void test_seeds(void **state)
{
    (void)state;
    static const char folder[] = "tests/fuzz/seeds";
    GDir *dir = g_dir_open(folder, 0, NULL);
    assert_non_null(dir);
    unsigned seeds = 0;
    for (const char *name; (name = g_dir_read_name(dir)); seeds++) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *bytes = NULL;
        gsize length = 0;
        assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        assert_true(fuzz_stream((const uint8_t *)bytes, length, 1));
        for (size_t cut = 0; cut < length; cut += 997)
            fuzz_stream((const uint8_t *)bytes, cut, 4099);
        for (size_t at = 0; at < length; at += 499) {
            bytes[at] = (char)~bytes[at];
            fuzz_stream((const uint8_t *)bytes, length, 4099);
            bytes[at] = (char)~bytes[at];
        }
    }
    g_dir_close(dir);
    assert_true(seeds >= 8);
}

/* A state may have what looks like its footer. */
static void test_state(void **state)
{
    (void)state;
    GByteArray *bytes = begin();
    put_section(bytes, 4, 7, "liar", 1);
    put_footer(bytes, 7); /* no section begins with 0x55, */
    put(bytes, 1, 0x55);
    put_footer(bytes, 7); /* none has no name, */
    put(bytes, 1, 4);
    put(bytes, 5, 8u << 8);
    put_footer(bytes, 7); /* none begins twice, */
    put_section(bytes, 4, 7, "liar", 1);
    put_footer(bytes, 7); /* a part has to have begun, */
    put_part(bytes, 2, 9);
    put_footer(bytes, 7); /* no command is so long, */
    put(bytes, 1, 8);
    put(bytes, 4, 0x00020005);
    put_footer(bytes, 7); /* and nothing but a description follows the end. */
    put(bytes, 1, 0);
    put(bytes, 1, 0);
    put_footer(bytes, 8);
    put_footer(bytes, 7);
    put_end(bytes);
    expect_items(bytes, "header configuration:pc-9.9 full:liar state(72) footer eof description");

    bytes = begin();
    put_section(bytes, 4, 7, "endless", 1);
    put_bytes(bytes, 100, 0x7e);
    expect_damage(bytes, 40, "section \"endless\" has no footer");
}

/* A state is told when what follows its footer is beyond doubt, and not later. */
static void test_ahead(void **state)
{
    (void)state;
    struct heard heard = listen();
    struct godwit_stream *stream = godwit_stream_new(0, hear, &heard);
    g_autoptr(GByteArray) bytes = begin();
    put_section(bytes, 4, 7, "device", 1);
    put_text(bytes, "state");
    put_footer(bytes, 7);
    const size_t footer_end = bytes->len;
    put_section(bytes, 4, 8, "next", 1);
    size_t pending = 0;
    assert_true(godwit_stream_feed(stream, bytes->data, bytes->len - 1, NULL));
    assert_true(g_str_has_suffix(heard.text->str, "full:device"));
    godwit_stream_pending(stream, &pending);
    assert_int_equal(pending, 5 + 5 + (bytes->len - 1 - footer_end));
    assert_true(bytes->len - footer_end <= GODWIT_STREAM_AHEAD);
    assert_true(godwit_stream_feed(stream, bytes->data + bytes->len - 1, 1, NULL));
    assert_true(g_str_has_suffix(heard.text->str, "full:device state(5) footer full:next"));
    godwit_stream_pending(stream, &pending);
    assert_int_equal(pending, 0);
    godwit_stream_free(stream);
    forget(&heard);
}

static void test_beginnings(void **state)
{
    (void)state;
    static const struct {
        uint64_t word;
        size_t offset;
        const char *said;
    } rows[] = {
        {0x5145564d00000002, 4, "the stream has version 2 instead of 3"},
        {0x5145564e00000003, 0, "not a migration stream: it begins with 0x5145564e"},
        {0xffffffffffffffff, 0, "not a migration stream: it begins with 0xffffffff"},
        {0x1122334400000002, 4, "multifd has version 2 instead of 1"},
        {0x0800030007000000, 1, "command 3 with 7 bytes of data"},
        {0x0000000000001003, 0, "invalid start of a RAM record: 0x1003"},
        {0x0000000000001028, 0, "the first page names no RAM block"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        GByteArray *bytes = g_byte_array_new();
        put(bytes, 8, rows[i].word);
        expect_damage(bytes, rows[i].offset, rows[i].said);
    }
}

static void test_channels(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum godwit_stream_channel channel;
    } rows[] = {
        {"QEVM", GODWIT_STREAM_MAIN},
        {"\x11\x22\x33\x44", GODWIT_STREAM_MULTIFD},
        {"\0\0\0\x10", GODWIT_STREAM_PREEMPT},
        {"\x08\0\x0a\0", GODWIT_STREAM_MAIN},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct heard heard = listen();
        struct godwit_stream *stream = godwit_stream_new(0, hear, &heard);
        assert_true(godwit_stream_feed(stream, rows[i].bytes, 3, NULL));
        assert_int_equal(godwit_stream_channel(stream), GODWIT_STREAM_UNKNOWN);
        assert_true(godwit_stream_feed(stream, rows[i].bytes + 3, 1, NULL));
        assert_int_equal(godwit_stream_channel(stream), rows[i].channel);
        godwit_stream_free(stream);
        forget(&heard);
    }
}

static GByteArray *begin_configured(const char *subsection)
{
    GByteArray *bytes = begin();
    put(bytes, 1, 5);
    put_name(bytes, subsection);
    put(bytes, 4, 1);
    return bytes;
}

static void test_configuration(void **state)
{
    (void)state;
    GByteArray *bytes = begin_configured("configuration/uuid");
    put_bytes(bytes, 16, 0xab);
    put(bytes, 1, 5);
    put_name(bytes, "configuration/target-page-bits");
    put(bytes, 4, 1);
    put(bytes, 4, 14);
    put_section(bytes, 1, 1, "ram", 4);
    put(bytes, 8, 0x8004);
    put_name(bytes, "r");
    put(bytes, 8, 0x8000);
    put(bytes, 8, 0x4008);
    put_name(bytes, "r");
    put_bytes(bytes, 0x4000, 1);
    put_ram_end(bytes);
    put(bytes, 1, 0);
    expect_items(bytes, "header configuration:pc-9.9 subsection:configuration/uuid "
                        "subsection:configuration/target-page-bits start:ram ram-size ram-block:r "
                        "whole:r@4 mark footer eof");

    bytes = begin_configured("configuration/target-page-bits");
    put(bytes, 4, 17);
    expect_damage(bytes, 55, "invalid page size: 2^17 bytes");
    bytes = begin_configured("configuration/capabilities");
    put(bytes, 4, 257);
    expect_damage(bytes, 51, "too many capabilities: 257");
    expect_damage(begin_configured("configuration/surprise"), 19,
                  "unknown subsection \"configuration/surprise\" of the configuration");
    bytes = g_byte_array_new();
    put_head(bytes);
    bytes->data[9] = 1;
    expect_damage(bytes, 13, "invalid name of 16777222 bytes for the machine type");
    bytes = g_byte_array_new();
    put_head(bytes);
    bytes->data[13] = 7;
    expect_damage(bytes, 13, "the name of the machine type is not printable text");
}

static void test_sections(void **state)
{
    (void)state;
    GByteArray *bytes = begin();
    put_part(bytes, 2, 5);
    expect_damage(bytes, 20, "part of section 5, which has not begun");
    bytes = begin();
    put_section(bytes, 4, 5, "once", 1);
    put_footer(bytes, 5);
    put_part(bytes, 3, 5);
    expect_damage(bytes, 37, "section \"once\" has no footer");
    bytes = begin();
    put_section(bytes, 4, 5, "new", 0x02000000);
    expect_damage(bytes, 32, "version 0x02000000 of section \"new\"");
    bytes = begin();
    put_section(bytes, 4, 1, "ram", 4);
    expect_damage(bytes, 19, "invalid section \"ram\" of version 4 in one piece");
    bytes = begin();
    put_section(bytes, 1, 1, "ram", 3);
    expect_damage(bytes, 19, "invalid section \"ram\" of version 3");
    bytes = begin();
    put(bytes, 1, 9);
    expect_damage(bytes, 19, "0x09 where a section or a command must begin");
    bytes = begin();
    put_ram(bytes, 1);
    put(bytes, 8, 0x10);
    put_footer(bytes, 2);
    expect_damage(bytes, 68, "the footer of section 2 at the end of section 1, \"ram\"");
    bytes = begin();
    put(bytes, 1, 0);
    put(bytes, 1, 4);
    expect_damage(bytes, 20, "0x04 after the end of all sections");
    bytes = begin();
    put_end(bytes);
    put(bytes, 1, 0);
    expect_damage(bytes, 27, "bytes after the end of the stream");
    bytes = begin();
    put(bytes, 2, 6);
    put(bytes, 4, 0xffffffff);
    expect_damage(bytes, 21, "invalid length of the description: 4294967295 bytes");
}

static void test_ram(void **state)
{
    (void)state;
    const size_t list = 19 + 17, record = list + 8 + 15;
    GByteArray *bytes = begin();
    put_section(bytes, 1, 1, "ram", 4);
    put(bytes, 8, 0x1008);
    expect_damage(bytes, list, "invalid start of the list of RAM blocks: 0x1008");
    bytes = begin();
    put_section(bytes, 1, 1, "ram", 4);
    put(bytes, 8, ((uint64_t)1 << 60) + 4);
    expect_damage(bytes, list, "invalid size of RAM: 0x1000000000000000 bytes");
    bytes = begin();
    put_ram(bytes, 1);
    bytes->data[record - 6] = 1; /* longer than all blocks together */
    expect_damage(bytes, record - 8, "with 0x1000 left for all blocks");
    static const struct {
        uint64_t word;
        const char *said;
    } rows[] = {
        {0x1003, "invalid start of a RAM record: 0x1003"},
        {0x1000, "invalid start of a RAM record: 0x1000"},
        {0x1010, "invalid start of a RAM record: 0x1010"},
        {0x1028, "the first page names no RAM block"},
        {0x5008, "a page at 0x5000 of RAM block \"pc.ram\", which has 0x4000 bytes"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        bytes = begin();
        put_ram(bytes, 4);
        put(bytes, 8, rows[i].word);
        put_name(bytes, "pc.ram");
        expect_damage(bytes, record, rows[i].said);
    }
    bytes = begin();
    put_ram(bytes, 4);
    put(bytes, 8, 8);
    put_name(bytes, "other");
    expect_damage(bytes, record + 8, "RAM block \"other\", which is not in the list");
    bytes = begin();
    put_ram(bytes, 4);
    put_record(bytes, 1, GODWIT_RAM_XBZRLE);
    put(bytes, 1, 2);
    put(bytes, 2, 1);
    expect_damage(bytes, record + 15, "xbzrle encoding 2");
    bytes = begin();
    put_ram(bytes, 4);
    put_record(bytes, 1, GODWIT_RAM_XBZRLE);
    put(bytes, 1, 1);
    put(bytes, 2, 4097);
    expect_damage(bytes, record + 16, "4097 bytes of xbzrle for one page");
    bytes = begin();
    put_ram(bytes, 4);
    put_record(bytes, 1, GODWIT_RAM_COMPRESSED);
    put(bytes, 4, 9000);
    expect_damage(bytes, record + 15, "a page compressed to 9000 bytes");
}

static void test_more_of_blocks(void **state)
{
    (void)state;
    GByteArray *bytes = begin_configured("configuration/capabilities");
    put(bytes, 4, 1);
    put_name(bytes, "x-ignore-shared");
    put_ram(bytes, 2);
    put(bytes, 8, 0xfffc0000);
    put_ram_end(bytes);
    put(bytes, 1, 0);
    expect_items(bytes, "header configuration:pc-9.9 subsection:configuration/capabilities "
                        "start:ram ram-size ram-block:pc.ram mark footer eof");

    /* Pages of 2 MiB for the first of two blocks, which postcopy has announced. */
    bytes = begin();
    put(bytes, 1, 8);
    put(bytes, 2, 3);
    put(bytes, 2, 16);
    put(bytes, 8, 0x201000);
    put(bytes, 8, 0x1000);
    put_section(bytes, 1, 1, "ram", 4);
    put(bytes, 8, 0x201004);
    put_name(bytes, "huge");
    put(bytes, 8, 0x200000);
    put(bytes, 8, 0x200000);
    put_name(bytes, "small");
    put(bytes, 8, 0x1000);
    put_ram_end(bytes);
    put(bytes, 1, 0);
    expect_items(bytes, "header configuration:pc-9.9 command start:ram ram-size ram-block:huge "
                        "ram-block:small mark footer eof");
}

/* mapped-ram: a block of three pages, of which the file has the second. */
static GByteArray *mapped_stream(uint64_t page_size, int64_t bitmap_shift, uint64_t gap)
{
    GByteArray *bytes = begin_configured("configuration/capabilities");
    put(bytes, 4, 1);
    put_name(bytes, "mapped-ram");
    put_ram(bytes, 3);
    const uint64_t bitmap = bytes->len + 28u;
    put(bytes, 4, 1);
    put(bytes, 8, page_size);
    put(bytes, 8, bitmap + (uint64_t)bitmap_shift);
    put(bytes, 8, bitmap + gap);
    put(bytes, 8, (uint64_t)2 << 56);
    if (gap > 8)
        put_bytes(bytes, (size_t)gap - 8, 0xcc);
    put_bytes(bytes, PAGE, 0xee);
    put_bytes(bytes, PAGE, 0x22);
    put_bytes(bytes, PAGE, 0xee);
    put_ram_end(bytes);
    put(bytes, 1, 0);
    return bytes;
}

static void test_mapped(void **state)
{
    (void)state;
    struct heard heard = listen();
    g_autoptr(GError) error = read_all(&heard, mapped_stream(PAGE, 0, 100008));
    assert_null(error);
    assert_string_equal(heard.text->str,
                        "header configuration:pc-9.9 subsection:configuration/capabilities "
                        "start:ram ram-size ram-block:pc.ram mapped-header:pc.ram "
                        "mapped-bitmap:pc.ram gap:pc.ram(65536) gap:pc.ram(34464) "
                        "gap:pc.ram(4096) whole:pc.ram@1 gap:pc.ram(4096) mark footer eof");
    unsigned char byte[3];
    const struct godwit_stream_memory_block *ram =
        godwit_stream_memory_block(heard.memory, "pc.ram");
    for (unsigned i = 0; i < 3; i++)
        assert_true(godwit_stream_memory_read(ram, i * PAGE, &byte[i], 1, NULL));
    /* Pages that are not there are zero, whatever the file has in their place. */
    assert_memory_equal(byte, "\0\x22\0", 3);
    forget(&heard);
    const size_t header = 19 + 32 + 15 + 17 + 8 + 15;
    expect_damage(mapped_stream(8192, 0, 8), header + 4, "mapped-ram has pages of 0x2000 bytes");
    expect_damage(mapped_stream(PAGE, 8, 8), header + 12,
                  "the bitmap of RAM block \"pc.ram\" is at 0x");
    expect_damage(mapped_stream(PAGE, 0, 7), header + 20,
                  "invalid offset of the pages of RAM block");
}

static GByteArray *begin_package(uint64_t length)
{
    GByteArray *bytes = begin();
    put(bytes, 1, 8);
    put(bytes, 2, 7);
    put(bytes, 2, 4);
    put(bytes, 4, length);
    return bytes;
}

static void test_packages(void **state)
{
    (void)state;
    GByteArray *bytes = begin_package(19 + 4 + 5 + 5);
    put_section(bytes, 4, 3, "inner", 1);
    put_text(bytes, "abcd");
    put_footer(bytes, 3);
    put(bytes, 1, 8);
    put(bytes, 4, 0x00050000);
    put(bytes, 1, 0);
    expect_items(bytes, "header configuration:pc-9.9 command |full:inner |state(4) |footer "
                        "|command eof");
    expect_damage(begin_package(0), 24, "an empty package");
    bytes = begin_package(9);
    put(bytes, 1, 8);
    put(bytes, 4, 0x00070004);
    put(bytes, 4, 1);
    expect_damage(bytes, 28, "a package within a package");
    bytes = begin_package(1);
    put(bytes, 1, 0);
    expect_damage(bytes, 28, "the sections end within a package");
    bytes = begin_package(3);
    put_section(bytes, 4, 3, "inner", 1);
    expect_damage(bytes, 28, "the package ends in a section's header");
    bytes = begin_package(19 + 4);
    put_section(bytes, 4, 3, "inner", 1);
    put_text(bytes, "abcd");
    put_footer(bytes, 3);
    expect_damage(bytes, 47, "section \"inner\" has no footer");
}

/* A multifd channel's first packet, and a packet of some pages of pc.ram, all of them given. */
static GByteArray *multifd_stream(uint32_t flags, uint32_t pages, uint32_t size, uint32_t zero)
{
    GByteArray *bytes = g_byte_array_new();
    put(bytes, 4, 0x11223344);
    put(bytes, 4, 1);
    put_bytes(bytes, 16, 0);
    put(bytes, 1, 3);
    put_bytes(bytes, 7 + 32, 0);
    put(bytes, 4, 0x11223344);
    put(bytes, 4, 1);
    put(bytes, 4, flags);
    put(bytes, 4, 128);
    put(bytes, 4, pages);
    put(bytes, 4, size);
    put(bytes, 8, 1);
    put(bytes, 4, zero);
    put_bytes(bytes, 4 + 24, 0);
    put_text(bytes, "pc.ram");
    put_bytes(bytes, 250, 0);
    for (unsigned i = 0; i < 128; i++)
        put(bytes, 8, i * PAGE);
    put_bytes(bytes, size, 0x77);
    return bytes;
}

static void test_multifd(void **state)
{
    (void)state;
    expect_items(multifd_stream(0, 2, 2 * PAGE, 1),
                 "multifd-init multifd-packet:pc.ram whole:pc.ram@0 whole:pc.ram@1 zero:pc.ram@2");
    expect_items(multifd_stream(4, 2, 10, 1),
                 "multifd-init multifd-packet:pc.ram packed:pc.ram@0 packed:pc.ram@1 "
                 "zero:pc.ram@2 multifd-data:pc.ram");
    GByteArray *bytes = multifd_stream(1, 0, PAGE, 0); /* as 7.2 does: data that is not there */
    g_byte_array_set_size(bytes, bytes->len - PAGE);
    expect_items(bytes, "multifd-init multifd-packet:pc.ram");
    expect_damage(multifd_stream(0, 2, PAGE, 0), 64 + 20, "2 pages with 4096 bytes of data");
    expect_damage(multifd_stream(0, 128, 128 * PAGE, 1), 64 + 16,
                  "128 pages and 1 zero pages, with room for 128");
    expect_damage(multifd_stream(0, 0xffffffff, 0xffff, 2), 64 + 16, "4294967295 pages and 2 zero");
    expect_damage(multifd_stream(2, 1, 1 << 20, 0), 64 + 20, "1 pages with 1048576 bytes");
    expect_damage(multifd_stream(64, 0, 0, 0), 64 + 8, "a multifd packet has invalid flags 0x40");
    bytes = multifd_stream(0, 1, PAGE, 0);
    bytes->data[64 + 320 + 7] = 5;
    expect_damage(bytes, 64 + 320, "invalid offset of a page in a multifd packet: 0x5");
    bytes = multifd_stream(0, 1, PAGE, 0);
    bytes->data[64 + 64] = 0x80;
    expect_damage(bytes, 64 + 64, "the name of a multifd packet's RAM block is not printable text");
}

/* A sink that has enough ends the reading for good. */
static void test_sink(void **state)
{
    (void)state;
    struct heard heard = listen();
    heard.most = 4;
    struct godwit_stream *stream = godwit_stream_new(0, hear, &heard);
    g_autoptr(GByteArray) bytes = small_stream();
    for (int i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_stream_feed(stream, bytes->data, bytes->len, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_INTERRUPTED));
        assert_string_equal(heard.text->str, "header configuration:pc-9.9 start:ram");
    }
    assert_false(godwit_stream_end(stream, NULL));
    godwit_stream_free(stream);
    forget(&heard);
}

/* Pages of one block, whatever way they are sent. */
static void test_memory(void **state)
{
    (void)state;
    GByteArray *bytes = begin();
    put_ram(bytes, 4);
    put_record(bytes, 0, GODWIT_RAM_PAGE);
    put_bytes(bytes, PAGE, 0x11);
    put_record(bytes, 0, GODWIT_RAM_XBZRLE);
    put(bytes, 1, 1);
    put(bytes, 2, 8);
    put(bytes, 8, 0x0302aabbfa1f01cc); /* 3 stay, aa bb are new, 4090 stay, cc is new */
    put_record(bytes, 1, GODWIT_RAM_ZERO);
    put(bytes, 1, 0x5a);
    uint8_t page[PAGE], packed[200];
    memset(page, 0x33, sizeof(page));
    uLongf size = sizeof(packed);
    assert_int_equal(compress(packed, &size, page, sizeof(page)), Z_OK);
    put_record(bytes, 2, GODWIT_RAM_COMPRESSED);
    put(bytes, 4, size);
    g_byte_array_append(bytes, packed, (guint)size);
    put_ram_end(bytes);
    put(bytes, 1, 0);
    struct heard heard = listen();
    g_autoptr(GError) error = read_all(&heard, bytes);
    assert_string_equal(error ? error->message : "", "");
    const struct godwit_stream_memory_block *ram =
        godwit_stream_memory_block(heard.memory, "pc.ram");
    unsigned char found[6];
    assert_true(godwit_stream_memory_read(ram, 0, found, 6, NULL));
    assert_memory_equal(found, "\x11\x11\x11\xaa\xbb\x11", 6);
    assert_true(godwit_stream_memory_read(ram, PAGE - 2, found, 4, NULL));
    assert_memory_equal(found, "\x11\xcc\x5a\x5a", 4);
    assert_true(godwit_stream_memory_read(ram, 3 * PAGE - 1, found, 1, NULL));
    assert_int_equal(found[0], 0x33);
    assert_false(godwit_stream_memory_read(ram, 3 * PAGE - 1, found, 2, &error));
    assert_string_equal(error->message, "page 0x3000 of RAM block \"pc.ram\" is not in the stream");
    g_clear_error(&error);
    assert_false(godwit_stream_memory_read(ram, 4 * PAGE, found, 1, &error));
    assert_contains(error->message, "has 0x4000 bytes: there is nothing at 0x4000");
    assert_int_equal(ram->records[GODWIT_STREAM_PAGE_XBZRLE], 1);
    assert_null(godwit_stream_memory_block(heard.memory, "pc.rom"));
    forget(&heard);
}

static void test_changes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool good;
    } rows[] = {
        {"", 0, true},
        {"\x00\x01x", 3, true},
        {"\xff\x1f\x01x", 4, true},           /* the last byte */
        {"\x80\x20\x01x", 4, false},          /* the one after it */
        {"\xff\x1f\x02xy", 5, false},         /* one too many */
        {"\x00\x02x", 3, false},              /* one too few */
        {"\x00\x00", 2, false},               /* no change */
        {"\x05", 1, false},                   /* cut off */
        {"\x80", 1, false},                   /* in a number */
        {"\x00\x01x\x80\x80\x01y", 7, false}, /* a number of three bytes */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        GByteArray *bytes = begin();
        put_ram(bytes, 1);
        put_record(bytes, 0, GODWIT_RAM_ZERO);
        put(bytes, 1, 0);
        const size_t at = bytes->len;
        put_record(bytes, 0, GODWIT_RAM_XBZRLE);
        put(bytes, 1, 1);
        put(bytes, 2, rows[i].length);
        g_byte_array_append(bytes, (const uint8_t *)rows[i].bytes, (guint)rows[i].length);
        put_ram_end(bytes);
        put(bytes, 1, 0);
        if (!rows[i].good) {
            expect_damage(bytes, at, "page 0x0 of RAM block \"pc.ram\": its changes cannot be");
            continue;
        }
        struct heard heard = listen();
        g_autoptr(GError) error = read_all(&heard, bytes);
        assert_null(error);
        forget(&heard);
    }
    GByteArray *bytes = begin();
    put_ram(bytes, 1);
    const size_t at = bytes->len;
    put_record(bytes, 0, GODWIT_RAM_XBZRLE);
    put(bytes, 1, 1);
    put(bytes, 2, 0);
    expect_damage(bytes, at, "changes of a page that was not sent before");
    bytes = begin();
    put_ram(bytes, 1);
    put_record(bytes, 0, GODWIT_RAM_COMPRESSED);
    put(bytes, 4, 3);
    put_text(bytes, "bad");
    expect_damage(bytes, at, "it cannot be decompressed");
}

/* A page of a small guest. */
enum { MAILBOX_PAGE = GODWIT_MAILBOX_OFFSET / PAGE, WINDOW_PAGE = GODWIT_WINDOW_OFFSET / PAGE };

/* A stream with a little-endian guest: a window of four pages with those first bytes. */
static GByteArray *guest_stream(const uint8_t window[4], uint64_t start, uint64_t position)
{
    uint8_t page[PAGE] = {0};
    struct godwit_params params = {
        .magic = GUINT32_TO_LE(GODWIT_PARAMS_MAGIC),
        .version = GUINT32_TO_LE(GODWIT_ABI_VERSION),
        .window_start = GUINT64_TO_LE(start),
        .window_end = GUINT64_TO_LE(start + 4 * PAGE),
        .page_size = GUINT32_TO_LE(PAGE),
    };
    struct godwit_mailbox mailbox = {
        .magic = GUINT32_TO_LE(GODWIT_MAILBOX_MAGIC),
        .passes = GUINT64_TO_LE(5),
        .position = GUINT64_TO_LE(position),
    };
    GByteArray *bytes = begin();
    put_ram(bytes, WINDOW_PAGE + 4);
    put_record(bytes, 3, GODWIT_RAM_PAGE);
    memcpy(page + 24, &params, sizeof(params));
    g_byte_array_append(bytes, page, PAGE);
    memset(page, 0, PAGE);
    memcpy(page, &mailbox, sizeof(mailbox));
    put_record(bytes, MAILBOX_PAGE, GODWIT_RAM_PAGE);
    g_byte_array_append(bytes, page, PAGE);
    for (unsigned i = 0; i < 4; i++) {
        put_record(bytes, WINDOW_PAGE + i, GODWIT_RAM_PAGE);
        put(bytes, 1, window[i]);
        put_bytes(bytes, PAGE - 1, 0);
    }
    put_ram_end(bytes);
    put(bytes, 1, 0);
    return bytes;
}

/* The verdict on it: NULL, or the error, the caller's. */
static GError *judge(GByteArray *bytes, const char *arch, struct godwit_stream_guest *guest)
{
    struct heard heard = listen();
    GError *error = read_all(&heard, bytes);
    assert_null(error);
    godwit_stream_verify(heard.memory, arch ? godwit_machine_find(arch) : NULL, guest, &error);
    forget(&heard);
    return error;
}

static void test_guest(void **state)
{
    (void)state;
    const uint64_t start = GODWIT_WINDOW_OFFSET, arm = 0x40000000 + start;
    const uint8_t good[] = {6, 6, 5, 5}, broken[] = {6, 5, 6, 5};
    struct godwit_stream_guest guest;
    g_autoptr(GError) error = judge(guest_stream(good, start, start + 2 * PAGE), NULL, &guest);
    assert_string_equal(error ? error->message : "", "");
    assert_int_equal(guest.workload.window_end, start + 4 * PAGE);
    assert_int_equal(guest.order[0].edge_address, start + 2 * PAGE);
    assert_int_equal(guest.mailbox[0].passes, 5);
    assert_false(guest.big_endian);

    static const struct {
        bool sound;
        uint64_t ahead; /* of the right position, in pages */
        const char *arch;
        enum godwit_error code;
        const char *said;
    } rows[] = {
        {false, 0, NULL, GODWIT_ERROR_ORACLE, "CPU 0: page order broken at 0x102000: 0x06 after"},
        {true, 1, NULL, GODWIT_ERROR_ORACLE, "CPU 0: memory and CPU are not from the same instant"},
        {true, 0, "aarch64", GODWIT_ERROR_USAGE, "this is not a guest of aarch64"},
        {true, 0, "s390x", GODWIT_ERROR_USAGE, "this is not a guest of s390x"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_clear_error(&error);
        error = judge(
            guest_stream(rows[i].sound ? good : broken, start, start + (2 + rows[i].ahead) * PAGE),
            rows[i].arch, &guest);
        assert_non_null(error);
        assert_int_equal(error->code, rows[i].code);
        assert_contains(error->message, rows[i].said);
    }

    /* Where RAM begins is found by the window. */
    g_clear_error(&error);
    error = judge(guest_stream(good, arm, arm + 2 * PAGE), NULL, &guest);
    assert_null(error);
    assert_int_equal(guest.ram_base, 0x40000000);
    error = judge(guest_stream(good, 0x30000000 + start, 0), NULL, &guest);
    assert_int_equal(error->code, GODWIT_ERROR_STREAM);
    assert_contains(error->message, "is not in the RAM of any known machine");
    g_clear_error(&error);
    error = judge(small_stream(), NULL, &guest);
    assert_int_equal(error->code, GODWIT_ERROR_STREAM);
    assert_contains(error->message, "no RAM block in the stream has a Godwit guest's mailbox");
}

/* A device's state of 12 bytes, and descriptions of it: what is said of them, "" if nothing. */
static void test_description(void **state)
{
    (void)state;
#define DEVICE(rest)    "{\"devices\":[{\"name\":\"a\",\"instance_id\":0," rest "}]}"
#define OF_BYTES(count) DEVICE("\"fields\":[{\"size\":" count "}]")
    static const struct {
        const char *json, *said;
        unsigned agreed, undescribed;
    } rows[] = {
        {OF_BYTES("12"), "", 1, 0},
        {OF_BYTES("11"), "the state of \"a 0\" has 12 bytes; its description gives 11", 0, 0},
        {OF_BYTES("-12"), "its description gives 67108864", 0, 0},
        {DEVICE("\"fields\":[{\"size\":4,\"array_len\":2},{\"size\":4}]"), "", 1, 0},
        {DEVICE("\"fields\":[{\"size\":3}],\"subsections\":[{\"vmsd_name\":\"s\",\"fields\":["
                "{\"size\":2}]}]"),
         "", 1, 0},
        {DEVICE("\"fields\":[{\"size\":1,\"array_len\":9,\"struct\":{}}]"), "", 0, 1},
        {"{\"devices\":[]}", "the description does not list \"a 0\"", 0, 0},
        {"{\"devices\":[{\"name\":\"b\",\"instance_id\":0}]}",
         "the description lists \"b 0\", which is not a section or was listed before", 0, 0},
        {"{\"devices\"}", "the description is not JSON: ", 0, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GByteArray) bytes = begin();
        put_section(bytes, 4, 4, "a", 1);
        put_bytes(bytes, 12, 0x33);
        put_footer(bytes, 4);
        put_described_end(bytes, rows[i].json);
        struct fuzz_reading reading = {.bytes = bytes->data};
        g_autoptr(GError) error = fuzz_read(&reading, bytes->len, bytes->len);
        if (*rows[i].said == 0)
            assert_null(error);
        else
            assert_contains(error ? error->message : "nothing", rows[i].said);
        assert_int_equal(reading.description->agreed, rows[i].agreed);
        assert_int_equal(reading.description->undescribed, rows[i].undescribed);
        godwit_stream_memory_free(reading.memory);
        godwit_stream_description_free(reading.description);
    }
#undef DEVICE
#undef OF_BYTES
}

static void test_file(void **state)
{
    struct heard heard = listen();
    enum godwit_stream_channel channel;
    g_autoptr(GError) error = NULL;
    assert_false(godwit_stream_read_file("/no/such/file", 0, hear, &heard, &channel, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    g_clear_error(&error);
    assert_false(godwit_stream_read_file(*state, 0, hear, &heard, &channel, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    g_clear_error(&error);
    g_autofree char *path = g_build_filename(*state, "stream", NULL);
    g_autoptr(GByteArray) bytes = small_stream();
    g_byte_array_prepend(bytes, (const uint8_t *)"before", 6);
    assert_true(g_file_set_contents(path, (const char *)bytes->data, (gssize)bytes->len, NULL));
    assert_true(godwit_stream_read_file(path, 6, hear, &heard, &channel, &error));
    assert_int_equal(channel, GODWIT_STREAM_MAIN);
    assert_false(godwit_stream_read_file(path, 5, hear, &heard, &channel, &error));
    assert_string_equal(
        error->message,
        "offset 0x5: not a migration stream: it begins with 0x65514556, unlike a main, "
        "a multifd or a postcopy channel");
    assert_int_equal(g_unlink(path), 0);
    forget(&heard);
}

/* Without a subsection that names the size of pages, the description at the file's end does. */
static void test_page_size(void **state)
{
    static const struct {
        const char *description;
        bool good;
    } rows[] = {
        {"{\"page_size\": 1024, \"devices\": []}", true},
        {"{\"configuration\": {}, \"page_size\": 1024, \"devices\": []}", true},
        {"{\"page_size\": 1000, \"devices\": []}", false},
        {"{\"page_size\": 4096, \"devices\": []}", false},
        {"{\"page_size\": 131072}", false},
        {"{\"devices\": [{\"page_size\": 1024}]}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct heard heard = listen();
        enum godwit_stream_channel channel;
        g_autofree char *path = g_build_filename(*state, "small-pages", NULL);
        g_autoptr(GByteArray) bytes = begin();
        put_section(bytes, 1, 1, "ram", 4);
        put(bytes, 8, 0x2000 | 4);
        put_name(bytes, "r");
        put(bytes, 8, 0x2000);
        put(bytes, 8, 0x400 | GODWIT_RAM_ZERO);
        put_name(bytes, "r");
        put(bytes, 1, 0);
        put_ram_end(bytes);
        put_described_end(bytes, rows[i].description);
        assert_true(g_file_set_contents(path, (const char *)bytes->data, (gssize)bytes->len, NULL));
        assert_int_equal(godwit_stream_read_file(path, 0, hear, &heard, &channel, NULL),
                         rows[i].good);
        assert_int_equal(g_unlink(path), 0);
        forget(&heard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),          cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_seeds),          cmocka_unit_test(test_state),
        cmocka_unit_test(test_ahead),          cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_channels),       cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_sections),       cmocka_unit_test(test_ram),
        cmocka_unit_test(test_more_of_blocks), cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_packages),       cmocka_unit_test(test_multifd),
        cmocka_unit_test(test_sink),           cmocka_unit_test(test_memory),
        cmocka_unit_test(test_changes),        cmocka_unit_test(test_guest),
        cmocka_unit_test(test_description),    cmocka_unit_test(test_file),
        cmocka_unit_test(test_page_size),
    };
    return cmocka_run_group_tests_name("stream", tests, unit_folder, unit_folder_end);
}
