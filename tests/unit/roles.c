/*
 * The roles of connections: how they are recognized, and that a rule reaches only one of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wire.h"

#include "stream/roles.h"

/* What a main connection and multifd channel ID send first. */
static const unsigned char main_first[GODWIT_ROLE_BYTES] = "QEVM";
#define CHANNEL(ID)                                                                                \
    {                                                                                              \
        0x11, 0x22, 0x33, 0x44, [24] = (ID)                                                        \
    }

static void test_recognized(void **state)
{
    const unsigned char channel[] = CHANNEL(7);
    unsigned id = 0;
    (void)state;
    assert_int_equal(godwit_role_of(main_first, 4, &id), GODWIT_ROLE_MAIN);
    assert_int_equal(godwit_role_of(main_first, 3, &id), GODWIT_ROLE_OTHER);
    assert_int_equal(godwit_role_of(channel, 24, &id), GODWIT_ROLE_OTHER);
    assert_int_equal(godwit_role_of(channel, sizeof(channel), &id), GODWIT_ROLE_CHANNEL);
    assert_int_equal(id, 7);
    assert_int_equal(godwit_role_of(channel + 1, 24, &id), GODWIT_ROLE_OTHER);
}

/* A connection through the relay. */
struct pair {
    GSocket *near, *far;
};

static void call(void **state, struct pair *pair, const unsigned char *first)
{
    g_autoptr(GSocketAddress) to = wire_address(state, false, 0, "relay.sock");
    pair->near = wire_socket(G_SOCKET_FAMILY_UNIX);
    assert_true(g_socket_connect(pair->near, to, NULL, NULL));
    assert_int_equal(g_socket_send(pair->near, (const char *)first, GODWIT_ROLE_BYTES, NULL, NULL),
                     GODWIT_ROLE_BYTES);
}

/* Takes the next connection at the far end, and checks that it is CALLER's: what that has sent
 * first. */
static void take(struct wire *wire, struct pair *caller, const unsigned char *first)
{
    unsigned char came[GODWIT_ROLE_BYTES];
    g_socket_set_blocking(wire->listener, FALSE);
    while (!(caller->far = g_socket_accept(wire->listener, NULL, NULL)))
        g_main_context_iteration(NULL, FALSE);
    g_socket_set_blocking(caller->far, FALSE);
    while (g_socket_receive(caller->far, (char *)came, sizeof(came), NULL, NULL) < 0)
        g_main_context_iteration(NULL, FALSE);
    assert_memory_equal(came, first, sizeof(came));
}

static void hang_up(struct pair *pair)
{
    g_clear_object(&pair->near);
    g_clear_object(&pair->far);
}

/* Returns whether one byte comes through, or -1 if the connection has ended. */
static int passes(struct pair *pair)
{
    char byte = 'x';
    g_socket_send(pair->near, &byte, 1, NULL, NULL);
    for (unsigned turn = 0; turn < 100; turn++) {
        g_main_context_iteration(NULL, FALSE);
        const gssize n = g_socket_receive(pair->far, &byte, 1, NULL, NULL);
        if (n >= 0)
            return n > 0 ? 1 : -1;
    }
    return 0;
}

static void begin(struct godwit_relay *relay, gpointer data)
{
    *(struct godwit_roles **)data = godwit_roles_new(relay);
}

/* The main connection comes first and is made last; then each rule strikes one channel. */
static void test_rules(void **state)
{
    const unsigned char channels[][GODWIT_ROLE_BYTES] = {CHANNEL(0), CHANNEL(1)};
    struct godwit_roles *roles = NULL;
    struct wire wire = wire_open(state, false, begin, &roles);
    struct pair main_pair, pairs[G_N_ELEMENTS(channels)];
    /* wire_open() has made a connection that sends nothing, which is another one. */
    godwit_roles_main_last(roles, 1 + G_N_ELEMENTS(channels));
    call(state, &main_pair, main_first);
    for (size_t i = 0; i < G_N_ELEMENTS(channels); i++)
        call(state, &pairs[i], channels[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(channels); i++)
        take(&wire, &pairs[i], channels[i]);
    take(&wire, &main_pair, main_first);
    assert_int_equal(godwit_roles_place(roles, GODWIT_ROLE_OTHER, 0), 0);
    assert_int_equal(godwit_roles_place(roles, GODWIT_ROLE_CHANNEL, 1), 2);
    assert_int_equal(godwit_roles_place(roles, GODWIT_ROLE_MAIN, 0), 3);
    assert_int_equal(godwit_roles_place(roles, GODWIT_ROLE_CHANNEL, 2), -1);

    assert_false(godwit_roles_silence(roles, GODWIT_ROLE_CHANNEL, 2));
    assert_true(godwit_roles_silence(roles, GODWIT_ROLE_CHANNEL, 1));
    assert_false(godwit_roles_blocks(roles, GODWIT_ROLE_CHANNEL, 1));
    assert_int_equal(passes(&pairs[1]), 0);
    assert_true(godwit_roles_blocks(roles, GODWIT_ROLE_CHANNEL, 1));
    assert_int_equal(passes(&pairs[0]), 1);
    /* Its end does not pass either. */
    g_clear_object(&pairs[1].near);
    pairs[1].near = g_object_ref(pairs[0].near);
    assert_int_equal(passes(&pairs[1]), 0);
    assert_int_equal(passes(&pairs[0]), 1);

    assert_false(godwit_roles_cut(roles, GODWIT_ROLE_CHANNEL, 2));
    assert_true(godwit_roles_cut(roles, GODWIT_ROLE_CHANNEL, 0));
    assert_int_equal(passes(&main_pair), 1);
    godwit_roles_silence_all(roles);
    assert_int_equal(passes(&main_pair), 0);
    hang_up(&main_pair);
    for (size_t i = 0; i < G_N_ELEMENTS(channels); i++)
        hang_up(&pairs[i]);
    wire_close(state, &wire);
    godwit_roles_free(roles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recognized),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests_name("roles", tests, unit_folder, unit_folder_end);
}
