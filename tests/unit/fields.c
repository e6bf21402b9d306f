/*
 * The devices' state, field by field: what a description makes of bytes, and what differs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/fields.h"

#include "unit.h"
#include <string.h>

/* Gives FIELDS a section in one piece. */
static void take_state(struct godwit_stream_fields *fields, const char *name, const char *bytes,
                       size_t length)
{
    struct godwit_stream_item item = {.kind = GODWIT_STREAM_FULL,
                                      .section = name,
                                      .bytes = (const uint8_t *)bytes,
                                      .length = length};
    assert_true(godwit_stream_fields_take(fields, &item, NULL));
    item.kind = GODWIT_STREAM_STATE;
    if (length)
        assert_true(godwit_stream_fields_take(fields, &item, NULL));
}

static bool take_description(struct godwit_stream_fields *fields, const char *text, GError **error)
{
    const struct godwit_stream_item item = {.kind = GODWIT_STREAM_DESCRIPTION,
                                            .section = "",
                                            .bytes = (const uint8_t *)text,
                                            .length = strlen(text)};
    return godwit_stream_fields_take(fields, &item, error);
}

/* The fields of one device "d", whose description has these members. */
static struct godwit_stream_fields *device(const char *bytes, size_t length, const char *members)
{
    struct godwit_stream_fields *fields = godwit_stream_fields_new();
    g_autofree char *text = g_strdup_printf("{\"devices\": [{\"name\": \"d\", %s}]}", members);
    take_state(fields, "d", bytes, length);
    assert_true(take_description(fields, text, NULL));
    return fields;
}

/* Expects the fields as "PATH=VALUE PATH=VALUE". */
static void expect_fields(const struct godwit_stream_fields *fields, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < fields->fields->len; i++) {
        const struct godwit_stream_field *field = g_ptr_array_index(fields->fields, i);
        g_autofree char *value = godwit_stream_field_value(field, 0);
        assert_string_equal(field->device, "d 0");
        g_string_append_printf(text, "%s%s=%s", i ? " " : "", field->path, value);
    }
    assert_string_equal(text->str, expected);
}

static void expect_differences(const struct godwit_stream_fields *before,
                               const struct godwit_stream_fields *after, const char *expected)
{
    g_autoptr(GPtrArray) differences = godwit_stream_fields_compare(before, after);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < differences->len; i++) {
        g_autofree char *line = godwit_stream_difference_text(g_ptr_array_index(differences, i));
        g_string_append_printf(text, "%s%s", i ? "\n" : "", line);
    }
    assert_string_equal(text->str, expected);
}

/* Numbers, arrays, structures, elements described one by one, subsections, what has no fields. */
static void test_walk(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *members, *fields;
    } rows[] = {
        {"\x01\x00\x02", 3,
         "\"fields\": [{\"name\": \"a\", \"size\": 1, \"type\": \"bool\"},"
         " {\"name\": \"b\", \"size\": 2, \"type\": \"uint16\"}]",
         "a=0x01 b=0x0002"},
        {"\x01\x02\x03", 3, "\"fields\": [{\"name\": \"a\", \"array_len\": 3, \"size\": 1}]",
         "a[0]=0x01 a[1]=0x02 a[2]=0x03"},
        {"\x01\x02\x03\x04", 4,
         "\"fields\": [{\"name\": \"s\", \"array_len\": 2, \"size\": 2, \"struct\": {\"fields\": ["
         "{\"name\": \"a\", \"size\": 1}, {\"name\": \"b\", \"size\": 1}]}}]",
         "s[0].a=0x01 s[0].b=0x02 s[1].a=0x03 s[1].b=0x04"},
        /* One by one, with an index, and as QEMU 11.1 does it, without. */
        {"\x01\x02", 2,
         "\"fields\": [{\"name\": \"a\", \"index\": 0, \"size\": 1}, {\"name\": \"a\", \"index\": "
         "1,"
         " \"size\": 1}]",
         "a[0]=0x01 a[1]=0x02"},
        {"\x01\x02", 2,
         "\"fields\": [{\"name\": \"a\", \"size\": 1}, {\"name\": \"a\", \"size\": 1}]",
         "a[0]=0x01 a[1]=0x02"},
        {"\x01\x02", 2,
         "\"fields\": [{\"name\": \"a\", \"size\": 1, \"type\": \"tmp\", \"fields\": [{\"name\": "
         "\"in\", \"size\": 1}]}, {\"name\": \"b\", \"size\": 1}]",
         "a.in=0x01 b=0x02"},
        {"\x01\x05\x03sub\x00\x00\x00\x01\x02", 11,
         "\"fields\": [{\"name\": \"a\", \"size\": 1}], \"subsections\": [{\"vmsd_name\": \"sub\","
         " \"version\": 1, \"fields\": [{\"name\": \"b\", \"size\": 1}]}]",
         "a=0x01 sub/b=0x02"},
        {"\x01", 1, "\"fields\": [{\"name\": \"a\", \"size\": 1}, {\"name\": \"e\", \"size\": 0}]",
         "a=0x01 e=nothing"},
        {"", 0, "\"fields\": []", ""},
        /* The description does not account for the bytes. */
        {"\x01\x02\x03", 3, "\"fields\": [{\"name\": \"a\", \"size\": 1}]",
         "a=0x01 (not described)=0x0203"},
        {"\x01", 1, "\"fields\": [{\"name\": \"a\", \"size\": 2}]", "(not described)=0x01"},
        {"\x01", 1, "\"fields\": [{\"name\": \"a\"}]", "(not described)=0x01"},
        {"\x01", 1, "\"fields\": [{\"name\": \"a\", \"size\": -1}]", "(not described)=0x01"},
        {"\x01\x02", 2,
         "\"fields\": [{\"name\": \"s\", \"size\": 2, \"struct\": {\"fields\": [{\"name\": \"a\", "
         "\"size\": 1}]}}, {\"name\": \"b\", \"size\": 1}]",
         "s.a=0x01 (not described)=0x02"},
        {"\x01\x05\x03sub\x00\x00\x00\x01\x02", 11,
         "\"fields\": [{\"name\": \"a\", \"size\": 1}], \"subsections\": [{\"vmsd_name\": "
         "\"other\","
         " \"fields\": []}]",
         "a=0x01 (not described)=0x05037375620000000102"},
        {"\x01", 1, "\"fields\": [{\"name\": \"a\", \"array_len\": 4000000000, \"size\": 0}]",
         "(not described)=0x01"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_stream_fields *fields =
            device(rows[i].bytes, rows[i].length, rows[i].members);
        expect_fields(fields, rows[i].fields);
        godwit_stream_fields_free(fields);
    }
}

/* What no QEMU sends. */
static void test_refused(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct godwit_stream_fields *fields = godwit_stream_fields_new();
    assert_false(take_description(fields, "{", &error));
    assert_contains(error->message, "the description is not JSON");
    g_clear_error(&error);
    assert_false(take_description(fields, "{\"devices\": [{\"name\": \"x\"}]}", &error));
    assert_string_equal(error->message, "the description lists \"x 0\", which is not a section");
    godwit_stream_fields_free(fields);

    /* Structures in structures without end. */
    g_autoptr(GString) deep = g_string_new("{\"name\": \"a\", \"size\": 1}");
    for (int i = 0; i < 100; i++) {
        g_string_prepend(deep, "{\"name\": \"s\", \"size\": 1, \"struct\": {\"fields\": [");
        g_string_append(deep, "]}}");
    }
    g_autofree char *members = g_strdup_printf("\"fields\": [%s]", deep->str);
    fields = device("\x01", 1, members);
    expect_fields(fields, "(not described)=0x01");
    godwit_stream_fields_free(fields);
}

/* Values, fields and sections that one side lacks, and other names for the same bytes. */
static void test_compare(void **state)
{
    (void)state;
    static const char a[] = "\"fields\": [{\"name\": \"a\", \"size\": 1}, {\"name\": \"b\", "
                            "\"size\": 1}]";
    static const char renamed[] = "\"fields\": [{\"name\": \"a\", \"size\": 1}, {\"name\": \"c\", "
                                  "\"size\": 1}]";
    static const char shorter[] = "\"fields\": [{\"name\": \"a\", \"size\": 1}]";
    static const char whole[] = "\"fields\": [{\"name\": \"all\", \"size\": 2}]";
    static const struct {
        const char *before, *after, *members, *other, *text;
        size_t length;
    } rows[] = {
        {"\x01\x02", "\x01\x02", a, a, "", 2},
        {"\x01\x02", "\x01\x03", a, a, "d 0: b 0x02 -> 0x03", 2},
        {"\x01\x02", "\x01\x02", a, renamed, "", 2},
        {"\x01\x02", "\x01\x03", a, renamed, "d 0: b 0x02 -> 0x03", 2},
        {"\x01\x02", "\x01\x02", a, whole, "", 2},
        {"\x01\x02", "\x01", a, shorter, "d 0: b only before", 1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_stream_fields *before = device(rows[i].before, 2, rows[i].members);
        struct godwit_stream_fields *after = device(rows[i].after, rows[i].length, rows[i].other);
        expect_differences(before, after, rows[i].text);
        godwit_stream_fields_free(before);
        godwit_stream_fields_free(after);
    }
    struct godwit_stream_fields *before = device("\x01\x02", 2, a);
    struct godwit_stream_fields *none = godwit_stream_fields_new();
    expect_differences(before, none, "d 0: only before");
    expect_differences(none, before, "d 0: only after");
    godwit_stream_fields_free(before);
    godwit_stream_fields_free(none);
    struct godwit_stream_fields *longer = device("\x01\x02", 2, shorter);
    struct godwit_stream_fields *short_ = device("\x01", 1, shorter);
    expect_differences(short_, longer, "d 0: (not described) only after");
    godwit_stream_fields_free(longer);
    godwit_stream_fields_free(short_);
}

/* A long value is quoted from its first difference on. */
static void test_long(void **state)
{
    (void)state;
    char one[64] = {0}, other[64] = {0};
    other[40] = 7;
    static const char members[] = "\"fields\": [{\"name\": \"a\", \"size\": 64}]";
    struct godwit_stream_fields *before = device(one, sizeof(one), members);
    struct godwit_stream_fields *after = device(other, sizeof(other), members);
    expect_differences(before, after,
                       "d 0: a 64 bytes, at 40: 0x00000000000000000000000000000000... -> "
                       "64 bytes, at 40: 0x07000000000000000000000000000000...");
    godwit_stream_fields_free(before);
    godwit_stream_fields_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
