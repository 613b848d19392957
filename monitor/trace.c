/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: trace points. util/ has them but knows nothing of QAPI. */
#include <string.h>

#include "qapi/qapi-commands-trace.h"
#include "util/error.h"
#include "util/trace.h"

static bool refuse_vcpu(bool has_vcpu, GError **error)
{
    if (has_vcpu) {
        error_setf(error, "trace points are switched for all vCPUs at once");
    }
    return has_vcpu;
}

static void add_info(TracePoint *point, void *opaque)
{
    TraceEventInfo *info = g_new0(TraceEventInfo, 1);

    info->name = g_strdup(point->name);
    info->state = trace_is_on(point) ? TRACE_EVENT_STATE_ENABLED : TRACE_EVENT_STATE_DISABLED;
    g_ptr_array_add(opaque, info);
}

GPtrArray *qmp_trace_event_get_state(const char *name, bool has_vcpu, int64_t vcpu,
                                     GError **error)
{
    g_autoptr(GPtrArray) list = NULL;

    if (refuse_vcpu(has_vcpu, error)) {
        return NULL;
    }
    list = TraceEventInfo_list_new();
    trace_foreach(name, add_info, list);
    if (list->len == 0 && !strpbrk(name, "*?")) {
        error_setf(error, "there is no trace event '%s'", name);
        return NULL;
    }
    return g_steal_pointer(&list);
}

bool qmp_trace_event_set_state(const char *name, bool enable, bool has_ignore_unavailable,
                               bool ignore_unavailable, bool has_vcpu, int64_t vcpu,
                               GError **error)
{
    return !refuse_vcpu(has_vcpu, error) && trace_set(name, enable, error);
}
