/*
 * Creates and reads files in folders that a QEMU may change. file.h explains the dangers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"

#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns whether PATH is a device, such as /dev/null, which must never be removed. */
static bool is_device(const char *path)
{
    struct stat status;
    return !lstat(path, &status) && (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode));
}

int godwit_file_create(const char *path, GError **error)
{
    if (is_device(path)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: it is a device", path);
        return -1;
    }
    unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s", path,
                    g_strerror(errno));
    return fd;
}

int godwit_file_write_all(int fd, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        const ssize_t n = write(fd, next, length);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            next += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

int godwit_file_finish(FILE *out)
{
    const bool failed = ferror(out);
    int cause = fflush(out) ? errno : 0;
    /* stdio does not keep the reason of an earlier failure. The next write most likely meets it,
     * too, and cannot spoil what is incomplete. */
    if (failed && !cause && (fputc('\n', out) == EOF || fflush(out)))
        cause = errno;
    if (out != stdout && fclose(out) && !cause)
        cause = errno;
    return cause ? cause : failed ? EIO : 0;
}

bool godwit_file_write(const char *path, const void *bytes, size_t length, GError **error)
{
    const int fd = godwit_file_create(path, error);
    if (fd < 0)
        return false;
    int cause = godwit_file_write_all(fd, bytes, length);
    if (close(fd) && !cause)
        cause = errno;
    return !cause || godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s", path,
                                 g_strerror(cause));
}

int godwit_file_open(const char *path, GError **error)
{
    /* Without O_NONBLOCK, opening a FIFO waits for a writer. */
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: %s", path,
                    errno == ELOOP ? "it is a symbolic link" : g_strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: it is not a regular file",
                    path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Reads up to MAX bytes from the current position. Returns them with a terminating NUL, which the
 * caller frees, and their number in *LENGTH. Returns NULL with errno set if they cannot be read. */
static char *read_all(int fd, size_t max, size_t *length)
{
    char *bytes = g_malloc(max + 1);
    size_t got = 0;
    while (got < max) {
        const ssize_t n = read(fd, bytes + got, max - got);
        if (n == 0)
            break;
        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) {
            g_free(bytes);
            return NULL;
        }
    }
    bytes[got] = '\0';
    *length = got;
    return bytes;
}

char *godwit_file_read(const char *path, size_t max, size_t *length, GError **error)
{
    const int fd = godwit_file_open(path, error);
    if (fd < 0)
        return NULL;
    struct stat status;
    char *bytes = NULL;
    if (fstat(fd, &status) || (size_t)status.st_size > max)
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: it has more than %zu bytes",
                    path, max);
    else if (!(bytes = read_all(fd, (size_t)status.st_size, length)))
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: %s", path, g_strerror(errno));
    close(fd);
    return bytes;
}

char *godwit_file_tail(const char *path, size_t max)
{
    const int fd = godwit_file_open(path, NULL);
    if (fd < 0)
        return NULL;
    struct stat status;
    size_t length = 0;
    g_autofree char *bytes = NULL;
    if (!fstat(fd, &status) &&
        lseek(fd, MAX(status.st_size - (off_t)max, 0), SEEK_SET) != (off_t)-1)
        bytes = read_all(fd, max, &length);
    close(fd);
    return length ? godwit_text_utf8(bytes) : NULL;
}
