/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: drives, media, limits. */
#include "system/hmp-block.h"

#include <string.h>

#include "block/commit-image.h"
#include "block/drive.h"
#include "block/job.h"
#include "block/open.h"
#include "monitor/hmp.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block.h"
#include "qapi/keyval.h"
#include "util/error.h"
#include "util/parse.h"

#define MIB (1024 * 1024)

/* ---- Completion ---- */

static GPtrArray *complete_drive(Hmp *hmp, const char *prefix)
{
    g_autoptr(GPtrArray) list = qmp_query_block(NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; list && i < list->len; i++) {
        const BlockInfo *info = g_ptr_array_index(list, i);

        if (*info->device) {
            g_ptr_array_add(names, g_strdup(info->device));
        }
    }
    return names;
}

/* ---- drive_add, drive_del ---- */

static bool add_node(const char *text, GError **error)
{
    json_object *json = keyval_parse(text, "driver", NULL, error);
    g_autoptr(BlockdevOptions) options = NULL;
    bool ok = json && BlockdevOptions_from_json(json, keyval_flags(text), &options, error) &&
              block_open_blockdev(options, error);

    json_object_put(json);
    return ok;
}

/* The slot was an address once; it is not looked at. */
static bool cmd_drive_add(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *text = values[2].text;
    g_autoptr(DriveOptions) options = NULL;
    g_autofree char *origin = g_strdup_printf("drive_add %s", text);
    Drive *drive;

    if (values[0].present) {
        return add_node(text, error);
    }
    options = drive_options_parse(text, error);
    drive = options ? drive_new(options, BLOCK_INTERFACE_NONE, origin, error) : NULL;
    if (!drive) {
        return false;
    }
    if (drive->type != BLOCK_INTERFACE_NONE) {
        error_setf(error, "A drive can only be added with if=none, for a device that is added "
                   "after it; not with if=%s", block_interface_name(drive->type));
        drive_free(drive);
        return false;
    }
    hmp_puts(hmp, "OK\n");
    return true;
}

static bool cmd_drive_del(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *name = values[0].text;
    BlockNode *node = block_node_find(name);
    BlockBackend *blk = block_backend_find(name);
    Drive *drive = blk ? drive_of_backend(blk) : NULL;

    if (node && block_monitor_owns(node)) {
        return qmp_blockdev_del(name, error);
    }
    if (!drive) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    if (block_backend_node(blk) && !job_node_is_free(block_backend_node(blk), error)) {
        return false;
    }
    /* A device that has it gets errors from now on, which go to the guest. */
    block_backend_remove(blk);
    block_backend_set_on_error(blk, BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_REPORT);
    drive_free(drive);
    return true;
}

/* ---- Media ---- */

static bool cmd_change(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *format = values[3].present ? values[3].text : NULL;
    BlockdevChangeReadOnlyMode mode = BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN;

    if (values[4].present && !BlockdevChangeReadOnlyMode_parse(values[4].text, &mode, error)) {
        return false;
    }
    return qmp_blockdev_change_medium(values[0].text, NULL, values[2].text, format, true,
                                      values[1].present, true, mode, error);
}

static bool cmd_eject(Hmp *hmp, const HmpValue *values, GError **error)
{
    return qmp_eject(values[1].text, NULL, true, values[0].present, error);
}

/* ---- Size and limits ---- */

static bool cmd_block_resize(Hmp *hmp, const HmpValue *values, GError **error)
{
    uint64_t bytes;

    if (!parse_size(values[1].text, MIB, &bytes, error)) {
        return false;
    }
    if (bytes > INT64_MAX) {
        error_setf(error, "'%s' is too large", values[1].text);
        return false;
    }
    return qmp_block_resize(values[0].text, NULL, (int64_t)bytes, error);
}

static bool cmd_set_io_throttle(Hmp *hmp, const HmpValue *values, GError **error)
{
    BlockIOThrottle limits = { 0 };
    int64_t *const numbers[] = {
        &limits.bps, &limits.bps_rd, &limits.bps_wr, &limits.iops, &limits.iops_rd, &limits.iops_wr,
    };
    const char *name = values[0].text;

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        *numbers[i] = (int64_t)values[1 + i].number;
    }
    if (block_backend_find(name)) {
        limits.device = values[0].text;
    } else {
        limits.id = values[0].text;
    }
    return qmp_block_set_io_throttle(&limits, error);
}

/* ---- commit ---- */

static bool commit_drive(BlockBackend *blk, GError **error)
{
    BlockNode *node = block_backend_node(blk);

    if (!node) {
        error_setf(error, "Device '%s' has no medium", block_backend_name(blk));
        return false;
    }
    return block_commit_image(block_skip_filters(node), error);
}

/* Those that have something to commit and somewhere to commit it to. */
static bool commit_all(GError **error)
{
    g_autoptr(GPtrArray) list = qmp_query_block(error);

    for (guint i = 0; list && i < list->len; i++) {
        const BlockInfo *info = g_ptr_array_index(list, i);
        BlockBackend *blk = block_backend_find(info->device);
        BlockNode *node = blk && info->inserted && !info->inserted->ro
                              ? block_skip_filters(block_backend_node(blk)) : NULL;

        if (node && node->backing && !block_commit_image(node, error)) {
            return false;
        }
    }
    return list != NULL;
}

static bool cmd_commit(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *name = values[0].text;
    BlockBackend *blk = block_backend_find(name);

    if (!strcmp(name, "all")) {
        return commit_all(error);
    }
    if (!blk) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    return commit_drive(blk, error);
}

static const HmpCommand block_commands[] = {
    {
        .name = "drive_add",
        .help = "add a drive for a device that is added later; or (-n) a node, as -blockdev does",
        .args = { { "-n", HMP_FLAG }, { "slot", HMP_WORD }, { "options", HMP_REST } },
        .run = cmd_drive_add,
    },
    {
        .name = "drive_del",
        .help = "delete a drive or node; a device that uses the drive gets I/O errors",
        .args = { { "id", HMP_WORD, .complete = complete_drive } },
        .run = cmd_drive_del,
    },
    {
        .name = "change",
        .help = "put another file into a device with removable media",
        .args = { { "device", HMP_WORD, .complete = complete_drive }, { "-f", HMP_FLAG },
                  { "filename", HMP_WORD }, { "format", HMP_WORD, .optional = true },
                  { "read-only-mode", HMP_WORD, .optional = true } },
        .run = cmd_change,
    },
    {
        .name = "eject",
        .help = "take the medium out, even if the guest has locked it (-f)",
        .args = { { "-f", HMP_FLAG }, { "device", HMP_WORD, .complete = complete_drive } },
        .run = cmd_eject,
    },
    {
        .name = "commit",
        .help = "put what a drive (or all) has written into its backing image",
        .args = { { "device", HMP_WORD, .complete = complete_drive } },
        .run = cmd_commit,
    },
    {
        .name = "block_resize",
        .help = "change the size of a disk; in MiB without a suffix",
        .args = { { "device", HMP_WORD, .complete = complete_drive }, { "size", HMP_WORD } },
        .run = cmd_block_resize,
    },
    {
        .name = "block_set_io_throttle",
        .help = "limit a disk's bytes and requests a second; 0 is no limit",
        .args = { { "device", HMP_WORD, .complete = complete_drive }, { "bps", HMP_EXPR },
                  { "bps_rd", HMP_EXPR }, { "bps_wr", HMP_EXPR }, { "iops", HMP_EXPR },
                  { "iops_rd", HMP_EXPR }, { "iops_wr", HMP_EXPR } },
        .run = cmd_set_io_throttle,
    },
    { .name = NULL },
};

void hmp_block_register(void)
{
    hmp_add_commands(block_commands);
    hmp_block_info_register();
    hmp_block_io_register();
}
