/*
 * dbus-vmstate: state of processes beside QEMU, which it fetches over D-Bus from the source's
 * helpers and gives to those of the destination that have the same Id (org.qemu.VMState1).
 *
 * Godwit is the bus and the helpers. A bus of its own for each side answers what a client asks of
 * any bus, and a filter on its connections is all helpers at once: it runs in GLib's thread for
 * D-Bus, so that QEMU, which waits for each answer, never waits for the scenario.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#define NAME "org.qemu.VMState1"
/* The name that the bus gives to QEMU, and the beginning of those of its helpers. */
#define CLIENT ":1.0"
#define OWNERS ":2."

#define HELPERS 4u
/* The first ones are in the list of QEMU's property id-list. */
#define LISTED 3u
/* The bus's answer to who would start a helper. */
#define ALREADY_RUNNING 2
/* More than QEMU takes: 1 MiB. */
#define TOO_LARGE ((1u << 20) + 1)

struct helper {
    const char *id;
    GBytes *state; /* what it gives; owned */
    GBytes *got;   /* what it was given last; owned, or NULL */
    unsigned saves, loads;
};

/* The mutex guards the helpers, once the bus serves. */
struct bus {
    int folder;
    GDBusServer *server;
    GPtrArray *connections;
    GMutex mutex;
    struct helper helpers[HELPERS];
};

struct plan;

struct godwit_scenario_state {
    struct bus source, destination;
    const struct plan *plan;
};

static void bus_clear(struct bus *bus)
{
    if (!bus->server)
        return;
    g_dbus_server_stop(bus->server);
    g_clear_object(&bus->server);
    for (guint i = 0; i < bus->connections->len; i++)
        g_dbus_connection_close_sync(g_ptr_array_index(bus->connections, i), NULL, NULL);
    g_clear_pointer(&bus->connections, g_ptr_array_unref);
    for (unsigned i = 0; i < HELPERS; i++) {
        g_clear_pointer(&bus->helpers[i].state, g_bytes_unref);
        g_clear_pointer(&bus->helpers[i].got, g_bytes_unref);
    }
    close(bus->folder);
}

static void clear(struct godwit_scenario_state *state)
{
    bus_clear(&state->source);
    bus_clear(&state->destination);
}

/* Returns the helpers' names on the bus. */
static GVariant *owners(void)
{
    GVariantBuilder names;
    g_variant_builder_init(&names, G_VARIANT_TYPE("as"));
    for (unsigned i = 0; i < HELPERS; i++)
        g_variant_builder_add(&names, "s", (const char *[]){":2.0", ":2.1", ":2.2", ":2.3"}[i]);
    return g_variant_new("(as)", &names);
}

/* Returns the answer of a helper to METHOD with BODY, or NULL if it has no such method. */
static GVariant *answer_helper(struct helper *helper, const char *method, GVariant *body)
{
    if (!g_strcmp0(method, "GetAll"))
        return g_variant_new_parsed("({'Id': <%s>},)", helper->id);
    if (!g_strcmp0(method, "Get"))
        return g_variant_new_parsed("(<%s>,)", helper->id);
    if (!g_strcmp0(method, "Save")) {
        helper->saves++;
        return g_variant_new("(@ay)",
                             g_variant_new_from_bytes(G_VARIANT_TYPE("ay"), helper->state, TRUE));
    }
    if (g_strcmp0(method, "Load") != 0 || !body ||
        !g_variant_is_of_type(body, G_VARIANT_TYPE("(ay)")))
        return NULL;
    g_autoptr(GVariant) bytes = g_variant_get_child_value(body, 0);
    helper->loads++;
    g_clear_pointer(&helper->got, g_bytes_unref);
    helper->got = g_variant_get_data_as_bytes(bytes);
    return g_variant_new("()");
}

/* Returns the answer of the bus itself to METHOD, or NULL if it has no such method. */
static GVariant *answer_bus(const char *method, GVariant *body)
{
    if (!g_strcmp0(method, "Hello"))
        return g_variant_new("(s)", CLIENT);
    if (!g_strcmp0(method, "AddMatch") || !g_strcmp0(method, "RemoveMatch"))
        return g_variant_new("()");
    if (!g_strcmp0(method, "ListQueuedOwners"))
        return owners();
    if (!g_strcmp0(method, "StartServiceByName"))
        return g_variant_new("(u)", ALREADY_RUNNING);
    if (!g_strcmp0(method, "NameHasOwner"))
        return g_variant_new("(b)", TRUE);
    if (!g_strcmp0(method, "GetNameOwner") && body)
        return g_variant_ref(body);
    return NULL;
}

/* Answers each call. Runs in GLib's own thread. */
static GDBusMessage *filter(GDBusConnection *connection, GDBusMessage *message, gboolean incoming,
                            gpointer data)
{
    struct bus *bus = data;
    if (!incoming || g_dbus_message_get_message_type(message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
        return message;
    const char *to = g_dbus_message_get_destination(message);
    const char *method = g_dbus_message_get_member(message);
    GVariant *body = g_dbus_message_get_body(message), *answer = NULL;
    if (!to || !strcmp(to, "org.freedesktop.DBus")) {
        answer = answer_bus(method, body);
    } else if (g_str_has_prefix(to, OWNERS)) {
        const guint64 number = g_ascii_strtoull(to + strlen(OWNERS), NULL, 10);
        g_mutex_lock(&bus->mutex);
        answer = number < HELPERS ? answer_helper(&bus->helpers[number], method, body) : NULL;
        g_mutex_unlock(&bus->mutex);
    }
    g_autoptr(GDBusMessage) reply =
        answer
            ? g_dbus_message_new_method_reply(message)
            : g_dbus_message_new_method_error(message, "org.freedesktop.DBus.Error.UnknownMethod",
                                              "no method %s of %s", method, to);
    if (answer)
        g_dbus_message_set_body(reply, answer);
    g_dbus_message_set_destination(reply, CLIENT);
    g_dbus_message_set_sender(reply, to ? to : "org.freedesktop.DBus");
    g_dbus_connection_send_message(connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
    g_object_unref(message);
    return NULL;
}

static gboolean greet(GDBusServer *server, GDBusConnection *connection, gpointer data)
{
    struct bus *bus = data;
    (void)server;
    g_ptr_array_add(bus->connections, g_object_ref(connection));
    g_dbus_connection_add_filter(connection, filter, bus, NULL);
    return TRUE;
}

/* Opens the bus NAME.bus in the testbed's directory, whose path may be too long for a socket. */
static bool bus_open(struct godwit_testbed *testbed, struct bus *bus, const char *name,
                     GError **error)
{
    g_autofree char *guid = g_dbus_generate_guid();
    g_autoptr(GError) cause = NULL;
    bus->folder = open(testbed->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_autofree char *address =
        g_strdup_printf("unix:path=/proc/self/fd/%d/%s.bus", bus->folder, name);
    bus->server =
        g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, &cause);
    if (!bus->server) {
        if (bus->folder >= 0)
            close(bus->folder);
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no D-Bus for the %s: %s", name,
                           cause->message);
    }
    bus->connections = g_ptr_array_new_with_free_func(g_object_unref);
    g_signal_connect(bus->server, "new-connection", G_CALLBACK(greet), bus);
    g_dbus_server_start(bus->server);
    return true;
}

/* Gives each helper a state of its own, by the seed. */
static void fill(struct godwit_testbed *testbed, struct bus *bus, const unsigned *sizes)
{
    static const char *const ids[HELPERS] = {"first", "second", "third", "unlisted"};
    GRand *random = g_rand_new_with_seed((guint32)testbed->setup->seed);
    for (unsigned i = 0; i < HELPERS; i++) {
        unsigned char *bytes = g_malloc(sizes[i]);
        for (unsigned at = 0; at < sizes[i]; at++)
            bytes[at] = (unsigned char)g_rand_int(random);
        bus->helpers[i].id = ids[i];
        bus->helpers[i].state = g_bytes_new_take(bytes, sizes[i]);
    }
    g_rand_free(random);
}

/* What differs from one row to another. */
struct plan {
    unsigned sizes[HELPERS]; /* of the states */
    bool missing;            /* the destination's first helper has another Id */
    const char *reason;      /* a migration that must fail prints this */
};

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    static const unsigned none[HELPERS] = {1, 1, 1, 1};
    struct godwit_scenario_state *state = testbed->state;
    state->plan = plan;
    fill(testbed, &state->source, plan->sizes);
    fill(testbed, &state->destination, none);
    if (plan->missing)
        state->destination.helpers[0].id = "another";
    return bus_open(testbed, &state->source, "source", error) &&
           bus_open(testbed, &state->destination, "destination", error) &&
           godwit_course_run(testbed, &scenario->spec, error);
}

/* Fails with ORACLE unless a helper was called as often as it must. */
static bool expect_calls(const char *side, const struct helper *helper, unsigned saves,
                         unsigned loads, GError **error)
{
    return (helper->saves == saves && helper->loads == loads) ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the %s's helper \"%s\" was asked %u times to save and %u times to load, "
                       "expected %u and %u",
                       side, helper->id, helper->saves, helper->loads, saves, loads);
}

/* Checks that each listed state has arrived, and no other. A spec's hook `judge`. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    gsize bytes = 0;
    bool good = true;
    (void)destination;
    g_mutex_lock(&state->source.mutex);
    g_mutex_lock(&state->destination.mutex);
    for (unsigned i = 0; good && i < HELPERS; i++) {
        const struct helper *here = &state->source.helpers[i];
        const struct helper *there = &state->destination.helpers[i];
        const unsigned once = i < LISTED;
        good = expect_calls("source", here, once, 0, error) &&
               expect_calls("destination", there, 0, once, error);
        if (good && once && !g_bytes_equal(here->state, there->got))
            good = godwit_fail(
                error, GODWIT_ERROR_ORACLE,
                "the destination's helper \"%s\" was given %" G_GSIZE_FORMAT
                " bytes that are not the %" G_GSIZE_FORMAT " that the source's helper saved",
                there->id, g_bytes_get_size(there->got), g_bytes_get_size(here->state));
        bytes += good && once ? g_bytes_get_size(here->state) : 0;
    }
    g_mutex_unlock(&state->destination.mutex);
    g_mutex_unlock(&state->source.mutex);
    godwit_testbed_measure(source->testbed, "dbus_bytes", json_integer((json_int_t)bytes));
    return good;
}

/* Checks that one of the QEMUs has printed why. A spec's hook `judge`. */
static bool judge_failure(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const char *reason = source->testbed->state->plan->reason;
    g_autofree char *from = godwit_vm_stderr(source, G_MAXUINT);
    g_autofree char *to = godwit_vm_stderr(destination, G_MAXUINT);
    const char *failure = godwit_migration_of(source->testbed)->failure;
    return strstr(from, reason) || strstr(to, reason) || strstr(failure ? failure : "", reason) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the migration failed, but neither side printed \"%s\": \"%s\", \"%s\"",
                       reason, g_strchomp(from), g_strchomp(to));
}

#define LIST ",id-list=first,,second,,third"
static const char *const here[] = {"-object",
                                   "dbus-vmstate,id=vmstate,addr=unix:path=source.bus" LIST, NULL};
static const char *const there[] = {
    "-object", "dbus-vmstate,id=vmstate,addr=unix:path=destination.bus" LIST, NULL};
static const char *const unlisted[] = {
    "-object", "dbus-vmstate,id=vmstate,addr=unix:path=destination.bus", NULL};
static const struct godwit_capability return_path[] = {{"return-path", true}, {NULL, false}};

#define ROW(name_, text, plan, ...)                                                                \
    {                                                                                              \
        .name = "dbus-vmstate/" name_, .summary = text, .run = run, .data = &plan,                 \
        .needs = "object:dbus-vmstate", .spec = {.source_arguments = here, __VA_ARGS__},           \
        .state = sizeof(struct godwit_scenario_state), .clear = clear,                             \
    }

static const struct plan usual = {.sizes = {1, 4103, 600000, 16}},
                         missing = {.sizes = {7, 7, 7, 7},
                                    .missing = true,
                                    .reason = "Failed to find proxy Id 'first'"},
                         large = {.sizes = {TOO_LARGE, 7, 7, 7},
                                  .reason = "Too large vmstate data to save"};

GODWIT_SCENARIOS(dbus) = {
    ROW("precopy", "the states of three processes arrive by dbus-vmstate", usual,
        .destination_arguments = there, .judge = judge),
    ROW("postcopy", "the same in a postcopy", usual, .destination_arguments = there,
        .move = GODWIT_MOVE_POSTCOPY, .judge = judge),
    ROW("missing", "the destination has no process for one of the states: must fail", missing,
        .destination_arguments = unlisted, .capabilities = return_path,
        .outcome = GODWIT_OUTCOME_FAILS, .judge = judge_failure),
    ROW("too-large", "a state is larger than QEMU takes: must fail", large,
        .destination_arguments = there, .capabilities = return_path,
        .outcome = GODWIT_OUTCOME_FAILS, .judge = judge_failure),
};
GODWIT_SCENARIOS_END(dbus);
