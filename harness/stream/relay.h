/*
 * The relay stands between source and destination on a unix or TCP socket and passes on what they
 * send each other. Each direction of a connection is a flow (flow.h), which can be watched, and
 * filtered: bytes held back, changed, or replaced. The relay runs in the main loop, while the
 * harness waits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_RELAY_H
#define GODWIT_HARNESS_STREAM_RELAY_H

#include "stream/flow.h"

#include <stdbool.h>

struct godwit_relay;

/* Called when connection number INDEX, counted from 0, has been made and nothing has flowed yet.
 * SENT comes from the source, ANSWERED from the destination. The relay owns both; they live as long
 * as it does. */
typedef void (*godwit_relay_greeter)(struct godwit_flow *sent, struct godwit_flow *answered,
                                     unsigned index, gpointer data);

/*
 * Makes a relay in front of the address URI (unix:, relative to FOLDER, or tcp:), where somebody
 * listens. Its own socket is of the same kind. Caller frees it with godwit_relay_free(). Fails with
 * ENVIRONMENT if it cannot listen.
 */
struct godwit_relay *godwit_relay_new(const char *folder, const char *uri, GError **error);

/* Ends the connections that are left and frees the relay, which may be NULL. */
void godwit_relay_free(struct godwit_relay *relay);

/* Calls GREETER for each connection that is made from now on. DATA must outlive the relay. */
void godwit_relay_greet(struct godwit_relay *relay, godwit_relay_greeter greeter, gpointer data);

/* Adds to *SENT how many bytes come from the source, over all connections that are made from now
 * on. SENT must outlive the relay. */
void godwit_relay_count_bytes(struct godwit_relay *relay, uint64_t *sent);

/* Returns the address to connect to instead of the one behind the relay. Borrowed. */
const char *godwit_relay_uri(const struct godwit_relay *relay);

/* Lets connections that are made from now on go to URI, an address of the same kind. */
void godwit_relay_turn(struct godwit_relay *relay, const char *uri);

/* Returns what went wrong the last time the relay could not connect a source to the address behind
 * it and hung up on the source, or NULL if that never happened. Borrowed. */
const char *godwit_relay_failure(const struct godwit_relay *relay);

/* Gives the address behind the relay MS milliseconds to take each connection that is made from now
 * on; the default is 15 seconds. */
void godwit_relay_patience(struct godwit_relay *relay, unsigned ms);

/*
 * Makes the kernel keep little that has come and that the relay has not read, for each connection
 * that is made from now on. What the sender's side keeps is some 100 KiB as long as its congestion
 * control is one that counts losses, such as cubic; bbr lets it grow to 4 MiB, and nothing that a
 * receiver does can keep it from that.
 */
void godwit_relay_narrow(struct godwit_relay *relay);

/* Makes MOST connections at most, counted from the relay's first one, until this is called again; 0
 * is no limit. Callers that come meanwhile wait in the listener's queue: to them, their connections
 * are made. */
void godwit_relay_limit(struct godwit_relay *relay, unsigned most);

/* Returns whether a connection that begins with these LENGTH bytes is to be made now. */
typedef bool (*godwit_relay_sorter)(const unsigned char *bytes, size_t length, gpointer data);

/* Lets SORTER decide when a connection to the address behind the relay is made. It is asked once
 * the caller has sent something, and again after each connection that was made meanwhile. Callers
 * that come later do not wait for one that is put off. DATA must outlive the relay. */
void godwit_relay_sort(struct godwit_relay *relay, godwit_relay_sorter sorter, gpointer data);

/* Returns how many connections have been made so far. */
unsigned godwit_relay_count(const struct godwit_relay *relay);

/* Ends connection number INDEX, as if the network had failed. */
void godwit_relay_cut(struct godwit_relay *relay, unsigned index);

/* Ends every connection, as if the network had failed. More can be made. */
void godwit_relay_hang_up(struct godwit_relay *relay);

#endif
