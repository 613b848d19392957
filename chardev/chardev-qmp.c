/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP commands of qapi/char.json. A ChardevBackend is flattened into the options that -chardev
 * takes.
 */
#include <string.h>

#include "chardev/backend.h"
#include "chardev/ringbuf.h"
#include "qapi/qapi-commands-char.h"
#include "util/error.h"

/* Queries. */

static bool frontend_is_open(Chardev *chr)
{
    if (chr->is_mux) {
        return chardev_mux_has_frontends(chr);
    }
    return chr->fe && chr->fe->ops && !chr->fe->closed;
}

static bool describe(Object *child, void *opaque)
{
    Chardev *chr = (Chardev *)child;
    ChardevInfo *info = g_new0(ChardevInfo, 1);

    info->label = g_strdup(chardev_id(chr));
    info->filename = chardev_filename(chr);
    info->frontend_open = frontend_is_open(chr);
    g_ptr_array_add(opaque, info);
    return true;
}

GPtrArray *qmp_query_chardev(GError **error)
{
    GPtrArray *list = ChardevInfo_list_new();

    object_foreach_child(object_container("/chardevs"), describe, list);
    return list;
}

static void add_backend_name(GPtrArray *list, const char *name)
{
    ChardevBackendInfo *info;

    if (name) {
        info = g_new0(ChardevBackendInfo, 1);
        info->name = g_strdup(name);
        g_ptr_array_add(list, info);
    }
}

GPtrArray *qmp_query_chardev_backends(GError **error)
{
    GPtrArray *list = ChardevBackendInfo_list_new();
    g_autoptr(GPtrArray) types = type_list(TYPE_CHARDEV, false);

    for (guint i = 0; i < types->len; i++) {
        const ChardevOps *ops = type_ops(g_ptr_array_index(types, i));

        add_backend_name(list, ops->backend);
        add_backend_name(list, ops->alias);
    }
    return list;
}

/* Flattening. */

static json_object *member(json_object *object, const char *key)
{
    json_object *value = NULL;

    json_object_object_get_ex(object, key, &value);
    return value;
}

static void copy_member(json_object *to, const char *new_key, json_object *from, const char *key)
{
    json_object *value = member(from, key);

    if (value) {
        json_object_object_add(to, new_key, json_object_get(value));
    }
}

/* Members of a SocketAddressLegacy, under the names that the backend's options have. */
static void flatten_address(json_object *to, json_object *legacy, bool local)
{
    static const char *const keys[] = { "path", "abstract", "tight", "to", "ipv4", "ipv6" };
    json_object *data = member(legacy, "data");

    copy_member(to, local ? "localaddr" : "host", data, "host");
    copy_member(to, local ? "localport" : "port", data, "port");
    for (size_t i = 0; !local && i < G_N_ELEMENTS(keys); i++) {
        copy_member(to, keys[i], data, keys[i]);
    }
    copy_member(to, "fd", data, "str");
    copy_member(to, "cid", data, "cid"); /* vsock: refused by name */
}

static const struct {
    const char *qmp, *option; /* option NULL: same */
} renamed[] = {
    { "in", "input-path" },
    { "out", "path" },
    { "device", "path" },
};

static void add_flat(json_object *flat, const char *key, json_object *value)
{
    if (g_str_equal(key, "addr") || g_str_equal(key, "remote") || g_str_equal(key, "local")) {
        flatten_address(flat, value, g_str_equal(key, "local"));
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(renamed); i++) {
        if (g_str_equal(key, renamed[i].qmp)) {
            key = renamed[i].option;
        }
    }
    json_object_object_add(flat, key, json_object_get(value));
}

static json_object *bool_or(json_object *data, const char *key, bool value)
{
    json_object *given = member(data, key);

    return given ? json_object_get(given) : json_object_new_boolean(value);
}

/*
 * wait is an on/off/auto option; QMP's default for server and wait differs from the command
 * line's.
 */
static void socket_defaults(json_object *flat, json_object *data)
{
    json_object *server = bool_or(data, "server", true);
    json_object *wait = member(data, "wait");

    if (json_object_get_boolean(server) || (wait && json_object_get_boolean(wait))) {
        json_object_object_add(flat, "wait", json_object_new_string(
            wait && json_object_get_boolean(wait) ? "on" : "off"));
    } else {
        json_object_object_del(flat, "wait");
    }
    json_object_object_add(flat, "server", server);
}

/* ipv4 and ipv6 are on/off/auto options too. */
static void words_for_bools(json_object *flat)
{
    static const char *const keys[] = { "ipv4", "ipv6" };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        json_object *value = member(flat, keys[i]);

        if (value) {
            bool on = json_object_get_boolean(value);

            json_object_object_add(flat, keys[i], json_object_new_string(on ? "on" : "off"));
        }
    }
}

static json_object *flatten(const ChardevBackend *backend)
{
    json_object *json = qapi_to_json(&ChardevBackend_type, backend);
    json_object *flat = json_object_new_object();
    json_object *data = member(json, "data");

    json_object_object_add(flat, "backend", json_object_get(member(json, "type")));
    if (data) {
        json_object_object_foreach(data, key, value) {
            add_flat(flat, key, value);
        }
    }
    if (backend->type == CHARDEV_BACKEND_KIND_SOCKET) {
        socket_defaults(flat, data);
    }
    words_for_bools(flat);
    json_object_put(json);
    return flat;
}

static ChardevReturn *answer_for(Chardev *chr)
{
    ChardevReturn *answer = g_new0(ChardevReturn, 1);
    g_autofree char *filename = chardev_filename(chr);

    if (g_str_has_prefix(filename, "pty:")) {
        answer->pty = g_strdup(filename + strlen("pty:"));
    }
    return answer;
}

/* Changes. */

ChardevReturn *qmp_chardev_add(const char *id, const ChardevBackend *backend, GError **error)
{
    json_object *options = flatten(backend);
    Chardev *chr;

    json_object_object_add(options, "id", json_object_new_string(id));
    chr = chardev_new_from_options(options, error);
    json_object_put(options);
    return chr ? answer_for(chr) : NULL;
}

ChardevReturn *qmp_chardev_change(const char *id, const ChardevBackend *backend, GError **error)
{
    json_object *options = flatten(backend);
    Chardev *chr = chardev_change(id, options, error);

    json_object_put(options);
    return chr ? answer_for(chr) : NULL;
}

bool qmp_chardev_remove(const char *id, GError **error)
{
    return chardev_remove(id, error);
}

bool qmp_chardev_send_break(const char *id, GError **error)
{
    Chardev *chr = chardev_find(id, error);

    if (!chr) {
        return false;
    }
    if (chr->is_mux) {
        chr = chardev_base(chr);
    }
    chardev_send_event(chr, CHAR_EVENT_BREAK);
    return true;
}

/* Ring buffers. */

bool qmp_ringbuf_write(const char *device, const char *data, bool has_format, DataFormat format,
                       GError **error)
{
    g_autofree guchar *bytes = NULL;
    g_autofree char *canonical = NULL;
    gsize len;

    if (!has_format || format != DATA_FORMAT_BASE64) {
        return chardev_ringbuf_write(device, (const uint8_t *)data, strlen(data), error);
    }
    bytes = g_base64_decode(data, &len);
    canonical = g_base64_encode(bytes, len);
    if (!g_str_equal(canonical, data)) {
        error_setf(error, "data is not base64");
        return false;
    }
    return chardev_ringbuf_write(device, bytes, len, error);
}

char *qmp_ringbuf_read(const char *device, int64_t size, bool has_format, DataFormat format,
                       GError **error)
{
    g_autoptr(GByteArray) bytes = chardev_ringbuf_read(device, size, error);

    if (!bytes) {
        return NULL;
    }
    if (has_format && format == DATA_FORMAT_BASE64) {
        return g_base64_encode(bytes->data, bytes->len);
    }
    return g_utf8_make_valid((const char *)bytes->data, bytes->len);
}
