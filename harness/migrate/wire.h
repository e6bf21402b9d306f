/*
 * The wire of a testbed: everything between the source and the destination. That is the relay, if
 * there is one, and all that works on the bytes that pass it: the fault, the gate of a throttled
 * multifd migration, and the readers of TLS records.
 *
 * godwit_wire_new() makes the wire before the first VM starts, and the testbed frees it before the
 * VMs. The wire outlives each relay: a later migration of the testbed may get another one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_WIRE_H
#define GODWIT_HARNESS_MIGRATE_WIRE_H

#include "stream/fault.h"
#include "stream/records.h"
#include "testbed/vm.h"

/* The TLS records of one connection that the source made, in both directions. */
struct godwit_wire_connection {
    struct godwit_records sent, answered;
};

struct godwit_wire {
    const struct godwit_testbed *testbed; /* borrowed: it owns the wire */
    struct godwit_relay *relay;     /* owned; NULL: the source connects to the destination itself */
    struct godwit_injection *fault; /* of the latest relay that had one; owned, or NULL */
    GPtrArray *connections;         /* of struct godwit_wire_connection, see
                                       godwit_wire_follow_tls(); owned, or NULL */
    GPtrArray *gate;  /* of struct godwit_flow, borrowed from the relay: the channels that the gate
                        slows down; owned, or NULL if there is no gate */
    size_t gate_open; /* rate of each channel while the gate is open, in bytes a second */
    size_t gate_rate; /* present rate of each channel, in bytes a second; 0: no limit */
};

/* Makes the testbed's wire, which has no relay yet. The testbed owns it. Data of the relay's
 * watchers must outlive it, so pass them to godwit_testbed_at_end() before this call. */
void godwit_wire_new(struct godwit_testbed *testbed);

/*
 * Makes a relay in front of URI (unix: or tcp:), where a destination listens, for the source to
 * connect to. The wire owns the relay, and frees an earlier one, with its gate, first. Returns NULL
 * and fails with ENVIRONMENT if the relay cannot listen.
 */
struct godwit_relay *godwit_wire_relay(struct godwit_wire *wire, const char *uri, GError **error);

/* Makes the relay, if there is one, connect to URI from now on, because the destination has changed
 * its address. Returns the address for the source to connect to: the relay's, or URI if there is no
 * relay. Borrowed. */
const char *godwit_wire_turn(struct godwit_wire *wire, const char *uri);

/* Breaks every connection through the relay, if there is one. */
void godwit_wire_hang_up(struct godwit_wire *wire);

/*
 * Injects the fault that TEXT names (see godwit_fault_parse()) into the next connection that SOURCE
 * makes through the relay of its testbed's wire. The setup's seed makes all choices that TEXT
 * leaves open. The wire owns the injection that is returned, and has at most one for each relay.
 * Fails with USAGE if TEXT names no fault.
 */
struct godwit_injection *godwit_wire_inject(struct godwit_vm *source, const char *text,
                                            GError **error);

/* Records what the testbed's fault did, as "fault" in the measurements. Fails with MIGRATION if it
 * did nothing. */
bool godwit_wire_note_fault(struct godwit_testbed *testbed, GError **error);

/* Reads the TLS records of each connection that is made through the relay, into
 * wire->connections. */
void godwit_wire_follow_tls(struct godwit_wire *wire);

/* Makes the relay the gate of a throttled multifd migration, and opens the gate. COMPRESSED means
 * that its pages are. Call it before the first connection. */
void godwit_wire_gate(struct godwit_wire *wire, bool compressed);

/* Returns whether the present relay is a gate. */
bool godwit_wire_is_gated(const struct godwit_wire *wire);

/* Without a gate, the functions below do nothing. */

/* Lets the source send as fast as a throttled migration may while its valve is open. */
void godwit_wire_open_gate(struct godwit_wire *wire);

/* Lets the source send almost nothing. */
void godwit_wire_close_gate(struct godwit_wire *wire);

/* Opens the gate for good: the source sends without a limit. */
void godwit_wire_ungate(struct godwit_wire *wire);

#endif
