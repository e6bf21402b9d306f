/*
 * What an architecture's folder tells the harness: how QEMU starts its guest. One constant
 * `struct godwit_machine` per QEMU target, at the end of <arch>/machine.c, is all there is; the
 * rest of the harness never asks which architecture it is on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_GUEST_MACHINE_H
#define GODWIT_HARNESS_GUEST_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The way in which QEMU is given an image. */
enum godwit_load {
    GODWIT_LOAD_BIOS,   /* -bios FILE */
    GODWIT_LOAD_KERNEL, /* -kernel FILE */
    GODWIT_LOAD_DISK,   /* the first sector of an IDE hard disk */
};

/* One guest image, as the generated header in gen/ describes it. */
struct godwit_image {
    const char *name;           /* as in `--image`, for example "x86_rom" */
    enum godwit_load load;      /* how QEMU gets it */
    const unsigned char *bytes; /* the array of the header ... */
    size_t length;              /* ... and its length in bytes */
    size_t file_size;           /* length of the file to write, zero-filled ... */
    size_t file_offset;         /* ... where in it the array goes */
    size_t params_offset;       /* of the parameter block, in the array */
    uint64_t mailbox;           /* guest-physical address of the mailbox */
    unsigned max_cpus;          /* that it starts */
    unsigned stamp_store;       /* bytes that its `stamp` workload stores at a time, 4 or 8; 0: it
                                   has none */
};

/* At the end of RAM, where some firmware writes: no guest's window is put there unasked. In bytes.
 */
#define GODWIT_FIRMWARE_ROOM ((uint64_t)4 << 20)

/* How to start the guest of one QEMU target (one qemu-system-ARCH binary). */
struct godwit_machine {
    const char *arch;                         /* QEMU's name for the target: qemu-system-ARCH */
    const char *package;                      /* Debian package that has that binary */
    const char *const *types;                 /* -machine TYPE; preferred first, NULL-terminated */
    const struct godwit_image *const *images; /* preferred first, NULL-terminated */
    const char *cpu;                          /* -cpu, or NULL for the machine's own default */
    const char *machine_options;              /* more for -machine ("a=b,c=d"), or NULL */
    const char *machine_options_tcg;          /* still more, under TCG only, or NULL */
    const char *const *arguments;             /* further arguments, NULL-terminated, or NULL */
    unsigned memory_mib;                      /* -m that holds the guest's own window ... */
    unsigned memory_least_mib; /* ... and what the machine starts with, for a small window */
    uint64_t reach;     /* guest-physical address that the guest's own code can write up to, or
                           at which RAM has a gap; 0: all of it */
    uint64_t tail;      /* bytes at the end of RAM, or of its first 2 GiB, that the guest itself
                         * lives in */
    uint64_t ram_base;  /* guest-physical address of the first byte of RAM */
    bool big_endian;    /* byte order of parameter block and mailbox */
    bool can_suspend;   /* GODWIT_FLAG_SUSPEND works */
    bool native_on_x86; /* KVM on an x86 host can run it */
    const char *position_label; /* where `info registers` shows the register that the guest has its
                                   position in: the value behind this label ... */
    unsigned position_index;    /* ... or that many values further */
    uint64_t timer_hz;          /* ticks per second of the mailbox timer; 0: the host's
                                   own cycle counter, to be measured */
};

/*
 * Registers a machine with the harness: write GODWIT_MACHINE(identifier) = { .arch = ..., };
 * The pointer goes into a linker section of its own, so no list elsewhere has to be kept.
 */
#define GODWIT_MACHINE(identifier)                                                                 \
    static const struct godwit_machine identifier;                                                 \
    static const struct godwit_machine *const identifier##_entry                                   \
        __attribute__((used, section("godwit_machines"))) = &identifier;                           \
    static const struct godwit_machine identifier

/* Fills in an image from the macros of its generated header, PREFIX being GODWIT_X86_ROM, say,,
 * the number of CPUs that it can start, and how many bytes `stamp` stores at a time. */
#define GODWIT_IMAGE(image_name, how, array, PREFIX, most_cpus, store)                             \
    {                                                                                              \
        .name = image_name, .load = how, .bytes = array, .length = PREFIX##_LENGTH,                \
        .file_size = PREFIX##_FILE_SIZE, .file_offset = PREFIX##_FILE_OFFSET,                      \
        .params_offset = PREFIX##_PARAMS_OFFSET, .mailbox = PREFIX##_MAILBOX_ADDR,                 \
        .max_cpus = most_cpus, .stamp_store = store                                                \
    }

/* The number of registered machines. */
size_t godwit_machine_count(void);

/* The machine at INDEX, in alphabetical order of arch. INDEX must be below the count. */
const struct godwit_machine *godwit_machine_at(size_t index);

/* The machine of that QEMU target, or NULL if there is none. */
const struct godwit_machine *godwit_machine_find(const char *arch);

/* The machine's image of that name, or NULL if it has none; a NULL name means its preferred one. */
const struct godwit_image *godwit_machine_image(const struct godwit_machine *machine,
                                                const char *name);

#endif
