/* SPDX-License-Identifier: Apache-2.0 */
/* vmcoreinfo: the guest kernel tells where its crash notes are, for memory dumps. */
#ifndef VIREO_HW_MISC_VMCOREINFO_H
#define VIREO_HW_MISC_VMCOREINFO_H

#include "hw/core/device.h"

#define TYPE_VMCOREINFO "vmcoreinfo"
#define VMCOREINFO_SIZE 16

typedef struct VmCoreInfo VmCoreInfo;

/* The only one, or NULL. */
VmCoreInfo *vmcoreinfo_find(void);
/* The bytes shown as "etc/vmcoreinfo": u16 host format, u16 guest format, u32 size, u64 address. */
uint8_t *vmcoreinfo_bytes(VmCoreInfo *dev);
void vmcoreinfo_written(void *dev, uint32_t offset, uint32_t len);
/* Guest-provided ELF note; false while there is none. */
bool vmcoreinfo_note(const VmCoreInfo *dev, uint64_t *addr, uint32_t *size);

#endif
