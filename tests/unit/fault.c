/*
 * Wire faults: each changes what it says, once, and nothing else.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wire.h"

#include "stream/fault.h"
#include "stream/reader.h"

enum { PAGE = 4096, PAGES = 16, WINDOW = 4, LIVE_PASSES = 3 };

/* A stream of two RAM blocks, "ram" and "rom", and two devices. */
static void put(GByteArray *stream, guint64 number, unsigned size)
{
    for (unsigned i = size; i-- > 0;) {
        const guint8 byte = (guint8)(number >> (8 * i));
        g_byte_array_append(stream, &byte, 1);
    }
}

static void put_name(GByteArray *stream, const char *name)
{
    put(stream, strlen(name), 1);
    g_byte_array_append(stream, (const guint8 *)name, (guint)strlen(name));
}

static void put_section(GByteArray *stream, unsigned type, guint32 id, const char *name)
{
    put(stream, type, 1);
    put(stream, id, 4);
    if (name) {
        put_name(stream, name);
        put(stream, 0, 4);                           /* instance */
        put(stream, strcmp(name, "ram") ? 1 : 4, 4); /* version */
    }
}

static void put_footer(GByteArray *stream, guint32 id)
{
    put(stream, 0x7e, 1);
    put(stream, id, 4);
}

/* What is on a page of "ram" in a pass: those of the window differ from one another and from pass
 * to pass; the others are zero. */
static guint8 byte_of(unsigned page, unsigned pass)
{
    return page < WINDOW ? 0 : (guint8)(16 * pass + page);
}

static void put_page(GByteArray *stream, unsigned page, guint8 byte, bool first)
{
    put(stream,
        page * PAGE | (byte ? GODWIT_RAM_PAGE : GODWIT_RAM_ZERO) |
            (first ? 0 : GODWIT_RAM_SAME_BLOCK),
        8);
    if (first)
        put_name(stream, "ram");
    guint8 bytes[PAGE];
    memset(bytes, byte, sizeof(bytes));
    g_byte_array_append(stream, bytes, byte ? PAGE : 1);
}

/* One whose pages change in the first CHANGES passes only; page CLEARED is zero in the last one. */
static GByteArray *new_stream_of(unsigned passes, unsigned changes, unsigned cleared)
{
    static const char json[] = "{}";
    GByteArray *stream = g_byte_array_new();
    put(stream, 0x5145564d, 4); /* "QEVM" */
    put(stream, 3, 4);
    put(stream, 7, 1);
    put(stream, 4, 4);
    g_byte_array_append(stream, (const guint8 *)"none", 4);
    put_section(stream, 1, 2, "ram");
    put(stream, 2 * PAGES * PAGE | GODWIT_RAM_SIZE, 8);
    put_name(stream, "ram");
    put(stream, PAGES * PAGE, 8);
    put_name(stream, "rom");
    put(stream, PAGES * PAGE, 8);
    put(stream, GODWIT_RAM_END, 8);
    put_footer(stream, 2);
    for (unsigned pass = 1; pass <= passes; pass++) {
        put_section(stream, pass == passes ? 3 : 2, 2, NULL);
        for (unsigned page = 0; page < PAGES; page++)
            put_page(stream, page,
                     page == cleared && pass == passes ? 0 : byte_of(page, MIN(pass, changes)),
                     page == 0);
        put(stream, GODWIT_RAM_END, 8);
        put_footer(stream, 2);
    }
    static const char *const devices[] = {"timer", "serial"};
    for (guint32 i = 0; i < G_N_ELEMENTS(devices); i++) {
        put_section(stream, 4, 10 + i, devices[i]);
        g_byte_array_append(stream, (const guint8 *)"device state", 12);
        put_footer(stream, 10 + i);
    }
    put(stream, 0, 1);
    put(stream, 6, 1);
    put(stream, strlen(json), 4);
    g_byte_array_append(stream, (const guint8 *)json, (guint)strlen(json));
    return stream;
}

static GByteArray *new_stream(unsigned passes)
{
    return new_stream_of(passes, passes, PAGES);
}

/* A destination: the memory that comes of a stream. */
struct memory {
    guint8 ram[PAGES * PAGE];
    unsigned pages; /* that were taken */
};

static bool load_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct memory *memory = data;
    (void)error;
    if (item->kind != GODWIT_STREAM_PAGE)
        return true;
    assert_string_equal(item->name, "ram");
    assert_true(item->page_offset < sizeof(memory->ram));
    memory->pages++;
    if (item->page == GODWIT_STREAM_PAGE_WHOLE)
        memcpy(memory->ram + item->page_offset, item->bytes + item->data, PAGE);
    else
        memset(memory->ram + item->page_offset, item->bytes[item->length - 1], PAGE);
    return true;
}

/* It must be well-formed. */
static struct memory *load(const GByteArray *bytes)
{
    struct memory *memory = g_new0(struct memory, 1);
    struct godwit_stream *stream = godwit_stream_new(0, load_item, memory);
    g_autoptr(GError) error = NULL;
    if (!godwit_stream_feed(stream, bytes->data, bytes->len, &error) ||
        !godwit_stream_end(stream, &error))
        fail_msg("%s", error->message);
    godwit_stream_free(stream);
    return memory;
}

/* The page that the guest is at. */
#define BUSY (WINDOW + 7)

struct spoiled {
    const char *text;
    struct godwit_injection *injection;
};

static void inject(struct godwit_relay *relay, gpointer data)
{
    static const struct godwit_fault_window window = {"ram", WINDOW * PAGE, (PAGES - WINDOW) * PAGE,
                                                      PAGE, BUSY * PAGE};
    struct spoiled *spoiled = data;
    struct godwit_fault fault;
    assert_true(godwit_fault_parse(spoiled->text, &fault, NULL));
    spoiled->injection = godwit_injection_new(relay, &fault, &window);
}

/* The stream with the fault that TEXT names, as it comes out; what was done is in *DONE, the
 * caller's, NULL if nothing was, and what the connection was cut before is in *CUT. */
static GByteArray *spoil_or_cut(void **state, const GByteArray *stream, const char *text,
                                char **done, enum godwit_cut *cut)
{
    struct spoiled spoiled = {.text = text};
    struct wire wire = wire_open(state, false, inject, &spoiled);
    GByteArray *came = wire_pass(&wire, stream->data, stream->len);
    *done = g_strdup(godwit_injection_done(spoiled.injection));
    *cut = godwit_injection_cut(spoiled.injection);
    if (godwit_injection_lost(spoiled.injection))
        fail_msg("%s: %s", text, godwit_injection_lost(spoiled.injection));
    wire_close(state, &wire);
    godwit_injection_free(spoiled.injection);
    return came;
}

/* The same for a fault that cuts before no item. */
static GByteArray *spoil(void **state, const GByteArray *stream, const char *text, char **done)
{
    enum godwit_cut cut;
    GByteArray *came = spoil_or_cut(state, stream, text, done, &cut);
    assert_int_equal(cut, GODWIT_CUT_NONE);
    return came;
}

/* How many pages of two memories differ, and the lowest of them. */
static unsigned differing(const struct memory *one, const struct memory *other, unsigned *lowest)
{
    unsigned pages = 0;
    for (unsigned page = PAGES; page-- > 0;) {
        if (!memcmp(one->ram + page * PAGE, other->ram + page * PAGE, PAGE))
            continue;
        pages++;
        *lowest = page;
    }
    return pages;
}

/* What leaves the stream well-formed changes so many pages, and no more. */
static void test_pages(void **state)
{
    static const struct {
        const char *text;
        unsigned different;
        int page;  /* the lowest one, or -1: that is chosen */
        int byte;  /* what is on its first byte then, or -1 */
        int pages; /* records more than without the fault */
        bool live;
    } rows[] = {
        {"flip-bit:page=3,byte=0,bit=7", 1, WINDOW + 3, 0x97, 0, false},
        {"flip-bit:page=3,byte=4095,bit=0", 1, WINDOW + 3, 0x17, 0, false},
        {"flip-bit", 1, -1, -1, 0, false},
        {"drop-page:page=0", 1, WINDOW, 0, -1, false},
        {"drop-page:page=11", 1, PAGES - 1, 0, -1, false},
        {"drop-page", 1, -1, 0, -1, false},
        {"page-to-zero:page=5", 1, WINDOW + 5, 0, 0, false},
        {"page-to-zero", 1, -1, 0, 0, false},
        {"zero-to-page:page=2", 1, 2, 0x5a, 0, false},
        {"swap-pages:page=4", 2, WINDOW, 0x18, 1, false},
        {"swap-pages:page=0", 2, WINDOW, 0x15, 1, false},
        {"wrong-offset:page=4", 2, WINDOW + 3, 0x18, 0, false},
        {"stale-page:page=1", 1, WINDOW + 1, 0x25, 0, true},
        {"repeat-page:page=1", 1, WINDOW + 1, 0x25, 2, true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (unsigned seed = 0; seed < 5; seed++) {
            g_autofree char *text = g_strdup_printf("%s%cseed=%u", rows[i].text,
                                                    strchr(rows[i].text, ':') ? ',' : ':', seed);
            g_autofree char *done = NULL;
            g_autoptr(GByteArray) stream = new_stream(rows[i].live ? LIVE_PASSES : 1);
            g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
            g_autofree struct memory *whole = load(stream);
            g_autofree struct memory *memory = load(came);
            assert_non_null(done);
            unsigned lowest = PAGES;
            if (differing(whole, memory, &lowest) != rows[i].different)
                fail_msg("%s: the relay %s: %u pages differ", text, done,
                         differing(whole, memory, &lowest));
            if (rows[i].page >= 0)
                assert_int_equal(lowest, rows[i].page);
            if (rows[i].byte >= 0)
                assert_int_equal(memory->ram[lowest * PAGE], rows[i].byte);
            assert_int_equal((int)memory->pages - (int)whole->pages, rows[i].pages);
        }
    }
}

/* The page that the guest is at is left alone, whatever chance would have, but not if it is asked
 * for. */
static void test_busy(void **state)
{
    static const char *const faults[] = {"flip-bit", "drop-page", "page-to-zero", "swap-pages",
                                         "wrong-offset"};
    g_autoptr(GByteArray) stream = new_stream(1);
    g_autofree struct memory *whole = load(stream);
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        for (unsigned seed = 0; seed < 40; seed++) {
            g_autofree char *text = g_strdup_printf("%s:seed=%u", faults[i], seed);
            g_autofree char *done = NULL;
            g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
            g_autofree struct memory *memory = load(came);
            if (memcmp(whole->ram + BUSY * PAGE, memory->ram + BUSY * PAGE, PAGE) != 0)
                fail_msg("%s: the relay %s", text, done ? done : "did nothing");
        }
    }
    g_autofree char *text = g_strdup_printf("drop-page:page=%u", BUSY - WINDOW);
    g_autofree char *done = NULL;
    g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
    g_autofree struct memory *memory = load(came);
    unsigned lowest = PAGES;
    assert_int_equal(differing(whole, memory, &lowest), 1);
    assert_int_equal(lowest, BUSY);
}

/* Sets the first byte of each page of the window, but for that of KEEP, to zero. */
static void clear_first_bytes(GByteArray *stream, unsigned keep)
{
    for (unsigned page = WINDOW; page < PAGES; page++) {
        guint8 bytes[PAGE];
        memset(bytes, byte_of(page, 1), sizeof(bytes));
        guint8 *at = page == keep ? NULL : memmem(stream->data, stream->len, bytes, sizeof(bytes));
        if (at)
            *at = 0;
    }
}

/* A guest that reads only the first byte of its pages would not notice if a page that begins with
 * that of another, or with zero, got lost: chance does not choose it. */
static void test_alike(void **state)
{
    static const struct {
        const char *fault;
        unsigned before; /* pages before the one that is seen that may change */
    } rows[] = {{"drop-page", 0}, {"page-to-zero", 0}, {"wrong-offset", 1}};
    const unsigned seen = PAGES - 2;
    g_autoptr(GByteArray) stream = new_stream(1);
    clear_first_bytes(stream, seen);
    g_autofree struct memory *whole = load(stream);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        unsigned struck = 0;
        for (unsigned seed = 0; seed < 10; seed++) {
            g_autofree char *text = g_strdup_printf("%s:seed=%u", rows[i].fault, seed);
            g_autofree char *done = NULL;
            g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
            g_autofree struct memory *memory = load(came);
            unsigned lowest = PAGES;
            if (!differing(whole, memory, &lowest))
                continue;
            struck++;
            if (lowest != seen && lowest + rows[i].before != seen)
                fail_msg("%s: the relay %s", text, done);
        }
        assert_int_not_equal(struck, 0);
    }
}

/* A page that comes again as it was is no reason to strike, and none not to have struck. */
static void test_unchanged(void **state)
{
    for (unsigned changes = 1; changes <= LIVE_PASSES; changes++) {
        g_autofree char *done = NULL;
        g_autoptr(GByteArray) stream = new_stream_of(LIVE_PASSES, changes, PAGES);
        g_autoptr(GByteArray) came = spoil(state, stream, "stale-page:page=1", &done);
        g_autofree struct memory *whole = load(stream);
        g_autofree struct memory *memory = load(came);
        unsigned lowest = PAGES;
        assert_int_equal(done != NULL, changes > 1);
        assert_int_equal(differing(whole, memory, &lowest), changes > 1);
        if (changes > 1)
            assert_int_equal(memory->ram[(WINDOW + 1) * PAGE], byte_of(WINDOW + 1, changes - 1));
    }
}

/* A page that becomes zero keeps what it had. One that always was zero is no reason to strike. */
static void test_drop_zero(void **state)
{
    for (unsigned cleared = 0; cleared < PAGES; cleared++) {
        g_autofree char *done = NULL;
        g_autoptr(GByteArray) stream = new_stream_of(LIVE_PASSES, LIVE_PASSES, cleared);
        g_autoptr(GByteArray) came = spoil(state, stream, "drop-zero", &done);
        g_autofree struct memory *whole = load(stream);
        g_autofree struct memory *memory = load(came);
        unsigned lowest = PAGES;
        assert_int_equal(done != NULL, cleared >= WINDOW);
        assert_int_equal(differing(whole, memory, &lowest), cleared >= WINDOW);
        if (cleared < WINDOW)
            continue;
        assert_int_equal(lowest, cleared);
        assert_int_equal(memory->ram[cleared * PAGE], byte_of(cleared, LIVE_PASSES - 1));
    }
}

/* How many bits differ; both must be as long. */
static unsigned bits(const GByteArray *one, const GByteArray *other)
{
    unsigned count = 0;
    assert_int_equal(one->len, other->len);
    for (guint i = 0; i < one->len; i++)
        count += (unsigned)__builtin_popcount(one->data[i] ^ other->data[i]);
    return count;
}

/* What breaks the stream changes one bit of it. */
static void test_bits(void **state)
{
    static const char *const faults[] = {"flip-state",  "magic",    "version",
                                         "section-id",  "footer",   "section-name",
                                         "name-length", "ram-size", "block-length"};
    g_autoptr(GByteArray) stream = new_stream(1);
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        for (unsigned seed = 0; seed < 20; seed++) {
            g_autofree char *text = g_strdup_printf("%s:seed=%u", faults[i], seed);
            g_autofree char *done = NULL;
            g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
            if (!done || bits(stream, came) != 1)
                fail_msg("%s: the relay %s: not one bit differs", text,
                         done ? done : "did nothing");
        }
    }
}

/* A section that is asked for by its number is the one; the last devices are reached as well. */
static void test_sections(void **state)
{
    g_autoptr(GByteArray) stream = new_stream(1);
    static const char *const names[] = {"section 0 (ram)", "section 1 (ram)", "section 2 (timer)",
                                        "section 3 (serial)"};
    for (unsigned section = 0; section < G_N_ELEMENTS(names); section++) {
        g_autofree char *text = g_strdup_printf("footer:section=%u", section);
        g_autofree char *done = NULL;
        g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
        assert_contains(done, names[section]);
    }
    g_autofree char *none = NULL;
    g_autoptr(GByteArray) came = spoil(state, stream, "footer:section=4", &none);
    assert_null(none);
    assert_int_equal(bits(stream, came), 0);
}

/* What is cut off is cut off: what comes is a beginning of the stream. */
static void test_cuts(void **state)
{
    static const enum godwit_cut cuts[] = {
        GODWIT_CUT_SECTION, GODWIT_CUT_SECTION,     GODWIT_CUT_SECTION, GODWIT_CUT_SECTION,
        GODWIT_CUT_END,     GODWIT_CUT_DESCRIPTION, GODWIT_CUT_NONE};
    g_autoptr(GByteArray) stream = new_stream(1);
    size_t before = 0;
    for (unsigned section = 0; section <= 6; section++) {
        g_autofree char *text = g_strdup_printf("truncate-section:section=%u", section);
        g_autofree char *done = NULL;
        enum godwit_cut cut;
        g_autoptr(GByteArray) came = spoil_or_cut(state, stream, text, &done, &cut);
        assert_int_equal(cut, cuts[section]);
        assert_memory_equal(came->data, stream->data, came->len);
        assert_true(came->len > before);
        before = came->len;
        /* Two sections of RAM, two devices, the mark after them, the description; then no more. */
        assert_true((done != NULL) == (section < 6));
    }
    assert_int_equal(before, stream->len);
    static const char *const faults[] = {"truncate:offset=1000", "close:offset=1000"};
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *done = NULL;
        g_autoptr(GByteArray) came = spoil(state, stream, faults[i], &done);
        assert_non_null(done);
        assert_int_equal(came->len, 1000);
        assert_memory_equal(came->data, stream->data, came->len);
    }
}

/* These only change how the bytes arrive, and one not even that. */
static void test_harmless(void **state)
{
    static const char *const faults[] = {"none", "split:bytes=5000", "stall:ms=5",
                                         "throttle:rate=50000000"};
    g_autoptr(GByteArray) stream = new_stream(2);
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *done = NULL;
        g_autoptr(GByteArray) came = spoil(state, stream, faults[i], &done);
        assert_non_null(done);
        assert_int_equal(bits(stream, came), 0);
    }
}

/* The same seed does the same, another one something else. */
static void test_seeds(void **state)
{
    g_autoptr(GByteArray) stream = new_stream(1);
    g_autoptr(GHashTable) all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned seed = 0; seed < 20; seed++) {
        g_autofree char *text = g_strdup_printf("flip-bit:seed=%u", seed);
        char *done = NULL;
        g_autofree char *again = NULL;
        g_autoptr(GByteArray) came = spoil(state, stream, text, &done);
        g_autoptr(GByteArray) came_again = spoil(state, stream, text, &again);
        assert_string_equal(done, again);
        assert_int_equal(bits(came, came_again), 0);
        g_hash_table_add(all, done);
    }
    assert_true(g_hash_table_size(all) > 15);
}

/* What is no stream is passed on as it is, and the fault says that it could not be injected. */
static void test_lost(void **state)
{
    struct spoiled spoiled = {.text = "flip-bit"};
    struct wire wire = wire_open(state, false, inject, &spoiled);
    g_autoptr(GByteArray) stream = new_stream(1);
    stream->data[8] = 0xee; /* no section is of such a type */
    g_autoptr(GByteArray) came = wire_pass(&wire, stream->data, stream->len);
    assert_int_equal(bits(stream, came), 0);
    assert_null(godwit_injection_done(spoiled.injection));
    assert_contains(godwit_injection_lost(spoiled.injection), "8: ");
    wire_close(state, &wire);
    godwit_injection_free(spoiled.injection);
}

/* A fault that nothing fits says what came instead: here the pages are of another RAM block, or in
 * a multifd channel. */
static void test_why_not(void **state)
{
    struct spoiled spoiled = {.text = "truncate-section:section=999"};
    struct wire wire = wire_open(state, false, inject, &spoiled);
    g_autoptr(GByteArray) stream = new_stream(1);
    g_autoptr(GByteArray) came = wire_pass(&wire, stream->data, stream->len);
    assert_null(godwit_injection_done(spoiled.injection));
    g_autofree char *why = godwit_injection_why_not(spoiled.injection);
    assert_contains(why, "truncate-section looks for an item of the main channel");
    assert_contains(why, "connections seen: 1 main, 0 multifd, 0 postcopy-preempt");
    wire_close(state, &wire);
    godwit_injection_free(spoiled.injection);

    static const guint8 multifd[64] = {0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1};
    spoiled.text = "flip-bit";
    wire = wire_open(state, false, inject, &spoiled);
    g_autoptr(GByteArray) packets = wire_pass(&wire, multifd, sizeof(multifd));
    why = (g_free(why), godwit_injection_why_not(spoiled.injection));
    assert_contains(why, "flip-bit looks for a page of the window");
    assert_contains(why,
                    "1 multifd, 0 postcopy-preempt: pages are sent in multifd channels, which the "
                    "relay does not change");
    wire_close(state, &wire);
    godwit_injection_free(spoiled.injection);
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *error; /* NULL: none */
    } rows[] = {
        {"none", NULL},
        {"flip-bit:page=0x10,byte=7,seed=9", NULL},
        {"", "unknown fault \"\"; the faults are: flip-bit, drop-page,"},
        {"flip", "unknown fault \"flip\""},
        {"flip-bit:", NULL},
        {"flip-bit:page", "fault flip-bit: page wants a number"},
        {"flip-bit:page=", "fault flip-bit: page wants a number"},
        {"flip-bit:page=x", "fault flip-bit: page wants a number"},
        {"flip-bit:page=1x", "fault flip-bit: page wants a number"},
        {"flip-bit:page=-1", "fault flip-bit: page wants a number"},
        {"flip-bit:rate=1",
         "fault flip-bit does not take \"rate=1\"; its keys are page,byte,bit,seed"},
        {"magic:page=1", "fault magic does not take \"page=1\"; its keys are byte,bit,seed"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_fault fault;
        g_autoptr(GError) error = NULL;
        assert_true(godwit_fault_parse(rows[i].text, &fault, &error) == !rows[i].error);
        if (!rows[i].error)
            continue;
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, rows[i].error);
    }
    struct godwit_fault fault;
    assert_true(godwit_fault_parse(rows[1].text, &fault, NULL));
    assert_int_equal(fault.values[GODWIT_FAULT_PAGE], 16);
    assert_true(fault.given[GODWIT_FAULT_BYTE]);
    assert_false(fault.given[GODWIT_FAULT_BIT]);
    assert_int_equal(fault.values[GODWIT_FAULT_SEED], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),     cmocka_unit_test(test_busy),
        cmocka_unit_test(test_unchanged), cmocka_unit_test(test_alike),
        cmocka_unit_test(test_bits),      cmocka_unit_test(test_drop_zero),
        cmocka_unit_test(test_sections),  cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_harmless),  cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_lost),      cmocka_unit_test(test_why_not),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests_name("fault", tests, unit_folder, unit_folder_end);
}
