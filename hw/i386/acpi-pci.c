/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT's PCI part: host bridge with its windows, interrupt routing through the PIIX3's four
 * PIRQ registers, and the ISA devices below the bridge.
 */
#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define PCI_SLOTS 32
#define PCI_PINS 4
#define PIRQ_REGISTERS 0x60 /* in the ISA bridge's configuration space */
#define PIRQ_DISABLED 0x80
#define STA_PRESENT 0x0f
#define LINK_ENABLED 0x0b
#define LINK_DISABLED 0x09
#define CONFIG_PORTS 0xcf8
#define CONFIG_PORTS_LEN 8
#define VGA_WINDOW 0xa0000
#define VGA_WINDOW_END 0xbffff
#define SHARED_LEVEL (AML_IRQ_LEVEL | AML_IRQ_ACTIVE_HIGH | AML_IRQ_SHARED)

static Aml *pci_crs(const AcpiPci *pci)
{
    Aml *crs = aml_resource_template();
    uint64_t end32 = pci->window32.base + pci->window32.size - 1;
    uint64_t end64 = pci->window64.base + pci->window64.size - 1;

    aml_append(crs, aml_word_bus_number(0, 255));
    aml_append(crs, aml_io(CONFIG_PORTS, CONFIG_PORTS_LEN));
    aml_append(crs, aml_word_io(0, CONFIG_PORTS - 1));
    aml_append(crs, aml_word_io(CONFIG_PORTS + CONFIG_PORTS_LEN, UINT16_MAX));
    aml_append(crs, aml_dword_memory(VGA_WINDOW, VGA_WINDOW_END, true));
    if (pci->window32.size) {
        aml_append(crs, aml_dword_memory(pci->window32.base, end32, false));
    }
    if (pci->window64.size) {
        aml_append(crs, aml_qword_memory(pci->window64.base, end64, true));
    }
    return crs;
}

/*
 * Pin p of slot s goes to link (s + p - 1) mod 4, pins counted from 0, as the board wires it. The
 * PIIX4's function 3 in the bridge's slot has its interrupt at the SCI.
 */
static Aml *pci_prt(const AcpiConfig *config)
{
    static const char *const links[PCI_PINS] = { "LNKA", "LNKB", "LNKC", "LNKD" };
    Aml *prt = aml_package();

    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            bool sci = slot == config->pci.isa_slot && pin == 0;
            Aml *entry = aml_package();

            aml_append(entry, aml_int(slot << 16 | 0xffff));
            aml_append(entry, aml_int(pin));
            aml_append(entry, aml_name("%s", sci ? "LNKS" : links[(slot + pin + 3) % PCI_PINS]));
            aml_append(entry, aml_int(0));
            aml_append(prt, entry);
        }
    }
    return prt;
}

static Aml *link_resource(const uint32_t *irqs, unsigned count)
{
    Aml *resource = aml_resource_template();

    aml_append(resource, aml_interrupt(SHARED_LEVEL, irqs, count));
    return resource;
}

/* Methods that all links share: a register's state as _STA, and as _CRS. */
static void link_helpers(Aml *scope)
{
    static const uint32_t none = 0;
    Aml *method, *condition;

    method = aml_method("IQST", 1, false);
    condition = aml_if(aml_and(aml_int(PIRQ_DISABLED), aml_arg(0), NULL));
    aml_append(condition, aml_return(aml_int(LINK_DISABLED)));
    aml_append(method, condition);
    aml_append(method, aml_return(aml_int(LINK_ENABLED)));
    aml_append(scope, method);

    method = aml_method("IQCR", 1, true);
    aml_append(method, aml_name_decl("PRR0", link_resource(&none, 1)));
    aml_append(method, aml_create_dword_field(aml_name("PRR0"), 5, "PRRI"));
    condition = aml_if(aml_less(aml_arg(0), aml_int(PIRQ_DISABLED)));
    aml_append(condition, aml_store(aml_arg(0), aml_name("PRRI")));
    aml_append(method, condition);
    aml_append(method, aml_return(aml_name("PRR0")));
    aml_append(scope, method);
}

/* Call a helper with the register. */
static Aml *link_call(const char *helper, const char *reg)
{
    return aml_return(aml_call(helper, aml_name("%s", reg), NULL));
}

/* A link device (ACPI 6.4, 6.2.13) over one PIRQ register. */
static Aml *link_device(const char *name, unsigned uid, const char *reg)
{
    static const uint32_t choices[] = { 5, 10, 11 };
    Aml *device = aml_device("%s", name);
    Aml *method;

    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0C0F")));
    aml_append(device, aml_name_decl("_UID", aml_int(uid)));
    aml_append(device, aml_name_decl("_PRS", link_resource(choices, G_N_ELEMENTS(choices))));
    method = aml_method("_STA", 0, false);
    aml_append(method, link_call("IQST", reg));
    aml_append(device, method);
    method = aml_method("_DIS", 0, false);
    aml_append(method, aml_or(aml_name("%s", reg), aml_int(PIRQ_DISABLED), aml_name("%s", reg)));
    aml_append(device, method);
    method = aml_method("_CRS", 0, false);
    aml_append(method, link_call("IQCR", reg));
    aml_append(device, method);
    method = aml_method("_SRS", 1, false);
    aml_append(method, aml_create_dword_field(aml_arg(0), 5, "PRRI"));
    aml_append(method, aml_store(aml_name("PRRI"), aml_name("%s", reg)));
    aml_append(device, method);
    return device;
}

/* The SCI's link has one choice and nothing to set. */
static Aml *link_sci(const AcpiConfig *config)
{
    const uint32_t sci = config->pm.sci_irq;
    Aml *device = aml_device("LNKS");

    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0C0F")));
    aml_append(device, aml_name_decl("_UID", aml_int(4)));
    aml_append(device, aml_name_decl("_PRS", link_resource(&sci, 1)));
    aml_append(device, aml_name_decl("_STA", aml_int(LINK_ENABLED)));
    aml_append(device, aml_method("_DIS", 0, false));
    aml_append(device, aml_name_decl("_CRS", link_resource(&sci, 1)));
    aml_append(device, aml_method("_SRS", 1, false));
    return device;
}

static void pci_links(Aml *dsdt, const AcpiConfig *config)
{
    static const struct {
        const char *link, *reg;
    } links[] = { { "LNKA", "PRQ0" }, { "LNKB", "PRQ1" }, { "LNKC", "PRQ2" }, { "LNKD", "PRQ3" } };
    Aml *scope = aml_scope("\\_SB");
    Aml *field = aml_field("PCI0.ISA.P40C", AML_BYTE_ACC, false, AML_PRESERVE);

    for (unsigned i = 0; i < G_N_ELEMENTS(links); i++) {
        aml_append(field, aml_field_unit(links[i].reg, 8));
    }
    aml_append(scope, field);
    link_helpers(scope);
    for (unsigned i = 0; i < G_N_ELEMENTS(links); i++) {
        aml_append(scope, link_device(links[i].link, i, links[i].reg));
    }
    aml_append(scope, link_sci(config));
    aml_append(dsdt, scope);
}

/* A device with fixed ports (up to two ranges, len 0: none) and an interrupt. */
static void isa_device(Aml *scope, const char *name, const char *hid, int uid,
                       const uint16_t ports[2][2], uint8_t irq)
{
    Aml *device = aml_device("%s", name);
    Aml *crs = aml_resource_template();

    for (unsigned i = 0; i < 2; i++) {
        if (ports[i][1]) {
            aml_append(crs, aml_io(ports[i][0], ports[i][1]));
        }
    }
    aml_append(crs, aml_irq_no_flags(irq));
    aml_append(device, aml_name_decl("_HID", aml_eisaid(hid)));
    if (uid >= 0) {
        aml_append(device, aml_name_decl("_UID", aml_int(uid)));
    }
    aml_append(device, aml_name_decl("_STA", aml_int(STA_PRESENT)));
    aml_append(device, aml_name_decl("_CRS", crs));
    aml_append(scope, device);
}

/*
 * What a drive takes (ACPI 6.4, 9.9.2), with the values of a PC/AT's diskette parameter table for
 * what the type does not say.
 */
static Aml *floppy_information(const AcpiFloppy *floppy, unsigned unit)
{
    static const uint8_t parameters[] = {
        0xaf, 0x02, 0x25, /* SPECIFY's two bytes, time until the motor stops */
        0x02, 0x12, 0x1b, 0xff, /* sectors of 512, last on a track, gap, data length */
        0x6c, 0xf6, 0x0f, 0x08, /* formatting gap and filler, head and motor settling */
    };
    Aml *package = aml_package();

    aml_append(package, aml_int(unit));
    aml_append(package, aml_int(floppy->type));
    aml_append(package, aml_int(floppy->last_track));
    aml_append(package, aml_int(floppy->last_sector));
    aml_append(package, aml_int(floppy->last_side));
    for (unsigned i = 0; i < G_N_ELEMENTS(parameters); i++) {
        aml_append(package, aml_int(parameters[i]));
    }
    return package;
}

/* The controller, with the drives that there are (ACPI 6.4, 9.9.1). */
static void floppy_controller(Aml *scope, const AcpiFloppy floppies[ACPI_FLOPPIES])
{
    enum { NEVER_A_TAPE = 2, DRIVES = 4 };
    Aml *device = aml_device("FDC0"), *crs = aml_resource_template(), *drive;
    uint32_t present[DRIVES + 1] = { [DRIVES] = GUINT32_TO_LE(NEVER_A_TAPE) };

    aml_append(crs, aml_io(0x3f2, 4));
    aml_append(crs, aml_io(0x3f7, 1));
    aml_append(crs, aml_irq_no_flags(6));
    aml_append(crs, aml_dma8(2));
    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0700")));
    aml_append(device, aml_name_decl("_CRS", crs));
    for (unsigned i = 0; i < ACPI_FLOPPIES; i++) {
        present[i] = GUINT32_TO_LE(floppies[i].type != 0);
    }
    aml_append(device, aml_name_decl("_FDE", aml_buffer(present, sizeof(present))));
    for (unsigned i = 0; i < ACPI_FLOPPIES; i++) {
        if (floppies[i].type) {
            drive = aml_device("FLP%c", 'A' + i);
            aml_append(drive, aml_name_decl("_ADR", aml_int(i)));
            aml_append(drive, aml_name_decl("_FDI", floppy_information(&floppies[i], i)));
            aml_append(device, drive);
        }
    }
    aml_append(scope, device);
}

void acpi_dsdt_isa_devices(Aml *scope, const AcpiConfig *config)
{
    static const uint16_t rtc[2][2] = { { 0x70, 8 } };
    static const uint16_t keyboard[2][2] = { { 0x60, 1 }, { 0x64, 1 } };
    static const uint16_t no_ports[2][2];

    if (config->rtc) {
        isa_device(scope, "RTC", "PNP0B00", -1, rtc, 8);
    }
    if (config->fdc) {
        floppy_controller(scope, config->floppies);
    }
    if (config->i8042) {
        isa_device(scope, "KBD", "PNP0303", -1, keyboard, 1);
        isa_device(scope, "MOU", "PNP0F13", -1, no_ports, 12);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(config->parallel); i++) {
        const uint16_t ports[2][2] = { { config->parallel[i], 8 } };
        char name[] = { 'L', 'P', 'T', '1' + i, '\0' };

        if (config->parallel[i]) {
            isa_device(scope, name, "PNP0400", i + 1, ports, config->parallel_irq[i]);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(config->serial); i++) {
        const uint16_t ports[2][2] = { { config->serial[i], 8 } };
        char name[] = { 'C', 'O', 'M', '1' + i, '\0' };

        if (config->serial[i]) {
            isa_device(scope, name, "PNP0501", i + 1, ports, config->serial_irq[i]);
        }
    }
}

void acpi_dsdt_pci(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *bridge = aml_device("PCI0");
    Aml *isa = aml_device("ISA");

    aml_append(bridge, aml_name_decl("_HID", aml_eisaid("PNP0A03")));
    aml_append(bridge, aml_name_decl("_UID", aml_int(0)));
    aml_append(bridge, aml_name_decl("_CRS", pci_crs(&config->pci)));
    aml_append(bridge, aml_name_decl("_PRT", pci_prt(config)));
    aml_append(isa, aml_name_decl("_ADR", aml_int((uint32_t)config->pci.isa_slot << 16)));
    aml_append(isa, aml_opregion("P40C", AML_PCI_CONFIG, PIRQ_REGISTERS, PCI_PINS));
    acpi_dsdt_isa_devices(isa, config);
    aml_append(bridge, isa);
    if (config->pci.hotplug_slots) {
        acpi_dsdt_pci_hotplug(bridge, config);
    }
    aml_append(scope, bridge);
    aml_append(dsdt, scope);
    pci_links(dsdt, config);
}
