/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT's part in hot-plug: methods that ask the controllers' registers what came and what shall
 * go, tell the operating system (Notify), and let go what it ejects (ACPI 6.4, section 6.3).
 */
#include "hw/acpi/pci-hotplug.h"
#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define PCI_SLOTS 32
#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3

/* One register of 32 bits that methods reach by name. */
static void port_field(Aml *parent, const char *region, const char *name, uint16_t port)
{
    Aml *field;

    aml_append(parent, aml_opregion(region, AML_SYSTEM_IO, port, 4));
    field = aml_field(region, AML_DWORD_ACC, false, AML_WRITE_AS_ZEROS);
    aml_append(field, aml_field_unit(name, 32));
    aml_append(parent, field);
}

static Aml *pci_slot(unsigned slot)
{
    Aml *device = aml_device("SL%02X", slot);
    Aml *eject = aml_method("_EJ0", 1, false);

    aml_append(device, aml_name_decl("_ADR", aml_int(slot << 16)));
    aml_append(device, aml_name_decl("_SUN", aml_int(slot)));
    aml_append(eject, aml_store(aml_int(BIT(slot)), aml_name("PCIE")));
    aml_append(device, eject);
    return device;
}

/* TELL (slots, what): Notify each of them. */
static Aml *pci_tell(uint32_t slots)
{
    Aml *method = aml_method("TELL", 2, false);

    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (slots & BIT(slot)) {
            Aml *hit = aml_if(aml_and(aml_arg(0), aml_int(BIT(slot)), NULL));

            aml_append(hit, aml_notify(aml_name("SL%02X", slot), aml_arg(1)));
            aml_append(method, hit);
        }
    }
    return method;
}

void acpi_dsdt_pci_hotplug(Aml *bridge, const AcpiConfig *config)
{
    const uint32_t slots = config->pci.hotplug_slots;
    Aml *look;

    port_field(bridge, "HPRU", "PCIU", ACPI_PCI_HOTPLUG_BASE + ACPI_PCI_HOTPLUG_UP);
    port_field(bridge, "HPRD", "PCID", ACPI_PCI_HOTPLUG_BASE + ACPI_PCI_HOTPLUG_DOWN);
    port_field(bridge, "HPRE", "PCIE", ACPI_PCI_HOTPLUG_BASE + ACPI_PCI_HOTPLUG_EJECT);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (slots & BIT(slot)) {
            aml_append(bridge, pci_slot(slot));
        }
    }
    aml_append(bridge, pci_tell(slots));
    look = aml_method("LOOK", 0, true);
    aml_append(look, aml_call("TELL", aml_name("PCIU"), aml_int(NOTIFY_DEVICE_CHECK), NULL));
    aml_append(look, aml_call("TELL", aml_name("PCID"), aml_int(NOTIFY_EJECT_REQUEST), NULL));
    aml_append(bridge, look);
}

void acpi_dsdt_pci_hotplug_event(Aml *gpe)
{
    Aml *method = aml_method("_E01", 0, false);

    G_STATIC_ASSERT(ACPI_PCI_HOTPLUG_GPE == 1);
    aml_append(method, aml_call("\\_SB.PCI0.LOOK", NULL));
    aml_append(gpe, method);
}
