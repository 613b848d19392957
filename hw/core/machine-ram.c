/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's main memory: -m, and where it comes from. machine->ram is the backend's own region
 * or, with NUMA backends, a container in which they follow one another.
 */
#include "hw/core/numa.h"
#include "memory/ram-backend.h"
#include "qapi/keyval.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

/* RAM comes in units of this; the remainder of an odd -m is rounded up. */
#define RAM_UNIT (8 * KiB)
#define MAX_RAM_SLOTS 256
#define HOST_PAGE (4 * KiB)

/* A member that is a size, or untouched if it is absent. */
static bool take_size(json_object *options, const char *name, uint64_t unit, uint64_t *size,
                      GError **error)
{
    json_object *value;

    if (!json_object_object_get_ex(options, name, &value)) {
        return true;
    }
    if (!parse_size(json_object_get_string(value), unit, size, error)) {
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    return true;
}

static bool only_known_members(json_object *options, GError **error)
{
    static const char *const known[] = { "size", "slots", "maxmem", NULL };

    json_object_object_foreach(options, name, value) {
        if (!g_strv_contains(known, name)) {
            error_setf(error, "there is no '%s' (size, slots, maxmem)", name);
            error_append_nearest(error, name, known);
            return false;
        }
        (void)value;
    }
    return true;
}

static bool set_memory(Machine *machine, json_object *options, GError **error)
{
    uint64_t size = 0;
    uint64_t max = 0;
    uint64_t slots = 0;

    if (!only_known_members(options, error) || !take_size(options, "size", MiB, &size, error) ||
        !take_size(options, "maxmem", 1, &max, error) ||
        !take_size(options, "slots", 1, &slots, error)) {
        return false;
    }
    if (size > INT64_MAX || max > INT64_MAX) {
        error_setf(error, "more memory than any host can map");
        return false;
    }
    size = ROUND_UP(size, RAM_UNIT);
    if (max && max < size) {
        error_setf(error, "maxmem (%" G_GUINT64_FORMAT ") is less than size (%"
                   G_GUINT64_FORMAT ")", max, size);
        return false;
    }
    if (slots > MAX_RAM_SLOTS) {
        error_setf(error, "slots=%" G_GUINT64_FORMAT " is more than %d", slots, MAX_RAM_SLOTS);
        return false;
    }
    if (slots && max <= size) {
        error_setf(error, "slots need a maxmem above size");
        return false;
    }
    if (!IS_ALIGNED(max, HOST_PAGE)) {
        error_setf(error, "maxmem must be a multiple of %llu bytes", HOST_PAGE);
        return false;
    }
    machine->ram_size = size;
    machine->max_ram_size = MAX(max, size);
    machine->ram_slots = slots;
    return true;
}

bool machine_set_memory(Machine *machine, const char *text, GError **error)
{
    json_object *options = keyval_parse(text, "size", NULL, error);
    bool ok = options && set_memory(machine, options, error);

    json_object_put(options);
    return ok;
}

static RamBackend *make_default_backend(const Machine *machine, const MachineRamOptions *options,
                                        GError **error)
{
    json_object *json = json_object_new_object();
    const char *type = options->mem_path ? TYPE_MEMORY_BACKEND_FILE : TYPE_MEMORY_BACKEND_RAM;
    Object *backend;

    json_object_object_add(json, "qom-type", json_object_new_string(type));
    json_object_object_add(json, "id", json_object_new_string(machine->ops->default_ram_id));
    json_object_object_add(json, "size", json_object_new_uint64(machine->ram_size));
    json_object_object_add(json, "merge", json_object_new_boolean(machine->mem_merge));
    json_object_object_add(json, "dump", json_object_new_boolean(machine->dump_guest_core));
    json_object_object_add(json, "prealloc", json_object_new_boolean(options->prealloc));
    json_object_object_add(json, "prealloc-threads", json_object_new_int(machine->smp.cpus));
    if (options->mem_path) {
        json_object_object_add(json, "mem-path", json_object_new_string(options->mem_path));
    }
    backend = user_object_create(json, false, error);
    json_object_put(json);
    return (RamBackend *)backend;
}

static bool claim(RamBackend *backend, GError **error)
{
    if (ram_backend_is_mapped(backend)) {
        error_setf(error, "memory backend '%s' is used twice", OBJECT(backend)->name);
        return false;
    }
    ram_backend_set_mapped(backend, true);
    return true;
}

/* The backend that the command line names, whose size must agree with -m if that was given. */
static RamBackend *named_backend(Machine *machine, GError **error)
{
    Object *object = user_object_find(machine->memory_backend, TYPE_MEMORY_BACKEND, error);
    uint64_t size;

    if (!object) {
        g_prefix_error(error, "-machine memory-backend: ");
        return NULL;
    }
    size = ram_backend_size((RamBackend *)object);
    if (machine->ram_size && machine->ram_size != size) {
        error_setf(error, "-m says %" G_GUINT64_FORMAT " bytes, memory backend '%s' has %"
                   G_GUINT64_FORMAT, machine->ram_size, machine->memory_backend, size);
        return NULL;
    }
    machine->ram_size = size;
    return (RamBackend *)object;
}

static RamBackend *node_backend(const NumaNode *node)
{
    return node->memdev ? (RamBackend *)user_object_find(node->memdev, TYPE_MEMORY_BACKEND, NULL)
                        : NULL;
}

static bool create_node_ram(Machine *machine, GError **error)
{
    uint64_t offset = 0;

    machine->ram = memory_region_new_container(OBJECT(machine), machine->ops->default_ram_id,
                                               machine->ram_size);
    for (unsigned i = 0; i < machine->numa_nodes; i++) {
        RamBackend *backend = node_backend(&machine->numa[i]);

        if (!backend) {
            continue;
        }
        if (!claim(backend, error)) {
            return false;
        }
        memory_region_add(machine->ram, offset, ram_backend_region(backend));
        offset += ram_backend_size(backend);
    }
    return true;
}

static bool uses_node_backends(const Machine *machine)
{
    for (unsigned i = 0; i < machine->numa_nodes; i++) {
        if (machine->numa[i].memdev) {
            return true;
        }
    }
    return false;
}

static bool create_single_ram(Machine *machine, RamBackend *named,
                              const MachineRamOptions *options, GError **error)
{
    RamBackend *backend = named;

    if (!backend) {
        backend = make_default_backend(machine, options, error);
        if (!backend) {
            return false;
        }
        g_free(machine->memory_backend);
        machine->memory_backend = g_strdup(machine->ops->default_ram_id);
    }
    if (!claim(backend, error)) {
        return false;
    }
    machine->ram = ram_backend_region(backend);
    return true;
}

bool machine_create_ram(Machine *machine, const MachineRamOptions *options, GError **error)
{
    RamBackend *named = NULL;

    ram_set_defaults(machine->mem_merge, machine->dump_guest_core);
    if (machine->memory_backend) {
        named = named_backend(machine, error);
        if (!named) {
            return false;
        }
    }
    if (!machine->ram_size && !numa_has_memory(machine)) {
        machine->ram_size = machine->ops->default_ram_size;
    }
    /* Systems learn from the tables of nodes where memory may come. */
    if (machine->ram_slots && machine->ops->memory_devices && !machine->numa_nodes) {
        machine->numa[0].present = true;
        machine->numa_nodes = 1;
    }
    if (!numa_complete(machine, error)) {
        return false;
    }
    machine->max_ram_size = MAX(machine->max_ram_size, machine->ram_size);
    if (!machine->ram_size || !machine->ops->default_ram_id) {
        return true;
    }
    return uses_node_backends(machine) ? create_node_ram(machine, error)
                                       : create_single_ram(machine, named, options, error);
}

void machine_release_ram(Machine *machine)
{
    if (!machine->ram) {
        return;
    }
    if (uses_node_backends(machine)) {
        for (unsigned i = 0; i < machine->numa_nodes; i++) {
            RamBackend *backend = node_backend(&machine->numa[i]);

            if (backend) {
                memory_region_remove(machine->ram, ram_backend_region(backend));
                ram_backend_set_mapped(backend, false);
            }
        }
        memory_region_free(machine->ram);
    } else {
        ram_backend_set_mapped((RamBackend *)memory_region_owner(machine->ram), false);
    }
    machine->ram = NULL;
}
