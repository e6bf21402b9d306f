/*
 * The tap: that it takes nothing for TLS that is not, and changes nothing that goes through it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "migrate/tap.h"
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A handshake of 4 bytes, a data record of 3, an alert of 2. */
static const unsigned char good[] = {22, 3, 1, 0, 4, 'a', 'b', 'c', 'd', 23, 3, 3,
                                     0,  3, 1, 2, 3, 21,  3,   3,   0,   2,  9, 9};

/* However it is cut into pieces. */
static void test_good(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof(good); piece++) {
        struct godwit_records records = {0};
        for (size_t at = 0; at < sizeof(good); at += piece)
            godwit_records_feed(&records, good + at, MIN(piece, sizeof(good) - at));
        assert_false(records.plain);
        assert_true(records.greeted);
        assert_int_equal(records.number, 3);
        assert_int_equal(records.data, 3);
        assert_int_equal(records.bytes, sizeof(good));
    }
}

static void test_plain(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[5];
        bool plain;
    } rows[] = {
        {{22, 3, 1, 0, 1}, false},
        {{23, 3, 3, 0x40, 0}, false},
        {{23, 3, 3, 0x48, 0}, false},
        {{23, 3, 3, 0x48, 1}, true},
        {{19, 3, 3, 0, 1}, true},
        {{24, 3, 3, 0, 1}, true},
        {{23, 2, 3, 0, 1}, true},
        {{23, 4, 3, 0, 1}, true},
        {{22, 3, 3, 0, 0}, true},
        {{'Q', 'E', 'V', 'M', 0}, true},
        {{0x11, 0x22, 0x33, 0x44}, true}, /* a multifd channel's beginning */
        {{0}, true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        /* At the very beginning, and after what was right. */
        for (int after = 0; after < 2; after++) {
            struct godwit_records records = {0};
            if (after)
                godwit_records_feed(&records, good, sizeof(good));
            godwit_records_feed(&records, rows[i].bytes, sizeof(rows[i].bytes));
            assert_int_equal(records.plain, rows[i].plain);
            if (rows[i].plain)
                assert_int_equal(records.at, after ? sizeof(good) : 0);
            /* It stays what it was found to be. */
            godwit_records_feed(&records, good, sizeof(good));
            if (rows[i].plain)
                assert_true(records.plain);
        }
    }
}

/* TLS never begins with data. */
static void test_not_greeted(void **state)
{
    (void)state;
    struct godwit_records records = {0};
    godwit_records_feed(&records, good + 9, sizeof(good) - 9);
    assert_false(records.plain);
    assert_false(records.greeted);
}

/* One who listens, as the destination, and the tap in front of it. */
struct wire {
    GSocket *listener, *near, *far;
    struct godwit_tap *tap;
};

static GSocket *new_socket(GSocketFamily family)
{
    GSocket *socket = g_socket_new(family, G_SOCKET_TYPE_STREAM, 0, NULL);
    assert_non_null(socket);
    return socket;
}

static GSocketAddress *address_of(void **state, bool tcp, guint16 port, const char *name)
{
    if (tcp) {
        g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
        return g_inet_socket_address_new(loopback, port);
    }
    g_autofree char *path = g_build_filename(*state, name, NULL);
    return g_unix_socket_address_new(path);
}

static struct wire open_wire(void **state, bool tcp)
{
    const GSocketFamily family = tcp ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_UNIX;
    struct wire wire = {.listener = new_socket(family), .near = new_socket(family)};
    g_autoptr(GSocketAddress) any = address_of(state, tcp, 0, "target");
    assert_true(g_socket_bind(wire.listener, any, TRUE, NULL));
    assert_true(g_socket_listen(wire.listener, NULL));
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(wire.listener, NULL);
    g_autofree char *uri =
        tcp ? g_strdup_printf("tcp:127.0.0.1:%u",
                              g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)))
            : g_strdup("unix:target");
    wire.tap = godwit_tap_new(*state, uri, NULL);
    assert_non_null(wire.tap);
    const char *tapped = godwit_tap_uri(wire.tap);
    assert_string_not_equal(tapped, uri);
    const guint64 port = tcp ? g_ascii_strtoull(strrchr(tapped, ':') + 1, NULL, 10) : 0;
    g_autoptr(GSocketAddress) to = address_of(state, tcp, (guint16)port, "tap.sock");
    assert_true(g_socket_connect(wire.near, to, NULL, NULL));
    while (!godwit_tap_count(wire.tap))
        g_main_context_iteration(NULL, TRUE);
    wire.far = g_socket_accept(wire.listener, NULL, NULL);
    assert_non_null(wire.far);
    return wire;
}

static void close_wire(void **state, struct wire *wire)
{
    godwit_tap_free(wire->tap);
    g_clear_object(&wire->near);
    g_clear_object(&wire->far);
    g_clear_object(&wire->listener);
    static const char *const files[] = {"target", "tap.sock"};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(*state, files[i], NULL);
        g_unlink(path);
    }
}

/* Sends LENGTH bytes and takes them at the other end, with the main loop in between. */
static void send_through(GSocket *from, GSocket *to, size_t length)
{
    g_autofree char *sent = g_malloc(length);
    g_autofree char *received = g_malloc0(length);
    for (size_t i = 0; i < length; i++)
        sent[i] = (char)g_random_int();
    g_socket_set_blocking(from, FALSE);
    g_socket_set_blocking(to, FALSE);
    for (size_t out = 0, in = 0; in < length;) {
        gssize n = g_socket_send(from, sent + out, length - out, NULL, NULL);
        out += n > 0 ? (size_t)n : 0;
        g_main_context_iteration(NULL, FALSE);
        n = g_socket_receive(to, received + in, length - in, NULL, NULL);
        assert_int_not_equal(n, 0);
        in += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(sent, received, length);
}

/* More than any buffer on the way holds, both ways. */
static void test_nothing_is_changed(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct wire wire = open_wire(state, tcp);
        send_through(wire.near, wire.far, 8u << 20);
        send_through(wire.far, wire.near, 3u << 20);
        const struct godwit_tapped *tapped = godwit_tap_at(wire.tap, 0);
        assert_int_equal(tapped->sent.bytes, 8u << 20);
        assert_int_equal(tapped->answered.bytes, 3u << 20);
        close_wire(state, &wire);
    }
}

/* The end of one direction is passed on, and leaves the other one as it is. */
static void test_end(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct wire wire = open_wire(state, tcp);
        char byte;
        send_through(wire.near, wire.far, 10);
        assert_true(g_socket_shutdown(wire.near, FALSE, TRUE, NULL));
        g_socket_set_blocking(wire.far, FALSE);
        gssize n = -1;
        while ((n = g_socket_receive(wire.far, &byte, 1, NULL, NULL)) < 0)
            g_main_context_iteration(NULL, TRUE);
        assert_int_equal(n, 0);
        send_through(wire.far, wire.near, 10);
        close_wire(state, &wire);
    }
}

/* Sends until no more is taken just now; false if the other side has hung up. */
static bool send_all(GSocket *socket)
{
    static char chunk[65536];
    g_autoptr(GError) error = NULL;
    while (g_socket_send(socket, chunk, sizeof(chunk), NULL, &error) >= 0)
        ;
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
}

/* One side hangs up while the other, every buffer on the way full, wants to say more: it is told.
 */
static void test_hung_up(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct wire wire = open_wire(state, tcp);
        send_through(wire.near, wire.far, 10);
        assert_true(send_all(wire.near));
        g_clear_object(&wire.far);
        while (send_all(wire.near))
            g_main_context_iteration(NULL, FALSE);
        close_wire(state, &wire);
    }
}

/* Nobody listens any more: who connects is hung up on. */
static void test_refused(void **state)
{
    struct wire wire = open_wire(state, true);
    g_autofree char *uri = g_strdup(godwit_tap_uri(wire.tap));
    g_clear_object(&wire.listener);
    g_autoptr(GSocket) late = new_socket(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) to =
        address_of(state, true, (guint16)g_ascii_strtoull(strrchr(uri, ':') + 1, NULL, 10), NULL);
    assert_true(g_socket_connect(late, to, NULL, NULL));
    char byte;
    g_socket_set_blocking(late, FALSE);
    gssize n = -1;
    while ((n = g_socket_receive(late, &byte, 1, NULL, NULL)) < 0)
        g_main_context_iteration(NULL, FALSE);
    assert_int_equal(n, 0);
    assert_int_equal(godwit_tap_count(wire.tap), 1);
    close_wire(state, &wire);
}

static void test_cannot(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_null(godwit_tap_new("/no/such/folder", "unix:target", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "cannot listen in front of unix:target, in /no/such/folder: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_not_greeted), cmocka_unit_test(test_nothing_is_changed),
        cmocka_unit_test(test_end),         cmocka_unit_test(test_hung_up),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_cannot),
    };
    return cmocka_run_group_tests_name("tap", tests, unit_folder, unit_folder_end);
}
