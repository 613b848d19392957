/* SPDX-License-Identifier: Apache-2.0 */
/* Floppy drives: formats by size, and media that come and go. */
#include "hw/block/floppy.h"

#include "util/bits.h"
#include "util/error.h"

enum { RATE_500 = 0, RATE_300 = 1, RATE_250 = 2, RATE_1000 = 3 };

const char *const floppy_type_names[] = { "144", "288", "120", "none", "auto", NULL };

/* The first of a drive's kind is what it takes a medium of unknown size for. */
static const FloppyFormat formats[] = {
    { FLOPPY_144, 18, 80, 2, RATE_500 }, { FLOPPY_144, 20, 80, 2, RATE_500 },
    { FLOPPY_144, 21, 80, 2, RATE_500 }, { FLOPPY_144, 21, 82, 2, RATE_500 },
    { FLOPPY_144, 21, 83, 2, RATE_500 }, { FLOPPY_144, 22, 80, 2, RATE_500 },
    { FLOPPY_144, 23, 80, 2, RATE_500 }, { FLOPPY_144, 24, 80, 2, RATE_500 },
    { FLOPPY_288, 36, 80, 2, RATE_1000 }, { FLOPPY_288, 39, 80, 2, RATE_1000 },
    { FLOPPY_288, 40, 80, 2, RATE_1000 }, { FLOPPY_288, 44, 80, 2, RATE_1000 },
    { FLOPPY_288, 48, 80, 2, RATE_1000 },
    { FLOPPY_144, 9, 80, 2, RATE_250 }, { FLOPPY_144, 10, 80, 2, RATE_250 },
    { FLOPPY_144, 10, 82, 2, RATE_250 }, { FLOPPY_144, 10, 83, 2, RATE_250 },
    { FLOPPY_144, 13, 80, 2, RATE_250 }, { FLOPPY_144, 14, 80, 2, RATE_250 },
    { FLOPPY_120, 15, 80, 2, RATE_500 }, { FLOPPY_120, 18, 82, 2, RATE_500 },
    { FLOPPY_120, 9, 40, 2, RATE_300 }, { FLOPPY_120, 9, 40, 1, RATE_300 },
    { FLOPPY_120, 8, 40, 2, RATE_250 }, { FLOPPY_120, 8, 40, 1, RATE_250 },
};

static uint64_t format_bytes(const FloppyFormat *format)
{
    return (uint64_t)format->sectors * format->tracks * format->sides * FLOPPY_SECTOR;
}

/* By size among those that the drive takes (FLOPPY_AUTO: any); NULL: none is so long. */
static const FloppyFormat *find_format(int type, uint64_t bytes)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        bool fits = type == FLOPPY_AUTO || formats[i].type == type ||
                    (type == FLOPPY_288 && formats[i].type == FLOPPY_144);

        if (fits && format_bytes(&formats[i]) == bytes) {
            return &formats[i];
        }
    }
    return NULL;
}

static const FloppyFormat *first_format(int type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].type == type) {
            return &formats[i];
        }
    }
    return NULL;
}

bool floppy_has_medium(const FloppyDrive *drive)
{
    return drive->format.sectors && block_backend_node(drive->conf.blk);
}

/* What is in the drive now? A drive of no particular type becomes what its first medium needs. */
static void look_at_medium(FloppyDrive *drive)
{
    uint64_t bytes = block_conf_length(&drive->conf);
    const FloppyFormat *format = bytes ? find_format(drive->type, bytes) : NULL;
    FloppyBus *bus = (FloppyBus *)drive->parent_obj.bus;

    if (drive->type == FLOPPY_AUTO) {
        drive->type = format ? format->type : bus->fallback;
    }
    if (bytes && !format) {
        format = first_format(drive->type);
    }
    drive->format = bytes && format ? *format : (FloppyFormat){ 0 };
}

FloppyFormat floppy_largest_format(int type)
{
    FloppyFormat largest = { .type = (uint8_t)type };

    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (formats[i].type == type) {
            largest.sectors = MAX(largest.sectors, formats[i].sectors);
            largest.tracks = MAX(largest.tracks, formats[i].tracks);
            largest.sides = MAX(largest.sides, formats[i].sides);
        }
    }
    return largest;
}

bool floppy_offset(const FloppyDrive *drive, unsigned track, unsigned side, unsigned sector,
                   int64_t *offset)
{
    const FloppyFormat *format = &drive->format;

    if (!floppy_has_medium(drive) || track >= format->tracks || side >= format->sides ||
        !sector || sector > format->sectors) {
        return false;
    }
    *offset = (int64_t)((track * format->sides + side) * format->sectors + sector - 1) *
              FLOPPY_SECTOR;
    return true;
}

/* ---- Media ---- */

static const BlockConfNeeds floppy_needs = { .removable = true, .may_be_read_only = true };

static bool change_media(void *owner, bool load, GError **error)
{
    FloppyDrive *drive = owner;

    if (!block_conf_update_perm(&drive->conf, &floppy_needs, error)) {
        return false;
    }
    drive->changed = true;
    look_at_medium(drive);
    return true;
}

static const BlockBackendOps floppy_ops = {
    .change_media = change_media,
};

/* ---- The device and its bus ---- */

static bool check_address(Bus *base, Device *device, GError **error)
{
    FloppyBus *bus = (FloppyBus *)base;
    FloppyDrive *drive = (FloppyDrive *)device;

    if (drive->unit == UINT32_MAX) {
        drive->unit = bus->drives[0] ? 1 : 0;
    }
    if (drive->unit >= FLOPPY_DRIVES) {
        error_setf(error, "Can't create floppy unit %u, bus supports only %u units", drive->unit,
                   FLOPPY_DRIVES);
        return false;
    }
    if (bus->drives[drive->unit]) {
        error_setf(error, "Floppy unit %u is in use", drive->unit);
        return false;
    }
    return true;
}

static char *fw_path(Bus *bus, Device *device)
{
    return g_strdup_printf("/floppy@%x", ((FloppyDrive *)device)->unit);
}

/* A controller that is asked again and again cannot wait for the machine to go on. */
static bool check_error_policy(const BlockBackend *blk, GError **error)
{
    BlockdevOnError on_read = block_backend_on_error(blk, true);
    BlockdevOnError on_write = block_backend_on_error(blk, false);

    if (on_write != BLOCKDEV_ON_ERROR_AUTO && on_write != BLOCKDEV_ON_ERROR_ENOSPC &&
        on_write != BLOCKDEV_ON_ERROR_REPORT) {
        error_setf(error, "fdc doesn't support drive option werror");
        return false;
    }
    if (on_read != BLOCKDEV_ON_ERROR_AUTO && on_read != BLOCKDEV_ON_ERROR_REPORT) {
        error_setf(error, "fdc doesn't support drive option rerror");
        return false;
    }
    return true;
}

static bool floppy_realize(Device *device, GError **error)
{
    FloppyDrive *drive = (FloppyDrive *)device;
    FloppyBus *bus = (FloppyBus *)device->bus;

    if (drive->conf.logical_block_size > FLOPPY_SECTOR ||
        drive->conf.physical_block_size > FLOPPY_SECTOR) {
        error_setf(error, "Physical and logical block size must be 512 for floppy");
        return false;
    }
    if ((drive->conf.blk && !check_error_policy(drive->conf.blk, error)) ||
        !block_conf_realize(&drive->conf, device, &floppy_needs, &floppy_ops, drive, error)) {
        return false;
    }
    drive->type = drive->wanted_type == FLOPPY_AUTO ? bus->types[drive->unit] : drive->wanted_type;
    drive->bootindex = bus->boot_index[drive->unit];
    look_at_medium(drive);
    bus->drives[drive->unit] = drive;
    return true;
}

static void floppy_unrealize(Device *device)
{
    FloppyDrive *drive = (FloppyDrive *)device;

    ((FloppyBus *)device->bus)->drives[drive->unit] = NULL;
    block_conf_unrealize(&drive->conf);
}

static void floppy_reset(Device *device)
{
    FloppyDrive *drive = (FloppyDrive *)device;

    drive->track = 0;
    drive->changed = true;
}

const VmState floppy_vmstate = {
    .name = "floppy",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(FloppyDrive, track),
        VMSTATE_BOOL(FloppyDrive, changed),
        VMSTATE_END
    },
};

static const Property floppy_properties[] = {
    BLOCK_CONF_PROPERTIES(FloppyDrive, conf),
    PROP_UINT32("unit", FloppyDrive, unit, UINT32_MAX, "0 or 1; else the first that is free"),
    PROP_ENUM("drive-type", FloppyDrive, wanted_type, floppy_type_names, FLOPPY_AUTO,
              "what media it takes"),
    { PROP_FIELD_(prop_kind_int32, "bootindex", FloppyDrive, bootindex, NULL), .def.i = -1,
      .flags = PROP_HIDDEN },
    PROP_END
};

static const DeviceHooks floppy_hooks = {
    .realize = floppy_realize,
    .unrealize = floppy_unrealize,
    .reset = floppy_reset,
    .vmstate = &floppy_vmstate,
    .bus_type = TYPE_FLOPPY_BUS,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo floppy_info = {
    .name = TYPE_FLOPPY,
    .parent = TYPE_DEVICE,
    .description = "virtual floppy drive",
    .instance_size = sizeof(FloppyDrive),
    .user_creatable = true,
    .properties = floppy_properties,
    .hooks = &floppy_hooks,
};
QOM_TYPE(floppy_info);

static const BusOps floppy_bus_ops = {
    .check_address = check_address,
    .fw_path = fw_path,
};

static const TypeInfo floppy_bus_info = {
    .name = TYPE_FLOPPY_BUS,
    .parent = TYPE_BUS,
    .description = "floppy cable",
    .instance_size = sizeof(FloppyBus),
    .ops = &floppy_bus_ops,
};
QOM_TYPE(floppy_bus_info);

FloppyBus *floppy_bus_new(Device *owner, FloppyType fallback)
{
    FloppyBus *bus = (FloppyBus *)bus_new(TYPE_FLOPPY_BUS, owner, "floppy-bus.0");

    bus->fallback = fallback;
    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        bus->types[i] = FLOPPY_AUTO;
        bus->boot_index[i] = -1;
    }
    bus->parent_obj.max_devices = FLOPPY_DRIVES;
    return bus;
}
