/* SPDX-License-Identifier: Apache-2.0 */
/* Logical units on a bus: their addresses, and the part of every command that is alike. */
#include "hw/scsi/scsi.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define REQUEST_SENSE 0x03
#define INQUIRY 0x12
#define GET_EVENT_STATUS 0x4a
#define REPORT_LUNS 0xa0
#define NO_UNIT 0x7f /* peripheral qualifier 3, type 1Fh */
#define MAX_LISTED_LUNS 256

struct ScsiBus {
    Bus parent_obj;
    ScsiBusLimits limits;
    const ScsiBusOps *ops;
    void *opaque;
};

static ScsiBus *bus_of(const ScsiDevice *dev)
{
    return (ScsiBus *)dev->parent_obj.bus;
}

/* ---- Finding units ---- */

static ScsiDevice *nth(const ScsiBus *bus, unsigned i)
{
    return g_ptr_array_index(bus->parent_obj.children, i);
}

static ScsiDevice *find_placed(const ScsiBus *bus, int64_t target, int64_t lun)
{
    for (unsigned i = 0; i < bus->parent_obj.children->len; i++) {
        ScsiDevice *dev = nth(bus, i);

        if (dev->scsi_id == target && (lun < 0 || dev->lun == lun)) {
            return dev;
        }
    }
    return NULL;
}

ScsiDevice *scsi_bus_find(ScsiBus *bus, uint32_t target, uint32_t lun)
{
    ScsiDevice *dev = find_placed(bus, target, lun);

    return dev && dev->parent_obj.realized ? dev : NULL;
}

ScsiDevice *scsi_bus_find_target(ScsiBus *bus, uint32_t target)
{
    for (unsigned i = 0; i < bus->parent_obj.children->len; i++) {
        ScsiDevice *dev = nth(bus, i);

        if ((uint32_t)dev->scsi_id == target && dev->parent_obj.realized) {
            return dev;
        }
    }
    return NULL;
}

void scsi_bus_foreach(ScsiBus *bus, void (*fn)(ScsiDevice *dev, void *opaque), void *opaque)
{
    for (unsigned i = 0; i < bus->parent_obj.children->len; i++) {
        if (nth(bus, i)->parent_obj.realized) {
            fn(nth(bus, i), opaque);
        }
    }
}

/* ---- Addresses ---- */

static bool choose_target(const ScsiBus *bus, ScsiDevice *dev, GError **error)
{
    int32_t lun = MAX(dev->lun, 0);

    for (uint32_t target = 0; target <= bus->limits.max_target; target++) {
        if (!find_placed(bus, target, lun)) {
            dev->scsi_id = (int32_t)target;
            dev->lun = lun;
            return true;
        }
    }
    error_setf(error, "no free target");
    return false;
}

static bool choose_lun(const ScsiBus *bus, ScsiDevice *dev, GError **error)
{
    for (uint32_t lun = 0; lun <= bus->limits.max_lun; lun++) {
        if (!find_placed(bus, dev->scsi_id, lun)) {
            dev->lun = (int32_t)lun;
            return true;
        }
    }
    error_setf(error, "no free lun");
    return false;
}

static bool check_range(const char *name, int64_t value, uint32_t max, GError **error)
{
    if (value > max || value < -1) {
        error_setf(error, "bad scsi %s: %lld; at most %u", name, (long long)value, max);
        return false;
    }
    return true;
}

static bool scsi_check_address(Bus *base, Device *device, GError **error)
{
    ScsiBus *bus = (ScsiBus *)base;
    ScsiDevice *dev = (ScsiDevice *)device;
    int32_t target = dev->scsi_id, lun = dev->lun;
    ScsiDevice *other;

    if (!check_range("channel id", dev->channel, bus->limits.max_channel, error) ||
        !check_range("device id", target, bus->limits.max_target, error) ||
        !check_range("device LUN", lun, bus->limits.max_lun, error)) {
        return false;
    }
    dev->scsi_id = dev->lun = -2; /* not in anybody's way */
    other = target >= 0 && lun >= 0 ? find_placed(bus, target, lun) : NULL;
    dev->scsi_id = target;
    if (other) {
        dev->lun = lun;
        error_setf(error, "lun already used by '%s'",
                   other->parent_obj.id ? other->parent_obj.id : object_type_name(other));
        return false;
    }
    if (target < 0) {
        dev->scsi_id = -2;
        dev->lun = lun;
        return choose_target(bus, dev, error);
    }
    if (lun < 0) {
        return choose_lun(bus, dev, error);
    }
    dev->lun = lun;
    return true;
}

static bool scsi_plug(Bus *base, Device *device, GError **error)
{
    ScsiBus *bus = (ScsiBus *)base;

    if (device->hotplugged && bus->ops->plugged) {
        bus->ops->plugged(bus->opaque, (ScsiDevice *)device);
    }
    return true;
}

static void scsi_unplug(Bus *base, Device *device)
{
    ScsiBus *bus = (ScsiBus *)base;

    if (bus->ops->unplugged) {
        bus->ops->unplugged(bus->opaque, (ScsiDevice *)device);
    }
}

static char *scsi_describe(Bus *base, Device *device)
{
    const ScsiDevice *dev = (const ScsiDevice *)device;

    return g_strdup_printf("channel %u, target %d, lun %d", dev->channel, dev->scsi_id, dev->lun);
}

static char *scsi_fw_path(Bus *base, Device *device)
{
    const ScsiDevice *dev = (const ScsiDevice *)device;

    return g_strdup_printf("/channel@%x/%s@%x,%x", dev->channel, "disk", (unsigned)dev->scsi_id,
                           (unsigned)dev->lun);
}

/* ---- Commands ---- */

unsigned scsi_cdb_length(uint8_t opcode)
{
    static const uint8_t lengths[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };

    return lengths[opcode >> 5];
}

void scsi_complete(ScsiRequest *request, ScsiStatus status)
{
    ScsiDevice *dev = request->dev;
    ScsiBus *bus = bus_of(dev);

    request->status = status;
    dev->in_flight--;
    request->done(request);
    if (bus && bus->ops->idle) {
        bus->ops->idle(bus->opaque, dev);
    }
}

static void fill_sense(uint8_t data[SCSI_SENSE_SIZE], ScsiSense sense)
{
    memset(data, 0, SCSI_SENSE_SIZE);
    data[0] = 0x70; /* current, fixed format */
    data[2] = sense.key;
    data[7] = SCSI_SENSE_SIZE - 8;
    data[12] = sense.asc;
    data[13] = sense.ascq;
}

void scsi_fail(ScsiRequest *request, ScsiSense sense)
{
    fill_sense(request->sense, sense);
    request->sense_len = SCSI_SENSE_SIZE;
    scsi_complete(request, SCSI_CHECK_CONDITION);
}

void scsi_reply(ScsiRequest *request, const void *data, size_t len, size_t allocated)
{
    request->transferred = iov_from_buf(request->in, request->n_in, 0, data, MIN(len, allocated));
    scsi_complete(request, SCSI_GOOD);
}

void scsi_set_attention(ScsiDevice *dev, ScsiSense sense)
{
    ScsiBus *bus = bus_of(dev);

    dev->attention = sense;
    if (bus && bus->ops->changed) {
        bus->ops->changed(bus->opaque, dev, sense);
    }
}

/* All units of the target, with LUN 0 whether it is there or not. */
static void report_luns(ScsiDevice *dev, ScsiRequest *request)
{
    const ScsiBus *bus = bus_of(dev);
    uint32_t allocated = ldl_be(request->cdb + 6);
    uint8_t data[8 + 8 * MAX_LISTED_LUNS] = { 0 };
    unsigned n = 1;

    if (request->cdb[2] > 2 || allocated < 16) {
        scsi_fail(request, SCSI_INVALID_FIELD);
        return;
    }
    for (unsigned i = 0; i < bus->parent_obj.children->len && n < MAX_LISTED_LUNS; i++) {
        const ScsiDevice *other = nth(bus, i);

        if (other->scsi_id == dev->scsi_id && other->lun > 0 && other->parent_obj.realized) {
            stw_be(data + 8 + 8 * n++, (uint16_t)(other->lun < 256 ? other->lun
                                                                   : 0x4000 | other->lun));
        }
    }
    stl_be(data, 8 * n);
    scsi_reply(request, data, 8 + 8 * n, allocated);
}

static void request_sense(ScsiDevice *dev, ScsiRequest *request)
{
    uint8_t data[SCSI_SENSE_SIZE];

    fill_sense(data, dev->attention);
    dev->attention = SCSI_NO_SENSE;
    scsi_reply(request, data, sizeof(data), request->cdb[4]);
}

/* What a target says about a unit that it does not have. */
static void execute_absent(ScsiRequest *request)
{
    uint8_t data[36] = { NO_UNIT, 0, 5, 2, 31 };

    if (request->cdb[0] == INQUIRY && !(request->cdb[1] & 1)) {
        scsi_reply(request, data, sizeof(data), ldw_be(request->cdb + 3));
    } else {
        scsi_fail(request, SCSI_NO_SUCH_LUN);
    }
}

void scsi_execute(ScsiDevice *dev, ScsiRequest *request, bool exact)
{
    const ScsiDeviceOps *ops = object_ops(dev);
    uint8_t opcode = request->cdb[0];

    request->dev = dev;
    request->transferred = 0;
    request->sense_len = 0;
    request->overrun = false;
    dev->in_flight++;
    if (opcode == REPORT_LUNS) {
        report_luns(dev, request);
    } else if (!exact) {
        execute_absent(request);
    } else if (opcode == REQUEST_SENSE) {
        request_sense(dev, request);
    } else if (dev->attention.key && opcode != INQUIRY && opcode != GET_EVENT_STATUS) {
        ScsiSense sense = dev->attention;

        dev->attention = SCSI_NO_SENSE;
        scsi_fail(request, sense);
    } else {
        ops->execute(dev, request);
    }
}

/* ---- Types ---- */

ScsiBus *scsi_bus_new(Device *owner, const char *name, const ScsiBusLimits *limits,
                      const ScsiBusOps *ops, void *opaque)
{
    ScsiBus *bus = (ScsiBus *)bus_new(TYPE_SCSI_BUS, owner, name);

    bus->limits = *limits;
    bus->ops = ops;
    bus->opaque = opaque;
    bus->parent_obj.allow_hotplug = true;
    return bus;
}

static const BusOps bus_ops_table = {
    .check_address = scsi_check_address,
    .plug = scsi_plug,
    .unplug = scsi_unplug,
    .describe = scsi_describe,
    .fw_path = scsi_fw_path,
};

static const TypeInfo bus_info = {
    .name = TYPE_SCSI_BUS,
    .parent = TYPE_BUS,
    .description = "SCSI bus",
    .instance_size = sizeof(ScsiBus),
    .ops = &bus_ops_table,
};
QOM_TYPE(bus_info);

static void device_reset(Device *device)
{
    ((ScsiDevice *)device)->attention = SCSI_UA_RESET;
}

static const Property device_properties[] = {
    PROP_UINT32("channel", ScsiDevice, channel, 0, "channel of the bus"),
    PROP_INT32("scsi-id", ScsiDevice, scsi_id, -1, "target; -1: the first free"),
    PROP_INT32("lun", ScsiDevice, lun, -1, "logical unit of the target; -1: the first free"),
    PROP_END
};

static const DeviceHooks device_hooks = {
    .reset = device_reset,
    .bus_type = TYPE_SCSI_BUS,
    .hotpluggable = true,
};

static const TypeInfo device_info = {
    .name = TYPE_SCSI_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "any SCSI unit",
    .instance_size = sizeof(ScsiDevice),
    .is_abstract = true,
    .properties = device_properties,
    .hooks = &device_hooks,
};
QOM_TYPE(device_info);
