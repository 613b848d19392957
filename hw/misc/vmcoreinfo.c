/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmcoreinfo: 16 bytes that the guest fills through fw_cfg ("etc/vmcoreinfo"), little-endian:
 *
 *   +0 u16 formats that the host understands (1: ELF note)   +2 u16 format that the guest gives
 *   +4 u32 size of the note                                  +8 u64 its physical address
 */
#include "hw/misc/vmcoreinfo.h"

#include "util/bits.h"
#include "util/error.h"

#define FORMAT_ELF 1
#define GUEST_FORMAT 2
#define NOTE_SIZE 4
#define NOTE_ADDR 8
#define NOTE_MAX (1 * MiB) /* a crash note is a page or two */

struct VmCoreInfo {
    Device parent_obj;
    uint8_t bytes[VMCOREINFO_SIZE];
    bool has_note;
};

static bool vmcoreinfo_match(Device *dev, void *opaque)
{
    Device **found = opaque;

    if (object_is_a(dev, TYPE_VMCOREINFO)) {
        *found = dev;
    }
    return !*found;
}

VmCoreInfo *vmcoreinfo_find(void)
{
    Device *found = NULL;

    device_foreach(vmcoreinfo_match, &found);
    return (VmCoreInfo *)found;
}

uint8_t *vmcoreinfo_bytes(VmCoreInfo *dev)
{
    return dev->bytes;
}

void vmcoreinfo_written(void *opaque, uint32_t offset, uint32_t len)
{
    VmCoreInfo *dev = opaque;

    dev->has_note = ldw_le(dev->bytes + GUEST_FORMAT) == FORMAT_ELF &&
                    ldl_le(dev->bytes + NOTE_SIZE) > 0;
    /* The host's word is not the guest's to change. */
    stw_le(dev->bytes, FORMAT_ELF);
}

bool vmcoreinfo_note(const VmCoreInfo *dev, uint64_t *addr, uint32_t *size)
{
    if (!dev->has_note || ldl_le(dev->bytes + NOTE_SIZE) > NOTE_MAX) {
        return false;
    }
    *addr = ldq_le(dev->bytes + NOTE_ADDR);
    *size = ldl_le(dev->bytes + NOTE_SIZE);
    return true;
}

static bool vmcoreinfo_realize(Device *dev, GError **error)
{
    VmCoreInfo *other = vmcoreinfo_find();

    if (other && &other->parent_obj != dev) {
        error_setf(error, "there can be only one vmcoreinfo device");
        return false;
    }
    return true;
}

static void vmcoreinfo_reset(Device *dev)
{
    VmCoreInfo *info = (VmCoreInfo *)dev;

    memset(info->bytes, 0, sizeof(info->bytes));
    stw_le(info->bytes, FORMAT_ELF);
    info->has_note = false;
}

static const VmState vmcoreinfo_vmstate = {
    .name = "vmcoreinfo",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(VmCoreInfo, has_note),
        VMSTATE_BUFFER(VmCoreInfo, bytes),
        VMSTATE_END
    },
};

static const DeviceHooks vmcoreinfo_hooks = {
    .realize = vmcoreinfo_realize,
    .reset = vmcoreinfo_reset,
    .vmstate = &vmcoreinfo_vmstate,
    .category = DEVICE_CATEGORY_MISC,
};
static const TypeInfo vmcoreinfo_type = {
    .name = TYPE_VMCOREINFO,
    .parent = TYPE_DEVICE,
    .description = "where the guest kernel's crash notes are",
    .instance_size = sizeof(VmCoreInfo),
    .user_creatable = true,
    .hooks = &vmcoreinfo_hooks,
};
QOM_TYPE(vmcoreinfo_type);
