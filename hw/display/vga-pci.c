/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard VGA on PCI (1234:1111, the ID that Bochs uses): "VGA", with the legacy ports and window,
 * and "secondary-vga", which is reached through its BARs only.
 *
 *   BAR 0  video memory, prefetchable
 *   BAR 2  registers, 4 KiB:
 *          000  EDID, 128 bytes, then zeros
 *          400  ports 0x3c0..0x3df
 *          500  DISPI registers, 16 bits each
 *          600  extension: 600 size of this block (8), 604 byte order of the picture
 *               (0x1e1e1e1e little, 0xbebebebe big)
 *   ROM    the VGA BIOS, run by firmware
 */
#include "hw/display/vga-internal.h"

#include "hw/pci/pci.h"

#define MMIO_SIZE 0x1000
enum MmioBlock {
    MMIO_EDID = 0x000, MMIO_PORTS = 0x400, MMIO_DISPI = 0x500, MMIO_EXTENSION = 0x600,
};
#define MMIO_PORTS_SIZE 0x20
#define MMIO_DISPI_SIZE (2 * (VBE__MAX + 1))
#define MMIO_EXTENSION_SIZE 8
#define EXTENSION_ORDER 4
#define ORDER_LITTLE 0x1e1e1e1eu
#define ORDER_BIG 0xbebebebeu
/* Ports of BAR 2 start at 0x3c0. */
#define MMIO_FIRST_PORT VGA_ATTR

typedef struct VgaPci {
    PciDevice parent_obj;
    Vga vga;
    MemoryRegion *mmio;
    bool has_mmio, has_extension, has_edid, global_vmstate; /* properties */
    EdidInfo edid_info;                                     /* properties */
    uint8_t edid[EDID_SIZE];
} VgaPci;

static uint32_t read_extension(const VgaPci *dev, unsigned offset)
{
    if (offset == 0) {
        return MMIO_EXTENSION_SIZE;
    }
    return dev->vga.big_endian ? ORDER_BIG : ORDER_LITTLE;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    VgaPci *dev = opaque;

    if (offset < EDID_SIZE) {
        return dev->has_edid ? dev->edid[offset] : 0;
    }
    if (offset >= MMIO_PORTS && offset < MMIO_PORTS + MMIO_PORTS_SIZE) {
        return vga_port_read(&dev->vga, MMIO_FIRST_PORT + offset - MMIO_PORTS);
    }
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI + MMIO_DISPI_SIZE) {
        return vga_vbe_read(&dev->vga, (offset - MMIO_DISPI) / 2) >> (offset % 2 * 8) & 0xff;
    }
    if (dev->has_extension && offset >= MMIO_EXTENSION &&
        offset < MMIO_EXTENSION + MMIO_EXTENSION_SIZE) {
        unsigned at = offset - MMIO_EXTENSION;

        return read_extension(dev, at & ~3u) >> (at % 4 * 8) & 0xff;
    }
    return 0;
}

/* The byte order changes by a whole word only. */
static void write_order(VgaPci *dev, uint32_t value)
{
    if (value == ORDER_LITTLE || value == ORDER_BIG) {
        dev->vga.big_endian = value == ORDER_BIG;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VgaPci *dev = opaque;

    if (offset >= MMIO_PORTS && offset < MMIO_PORTS + MMIO_PORTS_SIZE) {
        for (unsigned i = 0; i < size && offset + i < MMIO_PORTS + MMIO_PORTS_SIZE; i++) {
            vga_port_write(&dev->vga, MMIO_FIRST_PORT + offset + i - MMIO_PORTS, value >> (i * 8));
        }
    } else if (offset >= MMIO_DISPI && offset < MMIO_DISPI + MMIO_DISPI_SIZE) {
        if (size == 2 && offset % 2 == 0) {
            vga_vbe_write(&dev->vga, (offset - MMIO_DISPI) / 2, value);
        }
    } else if (dev->has_extension && offset == MMIO_EXTENSION + EXTENSION_ORDER && size == 4) {
        write_order(dev, value);
    }
}

/* Reads go byte by byte; writes as the guest makes them. */
static uint64_t mmio_read_any(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= mmio_read(opaque, offset + i, 1) << (i * 8);
    }
    return value;
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read_any,
    .write = mmio_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

static bool realize_common(VgaPci *dev, GError **error)
{
    PciDevice *pci = &dev->parent_obj;

    if (!vga_init(&dev->vga, OBJECT(dev), error)) {
        return false;
    }
    pci_register_bar(pci, 0, PCI_BAR_MEM32 | PCI_BAR_PREFETCH, dev->vga.vram);
    if (dev->has_mmio) {
        dev->mmio = memory_region_new_io(OBJECT(dev), &mmio_ops, dev, "vga.mmio", MMIO_SIZE);
        pci_register_bar(pci, 2, PCI_BAR_MEM32, dev->mmio);
    }
    edid_generate(&dev->edid_info, dev->edid);
    return true;
}

static void legacy_unrealize(Device *device)
{
    VgaPci *dev = (VgaPci *)device;
    PciBus *bus = pci_device_bus(&dev->parent_obj);

    memory_region_remove(pci_bus_memory(bus), dev->vga.legacy);
    memory_region_remove(pci_bus_io(bus), dev->vga.ports);
    memory_region_remove(pci_bus_io(bus), dev->vga.vbe_ports);
}

static bool legacy_realize(Device *device, GError **error)
{
    VgaPci *dev = (VgaPci *)device;
    PciBus *bus = pci_device_bus(&dev->parent_obj);

    if (!realize_common(dev, error)) {
        return false;
    }
    memory_region_add_overlap(pci_bus_memory(bus), VGA_LEGACY_BASE, dev->vga.legacy, 1);
    memory_region_add_overlap(pci_bus_io(bus), VGA_PORT_BASE, dev->vga.ports, -1);
    memory_region_add_overlap(pci_bus_io(bus), VBE_PORT_INDEX, dev->vga.vbe_ports, -1);
    return true;
}

static void secondary_init(Object *obj)
{
    ((VgaPci *)obj)->has_mmio = true;
}

static bool secondary_realize(Device *device, GError **error)
{
    return realize_common((VgaPci *)device, error);
}

static void vga_pci_reset(Device *device)
{
    vga_reset(&((VgaPci *)device)->vga);
}

static void vga_pci_finalize(Object *obj)
{
    VgaPci *dev = (VgaPci *)obj;

    g_clear_pointer(&dev->mmio, memory_region_free);
    vga_cleanup(&dev->vga);
}

static json_object *get_big_endian(Object *obj, const Property *prop)
{
    return json_object_new_boolean(((VgaPci *)obj)->vga.big_endian);
}

static bool set_big_endian(Object *obj, const Property *prop, json_object *value, GError **error)
{
    ((VgaPci *)obj)->vga.big_endian = json_object_get_boolean(value);
    return true;
}

static const VmState vga_pci_vmstate = {
    .name = "vga-pci",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_PCI_DEVICE(VgaPci),
        VMSTATE_STRUCT(VgaPci, vga, vga_vmstate),
        VMSTATE_END
    },
};

#define SHARED_PROPERTIES                                                                          \
    PROP_UINT32("vgamem_mb", VgaPci, vga.vram_mb, 16, "video memory in MiB (1 to 512)"),           \
    PROP_BOOL("qemu-extended-regs", VgaPci, has_extension, true, "byte order can be chosen"),      \
    PROP_BOOL("edid", VgaPci, has_edid, true, "describe a monitor to the guest"),                  \
    PROP_UINT32("xres", VgaPci, edid_info.xres, 0, "the monitor's preferred width"),               \
    PROP_UINT32("yres", VgaPci, edid_info.yres, 0, "the monitor's preferred height"),              \
    PROP_UINT32("xmax", VgaPci, edid_info.xmax, 0, "the monitor's largest width"),                 \
    PROP_UINT32("ymax", VgaPci, edid_info.ymax, 0, "the monitor's largest height"),                \
    PROP_UINT32("refresh_rate", VgaPci, edid_info.refresh_mhz, 0, "preferred refresh in mHz"),     \
    PROP_COMPUTED("big-endian-framebuffer", prop_kind_bool, get_big_endian, set_big_endian,        \
                  "pixels are big-endian"),                                                        \
    VGA_TEXT_PROPERTY

static const Property vga_properties[] = {
    SHARED_PROPERTIES,
    PROP_BOOL("mmio", VgaPci, has_mmio, true, "registers in BAR 2"),
    PROP_BOOL("global-vmstate", VgaPci, global_vmstate, false, "accepted, without effect"),
    PROP_END
};

static const Property secondary_properties[] = {
    SHARED_PROPERTIES,
    PROP_END
};

static const DeviceHooks vga_hooks = {
    .realize = legacy_realize,
    .unrealize = legacy_unrealize,
    .reset = vga_pci_reset,
    .vmstate = &vga_pci_vmstate,
    .category = DEVICE_CATEGORY_DISPLAY,
};

static const DeviceHooks secondary_hooks = {
    .realize = secondary_realize,
    .reset = vga_pci_reset,
    .vmstate = &vga_pci_vmstate,
    .category = DEVICE_CATEGORY_DISPLAY,
    .hotpluggable = true,
};

static const PciDeviceOps vga_ops = {
    .vendor_id = 0x1234,
    .device_id = 0x1111,
    .class_id = 0x0300,
    .revision = 2,
    .romfile = "vgabios-stdvga.bin",
};

static const PciDeviceOps secondary_ops = {
    .vendor_id = 0x1234,
    .device_id = 0x1111,
    .class_id = 0x0380,
    .revision = 2,
};

static const TypeInfo vga_pci_type = {
    .name = TYPE_VGA_PCI,
    .parent = TYPE_PCI_DEVICE,
    .description = "standard VGA with Bochs VBE",
    .instance_size = sizeof(VgaPci),
    .user_creatable = true,
    .properties = vga_properties,
    .instance_finalize = vga_pci_finalize,
    .hooks = &vga_hooks,
    .ops = &vga_ops,
};
QOM_TYPE(vga_pci_type);

static const TypeInfo vga_secondary_type = {
    .name = TYPE_VGA_SECONDARY,
    .parent = TYPE_PCI_DEVICE,
    .description = "standard VGA without legacy ports, for a further screen",
    .instance_size = sizeof(VgaPci),
    .user_creatable = true,
    .properties = secondary_properties,
    .instance_init = secondary_init,
    .instance_finalize = vga_pci_finalize,
    .hooks = &secondary_hooks,
    .ops = &secondary_ops,
};
QOM_TYPE(vga_secondary_type);

static Vga *pci_core(Device *dev)
{
    bool ours = object_is_a(dev, TYPE_VGA_PCI) || object_is_a(dev, TYPE_VGA_SECONDARY);

    return ours ? &((VgaPci *)dev)->vga : NULL;
}

Vga *vga_of_device(Device *dev)
{
    Vga *vga = pci_core(dev);

    return vga ? vga : vga_isa_core(dev);
}
