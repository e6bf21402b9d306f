/*
 * A model of QEMU's rate limiter: how a precopy migration converges, and every number of the
 * throttle that follows from it.
 *
 * The migration thread sends dirty pages in iterations. In each period it sends max-bandwidth times
 * PERIOD bytes at most, and sleeps for the rest of the period. A change of max-bandwidth takes
 * effect when the thread wakes up. When an iteration has sent all of its pages, QEMU asks the
 * accelerator which pages are dirty again. The migration converges if these are fewer than QEMU
 * could send within downtime-limit, at the rate of the latest period. So it converges only at the
 * end of an iteration, and only if the guest dirtied next to nothing during that iteration.
 *
 * Before the first period is over QEMU has no rate and uses zero. An iteration that ends by then
 * ends the migration, whatever the guest has dirtied (measured with 10.0). It does the same after a
 * period in which it has sent nothing, because all pages in it were zero and mapped-ram sends none
 * of those (measured with 10.0 on a host under load: 252 MiB of zeros take longer than a period).
 * avail-switchover-bandwidth replaces that rate, from QEMU 8.2 on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_LIMITER_H
#define GODWIT_HARNESS_MIGRATE_LIMITER_H

/* The period of the rate limiter, in seconds. */
#define PERIOD 0.1
/* How long it takes to send what remains while the valve is closed, in seconds. After t seconds
 * exp(-t / 20) of the window remains, which is more than a page for GODWIT_DEADLINE_SECONDS. */
#define CLOSED_SECONDS 20
/* The part of the window that is written to a file in the first period. It is enough to prove, by
 * counting, that the guest dirtied some of it. Other transports need a few pages only. */
#define FILE_FIRST 0.05
/* How long an iteration takes at least while the valve is open, in seconds: two periods, so that
 * the harness has one of them to close the valve. */
#define OPEN_SECONDS 0.2
/* How many passes of the guest such an iteration takes at least, so that the window of a slow guest
 * is not sent over and over ... */
#define GUEST_PASSES 1.5
/* ... up to this limit, in seconds. */
#define OPEN_SECONDS_MOST 10
/* The rate of each channel through the gate, in bytes a second. Open, an iteration over a window of
 * 16 MiB takes 0.2 s over 16 channels. Closed, only what QEMU and the kernel buffer is sent. */
#define CHANNEL_OPEN   ((size_t)5 << 20)
#define CHANNEL_CLOSED 1
/* The rate with the valve open if pages are compressed. A page of `order` is zero but for its first
 * bytes; zlib and zstd make 13 bytes of it. An iteration over the image's own window, some 100 MiB,
 * takes 0.8 s over two channels, or 0.2 s if the kernel buffered most of it while the valve was
 * closed. */
#define CHANNEL_OPEN_COMPRESSED ((size_t)200 << 10)
/* The lowest bandwidth that is set, in bytes a second. QEMU takes a limit below one byte a period
 * for no limit. It sends at least a page in each period in any case. */
#define BANDWIDTH_LEAST 4096
/* How many bytes are sent for a page of zeros. */
#define ZERO_PAGE_BYTES 9
/* The size of the pages that QEMU sends, on every machine here, in bytes. */
#define QEMU_PAGE 4096
/* The downtime limit while a migration is throttled, in milliseconds. With 0, QEMU would converge
 * when all pages are sent, without asking which are dirty again. */
#define DOWNTIME_THROTTLED 1
/* The rate for which QEMU computes whether it converges while a migration is throttled, in bytes a
 * second: not zero, and less than a page within DOWNTIME_THROTTLED. */
#define RATE_THROTTLED ((json_int_t)1 << 20)
/* The bandwidth of an unthrottled migration, in bytes a second: more than any host can send, and
 * small enough for every QEMU to accept. */
#define BANDWIDTH_UNLIMITED ((json_int_t)1 << 40)
/* The downtime limit of an unthrottled migration, in milliseconds: longer than any migration here
 * may take. */
#define DOWNTIME_UNLIMITED 600000
/* A guest that wrote less than one part in so many of its window during an iteration was starved.
 */
#define STARVED_PART 8
/* How many passes, some 10 ms each, the guest makes at most while its window is sent for the first
 * time. Its bytes must not wrap to zero in them. */
#define PASSES_BEFORE_ZERO 64
/* How often the harness polls what no event reports, in milliseconds. */
#define LOOK_MS 1
/* How often the bandwidth is set anew by what remains, in microseconds. */
#define FOLLOW_US 50000

#endif
