/*
 * The relay: that it changes nothing that goes through it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "stream/relay.h"
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One who listens, as the destination, and the relay in front of it. */
struct wire {
    GSocket *listener, *near, *far;
    struct godwit_relay *relay;
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
    wire.relay = godwit_relay_new(*state, uri, NULL);
    assert_non_null(wire.relay);
    const char *relayed = godwit_relay_uri(wire.relay);
    assert_string_not_equal(relayed, uri);
    const guint64 port = tcp ? g_ascii_strtoull(strrchr(relayed, ':') + 1, NULL, 10) : 0;
    g_autoptr(GSocketAddress) to = address_of(state, tcp, (guint16)port, "relay.sock");
    assert_true(g_socket_connect(wire.near, to, NULL, NULL));
    while (!godwit_relay_count(wire.relay))
        g_main_context_iteration(NULL, TRUE);
    wire.far = g_socket_accept(wire.listener, NULL, NULL);
    assert_non_null(wire.far);
    return wire;
}

static void close_wire(void **state, struct wire *wire)
{
    godwit_relay_free(wire->relay);
    g_clear_object(&wire->near);
    g_clear_object(&wire->far);
    g_clear_object(&wire->listener);
    static const char *const files[] = {"target", "relay.sock"};
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
    g_autofree char *uri = g_strdup(godwit_relay_uri(wire.relay));
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
    assert_int_equal(godwit_relay_count(wire.relay), 1);
    close_wire(state, &wire);
}

static void test_cannot(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_null(godwit_relay_new("/no/such/folder", "unix:target", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "cannot listen in front of unix:target, in /no/such/folder: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_changed),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_hung_up),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cannot),
    };
    return cmocka_run_group_tests_name("relay", tests, unit_folder, unit_folder_end);
}
