/*
 * Proves that a throttled migration is live: a page was sent, and the guest has dirtied it again
 * since. If a destination receives the memory, one byte of one page is proof enough. A file has no
 * reader yet, so the guest must have dirtied more pages of its window than were still unsent.
 *
 * The valve (throttle.c) closes once enough has been sent for a proof, and stays closed until the
 * proof is found.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/throttle_parts.h"

#include "godwit/stamp.h"
#include "guest/image.h"
#include "memory/memory.h"
#include <string.h>

enum {
    /* How much of a page is compared, in bytes. `order` changes the first byte of a page,
     * `stamp:sparse` one word in sixteen. */
    PROOF = 8 * GODWIT_STAMP_CLASSES,
    /* How many pages are compared, spread over the window. */
    SAMPLES = GODWIT_LIVENESS_PAGES,
};

/* Returns true if the guest writes to all pages of the window in each pass. */
static bool dirties_all(const struct godwit_workload *workload)
{
    return !(workload->flags & GODWIT_FLAG_STAMP) ||
           (workload->flags & GODWIT_FLAG_CONTENT_MASK) != GODWIT_FLAG_MIXED;
}

uint64_t godwit_liveness_dirtied(const struct godwit_workload *workload)
{
    const uint64_t pages = godwit_workload_pages(workload);
    uint64_t busy = 0;
    if (dirties_all(workload))
        return pages;
    for (uint64_t page = 0; page < pages; page++)
        busy += godwit_stamp_is_busy((uint32_t)page);
    return busy;
}

/* Returns the page that is number N, counted from 0, of those that the guest writes in each pass.
 */
static uint64_t dirtied_page(const struct godwit_workload *workload, uint64_t n)
{
    uint64_t page = 0;
    if (dirties_all(workload))
        return n;
    for (uint64_t left = n;; page++)
        if (godwit_stamp_is_busy((uint32_t)page) && left-- == 0)
            return page;
}

/* Returns the guest-physical address of sample I. */
static uint64_t sample(const struct godwit_workload *workload, uint64_t i)
{
    return workload->window_start +
           dirtied_page(workload, godwit_liveness_dirtied(workload) * i / SAMPLES) *
               (uint64_t)workload->page_size;
}

uint64_t godwit_liveness_page(const struct godwit_workload *workload, unsigned i)
{
    const uint64_t pages = godwit_liveness_dirtied(workload), page = pages * i / SAMPLES;
    const uint64_t near = page - page % GODWIT_STAMP_CYCLE + i % GODWIT_STAMP_CYCLE;
    return dirtied_page(workload, MIN(near, pages - 1));
}

/* Returns the guest-physical address of the page that look I compares with the destination's. */
static uint64_t compared(const struct godwit_workload *workload, unsigned i)
{
    return workload->window_start +
           godwit_liveness_page(workload, i) * (uint64_t)workload->page_size;
}

static size_t proof_length(const struct godwit_vm *source)
{
    return MIN(PROOF, source->testbed->setup->workload.page_size);
}

/* The search for a proof. */
struct proof {
    struct godwit_vm *source;
    struct godwit_throttle *throttle;
    struct godwit_vm *destination; /* NULL: the migration goes into a file */
    uint64_t gpa;                  /* the page that must prove it; 0: any of these */
    uint64_t pages[SAMPLES];       /* guest-physical addresses: pages to compare, or samples */
    uint64_t dirtied;              /* godwit_liveness_dirtied(), which walks over the window */
    bool received;                 /* the destination has a page of the window */
    /* For a file only: */
    uint64_t unsent;                     /* pages of the window that may still be unsent ... */
    unsigned char noted[SAMPLES][PROOF]; /* ... and the samples at that time */
};

static bool read_samples(const struct proof *proof, unsigned char (*samples)[PROOF], GError **error)
{
    for (size_t i = 0; i < SAMPLES; i++)
        if (!godwit_memory_read(proof->source, proof->pages[i], samples[i],
                                proof_length(proof->source), error))
            return false;
    return true;
}

/* Searches the page at GPA for a byte that the destination has received (it is not zero, or the
 * caller has seen the page being sent) and that the source has changed since. Sets *PROVEN to
 * whether there is one, and records it. */
static bool seek_in_page(struct proof *proof, uint64_t gpa, bool *proven, GError **error)
{
    struct godwit_vm *source = proof->source;
    unsigned char received[PROOF], present[PROOF];
    const size_t length = proof_length(source);
    *proven = false;
    /* Read the destination first, so that its bytes were sent before the source's are read. */
    if (!godwit_memory_read(proof->destination, gpa, received, length, error) ||
        !godwit_memory_read(source, gpa, present, length, error))
        return false;
    for (size_t b = 0; b < length && !*proven; b++) {
        proof->received |= received[b] != 0 || proof->gpa;
        if ((received[b] == 0 && !proof->gpa) || received[b] == present[b])
            continue;
        *proven = godwit_migration_of(source->testbed)->live = true;
        godwit_testbed_measure(source->testbed, "live",
                               json_pack("{s:I, s:i, s:i, s:i}", "address", (json_int_t)(gpa + b),
                                         "received", received[b], "dirtied", present[b], "pass",
                                         (int)proof->throttle->iteration));
    }
    return true;
}

static bool seek_received(struct proof *proof, bool *proven, GError **error)
{
    if (proof->gpa)
        return seek_in_page(proof, proof->gpa, proven, error);
    *proven = false;
    for (unsigned i = 0; i < SAMPLES && !*proven; i++)
        if (!seek_in_page(proof, proof->pages[i], proven, error))
            return false;
    return true;
}

/* Sets *PROVEN to whether more pages have changed than may still have been unsent, and records both
 * counts. The guest writes pages in order, so if N samples have changed, it has written at least
 * the N - 1 stretches of pages between them (with `stamp:mixed`, what is busy of them). */
static bool seek_changed(struct proof *proof, bool *proven, GError **error)
{
    struct godwit_vm *source = proof->source;
    unsigned char present[SAMPLES][PROOF];
    uint64_t changed = 0;
    *proven = false;
    if (!read_samples(proof, present, error))
        return false;
    for (size_t i = 0; i < SAMPLES; i++)
        changed += memcmp(present[i], proof->noted[i], proof_length(source)) != 0;
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload);
    *proven = changed > 0 && (changed - 1) * proof->dirtied / SAMPLES >= proof->unsent;
    if (!*proven)
        return true;
    godwit_migration_of(source->testbed)->live = true;
    godwit_testbed_measure(source->testbed, "live",
                           json_pack("{s:I, s:I, s:I, s:i}", "pages", (json_int_t)pages, "unsent",
                                     (json_int_t)proof->unsent, "changed",
                                     (json_int_t)(changed * proof->dirtied / SAMPLES), "pass",
                                     (int)proof->throttle->iteration));
    return true;
}

/* The rest between two looks at memory, as a multiple of the time that a look takes. A look through
 * QMP may take long. */
#define LOOK_REST 4

/* Closes the valve, or updates the closed valve, once enough has been sent for a proof. */
static bool keep_closed(struct proof *proof, GError **error)
{
    const bool enough = proof->received || !proof->destination;
    if (!enough ||
        (!proof->throttle->open && g_get_monotonic_time() - proof->throttle->followed < FOLLOW_US))
        return true;
    return godwit_throttle_close(proof->source, proof->throttle, error);
}

/* Searches until the proof is found. */
static bool prove(struct proof *proof, GError **error)
{
    struct godwit_vm *source = proof->source;
    gint64 rest = LOOK_MS, shown = g_get_monotonic_time();
    for (bool proven = false; !proven;) {
        if (!godwit_testbed_rest(source->testbed, (guint)rest, "the migration to be proven live",
                                 error))
            return false;
        godwit_throttle_take_events(source, proof->throttle);
        if (proof->throttle->over)
            return godwit_throttle_report_end(source, proof->throttle, error);
        bool dirtied;
        if (!proof->throttle->sending &&
            !godwit_throttle_watch_guest(source, proof->throttle, &dirtied, error))
            return false;
        if (g_get_monotonic_time() - shown > GODWIT_PROGRESS_MS * 1000) {
            godwit_migrate_report_progress(source);
            shown = g_get_monotonic_time();
        }
        const gint64 began = g_get_monotonic_time();
        if (!(proof->destination ? seek_received(proof, &proven, error)
                                 : seek_changed(proof, &proven, error)))
            return false;
        rest = MAX(LOOK_REST * (g_get_monotonic_time() - began) / 1000, LOOK_MS);
        if (!keep_closed(proof, error))
            return false;
    }
    return true;
}

bool godwit_migrate_prove_page(struct godwit_vm *source, struct godwit_vm *destination,
                               uint64_t gpa, GError **error)
{
    struct proof proof = {.source = source,
                          .throttle = source->testbed->throttle,
                          .destination = destination,
                          .gpa = gpa};
    for (unsigned i = 0; i < SAMPLES && !gpa; i++)
        proof.pages[i] = compared(&source->testbed->setup->workload, i);
    return prove(&proof, error);
}

bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    return godwit_migrate_prove_page(source, destination, 0, error);
}

/* Waits until enough of the window has been sent for a proof, and computes how much has not. Counts
 * all that was sent as pages of the window, since the rest of RAM is almost all zero. No event
 * reports this, so it polls. */
static bool await_some(struct proof *proof, GError **error)
{
    struct godwit_vm *source = proof->source;
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload);
    for (;;) {
        g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
        if (!info)
            return false;
        const uint64_t sent =
            (uint64_t)MAX(godwit_json_integer(json_object_get(info, "ram"), "normal-bytes", 0), 0);
        proof->unsent = pages - MIN(sent / godwit_throttle_page_bytes(workload), pages);
        /* All samples but one can prove that many changed pages. */
        if (proof->unsent <= (SAMPLES - 1) * proof->dirtied / SAMPLES)
            return true;
        godwit_throttle_take_events(source, proof->throttle);
        if (proof->throttle->over)
            return godwit_throttle_report_end(source, proof->throttle, error);
        if (!godwit_testbed_rest(source->testbed, LOOK_MS, "the source to send its memory", error))
            return false;
    }
}

bool godwit_migrate_prove_dirtied(struct godwit_vm *source, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    struct proof proof = {.source = source,
                          .throttle = source->testbed->throttle,
                          .dirtied = godwit_liveness_dirtied(workload)};
    for (unsigned i = 0; i < SAMPLES; i++)
        proof.pages[i] = sample(workload, i);
    return await_some(&proof, error) && godwit_throttle_close(source, proof.throttle, error) &&
           read_samples(&proof, proof.noted, error) && prove(&proof, error);
}
