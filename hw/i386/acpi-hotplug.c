/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT's part in hot-plug: methods that ask the controllers' registers what came and what shall
 * go, tell the operating system (Notify), and let go what it ejects (ACPI 6.4, section 6.3).
 */
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/pci-hotplug.h"
#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define PCI_SLOTS 32
#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define STA_PRESENT 0x0f
#define WAIT_FOREVER 0xffff
#define CPU_LOCK "CPLK" /* one selects and asks at a time */

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

/* The registers of hw/acpi/cpu-hotplug.h by name. */
static void cpu_registers(Aml *container)
{
    Aml *field;

    aml_append(container, aml_opregion("CPRG", AML_SYSTEM_IO, ACPI_CPU_HOTPLUG_BASE,
                                       ACPI_CPU_HOTPLUG_SIZE));
    field = aml_field("CPRG", AML_BYTE_ACC, false, AML_WRITE_AS_ZEROS);
    aml_append(field, aml_field_skip(8 * ACPI_CPU_HOTPLUG_FLAGS));
    aml_append(field, aml_field_unit("CPEN", 1));
    aml_append(field, aml_field_unit("CINS", 1));
    aml_append(field, aml_field_unit("CRMV", 1));
    aml_append(field, aml_field_unit("CEJE", 1));
    aml_append(field, aml_field_skip(4));
    aml_append(field, aml_field_unit("CCMD", 8));
    aml_append(container, field);
    field = aml_field("CPRG", AML_DWORD_ACC, false, AML_PRESERVE);
    aml_append(field, aml_field_unit("CSEL", 32));
    aml_append(field, aml_field_skip(8 * (ACPI_CPU_HOTPLUG_DATA - ACPI_CPU_HOTPLUG_SELECT - 4)));
    aml_append(field, aml_field_unit("CDAT", 32));
    aml_append(container, field);
}

static void append_store(Aml *parent, Aml *value, const char *name)
{
    aml_append(parent, aml_store(value, aml_name("%s", name)));
}

/* CSTA (index): its _STA. */
static Aml *cpu_status(void)
{
    Aml *method = aml_method("CSTA", 1, false);
    Aml *there;

    aml_append(method, aml_acquire(CPU_LOCK, WAIT_FOREVER));
    append_store(method, aml_arg(0), "CSEL");
    aml_append(method, aml_store(aml_int(0), aml_local(0)));
    there = aml_if(aml_equal(aml_name("CPEN"), aml_int(1)));
    aml_append(there, aml_store(aml_int(STA_PRESENT), aml_local(0)));
    aml_append(method, there);
    aml_append(method, aml_release(CPU_LOCK));
    aml_append(method, aml_return(aml_local(0)));
    return method;
}

/* CEJ0 (index) */
static Aml *cpu_eject(void)
{
    Aml *method = aml_method("CEJ0", 1, false);

    aml_append(method, aml_acquire(CPU_LOCK, WAIT_FOREVER));
    append_store(method, aml_arg(0), "CSEL");
    append_store(method, aml_int(1), "CEJE");
    aml_append(method, aml_release(CPU_LOCK));
    return method;
}

/* COST (index, event, status) */
static Aml *cpu_outcome(void)
{
    Aml *method = aml_method("COST", 3, false);

    aml_append(method, aml_acquire(CPU_LOCK, WAIT_FOREVER));
    append_store(method, aml_arg(0), "CSEL");
    append_store(method, aml_int(1), "CCMD");
    append_store(method, aml_arg(1), "CDAT");
    append_store(method, aml_int(2), "CCMD");
    append_store(method, aml_arg(2), "CDAT");
    aml_append(method, aml_release(CPU_LOCK));
    return method;
}

/* CTEL (index, what): Notify it. */
static Aml *cpu_tell(unsigned count)
{
    Aml *method = aml_method("CTEL", 2, false);

    for (unsigned i = 0; i < count; i++) {
        Aml *hit = aml_if(aml_equal(aml_arg(0), aml_int(i)));

        aml_append(hit, aml_notify(aml_name("C%03X", i), aml_arg(1)));
        aml_append(method, hit);
    }
    return method;
}

/* The selected CPU has this news: tell, mark as seen, and look on. */
static Aml *cpu_news(const char *flag, unsigned what)
{
    Aml *news = aml_if(aml_equal(aml_name("%s", flag), aml_int(1)));

    aml_append(news, aml_call("CTEL", aml_name("CDAT"), aml_int(what), NULL));
    append_store(news, aml_int(1), flag);
    aml_append(news, aml_store(aml_int(1), aml_local(0)));
    return news;
}

/* CSCN (): tell of all CPUs with news. */
static Aml *cpu_scan(void)
{
    Aml *method = aml_method("CSCN", 0, false);
    Aml *loop = aml_while(aml_equal(aml_local(0), aml_int(1)));

    aml_append(method, aml_acquire(CPU_LOCK, WAIT_FOREVER));
    append_store(method, aml_int(0), "CSEL");
    aml_append(method, aml_store(aml_int(1), aml_local(0)));
    aml_append(loop, aml_store(aml_int(0), aml_local(0)));
    append_store(loop, aml_int(0), "CCMD");
    aml_append(loop, cpu_news("CINS", NOTIFY_DEVICE_CHECK));
    aml_append(loop, cpu_news("CRMV", NOTIFY_EJECT_REQUEST));
    aml_append(method, loop);
    aml_append(method, aml_release(CPU_LOCK));
    return method;
}

void acpi_dsdt_cpu_hotplug(Aml *container, const AcpiConfig *config)
{
    aml_append(container, aml_mutex(CPU_LOCK, 0));
    cpu_registers(container);
    aml_append(container, cpu_status());
    aml_append(container, cpu_eject());
    aml_append(container, cpu_outcome());
    aml_append(container, cpu_tell(config->cpu_count));
    aml_append(container, cpu_scan());
}

void acpi_dsdt_cpu_hotplug_methods(Aml *device, unsigned index)
{
    Aml *method = aml_method("_STA", 0, false);

    aml_append(method, aml_return(aml_call("CSTA", aml_int(index), NULL)));
    aml_append(device, method);
    if (index) { /* the boot CPU stays */
        method = aml_method("_EJ0", 1, false);
        aml_append(method, aml_call("CEJ0", aml_int(index), NULL));
        aml_append(device, method);
    }
    method = aml_method("_OST", 3, false);
    aml_append(method, aml_call("COST", aml_int(index), aml_arg(0), aml_arg(1), NULL));
    aml_append(device, method);
}

void acpi_dsdt_cpu_hotplug_event(Aml *gpe)
{
    Aml *method = aml_method("_E02", 0, false);

    G_STATIC_ASSERT(ACPI_CPU_HOTPLUG_GPE == 2);
    aml_append(method, aml_call("\\_SB.CPUS.CSCN", NULL));
    aml_append(gpe, method);
}
