/*
 * The thread only calls process_vm_readv(2): all else that a read may need (QMP, errors, whatever
 * belongs to the VM) stays with the caller's thread.
 *
 * SPDX-License-Identifier: MIT
 */
#include "memory/ahead.h"

#include "memory/memory_parts.h"
#include <sys/uio.h>

/* A read. The thread has it between the two queues. */
struct job {
    pid_t pid; /* 0: the thread shall end */
    struct iovec local, there;
    bool done; /* all of it was read */
};

struct godwit_ahead {
    GThread *thread;
    GAsyncQueue *begun, *finished; /* of struct job */
    struct job job;                /* the only one */
    bool busy;                     /* it is in one of the queues, or with the thread */
};

static gpointer read_jobs(gpointer data)
{
    struct godwit_ahead *ahead = data;
    for (;;) {
        struct job *job = g_async_queue_pop(ahead->begun);
        if (!job->pid)
            return NULL;
        job->done = process_vm_readv(job->pid, &job->local, 1, &job->there, 1, 0) ==
                    (ssize_t)job->local.iov_len;
        g_async_queue_push(ahead->finished, job);
    }
}

struct godwit_ahead *godwit_ahead_new(void)
{
    struct godwit_ahead *ahead = g_new0(struct godwit_ahead, 1);
    ahead->begun = g_async_queue_new();
    ahead->finished = g_async_queue_new();
    ahead->thread = g_thread_new("read ahead", read_jobs, ahead);
    return ahead;
}

void godwit_ahead_begin(struct godwit_ahead *ahead, struct godwit_vm *vm,
                        const struct godwit_block *block, uint64_t offset, void *buffer,
                        size_t length)
{
    if (!ahead || !godwit_memory_is_direct(vm, block, offset, length))
        return;
    ahead->job = (struct job){
        .pid = godwit_vm_pid(vm),
        .local = {buffer, length},
        .there = {(void *)(uintptr_t)(block->hva + offset), length},
    };
    ahead->busy = true;
    g_async_queue_push(ahead->begun, &ahead->job);
}

bool godwit_ahead_finish(struct godwit_ahead *ahead)
{
    if (!ahead || !ahead->busy)
        return false;
    ahead->busy = false;
    const struct job *job = g_async_queue_pop(ahead->finished);
    return job->done;
}

void godwit_ahead_free(struct godwit_ahead *ahead)
{
    if (!ahead)
        return;
    godwit_ahead_finish(ahead);
    ahead->job.pid = 0;
    g_async_queue_push(ahead->begun, &ahead->job);
    g_thread_join(ahead->thread);
    g_async_queue_unref(ahead->begun);
    g_async_queue_unref(ahead->finished);
    g_free(ahead);
}
