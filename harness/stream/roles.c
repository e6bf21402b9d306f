/*
 * Recognizes the connections of a migration, and applies rules to them.
 *
 * Silence is a stall of both flows. A filter begins it when bytes come, so a flow on which nothing
 * comes is silent as it is; the end of a connection would pass, but a filter sees that as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/roles.h"

#include <string.h>

/* The magic numbers of a stream and of a channel's first packet, and where that packet has the
 * channel's number, behind a version and a UUID. */
static const unsigned char stream_magic[] = {'Q', 'E', 'V', 'M'};
static const unsigned char channel_magic[] = {0x11, 0x22, 0x33, 0x44};
#define CHANNEL_ID 24

struct entry {
    unsigned char first[GODWIT_ROLE_BYTES];
    size_t length; /* of "first" */
    bool silent;
    bool blocks;              /* it is silent, and bytes from the source did not pass */
    struct godwit_flow *sent; /* borrowed */
    bool slow;
    uint64_t slowed; /* bytes that have come since it is slow */
};

struct godwit_roles {
    struct godwit_relay *relay; /* borrowed */
    GPtrArray *entries;         /* of struct entry, in the order of the relay's connections */
    unsigned others;            /* connections that must be made before the main one */
    unsigned channels;          /* of which the last is connected first */
};

enum godwit_role godwit_role_of(const unsigned char *bytes, size_t length, unsigned *id)
{
    if (length >= sizeof(stream_magic) && !memcmp(bytes, stream_magic, sizeof(stream_magic)))
        return GODWIT_ROLE_MAIN;
    if (length <= CHANNEL_ID || memcmp(bytes, channel_magic, sizeof(channel_magic)) != 0)
        return GODWIT_ROLE_OTHER;
    *id = bytes[CHANNEL_ID];
    return GODWIT_ROLE_CHANNEL;
}

static void note_first(gpointer data, const unsigned char *bytes, size_t length)
{
    struct entry *entry = data;
    const size_t more = MIN(length, sizeof(entry->first) - entry->length);
    memcpy(entry->first + entry->length, bytes, more);
    entry->length += more;
}

static void note_blocked(gpointer data, const unsigned char *bytes, size_t length)
{
    struct entry *entry = data;
    (void)bytes;
    entry->blocks |= entry->silent && length > 0;
}

static void note_slowed(gpointer data, const unsigned char *bytes, size_t length)
{
    struct entry *entry = data;
    (void)bytes;
    entry->slowed += entry->slow ? length : 0;
}

static void filter(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                   size_t length)
{
    const struct entry *entry = data;
    if (entry->silent)
        godwit_flow_stall(flow, 0);
    else
        godwit_flow_send(flow, bytes, length);
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_roles *roles = data;
    struct entry *entry = g_new0(struct entry, 1);
    (void)index;
    entry->sent = sent;
    g_ptr_array_add(roles->entries, entry);
    godwit_flow_watch(sent, note_first, entry);
    godwit_flow_watch(sent, note_blocked, entry);
    godwit_flow_watch(sent, note_slowed, entry);
    godwit_flow_filter_by(sent, filter, entry);
    godwit_flow_filter_by(answered, filter, entry);
}

struct godwit_roles *godwit_roles_new(struct godwit_relay *relay)
{
    struct godwit_roles *roles = g_new0(struct godwit_roles, 1);
    roles->relay = relay;
    roles->entries = g_ptr_array_new_with_free_func(g_free);
    godwit_relay_greet(relay, greet, roles);
    return roles;
}

void godwit_roles_free(struct godwit_roles *roles)
{
    if (!roles)
        return;
    g_ptr_array_unref(roles->entries);
    g_free(roles);
}

/* Sorter of the relay: the main connection waits for the others. */
static bool is_due(const unsigned char *bytes, size_t length, gpointer data)
{
    const struct godwit_roles *roles = data;
    unsigned id;
    return godwit_role_of(bytes, length, &id) != GODWIT_ROLE_MAIN ||
           roles->entries->len >= roles->others;
}

void godwit_roles_main_last(struct godwit_roles *roles, unsigned others)
{
    roles->others = others;
    godwit_relay_sort(roles->relay, is_due, roles);
}

/* Sorter of the relay: each channel waits for those with higher numbers. */
static bool is_next(const unsigned char *bytes, size_t length, gpointer data)
{
    const struct godwit_roles *roles = data;
    unsigned id;
    return godwit_role_of(bytes, length, &id) != GODWIT_ROLE_CHANNEL ||
           roles->entries->len + id == roles->channels;
}

void godwit_roles_reverse(struct godwit_roles *roles, unsigned channels)
{
    roles->channels = channels;
    godwit_relay_sort(roles->relay, is_next, roles);
}

int godwit_roles_place(const struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    for (guint i = 0; i < roles->entries->len; i++) {
        const struct entry *entry = g_ptr_array_index(roles->entries, i);
        unsigned number = 0;
        if (godwit_role_of(entry->first, entry->length, &number) == role &&
            (role != GODWIT_ROLE_CHANNEL || number == id))
            return (int)i;
    }
    return -1;
}

/* Returns the entry of a connection, or NULL. */
static struct entry *find(const struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    const int place = godwit_roles_place(roles, role, id);
    return place < 0 ? NULL : g_ptr_array_index(roles->entries, (guint)place);
}

bool godwit_roles_slow(struct godwit_roles *roles, enum godwit_role role, unsigned id, size_t rate)
{
    struct entry *entry = find(roles, role, id);
    if (!entry)
        return false;
    entry->slow = true;
    godwit_flow_slow(entry->sent, 0, rate);
    return true;
}

uint64_t godwit_roles_slowed(const struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    const struct entry *entry = find(roles, role, id);
    return entry ? entry->slowed : 0;
}

bool godwit_roles_silence(struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    struct entry *entry = find(roles, role, id);
    if (entry)
        entry->silent = true;
    return entry != NULL;
}

bool godwit_roles_blocks(const struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    const struct entry *entry = find(roles, role, id);
    return entry && entry->blocks;
}

void godwit_roles_silence_all(struct godwit_roles *roles)
{
    for (guint i = 0; i < roles->entries->len; i++)
        ((struct entry *)g_ptr_array_index(roles->entries, i))->silent = true;
}

bool godwit_roles_cut(struct godwit_roles *roles, enum godwit_role role, unsigned id)
{
    const int place = godwit_roles_place(roles, role, id);
    if (place >= 0)
        godwit_relay_cut(roles->relay, (unsigned)place);
    return place >= 0;
}
