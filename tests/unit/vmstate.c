/*
 * The devices' state as -dump-vmstate describes it: what is parsed, what is refused, and what the
 * comparison makes of two documents.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/vmstate.h"

#include "base/error.h"
#include "unit.h"
#include <string.h>

/* Parts of documents, so that a row of a table fits into its lines. */
#define MEMBERS(version, condition, size)                                                          \
    "\"version_id\": " #version ", \"field_exists\": " #condition ", \"size\": " #size
#define FIELD(name, size)    "{\"field\": \"" name "\", " MEMBERS(0, false, size) "}"
#define SINCE(version, name) "{\"field\": \"" name "\", " MEMBERS(version, false, 4) "}"
#define TEST(name, size)     "{\"field\": \"" name "\", " MEMBERS(0, true, size) "}"
#define ARRAY(name, size, count)                                                                   \
    "{\"field\": \"" name "\", \"num\": " #count ", " MEMBERS(0, false, size) "}"
#define VERSIONS(version, minimum) "\"version_id\": " #version ", \"minimum_version_id\": " #minimum
#define STATE(name, version, minimum, more)                                                        \
    "{\"name\": \"" name "\", " VERSIONS(version, minimum) more "}"
#define FIELDS(fields)    ", \"Fields\": [" fields "]"
#define SUBS(subsections) ", \"Subsections\": [" subsections "]"
#define STRUCT(name, size, version, more)                                                          \
    "{\"field\": \"" name                                                                          \
    "\", " MEMBERS(0, false, size) ", \"Description\": " STATE("inner", version, 1, more) "}"
#define STRUCTS(name, size, count, more)                                                           \
    "{\"field\": \"" name "\", \"num\": " #count                                                   \
    ", " MEMBERS(0, false, size) ", \"Description\": " STATE("inner", 1, 1, more) "}"
#define STRUCT_TEST(name, more)                                                                    \
    "{\"field\": \"" name                                                                          \
    "\", " MEMBERS(0, true, 9) ", \"Description\": " STATE("inner", 1, 1, more) "}"
#define DEVICE(type, state)                                                                        \
    "\"" type "\": {\"Name\": \"" type "\", " VERSIONS(1, 1) ", \"Description\": " state "}"
#define PLAIN(fields) STATE("s", 1, 1, FIELDS(fields))
/* One more field that is an array: the document gives the number of elements. */
#define COUNTED(fields) STATE("s", 1, 1, FIELDS(fields ", " ARRAY("regs", 4, 8)))

static struct godwit_vmstate_document *document(const char *state)
{
    g_autofree char *text = g_strdup_printf(
        "{\"vmschkmachine\": {\"Name\": \"virt-7.2\"}, " DEVICE("d", "%s") "}", state);
    GError *error = NULL;
    struct godwit_vmstate_document *result = godwit_vmstate_parse(text, strlen(text), &error);
    if (!result)
        fail_msg("%s: %s", error->message, text);
    return result;
}

/* Expects the findings, a line each: "CERTAINTY KIND PATH: TEXT". */
static void expect(const char *source, const char *destination, const char *expected)
{
    struct godwit_vmstate_document *before = document(source), *after = document(destination);
    struct godwit_vmstate_comparison *comparison = godwit_vmstate_compare(before, after);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < comparison->findings->len; i++) {
        const struct godwit_vmstate_finding *finding = g_ptr_array_index(comparison->findings, i);
        assert_string_equal(finding->type, "d");
        g_string_append_printf(text, "%s%s %s %s: %s", i ? "\n" : "",
                               godwit_vmstate_certainty_name(finding->certainty),
                               godwit_vmstate_kind_name(finding->kind), finding->path,
                               finding->text);
    }
    if (!g_str_equal(text->str, expected))
        fail_msg("found\n%s\nof\n%s\n%s", text->str, source, destination);
    godwit_vmstate_comparison_free(comparison);
    godwit_vmstate_free(before);
    godwit_vmstate_free(after);
}

/* A pair of states, and what is found from the first to the second and back. */
struct row {
    const char *source, *destination, *there, *back;
};

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(rows[i].source, rows[i].source, "");
        expect(rows[i].destination, rows[i].destination, "");
        expect(rows[i].source, rows[i].destination, rows[i].there);
        expect(rows[i].destination, rows[i].source, rows[i].back);
    }
}

/* What is in a document. */
static void test_parse(void **state)
{
    (void)state;
    struct godwit_vmstate_document *parsed =
        document(STATE("section", 3, 2,
                       FIELDS(SINCE(2, "a") ", " STRUCTS("b", 24, 5, FIELDS(TEST("c", 0))))
                           SUBS(STATE("section/x", 1, 1, ""))));
    assert_string_equal(parsed->machine, "virt-7.2");
    assert_true(parsed->counted);
    assert_int_equal(parsed->devices->len, 1);
    const struct godwit_vmstate_device *device = g_hash_table_lookup(parsed->types, "d");
    const struct godwit_vmstate *section = device->state;
    assert_string_equal(section->name, "section");
    assert_int_equal(section->version, 3);
    assert_int_equal(section->minimum, 2);
    const struct godwit_vmstate_field *a = g_ptr_array_index(section->fields, 0);
    assert_int_equal(a->version, 2);
    assert_false(a->conditional);
    assert_int_equal(a->size, 4);
    assert_int_equal(a->count, 1);
    assert_null(a->structure);
    const struct godwit_vmstate_field *b = g_ptr_array_index(section->fields, 1);
    assert_int_equal(b->count, 5);
    const struct godwit_vmstate_field *c = g_ptr_array_index(b->structure->fields, 0);
    assert_true(c->conditional);
    const struct godwit_vmstate *x = g_ptr_array_index(section->subsections, 0);
    assert_string_equal(x->name, "section/x");
    assert_int_equal(x->fields->len, 0);
    godwit_vmstate_free(parsed);
}

static void refuse(const char *text, size_t length, const char *reason)
{
    g_autoptr(GError) error = NULL;
    assert_null(godwit_vmstate_parse(text, length, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, reason);
    assert_null(strchr(error->message, '\n'));
    assert_null(godwit_vmstate_parse(text, length, NULL));
}

/* What is not such a document. */
static void test_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "not a document"},
        {"qemu: no\nsuch machine\n", "not a document"},
        {"[]", "not an object"},
        {"{" DEVICE("d", STATE("s", 1, 1, "")) ", " DEVICE("d", STATE("s", 1, 1, "")) "}",
         "duplicate"},
        {"{\"d\": 1}", "device \"d\": \"name\" is not a string"},
        {"{\"d\\n\\u001b\": {}}", "\"name\" is not a string"},
        {"{" DEVICE("d", STATE("s", -1, 1, "")) "}", "\"version_id\" is not a number"},
        {"{" DEVICE("d", STATE("s", 1, 99999999999, "")) "}", "\"minimum_version_id\" is not"},
        {"{" DEVICE("d", STATE("s", 1, "1", "")) "}", "not a"},
        {"{" DEVICE("d", STATE("s", 1, 1, ", \"Fields\": {}")) "}", "\"Fields\" is not an array"},
        {"{" DEVICE("d", STATE("s", 1, 1, SUBS("1"))) "}", "\"name\" is not a string"},
        {"{" DEVICE("d", PLAIN("null")) "}", "\"field\" is not a string"},
        {"{" DEVICE("d", PLAIN(FIELD("a", -4))) "}", "\"size\" is not a number"},
        {"{" DEVICE("d", PLAIN(FIELD("a", 0.5))) "}", "\"size\" is not a number"},
        {"{" DEVICE("d", PLAIN(ARRAY("a", 4, null))) "}", "\"num\" is not a number"},
        {"{" DEVICE("d", PLAIN("{\"field\": \"a\", " MEMBERS(1, 1, 1) "}")) "}",
         "\"field_exists\" is not a boolean"},
        {"{" DEVICE("d", PLAIN(STRUCT("a", 4, 1, FIELDS("1")))) "}", "\"field\" is not a string"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        refuse(rows[i].text, strlen(rows[i].text), rows[i].reason);
    refuse("{\0}", 3, "not a document");
    g_autofree char *large = g_malloc0((size_t)17 << 20);
    refuse(large, (size_t)17 << 20, "larger than 16 MiB");
}

/* Structures in structures, and subsections in subsections, without end. */
static void test_nested(void **state)
{
    (void)state;
    static const char *const openings[] = {
        "{\"name\": \"s\", " VERSIONS(1, 1) ", \"Subsections\": [",
        "{\"name\": \"s\", " VERSIONS(1, 1) ", \"Fields\": [{\"field\": \"f\", " MEMBERS(
            0, false, 1) ", \"Description\": ",
    };
    static const char *const endings[] = {"]}", "}]}"};
    for (size_t way = 0; way < G_N_ELEMENTS(openings); way++) {
        for (unsigned depth = 30; depth < 2000; depth *= 3) {
            g_autoptr(GString) text = g_string_new("{\"d\": {\"Description\": ");
            for (unsigned i = 0; i < depth; i++)
                g_string_append(text, openings[way]);
            g_string_append(text, STATE("s", 1, 1, ""));
            for (unsigned i = 0; i < depth; i++)
                g_string_append(text, endings[way]);
            g_string_append(text, "}}");
            if (depth > 30) {
                refuse(text->str, text->len, "");
                continue;
            }
            struct godwit_vmstate_document *parsed =
                godwit_vmstate_parse(text->str, text->len, NULL);
            assert_non_null(parsed);
            godwit_vmstate_free(parsed);
        }
    }
}

/* A file, and what is not one. */
static void test_read(void **state)
{
    g_autofree char *path = g_build_filename(*state, "dump", NULL);
    static const char text[] = "{" DEVICE("d", PLAIN(FIELD("a", 4))) "}";
    assert_true(g_file_set_contents(path, text, -1, NULL));
    struct godwit_vmstate_document *parsed = godwit_vmstate_read(path, NULL);
    assert_non_null(parsed);
    assert_string_equal(parsed->machine, "");
    assert_false(parsed->counted);
    godwit_vmstate_free(parsed);
    g_autoptr(GError) error = NULL;
    assert_true(g_file_set_contents(path, "{", -1, NULL));
    assert_null(godwit_vmstate_read(path, &error));
    assert_contains(error->message, path);
    g_clear_error(&error);
    assert_int_equal(g_unlink(path), 0);
    assert_null(godwit_vmstate_read(path, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
}

/* The name and the version of the section. */
static void test_sections(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STATE("vga", 1, 1, FIELDS(FIELD("a", 4))), STATE("vga-isa", 1, 1, FIELDS(FIELD("a", 8))),
         "certain renamed : the source sends the section \"vga\", the destination knows it as "
         "\"vga-isa\"",
         "certain renamed : the source sends the section \"vga-isa\", the destination knows it as "
         "\"vga\""},
        {STATE("s", 1, 1, FIELDS(FIELD("a", 4))), STATE("s", 3, 2, FIELDS(FIELD("a", 8))),
         "certain older : the source sends version 1, the destination accepts at least 2",
         "certain newer : the source sends version 3, the destination accepts at most 1"},
        {STATE("s", 2, 1, FIELDS(FIELD("a", 4))), STATE("s", 3, 2, FIELDS(FIELD("a", 4))), "",
         "certain newer : the source sends version 3, the destination accepts at most 2"},
        /* nvme of QEMU 10.0: its state is empty because it forbids migration. */
        {STATE("s", 0, 0, ""), STATE("s", 1, 1, FIELDS(FIELD("a", 4))),
         "conditional older : the source sends version 0, the destination accepts at least 1",
         "certain newer : the source sends version 1, the destination accepts at most 0"},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

/* Fields that come, go, grow and move. */
static void test_fields(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PLAIN(FIELD("a", 4)), PLAIN(FIELD("a", 8)),
         "certain resized a: the source sends 4 bytes, the destination reads 8 bytes",
         "certain resized a: the source sends 8 bytes, the destination reads 4 bytes"},
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 4)),
         PLAIN(FIELD("a", 4) ", " FIELD("new", 1) ", " FIELD("b", 4)),
         "certain added new: the destination reads 1 byte, the source sends none",
         "certain removed new: the source sends 1 byte, the destination reads none"},
        /* The names tell which of several equal numbers is new. */
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 4)),
         PLAIN(FIELD("a", 4) ", " FIELD("new", 4) ", " FIELD("b", 4)),
         "certain added new: the destination reads 4 bytes, the source sends none",
         "certain removed new: the source sends 4 bytes, the destination reads none"},
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 4) ", " FIELD("c", 4)),
         PLAIN(FIELD("b", 4) ", " FIELD("c", 4) ", " FIELD("a", 4)),
         "certain reordered a: the source sends 4 bytes at one place, the destination reads them "
         "at another",
         "certain reordered a: the source sends 4 bytes at one place, the destination reads them "
         "at another"},
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 8)), PLAIN(FIELD("b", 8) ", " FIELD("a", 4)),
         "certain reordered a: the source sends 4 bytes at one place, the destination reads them "
         "at another",
         "certain reordered b: the source sends 8 bytes at one place, the destination reads them "
         "at another"},
        /* A version guards a field only in one direction, which the section's version refuses. */
        {STATE("s", 1, 1, FIELDS(FIELD("a", 4))),
         STATE("s", 2, 1, FIELDS(FIELD("a", 4) ", " SINCE(2, "b"))), "",
         "certain newer : the source sends version 2, the destination accepts at most 1"},
        /* The version of a structure is not in the stream. */
        {PLAIN(STRUCT("a", 8, 1, FIELDS(FIELD("b", 4)))),
         PLAIN(STRUCT("a", 8, 2, FIELDS(FIELD("b", 4) ", " SINCE(2, "c")))),
         "certain added a.c: the destination reads 4 bytes, the source sends none",
         "certain removed a.c: the source sends 4 bytes, the destination reads none"},
        /* A field above the version of its state is never sent. */
        {PLAIN(FIELD("a", 4)), PLAIN(FIELD("a", 4) ", " SINCE(9, "b")), "", ""},
        /* Padding has no name: it takes the place of a, and does not move. */
        {PLAIN(FIELD("a", 4) ", " FIELD("unused", 4)), PLAIN(FIELD("unused", 4) ", " FIELD("b", 8)),
         "certain removed unused: the source sends 4 bytes, the destination reads none\n"
         "certain added b: the destination reads 8 bytes, the source sends none",
         "certain removed b: the source sends 8 bytes, the destination reads none\n"
         "certain added unused: the destination reads 4 bytes, the source sends none"},
        /* The length of some fields is not in the dump. */
        {PLAIN(FIELD("a", 4)), PLAIN(FIELD("a", 4) ", " FIELD("queue", 0)),
         "conditional added queue: the destination reads bytes of varying number, the source sends "
         "none",
         "conditional removed queue: the source sends bytes of varying number, the destination "
         "reads none"},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

/* What only looks different. */
static void test_harmless(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* a new name, and new names that look like a move */
        {PLAIN(FIELD("a", 4)), PLAIN(FIELD("b", 4)), "", ""},
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 4)), PLAIN(FIELD("b", 4) ", " FIELD("c", 4)), "", ""},
        /* a structure that was inlined; its size in memory is not in the stream */
        {PLAIN(FIELD("a", 4) ", " STRUCT("s", 24, 1, FIELDS(FIELD("b", 2) ", " FIELD("c", 1)))),
         PLAIN(FIELD("a", 4) ", " FIELD("b", 2) ", " FIELD("c", 1)), "", ""},
        {PLAIN(STRUCT("s", 24, 1, FIELDS(FIELD("b", 2)))),
         PLAIN(STRUCT("s", 32, 2, FIELDS(FIELD("b", 2)))), "", ""},
        /* numbers that became an array, also inside of structures */
        {COUNTED(FIELD("a", 4) ", " FIELD("b", 4)), COUNTED(ARRAY("ab", 4, 2)), "", ""},
        {COUNTED(STRUCTS("s", 16, 3, FIELDS(FIELD("a", 2)))), COUNTED(ARRAY("a", 2, 3)), "", ""},
        {COUNTED(ARRAY("a", 1, 24)), COUNTED(FIELD("buffer", 24)), "", ""},
        /* padding instead of fields, beside a change that is real */
        {PLAIN(FIELD("a", 4) ", " FIELD("b", 2) ", " FIELD("x", 8) ", " FIELD("y", 1)),
         PLAIN(FIELD("unused", 6) ", " FIELD("x", 8)),
         "certain removed y: the source sends 1 byte, the destination reads none",
         "certain added y: the destination reads 1 byte, the source sends none"},
        {COUNTED(FIELD("a", 4) ", " FIELD("b", 4) ", " FIELD("x", 8) ", " FIELD("y", 1)),
         COUNTED(ARRAY("ab", 4, 2) ", " FIELD("x", 8)),
         "certain removed y: the source sends 1 byte, the destination reads none",
         "certain added y: the destination reads 1 byte, the source sends none"},
        /* a check, which has no bytes */
        {COUNTED(FIELD("a", 4)), COUNTED(FIELD("a", 4) ", " ARRAY("valid", 0, 0)), "", ""},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

/* Arrays, with and without their number of elements. */
static void test_arrays(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {COUNTED(ARRAY("a", 4, 2)), COUNTED(ARRAY("a", 4, 3)),
         "certain resized a: the source sends 8 bytes, the destination reads 12 bytes",
         "certain resized a: the source sends 12 bytes, the destination reads 8 bytes"},
        {COUNTED(STRUCTS("s", 9, 2, FIELDS(FIELD("a", 4) ", " FIELD("b", 2)))),
         COUNTED(STRUCTS("s", 9, 2, FIELDS(FIELD("a", 4) ", " FIELD("b", 1)))),
         "certain resized s.b: the source sends 4 bytes, the destination reads 2 bytes",
         "certain resized s.b: the source sends 2 bytes, the destination reads 4 bytes"},
        {COUNTED(STRUCTS("s", 9, 2, FIELDS(FIELD("a", 4) ", " FIELD("b", 2)))),
         COUNTED(STRUCTS("s", 9, 3, FIELDS(FIELD("a", 4) ", " FIELD("b", 2)))),
         "certain resized s.a: the source sends 8 bytes, the destination reads 12 bytes\n"
         "certain resized s.b: the source sends 4 bytes, the destination reads 6 bytes",
         "certain resized s.a: the source sends 12 bytes, the destination reads 8 bytes\n"
         "certain resized s.b: the source sends 6 bytes, the destination reads 4 bytes"},
        /* the same bytes in other numbers, which the loader may swap */
        {COUNTED(ARRAY("a", 4, 2)), COUNTED(FIELD("a", 8)),
         "conditional regrouped a: the destination reads the same 8 bytes, but divides them into "
         "other numbers",
         "conditional regrouped a: the destination reads the same 8 bytes, but divides them into "
         "other numbers"},
        /* a document without counts: only elements are compared */
        {PLAIN(FIELD("a", 4)), PLAIN(ARRAY("a", 4, 3)), "", ""},
        {PLAIN(FIELD("a", 4)), PLAIN(ARRAY("a", 8, 3)),
         "certain resized a: the source sends 4 bytes, the destination reads 8 bytes",
         "certain resized a: the source sends 8 bytes, the destination reads 4 bytes"},
        {PLAIN(FIELD("x", 4) ", " FIELD("a", 1)), PLAIN(ARRAY("x", 4, 3) ", " FIELD("unused", 5)),
         "conditional resized a: 5 bytes of padding take the place of fields, whose number of "
         "elements only one side gives",
         "conditional resized unused: 5 bytes of padding take the place of fields, whose number of "
         "elements only one side gives"},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

/* Conditions, of fields and of structures. */
static void test_conditions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PLAIN(FIELD("a", 4) ", " TEST("b", 4)), PLAIN(FIELD("a", 4) ", " FIELD("b", 4)),
         "conditional condition b: the source sends 4 bytes under a condition, the destination "
         "always reads it",
         "conditional condition b: the destination reads 4 bytes under a condition, the source "
         "always sends it"},
        {PLAIN(FIELD("a", 4)), PLAIN(FIELD("a", 4) ", " TEST("b", 8)),
         "conditional added b: the destination reads 8 bytes under a condition, the source sends "
         "none",
         "conditional removed b: the source sends 8 bytes under a condition, the destination reads "
         "none"},
        /* one condition is one finding */
        {PLAIN(STRUCT_TEST("s", FIELDS(FIELD("a", 4) ", " FIELD("b", 1)))),
         PLAIN(STRUCT("s", 9, 1, FIELDS(FIELD("a", 4) ", " FIELD("b", 1)))),
         "conditional condition s: the source sends a structure under a condition, the destination "
         "always reads it",
         "conditional condition s: the destination reads a structure under a condition, the source "
         "always sends it"},
        /* two conditions are not one array */
        {COUNTED(TEST("a", 4) ", " TEST("b", 4)), COUNTED(TEST("a", 4)),
         "conditional removed b: the source sends 4 bytes under a condition, the destination reads "
         "none",
         "conditional added b: the destination reads 4 bytes under a condition, the source sends "
         "none"},
        /* a certain finding comes first */
        {PLAIN(TEST("a", 4) ", " FIELD("x", 8) ", " FIELD("b", 4)),
         PLAIN(FIELD("a", 4) ", " FIELD("x", 8) ", " FIELD("b", 2)),
         "certain resized b: the source sends 4 bytes, the destination reads 2 bytes\n"
         "conditional condition a: the source sends 4 bytes under a condition, the destination "
         "always reads it",
         "certain resized b: the source sends 2 bytes, the destination reads 4 bytes\n"
         "conditional condition a: the destination reads 4 bytes under a condition, the source "
         "always sends it"},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

#define WITH(subsections) STATE("s", 1, 1, FIELDS(FIELD("a", 4)) SUBS(subsections))

/* Subsections: unknown ones, their versions, their fields, their order, where they are. */
static void test_subsections(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {PLAIN(FIELD("a", 4)), WITH(STATE("s/x", 1, 1, FIELDS(FIELD("f", 4)))), "",
         "conditional subsection-removed s/x: the destination does not know the subsection, which "
         "the source sends if needed"},
        {WITH(STATE("s/x", 1, 1, "") ", " STATE("s/y", 1, 1, "")),
         WITH(STATE("s/y", 1, 1, "") ", " STATE("s/x", 1, 1, "")), "", ""},
        {WITH(STATE("s/x", 1, 1, FIELDS(FIELD("f", 4)))),
         WITH(STATE("s/x", 3, 2, FIELDS(FIELD("f", 4)))),
         "conditional older s/x/: the source sends version 1, the destination accepts at least 2",
         "conditional newer s/x/: the source sends version 3, the destination accepts at most 1"},
        {WITH(STATE("s/x", 1, 1, FIELDS(FIELD("f", 4)))),
         WITH(STATE("s/x", 2, 1, FIELDS(FIELD("f", 8) ", " SINCE(2, "g")))),
         "conditional resized s/x/f: the source sends 4 bytes, the destination reads 8 bytes",
         "conditional newer s/x/: the source sends version 2, the destination accepts at most 1"},
        /* in a structure, and in a subsection */
        {PLAIN(STRUCT("core", 4, 1, SUBS(STATE("rx", 1, 1, SUBS(STATE("rx/y", 1, 1, "")))))),
         PLAIN(STRUCT("core", 4, 1, SUBS(STATE("rx", 1, 1, "")))),
         "conditional subsection-removed core.rx/rx/y: the destination does not know the "
         "subsection, which the source sends if needed",
         ""},
        /* one of many equal structures */
        {PLAIN(STRUCT("a", 4, 1, SUBS(STATE("t", 1, 1, ""))) ", " STRUCT(
             "b", 4, 1, SUBS(STATE("t", 1, 1, "")))),
         PLAIN(STRUCT("a", 4, 1, "") ", " STRUCT("b", 4, 1, "")),
         "conditional subsection-removed a.t: the destination does not know the subsection, which "
         "the source sends if needed",
         ""},
    };
    expect_rows(rows, G_N_ELEMENTS(rows));
}

static struct godwit_vmstate_document *types(const char *first, const char *second)
{
    g_autofree char *text = g_strdup_printf(
        "{" DEVICE("%s", STATE("s", 1, 1, "")) ", " DEVICE("%s", STATE("s", 2, 2, "")) "}", first,
        first, second, second);
    struct godwit_vmstate_document *parsed = godwit_vmstate_parse(text, strlen(text), NULL);
    assert_non_null(parsed);
    return parsed;
}

/* Devices that only one side has are no findings. */
static void test_devices(void **state)
{
    (void)state;
    struct godwit_vmstate_document *source = types("old", "both"),
                                   *destination = types("new", "both");
    struct godwit_vmstate_comparison *comparison = godwit_vmstate_compare(source, destination);
    assert_int_equal(comparison->findings->len, 0);
    assert_int_equal(comparison->source_only->len, 1);
    assert_string_equal(g_ptr_array_index(comparison->source_only, 0), "old");
    assert_int_equal(comparison->destination_only->len, 1);
    assert_string_equal(g_ptr_array_index(comparison->destination_only, 0), "new");
    godwit_vmstate_comparison_free(comparison);
    godwit_vmstate_free(source);
    godwit_vmstate_free(destination);
}

/* A state of COUNT fields of SIZE. */
static char *many(unsigned count, unsigned size)
{
    GString *text = g_string_new("{\"name\": \"s\", " VERSIONS(1, 1) ", \"Fields\": [");
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(text,
                               "%s{\"field\": \"f%u\", \"version_id\": 0, \"field_exists\": false,"
                               " \"size\": %u}",
                               i ? ", " : "", i, size);
    g_string_append(text, "]}");
    return g_string_free(text, FALSE);
}

/* States that are too large to be aligned, and products that overflow, still get a verdict. */
static void test_large(void **state)
{
    (void)state;
    g_autofree char *short_fields = many(3000, 2);
    g_autofree char *long_fields = many(3001, 2);
    expect(short_fields, short_fields, "");
    expect(short_fields, long_fields,
           "certain added f3000: the destination reads 2 bytes, the source sends none");
    expect(PLAIN(STRUCTS("a", 1, 2147483647,
                         FIELDS(STRUCTS("b", 1, 2147483647,
                                        FIELDS(ARRAY("c", 2147483647, 2147483647) ", " FIELD(
                                            "d", 1))) ", " FIELD("e", 1)))),
           PLAIN(STRUCTS("a", 1, 2147483647,
                         FIELDS(STRUCTS("b", 1, 2147483647,
                                        FIELDS(ARRAY("c", 2147483647, 2147483647) ", " FIELD(
                                            "d", 1))) ", " FIELD("e", 2)))),
           "certain resized a.e: the source sends 2147483647 bytes, the destination reads "
           "4294967294 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_nested),
        cmocka_unit_test_setup_teardown(test_read, unit_folder, unit_folder_end),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_subsections),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
