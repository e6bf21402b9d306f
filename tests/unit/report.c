/*
 * Reports: every format given the same results, the nasty ones too, and read back as its readers
 * read it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/report.h"
#include "report/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* What a QEMU can say, and JSON can hand on: markup and its ends, quotes, directives and plans of
 * TAP, control characters, no characters, a long way round a terminal. */
#define NASTY                                                                                      \
    "<b a='1'>&amp; ]]> \"q\" 'q' # SKIP no # TODO no\nok 99 - not mine\n1..7\n  ...\n---\n"       \
    "Bail out!\n\x01\x1b[31m\r\x7f\t\xc2\x85 \xc3\xa4 \xef\xbf\xbe\xef\xbf\xbf %s %n \\"

static json_t *result_new(const char *status, const char *message)
{
    json_t *result = json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:{}, s:[], s:s}", "status",
                               status, "message", message, "arch", "ppc64", "scenario",
                               "precopy/unix/plain", "ms", 1234.5, "repetition", 1, "repetitions",
                               1, "measurements", "vms", "again", "godwit run");
    assert_non_null(result);
    return result;
}

static json_t *pass_new(const char *status)
{
    json_t *result = result_new(status, "");
    json_object_set_new(result, "measurements",
                        json_pack("{s:{}, s:{s:i, s:i, s:i}}", "live", "migration",
                                  "dirty-sync-count", 4, "transferred", 3 << 20, "downtime", 17));
    json_object_set_new(result, "oracles",
                        json_pack("[{s:s, s:i, s:i}, {s:s, s:i}]", "name", "twin", "bytes", 1000,
                                  "different", 8, "name", "page-order", "pages", 50));
    if (!strcmp(status, "known"))
        json_object_set_new(json_object_get(result, "measurements"), "known_bugs",
                            json_pack("[{s:s, s:s, s:s, s:s}]", "id", "some-bug", "summary",
                                      "it <forgets>", "reference", "never fixed", "seen", "here"));
    return result;
}

static json_t *fail_new(const char *status, const char *text)
{
    json_t *result = result_new(status, text);
    json_object_set_new(result, "phase", json_string("migrate"));
    json_object_set_new(result, "folder", json_string("/tmp/x"));
    json_object_set_new(result, "vms",
                        json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s, s:s}]", "name", "source",
                                  "version", "7.2.0", "state", "was running", "stderr", text,
                                  "console", "ABB", "qmp", "one\ntwo", "command", "qemu -x"));
    return result;
}

#define PROOF "992 bytes equal, 50 pages in order, live, 4 iterations, 3.0 MiB sent, downtime 17 ms"

/* One of each, and what they sum up to. */
static GPtrArray *all_new(void)
{
    GPtrArray *results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_ptr_array_add(results, pass_new("pass"));
    g_ptr_array_add(results, pass_new("known"));
    g_ptr_array_add(results, fail_new("fail", NASTY));
    g_ptr_array_add(results, result_new("skip", NASTY));
    g_ptr_array_add(results, fail_new("error", "no\nhope"));
    json_object_set_new(g_ptr_array_index(results, 4), "repetition", json_integer(2));
    json_object_set_new(g_ptr_array_index(results, 4), "repetitions", json_integer(0));
    return results;
}

static const struct godwit_summary all_summary = {
    .passed = 1, .known = 1, .failed = 1, .skipped = 1, .errors = 1, .planned = 5, .seconds = 6.25};

/* Reports the results, as a run does. */
static void report_to(struct godwit_reporter *reporter, const GPtrArray *results,
                      const struct godwit_summary *summary)
{
    reporter->planned = summary->planned;
    if (reporter->begin)
        reporter->begin(reporter, summary->planned);
    for (guint i = 0; i < results->len; i++)
        if (reporter->result)
            reporter->result(reporter, g_ptr_array_index(results, i));
    if (reporter->end)
        reporter->end(reporter, summary);
}

/* The report in that format; the caller's. */
static char *report(void **state, const char *format, const GPtrArray *results,
                    const struct godwit_summary *summary)
{
    g_autofree char *where = g_strdup_printf("%s:%s/report", format, (char *)*state);
    struct godwit_reporter *reporter = godwit_reporter_new(where, NULL);
    assert_non_null(reporter);
    assert_false(reporter->live);
    report_to(reporter, results, summary);
    assert_true(godwit_reporter_close(reporter, NULL));
    char *text = unit_take(state, "report", NULL);
    assert_true(g_utf8_validate(text, -1, NULL));
    return text;
}

static char *report_all(void **state, const char *format)
{
    g_autoptr(GPtrArray) results = all_new();
    return report(state, format, results, &all_summary);
}

/* No byte that a terminal would take for more than text. */
static void expect_tame(const char *text)
{
    for (const char *c = text; *c; c = g_utf8_next_char(c))
        if ((g_unichar_iscntrl(g_utf8_get_char(c)) && *c != '\n' && *c != '\t') ||
            g_unichar_type(g_utf8_get_char(c)) == G_UNICODE_FORMAT)
            fail_msg("U+%04X is in \"%.20s\"", g_utf8_get_char(c), c);
}

/* TAP: points numbered from 1, nothing between them but blocks of YAML, a spec that fits. */
struct tap {
    unsigned points, passed, skipped, blocks, bails;
    int spec; /* -1: none */
};

static struct tap read_tap(const char *text)
{
    struct tap tap = {.spec = -1};
    bool block = false;
    expect_tame(text);
    assert_true(g_str_has_suffix(text, "\n"));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_string_equal(lines[0], "TAP version 13");
    for (guint i = 1; lines[i + 1]; i++) {
        unsigned number;
        if (g_str_has_prefix(lines[i], "    ")) {
            assert_true(block);
        } else if (!strcmp(lines[i], "  ---")) {
            assert_false(block);
            block = true;
            tap.blocks++;
        } else if (!strcmp(lines[i], "  ...")) {
            assert_true(block);
            block = false;
        } else if (g_str_has_prefix(lines[i], "  ")) {
            assert_true(block);
            assert_non_null(strchr(lines[i], ':'));
        } else if (sscanf(lines[i], "ok %u - ", &number) == 1 ||
                   sscanf(lines[i], "not ok %u - ", &number) == 1) {
            assert_false(block);
            assert_int_equal(number, ++tap.points);
            assert_true(tap.spec < 0);
            tap.passed += lines[i][0] == 'o';
            tap.skipped += strstr(lines[i], " # SKIP ") != NULL;
        } else if (sscanf(lines[i], "1..%u", &number) == 1) {
            assert_false(block);
            assert_true(tap.spec < 0);
            tap.spec = (int)number;
        } else if (g_str_has_prefix(lines[i], "Bail out! ")) {
            tap.bails++;
        } else {
            fail_msg("line %u: \"%s\"", i + 1, lines[i]);
        }
    }
    assert_false(block);
    return tap;
}

static void test_tap(void **state)
{
    g_autofree char *text = report_all(state, "tap");
    const struct tap tap = read_tap(text);
    assert_int_equal(tap.points, 5);
    assert_int_equal(tap.passed, 3);
    assert_int_equal(tap.skipped, 1);
    assert_int_equal(tap.blocks, 4);
    assert_int_equal(tap.spec, 5);
    assert_int_equal(tap.bails, 0);
    assert_contains(text, "\nok 1 - ppc64 precopy/unix/plain\n  ---\n  duration_ms: 1234.5\n"
                          "  proof: '" PROOF "'\n  ...\nok 2 - ");
    assert_contains(text,
                    "  known_bugs: |\n    QEMU bug some-bug: it <forgets>\n"
                    "      seen here: here\n      never fixed; see docs/known-bugs.md\n  ...");
    assert_contains(text, "\nnot ok 3 - ppc64 precopy/unix/plain\n");
    assert_contains(text, "\n             ok 99 - not mine\n");
    assert_contains(text, "\nok 4 - ppc64 precopy/unix/plain # SKIP <b a='1'>");
    assert_contains(text, "\nnot ok 5 - ppc64 precopy/unix/plain, repetition 2\n");
}

/* The points that a result consists of come before it and are numbered with it. */
static void test_tap_checks(void **state)
{
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    json_t *result = fail_new("fail", "x");
    json_object_set_new(
        json_object_get(result, "measurements"), "checks",
        json_pack("[{s:s}, {s:s, s:s}]", "name", "first", "name", "second", "problem", "bad"));
    g_ptr_array_add(results, result);
    g_ptr_array_add(results, pass_new("pass"));
    const struct godwit_summary summary = {.passed = 1, .failed = 1, .planned = 2};
    g_autofree char *text = report(state, "tap", results, &summary);
    const struct tap tap = read_tap(text);
    assert_int_equal(tap.points, 4);
    assert_int_equal(tap.passed, 2);
    assert_int_equal(tap.spec, 4);
    assert_contains(text, "\nok 1 - ppc64 precopy/unix/plain: first\n"
                          "not ok 2 - ppc64 precopy/unix/plain: second\n"
                          "not ok 3 - ppc64 precopy/unix/plain\n");
}

/* Whatever the end, the spec fits the points. */
static void test_tap_ends(void **state)
{
    static const struct godwit_summary summaries[] = {
        {.failed = 1, .planned = 1},
        {.failed = 1}, /* an endless one that found a failure */
        {.failed = 1, .planned = 1, .interrupted = true},
    };
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (size_t i = 0; i < G_N_ELEMENTS(summaries); i++) {
        g_ptr_array_set_size(results, 0);
        g_ptr_array_add(results, fail_new("fail", "x"));
        g_autofree char *text = report(state, "tap", results, &summaries[i]);
        const struct tap tap = read_tap(text);
        assert_int_equal(tap.spec, 1);
        assert_int_equal(tap.bails, 0);
    }
    const struct godwit_summary nothing = {0};
    g_ptr_array_set_size(results, 0);
    g_autofree char *text = report(state, "tap", results, &nothing);
    assert_string_equal(text, "TAP version 13\n1..0\n");
}

/* Nothing that a result quotes is a line of TAP, nor a directive. */
static void test_tap_injected(void **state)
{
    static const struct {
        const char *status, *key, *measurements;
    } rows[] = {
        {"known", "known_bugs",
         "[{\"id\": \"b\\nok 7 - forged\", \"summary\": \"s\\nBail out! forged\", \"seen\": "
         "\"here\\n  ...\\nok 8 - forged\\n1..1\", \"reference\": \"r\\nnot ok 9 - forged\"}]"},
        {"fail", "checks",
         "[{\"name\": \"a # SKIP no\\nok 7\\\\\", \"problem\": \"x\"}, {\"name\": \"b\", \"skip\": "
         "\"why\\nok 8 # TODO\"}, {\"name\": \"c\", \"known\": \"bug\\nBail out!\"}]"},
        {"pass", "fault", "\"it's\\n  ...\\nok 7 - forged\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
        json_t *result = result_new(rows[i].status, "m\n  ...\nok 6");
        json_t *measurements = json_loads(rows[i].measurements, JSON_DECODE_ANY, NULL);
        assert_non_null(measurements);
        json_object_set_new(json_object_get(result, "measurements"), rows[i].key, measurements);
        json_object_set_new(result, "target", json_string("x86_64 1.2.3\nok 5 # SKIP"));
        json_object_set_new(result, "folder", json_string("/x\nok 4"));
        g_ptr_array_add(results, result);
        const struct godwit_summary summary = {.failed = 1, .planned = 1};
        g_autofree char *text = report(state, "tap", results, &summary);
        const struct tap tap = read_tap(text);
        assert_int_equal(tap.points, i == 1 ? 4 : 1);
        assert_int_equal(tap.skipped, i == 1);
        assert_int_equal(tap.spec, (int)tap.points);
        assert_contains(text, " - x86_64 1.2.3 ok 5 \\# SKIP precopy");
    }
}

/* What an XML reader saw. */
struct xml {
    unsigned properties; /* known bugs */
    unsigned cases, failures, errors, skips, outputs;
    bool suite;
    GString *text;    /* of the failure that was met first */
    char *skip;       /* message */
    char *name, *out; /* of the last case, of the first output */
};

static const char *attribute(const char **names, const char **values, const char *name)
{
    for (size_t i = 0; names[i]; i++)
        if (!strcmp(names[i], name))
            return values[i];
    fail_msg("no attribute %s", name);
    return NULL;
}

static void xml_start(GMarkupParseContext *context, const char *element, const char **names,
                      const char **values, gpointer data, GError **error)
{
    struct xml *xml = data;
    (void)context;
    (void)error;
    if (!strcmp(element, "testsuite")) {
        xml->suite = true;
        assert_string_equal(attribute(names, values, "tests"), "5");
        assert_string_equal(attribute(names, values, "failures"), "1");
        assert_string_equal(attribute(names, values, "errors"), "1");
        assert_string_equal(attribute(names, values, "skipped"), "1");
        assert_string_equal(attribute(names, values, "time"), "6.250");
    } else if (!strcmp(element, "testcase")) {
        xml->cases++;
        assert_string_equal(attribute(names, values, "classname"), "ppc64");
        assert_string_equal(attribute(names, values, "time"), "1.234");
        g_free(xml->name);
        xml->name = g_strdup(attribute(names, values, "name"));
    } else if (!strcmp(element, "failure")) {
        xml->failures++;
        assert_contains(attribute(names, values, "message"), "<b a='1'>&amp; ]]> \"q\" 'q' #");
    } else if (!strcmp(element, "error")) {
        xml->errors++;
    } else if (!strcmp(element, "skipped")) {
        xml->skips++;
        g_free(xml->skip);
        xml->skip = g_strdup(attribute(names, values, "message"));
    } else if (!strcmp(element, "system-out")) {
        xml->outputs++;
    } else if (!strcmp(element, "property")) {
        xml->properties++;
        assert_string_equal(attribute(names, values, "name"), "known-bug");
    } else if (strcmp(element, "properties") != 0) {
        assert_string_equal(element, "testsuites");
    }
}

static void xml_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data,
                     GError **error)
{
    struct xml *xml = data;
    const char *element = g_markup_parse_context_get_element(context);
    (void)error;
    if (!strcmp(element, "failure"))
        g_string_append_len(xml->text, text, (gssize)length);
    if (!strcmp(element, "system-out") && !xml->out)
        xml->out = g_strndup(text, length);
}

static void test_junit(void **state)
{
    g_autofree char *text = report_all(state, "junit");
    struct xml xml = {.text = g_string_new(NULL)};
    const GMarkupParser parser = {.start_element = xml_start, .text = xml_text};
    GMarkupParseContext *context =
        g_markup_parse_context_new(&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, &xml, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_markup_parse_context_parse(context, text, -1, &error) ||
        !g_markup_parse_context_end_parse(context, &error))
        fail_msg("%s", error->message);
    g_markup_parse_context_free(context);
    assert_true(g_str_has_prefix(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    assert_true(xml.suite);
    assert_int_equal(xml.cases, 5);
    assert_int_equal(xml.failures, 1);
    assert_int_equal(xml.errors, 1);
    assert_int_equal(xml.skips, 1);
    assert_true(xml.properties > 0);
    assert_int_equal(xml.outputs, 2);
    assert_string_equal(xml.out, PROOF);
    assert_string_equal(xml.name, "precopy/unix/plain #2");
    assert_contains(xml.text->str, "what     <b a='1'>&amp; ]]> \"q\"");
    assert_contains(xml.text->str, "\n           two\n");
    assert_contains(xml.skip, "\xc3\xa4");
    /* What XML forbids, raw or as a reference, GMarkup would let pass. */
    for (const char *c = text; *c; c++)
        assert_true((unsigned char)*c >= ' ' || *c == '\n' || *c == '\t');
    static const char *const forbidden[] = {"&#x1;", "&#x1b;",       "&#xb;",
                                            "&#x0;", "\xef\xbf\xbe", "\xef\xbf\xbf"};
    for (size_t i = 0; i < G_N_ELEMENTS(forbidden); i++)
        assert_null(strstr(text, forbidden[i]));
    g_string_free(xml.text, TRUE);
    g_free(xml.skip);
    g_free(xml.name);
    g_free(xml.out);
}

static void test_json(void **state)
{
    g_autoptr(GPtrArray) results = all_new();
    struct godwit_summary summary = all_summary;
    summary.interrupted = true;
    g_autofree char *text = report(state, "json", results, &summary);
    g_autoptr(json_t) document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    assert_int_equal(godwit_json_integer(document, "format", 0), 1);
    const json_t *sum = json_object_get(document, "summary");
    static const struct {
        const char *key;
        json_int_t value;
    } numbers[] = {{"passed", 1}, {"known", 1}, {"failed", 1}, {"skipped", 1}, {"errors", 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        assert_int_equal(godwit_json_integer(sum, numbers[i].key, -1), numbers[i].value);
    assert_true(json_number_value(json_object_get(sum, "seconds")) > 6.24);
    assert_true(json_number_value(json_object_get(sum, "seconds")) < 6.26);
    assert_true(godwit_json_true(sum, "interrupted"));
    const json_t *list = json_object_get(document, "results");
    assert_int_equal(json_array_size(list), results->len);
    for (guint i = 0; i < results->len; i++)
        assert_true(json_equal(json_array_get(list, i), g_ptr_array_index(results, i)));
}

/* JSON keeps numbers as they were, to the limits. */
static void test_json_numbers(void **state)
{
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    json_t *result = pass_new("pass");
    json_object_set_new(result, "large", json_integer(INT64_MAX));
    g_ptr_array_add(results, result);
    const struct godwit_summary summary = {.passed = 4000000, .planned = 1};
    g_autofree char *text = report(state, "json", results, &summary);
    assert_contains(text, "9223372036854775807");
    assert_contains(text, "\"passed\": 4000000");
    assert_contains(text, "\"interrupted\": false");
}

static void test_text(void **state)
{
    g_autofree char *text = report_all(state, "text");
    expect_tame(text);
    assert_true(g_str_has_prefix(
        text, "ok    ppc64    precopy/unix/plain                     1.23 s  " PROOF "\n"
              "known ppc64    precopy/unix/plain                     1.23 s  " PROOF "\n"
              "      some-bug: here\n"
              "FAIL  ppc64    precopy/unix/plain                     1.23 s\n"
              "      what     <b a='1'>&amp; "));
    assert_contains(text,
                    "\nskip  ppc64    precopy/unix/plain                     1.23 s  <b a='1'>");
    assert_contains(text, "\nERROR ppc64    precopy/unix/plain                     1.23 s\n"
                          "      what     no\n"
                          "               hope\n"
                          "      phase    migrate\n"
                          "      source   QEMU 7.2.0 was running\n"
                          "        stderr   no\n"
                          "                 hope\n"
                          "        console  ABB\n"
                          "      report   /tmp/x/report.txt\n"
                          "      again    ");
    assert_true(g_str_has_suffix(
        text, "\n1 passed, 1 failed, 1 skipped, 1 with a known bug of QEMU, 1 could not be run in "
              "6.2 s\n"
              "2000 bytes of guest RAM compared, source against destination\n"
              "100 pages found in the order that the guest wrote them\n"
              "known bug of QEMU some-bug: it <forgets>\n"
              "  never fixed; see docs/known-bugs.md\n"
              "  met by ppc64 precopy/unix/plain\n"
              "failed: ppc64 precopy/unix/plain\n"));
    /* A skipped result is one line. */
    assert_null(strstr(text, "\nok 99"));
}

/* A known bug is described once, when it is met first. */
static void test_text_known(void **state)
{
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    const struct godwit_summary summary = {.known = 3, .planned = 3};
    for (int i = 0; i < 3; i++)
        g_ptr_array_add(results, pass_new("known"));
    g_autofree char *text = report(state, "text", results, &summary);
    g_auto(GStrv) seen = g_strsplit(text, "\n      some-bug: here\n", -1);
    g_auto(GStrv) told = g_strsplit(text, "known bug of QEMU some-bug: it <forgets>\n", -1);
    g_auto(GStrv) again = g_strsplit(text, ", some-bug again\n", -1);
    assert_int_equal(g_strv_length(seen), 2);
    assert_int_equal(g_strv_length(again), 3);
    assert_int_equal(g_strv_length(told), 2);
    assert_contains(text, "0 passed, 0 failed, 0 skipped, 3 with a known bug of QEMU in");
    assert_contains(text, "\nfound: 1 known bug of QEMU, met in 3 of 3 results, and nothing else; "
                          "the guests survived (--strict makes that a failure)\nknown bug of QEMU");
    /* One that loses the guest is excused only on request. */
    json_t *measurements = json_object_get(g_ptr_array_index(results, 1), "measurements");
    json_object_set_new(measurements, "known_bugs",
                        json_pack("[{s:s, s:s, s:s, s:s, s:b}]", "id", "worse-bug", "summary", "it",
                                  "reference", "never", "seen", "here", "lost", true));
    g_autofree char *lost = report(state, "text", results, &summary);
    assert_contains(lost, "\nfound: 2 known bugs of QEMU, met in 3 of 3 results, and nothing else; "
                          "accepted (--accept-known), although a guest can be lost\n");
    /* Where something failed, that is what counts. */
    const struct godwit_summary failed = {.known = 3, .failed = 1, .planned = 4};
    g_autofree char *other = report(state, "text", results, &failed);
    assert_null(strstr(other, "found:"));
}

static void test_text_ends(void **state)
{
    static const struct {
        struct godwit_summary summary;
        const char *text;
    } rows[] = {
        {{.passed = 3, .seconds = 0.04}, "3 passed, 0 failed, 0 skipped in 0.0 s\n"},
        {{.failed = 2, .skipped = 1, .seconds = 61, .interrupted = true},
         "0 passed, 2 failed, 1 skipped in 61.0 s (interrupted)\n"},
        {{.errors = 7}, "0 passed, 0 failed, 0 skipped, 7 could not be run in 0.0 s\n"},
    };
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = report(state, "text", none, &rows[i].summary);
        assert_string_equal(text, rows[i].text);
    }
}

/* The bytes that a proof counts, and what it leaves out. */
static void test_proof(void **state)
{
    (void)state;
    static const struct {
        const char *oracles, *measurements, *proof;
    } rows[] = {
        {"[]", "{}", ""},
        {"[{\"name\": \"twin\", \"bytes\": 5}]", "{}", "5 bytes equal"},
        {"[{\"name\": \"twin\", \"bytes\": 157483008, \"different\": 8}]", "{}",
         "157483000 bytes equal"},
        {"[{\"name\": \"page-order\", \"pages\": 7}]", "{}", "7 pages in order"},
        {"[{\"name\": \"twin\", \"bytes\": 5}, {\"name\": \"page-order\", \"pages\": 7}]",
         "{\"live\": {\"address\": 1}}", "5 bytes equal, 7 pages in order, live"},
        {"[{\"name\": \"page-order\", \"pages\": 7}]",
         "{\"migration\": {\"dirty-sync-count\": 2, \"transferred\": 1572864, \"downtime\": 3}, "
         "\"blackout_ms\": 4.6, \"blackout_resolution_ms\": 2.1}",
         "7 pages in order, 2 iterations, 1.5 MiB sent, downtime 3 ms, blackout 5 ms"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) result = result_new("pass", "");
        json_object_set_new(result, "oracles", json_loads(rows[i].oracles, 0, NULL));
        json_object_set_new(result, "measurements", json_loads(rows[i].measurements, 0, NULL));
        g_autofree char *proof = godwit_report_proof(result);
        assert_string_equal(proof, rows[i].proof);
    }
    static const char *const statuses[] = {"pass", "known", "fail", "skip", "error", "", "PASS"};
    for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_autoptr(json_t) result = result_new(statuses[i], "");
        assert_int_equal(godwit_result_passed(result), i < 2);
    }
    g_autoptr(json_t) nothing = json_object();
    assert_false(godwit_result_passed(nothing));
}

/* A result of which nothing is known but that it is bad. */
static void test_empty_result(void **state)
{
    static const char *const formats[] = {"text", "tap", "junit", "json"};
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
        const struct godwit_summary summary = {.failed = 1, .planned = 1};
        static const char *const wanted[] = {"FAIL ", "not ok 1", "<failure ", "\"failed\": 1"};
        g_ptr_array_add(results, json_object());
        g_autofree char *text = report(state, formats[i], results, &summary);
        assert_contains(text, wanted[i]);
    }
}

static void test_formats(void **state)
{
    static const char *const unknown[] = {"", "TAP", "tap2", "ta", "xml", " tap", ":x", "xml:x"};
    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(godwit_reporter_new(unknown[i], &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, "(expected text, " GODWIT_REPORT_FORMATS ")");
    }
    g_autofree char *missing = g_strdup_printf("tap:%s/no/file", (char *)*state);
    const char *const unwritable[] = {"tap:", "junit:/", "json:/dev/null/x", missing};
    for (size_t i = 0; i < G_N_ELEMENTS(unwritable); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(godwit_reporter_new(unwritable[i], &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
        assert_true(g_str_has_prefix(error->message, "cannot write "));
    }
}

/* A report that does not fit on its disk is an error, whichever line it was. */
static void test_full_disk(void **state)
{
    (void)state;
    static const char *const formats[] = {"text:/dev/full", "tap:/dev/full", "junit:/dev/full",
                                          "json:/dev/full"};
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autoptr(GPtrArray) results = all_new();
        g_autoptr(GError) error = NULL;
        struct godwit_reporter *reporter = godwit_reporter_new(formats[i], NULL);
        assert_non_null(reporter);
        report_to(reporter, results, &all_summary);
        assert_false(godwit_reporter_close(reporter, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
        assert_string_equal(error->message, "cannot write /dev/full: No space left on device");
    }
}

/* One that is not to be leaves no file; what was no file before stays. */
static void test_discard(void **state)
{
    g_autofree char *where = g_strdup_printf("tap:%s/report", (char *)*state);
    struct godwit_reporter *reporter = godwit_reporter_new(where, NULL);
    assert_non_null(reporter);
    assert_int_equal(access(where + strlen("tap:"), F_OK), 0);
    godwit_reporter_discard(reporter);
    assert_int_not_equal(access(where + strlen("tap:"), F_OK), 0);
    godwit_reporter_discard(godwit_reporter_new("json:/dev/null", NULL));
    assert_int_equal(access("/dev/null", F_OK), 0);
}

/* Standard output is written to, and left open. */
static void test_standard_output(void **state)
{
    g_autoptr(GPtrArray) results = all_new();
    g_autofree char *path = g_build_filename(*state, "report", NULL);
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
    struct godwit_reporter *reporter = godwit_reporter_new("tap", NULL);
    if (reporter)
        report_to(reporter, results, &all_summary);
    const bool closed = reporter && godwit_reporter_close(reporter, NULL);
    const bool open_still = puts("more") >= 0 && fflush(stdout) == 0;
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    g_autofree char *text = unit_take(state, "report", NULL);
    assert_true(closed);
    assert_true(open_still);
    assert_true(g_str_has_suffix(text, "\n1..5\nmore\n"));
}

/* What arrives at a terminal that the report goes to; the caller's. */
static char *on_terminal(const json_t *progress)
{
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal));
    g_autofree char *where = g_strdup_printf("text:%s", ptsname(terminal));
    struct godwit_reporter *reporter = godwit_reporter_new(where, NULL);
    assert_non_null(reporter);
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_ptr_array_add(results, pass_new("pass"));
    const struct godwit_summary summary = {.passed = 1, .planned = 1};
    struct godwit_job *job = godwit_job_new();
    job->setup.machine = godwit_machine_find("ppc64");
    reporter->planned = 7;
    reporter->progress(reporter, job, progress);
    godwit_job_free(job);
    report_to(reporter, results, &summary);
    /* The report fits into the terminal's buffer. The kernel passes it on in pieces, when it likes:
     * only the terminal's end, after its last writer, shows that all of it has arrived. */
    assert_true(godwit_reporter_close(reporter, NULL));
    GString *text = g_string_new(NULL);
    char buffer[4096];
    for (ssize_t n; (n = read(terminal, buffer, sizeof(buffer))) > 0;)
        g_string_append_len(text, buffer, n);
    assert_int_equal(errno, EIO);
    close(terminal);
    return g_string_free(text, FALSE);
}

/* On a terminal there is a line that moves, and colour, unless the user wants none. */
static void test_terminal(void **state)
{
    (void)state;
    g_autoptr(json_t) progress =
        json_pack("{s:s, s:{s:i, s:i, s:f}}", "progress", "migrate", "migration", "pass", 3,
                  "remaining", 5 << 20, "mbps", 123.4);
#define LINE "[0/7] ppc64 migrate: migrate, iteration 3, 5.0 MiB left, 123 Mbit/s"
    g_setenv("TERM", "xterm", TRUE);
    g_unsetenv("NO_COLOR");
    g_autofree char *coloured = on_terminal(progress);
    assert_true(g_str_has_suffix(coloured, "in the order that the guest wrote them\r\n"));
    assert_true(g_str_has_prefix(coloured, "\r\033[K" LINE "\r\033[K\033[32mok   \033[0m ppc64"));
    g_setenv("NO_COLOR", "1", TRUE);
    g_autofree char *plain = on_terminal(progress);
    assert_true(g_str_has_prefix(plain, "\r\033[K" LINE "\r\033[Kok    ppc64"));
    g_setenv("NO_COLOR", "", TRUE);
    g_autofree char *empty = on_terminal(progress);
    assert_string_equal(empty, coloured);
    g_setenv("TERM", "dumb", TRUE);
    g_autofree char *dumb = on_terminal(progress);
    assert_true(g_str_has_prefix(dumb, "ok    ppc64"));
    assert_null(strchr(dumb, '\033'));
#undef LINE
}

/* HTML: well-formed, so that a reader of XML takes it; nothing of what others said is markup, and
 * nothing is fetched from anywhere. */
static void test_html(void **state)
{
    static const GMarkupParser parser = {NULL, NULL, NULL, NULL, NULL};
    g_autoptr(GPtrArray) results = all_new();
    json_t *bad = g_ptr_array_index(results, 2);
    json_object_set_new(bad, "timeline",
                        json_pack("[{s:f, s:s, s:s}]", "at", 0.25, "vm", NASTY, "what", NASTY));
    json_object_set_new(
        json_object_get(bad, "measurements"), "pages",
        json_pack("[{s:s, s:s, s:i}]", "vm", NASTY, "picture", "..s0mtf*<\"", "step", 3));
    g_autofree char *text = report(state, "html", results, &all_summary);
    expect_tame(text);
    assert_true(g_str_has_prefix(text, "<!DOCTYPE html>\n<html"));
    g_autofree char *body = g_strdup(strstr(text, "<body>"));
    *strstr(body, "</html>") = '\0';
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
    assert_true(g_markup_parse_context_parse(context, body, -1, NULL));
    assert_true(g_markup_parse_context_end_parse(context, NULL));
    g_markup_parse_context_free(context);
    static const char *const has[] = {
        "1 passed, 1 with a known bug of QEMU, 1 failed, 1 skipped, 1 could not be run, 0 not run; "
        "6.2 s.",
        "<td class=\"ok\">ok</td>",
        "<td class=\"known\">known</td>",
        "<td class=\"FAIL\">FAIL</td>",
        "<td class=\"skip\">skip</td>",
        "<td class=\"ERROR\">ERROR</td>",
        PROOF,
        "<a href=\"#r2\">",
        "<h2 id=\"r2\"",
        "&lt;b a=&apos;1&apos;&gt;",
        "<svg width=\"640\" height=\"10\"",
        " in 10 squares of 3: 2 right, 1 stale, 1 zero, 1 misplaced, 1 torn, 1 foreign, 3 of "
        "several kinds</title>",
        ">s</text>",
        "<p id=\"find\" hidden=\"hidden\">",
        "<script>\nconst find",
        "<td>0.250000</td>",
        "<summary>The whole report</summary>",
        "<th scope=\"row\">",
        "<td class=\"heat FAIL\"><a href=\"#w2\" title=\"1 FAIL, 1 ERROR, 1 known, 1 ok, 1 "
        "skip\">2/4</a>",
        "<tr id=\"w2\" class=\"r-FAIL r-t0\">",
        "<input type=\"checkbox\" id=\"b-FAIL\" checked=\"checked\"/><label for=\"b-FAIL\">FAIL "
        "(1)",
        "#b-FAIL:not(:checked)~.results .r-FAIL{display:none}"};
    for (size_t i = 0; i < G_N_ELEMENTS(has); i++)
        assert_contains(text, has[i]);
    size_t squares = 0;
    for (const char *at = text; (at = strstr(at, "<rect ")); at++)
        squares++;
    /* The area of the right ones, and the others. */
    assert_int_equal(squares, 1 + strlen("s0mtf*<\""));
    /* There is one script. */
    assert_null(strstr(strstr(text, "<script") + 1, "<script"));
    static const char *const no[] = {"<b a", "http", "src=", "url(", "<link"};
    for (size_t i = 0; i < G_N_ELEMENTS(no); i++)
        assert_null(strstr(text, no[i]));
}

/* What went wrong comes first, what was skipped last and folded away, however the run went. */
static void test_html_order(void **state)
{
    static const char *const statuses[] = {"skip", "pass", "skip", "known", "error", "fail"};
    static const char *const wanted[] = {
        ">FAIL<", ">ERROR<", ">known<", ">ok<", "<summary>2 skipped", ">skip<"};
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++)
        g_ptr_array_add(results, result_new(statuses[i], "m"));
    struct godwit_summary summary = all_summary;
    summary.skipped = 2;
    g_autofree char *text = report(state, "html", results, &summary);
    const char *at = text;
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        at = strstr(at, wanted[i]);
        if (!at)
            fail_msg("%s is not where it should be", wanted[i]);
    }
}

/* What was not run is in every report, and no report that has it is green. */
static void test_not_run(void **state)
{
    static const struct {
        const char *format, *part;
    } rows[] = {
        {"text", "ok    ppc64    precopy/unix/plain                     1.23 s  " PROOF "\n"
                 "ERROR ppc64    precopy/unix/plain                     1.23 s  not run: "
                 "interrupted\n1 passed, 0 failed, 0 skipped, 1 not run in 0.0 s (interrupted)\n"},
        {"tap", "not ok 2 - ppc64 precopy/unix/plain\n"},
        {"tap", "\n1..2\n"},
        {"junit", "<testsuite name=\"godwit\" tests=\"2\" failures=\"0\" errors=\"1\""},
        {"junit", "<error message=\"not run: interrupted\">"},
        {"json", "\"not_run\": 1"},
        {"html", "0 could not be run, 1 not run; 0.0 s, interrupted."},
        {"html", ">ERROR<"},
    };
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_ptr_array_add(results, pass_new("pass"));
    json_t *rest = result_new("error", "not run: interrupted");
    json_object_set_new(rest, "kind", json_string("not-run"));
    g_ptr_array_add(results, rest);
    const struct godwit_summary summary = {
        .passed = 1, .errors = 1, .not_run = 1, .planned = 2, .interrupted = true};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = report(state, rows[i].format, results, &summary);
        assert_contains(text, rows[i].part);
    }
}

/* A fault that was injected is named in every report, with what became of it. */
static void test_fault(void **state)
{
    static const char *const formats[] = {"text", "tap", "junit", "html"};
    static const struct {
        const char *result, *told;
    } rows[] = {
        {"{\"status\": \"pass\", \"fault\": \"flip-bit:page=1\", \"measurements\": {\"fault\": "
         "\"the "
         "relay "
         "flipped it\"}}",
         "flip-bit:page=1: the relay flipped it; not noticed"},
        {"{\"status\": \"known\", \"fault\": \"split\", \"measurements\": {\"fault\": \"the relay "
         "split\"}}",
         "split: the relay split; not noticed"},
        {"{\"status\": \"fail\", \"kind\": \"oracle\", \"fault\": \"flip-bit\", \"measurements\": "
         "{\"fault\": "
         "\"the relay flipped it\", \"found_by\": {\"oracle\": \"twin\", \"vm\": "
         "\"destination\"}}}",
         "flip-bit: the relay flipped it; found by twin on the destination"},
        {"{\"status\": \"fail\", \"kind\": \"crash\", \"fault\": \"magic\", \"measurements\": "
         "{\"fault\": "
         "\"the "
         "relay did\"}}",
         "magic: the relay did; noticed as a failure of kind \"crash\""},
        {"{\"status\": \"fail\", \"kind\": \"migration\", \"fault\": \"magic\", \"measurements\": "
         "{}}",
         "magic; it was not injected"},
        {"{\"status\": \"pass\", \"measurements\": {\"fault\": \"the relay did\", \"trial\": "
         "{\"seen\": "
         "{\"twin\": \"x\", \"guest\": \"y\"}}}}",
         "the relay did; found by twin, guest"},
        {"{\"status\": \"pass\", \"measurements\": {\"fault\": \"the relay did\", \"trial\": "
         "{\"seen\": "
         "{}, "
         "\"refused\": \"no magic\"}}}",
         "the relay did; refused by the destination: no magic"},
        {"{\"status\": \"pass\", \"measurements\": {\"fault\": \"the relay did\", \"trial\": "
         "{\"seen\": "
         "{}, "
         "\"why\": \"it is sent again\"}}}",
         "the relay did; not noticed: it is sent again"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
        json_t *result = json_loads(rows[i].result, 0, NULL);
        assert_non_null(result);
        g_ptr_array_add(results, result);
        const struct godwit_summary summary = {.planned = 1};
        for (size_t f = 0; f < G_N_ELEMENTS(formats); f++) {
            g_autofree char *text = report(state, formats[f], results, &summary);
            g_autofree char *escaped = g_markup_escape_text(rows[i].told, -1);
            assert_contains(text, f < 2 ? rows[i].told : escaped);
        }
        g_autofree char *bundle = godwit_report_bundle(result);
        assert_contains(bundle, rows[i].told);
    }
}

/* What a result quotes cannot look like a part of the report. */
static void test_bundle_injected(void **state)
{
    (void)state;
    g_autoptr(json_t) result = fail_new("fail", "wrong\nFiles\n-----\nforged");
    json_object_set_new(result, "machine", json_string("m\nFiles\n-----\n"));
    json_object_set_new(result, "folder", json_string("/x; touch pwned\n"));
    json_object_set_new(json_array_get(json_object_get(result, "vms"), 0), "state",
                        json_string("x\nThe destination\n---------------\n"));
    g_autofree char *text = godwit_report_bundle(result);
    g_auto(GStrv) files = g_strsplit(text, "\nFiles\n-----\n", -1);
    assert_int_equal(g_strv_length(files), 2);
    assert_null(strstr(text, "\nThe destination\n"));
    assert_contains(text, "precopy/unix/plain failed: wrong\n    Files\n    -----\n    forged.\n");
    expect_tame(text);
}

/* The report of a bundle: what is wrong comes first, everything is told, nothing is obeyed. */
static void test_bundle(void **state)
{
    (void)state;
    static const char *const text[] = {
        "precopy/unix/plain failed: twin: it is wrong.\n"
        "The oracle \"twin\" found it on the destination, in phase \"migrate\"; source QEMU "
        "1.2.3, "
        "destination QEMU 4.5.6.\n",
        "\nprecopy/unix/plain: live, over a unix socket.\nppc64, machine m, accelerator tcg, guest "
        "image "
        "i; Godwit 7.8.9.\n",
        "\n    cd /tmp/x/work\nsource:\n    qemu -x\n",
        "\nMemory of the destination, against that of the source: 3 pages of 4096 bytes are wrong: "
        "2 "
        "stale 1 zero.\n",
        "\n    0x0000100000  ..0ss\n",
        "\n    pc.ram+0x100000, page 0, from 0x100000: all zero\n"
        "    pc.ram+0x3000 to +0x4000: stale by 1 pass (modulo 256)\n    and 1 more\n",
        "\n  0.500000  source       MIGRATION active\n  1.250000  godwit       phase \"verify\"\n",
        "\n      12.5 ms  migrate\n",
        "\ntwin         157 bytes, 9 different\n",
        "\nThe guest made no progress for 12.3 ms, to within 2.1 ms; QEMU reports a downtime of "
        "11 "
        "ms.\n",
        "\nmailbox of CPU 0: passes 7, position 0x101000, timer 99, state fault\n"
        "  it found 0x05 at 0x100000 where 0x06 should be\n",
        "\nbacktrace:\n    #0  main\n",
        "\nThe source\n----------\n",
    };
    g_autoptr(json_t) result = fail_new("fail", "twin: it is wrong");
    g_autoptr(json_t) more = json_loads(
        "{\"kind\": \"oracle\", \"summary\": \"live, over a unix socket\", \"kit\": \"7.8.9\","
        " \"machine\": \"m\", \"accel\": \"tcg\", \"image\": \"i\", \"source_version\": \"1.2.3\","
        " \"destination_version\": \"4.5.6\", \"guest\": {\"window_start\": 1048576, "
        "\"window_end\":"
        " 1069056, \"page_size\": 4096, \"cpus\": 1, \"flags\": 2, \"mailbox\": 65536},"
        " \"phases\": [{\"name\": \"migrate\", \"at\": 1.0, \"ms\": 12.5}],"
        " \"oracles\": [{\"name\": \"twin\", \"bytes\": 157, \"different\": 9}],"
        " \"timeline\": [{\"at\": 0.5, \"vm\": \"source\", \"what\": \"MIGRATION active\"},"
        " {\"at\": 1.25, \"vm\": \"godwit\", \"what\": \"phase \\\"verify\\\"\"}],"
        " \"measurements\": {\"found_by\": {\"oracle\": \"twin\", \"vm\": \"destination\"},"
        " \"blackout_ms\": 12.34, \"blackout_resolution_ms\": 2.06, \"migration\": {\"downtime\": "
        "11},"
        " \"pages\": [{\"vm\": \"destination\", \"against\": \"source\", \"page_size\": 4096,"
        " \"pages\": 5, \"bad\": 4, \"listed\": 3, \"kinds\": {\"stale\": 2, \"zero\": 1},"
        " \"picture\": \"..0ss\", \"step\": 1, \"list\": [{\"block\": \"pc.ram\", \"offset\": "
        "1048576,"
        " \"count\": 1, \"page\": 0, \"address\": 1048576, \"text\": \"all zero\"}, {\"block\":"
        " \"pc.ram\", \"offset\": 12288, \"count\": 2, \"text\": \"stale by 1 pass (modulo "
        "256)\"}]}]}}",
        0, NULL);
    assert_non_null(more);
    json_object_update(result, more);
    json_object_set_new(
        json_array_get(json_object_get(json_object_get(result, "measurements"), "pages"), 0), "bad",
        json_integer(3));
    json_object_set_new(
        json_array_get(json_object_get(json_object_get(result, "measurements"), "pages"), 0),
        "listed", json_integer(2));
    json_t *vm = json_array_get(json_object_get(result, "vms"), 0);
    json_object_set_new(vm, "backtrace", json_string("#0  main"));
    json_object_set_new(vm, "mailboxes",
                        json_pack("[{s:i, s:i, s:i, s:i, s:i, s:{s:s}}]", "magic", 0x47444d42,
                                  "state", 3, "passes", 7, "position", 0x101000, "timer", 99,
                                  "fault", "text", "0x05 at 0x100000 where 0x06 should be"));
    g_autofree char *report_text = godwit_report_bundle(result);
    assert_true(g_str_has_prefix(report_text, text[0]));
    for (size_t i = 0; i < G_N_ELEMENTS(text); i++)
        assert_contains(report_text, text[i]);
    expect_tame(report_text);

    /* Whatever there is, and whatever is missing. */
    g_autoptr(GPtrArray) results = all_new();
    for (guint i = 0; i < results->len; i++) {
        g_autofree char *other = godwit_report_bundle(g_ptr_array_index(results, i));
        expect_tame(other);
    }
    g_autoptr(json_t) nothing = json_object();
    g_autofree char *empty = godwit_report_bundle(nothing);
    assert_contains(empty, " failed: ");
    g_autofree char *known = godwit_report_bundle(g_ptr_array_index(results, 1));
    assert_true(g_str_has_prefix(
        known,
        "precopy/unix/plain met the known QEMU bug some-bug, it <forgets>: here.\nEverything "
        "else holds"));
    g_autofree char *skipped = godwit_report_bundle(g_ptr_array_index(results, 3));
    assert_true(g_str_has_prefix(skipped, "precopy/unix/plain was skipped: it <b a='1'>"));
    g_autofree char *passed = godwit_report_bundle(g_ptr_array_index(results, 0));
    assert_true(g_str_has_prefix(passed, "precopy/unix/plain passed: 992 bytes equal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tap),          cmocka_unit_test(test_tap_checks),
        cmocka_unit_test(test_tap_ends),     cmocka_unit_test(test_tap_injected),
        cmocka_unit_test(test_junit),        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_numbers), cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_ends),    cmocka_unit_test(test_text_known),
        cmocka_unit_test(test_bundle),       cmocka_unit_test(test_html),
        cmocka_unit_test(test_html_order),   cmocka_unit_test(test_not_run),
        cmocka_unit_test(test_fault),        cmocka_unit_test(test_bundle_injected),
        cmocka_unit_test(test_proof),        cmocka_unit_test(test_empty_result),
        cmocka_unit_test(test_formats),      cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_discard),      cmocka_unit_test(test_standard_output),
        cmocka_unit_test(test_terminal),
    };
    return cmocka_run_group_tests_name("report", tests, unit_folder, unit_folder_end);
}
