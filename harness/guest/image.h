/*
 * Guest images on their way from the committed header to a file that QEMU loads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_GUEST_IMAGE_H
#define GODWIT_HARNESS_GUEST_IMAGE_H

#include "base/error.h"
#include "godwit/guest_abi.h"
#include "godwit/stamp.h"
#include "guest/machine.h"

/* The parameters of a guest, the same for every VM of a scenario. See guest_abi.h. */
struct godwit_workload {
    uint64_t window_start; /* guest-physical */
    uint64_t window_end;
    uint32_t page_size;
    uint32_t passes_per_report;
    uint32_t flags; /* GODWIT_FLAG_* */
    uint32_t page_ticks;
    uint32_t cpus; /* that share the work */
    uint64_t seed; /* of `stamp` */
};

/* The workload that an image has when nobody changes its parameter block. */
struct godwit_workload godwit_image_workload(const struct godwit_machine *machine,
                                             const struct godwit_image *image);

/* Writes the image with that workload as its parameter block to PATH, for QEMU to load. */
bool godwit_image_write(const struct godwit_image *image, bool big_endian,
                        const struct godwit_workload *workload, const char *path, GError **error);

/* False with a USAGE error set if no guest could work with it: see guest_abi.h. MEMORY_MIB is the
 * guest's RAM. */
bool godwit_workload_check(const struct godwit_workload *workload,
                           const struct godwit_machine *machine, const struct godwit_image *image,
                           unsigned memory_mib, GError **error);

/*
 * Makes WORKLOAD do what NAME says: "order", or "stamp" and, each after a colon, what it writes
 * ("sparse", "zero") and in which order ("stride", "random"). USAGE error for anything else.
 */
bool godwit_workload_choose(struct godwit_workload *workload, const char *name, GError **error);

/* The NAME of what it does; the caller's. */
char *godwit_workload_name(const struct godwit_workload *workload);

/* What no guest that does `stamp` could work with, in words, beside what none could; or NULL. */
const char *godwit_workload_stamp_wrong(const struct godwit_workload *workload);

/* How many pages the window has. */
uint64_t godwit_workload_pages(const struct godwit_workload *workload);

/* What `stamp` fills the window of WORKLOAD with. */
struct godwit_stamp godwit_stamp_of(const struct godwit_workload *workload);

/* Shortens the window to the same number of whole pages for each CPU. */
void godwit_workload_share(struct godwit_workload *workload);

/* What the CPU of that number does of it, as a workload for a single CPU: its window begins with
 * the CPU's first page and ends at its stripe's end, and all of its pages are the CPU's. */
struct godwit_workload godwit_workload_stripe(const struct godwit_workload *workload, unsigned cpu);

/* The number in guest byte order at BYTES. */
uint32_t godwit_guest_get32(const void *bytes, bool big_endian);
uint64_t godwit_guest_get64(const void *bytes, bool big_endian);

/* The parameter block at BYTES, GODWIT_PARAMS_SIZE of them. Nothing is checked. */
struct godwit_workload godwit_guest_workload(const void *bytes, bool big_endian);

/* The mailbox at BYTES, GODWIT_MAILBOX_SIZE of them, in the host's byte order. */
struct godwit_mailbox godwit_guest_mailbox(const void *bytes, bool big_endian);

/* What the guest has found wrong and halted for, in words ("0x01 at 0x2000 where 0x02 should be"),
 * the caller's; NULL if it has not. */
char *godwit_guest_found(const struct godwit_mailbox *mailbox);

#endif
