/*
 * The state of the devices as a binary describes it (-dump-vmstate), and which of the source's
 * states the destination cannot load.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_VMSTATE_H
#define GODWIT_HARNESS_INVENTORY_VMSTATE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The facts of the loader that a comparison rests on:
 *
 * - The destination finds a section by its name. The stream carries the source's version of it,
 *   which must be between the destination's minimum version and its version.
 * - Fields have no names in the stream: they are bytes, in the order of the source's description.
 *   The destination reads them in the order of its own description.
 * - A field with a condition is sent and read if the condition holds, whatever its version is. Any
 *   other field is sent and read if its version is not above the version of the state.
 * - A structure inside a field has no version in the stream. Each side uses its own version of it,
 *   so that a version guards nothing there.
 * - A subsection has its name and its version in the stream. The source sends it only if it is
 *   needed. The destination takes the subsections of a state in any order, and refuses one that it
 *   does not know.
 *
 * A dump does not show the conditions, the encoding of a field, the length of what varies in
 * length, or that a device forbids migration. So a finding is a suspicion to be tried. If loading
 * succeeds nevertheless, values may be in the wrong fields: from QEMU 10.0 to 7.2, the
 * conditions in am53c974 make up for a byte, and the source's "lun" is loaded as "ti_cmd".
 *
 * A dump describes the classes of devices. CPUs, RAM, timers and everything else that is not a
 * device are not in it, so that no finding does not mean no obstacle.
 */

struct godwit_vmstate;

struct godwit_vmstate_field {
    char *name;       /* "irq_state"; owned */
    int version;      /* the first version of the state that has it; ignored if CONDITIONAL */
    bool conditional; /* sent and read only if a condition holds */
    uint64_t size;    /* of an element; 0: varies. With a STRUCTURE, its size in QEMU's memory */
    uint64_t count;   /* of elements; 1 if the document does not give it */
    struct godwit_vmstate *structure; /* what an element consists of; owned, NULL for plain bytes */
};

/* A device's state, a structure or a subsection. */
struct godwit_vmstate {
    char *name; /* of the section or the subsection; owned */
    int version, minimum;
    GPtrArray *fields;      /* of struct godwit_vmstate_field, in the order of the stream; owned */
    GPtrArray *subsections; /* of struct godwit_vmstate; owned */
};

struct godwit_vmstate_device {
    char *type; /* "isa-serial"; owned */
    struct godwit_vmstate *state;
};

struct godwit_vmstate_document {
    char *machine;      /* "pc-q35-7.2", "" if the document does not name it; owned */
    GPtrArray *devices; /* of struct godwit_vmstate_device, in QEMU's order; owned */
    GHashTable *types;  /* type -> its struct godwit_vmstate_device */
    bool counted;       /* it gives the number of elements of arrays; QEMU 7.2 does not */
};

/* Returns the document in the LENGTH bytes at TEXT. The caller frees it with
 * godwit_vmstate_free(). Fails with ENVIRONMENT if TEXT is not such a document. */
struct godwit_vmstate_document *godwit_vmstate_parse(const char *text, size_t length,
                                                     GError **error);

/* Does what godwit_vmstate_parse() does, with the file at PATH. Fails with ENVIRONMENT, too, if the
 * file cannot be read or is implausibly large. */
struct godwit_vmstate_document *godwit_vmstate_read(const char *path, GError **error);

void godwit_vmstate_free(struct godwit_vmstate_document *document);

enum godwit_vmstate_kind {
    GODWIT_VMSTATE_RENAMED,            /* the section has another name */
    GODWIT_VMSTATE_NEWER,              /* its version is above the destination's */
    GODWIT_VMSTATE_OLDER,              /* its version is below the destination's minimum */
    GODWIT_VMSTATE_REMOVED,            /* the source sends a field that the destination lacks */
    GODWIT_VMSTATE_ADDED,              /* the destination reads a field that the source lacks */
    GODWIT_VMSTATE_RESIZED,            /* a field has another size or number of elements */
    GODWIT_VMSTATE_REORDERED,          /* a field is elsewhere */
    GODWIT_VMSTATE_REGROUPED,          /* as many bytes, divided into other numbers */
    GODWIT_VMSTATE_CONDITION,          /* only one side makes the field depend on a condition */
    GODWIT_VMSTATE_SUBSECTION_REMOVED, /* the destination does not know a subsection */
    GODWIT_VMSTATE_KINDS
};

/* Returns the name of KIND: "removed". */
const char *godwit_vmstate_kind_name(enum godwit_vmstate_kind kind);

enum godwit_vmstate_certainty {
    GODWIT_VMSTATE_CERTAIN,     /* breaks whenever the device is there */
    GODWIT_VMSTATE_CONDITIONAL, /* breaks if a condition holds, or a subsection is sent */
};

/* Returns the name of CERTAINTY: "certain". */
const char *godwit_vmstate_certainty_name(enum godwit_vmstate_certainty certainty);

struct godwit_vmstate_finding {
    char *type; /* of the device; owned */
    char *path; /* of the field, "parent_obj.config", or "tsr/thr" in a subsection; owned */
    enum godwit_vmstate_kind kind;
    enum godwit_vmstate_certainty certainty;
    char *text; /* a sentence: "the source sends 4 bytes, the destination reads 8"; owned */
};

struct godwit_vmstate_comparison {
    GPtrArray *findings;         /* of struct godwit_vmstate_finding, certain ones first; owned */
    GPtrArray *source_only;      /* types that only the source has, in its order; owned strings */
    GPtrArray *destination_only; /* types that only the destination has; owned strings */
};

/* Compares what SOURCE sends with what DESTINATION reads. If only one of them gives the number of
 * elements of arrays, one element of each array is compared, so that an array that grew is not
 * found (aspeed_wdt, from QEMU 7.2 to 11.1). The caller frees the result with
 * godwit_vmstate_comparison_free(). */
struct godwit_vmstate_comparison *
godwit_vmstate_compare(const struct godwit_vmstate_document *source,
                       const struct godwit_vmstate_document *destination);

void godwit_vmstate_comparison_free(struct godwit_vmstate_comparison *comparison);

#endif
