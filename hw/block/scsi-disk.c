/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi-hd, scsi-cd, scsi-block (SBC-3, MMC-6): moving data. Each command becomes one request of the
 * block layer; UNMAP a row of them. Failed ones wait for the VM to go on where the policy is to
 * stop.
 */
#include "hw/block/scsi-disk.h"

#include <errno.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

#define CD_BLOCK 2048
#define UNMAP_HEADER 8
#define UNMAP_RANGE 16

typedef enum WorkKind { WORK_READ, WORK_WRITE, WORK_FLUSH, WORK_ZERO, WORK_DISCARD } WorkKind;

/* A command at work. */
struct ScsiWork {
    ScsiDisk *disk;
    ScsiRequest *request;
    WorkKind kind;
    int64_t offset, bytes;
    unsigned flags;
    BlockVec vec;
    uint8_t *ranges;        /* UNMAP: what is left of the list */
    unsigned next_range, n_ranges;
    ScsiWork *next;
    struct iovec iov[];     /* of the data, cut to its length */
};

static void submit(ScsiWork *work);

/* ---- The end of a command ---- */

static ScsiSense sense_of(int ret)
{
    switch (-ret) {
    case ENOMEDIUM:
        return SCSI_NO_MEDIUM;
    case ENOMEM:
        return SCSI_TARGET_FAILURE;
    case EINVAL:
        return SCSI_INVALID_FIELD;
    case ENOSPC:
        return SCSI_SPACE_ALLOCATION_FAILED;
    default:
        return SCSI_IO_ERROR;
    }
}

static void free_work(ScsiWork *work)
{
    g_free(work->ranges);
    g_free(work);
}

static void finish(ScsiWork *work, int ret)
{
    ScsiRequest *request = work->request;

    request->work = NULL;
    free_work(work);
    if (ret < 0) {
        scsi_fail(request, sense_of(ret));
    } else {
        scsi_complete(request, SCSI_GOOD);
    }
}

static bool next_range(ScsiWork *work);

static void done(void *opaque, int ret)
{
    ScsiWork *work = opaque;
    BlockBackend *blk = work->disk->conf.blk;
    bool is_read = work->kind == WORK_READ;

    if (work->kind == WORK_DISCARD && ret == -ENOTSUP) {
        ret = 0; /* a hint */
    }
    if (ret < 0) {
        BlockErrorAction action = block_backend_error_action(blk, is_read, -ret);

        block_backend_error(blk, action, is_read, -ret);
        if (action == BLOCK_ERROR_ACTION_STOP) {
            work->next = work->disk->parked;
            work->disk->parked = work;
            return;
        }
        ret = action == BLOCK_ERROR_ACTION_IGNORE ? 0 : ret;
    }
    if (ret >= 0 && work->ranges && next_range(work)) {
        submit(work);
        return;
    }
    if (work->vec.n) {
        work->request->transferred = (uint64_t)work->bytes;
    }
    finish(work, ret);
}

static void submit(ScsiWork *work)
{
    BlockBackend *blk = work->disk->conf.blk;

    switch (work->kind) {
    case WORK_READ:
        block_backend_aio_preadv(blk, work->offset, &work->vec, 0, done, work);
        break;
    case WORK_WRITE:
        block_backend_aio_pwritev(blk, work->offset, &work->vec, work->flags, done, work);
        break;
    case WORK_FLUSH:
        block_backend_aio_flush(blk, done, work);
        break;
    case WORK_ZERO:
        block_backend_aio_pwrite_zeroes(blk, work->offset, work->bytes, work->flags, done, work);
        break;
    case WORK_DISCARD:
        block_backend_aio_pdiscard(blk, work->offset, work->bytes, done, work);
        break;
    }
}

/* ---- Commands ---- */

static ScsiWork *new_work(ScsiDisk *disk, ScsiRequest *request, WorkKind kind, unsigned n_iov)
{
    ScsiWork *work = g_malloc0(sizeof(*work) + n_iov * sizeof(struct iovec));

    work->disk = disk;
    work->request = request;
    work->kind = kind;
    request->work = work;
    return work;
}

typedef struct Extent {
    uint64_t lba, count;
} Extent;

/* LBA and length stand in the same places for all commands of a length. */
static Extent extent_of(const uint8_t *cdb)
{
    switch (scsi_cdb_length(cdb[0])) {
    case 6:
        return (Extent) { ldl_be(cdb) & 0x1fffff, cdb[4] ? cdb[4] : 256 };
    case 10:
        return (Extent) { ldl_be(cdb + 2), ldw_be(cdb + 7) };
    case 12:
        return (Extent) { ldl_be(cdb + 2), ldl_be(cdb + 6) };
    default:
        return (Extent) { ldq_be(cdb + 2), ldl_be(cdb + 10) };
    }
}

/* Is there such a place on the disk, and may it be written? Else the command has failed. */
static bool check_extent(ScsiDisk *disk, ScsiRequest *request, Extent extent, bool write)
{
    uint64_t blocks = scsi_disk_blocks(disk);

    if (!blocks) {
        scsi_fail(request, SCSI_NO_MEDIUM);
    } else if (write && disk->conf.read_only) {
        scsi_fail(request, SCSI_WRITE_PROTECTED);
    } else if (!range_ok(extent.lba, extent.count, blocks)) {
        scsi_fail(request, SCSI_LBA_OUT_OF_RANGE);
    } else {
        return true;
    }
    return false;
}

static void transfer(ScsiDisk *disk, ScsiRequest *request, WorkKind kind)
{
    bool write = kind == WORK_WRITE;
    const struct iovec *iov = write ? request->out : request->in;
    unsigned n = write ? request->n_out : request->n_in;
    Extent extent = extent_of(request->cdb);
    uint64_t bytes = extent.count * scsi_disk_unit(disk);
    bool fua = scsi_cdb_length(request->cdb[0]) > 6 && (request->cdb[1] & 8);
    ScsiWork *work;

    if (!check_extent(disk, request, extent, write)) {
        return;
    }
    if (bytes > iov_size(iov, n)) {
        request->overrun = true;
        scsi_complete(request, SCSI_GOOD);
        return;
    }
    if (!bytes) {
        scsi_complete(request, SCSI_GOOD);
        return;
    }
    work = new_work(disk, request, kind, n);
    work->vec = (BlockVec) { work->iov, iov_slice(work->iov, n, iov, n, 0, bytes) };
    work->offset = (int64_t)(extent.lba * scsi_disk_unit(disk));
    work->bytes = (int64_t)bytes;
    work->flags = write && fua ? BLOCK_REQ_FUA : 0;
    submit(work);
}

static void command_read(ScsiDisk *disk, ScsiRequest *request)
{
    transfer(disk, request, WORK_READ);
}

static void command_write(ScsiDisk *disk, ScsiRequest *request)
{
    transfer(disk, request, WORK_WRITE);
}

/* Without a comparison of bytes: is it there? */
static void command_verify(ScsiDisk *disk, ScsiRequest *request)
{
    if (request->cdb[1] & 6) {
        scsi_fail(request, SCSI_INVALID_FIELD);
    } else if (check_extent(disk, request, extent_of(request->cdb), false)) {
        scsi_complete(request, SCSI_GOOD);
    }
}

static void command_flush(ScsiDisk *disk, ScsiRequest *request)
{
    submit(new_work(disk, request, WORK_FLUSH, 0));
}

/* One block again and again; only zeroes, which is what it is used for. */
static void command_write_same(ScsiDisk *disk, ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;
    bool unmap = cdb[1] & 8, no_data = cdb[0] == 0x93 && (cdb[1] & 1);
    uint32_t unit = scsi_disk_unit(disk);
    g_autofree uint8_t *block = g_malloc0(unit);
    Extent extent = extent_of(cdb);
    ScsiWork *work;

    if (!check_extent(disk, request, extent, true)) {
        return;
    }
    if (!extent.count) {
        extent.count = scsi_disk_blocks(disk) - extent.lba;
    }
    if (!no_data && iov_to_buf(request->out, request->n_out, 0, block, unit) < unit) {
        request->overrun = true;
        scsi_complete(request, SCSI_GOOD);
        return;
    }
    if (extent.count > SCSI_DISK_MAX_WRITE_SAME || block[0] ||
        memcmp(block, block + 1, unit - 1) != 0) {
        scsi_fail(request, SCSI_INVALID_FIELD);
        return;
    }
    work = new_work(disk, request, WORK_ZERO, 0);
    work->offset = (int64_t)(extent.lba * unit);
    work->bytes = (int64_t)(extent.count * unit);
    work->flags = unmap ? BLOCK_REQ_MAY_UNMAP : 0;
    submit(work);
}

/* The next range that is not empty; all have been checked. */
static bool next_range(ScsiWork *work)
{
    uint32_t unit = scsi_disk_unit(work->disk);

    while (work->next_range < work->n_ranges) {
        const uint8_t *range = work->ranges + work->next_range++ * UNMAP_RANGE;

        work->offset = (int64_t)(ldq_be(range) * unit);
        work->bytes = (int64_t)((uint64_t)ldl_be(range + 8) * unit);
        if (work->bytes) {
            return true;
        }
    }
    return false;
}

static bool check_ranges(ScsiDisk *disk, ScsiRequest *request, const uint8_t *ranges, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const Extent extent = { ldq_be(ranges + i * UNMAP_RANGE),
                                ldl_be(ranges + i * UNMAP_RANGE + 8) };

        if (extent.count > SCSI_DISK_MAX_UNMAP) {
            scsi_fail(request, SCSI_INVALID_PARAMETER);
            return false;
        }
        if (!check_extent(disk, request, extent, true)) {
            return false;
        }
    }
    return true;
}

static void command_unmap(ScsiDisk *disk, ScsiRequest *request)
{
    size_t len = MIN(ldw_be(request->cdb + 7), iov_size(request->out, request->n_out));
    g_autofree uint8_t *list = g_malloc0(MAX(len, UNMAP_HEADER));
    unsigned n;
    ScsiWork *work;

    iov_to_buf(request->out, request->n_out, 0, list, len);
    n = MIN(ldw_be(list + 2), len > UNMAP_HEADER ? len - UNMAP_HEADER : 0) / UNMAP_RANGE;
    if (request->cdb[1] & 1 || n > SCSI_DISK_MAX_UNMAP_RANGES) {
        scsi_fail(request, request->cdb[1] & 1 ? SCSI_INVALID_FIELD : SCSI_INVALID_PARAMETER);
        return;
    }
    if (!check_ranges(disk, request, list + UNMAP_HEADER, n)) {
        return;
    }
    work = new_work(disk, request, WORK_DISCARD, 0);
    work->ranges = g_memdup2(list + UNMAP_HEADER, (gsize)n * UNMAP_RANGE);
    work->n_ranges = n;
    if (next_range(work)) {
        submit(work);
    } else {
        finish(work, 0);
    }
}

/* Only the write cache can be switched. */
static bool select_pages(ScsiDisk *disk, const uint8_t *data, size_t len)
{
    while (len >= 2) {
        size_t size = 2u + data[1];

        if (size > len || (data[0] & 0x3f) != 0x08 || data[1] != 0x12) {
            return false;
        }
        block_backend_set_write_cache(disk->conf.blk, data[2] & 4);
        data += size;
        len -= size;
    }
    return len == 0;
}

static void command_mode_select(ScsiDisk *disk, ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;
    bool is_long = cdb[0] == 0x55;
    size_t header = is_long ? 8 : 4, len = is_long ? ldw_be(cdb + 7) : cdb[4];
    uint8_t data[256] = { 0 };
    size_t descriptors;

    len = iov_to_buf(request->out, request->n_out, 0, data, MIN(len, sizeof(data)));
    descriptors = is_long ? ldw_be(data + 6) : data[3];
    if ((cdb[1] & 0x11) != 0x10) { /* pages as they stand in the standard; nothing is saved */
        scsi_fail(request, SCSI_INVALID_FIELD);
    } else if (len && (!range_ok(header, descriptors, len) ||
                       !select_pages(disk, data + header + descriptors,
                                     len - header - descriptors))) {
        scsi_fail(request, SCSI_INVALID_PARAMETER);
    } else {
        scsi_complete(request, SCSI_GOOD);
    }
}

static void command_start_stop(ScsiDisk *disk, ScsiRequest *request)
{
    bool load = request->cdb[4] & 1, eject = request->cdb[4] & 2;

    if (disk->is_cd && eject && load == disk->tray_open) {
        if (!load && disk->locked) {
            scsi_fail(request, SCSI_REMOVAL_PREVENTED);
            return;
        }
        disk->tray_open = !load;
        block_backend_tray_moved(disk->conf.blk, !load);
    }
    scsi_complete(request, SCSI_GOOD);
}

static void command_prevent(ScsiDisk *disk, ScsiRequest *request)
{
    disk->locked = request->cdb[4] & 1;
    scsi_complete(request, SCSI_GOOD);
}

static void command_nothing(ScsiDisk *disk, ScsiRequest *request)
{
    scsi_complete(request, SCSI_GOOD);
}

typedef struct DataCommand {
    uint8_t opcode;
    bool disk, cd;
    void (*run)(ScsiDisk *disk, ScsiRequest *request);
} DataCommand;

static const DataCommand data_commands[] = {
    { 0x08, true, true, command_read }, { 0x28, true, true, command_read },
    { 0xa8, true, true, command_read }, { 0x88, true, true, command_read },
    { 0x0a, true, false, command_write }, { 0x2a, true, false, command_write },
    { 0xaa, true, false, command_write }, { 0x8a, true, false, command_write },
    { 0x2f, true, true, command_verify }, { 0xaf, true, true, command_verify },
    { 0x8f, true, true, command_verify }, { 0x35, true, true, command_flush },
    { 0x91, true, true, command_flush }, { 0x41, true, false, command_write_same },
    { 0x93, true, false, command_write_same }, { 0x42, true, false, command_unmap },
    { 0x15, true, true, command_mode_select }, { 0x55, true, true, command_mode_select },
    { 0x1b, true, true, command_start_stop }, { 0x1e, true, true, command_prevent },
    { 0x2b, true, true, command_nothing }, /* SEEK(10) */
};

/* Reads and writes of disks, without protection information. */
static bool is_plain_transfer(const ScsiDisk *disk, const ScsiRequest *request)
{
    const uint8_t *cdb = request->cdb;

    return disk->pass.type == SCSI_TYPE_DISK && disk->pass.block_size &&
           (cdb[0] & 0x5d) == 0x08 && (scsi_cdb_length(cdb[0]) == 6 || !(cdb[1] & 0xe0));
}

static void disk_execute(ScsiDevice *dev, ScsiRequest *request)
{
    ScsiDisk *disk = (ScsiDisk *)dev;

    if (disk->is_passed && !is_plain_transfer(disk, request)) {
        scsi_pass(&disk->pass, request);
        return;
    }
    if (!disk->is_passed && scsi_disk_inform(disk, request)) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(data_commands); i++) {
        const DataCommand *command = &data_commands[i];

        if (command->opcode == request->cdb[0] && (disk->is_cd ? command->cd : command->disk)) {
            command->run(disk, request);
            return;
        }
    }
    scsi_fail(request, SCSI_INVALID_OPCODE);
}

/* ---- Waiting ---- */

static ScsiWork *take_parked(ScsiDisk *disk)
{
    ScsiWork *in_order = NULL, *work;

    while ((work = disk->parked)) {
        disk->parked = work->next;
        work->next = in_order;
        in_order = work;
    }
    return in_order;
}

static void retry_parked(void *opaque)
{
    ScsiWork *work = take_parked(opaque), *next;

    for (; work; work = next) {
        next = work->next;
        submit(work);
    }
}

static void disk_abort_waiting(ScsiDevice *dev)
{
    ScsiWork *work = take_parked((ScsiDisk *)dev), *next;

    for (; work; work = next) {
        ScsiRequest *request = work->request;

        next = work->next;
        free_work(work);
        scsi_complete(request, SCSI_TASK_ABORTED);
    }
}

static void disk_drain(ScsiDevice *dev)
{
    ScsiDisk *disk = (ScsiDisk *)dev;

    scsi_pass_drain(&disk->pass);
    block_backend_drain(disk->conf.blk);
}

static void run_state_changed(Notifier *notifier, void *data)
{
    ScsiDisk *disk = (ScsiDisk *)(void *)((char *)notifier - offsetof(ScsiDisk, run_state));

    if (*(bool *)data) {
        loop_bh_schedule(disk->retry);
    }
}

/* ---- What the block layer says ---- */

static void resized(void *owner)
{
    scsi_set_attention(owner, SCSI_UA_CAPACITY_CHANGED);
}

static bool change_media(void *owner, bool load, GError **error)
{
    ScsiDisk *disk = owner;

    disk->tray_open = !load;
    disk->media_event = !load ? SCSI_EVENT_REMOVAL
                              : block_backend_node(disk->conf.blk) ? SCSI_EVENT_NEW_MEDIA
                                                                   : SCSI_EVENT_NONE;
    if (load) {
        scsi_set_attention(&disk->parent_obj, SCSI_UA_MEDIUM_CHANGED);
    }
    return true;
}

static void eject_request(void *owner, bool force)
{
    ScsiDisk *disk = owner;

    disk->media_event = SCSI_EVENT_EJECT_REQUEST;
    if (force) {
        disk->locked = false;
    }
}

static bool is_tray_open(void *owner)
{
    return ((ScsiDisk *)owner)->tray_open;
}

static bool is_medium_locked(void *owner)
{
    return ((ScsiDisk *)owner)->locked;
}

static const BlockBackendOps hd_backend_ops = { .resized = resized };
static const BlockBackendOps cd_backend_ops = {
    .change_media = change_media,
    .eject_request = eject_request,
    .is_tray_open = is_tray_open,
    .is_medium_locked = is_medium_locked,
};

/* ---- Life ---- */

static char *or_default(char *text, const char *otherwise)
{
    return text ? text : g_strdup(otherwise);
}

static bool take_drive(ScsiDisk *disk, GError **error)
{
    static const BlockConfNeeds hd = { .may_be_read_only = true, .resizable = true };
    static const BlockConfNeeds cd = { .removable = true, .read_only = true };
    static const BlockGeometryMax max = { 65535, 255, 255 };
    int translation = BIOS_TRANSLATION_AUTO;

    if (disk->is_passed && disk->conf.blk) {
        if (!scsi_pass_open(&disk->pass, disk->conf.blk, error)) {
            return false;
        }
        disk->conf.logical_block_size = disk->pass.block_size;
    }
    if (disk->is_cd && !disk->conf.logical_block_size) {
        disk->conf.logical_block_size = CD_BLOCK;
    }
    if (!block_conf_realize(&disk->conf, &disk->parent_obj.parent_obj, disk->is_cd ? &cd : &hd,
                            disk->is_cd ? &cd_backend_ops : &hd_backend_ops, disk, error)) {
        return false;
    }
    if ((!disk->is_cd && !block_conf_geometry(&disk->conf, &max, &translation, error)) ||
        (block_backend_loop(disk->conf.blk) != loop_main() &&
         !block_backend_set_loop(disk->conf.blk, loop_main(), error))) {
        block_conf_unrealize(&disk->conf);
        return false;
    }
    return true;
}

static void default_names(ScsiDisk *disk)
{
    disk->vendor = or_default(disk->vendor, "QEMU");
    disk->version = or_default(disk->version, "2.5+");
    disk->product = or_default(disk->product, disk->is_cd ? "QEMU CD-ROM" : "QEMU HARDDISK");
}

static bool disk_realize(Device *device, GError **error)
{
    ScsiDisk *disk = (ScsiDisk *)device;
    const char *name;

    disk->is_cd = g_str_equal(object_type_name(disk), "scsi-cd");
    disk->is_passed = g_str_equal(object_type_name(disk), "scsi-block");
    disk->removable |= disk->is_cd;
    if (!disk->is_passed) {
        default_names(disk);
    }
    if (!take_drive(disk, error)) {
        return false;
    }
    name = block_backend_name(disk->conf.blk);
    if (!disk->is_passed && !disk->device_id && (disk->serial || name)) {
        disk->device_id = g_strdup(disk->serial ? disk->serial : name);
    }
    block_backend_enable_io_status(disk->conf.blk);
    disk->retry = loop_bh_new(loop_main(), retry_parked, disk);
    disk->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &disk->run_state);
    return true;
}

static void disk_unrealize(Device *device)
{
    ScsiDisk *disk = (ScsiDisk *)device;

    notifier_list_remove(run_state_notifiers(), &disk->run_state);
    disk_drain(&disk->parent_obj);
    disk_abort_waiting(&disk->parent_obj);
    loop_bh_free(disk->retry);
    block_conf_unrealize(&disk->conf);
}

static void disk_reset(Device *device)
{
    ScsiDisk *disk = (ScsiDisk *)device;

    disk_drain(&disk->parent_obj);
    disk_abort_waiting(&disk->parent_obj);
    disk->locked = false;
    disk->tray_open = false;
    disk->media_event = SCSI_EVENT_NONE;
}

static const VmState disk_vmstate = {
    .name = "scsi-disk",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(ScsiDisk, tray_open),
        VMSTATE_BOOL(ScsiDisk, locked),
        VMSTATE_U8(ScsiDisk, media_event),
        VMSTATE_U8(ScsiDisk, parent_obj.attention.key),
        VMSTATE_U8(ScsiDisk, parent_obj.attention.asc),
        VMSTATE_U8(ScsiDisk, parent_obj.attention.ascq),
        VMSTATE_END
    },
};

#define DISK_PROPERTIES                                                                            \
    BLOCK_CONF_PROPERTIES(ScsiDisk, conf), BLOCK_CONF_ERROR_PROPERTIES(ScsiDisk, conf),            \
    BLOCK_CONF_BOOT_PROPERTY(ScsiDisk, conf),                                                      \
    PROP_STRING("serial", ScsiDisk, serial, NULL, "serial number"),                                \
    PROP_STRING("vendor", ScsiDisk, vendor, NULL, "vendor, 8 characters"),                         \
    PROP_STRING("product", ScsiDisk, product, NULL, "product, 16 characters"),                     \
    PROP_STRING("ver", ScsiDisk, version, NULL, "revision, 4 characters"),                         \
    PROP_STRING("device_id", ScsiDisk, device_id, NULL, "identifier; the serial number's else"),   \
    PROP_UINT64("wwn", ScsiDisk, wwn, 0, "world-wide name"),                                       \
    PROP_UINT64("port_wwn", ScsiDisk, port_wwn, 0, "world-wide name of the port"),                 \
    PROP_UINT16("port_index", ScsiDisk, port_index, 0, "relative number of the port"),             \
    PROP_INT32("scsi_version", ScsiDisk, scsi_version, 5, "version that INQUIRY tells")

static const Property hd_properties[] = {
    DISK_PROPERTIES,
    BLOCK_CONF_GEOMETRY_PROPERTIES(ScsiDisk, conf),
    PROP_BOOL("removable", ScsiDisk, removable, false, "tell that the medium can be taken out"),
    PROP_BOOL("dpofua", ScsiDisk, dpofua, false, "tell that writes may go past the cache"),
    PROP_UINT16("rotation_rate", ScsiDisk, rotation_rate, 0, "per minute; 1: it does not turn"),
    PROP_END
};

static const Property cd_properties[] = { DISK_PROPERTIES, PROP_END };

static void block_init(Object *obj)
{
    block_conf_init(&((ScsiDisk *)obj)->conf);
}

static const Property block_properties[] = {
    BLOCK_CONF_DRIVE_PROPERTY(ScsiDisk, conf),
    PROP_BOOL("share-rw", ScsiDisk, conf.share_rw, false, "others may write to it too"),
    BLOCK_CONF_ERROR_PROPERTIES(ScsiDisk, conf),
    BLOCK_CONF_BOOT_PROPERTY(ScsiDisk, conf),
    SCSI_PASS_PROPERTIES(ScsiDisk, pass),
    PROP_END
};

static const ScsiDeviceOps disk_ops = {
    .execute = disk_execute,
    .drain = disk_drain,
    .abort_waiting = disk_abort_waiting,
};

static const DeviceHooks disk_hooks = {
    .realize = disk_realize,
    .unrealize = disk_unrealize,
    .reset = disk_reset,
    .vmstate = &disk_vmstate,
    .category = DEVICE_CATEGORY_STORAGE,
    .hotpluggable = true,
};

static const TypeInfo hd_info = {
    .name = "scsi-hd",
    .parent = TYPE_SCSI_DEVICE,
    .description = "virtual SCSI disk",
    .instance_size = sizeof(ScsiDisk),
    .user_creatable = true,
    .properties = hd_properties,
    .hooks = &disk_hooks,
    .ops = &disk_ops,
};
QOM_TYPE(hd_info);

static const TypeInfo cd_info = {
    .name = "scsi-cd",
    .parent = TYPE_SCSI_DEVICE,
    .description = "virtual SCSI CD-ROM",
    .instance_size = sizeof(ScsiDisk),
    .user_creatable = true,
    .properties = cd_properties,
    .hooks = &disk_hooks,
    .ops = &disk_ops,
};
QOM_TYPE(cd_info);

static const TypeInfo block_info = {
    .name = "scsi-block",
    .parent = TYPE_SCSI_DEVICE,
    .description = "SCSI block device passthrough",
    .instance_size = sizeof(ScsiDisk),
    .user_creatable = true,
    .instance_init = block_init,
    .properties = block_properties,
    .hooks = &disk_hooks,
    .ops = &disk_ops,
};
QOM_TYPE(block_info);
