/* SPDX-License-Identifier: Apache-2.0 */
/* The object tree: children, links and paths. */
#include "qom/object.h"

#include <string.h>

#include "qom/qom-internal.h"
#include "util/error.h"

/* A person's path is short; nothing deeper than this is searched. */
#define MAX_TREE_DEPTH 64

Object *object_root(void)
{
    static Object *root; /* the tree is the process's, there is one VM */

    if (!root) {
        root = object_new(TYPE_CONTAINER);
    }
    return root;
}

Object *object_child(Object *parent, const char *name)
{
    return parent->children ? g_hash_table_lookup(parent->children, name) : NULL;
}

static bool name_is_taken(Object *parent, const char *name)
{
    return object_child(parent, name) || type_find_property(parent->type, name) ||
           (parent->links && g_hash_table_contains(parent->links, name));
}

/* "pin[*]" -> "pin[3]". */
static char *free_name(Object *parent, const char *name)
{
    int stem = (int)strlen(name) - 3;

    if (stem < 0 || strcmp(name + stem, "[*]") != 0) {
        return g_strdup(name);
    }
    for (unsigned i = 0;; i++) {
        g_autofree char *candidate = g_strdup_printf("%.*s[%u]", stem, name, i);

        if (!name_is_taken(parent, candidate)) {
            return g_steal_pointer(&candidate);
        }
    }
}

bool object_add_child(Object *parent, const char *name, Object *child, GError **error)
{
    g_autofree char *actual = free_name(parent, name);

    g_assert(!child->parent && child != object_root());
    if (*actual == '\0' || strchr(actual, '/')) {
        error_setf(error, "'%s' cannot be an object's name", actual);
        return false;
    }
    if (name_is_taken(parent, actual)) {
        g_autofree char *path = object_path(parent);

        error_setf(error, "'%s' already has a '%s'", path ? path : parent->type->name, actual);
        return false;
    }
    if (!parent->children) {
        parent->children = g_hash_table_new(g_str_hash, g_str_equal);
        parent->child_order = g_ptr_array_new();
    }
    g_free(child->name);
    child->name = g_steal_pointer(&actual);
    child->parent = parent;
    g_hash_table_insert(parent->children, child->name, object_ref(child));
    g_ptr_array_add(parent->child_order, child->name);
    return true;
}

void object_unparent(Object *obj)
{
    Object *parent = obj->parent;

    if (!parent) {
        return;
    }
    g_hash_table_remove(parent->children, obj->name);
    g_ptr_array_remove(parent->child_order, obj->name);
    obj->parent = NULL;
    object_unref(obj);
}

void object_foreach_child(Object *obj, bool (*fn)(Object *child, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) children = NULL;

    if (!obj->child_order) {
        return;
    }
    /* fn may remove children, its own argument included. */
    children = g_ptr_array_new_with_free_func((GDestroyNotify)object_unref);
    for (guint i = 0; i < obj->child_order->len; i++) {
        g_ptr_array_add(children,
                        object_ref(object_child(obj, g_ptr_array_index(obj->child_order, i))));
    }
    for (guint i = 0; i < children->len; i++) {
        Object *child = g_ptr_array_index(children, i);

        if (child->parent == obj && !fn(child, opaque)) {
            return;
        }
    }
}

static void link_free(void *opaque)
{
    ObjectLink *link = opaque;

    g_free(link->type);
    g_free(link);
}

void object_add_link(Object *obj, const char *name, const char *type, Object **target)
{
    ObjectLink *link = g_new0(ObjectLink, 1);

    g_assert(!name_is_taken(obj, name));
    if (!obj->links) {
        obj->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, link_free);
    }
    link->type = g_strdup(type);
    link->target = target;
    g_hash_table_insert(obj->links, g_strdup(name), link);
}

/* One step of a path: a child, or where a link leads. */
static Object *step(Object *obj, const char *name)
{
    Object *child = object_child(obj, name);
    const ObjectLink *link;
    const Property *prop;

    if (child) {
        return child;
    }
    link = obj->links ? g_hash_table_lookup(obj->links, name) : NULL;
    if (link) {
        return *link->target;
    }
    prop = type_find_property(obj->type, name);
    if (prop && prop->kind == &prop_kind_link && property_field(obj, prop)) {
        return *(Object **)property_field(obj, prop);
    }
    return NULL;
}

static Object *walk(Object *obj, char **names)
{
    for (; obj && *names; names++) {
        if (**names != '\0') {
            obj = step(obj, *names);
        }
    }
    return obj;
}

/* Search obj and everything below it for the path; two different finds are one too many. */
static bool search(Object *obj, char **names, unsigned depth, Object **found)
{
    Object *here = walk(obj, names);

    if (here && *found && here != *found) {
        return false;
    }
    *found = here ? here : *found;
    if (obj->child_order && depth < MAX_TREE_DEPTH) {
        for (guint i = 0; i < obj->child_order->len; i++) {
            if (!search(object_child(obj, g_ptr_array_index(obj->child_order, i)), names, depth + 1,
                        found)) {
                return false;
            }
        }
    }
    return true;
}

Object *object_resolve(const char *path, bool *ambiguous)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    Object *found = NULL;

    if (ambiguous) {
        *ambiguous = false;
    }
    if (path[0] == '/') {
        return walk(object_root(), names);
    }
    if (path[0] == '\0') { /* the end of every path */
        if (ambiguous) {
            *ambiguous = true;
        }
        return NULL;
    }
    if (!search(object_root(), names, 0, &found)) {
        if (ambiguous) {
            *ambiguous = true;
        }
        return NULL;
    }
    return found;
}

char *object_path(const Object *obj)
{
    GString *path = g_string_new(NULL);

    if (obj == object_root()) {
        g_string_append_c(path, '/');
        return g_string_free(path, FALSE);
    }
    for (; obj->parent; obj = obj->parent) {
        g_string_prepend(path, obj->name);
        g_string_prepend_c(path, '/');
    }
    if (obj != object_root()) {
        g_string_free(path, TRUE);
        return NULL;
    }
    return g_string_free(path, FALSE);
}

Object *object_container(const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    Object *obj = object_root();

    g_assert(path[0] == '/');
    for (char **name = names; *name; name++) {
        Object *child;

        if (**name == '\0') {
            continue;
        }
        child = object_child(obj, *name);
        if (!child) {
            bool added;

            child = object_new(TYPE_CONTAINER);
            added = object_add_child(obj, *name, child, NULL);
            g_assert(added);
            object_unref(child);
        }
        obj = child;
    }
    return obj;
}
