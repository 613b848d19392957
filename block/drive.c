/* SPDX-License-Identifier: Apache-2.0 */
/* Drives and their places. */
#include "block/drive.h"

#include <string.h>

#include "block/backend-internal.h"
#include "block/drive-internal.h"
#include "qom/object.h"
#include "util/error.h"
#include "util/parse.h"

static GQueue drives; /* of the one machine; main thread */

static const struct {
    const char *name;
    int units;        /* a bus; 0: it has no end */
    bool names_media; /* "ide0-hd0" and "ide0-cd0" */
    bool has_error_policy;
} interfaces[] = {
    [BLOCK_INTERFACE_NONE] = { "none", .has_error_policy = true },
    [BLOCK_INTERFACE_IDE] = { "ide", 2, .names_media = true, .has_error_policy = true },
    [BLOCK_INTERFACE_SCSI] = { "scsi", 7, .names_media = true, .has_error_policy = true },
    [BLOCK_INTERFACE_FLOPPY] = { "floppy" },
    [BLOCK_INTERFACE_PFLASH] = { "pflash" },
    [BLOCK_INTERFACE_MTD] = { "mtd" },
    [BLOCK_INTERFACE_SD] = { "sd" },
    [BLOCK_INTERFACE_VIRTIO] = { "virtio", .has_error_policy = true },
    [BLOCK_INTERFACE_XEN] = { "xen" },
};

bool block_interface_parse(const char *name, BlockInterfaceType *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(interfaces); i++) {
        if (!strcmp(interfaces[i].name, name)) {
            *type = (BlockInterfaceType)i;
            return true;
        }
    }
    return false;
}

const char *block_interface_name(BlockInterfaceType type)
{
    return interfaces[type].name;
}

/* ---- The table ---- */

Drive *drive_get(BlockInterfaceType type, int bus, int unit)
{
    for (GList *l = drives.head; l; l = l->next) {
        Drive *drive = l->data;

        if (drive->type == type && drive->bus == bus && drive->unit == unit) {
            return drive;
        }
    }
    return NULL;
}

Drive *drive_get_by_index(BlockInterfaceType type, unsigned index)
{
    int units = interfaces[type].units;

    if (index > INT_MAX) {
        return NULL;
    }
    return drive_get(type, units ? (int)index / units : 0, units ? (int)index % units : (int)index);
}

Drive *drive_of_backend(BlockBackend *blk)
{
    for (GList *l = drives.head; l; l = l->next) {
        if (((Drive *)l->data)->blk == blk) {
            return l->data;
        }
    }
    return NULL;
}

int drive_max_bus(BlockInterfaceType type)
{
    int max = -1;

    for (GList *l = drives.head; l; l = l->next) {
        Drive *drive = l->data;

        if (drive->type == type) {
            max = MAX(max, drive->bus);
        }
    }
    return max;
}

bool drive_foreach(bool (*fn)(Drive *drive, void *opaque, GError **error), void *opaque,
                   GError **error)
{
    for (GList *l = drives.head; l; l = l->next) {
        if (!fn(l->data, opaque, error)) {
            return false;
        }
    }
    return true;
}

void drive_claim(Drive *drive)
{
    drive->claimed = true;
}

bool drive_check_claimed(GError **error)
{
    for (GList *l = drives.head; l; l = l->next) {
        Drive *drive = l->data;

        if (drive->claimed || drive->is_default || drive->type == BLOCK_INTERFACE_NONE) {
            continue;
        }
        error_setf(error, "%s: machine type does not support if=%s,bus=%d,unit=%d", drive->origin,
                   interfaces[drive->type].name, drive->bus, drive->unit);
        return false;
    }
    return true;
}

/* ---- A new one ---- */

static bool own_number(const DriveOptions *options, const char *key, int *value, GError **error)
{
    const char *text = drive_own(options, key);
    int64_t number;

    if (!text) {
        return true;
    }
    if (!parse_int64(text, &number, NULL) || number < 0 || number > INT_MAX) {
        error_setf(error, "Parameter '%s' expects a number from 0 to %d", key, INT_MAX);
        return false;
    }
    *value = (int)number;
    return true;
}

static bool read_interface(Drive *drive, const DriveOptions *options, GError **error)
{
    const char *name = drive_own(options, "if"), *media = drive_own(options, "media");

    if (name && !block_interface_parse(name, &drive->type)) {
        const char *names[G_N_ELEMENTS(interfaces) + 1] = { NULL };

        for (size_t i = 0; i < G_N_ELEMENTS(interfaces); i++) {
            names[i] = interfaces[i].name;
        }
        error_setf(error, "unsupported bus type '%s'", name);
        error_append_nearest(error, name, names);
        return false;
    }
    drive->is_cdrom = !g_strcmp0(media, "cdrom");
    if (media && !drive->is_cdrom && strcmp(media, "disk")) {
        error_setf(error, "'%s' invalid media: use disk or cdrom", media);
        return false;
    }
    if (!interfaces[drive->type].has_error_policy &&
        (drive_own(options, "werror") || drive_own(options, "rerror"))) {
        error_setf(error, "%s is not supported by this bus type",
                   drive_own(options, "werror") ? "werror" : "rerror");
        return false;
    }
    return true;
}

static void first_free(Drive *drive)
{
    int units = interfaces[drive->type].units;

    while (drive_get(drive->type, drive->bus, drive->unit)) {
        drive->unit++;
        if (units && drive->unit >= units) {
            drive->unit = 0;
            drive->bus++;
        }
    }
}

static bool read_place(Drive *drive, const DriveOptions *options, GError **error)
{
    int units = interfaces[drive->type].units, index = -1, unit = -1, bus = -1;

    if (!own_number(options, "index", &index, error) || !own_number(options, "bus", &bus, error) ||
        !own_number(options, "unit", &unit, error)) {
        return false;
    }
    if (index >= 0 && (bus > 0 || unit >= 0)) {
        error_setf(error, "index cannot be used with bus and unit");
        return false;
    }
    drive->bus = MAX(bus, 0);
    drive->unit = MAX(unit, 0);
    if (index >= 0) {
        drive->bus = units ? index / units : 0;
        drive->unit = units ? index % units : index;
    } else if (unit < 0) {
        first_free(drive);
    }
    if (units && drive->unit >= units) {
        error_setf(error, "unit %d too big (max is %d)", drive->unit, units - 1);
        return false;
    }
    if (drive_get(drive->type, drive->bus, drive->unit)) {
        error_setf(error, "drive with bus=%d, unit=%d (index=%d) exists", drive->bus, drive->unit,
                   units ? drive->bus * units + drive->unit : drive->unit);
        return false;
    }
    return true;
}

/* "ide1-cd0", "floppy0", "none0". */
static char *default_id(const Drive *drive)
{
    const char *name = interfaces[drive->type].name;
    const char *media = !interfaces[drive->type].names_media ? ""
                        : drive->is_cdrom                    ? "-cd"
                                                             : "-hd";

    return interfaces[drive->type].units
               ? g_strdup_printf("%s%d%s%d", name, drive->bus, media, drive->unit)
               : g_strdup_printf("%s%s%d", name, media, drive->unit);
}

static bool open_backend(Drive *drive, const DriveOptions *options, const char *id, GError **error)
{
    g_autoptr(BlockBackend) named = block_backend_new(loop_main(), 0, BLOCK_PERM_ALL);

    /* A name that is taken is an error before files are touched. */
    if (!block_backend_set_name(named, id, error)) {
        return false;
    }
    g_clear_pointer(&named, block_backend_unref);
    drive->blk = drive_open(options, drive->is_cdrom, id, error);
    return drive->blk && block_backend_set_name(drive->blk, id, error);
}

Drive *drive_new(const DriveOptions *options, BlockInterfaceType default_interface,
                 const char *origin, GError **error)
{
    Drive *drive = g_new0(Drive, 1);
    g_autofree char *id = NULL;

    drive->type = default_interface;
    drive->origin = g_strdup(origin);
    if (read_interface(drive, options, error) && read_place(drive, options, error)) {
        id = drive_own(options, "id") ? g_strdup(drive_own(options, "id")) : default_id(drive);
        if (!object_id_is_valid(id)) {
            error_setf(error, "Parameter 'id' expects an identifier: a letter, then letters, "
                       "digits, '-', '.', '_'");
        } else if (open_backend(drive, options, id, error)) {
            g_queue_push_tail(&drives, drive);
            return drive;
        }
    }
    drive_free(drive);
    return NULL;
}

void drive_free(Drive *drive)
{
    g_queue_remove(&drives, drive);
    if (drive->blk) {
        block_backend_drop_name(drive->blk);
        block_backend_unref(drive->blk);
    }
    g_free(drive->origin);
    g_free(drive);
}

void drive_close_all(void)
{
    g_autoptr(GPtrArray) backends = block_backend_list();

    for (guint i = 0; i < backends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(backends, i);

        if (blk->name || blk->owner_name) {
            block_backend_remove(blk);
        }
    }
    while (drives.head) {
        drive_free(drives.head->data);
    }
}
