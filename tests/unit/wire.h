/*
 * A relay between two sockets of the test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_WIRE_H
#define GODWIT_TESTS_UNIT_WIRE_H

#include "unit.h"

#include "stream/relay.h"
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <stdbool.h>
#include <string.h>

/* One who listens, as the destination, and the relay in front of it. */
struct wire {
    GSocket *listener, *near, *far;
    struct godwit_relay *relay;
};

static inline GSocket *wire_socket(GSocketFamily family)
{
    GSocket *socket = g_socket_new(family, G_SOCKET_TYPE_STREAM, 0, NULL);
    assert_non_null(socket);
    return socket;
}

static inline GSocketAddress *wire_address(void **state, bool tcp, guint16 port, const char *name)
{
    if (tcp) {
        g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
        return g_inet_socket_address_new(loopback, port);
    }
    g_autofree char *path = g_build_filename(*state, name, NULL);
    return g_unix_socket_address_new(path);
}

/* PREPARE(relay, DATA), unless it is NULL, comes before the connection is made. */
static inline struct wire wire_open(void **state, bool tcp,
                                    void (*prepare)(struct godwit_relay *relay, gpointer data),
                                    gpointer data)
{
    const GSocketFamily family = tcp ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_UNIX;
    struct wire wire = {.listener = wire_socket(family), .near = wire_socket(family)};
    g_autoptr(GSocketAddress) any = wire_address(state, tcp, 0, "target");
    assert_true(g_socket_bind(wire.listener, any, TRUE, NULL));
    assert_true(g_socket_listen(wire.listener, NULL));
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(wire.listener, NULL);
    g_autofree char *uri =
        tcp ? g_strdup_printf("tcp:127.0.0.1:%u",
                              g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)))
            : g_strdup("unix:target");
    wire.relay = godwit_relay_new(*state, uri, NULL);
    assert_non_null(wire.relay);
    if (prepare)
        prepare(wire.relay, data);
    const char *relayed = godwit_relay_uri(wire.relay);
    assert_string_not_equal(relayed, uri);
    const guint64 port = tcp ? g_ascii_strtoull(strrchr(relayed, ':') + 1, NULL, 10) : 0;
    g_autoptr(GSocketAddress) to = wire_address(state, tcp, (guint16)port, "relay.sock");
    assert_true(g_socket_connect(wire.near, to, NULL, NULL));
    while (!godwit_relay_count(wire.relay))
        g_main_context_iteration(NULL, TRUE);
    wire.far = g_socket_accept(wire.listener, NULL, NULL);
    assert_non_null(wire.far);
    return wire;
}

static inline void wire_close(void **state, struct wire *wire)
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

/* Sends LENGTH bytes from the near end, closes that direction and takes what comes out at the far
 * end until its end; it is the caller's (g_byte_array_unref). */
static inline GByteArray *wire_pass(struct wire *wire, const void *bytes, size_t length)
{
    GByteArray *came = g_byte_array_new();
    guint8 buffer[4096];
    g_socket_set_blocking(wire->near, FALSE);
    g_socket_set_blocking(wire->far, FALSE);
    for (size_t sent = 0;;) {
        if (sent < length) {
            const gssize n =
                g_socket_send(wire->near, (const char *)bytes + sent, length - sent, NULL, NULL);
            sent += n > 0 ? (size_t)n : 0;
            if (sent == length)
                g_socket_shutdown(wire->near, FALSE, TRUE, NULL);
        }
        g_main_context_iteration(NULL, FALSE);
        const gssize n = g_socket_receive(wire->far, (char *)buffer, sizeof(buffer), NULL, NULL);
        if (n == 0)
            return came;
        if (n > 0)
            g_byte_array_append(came, buffer, (guint)n);
    }
}

#endif
