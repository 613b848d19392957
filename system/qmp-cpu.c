/* SPDX-License-Identifier: Apache-2.0 */
/* QMP commands about CPU models; what they mean with the running accelerator. */
#include "accel/accel.h"
#include "cpu/x86/cpu-model.h"
#include "qapi/qapi-commands-cpu.h"
#include "util/error.h"

static X86AccelCaps *current_caps(GError **error)
{
    g_autofree X86AccelCaps *caps = g_new0(X86AccelCaps, 1);

    if (!accel_current()) {
        error_setf(error, "no accelerator runs yet");
        return NULL;
    }
    return accel_ops()->cpu_caps(accel_current(), caps, error) ? g_steal_pointer(&caps) : NULL;
}

GPtrArray *qmp_query_cpu_definitions(GError **error)
{
    g_autofree X86AccelCaps *caps = current_caps(error);
    g_autoptr(GPtrArray) list = CpuDefinitionInfo_list_new();
    json_object *models;
    bool ok = caps != NULL;

    if (!ok) {
        return NULL;
    }
    models = x86_cpu_definitions(caps);
    for (size_t i = 0; ok && i < json_object_array_length(models); i++) {
        CpuDefinitionInfo *info = NULL;

        ok = CpuDefinitionInfo_from_json(json_object_array_get_idx(models, i), 0, &info, error);
        if (ok) {
            g_ptr_array_add(list, info);
        }
    }
    json_object_put(models);
    return ok ? g_steal_pointer(&list) : NULL;
}

CpuModelExpansionInfo *qmp_query_cpu_model_expansion(CpuModelExpansionType type,
                                                     const CpuModelInfo *model, GError **error)
{
    g_autofree X86AccelCaps *caps = current_caps(error);
    CpuModelExpansionInfo *info = NULL;
    json_object *request, *expansion;

    if (!caps) {
        return NULL;
    }
    request = CpuModelInfo_to_json(model);
    expansion = x86_cpu_model_expansion(CpuModelExpansionType_str(type), request, caps, error);
    json_object_put(request);
    if (expansion) {
        CpuModelExpansionInfo_from_json(expansion, 0, &info, error);
        json_object_put(expansion);
    }
    return info;
}
