/*
 * Multifd: pages are sent over connections of their own, beside the main one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/multifd.h"

#include "godwit/guest_abi.h"

#include "bugs/bugs.h"
#include "guest/image.h"
#include "testbed/tcp.h"
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* More channels than the pages can keep busy, and many more than the default of two. */
#define CHANNELS 16
/* The number of channels where pages are compressed: so few that a channel's part of the window,
 * some 150 KiB, does not fit into the kernel's buffers. */
#define CHANNELS_COMPRESSED 2

/* A migration that is not cancelled after this many seconds never will be. */
#define CANCEL_SECONDS 20

/* Counters of query-migrate for the pages that were sent. */
struct sent {
    json_int_t page_size;
    json_int_t normal;    /* pages with contents */
    json_int_t duplicate; /* zero pages, sent as such */
    json_int_t bytes;     /* sent over the multifd channels */
};

static bool ask_sent(struct godwit_vm *source, struct sent *sent, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *ram = json_object_get(info, "ram");
    *sent = (struct sent){
        .page_size = godwit_json_integer(ram, "page-size", 0),
        .normal = godwit_json_integer(ram, "normal", 0),
        .duplicate = godwit_json_integer(ram, "duplicate", 0),
        .bytes = godwit_json_integer(ram, "multifd-bytes", 0),
    };
    godwit_testbed_measure(source->testbed, "multifd-bytes", json_integer(sent->bytes));
    return true;
}

static bool wrong_amount(const struct sent *sent, const char *expected, GError **error)
{
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%" JSON_INTEGER_FORMAT " bytes were sent over the multifd channels for "
                       "%" JSON_INTEGER_FORMAT " pages of %" JSON_INTEGER_FORMAT
                       " bytes and %" JSON_INTEGER_FORMAT " zero pages: %s",
                       sent->bytes, sent->normal, sent->page_size, sent->duplicate, expected);
}

/* Checks that every page with contents was sent over the channels, uncompressed. */
static bool judge_plain(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct sent sent;
    (void)destination;
    return ask_sent(source, &sent, error) &&
           ((sent.normal > 0 && sent.bytes >= sent.normal * sent.page_size) ||
            wrong_amount(&sent, "expected all pages with contents there", error));
}

/* Waits until the destination has a connection for each channel and the main one. The migration is
 * throttled meanwhile. */
static bool await_channels(struct godwit_vm *destination, unsigned channels, GError **error)
{
    struct godwit_tcp tcp = {0};
    const bool all = godwit_tcp_await(
        destination, channels + 1, "while it is sent memory over multifd channels and a main one",
        &tcp, error);
    godwit_testbed_measure(destination->testbed, "connections", json_integer(tcp.connections));
    return all;
}

/* Checks that the source names a thread of its own for each channel, if it has the command. */
static bool see_threads(struct godwit_vm *source, GError **error)
{
    unsigned count = 0;
    size_t i;
    json_t *one;
    if (!godwit_qemu_has(source->qemu, "command", "query-migrationthreads"))
        return true;
    g_autoptr(json_t) threads = godwit_vm_execute(source, "query-migrationthreads", NULL, error);
    json_array_foreach(threads, i, one)
    {
        g_autofree char *task =
            g_strdup_printf("/proc/%d/task/%" JSON_INTEGER_FORMAT, (int)godwit_vm_pid(source),
                            godwit_json_integer(one, "thread-id", 0));
        count += strstr(godwit_json_string(one, "name", ""), "send") &&
                 g_file_test(task, G_FILE_TEST_IS_DIR);
    }
    return threads &&
           (count == CHANNELS || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                             "the source's query-migrationthreads names %u threads "
                                             "that send, expected %d",
                                             count, CHANNELS));
}

static bool see_channels(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return await_channels(destination, CHANNELS, error) && see_threads(source, error);
}

/* Waits until at least PAGES pages with contents have been sent, which takes an iteration or
 * two. */
static bool await_sent(struct godwit_vm *source, json_int_t pages, struct sent *sent,
                       GError **error)
{
    for (guint iteration = 1; ask_sent(source, sent, error);) {
        if (sent->normal >= pages && sent->bytes > 0)
            return true;
        if (!godwit_migrate_next_iteration(source, &iteration, error))
            return false;
    }
    return false;
}

/* The most bytes on the wire for each page in addition to its contents: its address, and its share
 * of its packet's header. A zero page has nothing else. */
#define PAGE_OVERHEAD 12

/*
 * Checks on the wire that pages are compressed. A page of the window is zero except for its first
 * bytes, so that any compressor makes it far smaller. QEMU's own count is no measure: 7.2 counts
 * pages at their uncompressed size. There must be so many of these pages that everything else,
 * chiefly zero pages, cannot hide the difference.
 */
static bool see_compression(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const uint64_t pages = godwit_workload_pages(&source->testbed->setup->workload);
    struct sent sent;
    struct godwit_tcp tcp;
    /* The order matters: bytes received after the count of pages only make the check stricter. */
    if (!await_channels(destination, CHANNELS_COMPRESSED, error) ||
        !await_sent(source, (json_int_t)MAX(pages / 8, 1), &sent, error) ||
        !godwit_tcp_ask(godwit_vm_pid(destination), &tcp, error))
        return false;
    godwit_testbed_measure(source->testbed, "received", json_integer((json_int_t)tcp.received));
    return tcp.received < (uint64_t)(sent.normal * sent.page_size / 4 +
                                     (sent.normal + sent.duplicate) * PAGE_OVERHEAD) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the destination had received %" PRIu64 " bytes when %" JSON_INTEGER_FORMAT
                       " pages of %" JSON_INTEGER_FORMAT " bytes and %" JSON_INTEGER_FORMAT
                       " zero pages had been sent, expected a fraction of the pages' size",
                       tcp.received, sent.normal, sent.page_size, sent.duplicate);
}

/* Checks that multifd was used before the switch to postcopy, which sends its pages over the main
 * channel. */
static bool judge_used(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct sent sent;
    (void)destination;
    return ask_sent(source, &sent, error) &&
           (sent.bytes > 0 || wrong_amount(&sent, "expected some pages there", error));
}

/* Checks that no page was sent as a zero page, since zero page detection is off. */
static bool judge_no_zero_pages(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **error)
{
    struct sent sent;
    return judge_plain(source, destination, error) && ask_sent(source, &sent, error) &&
           (sent.duplicate == 0 || wrong_amount(&sent, "expected no zero pages", error));
}

/* Checks that zero pages were detected: memory outside the window is zero. */
static bool judge_zero_pages(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    struct sent sent;
    return judge_plain(source, destination, error) && ask_sent(source, &sent, error) &&
           (sent.duplicate > 0 || wrong_amount(&sent, "expected some zero pages", error));
}

bool godwit_multifd_await_cancelled(struct godwit_vm *source, bool *stuck, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, CANCEL_SECONDS);
    const bool cancelled = godwit_migrate_wait(source, "cancelled", &cause);
    testbed->deadline = deadline;
    *stuck = !cancelled && cause->code == GODWIT_ERROR_TIMEOUT &&
             godwit_bug_explain(
                 &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CANCELLING,
                                                .source = source,
                                                .state = godwit_migrate_reported_state(source)});
    if (cancelled || *stuck)
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Cancels a migration that is under way, then migrates the same source to another destination. */
static bool cancel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                   GError **error)
{
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_vm *source, *first;
    struct godwit_vm *second = godwit_course_ahead(testbed, "second", true, error);
    if (!second || !godwit_course_both(testbed, "first", true, &source, &first, error) ||
        !godwit_migrate_set_capabilities(first, spec->capabilities, error) ||
        !godwit_migrate_set_parameters(first, spec->parameters, error) ||
        !godwit_migrate_set_capabilities(source, spec->capabilities, error) ||
        !godwit_migrate_set_parameters(source, spec->parameters, error) ||
        !godwit_migrate_throttle(source, error))
        return false;

    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    first->may_exit = true;
    g_autofree char *uri =
        godwit_migrate_listen(source, first, spec->transport, spec->channels, error);
    struct godwit_relay *relay = uri ? godwit_wire_relay(testbed->wire, uri, error) : NULL;
    if (!relay)
        return false;
    godwit_wire_gate(testbed->wire, false);
    if (!godwit_migrate_start(source, godwit_relay_uri(relay), spec->channels, error) ||
        !godwit_migrate_prove_live(source, first, error) ||
        !godwit_vm_command(source, "migrate_cancel", NULL, error))
        return false;
    godwit_wire_ungate(testbed->wire);
    bool stuck;
    if (!godwit_multifd_await_cancelled(source, &stuck, error))
        return false;
    if (stuck)
        return true;
    if (!godwit_course_refused(first, error) ||
        !godwit_course_expect_status(source, "running", "after the migration was cancelled",
                                     error) ||
        !godwit_course_see_it_run(source, error))
        return false;

    return godwit_vm_handshake(second, error) &&
           godwit_course_move(testbed, spec, source, second, error);
}

/* The kernel counts pages that it sends in place as locked by their owner. */
static struct godwit_lack *lacks_locked(const struct godwit_setup *setup)
{
    const rlim_t wanted = (rlim_t)setup->memory_mib << 20;
    struct rlimit limit;
    if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= wanted)
        return NULL;
    return godwit_lack_new(
        g_strdup("to lock as much memory as the guest has"),
        g_strdup_printf("ulimit -l is %ju KiB", (uintmax_t)limit.rlim_cur >> 10));
}

/* Checks what judge_plain() does, and that zero-copy-send had an effect: on one host the kernel
 * always has to copy nevertheless, and QEMU counts that. */
static bool judge_zero_copy(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_int_t copied =
        godwit_json_integer(json_object_get(info, "ram"), "dirty-sync-missed-zero-copy", 0);
    godwit_testbed_measure(source->testbed, "zero-copy-missed", json_integer(copied));
    if (!destination->remote && copied == 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source reports no page that the kernel had to copy, although it "
                           "sends with zero-copy-send to its own host");
    return judge_plain(source, destination, error);
}

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_capability zero_copy[] = {
    {"multifd", true}, {"zero-copy-send", true}, {NULL, false}};
static const struct godwit_capability multifd_postcopy[] = {
    {"multifd", true}, {"postcopy-ram", true}, {NULL, false}};

bool godwit_multifd_ask_postcopy(struct godwit_vm *vm, bool *both, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    *both = godwit_migrate_set_capabilities(vm, multifd_postcopy, &refusal);
    if (*both)
        return true;
    if (refusal->code != GODWIT_ERROR_QMP || !strstr(refusal->message, "ultifd") ||
        !strstr(refusal->message, "ostcopy")) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_autoptr(json_t) list = godwit_vm_execute(vm, "query-migrate-capabilities", NULL, error);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *name = godwit_json_string(item, "capability", "");
        for (const struct godwit_capability *c = multifd_postcopy; c->name; c++)
            if (!strcmp(name, c->name) && godwit_json_true(item, "state"))
                return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                   "the %s refused multifd with postcopy, but %s is on afterwards",
                                   vm->name, name);
    }
    godwit_testbed_measure(vm->testbed, "refusal", json_string(refusal->message));
    return list != NULL;
}

bool godwit_multifd_move_postcopy(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                                  struct godwit_vm *source, struct godwit_vm *destination,
                                  GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_course_move(testbed, spec, source, destination, &cause))
        return true;
    if (cause->code == GODWIT_ERROR_TIMEOUT)
        godwit_bug_excuse(
            &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_NO_END,
                                           .source = source,
                                           .destination = destination,
                                           .state = godwit_migrate_reported_state(source)},
            &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Migrates with both on if that is allowed. If it is clearly refused, a multifd migration without
 * postcopy must still work. */
static bool postcopy(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    bool here = false, there = false;
    struct godwit_spec spec = scenario->spec;
    /* Not started paused: postcopy needs a guest that runs as soon as it can. */
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", false, &source, &destination, error) ||
        !godwit_multifd_ask_postcopy(source, &here, error) ||
        !godwit_multifd_ask_postcopy(destination, &there, error))
        return false;
    if (here != there)
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs multifd with postcopy on both sides or on neither: QEMU %s "
                           "refuses it, QEMU %s does not",
                           here ? destination->qemu->version : source->qemu->version,
                           here ? source->qemu->version : destination->qemu->version);
    spec.move = here ? GODWIT_MOVE_POSTCOPY : GODWIT_MOVE_LIVE;
    if (here)
        return godwit_multifd_move_postcopy(testbed, &spec, source, destination, error);
    if (!godwit_vm_quit(destination, error))
        return false;
    struct godwit_vm *paused = godwit_course_destination(testbed, "paused", true, error);
    return paused && godwit_course_move(testbed, &spec, source, paused, error);
}

static const struct godwit_parameter sixteen[] = {{"multifd-channels", CHANNELS, NULL},
                                                  {NULL, 0, NULL}};

/* The parameters of one entry: the number of channels, and one more. */
#define WITH(count, parameter, value)                                                              \
    (const struct godwit_parameter[])                                                              \
    {                                                                                              \
        {"multifd-channels", count, NULL}, {parameter, 0, value},                                  \
        {                                                                                          \
            NULL, 0, NULL                                                                          \
        }                                                                                          \
    }

/* The entry of one compressor. */
#define COMPRESSED(method, words)                                                                  \
    {                                                                                              \
        .name = "multifd/tcp/" method, .order = true, .whole = true, .slow = true,                 \
        .summary = "live, pages compressed by " words,                                             \
        .qemu_name = "/migration/multifd/tcp/plain/" method,                                       \
        .spec = {.transport = GODWIT_TRANSPORT_TCP,                                                \
                 .capabilities = multifd,                                                          \
                 .parameters = WITH(CHANNELS_COMPRESSED, "multifd-compression", method),           \
                 .live = see_compression,                                                          \
                 .live_looks = true},                                                              \
        .needs = "multifd-compression:" method,                                                    \
    }

GODWIT_SCENARIOS(multifd) = {
    {
        .name = "multifd/tcp/uri/plain",
        .anywhere = true,
        .quick = true,
        .summary = "live, over 16 channels",
        .qemu_name = "/migration/multifd/tcp/uri/plain/none",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = multifd,
                 .parameters = sixteen,
                 .live = see_channels,
                 .live_looks = true,
                 .judge = judge_plain},
    },
    {
        .name = "multifd/tcp/channels/plain",
        .anywhere = true,
        .summary = "live, over 16 channels, the address given by the `channels` argument",
        .qemu_name = "/migration/multifd/tcp/channels/plain/none",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .channels = true,
                 .capabilities = multifd,
                 .parameters = sixteen,
                 .live = see_channels,
                 .live_looks = true,
                 .judge = judge_plain},
    },
    {
        .name = "multifd/tcp/zero-copy",
        .anywhere = true,
        .summary = "live, zero-copy-send: the kernel sends pages from where they are",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = zero_copy,
                 .parameters = sixteen,
                 .live = see_channels,
                 .live_looks = true,
                 .judge = judge_zero_copy},
        .lacks = lacks_locked,
    },
    {
        .name = "multifd/tcp/zero-page/legacy",
        .anywhere = true,
        .content = GODWIT_FLAG_ZERO,
        .summary = "live, zero pages detected by the migration thread",
        .slow = true,
        .qemu_name = "/migration/multifd/tcp/plain/zero-page/legacy",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = multifd,
                 .parameters = WITH(CHANNELS, "zero-page-detection", "legacy"),
                 .judge = judge_zero_pages},
        .needs = "zero-page-detection:legacy",
    },
    {
        .name = "multifd/tcp/zero-page/none",
        .anywhere = true,
        .content = GODWIT_FLAG_ZERO,
        .summary = "live, without zero page detection",
        .slow = true,
        .qemu_name = "/migration/multifd/tcp/plain/zero-page/none",
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = WITH(CHANNELS, "zero-page-detection", "none"),
                 .judge = judge_no_zero_pages},
        .needs = "zero-page-detection:none",
    },
    COMPRESSED("zlib", "zlib"),
    COMPRESSED("zstd", "zstd"),
    COMPRESSED("qpl", "Intel's QPL"),
    COMPRESSED("uadk", "UADK accelerators"),
    COMPRESSED("qatzip", "Intel's QATzip"),
    {
        .name = "multifd/tcp/cancel",
        .summary = "cancelled during migration; then migrated to a second destination",
        .qemu_name = "/migration/multifd/tcp/plain/cancel",
        .run = cancel,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = sixteen,
                 .live = see_channels,
                 .live_looks = true,
                 .judge = judge_plain},
    },
    {
        .name = "multifd/tcp/postcopy",
        .summary = "multifd together with postcopy, or a clear refusal",
        .run = postcopy,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = multifd,
                 .parameters = sixteen,
                 .live = see_channels,
                 .live_looks = true,
                 .judge = judge_used},
        .needs = "capability:postcopy-ram",
    },
};
GODWIT_SCENARIOS_END(multifd);
