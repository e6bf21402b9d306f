/*
 * Guest images: from the generated header to a file that QEMU loads, and back from the bytes in
 * guest memory to the host's structures.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_GUEST_IMAGE_H
#define GODWIT_HARNESS_GUEST_IMAGE_H

#include "base/error.h"
#include "godwit/guest_abi.h"
#include "godwit/stamp.h"
#include "guest/machine.h"

/* The parameters of a guest, common to all VMs of a scenario. See guest_abi.h. */
struct godwit_workload {
    uint64_t window_start; /* guest-physical */
    uint64_t window_end;
    uint32_t page_size;
    uint32_t passes_per_report;
    uint32_t flags; /* GODWIT_FLAG_* */
    uint32_t page_ticks;
    uint32_t cpus;      /* number of CPUs that share the work */
    uint64_t seed;      /* seed of the workload `stamp` */
    bool usual_content; /* the user has chosen no content, so the scenario does */
};

/* Returns the workload in the unmodified parameter block of an image. */
struct godwit_workload godwit_image_workload(const struct godwit_machine *machine,
                                             const struct godwit_image *image);

/* Writes the image to the file PATH, with WORKLOAD in its parameter block. Fails with
 * ENVIRONMENT. */
bool godwit_image_write(const struct godwit_image *image, bool big_endian,
                        const struct godwit_workload *workload, const char *path, GError **error);

/* Returns whether the window begins behind the machine's gap of RAM. */
bool godwit_workload_is_beyond_gap(const struct godwit_workload *workload,
                                   const struct godwit_machine *machine);

/* Returns how far behind the first byte of RAM, gap not counted, the window begins. */
uint64_t godwit_workload_ram_offset(const struct godwit_workload *workload,
                                    const struct godwit_machine *machine);

/* Checks that this guest can run WORKLOAD with MEMORY_MIB of RAM; guest_abi.h has the rules. Fails
 * with USAGE. */
bool godwit_workload_check(const struct godwit_workload *workload,
                           const struct godwit_machine *machine, const struct godwit_image *image,
                           unsigned memory_mib, GError **error);

/*
 * Sets the flags of WORKLOAD to those of NAME: "order" or "stamp", optionally followed by what it
 * writes, after a colon ("staggered", "uniform"; "whole", "sparse", "zero", "mixed"), and `stamp`
 * also by the order in which it does ("stride", "random"). Without contents, sets usual_content.
 * Fails with USAGE for any other name.
 */
bool godwit_workload_choose(struct godwit_workload *workload, const char *name, GError **error);

/* Returns the NAME of a workload, as godwit_workload_choose() accepts it. The caller frees it. */
char *godwit_workload_name(const struct godwit_workload *workload);

/* Returns why no guest could run this `stamp` workload, or NULL. Checks only the rules that apply
 * to `stamp` in addition to those for all workloads. */
const char *godwit_workload_stamp_wrong(const struct godwit_workload *workload);

/* Returns the byte with which `order` starts page number PAGE of the window. */
unsigned char godwit_workload_first_byte(const struct godwit_workload *workload, uint64_t page);

/* Returns the number of pages of the window. */
uint64_t godwit_workload_pages(const struct godwit_workload *workload);

/* Returns the parameters of the content that `stamp` writes for WORKLOAD. */
struct godwit_stamp godwit_stamp_of(const struct godwit_workload *workload);

/* Shortens the window so that each CPU has the same number of whole pages. */
void godwit_workload_share(struct godwit_workload *workload);

/* Returns the share of one CPU as a workload for a single CPU. Its window starts at the CPU's first
 * page. Its page size is the distance between two of the CPU's pages. */
struct godwit_workload godwit_workload_stripe(const struct godwit_workload *workload, unsigned cpu);

/* Return the number in guest byte order at BYTES. */
uint32_t godwit_guest_get32(const void *bytes, bool big_endian);
uint64_t godwit_guest_get64(const void *bytes, bool big_endian);

/* Returns the parameter block at BYTES, which has GODWIT_PARAMS_SIZE bytes. Checks nothing. */
struct godwit_workload godwit_guest_workload(const void *bytes, bool big_endian);

/* Returns the mailbox at BYTES, which has GODWIT_MAILBOX_SIZE bytes, in host byte order. */
struct godwit_mailbox godwit_guest_mailbox(const void *bytes, bool big_endian);

/* Returns the fault for which the guest halted, as text ("0x01 at 0x2000 where 0x02 should be"),
 * which the caller frees. Returns NULL if it recorded none. */
char *godwit_guest_found(const struct godwit_mailbox *mailbox);

#endif
