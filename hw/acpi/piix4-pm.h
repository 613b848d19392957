/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PIIX4 (Intel 82371AB) function 3: power management. Firmware places the PM registers; the
 * general-purpose event block and the APM ports are where the ACPI tables say.
 */
#ifndef VIREO_HW_ACPI_PIIX4_PM_H
#define VIREO_HW_ACPI_PIIX4_PM_H

#include "hw/acpi/acpi-pm.h"
#include "hw/pci/pci.h"

#define TYPE_PIIX4_PM "PIIX4_PM"

#define PIIX4_PM_BASE 0x600     /* where SeaBIOS puts the PM registers */
#define PIIX4_GPE0_BASE 0xafe0
#define PIIX4_SMI_COMMAND 0xb2
#define PIIX4_ACPI_ENABLE 0xf1
#define PIIX4_ACPI_DISABLE 0xf0
#define PIIX4_SCI_IRQ 9
#define PIIX4_S3_TYPE 1
#define PIIX4_S4_TYPE 2
#define PIIX4_S5_TYPE 0

/*
 * smm: the machine has system management mode, so firmware should use it; a write to the APM
 * control port then pulses the IRQ output "smi" where DEVACTB's APMC_EN says so.
 */
PciDevice *piix4_pm_new(PciBus *bus, int devfn, MemoryRegion *io, Irq sci, bool smm,
                        GError **error);
AcpiPmState *piix4_pm_acpi(PciDevice *dev);
/* Where firmware has put the PM registers; before that, where SeaBIOS will. */
uint16_t piix4_pm_base(const PciDevice *dev);
/* It is the hot-plug controller of its bus (hw/acpi/pci-hotplug.h). */
bool piix4_pm_has_pci_hotplug(PciDevice *dev);

#endif
