/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pvpanic register, shared by its ISA and PCI forms: reading gives the events that the host
 * knows, writing reports those whose bits are set.
 */
#ifndef VIREO_HW_MISC_PVPANIC_H
#define VIREO_HW_MISC_PVPANIC_H

#include "memory/memory.h"

#define TYPE_PVPANIC_ISA "pvpanic" /* property "ioport" says where it is */
#define PVPANIC_PANICKED 0x01
#define PVPANIC_CRASHLOADED 0x02
#define PVPANIC_ALL (PVPANIC_PANICKED | PVPANIC_CRASHLOADED)

/* The I/O port of the ISA form, for firmware tables; 0 if the machine has none. */
uint16_t pvpanic_isa_port(void);

/* A byte-wide region of `size` whose first byte is the register. events is borrowed. */
MemoryRegion *pvpanic_region_new(Object *owner, const uint8_t *events, uint64_t size);

#endif
