/*
 * Where the downtime goes: which device's state took how long to save and to load, by QEMU's trace
 * events. A measured VM has a file for them (GODWIT_VM_TRACE); QMP switches them on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_WATERFALL_H
#define GODWIT_HARNESS_COURSE_WATERFALL_H

#include "testbed/vm.h"

/* Switches trace events PATTERN on. Sets *HAS to whether this QEMU has any. Fails if it does not
 * answer. */
bool godwit_waterfall_trace(struct godwit_vm *vm, const char *pattern, bool *has, GError **error);

/* The trace events that a waterfall is made of. */
#define GODWIT_WATERFALL_EVENTS "vmstate_downtime_*"

/* Returns the trace events that a VM has written until now: of struct godwit_trace. Returns NULL if
 * it has written none. The caller unreferences it. */
GPtrArray *godwit_waterfall_traces(const struct godwit_vm *vm);

/* Adds the devices and checkpoints in TRACES, which are those of SIDE, to WATERFALL, the
 * measurement. Times become milliseconds since SETUP, a time of day in microseconds. Returns how
 * many there were. */
unsigned godwit_waterfall_add(json_t *waterfall, const char *side, const GPtrArray *traces,
                              gint64 setup);

/* Returns a measurement without anything. The caller unreferences it. */
json_t *godwit_waterfall_new(void);

#endif
