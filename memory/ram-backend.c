/* SPDX-License-Identifier: Apache-2.0 */
/* The abstract type behind memory-backend-*: common properties, mapping, policy, preallocation. */
#include "memory/ram-backend.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

/* host-nodes: a JSON array of node numbers; as text, numbers and ranges joined by ',' or ':'. */

static bool add_nodes(Object *obj, HostNodes *nodes, uint64_t first, uint64_t last, GError **error)
{
    if (first > last || last >= HOST_NODES_MAX) {
        error_setf(error, "property '%s.host-nodes': nodes are 0 to %u", object_type_name(obj),
                   HOST_NODES_MAX - 1);
        return false;
    }
    for (uint64_t node = first; node <= last; node++) {
        nodes->bits[node / 64] |= BIT_ULL(node % 64);
    }
    return true;
}

static bool host_nodes_set(Object *obj, const Property *prop, void *field, json_object *value,
                           GError **error)
{
    HostNodes nodes = { 0 };

    if (!json_object_is_type(value, json_type_array)) {
        error_setf(error, "property '%s.host-nodes' takes an array of node numbers",
                   object_type_name(obj));
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        json_object *item = json_object_array_get_idx(value, i);
        int64_t node = json_object_is_type(item, json_type_int) ? json_object_get_int64(item) : -1;

        if (!add_nodes(obj, &nodes, node, node, error)) {
            return false;
        }
    }
    *(HostNodes *)field = nodes;
    return true;
}

static bool host_nodes_parse(Object *obj, const Property *prop, void *field, const char *text,
                             GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, ",:", -1);
    HostNodes nodes = { 0 };

    if (!words[0]) {
        return add_nodes(obj, &nodes, HOST_NODES_MAX, HOST_NODES_MAX, error);
    }
    for (char **word = words; *word; word++) {
        g_auto(GStrv) ends = g_strsplit(*word, "-", 2);
        uint64_t first, last;

        if (!parse_uint64(ends[0] ? ends[0] : "", &first, error) ||
            !parse_uint64(ends[0] && ends[1] ? ends[1] : *word, &last, error)) {
            g_prefix_error(error, "property '%s.host-nodes': ", object_type_name(obj));
            return false;
        }
        if (!add_nodes(obj, &nodes, first, last, error)) {
            return false;
        }
    }
    *(HostNodes *)field = nodes;
    return true;
}

static json_object *host_nodes_get(Object *obj, const Property *prop, const void *field)
{
    json_object *array = json_object_new_array();

    for (unsigned node = 0; node < HOST_NODES_MAX; node++) {
        if (host_nodes_test(field, node)) {
            json_object_array_add(array, json_object_new_int(node));
        }
    }
    return array;
}

static const PropertyKind host_nodes_kind = {
    .type_name = "int",
    .json_type = "any",
    .set = host_nodes_set,
    .parse = host_nodes_parse,
    .get = host_nodes_get,
};

/* Setters that work on a live backend too. */

static uint64_t mapped_size(const RamBackend *backend)
{
    return ROUND_UP(backend->size, ram_fd_page_size(backend->fd));
}

static bool set_merge(Object *obj, const Property *prop, json_object *value, GError **error)
{
    RamBackend *backend = (RamBackend *)obj;

    if (!prop->kind->set(obj, prop, &backend->merge, value, error)) {
        return false;
    }
    if (backend->host) {
        ram_set_merge(backend->host, mapped_size(backend), backend->merge);
    }
    return true;
}

static bool set_dump(Object *obj, const Property *prop, json_object *value, GError **error)
{
    RamBackend *backend = (RamBackend *)obj;

    if (!prop->kind->set(obj, prop, &backend->dump, value, error)) {
        return false;
    }
    if (backend->host) {
        ram_set_dump(backend->host, mapped_size(backend), backend->dump);
    }
    return true;
}

static bool prealloc_now(RamBackend *backend, GError **error)
{
    HostCpus cpus;

    if (backend->prealloc_context) {
        thread_context_cpus(backend->prealloc_context, &cpus);
    }
    return ram_prealloc(backend->host, mapped_size(backend), ram_fd_page_size(backend->fd),
                        backend->prealloc_threads, backend->prealloc_context ? &cpus : NULL, error);
}

static bool set_prealloc(Object *obj, const Property *prop, json_object *value, GError **error)
{
    RamBackend *backend = (RamBackend *)obj;
    bool on;

    if (!prop->kind->set(obj, prop, &on, value, error)) {
        return false;
    }
    if (on && backend->host && !backend->prealloc && !prealloc_now(backend, error)) {
        return false;
    }
    backend->prealloc = on;
    return true;
}

#define LIVE_BOOL(n, f, d, setter, desc)                                                           \
    { PROP_FIELD_(prop_kind_bool, n, RamBackend, f, desc), .def.b = (d), .flags = PROP_LIVE,       \
      .set = (setter) }

static const Property ram_backend_properties[] = {
    PROP_SIZE("size", RamBackend, size, 0, "bytes of memory, such as 512M"),
    PROP_BOOL("share", RamBackend, share, false,
              "other processes that map it see the guest's writes"),
    LIVE_BOOL("merge", merge, true, set_merge, "the host may join equal pages (KSM)"),
    LIVE_BOOL("dump", dump, true, set_dump, "part of this process' core dumps"),
    LIVE_BOOL("prealloc", prealloc, false, set_prealloc, "take every page from the host at once"),
    PROP_UINT32("prealloc-threads", RamBackend, prealloc_threads, 1,
                "threads that share the work of prealloc"),
    PROP_LINK("prealloc-context", RamBackend, prealloc_context, TYPE_THREAD_CONTEXT,
              "the thread-context whose CPUs those threads run on"),
    PROP_BOOL("reserve", RamBackend, reserve, true,
              "set swap space or huge pages aside for all of it"),
    { PROP_FIELD_(host_nodes_kind, "host-nodes", RamBackend, host_nodes,
                  "the host's NUMA nodes that policy speaks of, such as 0-1") },
    PROP_ENUM("policy", RamBackend, policy, ram_policy_names, RAM_POLICY_DEFAULT,
              "NUMA policy on the host"),
    PROP_BOOL("x-use-canonical-path-for-ramblock-id", RamBackend, use_canonical_path, false,
              "migration knows it by its object path, not its id"),
    PROP_END,
};

static void ram_backend_init(Object *obj)
{
    ((RamBackend *)obj)->fd = -1;
}

static bool check_properties(const RamBackend *backend, GError **error)
{
    if (!backend->size) {
        error_setf(error, "property '%s.size' must be given and more than 0",
                   object_type_name(backend));
        return false;
    }
    if (!backend->prealloc_threads) {
        error_setf(error, "property '%s.prealloc-threads' must be more than 0",
                   object_type_name(backend));
        return false;
    }
    if (backend->prealloc && !backend->reserve) {
        error_setf(error, "prealloc=on and reserve=off contradict each other");
        return false;
    }
    return true;
}

static bool map_memory(RamBackend *backend, RamMapping *mapping, GError **error)
{
    mapping->size = backend->size;
    mapping->fd = backend->fd;
    mapping->share = backend->share;
    mapping->noreserve = !backend->reserve;
    mapping->merge = backend->merge;
    mapping->no_dump = !backend->dump;
    backend->host = ram_map(mapping, error);
    return backend->host &&
           ram_bind(backend->host, mapped_size(backend), backend->policy, &backend->host_nodes,
                    error) &&
           (!backend->prealloc || prealloc_now(backend, error));
}

static bool ram_backend_complete(Object *obj, GError **error)
{
    RamBackend *backend = (RamBackend *)obj;
    const RamBackendOps *ops = object_ops(obj);
    RamMapping mapping = { 0 };
    g_autofree char *path = object_path(obj);

    if (!check_properties(backend, error) ||
        (ops && ops->prepare && !ops->prepare(backend, &mapping, error)) ||
        !map_memory(backend, &mapping, error)) {
        g_prefix_error(error, "memory backend '%s': ", obj->name);
        return false;
    }
    backend->region = memory_region_new_ram_ptr(obj, backend->use_canonical_path ? path : obj->name,
                                                backend->size, backend->host, backend->fd,
                                                mapping.fd_offset);
    if (mapping.readonly) {
        memory_region_set_readonly(backend->region, true);
    }
    return true;
}

static bool ram_backend_may_delete(Object *obj, GError **error)
{
    const RamBackend *backend = (RamBackend *)obj;

    if (backend->mapped) {
        error_setf(error, "memory backend '%s' is in use", obj->name);
    }
    return !backend->mapped;
}

static void discard(RamBackend *backend)
{
    const RamBackendOps *ops = object_ops(backend);

    if (backend->host && ops && ops->discard) {
        ops->discard(backend);
    }
}

static bool discard_child(Object *child, void *opaque)
{
    if (object_is_a(child, TYPE_MEMORY_BACKEND)) {
        discard((RamBackend *)child);
    }
    return true;
}

void ram_backends_discard(void)
{
    object_foreach_child(object_container("/objects"), discard_child, NULL);
}

static void ram_backend_finalize(Object *obj)
{
    RamBackend *backend = (RamBackend *)obj;

    discard(backend);
    /* Nobody has it mapped: that would hold a reference to this object. */
    memory_region_free(backend->region);
    if (backend->host) {
        ram_unmap(backend->host, backend->size, backend->fd);
    }
    if (backend->fd >= 0) {
        close(backend->fd);
    }
}

static const UserObjectHooks ram_backend_hooks = {
    .complete = ram_backend_complete,
    .may_delete = ram_backend_may_delete,
};

static const TypeInfo ram_backend_type = {
    .name = TYPE_MEMORY_BACKEND,
    .parent = TYPE_USER_OBJECT,
    .description = "host memory for the guest",
    .instance_size = sizeof(RamBackend),
    .is_abstract = true,
    .properties = ram_backend_properties,
    .instance_init = ram_backend_init,
    .instance_finalize = ram_backend_finalize,
    .hooks = &ram_backend_hooks,
};
QOM_TYPE(ram_backend_type);

MemoryRegion *ram_backend_region(RamBackend *backend)
{
    return backend->region;
}

uint64_t ram_backend_size(const RamBackend *backend)
{
    return backend->size;
}

bool ram_backend_is_mapped(const RamBackend *backend)
{
    return backend->mapped;
}

void ram_backend_set_mapped(RamBackend *backend, bool mapped)
{
    g_assert(backend->mapped != mapped);
    backend->mapped = mapped;
}
