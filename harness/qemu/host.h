/*
 * The capabilities of the host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_HOST_H
#define GODWIT_HARNESS_QEMU_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* Returns NULL if a QEMU that this process starts can use userfaultfd, which postcopy needs.
 * Otherwise returns why not. Static. */
const char *godwit_host_lacks_userfaultfd(void);

/* Returns whether userfaultfd reports the thread that touched a missing page. */
bool godwit_host_userfaultfd_threads(void);

/* Returns why KVM cannot be used, or NULL if /dev/kvm can be opened and answers. Does not test its
 * speed. The caller frees it. */
char *godwit_host_lacks_kvm(void);

/* Returns whether TEXT, QEMU's message about a failure, says that the host ran out of something:
 * space, memory, descriptors. Such a failure is not QEMU's fault. */
bool godwit_host_ran_out(const char *text);

/* Returns whether the file system of FOLDER has no room for another page of a guest. */
bool godwit_host_disk_full(const char *folder);

/* Returns the largest number of entries of a KVM dirty ring; 0 without KVM or without a ring. */
unsigned godwit_host_dirty_ring(void);

/* Returns the memory that new processes can use without swapping, in MiB; UINT64_MAX if unknown. */
uint64_t godwit_host_available_mib(void);

/* Returns Yama's ptrace_scope, which may forbid reading a child's memory; 0 without Yama. */
int godwit_host_ptrace_scope(void);

/* Returns the number of processors that this process may use. */
unsigned godwit_host_processors(void);

/* Returns the ticks per second of the host's cycle counter, measured over some milliseconds; 0 if
 * the architecture has no counter that a guest's timer shows. */
uint64_t godwit_host_timer_hz(void);

#endif
