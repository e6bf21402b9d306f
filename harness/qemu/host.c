/*
 * Asks the host's kernel what it supports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *godwit_host_lacks_userfaultfd(void)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return NULL;
    }
    /* Newer QEMUs can also use the device node, if its permissions allow it. */
    if (access("/dev/userfaultfd", R_OK | W_OK) == 0)
        return NULL;
    return "this host allows it to root only "
           "(sysctl vm.unprivileged_userfaultfd=1 would allow it)";
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

/* Returns why opening /dev/kvm failed with CAUSE, and which group may open it. */
static char *kvm_closed(int cause)
{
    struct stat status;
    const mode_t both = S_IRGRP | S_IWGRP;
    const struct group *group = cause == EACCES && !stat("/dev/kvm", &status) &&
                                        (status.st_mode & both) == both && status.st_gid
                                    ? getgrgid(status.st_gid)
                                    : NULL;
    return group ? g_strdup_printf("/dev/kvm cannot be opened: %s (members of group \"%s\" can)",
                                   g_strerror(cause), group->gr_name)
                 : g_strdup_printf("/dev/kvm cannot be opened: %s", g_strerror(cause));
}

char *godwit_host_lacks_kvm(void)
{
    const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return kvm_closed(errno);
    const int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    const int cause = errno;
    close(fd);
    if (version == KVM_API_VERSION)
        return NULL;
    return version < 0 ? g_strdup_printf("/dev/kvm does not answer: %s", g_strerror(cause))
                       : g_strdup_printf("/dev/kvm has version %d of its interface instead of %d",
                                         version, KVM_API_VERSION);
}

bool godwit_host_ran_out(const char *text)
{
    /* The words of the C locale, which a QEMU without a display uses. EIO is not among them,
     * because QEMU reports a broken stream with it. */
    static const char *const reasons[] = {
        "No space left on device", "Disk quota exceeded", "File too large",
        "Cannot allocate memory",  "Too many open files", "No buffer space available",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++)
        if (strstr(text, reasons[i]))
            return true;
    return false;
}

bool godwit_host_disk_full(const char *folder)
{
    /* Room for a guest's page and for the file system's own data. */
    enum { ROOM = 16 << 10 };
    struct statvfs status;
    return !statvfs(folder, &status) &&
           (status.f_bavail * status.f_frsize < ROOM || (status.f_files && !status.f_favail));
}

unsigned godwit_host_dirty_ring(void)
{
    const int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    /* The host has one of two capabilities, depending on its memory ordering. Both return a number
     * of bytes. */
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
