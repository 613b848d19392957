/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: query-memdev. */
#include "memory/ram-backend.h"
#include "qapi/qapi-commands-machine.h"

G_STATIC_ASSERT((int)HOST_MEM_POLICY_INTERLEAVE == (int)RAM_POLICY_INTERLEAVE);

static Memdev *describe(const RamBackend *backend)
{
    Memdev *memdev = g_new0(Memdev, 1);

    memdev->id = g_strdup(backend->object.name);
    memdev->size = backend->size;
    memdev->merge = backend->merge;
    memdev->dump = backend->dump;
    memdev->prealloc = backend->prealloc;
    memdev->share = backend->share;
    memdev->has_reserve = true;
    memdev->reserve = backend->reserve;
    memdev->policy = (HostMemPolicy)backend->policy;
    memdev->host_nodes = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    for (uint16_t node = 0; node < HOST_NODES_MAX; node++) {
        if (host_nodes_test(&backend->host_nodes, node)) {
            g_array_append_val(memdev->host_nodes, node);
        }
    }
    return memdev;
}

static bool add_backend(Object *child, void *opaque)
{
    if (object_is_a(child, TYPE_MEMORY_BACKEND)) {
        g_ptr_array_add(opaque, describe((RamBackend *)child));
    }
    return true;
}

GPtrArray *qmp_query_memdev(GError **error)
{
    GPtrArray *list = Memdev_list_new();

    object_foreach_child(object_container("/objects"), add_backend, list);
    return list;
}
