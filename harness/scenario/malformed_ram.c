/*
 * Migration streams that are almost right: RAM's list of blocks, its records, and the headers of
 * mapped-ram. malformed.c has the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/malformed_parts.h"

#define RECORDS .place = GODWIT_PLACE_RECORDS
#define EITHER  .end = GODWIT_TRIAL_EITHER
#define SPARE   .setting = GODWIT_SETTING_SPARE

/* A record is an offset with flags in its low bits, eight bytes; a counted name of a RAM block,
 * unless flag 20 is set; and, by the flags, a byte (02), a page (08), or an encoding, a length and
 * changes (40). */
static const struct godwit_malformed ram[] = {
    {"a record without flags", "0000000000000000", RECORDS},
    {"a record with flag 1", "0000000000000001", RECORDS},
    {"a record with flag 0x100", "0000000000000100 =@ 00000010 *16", RECORDS},
    {"a record with flag 0x3c0", "00000000000003c0 =@ 00", RECORDS},
    {"a record with two flags", "000000000000000a =@ *4096", RECORDS},
    {"a record that is cut", "00000000", RECORDS, .cut = true},
    {"a page of an unknown RAM block", "0000000000000008 =none *4096", RECORDS},
    {"a zero page of an unknown RAM block", "0000000000000002 =none 00", RECORDS},
    {"a page whose RAM block is cut", "0000000000000008 06 70", RECORDS, .cut = true},
    {"a page of the block before, and there is none", "0000000000000028 *4096", RECORDS},
    {"a zero page of the block before, and there is none", "0000000000000022 00", RECORDS},
    {"a page beyond its block", "0000ffff00000008 =@ *4096", RECORDS},
    {"a page at the highest offset", "fffffffffffff008 =@ *4096", RECORDS},
    {"a zero page beyond its block", "0000ffff00000002 =@ 00", RECORDS},
    {"a page that is cut", "", .place = GODWIT_PLACE_PAGE_DATA, .skip = 100, .cut = true},
    {"a page without its bytes", "", .place = GODWIT_PLACE_PAGE_DATA, .cut = true},
    {"a zero page of ones", "0000000000000002 =@ 01", RECORDS, EITHER},
    {"a zero page that is cut", "0000000000000002 =@", RECORDS, .cut = true},
    {"the end of the records, and then more", "0000000000000010", RECORDS},
    {"a page of a RAM block that is not migrated", "0000000000000008 00 *4096", RECORDS, SPARE},
    {"xbzrle without the capability", "0000000000000040 =@ 01 0000", RECORDS, EITHER},
    {"xbzrle with another encoding", "0000000000000040 =@ 02 0004 00010155", RECORDS},
    {"xbzrle that is longer than a page", "0000000000000040 =@ 01 ffff *65535", RECORDS},
    {"xbzrle that goes beyond the page", "0000000000000040 =@ 01 0006 ff3f ff3f 5555", RECORDS},
    {"xbzrle with a length without bytes", "0000000000000040 =@ 01 0003 00 0a 55", RECORDS},
    {"xbzrle without changes", "0000000000000040 =@ 01 0002 0100", RECORDS},
    {"xbzrle with a length that is broken", "0000000000000040 =@ 01 0003 ffff 01", RECORDS},
    {"xbzrle beyond its block", "0000ffff00000040 =@ 01 0004 00010155", RECORDS},
    {"xbzrle that is cut", "0000000000000040 =@ 01 0100 *8", RECORDS, .cut = true},
    {"a multifd flush without multifd", "0000000000000200", RECORDS, EITHER},
    {"a hook without RDMA", "0000000000000080", RECORDS, EITHER},
    {"a second list of RAM blocks, with an unknown one", "0000000000001004 =none 0000000000001000",
     RECORDS},
    {"RAM that has a page more", "0000000100001004", .place = GODWIT_PLACE_RAM_SIZE, .remove = 8},
    {"RAM that has a page", "0000000000001004", .place = GODWIT_PLACE_RAM_SIZE, .remove = 8},
    {"RAM without a flag", "0000000000001000", .place = GODWIT_PLACE_RAM_SIZE, .remove = 8},
    {"a RAM block that is unknown", "=none 0000000000001000", .place = GODWIT_PLACE_BLOCK},
    {"a RAM block that is not migrated", "00 0000000000001000", .place = GODWIT_PLACE_BLOCK, SPARE},
    {"a RAM block that is cut in its name", "", .place = GODWIT_PLACE_BLOCK, .skip = 3,
     .cut = true},
    {"a RAM block that is cut in its length", "", .place = GODWIT_PLACE_BLOCK_LENGTH, .skip = 5,
     .cut = true},
    {"a RAM block of a page", "0000000000001000", .place = GODWIT_PLACE_BLOCK_LENGTH, .remove = 8},
    {"a RAM block of 2 TiB", "0000020000000000", .place = GODWIT_PLACE_BLOCK_LENGTH, .remove = 8},
    {"a RAM block of nothing", "0000000000000000", .place = GODWIT_PLACE_BLOCK_LENGTH, .remove = 8},
};

/* A header of mapped-ram has a version of four bytes, and the page size and the offsets of the
 * bitmap and of the pages, eight bytes each. */
#define HEADER .place = GODWIT_PLACE_MAPPED

static const struct godwit_malformed mapped[] = {
    {"a header of version 2", "00000002", HEADER, .remove = 4},
    {"a header of version 0x7fffffff", "7fffffff", HEADER, .remove = 4},
    {"a header that is cut", "", HEADER, .skip = 9, .cut = true},
    {"a header with pages of no bytes", "0000000000000000", HEADER, .skip = 4, .remove = 8},
    {"a header with pages of 1 TiB", "0000010000000000", HEADER, .skip = 4, .remove = 8},
    {"a bitmap beyond the file", "0000010000000000", HEADER, .skip = 12, .remove = 8},
    {"a bitmap at a negative offset", "ffffffffffffff00", HEADER, .skip = 12, .remove = 8},
    {"a bitmap that is cut", "", .place = GODWIT_PLACE_MAPPED_BITMAP, .skip = 5, .cut = true},
    {"no bitmap", "", .place = GODWIT_PLACE_MAPPED_BITMAP, .cut = true},
    {"pages that are not aligned", "0000000000100100", HEADER, .skip = 20, .remove = 8},
    {"pages beyond the file", "0000010000000000", HEADER, .skip = 20, .remove = 8},
    {"pages at a negative offset", "fffffffffff00000", HEADER, .skip = 20, .remove = 8},
    {"a page that is cut", "", .place = GODWIT_PLACE_MAPPED_PAGE, .skip = 100, .cut = true},
    {"no pages", "", .place = GODWIT_PLACE_MAPPED_PAGE, .cut = true},
    {"a record of a page", "0000000000000008 =@ *4096", RECORDS},
    {"a record of a zero page", "0000000000000002 =@ 00", RECORDS},
    {"a record of xbzrle", "0000000000000040 =@ 01 0004 00010155", RECORDS},
    {"a multifd flush", "0000000000000200", RECORDS},
    {"a RAM block that is unknown", "=none 0000000000001000", .place = GODWIT_PLACE_BLOCK},
    {"a RAM block of 2 TiB", "0000020000000000", .place = GODWIT_PLACE_BLOCK_LENGTH, .remove = 8},
    {"a RAM block of 1 EiB", "1000000000000000", .place = GODWIT_PLACE_BLOCK_LENGTH, .remove = 8},
};

static const struct godwit_capability mapped_ram[] = {{"mapped-ram", true}, {NULL, false}};
static const struct godwit_malformed_group ram_group = GODWIT_MALFORMED_GROUP(ram),
                                           mapped_group = {
                                               .capabilities = mapped_ram,
                                               .variants = mapped,
                                               .count = G_N_ELEMENTS(mapped),
};

GODWIT_SCENARIOS(malformed_ram) = {
    {
        .name = "malformed/ram",
        .summary = "incoming streams whose RAM blocks or pages are wrong, unknown or cut",
        .slow = true,
        .order = true,
        .run = godwit_malformed_run,
        .prepare = godwit_trials_prepare,
        .data = &ram_group,
    },
    {
        .name = "malformed/mapped-ram",
        .summary = "files with mapped-ram whose headers, bitmaps or pages are wrong or cut",
        .needs = "capability:mapped-ram transport:file",
        .deadlines = 4, /* each of the files is as long as RAM */
        .slow = true,
        .order = true,
        .run = godwit_malformed_run,
        .prepare = godwit_trials_prepare,
        .data = &mapped_group,
    },
};
GODWIT_SCENARIOS_END(malformed_ram);
