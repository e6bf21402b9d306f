/*
 * The relay: that it changes nothing that goes through it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wire.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What the tests below have had a filter do. */
struct filtered {
    struct godwit_flow *flow;
    size_t at;    /* after that many bytes ... */
    size_t taken; /* of these ... */
    void (*act)(struct godwit_flow *flow);
    bool acted;
};

static void act_cut(struct godwit_flow *flow)
{
    godwit_flow_cut(flow);
}

static void act_close(struct godwit_flow *flow)
{
    godwit_flow_close(flow);
}

static void act_stall(struct godwit_flow *flow)
{
    godwit_flow_stall(flow, 20);
}

static void act_split(struct godwit_flow *flow)
{
    godwit_flow_slow(flow, 1, 0);
}

static void act_throttle(struct godwit_flow *flow)
{
    godwit_flow_slow(flow, 0, 10u << 20);
}

static void act_change(struct godwit_flow *flow)
{
    godwit_flow_send(flow, "changed", 7);
}

/* Acts when AT bytes have gone on. */
static void filter(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                   size_t length)
{
    struct filtered *filtered = data;
    if (!filtered->acted && filtered->taken + length > filtered->at) {
        const size_t first = filtered->at - filtered->taken;
        godwit_flow_send(flow, bytes, first);
        filtered->act(flow);
        filtered->acted = true;
        bytes += first;
        length -= first;
        filtered->taken += first;
    }
    godwit_flow_send(flow, bytes, length);
    filtered->taken += length;
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct filtered *filtered = data;
    (void)answered;
    assert_int_equal(index, 0);
    filtered->flow = sent;
    godwit_flow_filter_by(sent, filter, filtered);
}

static void prepare(struct godwit_relay *relay, gpointer data)
{
    godwit_relay_greet(relay, greet, data);
}

/* What a filter does is done after the bytes that it sent before, and before those after. */
static void test_filters(void **state)
{
    enum { LENGTH = 600000, AT = 300001 };
    g_autofree guint8 *bytes = g_malloc(LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] = (guint8)g_random_int();
    const struct {
        void (*act)(struct godwit_flow *flow);
        size_t whole; /* how much comes out */
    } rows[] = {
        {act_stall, LENGTH}, {act_split, LENGTH}, {act_throttle, LENGTH},
        {act_cut, AT},       {act_close, AT},     {act_change, LENGTH + 7},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (int tcp = 0; tcp < 2; tcp++) {
            struct filtered filtered = {.at = AT, .act = rows[i].act};
            struct wire wire = wire_open(state, tcp, prepare, &filtered);
            g_autoptr(GByteArray) came = wire_pass(&wire, bytes, LENGTH);
            assert_true(filtered.acted);
            assert_int_equal(came->len, rows[i].whole);
            const size_t more = came->len > LENGTH ? came->len - LENGTH : 0;
            assert_memory_equal(came->data, bytes, AT);
            assert_memory_equal(came->data + AT + more, bytes + AT, came->len - AT - more);
            wire_close(state, &wire);
        }
    }
}

/* A connection that is cut is so for both; one direction that is closed leaves the other. */
static void test_other_direction(void **state)
{
    for (int cut = 0; cut < 2; cut++) {
        struct filtered filtered = {.at = 0, .act = cut ? act_cut : act_close};
        struct wire wire = wire_open(state, false, prepare, &filtered);
        char byte = 'x';
        assert_int_equal(g_socket_send(wire.near, &byte, 1, NULL, NULL), 1);
        g_socket_set_blocking(wire.far, FALSE);
        gssize n;
        while ((n = g_socket_receive(wire.far, &byte, 1, NULL, NULL)) < 0)
            g_main_context_iteration(NULL, FALSE);
        assert_int_equal(n, 0);
        g_socket_send(wire.far, "y", 1, NULL, NULL);
        g_socket_set_blocking(wire.near, FALSE);
        while ((n = g_socket_receive(wire.near, &byte, 1, NULL, NULL)) < 0)
            g_main_context_iteration(NULL, FALSE);
        assert_int_equal(n, cut ? 0 : 1);
        wire_close(state, &wire);
    }
}

struct watched {
    size_t bytes;
    unsigned ends;
};

static void watch(gpointer data, const unsigned char *bytes, size_t length)
{
    struct watched *watched = data;
    (void)bytes;
    watched->bytes += length;
    watched->ends += length == 0;
}

static void greet_watched(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                          gpointer data)
{
    struct watched *watched = data;
    (void)index;
    godwit_flow_watch(sent, watch, &watched[0]);
    godwit_flow_watch(sent, watch, &watched[1]);
    godwit_flow_watch(answered, watch, &watched[2]);
}

static void prepare_watched(struct godwit_relay *relay, gpointer data)
{
    godwit_relay_greet(relay, greet_watched, data);
}

/* Everybody who watches a direction sees all of it, and its end once. */
static void test_watchers(void **state)
{
    struct watched watched[3] = {0};
    struct wire wire = wire_open(state, false, prepare_watched, watched);
    g_autoptr(GByteArray) came = wire_pass(&wire, "0123456789", 10);
    assert_int_equal(came->len, 10);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(watched[i].bytes, 10);
        assert_int_equal(watched[i].ends, 1);
    }
    assert_int_equal(watched[2].bytes, 0);
    wire_close(state, &wire);
}

/* The network fails: both sides see their end. */
static void test_hang_up(void **state)
{
    struct wire wire = wire_open(state, true, NULL, NULL);
    char byte;
    godwit_relay_hang_up(wire.relay);
    assert_true(g_socket_receive(wire.near, &byte, 1, NULL, NULL) <= 0);
    assert_true(g_socket_receive(wire.far, &byte, 1, NULL, NULL) <= 0);
    wire_close(state, &wire);
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
        struct wire wire = wire_open(state, tcp, NULL, NULL);
        send_through(wire.near, wire.far, 8u << 20);
        send_through(wire.far, wire.near, 3u << 20);
        wire_close(state, &wire);
    }
}

/* The end of one direction is passed on, and leaves the other one as it is. */
static void test_end(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct wire wire = wire_open(state, tcp, NULL, NULL);
        char byte;
        send_through(wire.near, wire.far, 10);
        assert_true(g_socket_shutdown(wire.near, FALSE, TRUE, NULL));
        g_socket_set_blocking(wire.far, FALSE);
        gssize n = -1;
        while ((n = g_socket_receive(wire.far, &byte, 1, NULL, NULL)) < 0)
            g_main_context_iteration(NULL, TRUE);
        assert_int_equal(n, 0);
        send_through(wire.far, wire.near, 10);
        wire_close(state, &wire);
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
        struct wire wire = wire_open(state, tcp, NULL, NULL);
        send_through(wire.near, wire.far, 10);
        assert_true(send_all(wire.near));
        g_clear_object(&wire.far);
        while (send_all(wire.near))
            g_main_context_iteration(NULL, FALSE);
        wire_close(state, &wire);
    }
}

/* Nobody listens any more: who connects is hung up on. */
static void test_refused(void **state)
{
    struct wire wire = wire_open(state, true, NULL, NULL);
    g_autofree char *uri = g_strdup(godwit_relay_uri(wire.relay));
    g_clear_object(&wire.listener);
    g_autoptr(GSocket) late = wire_socket(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) to =
        wire_address(state, true, (guint16)g_ascii_strtoull(strrchr(uri, ':') + 1, NULL, 10), NULL);
    assert_true(g_socket_connect(late, to, NULL, NULL));
    char byte;
    g_socket_set_blocking(late, FALSE);
    gssize n = -1;
    while ((n = g_socket_receive(late, &byte, 1, NULL, NULL)) < 0)
        g_main_context_iteration(NULL, FALSE);
    assert_int_equal(n, 0);
    assert_int_equal(godwit_relay_count(wire.relay), 1);
    wire_close(state, &wire);
}

static void test_cannot(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_null(godwit_relay_new("/no/such/folder", "unix:target", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "cannot listen in front of unix:target, in /no/such/folder: ");
}

/* A listening unix socket in the folder STATE whose queue of one is full. */
static int busy_listener(void **state, int *queued)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/busy.sock", (const char *)*state);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 0), 0);
    *queued = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*queued, (struct sockaddr *)&address, sizeof(address)), 0);
    return listener;
}

/* A caller of the relay. */
static int call_relay(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/relay.sock", (const char *)*state);
    const int caller = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&address, sizeof(address)), 0);
    return caller;
}

static gboolean note(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* While the address behind the relay accepts no connection, the main loop runs on. Once there is
 * room, the connection is made; if there is none in time, the caller is hung up on, and it is known
 * why. */
static void test_busy_target(void **state)
{
    for (int room = 0; room < 2; room++) {
        int queued = -1;
        const int listener = busy_listener(state, &queued);
        struct godwit_relay *relay = godwit_relay_new(*state, "unix:busy.sock", NULL);
        assert_non_null(relay);
        if (!room)
            godwit_relay_patience(relay, 30);
        const int caller = call_relay(state);
        bool ran = false;
        char byte = 'x';
        g_timeout_add(20, note, &ran);
        alarm(60); /* ends only what hangs */
        while (!ran)
            g_main_context_iteration(NULL, TRUE);
        assert_int_equal(godwit_relay_count(relay), 0);
        if (room) {
            const int other = accept(listener, NULL, NULL);
            assert_int_equal(write(caller, &byte, 1), 1);
            while (godwit_relay_count(relay) == 0)
                g_main_context_iteration(NULL, TRUE);
            const int far = accept(listener, NULL, NULL);
            unit_settle();
            byte = 0;
            assert_int_equal(recv(far, &byte, 1, 0), 1);
            assert_int_equal(byte, 'x');
            assert_null(godwit_relay_failure(relay));
            close(far);
            close(other);
        } else {
            while (!godwit_relay_failure(relay))
                g_main_context_iteration(NULL, TRUE);
            assert_contains(godwit_relay_failure(relay), "unix:busy.sock: Connection timed out");
            assert_int_equal(recv(caller, &byte, 1, 0), 0);
        }
        alarm(0);
        godwit_relay_free(relay);
        close(caller);
        close(queued);
        close(listener);
        g_autofree char *path = g_build_filename(*state, "busy.sock", NULL);
        assert_int_equal(g_unlink(path), 0);
    }
}

/* Nobody listens there: that is known at once, and the next caller is served all the same. */
static void test_no_target(void **state)
{
    static const char target[] = "unix:nobody.sock";
    struct godwit_relay *relay = godwit_relay_new(*state, target, NULL);
    assert_non_null(relay);
    for (int i = 0; i < 2; i++) {
        char byte;
        const int caller = call_relay(state);
        while (!godwit_relay_failure(relay) || recv(caller, &byte, 1, MSG_DONTWAIT) != 0)
            g_main_context_iteration(NULL, FALSE);
        assert_contains(godwit_relay_failure(relay), target);
        close(caller);
    }
    godwit_relay_free(relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy_target),
        cmocka_unit_test(test_no_target),
        cmocka_unit_test(test_nothing_is_changed),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_hung_up),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cannot),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_other_direction),
        cmocka_unit_test(test_watchers),
        cmocka_unit_test(test_hang_up),
    };
    return cmocka_run_group_tests_name("relay", tests, unit_folder, unit_folder_end);
}
