/*
 * Reads memory for a client: see reader.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "remote/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

/* More requests than a client has at a time. */
enum { THREADS_MAX = 16 };

struct request {
    uint32_t number;
    size_t length;
    uint64_t address;
    enum godwit_remote_how how;
};

struct answer {
    uint32_t number; /* in big endian, as it came */
    int failure;     /* errno; 0: there are bytes */
    GByteArray *bytes;
};

struct godwit_reader {
    pid_t pid;
    int pagemap;        /* /proc/PID/pagemap; -1: cannot be opened */
    int event;          /* counts the answers */
    GThreadPool *pool;  /* of requests */
    GAsyncQueue *ready; /* of answers */
};

static void free_answer(gpointer data)
{
    struct answer *answer = data;
    g_byte_array_unref(answer->bytes);
    g_free(answer);
}

/* Returns whether the page at ADDRESS is present (bit 63) or swapped out (bit 62), as
 * Documentation/admin-guide/mm/pagemap.rst of Linux says. */
static bool is_present(const struct godwit_reader *reader, uint64_t address)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t entry;
    return pread(reader->pagemap, &entry, sizeof(entry), (off_t)(address / page * sizeof(entry))) ==
               sizeof(entry) &&
           entry >> 62;
}

/* Reads LENGTH bytes at ADDRESS. Returns errno. */
static int read_memory(const struct godwit_reader *reader, uint64_t address, void *buffer,
                       size_t length)
{
    while (length) {
        const struct iovec local = {buffer, length};
        const struct iovec there = {(void *)(uintptr_t)address, length};
        const ssize_t n = process_vm_readv(reader->pid, &local, 1, &there, 1, 0);
        if (n <= 0)
            return n ? errno : EFAULT;
        buffer = (char *)buffer + n;
        address += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int hash_memory(const struct godwit_reader *reader, const struct request *request,
                       GByteArray *hashes)
{
    g_autofree unsigned char *bytes = g_malloc(GODWIT_REMOTE_READ_MAX);
    for (size_t done = 0; done < request->length;) {
        const size_t part = MIN(GODWIT_REMOTE_READ_MAX, request->length - done);
        const int failure = read_memory(reader, request->address + done, bytes, part);
        if (failure)
            return failure;
        for (size_t at = 0; at < part; at += GODWIT_REMOTE_PAGE) {
            const uint64_t hash = GUINT64_TO_BE(XXH3_64bits(bytes + at, GODWIT_REMOTE_PAGE));
            g_byte_array_append(hashes, (const guint8 *)&hash, sizeof(hash));
        }
        done += part;
    }
    return 0;
}

static void answer_request(gpointer data, gpointer user_data)
{
    struct godwit_reader *reader = user_data;
    g_autofree struct request *request = data;
    struct answer *answer = g_new0(struct answer, 1);
    answer->number = request->number;
    answer->bytes = g_byte_array_new();
    if (request->how == GODWIT_REMOTE_HASHES) {
        answer->failure = hash_memory(reader, request, answer->bytes);
    } else if (request->how == GODWIT_REMOTE_PRESENT && !is_present(reader, request->address)) {
        answer->failure = EAGAIN;
    } else {
        g_byte_array_set_size(answer->bytes, (guint)request->length);
        answer->failure =
            read_memory(reader, request->address, answer->bytes->data, request->length);
    }
    g_async_queue_push(reader->ready, answer);
    eventfd_write(reader->event, 1);
}

struct godwit_reader *godwit_reader_new(pid_t pid)
{
    struct godwit_reader *reader = g_new0(struct godwit_reader, 1);
    g_autofree char *path = g_strdup_printf("/proc/%d/pagemap", (int)pid);
    reader->pid = pid;
    reader->pagemap = open(path, O_RDONLY | O_CLOEXEC);
    reader->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reader->ready = g_async_queue_new_full(free_answer);
    reader->pool = g_thread_pool_new(answer_request, reader, THREADS_MAX, FALSE, NULL);
    return reader;
}

void godwit_reader_free(struct godwit_reader *reader)
{
    if (!reader)
        return;
    g_thread_pool_free(reader->pool, FALSE, TRUE);
    g_async_queue_unref(reader->ready);
    if (reader->pagemap >= 0)
        close(reader->pagemap);
    close(reader->event);
    g_free(reader);
}

bool godwit_reader_take(struct godwit_reader *reader, const unsigned char *content, size_t size)
{
    struct godwit_remote_read wanted;
    if (size != sizeof(wanted))
        return false;
    memcpy(&wanted, content, sizeof(wanted));
    const size_t length = GUINT32_FROM_BE(wanted.length);
    const bool hashes = wanted.how == GODWIT_REMOTE_HASHES;
    if (wanted.how > GODWIT_REMOTE_HASHES || !length ||
        length > (hashes ? GODWIT_REMOTE_HASHED_MAX : GODWIT_REMOTE_READ_MAX) ||
        (hashes && length % GODWIT_REMOTE_PAGE) || g_thread_pool_unprocessed(reader->pool) > 64)
        return false;
    struct request *request = g_new0(struct request, 1);
    *request = (struct request){wanted.number, length, GUINT64_FROM_BE(wanted.address), wanted.how};
    return g_thread_pool_push(reader->pool, request, NULL);
}

int godwit_reader_fd(const struct godwit_reader *reader)
{
    return reader->event;
}

void godwit_reader_answer(struct godwit_reader *reader, struct godwit_frames *frames)
{
    eventfd_t count;
    struct answer *answer;
    eventfd_read(reader->event, &count);
    while ((answer = g_async_queue_try_pop(reader->ready))) {
        const uint32_t failure = GUINT32_TO_BE((uint32_t)answer->failure);
        if (answer->failure)
            godwit_frames_put(frames, GODWIT_FRAME_ERRNO, &answer->number, sizeof(answer->number),
                              &failure, sizeof(failure));
        else
            godwit_frames_put(frames, GODWIT_FRAME_BYTES, &answer->number, sizeof(answer->number),
                              answer->bytes->data, answer->bytes->len);
        free_answer(answer);
    }
}
