/*
 * The qtest connection against a peer that answers well, badly, late, or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qtest_peer.h"

#include <inttypes.h>

static const struct {
    struct godwit_access access;
    const char *text;
} texts[] = {
    {{.kind = GODWIT_ACCESS_READ, .size = 1, .address = 0xfed00000}, "readb 0xfed00000"},
    {{.kind = GODWIT_ACCESS_READ, .size = 2, .address = UINT64_MAX}, "readw 0xffffffffffffffff"},
    {{.kind = GODWIT_ACCESS_READ, .size = 4, .address = 0}, "readl 0x0"},
    {{.kind = GODWIT_ACCESS_READ, .size = 8, .address = 1}, "readq 0x1"},
    {{.kind = GODWIT_ACCESS_WRITE, .size = 1, .address = 2, .value = 0xff}, "writeb 0x2 0xff"},
    {{.kind = GODWIT_ACCESS_WRITE, .size = 8, .address = 3, .value = UINT64_MAX},
     "writeq 0x3 0xffffffffffffffff"},
    {{.kind = GODWIT_ACCESS_IN, .size = 4, .address = 0x5658}, "inl 0x5658"},
    {{.kind = GODWIT_ACCESS_OUT, .size = 2, .address = 0xffff, .value = 7}, "outw 0xffff 0x7"},
    {{.kind = GODWIT_ACCESS_READ_BYTES, .size = 16, .address = 0x1000}, "read 0x1000 0x10"},
    {{.kind = GODWIT_ACCESS_WRITE_BYTES,
      .size = 3,
      .address = 0x1000,
      .bytes = (unsigned char[]){0, 0xab, 0xff}},
     "write 0x1000 0x3 0x00abff"},
    {{.kind = GODWIT_ACCESS_CALL,
      .call = "get-time-of-day",
      .address = 0x100,
      .arguments = 0,
      .size = 8,
      .results = 0x200},
     "rtas get-time-of-day 0 0x100 8 0x200"},
};

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *text = godwit_access_text(&texts[i].access);
        assert_string_equal(text, texts[i].text);
    }
}

/* A machine whose every address has a value that is made of it. */
static uint64_t value_at(uint64_t address, size_t size)
{
    return (address * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - 8 * size);
}

static char *answer_well(struct peer *peer, const char *line)
{
    char word[16];
    uint64_t address, length;
    (void)peer;
    assert_true(sscanf(line, "%15s 0x%" SCNx64 " 0x%" SCNx64, word, &address, &length) >= 2);
    if (!strncmp(word, "write", 5) || !strncmp(word, "out", 3))
        return g_strdup("OK\n");
    if (!strcmp(word, "read")) {
        GString *text = g_string_new("OK 0x");
        for (uint64_t i = 0; i < length; i++)
            g_string_append_printf(text, "%02x", (unsigned)value_at(address + i, 1));
        return g_string_free(g_string_append_c(text, '\n'), FALSE);
    }
    const char last = word[strlen(word) - 1];
    const size_t size = last == 'b' ? 1 : last == 'w' ? 2 : last == 'l' ? 4 : 8;
    return g_strdup_printf(*word == 'i' ? "OK 0x%04" PRIx64 "\n" : "OK 0x%016" PRIx64 "\n",
                           value_at(address, size));
}

static void test_single(void **state)
{
    (void)state;
    struct peer peer = {.answer = answer_well};
    peer_start(&peer);
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t value = 0;
        assert_true(godwit_qtest_read(peer.qtest, size, 0x1234, &value, NULL));
        assert_true(value == value_at(0x1234, size));
        assert_int_equal(godwit_qtest_answered(peer.qtest), 1);
        assert_true(godwit_qtest_write(peer.qtest, size, 0x1234, 5, NULL));
        uint32_t port = 0;
        if (size == 8)
            continue;
        assert_true(godwit_qtest_in(peer.qtest, size, 0x70, &port, NULL));
        assert_int_equal(port, value_at(0x70, size));
        assert_true(godwit_qtest_out(peer.qtest, size, 0x70, 5, NULL));
    }
    assert_true(godwit_qtest_run(peer.qtest, NULL, 0, NULL));
    assert_int_equal(godwit_qtest_answered(peer.qtest), 0);
    peer_stop(&peer);
    godwit_qtest_free(NULL);
}

/* More than fits into socket buffers in either direction, in requests of all sizes. */
static void test_batch(void **state)
{
    const size_t count = 50000, bulk = 16;
    (void)state;
    struct peer peer = {.answer = answer_well};
    peer_start(&peer);
    g_autofree struct godwit_access *accesses = g_new0(struct godwit_access, count + 2 * bulk);
    for (size_t i = 0; i < count; i++) {
        accesses[i].kind = i % 3 ? GODWIT_ACCESS_READ : GODWIT_ACCESS_WRITE;
        accesses[i].size = (size_t)1 << i % 4;
        accesses[i].address = i * 8;
    }
    g_autofree unsigned char *bytes = g_malloc0(2 * bulk * GODWIT_QTEST_BYTES_MAX);
    for (size_t i = 0; i < 2 * bulk; i++) {
        accesses[count + i].kind = i % 2 ? GODWIT_ACCESS_READ_BYTES : GODWIT_ACCESS_WRITE_BYTES;
        accesses[count + i].size = GODWIT_QTEST_BYTES_MAX;
        accesses[count + i].address = i;
        accesses[count + i].bytes = bytes + i * GODWIT_QTEST_BYTES_MAX;
    }
    assert_true(godwit_qtest_run(peer.qtest, accesses, count + 2 * bulk, NULL));
    assert_int_equal(godwit_qtest_answered(peer.qtest), count + 2 * bulk);
    for (size_t i = 0; i < count; i++)
        if (accesses[i].kind == GODWIT_ACCESS_READ)
            assert_true(accesses[i].value == value_at(i * 8, (size_t)1 << i % 4));
    for (size_t i = 1; i < 2 * bulk; i += 2)
        for (size_t at = 0; at < GODWIT_QTEST_BYTES_MAX; at++)
            assert_int_equal(accesses[count + i].bytes[at], value_at(i + at, 1));
    peer_stop(&peer);
}

/* Ranges that one request cannot move. */
static void test_bytes(void **state)
{
    static const size_t lengths[] = {0, 1, GODWIT_QTEST_BYTES_MAX, GODWIT_QTEST_BYTES_MAX + 1,
                                     3 * GODWIT_QTEST_BYTES_MAX + 7};
    (void)state;
    struct peer peer = {.answer = answer_well};
    peer_start(&peer);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree unsigned char *bytes = g_malloc0(lengths[i] + 1);
        assert_true(godwit_qtest_read_bytes(peer.qtest, 0x80, bytes, lengths[i], NULL));
        for (size_t at = 0; at < lengths[i]; at++)
            assert_int_equal(bytes[at], value_at(0x80 + at, 1));
        assert_int_equal(bytes[lengths[i]], 0);
        assert_int_equal(godwit_qtest_answered(peer.qtest),
                         (lengths[i] + GODWIT_QTEST_BYTES_MAX - 1) / GODWIT_QTEST_BYTES_MAX);
        assert_true(godwit_qtest_write_bytes(peer.qtest, 0x80, bytes, lengths[i], NULL));
    }
    peer_stop(&peer);
}

/* Interrupt lines come at any time, even many of them. */
static char *answer_with_irqs(struct peer *peer, const char *line)
{
    g_autofree char *text = answer_well(peer, line);
    GString *all = g_string_new(NULL);
    for (unsigned i = 0; i < peer->lines % 200; i++)
        g_string_append(all, i % 2 ? "IRQ lower 3\n" : "IRQ raise 12\n");
    g_string_append(all, text);
    return g_string_free(g_string_append(all, "IRQ raise 0\n"), FALSE);
}

static void test_irqs(void **state)
{
    (void)state;
    struct peer peer = {.answer = answer_with_irqs};
    peer_start(&peer);
    struct godwit_access accesses[500] = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(accesses); i++)
        accesses[i] = (struct godwit_access){.size = 4, .address = i};
    assert_true(godwit_qtest_run(peer.qtest, accesses, G_N_ELEMENTS(accesses), NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(accesses); i++)
        assert_true(accesses[i].value == value_at(i, 4));
    peer_stop(&peer);
}

/* Each byte of an answer on its own. */
static char *answer_in_pieces(struct peer *peer, const char *line)
{
    g_autofree char *text = answer_well(peer, line);
    for (const char *c = text; *c; c++) {
        assert_int_equal(send(peer->fd, c, 1, 0), 1);
        g_usleep(100);
    }
    return g_strdup("");
}

static void test_pieces(void **state)
{
    (void)state;
    struct peer peer = {.answer = answer_in_pieces};
    peer_start(&peer);
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t value;
        assert_true(godwit_qtest_read(peer.qtest, 4, i, &value, NULL));
        assert_true(value == value_at(i, 4));
    }
    peer_stop(&peer);
}

static char *answer_data(struct peer *peer, const char *line)
{
    (void)line;
    return g_strdup(peer->data);
}

/* Makes ACCESS, to which the peer answers TEXT. Expects an error of that code with that text, or
 * none if MESSAGE is NULL. */
static void expect(const struct godwit_access *access, const char *text, enum godwit_error code,
                   const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *copy = g_strdup(text);
    struct godwit_access tried = *access;
    struct peer peer = {.answer = answer_data, .data = copy};
    peer_start(&peer);
    const bool well = godwit_qtest_run(peer.qtest, &tried, 1, &error);
    if (!message) {
        assert_true(well);
        peer_stop(&peer);
        return;
    }
    assert_false(well);
    assert_true(g_error_matches(error, GODWIT_ERROR, (int)code));
    assert_contains(error->message, message);
    assert_true(g_str_has_prefix(error->message, "destination: QEMU "));
    assert_in_range(strlen(error->message), 1, 400);
    for (const char *c = error->message; *c; c++)
        assert_true(g_ascii_isprint(*c));
    /* The failure is final. */
    g_autoptr(GError) again = NULL;
    assert_false(godwit_qtest_run(peer.qtest, &tried, 1, &again));
    assert_true(g_error_matches(again, GODWIT_ERROR, GODWIT_ERROR_QMP));
    peer_stop(&peer);
}

static void test_nonsense(void **state)
{
    static unsigned char room[2];
    static const struct godwit_access byte = {.size = 1, .address = 9};
    static const struct godwit_access quad = {.size = 8, .address = 9};
    static const struct godwit_access port = {.kind = GODWIT_ACCESS_IN, .size = 4, .address = 9};
    static const struct godwit_access write = {
        .kind = GODWIT_ACCESS_WRITE, .size = 1, .address = 9};
    static const struct godwit_access bytes = {
        .kind = GODWIT_ACCESS_READ_BYTES, .size = 2, .bytes = room};
    static const struct godwit_access call = {.kind = GODWIT_ACCESS_CALL, .call = "x"};
    static const struct {
        const struct godwit_access *access;
        const char *answer, *message;
    } rows[] = {
        {&byte, "OK 0xff\n", NULL},
        {&byte, "OK 0x100\n", "answered `readb 0x9` with \"OK 0x100\""},
        {&byte, "OK 0x00000000000000ff\n", NULL},
        {&byte, "OK\n", "answered"},
        {&byte, "OK \n", "answered"},
        {&byte, "OK 0x\n", "answered"},
        {&byte, "OK ff\n", "answered"},
        {&byte, "OK 0xfg\n", "answered"},
        {&byte, "OK -0x1\n", "answered"},
        {&byte, "OK 0xff \n", "answered"},
        {&byte, "OK 0xff\r\n", "answered"},
        {&byte, " OK 0xff\n", "answered"},
        {&byte, "ok 0xff\n", "answered"},
        {&byte, "\n", "answered `readb 0x9` with \"\""},
        {&byte, "\033[2J\007\n", "with \"\\033[2J\\007\""},
        {&byte, "IRQ\n", "with \"IRQ\""},
        {&byte, "FAIL Unknown command 'readb'\n", "refused `readb 0x9`: \"FAIL Unknown"},
        {&byte, "ERR no\n", "refused"},
        {&byte, "OK 0x1\nOK 0x2\n", "sent \"OK 0x2\" on its qtest socket without being asked"},
        {&quad, "OK 0xffffffffffffffff\n", NULL},
        {&quad, "OK 0x10000000000000000\n", "answered"},
        {&quad, "OK 0x00000000000000001\n", "answered"},
        {&port, "OK 0xffffffff\n", NULL},
        {&port, "OK 0x100000000\n", "answered `inl 0x9`"},
        {&write, "OK\n", NULL},
        {&write, "OK 0x1\n", "answered `writeb 0x9 0x0`"},
        {&bytes, "OK 0x0a1F\n", NULL},
        {&bytes, "OK 0x0a1\n", "answered `read 0x0 0x2`"},
        {&bytes, "OK 0x0a1f0\n", "answered"},
        {&bytes, "OK 0x0a1f00\n", "answered"},
        {&bytes, "OK 0x0a1g\n", "answered"},
        {&bytes, "OK 000a1f\n", "answered"},
        {&call, "OK 18446744073709551612\n", NULL},
        {&call, "OK 18446744073709551616\n", "answered `rtas x 0 0x0 0 0x0`"},
        {&call, "OK -4\n", "answered"},
        {&call, "FAIL Unknown command 'rtas'\n", "refused `rtas x"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        expect(rows[i].access, rows[i].answer, GODWIT_ERROR_QMP, rows[i].message);
    g_autofree char *longish = g_strnfill(100000, 'x');
    g_autofree char *line = g_strconcat(longish, "\n", NULL);
    expect(&byte, line, GODWIT_ERROR_QMP, "xxx...\"");
    /* A line that never ends. */
    g_autofree char *endless = g_strnfill(4 * GODWIT_QTEST_BYTES_MAX, '0');
    expect(&byte, endless, GODWIT_ERROR_QMP, "sent an endless line");
}

/* Text that comes when nothing was asked: found at the next access. */
static void test_unasked(void **state)
{
    (void)state;
    struct peer peer = {.answer = answer_well};
    g_autoptr(GError) error = NULL;
    uint64_t value;
    peer_start(&peer);
    assert_true(godwit_qtest_read(peer.qtest, 1, 0, &value, NULL));
    assert_int_equal(send(peer.fd, "OK\n", 3, 0), 3);
    assert_false(godwit_qtest_read(peer.qtest, 1, 0, &value, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    assert_contains(error->message, "without being asked");
    peer_stop(&peer);
}

/* The peer answers DATA requests, and then ends, or becomes silent if it has DATA below 0. */
static char *answer_some(struct peer *peer, const char *line)
{
    const int most = GPOINTER_TO_INT(peer->data);
    if ((int)peer->lines < ABS(most))
        return answer_well(peer, line);
    return most < 0 ? g_strdup("") : NULL;
}

/* Of a batch, the first access without an answer is the one that did it. */
static void test_death(void **state)
{
    static const int counts[] = {1, 2, 7, 999, 4000};
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(GError) error = NULL;
        struct peer peer = {.answer = answer_some,
                            .data = GINT_TO_POINTER(counts[i]),
                            .how = "was killed by signal 11 (Segmentation fault)"};
        struct godwit_access accesses[5000];
        for (size_t k = 0; k < G_N_ELEMENTS(accesses); k++)
            accesses[k] = (struct godwit_access){.kind = GODWIT_ACCESS_IN, .size = 4, .address = k};
        peer_start(&peer);
        assert_false(godwit_qtest_run(peer.qtest, accesses, G_N_ELEMENTS(accesses), &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS));
        assert_int_equal(godwit_qtest_answered(peer.qtest), counts[i]);
        g_autofree char *wanted =
            g_strdup_printf("destination: QEMU died of `inl 0x%x`: it was killed by signal 11 "
                            "(Segmentation fault)",
                            (unsigned)counts[i]);
        assert_string_equal(error->message, wanted);
        assert_true(accesses[counts[i] - 1].value == value_at((uint64_t)counts[i] - 1, 4));
        g_clear_error(&error);
        assert_false(godwit_qtest_run(peer.qtest, accesses, 1, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
        assert_contains(error->message, "QEMU has died of `inl 0x");
        peer_stop(&peer);
    }
}

/* The end of the process is noticed before its answers are read: they count. */
static void test_death_first(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer_some,
                        .data = GINT_TO_POINTER(2),
                        .how = "exited with status 1",
                        .blind = true};
    struct godwit_access accesses[4] = {{.size = 4, .address = 1},
                                        {.size = 4, .address = 2},
                                        {.size = 4, .address = 3},
                                        {.size = 4, .address = 4}};
    peer_start(&peer);
    assert_false(godwit_qtest_run(peer.qtest, accesses, 4, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ACCESS));
    assert_int_equal(godwit_qtest_answered(peer.qtest), 2);
    assert_contains(error->message, "QEMU died of `readl 0x3`: it exited with status 1");
    peer_stop(&peer);
}

/* A socket that is closed by a QEMU which lives on. */
static void test_closed(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer_some};
    uint64_t value;
    peer_start(&peer);
    assert_false(godwit_qtest_read(peer.qtest, 1, 5, &value, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_QMP));
    assert_string_equal(error->message, "destination: QEMU closed its qtest socket instead of "
                                        "answering `readb 0x5`");
    peer_stop(&peer);
}

/* A QEMU that ended when nothing was asked did not die of the next access. */
static void test_ended_before(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer_well, .how = "exited with status 0"};
    uint64_t value;
    peer_start(&peer);
    assert_true(godwit_qtest_read(peer.qtest, 1, 5, &value, NULL));
    shutdown(peer.fd, SHUT_RDWR);
    assert_false(godwit_qtest_read(peer.qtest, 1, 5, &value, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    assert_contains(error->message, "before the next access");
    peer_stop(&peer);
}

/* Silence ends at the deadline, and so does the connection: a late answer would belong to nothing.
 */
static void test_silence(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    /* However late a busy host runs the peer, its two answers come before the silence. */
    struct peer peer = {.answer = answer_some, .data = GINT_TO_POINTER(-2), .ms = 100, .after = 3};
    struct godwit_access accesses[3] = {
        {.size = 1, .address = 1}, {.size = 1, .address = 2}, {.size = 1, .address = 3}};
    peer_start(&peer);
    assert_false(godwit_qtest_run(peer.qtest, accesses, 3, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT));
    assert_contains(error->message, "destination: `readb 0x3`: timed out after 100 ms waiting");
    assert_int_equal(godwit_qtest_answered(peer.qtest), 2);
    g_clear_error(&error);
    assert_false(godwit_qtest_run(peer.qtest, accesses, 3, &error));
    assert_contains(error->message, "QEMU did not answer `readb 0x3`");
    peer_stop(&peer);
}

/* A peer that reads nothing does not block the writer. */
static void test_reads_nothing(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer_well, .waits = true, .ms = 100};
    g_autofree unsigned char *bytes = g_malloc0(64 * GODWIT_QTEST_BYTES_MAX);
    peer_start(&peer);
    assert_false(
        godwit_qtest_write_bytes(peer.qtest, 0, bytes, 64 * GODWIT_QTEST_BYTES_MAX, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT));
    assert_in_range(strlen(error->message), 1, 200);
    peer_stop(&peer);
}

/* A peer that sends interrupts for ever does not answer; memory does not grow, and the deadline
 * holds. */
static char *answer_irqs_only(struct peer *peer, const char *line)
{
    (void)line;
    while (send(peer->fd, "IRQ raise 1\nIRQ lower 1\n", 24, MSG_NOSIGNAL) > 0)
        ;
    return NULL;
}

static void test_irq_storm(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    struct peer peer = {.answer = answer_irqs_only, .ms = 200};
    uint64_t value;
    peer_start(&peer);
    assert_false(godwit_qtest_read(peer.qtest, 1, 5, &value, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT));
    peer_stop(&peer);
}

/* Accesses that QEMU does not have are not sent. */
static void test_invalid(void **state)
{
    static const struct godwit_access invalid[] = {
        {.kind = GODWIT_ACCESS_READ, .size = 0},
        {.kind = GODWIT_ACCESS_READ, .size = 3},
        {.kind = GODWIT_ACCESS_WRITE, .size = 16},
        {.kind = GODWIT_ACCESS_IN, .size = 8},
        {.kind = GODWIT_ACCESS_OUT, .size = 1, .address = 0x10000},
        {.kind = GODWIT_ACCESS_READ_BYTES, .size = 0},
        {.kind = GODWIT_ACCESS_READ_BYTES, .size = GODWIT_QTEST_BYTES_MAX + 1},
        {.kind = GODWIT_ACCESS_CALL, .call = "two words"},
        {.kind = GODWIT_ACCESS_CALL, .call = "two\nlines"},
    };
    (void)state;
    struct peer peer = {.answer = answer_well};
    peer_start(&peer);
    for (size_t i = 0; i < G_N_ELEMENTS(invalid); i++) {
        g_autoptr(GError) error = NULL;
        struct godwit_access accesses[] = {{.size = 1}, invalid[i]};
        assert_false(godwit_qtest_run(peer.qtest, accesses, 2, &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, "destination: invalid access");
        assert_int_equal(godwit_qtest_answered(peer.qtest), 0);
    }
    uint64_t value;
    assert_true(godwit_qtest_read(peer.qtest, 1, 0, &value, NULL));
    assert_int_equal(peer.lines, 1);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),      cmocka_unit_test(test_single),
        cmocka_unit_test(test_batch),     cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_irqs),      cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_nonsense),  cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_death),     cmocka_unit_test(test_death_first),
        cmocka_unit_test(test_closed),    cmocka_unit_test(test_ended_before),
        cmocka_unit_test(test_silence),   cmocka_unit_test(test_reads_nothing),
        cmocka_unit_test(test_irq_storm), cmocka_unit_test(test_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
