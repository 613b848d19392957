/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 82371AB (PIIX4), function 3. Configuration registers (data sheet, section 7.1):
 *   0x40 PMBA: base of the PM registers (64 bytes); 0x80 bit 0 PMREGMISC enables them
 *   0x58 DEVACTB: bit 25 APMC_EN, SMI on writes to port 0xB2
 *   0x90 SMBBA: SMBus base; 0xD2 its control
 * Ports 0xB2 and 0xB3 are APM control and status.
 */
#include "hw/acpi/piix4-pm.h"

#include "hw/acpi/pci-hotplug.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"

#define PMBA 0x40
#define PMBA_MASK 0xffc0
#define DEVACTB 0x58
#define DEVACTB_APMC_EN BIT(25)
#define PMREGMISC 0x80
#define PMREGMISC_PMIOSE 0x01
#define SMBBA 0x90
#define PM_WINDOW 64

typedef struct Piix4Pm {
    PciDevice parent_obj;
    AcpiPmState acpi;
    AcpiPciHotplug hotplug;
    MemoryRegion *io, *window, *apm_region;
    Irq sci, smi;
    uint8_t apm_control, apm_status;
    bool smm;
    bool mapped;
    bool root_hotplug;
    uint8_t disable_s3, disable_s4;
} Piix4Pm;

static void update_window(Piix4Pm *pm)
{
    const uint8_t *config = pm->parent_obj.config;

    memory_transaction_begin();
    memory_region_set_enabled(pm->window, config[PMREGMISC] & PMREGMISC_PMIOSE);
    memory_region_set_address(pm->window, ldl_le(config + PMBA) & PMBA_MASK);
    memory_transaction_commit();
}

static void pm_config_write(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size)
{
    pci_default_config_write(dev, addr, value, size);
    if (ranges_overlap(addr, size, PMREGMISC, 1) || ranges_overlap(addr, size, PMBA, 4)) {
        update_window((Piix4Pm *)dev);
    }
}

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *pm = opaque;

    return offset == 0 ? pm->apm_control : pm->apm_status;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *pm = opaque;

    if (offset == 1) {
        pm->apm_status = value;
        return;
    }
    pm->apm_control = value;
    if (value == PIIX4_ACPI_ENABLE || value == PIIX4_ACPI_DISABLE) {
        acpi_pm_set_sci_enable(&pm->acpi, value == PIIX4_ACPI_ENABLE);
    }
    if (pm->smm && (ldl_le(pm->parent_obj.config + DEVACTB) & DEVACTB_APMC_EN)) {
        irq_pulse(pm->smi);
    }
}

static const MemoryRegionOps apm_ops = {
    .read = apm_read,
    .write = apm_write,
    .valid = { .min = 1, .max = 2 },
    .impl = { .min = 1, .max = 1 },
};

static void set_masks(PciDevice *dev)
{
    memset(dev->wmask + PCI_FIRST_CAP, 0xff, PCI_CONFIG_SIZE - PCI_FIRST_CAP);
    stl_le(dev->wmask + PMBA, PMBA_MASK);
    stl_le(dev->wmask + SMBBA, 0xfff0);
}

static void pm_init(Object *obj)
{
    device_init_irq_out((Device *)obj, "smi", &((Piix4Pm *)obj)->smi, 1);
}

static bool pm_realize(Device *device, GError **error)
{
    Piix4Pm *pm = (Piix4Pm *)device;

    set_masks(&pm->parent_obj);
    acpi_pm_init(&pm->acpi, OBJECT(pm), pm->sci);
    pm->acpi.s3_type = PIIX4_S3_TYPE;
    pm->acpi.s4_type = PIIX4_S4_TYPE;
    pm->acpi.s5_type = PIIX4_S5_TYPE;
    pm->acpi.s3 = !pm->disable_s3;
    pm->acpi.s4 = !pm->disable_s4;
    pm->window = memory_region_new_container(OBJECT(pm), "piix4-pm", PM_WINDOW);
    memory_region_add(pm->window, 0, pm->acpi.region);
    memory_region_set_enabled(pm->window, false);
    memory_region_add(pm->io, 0, pm->window);
    memory_region_add(pm->io, PIIX4_GPE0_BASE, pm->acpi.gpe);
    pm->apm_region = memory_region_new_io(OBJECT(pm), &apm_ops, pm, "apm-io", 2);
    memory_region_add(pm->io, PIIX4_SMI_COMMAND, pm->apm_region);
    if (pm->root_hotplug) {
        acpi_pci_hotplug_init(&pm->hotplug, OBJECT(pm), pci_device_bus(&pm->parent_obj),
                              &pm->acpi);
        memory_region_add(pm->io, ACPI_PCI_HOTPLUG_BASE, pm->hotplug.region);
    }
    pm->mapped = true;
    return true;
}

static void pm_reset(Device *device)
{
    Piix4Pm *pm = (Piix4Pm *)device;
    uint8_t *config = pm->parent_obj.config;

    memset(config + PCI_FIRST_CAP, 0, PCI_CONFIG_SIZE - PCI_FIRST_CAP);
    stw_le(config + PCI_STATUS, 0x0280);
    config[PMBA] = 0x01;
    config[SMBBA] = 0x01;
    if (!pm->smm) {
        /* Firmware reads this as "somebody handles SMIs already" and leaves SMM alone. */
        stl_le(config + DEVACTB, DEVACTB_APMC_EN);
    }
    acpi_pm_reset(&pm->acpi);
    pm->apm_control = pm->apm_status = 0;
    update_window(pm);
}

static void pm_finalize(Object *obj)
{
    Piix4Pm *pm = (Piix4Pm *)obj;

    acpi_pci_hotplug_cleanup(&pm->hotplug);
    if (pm->mapped) {
        acpi_pm_cleanup(&pm->acpi);
    }
    g_clear_pointer(&pm->window, memory_region_free);
    g_clear_pointer(&pm->apm_region, memory_region_free);
}

static bool pm_post_load(void *opaque, int version, GError **error)
{
    update_window(opaque);
    return true;
}

static const VmStateField pm_fields[] = {
    VMSTATE_PCI_DEVICE(Piix4Pm),
    VMSTATE_STRUCT(Piix4Pm, acpi, acpi_pm_vmstate),
    VMSTATE_STRUCT(Piix4Pm, hotplug, acpi_pci_hotplug_vmstate),
    VMSTATE_U8(Piix4Pm, apm_control),
    VMSTATE_U8(Piix4Pm, apm_status),
    VMSTATE_END,
};

static const VmState pm_vmstate = {
    .name = "piix4_pm",
    .version = 1,
    .minimum_version = 1,
    .fields = pm_fields,
    .post_load = pm_post_load,
};

static const Property pm_properties[] = {
    PROP_UINT8("disable_s3", Piix4Pm, disable_s3, 0, "1: no suspend to RAM"),
    PROP_UINT8("disable_s4", Piix4Pm, disable_s4, 0, "1: no suspend to disk"),
    PROP_BOOL("acpi-root-pci-hotplug", Piix4Pm, root_hotplug, true,
              "devices of the root bus come and go by ACPI"),
    PROP_END,
};

static const DeviceHooks pm_hooks = {
    .realize = pm_realize,
    .reset = pm_reset,
    .vmstate = &pm_vmstate,
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const PciDeviceOps pm_ops = {
    .vendor_id = PCI_VENDOR_INTEL,
    .device_id = 0x7113,
    .revision = 0x03,
    .class_id = PCI_CLASS_BRIDGE_OTHER,
    .interrupt_pin = 1,
    .config_write = pm_config_write,
};

static const TypeInfo pm_info = {
    .name = TYPE_PIIX4_PM,
    .parent = TYPE_PCI_DEVICE,
    .description = "power management",
    .instance_size = sizeof(Piix4Pm),
    .properties = pm_properties,
    .instance_init = pm_init,
    .instance_finalize = pm_finalize,
    .hooks = &pm_hooks,
    .ops = &pm_ops,
};
QOM_TYPE(pm_info);

AcpiPmState *piix4_pm_acpi(PciDevice *dev)
{
    return &((Piix4Pm *)dev)->acpi;
}

bool piix4_pm_has_pci_hotplug(PciDevice *dev)
{
    return ((Piix4Pm *)dev)->root_hotplug;
}

PciDevice *piix4_pm_new(PciBus *bus, int devfn, MemoryRegion *io, Irq sci, bool smm,
                        GError **error)
{
    Piix4Pm *pm = (Piix4Pm *)object_new(TYPE_PIIX4_PM);

    pm->parent_obj.devfn = devfn;
    pm->io = io;
    pm->sci = sci;
    pm->smm = smm;
    if (!object_add_child(object_container("/machine"), "piix4-pm", OBJECT(pm), error)) {
        object_unref(OBJECT(pm));
        return NULL;
    }
    return device_realize_and_unref((Device *)pm, (Bus *)bus, error) ? &pm->parent_obj : NULL;
}

uint16_t piix4_pm_base(const PciDevice *dev)
{
    uint16_t base = (uint16_t)(ldl_le(dev->config + PMBA) & PMBA_MASK);

    return base ? base : PIIX4_PM_BASE;
}
