/*
 * The interface between an architecture's folder and the harness: how QEMU starts the guest. Each
 * QEMU target has one constant `struct godwit_machine`, at the end of <arch>/machine.c. The rest of
 * the harness never asks for the architecture.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_GUEST_MACHINE_H
#define GODWIT_HARNESS_GUEST_MACHINE_H

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How QEMU loads an image. */
enum godwit_load {
    GODWIT_LOAD_BIOS,   /* -bios FILE */
    GODWIT_LOAD_KERNEL, /* -kernel FILE */
    GODWIT_LOAD_DISK,   /* the first sector of an IDE hard disk */
};

/* A guest image, as the generated header in gen/ describes it. */
struct godwit_image {
    const char *name;           /* as in `--image`, for example "x86_rom" */
    enum godwit_load load;      /* how QEMU loads it */
    const unsigned char *bytes; /* the array of the header ... */
    size_t length;              /* ... and its length in bytes */
    size_t file_size;           /* length of the file for QEMU, zero-filled ... */
    size_t file_offset;         /* ... and the offset of the array in it */
    size_t params_offset;       /* offset of the parameter block in the array */
    uint64_t mailbox;           /* guest-physical address of the mailbox */
    uint64_t identity;          /* ... of the identity table; 0: it has none */
    unsigned max_cpus;          /* the most CPUs that it starts */
    unsigned stamp_store;       /* bytes that one store of its `stamp` workload writes, 4 or 8;
                                   0: it has no `stamp` */
    bool beyond_gap;            /* it reaches a window behind the machine's gap of RAM */
};

/* How a machine has RAM behind a gap. A guest whose window is there gets little RAM before it. */
struct godwit_gap {
    uint64_t end;       /* guest-physical address at which RAM goes on; 0: the machine has no gap */
    unsigned low_mib;   /* RAM before the gap ... */
    const char *option; /* ... if this option of -machine has that size */
    uint64_t room;      /* how much of each 4 GiB, from its beginning, the guest can reach */
    const char *bits;   /* property of a CPU: how many bits its physical addresses have */
    const char *cpu;    /* -cpu for such a window, or NULL for the usual one */
};

/* Bytes at the end of RAM to which some firmware writes. The default window of a guest avoids
 * them. */
#define GODWIT_FIRMWARE_ROOM ((uint64_t)4 << 20)

/* How to start the guest of one QEMU target (one qemu-system-ARCH binary). */
struct godwit_machine {
    const char *arch;                         /* QEMU's name for the target: qemu-system-ARCH */
    const char *package;                      /* Debian package that has that binary */
    const char *const *types;                 /* -machine TYPE; preferred first, NULL-terminated */
    const struct godwit_image *const *images; /* preferred first, NULL-terminated */
    const char *cpu;                          /* -cpu, or NULL for the machine's own default */
    const char *machine_options;              /* more options for -machine ("a=b,c=d"), or NULL */
    const char *machine_options_tcg;          /* more options for -machine under TCG only, or
                                                 NULL */
    const char *const *arguments;             /* further arguments, NULL-terminated, or NULL */
    const char *const *unplug_arguments;      /* with these, QEMU takes a PCI Express device out
                                                 without its guest; NULL-terminated, or NULL */
    unsigned memory_mib;                      /* -m for the default window ... */
    unsigned memory_least_mib; /* ... and the least that the machine starts with, for a small
                                  window */
    uint64_t reach;        /* guest-physical address up to which the guest can write, or at which
                           RAM has a gap; 0: no limit */
    struct godwit_gap gap; /* for an image that reaches beyond it */
    uint64_t tail;         /* bytes that the guest itself occupies at the end of RAM, or at the end
                           of its first 2 GiB */
    uint64_t ram_base;     /* guest-physical address of the first byte of RAM */
    bool big_endian;       /* byte order of parameter block and mailbox */
    bool can_suspend;      /* GODWIT_FLAG_SUSPEND works */
    bool half_position;    /* that register has the lower 32 bits of the position only */
    bool native_on_x86;    /* KVM on an x86 host can run it */
    const char *position_label; /* where `info registers` shows the register that holds the
                                   guest's position: the value after this label ... */
    unsigned position_index;    /* ... or this many values further on */
    /* Appends to TEXT, separated by commas, what differs between two values of the register that
     * SELECTOR stands for in the identity table: "CPUID 0x7.0 EBX: 0x1 -> 0x0". NULL if no image
     * has such a table. */
    void (*identity_text)(GString *text, uint64_t selector, uint64_t before, uint64_t after);
    uint64_t timer_hz; /* ticks per second of the mailbox timer; 0: those of the host's
                                   cycle counter, which must be measured */
};

/*
 * Registers a machine with the harness. Write GODWIT_MACHINE(identifier) = { .arch = ..., }; The
 * pointer goes into its own linker section, so there is no list to maintain.
 */
#define GODWIT_MACHINE(identifier)                                                                 \
    static const struct godwit_machine identifier;                                                 \
    static const struct godwit_machine *const identifier##_entry                                   \
        __attribute__((used, section("godwit_machines"))) = &identifier;                           \
    static const struct godwit_machine identifier

/* Initializes an image from the macros of its generated header, whose names start with PREFIX
 * (GODWIT_X86_ROM, for example), the number of CPUs that it can start, the bytes that one store of
 * `stamp` writes, the address of the identity table, or 0, and initializers of further members. */
#define GODWIT_IMAGE(image_name, how, array, PREFIX, most_cpus, store, table, ...)                 \
    {                                                                                              \
        .name = image_name, .load = how, .bytes = array, .length = PREFIX##_LENGTH,                \
        .file_size = PREFIX##_FILE_SIZE, .file_offset = PREFIX##_FILE_OFFSET,                      \
        .params_offset = PREFIX##_PARAMS_OFFSET, .mailbox = PREFIX##_MAILBOX_ADDR,                 \
        .identity = table, .max_cpus = most_cpus, .stamp_store = store, __VA_ARGS__                \
    }

/* Returns the number of registered machines. */
size_t godwit_machine_count(void);

/* Returns the machine at INDEX in alphabetical order of arch. INDEX must be below the count. */
const struct godwit_machine *godwit_machine_at(size_t index);

/* Returns the machine of a QEMU target, or NULL if there is none. */
const struct godwit_machine *godwit_machine_find(const char *arch);

/* Returns the machine's image NAME, or NULL if it has none. NULL as NAME means its preferred
 * image. */
const struct godwit_image *godwit_machine_image(const struct godwit_machine *machine,
                                                const char *name);

#endif
