/* SPDX-License-Identifier: Apache-2.0 */
/* -numa options: parsing, completing, checking. */
#include "hw/core/numa.h"

#include <string.h>

#include "memory/ram-backend.h"
#include "qapi/keyval.h"
#include "qapi/qapi-types-machine.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

/* Memory that no option gave to a node is dealt out in pieces of this size. */
#define NUMA_SPLIT_UNIT (8 * MiB)

/*
 * In a -numa option cpus= may stand several times and a bare mem= is in MiB. Returns the same
 * argument with one cpus= (its commas doubled) and with mem in bytes.
 */
static char *normalize(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    g_autoptr(GString) cpus = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);

    for (char **part = parts; *part; part++) {
        uint64_t bytes;

        if (g_str_has_prefix(*part, "cpus=")) {
            g_string_append_printf(cpus, "%s%s", cpus->len ? ",," : "", *part + strlen("cpus="));
        } else if (g_str_has_prefix(*part, "mem=")) {
            if (!parse_size(*part + strlen("mem="), MiB, &bytes, error)) {
                                return NULL;
            }
            g_string_append_printf(out, ",mem=%" G_GUINT64_FORMAT, bytes);
        } else {
            g_string_append_printf(out, "%s%s", out->len ? "," : "", *part);
        }
    }
    if (cpus->len) {
        g_string_append_printf(out, ",cpus=%s", cpus->str);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static bool check_node(uint64_t node, GError **error)
{
    if (node >= MAX_NUMA_NODES) {
        error_setf(error, "NUMA node %" G_GUINT64_FORMAT " is out of range (0 to %d)", node,
                   MAX_NUMA_NODES - 1);
        return false;
    }
    return true;
}

static void node_add_cpu(NumaNode *node, unsigned cpu)
{
    if (!node->cpus) {
        node->cpus = g_array_new(FALSE, FALSE, sizeof(unsigned));
    }
    g_array_append_val(node->cpus, cpu);
}

/* The node that has the CPU, or -1. */
static int node_of(const Machine *machine, unsigned cpu)
{
    for (unsigned node = 0; node < MAX_NUMA_NODES; node++) {
        const GArray *cpus = machine->numa[node].cpus;

        for (unsigned i = 0; cpus && i < cpus->len; i++) {
            if (g_array_index(cpus, unsigned, i) == cpu) {
                return node;
            }
        }
    }
    return -1;
}

static bool give_cpu(Machine *machine, unsigned node, unsigned cpu, GError **error)
{
    int owner = node_of(machine, cpu);

    if (cpu >= machine->smp.max_cpus) {
        error_setf(error, "NUMA node %u: there is no CPU %u (maxcpus is %u)", node, cpu,
                   machine->smp.max_cpus);
        return false;
    }
    if (owner >= 0 && owner != (int)node) {
        error_setf(error, "CPU %u cannot be in NUMA nodes %d and %u", cpu, owner, node);
        return false;
    }
    if (owner < 0) {
        node_add_cpu(&machine->numa[node], cpu);
    }
    return true;
}

static bool add_node(Machine *machine, const NumaNodeOptions *options, GError **error)
{
    unsigned id = options->has_nodeid ? options->nodeid : machine->numa_nodes;
    NumaNode *node;

    if (!check_node(id, error)) {
        return false;
    }
    node = &machine->numa[id];
    if (node->present) {
        error_setf(error, "NUMA node %u is given twice", id);
        return false;
    }
    if (options->has_mem && options->memdev) {
        error_setf(error, "NUMA node %u has both mem and memdev; give one of them", id);
        return false;
    }
    for (unsigned i = 0; options->cpus && i < options->cpus->len; i++) {
        if (!give_cpu(machine, id, g_array_index(options->cpus, uint16_t, i), error)) {
            return false;
        }
    }
    node->present = true;
    node->mem = options->has_mem ? options->mem : 0;
    node->memdev = g_strdup(options->memdev);
    machine->numa_nodes++;
    return true;
}

static bool add_distance(Machine *machine, const NumaDistOptions *options, GError **error)
{
    if (!check_node(options->src, error) || !check_node(options->dst, error)) {
        return false;
    }
    if (!machine->numa[options->src].present || !machine->numa[options->dst].present) {
        error_setf(error, "distance from %u to %u: there is no such node (nodes come first)",
                   options->src, options->dst);
        return false;
    }
    if (options->val < NUMA_DISTANCE_LOCAL ||
        (options->src == options->dst) != (options->val == NUMA_DISTANCE_LOCAL)) {
        error_setf(error, "NUMA distance %u from %u to %u: a node is %d from itself, and other "
                   "nodes are farther", options->val, options->src, options->dst,
                   NUMA_DISTANCE_LOCAL);
        return false;
    }
    machine->numa[options->src].distance[options->dst] = options->val;
    return true;
}

/* Does a CPU match the place that an option gave, as far as it gave one? */
static bool cpu_is_at(const SmpConfig *smp, unsigned cpu, const NumaCpuOptions *at)
{
    unsigned thread = cpu % smp->threads;
    unsigned core = cpu / smp->threads % smp->cores;
    unsigned die = cpu / smp->threads / smp->cores % smp->dies;
    unsigned socket = cpu / smp->threads / smp->cores / smp->dies;

    return (!at->has_socket_id || at->socket_id == socket) &&
           (!at->has_die_id || at->die_id == die) && (!at->has_core_id || at->core_id == core) &&
           (!at->has_thread_id || at->thread_id == thread);
}

static bool add_cpus(Machine *machine, const NumaCpuOptions *options, GError **error)
{
    bool any = false;

    if (!options->has_node_id) {
        error_setf(error, "cpu needs node-id");
        return false;
    }
    if (!check_node(options->node_id, error)) {
        return false;
    }
    if (!machine->numa[options->node_id].present) {
        error_setf(error, "there is no NUMA node %" G_GINT64_FORMAT
                   " (nodes come first)", options->node_id);
        return false;
    }
    for (unsigned cpu = 0; cpu < machine->smp.max_cpus; cpu++) {
        if (!cpu_is_at(&machine->smp, cpu, options)) {
            continue;
        }
        any = true;
        if (!give_cpu(machine, options->node_id, cpu, error)) {
            return false;
        }
    }
    if (!any) {
        error_setf(error, "the machine has no CPU at that place");
    }
    return any;
}

static bool add_option(Machine *machine, const NumaOptions *options, GError **error)
{
    switch (options->type) {
    case NUMA_OPTIONS_TYPE_NODE:
        return add_node(machine, &options->u.node, error);
    case NUMA_OPTIONS_TYPE_DIST:
        return add_distance(machine, &options->u.dist, error);
    default:
        return add_cpus(machine, &options->u.cpu, error);
    }
}

bool numa_add_option(Machine *machine, const char *text, GError **error)
{
    g_autofree char *normal = keyval_is_json(text) ? g_strdup(text) : normalize(text, error);
    json_object *json = normal ? keyval_parse(normal, "type", NULL, error) : NULL;
    g_autoptr(NumaOptions) options = NULL;
    bool ok;

    if (!json) {
        return false;
    }
    ok = NumaOptions_from_json(json, keyval_flags(text), &options, error) &&
         add_option(machine, options, error);
    json_object_put(json);
    return ok;
}

static bool check_gaps(const Machine *machine, GError **error)
{
    for (unsigned i = 0; i < machine->numa_nodes; i++) {
        if (!machine->numa[i].present) {
            error_setf(error, "NUMA node %u is missing: nodes count from 0 without gaps", i);
            return false;
        }
    }
    return true;
}

/* Sizes of the nodes' backends. All nodes with memory use backends, or none does. */
static bool take_backend_sizes(Machine *machine, GError **error)
{
    bool any_memdev = false;
    bool any_mem = false;

    for (unsigned i = 0; i < machine->numa_nodes; i++) {
        NumaNode *node = &machine->numa[i];
        Object *backend;

        any_mem |= !node->memdev && node->mem;
        any_memdev |= node->memdev != NULL;
        if (!node->memdev) {
            continue;
        }
        backend = user_object_find(node->memdev, TYPE_MEMORY_BACKEND, error);
        if (!backend) {
            g_prefix_error(error, "NUMA node %u: ", i);
            return false;
        }
        node->mem = ram_backend_size((RamBackend *)backend);
    }
    if (any_mem && any_memdev) {
        error_setf(error, "-numa: some nodes have mem and some memdev; use one kind");
        return false;
    }
    if (any_memdev && machine->memory_backend) {
        error_setf(error, "-numa memdev and -machine memory-backend exclude each other");
        return false;
    }
    return true;
}

static bool complete_memory(Machine *machine, GError **error)
{
    unsigned count = machine->numa_nodes;
    uint64_t total = 0;

    for (unsigned i = 0; i < count; i++) {
        if (machine->numa[i].mem > UINT64_MAX - total) {
            error_setf(error, "the NUMA nodes have too much memory");
            return false;
        }
        total += machine->numa[i].mem;
    }
    if (!machine->ram_size) {
        machine->ram_size = total;
    }
    if (!total) {
        uint64_t each = ROUND_DOWN(machine->ram_size / count, NUMA_SPLIT_UNIT);

        for (unsigned i = 0; i < count; i++) {
            machine->numa[i].mem = i + 1 < count ? each : machine->ram_size - each * (count - 1);
        }
    } else if (total != machine->ram_size) {
        error_setf(error, "the NUMA nodes have %" G_GUINT64_FORMAT " bytes of memory together, the "
                   "machine has %" G_GUINT64_FORMAT " (-m)", total, machine->ram_size);
        return false;
    }
    return true;
}

/* CPUs that no option placed: by socket if none was placed, else in node 0, with a warning. */
static void complete_cpus(Machine *machine)
{
    unsigned per_socket = machine->smp.dies * machine->smp.cores * machine->smp.threads;
    g_autoptr(GString) left = g_string_new(NULL);
    bool none_placed = true;

    for (unsigned i = 0; i < machine->numa_nodes; i++) {
        none_placed &= !machine->numa[i].cpus;
    }
    for (unsigned cpu = 0; cpu < machine->smp.max_cpus; cpu++) {
        if (node_of(machine, cpu) >= 0) {
            continue;
        }
        if (none_placed) {
            node_add_cpu(&machine->numa[cpu / per_socket % machine->numa_nodes], cpu);
        } else {
            node_add_cpu(&machine->numa[0], cpu);
            g_string_append_printf(left, "%s%u", left->len ? ", " : "", cpu);
        }
    }
    if (left->len) {
        warn_report("-numa puts these CPUs in no node; node 0 has them: %s", left->str);
    }
}

/*
 * If any distance was given, every pair needs one; a direction that is missing mirrors the other.
 */
static bool complete_distances(Machine *machine, GError **error)
{
    unsigned count = machine->numa_nodes;
    bool any = false;

    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            any |= machine->numa[i].distance[j] != 0;
        }
    }
    for (unsigned i = 0; any && i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            uint8_t *distance = &machine->numa[i].distance[j];

            if (i == j) {
                *distance = NUMA_DISTANCE_LOCAL;
            } else if (!*distance) {
                *distance = machine->numa[j].distance[i];
            }
            if (!*distance) {
                error_setf(error, "the NUMA distance between nodes %u and %u is missing", i, j);
                return false;
            }
        }
    }
    return true;
}

bool numa_has_memory(const Machine *machine)
{
    for (unsigned i = 0; i < MAX_NUMA_NODES; i++) {
        if (machine->numa[i].mem || machine->numa[i].memdev) {
            return true;
        }
    }
    return false;
}

bool numa_complete(Machine *machine, GError **error)
{
    if (!machine->numa_nodes) {
        return true;
    }
    if (!check_gaps(machine, error) || !take_backend_sizes(machine, error) ||
        !complete_memory(machine, error) || !complete_distances(machine, error)) {
        return false;
    }
    complete_cpus(machine);
    return true;
}
