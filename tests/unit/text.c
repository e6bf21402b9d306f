/*
 * Text of foreign origin: what of it is shown, as which word a shell reads it, what JSON makes of
 * it, and which line of it is the reason of a failure.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/text.h"
#include "base/json.h"
#include "base/shell.h"
#include <string.h>

#include "unit.h"
#include <gio/gio.h>

static void test_tame(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tame, *line;
    } rows[] = {
        {"", "", ""},
        {"plain, \xc3\xa4 \xe2\x82\xac \\x1b", "plain, \xc3\xa4 \xe2\x82\xac \\x1b",
         "plain, \xc3\xa4 \xe2\x82\xac \\x1b"},
        {"a\n\tb", "a\n\tb", "a  b"},
        {"\x01\x1b[31m\r\x7f\v\f", "\\x01\\x1b[31m\\x0d\\x7f\\x0b\\x0c",
         "\\x01\\x1b[31m\\x0d\\x7f\\x0b\\x0c"},
        {"\xc2\x85\xc2\x9b", "\\u{0085}\\u{009b}", "\\u{0085}\\u{009b}"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}", "\\u{2028}\\u{2029}"},
        {"\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf", "\\u{202e}\\u{2066}\\u{061c}\\u{feff}",
         "\\u{202e}\\u{2066}\\u{061c}\\u{feff}"},
        {"\xef\xbf\xbe\xef\xb7\x90", "\\u{fffe}\\u{fdd0}", "\\u{fffe}\\u{fdd0}"},
        {"\xf3\xa0\x81\x81", "\\u{e0041}", "\\u{e0041}"},
        {"\xff\xc3(\xed\xa0\x80\xe2\x82", "\\xff\\xc3(\\xed\\xa0\\x80\\xe2\\x82",
         "\\xff\\xc3(\\xed\\xa0\\x80\\xe2\\x82"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *tame = godwit_text_tame(rows[i].text);
        g_autofree char *line = godwit_text_line(rows[i].text);
        g_autofree char *again = godwit_text_tame(tame);
        assert_string_equal(tame, rows[i].tame);
        assert_string_equal(line, rows[i].line);
        assert_string_equal(again, tame);
        assert_true(godwit_text_is_tame(line));
        assert_int_equal(godwit_text_is_tame(rows[i].text), !strcmp(rows[i].text, line));
    }
}

/* Whatever the bytes are, the result is UTF-8 without anything that is obeyed. */
static void test_tame_random(void **state)
{
    (void)state;
    GRand *random = g_rand_new_with_seed(1);
    for (int i = 0; i < 20000; i++) {
        char text[24];
        const int length = g_rand_int_range(random, 0, sizeof(text) - 1);
        for (int k = 0; k < length; k++)
            text[k] = (char)g_rand_int_range(random, 1, 256);
        text[length] = '\0';
        g_autofree char *line = godwit_text_line(text);
        assert_true(g_utf8_validate(line, -1, NULL));
        for (const char *c = line; *c; c = g_utf8_next_char(c))
            if (g_unichar_iscntrl(g_utf8_get_char(c)) ||
                g_unichar_type(g_utf8_get_char(c)) == G_UNICODE_FORMAT)
                fail_msg("U+%04X in \"%s\"", g_utf8_get_char(c), line);
    }
    g_rand_free(random);
}

/* A shell reads each word as what it was made of, and runs none of it. */
static void test_shell(void **state)
{
    static const char *const words[] = {
        "",
        "plain-word_1.2/x",
        "-x",
        "a b",
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned",
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "a\nb",
        "\x1b[31m'$(touch pwned)'%s%n\\n\\",
        "-\x01",
        "\xff\xfe \xe2\x80\xae",
        "*?[a]{b,c}~!#&|<>",
        "\xc3\xa4",
    };
    g_autoptr(GString) script = g_string_new("said() { printf '%s\\0' \"$@\"; }\nsaid");
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        godwit_shell_append(script, words[i]);
    godwit_shell_append_option(script, "--option", words[4]);
    assert_null(strchr(strchr(script->str, '\n') + 1, '\n'));
    assert_true(g_utf8_validate(script->str, -1, NULL));
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", script->str, NULL};
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_subprocess_launcher_set_cwd(launcher, *state);
    g_autoptr(GSubprocess) shell =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)argv, NULL);
    g_autoptr(GBytes) out = NULL;
    assert_true(g_subprocess_communicate(shell, NULL, NULL, &out, NULL, NULL));
    gsize length;
    const char *said = g_bytes_get_data(out, &length);
    const char *end = said + length;
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        assert_true(said < end);
        assert_string_equal(said, words[i]);
        said += strlen(said) + 1;
    }
    assert_string_equal(said, "--option");
    assert_string_equal(said + strlen(said) + 1, words[4]);
    g_autofree char *pwned = g_build_filename(*state, "pwned", NULL);
    assert_false(g_file_test(pwned, G_FILE_TEST_EXISTS));
}

/* Nothing that is said makes a value disappear. */
static void test_json(void **state)
{
    (void)state;
    json_t *borrowed = json_integer(7);
    g_autoptr(json_t) value = json_pack(
        "{s:s, s:s*, s:s*, s:s, s:i, s:I, s:f, s:b, s:[i, s], s:{}, s:[], s:o, s:O, s:O*}", "bad",
        "a\xff\xe2\x82z", "absent", NULL, "there", "x", "nothing", NULL, "i", -1, "I",
        (json_int_t)1 << 40, "f", 0.5, "b", 1, "list", 2, "\xfe", "object", "array", "o",
        json_true(), "O", borrowed, "none", NULL);
    json_decref(borrowed);
    assert_non_null(value);
    g_autofree char *text = godwit_json_dump(value, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text,
                        "{\"I\":1099511627776,\"O\":7,\"array\":[],\"b\":true,\"bad\":"
                        "\"a\\\\xff\\\\xe2\\\\x82z\",\"f\":0.5,\"i\":-1,\"list\":[2,"
                        "\"\\\\xfe\"],\"nothing\":null,\"o\":true,\"object\":{},\"there\":\"x\"}");
    g_autoptr(json_t) not_a_number = json_pack("[f]", 0.0 / 0.0 * -1);
    assert_int_equal(json_array_size(not_a_number), 1);
    assert_null(json_string(NULL));
    g_autoptr(json_t) wild = json_string("\x1b\x7f\xc2\x9b\xe2\x80\xae\n");
    g_autofree char *dumped = godwit_json_dump(wild, JSON_ENCODE_ANY);
    assert_string_equal(dumped, "\"\\u001B\\u007f\\u009B\\u202E\\n\"");
    g_autoptr(json_t) back = json_loads(dumped, JSON_DECODE_ANY, NULL);
    assert_true(json_equal(back, wild));
}

/* The lines are QEMU's own, of 7.2 to 11.1. */
static void test_reason(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *reason;
    } rows[] = {
        {"", NULL},
        {"\n  \n", NULL},
        {"qemu: warning: TCG doesn't support it\n", "qemu: warning: TCG doesn't support it"},
        {"qemu: Unknown section or instance 'x' 0. Make sure\nqemu: load of migration failed: "
         "Invalid argument",
         "qemu: Unknown section or instance 'x' 0. Make sure"},
        {"qemu: cpu: incoming version_id 5 is too old for local minimum version_id  10\n"
         "qemu: load of migration failed: Invalid argument",
         "qemu: cpu: incoming version_id 5 is too old for local minimum version_id  10"},
        {"qemu: load of migration failed: Input/output error\n",
         "qemu: load of migration failed: Input/output error"},
        {"one\ntwo\nqemu: warning: three\n", "two"},
        {"sh: ssh: not found\ngodwit: qemu on the other host (ssh b): lost: sh: ssh: not found\n",
         "godwit: qemu on the other host (ssh b): lost: sh: ssh: not found"},
        {"qemu: warning: error of no account\nqemu: error while loading state for instance 0x0 of "
         "device 'cpu'\nqemu: load of migration failed: Operation not permitted",
         "qemu: error while loading state for instance 0x0 of device 'cpu'"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *reason = godwit_text_reason(rows[i].lines);
        if (rows[i].reason)
            assert_string_equal(reason, rows[i].reason);
        else
            assert_null(reason);
    }
}

static void test_last_lines(void **state)
{
    static const struct {
        const char *text;
        unsigned lines;
        const char *last;
    } rows[] = {
        {"", 3, ""},
        {"one", 1, "one"},
        {"one\ntwo", 1, "two"},
        {"one\ntwo", 2, "one\ntwo"},
        {"one\ntwo\nthree", 2, "two\nthree"},
        {"one", 9, "one"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_string_equal(godwit_text_last_lines(rows[i].text, rows[i].lines), rows[i].last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tame),   cmocka_unit_test(test_tame_random),
        cmocka_unit_test(test_shell),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_reason), cmocka_unit_test(test_last_lines),
    };
    return cmocka_run_group_tests_name("text", tests, unit_folder, unit_folder_end);
}
