/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi-generic: any SCSI device of the host (/dev/sg0) as a unit of the guest. Every command goes
 * to it as it is, but those that concern the bus (hw/scsi/scsi-bus.c).
 */
#include "hw/block/block-conf.h"
#include "hw/block/scsi-pass.h"
#include "util/error.h"

typedef struct ScsiGeneric {
    ScsiDevice parent_obj;
    BlockConf conf;
    ScsiPass pass;
} ScsiGeneric;

static void generic_execute(ScsiDevice *dev, ScsiRequest *request)
{
    scsi_pass(&((ScsiGeneric *)dev)->pass, request);
}

static void generic_drain(ScsiDevice *dev)
{
    scsi_pass_drain(&((ScsiGeneric *)dev)->pass);
}

/* Nothing ever waits. */
static void generic_abort_waiting(ScsiDevice *dev)
{
}

static bool generic_realize(Device *device, GError **error)
{
    static const BlockConfNeeds needs = { .may_be_read_only = true, .resizable = true };
    static const BlockBackendOps backend_ops = { .resized = NULL };
    ScsiGeneric *generic = (ScsiGeneric *)device;

    if (!block_conf_realize(&generic->conf, device, &needs, &backend_ops, generic, error)) {
        return false;
    }
    if ((block_backend_loop(generic->conf.blk) != loop_main() &&
         !block_backend_set_loop(generic->conf.blk, loop_main(), error)) ||
        !scsi_pass_open(&generic->pass, generic->conf.blk, error)) {
        block_conf_unrealize(&generic->conf);
        return false;
    }
    return true;
}

static void generic_unrealize(Device *device)
{
    ScsiGeneric *generic = (ScsiGeneric *)device;

    scsi_pass_drain(&generic->pass);
    block_conf_unrealize(&generic->conf);
}

static void generic_reset(Device *device)
{
    scsi_pass_drain(&((ScsiGeneric *)device)->pass);
}

static void generic_init(Object *obj)
{
    block_conf_init(&((ScsiGeneric *)obj)->conf);
}

static const Property generic_properties[] = {
    BLOCK_CONF_DRIVE_PROPERTY(ScsiGeneric, conf),
    PROP_BOOL("share-rw", ScsiGeneric, conf.share_rw, false, "others may write to it too"),
    BLOCK_CONF_BOOT_PROPERTY(ScsiGeneric, conf),
    SCSI_PASS_PROPERTIES(ScsiGeneric, pass),
    PROP_END
};

static const ScsiDeviceOps generic_ops = {
    .execute = generic_execute,
    .drain = generic_drain,
    .abort_waiting = generic_abort_waiting,
};

static const DeviceHooks generic_hooks = {
    .realize = generic_realize,
    .unrealize = generic_unrealize,
    .reset = generic_reset,
    .category = DEVICE_CATEGORY_STORAGE,
    .hotpluggable = true,
};

static const TypeInfo generic_info = {
    .name = "scsi-generic",
    .parent = TYPE_SCSI_DEVICE,
    .description = "pass through generic scsi device (/dev/sg*)",
    .instance_size = sizeof(ScsiGeneric),
    .user_creatable = true,
    .instance_init = generic_init,
    .properties = generic_properties,
    .hooks = &generic_hooks,
    .ops = &generic_ops,
};
QOM_TYPE(generic_info);
