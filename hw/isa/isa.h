/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ISA bus: port windows, 16 interrupt lines, 8 DMA channels. Drivers register fixed ports;
 * the board provides the IRQ handles.
 */
#ifndef VIREO_HW_ISA_ISA_H
#define VIREO_HW_ISA_ISA_H

#include "hw/core/device.h"
#include "memory/memory.h"
#include "util/bits.h"

#define TYPE_ISA_BUS "ISA"
#define TYPE_ISA_DEVICE "isa-device" /* hooks.bus_type = TYPE_ISA_BUS */
#define ISA_IRQS 16

typedef struct IsaBus IsaBus;
typedef struct IsaDevice {
    Device parent_obj;
    GPtrArray *port_regions; /* mapped ones, unmapped at unrealize */
} IsaDevice;

/*
 * owner NULL: a bridge of its own (no PCI). io and memory: containers the bus's windows live in
 * (the PC's whole I/O and memory space).
 */
IsaBus *isa_bus_new(Device *owner, MemoryRegion *memory, MemoryRegion *io);
/* irqs[16]: copied. */
void isa_bus_connect_irqs(IsaBus *bus, const Irq irqs[ISA_IRQS]);
IsaBus *isa_device_bus(IsaDevice *dev);
/* n < 16; else a handle that leads nowhere. */
Irq isa_irq(IsaDevice *dev, unsigned n);
/* Map region at an I/O port; fails if the ports are taken by another ISA device (names it). */
bool isa_map_ports(IsaDevice *dev, MemoryRegion *region, uint16_t port, GError **error);
MemoryRegion *isa_memory(IsaBus *bus);
MemoryRegion *isa_io(IsaBus *bus);
/* The only one, or NULL. */
IsaBus *isa_bus(void);

/* 8237 DMA, provided by hw/dma/i8257.c; NULL functions where the board has none. */
typedef struct IsaDmaOps {
    /* Called when the channel is unmasked and the device should transfer. */
    void (*register_channel)(void *dma, int channel,
                             int (*transfer)(void *opaque, int channel, int pos, int len),
                             void *opaque);
    int (*read_memory)(void *dma, int channel, void *buf, int pos, int len);
    int (*write_memory)(void *dma, int channel, const void *buf, int pos, int len);
    void (*hold_request)(void *dma, int channel, bool on);
} IsaDmaOps;
void isa_bus_connect_dma(IsaBus *bus, const IsaDmaOps *ops, void *dma8, void *dma16);
/* The controller of a channel: ops (NULL: the board has no DMA) and *dma. */
const IsaDmaOps *isa_bus_dma(IsaBus *bus, int channel, void **dma);

#endif
