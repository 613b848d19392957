/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: the registers.
 *
 *   ports     +1 data (8 bits, read)            +0 selector (16 bits, little-endian, write)
 *   MMIO      +0 data (8 to 64 bits, read)      +8 selector (16 bits, big-endian, write)
 *   DMA       64 bits, big-endian, at port +4 or MMIO +16: writing the low half starts the transfer
 *             that the descriptor at that address describes; reading gives "QEMU CFG".
 *
 * The descriptor is { u32 control, u32 length, u64 address }, big-endian. Control: bit 0 error, 1
 * read, 2 skip, 3 select (key in bits 31..16), 4 write. It becomes 0 when done, or bit 0 alone.
 */
#include "hw/nvram/fw_cfg.h"

#include "hw/nvram/fw_cfg-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define FW_CFG_DMA_SIGNATURE 0x51454d5520434647ULL /* "QEMU CFG" */
#define FW_CFG_DMA_CHUNK (1u << 20)
#define FW_CFG_IO_DMA 4
#define FW_CFG_MEM_DATA_SIZE 8
#define FW_CFG_MEM_SELECTOR 8
#define FW_CFG_MEM_DMA 16

enum {
    DMA_ERROR = 1u << 0,
    DMA_READ = 1u << 1,
    DMA_SKIP = 1u << 2,
    DMA_SELECT = 1u << 3,
    DMA_WRITE = 1u << 4,
};

typedef struct FwCfgDescriptor {
    uint32_t control;
    uint32_t length;
    uint64_t address;
} FwCfgDescriptor;

static FwCfg *fw_cfg_cast(void *obj)
{
    return object_cast(obj, TYPE_FW_CFG);
}

static void fw_cfg_select(FwCfg *fw, uint16_t key)
{
    FwCfgItem *item = fw_cfg_item(fw, key);

    fw->offset = 0;
    fw->selected = item ? key : FW_CFG_INVALID;
    if (item && item->select) {
        item->select(item->opaque);
    }
}

/* Contents from the current offset on. */
static const uint8_t *fw_cfg_current(FwCfg *fw, uint32_t *len)
{
    FwCfgItem *item = fw_cfg_item(fw, fw->selected);
    const uint8_t *data = NULL;
    uint32_t total = 0;

    *len = 0;
    if (item) {
        data = fw_cfg_item_data(item, &total);
    }
    if (fw->offset >= total) {
        return NULL;
    }
    *len = total - fw->offset;
    return data + fw->offset;
}

/* size bytes, the first in the most significant place; past the end they are 0. */
static uint64_t fw_cfg_read_data(FwCfg *fw, unsigned size)
{
    uint64_t value = 0;

    while (size-- > 0) {
        uint32_t len;
        const uint8_t *data = fw_cfg_current(fw, &len);

        value = value << 8 | (len ? *data : 0);
        if (len) {
            fw->offset++;
        }
    }
    return value;
}

static void fw_cfg_advance(FwCfg *fw, uint32_t count)
{
    fw->offset = count > UINT32_MAX - fw->offset ? UINT32_MAX : fw->offset + count;
}

/* Item to guest; bytes past the item's end are 0. */
static bool fw_cfg_dma_read(FwCfg *fw, uint64_t addr, uint32_t length)
{
    while (length > 0) {
        uint32_t have;
        const uint8_t *data = fw_cfg_current(fw, &have);
        uint32_t chunk = MIN(length, FW_CFG_DMA_CHUNK);
        MemResult result;

        if (have) {
            chunk = MIN(chunk, have);
            result = address_space_write(fw->dma_as, addr, data, chunk);
        } else {
            result = address_space_set(fw->dma_as, addr, 0, chunk);
        }
        fw_cfg_advance(fw, chunk);
        if (result != MEM_OK) {
            return false;
        }
        addr += chunk;
        length -= chunk;
    }
    return true;
}

/* Guest to item: all of it must fit. */
static bool fw_cfg_dma_write(FwCfg *fw, uint64_t addr, uint32_t length)
{
    FwCfgItem *item = fw_cfg_item(fw, fw->selected);
    uint32_t offset = fw->offset;

    if (!item || !item->writable || !range_ok(offset, length, item->writable_len)) {
        return false;
    }
    if (address_space_read(fw->dma_as, addr, item->writable + offset, length) != MEM_OK) {
        return false;
    }
    fw_cfg_advance(fw, length);
    if (item->written) {
        item->written(item->opaque, offset, length);
    }
    return true;
}

static bool fw_cfg_dma_transfer(FwCfg *fw, const FwCfgDescriptor *desc)
{
    if (desc->control & DMA_SELECT) {
        fw_cfg_select(fw, desc->control >> 16);
    }
    if (!(desc->control & (DMA_READ | DMA_WRITE | DMA_SKIP)) || desc->length == 0) {
        return true;
    }
    if (!(desc->control & (DMA_READ | DMA_WRITE))) {
        fw_cfg_advance(fw, desc->length);
        return true;
    }
    if (desc->address > UINT64_MAX - (desc->length - 1)) {
        return false;
    }
    if (desc->control & DMA_READ) {
        return fw_cfg_dma_read(fw, desc->address, desc->length);
    }
    return fw_cfg_dma_write(fw, desc->address, desc->length);
}

static void fw_cfg_dma_run(FwCfg *fw)
{
    uint64_t at = fw->dma_addr;
    uint8_t raw[16], status[4];
    bool ok = false;

    fw->dma_addr = 0;
    if (address_space_read(fw->dma_as, at, raw, sizeof(raw)) == MEM_OK) {
        FwCfgDescriptor desc = {
            .control = ldl_be(raw), .length = ldl_be(raw + 4), .address = ldq_be(raw + 8),
        };

        ok = fw_cfg_dma_transfer(fw, &desc);
    }
    if (!ok) {
        log_guest_error("fw_cfg: DMA by descriptor 0x%" PRIx64 " failed\n", at);
    }
    stl_be(status, ok ? 0 : DMA_ERROR);
    address_space_write(fw->dma_as, at, status, sizeof(status));
}

static uint64_t fw_cfg_dma_reg_read(void *opaque, uint64_t offset, unsigned size)
{
    return extract64(FW_CFG_DMA_SIGNATURE, (8 - offset - size) * 8, size * 8);
}

static void fw_cfg_dma_reg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *fw = opaque;

    if (size == 8) {
        fw->dma_addr = value;
    } else if (offset == 0) {
        fw->dma_addr = value << 32;
        return;
    } else {
        fw->dma_addr |= value;
    }
    fw_cfg_dma_run(fw);
}

static uint64_t fw_cfg_io_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset == 1 && size == 1 ? fw_cfg_read_data(opaque, 1) : MASK_ULL(size * 8 - 1, 0);
}

static void fw_cfg_io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0 && size == 2) {
        fw_cfg_select(opaque, value);
    }
}

/* Big-endian values: the first byte of the item is the first in the guest's memory. */
static uint64_t fw_cfg_mem_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset < FW_CFG_MEM_DATA_SIZE ? fw_cfg_read_data(opaque, size) : 0;
}

static void fw_cfg_mem_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == FW_CFG_MEM_SELECTOR && size == 2) {
        fw_cfg_select(opaque, value);
    }
}

static const MemoryRegionOps fw_cfg_io_ops = {
    .read = fw_cfg_io_read,
    .write = fw_cfg_io_write,
    .valid = { .min = 1, .max = 2 },
    .impl = { .min = 1, .max = 2 },
};

static const MemoryRegionOps fw_cfg_mem_ops = {
    .read = fw_cfg_mem_read,
    .write = fw_cfg_mem_write,
    .valid = { .min = 1, .max = 8 },
    .impl = { .min = 1, .max = 8 },
    .big_endian = true,
};

static const MemoryRegionOps fw_cfg_dma_ops = {
    .read = fw_cfg_dma_reg_read,
    .write = fw_cfg_dma_reg_write,
    .valid = { .min = 4, .max = 8 },
    .impl = { .min = 4, .max = 8 },
    .big_endian = true,
};

static bool fw_cfg_realize(Device *dev, GError **error)
{
    FwCfg *fw = fw_cfg_cast(dev);
    static const uint8_t signature[4] = { 'Q', 'E', 'M', 'U' };

    if (fw->file_slots == 0 || fw->file_slots > FW_CFG_MAX_SLOTS) {
        error_setf(error, "fw_cfg: x-file-slots=%u is not within 1..%u", fw->file_slots,
                   FW_CFG_MAX_SLOTS);
        return false;
    }
    fw->dma_enabled = fw->dma_enabled && fw->dma_as;
    fw_cfg_add_copy(fw, FW_CFG_SIGNATURE, signature, sizeof(signature));
    fw_cfg_add_u32(fw, FW_CFG_ID, fw->dma_enabled ? 3 : 1);
    if (fw->dma_enabled) {
        fw->dma_register = memory_region_new_io(OBJECT(fw), &fw_cfg_dma_ops, fw, "fwcfg.dma", 8);
    }
    return true;
}

static bool fw_cfg_io_realize(Device *dev, GError **error)
{
    FwCfg *fw = fw_cfg_cast(dev);

    fw->registers = memory_region_new_io(OBJECT(fw), &fw_cfg_io_ops, fw, "fwcfg", 2);
    return true;
}

static bool fw_cfg_mem_realize(Device *dev, GError **error)
{
    FwCfg *fw = fw_cfg_cast(dev);

    fw->registers = memory_region_new_io(OBJECT(fw), &fw_cfg_mem_ops, fw, "fwcfg",
                                         FW_CFG_MEM_DMA);
    return true;
}

static void fw_cfg_unmap(FwCfg *fw, MemoryRegion **region)
{
    if (*region && fw->container) {
        memory_region_remove(fw->container, *region);
    }
    memory_region_free(g_steal_pointer(region));
}

static void fw_cfg_unrealize(Device *dev)
{
    FwCfg *fw = fw_cfg_cast(dev);

    if (fw->dma_register) {
        fw_cfg_unmap(fw, &fw->dma_register);
    }
    if (fw->registers) {
        fw_cfg_unmap(fw, &fw->registers);
    }
    fw->container = NULL;
}

static void fw_cfg_reset(Device *dev)
{
    FwCfg *fw = fw_cfg_cast(dev);

    fw->dma_addr = 0;
    fw_cfg_select(fw, FW_CFG_SIGNATURE);
}

static FwCfg *fw_cfg_new(const char *type, MemoryRegion *container, uint64_t addr,
                         uint64_t dma_offset, AddressSpace *dma_as, uint16_t slots, GError **error)
{
    FwCfg *fw = fw_cfg_cast(object_new(type));

    fw->dma_as = dma_as;
    if (slots) {
        fw->file_slots = slots;
    }
    if (!device_realize_and_unref(&fw->parent_obj, NULL, error)) {
        return NULL;
    }
    fw->container = container;
    memory_region_add(container, addr, fw->registers);
    if (fw->dma_register) {
        memory_region_add(container, addr + dma_offset, fw->dma_register);
    }
    return fw;
}

FwCfg *fw_cfg_new_io(MemoryRegion *io, uint16_t port, AddressSpace *dma_as, uint16_t slots,
                     GError **error)
{
    return fw_cfg_new(TYPE_FW_CFG_IO, io, port, FW_CFG_IO_DMA, dma_as, slots, error);
}

FwCfg *fw_cfg_new_mem(MemoryRegion *memory, uint64_t addr, AddressSpace *dma_as, uint16_t slots,
                      GError **error)
{
    return fw_cfg_new(TYPE_FW_CFG_MEM, memory, addr, FW_CFG_MEM_DMA, dma_as, slots, error);
}

static void fw_cfg_instance_init(Object *obj)
{
    fw_cfg_items_init(fw_cfg_cast(obj));
}

static void fw_cfg_instance_finalize(Object *obj)
{
    fw_cfg_items_free(fw_cfg_cast(obj));
}

static bool fw_cfg_dma_needed(void *opaque)
{
    FwCfg *fw = opaque;

    return fw->dma_enabled;
}

static const VmState fw_cfg_dma_vmstate = {
    .name = "fw_cfg/dma",
    .version = 1,
    .minimum_version = 1,
    .needed = fw_cfg_dma_needed,
    .fields = (const VmStateField[]) {
        VMSTATE_U64(FwCfg, dma_addr),
        VMSTATE_END
    },
};

static const VmState fw_cfg_vmstate = {
    .name = "fw_cfg",
    .version = 2,
    .minimum_version = 2,
    .fields = (const VmStateField[]) {
        VMSTATE_U16(FwCfg, selected),
        VMSTATE_U32(FwCfg, offset),
        VMSTATE_END
    },
    .subsections = (const VmState *const[]) { &fw_cfg_dma_vmstate, NULL },
};

static const Property fw_cfg_properties[] = {
    PROP_UINT16("x-file-slots", FwCfg, file_slots, FW_CFG_DEFAULT_SLOTS,
                "how many named files there may be"),
    PROP_BOOL("dma_enabled", FwCfg, dma_enabled, true, "offer the DMA interface"),
    PROP_END
};

static const DeviceHooks fw_cfg_hooks = {
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .reset = fw_cfg_reset,
    .vmstate = &fw_cfg_vmstate,
    .no_user = true,
};
static const TypeInfo fw_cfg_type = {
    .name = TYPE_FW_CFG,
    .parent = TYPE_SYS_DEVICE,
    .description = "firmware configuration items",
    .instance_size = sizeof(FwCfg),
    .is_abstract = true,
    .properties = fw_cfg_properties,
    .instance_init = fw_cfg_instance_init,
    .instance_finalize = fw_cfg_instance_finalize,
    .hooks = &fw_cfg_hooks,
};
QOM_TYPE(fw_cfg_type);

static const DeviceHooks fw_cfg_io_hooks = { .realize = fw_cfg_io_realize, .no_user = true };
static const TypeInfo fw_cfg_io_type = {
    .name = TYPE_FW_CFG_IO,
    .parent = TYPE_FW_CFG,
    .description = "firmware configuration items, at I/O ports",
    .instance_size = sizeof(FwCfg),
    .hooks = &fw_cfg_io_hooks,
};
QOM_TYPE(fw_cfg_io_type);

static const DeviceHooks fw_cfg_mem_hooks = { .realize = fw_cfg_mem_realize, .no_user = true };
static const TypeInfo fw_cfg_mem_type = {
    .name = TYPE_FW_CFG_MEM,
    .parent = TYPE_FW_CFG,
    .description = "firmware configuration items, in memory space",
    .instance_size = sizeof(FwCfg),
    .hooks = &fw_cfg_mem_hooks,
};
QOM_TYPE(fw_cfg_mem_type);
