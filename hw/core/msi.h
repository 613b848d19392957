/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending a message-signalled interrupt (SDM vol. 3, 11.11): to the accelerator where it holds the
 * local APICs, else as a write to memory, where the APIC model's window sees it. VM lock held.
 */
#ifndef VIREO_HW_CORE_MSI_H
#define VIREO_HW_CORE_MSI_H

#include "hw/core/cpu.h"
#include "memory/memory.h"

#define MSI_ADDRESS_BASE 0xfee00000u
#define MSI_ADDRESS_SIZE 0x100000u

static inline void msi_send(uint64_t address, uint32_t data)
{
    const AccelOps *ops = accel_ops();

    if (ops && ops->msi_send && accel_irqchip() != ACCEL_IRQCHIP_OFF &&
        address >= MSI_ADDRESS_BASE && address - MSI_ADDRESS_BASE < MSI_ADDRESS_SIZE) {
        ops->msi_send(accel_current(), address, data);
    } else {
        address_space_store(address_space_memory(), address, 4, data);
    }
}

#endif
