/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers of an x86 board. A global system interrupt (GSI) 0..15 is an ISA line and
 * reaches both the 8259 pair and the I/O APIC; 16..23 are the I/O APIC's alone. ISA line 0, the timer, is on the
 * I/O APIC's pin 2 (the usual override, which the MADT tells).
 */
#include "hw/i386/x86.h"

#include "hw/intc/apic.h"

static void kernel_gsi_set(void *opaque, int n, bool level)
{
    accel_ops()->set_gsi(accel_current(), n, level);
}

static void pic_intr_changed(void *opaque, int n, bool level)
{
    apic_pic_intr_changed(level);
}

/* The two destinations of one GSI. */
typedef struct GsiFanout {
    Irq pic, ioapic;
} GsiFanout;

static void gsi_set(void *opaque, int n, bool level)
{
    const GsiFanout *fanout = opaque;

    irq_set(fanout->pic, level);
    irq_set(fanout->ioapic, level);
}

static bool create_kernel_chips(X86Machine *machine, IsaBus *isa, bool with_pic, GError **error)
{
    for (unsigned i = 0; i < X86_GSIS; i++) {
        machine->gsi[i] = (Irq){ .fn = kernel_gsi_set, .n = i };
    }
    return (!with_pic || kernel_i8259_new(isa, error)) &&
           device_create(TYPE_KERNEL_IOAPIC, NULL, error);
}

static int ext_int_ack(void *opaque)
{
    return i8259_ack(opaque);
}

static bool create_model_chips(X86Machine *machine, IsaBus *isa, bool with_pic, GError **error)
{
    /* Lives as long as the machine, as the lines do. */
    GsiFanout *fanout = g_new0(GsiFanout, X86_GSIS);
    Irq pic[ISA_IRQS] = { 0 };

    machine->gsi_fanout = fanout;
    if (with_pic) {
        machine->pic_master = i8259_new(isa, (Irq){ .fn = pic_intr_changed }, pic, error);
        if (!machine->pic_master) {
            return false;
        }
    }
    machine->ioapic = ioapic_new(with_pic ? ext_int_ack : NULL, machine->pic_master, error);
    if (!machine->ioapic) {
        return false;
    }
    for (unsigned i = 0; i < X86_GSIS; i++) {
        unsigned pin = i == 0 ? 2 : i;

        if (i < ISA_IRQS) {
            fanout[i].pic = pic[i];
        }
        if (i != 2) { /* line 2 is the cascade; its pin carries the timer */
            fanout[i].ioapic = device_irq_in((Device *)machine->ioapic, NULL, pin);
        }
        machine->gsi[i] = (Irq){ .fn = gsi_set, .opaque = &fanout[i], .n = i };
    }
    return true;
}

bool x86_create_irqchips(X86Machine *machine, IsaBus *isa, bool with_pic, GError **error)
{
    bool ok = accel_irqchip() == ACCEL_IRQCHIP_ON
                  ? create_kernel_chips(machine, isa, with_pic, error)
                  : create_model_chips(machine, isa, with_pic, error);

    if (ok) {
        isa_bus_connect_irqs(isa, machine->gsi);
    }
    return ok;
}
