/*
 * The relay: it stands between source and destination on a unix or TCP socket and passes on what
 * they send each other. Whoever wants to can watch a direction, or filter it: hold bytes back,
 * change them, send others. Without a filter nothing is changed. It lives in the main loop: it runs
 * while the harness waits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_RELAY_H
#define GODWIT_HARNESS_STREAM_RELAY_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct godwit_relay;

/* One direction of one connection. */
struct godwit_flow;

/* Told of the LENGTH bytes that have come, before any filter is, and of the end: LENGTH is 0. */
typedef void (*godwit_flow_watcher)(gpointer data, const unsigned char *bytes, size_t length);

/* Given the LENGTH bytes that have come, and the end: LENGTH is 0. What is to go on, now or later,
 * it sends itself. */
typedef void (*godwit_flow_filter)(struct godwit_flow *flow, gpointer data,
                                   const unsigned char *bytes, size_t length);

/* The connection number INDEX, from 0, has been made. SENT is by the source, ANSWERED by the
 * destination; nothing has flowed yet. Both stay until the relay goes. */
typedef void (*godwit_relay_greeter)(struct godwit_flow *sent, struct godwit_flow *answered,
                                     unsigned index, gpointer data);

/*
 * A relay in front of the address URI (unix:, relative to FOLDER, or tcp:), where somebody listens.
 * Its own socket is of the same kind. ENVIRONMENT error if it cannot be made.
 */
struct godwit_relay *godwit_relay_new(const char *folder, const char *uri, GError **error);

/* Ends the connections that are left. NULL is fine. */
void godwit_relay_free(struct godwit_relay *relay);

/* Calls GREETER for each connection that is made from now on. DATA must outlive the relay. */
void godwit_relay_greet(struct godwit_relay *relay, godwit_relay_greeter greeter, gpointer data);

/* The address to connect to instead of the one behind the relay. */
const char *godwit_relay_uri(const struct godwit_relay *relay);

/* Connections that are made from now on go on to URI, an address of the same kind. */
void godwit_relay_turn(struct godwit_relay *relay, const char *uri);

/* What went wrong when the relay last tried to connect a source to the address behind it, or NULL
 * if nothing did: the source was hung up on then. Borrowed. */
const char *godwit_relay_failure(const struct godwit_relay *relay);

/* Gives the address behind the relay MS milliseconds to take each connection that is made from now
 * on; the default is 15 seconds. */
void godwit_relay_patience(struct godwit_relay *relay, unsigned ms);

/* Makes the kernel hold little of what a TCP source has sent and the relay has not read: some 100
 * KiB for each connection that is made from now on. */
void godwit_relay_narrow(struct godwit_relay *relay);

/* How many connections there were. */
unsigned godwit_relay_count(const struct godwit_relay *relay);

/* Ends every connection, as if the network had failed. More can be made. */
void godwit_relay_hang_up(struct godwit_relay *relay);

/* Has WATCHER told of what comes. */
void godwit_flow_watch(struct godwit_flow *flow, godwit_flow_watcher watcher, gpointer data);

/* Has FILTER decide what goes on. There is one at most. */
void godwit_flow_filter_by(struct godwit_flow *flow, godwit_flow_filter filter, gpointer data);

/* For filters. What was sent before goes on first, in each case. */

/* Sends LENGTH bytes on. Nothing happens after godwit_flow_close() or _cut(). */
void godwit_flow_send(struct godwit_flow *flow, const void *bytes, size_t length);

/* Sends nothing on for MS milliseconds, or, of 0, for good. */
void godwit_flow_stall(struct godwit_flow *flow, unsigned ms);

/* Ends this direction: whatever comes is taken, and goes no further. */
void godwit_flow_close(struct godwit_flow *flow);

/* Ends the connection. */
void godwit_flow_cut(struct godwit_flow *flow);

/* From now on no more than PIECE bytes are sent on at once, and no more than RATE bytes a second; 0
 * is no limit. */
void godwit_flow_slow(struct godwit_flow *flow, size_t piece, size_t rate);

#endif
