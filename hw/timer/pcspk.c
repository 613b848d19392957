/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System control port B of the PC/AT, port 0x61 (82371SB data sheet, 2.5.2.3): the PC speaker's
 * switches and a window on the timer.
 *
 *   bit 0  rw  gate of PIT counter 2
 *   bit 1  rw  counter 2's OUT drives the speaker
 *   bit 2  rw  PCI SERR# disable, bit 3 rw IOCHK# disable: stored, without effect
 *   bit 4  ro  refresh toggle: changes every 15.085 us, firmware and Linux use it for short delays
 *   bit 5  ro  counter 2's OUT
 *   bits 6, 7  ro  IOCHK# and SERR# NMI sources: never raised
 *
 * No sound is made yet; the audio layer of a later step takes the tone from here.
 */
#include "hw/timer/i8254.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

#define REFRESH_TOGGLE_NS 15085

enum {
    PORTB_GATE = 0x01,
    PORTB_SPEAKER = 0x02,
    PORTB_WRITABLE = 0x0f,
    PORTB_REFRESH = 0x10,
    PORTB_OUT2 = 0x20,
};

typedef struct PcSpk {
    IsaDevice parent_obj;
    uint32_t iobase;
    I8254 *pit; /* link property */
    MemoryRegion *port;
    uint8_t control; /* bits 3:0 as written */
} PcSpk;

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    PcSpk *spk = opaque;
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint8_t value = spk->control;

    if (now / REFRESH_TOGGLE_NS & 1) {
        value |= PORTB_REFRESH;
    }
    if (i8254_out(spk->pit, PIT_SPEAKER)) {
        value |= PORTB_OUT2;
    }
    return value;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PcSpk *spk = opaque;

    spk->control = value & PORTB_WRITABLE;
    i8254_set_gate(spk->pit, PIT_SPEAKER, value & PORTB_GATE);
}

static const MemoryRegionOps port_ops = {
    .read = port_read,
    .write = port_write,
    .impl = { .min = 1, .max = 1 },
};

static void pcspk_reset(Device *dev)
{
    PcSpk *spk = (PcSpk *)dev;

    spk->control = 0;
    i8254_set_gate(spk->pit, PIT_SPEAKER, false);
}

static void pcspk_finalize(Object *obj)
{
    g_clear_pointer(&((PcSpk *)obj)->port, memory_region_free);
}

static bool pcspk_realize(Device *dev, GError **error)
{
    PcSpk *spk = (PcSpk *)dev;

    if (!spk->pit || spk->iobase > 0xffff) {
        error_setf(error, "isa-pcspk: needs a timer (pit=) and an I/O port (iobase=)");
        return false;
    }
    spk->port = memory_region_new_io(OBJECT(dev), &port_ops, spk, "pcspk", 1);
    return isa_map_ports(&spk->parent_obj, spk->port, spk->iobase, error);
}

static const VmState pcspk_vmstate = {
    .name = "pcspk",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(PcSpk, control),
        VMSTATE_END
    },
};

static const Property pcspk_properties[] = {
    PROP_UINT32("iobase", PcSpk, iobase, 0x61, "its I/O port"),
    PROP_LINK("pit", PcSpk, pit, TYPE_I8254, "the timer whose counter 2 drives the speaker"),
    PROP_END
};

static const DeviceHooks pcspk_hooks = {
    .realize = pcspk_realize,
    .reset = pcspk_reset,
    .vmstate = &pcspk_vmstate,
    .category = DEVICE_CATEGORY_SOUND,
    .no_user = true,
};

static const TypeInfo pcspk_type = {
    .name = TYPE_PCSPK,
    .parent = TYPE_ISA_DEVICE,
    .description = "PC speaker and system control port B",
    .instance_size = sizeof(PcSpk),
    .properties = pcspk_properties,
    .instance_finalize = pcspk_finalize,
    .hooks = &pcspk_hooks,
};
QOM_TYPE(pcspk_type);

bool pcspk_new(IsaBus *bus, I8254 *pit, GError **error)
{
    Object *obj = object_new(TYPE_PCSPK);

    ((PcSpk *)obj)->pit = (I8254 *)object_ref(OBJECT(pit));
    return device_realize_and_unref((Device *)obj, (Bus *)bus, error);
}
