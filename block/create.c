/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making images. What people write ("cluster_size=64k") becomes BlockdevCreateOptions by the
 * driver's table of options, so that the tool, the command line and blockdev-create make images in
 * one way.
 */
#include "block/create.h"

#include <string.h>

#include "block/node-internal.h"
#include "block/open.h"
#include "util/error.h"
#include "util/parse.h"

typedef struct CreateState {
    const char *filename;
    const BlockDriver *format, *protocol;
    json_object *options; /* text, by people's names */
    int64_t size;
} CreateState;

const BlockOption *block_option_find(const BlockOption *options, const char *name)
{
    for (; options && options->name; options++) {
        if (!strcmp(options->name, name)) {
            return options;
        }
    }
    return NULL;
}

static const char *text(json_object *options, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(options, name, &value) ? json_object_get_string(value) : NULL;
}

/* ---- Checks ---- */

static bool options_are_known(const CreateState *state, GError **error)
{
    json_object_object_foreach(state->options, name, value) {
        if (!block_option_find(state->format->create_options, name) &&
            !block_option_find(state->protocol->create_options, name)) {
            error_setf(error, "Invalid parameter '%s'", name);
            return false;
        }
    }
    return true;
}

static bool drivers_can_create(const CreateState *state, GError **error)
{
    if (!state->format->create_options) {
        error_setf(error, "Format driver '%s' does not support image creation",
                   state->format->name);
        return false;
    }
    if (!state->protocol->create_options) {
        error_setf(error, "Protocol driver '%s' does not support image creation",
                   state->protocol->name);
        return false;
    }
    return true;
}

static bool backing_is_sane(const CreateState *state, const char *backing, GError **error)
{
    if (!block_option_find(state->format->create_options, "backing_file")) {
        error_setf(error, "Backing file not supported for file format '%s'", state->format->name);
        return false;
    }
    if (!strcmp(backing, state->filename)) {
        error_setf(error, "Error: Trying to create an image with the same filename as the backing "
                   "file");
        return false;
    }
    return true;
}

static BlockNode *open_backing(const CreateState *state, const char *backing, GError **error)
{
    const char *format = text(state->options, "backing_fmt");
    g_autofree char *path = block_path_combine(state->filename, backing);
    json_object *options = json_object_new_object();
    BlockNode *node;

    if (format) {
        json_object_object_add(options, "driver", json_object_new_string(format));
    }
    json_object_object_add(options, "read-only", json_object_new_string("on"));
    node = block_open(path, NULL, options, QAPI_KEYVAL, BLOCK_OPEN_NO_IO, error);
    json_object_put(options);
    return node;
}

/* The format must be said; where it is not, say what it probably is. */
static bool backing_format_is_given(const CreateState *state, BlockNode *node, GError **error)
{
    if (text(state->options, "backing_fmt")) {
        return true;
    }
    if (node) {
        error_setf(error, "backing file specified without backing format (detected format of %s)",
                   node->driver->name);
    } else {
        error_setf(error, "backing file specified without backing format");
    }
    return false;
}

static bool look_at_backing(CreateState *state, bool unsafe, GError **error)
{
    const char *backing = text(state->options, "backing_file");
    g_autoptr(BlockNode) node = NULL;
    int64_t size;

    if (!backing || !*backing) {
        return true;
    }
    if (!backing_is_sane(state, backing, error)) {
        return false;
    }
    if (!unsafe || state->size < 0) {
        node = open_backing(state, backing, error);
        if (!node) {
            g_prefix_error(error, "Could not open backing image: ");
            return false;
        }
    }
    if (!backing_format_is_given(state, node, error)) {
        return false;
    }
    if (state->size >= 0) {
        return true;
    }
    size = block_getlength(node);
    if (size < 0) {
        error_set_errno(error, -size, "Could not get size of '%s'", backing);
        return false;
    }
    state->size = size;
    return true;
}

static bool read_size(CreateState *state, GError **error)
{
    const char *size = text(state->options, "size");
    uint64_t bytes;

    state->size = -1;
    if (!size) {
        return true;
    }
    if (!parse_size(size, 1, &bytes, error)) {
        g_prefix_error(error, "Parameter 'size': ");
        return false;
    }
    if (bytes > BLOCK_MAX_LENGTH) {
        error_setf(error, "Image size must be less than 8 EiB!");
        return false;
    }
    state->size = bytes;
    return true;
}

/* ---- From people's options to the schema's ---- */

static void set_path(json_object *object, const char *path, json_object *value)
{
    const char *dot = strchr(path, '.');
    g_autofree char *head = NULL;
    json_object *inner;

    if (!dot) {
        json_object_object_add(object, path, value);
        return;
    }
    head = g_strndup(path, dot - path);
    if (!json_object_object_get_ex(object, head, &inner)) {
        inner = json_object_new_object();
        json_object_object_add(object, head, inner);
    }
    set_path(inner, dot + 1, value);
}

json_object *block_options_to_qapi(const BlockOption *table, json_object *options)
{
    json_object *out = json_object_new_object();

    json_object_object_foreach(options, name, value) {
        const BlockOption *option = block_option_find(table, name);
        g_autofree char *dashed = NULL;

        if (option) {
            dashed = g_strdelimit(g_strdup(name), "_", '-');
            set_path(out, option->qapi_name ? option->qapi_name : dashed, json_object_get(value));
        }
    }
    return out;
}

/* Where the image goes: a protocol's file name is what it stands for, as when it is opened. */
static bool add_storage(const BlockDriver *driver, json_object *mapped, const char *storage,
                        const char *name, GError **error)
{
    if (driver->protocol && driver->parse_filename) {
        return driver->parse_filename(name, mapped, error);
    }
    json_object_object_add(mapped, storage, json_object_new_string(name));
    return true;
}

/* storage: where the image goes, "file" (a node) for formats and "filename" for protocols. */
static BlockdevCreateOptions *typed_options(const BlockDriver *driver, json_object *options,
                                            const char *storage, const char *name, GError **error)
{
    json_object *mapped = block_options_to_qapi(driver->create_options, options);
    BlockdevCreateOptions *typed = NULL;

    json_object_object_add(mapped, "driver", json_object_new_string(driver->name));
    if (add_storage(driver, mapped, storage, name, error) &&
        (!driver->translate_create_options || driver->translate_create_options(mapped, error))) {
        BlockdevCreateOptions_from_json(mapped, QAPI_KEYVAL, &typed, error);
    }
    json_object_put(mapped);
    return typed;
}

/* ---- Making ---- */

static bool create_protocol(const BlockDriver *protocol, const char *filename,
                            json_object *options, GError **error)
{
    g_autoptr(BlockdevCreateOptions) typed = NULL;

    if (protocol->create_by_name) {
        return protocol->create_by_name(filename, options, error);
    }
    typed = typed_options(protocol, options, "filename", filename, error);
    return typed && block_create(typed, error);
}

/* The protocol's own options; the format's size and preallocation are not the file's. */
static bool create_file(const CreateState *state, GError **error)
{
    json_object *options = json_object_new_object();
    json_object *value;
    bool ok;

    for (const BlockOption *o = state->protocol->create_options; o->name; o++) {
        if (!block_option_find(state->format->create_options, o->name) &&
            json_object_object_get_ex(state->options, o->name, &value)) {
            json_object_object_add(options, o->name, json_object_get(value));
        }
    }
    json_object_object_add(options, "size", json_object_new_string("0"));
    ok = create_protocol(state->protocol, state->filename, options, error);
    json_object_put(options);
    return ok;
}

static BlockNode *open_file(const CreateState *state, GError **error)
{
    json_object *options = json_object_new_object();
    BlockNode *node;

    json_object_object_add(options, "discard", json_object_new_string("unmap"));
    node = block_open(state->filename, NULL, options, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, error);
    json_object_put(options);
    return node;
}

static bool create_format(const CreateState *state, BlockNode *file, GError **error)
{
    g_autoptr(BlockdevCreateOptions) typed = NULL;
    g_autofree char *size = g_strdup_printf("%" PRId64, state->size);
    json_object *options = NULL;

    json_object_deep_copy(state->options, &options, NULL);
    json_object_object_add(options, "size", json_object_new_string(size));
    typed = typed_options(state->format, options, "file", file->name, error);
    json_object_put(options);
    return typed && block_create(typed, error);
}

static bool create_both(const CreateState *state, GError **error)
{
    g_autoptr(BlockNode) file = NULL;

    if (!create_file(state, error)) {
        return false;
    }
    file = open_file(state, error);
    if (!file) {
        return false;
    }
    if (!create_format(state, file, error)) {
        if (file->driver->delete_file) {
            file->driver->delete_file(file, NULL);
        }
        return false;
    }
    return true;
}

static bool create_with_size(CreateState *state, GError **error)
{
    g_autofree char *size = NULL;

    if (state->size < 0) {
        error_setf(error, "Image creation needs a size parameter");
        return false;
    }
    if (!state->format->create_by_name) {
        return create_both(state, error);
    }
    size = g_strdup_printf("%" PRId64, state->size);
    json_object_object_add(state->options, "size", json_object_new_string(size));
    return state->format->create_by_name(state->filename, state->options, error);
}

bool block_create_image(const char *filename, const char *format, json_object *options, bool unsafe,
                        GError **error)
{
    CreateState state = { .filename = filename };
    bool ok;

    state.format = block_driver_find(format, error);
    state.protocol = state.format ? block_driver_find_protocol(filename, error) : NULL;
    if (!state.protocol) {
        return false;
    }
    state.options = json_object_new_object();
    json_object_object_foreach(options, name, value) {
        json_object_object_add(state.options, name, json_object_get(value));
    }
    ok = drivers_can_create(&state, error) && options_are_known(&state, error) &&
         read_size(&state, error) && look_at_backing(&state, unsafe, error) &&
         create_with_size(&state, error);
    json_object_put(state.options);
    return ok;
}

bool block_create_protocol(const char *filename, json_object *options, GError **error)
{
    const BlockDriver *protocol = block_driver_find_protocol(filename, error);

    return protocol && create_protocol(protocol, filename, options, error);
}

bool block_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockDriver *driver = block_driver_find(BlockdevDriver_str(options->driver), error);

    if (!driver) {
        return false;
    }
    if (!driver->create) {
        error_setf(error, "Driver '%s' does not support image creation", driver->name);
        return false;
    }
    return driver->create(options, error);
}

/* ---- The node that create writes into ---- */

static char *describe_creator(void *parent)
{
    return g_strdup("the creation of an image");
}

static const BlockParentOps creator_ops = { .describe = describe_creator };

BlockChild *block_create_open(const BlockdevRef *ref, GError **error)
{
    json_object *json = BlockdevRef_to_json(ref);
    bool by_name = json_object_is_type(json, json_type_string);
    g_autoptr(BlockNode) node = block_open(NULL, by_name ? json_object_get_string(json) : NULL,
                                           by_name ? NULL : json, QAPI_JSON, BLOCK_OPEN_PROTOCOL,
                                           error);
    BlockChild *child = NULL;

    json_object_put(json);
    if (node) {
        child = block_parent_attach(&creator_ops, NULL, node, "root", BLOCK_ROLE_IMAGE,
                                    BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |
                                    BLOCK_PERM_RESIZE,
                                    BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED, error);
    }
    return child;
}

bool block_create_close(BlockChild *child, GError **error)
{
    int ret = block_flush(child->node);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not flush '%s'", child->node->filename);
    }
    block_child_detach(child);
    return ret >= 0;
}
