/*
 * Reads what a source sends over multifd channels through a relay. A filter of the relay feeds the
 * bytes of each connection to a reader (stream/reader.h) unless its first bytes are those of the
 * main one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/channels.h"

#include <string.h>

struct godwit_channels {
    GPtrArray *list; /* of struct godwit_channel; owned */
    struct godwit_relay *relay;
    godwit_channel_take take;
    size_t own;
    gpointer data;
};

static void free_channel(gpointer data)
{
    struct godwit_channel *channel = data;
    godwit_stream_free(channel->stream);
    g_byte_array_unref(channel->kept);
    g_free(channel->own);
    g_free(channel);
}

void godwit_channel_send_kept(struct godwit_channel *channel)
{
    if (channel->kept->len)
        godwit_flow_send(channel->flow, channel->kept->data, channel->kept->len);
    g_byte_array_set_size(channel->kept, 0);
}

/* Sink of the reader. */
static bool take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_channel *channel = data;
    (void)error;
    if (item->kind == GODWIT_STREAM_MULTIFD_INIT)
        channel->number = (unsigned)item->value;
    channel->channels->take(channel, item, channel->channels->data);
    return true;
}

/* Sends all that was kept or is not an item yet, and reads no more. */
static void give_up_reading(struct godwit_channel *channel)
{
    size_t length;
    const uint8_t *rest = godwit_stream_pending(channel->stream, &length);
    godwit_channel_send_kept(channel);
    godwit_flow_send(channel->flow, rest, length);
    g_clear_pointer(&channel->stream, godwit_stream_free);
}

static void filter(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                   size_t length)
{
    struct godwit_channel *channel = data;
    const size_t more = MIN(length, sizeof(channel->first) - channel->length);
    unsigned id;
    memcpy(channel->first + channel->length, bytes, more);
    channel->length += more;
    if (channel->stream && godwit_role_of(channel->first, channel->length, &id) == GODWIT_ROLE_MAIN)
        give_up_reading(channel);
    if (!channel->stream)
        godwit_flow_send(flow, bytes, length);
    else if (!(length ? godwit_stream_feed(channel->stream, bytes, length, NULL)
                      : godwit_stream_end(channel->stream, NULL)))
        give_up_reading(channel);
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_channels *channels = data;
    struct godwit_channel *channel = g_new0(struct godwit_channel, 1);
    (void)answered;
    (void)index;
    channel->channels = channels;
    channel->flow = sent;
    channel->kept = g_byte_array_new();
    channel->own = g_malloc0(channels->own);
    channel->stream = godwit_stream_new(0, take, channel);
    g_ptr_array_add(channels->list, channel);
    godwit_flow_filter_by(sent, filter, channel);
}

struct godwit_channels *godwit_channels_new(struct godwit_vm *source, struct godwit_vm *destination,
                                            godwit_channel_take take_, size_t own, gpointer data,
                                            GError **error)
{
    g_autofree char *address =
        godwit_migrate_listen(source, destination, GODWIT_TRANSPORT_UNIX, false, error);
    struct godwit_relay *relay =
        address ? godwit_wire_relay(source->testbed->wire, address, error) : NULL;
    if (!relay)
        return NULL;
    struct godwit_channels *channels = g_new0(struct godwit_channels, 1);
    channels->list = g_ptr_array_new_with_free_func(free_channel);
    channels->relay = relay;
    channels->take = take_;
    channels->own = own;
    channels->data = data;
    godwit_relay_greet(relay, greet, channels);
    return channels;
}

const char *godwit_channels_uri(const struct godwit_channels *channels)
{
    return godwit_relay_uri(channels->relay);
}

void godwit_channels_free(struct godwit_channels *channels)
{
    if (!channels)
        return;
    g_ptr_array_unref(channels->list);
    g_free(channels);
}
