/*
 * Collects the devices' states from migration streams and compares them. The scenarios of the
 * family "relay" use it. docs/oracles.md explains the method.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/state.h"

#include "base/file.h"
#include "migrate/throttle.h"
#include "stream/reader.h"

/* Puts the state of a device into the table DATA. */
static bool take_state(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    (void)error;
    if (item->kind == GODWIT_STREAM_STATE)
        g_hash_table_replace(
            data, g_strdup_printf("%s/%" G_GUINT32_FORMAT, item->section, item->instance_id),
            g_bytes_new(item->bytes, item->length));
    return true;
}

GHashTable *godwit_state_read(const void *bytes, size_t length, GError **error)
{
    g_autoptr(GHashTable) states =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    struct godwit_stream *stream = godwit_stream_new(0, take_state, states);
    const bool good =
        godwit_stream_feed(stream, bytes, length, error) && godwit_stream_end(stream, error);
    godwit_stream_free(stream);
    return good ? g_steal_pointer(&states) : NULL;
}

enum godwit_transport godwit_state_transport(const struct godwit_qemu *qemu)
{
    return godwit_qemu_has(qemu, "transport", "file") ? GODWIT_TRANSPORT_FILE
                                                      : GODWIT_TRANSPORT_FD_FILE;
}

enum godwit_transport godwit_state_common_transport(const struct godwit_qemu *source,
                                                    const struct godwit_qemu *destination)
{
    return godwit_state_transport(source) == GODWIT_TRANSPORT_FILE
               ? godwit_state_transport(destination)
               : GODWIT_TRANSPORT_FD_FILE;
}

bool godwit_state_save(struct godwit_vm *vm, GError **error)
{
    const enum godwit_transport transport = godwit_state_transport(vm->qemu);
    g_autofree char *uri = godwit_migrate_file_address(vm, transport, error);
    return uri && godwit_migrate_unthrottle(vm, error) &&
           godwit_migrate_start(vm, uri, false, error) &&
           godwit_migrate_wait(vm, "completed", error);
}

GHashTable *godwit_state_send_on(struct godwit_vm *vm, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    gsize length = 0;
    if (!godwit_state_save(vm, error))
        return NULL;
    /* Room for all of RAM, with overhead, and for the devices. */
    const size_t most = ((size_t)vm->testbed->setup->memory_mib * 2 + 64) << 20;
    g_autofree char *bytes = godwit_file_read(path, most, &length, error);
    return bytes ? godwit_state_read(bytes, length, error) : NULL;
}

/* Returns true if byte AT of two states differs, or one of the seven bytes before and after it. */
static bool differs_near(GBytes *one, GBytes *other, gsize at)
{
    gsize length, other_length;
    const guint8 *bytes = g_bytes_get_data(one, &length);
    const guint8 *others = g_bytes_get_data(other, &other_length);
    for (gsize i = at > 7 ? at - 7 : 0; i < MIN(MIN(length, other_length), at + 8); i++)
        if (bytes[i] != others[i])
            return true;
    return false;
}

char *godwit_state_compare(GHashTable *sent, GHashTable *again, GHashTable *reference)
{
    GHashTableIter iter;
    gpointer name, state;
    g_hash_table_iter_init(&iter, sent);
    while (g_hash_table_iter_next(&iter, &name, &state)) {
        GBytes *other = g_hash_table_lookup(again, name);
        GBytes *expected = reference ? g_hash_table_lookup(reference, name) : state;
        gsize length, other_length = 0;
        const guint8 *bytes = g_bytes_get_data(state, &length);
        const guint8 *others = other ? g_bytes_get_data(other, &other_length) : NULL;
        if (!expected || g_bytes_get_size(expected) != length)
            continue;
        if (other_length != length)
            return g_strdup_printf("the state of %s has %zu bytes instead of %zu",
                                   (const char *)name, other_length, length);
        for (gsize i = 0; i < length; i++)
            if (bytes[i] != others[i] && !differs_near(state, expected, i))
                return g_strdup_printf("byte %zu of the state of %s is 0x%02x instead of 0x%02x", i,
                                       (const char *)name, others[i], bytes[i]);
    }
    return NULL;
}
