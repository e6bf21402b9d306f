/* SPDX-License-Identifier: MIT */
#include "stream/records.h"

#include <glib.h>

/* The longest that a record may be: 16 KiB, and what encryption may add to it. */
#define RECORD_MAX ((16u << 10) + 2048)

/* The header is complete: false if it is none of a TLS record. */
static bool begin_record(struct godwit_records *records)
{
    const unsigned char *header = records->header;
    const size_t length = (size_t)(header[3] << 8 | header[4]);
    /* Version 3.x: every TLS says so; those after 1.2 only in the records they encrypt. */
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
