/*
 * Reads what a source sends over multifd channels, item by item, so that a scenario can change it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CHANNELS_H
#define GODWIT_HARNESS_SCENARIO_CHANNELS_H

#include "scenario/scenario.h"
#include "stream/reader.h"
#include "stream/roles.h"

/* The offsets of the members of a channel's first packet, and of a packet of pages. Numbers are big
 * endian. A packet has the offsets of the pages that follow it, 8 bytes each, and then those of its
 * zero pages. */
enum {
    GODWIT_MULTIFD_MAGIC = 0,
    GODWIT_MULTIFD_VERSION = 4,
    GODWIT_MULTIFD_UUID = 8,
    GODWIT_MULTIFD_CHANNEL = 24,
    GODWIT_MULTIFD_FIRST_SIZE = 64, /* of the first packet */

    GODWIT_MULTIFD_FLAGS = 8,
    GODWIT_MULTIFD_ROOM = 12,
    GODWIT_MULTIFD_PAGES = 16, /* how many follow */
    GODWIT_MULTIFD_DATA = 20,  /* how many bytes follow */
    GODWIT_MULTIFD_ZEROES = 32,
    GODWIT_MULTIFD_BLOCK = 64, /* the name of the RAM block */
    GODWIT_MULTIFD_BLOCK_SIZE = 256,
    GODWIT_MULTIFD_OFFSETS = GODWIT_MULTIFD_BLOCK + GODWIT_MULTIFD_BLOCK_SIZE,
};

struct godwit_channels;

/* A connection of the source. */
struct godwit_channel {
    struct godwit_channels *channels;
    struct godwit_flow *flow; /* to the destination */
    unsigned number;          /* of the multifd channel, once its first packet has come */
    GByteArray *kept; /* bytes that the scenario has not sent on yet; they are sent before all else
                         if the channel is not read any more; owned */
    gpointer own;     /* the scenario's, zeros at first; owned */
    struct godwit_stream *stream; /* owned; NULL: the bytes pass unread from now on */
    unsigned char first[GODWIT_ROLE_BYTES];
    size_t length; /* of `first` */
};

/* Called with each item of a channel: sends on what the destination shall get. DATA is what
 * godwit_channels_new() got. */
typedef void (*godwit_channel_take)(struct godwit_channel *channel,
                                    const struct godwit_stream_item *item, gpointer data);

/*
 * Lets DESTINATION listen at a unix socket, with a relay before it that reads the multifd channels
 * among its connections and calls TAKE with each item and DATA. Each channel has OWN bytes of the
 * scenario's. The main connection passes unread, and so does the rest of a channel that is no
 * multifd or is cut. Returns what godwit_channels_free() frees.
 */
struct godwit_channels *godwit_channels_new(struct godwit_vm *source, struct godwit_vm *destination,
                                            godwit_channel_take take, size_t own, gpointer data,
                                            GError **error);

/* Returns the relay's address, to which the source is to migrate. Borrowed. */
const char *godwit_channels_uri(const struct godwit_channels *channels);

/* Frees CHANNELS, which may be NULL. */
void godwit_channels_free(struct godwit_channels *channels);

/* Sends what is kept, and keeps nothing. */
void godwit_channel_send_kept(struct godwit_channel *channel);

#endif
