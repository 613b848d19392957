/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start a bzImage by the 16-bit boot protocol (Linux Documentation/arch/x86/boot.rst). The VMM has
 * filled in the setup header; what is left is to copy the parts, and to move the initrd down if
 * the firmware keeps more of the top of memory than the VMM thought.
 */
#include "rom.h"

#define SETUP_RAMDISK_IMAGE 0x218
#define SETUP_ENTRY_SEGMENTS 0x20 /* the kernel's 16-bit entry is 512 bytes into the setup */
#define PAGE_MASK 0xfffu

void __attribute__((regparm(3))) linux_boot(void);
/* In linuxboot.S: the end of RAM below 4 GiB as the firmware leaves it, 0 if it does not say. */
uint32_t __attribute__((regparm(3))) low_memory_end(void);
/* To the kernel's 16-bit entry: all segments at the setup, the stack at the end of its heap. */
_Noreturn void __attribute__((regparm(3))) linux_start(uint32_t segment, uint32_t stack,
                                                       uint32_t entry_segment);

static void store_u32(uint16_t segment, uint16_t offset, uint32_t value)
{
    __asm__ volatile("movw %0, %%fs; movl %2, %%fs:(%1)"
                     :
                     : "r"(segment), "b"((uint32_t)offset), "r"(value)
                     : "memory");
}

static void load_initrd(uint16_t setup_segment)
{
    uint32_t size = fw_cfg_u32(FW_CFG_INITRD_SIZE);
    uint32_t addr = fw_cfg_u32(FW_CFG_INITRD_ADDR);
    uint32_t end = low_memory_end();

    if (!size) {
        return;
    }
    if (end > size && addr + size > end) {
        addr = (end - size) & ~PAGE_MASK;
        store_u32(setup_segment, SETUP_RAMDISK_IMAGE, addr);
    }
    fw_cfg_read(FW_CFG_INITRD_DATA, addr, size);
}

void __attribute__((regparm(3))) linux_boot(void)
{
    uint32_t setup_addr = fw_cfg_u32(FW_CFG_SETUP_ADDR);
    uint32_t cmdline_addr = fw_cfg_u32(FW_CFG_CMDLINE_ADDR);
    uint16_t segment = setup_addr >> 4;

    if (!setup_addr) {
        return;
    }
    fw_cfg_load(FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA);
    fw_cfg_load(FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA);
    fw_cfg_load(FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA);
    load_initrd(segment);

    linux_start(segment, cmdline_addr - setup_addr - 16, segment + SETUP_ENTRY_SEGMENTS);
}
