/*
 * Migration streams that are almost right: commands, sections and configurations that a source
 * never sends, in the midst of a good stream. malformed_ram.c has those in RAM.
 *
 * A destination must refuse each (conformance_trials.h). It may ignore what does not matter, but
 * then the good rest of the stream must load.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/malformed_parts.h"

#define SECTIONS .place = GODWIT_PLACE_SECTIONS
#define EITHER   .end = GODWIT_TRIAL_EITHER
#define LOADS    .end = GODWIT_TRIAL_LOADS
#define POSTCOPY .setting = GODWIT_SETTING_POSTCOPY

/* A command is the byte 08, its number and the length of its data, two bytes each, and the data. */
static const struct godwit_malformed commands[] = {
    {"command 0", "08 0000 0000", SECTIONS},
    {"command 12", "08 000c 0000", SECTIONS},
    {"command 65535 with data", "08 ffff 0002 0000", SECTIONS},
    {"a command that is cut in its number", "08 00", SECTIONS, .cut = true},
    {"a command that is cut in its length", "08 0002 00", SECTIONS, .cut = true},
    {"OPEN_RETURN_PATH with data", "08 0001 0001 00", SECTIONS},
    {"OPEN_RETURN_PATH in a file", "08 0001 0000", SECTIONS, EITHER},
    {"OPEN_RETURN_PATH twice", "08 0001 0000 08 0001 0000", SECTIONS, EITHER},
    {"PING without data", "08 0002 0000", SECTIONS},
    {"PING with data of 3 bytes", "08 0002 0003 000000", SECTIONS},
    {"PING with data of 8 bytes", "08 0002 0008 *8", SECTIONS},
    {"PING that is cut", "08 0002 0004 0000", SECTIONS, .cut = true},
    {"PING without a return path", "08 0002 0004 00000001", SECTIONS},
    {"PING over a return path in a file", "08 0001 0000 08 0002 0004 00000001", SECTIONS, EITHER},
    {"POSTCOPY_LISTEN with data", "08 0004 0001 00", SECTIONS},
    {"POSTCOPY_RUN with data", "08 0005 0002 0000", SECTIONS},
    {"PACKAGED without data", "08 0007 0000", SECTIONS},
    {"PACKAGED with data of 2 bytes", "08 0007 0002 0000", SECTIONS},
    {"PACKAGED of 4 GiB", "08 0007 0004 ffffffff", SECTIONS},
    {"PACKAGED of a byte more than 16 MiB", "08 0007 0004 01000001", SECTIONS},
    {"PACKAGED of nothing", "08 0007 0004 00000000", SECTIONS},
    {"PACKAGED that is cut in its length", "08 0007 0004 0000", SECTIONS, .cut = true},
    {"PACKAGED that is cut", "08 0007 0004 00001000 *100", SECTIONS, .cut = true},
    {"PACKAGED with an unknown section type", "08 0007 0004 00000001 ee", SECTIONS},
    {"PACKAGED with half a command", "08 0007 0004 00000002 0800", SECTIONS},
    {"PACKAGED with PACKAGED", "08 0007 0004 0000000a 08 0007 0004 00000001 00", SECTIONS},
    {"PACKAGED with the end of sections", "08 0007 0004 00000001 00", SECTIONS, LOADS},
    {"ENABLE_COLO with data", "08 0008 0001 00", SECTIONS},
    {"ENABLE_COLO without x-colo", "08 0008 0000", SECTIONS},
    {"RECV_BITMAP without data", "08 000a 0000", SECTIONS},
    {"RECV_BITMAP of a name that is longer than the data", "08 000a 0002 =none", SECTIONS},
    {"RECV_BITMAP of a name that is shorter than the data", "08 000a 0008 =none 000000", SECTIONS},
    {"RECV_BITMAP without a name", "08 000a 0001 00", SECTIONS},
    {"RECV_BITMAP of an unknown RAM block", "08 000a 0005 =none", SECTIONS},
    {"RECV_BITMAP that is cut", "08 000a 0005 04 6e", SECTIONS, .cut = true},
    {"RECV_BITMAP when nothing is paused", "08 000a +length =@", SECTIONS, LOADS},
    {"SWITCHOVER_START with data", "08 000b 0004 *4", SECTIONS},
    {"SWITCHOVER_START", "08 000b 0000", SECTIONS, EITHER},
    {"POSTCOPY_RESUME with data", "08 0009 0001 00", SECTIONS},
    {"POSTCOPY_RESUME when nothing is paused", "08 0009 0000", SECTIONS, LOADS},
};

/* A source with postcopy-ram sends ADVISE with both page sizes. A DISCARD has a version, a counted
 * name, a zero, and pairs of a start and a length. */
#define ADVISE "08 0003 0010 +pages +page"

static const struct godwit_malformed postcopy_off[] = {
    {"ADVISE without data", "08 0003 0000", SECTIONS, LOADS},
    {"ADVISE of 5 bytes", "08 0003 0005 *5", SECTIONS},
    {"ADVISE of 16 bytes", ADVISE, SECTIONS},
    {"ADVISE twice, without data", "08 0003 0000 08 0003 0000", SECTIONS},
    {"LISTEN without ADVISE", "08 0004 0000", SECTIONS},
    {"RUN without ADVISE", "08 0005 0000", SECTIONS},
    {"RUN after ADVISE", "08 0003 0000 08 0005 0000", SECTIONS},
    {"RAM_DISCARD without ADVISE", "08 0006 0017 00 =none 00 *16", SECTIONS},
};

static const struct godwit_malformed postcopy_on[] = {
    {"ADVISE", ADVISE, SECTIONS, LOADS, POSTCOPY},
    {"ADVISE without data", "08 0003 0000", SECTIONS, POSTCOPY},
    {"ADVISE of 5 bytes", "08 0003 0005 *5", SECTIONS, POSTCOPY},
    {"ADVISE of 17 bytes", "08 0003 0011 +pages +page 00", SECTIONS, POSTCOPY},
    {"ADVISE twice", ADVISE " " ADVISE, SECTIONS, POSTCOPY},
    {"ADVISE with another size of RAM pages", "08 0003 0010 0000000000300000 +page", SECTIONS,
     POSTCOPY},
    {"ADVISE with another size of target pages", "08 0003 0010 +pages 0000000000000200", SECTIONS,
     POSTCOPY},
    {"ADVISE that is cut", "08 0003 0010 *8", SECTIONS, POSTCOPY, .cut = true},
    {"LISTEN without ADVISE", "08 0004 0000", SECTIONS, POSTCOPY},
    {"RUN without ADVISE", "08 0005 0000", SECTIONS, POSTCOPY},
    {"RUN without LISTEN", ADVISE " 08 0005 0000", SECTIONS, POSTCOPY},
    {"RAM_DISCARD without ADVISE", "08 0006 0017 00 =none 00 *16", SECTIONS, POSTCOPY},
    {"RAM_DISCARD without data", ADVISE " 08 0006 0000", SECTIONS, POSTCOPY},
    {"RAM_DISCARD that is too short", ADVISE " 08 0006 0007 00 =none 00", SECTIONS, POSTCOPY},
    {"RAM_DISCARD with another version", ADVISE " 08 0006 0017 01 =none 00 *16", SECTIONS,
     POSTCOPY},
    {"RAM_DISCARD without a name", ADVISE " 08 0006 0014 00 00 00 *17", SECTIONS, POSTCOPY},
    {"RAM_DISCARD without a zero behind the name", ADVISE " 08 0006 0017 00 =none 01 *16", SECTIONS,
     POSTCOPY},
    {"RAM_DISCARD with half a pair", ADVISE " 08 0006 001f 00 =none 00 *24", SECTIONS, POSTCOPY},
    {"RAM_DISCARD of an unknown RAM block", ADVISE " 08 0006 0017 00 =none 00 *16", SECTIONS,
     POSTCOPY},
    {"RAM_DISCARD of half a page", ADVISE " 08 0006 +discard 00 =@ 00 0000000000000064 +page",
     SECTIONS, POSTCOPY},
    {"RAM_DISCARD beyond its RAM block", ADVISE " 08 0006 +discard 00 =@ 00 0000100000000000 +page",
     SECTIONS, POSTCOPY},
    {"PACKAGED with LISTEN that is cut", ADVISE " 08 0007 0004 00000004 08 0004 00", SECTIONS,
     POSTCOPY},
    {"PACKAGED with RUN without LISTEN", ADVISE " 08 0007 0004 00000005 08 0005 0000", SECTIONS,
     POSTCOPY},
    {"RESUME after ADVISE", ADVISE " 08 0009 0000", SECTIONS, LOADS, POSTCOPY},
};

static const struct godwit_malformed sections[] = {
    {"a section of type 9", "09", SECTIONS},
    {"a section of type 255", "ff", SECTIONS},
    {"a footer without a section", "7e 00000000", SECTIONS},
    {"a part of an unknown section", "02 00009999", SECTIONS},
    {"the last part of an unknown section", "03 00009999", SECTIONS},
    {"a part that is cut in its number", "02 0000", SECTIONS, .cut = true},
    {"an unknown device", "04 00009999 =nosuch 00000000 00000001", SECTIONS},
    {"an unknown device in parts", "01 00009999 =nosuch 00000000 00000001", SECTIONS},
    {"a device without a name", "04 00009999 00 00000000 00000001", SECTIONS},
    {"a section that is cut behind its type", "01", .place = GODWIT_PLACE_START, .cut = true},
    {"a section that is cut in its number", "01 0000", .place = GODWIT_PLACE_START, .cut = true},
    {"a section that is cut before its name", "", .place = GODWIT_PLACE_START, .skip = 5,
     .cut = true},
    {"a section that is cut in its name", "", .place = GODWIT_PLACE_START, .skip = 7, .cut = true},
    {"a section that is cut in its instance", "", .place = GODWIT_PLACE_START_NUMBERS, .skip = 2,
     .cut = true},
    {"a section that is cut in its version", "", .place = GODWIT_PLACE_START_NUMBERS, .skip = 6,
     .cut = true},
    {"a section that is cut behind its header", "", .place = GODWIT_PLACE_START_NUMBERS, .skip = 8,
     .cut = true},
    {"a device that is cut in its name", "", .place = GODWIT_PLACE_DEVICE, .skip = 7, .cut = true},
    {"a device that is cut in its version", "", .place = GODWIT_PLACE_DEVICE_NUMBERS, .skip = 7,
     .cut = true},
    {"a name that is longer than what follows", "ff", .place = GODWIT_PLACE_DEVICE, .skip = 5,
     .remove = 1},
    {"an instance of \"ram\" that does not exist", "00000007", .place = GODWIT_PLACE_START_NUMBERS,
     .remove = 4},
    {"an instance of a device that does not exist", "00000007",
     .place = GODWIT_PLACE_DEVICE_NUMBERS, .remove = 4},
    {"\"ram\" of a newer version", "00000005", .place = GODWIT_PLACE_START_NUMBERS, .skip = 4,
     .remove = 4},
    {"\"ram\" of an older version", "00000003", .place = GODWIT_PLACE_START_NUMBERS, .skip = 4,
     .remove = 4},
    {"a device of a newer version", "7fffffff", .place = GODWIT_PLACE_DEVICE_NUMBERS, .skip = 4,
     .remove = 4},
    {"a device of a negative version", "ffffffff", .place = GODWIT_PLACE_DEVICE_NUMBERS, .skip = 4,
     .remove = 4},
    {"a device of version 0", "00000000", .place = GODWIT_PLACE_DEVICE_NUMBERS, .skip = 4,
     .remove = 4},
    {"no footer", "", .place = GODWIT_PLACE_FOOTER, .remove = 5},
    {"a footer of another type", "7d", .place = GODWIT_PLACE_FOOTER, .remove = 1},
    {"a footer with another number", "00009999", .place = GODWIT_PLACE_FOOTER, .skip = 1,
     .remove = 4},
    {"a footer that is cut", "", .place = GODWIT_PLACE_FOOTER, .skip = 3, .cut = true},
    {"a cut before the footer", "", .place = GODWIT_PLACE_FOOTER, .cut = true},
    {"no footer of a device", "", .place = GODWIT_PLACE_DEVICE_FOOTER, .remove = 5},
    {"a footer of a device with another number", "00009999", .place = GODWIT_PLACE_DEVICE_FOOTER,
     .skip = 1, .remove = 4},
    {"a cut in a device's footer", "", .place = GODWIT_PLACE_DEVICE_FOOTER, .skip = 3, .cut = true},
    {"the last part of another section", "00009999", .place = GODWIT_PLACE_LAST, .skip = 1,
     .remove = 4},
    {"an unknown section after all others", "05", .place = GODWIT_PLACE_END},
    {"no end of the sections", "", .place = GODWIT_PLACE_END, .cut = true},
    {"no description", "00", .place = GODWIT_PLACE_END, LOADS, .cut = true},
    {"a description that is cut", "00 06 00001000 7b", .place = GODWIT_PLACE_END, LOADS,
     .cut = true},
};

/* A subsection of the configuration is the byte 05, a counted name, a version, and its content. */
#define BITS         "05 =configuration/target-page-bits "
#define CAPABILITIES "05 =configuration/capabilities "

static const struct godwit_malformed configuration[] = {
    {"no configuration", "06", .place = GODWIT_PLACE_CONFIGURATION, .remove = 1},
    {"a machine's name with a letter more", "7a", .place = GODWIT_PLACE_NAME_END},
    {"a machine's name of 64 KiB", "00010000", .place = GODWIT_PLACE_CONFIGURATION, .skip = 1,
     .remove = 4},
    {"a machine's name of 256 MiB", "10000000", .place = GODWIT_PLACE_CONFIGURATION, .skip = 1,
     .remove = 4},
    {"a machine's name of 4 GiB", "ffffffff", .place = GODWIT_PLACE_CONFIGURATION, .skip = 1,
     .remove = 4},
    {"4 Gi of capabilities", CAPABILITIES "00000001 ffffffff", SECTIONS},
    {"another TARGET_PAGE_BITS", BITS "00000001 0000001e", SECTIONS},
    {"TARGET_PAGE_BITS of a newer version", BITS "00000002 0000000c", SECTIONS},
    {"TARGET_PAGE_BITS of version 0", BITS "00000000 0000000c", SECTIONS},
    {"TARGET_PAGE_BITS that is cut", BITS "00000001 0000", SECTIONS, .cut = true},
    {"an unknown capability", CAPABILITIES "00000001 00000001 =no-such-capability", SECTIONS},
    {"a capability without a name", CAPABILITIES "00000001 00000001 00", SECTIONS},
    {"a capability of the source only", CAPABILITIES "00000001 00000001 =x-ignore-shared",
     SECTIONS},
    {"a capability of the destination only", "", SECTIONS, .setting = GODWIT_SETTING_SHARED},
    {"more capabilities than there are names", CAPABILITIES "00000001 00000100 =return-path",
     SECTIONS, .cut = true},
    {"capabilities of a newer version", CAPABILITIES "00000002 00000000", SECTIONS},
    {"no capabilities", CAPABILITIES "00000001 00000000", SECTIONS, LOADS},
    {"a UUID, of which the destination has none", "05 =configuration/uuid 00000001 *16", SECTIONS,
     LOADS},
    {"an unknown subsection", "05 =configuration/none 00000001", SECTIONS},
    {"a subsection of something else", "05 =something/else 00000001", SECTIONS},
    {"a subsection that is cut in its name", "05 20 636f", SECTIONS, .cut = true},
};

static const struct godwit_malformed_group groups[] = {
    GODWIT_MALFORMED_GROUP(commands),      GODWIT_MALFORMED_GROUP(postcopy_off),
    GODWIT_MALFORMED_GROUP(postcopy_on),   GODWIT_MALFORMED_GROUP(sections),
    GODWIT_MALFORMED_GROUP(configuration),
};

#define ROW(row, text, group, ...)                                                                 \
    {                                                                                              \
        .name = "malformed/" row, .summary = text, .slow = true, .order = true,                    \
        .run = godwit_malformed_run, .prepare = godwit_trials_prepare, .data = (group),            \
        __VA_ARGS__                                                                                \
    }

GODWIT_SCENARIOS(malformed) = {
    ROW("commands", "incoming streams with commands that are wrong or out of place", &groups[0]),
    ROW("postcopy/off", "incoming streams with commands of a postcopy that was not agreed on",
        &groups[1]),
    ROW("postcopy/on", "incoming streams with commands of a postcopy that are wrong or too early",
        &groups[2], .needs = "capability:postcopy-ram"),
    ROW("sections", "incoming streams with sections that are wrong, unknown or cut", &groups[3]),
    ROW("configuration", "incoming streams with a configuration that does not fit", &groups[4]),
};
GODWIT_SCENARIOS_END(malformed);
