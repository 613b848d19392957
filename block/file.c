/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers file, host_device and host_cdrom: the tables, and what is left over. */
#include <errno.h>
#include <linux/major.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "block/file-internal.h"

/* ---- File names ---- */

/* "file:x" is "x", colons and all. */
static bool strip_prefix(const char *filename, const char *prefix, json_object *options)
{
    if (g_str_has_prefix(filename, prefix)) {
        filename += strlen(prefix);
    }
    json_object_object_add(options, "filename", json_object_new_string(filename));
    return true;
}

static bool file_parse_filename(const char *filename, json_object *options, GError **error)
{
    return strip_prefix(filename, "file:", options);
}

static bool device_parse_filename(const char *filename, json_object *options, GError **error)
{
    return strip_prefix(filename, "host_device:", options);
}

static bool cdrom_parse_filename(const char *filename, json_object *options, GError **error)
{
    return strip_prefix(filename, "host_cdrom:", options);
}

static int device_probe_name(const char *filename)
{
    struct stat info;

    return stat(filename, &info) == 0 && (S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode)) ? 50 : 0;
}

static int cdrom_probe_name(const char *filename)
{
    struct stat info;

    return stat(filename, &info) == 0 && S_ISBLK(info.st_mode)
           && major(info.st_rdev) == SCSI_CDROM_MAJOR ? 100 : 0;
}

/* ---- Facts ---- */

static int64_t file_getlength(BlockNode *node)
{
    FileState *state = node->opaque;

    return file_length(state->io.fd);
}

static int64_t file_allocated_size(BlockNode *node)
{
    FileState *state = node->opaque;
    struct stat info;

    /* st_blocks counts 512 bytes each, whatever the file system's blocks are. */
    return fstat(state->io.fd, &info) < 0 ? -errno : (int64_t)info.st_blocks * 512;
}

static int file_get_info(BlockNode *node, BlockNodeInfo *info)
{
    return 0;
}

static bool file_has_zero_init(BlockNode *node)
{
    return true;
}

static BlockStatsSpecific *file_get_stats(BlockNode *node)
{
    FileState *state = node->opaque;
    BlockStatsSpecific *stats = g_new0(BlockStatsSpecific, 1);
    BlockStatsSpecificFile *file = state->kind == FILE_REGULAR ? &stats->u.file
                                                               : &stats->u.host_device;

    stats->driver = state->kind == FILE_REGULAR ? BLOCKDEV_DRIVER_FILE
                                                : BLOCKDEV_DRIVER_HOST_DEVICE;
    file->discard_nb_ok = state->discards_ok;
    file->discard_nb_failed = state->discards_failed;
    file->discard_bytes_ok = state->discarded_bytes;
    return stats;
}

/* ---- Tables ---- */

static const char *const file_strong_options[] = { "filename", NULL };

#define FILE_COMMON                                                                                \
    .instance_size = sizeof(FileState), .close = file_close,                                       \
    .strong_options = file_strong_options,                                                         \
    .reopen_prepare = file_reopen_prepare, .reopen_commit = file_reopen_commit,                    \
    .reopen_abort = file_reopen_abort, .activate = file_activate,                                  \
    .refresh_limits = file_refresh_limits, .refresh_filename = file_refresh_filename,              \
    .perm_check = file_perm_check, .perm_set = file_perm_set, .perm_abort = file_perm_abort,       \
    .preadv = file_preadv, .flush_to_disk = file_flush, .getlength = file_getlength,               \
    .allocated_size = file_allocated_size, .get_info = file_get_info

#define FILE_WRITES                                                                                \
    .pwritev = file_pwritev, .pwrite_zeroes = file_pwrite_zeroes, .pdiscard = file_pdiscard,       \
    .truncate = file_truncate, .copy_range_to = file_copy_range_to,                                \
    .get_specific_stats = file_get_stats

static const BlockDriver file_driver = {
    FILE_COMMON,
    FILE_WRITES,
    .name = "file",
    .kind = BLOCKDEV_DRIVER_FILE,
    .protocol = "file",
    .grows_on_write = true,
    .parse_filename = file_parse_filename,
    .open = file_open,
    .block_status = file_block_status,
    .peek = file_peek,
    .has_zero_init = file_has_zero_init,
    .create_options = file_create_options,
    .create = file_create,
    .delete_file = file_delete,
};
BLOCK_DRIVER(file_driver);

static const BlockDriver host_device_driver = {
    FILE_COMMON,
    FILE_WRITES,
    .name = "host_device",
    .kind = BLOCKDEV_DRIVER_HOST_DEVICE,
    .protocol = "host_device",
    .has_variable_size = true,
    .parse_filename = device_parse_filename,
    .probe_name = device_probe_name,
    .open = file_open_device,
    .scsi_command = file_scsi_command,
    .create_options = file_device_create_options,
    .create_by_name = file_create_on_device,
};
BLOCK_DRIVER(host_device_driver);

static const BlockDriver host_cdrom_driver = {
    FILE_COMMON,
    .name = "host_cdrom",
    .kind = BLOCKDEV_DRIVER_HOST_CDROM,
    .protocol = "host_cdrom",
    .has_variable_size = true,
    .parse_filename = cdrom_parse_filename,
    .probe_name = cdrom_probe_name,
    .open = file_open_cdrom,
    .scsi_command = file_scsi_command,
};
BLOCK_DRIVER(host_cdrom_driver);
