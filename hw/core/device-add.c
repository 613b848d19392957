/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that a person asks for: -device, device_add, device_del. */
#include "hw/core/device-internal.h"
#include "hw/core/machine.h"
#include "qapi/qapi-events-qdev.h"
#include "util/error.h"

static const char *option_str(json_object *options, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(options, key, &value) ? json_object_get_string(value) : NULL;
}

/*
 * Device types that a person may name, for "did you mean". NULL-terminated; the array is the
 * caller's.
 */
static const char **pluggable_names(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_DEVICE, false);
    GPtrArray *names = g_ptr_array_new();

    for (unsigned i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);

        if (type->user_creatable) {
            g_ptr_array_add(names, (void *)type->name);
        }
    }
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

static const TypeInfo *find_pluggable(const char *driver, GError **error)
{
    const TypeInfo *type = type_find(driver);

    if (!type || !type_is_a(type, TYPE_DEVICE) || type->is_abstract) {
        g_autofree const char **names = pluggable_names();

        error_setf(error, "'%s' is not a valid device model name", driver);
        error_append_nearest(error, driver, names);
        return NULL;
    }
    if (!type->user_creatable) {
        error_setf(error, "Device '%s' is part of the board and cannot be added", driver);
        return NULL;
    }
    return type;
}

/*
 * Ids name objects in paths and on the command line: a letter, then letters, digits, '-', '.',
 * '_'.
 */
static bool id_ok(const char *id, GError **error)
{
    bool ok = g_ascii_isalpha(id[0]);

    for (const char *p = id; ok && *p; p++) {
        ok = g_ascii_isalnum(*p) || strchr("-._", *p);
    }
    if (!ok) {
        error_setf(error, "'%s' is not a valid id: it starts with a letter, and letters, digits, "
                   "'-', '.' and '_' follow", id);
    } else if (device_find(id)) {
        error_setf(error, "Duplicate device ID '%s'", id);
        ok = false;
    }
    return ok;
}

static bool set_properties(Device *dev, json_object *options, bool text, GError **error)
{
    static const char *const own[] = { "driver", "id", "bus", NULL };

    json_object_object_foreach(options, key, value) {
        bool ok;

        if (g_strv_contains(own, key)) {
            continue;
        }
        if (text && json_object_is_type(value, json_type_string)) {
            ok = object_property_parse(OBJECT(dev), key, json_object_get_string(value), error);
        } else {
            ok = object_property_set(OBJECT(dev), key, value, error);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static const MachineHotplugOps *machine_hotplug(GError **error)
{
    const MachineHotplugOps *ops = machine_ops(machine_current())->hotplug;

    if (!ops) {
        error_setf(error, "This machine does not support hotplugging of devices without a bus");
    }
    return ops;
}

static bool check_hotplug(const TypeInfo *type, Bus *bus, GError **error)
{
    if (bus && !bus->allow_hotplug) {
        error_setf(error, "Bus '%s' does not support hotplugging", OBJECT(bus)->name);
        return false;
    }
    if (!type_device_hooks(type)->hotpluggable) {
        error_setf(error, "Device '%s' does not support hotplugging", type->name);
        return false;
    }
    return true;
}

/* Realizes what goes into a running machine without a bus. Takes over the reference. */
static bool hotplug_into_machine(Device *dev, GError **error)
{
    const MachineHotplugOps *ops = machine_hotplug(error);
    Machine *machine = machine_current();

    if (!ops || !ops->check(machine, dev, error)) {
        object_unparent(OBJECT(dev));
        object_unref(OBJECT(dev));
        return false;
    }
    if (!device_realize_and_unref(dev, NULL, error)) {
        return false;
    }
    ops->plugged(machine, dev);
    return true;
}

Device *device_add(json_object *options, bool text, bool hotplug, GError **error)
{
    const char *driver = option_str(options, "driver");
    const char *id = option_str(options, "id");
    const char *bus_path = option_str(options, "bus");
    const TypeInfo *type;
    g_autoptr(Object) holder = NULL;
    Bus *bus = NULL;
    Device *dev;

    if (!driver) {
        error_setf(error, "Parameter 'driver' is missing");
        return NULL;
    }
    type = find_pluggable(driver, error);
    if (!type || (id && !id_ok(id, error))) {
        return NULL;
    }
    if (bus_path && !(bus = bus_find(bus_path, error))) {
        return NULL;
    }
    if (!bus && device_type_bus(type)) {
        bus = bus_find_by_type(device_type_bus(type));
    }
    if (hotplug && !check_hotplug(type, bus, error)) {
        return NULL;
    }
    holder = object_new_with_type(type);
    dev = (Device *)holder;
    dev->id = g_strdup(id);
    dev->hotplugged = hotplug;
    if (!set_properties(dev, options, text, error)) {
        return NULL;
    }
    if (!id && !object_add_child(object_container("/machine/peripheral-anon"), "device[*]", holder,
                                 error)) {
        return NULL;
    }
    g_steal_pointer(&holder);
    if (hotplug && !device_type_bus(type)) {
        return hotplug_into_machine(dev, error) ? dev : NULL;
    }
    return device_realize_and_unref(dev, bus, error) ? dev : NULL;
}

bool device_is_hotpluggable(const Device *dev)
{
    return type_device_hooks(dev->parent_obj.type)->hotpluggable;
}

void device_delete(Device *dev)
{
    g_autofree char *path = object_path(OBJECT(dev));
    g_autofree char *id = g_strdup(dev->id);

    device_unparent(dev);
    qapi_event_send_device_deleted(id, path);
}

bool device_unplug(const char *id_or_path, GError **error)
{
    Object *obj = strchr(id_or_path, '/') ? object_resolve(id_or_path, NULL)
                                          : OBJECT(device_find(id_or_path));
    const BusOps *ops;
    Device *dev;

    if (!obj || !object_is_a(obj, TYPE_DEVICE)) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id_or_path);
        return false;
    }
    dev = (Device *)obj;
    if (dev->bus == bus_system() && device_is_hotpluggable(dev)) {
        const MachineHotplugOps *machine_ops = machine_hotplug(error);

        return machine_ops && machine_ops->unplug_request(machine_current(), dev, error);
    }
    if (!dev->bus || !dev->bus->allow_hotplug) {
        error_setf(error, "Bus '%s' does not support hotplugging",
                   dev->bus ? OBJECT(dev->bus)->name : "none");
        return false;
    }
    if (!device_is_hotpluggable(dev)) {
        error_setf(error, "Device '%s' does not support hotplugging", object_type_name(obj));
        return false;
    }
    ops = bus_ops(dev->bus);
    if (ops && ops->unplug_request) {
        return ops->unplug_request(dev->bus, dev, error);
    }
    device_delete(dev);
    return true;
}
