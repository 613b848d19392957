/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File names: protocols, relative backing files, and the name that a node shows and can be opened
 * by again: a plain one where that says everything, else "json:{...}".
 */
#include <string.h>

#include "block/node-internal.h"
#include "block/open-internal.h"
#include "util/error.h"

bool block_path_has_protocol(const char *path)
{
    size_t stem = strcspn(path, ":/");

    return path[stem] == ':' && stem > 0;
}

static bool is_absolute(const char *path)
{
    return path[0] == '/';
}

/* base's directory (or what stands for it after a protocol) + filename. */
char *block_path_combine(const char *base, const char *filename)
{
    const char *start = base, *slash;

    if (is_absolute(filename) || block_path_has_protocol(filename)) {
        return g_strdup(filename);
    }
    if (block_path_has_protocol(base)) {
        start = strchr(base, ':') + 1;
    }
    slash = strrchr(start, '/');
    return g_strdup_printf("%.*s%s", (int)((slash ? slash + 1 : start) - base), base, filename);
}

char *block_full_backing_filename(BlockNode *node, GError **error)
{
    const char *name = node->header_backing_file;

    if (!name || !*name) {
        return NULL;
    }
    if (is_absolute(name) || block_path_has_protocol(name)) {
        return g_strdup(name);
    }
    if (!*node->filename || g_str_has_prefix(node->filename, "json:")) {
        error_setf(error, "Cannot tell which directory the backing file '%s' of '%s' is in", name,
                   *node->filename ? node->filename : node->name);
        return NULL;
    }
    return block_path_combine(node->filename, name);
}

/* ---- The name of a node ---- */

static bool has_strong_option(BlockNode *node)
{
    for (const char *const *key = node->driver->strong_options; key && *key; key++) {
        if (json_object_object_get_ex(node->options, *key, NULL)) {
            return true;
        }
    }
    return false;
}

/* Another backing file than the header's own, or none though it names one. */
static bool backing_is_overridden(BlockNode *node)
{
    json_object *backing;

    return node->driver->supports_backing && node->p->explicit_options &&
           json_object_object_get_ex(node->p->explicit_options, "backing", &backing) &&
           (backing || node->header_backing_file);
}

static json_object *full_options(BlockNode *node)
{
    json_object *all = json_object_new_object();

    if (!node->options) {
        /* A filter that a job made: nobody opens it again by name. */
        json_object_object_add(all, "driver", json_object_new_string(node->driver->name));
        return all;
    }
    json_object_object_foreach(node->options, key, value) {
        if (strcmp(key, "node-name") != 0) {
            json_object_object_add(all, key, json_object_get(value));
        }
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node && json_object_object_get_ex(node->options, child->name, NULL)) {
            json_object_object_add(all, child->name, full_options(child->node));
        }
    }
    return all;
}

static char *json_filename(BlockNode *node)
{
    json_object *all = full_options(node);
    int flags = JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    char *name = g_strconcat("json:", json_object_to_json_string_ext(all, flags), NULL);

    json_object_put(all);
    return name;
}

static const char *plain_filename(BlockNode *node)
{
    json_object *name;

    if (node->driver->protocol) {
        return json_object_object_get_ex(node->options, "filename", &name)
                   ? json_object_get_string(name) : NULL;
    }
    if (!node->driver->is_format || !node->file || has_strong_option(node) ||
        backing_is_overridden(node) || g_str_has_prefix(node->file->node->filename, "json:")) {
        return NULL;
    }
    return node->file->node->filename;
}

void block_refresh_filename(BlockNode *node)
{
    const char *plain;

    if (node->driver->refresh_filename) {
        if (node->driver->refresh_filename(node)) {
            return;
        }
        plain = NULL;
    } else {
        plain = plain_filename(node);
    }
    g_free(node->filename);
    node->filename = plain ? g_strdup(plain) : json_filename(node);
}
