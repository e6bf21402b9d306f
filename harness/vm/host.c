/* SPDX-License-Identifier: MIT */
#include "vm/host.h"

#include <fcntl.h>
#include <glib.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

bool godwit_host_userfaultfd(void)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    /* Newer QEMUs can also use the device node, where its permissions let them. */
    return access("/dev/userfaultfd", R_OK | W_OK) == 0;
}

bool godwit_host_userfaultfd_threads(void)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    struct uffdio_api api = {.api = UFFD_API};
    const bool answers = !ioctl(fd, UFFDIO_API, &api);
    close(fd);
    return answers && (api.features & UFFD_FEATURE_THREAD_ID);
}

bool godwit_host_kvm(void)
{
    const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool answers = ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
    close(fd);
    return answers;
}

unsigned godwit_host_dirty_ring(void)
{
    const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    /* Either capability, by how strongly the processor orders memory; both answer with bytes. */
    int bytes = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING);
#ifdef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
    if (bytes <= 0)
        bytes = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
#endif
    close(fd);
    return bytes > 0 ? (unsigned)bytes / (unsigned)sizeof(struct kvm_dirty_gfn) : 0;
}

uint64_t godwit_host_available_mib(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL))
        return UINT64_MAX;
    const char *line = strstr(text, "MemAvailable:");
    unsigned long long kib;
    return line && sscanf(line, "MemAvailable: %llu", &kib) == 1 ? kib / 1024 : UINT64_MAX;
}

int godwit_host_ptrace_scope(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/sys/kernel/yama/ptrace_scope", &text, NULL, NULL))
        return 0;
    return (int)g_ascii_strtoll(text, NULL, 10);
}

unsigned godwit_host_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set))
        return g_get_num_processors();
    return (unsigned)CPU_COUNT(&set);
}

uint64_t godwit_host_timer_hz(void)
{
#if defined(__x86_64__) || defined(__i386__)
    const gint64 began = g_get_monotonic_time();
    const uint64_t first = __builtin_ia32_rdtsc();
    gint64 now;
    do
        now = g_get_monotonic_time();
    while (now - began < 5000);
    return (__builtin_ia32_rdtsc() - first) * 1000000 / (uint64_t)(now - began);
#else
    return 0;
#endif
}
