/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware configuration device ("fw_cfg"): numbered items and named files that firmware, boot
 * ROMs and guest kernels read, byte by byte through a data port or in one go by DMA. Its interface
 * is QEMU's published one (docs/specs/fw_cfg): selector, data, and a big-endian DMA descriptor.
 *
 * Items are added while the machine is being made (VM lock held). Read-only contents are GBytes,
 * so that a kernel or initrd of any size is mapped, not copied. A file's key is its place in the
 * directory, which is kept in order of name; so files should all be there before the guest runs.
 */
#ifndef VIREO_HW_NVRAM_FW_CFG_H
#define VIREO_HW_NVRAM_FW_CFG_H

#include <json-c/json.h>

#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_FW_CFG "fw_cfg"         /* abstract */
#define TYPE_FW_CFG_IO "fw_cfg_io"   /* ports: selector +0, data +1, DMA +4 */
#define TYPE_FW_CFG_MEM "fw_cfg_mem" /* MMIO: data +0, selector +8, DMA +16 */

#define FW_CFG_IO_BASE 0x510
#define FW_CFG_IO_SIZE 12
#define FW_CFG_MEM_SIZE 24
#define FW_CFG_MAX_FILE_PATH 56 /* with its NUL */

/*
 * Item keys. Those from FW_CFG_ARCH_LOCAL on mean something else on each architecture: these are
 * x86's.
 */
typedef enum FwCfgKey {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_WRITE_CHANNEL = 0x4000, /* ignored: writing goes by DMA */
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
} FwCfgKey;

typedef struct FwCfg FwCfg;

/* The guest selected the item: contents may be replaced now (fw_cfg_modify_file). */
typedef void FwCfgSelectFn(void *opaque);
/* The guest wrote bytes [offset, offset + len) of a writable file. */
typedef void FwCfgWriteFn(void *opaque, uint32_t offset, uint32_t len);

/*
 * The PC's: mapped into io at port, DMA through dma_as (NULL: no DMA). slots: how many files there
 * may be (0: the default of 32). Borrowed from the object tree.
 */
FwCfg *fw_cfg_new_io(MemoryRegion *io, uint16_t port, AddressSpace *dma_as, uint16_t slots,
                     GError **error);
FwCfg *fw_cfg_new_mem(MemoryRegion *memory, uint64_t addr, AddressSpace *dma_as, uint16_t slots,
                      GError **error);

/* Numbered items (not files). Adding a key again replaces it. Numbers are little-endian. */
void fw_cfg_add_bytes(FwCfg *fw, uint16_t key, GBytes *data); /* takes a reference of its own */
void fw_cfg_add_copy(FwCfg *fw, uint16_t key, const void *data, size_t len);
void fw_cfg_add_string(FwCfg *fw, uint16_t key, const char *text); /* with its NUL */
void fw_cfg_add_u16(FwCfg *fw, uint16_t key, uint16_t value);
void fw_cfg_add_u32(FwCfg *fw, uint16_t key, uint32_t value);
void fw_cfg_add_u64(FwCfg *fw, uint16_t key, uint64_t value);

/*
 * Files. Fails if the name is empty, too long or taken, the directory is full, or the contents
 * exceed 4 GiB - 1. The GBytes gets a reference of the device's own.
 */
bool fw_cfg_add_file(FwCfg *fw, const char *name, GBytes *data, GError **error);
bool fw_cfg_add_file_copy(FwCfg *fw, const char *name, const void *data, size_t len,
                          GError **error);
bool fw_cfg_add_file_callback(FwCfg *fw, const char *name, FwCfgSelectFn *select, void *opaque,
                              GBytes *data, GError **error);
/*
 * The guest may write it: data (len bytes) is borrowed for the device's life. written may be NULL.
 */
bool fw_cfg_add_writable_file(FwCfg *fw, const char *name, void *data, uint32_t len,
                              FwCfgWriteFn *written, void *opaque, GError **error);
/* Replace a read-only file's contents, or add it; the directory shows the new size. */
bool fw_cfg_modify_file(FwCfg *fw, const char *name, GBytes *data, GError **error);
void fw_cfg_foreach_file(FwCfg *fw, void (*fn)(const char *name, uint32_t size, void *opaque),
                         void *opaque);
bool fw_cfg_has_file(FwCfg *fw, const char *name);
/*
 * The contents as the guest would read them, without selecting; NULL if there is none. The
 * caller's.
 */
GBytes *fw_cfg_get_file(FwCfg *fw, const char *name);
GBytes *fw_cfg_get_item(FwCfg *fw, uint16_t key);

/* Free data with the device: what the callbacks' opaque points to. */
void fw_cfg_take(FwCfg *fw, void *data, GDestroyNotify free_fn);

/*
 * One -fw_cfg option: {"name": "opt/...", "file": path} or {..., "string": text} (the string goes
 * without a NUL). Names outside opt/ get a warning; names in use are refused.
 */
bool fw_cfg_add_user_option(FwCfg *fw, json_object *option, GError **error);

/*
 * What firmware boots from: a firmware device path at a place in the order (lower first, negative:
 * not at all). Refuses an index that is taken. The file "bootorder" follows.
 */
bool fw_cfg_add_boot_entry(FwCfg *fw, const char *path, int32_t index, GError **error);

#endif
