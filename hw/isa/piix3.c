/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 82371SB (PIIX3), function 0. Registers (data sheet, section 2.2):
 *   0x60..0x63 PIRQRCA..D: bit 7 disables, bits 3:0 the ISA interrupt
 *   port 0xCF9 reset control: bit 2 resets the CPU on its 0 to 1 change, bit 1 makes it a
 *              hard reset
 * The other registers hold what firmware writes.
 */
#include "hw/isa/piix3.h"

#include "accel/vm-events.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"

#define PIRQRC 0x60
#define PIRQRC_DISABLE 0x80
#define PIRQRC_IRQ 0x0f
#define RCR_PORT 0xcf9
#define RCR_RESET_CPU 0x04
#define RCR_HARD_RESET 0x02

typedef struct Piix3 {
    PciDevice parent_obj;
    IsaBus *isa;
    MemoryRegion *io, *rcr_region;
    Irq irqs[ISA_IRQS];
    uint8_t pirq_levels; /* bit n: PIRQ n is asserted */
    uint8_t rcr;
} Piix3;

static bool irq_level(const Piix3 *piix, unsigned irq)
{
    for (unsigned pirq = 0; pirq < PIIX_PIRQS; pirq++) {
        uint8_t route = piix->parent_obj.config[PIRQRC + pirq];

        if (!(route & PIRQRC_DISABLE) && (route & PIRQRC_IRQ) == irq &&
            (piix->pirq_levels & BIT(pirq))) {
            return true;
        }
    }
    return false;
}

/* Which ISA lines PIRQs are routed to now. */
static uint16_t routed_irqs(const Piix3 *piix)
{
    uint16_t mask = 0;

    for (unsigned pirq = 0; pirq < PIIX_PIRQS; pirq++) {
        uint8_t route = piix->parent_obj.config[PIRQRC + pirq];

        if (!(route & PIRQRC_DISABLE)) {
            mask |= BIT(route & PIRQRC_IRQ);
        }
    }
    return mask;
}

static void drive_irqs(Piix3 *piix, uint16_t mask)
{
    for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
        if (mask & BIT(irq)) {
            irq_set(piix->irqs[irq], irq_level(piix, irq));
        }
    }
}

static void set_pirq(void *opaque, int pirq, bool level)
{
    Piix3 *piix = opaque;

    piix->pirq_levels = deposit64(piix->pirq_levels, pirq, 1, level);
    drive_irqs(piix, routed_irqs(piix));
}

int piix3_slot_pirq(unsigned slot, int pin)
{
    return (slot - 1 + pin) & 3;
}

static int map_pirq(PciDevice *dev, int pin)
{
    return piix3_slot_pirq(PCI_SLOT(dev->devfn), pin);
}

static const PciBusIrqOps pirq_ops = {
    .map_irq = map_pirq,
    .set_irq = set_pirq,
    .count = PIIX_PIRQS,
};

static void piix3_config_write(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size)
{
    Piix3 *piix = (Piix3 *)dev;
    uint16_t before = routed_irqs(piix);

    pci_default_config_write(dev, addr, value, size);
    if (ranges_overlap(addr, size, PIRQRC, PIIX_PIRQS)) {
        drive_irqs(piix, before | routed_irqs(piix));
    }
}

static uint64_t rcr_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Piix3 *)opaque)->rcr;
}

static void rcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix3 *piix = opaque;

    if (value & RCR_RESET_CPU) {
        vm_request_reset(VM_CAUSE_GUEST_RESET);
        return;
    }
    piix->rcr = value & RCR_HARD_RESET;
}

static const MemoryRegionOps rcr_ops = {
    .read = rcr_read,
    .write = rcr_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

static bool piix3_realize(Device *device, GError **error)
{
    Piix3 *piix = (Piix3 *)device;

    piix->rcr_region = memory_region_new_io(OBJECT(piix), &rcr_ops, piix, "piix3-reset-control", 1);
    /* Over the dword-only CONFIG_ADDRESS, which shares the port. */
    memory_region_add_overlap(piix->io, RCR_PORT, piix->rcr_region, 1);
    pci_bus_set_irqs(pci_device_bus(&piix->parent_obj), &pirq_ops, piix);
    return true;
}

typedef struct ConfigByte {
    uint8_t at, value;
} ConfigByte;

/* Power-on values (82371SB data sheet, section 2.2). */
static const ConfigByte reset_values[] = {
    { PCI_COMMAND, 0x07 }, { PCI_STATUS + 1, 0x02 },
    { 0x4c, 0x4d }, { 0x4e, 0x03 },
    { 0x60, 0x80 }, { 0x61, 0x80 }, { 0x62, 0x80 }, { 0x63, 0x80 },
    { 0x69, 0x02 }, { 0x70, 0x80 }, { 0x76, 0x0c }, { 0x77, 0x0c }, { 0x78, 0x02 },
    { 0xa0, 0x08 }, { 0xa8, 0x0f },
};

static void piix3_reset(Device *device)
{
    Piix3 *piix = (Piix3 *)device;
    uint16_t before = routed_irqs(piix);

    memset(piix->parent_obj.config + PCI_FIRST_CAP, 0, PCI_CONFIG_SIZE - PCI_FIRST_CAP);
    for (unsigned i = 0; i < G_N_ELEMENTS(reset_values); i++) {
        piix->parent_obj.config[reset_values[i].at] = reset_values[i].value;
    }
    piix->pirq_levels = 0;
    piix->rcr = 0;
    drive_irqs(piix, before);
}

static void piix3_finalize(Object *obj)
{
    g_clear_pointer(&((Piix3 *)obj)->rcr_region, memory_region_free);
}

static const VmStateField piix3_fields[] = {
    VMSTATE_PCI_DEVICE(Piix3),
    VMSTATE_U8(Piix3, pirq_levels),
    VMSTATE_U8(Piix3, rcr),
    VMSTATE_END,
};

static const VmState piix3_vmstate = {
    .name = "PIIX3",
    .version = 1,
    .minimum_version = 1,
    .fields = piix3_fields,
};

static const DeviceHooks piix3_hooks = {
    .realize = piix3_realize,
    .reset = piix3_reset,
    .vmstate = &piix3_vmstate,
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const PciDeviceOps piix3_ops = {
    .vendor_id = PCI_VENDOR_INTEL,
    .device_id = 0x7000,
    .class_id = PCI_CLASS_BRIDGE_ISA,
    .config_write = piix3_config_write,
};

static const TypeInfo piix3_info = {
    .name = TYPE_PIIX3,
    .parent = TYPE_PCI_DEVICE,
    .description = "PCI-ISA bridge",
    .instance_size = sizeof(Piix3),
    .instance_finalize = piix3_finalize,
    .hooks = &piix3_hooks,
    .ops = &piix3_ops,
};
QOM_TYPE(piix3_info);

IsaBus *piix3_new(PciBus *bus, int devfn, MemoryRegion *memory, MemoryRegion *io, GError **error)
{
    Piix3 *piix = (Piix3 *)object_new(TYPE_PIIX3);

    piix->io = io;
    piix->parent_obj.devfn = devfn;
    piix->parent_obj.multifunction = true;
    if (!device_realize_and_unref((Device *)piix, (Bus *)bus, error)) {
        return NULL;
    }
    piix->isa = isa_bus_new((Device *)piix, memory, io);
    return piix->isa;
}

void piix3_connect_irqs(IsaBus *bus, const Irq irqs[ISA_IRQS])
{
    Piix3 *piix = (Piix3 *)((Bus *)bus)->owner;

    memcpy(piix->irqs, irqs, sizeof(piix->irqs));
    isa_bus_connect_irqs(bus, irqs);
}
