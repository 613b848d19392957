/* SPDX-License-Identifier: Apache-2.0 */
/* The device's struct, shared by its three files: registers, items, user options. */
#ifndef VIREO_HW_NVRAM_FW_CFG_INTERNAL_H
#define VIREO_HW_NVRAM_FW_CFG_INTERNAL_H

#include "hw/nvram/fw_cfg.h"

#define FW_CFG_KEY_MASK 0x3fff /* of a selector: without the write and architecture bits */
#define FW_CFG_INVALID 0xffff
#define FW_CFG_DEFAULT_SLOTS 32
#define FW_CFG_MAX_SLOTS (FW_CFG_WRITE_CHANNEL - FW_CFG_FILE_FIRST)

typedef struct FwCfgItem {
    GBytes *data;      /* read-only contents, or NULL */
    uint8_t *writable; /* borrowed contents that the guest may change, or NULL */
    uint32_t writable_len;
    FwCfgSelectFn *select;
    FwCfgWriteFn *written;
    void *opaque;
} FwCfgItem;

typedef struct FwCfgFile {
    char *name;
    FwCfgItem item;
} FwCfgFile;

typedef struct FwCfgBootEntry {
    char *path;
    int32_t index;
} FwCfgBootEntry;

typedef struct FwCfgOwned {
    void *data;
    GDestroyNotify free_fn;
} FwCfgOwned;

struct FwCfg {
    Device parent_obj;
    uint16_t file_slots;
    bool dma_enabled;
    AddressSpace *dma_as;
    MemoryRegion *registers, *dma_register;
    MemoryRegion *container; /* that the two are mapped in, or NULL */
    FwCfgItem items[2][FW_CFG_FILE_FIRST]; /* generic, architecture's own */
    GPtrArray *files;        /* FwCfgFile*, by name: the nth has key FW_CFG_FILE_FIRST + n */
    GArray *owned;           /* FwCfgOwned: freed with the device */
    GPtrArray *boot_entries; /* FwCfgBootEntry*, by index */

    uint16_t selected; /* FW_CFG_INVALID: nothing */
    uint32_t offset;   /* into the selected item */
    uint64_t dma_addr;
};

/* The item of a selector, or NULL. */
FwCfgItem *fw_cfg_item(FwCfg *fw, uint16_t key);
/* Contents of an item as they are now; *len 0 and NULL for an empty one. */
const uint8_t *fw_cfg_item_data(const FwCfgItem *item, uint32_t *len);
/* Tables of an empty device, and their end. */
void fw_cfg_items_init(FwCfg *fw);
void fw_cfg_items_free(FwCfg *fw);

#endif
