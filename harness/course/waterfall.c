/*
 * Trace events become devices and checkpoints.
 *
 * QEMU writes vmstate_downtime_save and vmstate_downtime_load when a device is done, with the
 * microseconds that it took. So it began that much earlier.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/waterfall.h"

#include "base/file.h"
#include "qemu/trace.h"
#include <string.h>

/* The most bytes of a file of trace events that are read. */
#define TRACE_MAX ((size_t)4 << 20)

bool godwit_waterfall_trace(struct godwit_vm *vm, const char *pattern, bool *has, GError **error)
{
    g_autoptr(GError) cause = NULL;
    *has = false;
    g_autoptr(json_t) events =
        godwit_vm_execute(vm, "trace-event-get-state", json_pack("{s:s}", "name", pattern), &cause);
    if (!events) {
        /* It knows no such event, or no such command. */
        if (cause->code == GODWIT_ERROR_QMP)
            return true;
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        *has = *has || strcmp(godwit_json_string(event, "state", "unavailable"), "unavailable");
    }
    return !*has || godwit_vm_command(vm, "trace-event-set-state",
                                      json_pack("{s:s, s:b, s:b}", "name", pattern, "enable", 1,
                                                "ignore-unavailable", 1),
                                      error);
}

GPtrArray *godwit_waterfall_traces(const struct godwit_vm *vm)
{
    g_autofree char *name = g_strconcat(vm->name, GODWIT_VM_TRACE, NULL);
    g_autofree char *path = g_build_filename(vm->testbed->directory, name, NULL);
    size_t length;
    g_autofree char *text = godwit_file_read(path, TRACE_MAX, &length, NULL);
    if (!text)
        return NULL;
    g_autoptr(GPtrArray) traces = godwit_trace_parse(text);
    return traces->len ? g_steal_pointer(&traces) : NULL;
}

json_t *godwit_waterfall_new(void)
{
    return json_pack("{s:[], s:[]}", "devices", "checkpoints");
}

/* Returns a device as the measurement has it, or NULL if TRACE does not report one. */
static json_t *device(const struct godwit_trace *trace, const char *side, double at)
{
    g_autofree char *type = godwit_trace_between(trace, "type=", " idstr=");
    g_autofree char *name = godwit_trace_between(trace, " idstr=", " instance_id=");
    gint64 us = 0, instance = 0;
    if (!type || !name || !godwit_trace_integer(trace, "downtime", &us) || us < 0 ||
        !godwit_trace_integer(trace, "instance_id", &instance))
        return NULL;
    const double ms = (double)us / 1000;
    return json_pack("{s:s, s:s, s:I, s:s, s:f, s:f}", "side", side, "device", name, "instance",
                     (json_int_t)instance, "type", type, "at_ms", at - ms, "ms", ms);
}

unsigned godwit_waterfall_add(json_t *waterfall, const char *side, const GPtrArray *traces,
                              gint64 setup)
{
    unsigned count = 0;
    for (guint i = 0; traces && i < traces->len; i++) {
        const struct godwit_trace *trace = g_ptr_array_index(traces, i);
        const double at = (double)(trace->at - setup) / 1000;
        const bool checkpoint = !strcmp(trace->name, "vmstate_downtime_checkpoint");
        json_t *item = NULL;
        if (checkpoint)
            item = json_pack("{s:s, s:s, s:f}", "side", side, "name", trace->rest, "at_ms", at);
        else if (!strcmp(trace->name, "vmstate_downtime_save") ||
                 !strcmp(trace->name, "vmstate_downtime_load"))
            item = device(trace, side, at);
        if (!item)
            continue;
        json_array_append_new(json_object_get(waterfall, checkpoint ? "checkpoints" : "devices"),
                              item);
        count++;
    }
    return count;
}
