/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File names: protocols, relative backing files, and the name that a node shows and can be opened
 * by again: a plain one where that says everything, else "json:{...}".
 */
#include <string.h>

#include "block/driver.h"
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
    const char *name = node->header_backing_file, *base = node->filename;

    if (!name || !*name) {
        return NULL;
    }
    if (is_absolute(name) || block_path_has_protocol(name)) {
        return g_strdup(name);
    }
    /* It stands beside the file in which the header is. */
    for (BlockNode *below = node; below; below = below->file ? below->file->node : NULL) {
        base = below->filename;
    }
    if (!*base || g_str_has_prefix(base, "json:")) {
        error_setf(error, "Cannot tell which directory the backing file '%s' of '%s' is in", name,
                   *node->filename ? node->filename : node->name);
        return NULL;
    }
    return block_path_combine(base, name);
}

/* ---- The name of a node ---- */

/* Options that every node has; they say how an image is used, not what it is. */
static const char *const mode_keys[] = {
    "node-name", "read-only", "auto-read-only", "cache", "discard", "detect-zeroes", "force-share",
    NULL,
};

/* A key of strong_options may be a path: "encrypt.key-secret". */
static bool is_strong(const BlockDriver *driver, const char *key)
{
    size_t len = strlen(key);

    for (const char *const *strong = driver->strong_options; strong && *strong; strong++) {
        if (!strncmp(*strong, key, len) && ((*strong)[len] == '\0' || (*strong)[len] == '.')) {
            return true;
        }
    }
    return false;
}

static bool has_strong_option(BlockNode *node)
{
    json_object_object_foreach(node->options, key, value) {
        if (value && is_strong(node->driver, key)) {
            return true;
        }
    }
    return false;
}

/*
 * Another backing file than the header's own, or none though it names one. What stands there by a
 * client's choice may be the very image that the header names.
 */
static bool backing_is_overridden(BlockNode *node)
{
    g_autofree char *by_header = NULL;

    if (!node->driver->supports_backing) {
        return false;
    }
    if (!node->backing) {
        json_object *none;

        return node->header_backing_file && node->p->explicit_options &&
               json_object_object_get_ex(node->p->explicit_options, "backing", &none) &&
               (!none || !strcmp(json_object_get_string(none), ""));
    }
    if (node->backing->node == node->p->backing_by_header) {
        return false;
    }
    by_header = block_full_backing_filename(node, NULL);
    return g_strcmp0(by_header, node->backing->node->filename) != 0;
}

/* Does this option say what the image is? Formats and protocols have tables of those. */
static bool is_in_name(const BlockNode *node, const char *key)
{
    const BlockDriver *driver = node->driver;

    if (!strcmp(key, "driver")) {
        return true;
    }
    return driver->is_format || driver->strong_options ? is_strong(driver, key)
                                                       : !g_strv_contains(mode_keys, key);
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
        if (is_in_name(node, key)) {
            json_object_object_add(all, key, json_object_get(value));
        }
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node && json_object_object_get_ex(node->options, child->name, NULL)) {
            json_object_object_add(all, child->name, full_options(child->node));
        }
    }
    if (backing_is_overridden(node)) {
        json_object_object_add(all, "backing",
                               node->backing ? full_options(node->backing->node) : NULL);
    }
    return all;
}

static char *json_filename(BlockNode *node)
{
    json_object *all = full_options(node);
    int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
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

void block_refresh_filenames_above(BlockNode *node)
{
    if (node->p->opened) {
        block_refresh_filename(node);
    }
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (edge->parent_node) {
            block_refresh_filenames_above(edge->parent_node);
        }
    }
}

/* ---- Options from before the schema ---- */

static char *take_text(json_object *options, const char *key)
{
    json_object *value;
    char *text;

    if (!json_object_object_get_ex(options, key, &value)) {
        return NULL;
    }
    text = g_strdup(json_object_get_string(value));
    json_object_object_del(options, key);
    return text;
}

static void add_text(json_object *to, const char *key, const char *value)
{
    json_object_object_add(to, key, json_object_new_string(value));
}

bool block_server_from_old_options(json_object *options, const char *default_port, bool may_be_unix,
                                   GError **error)
{
    g_autofree char *host = take_text(options, "host"), *port = take_text(options, "port");
    g_autofree char *path = may_be_unix ? take_text(options, "path") : NULL;
    json_object *server;

    if (!host && !port && !path) {
        return true;
    }
    if (json_object_object_get_ex(options, "server", NULL)) {
        error_setf(error, "'server' and '%s' both say where the server is",
                   host ? "host" : path ? "path" : "port");
        return false;
    }
    if (path ? host || port : !host) {
        error_setf(error, path ? "'path' names a UNIX socket, which has no 'host' or 'port'"
                               : "'port' needs 'host'");
        return false;
    }
    server = json_object_new_object();
    if (may_be_unix) {
        add_text(server, "type", path ? "unix" : "inet");
    }
    if (path) {
        add_text(server, "path", path);
    } else {
        add_text(server, "host", host);
        add_text(server, "port", port ? port : default_port);
    }
    json_object_object_add(options, "server", server);
    return true;
}
