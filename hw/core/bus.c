/* SPDX-License-Identifier: Apache-2.0 */
/* Buses: making them, finding them by name or type. */
#include "hw/core/device.h"

#include "hw/core/device-internal.h"
#include "util/error.h"

#define TYPE_SYSTEM_BUS "System"
#define SYSTEM_BUS_PATH "/machine/unattached/sysbus"

const BusOps *bus_ops(const Bus *bus)
{
    return object_ops(bus);
}

Bus *bus_new(const char *type, Device *owner, const char *name)
{
    Object *parent = owner ? OBJECT(owner) : object_container("/machine/unattached");
    g_autoptr(GError) error = NULL;
    Bus *bus = (Bus *)object_new(type);

    bus->owner = owner;
    if (!object_add_child(parent, name, OBJECT(bus), &error)) {
        g_error("bus %s: %s", name, error->message); /* a name taken twice is our own bug */
    }
    object_unref(OBJECT(bus)); /* the tree's reference stays */
    if (owner) {
        if (!owner->buses) {
            owner->buses = g_ptr_array_new();
        }
        g_ptr_array_add(owner->buses, bus);
    }
    return bus;
}

Bus *bus_system(void)
{
    Object *bus = object_resolve(SYSTEM_BUS_PATH, NULL);

    return bus ? (Bus *)bus : bus_new(TYPE_SYSTEM_BUS, NULL, "sysbus");
}

bool bus_is_full(const Bus *bus)
{
    return bus->max_devices && bus->children->len >= bus->max_devices;
}

typedef struct BusSearch {
    const char *name; /* or */
    const char *type;
    Bus *found;
    GString *names;
} BusSearch;

static bool match_buses_of(Device *dev, void *opaque)
{
    BusSearch *search = opaque;

    for (unsigned i = 0; dev->buses && i < dev->buses->len; i++) {
        Bus *bus = g_ptr_array_index(dev->buses, i);
        const char *name = OBJECT(bus)->name;

        if (search->names) {
            g_string_append_printf(search->names, "%s%s", search->names->len ? ", " : "", name);
        }
        if ((search->name && g_str_equal(name, search->name)) ||
            (search->type && object_is_a(bus, search->type) && !bus_is_full(bus))) {
            search->found = bus;
            return false;
        }
    }
    return true;
}

Bus *bus_find_by_type(const char *type)
{
    BusSearch search = { .type = type };

    device_foreach(match_buses_of, &search);
    return search.found;
}

Bus *bus_find(const char *path, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    BusSearch search = { .name = path, .names = names };
    bool ambiguous = false;
    Object *obj;

    if (!strchr(path, '/')) {
        device_foreach(match_buses_of, &search);
        if (search.found) {
            return search.found;
        }
    }
    obj = object_resolve(path, &ambiguous);
    if (obj && object_is_a(obj, TYPE_BUS)) {
        return (Bus *)obj;
    }
    if (ambiguous) {
        error_setf(error, "Bus '%s' is ambiguous; use its full path", path);
    } else {
        error_setf(error, "Bus '%s' not found; this machine has: %s", path,
                   names->len ? names->str : "none");
    }
    return NULL;
}

static void bus_init(Object *obj)
{
    ((Bus *)obj)->children = g_ptr_array_new_with_free_func((GDestroyNotify)object_unref);
}

static void bus_finalize(Object *obj)
{
    g_ptr_array_unref(((Bus *)obj)->children);
}

static const TypeInfo bus_info = {
    .name = TYPE_BUS,
    .parent = TYPE_OBJECT,
    .description = "any bus",
    .instance_size = sizeof(Bus),
    .is_abstract = true,
    .instance_init = bus_init,
    .instance_finalize = bus_finalize,
};
QOM_TYPE(bus_info);

static const TypeInfo system_bus_info = {
    .name = TYPE_SYSTEM_BUS,
    .parent = TYPE_BUS,
    .description = "the board itself",
    .instance_size = sizeof(Bus),
};
QOM_TYPE(system_bus_info);
