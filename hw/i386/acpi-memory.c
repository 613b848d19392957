/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT's part in memory hot-plug: a memory device (PNP0C80; ACPI 6.4, 9.11) for each slot,
 * whose methods ask the controller's registers (hw/acpi/memory-hotplug.h), one slot at a time.
 */
#include "hw/acpi/memory-hotplug.h"
#include "hw/i386/acpi-internal.h"

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT_REQUEST 3
#define STA_PRESENT 0x0f
#define WAIT_FOREVER 0xffff
#define MEMORY_LOCK "MLCK"
/* Of a QWord address space descriptor's fields (ACPI 6.4, 6.4.3.5.1). */
#define QWORD_MIN 14
#define QWORD_MAX 22
#define QWORD_LEN 38

static void memory_registers(Aml *device)
{
    static const char *const reads[] = { "MADL", "MADH", "MSZL", "MSZH", "MNOD" };
    static const char *const flags[] = { "MENB", "MINS", "MRMV", "MEJE" };
    static const char *const writes[] = { "MSEL", "MOEV", "MOST" };
    Aml *field;

    aml_append(device, aml_opregion("MHRG", AML_SYSTEM_IO, ACPI_MEMORY_HOTPLUG_BASE,
                                    ACPI_MEMORY_HOTPLUG_SIZE));
    field = aml_field("MHRG", AML_DWORD_ACC, false, AML_PRESERVE);
    for (unsigned i = 0; i < G_N_ELEMENTS(reads); i++) {
        aml_append(field, aml_field_unit(reads[i], 32));
    }
    aml_append(device, field);
    field = aml_field("MHRG", AML_BYTE_ACC, false, AML_WRITE_AS_ZEROS);
    aml_append(field, aml_field_skip(8 * ACPI_MEMORY_HOTPLUG_FLAGS));
    for (unsigned i = 0; i < G_N_ELEMENTS(flags); i++) {
        aml_append(field, aml_field_unit(flags[i], 1));
    }
    aml_append(device, field);
    field = aml_field("MHRG", AML_DWORD_ACC, false, AML_PRESERVE);
    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        aml_append(field, aml_field_unit(writes[i], 32));
    }
    aml_append(device, field);
}

static void append_store(Aml *parent, Aml *value, const char *name)
{
    aml_append(parent, aml_store(value, aml_name("%s", name)));
}

static void select_slot(Aml *method)
{
    aml_append(method, aml_acquire(MEMORY_LOCK, WAIT_FOREVER));
    append_store(method, aml_arg(0), "MSEL");
}

/* XSTA (slot): its _STA. */
static Aml *slot_status(void)
{
    Aml *method = aml_method("XSTA", 1, false);
    Aml *there;

    select_slot(method);
    aml_append(method, aml_store(aml_int(0), aml_local(0)));
    there = aml_if(aml_equal(aml_name("MENB"), aml_int(1)));
    aml_append(there, aml_store(aml_int(STA_PRESENT), aml_local(0)));
    aml_append(method, there);
    aml_append(method, aml_release(MEMORY_LOCK));
    aml_append(method, aml_return(aml_local(0)));
    return method;
}

/* Join two registers of 32 bits in a local. */
static void read_pair(Aml *method, const char *low, const char *high, unsigned local)
{
    aml_append(method, aml_shift_left(aml_name("%s", high), aml_int(32), aml_local(local)));
    aml_append(method, aml_or(aml_local(local), aml_name("%s", low), aml_local(local)));
}

/* XCRS (slot): its _CRS, a range of memory. */
static Aml *slot_resources(void)
{
    Aml *method = aml_method("XCRS", 1, true);
    Aml *range = aml_resource_template();

    aml_append(range, aml_qword_memory(0, UINT64_MAX - 1, true));
    select_slot(method);
    aml_append(method, aml_name_decl("MRNG", range));
    aml_append(method, aml_create_qword_field(aml_name("MRNG"), QWORD_MIN, "RMIN"));
    aml_append(method, aml_create_qword_field(aml_name("MRNG"), QWORD_MAX, "RMAX"));
    aml_append(method, aml_create_qword_field(aml_name("MRNG"), QWORD_LEN, "RLEN"));
    read_pair(method, "MADL", "MADH", 0);
    read_pair(method, "MSZL", "MSZH", 1);
    aml_append(method, aml_release(MEMORY_LOCK));
    append_store(method, aml_local(0), "RMIN");
    append_store(method, aml_local(1), "RLEN");
    aml_append(method, aml_add(aml_local(0), aml_local(1), aml_local(2)));
    aml_append(method, aml_subtract(aml_local(2), aml_int(1), aml_name("RMAX")));
    aml_append(method, aml_return(aml_name("MRNG")));
    return method;
}

/* XPXM (slot): its _PXM. */
static Aml *slot_node(void)
{
    Aml *method = aml_method("XPXM", 1, false);

    select_slot(method);
    aml_append(method, aml_store(aml_name("MNOD"), aml_local(0)));
    aml_append(method, aml_release(MEMORY_LOCK));
    aml_append(method, aml_return(aml_local(0)));
    return method;
}

/* XEJ0 (slot) */
static Aml *slot_eject(void)
{
    Aml *method = aml_method("XEJ0", 1, false);

    select_slot(method);
    append_store(method, aml_int(1), "MEJE");
    aml_append(method, aml_release(MEMORY_LOCK));
    return method;
}

/* XOST (slot, event, status) */
static Aml *slot_outcome(void)
{
    Aml *method = aml_method("XOST", 3, false);

    select_slot(method);
    append_store(method, aml_arg(1), "MOEV");
    append_store(method, aml_arg(2), "MOST");
    aml_append(method, aml_release(MEMORY_LOCK));
    return method;
}

/* XTEL (slot, what): Notify it. */
static Aml *slot_tell(unsigned count)
{
    Aml *method = aml_method("XTEL", 2, false);

    for (unsigned i = 0; i < count; i++) {
        Aml *hit = aml_if(aml_equal(aml_arg(0), aml_int(i)));

        aml_append(hit, aml_notify(aml_name("MP%02X", i), aml_arg(1)));
        aml_append(method, hit);
    }
    return method;
}

/* The selected slot has this news: tell, and mark as seen. */
static Aml *slot_news(const char *flag, unsigned what)
{
    Aml *news = aml_if(aml_equal(aml_name("%s", flag), aml_int(1)));

    aml_append(news, aml_call("XTEL", aml_local(0), aml_int(what), NULL));
    append_store(news, aml_int(1), flag);
    return news;
}

/* SCAN (): tell of all slots with news. */
static Aml *scan(unsigned count)
{
    Aml *method = aml_method("SCAN", 0, false);
    Aml *loop = aml_while(aml_less(aml_local(0), aml_int(count)));

    aml_append(method, aml_acquire(MEMORY_LOCK, WAIT_FOREVER));
    aml_append(method, aml_store(aml_int(0), aml_local(0)));
    append_store(loop, aml_local(0), "MSEL");
    aml_append(loop, slot_news("MINS", NOTIFY_DEVICE_CHECK));
    aml_append(loop, slot_news("MRMV", NOTIFY_EJECT_REQUEST));
    aml_append(loop, aml_increment(aml_local(0)));
    aml_append(method, loop);
    aml_append(method, aml_release(MEMORY_LOCK));
    return method;
}

/* A method of a slot that only calls one of those above with the slot's number. */
static void append_method(Aml *device, const char *name, const char *target, unsigned slot,
                          bool returns)
{
    Aml *method = aml_method(name, returns ? 0 : 1, false);
    Aml *call = aml_call(target, aml_int(slot), NULL);

    aml_append(method, returns ? aml_return(call) : call);
    aml_append(device, method);
}

static Aml *slot_device(unsigned slot)
{
    Aml *device = aml_device("MP%02X", slot);
    Aml *outcome = aml_method("_OST", 3, false);

    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0C80")));
    aml_append(device, aml_name_decl("_UID", aml_int(slot)));
    append_method(device, "_STA", "XSTA", slot, true);
    append_method(device, "_CRS", "XCRS", slot, true);
    append_method(device, "_PXM", "XPXM", slot, true);
    append_method(device, "_EJ0", "XEJ0", slot, false);
    aml_append(outcome, aml_call("XOST", aml_int(slot), aml_arg(0), aml_arg(1), NULL));
    aml_append(device, outcome);
    return device;
}

void acpi_dsdt_memory_hotplug(Aml *dsdt, const AcpiConfig *config)
{
    const unsigned count = config->memory_slots;
    Aml *scope = aml_scope("\\_SB");
    Aml *device = aml_device("MHPD");
    Aml *ports = aml_resource_template();

    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0A06")));
    aml_append(device, aml_name_decl("_UID", aml_string("Memory hot-plug")));
    aml_append(device, aml_name_decl("_STA", aml_int(STA_PRESENT & ~4u)));
    aml_append(ports, aml_io(ACPI_MEMORY_HOTPLUG_BASE, ACPI_MEMORY_HOTPLUG_SIZE));
    aml_append(device, aml_name_decl("_CRS", ports));
    aml_append(device, aml_mutex(MEMORY_LOCK, 0));
    memory_registers(device);
    aml_append(device, slot_status());
    aml_append(device, slot_resources());
    aml_append(device, slot_node());
    aml_append(device, slot_eject());
    aml_append(device, slot_outcome());
    for (unsigned i = 0; i < count; i++) {
        aml_append(device, slot_device(i));
    }
    aml_append(device, slot_tell(count));
    aml_append(device, scan(count));
    aml_append(scope, device);
    aml_append(dsdt, scope);
}

void acpi_dsdt_memory_hotplug_event(Aml *gpe)
{
    Aml *method = aml_method("_E03", 0, false);

    G_STATIC_ASSERT(ACPI_MEMORY_HOTPLUG_GPE == 3);
    aml_append(method, aml_call("\\_SB.MHPD.SCAN", NULL));
    aml_append(gpe, method);
}
