/*
 * What is plugged into a machine: its devices, as the QOM tree has them, and its PCI functions, as
 * `query-pci` lists them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_QTREE_H
#define GODWIT_HARNESS_QEMU_QTREE_H

#include "base/error.h"
#include "base/json.h"
#include <stdint.h>

/* Executes a QMP command in VM. Takes ARGUMENTS (NULL for none). Returns the value of "return",
 * which the caller frees, or NULL with ERROR set. */
typedef json_t *(*godwit_qtree_execute)(gpointer vm, const char *command, json_t *arguments,
                                        GError **error);

struct godwit_device {
    char *path;   /* in the QOM tree: "/machine/peripheral/net0" */
    char *type;   /* "virtio-net-pci" */
    char *bus;    /* path of the bus into which it is plugged, or NULL */
    int pci_addr; /* place on its PCI bus, 8 * slot + function; -1: not a PCI function */
};

/* The address of a BAR without an address. */
#define GODWIT_BAR_UNMAPPED UINT64_MAX
/* The index of the expansion ROM's BAR. */
#define GODWIT_BAR_ROM 6

struct godwit_bar {
    uint64_t size;    /* in bytes; 0: the function has no such BAR */
    uint64_t address; /* on the PCI bus, GODWIT_BAR_UNMAPPED if it is not mapped at the moment */
    bool io;          /* ports, not memory */
    bool wide;        /* 64-bit memory */
    bool prefetchable;
};

struct godwit_pci_function {
    uint8_t bus, slot, function;
    uint16_t vendor, device, class; /* of the configuration space */
    const char *path;               /* in the QOM tree, borrowed from the device; NULL: unknown */
    bool bridge;                    /* it has a bus behind it ... */
    uint8_t secondary;              /* ... with this number; 0: not yet numbered */
    struct godwit_bar bars[GODWIT_BAR_ROM + 1]; /* by index */
};

struct godwit_qtree {
    GArray *devices;   /* of struct godwit_device, sorted by path */
    GArray *functions; /* of struct godwit_pci_function, in the order of bus, slot and function */
    GArray *roots;     /* of uint8_t: the numbers of the PCI root buses, ascending */
};

/*
 * Reads the tree by executing commands in VM. The caller frees it. `query-pci` lists what is behind
 * a bridge only once the bridge's bus has a number, see godwit_pci_assign(). Fails with what
 * EXECUTE fails with, or with QMP if an answer has an unknown form.
 */
struct godwit_qtree *godwit_qtree_read(godwit_qtree_execute execute, gpointer vm, GError **error);

/* Reads only the functions and the roots, with a single command: there are no devices, and no
 * function has a path. Everything else is as with godwit_qtree_read(). */
struct godwit_qtree *godwit_qtree_read_pci(godwit_qtree_execute execute, gpointer vm,
                                           GError **error);

/* Frees it. Does nothing for NULL. */
void godwit_qtree_free(struct godwit_qtree *qtree);

/* Returns the PCI function with that address, or NULL. Borrowed. */
const struct godwit_pci_function *godwit_qtree_function(const struct godwit_qtree *qtree,
                                                        unsigned bus, unsigned slot,
                                                        unsigned function);

/* Returns the last PCI function with these numbers, or NULL. Borrowed. */
const struct godwit_pci_function *godwit_qtree_find(const struct godwit_qtree *qtree,
                                                    uint16_t vendor, uint16_t device);

#endif
