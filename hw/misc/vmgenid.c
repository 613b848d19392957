/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmgenid: the VM generation identifier. The GUID lies VMGENID_OFFSET bytes into a page that
 * firmware places from fw_cfg ("etc/vmgenid_guid") and whose address it writes back
 * ("etc/vmgenid_addr"); a change is written straight into that page.
 */
#include "hw/misc/vmgenid.h"

#include "memory/memory.h"
#include "util/bits.h"
#include "util/error.h"

struct VmGenId {
    Device parent_obj;
    uint8_t guid[16];    /* in the text's order */
    uint8_t address[8];  /* of the page, as firmware writes it: little-endian; 0: not placed yet */
    Irq changed;
};

static bool vmgenid_match(Device *dev, void *opaque)
{
    Device **found = opaque;

    if (object_is_a(dev, TYPE_VMGENID)) {
        *found = dev;
    }
    return !*found;
}

VmGenId *vmgenid_find(void)
{
    Device *found = NULL;

    device_foreach(vmgenid_match, &found);
    return (VmGenId *)found;
}

const uint8_t *vmgenid_guid(const VmGenId *dev)
{
    return dev->guid;
}

void vmgenid_guest_bytes(const VmGenId *dev, uint8_t bytes[16])
{
    stl_le(bytes, ldl_be(dev->guid));
    stw_le(bytes + 4, ldw_be(dev->guid + 4));
    stw_le(bytes + 6, ldw_be(dev->guid + 6));
    memcpy(bytes + 8, dev->guid + 8, 8);
}

uint8_t *vmgenid_address_field(VmGenId *dev)
{
    return dev->address;
}

/* The guest chose the address: a bad one harms only itself. */
static void vmgenid_write_guest(VmGenId *dev)
{
    uint64_t page = ldq_le(dev->address);
    uint8_t bytes[16];

    if (page == 0 || page > UINT64_MAX - VMGENID_BLOB_SIZE) {
        return;
    }
    vmgenid_guest_bytes(dev, bytes);
    address_space_write(address_space_memory(), page + VMGENID_OFFSET, bytes, sizeof(bytes));
}

static void vmgenid_update_guest(VmGenId *dev)
{
    vmgenid_write_guest(dev);
    irq_pulse(dev->changed);
}

void vmgenid_place(VmGenId *dev, uint64_t page)
{
    stq_le(dev->address, page);
    vmgenid_write_guest(dev);
}

void vmgenid_set(VmGenId *dev, const uint8_t guid[16])
{
    memcpy(dev->guid, guid, sizeof(dev->guid));
    vmgenid_update_guest(dev);
}

static bool vmgenid_realize(Device *dev, GError **error)
{
    VmGenId *other = vmgenid_find();

    if (other && &other->parent_obj != dev) {
        error_setf(error, "there can be only one vmgenid device");
        return false;
    }
    return true;
}

/* Firmware places the page anew at each boot. */
static void vmgenid_reset(Device *dev)
{
    VmGenId *vmgenid = (VmGenId *)dev;

    memset(vmgenid->address, 0, sizeof(vmgenid->address));
}

static void vmgenid_init(Object *obj)
{
    VmGenId *vmgenid = (VmGenId *)obj;

    device_init_irq_out(&vmgenid->parent_obj, "changed", &vmgenid->changed, 1);
}

/* A machine that was saved elsewhere has a new identifier here. */
static bool vmgenid_post_load(void *opaque, int version, GError **error)
{
    vmgenid_update_guest(opaque);
    return true;
}

static const VmState vmgenid_vmstate = {
    .name = "vmgenid",
    .version = 1,
    .minimum_version = 1,
    .post_load = vmgenid_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(VmGenId, address),
        VMSTATE_END
    },
};

static const Property vmgenid_properties[] = {
    PROP_UUID("guid", VmGenId, guid, "the identifier; auto makes one"),
    PROP_END
};

static const DeviceHooks vmgenid_hooks = {
    .realize = vmgenid_realize,
    .reset = vmgenid_reset,
    .vmstate = &vmgenid_vmstate,
    .category = DEVICE_CATEGORY_MISC,
};
static const TypeInfo vmgenid_type = {
    .name = TYPE_VMGENID,
    .parent = TYPE_DEVICE,
    .description = "VM generation identifier",
    .instance_size = sizeof(VmGenId),
    .user_creatable = true,
    .properties = vmgenid_properties,
    .instance_init = vmgenid_init,
    .hooks = &vmgenid_hooks,
};
QOM_TYPE(vmgenid_type);
