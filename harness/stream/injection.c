/*
 * A fault at work. It filters the first connection through the relay, item by item or byte by byte,
 * and sends on what the fault makes of it.
 *
 * The sections of devices come at the end of a stream. A fault that must choose one of them cannot
 * know how many there are, so from the first of them on it delays all items. When the last section
 * has come it chooses one, and sends all of them. If the stream becomes unreadable, the delayed
 * items go on, and then the rest of the stream unchanged.
 *
 * The other connections pass unchanged. Connections are counted by their kind.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/fault_parts.h"

#include <inttypes.h>
#include <string.h>

/* Corrupts BYTES, a copy of an item, and sends them, or cuts the connection before the item. */
static void corrupt(struct godwit_injection *injection, const struct godwit_stream_item *item,
                    uint8_t *bytes)
{
    if (injection->fault.kind->corrupt) {
        injection->fault.kind->corrupt(injection, item, bytes);
        godwit_flow_send(injection->flow, bytes, item->length);
        return;
    }
    g_autofree char *section = godwit_fault_section(injection, item);
    injection->cut = item->kind == GODWIT_STREAM_EOF           ? GODWIT_CUT_END
                     : item->kind == GODWIT_STREAM_DESCRIPTION ? GODWIT_CUT_DESCRIPTION
                                                               : GODWIT_CUT_SECTION;
    godwit_fault_done(injection, "cut the connection before %s, at byte %" PRIu64, section,
                      item->offset);
    godwit_flow_cut(injection->flow);
}

/* Delays an item. */
static void delay(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    struct delayed delayed = {*item, injection->delayed_bytes->len, injection->sections - 1};
    delayed.item.bytes = NULL;
    delayed.item.section = g_intern_string(item->section);
    delayed.item.name = g_intern_string(item->name);
    g_byte_array_append(injection->delayed_bytes, item->bytes, (guint)item->length);
    g_array_append_val(injection->delayed, delayed);
}

/* Sends the delayed items, one of which it chooses and corrupts. */
static void send_delayed(struct godwit_injection *injection)
{
    g_autoptr(GArray) fit = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < injection->delayed->len; i++)
        if (injection->fault.kind->places &
            1u << g_array_index(injection->delayed, struct delayed, i).item.kind)
            g_array_append_val(fit, i);
    const guint chosen =
        fit->len ? g_array_index(fit, guint,
                                 godwit_fault_choose(injection, GODWIT_FAULT_SECTION, fit->len))
                 : G_MAXUINT;
    for (guint i = 0; i < injection->delayed->len; i++) {
        const struct delayed *delayed = &g_array_index(injection->delayed, struct delayed, i);
        uint8_t *bytes = injection->delayed_bytes->data + delayed->at;
        injection->section = delayed->section;
        if (i == chosen)
            corrupt(injection, &delayed->item, bytes);
        else
            godwit_flow_send(injection->flow, bytes, delayed->item.length);
    }
    injection->delaying = false;
    injection->chosen = true;
}

/* Returns whether a fault that corrupts items must deal with this one. */
static bool is_due(const struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const struct godwit_fault_kind *kind = injection->fault.kind;
    if (injection->done || !(kind->places & 1u << item->kind))
        return false;
    return !(kind->keys & KEY(SECTION)) ||
           (injection->chosen && injection->section + 1 == injection->sections);
}

static void count_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const struct godwit_fault_window *window = &injection->window;
    injection->pages++;
    injection->window_pages += !g_strcmp0(item->name, window->block) &&
                               item->page_offset + item->page_size > window->offset &&
                               item->page_offset < window->offset + window->length;
}

static bool take_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_injection *injection = data;
    const struct godwit_fault_kind *kind = injection->fault.kind;
    (void)error;
    if (item->kind == GODWIT_STREAM_PAGE)
        count_page(injection, item);
    if (kind->places && SECTIONS & 1u << item->kind)
        injection->sections++;
    if (item->kind == GODWIT_STREAM_EOF && injection->delaying)
        send_delayed(injection);
    else if (item->kind == GODWIT_STREAM_FULL && kind->keys & KEY(SECTION) && !injection->chosen)
        injection->delaying = true;
    if (injection->delaying) {
        delay(injection, item);
    } else if (is_due(injection, item)) {
        g_autofree uint8_t *bytes = g_memdup2(item->bytes, item->length);
        corrupt(injection, item, bytes);
    } else if (item->kind != GODWIT_STREAM_PAGE || !kind->page || !kind->page(injection, item)) {
        godwit_fault_send_item(injection, item);
    }
    return true;
}

static void filter_items(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                         size_t length)
{
    struct godwit_injection *injection = data;
    g_autoptr(GError) error = NULL;
    if (injection->lost) {
        godwit_flow_send(flow, bytes, length);
        return;
    }
    if (length ? godwit_stream_feed(injection->stream, bytes, length, &error)
               : godwit_stream_end(injection->stream, &error))
        return;
    injection->lost = g_strdup(error->message);
    if (injection->delayed_bytes->len)
        send_delayed(injection);
    size_t pending;
    const uint8_t *rest = godwit_stream_pending(injection->stream, &pending);
    godwit_flow_send(flow, rest, pending);
}

static void filter_bytes(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                         size_t length)
{
    struct godwit_injection *injection = data;
    const uint64_t before = injection->passed;
    injection->passed += length;
    if (!injection->done && length && before + length > injection->offset) {
        const size_t first = (size_t)(injection->offset - before);
        godwit_flow_send(flow, bytes, first);
        injection->fault.kind->strike(injection);
        bytes += first;
        length -= first;
    }
    godwit_flow_send(flow, bytes, length);
    if (injection->fault.kind->strike == godwit_fault_strike_split &&
        injection->passed >= godwit_fault_value(injection, GODWIT_FAULT_BYTES, SPLIT_BYTES))
        godwit_flow_slow(flow, 0, 0);
}

/* A connection, and its first bytes until there are four: these identify its kind. */
struct channel {
    struct godwit_injection *injection;
    uint8_t magic[4];
    size_t have;
};

static void watch_channel(gpointer data, const unsigned char *bytes, size_t length)
{
    struct channel *channel = data;
    if (channel->have == sizeof(channel->magic))
        return;
    const size_t taken = MIN(length, sizeof(channel->magic) - channel->have);
    memcpy(channel->magic + channel->have, bytes, taken);
    channel->have += taken;
    if (channel->have < sizeof(channel->magic))
        return;
    channel->injection->channels[godwit_stream_channel_of(channel->magic)]++;
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_injection *injection = data;
    (void)answered;
    (void)index;
    struct channel *channel = g_new0(struct channel, 1);
    channel->injection = injection;
    g_ptr_array_add(injection->seen, channel);
    godwit_flow_watch(sent, watch_channel, channel);
    if (injection->flow)
        return;
    injection->flow = sent;
    if (injection->fault.kind->strike) {
        godwit_flow_filter_by(sent, filter_bytes, injection);
        return;
    }
    injection->stream = godwit_stream_new(0, take_item, injection);
    godwit_flow_filter_by(sent, filter_items, injection);
}

struct godwit_injection *godwit_injection_new(struct godwit_relay *relay,
                                              const struct godwit_fault *fault,
                                              const struct godwit_fault_window *window)
{
    struct godwit_injection *injection = g_new0(struct godwit_injection, 1);
    const uint64_t seed = fault->values[GODWIT_FAULT_SEED];
    const guint32 words[] = {(guint32)seed, (guint32)(seed >> 32)};
    injection->fault = *fault;
    injection->window = *window;
    injection->random = g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
    injection->block = g_string_new("");
    injection->kept = g_byte_array_new();
    injection->before = g_byte_array_new();
    injection->filled = g_byte_array_new();
    injection->delayed_bytes = g_byte_array_new();
    injection->seen = g_ptr_array_new_with_free_func(g_free);
    injection->delayed = g_array_new(FALSE, FALSE, sizeof(struct delayed));
    const struct godwit_fault_kind *kind = fault->kind;
    if (kind->page)
        injection->target =
            window->offset + window->page * godwit_fault_choose(injection, GODWIT_FAULT_PAGE,
                                                                window->length / window->page);
    if (kind->places & SECTIONS || kind->places & (PLACE(FOOTER) | PLACE(STATE))) {
        /* Choose one of RAM's first sections in a quarter or half of all cases, if they have such
         * items. Otherwise choose among the devices' sections, when these have come. */
        const unsigned which = g_rand_int(injection->random) % 4;
        const unsigned early = kind->places & (PLACE(PART) | PLACE(FOOTER)) ? 2
                               : kind->places & PLACE(START)                ? 1
                                                                            : 0;
        injection->chosen = fault->given[GODWIT_FAULT_SECTION] || which < early;
        injection->section = (unsigned)godwit_fault_value(injection, GODWIT_FAULT_SECTION, which);
    }
    /* A stream is at least as long as half of the window: some of its pages are zero and take a few
     * bytes, one in four with `stamp`. */
    const uint64_t certain = fault->given[GODWIT_FAULT_OFFSET] ? UINT64_MAX : window->length / 2;
    injection->offset = kind->at_once
                            ? godwit_fault_value(injection, GODWIT_FAULT_OFFSET, 0)
                            : godwit_fault_choose(injection, GODWIT_FAULT_OFFSET, certain);
    godwit_relay_greet(relay, greet, injection);
    return injection;
}

void godwit_injection_free(struct godwit_injection *injection)
{
    if (!injection)
        return;
    g_rand_free(injection->random);
    godwit_stream_free(injection->stream);
    g_string_free(injection->block, TRUE);
    g_byte_array_unref(injection->kept);
    g_byte_array_unref(injection->before);
    g_byte_array_unref(injection->filled);
    g_byte_array_unref(injection->delayed_bytes);
    g_array_unref(injection->delayed);
    g_ptr_array_unref(injection->seen);
    g_free(injection->done);
    g_free(injection->lost);
    g_free(injection);
}

const char *godwit_injection_done(const struct godwit_injection *injection)
{
    return injection->done;
}

enum godwit_cut godwit_injection_cut(const struct godwit_injection *injection)
{
    return injection->cut;
}

bool godwit_injection_awaits(const struct godwit_injection *injection, uint64_t *offset)
{
    *offset = injection->kept_offset - injection->window.offset;
    return injection->kept->len > 0;
}

const char *godwit_injection_lost(const struct godwit_injection *injection)
{
    return injection->lost;
}

char *godwit_injection_why_not(const struct godwit_injection *injection)
{
    const struct godwit_fault_kind *kind = injection->fault.kind;
    if (injection->lost)
        return g_strdup_printf("the stream could not be read: %s", injection->lost);
    if (!injection->flow)
        return g_strdup("no connection was made through the relay");
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s looks for %s", kind->name,
                           kind->page     ? "a page of the window"
                           : kind->places ? "an item of the main channel"
                                          : "a byte of the first connection");
    if (kind->page || kind->places)
        g_string_append_printf(text,
                               ", but none that came on the first connection was suitable (%" PRIu64
                               " pages, %" PRIu64 " of them in the window)",
                               injection->pages, injection->window_pages);
    else
        g_string_append_printf(text, ", but the connection ended after %" PRIu64 " bytes",
                               injection->passed);
    g_string_append_printf(text, "; connections seen: %u main, %u multifd, %u postcopy-preempt",
                           injection->channels[GODWIT_STREAM_MAIN],
                           injection->channels[GODWIT_STREAM_MULTIFD],
                           injection->channels[GODWIT_STREAM_PREEMPT]);
    if (kind->page && injection->channels[GODWIT_STREAM_MULTIFD])
        g_string_append(text,
                        ": pages are sent in multifd channels, which the relay does not change");
    return g_string_free(text, FALSE);
}
