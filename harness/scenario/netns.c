/*
 * Source and destination as on two hosts: each in its own network namespace, with a link between
 * them that is slow, delays packets and loses some. A kernel without netem makes a plain link.
 *
 * The namespaces have no name and belong to the QEMUs alone. They and the link vanish when the
 * QEMUs end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/recovery.h"

#include <stdio.h>
#include <string.h>

/* The addresses of both ends, from a network that is reserved for examples (RFC 5737). */
#define SOURCE_ADDRESS      "192.0.2.1"
#define DESTINATION_ADDRESS "192.0.2.2"
#define INTERFACE           "migrate0"
/* Each end does this to the packets that it sends. */
#define NETEM "netem delay 10ms loss 1% rate 1gbit limit 10000"
/* TCP suffers less from the loss of one packet in a hundred if packets are large. */
#define MTU "9000"
/* Where a destination that has lost its source listens: in its namespace every port is free. */
#define RECOVER_URI "tcp:" DESTINATION_ADDRESS ":4444"
/* The size of the window. Over such a link a larger one would take minutes. */
#define WINDOW ((uint64_t)8 << 20)

struct godwit_scenario_state {
    /* Bytes of pages that QEMU had sent, and that were in its socket when the link was cut. */
    json_int_t lost;
};

/* Runs a command and waits for it. Returns what it printed, which the caller frees. If it fails,
 * returns NULL with an error CODE set that quotes its stderr. */
static char *run_tool(const char *line, enum godwit_error code, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    /* The tools are for the superuser and not in everybody's PATH. */
    g_autofree char *path = g_strconcat(g_getenv("PATH"), ":/usr/sbin:/sbin", NULL);
    g_autoptr(GError) cause = NULL;
    g_autofree char *said = NULL;
    char *printed = NULL;
    g_subprocess_launcher_setenv(launcher, "PATH", path, TRUE);
    g_subprocess_launcher_setenv(launcher, "LC_ALL", "C", TRUE);
    g_autoptr(GSubprocess) tool =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)(void *)words, &cause);
    if (!tool || !g_subprocess_communicate_utf8(tool, NULL, NULL, &printed, &said, &cause)) {
        godwit_fail(error, code, "%s: %s", line, cause->message);
        return NULL;
    }
    if (g_subprocess_get_successful(tool))
        return printed;
    g_free(printed);
    godwit_fail(error, code, "%s: \"%s\"", line, g_strstrip(said));
    return NULL;
}

/* Runs a command in the VM's network namespace. Returns what it printed; the caller frees it. */
static char *ask_inside(const struct godwit_vm *vm, const char *command, GError **error)
{
    g_autofree char *line =
        g_strdup_printf("nsenter --target %d --net %s", (int)godwit_vm_pid(vm), command);
    return run_tool(line, GODWIT_ERROR_ENVIRONMENT, error);
}

static bool do_inside(const struct godwit_vm *vm, const char *command, GError **error)
{
    g_autofree char *printed = ask_inside(vm, command, error);
    return printed != NULL;
}

/* Tries all that is needed of host and user, in a namespace that vanishes at once. Fails with SKIP,
 * and names what does not work. */
static bool try_network(GError **error)
{
    static const char *const lines[] = {
        "unshare --net ip link add name " INTERFACE " type veth peer name peer",
        "nsenter --version",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *printed = run_tool(lines[i], GODWIT_ERROR_SKIP, error);
        if (!printed) {
            godwit_error_context(error, "needs network namespaces and veth");
            return false;
        }
    }
    return true;
}

/* Returns NULL if this host can delay and lose packets, otherwise why it cannot. The caller frees
 * it. */
static char *why_plain(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *printed =
        run_tool("unshare --net tc qdisc add dev lo root " NETEM, GODWIT_ERROR_ENVIRONMENT, &error);
    return printed ? NULL : g_strdup(error->message);
}

/* Sets up one end of the link, with its address. */
static bool set_up_end(const struct godwit_vm *vm, const char *address, bool plain, GError **error)
{
    godwit_qmp_note(vm->qmp, "QEMU has a network namespace of its own, with a link");
    g_autofree char *add = g_strdup_printf("ip address add %s/24 dev " INTERFACE, address);
    return do_inside(vm, add, error) &&
           (plain || do_inside(vm, "tc qdisc add dev " INTERFACE " root " NETEM, error)) &&
           do_inside(vm, "ip link set dev " INTERFACE " mtu " MTU " up", error);
}

/* Makes the link where it belongs, so that it is never in the host's own namespace. */
static bool set_up_link(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autofree char *plain = why_plain();
    if (plain)
        godwit_testbed_measure(source->testbed, "plain_link", json_string(plain));
    g_autofree char *line = g_strdup_printf(
        "ip link add name " INTERFACE " netns %d type veth peer name " INTERFACE " netns %d",
        (int)godwit_vm_pid(source), (int)godwit_vm_pid(destination));
    g_autofree char *printed = run_tool(line, GODWIT_ERROR_ENVIRONMENT, error);
    return printed && set_up_end(source, SOURCE_ADDRESS, plain, error) &&
           set_up_end(destination, DESTINATION_ADDRESS, plain, error);
}

/* Runs an ip or tc command inside, which prints JSON. Returns its first element, and all in TEXT,
 * which the caller frees. */
static json_t *ask_first(struct godwit_vm *vm, const char *command, char **text, GError **error)
{
    *text = ask_inside(vm, command, error);
    g_autoptr(json_t) list = *text ? json_loads(*text, 0, NULL) : NULL;
    return json_incref(json_array_get(list, 0));
}

/* Asks the source's kernel how many BYTES it has sent over the link. The caller frees TEXT, all of
 * the answer. */
static bool ask_sent(struct godwit_vm *source, json_int_t *bytes, json_int_t *packets, char **text,
                     GError **error)
{
    g_autoptr(json_t) interface =
        ask_first(source, "ip -json -s link show dev " INTERFACE, text, error);
    if (!*text)
        return false;
    const json_t *sent = json_object_get(json_object_get(interface, "stats64"), "tx");
    *bytes = godwit_json_integer(sent, "bytes", 0);
    *packets = godwit_json_integer(sent, "packets", 0);
    return true;
}

/* Checks that all pages were sent over the link, by the kernel's counters, but for those that the
 * scenario saw lost when it cut the link. */
static bool judge_link(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    const json_int_t lost = source->testbed->state->lost;
    g_autofree char *counted = NULL, *queued = NULL;
    json_int_t bytes, packets;
    if (!ask_sent(source, &bytes, &packets, &counted, error))
        return false;
    g_autoptr(json_t) discipline =
        ask_first(source, "tc -json -s qdisc show dev " INTERFACE, &queued, error);
    if (!queued)
        return false;
    const json_int_t pages =
        godwit_migration_of(source->testbed)->figures[GODWIT_FIGURE_NORMAL_BYTES];
    godwit_testbed_measure(source->testbed, "link",
                           json_pack("{s:I, s:I, s:I, s:I}", "bytes", bytes, "packets", packets,
                                     "lost", godwit_json_integer(discipline, "drops", 0), "cut_off",
                                     lost));
    return (pages > 0 && bytes + lost >= pages) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent %" JSON_INTEGER_FORMAT
                       " bytes of whole pages, but only %" JSON_INTEGER_FORMAT
                       " bytes over its link, and lost %" JSON_INTEGER_FORMAT
                       " when the link was cut: ip reports %s",
                       pages, bytes, lost, counted);
}

/*
 * Records what the source had sent, but not over its link, before the link was cut: pages that its
 * socket had accepted. The pages are sent again after the recovery, and count twice. Fails if it is
 * more than a socket can hold.
 */
static bool record_lost(struct godwit_vm *source, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    g_autofree char *counted = NULL;
    json_int_t bytes, packets;
    if (!ask_sent(source, &bytes, &packets, &counted, error))
        return false;
    /* The smallest, the initial and the largest buffer of a TCP socket, in bytes, see tcp(7). */
    g_autofree char *buffers = ask_inside(source, "cat /proc/sys/net/ipv4/tcp_wmem", error);
    if (!buffers)
        return false;
    const json_int_t pages = godwit_json_integer(json_object_get(info, "ram"), "normal-bytes", 0);
    json_int_t largest;
    if (sscanf(buffers, "%*s %*s %" JSON_INTEGER_FORMAT, &largest) != 1)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "/proc/sys/net/ipv4/tcp_wmem has \"%s\", not three sizes",
                           g_strstrip(buffers));
    source->testbed->state->lost = MAX(pages - bytes, 0);
    return pages - bytes <= largest ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "when the link was cut, the source had sent %" JSON_INTEGER_FORMAT
                       " bytes of whole pages, but only %" JSON_INTEGER_FORMAT
                       " bytes over its link, and a socket holds %" JSON_INTEGER_FORMAT
                       ": ip reports %s",
                       pages, bytes, largest, counted);
}

/* Checks that the link is down, as the source's kernel reports it. */
static bool judge_down(struct godwit_vm *source, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(json_t) interface =
        ask_first(source, "ip -json link show dev " INTERFACE, &text, error);
    if (!text)
        return false;
    return !strcmp(godwit_json_string(interface, "operstate", ""), "DOWN") ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the link was taken down, but ip reports %s", text);
}

/*
 * Cuts the link while the guest waits for memory. Neither side can distinguish that from a slow
 * network, so both get migrate-pause. Then the link comes back, and they recover.
 */
static bool cut_and_recover(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_account account = {0};
    if (!godwit_recovery_await_guest(source, destination, &account, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_CUT);
    return do_inside(source, "ip link set dev " INTERFACE " down", error) &&
           judge_down(source, error) && godwit_vm_command(source, "migrate-pause", NULL, error) &&
           godwit_vm_command(destination, "migrate-pause", NULL, error) &&
           godwit_recovery_await_pause(source, destination, &account, error) &&
           record_lost(source, error) &&
           do_inside(source, "ip link set dev " INTERFACE " up", error) &&
           godwit_recovery_recover(source, destination, RECOVER_URI, &account, error);
}

/* Takes the common course, with the link made before anything is sent. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    if (!try_network(error))
        return false;
    testbed->apart = true;
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", !godwit_spec_is_postcopy(&scenario->spec),
                            &source, &destination, error))
        return false;
    destination->host = DESTINATION_ADDRESS;
    return set_up_link(source, destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end =
        MIN(workload->window_end, workload->window_start + WINDOW - WINDOW % workload->page_size);
}

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_parameter channels[] = {{"multifd-channels", 4, NULL}, {NULL, 0, NULL}};

GODWIT_SCENARIOS(netns) = {
    {
        .name = "netns/two-hosts/precopy",
        .summary = "live, between two network namespaces, with delay and packet loss",
        .run = run,
        .prepare = prepare,
        .state = sizeof(struct godwit_scenario_state),
        .spec = {.transport = GODWIT_TRANSPORT_TCP, .judge = judge_link},
    },
    {
        .name = "netns/two-hosts/multifd",
        .summary = "live, with 4 multifd channels, over a link with delay and packet loss",
        .slow = true,
        .run = run,
        .prepare = prepare,
        .state = sizeof(struct godwit_scenario_state),
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = channels,
                 .judge = judge_link},
    },
    {
        .name = "netns/two-hosts/postcopy/recovery",
        .summary = "postcopy over such a link, which fails halfway and comes back",
        .slow = true,
        .run = run,
        .prepare = prepare,
        .state = sizeof(struct godwit_scenario_state),
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .released = cut_and_recover,
                 .judge = judge_link},
    },
};
GODWIT_SCENARIOS_END(netns);
