/*
 * Parses TLS records by their headers; their contents are encrypted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/records.h"

#include <glib.h>

/* The greatest length of a record: 16 KiB, and what encryption may add. */
#define RECORD_MAX ((16u << 10) + 2048)

/* Begins a record whose header is complete. Returns false if that is not the header of a TLS
 * record. */
static bool begin_record(struct godwit_records *records)
{
    const unsigned char *header = records->header;
    const size_t length = (size_t)(header[3] << 8 | header[4]);
    /* Every version of TLS writes 3.x here. TLS 1.3 has its real version in what it encrypts. */
    if (header[0] < GODWIT_RECORD_CHANGE_CIPHER || header[0] > GODWIT_RECORD_DATA ||
        header[1] != 3 || length == 0 || length > RECORD_MAX)
        return false;
    if (!records->number)
        records->greeted = header[0] == GODWIT_RECORD_HANDSHAKE;
    records->left = length;
    return true;
}

static void end_record(struct godwit_records *records)
{
    if (records->header[0] == GODWIT_RECORD_DATA)
        records->data += (uint64_t)(records->header[3] << 8 | records->header[4]);
    records->number++;
    records->have = 0;
}

void godwit_records_feed(struct godwit_records *records, const unsigned char *bytes, size_t length)
{
    while (length && !records->plain) {
        size_t taken;
        if (records->have < sizeof(records->header)) {
            records->header[records->have++] = *bytes;
            taken = 1;
            if (records->have == sizeof(records->header) && !begin_record(records)) {
                records->plain = true;
                records->at = records->bytes + 1 - sizeof(records->header);
            }
        } else {
            taken = MIN(length, records->left);
            records->left -= taken;
            if (!records->left)
                end_record(records);
        }
        records->bytes += taken;
        bytes += taken;
        length -= taken;
    }
    records->bytes += length;
}
