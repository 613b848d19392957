/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memory module: a memory backend in one of the machine's slots, at a place of its own in the
 * machine's device memory (Machine.device_memory). Slot and address are chosen if they are not
 * given. VM lock held throughout.
 */
#ifndef VIREO_HW_MEM_PC_DIMM_H
#define VIREO_HW_MEM_PC_DIMM_H

#include "hw/core/device.h"

#define TYPE_PC_DIMM "pc-dimm"

typedef struct PcDimm {
    Device parent_obj;
    uint64_t addr;  /* guest-physical; property, 0: choose one */
    Object *memdev; /* a RamBackend, referenced */
    uint32_t node;
    int32_t slot;   /* property, -1: the first free */
    uint64_t saved_addr; /* of saved state */
    int32_t saved_slot;
} PcDimm;

uint64_t pc_dimm_size(const PcDimm *dimm);
/* PcDimm* of all that are plugged, by address; the array is the caller's. */
GPtrArray *pc_dimm_list(void);

#endif
