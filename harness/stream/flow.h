/*
 * A flow: one direction of a connection through the relay. Watchers see the bytes that come, and a
 * filter decides which bytes go on. Without a filter, all of them go on unchanged.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FLOW_H
#define GODWIT_HARNESS_STREAM_FLOW_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct godwit_flow;

/* Sees the LENGTH bytes that have come, before the filter does. At the end, LENGTH is 0. */
typedef void (*godwit_flow_watcher)(gpointer data, const unsigned char *bytes, size_t length);

/* Takes the LENGTH bytes that have come. At the end, LENGTH is 0. The filter itself sends what must
 * go on, now or later. */
typedef void (*godwit_flow_filter)(struct godwit_flow *flow, gpointer data,
                                   const unsigned char *bytes, size_t length);

/* Calls WATCHER with all that comes from now on. DATA must outlive the flow. */
void godwit_flow_watch(struct godwit_flow *flow, godwit_flow_watcher watcher, gpointer data);

/* Lets FILTER decide what goes on, in place of any filter before it. DATA must outlive the flow. */
void godwit_flow_filter_by(struct godwit_flow *flow, godwit_flow_filter filter, gpointer data);

/* The functions below are for filters. Each takes effect after the bytes sent before it. */

/* Sends LENGTH bytes on. Does nothing after godwit_flow_close() or godwit_flow_cut(). */
void godwit_flow_send(struct godwit_flow *flow, const void *bytes, size_t length);

/* Sends nothing on for MS milliseconds, or never again if MS is 0. */
void godwit_flow_stall(struct godwit_flow *flow, unsigned ms);

/* Ends this direction: bytes that come are still read, but go no further. */
void godwit_flow_close(struct godwit_flow *flow);

/* Ends the connection. */
void godwit_flow_cut(struct godwit_flow *flow);

/* From now on, sends at most PIECE bytes at once and at most RATE bytes a second; 0 is no limit. */
void godwit_flow_slow(struct godwit_flow *flow, size_t piece, size_t rate);

#endif
