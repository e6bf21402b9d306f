/*
 * Bytes as migration streams have them: numbers are big-endian, and names come after their length.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_BYTES_H
#define GODWIT_HARNESS_BASE_BYTES_H

#include <glib.h>
#include <stdint.h>
#include <string.h>

/* Writes the WIDTH lowest bytes of VALUE to TO. */
static inline void godwit_bytes_set(guint8 *to, size_t width, uint64_t value)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (guint8)(value >> 8 * (width - 1 - i));
}

/* Appends the WIDTH lowest bytes of VALUE, which are 8 at most. */
static inline void godwit_bytes_append(GByteArray *to, size_t width, uint64_t value)
{
    guint8 bytes[8];
    godwit_bytes_set(bytes, width, value);
    g_byte_array_append(to, bytes, (guint)width);
}

/* Appends NAME, of 255 bytes at most, after a byte that is its length. */
static inline void godwit_bytes_append_name(GByteArray *to, const char *name)
{
    godwit_bytes_append(to, 1, strlen(name));
    g_byte_array_append(to, (const guint8 *)name, (guint)strlen(name));
}

#endif
