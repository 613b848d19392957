/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about the monitor itself. */
#include "monitor/internal.h"
#include "qapi/keyval.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-commands-introspect.h"
#include "qapi/qapi-commands-monitor.h"
#include "util/error.h"

bool qmp_qmp_capabilities(GArray *enable, GError **error)
{
    QmpSession *session = qmp_session_current();
    bool oob = false;

    if (!session) {
        error_setf(error, "Capabilities are negotiated by QMP sessions only");
        return false;
    }
    for (guint i = 0; enable && i < enable->len; i++) {
        oob = oob || g_array_index(enable, QMPCapability, i) == QMP_CAPABILITY_OOB;
    }
    return qmp_session_negotiate(session, oob, error);
}

VersionInfo *qmp_query_version(GError **error)
{
    VersionInfo *info = g_new0(VersionInfo, 1);

    info->qemu = g_new0(VersionTriple, 1);
    info->qemu->major = 7;
    info->qemu->minor = 2;
    info->package = g_strdup(monitor_package());
    return info;
}

GPtrArray *qmp_query_commands(GError **error)
{
    const QapiCommandTable *table = monitor_commands();
    GPtrArray *list = CommandInfo_list_new();

    for (size_t i = 0; i < table->n_commands; i++) {
        CommandInfo *info = g_new0(CommandInfo, 1);

        info->name = g_strdup(table->commands[i].name);
        g_ptr_array_add(list, info);
    }
    return list;
}

bool qmp_query_qmp_schema(json_object *args, json_object **ret, GError **error)
{
    if (!qapi_no_arguments(args, error)) {
        return false;
    }
    *ret = json_tokener_parse(monitor_commands()->schema_json);
    return true;
}

char *qmp_human_monitor_command(const char *command_line, bool has_cpu_index, int64_t cpu_index,
                                GError **error)
{
    if (has_cpu_index && (cpu_index < 0 || cpu_index > INT_MAX)) {
        error_setf(error, "Parameter 'cpu-index' is not the number of a CPU");
        return NULL;
    }
    return monitor_run_line(command_line, has_cpu_index ? (int)cpu_index : 0, error);
}
