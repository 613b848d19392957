/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: options in, a node with its children out.
 *
 * The storage child ("file") comes first, since its content may have to say which format stands on
 * it. Then the other children that the driver declares; then the driver itself, which finds them
 * attached; and last the backing file, by the options or by the image's header. Chains of backing
 * files are followed in a loop, not by recursion: they may be long.
 */
#include "block/open.h"

#include <string.h>

#include "block/node-internal.h"
#include "block/open-internal.h"
#include "qapi/keyval.h"
#include "util/error.h"

/* Options within options; file names and JSON bound it already, this says so. */
#define MAX_NESTING 64

typedef struct Opened {
    const BlockChildSpec *spec;
    char *name;
    BlockNode *node; /* owned */
} Opened;

typedef struct OpenState {
    json_object *options;    /* ours to change */
    json_object *given;      /* as they came */
    QapiFlags flags;
    unsigned open_flags;
    const char *filename;    /* not used up yet, or NULL */
    char *filename_copy;
    const BlockDriver *driver;
    bool probed;
    BlockMode mode;
    GArray *children;        /* Opened */
    unsigned depth;
} OpenState;

static const BlockChildSpec storage_spec = { "file", BLOCK_ROLE_IMAGE, .required = true };

static BlockNode *open_node(const char *filename, json_object *options, QapiFlags flags,
                            unsigned open_flags, const BlockMode *mode, unsigned depth,
                            GError **error);

/* ---- Options ---- */

static const char *text_option(json_object *options, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(options, key, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value) : NULL;
}

/* What "json:" holds is typed; beside text from a command line it becomes text as well. */
json_object *block_options_as_text(json_object *value)
{
    json_object *copy;

    switch (json_object_get_type(value)) {
    case json_type_object:
        copy = json_object_new_object();
        json_object_object_foreach(value, key, member) {
            json_object_object_add(copy, key, block_options_as_text(member));
        }
        return copy;
    case json_type_array:
        copy = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            json_object_array_add(copy, block_options_as_text(json_object_array_get_idx(value, i)));
        }
        return copy;
    case json_type_boolean:
        return json_object_new_string(json_object_get_boolean(value) ? "on" : "off");
    case json_type_int:
    case json_type_double:
        return json_object_new_string(json_object_get_string(value));
    default:
        return json_object_get(value);
    }
}

/* The options inside "json:{...}" are added, those given beside it win. */
static bool expand_json_name(OpenState *state, GError **error)
{
    json_object *inside = json_parse_text(state->filename + strlen("json:"), error);

    if (!inside) {
        g_prefix_error(error, "Could not parse the JSON options: ");
        return false;
    }
    if (!json_object_is_type(inside, json_type_object)) {
        json_object_put(inside);
        error_setf(error, "Could not parse the JSON options: not an object");
        return false;
    }
    json_object_object_foreach(inside, key, value) {
        if (!json_object_object_get_ex(state->options, key, NULL)) {
            json_object_object_add(state->options, key,
                                   state->flags & QAPI_KEYVAL ? block_options_as_text(value)
                                                              : json_object_get(value));
        }
    }
    json_object_put(inside);
    state->filename = NULL;
    return true;
}

/* A protocol's file name becomes its options. */
static bool take_filename(OpenState *state, GError **error)
{
    const char *filename = state->filename;

    state->filename = NULL;
    if (state->driver->parse_filename) {
        return state->driver->parse_filename(filename, state->options, error);
    }
    json_object_object_add(state->options, "filename", json_object_new_string(filename));
    return true;
}

/* From the options or the file name; stays NULL if the content must say. */
static bool choose_driver(OpenState *state, GError **error)
{
    const char *name = text_option(state->options, "driver");

    if (name) {
        state->driver = block_driver_find(name, error);
        if (!state->driver) {
            return false;
        }
    } else if (state->open_flags & BLOCK_OPEN_PROTOCOL) {
        if (!state->filename && text_option(state->options, "filename")) {
            state->filename_copy = g_strdup(text_option(state->options, "filename"));
            state->filename = state->filename_copy;
            json_object_object_del(state->options, "filename");
        }
        if (!state->filename) {
            error_setf(error, "Must specify either driver or file");
            return false;
        }
        state->driver = block_driver_find_protocol(state->filename, error);
        if (!state->driver) {
            return false;
        }
        json_object_object_add(state->options, "driver",
                               json_object_new_string(state->driver->name));
    }
    if (state->filename && state->driver && state->driver->protocol &&
        !take_filename(state, error)) {
        return false;
    }
    return !state->driver || !state->driver->take_old_options ||
           state->driver->take_old_options(state->options, error);
}

/* ---- Modes ---- */

static const char *const mode_keys[] = {
    "read-only", "auto-read-only", "cache", "discard", "detect-zeroes", "force-share",
};

/* What a child has where its own options say nothing. */
static BlockMode inherited_mode(const BlockMode *parent, unsigned role)
{
    BlockMode mode = *parent;

    if (role & BLOCK_ROLE_COW) {
        mode.read_only = true;
        mode.auto_read_only = false;
    }
    mode.discard_unmap = true; /* the parent has dropped what it does not want to pass on */
    mode.detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    return mode;
}

void block_mode_from_options(BlockMode *mode, const BlockdevOptions *options)
{
    if (options->has_read_only) {
        mode->read_only = options->read_only;
    }
    if (options->has_auto_read_only) {
        mode->auto_read_only = options->auto_read_only;
    }
    if (options->cache && options->cache->has_direct) {
        mode->cache_direct = options->cache->direct;
    }
    if (options->cache && options->cache->has_no_flush) {
        mode->cache_no_flush = options->cache->no_flush;
    }
    if (options->has_discard) {
        mode->discard_unmap = options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
    }
    if (options->has_force_share) {
        mode->force_share = options->force_share;
    }
    if (options->has_detect_zeroes) {
        mode->detect_zeroes = options->detect_zeroes;
    }
}

bool block_mode_check(const BlockMode *mode, GError **error)
{
    if (mode->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && !mode->discard_unmap) {
        error_setf(error, "setting detect-zeroes to unmap is not allowed without setting discard "
                   "operation to unmap");
        return false;
    }
    if (mode->force_share && !mode->read_only) {
        error_setf(error, "force-share=on can only be used with read-only images");
        return false;
    }
    return true;
}

/* The children need it before the whole can be read: by way of a driver that has no options. */
static bool read_mode(OpenState *state, const BlockMode *inherited, GError **error)
{
    json_object *generic = json_object_new_object();
    g_autoptr(BlockdevOptions) options = NULL;
    json_object *value;
    bool ok;

    for (size_t i = 0; i < G_N_ELEMENTS(mode_keys); i++) {
        if (json_object_object_get_ex(state->options, mode_keys[i], &value)) {
            json_object_object_add(generic, mode_keys[i], json_object_get(value));
        }
    }
    json_object_object_add(generic, "driver", json_object_new_string("null-co"));
    ok = BlockdevOptions_from_json(generic, state->flags, &options, error);
    json_object_put(generic);
    if (!ok) {
        return false;
    }
    state->mode = *inherited;
    block_mode_from_options(&state->mode, options);
    return block_mode_check(&state->mode, error);
}

/* ---- Children ---- */

static bool is_open_already(const OpenState *state, const char *name)
{
    for (guint i = 0; i < state->children->len; i++) {
        if (!strcmp(g_array_index(state->children, Opened, i).name, name)) {
            return true;
        }
    }
    return false;
}

static BlockNode *open_child_value(OpenState *state, const BlockChildSpec *spec, json_object *value,
                                   const char *filename, GError **error)
{
    BlockMode mode = inherited_mode(&state->mode, spec->role);
    unsigned flags = state->open_flags & (BLOCK_OPEN_NO_IO | BLOCK_OPEN_INACTIVE);
    BlockNode *node;

    if (json_object_is_type(value, json_type_string)) {
        node = block_node_find(json_object_get_string(value));
        if (!node) {
            error_setf(error, "Cannot find device='' nor node-name='%s'",
                       json_object_get_string(value));
            return NULL;
        }
        return block_node_ref(node);
    }
    if (value && !json_object_is_type(value, json_type_object)) {
        error_setf(error, "Parameter '%s' must be an object or the name of a node", spec->name);
        return NULL;
    }
    if (spec->role & BLOCK_ROLE_COW) {
        flags |= state->open_flags & BLOCK_OPEN_NO_BACKING;
    } else if (!(spec->role & BLOCK_ROLE_FILTERED) || !state->driver || filename) {
        flags |= BLOCK_OPEN_PROTOCOL;
    }
    return open_node(filename, value, state->flags, flags, &mode, state->depth + 1, error);
}

static bool add_child(OpenState *state, const BlockChildSpec *spec, const char *name,
                      json_object *value, const char *filename, GError **error)
{
    Opened opened = { .spec = spec };

    opened.node = open_child_value(state, spec, value, filename, error);
    if (!opened.node) {
        return false;
    }
    opened.name = g_strdup(name);
    g_array_append_val(state->children, opened);
    return true;
}

static bool open_child_list(OpenState *state, const BlockChildSpec *spec, json_object *values,
                            GError **error)
{
    if (!json_object_is_type(values, json_type_array)) {
        error_setf(error, "Parameter '%s' must be an array", spec->name);
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(values); i++) {
        g_autofree char *name = g_strdup_printf("%s.%zu", spec->name, i);

        if (!add_child(state, spec, name, json_object_array_get_idx(values, i), NULL, error)) {
            return false;
        }
    }
    return true;
}

static bool open_child(OpenState *state, const BlockChildSpec *spec, GError **error)
{
    json_object *value = NULL;
    bool given = json_object_object_get_ex(state->options, spec->name, &value);
    const char *filename = NULL;

    if ((spec->role & BLOCK_ROLE_COW) || is_open_already(state, spec->name)) {
        return true;
    }
    if (given && spec->is_list) {
        return open_child_list(state, spec, value, error);
    }
    if ((spec->role & BLOCK_ROLE_PRIMARY) && !json_object_is_type(value, json_type_string)) {
        filename = state->filename;
        state->filename = NULL;
    }
    if (!given && !filename) {
        if (spec->required) {
            error_setf(error, "A block device must be specified for \"%s\"", spec->name);
        }
        return !spec->required;
    }
    return add_child(state, spec, spec->name, value, filename, error);
}

static bool open_declared_children(OpenState *state, GError **error)
{
    for (const BlockChildSpec *spec = state->driver->children; spec && spec->name; spec++) {
        if (!open_child(state, spec, error)) {
            return false;
        }
    }
    if (state->filename) {
        error_setf(error, "The '%s' block driver does not take a file name ('%s')",
                   state->driver->name, state->filename);
        return false;
    }
    return true;
}

/* ---- Probing ---- */

typedef struct ProbeRead {
    BlockChild *child;
    uint8_t buf[BLOCK_PROBE_SIZE];
    int64_t len;
} ProbeRead;

static void probe_read(void *opaque)
{
    ProbeRead *probe = opaque;
    int64_t size = block_getlength(probe->child->node);
    int ret = 0;

    if (size > 0) {
        size = MIN(size, BLOCK_PROBE_SIZE);
        ret = block_pread(probe->child, 0, size, probe->buf);
    }
    probe->len = ret < 0 ? ret : size;
}

static char *describe_prober(void *parent)
{
    return g_strdup("the detection of the image's format");
}

static const BlockParentOps prober_ops = { .describe = describe_prober };

static bool probe_format(OpenState *state, GError **error)
{
    BlockNode *node;
    ProbeRead probe = { 0 };

    if (!open_child(state, &storage_spec, error)) {
        return false;
    }
    node = g_array_index(state->children, Opened, 0).node;
    probe.child = block_parent_attach(&prober_ops, NULL, node, "probe", 0,
                                      BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, error);
    if (!probe.child) {
        return false;
    }
    block_run(node, probe_read, &probe);
    block_child_detach(probe.child);
    if (probe.len < 0) {
        error_set_errno(error, -probe.len, "Could not read image '%s' for determining its format",
                        node->filename);
        return false;
    }
    state->driver = block_probe(probe.buf, probe.len, node->filename);
    if (!state->driver) {
        state->driver = block_driver_find("raw", error);
    }
    if (!state->driver) {
        return false;
    }
    state->probed = true;
    json_object_object_add(state->options, "driver", json_object_new_string(state->driver->name));
    return true;
}

/* ---- The node itself ---- */

static bool attach_children(OpenState *state, BlockNode *node, GError **error)
{
    for (guint i = 0; i < state->children->len; i++) {
        Opened *opened = &g_array_index(state->children, Opened, i);
        unsigned role = opened->spec == &storage_spec ? node->driver->children[0].role
                                                      : opened->spec->role;

        if (!block_node_attach(node, opened->node, opened->name, role, error)) {
            return false;
        }
    }
    return true;
}

/* The schema's form: children by name. */
static BlockdevOptions *typed_options(OpenState *state, GError **error)
{
    BlockdevOptions *options = NULL;

    for (guint i = 0; i < state->children->len; i++) {
        Opened *opened = &g_array_index(state->children, Opened, i);

        if (!opened->spec->is_list) {
            json_object_object_add(state->options, opened->name,
                                   json_object_new_string(opened->node->name));
        }
    }
    BlockdevOptions_from_json(state->options, state->flags, &options, error);
    return options;
}

typedef struct DriverOpen {
    BlockNode *node;
    const BlockdevOptions *options;
    unsigned flags;
    GError **error;
    bool ok;
} DriverOpen;

static void driver_open(void *opaque)
{
    DriverOpen *args = opaque;

    args->ok = args->node->driver->open(args->node, args->options, args->flags, args->error);
}

static bool start_driver(OpenState *state, BlockNode *node, const BlockdevOptions *options,
                         GError **error)
{
    DriverOpen args = { node, options, state->open_flags, error };

    node->options = BlockdevOptions_to_json(options);
    if (!node->driver->pwritev && !node->driver->is_filter) {
        g_autofree char *reason = g_strdup_printf("The '%s' block driver cannot write; open the "
                                                  "image read-only", node->driver->name);

        if (!block_node_fall_to_read_only(node, reason, error)) {
            return false;
        }
    }
    block_run(node, driver_open, &args);
    if (!args.ok) {
        return false;
    }
    node->p->opened = true;
    if (node->p->quiesce > 0 && node->driver->drain_begin) {
        /* Over a node that is drained; its end will be told as well. */
        node->driver->drain_begin(node);
    }
    block_refresh_limits(node);
    block_refresh_filename(node);
    return block_node_refresh_perms(node, error);
}

static BlockNode *make_node(OpenState *state, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;
    g_autoptr(BlockNode) node = NULL;

    json_object_object_del(state->options, "backing");
    options = typed_options(state, error);
    if (!options) {
        return NULL;
    }
    node = block_node_new(state->driver, options->node_name, error);
    if (!node) {
        return NULL;
    }
    node->mode = state->mode;
    node->open_flags = state->open_flags;
    node->probed = state->probed;
    node->p->explicit_options = json_object_get(state->given);
    node->p->options_flags = state->flags;
    if (state->children->len) {
        /* Where its first child is; it may have been put there with care. */
        node->loop = g_array_index(state->children, Opened, 0).node->loop;
    }
    if (!attach_children(state, node, error) || !start_driver(state, node, options, error)) {
        return NULL;
    }
    return g_steal_pointer(&node);
}

static void state_cleanup(OpenState *state)
{
    for (guint i = 0; i < state->children->len; i++) {
        Opened *opened = &g_array_index(state->children, Opened, i);

        g_free(opened->name);
        block_node_unref(opened->node);
    }
    g_array_unref(state->children);
    g_free(state->filename_copy);
    json_object_put(state->options);
    json_object_put(state->given);
}

static bool open_below(OpenState *state, const BlockMode *mode, GError **error)
{
    if (state->filename && g_str_has_prefix(state->filename, "json:") &&
        !expand_json_name(state, error)) {
        return false;
    }
    return choose_driver(state, error) && read_mode(state, mode, error) &&
           (state->driver || probe_format(state, error)) && open_declared_children(state, error);
}

/* Without the backing chain. */
static BlockNode *open_single(const char *filename, json_object *options, QapiFlags flags,
                              unsigned open_flags, const BlockMode *mode, unsigned depth,
                              GError **error)
{
    OpenState state = { .flags = flags, .open_flags = open_flags, .filename = filename,
                        .depth = depth, .children = g_array_new(FALSE, FALSE, sizeof(Opened)) };
    BlockNode *node = NULL;

    state.options = json_object_new_object();
    state.given = json_object_new_object();
    if (options) {
        json_object_object_foreach(options, key, value) {
            json_object_object_add(state.options, key, json_object_get(value));
            json_object_object_add(state.given, key, json_object_get(value));
        }
    }
    if (depth > MAX_NESTING) {
        error_setf(error, "Block options are nested too deeply");
    } else if (open_below(&state, mode, error)) {
        node = make_node(&state, error);
    }
    state_cleanup(&state);
    return node;
}

/* ---- Backing files ---- */

/*
 * A name in a header that was found by guessing may send us anywhere: only plain paths then, which
 * are beside the image, on a server too, or on this host.
 */
static bool header_name_is_allowed(BlockNode *node, const char *filename, GError **error)
{
    if (!node->probed || !block_path_has_protocol(filename)) {
        return true;
    }
    error_setf(error, "The header of '%s', whose format was not given, names '%s': to open that, "
               "give the image's format", node->filename, filename);
    return false;
}

/* The next of the chain: NULL without an error if there is none. */
static BlockNode *open_next_backing(BlockNode *node, json_object *options, QapiFlags flags,
                                    unsigned open_flags, GError **error)
{
    BlockMode mode = inherited_mode(&node->mode, BLOCK_ROLE_COW);
    unsigned child_flags = open_flags & ~(BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_CHECK);
    bool has_driver = options && text_option(options, "driver");
    bool names_image = options && (text_option(options, "filename") ||
                                   json_object_object_get_ex(options, "file", NULL));
    g_autofree char *filename = NULL;
    json_object *with_format = NULL;
    BlockNode *backing;

    if (!names_image) {
        GError *local = NULL;

        filename = block_full_backing_filename(node, &local);
        if (local) {
            g_propagate_error(error, local);
            return NULL;
        }
        if (!filename || !header_name_is_allowed(node, node->header_backing_file, error)) {
            return NULL;
        }
        if (node->header_backing_format && !has_driver) {
            with_format = json_object_new_object();
            json_object_object_add(with_format, "driver",
                                   json_object_new_string(node->header_backing_format));
        }
    }
    backing = open_single(filename, with_format ? with_format : options, flags, child_flags, &mode,
                          0, error);
    json_object_put(with_format);
    if (!backing) {
        g_prefix_error(error, "Could not open backing file of '%s': ", node->filename);
    }
    return backing;
}

/* The "backing" member of what the person gave. False: error. *reference: a node by name. */
static bool backing_option(BlockNode *node, json_object **object, BlockNode **reference, bool *none,
                           GError **error)
{
    json_object *value;

    *object = NULL;
    *reference = NULL;
    *none = false;
    if (!json_object_object_get_ex(node->p->explicit_options, "backing", &value)) {
        *none = node->open_flags & BLOCK_OPEN_NO_BACKING;
        return true;
    }
    if (!node->driver->supports_backing) {
        error_setf(error, "Parameter 'backing' is unexpected: the '%s' driver has no backing files",
                   node->driver->name);
        return false;
    }
    if (!value || (json_object_is_type(value, json_type_string) &&
                   !*json_object_get_string(value))) {
        *none = true;
    } else if (json_object_is_type(value, json_type_string)) {
        *reference = block_node_find(json_object_get_string(value));
        if (!*reference) {
            error_setf(error, "Cannot find device='' nor node-name='%s'",
                       json_object_get_string(value));
            return false;
        }
    } else if (json_object_is_type(value, json_type_object)) {
        *object = value;
    } else {
        error_setf(error, "Parameter 'backing' must be an object, the name of a node, or null");
        return false;
    }
    return true;
}

/* Sets *next to what was opened, which may have a backing file itself. */
static bool add_backing(BlockNode *node, QapiFlags flags, unsigned open_flags, BlockNode **next,
                        GError **error)
{
    g_autoptr(BlockNode) backing = NULL;
    json_object *object;
    BlockNode *reference;
    bool none;
    GError *local = NULL;

    *next = NULL;
    if (!backing_option(node, &object, &reference, &none, error)) {
        return false;
    }
    if (none || !node->driver->supports_backing) {
        return true;
    }
    if (reference) {
        backing = block_node_ref(reference);
    } else {
        backing = open_next_backing(node, object, flags, open_flags, &local);
        if (local) {
            g_propagate_error(error, local);
            return false;
        }
        *next = backing;
        node->p->backing_by_header = object ? NULL : backing;
    }
    return !backing || block_node_set_backing(node, backing, error);
}

static bool open_chain(BlockNode *node, QapiFlags flags, unsigned open_flags, GError **error)
{
    BlockNode *next = node;

    for (unsigned length = 0; next; length++) {
        if (length == BLOCK_MAX_DEPTH) {
            error_setf(error, "The chain of backing files of '%s' is longer than %d, or a circle",
                       node->filename, BLOCK_MAX_DEPTH);
            return false;
        }
        if (!add_backing(next, flags, open_flags, &next, error)) {
            return false;
        }
    }
    return true;
}

static BlockNode *open_node(const char *filename, json_object *options, QapiFlags flags,
                            unsigned open_flags, const BlockMode *mode, unsigned depth,
                            GError **error)
{
    g_autoptr(BlockNode) node = open_single(filename, options, flags, open_flags, mode, depth,
                                            error);

    return node && open_chain(node, flags, open_flags, error) ? g_steal_pointer(&node) : NULL;
}

bool block_open_backing(BlockNode *node, GError **error)
{
    node->open_flags &= ~(unsigned)BLOCK_OPEN_NO_BACKING;
    return node->backing || open_chain(node, node->p->options_flags, node->open_flags, error);
}

BlockChild *block_open_header_child(BlockNode *parent, const char *child_name, unsigned role,
                                    const char *filename, const char *format, GError **error)
{
    BlockMode mode = inherited_mode(&parent->mode, role);
    g_autofree char *path = block_path_combine(parent->file->node->filename, filename);
    g_autoptr(BlockNode) node = NULL;
    json_object *options = NULL;
    unsigned flags = parent->open_flags & (BLOCK_OPEN_NO_IO | BLOCK_OPEN_INACTIVE);

    if (!header_name_is_allowed(parent, path, error)) {
        return NULL;
    }
    if (format) {
        options = json_object_new_object();
        json_object_object_add(options, "driver", json_object_new_string(format));
    } else {
        flags |= BLOCK_OPEN_PROTOCOL;
    }
    node = open_node(path, options, QAPI_JSON, flags, &mode, 1, error);
    json_object_put(options);
    return node ? block_node_attach(parent, node, child_name, role, error) : NULL;
}

/* ---- From outside ---- */

BlockNode *block_open(const char *filename, const char *reference, json_object *options,
                      QapiFlags qapi_flags, unsigned open_flags, GError **error)
{
    BlockMode defaults = { 0 };
    BlockNode *node;

    if (reference) {
        node = block_node_find(reference);
        if (!node) {
            error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND,
                           "Cannot find device='' nor node-name='%s'", reference);
            return NULL;
        }
        return block_node_ref(node);
    }
    node = open_node(filename, options, qapi_flags, open_flags, &defaults, 0, error);
    if (!node && filename && error && !strstr((*error)->message, filename)) {
        g_prefix_error(error, "Could not open '%s': ", filename);
    }
    return node;
}

BlockNode *block_open_blockdev(const BlockdevOptions *options, GError **error)
{
    json_object *json = BlockdevOptions_to_json(options);
    BlockNode *node = NULL;

    if (!options->node_name) {
        error_setf(error, "'node-name' must be specified for the root node");
    } else {
        node = block_open(NULL, NULL, json, QAPI_JSON, 0, error);
    }
    json_object_put(json);
    if (node) {
        node->p->monitor_owned = true;
    }
    return node;
}

bool block_monitor_owns(BlockNode *node)
{
    return node->p->monitor_owned;
}

bool block_monitor_del(const char *node_name, GError **error)
{
    BlockNode *node = block_node_find(node_name);

    if (!node) {
        error_setf(error, "Failed to find node with node-name='%s'", node_name);
        return false;
    }
    if (!node->p->monitor_owned) {
        error_setf(error, "Node %s is not owned by the monitor", node_name);
        return false;
    }
    if (node->parents->len || node->refs > 1) {
        error_setf(error, "Block device %s is in use", node_name);
        return false;
    }
    block_node_unref(node);
    return true;
}

static BlockNode *find_unused(void)
{
    g_autoptr(GPtrArray) nodes = block_node_list();

    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        if (node->p->monitor_owned && !node->parents->len && node->refs == 1) {
            return node;
        }
    }
    return NULL;
}

void block_monitor_close_all(void)
{
    BlockNode *node;

    while ((node = find_unused())) {
        block_node_unref(node);
    }
}

/* ---- Cache modes ---- */

static const struct {
    const char *name;
    bool direct, no_flush, writethrough;
} cache_modes[] = {
    { "writeback", false, false, false },   { "none", true, false, false },
    { "off", true, false, false },          { "directsync", true, false, true },
    { "writethrough", false, false, true }, { "unsafe", false, true, false },
};

bool block_parse_cache_mode(const char *mode, BlockMode *out, bool *writethrough)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cache_modes); i++) {
        if (!strcmp(cache_modes[i].name, mode)) {
            out->cache_direct = cache_modes[i].direct;
            out->cache_no_flush = cache_modes[i].no_flush;
            *writethrough = cache_modes[i].writethrough;
            return true;
        }
    }
    return false;
}
