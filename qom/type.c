/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type registry. Types announce themselves through the linker section vireo_types; the hash
 * over it is made at the first look-up. Readers take no lock: a module that registers a type later
 * replaces the whole hash. The registry is the process's by nature, hence its file-scope state.
 */
#include "qom/object.h"

#include <string.h>

#include "qom/qom-internal.h"

/* Made by the linker; absent in a program without any type. */
extern const TypeInfo *const __start_vireo_types[] __attribute__((weak));
extern const TypeInfo *const __stop_vireo_types[] __attribute__((weak));

static GHashTable *registry; /* name or alias -> const TypeInfo * */
static GSList *old_registries; /* replaced ones: a reader may still be in them */
static GMutex registry_lock;

static void registry_insert(GHashTable *table, const char *name, const TypeInfo *info)
{
    if (!g_hash_table_insert(table, (void *)name, (void *)info)) {
        g_error("two types are called '%s'", name);
    }
}

static void registry_insert_type(GHashTable *table, const TypeInfo *info)
{
    registry_insert(table, info->name, info);
    for (const char *const *alias = info->aliases; alias && *alias; alias++) {
        registry_insert(table, *alias, info);
    }
}

static GHashTable *registry_get(void)
{
    GHashTable *table = __atomic_load_n(&registry, __ATOMIC_ACQUIRE);

    if (table) {
        return table;
    }
    g_mutex_lock(&registry_lock);
    table = registry;
    if (!table) {
        table = g_hash_table_new(g_str_hash, g_str_equal);
        for (const TypeInfo *const *at = __start_vireo_types; at < __stop_vireo_types; at++) {
            registry_insert_type(table, *at);
        }
        __atomic_store_n(&registry, table, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&registry_lock);
    return table;
}

void type_register(const TypeInfo *info)
{
    GHashTable *old = registry_get();
    GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    void *name;
    void *type;

    g_mutex_lock(&registry_lock);
    old = registry;
    g_hash_table_iter_init(&iter, old);
    while (g_hash_table_iter_next(&iter, &name, &type)) {
        g_hash_table_insert(table, name, type);
    }
    registry_insert_type(table, info);
    old_registries = g_slist_prepend(old_registries, old);
    __atomic_store_n(&registry, table, __ATOMIC_RELEASE);
    g_mutex_unlock(&registry_lock);
}

const TypeInfo *type_find(const char *name)
{
    return g_hash_table_lookup(registry_get(), name);
}

const TypeInfo *type_parent(const TypeInfo *type)
{
    const TypeInfo *parent;

    if (!type->parent) {
        return NULL;
    }
    parent = type_find(type->parent);
    if (!parent) {
        g_error("type '%s': its parent '%s' is not linked in", type->name, type->parent);
    }
    return parent;
}

bool type_is_a(const TypeInfo *type, const char *ancestor)
{
    for (; type; type = type_parent(type)) {
        if (strcmp(type->name, ancestor) == 0) {
            return true;
        }
        for (const char *const *name = type->interfaces; name && *name; name++) {
            const TypeInfo *interface;

            if (strcmp(*name, ancestor) == 0) {
                return true;
            }
            interface = type_find(*name);
            if (interface && interface != type && type_is_a(interface, ancestor)) {
                return true;
            }
        }
    }
    return false;
}

static gint compare_types(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const TypeInfo *const *)a)->name, (*(const TypeInfo *const *)b)->name);
}

GPtrArray *type_list(const char *ancestor, bool include_abstract)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    void *name;
    void *value;

    g_hash_table_iter_init(&iter, registry_get());
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const TypeInfo *type = value;

        if (strcmp(name, type->name) == 0 && (include_abstract || !type->is_abstract) &&
            (!ancestor || type_is_a(type, ancestor))) {
            g_ptr_array_add(list, (void *)type);
        }
    }
    g_ptr_array_sort(list, compare_types);
    return list;
}

const void *type_ops(const TypeInfo *type)
{
    for (; type; type = type_parent(type)) {
        if (type->ops) {
            return type->ops;
        }
    }
    return NULL;
}

size_t type_chain(const TypeInfo *type, const TypeInfo **chain)
{
    size_t depth = 0;

    for (; type; type = type_parent(type)) {
        g_assert(depth < TYPE_CHAIN_MAX); /* a cycle */
        chain[depth++] = type;
    }
    return depth;
}

static const Property *own_property(const TypeInfo *type, const char *name)
{
    for (const Property *prop = type->properties; prop && prop->name; prop++) {
        if (strcmp(prop->name, name) == 0) {
            return prop;
        }
    }
    return NULL;
}

const Property *type_find_property(const TypeInfo *type, const char *name)
{
    for (; type; type = type_parent(type)) {
        const Property *prop = own_property(type, name);

        if (prop) {
            return prop;
        }
    }
    return NULL;
}

void type_foreach_property(const TypeInfo *type,
                           bool (*fn)(const TypeInfo *owner, const Property *prop, void *opaque),
                           void *opaque)
{
    const TypeInfo *chain[TYPE_CHAIN_MAX];
    size_t depth = type_chain(type, chain);

    for (size_t i = depth; i-- > 0;) {
        for (const Property *prop = chain[i]->properties; prop && prop->name; prop++) {
            bool overridden = false;

            for (size_t j = 0; j < i && !overridden; j++) {
                overridden = own_property(chain[j], prop->name) != NULL;
            }
            if (!overridden && !fn(chain[i], prop, opaque)) {
                return;
            }
        }
    }
}
