/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot ROMs share: ports and reading fw_cfg by DMA. Compiled for 16 and for 32 bits. */
#ifndef VIREO_HW_I386_ROMS_ROM_H
#define VIREO_HW_I386_ROMS_ROM_H

#include <stdint.h>

enum {
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
};

#define FW_CFG_PORT_DMA 0x514
#define FW_CFG_DMA_READ 0x02
#define FW_CFG_DMA_SELECT 0x08

typedef struct DmaDescriptor {
    uint32_t control, length;
    uint32_t address_high, address_low;
} DmaDescriptor;

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/*
 * Item `key` from its beginning to this physical address. The transfer ends before the port write
 * does.
 */
static inline void fw_cfg_read(uint16_t key, uint32_t addr, uint32_t length)
{
    volatile DmaDescriptor desc = {
        .control = __builtin_bswap32((uint32_t)key << 16 | FW_CFG_DMA_SELECT | FW_CFG_DMA_READ),
        .length = __builtin_bswap32(length),
        .address_low = __builtin_bswap32(addr),
    };

    outl(FW_CFG_PORT_DMA, 0);
    outl(FW_CFG_PORT_DMA + 4, __builtin_bswap32((uint32_t)&desc));
}

static inline uint32_t fw_cfg_u32(uint16_t key)
{
    volatile uint32_t value = 0;

    fw_cfg_read(key, (uint32_t)&value, sizeof(value));
    return value;
}

/* One part of what is booted, to where its address item says. */
static inline void fw_cfg_load(uint16_t addr_key, uint16_t size_key, uint16_t data_key)
{
    uint32_t size = fw_cfg_u32(size_key);

    if (size) {
        fw_cfg_read(data_key, fw_cfg_u32(addr_key), size);
    }
}

#endif
