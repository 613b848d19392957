/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a device: placing, realizing level by level, unrealizing, resetting.
 */
#include "hw/core/device.h"

#include "accel/accel.h"
#include "hw/core/device-internal.h"
#include "util/error.h"

const DeviceHooks *type_device_hooks(const TypeInfo *type)
{
    for (; type; type = type_parent(type)) {
        if (type->hooks) {
            return type->hooks;
        }
    }
    return NULL;
}

const char *device_type_bus(const TypeInfo *type)
{
    for (; type; type = type_parent(type)) {
        const DeviceHooks *hooks = type->hooks;

        if (hooks && hooks->bus_type) {
            return hooks->bus_type;
        }
    }
    return NULL;
}

unsigned device_levels(const Device *dev, const DeviceHooks *hooks[DEVICE_LEVELS_MAX])
{
    unsigned n = 0;

    for (const TypeInfo *type = dev->parent_obj.type; type; type = type_parent(type)) {
        if (type->hooks) {
            g_assert(n < DEVICE_LEVELS_MAX);
            hooks[n++] = type->hooks;
        }
    }
    return n;
}

const VmState *device_vmstate(const Device *dev)
{
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned n = device_levels(dev, hooks);

    for (unsigned i = 0; i < n; i++) {
        if (hooks[i]->vmstate) {
            return hooks[i]->vmstate;
        }
    }
    return NULL;
}

static void unrealize_levels(Device *dev, const DeviceHooks *const *hooks, unsigned first,
                             unsigned count)
{
    for (unsigned i = first; i < count; i++) {
        if (hooks[i]->unrealize) {
            hooks[i]->unrealize(dev);
        }
    }
}

/* Root level first; on failure the levels that had succeeded are undone, leaf-most first. */
static bool realize_levels(Device *dev, GError **error)
{
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned count = device_levels(dev, hooks);

    for (unsigned i = count; i-- > 0;) {
        if (hooks[i]->realize && !hooks[i]->realize(dev, error)) {
            unrealize_levels(dev, hooks, i + 1, count);
            return false;
        }
    }
    return true;
}

bool device_place_in_tree(Device *dev, GError **error)
{
    if (dev->parent_obj.parent) {
        return true;
    }
    if (dev->id) {
        return object_add_child(object_container("/machine/peripheral"), dev->id, OBJECT(dev),
                                error);
    }
    return object_add_child(object_container("/machine/unattached"), "device[*]", OBJECT(dev),
                            error);
}

static Bus *choose_bus(Device *dev, GError **error)
{
    const char *wanted = device_type_bus(dev->parent_obj.type);
    Bus *bus;

    if (!wanted) {
        return bus_system();
    }
    bus = bus_find_by_type(wanted);
    if (!bus) {
        error_setf(error, "%s needs a %s bus with a free place, and this machine has none",
                   object_type_name(dev), wanted);
    }
    return bus;
}

static bool check_bus(Device *dev, Bus *bus, GError **error)
{
    const char *wanted = device_type_bus(dev->parent_obj.type);

    if (wanted && !object_is_a(bus, wanted)) {
        error_setf(error, "%s goes on a %s bus, but '%s' is a %s bus", object_type_name(dev),
                   wanted, OBJECT(bus)->name, object_type_name(bus));
        return false;
    }
    if (bus_is_full(bus)) {
        error_setf(error, "Bus '%s' is full", OBJECT(bus)->name);
        return false;
    }
    return true;
}

static void attach_to_bus(Device *dev, Bus *bus)
{
    dev->bus = bus;
    g_ptr_array_add(bus->children, object_ref(OBJECT(dev)));
}

static void detach_from_bus(Device *dev)
{
    if (dev->bus) {
        Bus *bus = dev->bus;

        dev->bus = NULL;
        g_ptr_array_remove(bus->children, dev); /* drops the bus's reference */
    }
}

static bool realize_on_bus(Device *dev, GError **error)
{
    const BusOps *ops = bus_ops(dev->bus);

    if (ops && ops->check_address && !ops->check_address(dev->bus, dev, error)) {
        return false;
    }
    if (!realize_levels(dev, error)) {
        return false;
    }
    if (ops && ops->plug && !ops->plug(dev->bus, dev, error)) {
        const DeviceHooks *hooks[DEVICE_LEVELS_MAX];

        unrealize_levels(dev, hooks, 0, device_levels(dev, hooks));
        return false;
    }
    return true;
}

bool device_realize_and_unref(Device *dev, Bus *bus, GError **error)
{
    g_autoptr(Object) hold = OBJECT(dev);

    g_assert(!dev->realized);
    if (!object_apply_globals(OBJECT(dev), error)) {
        return false;
    }
    if (!bus) {
        bus = choose_bus(dev, error);
    }
    if (!bus || !check_bus(dev, bus, error) || !device_place_in_tree(dev, error)) {
        return false;
    }
    attach_to_bus(dev, bus);
    if (!realize_on_bus(dev, error)) {
        detach_from_bus(dev);
        object_unparent(OBJECT(dev));
        return false;
    }
    dev->realized = true;
    OBJECT(dev)->sealed = true;
    if (dev->hotplugged) {
        device_reset_tree(dev);
    }
    return true;
}

Device *device_create(const char *type, Bus *bus, GError **error)
{
    Device *dev = (Device *)object_new(type);

    return device_realize_and_unref(dev, bus, error) ? dev : NULL;
}

static void unparent_bus(Bus *bus)
{
    while (bus->children->len) {
        device_unparent(g_ptr_array_index(bus->children, bus->children->len - 1));
    }
}

void device_unparent(Device *dev)
{
    g_autoptr(Object) hold = object_ref(OBJECT(dev));
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];

    for (unsigned i = 0; dev->buses && i < dev->buses->len; i++) {
        unparent_bus(g_ptr_array_index(dev->buses, i));
    }
    if (dev->realized) {
        const BusOps *ops = bus_ops(dev->bus);

        if (ops && ops->unplug) {
            ops->unplug(dev->bus, dev);
        }
        dev->realized = false;
        unrealize_levels(dev, hooks, 0, device_levels(dev, hooks));
    }
    detach_from_bus(dev);
    object_unparent(OBJECT(dev));
}

void device_reset_tree(Device *dev)
{
    const DeviceHooks *hooks[DEVICE_LEVELS_MAX];
    unsigned count = device_levels(dev, hooks);

    for (unsigned i = 0; dev->buses && i < dev->buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->buses, i);

        for (unsigned j = 0; j < bus->children->len; j++) {
            device_reset_tree(g_ptr_array_index(bus->children, j));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (hooks[i]->reset) {
            hooks[i]->reset(dev);
        }
    }
}

static bool foreach_on_bus(Bus *bus, bool (*fn)(Device *dev, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < bus->children->len; i++) {
        Device *dev = g_ptr_array_index(bus->children, i);

        if (!fn(dev, opaque)) {
            return false;
        }
        for (unsigned j = 0; dev->buses && j < dev->buses->len; j++) {
            if (!foreach_on_bus(g_ptr_array_index(dev->buses, j), fn, opaque)) {
                return false;
            }
        }
    }
    return true;
}

void device_foreach(bool (*fn)(Device *dev, void *opaque), void *opaque)
{
    foreach_on_bus(bus_system(), fn, opaque);
}

Device *device_find(const char *id)
{
    Object *obj = object_child(object_container("/machine/peripheral"), id);

    return obj && object_is_a(obj, TYPE_DEVICE) ? (Device *)obj : NULL;
}

static void device_finalize(Object *obj)
{
    Device *dev = (Device *)obj;

    irq_groups_free(dev);
    g_clear_pointer(&dev->buses, g_ptr_array_unref);
    g_free(dev->id);
}

static json_object *device_get_hotplugged(Object *obj, const Property *prop)
{
    return json_object_new_boolean(((Device *)obj)->hotplugged);
}

static json_object *device_get_realized(Object *obj, const Property *prop)
{
    return json_object_new_boolean(((Device *)obj)->realized);
}

static const Property device_properties[] = {
    PROP_COMPUTED("hotplugged", prop_kind_bool, device_get_hotplugged, NULL,
                  "plugged into a running machine"),
    PROP_COMPUTED("realized", prop_kind_bool, device_get_realized, NULL,
                  "connected and visible to the guest"),
    PROP_END,
};

static const TypeInfo device_info = {
    .name = TYPE_DEVICE,
    .parent = TYPE_OBJECT,
    .description = "any device",
    .instance_size = sizeof(Device),
    .is_abstract = true,
    .properties = device_properties,
    .instance_finalize = device_finalize,
};
QOM_TYPE(device_info);

static const TypeInfo sys_device_info = {
    .name = TYPE_SYS_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "a part of the board",
    .instance_size = sizeof(Device),
    .is_abstract = true,
};
QOM_TYPE(sys_device_info);
