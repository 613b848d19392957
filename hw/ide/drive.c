/* SPDX-License-Identifier: Apache-2.0 */
/* The drives: "ide-hd" and "ide-cd". */
#include "hw/ide/ide-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define MAX_CYLS 65535
#define MAX_HEADS 16
#define MAX_SECS 255
#define DEFAULT_MODE_KIND 0x08 /* Ultra DMA */
#define DEFAULT_MODE_NUMBER 5

static const BlockConfNeeds disk_needs = { .resizable = true };
static const BlockConfNeeds cd_needs = { .removable = true, .read_only = true };

/* ---- What the drive's backend tells us ---- */

static void disk_resized(void *owner)
{
    IdeDevice *dev = owner;

    dev->sectors = block_conf_length(&dev->conf) / IDE_SECTOR;
}

static const BlockBackendOps disk_ops = {
    .resized = disk_resized,
};

/* ---- Life ---- */

static char *or_default(char *text, const char *def)
{
    return text ? text : g_strdup(def);
}

static bool check_text(const char *name, const char *text, size_t max, GError **error)
{
    if (strlen(text) > max) {
        error_setf(error, "%s='%s': at most %zu characters", name, text, max);
        return false;
    }
    return true;
}

static bool set_identity(IdeDevice *dev, GError **error)
{
    g_autofree char *serial = g_strdup_printf("QM%05u",
                                              dev->ch->number * IDE_UNITS + dev->unit + 1);

    dev->serial = or_default(dev->serial, serial);
    dev->model = or_default(dev->model, dev->is_cd ? "QEMU DVD-ROM" : "QEMU HARDDISK");
    dev->version = or_default(dev->version, "2.5+");
    return check_text("serial", dev->serial, 20, error) &&
           check_text("model", dev->model, 40, error) &&
           check_text("ver", dev->version, 8, error);
}

static bool set_geometry(IdeDevice *dev, GError **error)
{
    static const BlockGeometryMax max = { MAX_CYLS, MAX_HEADS, MAX_SECS };

    if (!block_conf_geometry(&dev->conf, &max, &dev->translation, error)) {
        return false;
    }
    disk_resized(dev);
    if (!dev->sectors) {
        error_setf(error, "the disk has no sectors");
        return false;
    }
    return true;
}

static bool ide_realize(IdeDevice *dev, const BlockConfNeeds *needs, const BlockBackendOps *ops,
                        GError **error)
{
    if (dev->conf.logical_block_size && dev->conf.logical_block_size != IDE_SECTOR) {
        error_setf(error, "logical_block_size must be 512 for IDE");
        return false;
    }
    if (dev->conf.discard_granularity == BLOCK_SIZE_DEFAULT) {
        dev->conf.discard_granularity = IDE_SECTOR;
    } else if (dev->conf.discard_granularity && dev->conf.discard_granularity != IDE_SECTOR) {
        error_setf(error, "discard_granularity must be 512 for ide");
        return false;
    }
    if (!set_identity(dev, error) ||
        !block_conf_realize(&dev->conf, &dev->parent_obj, needs, ops, dev, error)) {
        return false;
    }
    if (!dev->is_cd && !set_geometry(dev, error)) {
        block_conf_unrealize(&dev->conf);
        return false;
    }
    block_backend_enable_io_status(dev->conf.blk);
    ide_transfer_init(dev);
    dev->ch->drives[dev->unit] = dev;
    return true;
}

static bool hd_realize(Device *device, GError **error)
{
    return ide_realize((IdeDevice *)device, &disk_needs, &disk_ops, error);
}

static bool cd_realize(Device *device, GError **error)
{
    IdeDevice *dev = (IdeDevice *)device;

    dev->is_cd = true;
    return ide_realize(dev, &cd_needs, &atapi_media_ops, error);
}

static void ide_unrealize(Device *device)
{
    IdeDevice *dev = (IdeDevice *)device;

    ide_cancel(dev);
    block_conf_unrealize(&dev->conf);
    dev->ch->drives[dev->unit] = NULL;
    ide_transfer_cleanup(dev);
}

/* Power-on. The registers are the channel's, whose controller resets them afterwards. */
static void ide_reset(Device *device)
{
    IdeDevice *dev = (IdeDevice *)device;

    ide_cancel(dev);
    block_backend_drain(dev->conf.blk);
    dev->mode_kind = DEFAULT_MODE_KIND;
    dev->mode_number = DEFAULT_MODE_NUMBER;
    dev->smart = true;
    dev->smart_autosave = true;
    dev->smart_self_test = 0;
    dev->reverting_off = false;
    dev->multiple = IDE_MAX_MULTIPLE;
    if (!dev->is_cd) {
        dev->cyls = MIN(dev->conf.cyls, MAX_CYLS);
        dev->heads = dev->conf.heads;
        dev->secs = dev->conf.secs;
    }
}

static void ide_finalize(Object *obj)
{
    ide_transfer_cleanup((IdeDevice *)obj);
}

bool ide_geometry(IdeChannel *ch, unsigned unit, IdeGeometry *geometry)
{
    const IdeDevice *dev = ch->drives[unit];

    if (!dev || dev->is_cd) {
        return false;
    }
    *geometry = (IdeGeometry){ dev->conf.cyls, dev->conf.heads, dev->conf.secs, dev->translation };
    return true;
}

/* ---- Saved state ---- */

static void ide_pre_save(void *opaque)
{
    IdeDevice *dev = opaque;

    dev->data_used = dev->phase == IDE_IDLE ? 0 : IDE_BUFFER;
}

static bool state_is_possible(const IdeDevice *dev)
{
    const IdeAtapi *atapi = &dev->atapi;

    return dev->phase < IDE_PHASE__MAX && dev->next < IDE_NEXT__MAX &&
           dev->data_end <= IDE_BUFFER && dev->data_pos <= dev->data_end &&
           dev->multiple <= IDE_MAX_MULTIPLE && dev->chunk <= IDE_MAX_MULTIPLE &&
           (dev->is_cd || (dev->heads && dev->secs)) && dev->left <= 65536 &&
           (dev->chunk || dev->phase == IDE_IDLE || dev->is_cd) &&
           atapi->answer <= IDE_BUFFER && atapi->answer_pos <= IDE_BUFFER - atapi->answer &&
           atapi->sectors <= UINT32_MAX / ATAPI_SECTOR &&
           ((dev->phase != IDE_PIO_IN && dev->phase != IDE_PIO_OUT) ||
            dev->data_pos < dev->data_end);
}

static bool ide_post_load(void *opaque, int version, GError **error)
{
    IdeDevice *dev = opaque;

    if (!state_is_possible(dev)) {
        error_setf(error, "%s: a command in a state that cannot be", object_type_name(dev));
        return false;
    }
    return true;
}

static const VmState atapi_vmstate = {
    .name = "ide-cd packet",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(IdeAtapi, packet),
        VMSTATE_U8(IdeAtapi, sense_key),
        VMSTATE_U8(IdeAtapi, asc),
        VMSTATE_U8(IdeAtapi, ascq),
        VMSTATE_BOOL(IdeAtapi, tray_open),
        VMSTATE_BOOL(IdeAtapi, tray_locked),
        VMSTATE_BOOL(IdeAtapi, changed),
        VMSTATE_U8(IdeAtapi, event),
        VMSTATE_BOOL(IdeAtapi, use_dma),
        VMSTATE_BOOL(IdeAtapi, raw),
        VMSTATE_U32(IdeAtapi, byte_limit),
        VMSTATE_U32(IdeAtapi, answer),
        VMSTATE_U32(IdeAtapi, answer_pos),
        VMSTATE_U32(IdeAtapi, sectors),
        VMSTATE_U32(IdeAtapi, lba),
        VMSTATE_END
    },
};

static const VmState ide_vmstate = {
    .name = "ide-drive",
    .version = 1,
    .minimum_version = 1,
    .pre_save = ide_pre_save,
    .post_load = ide_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(IdeDevice, phase),
        VMSTATE_U8(IdeDevice, next),
        VMSTATE_U8(IdeDevice, command),
        VMSTATE_BOOL(IdeDevice, wide),
        VMSTATE_BOOL(IdeDevice, fua),
        VMSTATE_U8(IdeDevice, chunk),
        VMSTATE_U64(IdeDevice, lba),
        VMSTATE_U32(IdeDevice, left),
        VMSTATE_U32(IdeDevice, moving),
        VMSTATE_U32(IdeDevice, data_pos),
        VMSTATE_U32(IdeDevice, data_end),
        VMSTATE_U32(IdeDevice, data_used),
        VMSTATE_VBUFFER(IdeDevice, data, data_used, IDE_BUFFER),
        VMSTATE_U8(IdeDevice, multiple),
        VMSTATE_U8(IdeDevice, heads),
        VMSTATE_U8(IdeDevice, secs),
        VMSTATE_U16(IdeDevice, cyls),
        VMSTATE_U8(IdeDevice, mode_kind),
        VMSTATE_U8(IdeDevice, mode_number),
        VMSTATE_BOOL(IdeDevice, smart),
        VMSTATE_BOOL(IdeDevice, smart_autosave),
        VMSTATE_BOOL(IdeDevice, reverting_off),
        VMSTATE_U8(IdeDevice, smart_self_test),
        VMSTATE_STRUCT(IdeDevice, atapi, atapi_vmstate),
        VMSTATE_END
    },
};

/* ---- Types ---- */

static const Property ide_properties[] = {
    BLOCK_CONF_PROPERTIES(IdeDevice, conf),
    BLOCK_CONF_ERROR_PROPERTIES(IdeDevice, conf),
    BLOCK_CONF_BOOT_PROPERTY(IdeDevice, conf),
    PROP_UINT32("unit", IdeDevice, unit_wanted, UINT32_MAX, "0 master, 1 slave; else the first "
                "that is free"),
    PROP_STRING("serial", IdeDevice, serial, NULL, "up to 20 characters"),
    PROP_STRING("model", IdeDevice, model, NULL, "up to 40 characters"),
    PROP_STRING("ver", IdeDevice, version, NULL, "firmware version, up to 8 characters"),
    PROP_UINT64("wwn", IdeDevice, wwn, 0, "world wide name; 0: none"),
    PROP_END
};

static const DeviceHooks ide_hooks = {
    .unrealize = ide_unrealize,
    .reset = ide_reset,
    .vmstate = &ide_vmstate,
    .bus_type = TYPE_IDE_BUS,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo ide_device_info = {
    .name = TYPE_IDE_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "any IDE drive",
    .instance_size = sizeof(IdeDevice),
    .is_abstract = true,
    .properties = ide_properties,
    .instance_finalize = ide_finalize,
    .hooks = &ide_hooks,
};
QOM_TYPE(ide_device_info);

static const Property hd_properties[] = {
    BLOCK_CONF_GEOMETRY_PROPERTIES(IdeDevice, conf),
    PROP_ENUM("bios-chs-trans", IdeDevice, translation, block_conf_translation_names,
              BIOS_TRANSLATION_AUTO, "how a BIOS shows cylinders, heads and sectors"),
    PROP_UINT16("rotation_rate", IdeDevice, rotation_rate, 0, "turns a minute; 1: solid state"),
    PROP_END
};

static const DeviceHooks hd_hooks = {
    .realize = hd_realize,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo hd_info = {
    .name = "ide-hd",
    .parent = TYPE_IDE_DEVICE,
    .description = "virtual IDE disk",
    .instance_size = sizeof(IdeDevice),
    .user_creatable = true,
    .properties = hd_properties,
    .hooks = &hd_hooks,
};
QOM_TYPE(hd_info);

static const DeviceHooks cd_hooks = {
    .realize = cd_realize,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo cd_info = {
    .name = "ide-cd",
    .parent = TYPE_IDE_DEVICE,
    .description = "virtual IDE CD-ROM",
    .instance_size = sizeof(IdeDevice),
    .user_creatable = true,
    .hooks = &cd_hooks,
};
QOM_TYPE(cd_info);
