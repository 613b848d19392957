/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: info block, info blockstats. */
#include <inttypes.h>
#include <string.h>

#include "block/info.h"
#include "monitor/hmp.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block-stats.h"
#include "system/hmp-block.h"
#include "util/error.h"

/* ---- info block ---- */

static void print_limits(Hmp *hmp, const BlockDeviceInfo *info)
{
    if (!info->group) {
        return;
    }
#define KIND(name)                                                                                 \
    hmp_printf(hmp, #name "=%" PRId64 " " #name "_rd=%" PRId64 " " #name "_wr=%" PRId64            \
               " " #name "_max=%" PRId64 " " #name "_rd_max=%" PRId64 " " #name "_wr_max=%" PRId64 \
               " ", info->name, info->name##_rd, info->name##_wr, info->name##_max,                \
               info->name##_rd_max, info->name##_wr_max)
    hmp_puts(hmp, "    I/O throttling:   ");
    KIND(bps);
    KIND(iops);
    hmp_printf(hmp, "iops_size=%" PRId64 " group=%s\n", info->iops_size, info->group);
}

static void print_medium(Hmp *hmp, const BlockDeviceInfo *info, bool verbose)
{
    GString *text;

    hmp_printf(hmp, "    Cache mode:       %s%s%s\n",
               info->cache->writeback ? "writeback" : "writethrough",
               info->cache->direct ? ", direct" : "",
               info->cache->no_flush ? ", ignore flushes" : "");
    if (info->backing_file) {
        hmp_printf(hmp, "    Backing file:     %s (chain depth: %" PRId64 ")\n", info->backing_file,
                   info->backing_file_depth);
    }
    if (info->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        hmp_printf(hmp, "    Detect zeroes:    %s\n",
                   BlockdevDetectZeroesOptions_str(info->detect_zeroes));
    }
    print_limits(hmp, info);
    if (!verbose) {
        return;
    }
    text = g_string_new("\nImages:\n");
    for (const ImageInfo *image = info->image; image; image = image->backing_image) {
        block_image_info_text(text, image);
    }
    hmp_puts(hmp, text->str);
    g_string_free(text, TRUE);
}

static void print_file(Hmp *hmp, const BlockDeviceInfo *info)
{
    hmp_printf(hmp, ": %s (%s%s%s)\n", info->file, info->drv, info->ro ? ", read-only" : "",
               info->encrypted ? ", encrypted" : "");
}

static const char *drive_name(const BlockInfo *info)
{
    return *info->device ? info->device : info->qdev ? info->qdev : "";
}

static void print_drive(Hmp *hmp, const BlockInfo *info, bool verbose)
{
    hmp_puts(hmp, drive_name(info));
    if (info->inserted) {
        hmp_printf(hmp, " (%s)", info->inserted->node_name);
        print_file(hmp, info->inserted);
    } else {
        hmp_puts(hmp, ": [not inserted]\n");
    }
    if (info->qdev) {
        hmp_printf(hmp, "    Attached to:      %s\n", info->qdev);
    }
    if (info->has_io_status && info->io_status != BLOCK_DEVICE_IO_STATUS_OK) {
        hmp_printf(hmp, "    I/O status:       %s\n", BlockDeviceIoStatus_str(info->io_status));
    }
    if (info->removable) {
        hmp_printf(hmp, "    Removable device: %slocked, tray %s\n", info->locked ? "" : "not ",
                   info->tray_open ? "open" : "closed");
    }
    if (info->inserted) {
        print_medium(hmp, info->inserted, verbose);
    }
}

static bool print_nodes(Hmp *hmp, const char *name, bool verbose, GError **error)
{
    g_autoptr(GPtrArray) list = qmp_query_named_block_nodes(false, false, error);
    bool found = false;

    for (guint i = 0; list && i < list->len; i++) {
        const BlockDeviceInfo *info = g_ptr_array_index(list, i);

        if (!name || !strcmp(info->node_name, name)) {
            hmp_printf(hmp, "%s%s", found ? "\n" : "", info->node_name);
            found = true;
            print_file(hmp, info);
            print_medium(hmp, info, verbose);
        }
    }
    if (list && name && !found) {
        error_setf(error, "There is no node '%s'", name);
    }
    return list && (found || !name);
}

static bool print_drives(Hmp *hmp, const char *name, bool verbose, GError **error)
{
    g_autoptr(GPtrArray) list = qmp_query_block(error);
    bool found = false;

    for (guint i = 0; list && i < list->len; i++) {
        const BlockInfo *info = g_ptr_array_index(list, i);

        if (!name || !strcmp(info->device, name) || !g_strcmp0(info->qdev, name)) {
            hmp_puts(hmp, found ? "\n" : "");
            found = true;
            print_drive(hmp, info, verbose);
        }
    }
    if (list && name && !found) {
        error_setf(error, "There is no block device '%s'", name);
    }
    return list && (found || !name);
}

static bool info_block(Hmp *hmp, const HmpValue *values, GError **error)
{
    const char *name = values[2].present ? values[2].text : NULL;

    return values[0].present ? print_nodes(hmp, name, values[1].present, error)
                             : print_drives(hmp, name, values[1].present, error);
}

/* ---- info blockstats ---- */

static void print_stats(Hmp *hmp, const BlockStats *stats)
{
    const BlockDeviceStats *s = stats->stats;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { "rd_bytes", s->rd_bytes },
        { "wr_bytes", s->wr_bytes },
        { "rd_operations", s->rd_operations },
        { "wr_operations", s->wr_operations },
        { "flush_operations", s->flush_operations },
        { "wr_total_time_ns", s->wr_total_time_ns },
        { "rd_total_time_ns", s->rd_total_time_ns },
        { "flush_total_time_ns", s->flush_total_time_ns },
        { "rd_merged", s->rd_merged },
        { "wr_merged", s->wr_merged },
        { "idle_time_ns", s->idle_time_ns },
    };

    hmp_printf(hmp, "%s:", *stats->device ? stats->device : stats->qdev);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        hmp_printf(hmp, " %s=%" PRId64, numbers[i].name, numbers[i].value);
    }
    hmp_puts(hmp, "\n");
}

static bool info_blockstats(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autoptr(GPtrArray) list = qmp_query_blockstats(false, false, error);

    for (guint i = 0; list && i < list->len; i++) {
        print_stats(hmp, g_ptr_array_index(list, i));
    }
    return list != NULL;
}

static const HmpCommand block_info[] = {
    {
        .name = "block",
        .help = "disks, or (-n) nodes; with all images (-v)",
        .args = { { "-n", HMP_FLAG }, { "-v", HMP_FLAG },
                  { "device", HMP_WORD, .optional = true } },
        .run = info_block,
    },
    { .name = "blockstats", .help = "what disks have done", .run = info_blockstats },
    { .name = NULL },
};

void hmp_block_info_register(void)
{
    hmp_add_info(block_info);
}
