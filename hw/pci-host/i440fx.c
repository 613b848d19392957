/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 82441FX PCI and memory controller.
 *
 * Configuration registers that matter here (82441FX data sheet, section 3.2):
 *   0x59       PAM0: bits 5:4 for 0xF0000..0xFFFFF
 *   0x5A..0x5F PAM1..6: bits 1:0 and 5:4 for two 16 KiB pieces each, from 0xC0000 up
 *              bit 0 of a pair: reads go to RAM; bit 1: writes go to RAM
 *   0x72       SMRAM: bit 6 D_OPEN: everybody sees the RAM behind 0xA0000..0xBFFFF; bit 5 D_CLS:
 *              not data accesses (kept, but KVM cannot tell code from data); bit 4 D_LCK, until
 *              reset: closes D_OPEN for good; bit 3 G_SMRAME: CPUs in SMM see that RAM;
 *              bits 2:0 C_BASE_SEG: always 010, the only place it can be
 *
 * A piece is one of two overlays, of which at most one is enabled: RAM (read-only if writes go to
 * PCI), or nothing, so that PCI behind it answers. Reads from PCI with writes to RAM, which
 * shadowing used on machines without a copy buffer, are treated as PCI.
 */
#include "hw/pci-host/i440fx.h"

#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

#define PAM_FIRST 0x59
#define PAM_LAST 0x5f
#define PAM_READ 1
#define PAM_WRITE 2
#define SMRAM 0x72
enum { D_OPEN = 0x40, D_CLS = 0x20, D_LCK = 0x10, G_SMRAME = 0x08, C_BASE_SEG = 0x02 };
#define SMRAM_BASE 0xa0000
#define SMRAM_SIZE 0x20000
#define PAM_PIECES 13

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE 0x80000000u

typedef struct I440fxHost {
    Device parent_obj;
    PciBus *bus;
    uint32_t config_address;
    MemoryRegion *address_region, *data_region;
} I440fxHost;

typedef struct I440fxPmc {
    PciDevice parent_obj;
    MemoryRegion *system_memory, *pci_memory, *ram;
    MemoryRegion *pam[PAM_PIECES];
    MemoryRegion *smm; /* borrowed; NULL without SMM */
    MemoryRegion *open_smram, *smm_smram;
} I440fxPmc;

/* Piece 0 is the 64 KiB BIOS area of PAM0; the rest rise in 16 KiB steps. */
static uint64_t piece_base(unsigned piece)
{
    return piece == 0 ? 0xf0000 : 0xc0000 + (piece - 1) * 0x4000;
}

static uint64_t piece_size(unsigned piece)
{
    return piece == 0 ? 0x10000 : 0x4000;
}

static unsigned piece_mode(const I440fxPmc *pmc, unsigned piece)
{
    const uint8_t *config = pmc->parent_obj.config;

    if (piece == 0) {
        return (config[PAM_FIRST] >> 4) & 3;
    }
    return (config[PAM_FIRST + 1 + (piece - 1) / 2] >> ((piece - 1) % 2 * 4)) & 3;
}

static void update_pam(I440fxPmc *pmc)
{
    memory_transaction_begin();
    for (unsigned piece = 0; piece < PAM_PIECES; piece++) {
        unsigned mode = piece_mode(pmc, piece);

        memory_region_set_enabled(pmc->pam[piece], mode & PAM_READ);
        memory_region_set_readonly(pmc->pam[piece], !(mode & PAM_WRITE));
    }
    memory_transaction_commit();
}

static void update_smram(I440fxPmc *pmc)
{
    uint8_t smram = pmc->parent_obj.config[SMRAM];

    memory_transaction_begin();
    memory_region_set_enabled(pmc->open_smram, smram & D_OPEN);
    if (pmc->smm) {
        memory_region_set_enabled(pmc->smm_smram, smram & G_SMRAME);
    }
    memory_transaction_commit();
}

/* The register holds a new value; `before` is the old one. */
static void smram_written(I440fxPmc *pmc, uint8_t before)
{
    uint8_t *smram = &pmc->parent_obj.config[SMRAM];

    *smram |= before & D_LCK;
    if (*smram & D_LCK) {
        *smram &= ~D_OPEN;
    }
    update_smram(pmc);
}

static void pmc_config_write(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size)
{
    uint8_t smram = dev->config[SMRAM];

    pci_default_config_write(dev, addr, value, size);
    if (ranges_overlap(addr, size, PAM_FIRST, PAM_LAST - PAM_FIRST + 1)) {
        update_pam((I440fxPmc *)dev);
    }
    if (ranges_overlap(addr, size, SMRAM, 1)) {
        smram_written((I440fxPmc *)dev, smram);
    }
}

static void map_smram(I440fxPmc *pmc)
{
    pmc->open_smram = memory_region_new_alias(OBJECT(pmc), "smram-open", pmc->ram, SMRAM_BASE,
                                              SMRAM_SIZE);
    memory_region_set_enabled(pmc->open_smram, false);
    memory_region_add_overlap(pmc->system_memory, SMRAM_BASE, pmc->open_smram, 2);
    if (pmc->smm) {
        pmc->smm_smram = memory_region_new_alias(OBJECT(pmc), "smram", pmc->ram, SMRAM_BASE,
                                                 SMRAM_SIZE);
        memory_region_set_enabled(pmc->smm_smram, false);
        memory_region_add_overlap(pmc->smm, SMRAM_BASE, pmc->smm_smram, 1);
    }
}

static bool pmc_realize(Device *device, GError **error)
{
    I440fxPmc *pmc = (I440fxPmc *)device;
    PciDevice *dev = &pmc->parent_obj;

    memset(dev->wmask + PCI_FIRST_CAP, 0, PCI_CONFIG_SIZE - PCI_FIRST_CAP);
    for (unsigned at = PAM_FIRST; at <= PAM_LAST; at++) {
        dev->wmask[at] = at == PAM_FIRST ? 0x30 : 0x33;
    }
    dev->wmask[SMRAM] = D_OPEN | D_CLS | D_LCK | G_SMRAME;
    map_smram(pmc);
    for (unsigned piece = 0; piece < PAM_PIECES; piece++) {
        pmc->pam[piece] = memory_region_new_alias(OBJECT(dev), "pam-ram", pmc->ram,
                                                  piece_base(piece), piece_size(piece));
        memory_region_set_enabled(pmc->pam[piece], false);
        memory_region_add_overlap(pmc->system_memory, piece_base(piece), pmc->pam[piece], 2);
    }
    return true;
}

static void pmc_reset(Device *device)
{
    I440fxPmc *pmc = (I440fxPmc *)device;
    uint8_t *config = pmc->parent_obj.config;

    memset(config + PAM_FIRST, 0, PAM_LAST - PAM_FIRST + 1);
    config[SMRAM] = C_BASE_SEG;
    stw_le(config + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    stw_le(config + PCI_STATUS, 0x0280);
    update_pam(pmc);
    update_smram(pmc);
}

static bool pmc_post_load(void *opaque, int version, GError **error)
{
    update_pam(opaque);
    update_smram(opaque);
    return true;
}

static const VmStateField pmc_fields[] = {
    VMSTATE_PCI_DEVICE(I440fxPmc),
    VMSTATE_END,
};

static const VmState pmc_vmstate = {
    .name = "I440FX",
    .version = 1,
    .minimum_version = 1,
    .fields = pmc_fields,
    .post_load = pmc_post_load,
};

static const DeviceHooks pmc_hooks = {
    .realize = pmc_realize,
    .reset = pmc_reset,
    .vmstate = &pmc_vmstate,
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const PciDeviceOps pmc_ops = {
    .vendor_id = PCI_VENDOR_INTEL,
    .device_id = 0x1237,
    .revision = 0x02,
    .class_id = PCI_CLASS_BRIDGE_HOST,
    .config_write = pmc_config_write,
};

static const TypeInfo pmc_info = {
    .name = TYPE_I440FX_PMC,
    .parent = TYPE_PCI_DEVICE,
    .description = "host bridge",
    .instance_size = sizeof(I440fxPmc),
    .hooks = &pmc_hooks,
    .ops = &pmc_ops,
};
QOM_TYPE(pmc_info);

/* ---- configuration mechanism 1 (PCI 3.0, 3.2.2.3.2) ---- */

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I440fxHost *)opaque)->config_address;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((I440fxHost *)opaque)->config_address = value & (CONFIG_ENABLE | 0x00fffffc);
}

/* Only dword accesses are the mechanism's; others pass to whatever else is there (0xCF9). */
static const MemoryRegionOps address_ops = {
    .read = address_read,
    .write = address_write,
    .valid = { .min = 4, .max = 4 },
    .impl = { .min = 4, .max = 4 },
};

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    I440fxHost *host = opaque;

    if (!(host->config_address & CONFIG_ENABLE)) {
        return UINT32_MAX;
    }
    return pci_host_config_read(host->bus, (host->config_address & ~CONFIG_ENABLE) | offset, size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I440fxHost *host = opaque;

    if (host->config_address & CONFIG_ENABLE) {
        pci_host_config_write(host->bus, (host->config_address & ~CONFIG_ENABLE) | offset, value,
                              size);
    }
}

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = data_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

static void host_reset(Device *device)
{
    ((I440fxHost *)device)->config_address = 0;
}

static void host_finalize(Object *obj)
{
    I440fxHost *host = (I440fxHost *)obj;

    g_clear_pointer(&host->address_region, memory_region_free);
    g_clear_pointer(&host->data_region, memory_region_free);
}

static const VmStateField host_fields[] = {
    VMSTATE_U32(I440fxHost, config_address),
    VMSTATE_END,
};

static const VmState host_vmstate = {
    .name = "PCIHOST",
    .version = 1,
    .minimum_version = 1,
    .fields = host_fields,
};

static const DeviceHooks host_hooks = {
    .reset = host_reset,
    .vmstate = &host_vmstate,
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const TypeInfo host_info = {
    .name = TYPE_I440FX_HOST,
    .parent = TYPE_SYS_DEVICE,
    .description = "PCI configuration ports",
    .instance_size = sizeof(I440fxHost),
    .instance_finalize = host_finalize,
    .hooks = &host_hooks,
};
QOM_TYPE(host_info);

static void map_config_ports(I440fxHost *host, MemoryRegion *io)
{
    host->address_region = memory_region_new_io(OBJECT(host), &address_ops, host, "pci-conf-idx",
                                                4);
    host->data_region = memory_region_new_io(OBJECT(host), &data_ops, host, "pci-conf-data", 4);
    memory_region_add(io, CONFIG_ADDRESS, host->address_region);
    memory_region_add(io, CONFIG_DATA, host->data_region);
}

PciBus *i440fx_new(const I440fxConfig *config, GError **error)
{
    I440fxHost *host = (I440fxHost *)object_new(TYPE_I440FX_HOST);
    I440fxPmc *pmc;

    if (!object_add_child(object_container("/machine"), "i440fx", OBJECT(host), error) ||
        !device_realize_and_unref((Device *)host, NULL, error)) {
        return NULL;
    }
    map_config_ports(host, config->io);
    host->bus = pci_bus_new((Device *)host, "pci.0", config->pci_memory, config->io,
                            PCI_DEVFN(0, 0));
    pmc = (I440fxPmc *)object_new(TYPE_I440FX_PMC);
    pmc->parent_obj.devfn = PCI_DEVFN(0, 0);
    pmc->system_memory = config->system_memory;
    pmc->pci_memory = config->pci_memory;
    pmc->ram = config->ram;
    pmc->smm = config->smm;
    if (!device_realize_and_unref((Device *)pmc, (Bus *)host->bus, error)) {
        return NULL;
    }
    return host->bus;
}
