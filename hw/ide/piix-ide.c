/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 82371SB (PIIX3), function 1: IDE (data sheet, section 2.3). Configuration registers 40h to
 * 43h (IDETIM) hold timings and enable bits that firmware and drivers write; the ports always
 * answer. BAR 4 has the bus master registers, 8 ports for each channel.
 */
#include "hw/ide/piix-ide.h"

#include "hw/ide/bmdma.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"

#define DEVICE_PIIX3_IDE 0x7010
#define CLASS_STORAGE_IDE 0x0101
#define PROG_IF_BUS_MASTER 0x80
#define PCI_STATUS_IDE 0x0280 /* fast back-to-back, medium DEVSEL */
#define SIMPLE_TIMING 0x40
#define CONTROL_REGISTERS (PCI_CONFIG_SIZE - PCI_FIRST_CAP)
#define BMDMA_BAR 4

typedef struct PiixIde {
    PciDevice parent_obj;
    MemoryRegion *io, *bmdma_region;
    IdeChannel *channels[PIIX_IDE_CHANNELS];
    Irq irqs[PIIX_IDE_CHANNELS];
    IdeRegs regs[PIIX_IDE_CHANNELS];
    BmDma bmdma[PIIX_IDE_CHANNELS];
    bool mapped;
} PiixIde;

static const struct {
    uint16_t command, control;
} ports[PIIX_IDE_CHANNELS] = { { 0x1f0, 0x3f6 }, { 0x170, 0x376 } };

static uint64_t bmdma_region_read(void *opaque, uint64_t offset, unsigned size)
{
    return bmdma_read(&((PiixIde *)opaque)->bmdma[offset / BMDMA_PORTS], offset % BMDMA_PORTS);
}

static void bmdma_region_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    bmdma_write(&((PiixIde *)opaque)->bmdma[offset / BMDMA_PORTS], offset % BMDMA_PORTS, value);
}

static const MemoryRegionOps bmdma_region_ops = {
    .read = bmdma_region_read,
    .write = bmdma_region_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 1 },
};

static void drive_irq(void *opaque, int n, bool level)
{
    irq_set(((PiixIde *)opaque)->irqs[n], level);
}

static void piix_ide_init(Object *obj)
{
    device_init_irq_out((Device *)obj, "irq", ((PiixIde *)obj)->irqs, PIIX_IDE_CHANNELS);
}

static bool piix_ide_realize(Device *device, GError **error)
{
    PiixIde *ide = (PiixIde *)device;

    for (unsigned n = 0; n < PIIX_IDE_CHANNELS; n++) {
        g_autofree char *name = g_strdup_printf("ide.%u", n);

        ide->channels[n] = ide_channel_new(device, name, n, &ide->regs[n]);
        ide->channels[n]->irq = (Irq){ .fn = drive_irq, .opaque = ide, .n = (int)n };
        bmdma_init(&ide->bmdma[n], &ide->parent_obj, ide->channels[n]);
        memory_region_add(ide->io, ports[n].command, ide->channels[n]->command);
        memory_region_add(ide->io, ports[n].control, ide->channels[n]->control_region);
    }
    ide->mapped = true;
    ide->bmdma_region = memory_region_new_io(OBJECT(ide), &bmdma_region_ops, ide, "piix-bmdma",
                                             BMDMA_PORTS * PIIX_IDE_CHANNELS);
    pci_register_bar(&ide->parent_obj, BMDMA_BAR, PCI_BAR_IO, ide->bmdma_region);
    return true;
}

static void piix_ide_unrealize(Device *device)
{
    PiixIde *ide = (PiixIde *)device;

    for (unsigned n = 0; ide->mapped && n < PIIX_IDE_CHANNELS; n++) {
        memory_region_remove(ide->io, ide->channels[n]->command);
        memory_region_remove(ide->io, ide->channels[n]->control_region);
        ide_channel_cleanup(ide->channels[n]);
    }
    ide->mapped = false;
}

static void piix_ide_reset(Device *device)
{
    PiixIde *ide = (PiixIde *)device;
    uint8_t *config = ide->parent_obj.config;

    memset(config + SIMPLE_TIMING, 0, CONTROL_REGISTERS);
    stw_le(config + PCI_STATUS, PCI_STATUS_IDE);
    for (unsigned n = 0; n < PIIX_IDE_CHANNELS; n++) {
        ide_channel_reset(ide->channels[n]);
        bmdma_reset(&ide->bmdma[n]);
    }
}

static void piix_ide_finalize(Object *obj)
{
    PiixIde *ide = (PiixIde *)obj;

    for (unsigned n = 0; n < PIIX_IDE_CHANNELS; n++) {
        bmdma_cleanup(&ide->bmdma[n]);
    }
    g_clear_pointer(&ide->bmdma_region, memory_region_free);
}

static const VmState piix_ide_vmstate = {
    .name = "ide",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_PCI_DEVICE(PiixIde),
        VMSTATE_STRUCT_ARRAY(PiixIde, regs, ide_regs_vmstate),
        VMSTATE_STRUCT_ARRAY(PiixIde, bmdma, bmdma_vmstate),
        VMSTATE_END
    },
};

static const DeviceHooks piix_ide_hooks = {
    .realize = piix_ide_realize,
    .unrealize = piix_ide_unrealize,
    .reset = piix_ide_reset,
    .vmstate = &piix_ide_vmstate,
    .category = DEVICE_CATEGORY_STORAGE,
    .no_user = true,
};

static const PciDeviceOps piix_ide_ops = {
    .vendor_id = PCI_VENDOR_INTEL,
    .device_id = DEVICE_PIIX3_IDE,
    .class_id = CLASS_STORAGE_IDE,
    .prog_if = PROG_IF_BUS_MASTER,
};

static const TypeInfo piix_ide_info = {
    .name = TYPE_PIIX3_IDE,
    .parent = TYPE_PCI_DEVICE,
    .description = "IDE of PIIX3",
    .instance_size = sizeof(PiixIde),
    .instance_init = piix_ide_init,
    .instance_finalize = piix_ide_finalize,
    .hooks = &piix_ide_hooks,
    .ops = &piix_ide_ops,
};
QOM_TYPE(piix_ide_info);

IdeChannel *piix3_ide_channel(PciDevice *dev, unsigned n)
{
    return ((PiixIde *)dev)->channels[n];
}

PciDevice *piix3_ide_new(PciBus *bus, int devfn, MemoryRegion *io, GError **error)
{
    PiixIde *ide = (PiixIde *)object_new(TYPE_PIIX3_IDE);

    ide->io = io;
    ide->parent_obj.devfn = devfn;
    return device_realize_and_unref((Device *)ide, (Bus *)bus, error) ? &ide->parent_obj : NULL;
}
