/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to chardevs: -chardev's key=value text, creation by name, replacing, help. A
 * backend's options are its type's properties.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "chardev/backend.h"
#include "qapi/keyval.h"
#include "util/error.h"
#include "util/parse.h"

/* Text. */

/*
 * One part of an option text as key=value: "server" and "nowait" are what people wrote for years.
 */
static void append_part(GString *out, const char *part, size_t len, bool first)
{
    g_autofree char *word = g_strndup(part, len);

    if (!first) {
        g_string_append_c(out, ',');
    }
    g_string_append(out, word);
    if (first || strchr(word, '=') || g_str_equal(word, "help") || g_str_equal(word, "?") ||
        !*word) {
        return;
    }
    if (g_str_has_prefix(word, "no") && !g_str_equal(word, "nodelay")) {
        g_string_truncate(out, out->len - len);
        g_string_append_printf(out, "%s=off", word + 2);
    } else {
        g_string_append(out, "=on");
    }
}

json_object *chardev_parse_options(const char *text, bool *help, GError **error)
{
    g_autoptr(GString) full = g_string_new(NULL);
    const char *part = text;

    if (keyval_is_json(text)) {
        return keyval_parse(text, "backend", help, error);
    }
    for (;;) {
        const char *end = part;

        while (*end && !(end[0] == ',' && end[1] != ',')) {
            end += end[0] == ',' ? 2 : 1;
        }
        append_part(full, part, end - part, part == text);
        if (!*end) {
            break;
        }
        part = end + 1;
    }
    return keyval_parse(full->str, "backend", help, error);
}

/* Backends by name. */

static GPtrArray *backend_names(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_CHARDEV, false);
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < types->len; i++) {
        const ChardevOps *ops = type_ops(g_ptr_array_index(types, i));

        g_ptr_array_add(names, (void *)ops->backend);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static const TypeInfo *find_backend(const char *name, GError **error)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_CHARDEV, false);
    g_autoptr(GPtrArray) names = NULL;

    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const ChardevOps *ops = type_ops(type);

        if (g_str_equal(ops->backend, name) || g_strcmp0(ops->alias, name) == 0) {
            return type;
        }
    }
    if (g_str_equal(name, "vc")) {
        error_setf(error, "chardev backend 'vc' needs a display, which this version does not have "
                   "yet");
        return NULL;
    }
    error_setf(error, "there is no chardev backend '%s' (-chardev help lists them)", name);
    names = backend_names();
    error_append_nearest(error, name, (const char *const *)names->pdata);
    return NULL;
}

char *chardev_backends_help(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_CHARDEV, false);
    GString *text = g_string_new("Chardev backends (-chardev BACKEND,help shows the options):\n");

    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const ChardevOps *ops = type_ops(type);

        g_string_append_printf(text, "  %-10s %s\n", ops->backend, type->description);
    }
    return g_string_free(text, false);
}

static bool describe_option(const TypeInfo *owner, const Property *prop, void *opaque)
{
    GString *text = opaque;
    g_autofree char *usage = g_strdup_printf("%s=<%s>", prop->name, prop->kind->type_name);
    g_autofree char *value = property_default_text(prop);

    if ((prop->flags & (PROP_HIDDEN | PROP_READ_ONLY)) || (prop->get && !prop->set)) {
        return true;
    }
    g_string_append_printf(text, "  %-24s %s", usage, prop->description);
    g_string_append_printf(text, value ? " (default: %s)\n" : "\n", value);
    return true;
}

char *chardev_backend_help(const char *backend, GError **error)
{
    const TypeInfo *type = find_backend(backend, error);
    GString *text;

    if (!type) {
        return NULL;
    }
    text = g_string_new(NULL);
    g_string_append_printf(text, "%s options:\n  %-24s %s\n", backend, "id=<str>",
                           "its name, by which others use it");
    g_string_append_printf(text, "  %-24s %s\n", "mux=<bool>",
                           "share it between several users; Ctrl-a c switches");
    type_foreach_property(type, describe_option, text);
    return g_string_free(text, false);
}

/* Making. */

static bool id_is_valid(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    for (; *id; id++) {
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

static bool collect_option(const TypeInfo *owner, const Property *prop, void *opaque)
{
    g_ptr_array_add(opaque, (void *)prop->name);
    return true;
}

static void no_such_option(const TypeInfo *type, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const ChardevOps *ops = type_ops(type);

    error_setf(error, "chardev backend '%s' has no option '%s'", ops->backend, name);
    type_foreach_property(type, collect_option, names);
    g_ptr_array_add(names, (void *)"mux");
    g_ptr_array_add(names, NULL);
    error_append_nearest(error, name, (const char *const *)names->pdata);
}

static bool set_option(Object *obj, const char *key, json_object *value, GError **error)
{
    bool ok;

    if (!type_find_property(obj->type, key)) {
        no_such_option(obj->type, key, error);
        return false;
    }
    if (json_object_is_type(value, json_type_string)) {
        ok = object_property_parse(obj, key, json_object_get_string(value), error);
    } else {
        ok = object_property_set(obj, key, value, error);
    }
    return ok;
}

static bool set_options(Object *obj, json_object *options, GError **error)
{
    json_object_object_foreach(options, key, value) {
        if (g_str_equal(key, "id") || g_str_equal(key, "backend") || g_str_equal(key, "mux")) {
            continue;
        }
        if (!set_option(obj, key, value, error)) {
            return false;
        }
    }
    return true;
}

static bool open_log(Chardev *chr, GError **error)
{
    if (!chr->log_path) {
        return true;
    }
    chr->log_fd = open(chr->log_path, O_WRONLY | O_CREAT | O_CLOEXEC |
                       (chr->log_append ? O_APPEND : O_TRUNC), 0666);
    if (chr->log_fd < 0) {
        error_set_errno(error, errno, "cannot open log file '%s'", chr->log_path);
        return false;
    }
    return true;
}

static bool wants_mux(json_object *options, bool *mux, GError **error)
{
    json_object *value;

    *mux = false;
    if (!json_object_object_get_ex(options, "mux", &value)) {
        return true;
    }
    if (!parse_bool(json_object_get_string(value), mux, error)) {
        g_prefix_error(error, "option 'mux': ");
        return false;
    }
    return true;
}

/* One chardev, without a mux. */
static Chardev *create_plain(const TypeInfo *type, const char *name, json_object *options,
                             GError **error)
{
    g_autoptr(Object) obj = object_new_with_type(type);
    Chardev *chr = (Chardev *)obj;

    if (!set_options(obj, options, error) ||
        !object_add_child(object_container("/chardevs"), name, obj, error)) {
        return NULL;
    }
    if (!open_log(chr, error) || (chr->ops->open && !chr->ops->open(chr, error))) {
        object_unparent(obj);
        return NULL;
    }
    if (!chr->ops->open) {
        chardev_send_event(chr, CHAR_EVENT_OPENED);
    }
    obj->sealed = true;
    return chr; /* /chardevs holds it */
}

static Chardev *create_muxed(const TypeInfo *type, const char *name, json_object *options,
                             GError **error)
{
    g_autofree char *base_name = g_strdup_printf("%s-base", name);
    json_object *mux_options;
    Chardev *mux;

    if (!create_plain(type, base_name, options, error)) {
        return NULL;
    }
    mux_options = json_object_new_object();
    json_object_object_add(mux_options, "chardev", json_object_new_string(base_name));
    mux = create_plain(type_find(TYPE_CHARDEV_MUX), name, mux_options, error);
    json_object_put(mux_options);
    if (!mux) {
        chardev_remove(base_name, NULL);
    }
    return mux;
}

static const char *get_word(json_object *options, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(options, key, &value) &&
           json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

Chardev *chardev_create(const char *name, json_object *options, GError **error)
{
    const char *backend = get_word(options, "backend");
    const TypeInfo *type;
    Chardev *chr;
    bool mux;

    if (!backend) {
        error_setf(error, "chardev '%s': no backend is named (-chardev help lists them)", name);
        return NULL;
    }
    if (object_child(object_container("/chardevs"), name)) {
        error_setf(error, "there is a chardev '%s' already", name);
        return NULL;
    }
    type = find_backend(backend, error);
    if (!type) {
        return NULL;
    }
    chr = wants_mux(options, &mux, error) ?
        (mux ? create_muxed : create_plain)(type, name, options, error) : NULL;
    if (!chr) {
        g_prefix_error(error, "chardev '%s': ", name);
    }
    return chr;
}

Chardev *chardev_new_from_options(json_object *options, GError **error)
{
    const char *id = get_word(options, "id");

    if (!id) {
        error_setf(error, "a chardev needs an id, such as id=char0");
        return NULL;
    }
    if (!id_is_valid(id)) {
        error_setf(error, "chardev id '%s' is not a name: a letter, then letters, digits, '-', '.' "
                   "and '_'", id);
        return NULL;
    }
    return chardev_create(id, options, error);
}

/* Replacing. */

/* Hand fe over from one chardev to the other; false, and nothing done, if its owner refuses. */
static bool move_frontend(CharFrontend *fe, Chardev *from, Chardev *to)
{
    bool (*changed)(void *) = fe->ops->backend_changed;

    from->fe = NULL;
    to->fe = fe;
    fe->chr = to;
    if (changed(fe->opaque)) {
        chardev_set_loop(to, fe->loop);
        fe->opened = to->be_open;
        chardev_schedule_update(to);
        return true;
    }
    to->fe = NULL;
    from->fe = fe;
    fe->chr = from;
    changed(fe->opaque);
    chardev_schedule_update(from);
    return false;
}

Chardev *chardev_change(const char *id, json_object *options, GError **error)
{
    Chardev *chr = chardev_find(id, error);
    Chardev *fresh;
    g_autofree char *temporary = g_strdup_printf("%s-new", id);
    g_autofree char *name = g_strdup(id);
    CharFrontend *fe;

    if (!chr) {
        return NULL;
    }
    fe = chr->fe;
    if (chr->is_mux || (fe && fe->chr && fe->ops && !fe->ops->backend_changed)) {
        error_setf(error, "chardev '%s': its user does not support a change", id);
        return NULL;
    }
    fresh = chardev_create(temporary, options, error);
    if (!fresh) {
        return NULL;
    }
    if (fresh->is_mux) {
        error_setf(error, "chardev '%s' cannot be changed into a mux", id);
        object_unparent(OBJECT(fresh));
        return NULL;
    }
    if (fe && fe->ops) {
        chardev_set_loop(chr, NULL);
        if (!move_frontend(fe, chr, fresh)) {
            chardev_set_loop(chr, fe->loop);
            error_setf(error, "chardev '%s': its user refuses the new backend", id);
            object_unparent(OBJECT(fresh));
            return NULL;
        }
    } else if (fe) {
        chr->fe = NULL;
        fresh->fe = fe;
        fe->chr = fresh;
    }
    object_ref(OBJECT(fresh));
    object_unparent(OBJECT(fresh));
    object_unparent(OBJECT(chr));
    object_add_child(object_container("/chardevs"), name, OBJECT(fresh), NULL);
    object_unref(OBJECT(fresh));
    return fresh;
}
