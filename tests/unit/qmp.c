/*
 * QMP: everything that a peer can send, however it is cut into pieces, and what is sent to it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qmp.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

struct wire {
    struct godwit_qmp *qmp;
    int peer; /* QEMU's end */
};

static struct wire wire_new(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    g_autofree char *path = g_build_filename(*state, "transcript", NULL);
    struct wire wire = {godwit_qmp_new(ends[0], path, NULL), ends[1]};
    assert_non_null(wire.qmp);
    g_unix_set_fd_nonblocking(wire.peer, TRUE, NULL);
    return wire;
}

/* Ends it and gives back the transcript. */
static char *wire_end(void **state, struct wire *wire)
{
    godwit_qmp_free(wire->qmp);
    if (wire->peer >= 0)
        close(wire->peer);
    return unit_take(state, "transcript", NULL);
}

/* The peer says LENGTH bytes, and all of them are taken, unless the connection fails before. */
static void say_bytes(struct wire *wire, const char *bytes, size_t length)
{
    while (length > 0 && wire->qmp->source) {
        const ssize_t n = write(wire->peer, bytes, length);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else {
            assert_int_equal(errno, EAGAIN);
        }
        unit_settle();
    }
    unit_settle();
}

static void say(struct wire *wire, const char *text)
{
    say_bytes(wire, text, strlen(text));
}

/* Integers of any size; what does not fit becomes a string, and nothing else does. */
static void test_parse(void **state)
{
    static const struct {
        const char *text, *parsed;
    } rows[] = {
        {"{\"a\": 1, \"b\": -1}", "{\"a\":1,\"b\":-1}"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "\"9223372036854775808\""},
        {"-9223372036854775808", "-9223372036854775808"},
        {"-9223372036854775809", "\"-9223372036854775809\""},
        {"[18446744073709551615,1,2.5]", "[\"18446744073709551615\",1,2.5]"},
        {"[18446744073709551615,\"18446744073709551616 \\\" 18446744073709551617\"]",
         "[\"18446744073709551615\",\"18446744073709551616 \\\" 18446744073709551617\"]"},
        {"{\"18446744073709551615\":18446744073709551615,\"n\":null}",
         "{\"18446744073709551615\":\"18446744073709551615\",\"n\":null}"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) value = godwit_qmp_parse(rows[i].text);
        assert_non_null(value);
        g_autofree char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(text, rows[i].parsed);
    }
    static const char *const broken[] = {"", "[18446744073709551615", "\"18446744073709551615",
                                         "18446744073709551615 \"\\"};
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++)
        assert_null(godwit_qmp_parse(broken[i]));
}

/* The next line that the peer gets, as JSON. */
static json_t *hear(struct wire *wire)
{
    char line[4096];
    size_t length = 0;
    while (length < sizeof(line) && read(wire->peer, line + length, 1) == 1)
        if (line[length++] == '\n')
            break;
    assert_in_range(length, 1, sizeof(line));
    json_t *json = json_loadb(line, length, 0, NULL);
    assert_non_null(json);
    return json;
}

/* A conversation's start, its reply and events, with the line ends that QEMU uses and others. */
static const char conversation[] =
    GREETING "{\"return\": {\"answer\": 42}, \"id\": 1}\r\n\r\n"
             "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}\n"
             "{\"timestamp\": {}, \"event\": \"STOP\"}\n";

static void expect_conversation(const struct wire *wire)
{
    assert_null(wire->qmp->failure);
    assert_non_null(wire->qmp->greeting);
    assert_non_null(wire->qmp->reply);
    assert_int_equal(godwit_json_integer(json_object_get(wire->qmp->reply, "return"), "answer", 0),
                     42);
    assert_int_equal(wire->qmp->events->len, 2);
    assert_true(godwit_qmp_event_is(g_ptr_array_index(wire->qmp->events, 0), "MIGRATION", "setup"));
    assert_true(godwit_qmp_event_is(g_ptr_array_index(wire->qmp->events, 1), "STOP", NULL));
    assert_int_equal(wire->qmp->input->len, 0);
}

/* Cut in two at every place, and into pieces of every length. */
static void test_pieces(void **state)
{
    const size_t length = strlen(conversation);
    for (size_t cut = 0; cut <= length; cut++) {
        struct wire wire = wire_new(state);
        assert_true(godwit_qmp_send(wire.qmp, "ask", NULL, NULL));
        say_bytes(&wire, conversation, cut);
        say_bytes(&wire, conversation + cut, length - cut);
        expect_conversation(&wire);
        g_free(wire_end(state, &wire));
    }
    for (size_t piece = 1; piece < length; piece++) {
        struct wire wire = wire_new(state);
        assert_true(godwit_qmp_send(wire.qmp, "ask", NULL, NULL));
        for (size_t done = 0; done < length; done += piece)
            say_bytes(&wire, conversation + done, MIN(piece, length - done));
        expect_conversation(&wire);
        g_free(wire_end(state, &wire));
    }
}

/* What must not come first, and what must not come after the greeting. */
static const struct {
    const char *line;
    const char *as_first;
    const char *as_second;
} nonsense[] = {
    {"hello", "not a JSON object", "not a JSON object"},
    {"5", "not a JSON object", "not a JSON object"},
    {"\"text\"", "not a JSON object", "not a JSON object"},
    {"[]", "not a JSON object", "not a JSON object"},
    {"null", "not a JSON object", "not a JSON object"},
    {"{", "not a JSON object", "not a JSON object"},
    {"{}}", "not a JSON object", "not a JSON object"},
    {"{\"a\": 1} {\"b\": 2}", "not a JSON object", "not a JSON object"},
    {"{\"a\": \"\xff\"}", "not a JSON object", "not a JSON object"},
    {"\xef\xbb\xbf{}", "not a JSON object", "not a JSON object"},
    {"{}", "greeting", "unexpected answer"},
    {"{\"QMP\": 1}", "greeting", "unexpected answer"},
    {"{\"return\": {}, \"id\": 2}", "greeting", "unexpected answer"},
    {"{\"return\": {}, \"id\": \"1\"}", "greeting", "unexpected answer"},
    {"{\"return\": {}}", "greeting", "unexpected answer"},
    {"{\"event\": \"STOP\"}", "greeting", NULL},
    {"{\"return\": {}, \"id\": 1}", "greeting", NULL},
};

static void expect_failure(void **state, const char *before, const char *line, const char *failure)
{
    struct wire wire = wire_new(state);
    assert_true(godwit_qmp_send(wire.qmp, "ask", NULL, NULL));
    say(&wire, before);
    assert_null(wire.qmp->failure);
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    say(&wire, text);
    if (failure) {
        assert_non_null(wire.qmp->failure);
        assert_contains(wire.qmp->failure, failure);
        assert_int_equal(wire.qmp->source, 0);
        /* Told in print: a failure's text goes to a terminal. */
        for (const char *c = wire.qmp->failure; *c; c++)
            assert_true(g_ascii_isprint(*c));
    } else {
        assert_null(wire.qmp->failure);
    }
    g_free(wire_end(state, &wire));
}

static void test_nonsense(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        expect_failure(state, "", nonsense[i].line, nonsense[i].as_first);
        expect_failure(state, GREETING, nonsense[i].line, nonsense[i].as_second);
    }
    /* Every answer that breaks off. */
    const char *reply = "{\"return\": [{\"a\": \"b\"}], \"id\": 1}";
    for (size_t length = 1; length < strlen(reply); length++) {
        g_autofree char *line = g_strndup(reply, length);
        expect_failure(state, GREETING, line, "not a JSON object");
    }
    expect_failure(state, GREETING, reply, NULL);
    /* No escape sequence gets through, and no more of a line than somebody wants to read. */
    expect_failure(state, GREETING, "\033[2J\007", "\\033[2J\\007");
    g_autofree char *longish = g_strnfill(100000, 'x');
    expect_failure(state, GREETING, longish, "xxxx\"");
    /* Nested deeper than anybody's stack should have to bear. */
    g_autofree char *nested = g_strnfill(1000000, '[');
    expect_failure(state, GREETING, nested, "not a JSON object");
}

/* One reply a question, even if the second looks like it. */
static void test_second_reply(void **state)
{
    expect_failure(state, GREETING "{\"return\": {}, \"id\": 1}\n", "{\"return\": {}, \"id\": 1}",
                   "unexpected answer");
}

/* After a failure nothing that follows is taken, in the same read or later. */
static void test_deaf_after_failure(void **state)
{
    struct wire wire = wire_new(state);
    say(&wire, GREETING "garbage\n{\"event\": \"STOP\"}\n");
    assert_contains(wire.qmp->failure, "\"garbage\"");
    assert_int_equal(wire.qmp->events->len, 0);
    say(&wire, "{\"event\": \"STOP\"}\n");
    assert_int_equal(wire.qmp->events->len, 0);
    g_free(wire_end(state, &wire));
}

/* The longest line is taken, one byte more is not. */
static void test_long_line(void **state)
{
    g_autofree char *fill = g_strnfill(GODWIT_QMP_LINE_MAX, ' ');
    struct wire wire = wire_new(state);
    say_bytes(&wire, fill, GODWIT_QMP_LINE_MAX);
    assert_null(wire.qmp->failure);
    assert_int_equal(wire.qmp->input->len, GODWIT_QMP_LINE_MAX);
    say(&wire, " ");
    assert_non_null(wire.qmp->failure);
    assert_contains(wire.qmp->failure, "endless line");
    g_free(wire_end(state, &wire));

    /* A large answer is not an endless one. */
    const size_t large = GODWIT_QMP_LINE_MAX / 4;
    g_autofree char *blanks = g_strnfill(large, ' ');
    g_autofree char *reply = g_strconcat("{\"return\": {}, ", blanks, "\"id\": 1}\n", NULL);
    wire = wire_new(state);
    assert_true(godwit_qmp_send(wire.qmp, "ask", NULL, NULL));
    say(&wire, GREETING);
    say(&wire, reply);
    assert_null(wire.qmp->failure);
    assert_non_null(wire.qmp->reply);
    g_free(wire_end(state, &wire));
}

static void test_send(void **state)
{
    struct wire wire = wire_new(state);
    say(&wire, GREETING);
    for (json_int_t id = 1; id <= 3; id++) {
        assert_true(godwit_qmp_send(
            wire.qmp, "do-it", id == 2 ? NULL : json_pack("{s:s}", "a", "b\n\"\xc3\xa9"), NULL));
        assert_null(wire.qmp->reply);
        g_autoptr(json_t) heard = hear(&wire);
        assert_string_equal(godwit_json_string(heard, "execute", ""), "do-it");
        assert_int_equal(godwit_json_integer(heard, "id", 0), id);
        assert_int_equal(json_object_size(heard), id == 2 ? 2 : 3);
        if (id != 2)
            assert_string_equal(godwit_json_string(json_object_get(heard, "arguments"), "a", ""),
                                "b\n\"\xc3\xa9");
        g_autofree char *reply = g_strdup_printf("{\"return\": {}, \"id\": %d}\n", (int)id);
        say(&wire, reply);
        assert_non_null(wire.qmp->reply);
    }
    assert_null(wire.qmp->failure);
    g_free(wire_end(state, &wire));
}

/* The reply to a command that was given up may come once, after the next one, and is dropped. */
static void test_given_up(void **state)
{
    for (int times = 1; times <= 2; times++) {
        struct wire wire = wire_new(state);
        say(&wire, GREETING);
        for (int command = 1; command <= 3; command++) {
            assert_true(godwit_qmp_send(wire.qmp, "do-it", NULL, NULL));
            json_decref(hear(&wire));
            if (command < 3)
                godwit_qmp_give_up(wire.qmp);
        }
        say(&wire, "{\"return\": {}, \"id\": 1}\n{\"error\": {}, \"id\": 2}\n");
        assert_null(wire.qmp->reply);
        assert_null(wire.qmp->failure);
        if (times == 2)
            say(&wire, "{\"return\": {}, \"id\": 1}\n");
        assert_int_equal(wire.qmp->failure != NULL, times == 2);
        say(&wire, "{\"return\": {}, \"id\": 3}\n");
        assert_int_equal(wire.qmp->reply != NULL, times == 1);
        g_free(wire_end(state, &wire));
    }
}

/* A command is sent out of band only if that was offered and enabled. */
static void test_oob(void **state)
{
    static const struct {
        const char *greeting;
        bool offers;
    } rows[] = {
        {"{\"QMP\": {\"capabilities\": [\"oob\"]}}\n", true},
        {"{\"QMP\": {\"capabilities\": [7, \"oob\"]}}\n", true},
        {"{\"QMP\": {\"capabilities\": [\"other\"]}}\n", false},
        {"{\"QMP\": {\"capabilities\": \"oob\"}}\n", false},
        {"{\"QMP\": {}}\n", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct wire wire = wire_new(state);
        assert_false(godwit_qmp_offers_oob(wire.qmp));
        say(&wire, rows[i].greeting);
        assert_int_equal(godwit_qmp_offers_oob(wire.qmp), rows[i].offers);
        wire.qmp->oob = rows[i].offers;
        assert_true(godwit_qmp_send_oob(wire.qmp, "now", json_pack("{s:i}", "a", 1), NULL));
        g_autoptr(json_t) heard = hear(&wire);
        assert_string_equal(godwit_json_string(heard, rows[i].offers ? "exec-oob" : "execute", ""),
                            "now");
        assert_int_equal(json_object_size(heard), 3);
        g_free(wire_end(state, &wire));
    }
}

/* A line longer than the socket's buffer reaches a peer that reads. */
static gpointer read_all(gpointer data)
{
    const int fd = GPOINTER_TO_INT(data);
    size_t length = 0;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0; length += (size_t)n)
        if (buffer[n - 1] == '\n')
            return GSIZE_TO_POINTER(length + (size_t)n);
    return NULL;
}

static void test_send_long(void **state)
{
    struct wire wire = wire_new(state);
    g_unix_set_fd_nonblocking(wire.peer, FALSE, NULL);
    g_autofree char *text = g_strnfill(4 << 20, 'x');
    GThread *reader = g_thread_new("peer", read_all, GINT_TO_POINTER(wire.peer));
    assert_true(godwit_qmp_send(wire.qmp, "do-it", json_pack("{s:s}", "text", text), NULL));
    const size_t length = GPOINTER_TO_SIZE(g_thread_join(reader));
    assert_in_range(length, (4 << 20) + 20, (4 << 20) + 200);
    g_free(wire_end(state, &wire));
}

/* To a peer that has gone, and to one that does not read. */
static void test_send_fails(void **state)
{
    struct wire wire = wire_new(state);
    close(wire.peer);
    wire.peer = -1;
    g_autoptr(GError) error = NULL;
    assert_false(godwit_qmp_send(wire.qmp, "do-it", json_object(), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    assert_contains(error->message, "do-it");
    g_free(wire_end(state, &wire));

    g_clear_error(&error);
    wire = wire_new(state);
    g_autofree char *text = g_strnfill(4 << 20, 'x');
    assert_false(godwit_qmp_send(wire.qmp, "do-it", json_pack("{s:s}", "text", text), &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    assert_contains(error->message, "does not read");
    g_free(wire_end(state, &wire));
}

/* The peer's end is no failure: what its process did tells. What it said before counts, and nothing
 * stays open. */
static void test_end(void **state)
{
    const unsigned descriptors = unit_descriptors();
    struct wire wire = wire_new(state);
    say(&wire, GREETING "{\"event\": \"SHUTDOWN\"}\n{\"event");
    close(wire.peer);
    wire.peer = -1;
    unit_settle();
    assert_null(wire.qmp->failure);
    assert_int_equal(wire.qmp->events->len, 1);
    assert_int_equal(wire.qmp->source, 0);
    assert_int_equal(unit_descriptors(), descriptors);
    g_autoptr(GError) error = NULL;
    assert_false(godwit_qmp_send(wire.qmp, "do-it", NULL, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    g_free(wire_end(state, &wire));
}

/* The most memory that this process has had at a time, in KiB. */
static unsigned long peak_kib(void)
{
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents("/proc/self/status", &text, NULL, NULL));
    const char *line = strstr(text, "VmHWM:");
    assert_non_null(line);
    return strtoul(line + strlen("VmHWM:"), NULL, 10);
}

/* The most memory that all of the following may take. AddressSanitizer keeps what is freed for a
 * while, and puts red zones around everything. */
#ifdef __SANITIZE_ADDRESS__
#define PEAK_MIB 1200
#else
#define PEAK_MIB 300
#endif

/* Events without end are a failure that says so, and memory stays bounded: by their number, by
 * their size, and by what one line can be made to hold. */
static void test_flood(void **state)
{
    static const char event[] =
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": "
        "\"RTC_CHANGE\", \"data\": {\"offset\": 1, \"qom-path\": \"/a/b\"}}\n";
    struct wire wire = wire_new(state);
    say(&wire, GREETING);
    for (unsigned i = 0; i < 4 * GODWIT_QMP_EVENTS_MAX; i++)
        say(&wire, event);
    assert_non_null(wire.qmp->failure);
    assert_contains(wire.qmp->failure, "floods QMP: it sent 20001 events");
    assert_contains(wire.qmp->failure, "RTC_CHANGE");
    assert_int_equal(wire.qmp->events->len, GODWIT_QMP_EVENTS_MAX + 1);
    g_free(wire_end(state, &wire));

    g_autofree char *fill = g_strnfill(1000000, 'x');
    g_autofree char *large = g_strdup_printf("{\"event\": \"BIG\", \"data\": \"%s\"}\n", fill);
    wire = wire_new(state);
    say(&wire, GREETING);
    for (unsigned i = 0; i < 100; i++)
        say(&wire, large);
    assert_non_null(wire.qmp->failure);
    assert_contains(wire.qmp->failure, "floods QMP");
    assert_in_range(wire.qmp->events->len, 2, 20);
    g_free(wire_end(state, &wire));

    GString *dense = g_string_new("{\"event\": [");
    while (dense->len < GODWIT_QMP_LINE_MAX - 8)
        g_string_append(dense, "{},");
    g_string_append(dense, "{}]}\n");
    wire = wire_new(state);
    say(&wire, GREETING);
    say(&wire, dense->str);
    g_string_free(dense, TRUE);
    g_free(wire_end(state, &wire));
    print_message("# peak memory: %lu MiB\n", peak_kib() >> 10);
    assert_in_range(peak_kib(), 1, PEAK_MIB << 10);
}

static void test_transcript(void **state)
{
    struct wire wire = wire_new(state);
    assert_true(godwit_qmp_send(wire.qmp, "ask", NULL, NULL));
    say(&wire, conversation);
    say(&wire, "rubbish\n");
    g_autofree char *text = wire_end(state, &wire);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    static const char *const wanted[] = {
        "> {\"execute\":\"ask\",\"id\":1}",
        "< {\"QMP\": {\"version\": {}, \"capabilities\": []}}",
        "< {\"return\": {\"answer\": 42}, \"id\": 1}",
        "< {\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}",
        "< {\"timestamp\": {}, \"event\": \"STOP\"}",
        "< rubbish",
    };
    assert_int_equal(g_strv_length(lines), G_N_ELEMENTS(wanted) + 1);
    double before = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        char *rest = NULL;
        const double time = g_ascii_strtod(lines[i], &rest);
        assert_true(time >= before);
        assert_string_equal(g_strchug(rest), wanted[i]);
        before = time;
    }
}

/* Another QEMU greets on the same connection: what comes from there on is its successor's, wherever
 * it is cut in two, before the successor is there or after. */
static void test_successor(void **state)
{
    static const char all[] = "{\"event\": \"SHUTDOWN\"}\r\n" GREETING
                              "{\"event\": \"STOP\"}\r\n{\"event\": \"RESUME\"}\r\n";
    for (size_t cut = 0; cut < sizeof(all); cut++) {
        struct wire wire = wire_new(state);
        say(&wire, GREETING);
        wire.qmp->may_restart = true;
        say_bytes(&wire, all, cut);
        const bool early = !wire.qmp->restarted;
        if (early)
            assert_int_equal(write(wire.peer, all + cut, strlen(all + cut)), strlen(all + cut));
        unit_settle();
        assert_true(wire.qmp->restarted);
        struct godwit_qmp *before = wire.qmp;
        g_autofree char *path = g_build_filename(*state, "successor", NULL);
        wire.qmp = godwit_qmp_successor(before, path, NULL);
        assert_non_null(wire.qmp);
        if (!early)
            say(&wire, all + cut);
        assert_null(before->failure);
        assert_int_equal(before->events->len, 1);
        assert_null(wire.qmp->failure);
        assert_non_null(wire.qmp->greeting);
        assert_int_equal(wire.qmp->events->len, 2);
        assert_true(godwit_qmp_event_is(g_ptr_array_index(wire.qmp->events, 0), "STOP", NULL));
        godwit_qmp_free(before);
        g_free(wire_end(state, &wire));
        g_free(unit_take(state, "successor", NULL));
    }
}

static void test_no_transcript(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    g_autoptr(GError) error = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_null(godwit_qmp_new(ends[0], "/dev/null/transcript", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "/dev/null/transcript");
    assert_int_equal(read(ends[1], &byte, 1), 0);
    close(ends[1]);
    godwit_qmp_free(NULL);
}

static void test_event_is(void **state)
{
    (void)state;
    static const struct {
        const char *event;
        const char *name;
        const char *status;
        bool is;
    } rows[] = {
        {"{\"event\": \"STOP\"}", "STOP", NULL, true},
        {"{\"event\": \"STOP\"}", "RESUME", NULL, false},
        {"{\"event\": \"STOP\"}", "STO", NULL, false},
        {"{\"event\": \"STOP\"}", "STOP", "active", false},
        {"{\"event\": \"M\", \"data\": {\"status\": \"active\"}}", "M", "active", true},
        {"{\"event\": \"M\", \"data\": {\"status\": \"active\"}}", "M", NULL, true},
        {"{\"event\": \"M\", \"data\": {\"status\": \"active\"}}", "M", "failed", false},
        {"{\"event\": \"M\", \"data\": {\"status\": 7}}", "M", "active", false},
        {"{\"event\": \"M\", \"data\": \"active\"}", "M", "active", false},
        {"{\"event\": 7}", "M", NULL, false},
        {"{}", "M", NULL, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) event = json_loads(rows[i].event, 0, NULL);
        assert_non_null(event);
        assert_int_equal(godwit_qmp_event_is(event, rows[i].name, rows[i].status), rows[i].is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),       cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_second_reply), cmocka_unit_test(test_deaf_after_failure),
        cmocka_unit_test(test_long_line),    cmocka_unit_test(test_send),
        cmocka_unit_test(test_send_long),    cmocka_unit_test(test_send_fails),
        cmocka_unit_test(test_end),          cmocka_unit_test(test_transcript),
        cmocka_unit_test(test_parse),        cmocka_unit_test(test_no_transcript),
        cmocka_unit_test(test_event_is),     cmocka_unit_test(test_successor),
        cmocka_unit_test(test_given_up),     cmocka_unit_test(test_flood),
        cmocka_unit_test(test_oob),
    };
    return cmocka_run_group_tests_name("qmp", tests, unit_folder, unit_folder_end);
}
