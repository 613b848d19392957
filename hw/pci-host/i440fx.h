/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The i440FX host bridge (Intel 82441FX): PCI configuration mechanism 1 at ports 0xCF8/0xCFC, and
 * the PMC function at 00:00.0 whose PAM registers decide, for each piece of 0xC0000..0xFFFFF,
 * whether RAM or PCI answers.
 */
#ifndef VIREO_HW_PCI_HOST_I440FX_H
#define VIREO_HW_PCI_HOST_I440FX_H

#include "hw/pci/pci.h"

#define TYPE_I440FX_HOST "i440FX-pcihost"
#define TYPE_I440FX_PMC "i440FX"

typedef struct I440fxConfig {
    MemoryRegion *system_memory; /* the CPU's address space */
    MemoryRegion *pci_memory;    /* what PCI decodes; in system_memory with low priority */
    MemoryRegion *io;
    MemoryRegion *ram;           /* at address 0: at least 1 MiB */
    MemoryRegion *smm;           /* of memory_smm_init(), or NULL on a machine without SMM */
} I440fxConfig;

/* Makes both; the bus is "pci.0". Regions are borrowed. NULL with error set. */
PciBus *i440fx_new(const I440fxConfig *config, GError **error);

#endif
