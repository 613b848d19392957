/* SPDX-License-Identifier: Apache-2.0 */
/* What an x86 machine tells its firmware through fw_cfg. */
#include "hw/i386/fw-items.h"

#include "hw/misc/vmcoreinfo.h"
#include "hw/pci/pci.h"
#include "util/bits.h"
#include "util/datadir.h"
#include "util/error.h"
#include "util/map-file.h"

#define ISA_VGA_BIOS "vgabios-isavga.bin"
#define SPLASH_MAX (16 * MiB)
#define BOOT_ENTRY_HALT INT32_MAX
#define STATE_ENABLED 0x80 /* in "etc/system-states" */
#define S3_TYPE 1
#define FIRST_SERIAL_PORT 0x3f8

static void fw_items_add_numbers(FwCfg *fw, const Machine *machine, const FwItemsConfig *config)
{
    fw_cfg_add_copy(fw, FW_CFG_UUID, machine->uuid, sizeof(machine->uuid));
    fw_cfg_add_u64(fw, FW_CFG_RAM_SIZE, machine->ram_size);
    fw_cfg_add_u16(fw, FW_CFG_NOGRAPHIC, !machine->graphics);
    fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, machine->smp.cpus);
    fw_cfg_add_u16(fw, FW_CFG_MAX_CPUS, config->apic_id_limit);
    fw_cfg_add_u16(fw, FW_CFG_BOOT_MENU, machine->boot.menu);
    fw_cfg_add_u32(fw, FW_CFG_IRQ0_OVERRIDE, config->irq0_override);
}

/* Node of a CPU by index; 0 if no node claims it. */
static uint64_t fw_items_cpu_node(const Machine *machine, unsigned cpu)
{
    for (unsigned node = 0; node < machine->numa_nodes; node++) {
        const GArray *cpus = machine->numa[node].cpus;

        for (unsigned i = 0; cpus && i < cpus->len; i++) {
            if (g_array_index(cpus, unsigned, i) == cpu) {
                return node;
            }
        }
    }
    return 0;
}

/* u64 each: number of nodes; the node of each APIC id below the limit; the bytes of each node. */
static void fw_items_add_numa(FwCfg *fw, const Machine *machine, const FwItemsConfig *config)
{
    size_t count = 1 + config->apic_id_limit + machine->numa_nodes;
    g_autofree uint64_t *map = g_new0(uint64_t, count);

    map[0] = htole64(machine->numa_nodes);
    for (unsigned cpu = 0; cpu < machine->smp.max_cpus; cpu++) {
        uint32_t apic_id = config->apic_ids ? config->apic_ids[cpu] : cpu;

        if (apic_id < config->apic_id_limit) {
            map[1 + apic_id] = htole64(fw_items_cpu_node(machine, cpu));
        }
    }
    for (unsigned node = 0; node < machine->numa_nodes; node++) {
        map[1 + config->apic_id_limit + node] = htole64(machine->numa[node].mem);
    }
    fw_cfg_add_copy(fw, FW_CFG_NUMA, map, count * sizeof(map[0]));
}

/* -boot splash=FILE: JPEG or 24-bit BMP, by the file's first bytes. */
static bool fw_items_add_splash(FwCfg *fw, const char *path, GError **error)
{
    g_autoptr(GBytes) data = map_file(path, error);
    const uint8_t *bytes;
    gsize len;

    if (!data) {
        g_prefix_error(error, "-boot splash: ");
        return false;
    }
    bytes = g_bytes_get_data(data, &len);
    if (len < 30 || len > SPLASH_MAX) {
        error_setf(error, "-boot splash: '%s' has %zu bytes: no picture", path, len);
        return false;
    }
    if (bytes[0] == 0xff && bytes[1] == 0xd8) {
        return fw_cfg_add_file(fw, "bootsplash.jpg", data, error);
    }
    if (bytes[0] == 'B' && bytes[1] == 'M' && ldw_le(bytes + 28) == 24) {
        return fw_cfg_add_file(fw, "bootsplash.bmp", data, error);
    }
    error_setf(error, "-boot splash: '%s' is neither a JPEG nor a BMP of 24 bits a pixel", path);
    return false;
}

static bool fw_items_add_boot(FwCfg *fw, const BootConfig *boot, GError **error)
{
    uint8_t value[4];

    if (boot->splash && !fw_items_add_splash(fw, boot->splash, error)) {
        return false;
    }
    if (boot->splash_time >= 0) {
        stw_le(value, MIN(boot->splash_time, UINT16_MAX));
        if (!fw_cfg_add_file_copy(fw, "etc/boot-menu-wait", value, 2, error)) {
            return false;
        }
    }
    stl_le(value, boot->reboot_timeout < 0 ? UINT32_MAX : (uint32_t)boot->reboot_timeout);
    if (!fw_cfg_add_file_copy(fw, "etc/boot-fail-wait", value, 4, error)) {
        return false;
    }
    return !boot->strict || fw_cfg_add_boot_entry(fw, "HALT", BOOT_ENTRY_HALT, error);
}

/* A byte for each of S0..S5: SLP_TYP, and bit 7 if the state exists. */
static bool fw_items_add_states(FwCfg *fw, const FwItemsConfig *config, GError **error)
{
    uint8_t states[6] = { STATE_ENABLED, 0, 0, S3_TYPE, config->s4_value, STATE_ENABLED };

    states[3] |= config->s3 ? STATE_ENABLED : 0;
    states[4] |= config->s4 ? STATE_ENABLED : 0;
    return fw_cfg_add_file_copy(fw, "etc/system-states", states, sizeof(states), error);
}

/*
 * SeaBIOS shows its text screen on this serial port too (its docs/Runtime_config.md).
 */
static bool fw_items_add_serial_console(FwCfg *fw, const Machine *machine, GError **error)
{
    const uint64_t port = htole64(FIRST_SERIAL_PORT);

    return machine->graphics || !machine->serial[0] ||
           fw_cfg_add_file_copy(fw, "etc/sercon-port", &port, sizeof(port), error);
}

static bool find_isa_vga(Device *dev, void *opaque)
{
    *(bool *)opaque |= object_is_a(dev, "isa-vga");
    return !*(bool *)opaque;
}

/* A card on PCI shows its BIOS itself; for one on ISA, firmware looks here. */
static bool fw_items_add_vga_rom(FwCfg *fw, GError **error)
{
    g_autoptr(GBytes) data = NULL;
    g_autofree char *path = NULL;
    bool found = false;

    device_foreach(find_isa_vga, &found);
    path = found ? datadir_find(ISA_VGA_BIOS, NULL) : NULL;
    if (!path) {
        return true; /* as for PCI: one that is not installed is simply absent */
    }
    data = map_file(path, error);
    return data && fw_cfg_add_file(fw, "vgaroms/" ISA_VGA_BIOS, data, error);
}

/* A PCI device with rombar=0: its ROM's file comes by fw_cfg, once for all that share it. */
static bool fw_items_add_pci_rom(FwCfg *fw, const PciDevice *dev, GError **error)
{
    const char *name = dev->rombar ? NULL : pci_rom_file(dev);
    g_autofree char *path = name ? datadir_find(name, dev->romfile ? error : NULL) : NULL;
    g_autofree char *base = path ? g_path_get_basename(path) : NULL;
    g_autofree char *file = NULL;
    g_autoptr(GBytes) data = NULL;

    if (!path) {
        return !name || !dev->romfile;
    }
    file = g_strconcat(pci_device_class(dev) == PCI_CLASS_VGA ? "vgaroms/" : "genroms/", base,
                       NULL);
    if (fw_cfg_has_file(fw, file)) {
        return true;
    }
    data = map_file(path, error);
    return data && fw_cfg_add_file(fw, file, data, error);
}

typedef struct Collector {
    FwCfg *fw;
    GError **error;
    bool ok;
} Collector;

static bool add_pci_rom(Device *dev, void *opaque)
{
    Collector *collector = opaque;

    collector->ok = !object_is_a(dev, TYPE_PCI_DEVICE) ||
                    fw_items_add_pci_rom(collector->fw, (const PciDevice *)dev, collector->error);
    return collector->ok;
}

static bool fw_items_add_pci_roms(FwCfg *fw, GError **error)
{
    Collector collector = { .fw = fw, .error = error, .ok = true };

    device_foreach(add_pci_rom, &collector);
    return collector.ok;
}

static bool fw_items_add_option_roms(FwCfg *fw, const Machine *machine, GError **error)
{
    for (unsigned i = 0; machine->option_roms && i < machine->option_roms->len; i++) {
        const char *name = g_ptr_array_index(machine->option_roms, i);
        g_autofree char *path = datadir_find(name, error);

        if (!path || !fw_items_add_option_rom(fw, path, -1, error)) {
            return false;
        }
    }
    return true;
}

static bool add_boot_device(Device *dev, void *opaque)
{
    Collector *collector = opaque;
    const Property *prop = type_find_property(OBJECT(dev)->type, "bootindex");
    json_object *index = prop ? object_property_get(OBJECT(dev), "bootindex", NULL) : NULL;
    int32_t place = index ? json_object_get_int(index) : -1;
    g_autofree char *path = place >= 0 ? device_boot_path(dev) : NULL;

    json_object_put(index);
    collector->ok = !path || fw_cfg_add_boot_entry(collector->fw, path, place, collector->error);
    return collector->ok;
}

/* Devices that have a place in the boot order. */
static bool fw_items_add_boot_devices(FwCfg *fw, GError **error)
{
    Collector collector = { .fw = fw, .error = error, .ok = true };

    device_foreach(add_boot_device, &collector);
    return collector.ok;
}

bool fw_items_add(FwCfg *fw, const Machine *machine, const FwItemsConfig *config, GError **error)
{
    g_autoptr(GBytes) e820 = e820_to_bytes(config->e820);

    fw_items_add_numbers(fw, machine, config);
    fw_items_add_numa(fw, machine, config);
    if (!fw_cfg_add_file(fw, "etc/e820", e820, error) ||
        !fw_items_add_states(fw, config, error) ||
        !fw_items_add_boot_devices(fw, error) ||
        !fw_items_add_boot(fw, &machine->boot, error) || !fw_items_add_vmcoreinfo(fw, error) ||
        !fw_items_add_serial_console(fw, machine, error) ||
        !fw_items_add_option_roms(fw, machine, error) ||
        !fw_items_add_pci_roms(fw, error) || !fw_items_add_vga_rom(fw, error)) {
        return false;
    }
    for (unsigned i = 0; machine->fw_cfg_options && i < machine->fw_cfg_options->len; i++) {
        if (!fw_cfg_add_user_option(fw, g_ptr_array_index(machine->fw_cfg_options, i), error)) {
            return false;
        }
    }
    return true;
}

bool fw_items_add_option_rom(FwCfg *fw, const char *path, int32_t index, GError **error)
{
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *name = g_strdup_printf("genroms/%s", base);
    g_autofree char *boot_path = g_strdup_printf("/rom@%s", name);
    g_autoptr(GBytes) data = map_file(path, error);

    if (!data) {
        g_prefix_error(error, "option ROM: ");
        return false;
    }
    return fw_cfg_add_file(fw, name, data, error) &&
           fw_cfg_add_boot_entry(fw, boot_path, index, error);
}

bool fw_items_add_vmcoreinfo(FwCfg *fw, GError **error)
{
    VmCoreInfo *dev = vmcoreinfo_find();

    return !dev || fw_cfg_add_writable_file(fw, "etc/vmcoreinfo", vmcoreinfo_bytes(dev),
                                            VMCOREINFO_SIZE, vmcoreinfo_written, dev, error);
}
