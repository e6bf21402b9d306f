/*
 * The connections of one migration through a relay, and rules for them: in which order they are
 * made, and which of them is slow, falls silent, or is cut. A connection is recognized by the first
 * bytes that the source sends over it, which must not be encrypted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_ROLES_H
#define GODWIT_HARNESS_STREAM_ROLES_H

#include "stream/relay.h"

#include <stdbool.h>

enum godwit_role {
    GODWIT_ROLE_OTHER, /* has sent nothing, or no magic number: the preempt channel, for example */
    GODWIT_ROLE_MAIN,  /* begins with a stream's magic number */
    GODWIT_ROLE_CHANNEL, /* begins with the first packet of a multifd channel */
};

/* How many of a connection's first bytes godwit_role_of() needs to know any connection. */
#define GODWIT_ROLE_BYTES 25

struct godwit_roles;

/* Returns the role of a connection that begins with these LENGTH bytes, and sets *ID to the number
 * of a channel. Fewer bytes than GODWIT_ROLE_BYTES may be too few: then it is OTHER. */
enum godwit_role godwit_role_of(const unsigned char *bytes, size_t length, unsigned *id);

/* Watches the connections that RELAY makes from now on. Caller frees it with godwit_roles_free(),
 * after the relay. */
struct godwit_roles *godwit_roles_new(struct godwit_relay *relay);

void godwit_roles_free(struct godwit_roles *roles);

/* Makes the relay connect the main connection to the destination after so many OTHERS. Each
 * connection must begin to send before it gets an answer. */
void godwit_roles_main_last(struct godwit_roles *roles, unsigned others);

/* Makes the relay connect the multifd channels in descending order of their numbers, from CHANNELS
 * - 1 on, after the main connection. */
void godwit_roles_reverse(struct godwit_roles *roles, unsigned channels);

/* Returns the place, counted from 0, of a connection among those that were made to the destination;
 * -1 if there is none. ID counts only for channels. */
int godwit_roles_place(const struct godwit_roles *roles, enum godwit_role role, unsigned id);

/* From now on, passes on at most RATE bytes a second of what the source sends over a connection.
 * Returns false if there is no such connection. */
bool godwit_roles_slow(struct godwit_roles *roles, enum godwit_role role, unsigned id, size_t rate);

/* Returns how many bytes the source has sent over a connection since it became slow. */
uint64_t godwit_roles_slowed(const struct godwit_roles *roles, enum godwit_role role, unsigned id);

/* Makes a connection silent for good: nothing passes in either direction, and nobody is informed.
 * Returns false if there is no such connection. */
bool godwit_roles_silence(struct godwit_roles *roles, enum godwit_role role, unsigned id);

/* Returns whether such a connection is silent and the source has sent something since, which did
 * not pass. */
bool godwit_roles_blocks(const struct godwit_roles *roles, enum godwit_role role, unsigned id);

/* Makes all connections silent that there are. */
void godwit_roles_silence_all(struct godwit_roles *roles);

/* Cuts one connection. Returns false if there is no such connection. */
bool godwit_roles_cut(struct godwit_roles *roles, enum godwit_role role, unsigned id);

#endif
