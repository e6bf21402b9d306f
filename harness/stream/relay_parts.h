/*
 * What relay.c and flow.c share. A connection is a pair of sockets and the two flows between them:
 * relay.c makes it once both sockets are connected, and flow.c passes on what comes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_RELAY_PARTS_H
#define GODWIT_HARNESS_STREAM_RELAY_PARTS_H

#include "stream/flow.h"

struct godwit_connection;

/* Makes a connection of the sockets SOURCE and DESTINATION, which it owns from now on. Its flows
 * start when the main loop next runs. Caller frees it with godwit_connection_free(). */
struct godwit_connection *godwit_connection_new(int source, int destination);

/* Hangs up and frees the connection, which must not be NULL. */
void godwit_connection_free(struct godwit_connection *connection);

/* Returns the flow from the source to the destination. Borrowed. */
struct godwit_flow *godwit_connection_sent(struct godwit_connection *connection);

/* Returns the flow from the destination to the source. Borrowed. */
struct godwit_flow *godwit_connection_answered(struct godwit_connection *connection);

/* Ends both flows at once and closes both sockets. Does nothing the second time. */
void godwit_connection_hang_up(struct godwit_connection *connection);

#endif
