/* SPDX-License-Identifier: Apache-2.0 */
/* What a person can ask about devices: -device help, -device X,help, info qtree. */
#include "hw/core/device-internal.h"
#include "util/error.h"

static const char *const category_names[DEVICE_CATEGORY__MAX] = {
    [DEVICE_CATEGORY_MISC] = "Misc",
    [DEVICE_CATEGORY_BRIDGE] = "Controller/Bridge/Hub",
    [DEVICE_CATEGORY_USB] = "USB",
    [DEVICE_CATEGORY_STORAGE] = "Storage",
    [DEVICE_CATEGORY_NETWORK] = "Network",
    [DEVICE_CATEGORY_INPUT] = "Input",
    [DEVICE_CATEGORY_DISPLAY] = "Display",
    [DEVICE_CATEGORY_SOUND] = "Sound",
    [DEVICE_CATEGORY_CPU] = "CPU",
    [DEVICE_CATEGORY_WATCHDOG] = "Watchdog",
};

static void describe_type(GString *out, const TypeInfo *type)
{
    const char *bus = device_type_bus(type);

    g_string_append_printf(out, "name \"%s\"", type->name);
    if (bus) {
        g_string_append_printf(out, ", bus %s", bus);
    }
    for (unsigned i = 0; type->aliases && type->aliases[i]; i++) {
        g_string_append_printf(out, ", alias \"%s\"", type->aliases[i]);
    }
    if (type->description) {
        g_string_append_printf(out, ", desc \"%s\"", type->description);
    }
    g_string_append_c(out, '\n');
}

char *device_types_help(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_DEVICE, false);
    GString *out = g_string_new(NULL);

    for (unsigned category = 0; category < DEVICE_CATEGORY__MAX; category++) {
        bool titled = false;

        for (unsigned i = 0; i < types->len; i++) {
            const TypeInfo *type = g_ptr_array_index(types, i);
            const DeviceHooks *hooks = type_device_hooks(type);

            if (!type->user_creatable || !hooks || hooks->category != category) {
                continue;
            }
            if (!titled) {
                g_string_append_printf(out, "%s%s devices:\n", out->len ? "\n" : "",
                                       category_names[category]);
                titled = true;
            }
            describe_type(out, type);
        }
    }
    return g_string_free(out, FALSE);
}

static gint compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool property_line(const TypeInfo *owner, const Property *prop, void *opaque)
{
    GPtrArray *lines = opaque;
    g_autofree char *left = NULL;
    g_autofree char *def = NULL;

    if (prop->flags & (PROP_HIDDEN | PROP_READ_ONLY)) {
        return true;
    }
    left = g_strdup_printf("  %s=<%s>", prop->name, prop->kind->type_name);
    def = property_default_text(prop);
    g_ptr_array_add(lines, g_strdup_printf("%-24s - %s%s%s%s", left,
                                           prop->description ? prop->description : "",
                                           def ? " (default: " : "", def ? def : "",
                                           def ? ")" : ""));
    return true;
}

char *device_type_help(const char *name, GError **error)
{
    const TypeInfo *type = type_find(name);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    GString *out;

    if (!type || !type_is_a(type, TYPE_DEVICE)) {
        error_setf(error, "'%s' is not a valid device model name", name);
        return NULL;
    }
    type_foreach_property(type, property_line, lines);
    g_ptr_array_sort(lines, compare_lines);
    out = g_string_new(NULL);
    if (lines->len) {
        g_string_append_printf(out, "%s options:\n", type->name);
    } else {
        g_string_append_printf(out, "There are no options for %s.\n", type->name);
    }
    for (unsigned i = 0; i < lines->len; i++) {
        g_string_append_printf(out, "%s\n", (const char *)g_ptr_array_index(lines, i));
    }
    return g_string_free(out, FALSE);
}

typedef struct TreeWriter {
    GString *out;
    Object *obj;
    unsigned indent;
} TreeWriter;

static bool write_property(const TypeInfo *owner, const Property *prop, void *opaque)
{
    TreeWriter *writer = opaque;
    json_object *value;

    if (prop->flags & PROP_HIDDEN) {
        return true;
    }
    value = object_property_get(writer->obj, prop->name, NULL);
    g_string_append_printf(writer->out, "%*s%s = %s\n", writer->indent, "", prop->name,
                           value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN)
                                 : "null");
    json_object_put(value);
    return true;
}

static void write_bus(GString *out, Bus *bus, unsigned indent);

static void write_device(GString *out, Device *dev, unsigned indent)
{
    TreeWriter writer = { .out = out, .obj = OBJECT(dev), .indent = indent + 2 };
    const BusOps *ops = dev->bus ? bus_ops(dev->bus) : NULL;

    g_string_append_printf(out, "%*sdev: %s, id \"%s\"\n", indent, "", object_type_name(dev),
                           dev->id ? dev->id : "");
    type_foreach_property(OBJECT(dev)->type, write_property, &writer);
    if (ops && ops->describe) {
        g_autofree char *place = ops->describe(dev->bus, dev);

        g_string_append_printf(out, "%*s%s\n", indent + 2, "", place);
    }
    for (unsigned i = 0; dev->buses && i < dev->buses->len; i++) {
        write_bus(out, g_ptr_array_index(dev->buses, i), indent + 2);
    }
}

static void write_bus(GString *out, Bus *bus, unsigned indent)
{
    g_string_append_printf(out, "%*sbus: %s\n%*stype %s\n", indent, "",
                           OBJECT(bus)->name, indent + 2, "", object_type_name(bus));
    for (unsigned i = 0; i < bus->children->len; i++) {
        write_device(out, g_ptr_array_index(bus->children, i), indent + 2);
    }
}

char *device_tree_describe(void)
{
    GString *out = g_string_new(NULL);

    write_bus(out, bus_system(), 0);
    return g_string_free(out, FALSE);
}
