/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE function of PIIX3: type "piix3-ide", with buses "ide.0" and "ide.1". VM lock held. */
#ifndef VIREO_HW_IDE_PIIX_IDE_H
#define VIREO_HW_IDE_PIIX_IDE_H

#include "hw/ide/ide.h"
#include "hw/pci/pci.h"

#define PIIX_IDE_CHANNELS 2

/* Ports at the PC's usual places in io. Output group "irq": ISA lines 14 and 15. */
PciDevice *piix3_ide_new(PciBus *bus, int devfn, MemoryRegion *io, GError **error);
IdeChannel *piix3_ide_channel(PciDevice *dev, unsigned n);

#endif
