/* SPDX-License-Identifier: Apache-2.0 */
/* `info` subcommands that QMP answers. */
#include <inttypes.h>
#include <string.h>

#include "monitor/hmp-internal.h"
#include "util/error.h"

/* Deepest level that `info qom-tree` shows. */
#define TREE_MAX_DEPTH 32

static bool info_version(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-version", NULL, error);
    json_object *level;

    if (!info) {
        return false;
    }
    level = json_object_object_get(info, "qemu");
    hmp_printf(hmp, "%s (compatible with %d.%d.%d)\n", hmp_get_str(info, "package", ""),
               (int)hmp_get_int(level, "major", 0), (int)hmp_get_int(level, "minor", 0),
               (int)hmp_get_int(level, "micro", 0));
    json_object_put(info);
    return true;
}

static bool info_status(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-status", NULL, error);
    const char *status;

    if (!info) {
        return false;
    }
    status = hmp_get_str(info, "status", "");
    hmp_printf(hmp, "VM status: %s%s", hmp_get_bool(info, "running") ? "running" : "paused",
               hmp_get_bool(info, "singlestep") ? " (single step mode)" : "");
    if (!hmp_get_bool(info, "running") && strcmp(status, "paused")) {
        hmp_printf(hmp, " (%s)", status);
    }
    hmp_puts(hmp, "\n");
    json_object_put(info);
    return true;
}

/* Rows that print one member of what a command returns. */
static bool print_member(Hmp *hmp, const char *command, const char *member, GError **error)
{
    json_object *info = hmp_qmp(hmp, command, NULL, error);
    const char *text;

    if (!info) {
        return false;
    }
    text = hmp_get_str(info, member, NULL);
    if (text) {
        hmp_printf(hmp, "%s\n", text);
    }
    json_object_put(info);
    return true;
}

static bool info_name(Hmp *hmp, const HmpValue *values, GError **error)
{
    return print_member(hmp, "query-name", "name", error);
}

static bool info_uuid(Hmp *hmp, const HmpValue *values, GError **error)
{
    return print_member(hmp, "query-uuid", "UUID", error);
}

static bool info_vmgenid(Hmp *hmp, const HmpValue *values, GError **error)
{
    return print_member(hmp, "query-vm-generation-id", "guid", error);
}

static bool info_kvm(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-kvm", NULL, error);

    if (!info) {
        return false;
    }
    hmp_printf(hmp, "kvm support: %s\n", !hmp_get_bool(info, "present") ? "not compiled"
                                         : hmp_get_bool(info, "enabled") ? "enabled"
                                                                         : "disabled");
    json_object_put(info);
    return true;
}

static bool info_accelerators(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-accelerators", NULL, error);
    json_object *present;

    if (!info) {
        return false;
    }
    present = json_object_object_get(info, "present");
    for (size_t i = 0; i < json_object_array_length(present); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(present, i));
        bool enabled = !strcmp(name, hmp_get_str(info, "enabled", ""));

        hmp_printf(hmp, "%c %s\n", enabled ? '*' : ' ', name);
    }
    json_object_put(info);
    return true;
}

static void print_chardev(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "%s: filename=%s%s\n", hmp_get_str(item, "label", ""),
               hmp_get_str(item, "filename", ""),
               hmp_get_bool(item, "frontend-open") ? "" : " (unused)");
}

static bool info_chardev(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-chardev", NULL, print_chardev, error);
}

static void print_cpu(Hmp *hmp, json_object *item)
{
    int64_t index = hmp_get_int(item, "cpu-index", 0);

    hmp_printf(hmp, "%c CPU #%" PRId64 ": thread_id=%" PRId64 "\n",
               index == hmp_cpu(hmp) ? '*' : ' ', index, hmp_get_int(item, "thread-id", 0));
}

static bool info_cpus(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-cpus-fast", NULL, print_cpu, error);
}

static void print_pairs(Hmp *hmp, json_object *object, const char *indent)
{
    json_object_object_foreach(object, key, value) {
        hmp_printf(hmp, "%s%s: \"%s\"\n", indent, key, json_object_get_string(value));
    }
}

static void print_cpu_place(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "  type: \"%s\"\n  vcpus_count: \"%" PRId64 "\"\n",
               hmp_get_str(item, "type", ""), hmp_get_int(item, "vcpus-count", 0));
    if (hmp_get_str(item, "qom-path", NULL)) {
        hmp_printf(hmp, "  qom_path: \"%s\"\n", hmp_get_str(item, "qom-path", ""));
    }
    hmp_puts(hmp, "  CPUInstance Properties:\n");
    print_pairs(hmp, json_object_object_get(item, "props"), "    ");
}

static bool info_hotpluggable_cpus(Hmp *hmp, const HmpValue *values, GError **error)
{
    hmp_puts(hmp, "Hotpluggable CPUs:\n");
    return hmp_qmp_each(hmp, "query-hotpluggable-cpus", NULL, print_cpu_place, error);
}

static void print_iothread(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "%s:\n", hmp_get_str(item, "id", ""));
    json_object_object_foreach(item, key, value) {
        if (strcmp(key, "id")) {
            hmp_printf(hmp, "  %s=%s\n", key, json_object_get_string(value));
        }
    }
}

static bool info_iothreads(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-iothreads", NULL, print_iothread, error);
}

static void print_memdev(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "memory backend: %s\n", hmp_get_str(item, "id", ""));
    json_object_object_foreach(item, key, value) {
        if (!strcmp(key, "host-nodes")) {
            hmp_puts(hmp, "  host nodes:");
            for (size_t i = 0; i < json_object_array_length(value); i++) {
                hmp_printf(hmp, " %d", json_object_get_int(json_object_array_get_idx(value, i)));
            }
            hmp_puts(hmp, "\n");
        } else if (strcmp(key, "id")) {
            hmp_printf(hmp, "  %s: %s\n", key, json_object_get_string(value));
        }
    }
    hmp_puts(hmp, "\n");
}

static bool info_memdev(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-memdev", NULL, print_memdev, error);
}

static const char *const memory_device_members[] = {
    "slot", "node", "size", "memdev", "hotplugged", "hotpluggable",
};

static void print_memory_device(Hmp *hmp, json_object *item)
{
    json_object *data = NULL, *value;

    json_object_object_get_ex(item, "data", &data);
    hmp_printf(hmp, "Memory device [%s]: \"%s\"\n  addr: 0x%" PRIx64 "\n",
               hmp_get_str(item, "type", ""), hmp_get_str(data, "id", ""),
               hmp_get_int(data, "addr", 0));
    for (unsigned i = 0; i < G_N_ELEMENTS(memory_device_members); i++) {
        if (json_object_object_get_ex(data, memory_device_members[i], &value)) {
            hmp_printf(hmp, "  %s: %s\n", memory_device_members[i],
                       json_object_get_string(value));
        }
    }
}

static bool info_memory_devices(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-memory-devices", NULL, print_memory_device, error);
}

static bool info_balloon(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-balloon", NULL, error);

    if (!info) {
        return false;
    }
    hmp_printf(hmp, "balloon: actual=%" PRId64 "\n", hmp_get_int(info, "actual", 0) >> 20);
    json_object_put(info);
    return true;
}

static bool info_memory_size_summary(Hmp *hmp, const HmpValue *values, GError **error)
{
    json_object *info = hmp_qmp(hmp, "query-memory-size-summary", NULL, error);

    if (!info) {
        return false;
    }
    hmp_printf(hmp, "base memory: %" PRId64 "\n", hmp_get_int(info, "base-memory", 0));
    if (json_object_object_get_ex(info, "plugged-memory", NULL)) {
        hmp_printf(hmp, "plugged memory: %" PRId64 "\n", hmp_get_int(info, "plugged-memory", 0));
    }
    json_object_put(info);
    return true;
}

static void print_fdset(Hmp *hmp, json_object *item)
{
    json_object *fds = json_object_object_get(item, "fds");

    hmp_printf(hmp, "set %" PRId64 ":\n", hmp_get_int(item, "fdset-id", 0));
    for (size_t i = 0; i < json_object_array_length(fds); i++) {
        json_object *fd = json_object_array_get_idx(fds, i);

        hmp_printf(hmp, "  fd=%" PRId64 " %s\n", hmp_get_int(fd, "fd", -1),
                   hmp_get_str(fd, "opaque", ""));
    }
}

static bool info_fdsets(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-fdsets", NULL, print_fdset, error);
}

static void print_trace_event(Hmp *hmp, json_object *item)
{
    hmp_printf(hmp, "%s : state %d\n", hmp_get_str(item, "name", ""),
               !strcmp(hmp_get_str(item, "state", ""), "enabled"));
}

static bool info_trace_events(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *name = values[0].present ? values[0].text : "*";

    return hmp_qmp_each(hmp, "trace-event-get-state",
                        hmp_object("name", json_object_new_string(name), NULL), print_trace_event,
                        error);
}

static bool info_history(Hmp *hmp, const HmpValue *values, GError **error)
{
    for (guint i = 0; hmp->history && i < hmp->history->len; i++) {
        hmp_printf(hmp, "%u: '%s'\n", i, (const char *)g_ptr_array_index(hmp->history, i));
    }
    return true;
}

static void print_pci_region(Hmp *hmp, json_object *region)
{
    uint64_t address = json_object_get_uint64(json_object_object_get(region, "address"));
    uint64_t end = address + (uint64_t)hmp_get_int(region, "size", 0) - 1;

    if (!strcmp(hmp_get_str(region, "type", ""), "io")) {
        hmp_printf(hmp, "      BAR%d: I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n",
                   (int)hmp_get_int(region, "bar", 0), address, end);
    } else {
        hmp_printf(hmp, "      BAR%d: %d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
                   (int)hmp_get_int(region, "bar", 0),
                   hmp_get_bool(region, "mem_type_64") ? 64 : 32,
                   hmp_get_bool(region, "prefetch") ? " prefetchable" : "", address, end);
    }
}

static void print_pci_bridge(Hmp *hmp, json_object *bus)
{
    static const struct {
        const char *member;
        const char *words;
    } ranges[] = {
        { "io_range", "IO range" },
        { "memory_range", "memory range" },
        { "prefetchable_range", "prefetchable memory range" },
    };

    hmp_printf(hmp, "      BUS %d.\n      secondary bus %d.\n      subordinate bus %d.\n",
               (int)hmp_get_int(bus, "number", 0), (int)hmp_get_int(bus, "secondary", 0),
               (int)hmp_get_int(bus, "subordinate", 0));
    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        json_object *range = json_object_object_get(bus, ranges[i].member);

        hmp_printf(hmp, "      %s [0x%08" PRIx64 ", 0x%08" PRIx64 "]\n", ranges[i].words,
                   (uint64_t)hmp_get_int(range, "base", 0),
                   (uint64_t)hmp_get_int(range, "limit", 0));
    }
}

/* A device and, below a bridge, those behind it; PCI has at most 256 buses, so this ends. */
static void print_pci_device(Hmp *hmp, json_object *dev)
{
    json_object *class = json_object_object_get(dev, "class_info");
    json_object *id = json_object_object_get(dev, "id");
    json_object *regions = json_object_object_get(dev, "regions");
    json_object *bridge;

    hmp_printf(hmp, "  Bus %2d, device %3d, function %d:\n", (int)hmp_get_int(dev, "bus", 0),
               (int)hmp_get_int(dev, "slot", 0), (int)hmp_get_int(dev, "function", 0));
    hmp_printf(hmp, "    %s: PCI device %04x:%04x\n", hmp_get_str(class, "desc", "Class unknown"),
               (unsigned)hmp_get_int(id, "vendor", 0), (unsigned)hmp_get_int(id, "device", 0));
    if (json_object_object_get_ex(id, "subsystem-vendor", NULL)) {
        hmp_printf(hmp, "      PCI subsystem %04x:%04x\n",
                   (unsigned)hmp_get_int(id, "subsystem-vendor", 0),
                   (unsigned)hmp_get_int(id, "subsystem", 0));
    }
    if (json_object_object_get_ex(dev, "irq", NULL)) {
        hmp_printf(hmp, "      IRQ %d, pin %c\n", (int)hmp_get_int(dev, "irq", 0),
                   (char)('A' + hmp_get_int(dev, "irq_pin", 1) - 1));
    }
    if (json_object_object_get_ex(dev, "pci_bridge", &bridge)) {
        print_pci_bridge(hmp, json_object_object_get(bridge, "bus"));
    }
    for (size_t i = 0; i < json_object_array_length(regions); i++) {
        print_pci_region(hmp, json_object_array_get_idx(regions, i));
    }
    hmp_printf(hmp, "      id \"%s\"\n", hmp_get_str(dev, "qdev_id", ""));
    bridge = json_object_object_get(json_object_object_get(dev, "pci_bridge"), "devices");
    for (size_t i = 0; bridge && i < json_object_array_length(bridge); i++) {
        print_pci_device(hmp, json_object_array_get_idx(bridge, i));
    }
}

static void print_pci_bus(Hmp *hmp, json_object *bus)
{
    json_object *devices = json_object_object_get(bus, "devices");

    for (size_t i = 0; i < json_object_array_length(devices); i++) {
        print_pci_device(hmp, json_object_array_get_idx(devices, i));
    }
}

static bool info_pci(Hmp *hmp, const HmpValue *values, GError **error)
{
    return hmp_qmp_each(hmp, "query-pci", NULL, print_pci_bus, error);
}

static bool print_tree(Hmp *hmp, const char *path, unsigned depth, GError **error)
{
    json_object *list = hmp_qmp(hmp, "qom-list",
                                hmp_object("path", json_object_new_string(path), NULL), error);

    if (!list) {
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);
        const char *type = hmp_get_str(item, "type", "");
        const char *name = hmp_get_str(item, "name", "");

        if (g_str_has_prefix(type, "child<") && depth < TREE_MAX_DEPTH) {
            g_autofree char *child = g_strdup_printf("%s%s%s", path,
                                                     strcmp(path, "/") ? "/" : "", name);

            hmp_printf(hmp, "%*s/%s (%.*s)\n", (int)depth * 2, "", name,
                       (int)strlen(type) - (int)strlen("child<>"), type + strlen("child<"));
            print_tree(hmp, child, depth + 1, NULL);
        }
    }
    json_object_put(list);
    return true;
}

static bool info_qom_tree(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *path = values[0].present ? values[0].text : "/machine";
    json_object *type = hmp_qmp(hmp, "qom-get",
                                hmp_object("path", json_object_new_string(path), "property",
                                           json_object_new_string("type"), NULL), error);

    if (!type) {
        return false;
    }
    hmp_printf(hmp, "%s (%s)\n", path, json_object_get_string(type));
    json_object_put(type);
    return print_tree(hmp, path, 1, error);
}

const HmpCommand hmp_builtin_info[] = {
    { .name = "version", .help = "program and version", .run = info_version },
    { .name = "status", .help = "whether the machine runs", .run = info_status },
    { .name = "name", .help = "the machine's name", .run = info_name },
    { .name = "uuid", .help = "the machine's UUID", .run = info_uuid },
    { .name = "vm-generation-id", .help = "the generation ID", .run = info_vmgenid },
    { .name = "kvm", .help = "whether KVM is used", .run = info_kvm },
    { .name = "accelerators", .help = "which accelerators there are", .run = info_accelerators },
    { .name = "chardev", .alias = "chr", .help = "character devices", .run = info_chardev },
    { .name = "cpus", .help = "CPUs and their threads", .run = info_cpus },
    {
        .name = "hotpluggable-cpus",
        .help = "places for CPUs",
        .run = info_hotpluggable_cpus,
    },
    { .name = "iothreads", .help = "iothread objects", .run = info_iothreads },
    { .name = "memdev", .help = "memory backends", .run = info_memdev },
    { .name = "balloon", .help = "how much memory the guest uses", .run = info_balloon },
    { .name = "memory-devices", .help = "memory that is plugged", .run = info_memory_devices },
    {
        .name = "memory_size_summary",
        .help = "how much memory the guest has",
        .run = info_memory_size_summary,
    },
    { .name = "fdsets", .help = "sets of file descriptors", .run = info_fdsets },
    { .name = "pci", .help = "PCI devices as the guest set them up", .run = info_pci },
    { .name = "history", .help = "lines entered so far", .run = info_history },
    {
        .name = "trace-events",
        .help = "trace points and whether they are on",
        .args = { { "name", HMP_WORD, .optional = true } },
        .run = info_trace_events,
    },
    {
        .name = "qom-tree",
        .help = "objects below a path (default: /machine)",
        .args = { { "path", HMP_WORD, .optional = true } },
        .run = info_qom_tree,
    },
    { .name = NULL },
};
