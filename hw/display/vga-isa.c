/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard VGA on ISA ("isa-vga"): legacy ports and window, DISPI ports, and the video memory as a
 * whole at 0xe0000000, where Bochs' VGA BIOS for ISA expects it.
 */
#include "hw/display/vga-internal.h"

#include "hw/isa/isa.h"

#define FRAMEBUFFER_ADDRESS 0xe0000000u

typedef struct VgaIsa {
    IsaDevice parent_obj;
    Vga vga;
} VgaIsa;

static bool vga_isa_realize(Device *device, GError **error)
{
    VgaIsa *dev = (VgaIsa *)device;
    IsaDevice *isa = &dev->parent_obj;
    MemoryRegion *memory = isa_memory(isa_device_bus(isa));

    if (!vga_init(&dev->vga, OBJECT(dev), error) ||
        !isa_map_ports(isa, dev->vga.ports, VGA_PORT_BASE, error) ||
        !isa_map_ports(isa, dev->vga.vbe_ports, VBE_PORT_INDEX, error)) {
        return false;
    }
    memory_region_add_overlap(memory, VGA_LEGACY_BASE, dev->vga.legacy, 1);
    memory_region_add_overlap(memory, FRAMEBUFFER_ADDRESS, dev->vga.vram, 1);
    return true;
}

static void vga_isa_unrealize(Device *device)
{
    VgaIsa *dev = (VgaIsa *)device;
    MemoryRegion *memory = isa_memory(isa_device_bus(&dev->parent_obj));

    memory_region_remove(memory, dev->vga.legacy);
    memory_region_remove(memory, dev->vga.vram);
}

static void vga_isa_reset(Device *device)
{
    vga_reset(&((VgaIsa *)device)->vga);
}

static void vga_isa_finalize(Object *obj)
{
    vga_cleanup(&((VgaIsa *)obj)->vga);
}

static const VmState vga_isa_vmstate = {
    .name = "vga-isa",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(VgaIsa, vga, vga_vmstate),
        VMSTATE_END
    },
};

static const Property vga_isa_properties[] = {
    PROP_UINT32("vgamem_mb", VgaIsa, vga.vram_mb, 8, "video memory in MiB (1 to 512)"),
    VGA_TEXT_PROPERTY,
    PROP_END
};

static const DeviceHooks vga_isa_hooks = {
    .realize = vga_isa_realize,
    .unrealize = vga_isa_unrealize,
    .reset = vga_isa_reset,
    .vmstate = &vga_isa_vmstate,
    .category = DEVICE_CATEGORY_DISPLAY,
};

static const TypeInfo vga_isa_type = {
    .name = TYPE_VGA_ISA,
    .parent = TYPE_ISA_DEVICE,
    .description = "standard VGA with Bochs VBE on ISA",
    .instance_size = sizeof(VgaIsa),
    .user_creatable = true,
    .properties = vga_isa_properties,
    .instance_finalize = vga_isa_finalize,
    .hooks = &vga_isa_hooks,
};
QOM_TYPE(vga_isa_type);

Vga *vga_isa_core(Device *dev)
{
    return object_is_a(dev, TYPE_VGA_ISA) ? &((VgaIsa *)dev)->vga : NULL;
}
