/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI devices: configuration space by masks (config holds values, wmask the writable bits,
 * w1cmask the bits that a 1 clears), capabilities, INTx and bus mastering.
 */
#include "hw/pci/pci.h"

#include <stdio.h>

#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

static const PciDeviceOps *pci_ops(const PciDevice *dev)
{
    return object_ops(dev);
}

PciBus *pci_device_bus(const PciDevice *dev)
{
    return (PciBus *)dev->parent_obj.bus;
}

uint32_t pci_default_config_read(PciDevice *dev, uint32_t addr, unsigned size)
{
    return ldn_le(dev->config + addr, size);
}

bool pci_intx_visible(const PciDevice *dev)
{
    return dev->intx_level &&
           !(ldw_le(dev->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
}

void pci_default_config_write(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size)
{
    bool was_visible = pci_intx_visible(dev);

    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = value >> (8 * i);
        uint8_t *config = &dev->config[addr + i];
        uint8_t wmask = dev->wmask[addr + i];

        *config = (*config & ~wmask) | (byte & wmask);
        *config &= ~(byte & dev->w1cmask[addr + i]);
    }
    if (ranges_overlap(addr, size, PCI_COMMAND, 2) ||
        ranges_overlap(addr, size, PCI_BAR0, 4 * PCI_NUM_BARS) ||
        ranges_overlap(addr, size, PCI_ROM_ADDRESS, 4)) {
        pci_update_bars(dev);
    }
    pci_update_intx(dev, was_visible);
    pci_msi_config_written(dev, addr, size);
    pci_msix_config_written(dev, addr, size);
}

uint8_t pci_add_capability(PciDevice *dev, uint8_t id, uint8_t offset, uint8_t size,
                           GError **error)
{
    unsigned at = offset;

    if (!at) {
        unsigned run = 0;

        for (unsigned i = PCI_FIRST_CAP; i < PCI_CONFIG_SIZE && run < ROUND_UP(size, 4u); i++) {
            run = dev->cap_used[i] ? 0 : run + 1;
            at = i + 1 - run;
            if (run && (at & 3)) { /* capabilities are dword-aligned */
                run = 0;
            }
        }
        if (run < ROUND_UP(size, 4u)) {
            error_setf(error, "%s: no room for PCI capability 0x%02x (%u bytes)",
                       object_type_name(dev), id, size);
            return 0;
        }
    }
    for (unsigned i = 0; i < size; i++) {
        if (at + i >= PCI_CONFIG_SIZE || dev->cap_used[at + i]) {
            error_setf(error, "%s: PCI capability 0x%02x at 0x%02x overlaps capability 0x%02x",
                       object_type_name(dev), id, at,
                       at + i < PCI_CONFIG_SIZE ? dev->cap_used[at + i] : 0xff);
            return 0;
        }
    }
    memset(dev->cap_used + at, id, size);
    dev->config[at] = id;
    dev->config[at + 1] = dev->config[PCI_CAPABILITY_LIST];
    dev->config[PCI_CAPABILITY_LIST] = at;
    dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    return at;
}

static void drive_pirq(PciDevice *dev, bool level)
{
    PciBus *bus = pci_device_bus(dev);
    int pirq;

    if (!bus->irq_ops || !pci_ops(dev)->interrupt_pin) {
        return;
    }
    pirq = bus->irq_ops->map_irq(dev, pci_ops(dev)->interrupt_pin - 1);
    bus->irq_counts[pirq] += level ? 1 : -1;
    bus->irq_ops->set_irq(bus->irq_opaque, pirq, bus->irq_counts[pirq] > 0);
}

void pci_update_intx(PciDevice *dev, bool was_visible)
{
    bool visible = pci_intx_visible(dev);

    if (visible != was_visible) {
        drive_pirq(dev, visible);
    }
}

void pci_set_irq(PciDevice *dev, bool level)
{
    bool was_visible = pci_intx_visible(dev);

    dev->intx_level = level;
    if (level) {
        dev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    } else {
        dev->config[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
    }
    pci_update_intx(dev, was_visible);
}

bool pci_bus_master(const PciDevice *dev)
{
    return ldw_le(dev->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

MemResult pci_dma_read(PciDevice *dev, uint64_t addr, void *buf, uint64_t len)
{
    if (!pci_bus_master(dev)) {
        memset(buf, 0xff, len);
        return MEM_UNASSIGNED;
    }
    return address_space_read(dev->dma_as, addr, buf, len);
}

MemResult pci_dma_write(PciDevice *dev, uint64_t addr, const void *buf, uint64_t len)
{
    return pci_bus_master(dev) ? address_space_write(dev->dma_as, addr, buf, len) : MEM_UNASSIGNED;
}

static void init_header(PciDevice *dev)
{
    const PciDeviceOps *ops = pci_ops(dev);
    uint8_t *config = dev->config;

    stw_le(config + PCI_VENDOR_ID, ops->vendor_id);
    stw_le(config + PCI_DEVICE_ID, ops->device_id);
    config[PCI_REVISION_ID] = ops->revision;
    config[PCI_CLASS_PROG] = ops->prog_if;
    stw_le(config + PCI_CLASS_DEVICE, ops->class_id);
    if (!ops->is_bridge) {
        stw_le(config + PCI_SUBSYSTEM_VENDOR_ID,
               ops->subsystem_vendor_id ? ops->subsystem_vendor_id : PCI_SUBVENDOR_QUMRANET);
        stw_le(config + PCI_SUBSYSTEM_ID,
               ops->subsystem_vendor_id ? ops->subsystem_id : PCI_SUBDEVICE_QEMU);
    }
    config[PCI_INTERRUPT_PIN] = ops->interrupt_pin;
    if (dev->multifunction) {
        config[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
    }
    stw_le(dev->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                     PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    stw_le(dev->w1cmask + PCI_STATUS, PCI_STATUS_W1C);
    dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
    dev->wmask[PCI_LATENCY_TIMER] = 0xf8;
    dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
    memset(dev->wmask + PCI_FIRST_CAP, 0xff, PCI_CONFIG_SIZE - PCI_FIRST_CAP);
}

static bool pci_device_realize(Device *device, GError **error)
{
    PciDevice *dev = (PciDevice *)device;

    memset(dev->wmask, 0, sizeof(dev->wmask));
    dev->dma_as = address_space_memory();
    pci_device_bus(dev)->devices[dev->devfn] = dev;
    init_header(dev);
    if (!pci_load_rom(dev, error)) {
        pci_device_bus(dev)->devices[dev->devfn] = NULL;
        return false;
    }
    return true;
}

static void pci_device_unrealize(Device *device)
{
    PciDevice *dev = (PciDevice *)device;

    pci_set_irq(dev, false);
    pci_unmap_bars(dev);
    pci_device_bus(dev)->devices[dev->devfn] = NULL;
    g_clear_pointer(&dev->rom, memory_region_free);
}

static void pci_device_reset(Device *device)
{
    PciDevice *dev = (PciDevice *)device;

    pci_set_irq(dev, false);
    stw_le(dev->config + PCI_COMMAND, 0);
    stw_le(dev->config + PCI_STATUS,
           ldw_le(dev->config + PCI_STATUS) & ~PCI_STATUS_W1C);
    dev->config[PCI_CACHE_LINE_SIZE] = 0;
    dev->config[PCI_LATENCY_TIMER] = 0;
    dev->config[PCI_INTERRUPT_LINE] = 0;
    for (int n = 0; n <= PCI_ROM_BAR; n++) {
        unsigned at = n == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4u * n;

        if (dev->bars[n].region) {
            stl_le(dev->config + at, n == PCI_ROM_BAR ? 0 : dev->bars[n].type);
            if (n < PCI_NUM_BARS && (dev->bars[n].type & PCI_BAR_MEM64) &&
                !(dev->bars[n].type & PCI_BAR_IO)) {
                stl_le(dev->config + at + 4, 0);
            }
        }
    }
    pci_update_bars(dev);
    pci_msi_reset(dev);
    pci_msix_reset(dev);
}

/* addr=SLOT[.FUNC] in hex, or a number; kept as devfn, -1 for any. */
static bool parse_devfn(Object *obj, const Property *prop, void *field, const char *text,
                        GError **error)
{
    unsigned slot, function = 0;
    int used = 0;

    if (sscanf(text, "%x%n.%x%n", &slot, &used, &function, &used) < 1 ||
        text[used] != '\0' || slot > 31 || function > 7 || text[0] == '-' || text[0] == '+') {
        error_setf(error, "addr=%s: use SLOT or SLOT.FUNCTION in hex, up to 1f.7", text);
        return false;
    }
    *(int32_t *)field = PCI_DEVFN(slot, function);
    return true;
}

static bool set_devfn(Object *obj, const Property *prop, void *field, json_object *value,
                      GError **error)
{
    int64_t number;

    if (json_object_is_type(value, json_type_string)) {
        return parse_devfn(obj, prop, field, json_object_get_string(value), error);
    }
    number = json_object_get_int64(value);
    if (!json_object_is_type(value, json_type_int) || number < -1 || number > 255) {
        error_setf(error, "addr: a device and function number is between -1 and 255");
        return false;
    }
    *(int32_t *)field = number;
    return true;
}

static json_object *get_devfn(Object *obj, const Property *prop, const void *field)
{
    int32_t devfn = *(const int32_t *)field;
    char text[8];

    if (devfn < 0) {
        return json_object_new_int(-1);
    }
    g_snprintf(text, sizeof(text), "%02x.%x", PCI_SLOT(devfn), PCI_FUNC(devfn));
    return json_object_new_string(text);
}

static void default_devfn(Object *obj, const Property *prop, void *field)
{
    *(int32_t *)field = -1;
}

static const PropertyKind prop_kind_pci_devfn = {
    .type_name = "int32",
    .json_type = "str",
    .set_default = default_devfn,
    .set = set_devfn,
    .parse = parse_devfn,
    .get = get_devfn,
};

static const Property pci_device_properties[] = {
    { .name = "addr", .kind = &prop_kind_pci_devfn, .offset = offsetof(PciDevice, devfn),
      .description = "slot and function in hex, such as 06.0 or 06" },
    PROP_BOOL("multifunction", PciDevice, multifunction, false,
              "function 0 of a device with several"),
    PROP_STRING("romfile", PciDevice, romfile, NULL, "option ROM image; empty for none"),
    PROP_UINT32("rombar", PciDevice, rombar, 1, "0 hides the option ROM's BAR"),
    PROP_UINT32("romsize", PciDevice, romsize, PCI_ROM_SIZE_AUTO,
                "bytes that the option ROM's BAR shows: a power of two"),
    PROP_END,
};

static const DeviceHooks pci_device_hooks = {
    .realize = pci_device_realize,
    .unrealize = pci_device_unrealize,
    .reset = pci_device_reset,
    .bus_type = TYPE_PCI_BUS,
};

static void pci_device_finalize(Object *obj)
{
    PciDevice *dev = (PciDevice *)obj;

    g_clear_pointer(&dev->rom, memory_region_free);
    g_free(dev->saved_msix);
}

static const TypeInfo pci_device_info = {
    .name = TYPE_PCI_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "any PCI device",
    .instance_size = sizeof(PciDevice),
    .is_abstract = true,
    .properties = pci_device_properties,
    .instance_finalize = pci_device_finalize,
    .hooks = &pci_device_hooks,
};
QOM_TYPE(pci_device_info);
