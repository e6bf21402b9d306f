/*
 * The wire: the relay of a testbed with its fault, its gate and its readers of TLS records.
 *
 * The relay calls all of these until it is freed, so the relay is always freed first. The fault
 * stays when its relay is replaced: what it did is judged at the end of the scenario.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/wire.h"

#include "guest/image.h"
#include "memory/memory.h"
#include "migrate/limiter.h"
#include "testbed/tcp.h"
#include <inttypes.h>
#include <string.h>

static void drop_relay(struct godwit_wire *wire)
{
    g_clear_pointer(&wire->relay, godwit_relay_free);
    g_clear_pointer(&wire->gate, g_ptr_array_unref);
}

static void wire_free(gpointer data)
{
    struct godwit_wire *wire = data;
    drop_relay(wire);
    g_clear_pointer(&wire->fault, godwit_injection_free);
    g_clear_pointer(&wire->connections, g_ptr_array_unref);
    g_free(wire);
}

void godwit_wire_new(struct godwit_testbed *testbed)
{
    testbed->wire = g_new0(struct godwit_wire, 1);
    testbed->wire->testbed = testbed;
    godwit_testbed_at_end(testbed, wire_free, testbed->wire);
}

struct godwit_relay *godwit_wire_relay(struct godwit_wire *wire, const char *uri, GError **error)
{
    drop_relay(wire);
    wire->relay = godwit_relay_new(wire->testbed->directory, uri, error);
    return wire->relay;
}

const char *godwit_wire_turn(struct godwit_wire *wire, const char *uri)
{
    if (!wire->relay)
        return uri;
    godwit_relay_turn(wire->relay, uri);
    return godwit_relay_uri(wire->relay);
}

void godwit_wire_hang_up(struct godwit_wire *wire)
{
    const struct godwit_vm *first = g_ptr_array_index(wire->testbed->vms, 0);
    if (!wire->relay)
        return;
    godwit_qmp_note(first->qmp, "Godwit closed the connection between the QEMUs");
    godwit_relay_hang_up(wire->relay);
}

/* Returns the offset in the part's block of the page that the guest is at, or UINT64_MAX. */
static uint64_t busy_in(struct godwit_vm *source, const struct godwit_part *part)
{
    struct godwit_mailbox mailbox;
    if (!godwit_memory_mailbox(source, 0, &mailbox, NULL))
        return UINT64_MAX;
    const uint64_t at = mailbox.position - source->testbed->setup->workload.window_start;
    return at - part->at < part->length ? part->offset + (at - part->at) : UINT64_MAX;
}

/* Returns the part of the window in which a fault hits pages, since it hits those of one RAM block
 * only: the part with the fault's page, or the first one. Makes the page's number one in that part.
 */
static const struct godwit_part *choose_part(const GArray *parts, const struct godwit_workload *of,
                                             struct godwit_fault *fault)
{
    const struct godwit_part *part = &g_array_index(parts, struct godwit_part, 0);
    uint64_t *page = &fault->values[GODWIT_FAULT_PAGE];
    if (!fault->given[GODWIT_FAULT_PAGE])
        return part;
    const uint64_t at = *page % godwit_workload_pages(of) * of->page_size;
    while (at - part->at >= part->length)
        part++;
    *page = (at - part->at) / of->page_size;
    return part;
}

struct godwit_injection *godwit_wire_inject(struct godwit_vm *source, const char *text,
                                            GError **error)
{
    const struct godwit_setup *setup = source->testbed->setup;
    struct godwit_wire *wire = source->testbed->wire;
    struct godwit_fault fault;
    if (!godwit_fault_parse(text, &fault, error))
        return NULL;
    g_autoptr(GArray) parts = godwit_memory_window(source, error);
    if (!parts)
        return NULL;
    const struct godwit_part *part = choose_part(parts, &setup->workload, &fault);
    if (part->length < setup->workload.page_size) {
        godwit_fail(error, GODWIT_ERROR_SKIP,
                    "needs a whole page of the window in RAM block %s, which has %" PRIu64
                    " bytes of it",
                    part->block->name, part->length);
        return NULL;
    }
    const struct godwit_fault_window window = {
        .block = g_intern_string(part->block->name),
        .offset = part->offset,
        .length = part->length,
        .page = setup->workload.page_size,
        .busy = busy_in(source, part),
    };
    if (!fault.given[GODWIT_FAULT_SEED])
        fault.values[GODWIT_FAULT_SEED] = setup->seed;
    g_clear_pointer(&wire->fault, godwit_injection_free);
    wire->fault = godwit_injection_new(wire->relay, &fault, &window);
    source->testbed->fault_injected = strcmp(text, "none") != 0;
    return wire->fault;
}

bool godwit_wire_note_fault(struct godwit_testbed *testbed, GError **error)
{
    const struct godwit_injection *fault = testbed->wire->fault;
    const char *done = fault ? godwit_injection_done(fault) : NULL;
    g_autofree char *why =
        fault ? godwit_injection_why_not(fault) : g_strdup("it was never set up");
    if (done) {
        g_autofree char *text = g_strconcat("the relay ", done, NULL);
        godwit_testbed_measure(testbed, "fault", json_string(text));
        return true;
    }
    return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the fault was not injected: %s", why);
}

static void read_records(gpointer records, const unsigned char *bytes, size_t length)
{
    godwit_records_feed(records, bytes, length);
}

static void follow_connection(struct godwit_flow *sent, struct godwit_flow *answered,
                              unsigned index, gpointer data)
{
    struct godwit_wire *wire = data;
    struct godwit_wire_connection *connection = g_new0(struct godwit_wire_connection, 1);
    (void)index;
    g_ptr_array_add(wire->connections, connection);
    godwit_flow_watch(sent, read_records, &connection->sent);
    godwit_flow_watch(answered, read_records, &connection->answered);
}

void godwit_wire_follow_tls(struct godwit_wire *wire)
{
    g_clear_pointer(&wire->connections, g_ptr_array_unref);
    wire->connections = g_ptr_array_new_with_free_func(g_free);
    godwit_relay_greet(wire->relay, follow_connection, wire);
}

/* Makes the buffers of whoever has connected to the relay small. */
static void narrow_callers(const struct godwit_wire *wire)
{
    const char *uri = godwit_relay_uri(wire->relay);
    if (!g_str_has_prefix(uri, "tcp:"))
        return;
    const uint16_t port = (uint16_t)g_ascii_strtoull(strrchr(uri, ':') + 1, NULL, 10);
    for (guint i = 0; i < wire->testbed->vms->len; i++) {
        const pid_t pid = godwit_vm_pid(g_ptr_array_index(wire->testbed->vms, i));
        if (pid)
            godwit_tcp_narrow(pid, port);
    }
}

static void add_channel(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                        gpointer data)
{
    struct godwit_wire *wire = data;
    (void)answered;
    (void)index;
    narrow_callers(wire);
    g_ptr_array_add(wire->gate, sent);
    godwit_flow_slow(sent, 0, wire->gate_rate);
}

static void set_gate(struct godwit_wire *wire, size_t rate)
{
    if (!wire->gate)
        return;
    wire->gate_rate = rate;
    for (guint i = 0; i < wire->gate->len; i++)
        godwit_flow_slow(g_ptr_array_index(wire->gate, i), 0, rate);
}

void godwit_wire_gate(struct godwit_wire *wire, bool compressed)
{
    wire->gate = g_ptr_array_new();
    wire->gate_open = compressed ? CHANNEL_OPEN_COMPRESSED : CHANNEL_OPEN;
    wire->gate_rate = wire->gate_open;
    godwit_relay_narrow(wire->relay);
    godwit_relay_greet(wire->relay, add_channel, wire);
}

bool godwit_wire_is_gated(const struct godwit_wire *wire)
{
    return wire->gate != NULL;
}

void godwit_wire_open_gate(struct godwit_wire *wire)
{
    set_gate(wire, wire->gate_open);
}

void godwit_wire_close_gate(struct godwit_wire *wire)
{
    set_gate(wire, CHANNEL_CLOSED);
}

void godwit_wire_ungate(struct godwit_wire *wire)
{
    set_gate(wire, 0);
}
