/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM generation identifier (Microsoft's "Virtual Machine Generation ID" paper): 16 bytes in
 * guest RAM that change when the machine is a copy of itself. The board builds the ACPI device
 * that tells the guest where they are.
 */
#ifndef VIREO_HW_MISC_VMGENID_H
#define VIREO_HW_MISC_VMGENID_H

#include "hw/core/device.h"

#define TYPE_VMGENID "vmgenid"
/* The GUID's place in its fw_cfg blob, a page of its own: leaves room for firmware's header. */
#define VMGENID_OFFSET 40
#define VMGENID_BLOB_SIZE 4096

typedef struct VmGenId VmGenId;

/* The only one, or NULL. */
VmGenId *vmgenid_find(void);
/* 16 bytes in the text's order. Borrowed; changes with set. */
const uint8_t *vmgenid_guid(const VmGenId *dev);
/* As it lies in guest memory (the first three groups little-endian). */
void vmgenid_guest_bytes(const VmGenId *dev, uint8_t bytes[16]);
/* Where firmware put it: the eight bytes that it writes; little-endian. */
uint8_t *vmgenid_address_field(VmGenId *dev);
/* No firmware: the board has put the page there; the GUID is written into it. */
void vmgenid_place(VmGenId *dev, uint64_t page);
/*
 * A new identifier: written to the guest, and the output line "changed" pulses (the board: ACPI
 * event).
 */
void vmgenid_set(VmGenId *dev, const uint8_t guid[16]);

#endif
