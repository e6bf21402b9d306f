/*
 * What the host can do, asked of the host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_HOST_H
#define GODWIT_HARNESS_QEMU_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a QEMU that we start can handle page faults by userfaultfd, as postcopy needs. */
bool godwit_host_userfaultfd(void);

/* Whether userfaultfd tells which thread it was that met a missing page. */
bool godwit_host_userfaultfd_threads(void);

/* Returns why KVM cannot be used here, in words, or NULL if /dev/kvm can be opened and answers.
 * Says nothing of its speed. Caller frees. */
char *godwit_host_lacks_kvm(void);

/* Whether TEXT, what a QEMU says of a failure, has it that the host ran out of something: space,
 * memory, descriptors. Such a failure says nothing of QEMU. */
bool godwit_host_ran_out(const char *text);

/* Whether the file system of FOLDER has no room left for a page of a guest. */
bool godwit_host_disk_full(const char *folder);

/* The most entries that KVM's dirty ring can have here; 0 without KVM, or without a ring. */
unsigned godwit_host_dirty_ring(void);

/* Memory that new processes can have without swapping, in MiB; UINT64_MAX if unknown. */
uint64_t godwit_host_available_mib(void);

/* What may forbid reading a child's memory: the value of Yama's ptrace_scope, 0 without Yama. */
int godwit_host_ptrace_scope(void);

/* Processors that this process may use. */
unsigned godwit_host_processors(void);

/* Ticks of the host's cycle counter in a second, measured over some milliseconds; 0 where the
 * architecture has none that a guest's timer shows. */
uint64_t godwit_host_timer_hz(void);

#endif
